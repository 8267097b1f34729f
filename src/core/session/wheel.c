/* wheel.c - timers in the lists of a dial's slots. */
#include "core/session/wheel.h"

#include "base/clock.h"

void wheel_init(struct wheel *w, uint64_t now_ns)
{
    dial_init(&w->dial, now_ns);
    for (unsigned i = 0; i <= DIAL_OVER; i++)
        list_init(&w->slots[i]);
}

static struct timer *timer_of(struct list *link)
{
    return list_entry(link, struct timer, link);
}

static void place(struct wheel *w, struct timer *timer)
{
    unsigned slot = dial_slot(&w->dial, timer->at_ns);
    list_append(&w->slots[slot], &timer->link);
    dial_mark(&w->dial, slot, true);
}

void wheel_cancel(struct wheel *w, struct timer *timer)
{
    timer->at_ns = TIME_NEVER;
    if (!list_linked(&timer->link))
        return;
    struct list *before = timer->link.prev;
    bool last = before == timer->link.next; /* then both are the list's head */
    list_remove(&timer->link);
    if (last)
        dial_mark(&w->dial, (unsigned)(before - w->slots), false);
}

void wheel_set(struct wheel *w, struct timer *timer, uint64_t at_ns)
{
    wheel_cancel(w, timer);
    if (at_ns == TIME_NEVER)
        return;
    timer->at_ns = at_ns;
    place(w, timer);
}

static void empty_slot(struct wheel *w, unsigned slot, struct list *to)
{
    list_splice(to, &w->slots[slot]);
    dial_mark(&w->dial, slot, false);
}

static void cascade(struct wheel *w, unsigned slot)
{
    struct list moving, *link;
    list_init(&moving);
    empty_slot(w, slot, &moving);
    while ((link = list_pop(&moving)))
        place(w, timer_of(link));
}

static void advance(struct wheel *w, uint64_t tick)
{
    while (w->dial.tick < tick) {
        empty_slot(w, dial_present(&w->dial), &w->slots[DIAL_OVER]);
        dial_turn(&w->dial, tick);
        for (unsigned i = DIAL_LEVELS - 1; i > 0; i--) {
            int slot = dial_begun(&w->dial, i);
            if (slot >= 0)
                cascade(w, (unsigned)slot);
        }
    }
}

/* What is over of the present tick. */
static void gather_due(struct wheel *w, uint64_t now_ns)
{
    struct list *slot = &w->slots[dial_present(&w->dial)];
    for (struct list *link = slot->next, *next; link != slot; link = next) {
        next = link->next;
        if (timer_of(link)->at_ns > now_ns)
            continue;
        list_remove(link);
        list_append(&w->slots[DIAL_OVER], link);
    }
    if (list_empty(slot))
        dial_mark(&w->dial, (unsigned)(slot - w->slots), false);
}

struct timer *wheel_expired(struct wheel *w, uint64_t now_ns)
{
    struct list *over = &w->slots[DIAL_OVER];
    advance(w, now_ns >> DIAL_TICK_SHIFT);
    if (list_empty(over))
        gather_due(w, now_ns);
    struct list *link = list_pop(over);
    if (!link)
        return NULL;
    timer_of(link)->at_ns = TIME_NEVER;
    return timer_of(link);
}

uint64_t wheel_next(const struct wheel *w)
{
    if (!list_empty(&w->slots[DIAL_OVER]))
        return 0;
    uint64_t first = dial_next(&w->dial);
    /* The start of the present tick is no help to a caller who sleeps until then: look for the
     * time. */
    const struct list *slot = &w->slots[dial_present(&w->dial)];
    for (struct list *link = slot->next; link != slot; link = link->next)
        if (timer_of(link)->at_ns < first)
            first = timer_of(link)->at_ns;
    return first;
}
