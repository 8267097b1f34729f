/* admin_doors.h - of the snapshot (admin.h): doors for programs that know nothing of stead, and
 * keys that are written for them. */
#ifndef ROLE_ADMIN_DOORS_H
#define ROLE_ADMIN_DOORS_H

#include "core/roster/entry.h"

/* A door for clients of memcached or Redis. */
struct admin_cache {
    uint64_t connections, accepted, refused, requests, hits, misses, stores, removals, failed,
        malformed, denied, slow;
};

/* The door for stunnel. */
struct admin_sessiond {
    uint64_t requests, hits, misses, stores, removals, elsewhere, late, failed, malformed, full,
        unsent, dropped;
};

/* Messages in bulk to and from other nodes, and their connections. */
struct admin_bulk {
    uint64_t in, out, returned, links, made, refused;
};

#define ADMIN_TICKET_SETS_MAX 8
#define ADMIN_TICKET_KEYS_MAX 8

/* A set of ticket keys for another program. The keys' names are no secret: tickets begin so. */
struct admin_ticket_set {
    char name[NAME_MAX_BYTES + 1], format[16], file[256], why[192];
    size_t key_count;
    char keys[ADMIN_TICKET_KEYS_MAX][16]; /* the next one, the one that seals, those before */
    bool written, due;
};

struct admin_tickets {
    uint64_t written, taken_up, failed, due;
    size_t count;
    struct admin_ticket_set sets[ADMIN_TICKET_SETS_MAX];
};

/* Services that are not HTTP. */
struct admin_tcp {
    uint64_t own, backup, balanced, handed, open, nobody, unnamed, busy, untrusted, malformed, slow,
        addresses_held, addresses_taken, addresses_failed, full, refused, resets, timeouts, failed,
        proxied, starved, up_bytes, down_bytes;
};

#define ADMIN_KEYS_MAX 8
#define ADMIN_KEY_NODES_MAX 64

/* The generations of the farm's key, and who has which. No secrets. */
struct admin_keys {
    uint64_t turn, in, out, malformed, changes, store_failed, known, active, silent;
    size_t count, node_count;
    struct {
        uint64_t number, mark, nodes, nodes_active, nodes_using;
        const char *state;
        bool active, here;
    } list[ADMIN_KEYS_MAX];
    struct {
        char name[NAME_MAX_BYTES + 1];
        bool told;
        uint64_t active;
        unsigned accepted; /* a bit for each of the list */
    } nodes[ADMIN_KEY_NODES_MAX];
};

#endif
