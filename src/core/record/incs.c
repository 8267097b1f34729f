/* incs.c - open addressing over numbers. Incarnations are random, but a sick node may choose what
 * it says, so they are mixed; the worst it can do is a long probe over a bounded table. */
#include "core/record/incs.h"

#include <assert.h>

_Static_assert(INCS_SLOTS >= 2 * INCS_MAX, "half of the slots stay free");

uint16_t incs_number(struct incs *i, uint64_t inc)
{
    uint64_t at = (inc ^ inc >> 29) * 0x9e3779b97f4a7c15ull >> 40;
    for (;; at++) {
        uint16_t *slot = &i->slots[at & (INCS_SLOTS - 1)];
        if (*slot == 0) {
            if (i->count == INCS_MAX)
                return 0;
            *slot = ++i->count;
            i->inc[*slot] = inc;
            return *slot;
        }
        if (i->inc[*slot] == inc)
            return *slot;
    }
}

uint64_t incs_at(const struct incs *i, uint16_t number)
{
    assert(number > 0 && number <= i->count);
    return i->inc[number];
}
