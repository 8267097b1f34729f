/* http_body_test.c - where bodies end, whatever the pieces they come in; and what is for one hop.
 */
#include "core/http/http_body.h"

#include "core/http/http_hop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void request_body(const char *fields, struct http_body *b)
{
    static struct http_head h;
    char text[512];
    const char *why;
    int n = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    assert_int_equal(http_parse_request(text, (size_t)n, &h, &why), n);
    http_body_of_request(b, &h);
}

static void response_body(const char *text, bool head_only, struct http_body *b)
{
    static struct http_response_head h;
    const char *why;
    assert_int_equal(http_parse_response(text, strlen(text), &h, &why), strlen(text));
    http_body_of_response(b, &h, head_only);
}

/* In two pieces, cut everywhere: the body has `whole` bytes of the text. */
static void cut_everywhere(const struct http_body *start, const char *text, size_t whole)
{
    size_t len = strlen(text);
    for (size_t cut = 0; cut <= len; cut++) {
        struct http_body b = *start;
        ptrdiff_t first = http_body_take(&b, text, cut);
        assert_int_equal(first, cut < whole ? cut : whole);
        assert_int_equal(b.done, cut >= whole);
        ptrdiff_t second = http_body_take(&b, text + first, len - (size_t)first);
        assert_int_equal((size_t)(first + second), whole);
        assert_true(b.done);
        assert_int_equal(http_body_take(&b, "more", 4), 0);
    }
}

static void test_requests(void **state)
{
    struct http_body b;
    (void)state;
    request_body("", &b);
    assert_true(b.done);
    assert_int_equal(http_body_take(&b, "GET /", 5), 0);
    request_body("Content-Length: 5\r\n", &b);
    cut_everywhere(&b, "helloGET /", 5);
    request_body("Transfer-Encoding: chunked\r\n", &b);
    cut_everywhere(&b, "3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\nGET /", 29);
}

static void test_responses(void **state)
{
    struct http_body b;
    (void)state;
    response_body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, &b);
    cut_everywhere(&b, "abcHTTP", 3);
    response_body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, &b);
    assert_true(b.done);
    response_body("HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", false, &b);
    assert_true(b.done);
    response_body("HTTP/1.1 204 x\r\n\r\n", false, &b);
    assert_true(b.done);
    response_body("HTTP/1.1 200 OK\r\n\r\n", true, &b);
    assert_true(b.done);
    response_body("HTTP/1.1 200 OK\r\n\r\n", false, &b);
    assert_int_equal(b.kind, HTTP_BODY_CLOSE);
    assert_int_equal(http_body_take(&b, "abc", 3), 3);
    assert_false(b.done);
}

static void test_malformed_chunks(void **state)
{
    static const char *const texts[] = {
        "\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1;a\nb\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "11111111111111111\r\n",
        "ffffffffffffffff\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx y: z\r\n\r\n",
        "0\r\nx: a\nb\r\n\r\n",
        "0\r\n\rX",
    };
    struct http_body b;
    char carried[64];
    size_t data;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        request_body("Transfer-Encoding: chunked\r\n", &b);
        assert_int_equal(http_body_take(&b, texts[i], strlen(texts[i])), -1);
        assert_int_equal(http_body_take(&b, "0\r\n\r\n", 5), -1);
        request_body("Transfer-Encoding: chunked\r\n", &b);
        snprintf(carried, sizeof(carried), "%s", texts[i]);
        assert_int_equal(http_body_unchunk(&b, carried, strlen(texts[i]), &data), -1);
    }
}

static void test_unchunked(void **state)
{
    static const char text[] = "5\r\nhello\r\n1;x\r\n,\r\n6\r\n world\r\n0\r\nT: t\r\n\r\nnext";
    struct http_body start;
    (void)state;
    request_body("Transfer-Encoding: chunked\r\n", &start);
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        struct http_body b = start;
        char first[sizeof(text)], second[sizeof(text)], all[2 * sizeof(text)];
        size_t a, z;
        memcpy(first, text, cut);
        ptrdiff_t taken = http_body_unchunk(&b, first, cut, &a);
        assert_in_range(taken, 0, cut);
        size_t left = sizeof(text) - 1 > (size_t)taken ? sizeof(text) - 1 - (size_t)taken : 0;
        memcpy(second, text + taken, left);
        assert_int_equal(taken + http_body_unchunk(&b, second, left, &z), sizeof(text) - 5);
        assert_true(b.done);
        snprintf(all, sizeof(all), "%.*s%.*s", (int)a, first, (int)z, second);
        assert_string_equal(all, "hello, world");
    }
}

static void test_hops(void **state)
{
    static const char *const ours[] = {"Connection",
                                       "keep-alive",
                                       "TE",
                                       "UPGRADE",
                                       "Transfer-Encoding",
                                       "Proxy-Connection",
                                       "Proxy-Authenticate",
                                       "proxy-authorization"};
    static const char *const others[] = {
        "", "xe", "Trailer", "keep-alivf", "Content-Length", "Host", "Via", "Proxy-Connectios"};
    (void)state;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        assert_int_not_equal(http_hop_of((struct slice){ours[i], strlen(ours[i])}), HTTP_HOP_END);
        assert_int_equal(http_hop_of((struct slice){others[i], strlen(others[i])}), HTTP_HOP_END);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_malformed_chunks),
        cmocka_unit_test(test_unchunked),
        cmocka_unit_test(test_hops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
