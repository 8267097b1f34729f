/* wheel.h - timers in a timing wheel (dial.h).
 *
 * Within the present tick times are exact: nothing is early, nothing late. Setting and cancelling
 * are O(1); the longest step is that of a slot of 69 s whose timers come down together. */
#ifndef CORE_SESSION_WHEEL_H
#define CORE_SESSION_WHEEL_H

#include "base/list.h"
#include "core/session/dial.h"

/* Part of what it is to wake. A zeroed one is in no wheel. */
struct timer {
    struct list link;
    uint64_t at_ns; /* TIME_NEVER in none */
};

struct wheel {
    struct dial dial;
    struct list slots[DIAL_SLOTS + 1]; /* the last: DIAL_OVER */
};

void wheel_init(struct wheel *w, uint64_t now_ns);
/* TIME_NEVER cancels. The timer may be in the wheel already. */
void wheel_set(struct wheel *w, struct timer *timer, uint64_t at_ns);
void wheel_cancel(struct wheel *w, struct timer *timer);
/* Takes out the next timer with at_ns <= now_ns, its at_ns TIME_NEVER from then on; or NULL. */
struct timer *wheel_expired(struct wheel *w, uint64_t now_ns);
/* No later than the first timer, 0 when one is overdue; TIME_NEVER if none. */
uint64_t wheel_next(const struct wheel *w);

#endif
