/* table_index.c - linear hashing (Litwin, 1980) over buckets of a cache line.
 *
 * There are `buckets` buckets; a hash belongs to the bucket of its low bits, of as many as there
 * are buckets for. Growing splits one bucket in two, shrinking joins two: a call does at most
 * STEPS_MAX of these. Buckets lie in segments, which double up to a size, so they never move; a
 * segment's memory is used bucket by bucket. A bucket that is full goes on in further ones, and all
 * but the last of a chain are full. Hashes are not kept: a cell has its key. */
#include "base/mem.h"
#include "core/session/table_internal.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define FIRST_SHIFT 5 /* log2 of the buckets of the first segment, which stays */
#define FIRST_BUCKETS (1ull << FIRST_SHIFT)
#define SEGMENT_SHIFT 16 /* of the largest: 4 MiB, so that none takes long to give back */
#define SEGMENT_BUCKETS (1ull << SEGMENT_SHIFT)
#define GROW_AT 7 /* items a bucket on average: then a tenth of the buckets has a chain at most */
#define SHRINK_AT 3
#define STEPS_MAX 2
#define EXPECT_LINES 5 /* of a cell: a session's value, as a rule */
#define WALK_END UINT64_MAX
#define WALK_AHEAD 10 /* buckets: those of a walk of 64 cells, about */

static unsigned log2_floor(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

static unsigned segment_of(uint64_t index)
{
    if (index < FIRST_BUCKETS)
        return 0;
    if (index < SEGMENT_BUCKETS)
        return log2_floor(index) - FIRST_SHIFT + 1;
    return SEGMENT_SHIFT - FIRST_SHIFT + (unsigned)(index >> SEGMENT_SHIFT);
}

/* The first bucket of a segment. */
static uint64_t segment_begin(unsigned s)
{
    if (s == 0)
        return 0;
    if (s <= SEGMENT_SHIFT - FIRST_SHIFT)
        return FIRST_BUCKETS << (s - 1);
    return (uint64_t)(s - (SEGMENT_SHIFT - FIRST_SHIFT)) << SEGMENT_SHIFT;
}

static struct bucket *bucket_at(const struct table *t, uint64_t index)
{
    unsigned s = segment_of(index);
    uintptr_t start = ((uintptr_t)t->segments[s] + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    return (struct bucket *)start + (index - segment_begin(s));
}

/* How many low bits of a hash tell its bucket apart: one more for buckets that are split already.
 */
static unsigned bits_of(const struct table *t, uint64_t hash)
{
    unsigned bits = log2_floor(t->buckets);
    uint64_t half = 1ull << bits;
    return (hash & (half - 1)) + half < t->buckets ? bits + 1 : bits;
}

static struct bucket *bucket_of(const struct table *t, uint64_t hash)
{
    return bucket_at(t, hash & ((1ull << bits_of(t, hash)) - 1));
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

static bool add_segment(struct table *t, unsigned s)
{
    uint64_t buckets = segment_begin(s + 1) - segment_begin(s);
    /* Not zeroed: a bucket is made empty when it comes into use, so a segment costs nothing now. */
    t->segments[s] = mem_realloc(NULL, (size_t)buckets * LINE_BYTES + LINE_BYTES - 1);
    return t->segments[s] != NULL;
}

static void drop_segment(struct table *t, unsigned s)
{
    mem_free(t->segments[s]);
    t->segments[s] = NULL;
}

bool index_init(struct table *t)
{
    if (!add_segment(t, 0))
        return false;
    t->buckets = FIRST_BUCKETS;
    for (uint64_t i = 0; i < t->buckets; i++)
        *bucket_at(t, i) = (struct bucket){0};
    return true;
}

void index_deinit(struct table *t)
{
    for (uint64_t i = 0; i < t->buckets; i++) {
        for (struct bucket *b = bucket_at(t, i)->more, *more; b; b = more) {
            more = b->more;
            mem_free(b);
        }
    }
    for (unsigned s = 0; s < SEGMENTS_MAX; s++)
        drop_segment(t, s);
}

/* The hash of a key's bytes, made one of the key. */
static uint64_t with_kind(uint64_t hash, uint8_t kind)
{
    return hash ^ kind * 0x9e3779b97f4a7c15ull;
}

/* Where the tag may be among a bucket's: a bit at 8 times its place for each of eight, and perhaps
 * for others that follow one (the haszero of Hacker's Delight, 6-1). */
static inline uint64_t places(const uint8_t *tags, uint8_t tag)
{
    uint64_t word;
    memcpy(&word, tags, sizeof word);
    word = le64toh(word) ^ tag * 0x0101010101010101ull;
    return (word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull;
}

/* A bit for each place of a bucket where the tag may be. */
static inline unsigned candidates(const struct bucket *b, uint8_t tag)
{
    _Static_assert(offsetof(struct bucket, tag) == 0 && BUCKET_ITEMS <= 16, "two words of tags");
    const uint8_t *bytes = (const uint8_t *)b;
    uint64_t low = places(bytes, tag), high = places(bytes + 8, tag);
    unsigned bits = 0;
    for (; low; low &= low - 1)
        bits |= 1u << __builtin_ctzll(low) / 8;
    for (; high; high &= high - 1)
        bits |= 256u << __builtin_ctzll(high) / 8;
    return bits & ((1u << b->count) - 1);
}

static bool is_last(const struct hashed *last, const uint8_t *key, uint8_t len)
{
    return last->len == len && memcmp(last->bytes, key, len) == 0;
}

/* Whoever looks at many cells does not want them kept. */
uint64_t index_key_hash(const struct table *t, const uint8_t *key, uint8_t len)
{
    return is_last(t->last, key, len) ? t->last->hash : buzhash(&t->hash, key, len);
}

uint64_t table_hash(const struct table *t, const struct key *key)
{
    if (!is_last(t->last, key->bytes, key->len))
        table_hashed(t, key, buzhash(&t->hash, key->bytes, key->len));
    return t->last->hash;
}

void table_hashed(const struct table *t, const struct key *key, uint64_t hash)
{
    t->last->hash = hash;
    t->last->len = key->len;
    memcpy(t->last->bytes, key->bytes, key->len);
}

uint64_t index_hash(const struct table *t, uint8_t kind, const uint8_t *key, uint8_t len)
{
    return with_kind(index_key_hash(t, key, len), kind);
}

uint64_t index_hash_cell(const struct table *t, const struct cell *c)
{
    return index_hash(t, cell_kind(c), c->body + 1, c->body[0]);
}

uint32_t index_find(const struct table *t, const struct key *key)
{
    return index_find_hashed(t, key, table_hash(t, key));
}

uint32_t index_find_hashed(const struct table *t, const struct key *key, uint64_t bytes_hash)
{
    uint64_t hash = with_kind(bytes_hash, key->kind);
    uint8_t tag = tag_of(hash);
    _Static_assert(offsetof(struct key, bytes) == offsetof(struct key, len) + 1,
                   "length and bytes lie together, as in a cell");
    for (const struct bucket *b = bucket_of(t, hash); b; b = b->more) {
        for (unsigned left = candidates(b, tag); left; left &= left - 1) {
            uint32_t ref = b->ref[__builtin_ctz(left)];
            const struct cell *c = cell_at(t, ref);
            if (c->body[0] == key->len && memcmp(c->body + 1, key->bytes, key->len) == 0 &&
                cell_kind(c) == key->kind)
                return ref;
        }
    }
    return 0;
}

static void expect_cell(const struct table *t, uint32_t ref)
{
    const char *cell = slab_at(&t->slab, ref);
    for (unsigned line = 0; line < EXPECT_LINES; line++)
        __builtin_prefetch(cell + (size_t)line * LINE_BYTES);
}

void index_expect(const struct table *t, uint8_t kind, uint64_t bytes_hash, bool bucket_only)
{
    uint64_t hash = with_kind(bytes_hash, kind);
    const struct bucket *b = bucket_of(t, hash);
    if (bucket_only) {
        __builtin_prefetch(b);
        return;
    }
    for (unsigned left = candidates(b, tag_of(hash)); left; left &= left - 1)
        expect_cell(t, b->ref[__builtin_ctz(left)]);
}

/* Puts the cell at the end of a chain. *spare is linked in when the chain is full; it must be there
 * then. */
static void push(struct bucket *head, uint8_t tag, uint32_t ref, struct bucket **spare)
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
    b->tag[b->count] = tag;
    b->ref[b->count++] = ref;
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

static void push_again(struct table *t, const struct bucket *from, struct bucket **spare)
{
    uint64_t hashes[BUCKET_ITEMS];
    for (unsigned i = 0; i < from->count; i++)
        __builtin_prefetch(cell_at(t, from->ref[i]));
    for (unsigned i = 0; i < from->count; i++)
        hashes[i] = index_hash_cell(t, cell_at(t, from->ref[i]));
    for (unsigned i = 0; i < from->count; i++)
        push(bucket_of(t, hashes[i]), from->tag[i], from->ref[i], spare);
}

/* Moves a chain's cells to where they belong now. Its own further buckets serve as spares: two
 * chains need no more of them together than one of all their cells. */
static void spread(struct table *t, struct bucket *from)
{
    struct bucket chain = *from, *spare = NULL;
    *from = (struct bucket){0};
    for (;;) {
        push_again(t, &chain, &spare);
        struct bucket *done = chain.more;
        if (!done)
            break;
        chain = *done;
        done->more = spare;
        spare = done;
    }
    free_spares(t, spare);
}

/* One bucket more: the oldest unsplit one shares its cells with it. */
static bool grow(struct table *t)
{
    unsigned s = segment_of(t->buckets);
    if (s == SEGMENTS_MAX || (!t->segments[s] && !add_segment(t, s)))
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

static void join(struct bucket *into, const struct bucket *from, struct bucket **spare)
{
    for (unsigned i = 0; i < from->count; i++)
        push(into, from->tag[i], from->ref[i], spare);
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
    /* Further buckets first: each is a spare by the time its cells need one. */
    for (struct bucket *done = last->more; done;) {
        struct bucket moving = *done;
        done->more = spare;
        spare = done;
        join(into, &moving, &spare);
        done = moving.more;
    }
    join(into, last, &spare);
    free_spares(t, spare);
    t->buckets--;
    unsigned s = segment_of(t->buckets);
    if (t->buckets == segment_begin(s))
        drop_segment(t, s);
    return true;
}

void index_resize(struct table *t)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        bool done = false;
        if (t->count > t->buckets * GROW_AT)
            done = grow(t);
        else if (t->buckets > FIRST_BUCKETS && t->count < t->buckets * SHRINK_AT)
            done = shrink(t);
        if (!done)
            return;
    }
}

bool index_put(struct table *t, uint64_t hash, uint32_t ref)
{
    struct bucket *spare, *head = bucket_of(t, hash);
    if (!spare_if_full(t, head, &spare))
        return false;
    push(head, tag_of(hash), ref, &spare);
    return true;
}

/* The bucket of a chain that has the cell, and where. */
static struct bucket *locate(struct bucket *b, uint32_t ref, unsigned *at)
{
    for (; b; b = b->more)
        for (*at = 0; *at < b->count; ++*at)
            if (b->ref[*at] == ref)
                return b;
    return NULL;
}

void index_change(struct table *t, uint64_t hash, uint32_t from, uint32_t to)
{
    unsigned at;
    struct bucket *b = locate(bucket_of(t, hash), from, &at);
    assert(b);
    b->ref[at] = to;
}

/* The chain's last cell closes the gap. */
void index_take(struct table *t, uint64_t hash, uint32_t ref)
{
    unsigned at;
    struct bucket *b = bucket_of(t, hash), *before = NULL, *hole = locate(b, ref, &at);
    assert(hole);
    for (; b->more; b = b->more)
        before = b;
    b->count--;
    hole->ref[at] = b->ref[b->count];
    hole->tag[at] = b->tag[b->count];
    if (b->count == 0 && before) {
        before->more = NULL;
        mem_free(b);
        t->more_buckets--;
    }
}

/* -- walking -- */

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
    v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
    return __builtin_bswap64(v);
}

uint64_t index_cursor(const struct table *t, uint32_t ref)
{
    return reverse(index_hash_cell(t, cell_at(t, ref)));
}

/* Puts the cell among the first `max` in walking order; the count of them after. */
static size_t keep_first(uint32_t *out, uint64_t *order, size_t count, size_t max, uint32_t ref,
                         uint64_t place)
{
    size_t at = count;
    while (at > 0 && order[at - 1] > place)
        at--;
    if (at == max)
        return count;
    size_t moved = count < max ? count : max - 1;
    for (size_t i = moved; i > at; i--) {
        out[i] = out[i - 1];
        order[i] = order[i - 1];
    }
    out[at] = ref;
    order[at] = place;
    return moved + 1;
}

/* The place in walking order that is behind the bucket of a hash. */
static uint64_t bucket_end(const struct table *t, uint64_t cursor)
{
    unsigned bits = bits_of(t, reverse(cursor));
    uint64_t end = ((cursor >> (64 - bits)) + 1) << (64 - bits);
    return end == 0 ? WALK_END : end;
}

/* Cells lie anywhere in memory: those of some buckets to come are fetched together. */
static void expect_walk(const struct table *t, uint64_t cursor, size_t max)
{
    const struct bucket *ahead[WALK_AHEAD];
    size_t count = 0;
    for (size_t cells = 0; count < WALK_AHEAD && cells < max && cursor != WALK_END;
         cells += GROW_AT) {
        ahead[count] = bucket_of(t, reverse(cursor));
        __builtin_prefetch(ahead[count++]);
        cursor = bucket_end(t, cursor);
    }
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < ahead[i]->count; j++)
            expect_cell(t, ahead[i]->ref[j]);
}

/* In the order of the reversed hash a bucket is an interval, and stays one when it is split or
 * joined. So a place in that order means the same whatever the table's size: all before it have
 * been seen. */
size_t index_walk(const struct table *t, uint64_t *cursor, uint32_t *out, size_t max)
{
    uint64_t order[TABLE_WALK_MAX];
    size_t count = 0;
    assert(max > 0 && max <= TABLE_WALK_MAX);
    expect_walk(t, *cursor, max);
    while (*cursor != WALK_END && count < max) {
        uint64_t hash = reverse(*cursor);
        size_t in_bucket = 0, room = max - count;
        for (const struct bucket *b = bucket_of(t, hash); b; b = b->more) {
            for (unsigned i = 0; i < b->count; i++) {
                uint64_t place = index_cursor(t, b->ref[i]);
                if (place < *cursor)
                    continue;
                keep_first(out + count, order, in_bucket < room ? in_bucket : room, room, b->ref[i],
                           place);
                in_bucket++;
            }
        }
        if (in_bucket > room) {
            *cursor = order[room - 1] + 1;
            return max;
        }
        count += in_bucket;
        *cursor = bucket_end(t, *cursor);
    }
    if (count == 0)
        *cursor = 0;
    return count;
}
