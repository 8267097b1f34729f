/* swim_table.c - the table of peers: places, what depends on a peer's state, the algebra of what is
 * known, and ways to pick from it. */
#include "core/roster/swim_state.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

struct swim_fact swim_fact_merge(const struct swim_fact *a, const struct swim_fact *b)
{
    int newer = order(a->boot, b->boot) != 0 ? order(a->boot, b->boot) : order(a->inc, b->inc);
    if (newer != 0)
        return newer > 0 ? *a : *b;
    struct swim_fact m = *a;
    if (b->revision > m.revision)
        m.revision = b->revision;
    bool left = a->rank == SWIM_LEFT || b->rank == SWIM_LEFT;
    if (b->life > a->life || (b->life == a->life && b->rank > a->rank)) {
        m.life = b->life;
        m.rank = b->rank;
    }
    if (left)
        m.rank = SWIM_LEFT;
    return m;
}

uint32_t swim_place(const struct swim_table *t, uint64_t inc)
{
    uint32_t low = 0, high = t->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (swim_inc(&t->items[mid]) < inc)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct swim_peer *swim_find(struct swim *s, uint64_t inc)
{
    uint32_t at = swim_place(&s->table, inc);
    return at < s->table.count && swim_inc(&s->table.items[at]) == inc ? &s->table.items[at] : NULL;
}

/* splitmix64's finalizer (Steele, Lea, Flood 2014): neighbours in, strangers out. */
static uint64_t mix(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ v >> 27) * 0x94d049bb133111ebull;
    return v ^ v >> 31;
}

/* Adds or takes a peer's part of its bucket's hash: of those that live, so that tables that forgot
 * the dead at different times are equal. */
static void digest(struct swim_table *t, const struct swim_peer *p)
{
    if (p->rank > SWIM_SUSPECT)
        return;
    uint64_t inc = swim_inc(p);
    t->digest[inc >> 58] ^= mix(inc ^ mix(p->entry->revision ^ mix(p->life + 1ull)));
}

static bool reserve(struct swim_table *t)
{
    if (t->count < t->capacity)
        return true;
    /* Great tables grow in small steps: a farm of ten thousand keeps ten thousand of them. */
    uint32_t capacity = t->capacity + (t->capacity < 512 ? 16 + t->capacity / 2 : t->capacity / 16);
    struct swim_peer *items = mem_realloc(t->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    t->items = items;
    t->capacity = capacity;
    return true;
}

struct swim_peer *swim_add(struct swim *s, struct entry *e, int *error)
{
    struct swim_table *t = &s->table;
    *error = t->count >= SWIM_PEERS_MAX ? STEAD_E_FULL : STEAD_E_NOMEM;
    if (t->count >= SWIM_PEERS_MAX || !reserve(t))
        return NULL;
    uint32_t at = swim_place(t, e->inc);
    assert(at == t->count || swim_inc(&t->items[at]) != e->inc);
    memmove(&t->items[at + 1], &t->items[at], (t->count - at) * sizeof t->items[0]);
    t->count++;
    t->alive += e->inc != s->self->inc;
    struct swim_peer *p = &t->items[at];
    *p = (struct swim_peer){.entry = entry_ref(e), .rank = SWIM_ALIVE};
    p->flags = (uint8_t)(s->round ^ SWIM_ROUND); /* not yet in this round */
    digest(t, p);
    *error = STEAD_OK;
    return p;
}

static void forget_down(struct swim *s, uint64_t inc)
{
    for (uint32_t i = 0; i < s->down_count; i++) {
        if (s->downs[i] == inc) {
            s->downs[i] = s->downs[--s->down_count];
            return;
        }
    }
}

/* Without memory it is not tried again from here; its own attempts still bring it back. */
static void keep_down(struct swim *s, uint64_t inc)
{
    if (s->down_count == s->down_capacity) {
        uint32_t capacity = s->down_capacity == 0 ? 8 : s->down_capacity * 2;
        uint64_t *downs = mem_realloc(s->downs, capacity * sizeof *downs);
        if (downs == NULL)
            return;
        s->downs = downs;
        s->down_capacity = capacity;
    }
    s->downs[s->down_count++] = inc;
}

void swim_drop(struct swim *s, struct swim_peer *p)
{
    struct swim_table *t = &s->table;
    uint32_t at = (uint32_t)(p - t->items);
    assert(at < t->count && !(p->flags & SWIM_SELF));
    swim_suspicion_end(s, p);
    swim_untell(s, p);
    digest(t, p);
    t->alive -= p->rank <= SWIM_SUSPECT;
    if (p->rank == SWIM_DOWN)
        forget_down(s, swim_inc(p));
    entry_unref(p->entry);
    t->count--;
    memmove(p, p + 1, (t->count - at) * sizeof *p);
}

void swim_set_entry(struct swim *s, struct swim_peer *p, struct entry *e)
{
    assert(e->inc == swim_inc(p));
    digest(&s->table, p);
    entry_unref(p->entry);
    p->entry = e;
    digest(&s->table, p);
}

void swim_set_state(struct swim *s, struct swim_peer *p, uint32_t life, enum swim_rank rank,
                    uint64_t now_ns)
{
    enum swim_rank was = (enum swim_rank)p->rank;
    digest(&s->table, p);
    p->life = life;
    p->rank = (uint8_t)rank;
    digest(&s->table, p);
    if (rank != SWIM_SUSPECT)
        swim_suspicion_end(s, p);
    if (was <= SWIM_SUSPECT && rank > SWIM_SUSPECT)
        s->table.alive--;
    if (was > SWIM_SUSPECT && rank <= SWIM_SUSPECT)
        s->table.alive++;
    if (was == SWIM_DOWN && rank != SWIM_DOWN)
        forget_down(s, swim_inc(p));
    if (was != SWIM_DOWN && rank == SWIM_DOWN)
        keep_down(s, swim_inc(p));
    if (rank > SWIM_SUSPECT && was <= SWIM_SUSPECT)
        p->mark_ms = swim_mark(s, now_ns);
    else if (rank <= SWIM_SUSPECT && was > SWIM_SUSPECT)
        p->mark_ms = 0;
}

struct swim_peer *swim_random(struct swim *s, uint64_t not )
{
    struct swim_table *t = &s->table;
    if (t->alive == 0)
        return NULL;
    uint32_t at = (uint32_t)rng_below(&s->rng, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        struct swim_peer *p = &t->items[at];
        if (swim_member(p) && swim_inc(p) != not )
            return p;
        /* A few draws, then whoever comes next: many may be gone. */
        at = i < 8 ? (uint32_t)rng_below(&s->rng, t->count) : (at + 1) % t->count;
    }
    return NULL;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static void walk_begin(struct swim *s, struct swim_walk *w)
{
    w->size = w->left = s->table.count;
    w->at = (uint32_t)rng_below(&s->rng, w->size);
    do
        w->step = (uint32_t)rng_below(&s->rng, w->size) + 1;
    while (gcd(w->step, w->size) != 1);
}

struct swim_peer *swim_walk_next(struct swim *s, struct swim_walk *w)
{
    if (w->size != s->table.count)
        walk_begin(s, w);
    if (w->left == 0) {
        w->size = 0;
        return NULL;
    }
    w->left--;
    w->at = (uint32_t)(((uint64_t)w->at + w->step) % w->size);
    return &s->table.items[w->at];
}

uint32_t swim_log10_milli(uint32_t n)
{
    if (n <= 1)
        return 0;
    uint32_t whole = 31u - (uint32_t)__builtin_clz(n);
    /* log2 between powers of two as a straight line. */
    uint64_t milli = whole * 1000ull + ((uint64_t)n * 1000 >> whole) - 1000;
    return (uint32_t)(milli * 30103 / 100000);
}
