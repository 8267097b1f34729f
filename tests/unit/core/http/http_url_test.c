/* http_url_test.c - URLs of servers, and paths that go into a Location header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/http/http.h"

#include <string.h>

#define assert_slice(s, text) assert_true(slice_is((s), (text)))

static bool parse(const char *text, struct http_url *url)
{
    return http_url_parse(text, strlen(text), url);
}

static void test_urls(void **state)
{
    (void)state;
    struct http_url u;
    assert_true(parse("https://s1.shop.test:8443/a/b?c=d", &u));
    assert_true(u.tls && u.port == 8443 && u.port_given);
    assert_slice(u.host, "s1.shop.test");
    assert_slice(u.authority, "s1.shop.test:8443");
    assert_slice(u.path, "/a/b?c=d");
    assert_true(parse("HTTP://10.0.0.1", &u));
    assert_true(!u.tls && u.port == 80 && !u.port_given && u.path.len == 0);
    assert_true(parse("https://[2001:db8::1]?q", &u));
    assert_slice(u.host, "2001:db8::1");
    assert_slice(u.authority, "[2001:db8::1]");
    assert_slice(u.path, "?q");
    assert_int_equal(u.port, 443);
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "http",
        "http://",
        "https://",
        "ftp://a/",
        "//a/",
        "http:/a",
        "http:///x",
        "http://:80/",
        "http://a:b/",
        "http://a:99999/",
        "http://a:/",
        "http://u@a/",
        "http://u:p@a/",
        "http://a b/",
        "http://a/ b",
        "http://a/#f",
        "http://a/\r\nX: y",
        "http://a/\"",
        "http://a\\b/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
        "http://.a/",
        "http://a/\xff",
        "http://a%41/",
    };
    struct http_url u = {.port = 7};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i], &u))
            print_error("accepted: %s\n", bad[i]);
        assert_false(parse(bad[i], &u));
        assert_int_equal(u.port, 7);
    }
    char host[300] = "http://";
    memset(host + 7, 'a', 64);
    assert_false(http_url_parse(host, 7 + 64, &u));
    assert_true(http_url_parse(host, 7 + 63, &u));
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"/", "/a//b", "/a?b//c\\d", "/?", "/%0d%0a", "//a"};
    static const char *const bad[] = {"",      "a",     "/\\evil.test", "/a\r\nX: y", "/a b",
                                      "/a\tb", "/\x7f", "/a#b",         "\\/",        "/\x80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(http_path_safe((struct slice){good[i], strlen(good[i])}));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(http_path_safe((struct slice){bad[i], strlen(bad[i])}));
    assert_false(http_path_safe((struct slice){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
