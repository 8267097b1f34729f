/* table.h - the hash table of one shard: key -> struct item, hashed by BUZhash with a secret of
 * this process.
 *
 * A record *at rest* is one cell of packed bytes (table_internal.h). What the table hands out is
 * *awake*: a struct item with a struct record, made from the cell, which the engine reads and
 * changes as it likes. It stays where it is until table_rest() puts it back, packed anew if it
 * changed. An item in a queue of the engine's stays too, without record and state while it rests.
 *
 * Buckets are cache lines of short tags and 32-bit numbers, so a lookup of an absent key touches
 * one line, and one that hits two or three more. Growth is in steps (linear hashing). Expiry is a
 * timing wheel (dial.h). Single-threaded: the store locks a shard. The table owns its items'
 * records; it counts memory by kind and knows the least recently used item of each kind, and leaves
 * policy to its caller.
 *
 * Trap: waking takes memory, and a call that hands out an item has NULL both for none and for no
 * memory. Who must not take one for the other calls table_wake() first.
 */
#ifndef CORE_SESSION_TABLE_H
#define CORE_SESSION_TABLE_H

#include "base/buzhash.h"
#include "base/list.h"
#include "core/record/record.h"
#include "core/session/kind.h"
#include "core/session/ranges.h"
#include "core/session/ticks.h"

#define PLAIN_FIELDS 2
#define TABLE_WALK_MAX 64 /* items of one call of table_walk() */

/* What an owner knows of one holder's copy. Confirmed: the holder had `version` of this term while
 * it granted `granted`. */
struct copy {
    uint64_t inc;
    bool going;       /* no holder by the list to come: it is to hear so, then to drop it */
    uint64_t version; /* 0: nothing confirmed yet; below 2^63 */
    uint64_t granted, counted; /* of the contact in which it was confirmed */
};

/* An owned record's copies. */
struct session_state {
    size_t count;
    struct copy copies[RECORD_HOLDERS_MAX];
    struct stamp base; /* all up to it that others had is merged: what they wrote since is lost if
                          it is replaced */
    bool doubtful;     /* a holder had counted us out: claim again before serving */
};

/* What a shard keeps for a key, awake. The fields from `state` on belong to the session engine and
 * are zero in a new item. Times at rest are in steps of 10 us, rounded up. */
struct item {
    struct record *record; /* NULL only in a queue */
    struct list awake;     /* table's */
    uint64_t expires_ns;   /* table's: TIME_NEVER: it does not */
    uint64_t word;         /* table's: of its cell, while that has the address of this */
    struct stamp read;     /* table's: the stamp in the cell; and the next two */
    uint64_t read_gap, read_touched_ns;
    bool only_read;        /* by the engine's word: none but times have been changed */
    const uint8_t *packed; /* table's: the packed bytes that the fields lie in, or NULL */
    void *loan;            /* table's: fields beyond those that lie behind the item */
    uint32_t ref;          /* table's: its cell */
    uint32_t counted_bytes;
    uint32_t head_bytes;         /* table's: of the cell that are before the fields; 0: none yet */
    uint32_t fields_read;        /* table's: how many lie in the cell */
    uint8_t kind;                /* table's */
    struct session_state *state; /* engine's: `own_state`, or NULL */
    uint64_t generation;         /* copy: the owner's count-out generation when it was confirmed */
    uint64_t life_ns;            /* engine's: its life ends then, as far as is known here */
    uint64_t offered;    /* engine's: token of the offer of what is here; 0: changed since */
    uint64_t offered_ns; /* engine's: when */
    uint64_t mend_ns;    /* engine's: no claim in the background before */
    uint64_t touched_ns; /* when a touch was last replicated or sent on */
    uint8_t role;        /* engine's, below 4 */
    bool tombstone;      /* engine's: counted as one */
    bool doubtful;       /* table's: the state's, while it rests in a queue */
    struct list queue;   /* engine's */
    struct session_state own_state;
};

struct table;

struct table *table_new(const struct buzhash *hash, uint64_t now_ns);
void table_free(struct table *t);
/* What changes, comes or goes is counted there from now on, when it is put to rest. */
void table_tell(struct table *t, struct ticks *c);
/* Sums are kept there of what is put to rest, and taken out when it goes. */
void table_sum(struct table *t, struct ranges *g);

/* `changed` is called for each key whose record, or the time when that was last used, is another
 * when it comes to rest, and that is removed. It calls nothing of the table. */
void table_watch(struct table *t, void (*changed)(void *context, const struct key *key),
                 void *context);

/* The buzhash() of the key's bytes by the table's secret. That of one key is remembered. */
uint64_t table_hash(const struct table *t, const struct key *key);
/* What it is, by who has worked it out. */
void table_hashed(const struct table *t, const struct key *key, uint64_t hash);

struct item *table_find(struct table *t, const struct key *key);
/* Takes ownership of record. The key must not be in the table. NULL without memory, and for a kind
 * of KINDS_MAX or more (record still the caller's). */
struct item *table_insert(struct table *t, struct record *record);
/* Removes and frees the item and its record. item->state must be NULL and queue unlinked. */
void table_remove(struct table *t, struct item *item);

/* False: the key is there, and there is no memory to wake it. */
bool table_wake(struct table *t, const struct key *key);
/* The same for an item in a queue. */
bool table_wake_item(struct table *t, struct item *item);
/* What has been handed out since is put to rest, except the items that `busy` (or NULL) says are
 * needed: those stay awake until table_stir(). One that there is no memory for stays until the next
 * call. */
void table_rest(struct table *t, bool (*busy)(void *context, const struct item *item),
                void *context);
/* An item that was busy may rest. */
void table_stir(struct table *t, const struct key *key);

/* A record at rest that has no copies to know of, no deletions and at most PLAIN_FIELDS fields:
 * what it is, without waking it. Good until the table's next call but the two below. `expires_ns`
 * is when its life ends, too. */
struct plain {
    struct record record;
    uint64_t expires_ns, touched_ns; /* as an item's */
    uint32_t ref, packed_bytes;      /* table's */
    uint8_t role;
    struct field fields[PLAIN_FIELDS], *loan[PLAIN_FIELDS]; /* the record's */
};

/* What a field is set to; the name lies before the value. */
struct plain_value {
    const uint8_t *bytes;
    uint32_t value_len;
    uint8_t name_len;
};

/* NULL: none, or it takes table_find() to see. hash: the buzhash() of the key's bytes; 0: not
 * known. */
struct plain *table_plain(struct table *t, const struct key *key, uint64_t hash);
/* A lookup of the key with that hash comes soon: index_expect() of table_internal.h. */
void table_expect(const struct table *t, uint8_t kind, uint64_t hash, bool bucket_only);
void table_plain_expire_at(struct table *t, struct plain *p, uint64_t expires_ns);
/* p->record, of which stamp and ttl_ms may have been changed, is put back with these fields, in
 * order of names, all of them of the record's stamp. False, with nothing done, when others are
 * there or it would not stay where it is; p is then no good any more. */
bool table_plain_replace(struct table *t, struct plain *p, const struct plain_value *v,
                         size_t count);

/* After item->record was replaced or changed: brings the memory count up to date. */
void table_recount(struct table *t, struct item *item);
/* Most recently used now. */
void table_touch(struct table *t, struct item *item);
void table_expire_at(struct table *t, struct item *item, uint64_t expires_ns);
/* The next item that expires at now_ns or before, or NULL. It stays in the table; its timer is
 * cancelled. NULL too when thousands expire together and it takes further calls to sort them
 * (table_next_expiry() is 0 then), and without memory: that item expires a second later. */
struct item *table_expired(struct table *t, uint64_t now_ns);
/* No later than the first expiry that is set, 0 when one is overdue; TIME_NEVER if none. An early
 * answer means only that table_expired has nothing then and the next answer is closer. */
uint64_t table_next_expiry(const struct table *t);

uint64_t table_count(const struct table *t);
/* Items and records at rest as their heads and fields say, and buckets. */
uint64_t table_memory(const struct table *t);
uint64_t table_kind_memory(const struct table *t, uint8_t kind);
uint64_t table_kind_count(const struct table *t, uint8_t kind);
struct item *table_lru(struct table *t, uint8_t kind); /* least recently used; NULL if none */
/* Walks all items in steps that survive inserts and removals between calls: begin with *cursor = 0;
 * returns up to `max` items (above 0; TABLE_WALK_MAX at most) and moves *cursor. 0 items with
 * *cursor 0 again is the end; with another *cursor memory is short, and a later call goes on. An
 * item present throughout is returned at least once. */
size_t table_walk(struct table *t, uint64_t *cursor, struct item **out, size_t max);

#endif
