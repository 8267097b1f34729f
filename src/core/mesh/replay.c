/* replay.c - the window of frame counters that were seen, a bit each, at counter modulo its size.
 */
#include "core/mesh/seal.h"

#include "base/mutant.h"

#include <string.h>

bool replay_accept(struct replay *r, uint64_t counter)
{
    if (MUTANT(NO_REPLAY_WINDOW))
        return true;
    if (counter == 0 || (counter <= r->top && r->top - counter >= REPLAY_WINDOW))
        return false;
    if (counter > r->top) {
        if (counter - r->top >= REPLAY_WINDOW) {
            memset(r->bits, 0, sizeof r->bits);
        } else {
            for (uint64_t c = r->top + 1; c <= counter; c++)
                r->bits[c % REPLAY_WINDOW / 64] &= ~(1ull << c % 64);
        }
        r->top = counter;
    }
    uint64_t *word = &r->bits[counter % REPLAY_WINDOW / 64];
    uint64_t bit = 1ull << counter % 64;
    if (*word & bit)
        return false;
    *word |= bit;
    return true;
}
