/* wheel.c - slots of three levels in one array, and a bitmap over it by which empty time is
 * skipped. */
#include "core/session/wheel.h"

#include "base/clock.h"

#include <string.h>

#define LEVELS 3
#define TICKS_MAX (1ull << 24) /* that the wheel spans */

static const struct level {
    unsigned first; /* its first slot in the array */
    unsigned slots; /* a power of 2 */
    unsigned shift; /* log2 of a slot's ticks */
} levels[LEVELS] = {{0, 128, 0}, {128, 64, 7}, {192, 2048, 13}};

void wheel_init(struct wheel *w, uint64_t now_ns)
{
    w->tick = now_ns >> WHEEL_TICK_SHIFT;
    memset(w->filled, 0, sizeof w->filled);
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    list_init(&w->due);
}

static struct timer *timer_of(struct list *link)
{
    return list_entry(link, struct timer, link);
}

static unsigned slot_at(const struct level *l, uint64_t tick)
{
    return l->first + (unsigned)(tick >> l->shift & (l->slots - 1));
}

static void mark(struct wheel *w, unsigned slot, bool filled)
{
    uint64_t bit = 1ull << slot % 64;
    if (filled)
        w->filled[slot / 64] |= bit;
    else
        w->filled[slot / 64] &= ~bit;
}

static void place(struct wheel *w, struct timer *timer)
{
    uint64_t tick = timer->at_ns >> WHEEL_TICK_SHIFT;
    if (tick < w->tick) {
        list_append(&w->due, &timer->link);
        return;
    }
    if (tick - w->tick >= TICKS_MAX)
        tick = w->tick + TICKS_MAX - 1;
    uint64_t ahead = tick - w->tick;
    const struct level *l = &levels[0];
    while (ahead >= (uint64_t)l->slots << l->shift)
        l++;
    unsigned slot = slot_at(l, tick);
    list_append(&w->slots[slot], &timer->link);
    mark(w, slot, true);
}

void wheel_cancel(struct wheel *w, struct timer *timer)
{
    timer->at_ns = TIME_NEVER;
    if (!list_linked(&timer->link))
        return;
    struct list *before = timer->link.prev;
    bool last = before == timer->link.next; /* then both are the list's head */
    list_remove(&timer->link);
    if (last && before != &w->due)
        mark(w, (unsigned)(before - w->slots), false);
}

void wheel_set(struct wheel *w, struct timer *timer, uint64_t at_ns)
{
    wheel_cancel(w, timer);
    if (at_ns == TIME_NEVER)
        return;
    timer->at_ns = at_ns;
    place(w, timer);
}

/* How many slots after the one at `tick` the next filled one of that level comes: 1 to its number
 * of slots; 0 if none is filled. */
static unsigned distance(const struct wheel *w, const struct level *l, uint64_t tick)
{
    unsigned at = (unsigned)(tick >> l->shift) + 1;
    for (unsigned passed = 0; passed < l->slots;) {
        unsigned in_level = (at + passed) & (l->slots - 1);
        uint64_t word = w->filled[(l->first + in_level) / 64] >> in_level % 64;
        if (word)
            return passed + (unsigned)__builtin_ctzll(word) + 1;
        passed += 64 - in_level % 64;
    }
    return 0;
}

/* The first tick after the present one at which a slot begins that holds anything; or `limit`. */
static uint64_t next_filled(const struct wheel *w, uint64_t limit)
{
    uint64_t first = limit;
    for (unsigned i = 0; i < LEVELS; i++) {
        const struct level *l = &levels[i];
        unsigned d = distance(w, l, w->tick);
        if (d == 0 || (i == 0 && d == l->slots))
            continue; /* nothing, or the slot of the present tick itself */
        uint64_t begin = ((w->tick >> l->shift) + d) << l->shift;
        if (begin < first)
            first = begin;
    }
    return first;
}

static void empty_slot(struct wheel *w, unsigned slot, struct list *to)
{
    list_splice(to, &w->slots[slot]);
    mark(w, slot, false);
}

/* The items of the slot that begins now come down to lower levels. */
static void cascade(struct wheel *w, const struct level *l)
{
    struct list moving, *link;
    list_init(&moving);
    empty_slot(w, slot_at(l, w->tick), &moving);
    while ((link = list_pop(&moving)))
        place(w, timer_of(link));
}

static void advance(struct wheel *w, uint64_t tick)
{
    while (w->tick < tick) {
        empty_slot(w, slot_at(&levels[0], w->tick), &w->due);
        w->tick = next_filled(w, tick);
        for (unsigned i = LEVELS - 1; i > 0; i--)
            if (w->tick % (1ull << levels[i].shift) == 0)
                cascade(w, &levels[i]);
    }
}

/* What is over of the present tick. */
static void gather_due(struct wheel *w, uint64_t now_ns)
{
    struct list *slot = &w->slots[slot_at(&levels[0], w->tick)];
    for (struct list *link = slot->next, *next; link != slot; link = next) {
        next = link->next;
        if (timer_of(link)->at_ns > now_ns)
            continue;
        list_remove(link);
        list_append(&w->due, link);
    }
    if (list_empty(slot))
        mark(w, (unsigned)(slot - w->slots), false);
}

struct timer *wheel_expired(struct wheel *w, uint64_t now_ns)
{
    advance(w, now_ns >> WHEEL_TICK_SHIFT);
    if (list_empty(&w->due))
        gather_due(w, now_ns);
    struct list *link = list_pop(&w->due);
    if (!link)
        return NULL;
    timer_of(link)->at_ns = TIME_NEVER;
    return timer_of(link);
}

uint64_t wheel_next(const struct wheel *w)
{
    if (!list_empty(&w->due))
        return 0;
    uint64_t limit = TIME_NEVER >> WHEEL_TICK_SHIFT, tick = next_filled(w, limit);
    uint64_t first = tick == limit ? TIME_NEVER : tick << WHEEL_TICK_SHIFT;
    /* The start of the present tick is no help to a caller who sleeps until then: look for the
     * time. */
    const struct list *slot = &w->slots[slot_at(&levels[0], w->tick)];
    for (struct list *link = slot->next; link != slot; link = link->next)
        if (timer_of(link)->at_ns < first)
            first = timer_of(link)->at_ns;
    return first;
}
