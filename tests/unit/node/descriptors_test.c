/* However many clients come, the doors together never hold more descriptors than there are. */
#include "node/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t at_most(const struct descriptors *d, size_t workers, unsigned doors)
{
    uint64_t door = d->public + 2ull * d->tunnels + d->tunnels + d->watchers;
    return workers * (doors * door + d->gate + 2ull * d->cache);
}

static void all_doors_together_leave_the_reserve(void **state)
{
    (void)state;
    for (size_t i = 2; i < 66; i++) {
        size_t workers = i / 2;
        unsigned doors = 1 + (i & 1);
        uint64_t limit = descriptors_needed(workers, doors);
        for (; limit < 2000000; limit += limit / 7) {
            struct descriptors d;
            assert_true(descriptors_share(limit, workers, doors, &d));
            assert_true(at_most(&d, workers, doors) + 64 + 100 * workers <= limit);
            assert_true(d.public >= 16 && d.tunnels >= 16 && d.gate >= 16);
            assert_true(d.public <= DESCRIPTORS_EACH_MAX && d.gate <= DESCRIPTORS_EACH_MAX);
        }
    }
}

static void too_few_are_said(void **state)
{
    (void)state;
    struct descriptors d;
    assert_false(descriptors_share(descriptors_needed(2, 1) - 1, 2, 1, &d));
    assert_false(descriptors_share(0, 1, 1, &d));
    assert_true(descriptors_needed(2, 1) < 1024);
}

static void a_high_limit_changes_nothing(void **state)
{
    (void)state;
    struct descriptors d;
    assert_true(descriptors_share(descriptors_wanted(2, 2), 2, 2, &d));
    assert_int_equal(d.public, DESCRIPTORS_EACH_MAX);
    assert_true(descriptors_share(UINT64_MAX, 2, 2, &d));
    assert_int_equal(d.tunnels, DESCRIPTORS_EACH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_doors_together_leave_the_reserve),
        cmocka_unit_test(too_few_are_said),
        cmocka_unit_test(a_high_limit_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
