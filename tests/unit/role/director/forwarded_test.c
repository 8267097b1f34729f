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
    struct forwarded f = {.client = &client, .tls = tls};
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
    struct forwarded f = {.client = &client, .tls = true};
    char *out;
    size_t len;
    assert_int_equal(forwarded_build(&h, &f, (struct slice){NULL, 0}, &out, &len), STEAD_OK);
    assert_true(len > n);
    mem_free(out);
    mem_fail_after(1);
    assert_int_equal(forwarded_build(&h, &f, (struct slice){NULL, 0}, &out, &len), STEAD_E_NOMEM);
    mem_fail_after(0);
}

/* -- one request of an exchange -- */

static size_t exchange(const char *text, struct forwarded f, char out[HTTP_HEAD_MAX * 2])
{
    static struct http_head h, again;
    struct addr nobody = {0};
    const char *why;
    assert_true(http_parse_request(text, strlen(text), &h, &why) > 0);
    f.client = &nobody;
    f.random[0] = 0x0123456789abcdef;
    f.random[1] = 2;
    f.node = "n1";
    size_t len = forwarded_head(&h, &f, out);
    out[len] = '\0';
    if (len == 0)
        return 0;
    assert_true(http_parse_request(out, len, &again, &why) == (int)len);
    assert_int_equal(again.minor, 1);
    assert_int_equal(again.length, h.length);
    assert_int_equal(again.chunked, h.chunked);
    assert_true(again.keep_alive);
    return len;
}

static void expect_exchange(const char *text, const char *expected)
{
    static char out[HTTP_HEAD_MAX * 2];
    const struct forwarded quiet = {.omits = FORWARDED_NO_X | FORWARDED_NO_RFC7239};
    assert_true(exchange(text, quiet, out) > 0);
    assert_string_equal(out, expected);
}

#define ID "X-Request-Id: 0123456789abcdef@n1\r\n"

static void test_fields_for_one_hop_are_left_out(void **state)
{
    (void)state;
    expect_exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private, Cookie\r\n"
                    "Keep-Alive: timeout=5\r\nx-private: 1\r\nAccept: x\r\nProxy-Connection: "
                    "close\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nCookie: a=b\r\n"
                    "Upgrade: websocket\r\nA:  b \r\n\r\n",
                    "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nA:  b \r\nVia: 1.1 stead\r\n" ID
                    "\r\n");
    /* Framing and Host cannot be named away. */
    expect_exchange("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Content-Length, Host\r\n"
                    "Content-Length: 4\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nVia: 1.1 stead\r\n" ID
                    "\r\n");
    expect_exchange("POST / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\n"
                    "transfer-encoding: Chunked\r\nTE: trailers, x\r\nTrailer: T\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nTrailer: T\r\nVia: 1.1 stead\r\n" ID
                    "Transfer-Encoding: chunked\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
}

static void test_an_old_client_is_spoken_for(void **state)
{
    (void)state;
    expect_exchange("GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nExpect: "
                    "100-continue\r\n\r\n",
                    "GET /x HTTP/1.1\r\nHost: a\r\nVia: 1.0 stead\r\n" ID "\r\n");
}

static void test_upgrades(void **state)
{
    (void)state;
    expect_exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
                    "websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
                    "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\nVia: 1.1 "
                    "stead\r\n" ID "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    const char *const others[] = {"h2c", "websocket, h2c", "TLS/1.0", "HTTP/2.0", "websocket,"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, HTTP2-Settings\r\n"
                 "HTTP2-Settings: AAMA\r\nUpgrade: %s\r\n\r\n",
                 others[i]);
        expect_exchange(text, "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 stead\r\n" ID "\r\n");
    }
}

#define PARENT "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"

static void test_names_of_a_request(void **state)
{
    static char out[HTTP_HEAD_MAX * 2];
    struct forwarded f = {.omits = FORWARDED_NO_X | FORWARDED_NO_RFC7239, .make_trace = true};
    (void)state;
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\n" PARENT "tracestate: v=1\r\n"
                         "x-request-id: mine-1\r\n\r\n",
                         f, out) > 0);
    assert_string_equal(out, "GET / HTTP/1.1\r\nHost: a\r\n" PARENT "tracestate: v=1\r\n"
                             "x-request-id: mine-1\r\nVia: 1.1 stead\r\n\r\n");
    /* Two of a kind, or malformed: none of them is believed. */
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\n" PARENT "tracestate: v=1\r\n" PARENT
                         "X-Request-Id: a\r\nX-Request-Id: b\r\nX-Request-Id: c\r\n\r\n",
                         f, out) > 0);
    assert_null(strstr(out, "0af765"));
    assert_null(strstr(out, "tracestate"));
    assert_non_null(strstr(out, ID));
    assert_non_null(strstr(out, "traceparent: 00-"));
    f.make_trace = false;
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-x\r\nX-Request-Id: a "
                         "b\r\n\r\n",
                         f, out) > 0);
    assert_null(strstr(out, "traceparent"));
    assert_non_null(strstr(out, ID));
}

static void test_who_a_client_is_says_its_certificate_alone(void **state)
{
    static char out[HTTP_HEAD_MAX * 2];
    const char *claims = "GET / HTTP/1.1\r\nHost: a\r\nx-ssl-client-subject: CN=root\r\n"
                         "X_SSL_Client_Subject: CN=root\r\nX-SSL-Client_Fingerprint: 00\r\n"
                         "X-SSL-Client-Subjects: kept\r\n\r\n";
    const struct tls_identity anna = {"CN=anna,O=a\rb", "c0ffee"};
    struct forwarded f = {.omits = FORWARDED_NO_RFC7239};
    (void)state;
    assert_true(exchange(claims, f, out) > 0);
    assert_null(strstr(out, "root"));
    assert_null(strstr(out, "00\r\n"));
    assert_non_null(strstr(out, "X-SSL-Client-Subjects: kept\r\n"));
    f.identity = &anna;
    assert_true(exchange(claims, f, out) > 0);
    assert_null(strstr(out, "root"));
    assert_non_null(strstr(out, "\r\nX-SSL-Client-Subject: CN=anna,O=a?b\r\n"
                                "X-SSL-Client-Fingerprint: c0ffee\r\n"));
    f.omits = FORWARDED_NO_X;
    assert_true(exchange(claims, f, out) > 0);
    assert_null(strstr(out, "anna"));
    assert_null(strstr(out, "root"));
    /* What another node of the farm tells is told on, and nothing of the connection to it. */
    f = (struct forwarded){.between = true, .identity = &anna};
    const char *told = "GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Client-Subject: CN=bert\r\n\r\n";
    assert_true(exchange(told, f, out) > 0);
    assert_non_null(strstr(out, "X-SSL-Client-Subject: CN=bert\r\n"));
    assert_null(strstr(out, "anna"));
    /* A tunnel's later requests are not looked at, so nothing is said there. */
    check(NULL, "GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Client-Subject: CN=root\r\n\r\n", true,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
          "Forwarded: host=\"a\";proto=https\r\n\r\n");
}

static void test_what_came_early_is_said(void **state)
{
    static char out[HTTP_HEAD_MAX * 2];
    (void)state;
    assert_true(
        exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", (struct forwarded){.early = true}, out) > 0);
    assert_non_null(strstr(out, "\r\nEarly-Data: 1\r\n"));
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", (struct forwarded){0}, out) > 0);
    assert_null(strstr(out, "Early-Data"));
    /* RFC 8470, section 5.1: who comes before this node may have had it early. */
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\nEarly-Data: 1\r\n\r\n",
                         (struct forwarded){0}, out) > 0);
    assert_non_null(strstr(out, "\r\nEarly-Data: 1\r\n"));
}

static void test_what_is_not_said_is_not_believed(void **state)
{
    static char out[HTTP_HEAD_MAX * 2];
    const char *claims = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n"
                         "Forwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n";
    (void)state;
    assert_true(exchange(claims, (struct forwarded){.omits = FORWARDED_NO_X}, out) > 0);
    assert_null(strstr(out, "X-Forwarded"));
    assert_non_null(strstr(out, "Forwarded: for=1.2.3.4, host=\"a\";proto=http\r\n"));
    assert_true(exchange(claims, (struct forwarded){.omits = FORWARDED_NO_RFC7239}, out) > 0);
    assert_null(strstr(out, "\r\nForwarded"));
    assert_non_null(strstr(out, "X-Forwarded-Proto: http\r\n"));
}

static void test_between_nodes_the_client_is_told_on(void **state)
{
    (void)state;
    char out[HTTP_HEAD_MAX * 2];
    static const char text[] = "GET / HTTP/1.1\r\nHost: s2.example\r\nStead-Hop: forged\r\n"
                               "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: www.example\r\n"
                               "X-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7\r\n\r\n";
    size_t len = exchange(text, (struct forwarded){.between = true, .id = "1"}, out);
    out[len] = '\0';
    assert_non_null(strstr(out,
                           "\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: www.example\r\n"
                           "X-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7\r\n"));
    assert_null(strstr(out, "Stead-Hop"));
    len = exchange(text, (struct forwarded){.between = true, .id = "1", .omits = FORWARDED_NO_X},
                   out);
    out[len] = '\0';
    assert_null(strstr(out, "X-Forwarded"));
    assert_non_null(strstr(out, "\r\nForwarded: for=192.0.2.7\r\n"));
    len = exchange(text, (struct forwarded){.id = "1", .hop = "made"}, out);
    out[len] = '\0';
    assert_non_null(strstr(out, "\r\nStead-Hop: made\r\n"));
    assert_null(strstr(out, "forged"));
    assert_non_null(strstr(out, "\r\nX-Forwarded-Host: s2.example\r\n"));
}

static void test_too_many_connection_options(void **state)
{
    static char out[HTTP_HEAD_MAX * 2];
    (void)state;
    const struct forwarded f = {0};
    assert_int_equal(exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,"
                              "m,n,o,p,q\r\n\r\n",
                              f, out),
                     0);
    assert_true(exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,"
                         ",p,close,\r\n\r\n",
                         f, out) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_added_and_the_rest_is_kept),
        cmocka_unit_test(test_claims_of_the_client),
        cmocka_unit_test(test_absolute_form_becomes_origin_form),
        cmocka_unit_test(test_asterisk_form),
        cmocka_unit_test(test_the_largest_head_fits),
        cmocka_unit_test(test_fields_for_one_hop_are_left_out),
        cmocka_unit_test(test_an_old_client_is_spoken_for),
        cmocka_unit_test(test_upgrades),
        cmocka_unit_test(test_names_of_a_request),
        cmocka_unit_test(test_who_a_client_is_says_its_certificate_alone),
        cmocka_unit_test(test_what_came_early_is_said),
        cmocka_unit_test(test_what_is_not_said_is_not_believed),
        cmocka_unit_test(test_between_nodes_the_client_is_told_on),
        cmocka_unit_test(test_too_many_connection_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
