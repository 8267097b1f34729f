/* forwarded_test.c - the head that a real server sees. */
#include "role/director/forwarded.h"

#include "base/mem.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *from, const char *text, bool tls, const char *expected)
{
    struct http_head h;
    struct addr client = {0};
    const char *why;
    char *out;
    size_t len;
    int n = http_parse_request(text, strlen(text), &h, &why);
    assert_true(n > 0);
    if (from)
        assert_true(addr_parse(from, 0, &client));
    struct forwarded f = {&client, tls};
    struct slice rest = {text + n, strlen(text) - (size_t)n};
    assert_int_equal(forwarded_build(&h, &f, rest, &out, &len), STEAD_OK);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
    /* What is made is a head for the next parser, with the same framing and host. */
    struct http_head again;
    assert_true(http_parse_request(out, len, &again, &why) > 0);
    assert_int_equal(again.length, h.length);
    assert_int_equal(again.chunked, h.chunked);
    assert_int_equal(again.host.len, h.host.len);
    mem_free(out);
}

static void test_lines_are_added_and_the_rest_is_kept(void **state)
{
    (void)state;
    check("192.0.2.7:4000",
          "POST /buy?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nConnection: keep-alive\r\n"
          "Content-Length: 3\r\nCookie: s=1\r\n\r\nabcGET ",
          false,
          "POST /buy?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nConnection: keep-alive\r\n"
          "Content-Length: 3\r\nCookie: s=1\r\n"
          "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
          "X-Forwarded-Host: a.example:8080\r\n"
          "Forwarded: for=192.0.2.7;host=\"a.example:8080\";proto=http\r\n\r\nabcGET ");
}

static void test_claims_of_the_client(void **state)
{
    (void)state;
    /* Lists are appended to; what is no list is not believed. */
    check("[2001:db8::7]:4000",
          "GET / HTTP/1.1\r\nHost: a.example\r\nx-forwarded-for: 10.0.0.1\r\n"
          "X-Forwarded-Proto: https\r\nX-Forwarded-Host: bank.example\r\n"
          "Forwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.2, "
          "10.0.0.3\r\nX-Forwarded-For:\r\n\r\n",
          true,
          "GET / HTTP/1.1\r\nHost: a.example\r\n"
          "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 2001:db8::7\r\n"
          "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
          "Forwarded: for=10.0.0.1, for=\"[2001:db8::7]\";host=\"a.example\";proto=https\r\n\r\n");
}

static void test_absolute_form_becomes_origin_form(void **state)
{
    (void)state;
    check("192.0.2.7:4000",
          "GET http://a.example:81/p?q HTTP/1.1\r\nAccept: x\r\nHost: A.example\r\n\r\n", false,
          "GET /p?q HTTP/1.1\r\nAccept: x\r\nHost: a.example:81\r\nX-Forwarded-For: 192.0.2.7\r\n"
          "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example:81\r\n"
          "Forwarded: for=192.0.2.7;host=\"a.example:81\";proto=http\r\n\r\n");
    check(NULL, "GET http://[::1]:81 HTTP/1.0\r\n\r\n", false,
          "GET / HTTP/1.0\r\nHost: [::1]:81\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: "
          "[::1]:81\r\n"
          "Forwarded: host=\"[::1]:81\";proto=http\r\n\r\n");
}

static void test_asterisk_form(void **state)
{
    (void)state;
    check(NULL, "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", false,
          "OPTIONS * HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: http\r\n"
          "X-Forwarded-Host: a.example\r\nForwarded: host=\"a.example\";proto=http\r\n\r\n");
}

/* The most lines, each growing by a space, and the longest host: nothing is written past the room.
 */
static void test_the_largest_head_fits(void **state)
{
    static char text[HTTP_HEAD_MAX + 1];
    char host[254];
    struct http_head h;
    const char *why;
    (void)state;
    for (size_t i = 0; i < sizeof(host) - 1; i++)
        host[i] = i % 60 == 59 ? '.' : 'h';
    host[sizeof(host) - 1] = '\0';
    size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost:%s:65535\r\n", host);
    for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s:%d\r\n", "a", i);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
    assert_true(http_parse_request(text, n, &h, &why) > 0);
    struct addr client;
    assert_true(addr_parse("[1111:2222:3333:4444:5555:6666:7777:8888]:65535", 0, &client));
    struct forwarded f = {&client, true};
    char *out;
    size_t len;
    assert_int_equal(forwarded_build(&h, &f, (struct slice){NULL, 0}, &out, &len), STEAD_OK);
    assert_true(len > n);
    mem_free(out);
    mem_fail_after(1);
    assert_int_equal(forwarded_build(&h, &f, (struct slice){NULL, 0}, &out, &len), STEAD_E_NOMEM);
    mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_added_and_the_rest_is_kept),
        cmocka_unit_test(test_claims_of_the_client),
        cmocka_unit_test(test_absolute_form_becomes_origin_form),
        cmocka_unit_test(test_asterisk_form),
        cmocka_unit_test(test_the_largest_head_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
