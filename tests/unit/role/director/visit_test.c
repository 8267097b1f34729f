/* visit_test.c - a client that comes back is known, and nobody else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/visit.h"

#include <stdio.h>
#include <string.h>

#define NOW 1763731200

static const uint8_t key[TOKEN_KEY_BYTES] = {1, 2, 3}, other_key[TOKEN_KEY_BYTES] = {3, 2, 1};

static struct http_head head_of(const char *text)
{
    struct http_head h;
    const char *why;
    assert_true(http_parse_request(text, strlen(text), &h, &why) > 0);
    return h;
}

static struct visit_rule rule_of(const char *text)
{
    struct visit_rule r = {.life_s = 3600};
    assert_true(visit_parse(text, &r));
    return r;
}

/* What a browser would send back for a Set-Cookie line. */
static void request_with(const char *set_cookie, char *out, size_t size)
{
    const char *pair = strchr(set_cookie, ' ') + 1;
    snprintf(out, size, "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1\r\nCookie: y=2; %.*s\r\n\r\n",
             (int)strcspn(pair, ";"), pair);
}

static void test_rules(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "cook",    "cookie:", "cookie:a b", "header:",
                                      "path:0", "path:17", "path:",   "path:1x",    "path:123",
                                      "query:", "path:01", "path",    "header:a:b", "Cookie"};
    struct visit_rule r;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(visit_parse(bad[i], &r));
    assert_int_equal(rule_of("none").by, VISIT_NONE);
    assert_string_equal(rule_of("cookie").name, "stead");
    assert_string_equal(rule_of("cookie:route").name, "route");
    assert_int_equal(rule_of("path:16").part, 16);
}

static void test_cookie_comes_back(void **state)
{
    (void)state;
    struct visit_rule r = rule_of("cookie");
    char line[VISIT_COOKIE_MAX], request[2048], name[NAME_MAX_BYTES + 1];
    strcpy(r.domain, "shop.test");
    r.secure = true;
    size_t len = visit_cookie(&r, key, "shop", "s2", NOW, line);
    assert_int_equal(len, strlen(line));
    assert_non_null(strstr(line, "; HttpOnly; SameSite=Lax; Domain=shop.test; Secure\r\n"));
    assert_non_null(strstr(line, "; Max-Age=3600"));
    request_with(line, request, sizeof request);
    struct http_head h = head_of(request);
    assert_true(visit_server(&r, key, "shop", &h, NOW, name));
    assert_string_equal(name, "s2");
    assert_true(visit_server(&r, key, "shop", &h, NOW + 3599, name));
    assert_false(visit_server(&r, key, "shop", &h, NOW + 3600, name));
    assert_false(visit_server(&r, key, "mail", &h, NOW, name));
    assert_false(visit_server(&r, other_key, "shop", &h, NOW, name));
    r.by = VISIT_HEADER;
    assert_false(visit_server(&r, key, "shop", &h, NOW, name));
}

static void test_a_forged_cookie_is_none(void **state)
{
    (void)state;
    struct visit_rule r = rule_of("cookie");
    char name[NAME_MAX_BYTES + 1];
    struct http_head h = head_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: stead=s2\r\n\r\n");
    assert_false(visit_server(&r, key, "shop", &h, NOW, name));
    h = head_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: stead=\r\n\r\n");
    assert_false(visit_server(&r, key, "shop", &h, NOW, name));
    h = head_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(visit_server(&r, key, "shop", &h, NOW, name));
}

static void assert_key(const char *rule, const char *request, const char *wanted)
{
    struct visit_rule r = rule_of(rule);
    struct http_head h = head_of(request);
    struct slice k = visit_key(&r, &h);
    if (wanted == NULL)
        assert_null(k.at);
    else
        assert_true(slice_is(k, wanted));
}

static void test_keys(void **state)
{
    (void)state;
    const char *request = "GET /rooms/blue//9?a=1&room=7&roomy=8&e= HTTP/1.1\r\nHost: a\r\n"
                          "X-User: ann\r\nX-Empty:\r\n\r\n";
    assert_key("header:x-user", request, "ann");
    assert_key("header:x-empty", request, NULL);
    assert_key("header:x-none", request, NULL);
    assert_key("query:room", request, "7");
    assert_key("query:a", request, "1");
    assert_key("query:e", request, NULL);
    assert_key("query:oom", request, NULL);
    assert_key("path:1", request, "rooms");
    assert_key("path:2", request, "blue");
    assert_key("path:3", request, NULL);
    assert_key("path:4", request, "9");
    assert_key("path:5", request, NULL);
    assert_key("cookie", request, NULL);
    assert_key("path:1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
    assert_key("query:a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
    assert_key("path:1", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_cookie_comes_back),
        cmocka_unit_test(test_a_forged_cookie_is_none),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
