/* rng_test.c - the same seed gives the same sequence, evenly spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

/* The first outputs for the state {1, 2, 3, 4}, as the tests of other implementations have them. */
static void it_is_the_published_generator(void **state)
{
    (void)state;
    struct rng r = {{1, 2, 3, 4}};
    assert_true(rng_u64(&r) == 11520);
    assert_true(rng_u64(&r) == 0);
    assert_true(rng_u64(&r) == 1509978240);
    assert_true(rng_u64(&r) == 1215971899390074240ull);
}

static void a_seed_repeats(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 0);
    rng_init(&b, 0);
    rng_init(&c, 1);
    unsigned same = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t v = rng_u64(&a);
        assert_true(v == rng_u64(&b));
        same += v == rng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_even_and_within(void **state)
{
    (void)state;
    struct rng r;
    unsigned hits[7] = {0};
    rng_init(&r, 5);
    for (unsigned i = 0; i < 70000; i++)
        hits[rng_below(&r, 7)]++;
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(hits[i], 9600, 10400);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_published_generator),
        cmocka_unit_test(a_seed_repeats),
        cmocka_unit_test(below_is_even_and_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
