/* dns_client_test.c - responses from servers that are strange, wrong or hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns.h"
#include "dns_test.h"

#include "stead/error.h"

#define QUESTION "\1a\4test\0\0\1\0\1" /* at 12; "test" at 14 */

static struct addr out[4];
static size_t count;

static int parse(const struct message *m)
{
    count = 99;
    return dns_parse_addresses(m->bytes, m->len, 0x1234, "a.test", DNS_A, out, 4, &count);
}

static void test_build_refuses_bad_names(void **state)
{
    (void)state;
    uint8_t buf[512];
    char name[300];
    assert_true(dns_build_query(buf, sizeof buf, 1, "a.b.", DNS_A) > 0);
    assert_int_equal(dns_build_query(buf, sizeof buf, 1, "", DNS_A), 12 + 5 + 11);
    assert_int_equal(dns_build_query(buf, 20, 1, "a.b", DNS_A), 0);
    assert_int_equal(dns_build_query(buf, sizeof buf, 1, "a..b", DNS_A), 0);
    assert_int_equal(dns_build_query(buf, sizeof buf, 1, ".a", DNS_A), 0);
    memset(name, 'a', 64);
    name[64] = 0;
    assert_int_equal(dns_build_query(buf, sizeof buf, 1, name, DNS_A), 0);
    for (int i = 0; i < 127; i++)
        memcpy(name + 2 * i, "a.", 3);
    assert_true(dns_build_query(buf, sizeof buf, 1, name, DNS_A) > 0);
    memcpy(name + 254, "a", 2);
    assert_int_equal(dns_build_query(buf, sizeof buf, 1, name, DNS_A), 0);
}

static void test_aliases(void **state)
{
    (void)state;
    struct message m = message_head(0x8180, 1, 3, 0);
    message_lit(&m, QUESTION "\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1b\xc0\x0e"
                             "\1c\4test\0\0\1\0\1\0\0\0\5\0\4\x0a\0\0\x09"
                             "\1B\xc0\x0e\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1");
    assert_int_equal(parse(&m), STEAD_OK);
    assert_int_equal(count, 1); /* c.test was not asked for */
    assert_memory_equal(out[0].ip, "\x0a\0\0\1", 4);
}

static void test_alias_loop_ends(void **state)
{
    (void)state;
    struct message m = message_head(0x8180, 1, 2, 0);
    message_lit(&m, QUESTION "\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1b\xc0\x0e"
                             "\1b\xc0\x0e\0\5\0\1\0\0\0\5\0\2\xc0\x0c");
    assert_int_equal(parse(&m), STEAD_E_PARSE);
    assert_int_equal(count, 0);
}

static void test_rcodes(void **state)
{
    (void)state;
    static const struct {
        uint16_t flags;
        int error;
    } cases[] = {{0x8183, STEAD_E_ABSENT},    {0x8180, STEAD_E_ABSENT}, {0x8182, STEAD_E_IO},
                 {0x8380, STEAD_E_TRUNCATED}, {0x8185, STEAD_E_IO},     {0x0100, STEAD_E_PARSE},
                 {0xa980, STEAD_E_PARSE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = message_head(cases[i].flags, 1, 0, 0);
        message_lit(&m, QUESTION);
        assert_int_equal(parse(&m), cases[i].error);
        assert_int_equal(count, 0);
    }
    struct message m = message_head(0x8181, 0, 0, 0);
    assert_int_equal(parse(&m), STEAD_E_IO);
}

static void test_not_ours(void **state)
{
    (void)state;
    struct message m = message_head(0x8180, 1, 1, 0);
    message_lit(&m, QUESTION "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1");
    assert_int_equal(parse(&m), STEAD_OK);
    for (size_t at = 0; at < 12 + 12; at++) {
        struct message other = m;
        other.bytes[at] ^= 0x10;
        if (at != 3 && (at < 6 || at > 11)) /* RA and the counts are not compared */
            assert_int_not_equal(parse(&other), STEAD_OK);
    }
    assert_int_equal(dns_parse_addresses(m.bytes, m.len, 0x1234, "a.test", DNS_TXT, out, 4, &count),
                     STEAD_E_INVAL);
}

static void test_malformed_answers(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *bytes;
    } cases[] = {
#define CASE(text) {sizeof(text) - 1, text}
        CASE(""),
        CASE("\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0"),
        CASE("\xc0\x0c\0\1\0\1\0\0\0\5\0\3\x0a\0\0"),
        CASE("\xc0\x0c\0\1\0\1\0\0\0\5\0\x10"
             "0123456789abcdef"),
        CASE("\xc0\x18\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1"), /* a name that is a pointer to itself */
        CASE("\xc0\x1a\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1"), /* a pointer forward */
        CASE("\xc0\x0c\0\5\0\1\0\0\0\5\0\3\xc0\x0c\0"), /* an alias with a byte too much */
        CASE("\xc0\x0c\0\5\0\1\0\0\0\5\0\0"),           /* and with none */
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = message_head(0x8180, 1, 1, 0);
        message_lit(&m, QUESTION);
        message_add(&m, cases[i].bytes, cases[i].len);
        assert_int_equal(parse(&m), STEAD_E_PARSE);
        assert_int_equal(count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_refuses_bad_names),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_alias_loop_ends),
        cmocka_unit_test(test_rcodes),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_malformed_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
