/* table.h - the hash table of one shard: key -> struct item, hashed by BUZhash with a secret of
 * this process.
 *
 * Buckets are cache lines holding short tags and pointers, so a lookup of an absent key touches one
 * line. Growth is in steps (linear hashing): each insert or remove splits or joins at most two
 * buckets, no call waits for a whole rehash. Expiry is a timing wheel (Varghese and Lauck, 1987) of
 * three levels: O(1) to set, move and cancel. Single-threaded: the store locks a shard. The table
 * owns its items' records; it counts memory by kind and knows the least recently used item of each
 * kind, and leaves policy to its caller.
 */
#ifndef CORE_SESSION_TABLE_H
#define CORE_SESSION_TABLE_H

#include "base/buzhash.h"
#include "base/list.h"
#include "core/record/record.h"
#include "core/session/kind.h"
#include "core/session/wheel.h"

/* What a shard keeps for a key. `record` is never NULL while the item is in the table. The fields
 * from `role` on belong to the session engine and are zero in a new item. */
struct item {
    uint64_t hash;
    struct record *record;
    struct timer expiry;         /* table's */
    struct list lru;             /* table's */
    uint32_t counted_bytes;      /* table's: memory counted for this item */
    struct session_state *state; /* engine's; NULL when the record is at rest */
    uint64_t generation;         /* copy: the owner's count-out generation when it was confirmed */
    uint64_t life_ns;            /* engine's: its life ends then, as far as is known here */
    uint64_t offered;    /* engine's: token of the offer of what is here; 0: changed since */
    uint64_t offered_ns; /* engine's: when */
    uint64_t mend_ns;    /* engine's: no claim in the background before */
    uint64_t touched_ns; /* when a touch was last replicated or sent on */
    uint8_t role;        /* engine's */
    bool tombstone;      /* engine's: counted as one */
    struct list queue;   /* engine's */
};

struct table;

struct table *table_new(const struct buzhash *hash, uint64_t now_ns);
void table_free(struct table *t);

struct item *table_find(struct table *t, const struct key *key);
/* Takes ownership of record. The key must not be in the table. NULL without memory, and for a kind
 * of KINDS_MAX or more (record still the caller's). */
struct item *table_insert(struct table *t, struct record *record);
/* Removes and frees the item and its record. item->state must be NULL and queue unlinked. */
void table_remove(struct table *t, struct item *item);
/* After item->record was replaced or changed: brings the memory count up to date. */
void table_recount(struct table *t, struct item *item);
/* Most recently used now. */
void table_touch(struct table *t, struct item *item);
void table_expire_at(struct table *t, struct item *item, uint64_t expires_ns);
/* The next item that expires at now_ns or before, or NULL. It stays in the table; its timer is
 * cancelled. */
struct item *table_expired(struct table *t, uint64_t now_ns);
/* No later than the first expiry that is set, 0 when one is overdue; TIME_NEVER if none. An early
 * answer means only that table_expired has nothing then and the next answer is closer. */
uint64_t table_next_expiry(const struct table *t);

uint64_t table_count(const struct table *t);
uint64_t table_memory(const struct table *t); /* items, records and buckets */
uint64_t table_kind_memory(const struct table *t, uint8_t kind);
uint64_t table_kind_count(const struct table *t, uint8_t kind);
struct item *table_lru(struct table *t, uint8_t kind); /* least recently used; NULL if none */
/* Walks all items in steps that survive inserts and removals between calls: begin with *cursor = 0;
 * returns up to `max` items (max > 0) and moves *cursor. 0 items is the end, and *cursor is 0
 * again. An item present throughout is returned at least once. */
size_t table_walk(struct table *t, uint64_t *cursor, struct item **out, size_t max);

#endif
