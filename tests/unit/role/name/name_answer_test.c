/* name_answer_test.c - queries and their answers: options, cookies, client subnets, the rate limit,
 * sizes, and what is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "name_fixture.h"

#define CLIENT                                                                                     \
    "\0\x0a\0\x08"                                                                                 \
    "clientco"
#define NOW_S 1700000000u

/* The value of an option in the answer's OPT record, which is the last record and the only one with
 * a root owner. */
static const uint8_t *find_option(const struct fixture *f, uint16_t wanted, size_t *len)
{
    for (size_t at = f->len - 11; at >= 12; at--) {
        const uint8_t *p = f->message + at;
        size_t bytes = (size_t)p[9] << 8 | p[10];
        if (memcmp(p, "\0\0\x29\x04\xd0", 5) != 0 || at + 11 + bytes != f->len)
            continue;
        for (size_t i = 0; i + 4 <= bytes; i += 4 + *len) {
            const uint8_t *o = p + 11 + i;
            *len = (size_t)o[2] << 8 | o[3];
            if (((unsigned)o[0] << 8 | o[1]) == wanted)
                return o + 4;
        }
        return NULL;
    }
    return NULL;
}

static void test_cookies(void **state)
{
    struct fixture *f = *state;
    uint8_t option[28] = CLIENT;
    size_t len;
    memset(f->config.cookie_key, 7, sizeof f->config.cookie_key);
    f->by.now_s = NOW_S;
    assert_true(ask_with(f, "www.shop.test", DNS_A, CLIENT, 12));
    assert_null(find_option(f, 10, &len)); /* they are not switched on */
    f->config.cookies = true;
    assert_true(ask_with(f, "www.shop.test", DNS_A, CLIENT, 12));
    const uint8_t *cookie = find_option(f, 10, &len);
    assert_non_null(cookie);
    assert_int_equal(len, 24);
    assert_memory_equal(cookie, "clientco\1\0\0\0\x65\x53\xf1\0", 16);
    assert_int_equal(f->stats.cookies_new, 1);
    assert_int_equal(f->rcode, DNS_NOERROR);

    option[3] = 24;
    memcpy(option + 4, cookie, 24);
    assert_true(ask_with(f, "www.shop.test", DNS_A, option, 28));
    assert_int_equal(f->stats.cookies_good, 1);
    assert_memory_equal(find_option(f, 10, &len), option + 4, 24);
    option[27] ^= 1; /* not ours any more: answered all the same, with a good one */
    assert_true(ask_with(f, "www.shop.test", DNS_A, option, 28));
    assert_int_equal(f->stats.cookies_new, 2);
    assert_memory_not_equal(find_option(f, 10, &len), option + 4, 24);
    assert_int_equal(f->rcode, DNS_NOERROR);
    assert_true(ask_with(f, "www.shop.test", DNS_A,
                         "\0\x0a\0\x07"
                         "clientc",
                         11));
    assert_int_equal(f->rcode, DNS_FORMERR);
}

/* RFC 7873, 5.4. */
static void test_a_cookie_without_a_question(void **state)
{
    struct fixture *f = *state;
    static const uint8_t query[] = "\0\1\1\0\0\0\0\0\0\0\0\1\0\0\x29\4\xd0\0\0\0\0\0\x0c" CLIENT;
    uint8_t again[12 + 11 + 28];
    size_t len;
    for (int i = 0; i < 2; i++) {
        memcpy(f->message, query, f->len = sizeof query - 1);
        assert_true(send_message(f));
        assert_int_equal(f->rcode, i ? DNS_NOERROR : DNS_FORMERR);
        f->config.cookies = true;
    }
    assert_int_equal(f->len, 12 + 11 + 28);
    assert_int_equal(f->message[5], 0);
    memcpy(again, query, sizeof query - 1);
    memcpy(again + 27, find_option(f, 10, &len), 24);
    again[22] = 28;
    again[26] = 24;
    memcpy(f->message, again, f->len = sizeof again);
    assert_true(send_message(f));
    assert_int_equal(f->rcode, DNS_NOERROR);
    again[50] ^= 1;
    memcpy(f->message, again, f->len = sizeof again);
    assert_true(send_message(f));
    assert_int_equal(f->rcode, DNS_BADCOOKIE);
    assert_non_null(find_option(f, 10, &len));
}

/* Asks as a resolver for a client of 10.1.BYTE.0/24; returns the scope that comes back, or -1. */
static int ask_for(struct fixture *f, uint8_t byte, uint8_t bits)
{
    const uint8_t option[] = {0, 8, 0, 7, 0, 1, bits, 0, 10, 1, byte};
    size_t len;
    assert_true(ask_with(f, "www.shop.test", DNS_A, option, sizeof option - (bits ? 0 : 3)));
    const uint8_t *o = find_option(f, 8, &len);
    if (!o)
        return -1;
    assert_int_equal(len, bits ? 7 : 4);
    assert_memory_equal(o, option + 4, 3);
    return o[3];
}

static void test_client_subnets(void **state)
{
    struct fixture *f = *state;
    f->config.site_count = 2;
    f->config.sites[0].zone = "east";
    f->config.sites[1].zone = "west";
    assert_true(prefix_parse("10.1.0.0/16", &f->config.sites[0].clients.list[0]));
    assert_true(prefix_parse("10.1.7.0/24", &f->config.sites[1].clients.list[0]));
    f->config.sites[0].clients.count = f->config.sites[1].clients.count = 1;
    strcpy(f->roster->nodes[0].entry->zone, "east");
    strcpy(f->roster->nodes[1].entry->zone, "west");
    assert_int_equal(ask_for(f, 7, 24), -1); /* not believed */
    assert_int_equal(f->message[7], 3);
    f->config.subnet = true;
    assert_int_equal(ask_for(f, 7, 24), 24);
    assert_string_equal(f->answer, "www.shop.test. 5 IN A 192.0.2.1\n");
    /* 10.1.8.0 differs from 10.1.7.0 in the 21st bit: so many say that it is not in there. */
    assert_int_equal(ask_for(f, 8, 24), 21);
    assert_string_equal(f->answer, "www.shop.test. 5 IN A 192.0.2.0\n");
    assert_int_equal(f->stats.subnets, 2);
    /* A bit beyond the prefix. */
    assert_int_equal(ask_for(f, 1, 23), -1);
    assert_int_equal(f->rcode, DNS_FORMERR);
    /* What does not depend on the client holds for everybody. */
    static const uint8_t option[] = {0, 8, 0, 7, 0, 1, 24, 0, 10, 1, 7};
    size_t len;
    assert_true(ask_with(f, "s0.shop.test", DNS_TXT, option, sizeof option));
    assert_int_equal(find_option(f, 8, &len)[3], 0);
}

/* Source prefix 0: the client does not wish to be told apart (RFC 7871, 7.1.2). */
static void test_client_subnet_that_says_nothing(void **state)
{
    struct fixture *f = *state;
    static const uint8_t option[] = {0, 8, 0, 4, 0, 1, 0, 0};
    size_t len;
    f->config.subnet = true;
    f->config.site_count = 1;
    f->config.sites[0].zone = "east";
    f->config.sites[0].clients.count = 1;
    assert_true(prefix_parse("0.0.0.0/1", &f->config.sites[0].clients.list[0]));
    strcpy(f->roster->nodes[0].entry->zone, "east");
    assert_true(ask_with(f, "www.shop.test", DNS_A, option, sizeof option));
    const uint8_t *o = find_option(f, 8, &len);
    assert_non_null(o);
    assert_int_equal(o[3], 0);
    assert_int_equal(f->message[7], 3); /* of the resolver's place, 198.51.100.1: everybody */
}

static void limit(struct fixture *f, uint32_t rate, uint32_t slip)
{
    static const uint64_t secret[2] = {1, 2};
    dns_limit_init(&f->limit, rate, slip, secret);
    f->by.limit = &f->limit;
    f->by.now_us = 1000000;
}

static void test_rate_limit(void **state)
{
    struct fixture *f = *state;
    limit(f, 5, 2);
    for (int i = 0; i < 5; i++) {
        assert_true(ask_with(f, "www.shop.test", DNS_A, NULL, 0));
        assert_false(f->truncated);
    }
    for (int i = 0; i < 4; i++) {
        assert_false(ask_with(f, "www.shop.test", DNS_A, NULL, 0));
        size_t query = dns_build_query(f->message, sizeof f->message, 7, "www.shop.test", DNS_A);
        assert_true(ask_with(f, "www.shop.test", DNS_A, NULL, 0));
        assert_true(f->truncated);
        assert_string_equal(f->answer, "");
        assert_int_equal(f->len, query); /* nothing is made larger for a victim */
    }
    assert_int_equal(f->stats.limited, 4);
    assert_int_equal(f->stats.slipped, 4);
    f->by.tcp = true; /* whose address is no forgery */
    assert_int_equal(ask(f, "www.shop.test", DNS_A), DNS_NOERROR);
    assert_false(f->truncated);
    f->by.tcp = false;
    f->config.exempt.count = 1;
    assert_true(prefix_parse("198.51.100.0/24", &f->config.exempt.list[0]));
    assert_int_equal(ask(f, "www.shop.test", DNS_A), DNS_NOERROR);
    f->config.exempt.count = 0;
    f->by.now_us += 200000;
    assert_int_equal(ask(f, "www.shop.test", DNS_A), DNS_NOERROR);
    assert_false(f->truncated);
}

/* Errors are answers too. */
static void test_rate_limit_of_what_is_malformed(void **state)
{
    struct fixture *f = *state;
    limit(f, 1, 0);
    for (int i = 0; i < 10; i++) {
        memcpy(f->message, "\0\1\0\0\0\2\0\0\0\0\0\0", 12);
        f->len = 12;
        assert_int_equal(send_message(f), i == 0);
    }
    assert_int_equal(f->stats.limited, 9);
}

static void test_cookies_are_under_no_limit(void **state)
{
    struct fixture *f = *state;
    uint8_t option[28] = CLIENT;
    size_t len;
    f->config.cookies = true;
    limit(f, 1, 1);
    assert_true(ask_with(f, "www.shop.test", DNS_A, NULL, 0));
    /* A client that speaks of cookies is told its own instead of TCP. */
    assert_true(ask_with(f, "www.shop.test", DNS_A, option, 12));
    assert_int_equal(f->rcode, DNS_BADCOOKIE);
    assert_false(f->truncated);
    option[3] = 24;
    memcpy(option + 4, find_option(f, 10, &len), 24);
    for (int i = 0; i < 100; i++) {
        assert_true(ask_with(f, "www.shop.test", DNS_A, option, 28));
        assert_int_equal(f->rcode, DNS_NOERROR);
        assert_int_equal(f->message[7], 3);
    }
}

static void test_keepalive(void **state)
{
    struct fixture *f = *state;
    size_t len;
    assert_true(ask_with(f, "www.shop.test", DNS_A, "\0\x0b\0\0", 4));
    assert_null(find_option(f, 11, &len));
    f->by.tcp = true;
    assert_true(ask_with(f, "www.shop.test", DNS_A, "\0\x0b\0\0", 4));
    const uint8_t *o = find_option(f, 11, &len);
    assert_non_null(o);
    assert_int_equal(o[0] << 8 | o[1], NAME_TCP_IDLE_MS / 100);
}

/* The question comes back as it was sent (0x20), with what EDNS has behind the records. */
static void test_case_is_kept(void **state)
{
    struct fixture *f = *state;
    static const uint8_t odd[] = "\3wWw\4ShOp\4tESt";
    ask(f, "wWw.ShOp.tESt", DNS_A);
    assert_memory_equal(f->message + 12, odd, sizeof odd);
    assert_int_equal(f->message[7], 3);
    ask(f, "No.ShOp.tESt", DNS_A);
    assert_string_equal(f->authority, "ShOp.tESt. 5 IN SOA ns.shop.test. hostmaster.shop.test. 42 "
                                      "3600 600 86400 5\n");
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 32);
    for (size_t i = 0; i < 32; i++)
        f->roster->nodes[i].entry->public.family = 6;
    f->config.addresses = 16;
    ask(f, "www.shop.test", DNS_AAAA);
    assert_int_equal(f->len, 12 + 19 + 16 * 28 + 11);
    assert_int_equal(f->message[7], 16);
    /* Without EDNS 512 bytes are all: then none of them comes, and the client asks by TCP. */
    f->len = dns_build_query(f->message, sizeof f->message, 7, "www.shop.test", DNS_AAAA) - 11;
    f->message[11] = 0;
    assert_true(send_message(f));
    assert_int_equal(f->len, 12 + 19 + 16 * 28);
    assert_false(f->truncated);
    f->config.services[0].name =
        "a-name-that-is-long-enough-for-the-answer-to-be-too-long.shop.test";
    f->len =
        dns_build_query(f->message, sizeof f->message, 7, f->config.services[0].name, DNS_AAAA) -
        11;
    f->message[11] = 0;
    assert_true(send_message(f));
    assert_true(f->truncated);
    assert_int_equal(f->message[7], 0);
    assert_int_equal(f->stats.truncated, 1);
    f->by.tcp = true;
    f->len =
        dns_build_query(f->message, sizeof f->message, 7, f->config.services[0].name, DNS_AAAA) -
        11;
    f->message[11] = 0;
    assert_true(send_message(f));
    assert_int_equal(f->message[7], 16);
}

/* A name with more labels than any here is not searched label by label, and a long one finds its
 * zone. */
static void test_deep_names(void **state)
{
    struct fixture *f = *state;
    char name[260];
    for (size_t i = 0; i < 240; i += 2)
        memcpy(name + i, "a.", 2);
    memcpy(name + 240, "shop.test", 10);
    assert_int_equal(ask(f, name, DNS_A), DNS_NXDOMAIN);
    assert_string_not_equal(f->authority, "");
    memcpy(name + 240, "shop.tesT", 10);
    assert_int_equal(ask(f, name, DNS_A), DNS_NXDOMAIN);
    memcpy(name + 240, "shop.none", 10);
    assert_int_equal(ask(f, name, DNS_A), DNS_REFUSED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_cookies),
        test(test_a_cookie_without_a_question),
        test(test_client_subnets),
        test(test_client_subnet_that_says_nothing),
        test(test_rate_limit),
        test(test_rate_limit_of_what_is_malformed),
        test(test_cookies_are_under_no_limit),
        test(test_keepalive),
        test(test_case_is_kept),
        test(test_sizes),
        test(test_deep_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
