/* name_records_test.c - records of a file beside the roster's: what is read, what is refused and
 * where, aliases, wildcards, and parts of the zone that others answer for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "name_fixture.h"

#define SOA "shop.test. 5 IN SOA ns.shop.test. hostmaster.shop.test. 42 3600 600 86400 5\n"

static void test_records(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(set_records(f, "; a comment\n"
                                       "$TTL 1h\n"
                                       "@ MX 10 mail\n"
                                       "  MX 20 mail.other.example.\n"
                                       "  TXT \"v=spf1 -all\" \"two\"\n"
                                       "mail 60 IN A 192.0.2.50\n"
                                       "mail 300 A 192.0.2.51\n"
                                       "MAIL AAAA 2001:db8::50\n"
                                       "$ORIGIN deep.shop.test.\n"
                                       "a.b ( TXT\n \"x\" )\n"
                                       "a.b.deep.shop.test. TXT x\n"
                                       "a.b TYPE65400 \\# 3 010203\n"),
                        "");
    assert_answer(f, "shop.test", DNS_MX,
                  "shop.test. 3600 IN MX 10 mail.shop.test.\n"
                  "shop.test. 3600 IN MX 20 mail.other.example.\n");
    assert_string_equal(f->additional, "mail.shop.test. 60 IN A 192.0.2.50\n"
                                       "mail.shop.test. 300 IN A 192.0.2.51\n"
                                       "mail.shop.test. 3600 IN AAAA 2001:db8::50\n");
    assert_answer(f, "shop.test", DNS_TXT, "shop.test. 3600 IN TXT \"v=spf1 -all\" \"two\"\n");
    /* One set has one TTL. */
    assert_answer(f, "Mail.shop.test", DNS_A,
                  "Mail.shop.test. 60 IN A 192.0.2.50\nMail.shop.test. 60 IN A 192.0.2.51\n");
    assert_true(f->authoritative);
    assert_answer(f, "a.b.deep.shop.test", DNS_TXT, "a.b.deep.shop.test. 3600 IN TXT \"x\"\n");
    assert_answer(f, "a.b.deep.shop.test", 65400,
                  "a.b.deep.shop.test. 3600 IN TYPE65400 \\# 3 010203\n");
    assert_answer(f, "b.deep.shop.test", DNS_TXT, "");
    assert_string_equal(f->authority, SOA);
    assert_int_equal(ask(f, "c.deep.shop.test", DNS_TXT), DNS_NXDOMAIN);
    assert_string_equal(f->authority, SOA);
    assert_int_equal(ask(f, "x.mail.shop.test", DNS_A), DNS_NXDOMAIN);
}

/* The roster's names keep what the roster says of them, and may have other records too. */
static void test_beside_the_roster(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(set_records(f, "www A 10.9.9.9\nwww TXT hello\ns0 TXT server\n"
                                       "@ SOA ns1 admin 7 1 2 3 9\n@ NS ns1\n@ NS ns.else.where.\n"
                                       "ns1 A 192.0.2.99\n"),
                        "");
    ask(f, "www.shop.test", DNS_A);
    assert_null(strstr(f->answer, "10.9.9.9"));
    assert_answer(f, "www.shop.test", DNS_TXT, "www.shop.test. 5 IN TXT \"hello\"\n");
    assert_answer(f, "s0.shop.test", DNS_TXT, "s0.shop.test. 5 IN TXT \"server\"\n");
    assert_answer(f, "www.shop.test", DNS_MX, "");
    assert_string_equal(f->authority,
                        "shop.test. 5 IN SOA ns1.shop.test. admin.shop.test. 7 1 2 3 9\n");
    assert_answer(f, "shop.test", DNS_NS,
                  "shop.test. 5 IN NS ns.else.where.\nshop.test. 5 IN NS ns1.shop.test.\n");
    assert_string_equal(f->additional, "ns1.shop.test. 5 IN A 192.0.2.99\n");
    assert_answer(f, "shop.test", DNS_SOA,
                  "shop.test. 5 IN SOA ns1.shop.test. admin.shop.test. 7 1 2 3 9\n");
}

/* "There is none" may not be believed for longer than the SOA's last field says. */
static void test_negative_ttl(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(set_records(f, "@ 900 SOA ns admin 1 2 3 4 30\n"), "");
    ask(f, "no.shop.test", DNS_A);
    assert_string_equal(f->authority,
                        "shop.test. 30 IN SOA ns.shop.test. admin.shop.test. 1 2 3 4 30\n");
    ask(f, "shop.test", DNS_SOA);
    assert_string_equal(f->answer,
                        "shop.test. 900 IN SOA ns.shop.test. admin.shop.test. 1 2 3 4 30\n");
}

static void test_aliases(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 1);
    assert_string_equal(set_records(f, "web CNAME www\nchain CNAME web\nout CNAME a.b.example.\n"
                                       "gone CNAME no\nempty CNAME mail\nmail MX 5 mx.example.\n"
                                       "loop CNAME pool\npool CNAME loop\n"),
                        "");
    assert_answer(f, "web.shop.test", DNS_A,
                  "web.shop.test. 5 IN CNAME www.shop.test.\nwww.shop.test. 5 IN A 192.0.2.0\n");
    assert_answer(f, "chain.shop.test", DNS_A,
                  "chain.shop.test. 5 IN CNAME web.shop.test.\n"
                  "web.shop.test. 5 IN CNAME www.shop.test.\nwww.shop.test. 5 IN A 192.0.2.0\n");
    assert_answer(f, "web.shop.test", DNS_CNAME, "web.shop.test. 5 IN CNAME www.shop.test.\n");
    assert_answer(f, "out.shop.test", DNS_A, "out.shop.test. 5 IN CNAME a.b.example.\n");
    assert_true(f->authoritative);
    assert_string_equal(f->authority, "");
    /* RFC 6604: the rcode is about the end of the chain. */
    assert_int_equal(ask(f, "gone.shop.test", DNS_A), DNS_NXDOMAIN);
    assert_string_equal(f->answer, "gone.shop.test. 5 IN CNAME no.shop.test.\n");
    assert_string_equal(f->authority, SOA);
    assert_answer(f, "empty.shop.test", DNS_A, "empty.shop.test. 5 IN CNAME mail.shop.test.\n");
    assert_string_equal(f->authority, SOA);
    assert_int_equal(ask(f, "loop.shop.test", DNS_A), DNS_NOERROR);
    assert_int_equal(f->message[7], NAME_ALIASES_MAX);
    assert_answer(f, "web.shop.test", DNS_ANY, "web.shop.test. 5 IN HINFO \"RFC8482\" \"\"\n");
}

static void test_wildcards(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 1);
    assert_string_equal(set_records(f, "*.any TXT any\n*.any A 192.0.2.60\nhere.any MX 5 x\n"
                                       "a.b.any TXT x\n*.al CNAME www\n*.any.al TXT y\n"),
                        "");
    assert_answer(f, "q.any.shop.test", DNS_TXT, "q.any.shop.test. 5 IN TXT \"any\"\n");
    assert_answer(f, "q.r.any.shop.test", DNS_A, "q.r.any.shop.test. 5 IN A 192.0.2.60\n");
    assert_answer(f, "q.any.shop.test", DNS_MX, "");
    assert_string_equal(f->authority, SOA);
    assert_answer(f, "*.any.shop.test", DNS_TXT, "*.any.shop.test. 5 IN TXT \"any\"\n");
    /* A name that is there, or is above one that is, is no wildcard's; nor is what is below it. */
    assert_answer(f, "here.any.shop.test", DNS_TXT, "");
    assert_int_equal(ask(f, "x.here.any.shop.test", DNS_TXT), DNS_NXDOMAIN);
    assert_answer(f, "b.any.shop.test", DNS_TXT, "");
    assert_int_equal(ask(f, "c.b.any.shop.test", DNS_TXT), DNS_NXDOMAIN);
    assert_answer(f, "any.shop.test", DNS_TXT, "");
    assert_answer(f, "x.al.shop.test", DNS_A,
                  "x.al.shop.test. 5 IN CNAME www.shop.test.\nwww.shop.test. 5 IN A 192.0.2.0\n");
    assert_int_equal(ask(f, "x.www.shop.test", DNS_A), DNS_NXDOMAIN);
}

static void test_referrals(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(
        set_records(f, "sub NS ns.sub\nsub NS ns.else.example.\nns.sub A 192.0.2.70\n"
                       "ns.sub AAAA 2001:db8::70\nsub DS 1 8 2 00112233445566778899aabbccddeeff"
                       "00112233445566778899aabbccddeeff\nx.sub NS ns.deeper.example.\n"
                       "to CNAME host.sub\n"),
        "");
    static const char *const names[] = {"sub.shop.test", "a.b.SUB.shop.test", "ns.sub.shop.test",
                                        "x.sub.shop.test", "y.x.sub.shop.test"};
    for (int i = 0; i < 5; i++) {
        assert_answer(f, names[i], DNS_A, "");
        assert_false(f->authoritative);
        assert_true(strcasecmp(f->authority, "sub.shop.test. 5 IN NS ns.sub.shop.test.\n"
                                             "sub.shop.test. 5 IN NS ns.else.example.\n") == 0);
        assert_string_equal(f->additional, "ns.sub.shop.test. 5 IN A 192.0.2.70\n"
                                           "ns.sub.shop.test. 5 IN AAAA 2001:db8::70\n");
    }
    assert_int_equal(f->stats.referred, 5);
    assert_int_equal(ask(f, "sub.shop.test", DNS_NS), DNS_NOERROR);
    assert_false(f->authoritative);
    /* The DS record is on this side of the cut. */
    assert_int_equal(ask(f, "sub.shop.test", DNS_DS), DNS_NOERROR);
    assert_true(f->authoritative);
    assert_string_not_equal(f->answer, "");
    assert_int_equal(ask(f, "x.sub.shop.test", DNS_DS), DNS_NOERROR);
    assert_false(f->authoritative);
    assert_answer(f, "to.shop.test", DNS_A, "to.shop.test. 5 IN CNAME host.sub.shop.test.\n");
    assert_true(f->authoritative);
    assert_string_not_equal(f->authority, "");
}

static void test_large_sets(void **state)
{
    struct fixture *f = *state;
    char text[8192] = "";
    size_t n = 0;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "many A 10.0.1.%d\n", i);
    assert_string_equal(set_records(f, text), "");
    assert_int_equal(ask(f, "many.shop.test", DNS_A), DNS_NOERROR);
    assert_true(f->truncated);
    assert_string_equal(f->answer, "");
    f->by.tcp = true;
    assert_int_equal(ask(f, "many.shop.test", DNS_A), DNS_NOERROR);
    assert_false(f->truncated);
    assert_int_equal(f->message[7], 200);
    uint8_t first = f->message[12 + 20 + 15];
    ask(f, "many.shop.test", DNS_A);
    assert_int_equal(f->message[12 + 20 + 15], (first + 1) % 200); /* in turn */
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"a A 192.0.2.1\nb A 300.0.0.1\n", ":2: "},
        {"a A\n", ":1: "},
        {"a.example. A 192.0.2.1\n", ":1: the name is outside of the farm's zones"},
        {"xshop.test. A 192.0.2.1\n", ":1: the name is outside of the farm's zones"},
        {"a CH A 192.0.2.1\n", ":1: "},
        {"\n\na CNAME b\na TXT x\n", ": an alias (CNAME) has further records"},
        {"a CNAME b\na CNAME c\n", ": an alias (CNAME) has further records"},
        {"@ CNAME b\n", ":1: the zone's own name cannot be an alias"},
        {"a SOA b c 1 2 3 4 5\n", ":1: a SOA record belongs to the zone's own name"},
        {"@ SOA b c 1 2 3 4 5\n@ SOA b c 2 2 3 4 5\n", ": there is more than one SOA record"},
        {"a DNAME b\n", ":1: records of this type cannot be served"},
        {"a TYPE252 \\# 0\n", ":1: records of this type cannot be served"},
        {"$INCLUDE other\n", ":1: "},
        {"a TYPE300 \\# 5 00\n", ":1: "},
        {"\1\2\3\n", ":1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *said = set_records(f, cases[i].text);
        if (strncmp(said, cases[i].said, strlen(cases[i].said)) != 0)
            fail_msg("'%s': '%s', not '%s'", cases[i].text, said, cases[i].said);
    }
    char error[256];
    assert_null(name_records_read("/nonexistent/zone", &f->config, error, sizeof error));
    assert_string_equal(error, "/nonexistent/zone: No such file or directory");
    f->config.zone_count = 0;
    assert_string_not_equal(set_records(f, "a A 192.0.2.1\n"), "");
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    unsigned failures = 0;
    for (;; failures++) {
        mem_fail_after(failures + 1);
        const char *said = set_records(f, "a A 192.0.2.1\na A 192.0.2.2\n*.b TXT x\nc NS d.c\nd.c "
                                          "A 192.0.2.3\n@ MX 5 a\n");
        mem_fail_after(0);
        if (!*said)
            break;
        assert_non_null(strstr(said, "there is no memory"));
    }
    assert_true(failures > 15);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_records),    test(test_beside_the_roster), test(test_negative_ttl),
        test(test_aliases),    test(test_wildcards),         test(test_referrals),
        test(test_large_sets), test(test_refused),           test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
