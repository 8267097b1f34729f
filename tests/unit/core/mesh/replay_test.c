/* The replay window: each counter once, in any order, and nothing that fell out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/mesh/seal.h"

#include <string.h>

static void edges(void **state)
{
    (void)state;
    struct replay r = {0};
    assert_false(replay_accept(&r, 0));
    assert_true(replay_accept(&r, 1));
    assert_false(replay_accept(&r, 1));
    assert_true(replay_accept(&r, REPLAY_WINDOW + 1));
    assert_false(replay_accept(&r, 1)); /* just out of the window */
    assert_true(replay_accept(&r, 2));  /* just in it */
    assert_false(replay_accept(&r, 2));
    assert_true(replay_accept(&r, UINT64_MAX));
    assert_false(replay_accept(&r, UINT64_MAX));
    assert_false(replay_accept(&r, REPLAY_WINDOW + 1));
    assert_true(replay_accept(&r, UINT64_MAX - REPLAY_WINDOW + 1));
    assert_false(replay_accept(&r, UINT64_MAX - REPLAY_WINDOW));
    assert_false(replay_accept(&r, 0));
}

static void agrees_with_a_list_of_all_that_was_seen(void **state)
{
    (void)state;
    enum { COUNTERS = 6000 };
    struct replay r = {0};
    struct rng rng;
    uint8_t was[COUNTERS + 1] = {0};
    uint64_t top = 0;
    rng_init(&rng, 11);
    for (int i = 0; i < 60000; i++) {
        uint64_t base = (uint64_t)i / 12 + 1, back = rng_below(&rng, 1500);
        uint64_t c = base > back ? base - back : base;
        if (rng_below(&rng, 20) == 0)
            c = base + rng_below(&rng, COUNTERS - base + 1) % 100;
        bool want = !was[c] && (c > top || top - c < REPLAY_WINDOW);
        assert_int_equal(replay_accept(&r, c), want);
        was[c] |= want;
        top = c > top ? c : top;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(agrees_with_a_list_of_all_that_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
