/* prefix_test.c - networks from text, and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prefix.h"

#include <string.h>

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, 1, &a));
    return a;
}

static bool has(const char *prefix, const char *ip)
{
    struct prefix p;
    struct addr a = address(ip);
    assert_true(prefix_parse(prefix, &p));
    return prefix_has(&p, &a);
}

static void test_who_is_in(void **state)
{
    (void)state;
    assert_true(has("10.1.0.0/16", "10.1.255.3"));
    assert_false(has("10.1.0.0/16", "10.2.0.0"));
    assert_true(has("10.1.2.3", "10.1.2.3"));
    assert_false(has("10.1.2.3", "10.1.2.2"));
    assert_true(has("0.0.0.0/0", "255.1.2.3"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("192.0.2.128/25", "192.0.2.129"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::"));
    assert_true(has("::1/128", "::1"));
}

static void test_common_bits(void **state)
{
    (void)state;
    struct prefix p;
    struct addr a = address("10.1.2.3"), b = address("10.1.128.0"), c = address("138.0.0.0");
    assert_true(prefix_parse("10.1.2.0/23", &p));
    assert_int_equal(prefix_common(&p, &a), 23);
    assert_int_equal(prefix_common(&p, &b), 16);
    assert_int_equal(prefix_common(&p, &c), 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "/",           "10.0.0.0/",    "10.0.0.0/33",
                                      "10.0.0/8", "10.0.0.1/24", "10.0.0.0/8x",  "10.0.0.0/-1",
                                      "::1/129",  "[::]/0",      "10.0.0.0:5/8", "10.0.0.0/8/8",
                                      "::1/64",   "10.0.0.0/ 8", "name/8"};
    struct prefix p = {.bits = 77};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(prefix_parse(bad[i], &p));
    assert_int_equal(p.bits, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_in),
        cmocka_unit_test(test_common_bits),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
