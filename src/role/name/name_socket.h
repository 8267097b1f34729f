/* name_socket.h - inside role/name: a name server on its loop, and its two transports. */
#ifndef ROLE_NAME_SOCKET_H
#define ROLE_NAME_SOCKET_H

#include "base/list.h"
#include "role/name/name.h"

#include "core/dns/dns.h"

#include <sys/socket.h>

#define NAME_CONTROL_BYTES 64 /* the address that a datagram came to */

struct name_udp {
    uv_poll_t poll;
    int fd; /* -1: none */
    struct mmsghdr messages[NAME_UDP_BATCH];
    struct iovec vectors[NAME_UDP_BATCH];
    struct sockaddr_storage peers[NAME_UDP_BATCH];
    _Alignas(size_t) uint8_t control[NAME_UDP_BATCH][NAME_CONTROL_BYTES];
    uint8_t queries[NAME_UDP_BATCH][NAME_UDP_QUERY_MAX];
    uint8_t answers[NAME_UDP_BATCH][DNS_UDP_MAX];
};

struct name_tcp {
    uv_tcp_t listener;
    uv_timer_t timer;
    bool open;
    bool waiting;            /* a connection that there was no memory for */
    struct list connections; /* the one that has been idle longest is first */
    size_t count;
};

struct name {
    uv_loop_t *loop;
    const struct name_config *config;
    struct store *store;
    struct name_stats *stats;
    uint64_t chance;
    unsigned handles; /* not closed yet */
    bool closing;
    void (*closed)(void *context);
    void *context;
    struct name_udp udp;
    struct name_tcp tcp;
};

/* Both take the descriptor, and close it when they fail or later. */
int name_udp_open(struct name *n, int fd);
void name_udp_close(struct name *n);
int name_tcp_open(struct name *n, int fd);
void name_tcp_close(struct name *n);
/* A handle of the name server or of a connection is gone; frees the name server with the last one.
 */
void name_handle_closed(struct name *n);

#endif
