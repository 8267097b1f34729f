/* table_internal.h - the inside of the table: cells, buckets, and what its parts call.
 *
 * A cell: links (numbers of other cells), a word, the key, and the record's packed bytes. The word
 * of a cell at rest is odd: time of expiry, kind, flags. That of one awake is the address of its
 * struct item, which has the word meanwhile; links and key stay true. Cells move (slab.h):
 * cell_moved() mends all that refers to them.
 */
#ifndef CORE_SESSION_TABLE_INTERNAL_H
#define CORE_SESSION_TABLE_INTERNAL_H

#include "core/record/incs.h"
#include "core/session/dial.h"
#include "core/session/slab.h"
#include "core/session/table.h"

#define BUCKET_ITEMS 11
#define LINE_BYTES 64u
#define SEGMENTS_MAX 2048 /* of buckets */
#define POOL_MAX 64       /* items that are kept for the next to wake */
#define LOAN_FIELDS 4     /* that lie behind an item */
#define HEAD_MAX 768u     /* bytes of a record at rest before its fields, at most */

/* As `due_before` of the first of a slot: the slot. */
#define DUE_HEAD 0xffff0000u

struct cell {
    uint32_t lru_next, lru_before; /* 0: none */
    uint32_t due_next, due_before; /* due_before 0: in no slot */
    uint64_t word;
    uint8_t body[]; /* length of the key, key, packed bytes or struct outside */
};

/* In place of bytes that are too long for a cell. */
struct outside {
    uint8_t *bytes;
};

/* The word at rest. */
#define WORD_REST 1u
#define WORD_OUTSIDE 2u
#define WORD_FLAGS_SHIFT 2
#define WORD_FLAGS_MASK 0x1ffu
#define WORD_KIND_SHIFT 11
#define WORD_KIND_MASK 0x1fu
#define WORD_TIME_SHIFT 16
#define WORD_TIME_MAX ((1ull << 48) - 1) /* never */
#define TIME_STEP_NS 10000u

_Static_assert(KINDS_MAX <= WORD_KIND_MASK + 1, "a kind fits into a word");

struct bucket {
    uint8_t tag[BUCKET_ITEMS]; /* of the hash, so that most other keys need not be looked at */
    uint8_t count;
    uint32_t ref[BUCKET_ITEMS];
    struct bucket *more;
};

_Static_assert(sizeof(struct bucket) == LINE_BYTES, "a bucket is a cache line");

struct kind_use {
    uint64_t count, memory;
    uint32_t lru_first, lru_last; /* least recently used first */
};

/* An item with the memory for a usual record. */
struct block {
    struct item item;
    struct record record;
    struct field fields[LOAN_FIELDS];
    struct field *loan[LOAN_FIELDS];
    struct block *next; /* in the pool */
};

/* The key that was hashed last: one that something is done about is looked up again and again. */
struct hashed {
    uint64_t hash;
    uint8_t len; /* 0: none */
    uint8_t bytes[KEY_BYTES_MAX];
};

struct table {
    struct buzhash hash;
    struct hashed *last;
    struct ticks *ticks;   /* NULL: nobody counts them */
    struct ranges *ranges; /* NULL: nobody compares them */
    uint64_t count, buckets, more_buckets, item_memory;
    void *segments[SEGMENTS_MAX]; /* buckets, from the first start of a cache line on */
    struct kind_use kinds[KINDS_MAX];
    struct slab slab;
    struct incs incs;
    struct list fresh; /* awake since the last table_rest() */
    struct list kept;  /* awake for longer */
    struct block *pool;
    unsigned pool_count;
    struct plain plain;                                    /* the last of table_plain() */
    void (*changed)(void *context, const struct key *key); /* NULL: nobody wants to know */
    void *context;
    struct dial dial;
    unsigned due_moves;           /* cells that may yet be moved before an answer */
    uint32_t due[DIAL_SLOTS + 1]; /* the first cell of each slot */
};

static inline struct cell *cell_at(const struct table *t, uint32_t ref)
{
    return slab_at(&t->slab, ref);
}

/* The buzhash() of a key's bytes. */
uint64_t index_key_hash(const struct table *t, const uint8_t *key, uint8_t len);

/* Counts a change of the cell's key. */
static inline void table_tick(struct table *t, const struct cell *c, uint8_t kind)
{
    if (t->ticks)
        ticks_add(t->ticks, index_key_hash(t, c->body + 1, c->body[0]), kind);
}

static inline struct item *cell_item(const struct cell *c)
{
    return c->word & WORD_REST ? NULL : (struct item *)(uintptr_t)c->word;
}

static inline uint8_t cell_kind(const struct cell *c)
{
    const struct item *item = cell_item(c);
    return item ? item->kind : (uint8_t)(c->word >> WORD_KIND_SHIFT & WORD_KIND_MASK);
}

static inline uint64_t word_time(uint64_t word)
{
    uint64_t time = word >> WORD_TIME_SHIFT;
    return time == WORD_TIME_MAX ? UINT64_MAX : time * TIME_STEP_NS;
}

/* -- buckets (table_index.c) -- */
bool index_init(struct table *t);
void index_deinit(struct table *t);
uint64_t index_hash(const struct table *t, uint8_t kind, const uint8_t *key, uint8_t len);
uint64_t index_hash_cell(const struct table *t, const struct cell *c);
uint32_t index_find(const struct table *t, const struct key *key);
/* The same by the buzhash() of its bytes. */
uint32_t index_find_hashed(const struct table *t, const struct key *key, uint64_t bytes_hash);
/* What a lookup will read is brought near: first the bucket, then, with the bucket at hand, what
 * begins so. */
void index_expect(const struct table *t, uint8_t kind, uint64_t bytes_hash, bool bucket_only);
bool index_put(struct table *t, uint64_t hash, uint32_t ref); /* false without memory */
void index_take(struct table *t, uint64_t hash, uint32_t ref);
void index_change(struct table *t, uint64_t hash, uint32_t from, uint32_t to);
void index_resize(struct table *t); /* by a little */
/* The first `max` cells from *cursor on in walking order, and *cursor behind them. */
size_t index_walk(const struct table *t, uint64_t *cursor, uint32_t *out, size_t max);
/* So that the next walk begins with this cell. */
uint64_t index_cursor(const struct table *t, uint32_t ref);

/* -- cells at rest and awake (table_rest.c) -- */
/* A cell with a key and nothing else, awake as that item. 0 without memory. */
uint32_t cell_new(struct table *t, const struct key *key, struct item *item);
void cell_free(struct table *t, uint32_t ref);
struct item *cell_wake(struct table *t, uint32_t ref); /* NULL without memory */
struct item *item_take(struct table *t);               /* a zeroed one of the pool, or NULL */
void item_give(struct table *t, struct item *item);
void item_end(struct table *t, struct item *item); /* with its record, without its cell */
/* What the cell says is taken out of the sums. False without memory. */
bool cell_forget(struct table *t, const struct item *item);
void rest_deinit(struct table *t); /* frees all cells and items */

/* -- expiry (table_due.c) -- */
void due_init(struct table *t, uint64_t now_ns);
/* From one time to another; TIME_NEVER: none. */
void due_set(struct table *t, uint32_t ref, uint64_t old_ns, uint64_t at_ns);
uint32_t due_expired(struct table *t, uint64_t now_ns); /* 0: none */
uint64_t due_next(const struct table *t);
void due_moved(struct table *t, uint32_t to);

/* -- least recent use (table.c) -- */
void lru_moved(struct table *t, uint32_t to);

#endif
