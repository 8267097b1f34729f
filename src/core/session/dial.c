/* dial.c - slots of three levels in one row, and a bitmap over it by which empty time is
 * skipped. */
#include "core/session/dial.h"

#include "base/clock.h"

#include <string.h>

#define TICKS_MAX (1ull << 24) /* that the dial spans */

static const struct level {
    unsigned first; /* its first slot in the row */
    unsigned slots; /* a power of 2 */
    unsigned shift; /* log2 of a slot's ticks */
} levels[DIAL_LEVELS] = {{0, 128, 0}, {128, 64, 7}, {192, 2048, 13}};

void dial_init(struct dial *d, uint64_t now_ns)
{
    d->tick = now_ns >> DIAL_TICK_SHIFT;
    memset(d->filled, 0, sizeof d->filled);
}

static unsigned slot_at(const struct level *l, uint64_t tick)
{
    return l->first + (unsigned)(tick >> l->shift & (l->slots - 1));
}

unsigned dial_slot(const struct dial *d, uint64_t at_ns)
{
    uint64_t tick = at_ns >> DIAL_TICK_SHIFT;
    if (tick < d->tick)
        return DIAL_OVER;
    if (tick - d->tick >= TICKS_MAX)
        tick = d->tick + TICKS_MAX - 1;
    const struct level *l = &levels[0];
    while (tick - d->tick >= (uint64_t)l->slots << l->shift)
        l++;
    return slot_at(l, tick);
}

unsigned dial_present(const struct dial *d)
{
    return slot_at(&levels[0], d->tick);
}

void dial_mark(struct dial *d, unsigned slot, bool filled)
{
    uint64_t bit = 1ull << slot % 64;
    if (slot == DIAL_OVER)
        return;
    if (filled)
        d->filled[slot / 64] |= bit;
    else
        d->filled[slot / 64] &= ~bit;
}

/* How many slots after the one at `tick` the next filled one of that level comes: 1 to its number
 * of slots; 0 if none is filled. */
static unsigned distance(const struct dial *d, const struct level *l, uint64_t tick)
{
    unsigned at = (unsigned)(tick >> l->shift) + 1;
    for (unsigned passed = 0; passed < l->slots;) {
        unsigned in_level = (at + passed) & (l->slots - 1);
        uint64_t word = d->filled[(l->first + in_level) / 64] >> in_level % 64;
        if (word)
            return passed + (unsigned)__builtin_ctzll(word) + 1;
        passed += 64 - in_level % 64;
    }
    return 0;
}

/* The first tick after the present one at which a slot begins that holds anything; or `limit`. */
static uint64_t next_filled(const struct dial *d, uint64_t limit)
{
    uint64_t first = limit;
    for (unsigned i = 0; i < DIAL_LEVELS; i++) {
        const struct level *l = &levels[i];
        unsigned slots = distance(d, l, d->tick);
        if (slots == 0 || (i == 0 && slots == l->slots))
            continue; /* nothing, or the slot of the present tick itself */
        uint64_t begin = ((d->tick >> l->shift) + slots) << l->shift;
        if (begin < first)
            first = begin;
    }
    return first;
}

void dial_turn(struct dial *d, uint64_t limit)
{
    d->tick = next_filled(d, limit);
}

int dial_begun(const struct dial *d, unsigned level)
{
    const struct level *l = &levels[level];
    return d->tick % (1ull << l->shift) == 0 ? (int)slot_at(l, d->tick) : -1;
}

uint64_t dial_next(const struct dial *d)
{
    uint64_t limit = TIME_NEVER >> DIAL_TICK_SHIFT, tick = next_filled(d, limit);
    return tick == limit ? TIME_NEVER : tick << DIAL_TICK_SHIFT;
}
