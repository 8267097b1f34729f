/* wheel.h - a timing wheel of three levels (Varghese and Lauck, 1987).
 *
 * Ticks are 2^23 ns (8.4 ms). The first level has a slot a tick, the next ones a slot for 128 and
 * for 8,192 ticks (69 s); a timer comes down a level when the time of its slot begins. What lies
 * beyond the wheel's 39 hours waits in its last slot and is put in again. Within the present tick
 * times are exact: nothing is early, nothing late. Setting and cancelling are O(1); the longest
 * step is that of a slot of 69 s whose timers come down together. */
#ifndef CORE_SESSION_WHEEL_H
#define CORE_SESSION_WHEEL_H

#include "base/list.h"

#include <stdint.h>

#define WHEEL_TICK_SHIFT 23
#define WHEEL_SLOTS (128 + 64 + 2048)

/* Part of what it is to wake. A zeroed one is in no wheel. */
struct timer {
    struct list link;
    uint64_t at_ns; /* TIME_NEVER in none */
};

struct wheel {
    uint64_t tick;                     /* the present one */
    uint64_t filled[WHEEL_SLOTS / 64]; /* a bit for each slot that is not empty */
    struct list slots[WHEEL_SLOTS];
    struct list due; /* of ticks that are over */
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
