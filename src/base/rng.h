/* rng.h - a seeded generator (xoshiro256**, Blackman and Vigna 2018) for jitter and picks. Not for
 * secrets: ids and keys come from the kernel, as data. Same seed, same sequence. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in 0 .. bound-1; bound must not be 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
