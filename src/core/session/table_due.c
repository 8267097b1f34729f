/* table_due.c - cells in the slots of a dial, by the time at which they expire.
 *
 * However many expire together, a call moves few of them: the dial waits meanwhile, and the rest
 * is late by as long as it takes to call on. */
#include "base/clock.h"
#include "core/session/table_internal.h"

#define DUE_MOVES_MAX 4096 /* between one call that finds none and the next */

void due_init(struct table *t, uint64_t now_ns)
{
    dial_init(&t->dial, now_ns);
    t->due_moves = DUE_MOVES_MAX;
}

static uint64_t time_of(const struct cell *c)
{
    const struct item *item = cell_item(c);
    return item ? item->expires_ns : word_time(c->word);
}

static void link_into(struct table *t, unsigned slot, uint32_t ref)
{
    struct cell *c = cell_at(t, ref);
    c->due_next = t->due[slot];
    c->due_before = DUE_HEAD + slot;
    if (c->due_next)
        cell_at(t, c->due_next)->due_before = ref;
    t->due[slot] = ref;
    dial_mark(&t->dial, slot, true);
}

static void unlink_from(struct table *t, uint32_t ref)
{
    struct cell *c = cell_at(t, ref);
    if (c->due_before == 0)
        return;
    if (c->due_next)
        cell_at(t, c->due_next)->due_before = c->due_before;
    if (c->due_before < DUE_HEAD) {
        cell_at(t, c->due_before)->due_next = c->due_next;
    } else {
        unsigned slot = c->due_before - DUE_HEAD;
        t->due[slot] = c->due_next;
        if (c->due_next == 0)
            dial_mark(&t->dial, slot, false);
    }
    c->due_next = c->due_before = 0;
}

/* A cell may lie in an earlier slot than its time's, never in a later one: so one whose time stays
 * within a slot stays where it is, as most do whose life is renewed. */
void due_set(struct table *t, uint32_t ref, uint64_t old_ns, uint64_t at_ns)
{
    unsigned slot = dial_slot(&t->dial, old_ns);
    if (cell_at(t, ref)->due_before && old_ns != TIME_NEVER && at_ns != TIME_NEVER &&
        slot != DIAL_OVER && slot == dial_slot(&t->dial, at_ns))
        return;
    unlink_from(t, ref);
    if (at_ns != TIME_NEVER)
        link_into(t, dial_slot(&t->dial, at_ns), ref);
}

void due_moved(struct table *t, uint32_t to)
{
    const struct cell *c = cell_at(t, to);
    if (c->due_before == 0)
        return;
    if (c->due_before < DUE_HEAD)
        cell_at(t, c->due_before)->due_next = to;
    else
        t->due[c->due_before - DUE_HEAD] = to;
    if (c->due_next)
        cell_at(t, c->due_next)->due_before = to;
}

/* Puts the cells of a slot where they belong by now. False: there are more than may be moved. */
static bool empty_slot(struct table *t, unsigned slot, bool over)
{
    for (uint32_t ref; (ref = t->due[slot]) != 0; t->due_moves--) {
        if (t->due_moves == 0)
            return false;
        unlink_from(t, ref);
        link_into(t, over ? DIAL_OVER : dial_slot(&t->dial, time_of(cell_at(t, ref))), ref);
    }
    return true;
}

/* What begins with the present tick comes down. The tick stays until it has: nothing else is put
 * there meanwhile. */
static bool come_down(struct table *t)
{
    for (unsigned i = DIAL_LEVELS - 1; i > 0; i--) {
        int slot = dial_begun(&t->dial, i);
        if (slot >= 0 && !empty_slot(t, (unsigned)slot, false))
            return false;
    }
    return true;
}

static bool advance(struct table *t, uint64_t tick)
{
    if (!come_down(t))
        return false;
    while (t->dial.tick < tick) {
        if (!empty_slot(t, dial_present(&t->dial), true))
            return false;
        dial_turn(&t->dial, tick);
        if (!come_down(t))
            return false;
    }
    return true;
}

/* What is over of the present tick. */
static void gather(struct table *t, uint64_t now_ns)
{
    uint32_t ref = t->due[dial_present(&t->dial)];
    while (ref) {
        const struct cell *c = cell_at(t, ref);
        uint32_t next = c->due_next;
        if (time_of(c) <= now_ns) {
            unlink_from(t, ref);
            link_into(t, DIAL_OVER, ref);
        }
        ref = next;
    }
}

uint32_t due_expired(struct table *t, uint64_t now_ns)
{
    bool done = advance(t, now_ns >> DIAL_TICK_SHIFT);
    if (done && !t->due[DIAL_OVER])
        gather(t, now_ns);
    uint32_t ref = t->due[DIAL_OVER];
    if (ref)
        unlink_from(t, ref);
    else
        t->due_moves = DUE_MOVES_MAX;
    return ref;
}

uint64_t due_next(const struct table *t)
{
    if (t->due[DIAL_OVER])
        return 0;
    for (unsigned i = 1; i < DIAL_LEVELS; i++) {
        int slot = dial_begun(&t->dial, i);
        if (slot >= 0 && t->due[slot])
            return 0;
    }
    uint64_t first = dial_next(&t->dial);
    /* The start of the present tick is no help to a caller who sleeps until then: look for the
     * time. */
    for (uint32_t ref = t->due[dial_present(&t->dial)]; ref; ref = cell_at(t, ref)->due_next)
        if (time_of(cell_at(t, ref)) < first)
            first = time_of(cell_at(t, ref));
    return first;
}
