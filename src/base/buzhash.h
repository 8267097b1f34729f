/* buzhash.h - BUZhash: hashing by cyclic polynomials.
 *
 * J. D. Cohen, "Recursive hashing functions for n-grams", ACM TOIS 15(3), 1997; the table-driven form is
 * R. Uzgalis's BUZ hash (1992). h = rotl(h, 1) ^ table[byte], over a table of 256 random 64-bit words.
 *
 * Traps. It is linear over GF(2), and the rotation has period 64: two bytes 64 positions apart can be
 * swapped without changing a 64-bit hash. So a key longer than 64 bytes is digested first: it is
 * hashed in blocks of 64 and every block's hash, the last one's too, is mixed (an odd multiplication
 * and shifts, which are not linear) before the next goes in. The table comes from a secret, so nobody outside can prepare
 * collisions: one secret per process for buckets, one from the farm's key where nodes must agree. */
#ifndef BASE_BUZHASH_H
#define BASE_BUZHASH_H

#include <stddef.h>
#include <stdint.h>

struct buzhash {
    uint64_t table[256];
    uint64_t start; /* the hash of the empty key */
};

/* Fills the table from a 32-byte secret, deterministically. */
void buzhash_init(struct buzhash *b, const uint8_t secret[32]);
uint64_t buzhash(const struct buzhash *b, const void *key, size_t len);

#endif
