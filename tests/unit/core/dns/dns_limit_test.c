/* dns_limit_test.c - the rate limit, in made-up time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_limit.h"

#include <string.h>

#define S 1000000u
#define RATE 100

static struct dns_limit l;
static const uint64_t secret[2] = {0x1234567890abcdef, 0xfedcba0987654321};

static struct addr client(const char *ip)
{
    struct addr a;
    assert_true(addr_parse(ip, 1, &a));
    return a;
}

static unsigned allowed(const struct addr *a, unsigned queries, uint64_t now_us)
{
    unsigned count = 0;
    while (queries--)
        count += dns_limit_take(&l, a, now_us) == DNS_ALLOW;
    return count;
}

static void test_a_second_at_once_then_the_rate(void **state)
{
    (void)state;
    struct addr a = client("192.0.2.1");
    dns_limit_init(&l, RATE, 2, secret);
    assert_int_equal(allowed(&a, 1000, 10 * S), RATE);
    assert_int_equal(allowed(&a, 1000, 10 * S), 0);
    assert_int_equal(allowed(&a, 1000, 10 * S + S / 2), RATE / 2);
    assert_int_equal(allowed(&a, 1000, 60 * S), RATE);
}

static void test_a_network_shares_it(void **state)
{
    (void)state;
    struct addr a = client("192.0.2.1"), b = client("192.0.2.254"), c = client("192.0.3.1");
    struct addr d = client("2001:db8:0:1::1"), e = client("2001:db8:0:ff::2");
    struct addr f = client("2001:db8:0:100::1");
    dns_limit_init(&l, RATE, 2, secret);
    assert_int_equal(allowed(&a, 1000, S), RATE);
    assert_int_equal(allowed(&b, 1000, S), 0);
    assert_int_equal(allowed(&c, 1000, S), RATE);
    assert_int_equal(allowed(&d, 1000, S), RATE);
    assert_int_equal(allowed(&e, 1000, S), 0);
    assert_int_equal(allowed(&f, 1000, S), RATE);
}

static void test_slip(void **state)
{
    (void)state;
    struct addr a = client("192.0.2.1");
    dns_limit_init(&l, 1, 3, secret);
    assert_int_equal(dns_limit_take(&l, &a, S), DNS_ALLOW);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(dns_limit_take(&l, &a, S), DNS_DROP);
        assert_int_equal(dns_limit_take(&l, &a, S), DNS_DROP);
        assert_int_equal(dns_limit_take(&l, &a, S), DNS_SLIP);
    }
    dns_limit_init(&l, 1, 0, secret);
    assert_int_equal(dns_limit_take(&l, &a, S), DNS_ALLOW);
    for (int i = 0; i < 10; i++)
        assert_int_equal(dns_limit_take(&l, &a, S), DNS_DROP);
}

static void test_no_limit(void **state)
{
    (void)state;
    struct addr a = client("192.0.2.1");
    dns_limit_init(&l, 0, 2, secret);
    assert_int_equal(allowed(&a, 100000, S), 100000);
}

/* The table stays as large as it is, and whoever is at the limit is not the one forgotten. */
static void test_many_networks(void **state)
{
    (void)state;
    struct addr loud = client("192.0.2.1"), other = client("10.0.0.1");
    dns_limit_init(&l, RATE, 2, secret);
    assert_int_equal(allowed(&loud, 1000, S), RATE);
    for (unsigned i = 0; i < 4 * DNS_LIMIT_NETWORKS; i++) {
        other.ip[0] = (uint8_t)(i >> 16);
        other.ip[1] = (uint8_t)(i >> 8);
        other.ip[2] = (uint8_t)i;
        dns_limit_take(&l, &other, S);
    }
    assert_int_equal(allowed(&loud, 1000, S), 0);
    assert_true(l.forgotten > 2 * DNS_LIMIT_NETWORKS);
    assert_true(l.forgotten < 4 * DNS_LIMIT_NETWORKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_at_once_then_the_rate),
        cmocka_unit_test(test_a_network_shares_it),
        cmocka_unit_test(test_slip),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_many_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
