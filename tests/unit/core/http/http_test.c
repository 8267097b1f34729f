/* http_test.c - heads that are read right, and heads that must not be read at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/http/http.h"

#include <stdio.h>
#include <string.h>

static struct http_head head;
static struct http_response_head response;
static const char *why;

static int parse(const char *text)
{
    return http_parse_request(text, strlen(text), &head, &why);
}

static int parse_response(const char *text)
{
    return http_parse_response(text, strlen(text), &response, &why);
}

#define assert_slice(s, text) assert_true(slice_is((s), (text)))
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void test_request_is_read_whole(void **state)
{
    (void)state;
    const char *text = "POST /cart/add?item=3&x=a?b HTTP/1.1\r\nHost: Shop.Test:8080\r\n"
                       "Content-Length: 12\r\nX-Empty:\r\nX-Many: \t a  b \t\r\n\r\nhello world!";
    int r = parse(text);
    assert_int_equal(r, strlen(text) - 12);
    assert_int_equal(head.head_bytes, r);
    assert_slice(head.method, "POST");
    assert_slice(head.target, "/cart/add?item=3&x=a?b");
    assert_slice(head.path, "/cart/add");
    assert_slice(head.query, "item=3&x=a?b");
    assert_slice(head.host, "Shop.Test");
    assert_int_equal(head.port, 8080);
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.header_count, 4);
    assert_slice(head.headers[2].value, "");
    assert_slice(head.headers[3].value, "a  b");
    assert_true(head.has_length && head.length == 12 && !head.chunked && head.keep_alive);
    assert_ptr_equal(http_find(head.headers, head.header_count, "x-many"), &head.headers[3]);
    assert_null(http_find(head.headers, head.header_count, "x-man"));
}

static void test_every_prefix_needs_more(void **state)
{
    (void)state;
    const char *text = "GET /a?b HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n";
    char copy[128];
    for (size_t len = 0; len < strlen(text); len++) {
        memset(copy, 'x', sizeof copy);
        memcpy(copy, text, len);
        assert_int_equal(http_parse_request(copy, len, &head, &why), 0);
    }
    assert_int_equal(parse(text), strlen(text));
    assert_true(head.chunked && !head.has_length);
    assert_slice(head.host, "::1");
}

static void test_targets(void **state)
{
    (void)state;
    assert_true(parse("GET http://shop.test?x HTTP/1.1\r\nHost: SHOP.test\r\n\r\n") > 0);
    assert_slice(head.path, "/");
    assert_slice(head.query, "x");
    assert_slice(head.host, "shop.test");
    assert_true(parse("GET https://a.:444/p HTTP/1.1\r\nHost: a:444\r\n\r\n") > 0);
    assert_slice(head.host, "a");
    assert_int_equal(head.port, 444);
    assert_slice(head.path, "/p");
    assert_true(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    assert_slice(head.path, "*");
    assert_true(parse("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n") > 0);
    assert_int_equal(head.path.len, 0);
    assert_true(parse("\r\nGET /|^`{} HTTP/1.0\r\n\r\n") > 0);
    assert_int_equal(head.host.len, 0);
    assert_null(head.query.at);
    assert_true(parse("GET /? HTTP/1.0\r\n\r\n") > 0);
    assert_true(head.query.at && head.query.len == 0);
}

static void test_connection(void **state)
{
    (void)state;
    assert_true(parse(GET "Connection: foo , CLOSE\r\n\r\n") > 0 && !head.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\n\r\n") > 0 && !head.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") > 0 && head.keep_alive);
    assert_true(parse(GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n") > 0 && head.upgrade);
    assert_true(parse(GET "Upgrade: websocket\r\n\r\n") > 0 && !head.upgrade);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n") > 0);
    assert_false(head.upgrade);
    assert_true(parse(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n") > 0);
    assert_true(head.expect_continue);
}

/* Each has been used to make two parsers see two different requests. */
static const struct {
    int status;
    const char *text;
} ambiguous[] = {
    {-400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a\n\n"},
    {-400, "GET / HTTP/1.1\rHost: a\r\n\r\n"},
    {-400, GET "X: a\rb\r\n\r\n"},
    {-400, GET "X: a\x01\r\n\r\n"},
    {-400, GET "X: a\x7f\r\n\r\n"},
    {-400, GET "X: a\r\n b\r\n\r\n"},
    {-400, GET " X: a\r\n\r\n"},
    {-400, GET "X : a\r\n\r\n"},
    {-400, GET ": a\r\n\r\n"},
    {-400, GET "X\r\n\r\n"},
    {-400, GET "X\x80: a\r\n\r\n"},
    {-400, POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {-400, POST "Content-Length: 1, 1\r\n\r\n"},
    {-400, POST "Content-Length: +1\r\n\r\n"},
    {-400, POST "Content-Length: 0x1\r\n\r\n"},
    {-400, POST "Content-Length: 1 1\r\n\r\n"},
    {-400, POST "Content-Length:\r\n\r\n"},
    {-400, POST "Content-Length: 9223372036854775808\r\n\r\n"},
    {-400, POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {-400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {-400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {-400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n"},
    {-400, POST "Transfer-Encoding: ,chunked\r\n\r\n"},
    {-400, POST "Transfer-Encoding:\r\n\r\n"},
    {-501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {-501, POST "Transfer-Encoding: xchunked\r\n\r\n"},
    {-501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {-400, POST "Transfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"},
    {-400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n"},
    {-400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {-400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"},
    {-400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {-400, "GET /\r\n\r\n"},
    {-400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
    {-400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"},
    {-400, "\x16\x03\x01"},
    {-505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
    {-505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
};

static void test_ambiguous_heads_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ambiguous / sizeof ambiguous[0]; i++) {
        why = NULL;
        int r = parse(ambiguous[i].text);
        if (r != ambiguous[i].status)
            print_error("case %zu gives %d: %s\n", i, r, ambiguous[i].text);
        assert_int_equal(r, ambiguous[i].status);
        assert_non_null(why);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static char text[2 * HTTP_HEAD_MAX];
    size_t n = (size_t)sprintf(text, "GET /");
    memset(text + n, 'a', HTTP_TARGET_MAX - 1);
    n += HTTP_TARGET_MAX - 1;
    size_t fits = n + (size_t)sprintf(text + n, " HTTP/1.0\r\n\r\n");
    assert_int_equal(http_parse_request(text, fits, &head, &why), fits);
    text[n] = 'a';
    assert_int_equal(http_parse_request(text, n + 1, &head, &why), -414);

    n = (size_t)sprintf(text, "GET / HTTP/1.0\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        n += (size_t)sprintf(text + n, "X: y\r\n");
    fits = n + (size_t)sprintf(text + n, "\r\n");
    assert_int_equal(http_parse_request(text, fits, &head, &why), fits);
    n += (size_t)sprintf(text + n, "X: y\r\n\r\n");
    assert_int_equal(http_parse_request(text, n, &head, &why), -431);

    n = (size_t)sprintf(text, "GET / HTTP/1.0\r\nX: ");
    memset(text + n, 'a', HTTP_HEAD_MAX);
    assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX - 1, &head, &why), 0);
    assert_int_equal(http_parse_request(text, HTTP_HEAD_MAX, &head, &why), -431);
    memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http_parse_request(text, sizeof text, &head, &why), HTTP_HEAD_MAX);
    memset(text, 'M', 40);
    assert_int_equal(http_parse_request(text, 40, &head, &why), -400);
}

static void test_responses(void **state)
{
    (void)state;
    assert_int_equal(parse_response(OK_LINE "Content-Length: 2\r\n\r\nhi"), strlen(OK_LINE) + 21);
    assert_true(response.status == 200 && response.has_length && response.length == 2);
    assert_true(response.keep_alive);
    assert_true(parse_response("HTTP/1.1 200\r\n\r\n") > 0);
    assert_false(response.has_length || response.chunked || response.keep_alive);
    assert_true(parse_response(OK_LINE "Transfer-Encoding: Chunked\r\n\r\n") > 0 &&
                response.chunked);
    assert_true(parse_response("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") > 0);
    assert_true(response.has_length && response.length == 0 && response.keep_alive);
    assert_true(parse_response("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n") > 0);
    assert_false(response.keep_alive);
    assert_int_equal(parse_response("HTTP/1.1 200 OK\r\nA: b\r\n"), 0);
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK_LINE "A: b\r\n c\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_response(bad[i]), -400);
    assert_int_equal(parse_response(OK_LINE "Transfer-Encoding: gzip\r\n\r\n"), -501);
    assert_int_equal(parse_response("HTTP/2.0 200 OK\r\n\r\n"), -505);
}

static void test_cookie(void **state)
{
    (void)state;
    struct slice header = {"a=1; stead=s1.x; stead=s2;b", 27};
    assert_slice(http_cookie(header, "stead"), "s1.x");
    assert_slice(http_cookie(header, "a"), "1");
    assert_null(http_cookie(header, "tead").at);
    assert_null(http_cookie(header, "b").at);
    assert_null(http_cookie((struct slice){NULL, 0}, "b").at);
    assert_string_equal(http_reason(421), "Misdirected Request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_read_whole),
        cmocka_unit_test(test_every_prefix_needs_more),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_ambiguous_heads_are_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
