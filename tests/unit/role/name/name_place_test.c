/* name_place_test.c - where a client is, and how much of its address decides that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/name/name_place.h"

#include <stdlib.h>

static struct name_config config;

static void add(struct name_prefixes *list, const char *text)
{
    assert_true(prefix_parse(text, &list->list[list->count]));
    list->count++;
}

static int setup(void **state)
{
    (void)state;
    config = (struct name_config){.site_count = 2};
    add(&config.sites[0].clients, "10.0.0.0/8");
    add(&config.sites[0].clients, "2001:db8::/32");
    add(&config.sites[1].clients, "10.1.0.0/16");
    add(&config.sites[1].clients, "192.0.2.0/24");
    add(&config.inside, "10.0.0.0/7");
    return 0;
}

static struct name_place place(const char *ip)
{
    struct addr a;
    assert_true(addr_parse(ip, 1, &a));
    return name_place_of(&config, &a);
}

static void test_the_longest_prefix_counts(void **state)
{
    (void)state;
    assert_int_equal(place("10.2.0.1").site, 1);
    assert_int_equal(place("10.1.0.1").site, 2);
    assert_int_equal(place("192.0.2.200").site, 2);
    assert_int_equal(place("192.0.3.1").site, 0);
    assert_int_equal(place("2001:db8:1::1").site, 1);
    assert_int_equal(place("2001:db9::1").site, 0);
    assert_int_equal(place("10.1.0.1").network, NETWORK_INSIDE);
    assert_int_equal(place("11.1.0.1").network, NETWORK_INSIDE);
    assert_int_equal(place("12.1.0.1").network, NETWORK_OUTSIDE);
    struct name_place p = place("10.1.0.1"), q = place("192.0.2.1");
    assert_int_equal(name_place_index(&p), 4);
    assert_int_equal(name_place_index(&q), 5);
}

/* Any other address with so many bits in common is in the same place; with one bit less, some are
 * not. */
static void test_scope(void **state)
{
    (void)state;
    srandom(1);
    for (int i = 0; i < 3000; i++) {
        struct addr a = {.family = 4}, b;
        static const uint8_t firsts[] = {10, 11, 12, 192, 0};
        a.ip[0] = firsts[random() % 5];
        a.ip[1] = (uint8_t)(random() % 3);
        a.ip[2] = (uint8_t)(random() % 4);
        a.ip[3] = (uint8_t)random();
        struct name_place p = name_place_of(&config, &a);
        b = a;
        for (unsigned bit = p.scope; bit < 32; bit++)
            if (random() % 2)
                b.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        struct name_place q = name_place_of(&config, &b);
        assert_int_equal(name_place_index(&p), name_place_index(&q));
    }
    assert_int_equal(place("10.1.0.1").scope, 16);
    assert_int_equal(place("10.128.0.1").scope, 9); /* that bit tells it from 10.1.0.0/16 */
    assert_int_equal(place("2001:db8::1").scope, 32);
    config.site_count = config.inside.count = 0;
    assert_int_equal(place("10.1.0.1").scope, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_longest_prefix_counts, setup),
        cmocka_unit_test_setup(test_scope, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
