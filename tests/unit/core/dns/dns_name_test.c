/* dns_name_test.c - names: lower case, hashes, and the way from text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_name.h"

#include <ctype.h>
#include <string.h>

static void test_lower_is_that_of_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[256 + 8];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    dns_name_lower(bytes, 256);
    for (int i = 0; i < 256; i++)
        assert_int_equal(bytes[i], i < 128 ? tolower(i) : i);
    /* What stands behind a name is cleared, and nothing further on. */
    memset(bytes, 'X', sizeof bytes);
    dns_name_lower(bytes, 5);
    assert_memory_equal(bytes, "xxxxx\0\0\0\0\0\0\0\0XXX", 16);
}

static void test_hash_looks_at_the_name_alone(void **state)
{
    (void)state;
    struct dns_name a, b;
    memset(&a, 0xaa, sizeof a);
    memset(&b, 0x55, sizeof b);
    assert_true(dns_name_from_text("s12.low.shop.test", &a));
    assert_true(dns_name_from_text("s12.low.shop.test", &b));
    assert_int_equal(dns_name_hash(a.bytes, a.len), dns_name_hash(b.bytes, b.len));
    assert_true(dns_name_from_text("s13.low.shop.test", &b));
    assert_int_not_equal(dns_name_hash(a.bytes, a.len), dns_name_hash(b.bytes, b.len));
    /* Of a name's end, too: that is how its parents are found. */
    assert_true(dns_name_from_text("low.shop.test", &b));
    assert_int_equal(dns_name_hash(a.bytes + 4, a.len - 4), dns_name_hash(b.bytes, b.len));
}

static void test_text(void **state)
{
    (void)state;
    struct dns_name n;
    char label[70] = {0};
    assert_true(dns_name_from_text("a.bc.", &n));
    assert_int_equal(n.len, 6);
    assert_memory_equal(n.bytes, "\1a\2bc", 6);
    assert_int_equal(dns_name_labels(n.bytes), 2);
    assert_true(dns_name_from_text(".", &n));
    assert_int_equal(n.len, 1);
    assert_int_equal(dns_name_labels(n.bytes), 0);
    assert_false(dns_name_from_text("a..b", &n));
    assert_false(dns_name_from_text(".a", &n));
    memset(label, 'x', 64);
    assert_false(dns_name_from_text(label, &n));
    label[63] = 0;
    assert_true(dns_name_from_text(label, &n));
    for (int i = 0; i < 2; i++)
        assert_true(dns_name_prepend(&n, label, 63));
    assert_false(dns_name_prepend(&n, label, 62));
    assert_true(dns_name_prepend(&n, label, 61));
    assert_int_equal(n.len, DNS_NAME_MAX);
    assert_false(dns_name_prepend(&n, "a", 1));
    assert_false(dns_name_prepend(&n, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower_is_that_of_every_byte),
        cmocka_unit_test(test_hash_looks_at_the_name_alone),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
