/* dial.h - the arithmetic of a timing wheel of three levels (Varghese and Lauck, 1987): which slot
 * a time belongs to, and which slots' times have come. Who keeps the slots' lists is its caller:
 * wheel.c for timers, table_due.c for records.
 *
 * Ticks are 2^23 ns (8.4 ms). The first level has a slot a tick, the next ones a slot for 128 and
 * for 8,192 ticks (69 s). What lies beyond the dial's 39 hours waits in its last slot. */
#ifndef CORE_SESSION_DIAL_H
#define CORE_SESSION_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#define DIAL_TICK_SHIFT 23
#define DIAL_SLOTS (128 + 64 + 2048)
#define DIAL_LEVELS 3
#define DIAL_OVER DIAL_SLOTS /* the slot, so to speak, of ticks that are over */

struct dial {
    uint64_t tick;                    /* the present one */
    uint64_t filled[DIAL_SLOTS / 64]; /* a bit for each slot that is not empty */
};

void dial_init(struct dial *d, uint64_t now_ns);
/* The slot for that time, or DIAL_OVER. */
unsigned dial_slot(const struct dial *d, uint64_t at_ns);
/* That of the present tick. */
unsigned dial_present(const struct dial *d);
/* False: nothing is in the slot any more. */
void dial_mark(struct dial *d, unsigned slot, bool filled);
/* On to the next tick at which a slot begins that holds anything, `limit` at most. What is in the
 * present tick's slot is over by that. */
void dial_turn(struct dial *d, uint64_t limit);
/* The slot of that level (1 or above) that begins with the present tick: what is in it comes down
 * to lower levels, the highest first; -1: none does. */
int dial_begun(const struct dial *d, unsigned level);
/* When the next tick after the present one begins in which anything may be; TIME_NEVER. */
uint64_t dial_next(const struct dial *d);

#endif
