/* box_ring.h - the keys of several generations for one purpose, shared by threads: the first seals,
 * any of them opens. One thread sets them, others seal and open meanwhile without waiting for it:
 * each use works on a copy, which is wiped.
 *
 * A box names its key, so that only one is tried. */
#ifndef CORE_TOKEN_BOX_RING_H
#define CORE_TOKEN_BOX_RING_H

#include "core/token/box.h"

#include <stdatomic.h>

#define BOX_RING_MAX 8
#define BOX_RING_WORDS (TOKEN_KEY_BYTES / 8)

/* Zeroed: empty, nothing is sealed or opened. */
struct box_ring {
    atomic_uint_fast64_t serial; /* odd while the keys are set */
    atomic_uint_fast64_t count;
    atomic_uint_fast64_t words[BOX_RING_MAX][BOX_RING_WORDS];
    atomic_uint_fast64_t used[BOX_RING_MAX]; /* opened with each since it was set */
};

/* One thread at a time. count: BOX_RING_MAX at most. */
void box_ring_set(struct box_ring *r, const uint8_t (*keys)[TOKEN_KEY_BYTES], size_t count);
/* Copies, to be wiped; returns how many. */
size_t box_ring_get(const struct box_ring *r, uint8_t out[BOX_RING_MAX][TOKEN_KEY_BYTES]);
/* Number i opened something that the ring's own calls do not see. */
void box_ring_note(struct box_ring *r, size_t i);
/* As box_seal() and box_open(). */
bool box_ring_seal(struct box_ring *r, const void *place, size_t place_len, const uint8_t *salt,
                   const void *bytes, size_t len, uint8_t *out);
bool box_ring_open(struct box_ring *r, const void *place, size_t place_len, const void *box,
                   size_t box_len, uint8_t *out);

#endif
