/* buzhash_test.c - determinism, secrets, and the traps that a cyclic polynomial has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buzhash.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

static struct buzhash with_secret(uint8_t first)
{
    struct buzhash b;
    uint8_t secret[32] = {first};
    buzhash_init(&b, secret);
    return b;
}

static void a_secret_makes_the_hash(void **state)
{
    (void)state;
    struct buzhash a = with_secret(1), same = with_secret(1), other = with_secret(2);
    unsigned equal = 0;
    for (size_t len = 0; len <= 200; len++) {
        uint8_t key[200];
        memset(key, (int)len, sizeof key);
        assert_true(buzhash(&a, key, len) == buzhash(&same, key, len));
        equal += buzhash(&a, key, len) == buzhash(&other, key, len);
    }
    assert_int_equal(equal, 0);
    assert_true(buzhash(&a, NULL, 0) == a.start);
}

/* ChaCha20's first words for an all-zero key and nonce (RFC 8439, A.1, test vector 1): 76 b8 e0 ad
 * a0 f1 3d 90. On every node the table must be this one. */
static void the_table_is_the_same_everywhere(void **state)
{
    (void)state;
    struct buzhash b = with_secret(0);
    assert_true(b.table[0] == 0x903df1a0ade0b876ull);
}

static void swapping_bytes_64_apart_changes_the_hash(void **state)
{
    (void)state;
    struct buzhash b = with_secret(3);
    struct rng rng;
    rng_init(&rng, 1);
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t key[250], swapped[250];
        size_t len = 66 + (size_t)rng_below(&rng, sizeof key - 66 + 1);
        for (size_t i = 0; i < sizeof key; i++)
            key[i] = (uint8_t)rng_u64(&rng);
        memcpy(swapped, key, sizeof key);
        size_t at = (size_t)rng_below(&rng, len - 64);
        swapped[at] = key[at + 64];
        swapped[at + 64] = key[at];
        if (swapped[at] != key[at])
            assert_true(buzhash(&b, key, len) != buzhash(&b, swapped, len));
    }
}

/* The sum of squared deviations over 256 buckets, 255 expected: 20 standard deviations are allowed,
 * since the same keys meet again in each of their digits. */
static void assert_even(const unsigned hits[256], unsigned keys)
{
    double expected = keys / 256.0, chi = 0;
    for (unsigned i = 0; i < 256; i++)
        chi += (hits[i] - expected) * (hits[i] - expected) / expected;
    assert_true(chi > 100 && chi < 255 + 20 * 22.6);
}

static void sequential_keys_spread(void **state)
{
    (void)state;
    for (uint8_t secret = 0; secret < 20; secret++) {
        struct buzhash b = with_secret(secret);
        unsigned low[256] = {0}, high[256] = {0}, long_low[256] = {0};
        for (unsigned i = 0; i < 10000; i++) {
            char key[128];
            int len = snprintf(key, sizeof key, "session-%06u", i);
            uint64_t h = buzhash(&b, key, (size_t)len);
            low[h & 255]++;
            high[h >> 56]++;
            len = snprintf(key, sizeof key, "%06u-%090d", i, 0);
            long_low[buzhash(&b, key, (size_t)len) & 255]++;
        }
        assert_even(low, 10000);
        assert_even(high, 10000);
        assert_even(long_low, 10000);
    }
}

static void a_bit_changes_half_of_the_hash(void **state)
{
    (void)state;
    struct buzhash b = with_secret(9);
    unsigned flipped = 0;
    uint8_t key[100] = {0};
    uint64_t base = buzhash(&b, key, sizeof key);
    for (unsigned bit = 0; bit < 800; bit++) {
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        uint64_t changed = base ^ buzhash(&b, key, sizeof key);
        assert_true(changed != 0);
        flipped += (unsigned)__builtin_popcountll(changed);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_in_range(flipped / 800, 29, 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_makes_the_hash),
        cmocka_unit_test(the_table_is_the_same_everywhere),
        cmocka_unit_test(swapping_bytes_64_apart_changes_the_hash),
        cmocka_unit_test(sequential_keys_spread),
        cmocka_unit_test(a_bit_changes_half_of_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
