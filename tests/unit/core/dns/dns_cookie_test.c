/* dns_cookie_test.c - cookies, by the vectors of RFC 9018, appendix A, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_cookie.h"

#include <string.h>

static const uint8_t key[16] = {0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f,
                                0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf};
#define CLIENT "\x24\x64\xc4\xab\xcf\x10\xc9\x57"
#define SERVER "\1\0\0\0\x5c\xf7\x9f\x11\x1f\x81\x30\xc3\xee\xe2\x94\x80"
#define MADE_S 1559731985u

static struct addr from;
static uint8_t out[DNS_COOKIE_BYTES];

static enum dns_cookie check(const char *bytes, size_t len, uint32_t now_s)
{
    return dns_cookie_check(key, (const uint8_t *)bytes, len, &from, now_s, out);
}

static int setup(void **state)
{
    (void)state;
    assert_true(addr_parse("198.51.100.100:53", 0, &from));
    return 0;
}

static void test_vector(void **state)
{
    (void)state;
    assert_int_equal(check(CLIENT, 8, MADE_S), DNS_COOKIE_NEW);
    assert_memory_equal(out, CLIENT SERVER, 24);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S), DNS_COOKIE_GOOD);
    assert_memory_equal(out, CLIENT SERVER, 24);
}

static void test_age(void **state)
{
    (void)state;
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S + DNS_COOKIE_RENEW_S - 1), DNS_COOKIE_GOOD);
    assert_memory_equal(out, CLIENT SERVER, 24);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S + DNS_COOKIE_RENEW_S), DNS_COOKIE_GOOD);
    assert_memory_not_equal(out, CLIENT SERVER, 24); /* good, and renewed */
    assert_int_equal(check((const char *)out, 24, MADE_S + DNS_COOKIE_RENEW_S), DNS_COOKIE_GOOD);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S + DNS_COOKIE_LIFE_S), DNS_COOKIE_GOOD);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S + DNS_COOKIE_LIFE_S + 1), DNS_COOKIE_NEW);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S - DNS_COOKIE_AHEAD_MAX_S), DNS_COOKIE_GOOD);
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S - DNS_COOKIE_AHEAD_MAX_S - 1), DNS_COOKIE_NEW);
}

static void test_clock_may_wrap(void **state)
{
    (void)state;
    assert_int_equal(check(CLIENT, 8, UINT32_MAX - 5), DNS_COOKIE_NEW);
    assert_int_equal(check((const char *)out, 24, 20), DNS_COOKIE_GOOD);
}

static void test_not_ours(void **state)
{
    (void)state;
    char cookie[24];
    for (size_t i = 0; i < 24; i++) {
        memcpy(cookie, CLIENT SERVER, 24);
        cookie[i] ^= 1;
        assert_int_equal(check(cookie, 24, MADE_S), DNS_COOKIE_NEW);
    }
    from.ip[3]++;
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S), DNS_COOKIE_NEW);
    from.ip[3]--;
    from.port++;
    assert_int_equal(check(CLIENT SERVER, 24, MADE_S), DNS_COOKIE_GOOD);
    assert_int_equal(check(CLIENT "12345678", 16, MADE_S), DNS_COOKIE_NEW);
    assert_int_equal(check(CLIENT SERVER SERVER, 40, MADE_S), DNS_COOKIE_NEW);
}

static void test_ipv6(void **state)
{
    (void)state;
    assert_true(addr_parse("[2001:db8::1]:53", 0, &from));
    assert_int_equal(check(CLIENT, 8, MADE_S), DNS_COOKIE_NEW);
    assert_int_equal(check((const char *)out, 24, MADE_S), DNS_COOKIE_GOOD);
    from.ip[15]++;
    assert_int_equal(check((const char *)out, 24, MADE_S), DNS_COOKIE_NEW);
}

static void test_malformed(void **state)
{
    (void)state;
    char cookie[64] = {0};
    for (size_t len = 0; len <= sizeof cookie; len++) {
        bool good = len == 8 || (len >= 16 && len <= 40);
        assert_int_equal(check(cookie, len, MADE_S), good ? DNS_COOKIE_NEW : DNS_COOKIE_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_vector, setup),
        cmocka_unit_test_setup(test_age, setup),
        cmocka_unit_test_setup(test_clock_may_wrap, setup),
        cmocka_unit_test_setup(test_not_ours, setup),
        cmocka_unit_test_setup(test_ipv6, setup),
        cmocka_unit_test_setup(test_malformed, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
