/* buzhash.c - BUZhash over blocks of 64 bytes. The table comes from the secret by ChaCha20's block
 * function (RFC 8439), so that outputs of the hash tell nothing that helps to guess the rest. */
#include "base/buzhash.h"

#define BLOCK_BYTES 64 /* the rotation's period */

static uint32_t rotl32(uint32_t x, unsigned k)
{
    return x << k | x >> (32 - k);
}

static void quarter(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b];
    x[d] = rotl32(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotl32(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotl32(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotl32(x[b] ^ x[c], 7);
}

static void chacha_block(const uint32_t key[8], uint32_t counter, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (unsigned i = 0; i < 8; i++)
        in[4 + i] = key[i];
    in[12] = counter;
    for (unsigned i = 0; i < 16; i++)
        out[i] = in[i];
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++)
            quarter(out, i, 4 + i, 8 + i, 12 + i);
        for (unsigned i = 0; i < 4; i++)
            quarter(out, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] += in[i];
}

void buzhash_init(struct buzhash *b, const uint8_t secret[32])
{
    uint32_t key[8], words[16];
    for (unsigned i = 0; i < 8; i++)
        key[i] = (uint32_t)secret[4 * i] | (uint32_t)secret[4 * i + 1] << 8 |
                 (uint32_t)secret[4 * i + 2] << 16 | (uint32_t)secret[4 * i + 3] << 24;
    for (uint32_t block = 0; block <= 32; block++) {
        chacha_block(key, block, words);
        for (unsigned i = 0; i < 8; i++) {
            uint64_t word = (uint64_t)words[2 * i + 1] << 32 | words[2 * i];
            if (block < 32)
                b->table[block * 8 + i] = word;
            else if (i == 0)
                b->start = word;
        }
    }
}

static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

uint64_t buzhash(const struct buzhash *b, const void *key, size_t len)
{
    const uint8_t *p = key;
    uint64_t h = b->start;
    for (size_t left = len; left > 0;) {
        size_t block = left < BLOCK_BYTES ? left : BLOCK_BYTES;
        for (size_t i = 0; i < block; i++)
            h = (h << 1 | h >> 63) ^ b->table[p[i]];
        p += block;
        left -= block;
        /* The last block too: without it, keys that differ in two bytes would share the low bits of
         * their difference, and whole families of keys would meet in the same buckets. */
        h = mix(h);
    }
    return h;
}
