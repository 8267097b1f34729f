/* warm_test.c - the records that a request's cookies name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/warm.h"

#include <stdio.h>
#include <string.h>

static struct kinds kinds;

static size_t keys_of(const char *cookies, const struct warm_rule *rules, size_t count,
                      struct key *out)
{
    char text[1024];
    struct http_head h;
    const char *why;
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cookies);
    assert_true(http_parse_request(text, (size_t)n, &h, &why) > 0);
    return warm_keys(rules, count, &h, out);
}

static void test_rules(void **state)
{
    (void)state;
    struct warm_rule r;
    static const char *const bad[] = {"",         "sid",    "=app",    "sid=",      "sid=none",
                                      "s id=app", "sid=:x", "s;d=app", "sid=app2:x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(warm_parse(bad[i], &kinds, &r));
    assert_true(warm_parse("PHPSESSID=app:memc.sess.key.", &kinds, &r));
    assert_string_equal(r.cookie, "PHPSESSID");
    assert_string_equal(r.prefix, "memc.sess.key.");
    assert_int_equal(r.kind, kinds_find(&kinds, "app"));
}

static void test_cookies_become_keys(void **state)
{
    (void)state;
    struct warm_rule r[3];
    struct key k[3];
    assert_true(warm_parse("sid=purchase", &kinds, &r[0]));
    assert_true(warm_parse("sid=auth", &kinds, &r[1]));
    assert_true(warm_parse("p=app:x.", &kinds, &r[2]));
    assert_int_equal(keys_of("Cookie: a=b; sid=42\r\nCookie: p=7\r\n", r, 3, k), 3);
    assert_int_equal(k[1].kind, kinds_find(&kinds, "auth"));
    assert_int_equal(k[1].len, 2);
    assert_memory_equal(k[1].bytes, "42", 2);
    assert_memory_equal(k[2].bytes, "x.7", 3);
    assert_int_equal(keys_of("Cookie: sid=; p=1\r\n", r, 3, k), 1);
    assert_int_equal(keys_of("", r, 3, k), 0);
    char longest[600] = "Cookie: sid=";
    memset(longest + strlen(longest), 'x', KEY_BYTES_MAX + 1);
    strcat(longest, "\r\n");
    assert_int_equal(keys_of(longest, r, 3, k), 0);
}

int main(void)
{
    kinds_default(&kinds);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_cookies_become_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
