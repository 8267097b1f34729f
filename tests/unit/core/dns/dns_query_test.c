/* dns_query_test.c - queries: what is read, and what is refused with which rcode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_name.h"
#include "dns_test.h"

#define SHOP "\4sHoP\4tEsT\0\0\1\0\1"
#define OPT_V0 "\0\0\x29\x10\0\0\0\x80\0\0\0"

static struct dns_query q;

static int parse(const struct message *m)
{
    return dns_parse_query(m->bytes, m->len, &q);
}

static void test_plain_query(void **state)
{
    (void)state;
    struct message m = message_head(0x0100, 1, 0, 0);
    message_lit(&m, SHOP);
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_int_equal(q.id, 0x1234);
    assert_true(q.rd && !q.edns);
    assert_memory_equal(q.lower, "\4shop\4test\0\0\0\0\0\0\0\0", 19);
    assert_int_equal(q.name_len, 11);
    assert_int_equal(q.labels, 2);
    assert_int_equal(q.hash, dns_name_hash(q.lower, q.name_len));
    assert_int_equal(q.type, DNS_A);
    assert_int_equal(q.class, 1);
    assert_int_equal(q.udp_size, 512);
}

static void test_edns(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 1);
    message_lit(&m, SHOP OPT_V0);
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_true(q.edns && q.edns_do);
    assert_int_equal(q.udp_size, 4096);

    m = message_head(0, 1, 0, 1);
    message_lit(&m, SHOP "\0\0\x29\0\x10\0\1\0\0\0\0");
    assert_int_equal(parse(&m), DNS_BADVERS);
    assert_int_equal(q.udp_size, 512);
    assert_int_equal(q.name_len, 11);

    m = message_head(0, 1, 0, 1);
    message_lit(&m, SHOP "\0\0\x29\2\0\0\0\0\0\0\6\0\x0a\0\2ab");
    assert_int_equal(parse(&m), DNS_NOERROR);
}

static void test_other_additional_is_stepped_over(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 2);
    message_lit(&m, SHOP OPT_V0 "\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\3abc");
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_true(q.edns);
}

static void test_no_answer_at_all(void **state)
{
    (void)state;
    struct message m = message_head(0x8000, 1, 0, 0);
    message_lit(&m, SHOP);
    assert_int_equal(parse(&m), -1);
    m = message_head(0, 1, 0, 0);
    for (size_t len = 0; len < 12; len++)
        assert_int_equal(dns_parse_query(m.bytes, len, &q), -1);
}

static void test_refused_question(void **state)
{
    (void)state;
    static const struct {
        uint16_t questions;
        size_t len;
        const char *bytes;
    } cases[] = {
#define CASE(n, text) {n, sizeof(text) - 1, text}
        CASE(0, ""),
        CASE(0, SHOP),
        CASE(2, SHOP SHOP),
        CASE(1, ""),
        CASE(1, "\4shop\4test"),
        CASE(1, "\4shop\4test\0"),
        CASE(1, "\4shop\4test\0\0\1\0"),
        CASE(1, "\xc0\x0c\0\1\0\1"),       /* to itself */
        CASE(1, "\4shop\xc0\x0c\0\1\0\1"), /* into its own name: a loop */
        CASE(1, "\xc0\x00\0\1\0\1"),       /* into the header */
        CASE(1, "\4shop\xc0\x04\0\1\0\1"),
        CASE(1, "\4shop\xc0"),
        CASE(1, "\x40"
                "aaa\0\0\1\0\1"),
        CASE(1, "\x80"
                "aaa\0\0\1\0\1"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = message_head(0x0100, cases[i].questions, 0, 0);
        message_add(&m, cases[i].bytes, cases[i].len);
        assert_int_equal(parse(&m), DNS_FORMERR);
        assert_int_equal(q.name_len, 0);
        assert_true(q.rd && q.id == 0x1234);
    }
}

/* The question was readable, so the refusal can carry it. */
static void test_refused_rest(void **state)
{
    (void)state;
    static const struct {
        uint16_t additionals;
        size_t len;
        const char *bytes;
    } cases[] = {
#define CASE(n, text) {n, sizeof(text) - 1, text}
        CASE(0, "x"),
        CASE(0, OPT_V0),
        CASE(1, ""),
        CASE(1, OPT_V0 "x"),
        CASE(2, OPT_V0 OPT_V0),
        CASE(65535, OPT_V0),
        CASE(1, "\1a\0\0\x29\x10\0\0\0\0\0\0\0"),        /* an OPT with a name */
        CASE(1, "\0\0\x29\x10\0\0\0\0\0\0\4\0\x0a\0\1"), /* an option longer than the record */
        CASE(1, "\0\0\x29\x10\0\0\0\0\0\0\3\0\x0a\0"),
        CASE(1, "\0\0\x29\x10\0\0\0\0\0\xff\xff"),
        CASE(1, "\xc0\x1b\0\1\0\1\0\0\0\0\0\0"), /* a pointer to itself */
        CASE(1, "\xc0\xff\0\1\0\1\0\0\0\0\0\0"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = message_head(0, 1, 0, cases[i].additionals);
        message_lit(&m, SHOP);
        message_add(&m, cases[i].bytes, cases[i].len);
        assert_int_equal(parse(&m), DNS_FORMERR);
        assert_int_equal(q.name_len, 11);
    }
    struct message m = message_head(0, 1, 1, 0);
    message_lit(&m, SHOP "\0\0\1\0\1\0\0\0\0\0\0");
    assert_int_equal(parse(&m), DNS_FORMERR);
}

/* A question for a transfer, with the SOA record that the asker has. */
static void test_ixfr(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 0);
    m.bytes[9] = 1;
    message_lit(&m, "\4shop\4test\0\0\xfb\0\1\xc0\x0c\0\6\0\1\0\0\0\0\0\x16\0\0"
                    "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1");
    assert_int_equal(parse(&m), DNS_REFUSED);
    assert_int_equal(q.name_len, 11);
}

static void test_other_opcode(void **state)
{
    (void)state;
    struct message m = message_head(0x2800, 1, 0, 0); /* an update */
    message_lit(&m, SHOP);
    assert_int_equal(parse(&m), DNS_NOTIMP);
    assert_int_equal(q.opcode, 5);
}

static void test_name_limits(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 0);
    uint8_t label[64];
    memset(label, 'a', sizeof label);
    label[0] = 63;
    for (int i = 0; i < 3; i++)
        message_add(&m, label, 64);
    struct message longer = m;
    label[0] = 61;
    message_add(&m, label, 62);
    message_lit(&m, "\0\0\1\0\1");
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_int_equal(q.name_len, DNS_NAME_MAX);
    assert_int_equal(q.labels, 4);
    label[0] = 62;
    message_add(&longer, label, 63);
    message_lit(&longer, "\0\0\1\0\1");
    assert_int_equal(parse(&longer), DNS_FORMERR);
}

/* Any byte may stand in a name; only letters have two cases. */
static void test_odd_bytes(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 0);
    message_lit(&m, "\6A.sh@[\4t`{\xc1\0\0\1\0\1");
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_memory_equal(q.lower, "\6a.sh@[\4t`{\xc1\0", 13);
    m = message_head(0, 1, 0, 0);
    message_lit(&m, "\0\0\2\0\1");
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_int_equal(q.name_len, 1);
    assert_int_equal(q.labels, 0);
}

static void test_options(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 1);
    message_lit(&m, SHOP "\0\0\x29\4\xd0\0\0\0\0\0\x22"
                         "\0\x0a\0\x08"
                         "clientco"
                         "\0\x08\0\7\0\1\x18\0\x0a\1\2"
                         "\0\x0b\0\0"
                         "\xff\xff\0\3xyz");
    assert_int_equal(parse(&m), DNS_NOERROR);
    assert_int_equal(q.cookie_len, 8);
    assert_memory_equal(q.cookie, "clientco", 8);
    assert_int_equal(q.subnet_len, 7);
    assert_true(q.keepalive);
}

static void test_subnets(void **state)
{
    (void)state;
    static const struct {
        bool good;
        size_t len;
        const char *bytes;
    } cases[] = {
#define CASE(good, text) {good, sizeof(text) - 1, text}
        CASE(true, "\0\1\x18\0\x0a\1\2"),
        CASE(true, "\0\1\0\0"),
        CASE(true, "\0\2\x80\0aaaabbbbccccdddd"),
        CASE(true, "\0\1\x0f\0\x0a\2"),
        CASE(false, "\0\1\x0f\0\x0a\3"),       /* a bit beyond the prefix */
        CASE(false, "\0\1\x18\x18\x0a\1\2"),   /* a scope in a query */
        CASE(false, "\0\1\x18\0\x0a\1"),       /* too few bytes */
        CASE(false, "\0\1\x18\0\x0a\1\2\3"),   /* too many */
        CASE(false, "\0\1\x21\0\x0a\1\2\3\0"), /* 33 bits */
        CASE(false, "\0\3\x08\0\x0a"),         /* no such family */
        CASE(false, "\1\1\x08\0\x0a"),
        CASE(false, "\0\1\x08"),
        CASE(false, ""),
#undef CASE
    };
    struct dns_subnet s;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(dns_subnet_parse((const uint8_t *)cases[i].bytes, cases[i].len, &s),
                         cases[i].good);
    assert_true(dns_subnet_parse((const uint8_t *)cases[0].bytes, 7, &s));
    assert_int_equal(s.family, 4);
    assert_int_equal(s.source, 24);
    assert_memory_equal(s.ip, "\x0a\1\2\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_query),
        cmocka_unit_test(test_edns),
        cmocka_unit_test(test_other_additional_is_stepped_over),
        cmocka_unit_test(test_no_answer_at_all),
        cmocka_unit_test(test_refused_question),
        cmocka_unit_test(test_refused_rest),
        cmocka_unit_test(test_ixfr),
        cmocka_unit_test(test_other_opcode),
        cmocka_unit_test(test_name_limits),
        cmocka_unit_test(test_odd_bytes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_subnets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
