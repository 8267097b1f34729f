/* entry.h - what a node says of itself: identity, status, addresses, and the servers it stands
 * beside. Each node is the only source of its own entry; `revision` grows with each change within
 * an incarnation. */
#ifndef CORE_ROSTER_ENTRY_H
#define CORE_ROSTER_ENTRY_H

#include "base/addr.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_BYTES 63
#define URL_MAX_BYTES 255
#define ENTRY_SERVERS_MAX 4
#define SERVER_URLS_MAX 4
#define ENTRY_GROUPS_MAX 4
#define ENTRY_BYTES_MAX 5632 /* the largest entry: 4 servers of 1,170 bytes, 4 groups, and 512 */

enum status {
    STATUS_JOINING,
    STATUS_UP,
    STATUS_FULL,
    STATUS_DRAINING,
    STATUS_SUSPECT,
    STATUS_DOWN,
    STATUS_LEFT
};

/* "joining" ... "left". */
const char *status_name(enum status s);
bool status_parse(const char *text, enum status *out);

/* A pair of virtual and real server, for one service. */
struct server {
    char service[NAME_MAX_BYTES + 1];
    uint8_t url_count;
    char urls[SERVER_URLS_MAX][URL_MAX_BYTES + 1];
    char backup[NAME_MAX_BYTES + 1]; /* a node's name, or "primary" */
    uint32_t weight;                 /* 0 = gets no new clients */
    uint32_t capacity;               /* users; 0 = no limit */
    uint32_t users;
    bool healthy; /* as its own node finds it, by checks and by forwarding */
};

struct entry {
    uint64_t node, inc, boot;
    uint64_t revision;
    enum status status; /* as the node says of itself: joining, up, draining, left */
    char name[NAME_MAX_BYTES + 1];
    char zone[NAME_MAX_BYTES + 1];
    char version[16];
    struct addr address; /* node to node */
    struct addr public;  /* its public listener; family 0 = none */
    bool holds;          /* keeps session records */
    uint8_t group_count;
    char groups[ENTRY_GROUPS_MAX][NAME_MAX_BYTES + 1];
    uint8_t server_count;
    struct server servers[ENTRY_SERVERS_MAX];
};

void entry_encode(const struct entry *e, struct wire_writer *w);
/* Fully validated (names are printable ASCII without spaces, quotes or slashes; URLs are http or
 * https with a host, printable, no control characters). False on malformed input, out undefined. */
bool entry_decode(struct wire_reader *r, struct entry *out);
/* Greater (boot, inc, revision) of one node wins: <0, 0, >0. */
int entry_compare(const struct entry *a, const struct entry *b);
/* Would a receiver take it? Ask this of an entry that was made from settings. */
bool entry_valid(const struct entry *e);
/* A name as entries have them; `empty` says whether it may be "". */
bool entry_name_valid(const char *name, size_t len, bool empty);
bool entry_url_valid(const char *url, size_t len);
/* Host (without brackets) and port (by scheme when none is named) of a valid URL; points into it.
 */
bool entry_url_host(const char *url, const char **host, size_t *host_len, uint16_t *port);
/* An address as bytes: family, then ip and port unless it is none. */
void entry_encode_addr(const struct addr *a, struct wire_writer *w);
void entry_decode_addr(struct wire_reader *r, struct addr *out);

#endif
