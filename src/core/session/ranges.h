/* ranges.h - are the copies equal that should be? Two nodes compare sums of ranges of hashes, all
 * the time, which costs the same for a thousand records and for ten million; only what lies in
 * ranges that differ is compared one by one (verify.h). docs/protocol.md, Comparing.
 *
 * A record that one of two nodes owns and of which the other keeps a confirmed copy is in the sum
 * of their pair, at both: key, stamp and digest of the content, mixed and XORed. The table keeps
 * the sums up to date as records are put to rest or go. They are a node's, shared by its shards, as
 * the shards of two nodes have no keys in common; the first shard speaks for all.
 *
 * Trap: what is on its way differs. So a range is looked into when it differed again after a
 * second, and VERIFY then tells what is on its way from what is wrong.
 */
#ifndef CORE_SESSION_RANGES_H
#define CORE_SESSION_RANGES_H

#include "base/buzhash.h"
#include "core/session/kind.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RANGES 4096
#define RANGES_BLOCK 64 /* of one question */
#define RANGES_BLOCKS (RANGES / RANGES_BLOCK)
#define RANGES_PEERS_MAX 128 /* incarnations; what is kept with further ones is not compared */

struct item;
struct message;
struct session;
struct session_stats;

struct ranges_peer {
    _Atomic uint64_t inc; /* 0: free */
    _Atomic uint64_t sums[RANGES];
    /* The first shard's: */
    uint8_t strikes[RANGES]; /* how often it has differed, in a row */
    unsigned next;           /* block to be asked for */
    uint64_t whole_ns;       /* when all had been compared last; 0: never */
    uint64_t gone_ns;        /* since when nobody has that incarnation; 0: somebody has */
};

/* One for all shards of a node. */
struct ranges {
    struct buzhash hash; /* the same on all nodes */
    uint32_t kinds;      /* bits of those that are compared */
    atomic_bool torn;    /* a change could not be followed, for want of memory: nothing is said */
    atomic_bool full;    /* there are more incarnations than places */
    _Atomic uint64_t looked_into[RANGES_BLOCKS]; /* bits of ranges that are looked into */
    atomic_uint epoch;                           /* raised when those are others */
    struct ranges_peer peers[RANGES_PEERS_MAX];
};

/* NULL without memory. farm_secret: as in session_config. */
struct ranges *ranges_new(const struct kinds *kinds, const uint8_t farm_secret[32])
    __attribute__((warn_unused_result));
void ranges_free(struct ranges *g); /* takes NULL */

/* An item's share is added to the sums, or taken out: the same. Any shard. */
void ranges_toggle(struct ranges *g, const struct item *item);
/* The range of a key. */
unsigned ranges_of(const struct ranges *g, uint8_t kind, const void *key, size_t len);
/* The sum of a range with that peer; 0: none. */
uint64_t ranges_sum(const struct ranges *g, uint64_t inc, unsigned range);

/* -- within core/session: the first shard -- */

/* What a shard looks into. */
struct looking {
    unsigned epoch;
    bool on;
    uint64_t cursor, bits[RANGES_BLOCKS];
    uint64_t next_ns, looked_ns; /* the first shard's: when it asks again; when all began to look */
};

void ranges_view(struct session *s);
void ranges_tick(struct session *s);
void ranges_asked(struct session *s, uint64_t from, const struct message *m);
void ranges_answered(struct session *s, uint64_t from, const struct message *m);
void ranges_stats(const struct session *s, struct session_stats *out);
/* Does this shard have ranges to look into, and is the item in one? */
bool ranges_look(struct session *s);
bool ranges_has(const struct session *s, const struct item *item);

#endif
