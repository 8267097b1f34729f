/* addr_test.c - addresses from text and back, and what is no address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"

#include <string.h>

static void assert_address(const char *text, uint16_t default_port, const char *formatted)
{
    struct addr a, b;
    char buffer[ADDR_TEXT_MAX];
    assert_true(addr_parse(text, default_port, &a));
    assert_string_equal(addr_format(&a, buffer), formatted);
    assert_true(addr_parse(buffer, 0, &b));
    assert_true(addr_equal(&a, &b));
    assert_memory_equal(&a, &b, sizeof a);
}

static void addresses_come_and_go(void **state)
{
    (void)state;
    assert_address("1.2.3.4:80", 0, "1.2.3.4:80");
    assert_address("1.2.3.4", 443, "1.2.3.4:443");
    assert_address("127.0.0.1:0", 0, "127.0.0.1:0");
    assert_address("[::1]:65535", 0, "[::1]:65535");
    assert_address("[2001:DB8:0::1]", 53, "[2001:db8::1]:53");
    assert_address("fe80::1", 53, "[fe80::1]:53");
    assert_address("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", 0,
                   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void other_things_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":80",
        "1.2.3.4",
        "1.2.3:80",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4: 80",
        "1.2.3.4:80 ",
        " 1.2.3.4:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1",
        "::1",
        "[]:80",
        "[1.2.3.4]:80",
        "host:80",
        "1.2.3.4:0x50",
        "[::1%lo]:80",
        "1.2.3.4:000080",
        "256.1.1.1:80",
        "[::1]:80:80",
    };
    struct addr a, untouched;
    memset(&a, 0x55, sizeof a);
    untouched = a;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(addr_parse(bad[i], 0, &a));
        assert_memory_equal(&a, &untouched, sizeof a);
    }
    char text[5000];
    memset(text, '1', sizeof text);
    text[sizeof text - 1] = 0;
    assert_false(addr_parse(text, 80, &a));
}

static void comparisons(void **state)
{
    (void)state;
    struct addr a, b, c, none = {0};
    char buffer[ADDR_TEXT_MAX];
    assert_true(addr_parse("127.1.2.3:80", 0, &a));
    assert_true(addr_parse("127.1.2.3:81", 0, &b));
    assert_true(addr_parse("[7f01:203::]:80", 0, &c)); /* the same first bytes */
    assert_true(addr_same_ip(&a, &b));
    assert_false(addr_equal(&a, &b));
    assert_false(addr_same_ip(&a, &c));
    assert_true(addr_is_loopback(&a));
    assert_false(addr_is_loopback(&c));
    assert_true(addr_parse("[::1]:1", 0, &c));
    assert_true(addr_is_loopback(&c));
    assert_false(addr_is_loopback(&none));
    assert_string_equal(addr_format_ip(&c, buffer), "::1");
    assert_string_equal(addr_format_ip(&a, buffer), "127.1.2.3");
    assert_string_equal(addr_format(&none, buffer), "-");
    assert_string_equal(addr_format_ip(&none, buffer), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_and_go),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
