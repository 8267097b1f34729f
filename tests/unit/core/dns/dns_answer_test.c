/* dns_answer_test.c - answers, read back by the client's half and by the bytes of the RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns.h"
#include "dns_test.h"

#include "stead/error.h"

static struct dns_query q;
static struct dns_answer a;
static uint8_t buf[4096];

static void ask(const char *name, uint16_t type, bool edns)
{
    uint8_t query[512];
    size_t len = dns_build_query(query, sizeof query, 77, name, type);
    assert_true(len > 0);
    if (!edns) {
        len -= 11;
        query[11] = 0;
    }
    assert_int_equal(dns_parse_query(query, len, &q), DNS_NOERROR);
    assert_int_equal(q.edns, edns);
}

static uint16_t be16(size_t at)
{
    return (uint16_t)(buf[at] << 8 | buf[at + 1]);
}

static struct addr address(const char *text)
{
    struct addr out;
    assert_true(addr_parse(text, 1, &out));
    out.port = 0;
    return out;
}

static void test_addresses_there_and_back(void **state)
{
    (void)state;
    struct addr v4[2] = {address("10.0.0.1"), address("10.0.0.2")}, out[4];
    size_t count;
    ask("www.Shop.test", DNS_A, true);
    dns_answer_begin(&a, &q, buf, sizeof buf, true);
    dns_answer_address(&a, NULL, &v4[0], 5);
    dns_answer_address(&a, "WWW.shop.test", &v4[1], 5);
    size_t len = dns_answer_end(&a, &q, DNS_NOERROR);
    assert_int_equal(len, 12 + 19 + 2 * 16 + 11); /* both names compressed to a pointer */
    assert_int_equal(be16(2), 0x8500);            /* QR AA RD */
    assert_memory_equal(buf + 13, "www\4Shop", 8);
    assert_int_equal(dns_parse_addresses(buf, len, 77, "www.shop.TEST.", DNS_A, out, 4, &count),
                     STEAD_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(out, v4, sizeof v4);
    assert_int_equal(dns_parse_addresses(buf, len, 77, "www.shop.test", DNS_A, out, 1, &count), 0);
    assert_int_equal(count, 1);

    struct addr v6 = address("2001:db8::1");
    ask("www.shop.test", DNS_AAAA, false);
    dns_answer_begin(&a, &q, buf, sizeof buf, true);
    dns_answer_address(&a, NULL, &v6, 5);
    len = dns_answer_end(&a, &q, DNS_NOERROR);
    assert_int_equal(len, 12 + 19 + 28);
    assert_int_equal(dns_parse_addresses(buf, len, 77, "www.shop.test", DNS_AAAA, out, 4, &count),
                     0);
    assert_memory_equal(out, &v6, sizeof v6);
}

static void test_soa_names_are_compressed(void **state)
{
    (void)state;
    ask("no.shop.test", DNS_A, false);
    dns_answer_begin(&a, &q, buf, sizeof buf, true);
    dns_answer_soa(&a, true, "shop.test", "ns.shop.test", 9, 5);
    size_t len = dns_answer_end(&a, &q, DNS_NXDOMAIN);
    static const uint8_t expected[] = "\xc0\x0f\0\6\0\1\0\0\0\5\0\x26"
                                      "\2ns\xc0\x0f\x0ahostmaster\xc0\x0f\0\0\0\x09";
    assert_memory_equal(buf + 12 + 18, expected, sizeof expected - 1);
    assert_int_equal(be16(2) & 15, DNS_NXDOMAIN);
    assert_int_equal(be16(6), 0);
    assert_int_equal(be16(8), 1);
    assert_int_equal(len, 12 + 18 + 12 + 38);
}

static void test_truncation(void **state)
{
    (void)state;
    struct addr v6 = address("::2"), out[64];
    size_t count;
    ask("a.test", DNS_AAAA, true);
    dns_answer_begin(&a, &q, buf, DNS_UDP_PLAIN, true);
    for (int i = 0; i < 30; i++)
        dns_answer_address(&a, NULL, &v6, 5);
    size_t len = dns_answer_end(&a, &q, DNS_NOERROR);
    assert_true(len <= DNS_UDP_PLAIN && len > DNS_UDP_PLAIN - 28);
    assert_true(be16(2) & 0x0200);
    assert_int_equal(be16(6), (DNS_UDP_PLAIN - 12 - 12 - 11) / 28);
    assert_int_equal(be16(10), 1); /* OPT stays */
    assert_int_equal(dns_parse_addresses(buf, len, 77, "a.test", DNS_AAAA, out, 64, &count),
                     STEAD_E_TRUNCATED);
    assert_int_equal(count, 0);
}

static void test_extended_rcode(void **state)
{
    (void)state;
    struct message m = message_head(0, 1, 0, 1);
    message_lit(&m, "\1a\0\0\1\0\1\0\0\x29\x10\0\0\1\x80\0\0\0");
    assert_int_equal(dns_parse_query(m.bytes, m.len, &q), DNS_BADVERS);
    dns_answer_begin(&a, &q, buf, sizeof buf, false);
    size_t len = dns_answer_end(&a, &q, DNS_BADVERS);
    assert_int_equal(be16(2), 0x8000);
    assert_memory_equal(buf + len - 11, "\0\0\x29\4\xd0\1\0\x80\0\0\0", 11);
}

static void test_refusal_without_question(void **state)
{
    (void)state;
    struct message m = message_head(0x0100, 1, 0, 0);
    message_lit(&m, "\xc0\x0c\0\1\0\1");
    assert_int_equal(dns_parse_query(m.bytes, m.len, &q), DNS_FORMERR);
    dns_answer_begin(&a, &q, buf, sizeof buf, false);
    assert_int_equal(dns_answer_end(&a, &q, DNS_FORMERR), 12);
    assert_int_equal(be16(2), 0x8101);
    assert_int_equal(be16(4), 0);
}

static void test_text_ns_hinfo(void **state)
{
    (void)state;
    char text[301];
    memset(text, 't', 300);
    text[300] = 0;
    ask("a.test", DNS_TXT, false);
    dns_answer_begin(&a, &q, buf, sizeof buf, true);
    dns_answer_txt(&a, NULL, text, 5);
    dns_answer_ns(&a, "a.test", "ns.other", 5);
    dns_answer_hinfo(&a, 5);
    size_t at = 12 + 12;
    assert_int_equal(be16(at + 10), 302);
    assert_int_equal(buf[at + 12], 255);
    assert_int_equal(buf[at + 12 + 256], 45);
    at += 12 + 302;
    assert_memory_equal(buf + at, "\xc0\x0c\0\2\0\1\0\0\0\5\0\x0a\2ns\5other\0", 22);
    assert_memory_equal(buf + at + 22, "\xc0\x0c\0\x0d\0\1\0\0\0\5\0\x09\7RFC8482\0", 21);
    assert_int_equal(dns_answer_end(&a, &q, DNS_NOERROR), at + 43);
    assert_int_equal(be16(6), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_there_and_back),
        cmocka_unit_test(test_soa_names_are_compressed),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_extended_rcode),
        cmocka_unit_test(test_refusal_without_question),
        cmocka_unit_test(test_text_ns_hinfo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
