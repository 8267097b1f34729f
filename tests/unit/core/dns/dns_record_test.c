/* dns_record_test.c - records by the bytes of the RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dns/dns_record.h"

#include <string.h>

static uint8_t buf[2048];
static struct wire_writer w;

static void begin(void)
{
    wire_writer_init(&w, buf, sizeof buf);
}

#define assert_written(text)                                                                       \
    do {                                                                                           \
        assert_int_equal(wire_written(&w), sizeof(text) - 1);                                      \
        assert_memory_equal(buf, text, sizeof(text) - 1);                                          \
    } while (0)

static struct dns_name name(const char *text)
{
    struct dns_name n;
    assert_true(dns_name_from_text(text, &n));
    return n;
}

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, 1, &a));
    return a;
}

static void test_addresses(void **state)
{
    (void)state;
    struct addr four = address("10.0.0.1"), six = address("2001:db8::1");
    struct dns_name owner = name("a.b");
    begin();
    dns_record_address(&w, NULL, &four, 300);
    assert_written("\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x0a\0\0\1");
    assert_int_equal(dns_record_bytes(buf), 16);
    begin();
    dns_record_address(&w, &owner, &six, 5);
    assert_written("\1a\1b\0\0\x1c\0\1\0\0\0\5\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1");
}

static void test_names(void **state)
{
    (void)state;
    struct dns_name target = name("ns.other");
    begin();
    dns_record_name(&w, DNS_NS, 5, &target);
    assert_written("\xc0\x0c\0\2\0\1\0\0\0\5\0\x0a\2ns\5other\0");
    begin();
    dns_record_srv(&w, 5, 1, 500, 8080, &target);
    assert_written("\xc0\x0c\0\x21\0\1\0\0\0\5\0\x10\0\1\1\xf4\x1f\x90\2ns\5other\0");
    begin();
    dns_record_hinfo(&w, 5);
    assert_written("\xc0\x0c\0\x0d\0\1\0\0\0\5\0\x09\7RFC8482\0");
}

static void test_soa(void **state)
{
    (void)state;
    struct dns_soa soa = {.mname = name("n"),
                          .rname = name("h"),
                          .serial = 1,
                          .refresh_s = 2,
                          .retry_s = 3,
                          .expire_s = 4,
                          .negative_s = 5};
    begin();
    dns_record_soa(&w, 9, &soa);
    assert_written("\xc0\x0c\0\6\0\1\0\0\0\x09\0\x1a\1n\0\1h\0"
                   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5");
}

static void test_https(void **state)
{
    (void)state;
    struct addr a = address("10.0.0.1"), b = address("::2"), c = address("10.0.0.3");
    const struct addr *hints[] = {&a, &b, &c};
    begin();
    dns_record_https(&w, 5, hints, 3);
    assert_written("\xc0\x0c\0\x41\0\1\0\0\0\5\0\x23\0\1\0"
                   "\0\4\0\x08\x0a\0\0\1\x0a\0\0\3"
                   "\0\6\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2");
    begin();
    dns_record_https(&w, 5, hints, 0);
    assert_written("\xc0\x0c\0\x41\0\1\0\0\0\5\0\3\0\1\0");
}

static void test_no_room(void **state)
{
    (void)state;
    struct addr a = address("10.0.0.1");
    for (size_t room = 0; room < 16; room++) {
        wire_writer_init(&w, buf, room);
        dns_record_address(&w, NULL, &a, 5);
        assert_false(wire_put_ok(&w));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_names),
        cmocka_unit_test(test_soa),       cmocka_unit_test(test_https),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
