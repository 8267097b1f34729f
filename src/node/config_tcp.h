/* config_tcp.h - the configuration's part for services that are not HTTP, and for standing in line
 * before servers. */
#ifndef NODE_CONFIG_TCP_H
#define NODE_CONFIG_TCP_H

#include "node/config_lists.h"

#define TCP_SECTIONS_MAX 8

/* Of a section server. */
struct server_tcp {
    struct addr listen;  /* of its own; family 0 = none */
    struct addr address; /* in line: the real server's own; family 0 = it does not stand in line */
    uint32_t proxy_out;  /* enum proxy_protocol */
    char takeover[16];   /* the interface; "" = its address is not taken over */
};

struct tcp_section {
    char name[NAME_MAX_BYTES + 1];
    struct addr listen;
    struct strings services;
    struct networks proxies; /* who sends PROXY headers */
    uint32_t idle_ms;
};

struct inline_section {
    bool present;
    uint32_t port, mark, table;
    struct strings interfaces; /* where clients come from */
    bool apply;
    uint32_t idle_ms;
};

#endif
