/* proxy_protocol_test.c - headers as HAProxy and others write them, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/tcp/proxy_protocol.h"

#include <string.h>

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, 0, &a));
    return a;
}

static int parse(const char *text, struct proxy_header *out)
{
    return proxy_protocol_parse(text, strlen(text), out);
}

static void test_text_headers(void **state)
{
    struct proxy_header h;
    const char v4[] = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /";
    const char v6[] = "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
    (void)state;
    assert_int_equal(parse(v4, &h), strlen(v4) - 5);
    struct addr client = address("192.0.2.1:56324"), server = address("198.51.100.7:443");
    assert_false(h.local);
    assert_true(addr_equal(&h.client, &client));
    assert_true(addr_equal(&h.server, &server));
    assert_int_equal(parse(v6, &h), strlen(v6));
    client = address("[2001:db8::1]:1");
    assert_true(addr_equal(&h.client, &client));
    assert_int_equal(parse("PROXY UNKNOWN\r\n", &h), 15);
    assert_true(h.local);
    assert_int_equal(parse("PROXY UNKNOWN ff:: x 1 2\r\n", &h), 26);
    assert_true(h.local && h.client.family == 0);
}

static void test_text_that_is_refused(void **state)
{
    static const char *const bad[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 9\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP4 192.0.2.1:5 198.51.100.7 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\rX",
        "GET / HTTP/1.1\r\n",
        "X",
    };
    struct proxy_header h;
    char longest[PROXY_PROTOCOL_V1_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i], &h) != -1)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(h.client.family, 0);
    }
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_protocol_parse(longest, PROXY_PROTOCOL_V1_MAX - 1, &h), 0);
    assert_int_equal(proxy_protocol_parse(longest, PROXY_PROTOCOL_V1_MAX, &h), -1);
    memcpy(longest + PROXY_PROTOCOL_V1_MAX - 2, "\r\n", 2);
    assert_int_equal(proxy_protocol_parse(longest, sizeof(longest), &h), PROXY_PROTOCOL_V1_MAX);
}

static size_t make_v2(uint8_t *out, uint8_t command, uint8_t family, const void *rest, size_t len)
{
    memcpy(out, "\r\n\r\n\0\r\nQUIT\n", 12);
    out[12] = command;
    out[13] = family;
    out[14] = (uint8_t)(len >> 8);
    out[15] = (uint8_t)len;
    memcpy(out + 16, rest, len);
    return 16 + len;
}

static void test_binary_headers(void **state)
{
    static const uint8_t rest[] = {192, 0,   2, 1, 198, 51,  100, 7,    0xdc, 4,
                                   1,   187, 1, 0, 2,   'h', '2', 0xea, 0,    0};
    uint8_t bytes[PROXY_PROTOCOL_MAX + 32];
    struct proxy_header h;
    struct addr client = address("192.0.2.1:56324"), server = address("198.51.100.7:443");
    (void)state;
    size_t n = make_v2(bytes, 0x21, 0x11, rest, sizeof(rest));
    assert_int_equal(proxy_protocol_parse(bytes, n + 9, &h), n);
    assert_true(addr_equal(&h.client, &client) && addr_equal(&h.server, &server) && !h.local);
    assert_int_equal(proxy_protocol_parse(bytes, make_v2(bytes, 0x21, 0x11, rest, 12), &h), 28);
    n = make_v2(bytes, 0x20, 0x11, rest, sizeof(rest));
    assert_int_equal(proxy_protocol_parse(bytes, n, &h), n);
    assert_true(h.local && h.client.family == 0);
    n = make_v2(bytes, 0x21, 0, rest, 3);
    assert_int_equal(proxy_protocol_parse(bytes, n, &h), n);
    assert_true(h.local);
}

static void test_binary_that_is_refused(void **state)
{
    static const uint8_t rest[PROXY_PROTOCOL_MAX] = {192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 3, 4};
    uint8_t bytes[PROXY_PROTOCOL_MAX + 32];
    struct proxy_header h;
    (void)state;
    const struct {
        uint8_t command, family;
        size_t len;
    } bad[] = {{0x31, 0x11, 12}, {0x22, 0x11, 12}, {0x21, 0x12, 12},
               {0x21, 0x22, 36}, {0x21, 0x11, 11}, {0x21, 0x11, 13},
               {0x21, 0x21, 12}, {0x21, 0x41, 12}, {0x20, 0x11, PROXY_PROTOCOL_MAX - 15}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = make_v2(bytes, bad[i].command, bad[i].family, rest, bad[i].len);
        if (proxy_protocol_parse(bytes, n, &h) != -1)
            fail_msg("number %zu was taken", i);
    }
    size_t n = make_v2(bytes, 0x21, 0x11, rest, 12);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(proxy_protocol_parse(bytes, i, &h), 0);
    bytes[11] = 'X';
    assert_int_equal(proxy_protocol_parse(bytes, n, &h), -1);
}

static void test_what_is_made_is_read(void **state)
{
    static const char *const pairs[][2] = {{"192.0.2.1:1", "198.51.100.7:65535"},
                                           {"255.255.255.255:65535", "255.255.255.255:65535"},
                                           {"[2001:db8::1]:80", "[2001:db8::2]:0"},
                                           {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
                                            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"}};
    uint8_t bytes[PROXY_PROTOCOL_OUT_MAX];
    struct proxy_header h;
    (void)state;
    for (int v = PROXY_V1; v <= PROXY_V2; v++) {
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
            struct addr client = address(pairs[i][0]), server = address(pairs[i][1]);
            size_t n = proxy_protocol_make((enum proxy_protocol)v, &client, &server, bytes);
            assert_int_equal(proxy_protocol_parse(bytes, n, &h), n);
            assert_true(addr_equal(&h.client, &client) && addr_equal(&h.server, &server));
            for (size_t part = 0; part < n; part++)
                assert_int_equal(proxy_protocol_parse(bytes, part, &h), 0);
        }
        struct addr client = address("192.0.2.1:1"), server = address("[::1]:1");
        size_t n = proxy_protocol_make((enum proxy_protocol)v, &client, &server, bytes);
        assert_int_equal(proxy_protocol_parse(bytes, n, &h), n);
        assert_true(h.local);
    }
    assert_int_equal(proxy_protocol_make(PROXY_NONE, &h.client, &h.server, bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_headers),         cmocka_unit_test(test_text_that_is_refused),
        cmocka_unit_test(test_binary_headers),       cmocka_unit_test(test_binary_that_is_refused),
        cmocka_unit_test(test_what_is_made_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
