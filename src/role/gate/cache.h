/* cache.h - the door for software that knows only memcached or Redis: its session handlers share
 * their state over the farm with no change. docs/cache.md is its manual.
 *
 * One door a worker and listener. A key is a record's key of one kind (by its prefix, or the door's
 * own), its value the record's unnamed field, the client's flags a field of their own; so what is
 * stored here can be read by the session API, and the other way round.
 *
 * The requests of a connection are done in order, one at a time; what is here or at a holder that
 * hears its owner is answered in the same turn of the loop, so pipelines run at full speed. Nothing
 * stalls a client: each operation has a deadline, and a node that does not serve closes connections
 * at once instead of letting them wait. */
#ifndef ROLE_GATE_CACHE_H
#define ROLE_GATE_CACHE_H

#include "io/tls_door.h"
#include "store/store.h"

#include <stdatomic.h>
#include <uv.h>

#define CACHE_PREFIXES_MAX 8
#define CACHE_PREFIX_MAX 64
#define CACHE_SECRET_MAX 128
/* Of an operation, longer than it takes to count a dead node out; then an error. */
#define CACHE_DEADLINE_MS 2500u
#define CACHE_LOSABLE_DEADLINE_MS 10u /* a read of a losable kind; then a miss */
#define CACHE_OUT_MAX (4u << 20)      /* answers that a client does not take; then it waits */

enum cache_protocol { CACHE_MEMCACHE, CACHE_RESP };

/* Keys that begin so are records of another kind. */
struct cache_prefix {
    char text[CACHE_PREFIX_MAX];
    uint8_t kind;
};

/* Shared by the doors of a node. */
struct cache_counters {
    atomic_uint_fast64_t connections;       /* now */
    atomic_uint_fast64_t accepted, refused; /* refused: not serving, or too many */
    atomic_uint_fast64_t requests, hits, misses, stores, removals;
    atomic_uint_fast64_t failed;    /* answered with an error that is not the client's */
    atomic_uint_fast64_t malformed; /* commands that are none */
    atomic_uint_fast64_t denied;    /* without the password */
    atomic_uint_fast64_t slow;      /* times that a client's answers were held back */
};

struct cache_config {
    uv_loop_t *loop;
    int fd; /* listening, non-blocking; the door's own from now on */
    enum cache_protocol protocol;
    struct store *store;
    unsigned mailbox; /* of the store, this door's alone */
    uint8_t kind;     /* of keys without a prefix of the list */
    size_t prefix_count;
    struct cache_prefix prefixes[CACHE_PREFIXES_MAX];
    char password[CACHE_SECRET_MAX]; /* "" = none is asked for */
    uint32_t connections_max;
    uint32_t idle_ms; /* 0 = for ever */
    /* Does this node serve at the moment? Else new connections are closed at once. */
    bool (*serving)(void *context);
    void *context;
    struct cache_counters *counters;
    struct tls_door *tls; /* NULL: plain */
    uint32_t handshakes_max, handshake_ms;
};

struct cache;

/* STEAD_E_NOMEM, STEAD_E_IO; the descriptor then stays the caller's. Sets the mailbox's wake. */
int cache_open(const struct cache_config *c, struct cache **out)
    __attribute__((warn_unused_result));
void cache_stop_accepting(struct cache *d);
/* Accepts no more, for another process does that on the same socket; until it is taken back. */
void cache_retire(struct cache *d, bool retired);
/* Gives every plain connection that is between two requests until `give` returns false; `admitted`
 * and `version3` are what it has agreed. To be called again, as more come to rest. */
typedef bool cache_give(void *context, int fd, bool admitted, bool version3);
void cache_give_idle(struct cache *d, cache_give *give, void *context);
/* Takes such a connection over; closes it when it cannot. */
void cache_adopt(struct cache *d, int fd, bool admitted, bool version3);
/* Closes all connections and forgets what waits; `closed` is called on the loop, then the door is
 * freed. */
void cache_close(struct cache *d, void (*closed)(void *context), void *context);

#endif
