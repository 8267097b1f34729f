/* dns_answer_test.c - answers over their queries, read back by the client's half and by the bytes
 * of the RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_record.h"
#include "dns_test.h"

#include "stead/error.h"

static struct dns_query q;
static struct dns_answer a;
static uint8_t buf[4096];

static void ask(const char *name, uint16_t type, bool edns)
{
    size_t len = dns_build_query(buf, sizeof buf, 77, name, type);
    assert_true(len > 0);
    if (!edns) {
        len -= 11;
        buf[11] = 0;
    }
    assert_int_equal(dns_parse_query(buf, len, &q), DNS_NOERROR);
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

static bool add_address(const char *owner, const struct addr *addr)
{
    uint8_t record[300];
    struct wire_writer w;
    struct dns_name name;
    wire_writer_init(&w, record, sizeof record);
    assert_true(!owner || dns_name_from_text(owner, &name));
    dns_record_address(&w, owner ? &name : NULL, addr, 5);
    assert_true(wire_put_ok(&w));
    return dns_answer_add(&a, DNS_ANSWER, record, wire_written(&w), 1);
}

static void test_addresses_there_and_back(void **state)
{
    (void)state;
    struct addr v4[2] = {address("10.0.0.1"), address("10.0.0.2")}, out[4];
    size_t count;
    ask("www.Shop.test", DNS_A, true);
    dns_answer_begin(&a, &q, NULL, buf, sizeof buf);
    a.authoritative = true;
    assert_true(add_address(NULL, &v4[0]));
    assert_true(add_address("WWW.shop.test", &v4[1]));
    size_t len = dns_answer_end(&a, &q, NULL, DNS_NOERROR);
    assert_int_equal(len, 12 + 19 + 16 + 29 + 11);
    assert_int_equal(be16(0), 77);
    assert_int_equal(be16(2), 0x8500); /* QR AA RD */
    assert_memory_equal(buf + 13, "www\4Shop", 8);
    assert_int_equal(dns_parse_addresses(buf, len, 77, "www.shop.TEST.", DNS_A, out, 4, &count),
                     STEAD_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(out, v4, sizeof v4);

    struct addr v6 = address("2001:db8::1");
    ask("www.shop.test", DNS_AAAA, false);
    dns_answer_begin(&a, &q, NULL, buf, sizeof buf);
    assert_true(add_address(NULL, &v6));
    len = dns_answer_end(&a, &q, NULL, DNS_NOERROR);
    assert_int_equal(len, 12 + 19 + 28);
    assert_int_equal(dns_parse_addresses(buf, len, 77, "www.shop.test", DNS_AAAA, out, 4, &count),
                     0);
    assert_memory_equal(out, &v6, sizeof v6);
}

static void test_what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    struct addr v6 = address("::2"), out[64];
    size_t count, fit = 0;
    ask("a.test", DNS_AAAA, true);
    dns_answer_begin(&a, &q, NULL, buf, DNS_UDP_PLAIN);
    while (add_address(NULL, &v6))
        fit++;
    a.truncated = true;
    size_t len = dns_answer_end(&a, &q, NULL, DNS_NOERROR);
    assert_true(len <= DNS_UDP_PLAIN && len > DNS_UDP_PLAIN - 28);
    assert_true(be16(2) & 0x0200);
    assert_int_equal(fit, (DNS_UDP_PLAIN - 12 - 12 - 11) / 28);
    assert_int_equal(be16(6), fit);
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
    memcpy(buf, m.bytes, m.len);
    assert_int_equal(dns_parse_query(buf, m.len, &q), DNS_BADVERS);
    dns_answer_begin(&a, &q, NULL, buf, sizeof buf);
    size_t len = dns_answer_end(&a, &q, NULL, DNS_BADVERS);
    assert_int_equal(be16(2), 0x8000);
    assert_memory_equal(buf + len - 11, "\0\0\x29\4\xd0\1\0\x80\0\0\0", 11);
}

static void test_options(void **state)
{
    (void)state;
    struct dns_options o = {.cookie_len = 24,
                            .cookie = "ccccccccssssssssssssssss",
                            .scope = 20,
                            .subnet = {.family = 4, .source = 17, .ip = {10, 1, 128}},
                            .keepalive_100ms = 100};
    ask("a.test", DNS_A, true);
    dns_answer_begin(&a, &q, &o, buf, DNS_UDP_PLAIN);
    size_t room = a.cap;
    size_t len = dns_answer_end(&a, &q, &o, DNS_NOERROR);
    static const uint8_t expected[] = "\0\0\x29\4\xd0\0\0\0\0\0\x2d"
                                      "\0\x0a\0\x18"
                                      "ccccccccssssssssssssssss"
                                      "\0\x08\0\7\0\1\x11\x14\x0a\1\x80"
                                      "\0\x0b\0\2\0\x64";
    assert_int_equal(len, 12 + 12 + sizeof expected - 1);
    assert_memory_equal(buf + 24, expected, sizeof expected - 1);
    assert_int_equal(room, DNS_UDP_PLAIN - (sizeof expected - 1)); /* it was kept free */
    /* A client without EDNS gets none. */
    ask("a.test", DNS_A, false);
    dns_answer_begin(&a, &q, &o, buf, DNS_UDP_PLAIN);
    assert_int_equal(dns_answer_end(&a, &q, &o, DNS_NOERROR), 24);
}

static void test_refusal_without_question(void **state)
{
    (void)state;
    struct message m = message_head(0x0100, 1, 0, 0);
    message_lit(&m, "\xc0\x0c\0\1\0\1");
    memcpy(buf, m.bytes, m.len);
    assert_int_equal(dns_parse_query(buf, m.len, &q), DNS_FORMERR);
    dns_answer_begin(&a, &q, NULL, buf, sizeof buf);
    assert_int_equal(dns_answer_end(&a, &q, NULL, DNS_FORMERR), 12);
    assert_int_equal(be16(2), 0x8101);
    assert_int_equal(be16(4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_there_and_back),
        cmocka_unit_test(test_what_does_not_fit_is_left_out),
        cmocka_unit_test(test_extended_rcode),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_refusal_without_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
