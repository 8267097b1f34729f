/* entry.h - what a node says of itself: identity, status, addresses, and the servers it stands
 * beside. Each node is the only source of its own entry; `revision` grows with each change within
 * an incarnation. What changes often (the counts) can be told alone to those who have the rest (the
 * shape). entry_share.h keeps entries that several readers share. */
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
#define ENTRY_ADDRESSES_MAX 3
#define ENTRY_OF_MAX 4
/* The largest entry: 4 servers of 1,180 bytes, 4 groups, 4 names of a repository's, and 600. */
#define ENTRY_BYTES_MAX 5888
#define ENTRY_COUNTS_BYTES_MAX 160 /* the largest counts: 4 servers of 16 bytes, 4 groups, 50 */

enum status {
    STATUS_JOINING,
    STATUS_UP,
    STATUS_FULL,
    STATUS_DRAINING,
    STATUS_MAINT, /* taken out by an operator */
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
    uint16_t load; /* per mille of what it can do, by its own report; LOAD_UNKNOWN = none came */
    bool healthy;  /* as its own node finds it, by checks and by forwarding */
    bool maint;    /* an operator, the application or its agent took it out */
    bool drain;    /* the application or its agent wants no new clients */
};

#define LOAD_MAX 1000
#define LOAD_UNKNOWN UINT16_MAX

/* The networks from which clients come: each is told an address that it can reach. */
enum network { NETWORK_INSIDE, NETWORK_OUTSIDE };

struct entry_address {
    struct addr addr;
    enum network network;
};

struct entry {
    uint64_t node, inc, boot;
    uint64_t revision;
    uint64_t twin;  /* in an upgrade: the other incarnation of this node that it lives beside */
    uint64_t shape; /* the revision at which anything but the counts last changed */
    uint32_t life; /* raised by the node to refute that it is suspect (SWIM's incarnation number) */
    enum status status; /* as the node says of itself: joining, up, draining, maint, left */
    char name[NAME_MAX_BYTES + 1];
    char zone[NAME_MAX_BYTES + 1];
    char version[16];
    struct addr address; /* node to node */
    struct addr public;  /* its public listener, inside; family 0 = none */
    uint8_t address_count;
    struct entry_address addresses[ENTRY_ADDRESSES_MAX]; /* further ones of the public listener */
    bool holds;                                          /* keeps session records */
    bool repository; /* holds a copy of others' records, and keeps it beyond its process */
    uint8_t of_count;
    char of[ENTRY_OF_MAX][NAME_MAX_BYTES + 1]; /* whose: nodes and groups; none: all (portion.h) */
    uint8_t group_count;
    char groups[ENTRY_GROUPS_MAX][NAME_MAX_BYTES + 1];
    uint32_t group_users[ENTRY_GROUPS_MAX]; /* users that belong to the group */
    uint8_t server_count;
    struct server servers[ENTRY_SERVERS_MAX]; /* last: a shared entry has room for its own only */
};

void entry_encode(const struct entry *e, struct wire_writer *w);
/* Fully validated (names are printable ASCII without spaces, quotes or slashes; URLs are http,
 * https or tcp with a host, printable, no control characters). False on malformed input, out
 * undefined. */
bool entry_decode(struct wire_reader *r, struct entry *out);
/* The counts: revision, status, life, and of each server weight, capacity, users, load, healthy,
 * maint, drain; users of each group. Decoding fills in `e`, which must have the same inc and shape,
 * and be older: false when it does not fit or is malformed, e unchanged. */
void entry_encode_counts(const struct entry *e, struct wire_writer *w);
/* What counts are about, and whether they are well-formed; leaves r behind them. */
struct entry_counts {
    uint64_t inc, revision, shape;
    struct wire_reader body;
};
bool entry_decode_counts(struct wire_reader *r, struct entry_counts *out);
bool entry_apply_counts(struct entry *e, const struct entry_counts *c);
/* Do they differ in their counts only? */
bool entry_same_shape(const struct entry *a, const struct entry *b);
/* Public addresses of one family (4, 6 or 0 = both) for clients of a network: those that it can
 * reach; when there is none of that network, all. Returns how many, up to 1 + ENTRY_ADDRESSES_MAX.
 */
size_t entry_public(const struct entry *e, enum network n, uint8_t family,
                    const struct addr *out[1 + ENTRY_ADDRESSES_MAX]);
/* Greater (boot, inc, revision) of one node wins: <0, 0, >0. */
int entry_compare(const struct entry *a, const struct entry *b);
/* Would a receiver take it? Ask this of an entry that was made from settings. */
bool entry_valid(const struct entry *e);
/* A name as entries have them; `empty` says whether it may be "". */
bool entry_name_valid(const char *name, size_t len, bool empty);
bool entry_url_valid(const char *url, size_t len);
/* tcp://HOST:PORT: of a service that is not HTTP. */
bool entry_url_is_tcp(const char *url);
/* Host (without brackets) and port (by scheme when none is named) of a valid URL; points into it.
 */
bool entry_url_host(const char *url, const char **host, size_t *host_len, uint16_t *port);
/* An address as bytes: family, then ip and port unless it is none. */
void entry_encode_addr(const struct addr *a, struct wire_writer *w);
void entry_decode_addr(struct wire_reader *r, struct addr *out);

#endif
