/* tcp_stick_test.c - who was led elsewhere is remembered as long as said, and within bounds. */
#include "role/director/tcp_stick.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_until_it_ends(void **state)
{
    char node[NAME_MAX_BYTES + 1];
    struct tcp_stick *s = tcp_stick_new();
    (void)state;
    assert_non_null(s);
    assert_false(tcp_stick_find(s, 7, 100, node));
    tcp_stick_put(s, 7, "s2", 100, 200);
    tcp_stick_put(s, 8, "s3", 100, 100); /* over already */
    assert_true(tcp_stick_find(s, 7, 199, node));
    assert_string_equal(node, "s2");
    assert_false(tcp_stick_find(s, 8, 100, node));
    tcp_stick_put(s, 7, "s3", 199, 300);
    assert_true(tcp_stick_find(s, 7, 250, node));
    assert_string_equal(node, "s3");
    assert_int_equal(tcp_stick_count(s, 250), 1);
    assert_false(tcp_stick_find(s, 7, 300, node));
    tcp_stick_put(s, 7, "s3", 300, 400);
    tcp_stick_drop(s, 7);
    assert_false(tcp_stick_find(s, 7, 301, node));
    tcp_stick_free(s);
    tcp_stick_free(NULL);
}

static void test_the_one_that_ends_first_makes_room(void **state)
{
    char node[NAME_MAX_BYTES + 1], name[16];
    struct tcp_stick *s = tcp_stick_new();
    (void)state;
    for (uint64_t i = 0; i < 2 * TCP_STICK_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", (unsigned)i);
        tcp_stick_put(s, i, name, 1, 100 + i);
    }
    assert_int_equal(tcp_stick_count(s, 1), TCP_STICK_MAX);
    assert_false(tcp_stick_find(s, 0, 1, node));
    assert_true(tcp_stick_find(s, 2 * TCP_STICK_MAX - 1, 1, node));
    tcp_stick_free(s);
    mem_fail_after(1);
    assert_null(tcp_stick_new());
    mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_until_it_ends),
                                       cmocka_unit_test(test_the_one_that_ends_first_makes_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
