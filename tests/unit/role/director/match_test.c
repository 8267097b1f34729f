/* match_test.c - rules about a request, as an operator writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/match.h"

#include <string.h>

static bool glob(const char *g, const char *text)
{
    return slice_fits((struct slice){text, strlen(text)}, (struct slice){g, strlen(g)});
}

static bool matches(const char *rule, const char *head)
{
    struct match_rule r;
    struct http_head h;
    const char *why;
    assert_true(match_parse(rule, &r));
    assert_true(http_parse_request(head, strlen(head), &h, &why) > 0);
    return match_request(&r, &h);
}

static void test_globs(void **state)
{
    (void)state;
    assert_true(glob("*", ""));
    assert_true(glob("", ""));
    assert_false(glob("", "a"));
    assert_true(glob("/a*", "/a"));
    assert_true(glob("*a*b*", "xxaxxabx"));
    assert_false(glob("*a*b", "abx"));
    assert_true(glob("a**c", "abc"));
    assert_false(glob("/api/*", "/api"));
    assert_false(glob("A", "a"));
    assert_true(glob("*.php", "/x.php/y.php"));
}

static void test_rules_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "ALL",         "method:",     "method:G T", "path:x",
        "path:",     "header:",     "header:Name", "header:=x",  "header:a b=x",
        "header:a=", "user-agent:", "all ",        "upgrade:x"};
    struct match_rule r;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(match_parse(bad[i], &r));
}

static void test_requests(void **state)
{
    (void)state;
    const char get[] = "GET /api/x?y=/z HTTP/1.1\r\nHost: a\r\nUser-Agent: OldApp/1.0 (x)\r\n"
                       "X-Way: no\r\nX-Way: straight\r\n\r\n";
    assert_true(matches("all", get));
    assert_false(matches("upgrade", get));
    assert_true(matches("upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                   "Upgrade: websocket\r\n\r\n"));
    assert_true(matches("method:PUT,GET", get));
    assert_false(matches("method:PUT,GE", get));
    assert_true(matches("path:/api/*", get));
    assert_false(matches("path:*z", get));
    assert_true(matches("user-agent:OldApp/*", get));
    assert_false(matches("user-agent:oldapp/*", get));
    assert_true(matches("header:x-way=straight", get));
    assert_false(matches("header:x-ways=*", get));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_rules_that_are_none),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
