/* table.c - linear hashing (Litwin, 1980) over buckets of a cache line, the lists of least recent
 * use, and the counts. The timing wheel is wheel.c.
 *
 * There are `buckets` buckets; a hash belongs to the bucket of its low bits, of as many as there
 * are buckets for. Growing splits one bucket in two, shrinking joins two: a call does at most
 * STEPS_MAX of these. Buckets lie in segments that double, so they never move; a segment's memory
 * is used bucket by bucket. A bucket that is full goes on in further ones, and all but the last of
 * a chain are full. */
#include "core/session/table.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>

#define BUCKET_ITEMS 6
#define LINE_BYTES 64u
#define FIRST_SHIFT 5 /* log2 of the buckets of the first segment, which stays */
#define FIRST_BUCKETS (1ull << FIRST_SHIFT)
#define SEGMENTS_MAX 28 /* 2^32 buckets */
#define GROW_AT 3       /* items a bucket on average: then a 30th of the buckets has a chain */
#define STEPS_MAX 2
#define HEAP_OVERHEAD 16u
#define ITEM_BYTES ((uint32_t)sizeof(struct item) + HEAP_OVERHEAD)
#define WALK_END UINT64_MAX

struct bucket {
    uint8_t tag[BUCKET_ITEMS]; /* of the hash, so that most other keys need not be looked at */
    uint8_t count;
    struct bucket *more;
    struct item *item[BUCKET_ITEMS];
};

_Static_assert(sizeof(struct bucket) == LINE_BYTES, "a bucket is a cache line");

struct segment {
    void *memory;
    struct bucket *first; /* in `memory`, at the start of a cache line */
};

struct kind_use {
    uint64_t count, memory;
    struct list lru; /* least recently used first */
};

struct table {
    struct buzhash hash;
    uint64_t count, buckets, more_buckets, item_memory;
    struct segment segments[SEGMENTS_MAX];
    struct kind_use kinds[KINDS_MAX];
    struct wheel wheel;
};

static unsigned log2_floor(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

static unsigned segment_of(uint64_t index)
{
    return index < FIRST_BUCKETS ? 0 : log2_floor(index) - FIRST_SHIFT + 1;
}

static struct bucket *bucket_at(const struct table *t, uint64_t index)
{
    unsigned s = segment_of(index);
    return t->segments[s].first + (s == 0 ? index : index - (FIRST_BUCKETS << (s - 1)));
}

/* How many low bits of a hash tell its bucket apart: one more for buckets that are split already.
 */
static unsigned bits_of(const struct table *t, uint64_t hash)
{
    unsigned bits = log2_floor(t->buckets);
    uint64_t half = 1ull << bits;
    return (hash & (half - 1)) + half < t->buckets ? bits + 1 : bits;
}

static uint64_t index_of(const struct table *t, uint64_t hash)
{
    return hash & ((1ull << bits_of(t, hash)) - 1);
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

static bool add_segment(struct table *t, unsigned s)
{
    uint64_t buckets = s == 0 ? FIRST_BUCKETS : FIRST_BUCKETS << (s - 1);
    /* Not zeroed: a bucket is made empty when it comes into use, so a large segment costs nothing
     * now. */
    void *memory = mem_realloc(NULL, (size_t)buckets * LINE_BYTES + LINE_BYTES - 1);
    if (!memory)
        return false;
    uintptr_t start = ((uintptr_t)memory + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    t->segments[s] = (struct segment){memory, (struct bucket *)start};
    return true;
}

static void drop_segment(struct table *t, unsigned s)
{
    mem_free(t->segments[s].memory);
    t->segments[s] = (struct segment){0};
}

struct table *table_new(const struct buzhash *hash, uint64_t now_ns)
{
    struct table *t = mem_alloc(sizeof *t);
    if (!t)
        return NULL;
    if (!add_segment(t, 0)) {
        mem_free(t);
        return NULL;
    }
    t->hash = *hash;
    t->buckets = FIRST_BUCKETS;
    for (uint64_t i = 0; i < t->buckets; i++)
        *bucket_at(t, i) = (struct bucket){0};
    for (unsigned i = 0; i < KINDS_MAX; i++)
        list_init(&t->kinds[i].lru);
    wheel_init(&t->wheel, now_ns);
    return t;
}

static void free_item(struct item *item)
{
    record_free(item->record);
    mem_free(item);
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (uint64_t i = 0; i < t->buckets; i++) {
        struct bucket *head = bucket_at(t, i);
        for (struct bucket *b = head, *more; b; b = more) {
            more = b->more;
            for (unsigned j = 0; j < b->count; j++)
                free_item(b->item[j]);
            if (b != head)
                mem_free(b);
        }
    }
    for (unsigned s = 0; s < SEGMENTS_MAX; s++)
        drop_segment(t, s);
    mem_free(t);
}

static uint64_t hash_key(const struct table *t, const struct key *key)
{
    _Static_assert(offsetof(struct key, bytes) == 2, "kind, length and bytes lie together");
    return buzhash(&t->hash, key, 2u + key->len);
}

struct item *table_find(struct table *t, const struct key *key)
{
    uint64_t hash = hash_key(t, key);
    uint8_t tag = tag_of(hash);
    for (struct bucket *b = bucket_at(t, index_of(t, hash)); b; b = b->more)
        for (unsigned i = 0; i < b->count; i++)
            if (b->tag[i] == tag && b->item[i]->hash == hash &&
                key_equal(&b->item[i]->record->key, key))
                return b->item[i];
    return NULL;
}

/* Puts the item at the end of a chain. *spare is linked in when the chain is full; it must be there
 * then. */
static void push(struct bucket *head, struct item *item, struct bucket **spare)
{
    struct bucket *b = head;
    while (b->more)
        b = b->more;
    if (b->count == BUCKET_ITEMS) {
        struct bucket *more = *spare;
        assert(more);
        *spare = more->more;
        *more = (struct bucket){0};
        b->more = more;
        b = more;
    }
    b->tag[b->count] = tag_of(item->hash);
    b->item[b->count++] = item;
}

/* A bucket for `push`, if the chain is full up to its end. False without memory. */
static bool spare_if_full(struct table *t, const struct bucket *head, struct bucket **spare)
{
    *spare = NULL;
    while (head->more)
        head = head->more;
    if (head->count < BUCKET_ITEMS)
        return true;
    *spare = mem_alloc(sizeof **spare);
    t->more_buckets += *spare != NULL;
    return *spare != NULL;
}

/* Frees what `push` left over. */
static void free_spares(struct table *t, struct bucket *spare)
{
    while (spare) {
        struct bucket *more = spare->more;
        mem_free(spare);
        t->more_buckets--;
        spare = more;
    }
}

/* Moves a chain's items to where they belong now. Its own further buckets serve as spares: two
 * chains need no more of them together than one of all their items. */
static void spread(struct table *t, struct bucket *from)
{
    struct bucket chain = *from, *spare = NULL;
    *from = (struct bucket){0};
    for (;;) {
        for (unsigned i = 0; i < chain.count; i++)
            push(bucket_at(t, index_of(t, chain.item[i]->hash)), chain.item[i], &spare);
        struct bucket *done = chain.more;
        if (!done)
            break;
        chain = *done;
        done->more = spare;
        spare = done;
    }
    free_spares(t, spare);
}

/* One bucket more: the oldest unsplit one shares its items with it. */
static bool grow(struct table *t)
{
    unsigned s = segment_of(t->buckets);
    if (s == SEGMENTS_MAX || (!t->segments[s].first && !add_segment(t, s)))
        return false; /* chains get longer; tried again with the next insert */
    *bucket_at(t, t->buckets) = (struct bucket){0};
    uint64_t partner = t->buckets - (1ull << log2_floor(t->buckets));
    t->buckets++;
    spread(t, bucket_at(t, partner));
    return true;
}

static unsigned chain_items(const struct bucket *b)
{
    unsigned count = 0;
    for (; b; b = b->more)
        count += b->count;
    return count;
}

static unsigned buckets_for(unsigned items)
{
    return items == 0 ? 1 : (items + BUCKET_ITEMS - 1) / BUCKET_ITEMS;
}

/* One bucket less: the last goes back into its partner. */
static bool shrink(struct table *t)
{
    struct bucket *last = bucket_at(t, t->buckets - 1), *spare = NULL;
    uint64_t partner = (t->buckets - 1) - (1ull << log2_floor(t->buckets - 1));
    struct bucket *into = bucket_at(t, partner);
    unsigned a = chain_items(last), b = chain_items(into);
    if (buckets_for(a + b) > buckets_for(a) + buckets_for(b) - 1) {
        spare = mem_alloc(sizeof *spare);
        if (!spare)
            return false;
        t->more_buckets++;
    }
    /* Further buckets first: each is a spare by the time its items need one. */
    for (struct bucket *done = last->more; done;) {
        struct bucket moving = *done;
        done->more = spare;
        spare = done;
        for (unsigned i = 0; i < moving.count; i++)
            push(into, moving.item[i], &spare);
        done = moving.more;
    }
    for (unsigned i = 0; i < last->count; i++)
        push(into, last->item[i], &spare);
    free_spares(t, spare);
    t->buckets--;
    unsigned s = segment_of(t->buckets);
    if (t->buckets == FIRST_BUCKETS << (s - 1))
        drop_segment(t, s);
    return true;
}

static void resize_a_little(struct table *t)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        bool done = false;
        if (t->count > t->buckets * GROW_AT)
            done = grow(t);
        else if (t->buckets > FIRST_BUCKETS && t->count < t->buckets)
            done = shrink(t);
        if (!done)
            return;
    }
}

struct item *table_insert(struct table *t, struct record *record)
{
    if (record->key.kind >= KINDS_MAX)
        return NULL;
    assert(!table_find(t, &record->key));
    struct bucket *spare;
    struct item *item = mem_alloc(sizeof *item);
    if (!item)
        return NULL;
    item->hash = hash_key(t, &record->key);
    struct bucket *head = bucket_at(t, index_of(t, item->hash));
    if (!spare_if_full(t, head, &spare)) {
        mem_free(item);
        return NULL;
    }
    push(head, item, &spare);
    item->record = record;
    item->expiry.at_ns = TIME_NEVER;
    struct kind_use *use = &t->kinds[record->key.kind];
    list_append(&use->lru, &item->lru);
    use->count++;
    t->count++;
    table_recount(t, item);
    resize_a_little(t);
    return item;
}

/* Takes the item out of its chain; the chain's last item closes the gap. */
static void unlink_item(struct table *t, const struct item *item)
{
    struct bucket *b = bucket_at(t, index_of(t, item->hash)), *hole = NULL, *before = NULL;
    unsigned at = 0;
    for (;; before = b, b = b->more) {
        for (unsigned i = 0; i < b->count && !hole; i++) {
            if (b->item[i] == item) {
                hole = b;
                at = i;
            }
        }
        if (!b->more)
            break;
    }
    assert(hole);
    b->count--;
    hole->item[at] = b->item[b->count];
    hole->tag[at] = b->tag[b->count];
    if (b->count == 0 && before) {
        before->more = NULL;
        mem_free(b);
        t->more_buckets--;
    }
}

void table_remove(struct table *t, struct item *item)
{
    assert(!item->state && !list_linked(&item->queue));
    unlink_item(t, item);
    wheel_cancel(&t->wheel, &item->expiry);
    list_remove(&item->lru);
    struct kind_use *use = &t->kinds[item->record->key.kind];
    use->count--;
    use->memory -= item->counted_bytes;
    t->item_memory -= item->counted_bytes;
    t->count--;
    free_item(item);
    resize_a_little(t);
}

void table_recount(struct table *t, struct item *item)
{
    struct kind_use *use = &t->kinds[item->record->key.kind];
    uint32_t bytes = ITEM_BYTES + item->record->memory_bytes;
    use->memory += bytes - (uint64_t)item->counted_bytes;
    t->item_memory += bytes - (uint64_t)item->counted_bytes;
    item->counted_bytes = bytes;
}

void table_touch(struct table *t, struct item *item)
{
    list_remove(&item->lru);
    list_append(&t->kinds[item->record->key.kind].lru, &item->lru);
}

void table_expire_at(struct table *t, struct item *item, uint64_t expires_ns)
{
    wheel_set(&t->wheel, &item->expiry, expires_ns);
}

struct item *table_expired(struct table *t, uint64_t now_ns)
{
    struct timer *timer = wheel_expired(&t->wheel, now_ns);
    return timer ? list_entry(timer, struct item, expiry) : NULL;
}

uint64_t table_next_expiry(const struct table *t)
{
    return wheel_next(&t->wheel);
}

uint64_t table_count(const struct table *t)
{
    return t->count;
}

uint64_t table_memory(const struct table *t)
{
    return sizeof *t + t->item_memory + t->buckets * LINE_BYTES +
           t->more_buckets * (LINE_BYTES + HEAP_OVERHEAD);
}

uint64_t table_kind_memory(const struct table *t, uint8_t kind)
{
    return kind < KINDS_MAX ? t->kinds[kind].memory : 0;
}

uint64_t table_kind_count(const struct table *t, uint8_t kind)
{
    return kind < KINDS_MAX ? t->kinds[kind].count : 0;
}

struct item *table_lru(struct table *t, uint8_t kind)
{
    if (kind >= KINDS_MAX || list_empty(&t->kinds[kind].lru))
        return NULL;
    return list_entry(t->kinds[kind].lru.next, struct item, lru);
}

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
    v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
    return __builtin_bswap64(v);
}

/* Puts the item among the first `max` in walking order; the count of them after. */
static size_t keep_first(struct item **out, size_t count, size_t max, struct item *item)
{
    size_t at = count;
    while (at > 0 && reverse(out[at - 1]->hash) > reverse(item->hash))
        at--;
    if (at == max)
        return count;
    size_t moved = count < max ? count : max - 1;
    for (size_t i = moved; i > at; i--)
        out[i] = out[i - 1];
    out[at] = item;
    return moved + 1;
}

/* In the order of the reversed hash a bucket is an interval, and stays one when it is split or
 * joined. So a place in that order means the same whatever the table's size: all before it have
 * been seen. */
size_t table_walk(struct table *t, uint64_t *cursor, struct item **out, size_t max)
{
    size_t count = 0;
    assert(max > 0);
    while (*cursor != WALK_END && count < max) {
        uint64_t hash = reverse(*cursor);
        unsigned bits = bits_of(t, hash);
        struct bucket *head = bucket_at(t, hash & ((1ull << bits) - 1));
        size_t in_bucket = 0, room = max - count;
        for (const struct bucket *b = head; b; b = b->more) {
            for (unsigned i = 0; i < b->count; i++) {
                if (reverse(b->item[i]->hash) < *cursor)
                    continue;
                keep_first(out + count, in_bucket < room ? in_bucket : room, room, b->item[i]);
                in_bucket++;
            }
        }
        if (in_bucket > room) {
            *cursor = reverse(out[max - 1]->hash) + 1;
            return max;
        }
        count += in_bucket;
        uint64_t end = ((*cursor >> (64 - bits)) + 1) << (64 - bits);
        *cursor = end == 0 ? WALK_END : end;
    }
    if (count == 0)
        *cursor = 0;
    return count;
}
