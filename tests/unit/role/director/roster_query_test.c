/* roster_query_test.c - what a request for the roster asks, and which pages may read the answer. */
#include "role/director/cors.h"
#include "role/director/roster_query.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct http_head head;
static struct roster_query q;

static void parse_head(const char *method, const char *query, const char *headers)
{
    static char text[8192];
    const char *why;
    snprintf(text, sizeof text, "%s /.well-known/stead/roster%s%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
             method, *query ? "?" : "", query, headers);
    assert_true(http_parse_request(text, strlen(text), &head, &why) > 0);
}

static int parse(const char *query, const char *headers)
{
    const char *why = NULL;
    parse_head("GET", query, headers);
    int err = roster_query_parse(&head, &q, &why);
    assert_true((err == STEAD_OK) == (why == NULL));
    return err;
}

static void test_parameters(void **state)
{
    (void)state;
    assert_int_equal(parse("", ""), STEAD_OK);
    assert_int_equal(q.format, ROSTER_JSON);
    assert_string_equal(q.service, "");
    assert_int_equal(q.limit, 0);
    assert_int_equal(
        parse("x=1&service=sh%6fp&on=s1&limit=20&after=s3&format=sse&service=other", ""), STEAD_OK);
    assert_int_equal(q.format, ROSTER_SSE);
    assert_string_equal(q.service, "shop");
    assert_string_equal(q.on, "s1");
    assert_string_equal(q.after, "s3");
    assert_int_equal(q.limit, 20);
    assert_int_equal(parse("format=text", "Accept: application/json\r\n"), STEAD_OK);
    assert_int_equal(q.format, ROSTER_TEXT);
}

static void test_malformed_parameters(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "service=",
        "service=%",
        "service=%4",
        "service=%zz",
        "service=%00",
        "service=a%20b",
        "service=%22",
        "on=",
        "on=a%2fb",
        "after=",
        "limit=",
        "limit=0",
        "limit=-1",
        "limit=1x",
        "limit=1234567",
        "format=",
        "format=xml",
        "format=JSON",
        "limit=%31",
        "service=0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i], "") != STEAD_E_INVAL)
            fail_msg("%s was taken", bad[i]);
    /* What only looks like a parameter. */
    assert_int_equal(parse("xservice=%&&=&servic=%&service", ""), STEAD_OK);
}

static void test_accept(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum roster_format format;
    } cases[] = {
        {"text/event-stream", ROSTER_SSE},
        {"TEXT/Event-Stream; charset=utf-8", ROSTER_SSE},
        {"text/plain", ROSTER_TEXT},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ROSTER_JSON},
        {"text/plain;q=0.5, application/json", ROSTER_JSON},
        {"text/plain, application/json", ROSTER_TEXT},
        {"application/json;q=0.1, text/event-stream;q=0.25 , text/plain;q=0.2", ROSTER_SSE},
        {"text/event-stream;q=0", ROSTER_JSON},
        {"text/plain;q=0.000, */*;q=0.001", ROSTER_JSON},
        {"text/*", ROSTER_TEXT},
        {"image/png", ROSTER_JSON},
        {"", ROSTER_JSON},
        {",;,;q=,q", ROSTER_JSON},
        {"text/plain;x=1;q=0.9,text/event-stream;q=0.91", ROSTER_SSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[256];
        snprintf(header, sizeof header, "Accept: %s\r\n", cases[i].accept);
        assert_int_equal(parse("", header), STEAD_OK);
        if (q.format != cases[i].format)
            fail_msg("Accept: %s gives %d", cases[i].accept, (int)q.format);
    }
}

static const char *page(const char *origins, const char *origin)
{
    static char out[CORS_HEADERS_MAX];
    char header[1024];
    snprintf(header, sizeof header, "Origin: %s\r\n", origin);
    parse_head("GET", "", header);
    cors_headers(origins, &head, out);
    return out;
}

static void test_origins(void **state)
{
    (void)state;
    char out[CORS_HEADERS_MAX], longest[CORS_ORIGIN_MAX + 2];
    static const char two[] = "https://a.example  http://b.example:8080 ";
    assert_string_equal(page("", "https://a.example"), "");
    assert_non_null(strstr(page(two, "https://a.example"),
                           "Access-Control-Allow-Origin: https://a.example\r\n"));
    assert_non_null(strstr(page(two, "http://b.example:8080"), ": http://b.example:8080\r\n"));
    assert_string_equal(page(two, "http://a.example"), "");
    assert_string_equal(page(two, "https://a.example.evil"), "");
    assert_string_equal(page(two, "https://a"), "");
    assert_string_equal(page(two, "null"), "");
    assert_non_null(strstr(page("*", "https://any.example"), "Allow-Origin: *\r\n"));
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_string_equal(page("*", longest), "");
    parse_head("GET", "", "");
    cors_headers("*", &head, out); /* no page at all */
    assert_string_equal(out, "");
}

static void test_preflight(void **state)
{
    (void)state;
    char out[CORS_HEADERS_MAX];
    parse_head("OPTIONS", "", "Origin: https://a.example\r\n");
    assert_false(cors_preflight("*", &head, out));
    parse_head("OPTIONS", "",
               "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"
               "Access-Control-Request-Headers: authorization\r\n");
    assert_false(cors_preflight("", &head, out));
    assert_false(cors_preflight("https://b.example", &head, out));
    assert_true(cors_preflight("https://b.example https://a.example", &head, out));
    assert_non_null(strstr(out, "Access-Control-Allow-Origin: https://a.example\r\n"));
    assert_non_null(strstr(out, "Access-Control-Allow-Headers: Authorization,"));
}

static void test_lists_of_origins(void **state)
{
    (void)state;
    assert_true(cors_list_valid(""));
    assert_true(cors_list_valid("*"));
    assert_true(cors_list_valid("https://a.example http://[::1]:80"));
    assert_false(cors_list_valid("a.example"));
    assert_false(cors_list_valid("https://a.example/"));
    assert_false(cors_list_valid("https://a.example, https://b.example"));
    assert_false(cors_list_valid("null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_malformed_parameters),
        cmocka_unit_test(test_accept),     cmocka_unit_test(test_origins),
        cmocka_unit_test(test_preflight),  cmocka_unit_test(test_lists_of_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
