/* mem_test.c - faults by countdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

#include <string.h>

static void memory_is_zeroed_and_copied(void **state)
{
    (void)state;
    uint8_t *p = mem_alloc(100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    memset(p, 7, 100);
    uint8_t *copy = mem_dup(p, 100);
    assert_memory_equal(p, copy, 100);
    p = mem_realloc(p, 200);
    assert_memory_equal(p, copy, 100);
    char *text = mem_strdup("text");
    assert_string_equal(text, "text");
    void *nothing = mem_dup(NULL, 0);
    assert_non_null(nothing);
    mem_free(nothing);
    mem_free(text);
    mem_free(copy);
    mem_free(p);
    mem_free(NULL);
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    mem_fail_after(2);
    void *first = mem_alloc(1);
    assert_non_null(first);
    assert_null(mem_strdup("x"));
    char *third = mem_strdup("x");
    assert_non_null(third);
    mem_fail_after(1);
    assert_null(mem_realloc(first, 10));
    mem_free(first); /* still there */
    mem_fail_after(1);
    mem_fail_after(0);
    first = mem_alloc(1);
    assert_non_null(first);
    mem_free(first);
    mem_free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_copied),
        cmocka_unit_test(the_nth_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
