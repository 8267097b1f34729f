/* The map from incarnations: found while in it, through growth, equal low bits and lack of memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/mesh/incmap.h"

#define THINGS 500

struct thing {
    uint64_t name;
    struct incmap_node map;
};

static void holds_what_was_put_in(void **state)
{
    (void)state;
    static struct thing things[THINGS];
    struct incmap m = {0};
    assert_null(incmap_find(&m, 1));
    for (uint64_t i = 0; i < THINGS; i++) {
        things[i].name = i << 40 | 7; /* low bits all equal */
        assert_true(incmap_insert(&m, &things[i].map, things[i].name));
    }
    for (uint64_t i = 0; i < THINGS; i += 2)
        incmap_remove(&m, &things[i].map);
    assert_int_equal(m.count, THINGS / 2);
    for (uint64_t i = 0; i < THINGS; i++) {
        struct incmap_node *n = incmap_find(&m, i << 40 | 7);
        if (i % 2 == 0)
            assert_null(n);
        else
            assert_ptr_equal(incmap_entry(n, struct thing, map), &things[i]);
    }
    assert_null(incmap_find(&m, 8));
    incmap_deinit(&m);
    assert_null(incmap_find(&m, 7));
}

static void without_memory(void **state)
{
    (void)state;
    static struct thing things[40];
    struct incmap m = {0};
    mem_fail_after(1);
    assert_false(incmap_insert(&m, &things[0].map, 0));
    for (uint64_t i = 0; i < 40; i++) {
        if (i == 16)
            mem_fail_after(1); /* cannot grow now: goes on as it is */
        assert_true(incmap_insert(&m, &things[i].map, i));
    }
    for (uint64_t i = 0; i < 40; i++)
        assert_ptr_equal(incmap_find(&m, i), &things[i].map);
    incmap_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_put_in),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
