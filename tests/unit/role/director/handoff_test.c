/* handoff_test.c - a client's cookies get to the chosen server, and to nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/handoff_once.h"

#include <stdio.h>
#include <string.h>

#define NOW 1763731200

static const uint8_t key[TOKEN_KEY_BYTES] = {1, 2, 3};
static const char *const carried[] = {"sid", "lang", "bad"};

static struct http_head head_of(const char *text)
{
    struct http_head h;
    const char *why;
    assert_true(http_parse_request(text, strlen(text), &h, &why) > 0);
    return h;
}

static size_t make(uint8_t salt_byte, char text[TOKEN_TEXT_MAX])
{
    uint8_t salt[TOKEN_SALT_BYTES] = {salt_byte, 1};
    struct http_head h = head_of("GET / HTTP/1.1\r\nHost: a\r\n"
                                 "Cookie: other=9; sid=abc; bad=\"q\"\r\nCookie: lang=en\r\n\r\n");
    return handoff_make(key, "shop", "s2", carried, 3, &h, salt, NOW, text);
}

static void test_cookies_arrive(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX], lines[HANDOFF_SET_COOKIES_MAX];
    static struct handoff h;
    size_t len = make(1, text);
    assert_true(len > 0);
    assert_true(handoff_read(key, "shop", "s2", (struct slice){text, len}, NOW, &h));
    len = handoff_cookies(&h, true, lines);
    assert_string_equal(lines, "Set-Cookie: sid=abc; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"
                               "Set-Cookie: lang=en; Path=/; HttpOnly; SameSite=Lax; Secure\r\n");
    assert_int_equal(len, strlen(lines));
}

static void test_for_one_server_and_time(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX];
    static struct handoff h;
    struct slice t = {text, make(1, text)};
    assert_false(handoff_read(key, "shop", "s3", t, NOW, &h));
    assert_false(handoff_read(key, "mail", "s2", t, NOW, &h));
    assert_false(handoff_read(key, "shop", "s2", t, NOW + HANDOFF_LIFE_S, &h));
    assert_true(handoff_read(key, "shop", "s2", t, NOW + HANDOFF_LIFE_S - 1, &h));
    t.len--;
    assert_false(handoff_read(key, "shop", "s2", t, NOW, &h));
}

static void test_nothing_to_carry(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX];
    uint8_t salt[TOKEN_SALT_BYTES] = {0};
    struct http_head h = head_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: other=9\r\n\r\n");
    assert_int_equal(handoff_make(key, "shop", "s2", carried, 3, &h, salt, NOW, text), 0);
}

static void test_too_much_is_not_carried(void **state)
{
    (void)state;
    static char request[4096], text[TOKEN_TEXT_MAX];
    uint8_t salt[TOKEN_SALT_BYTES] = {0};
    int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=");
    memset(request + n, 'x', 1500);
    strcpy(request + n + 1500, "\r\n\r\n");
    struct http_head h = head_of(request);
    assert_int_equal(handoff_make(key, "shop", "s2", carried, 3, &h, salt, NOW, text), 0);
}

static void assert_stripped(const char *target, const char *wanted, const char *token)
{
    char request[512], out[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    struct http_head h = head_of(request);
    struct slice found = handoff_find(&h);
    if (token == NULL)
        assert_null(found.at);
    else
        assert_true(slice_is(found, token));
    assert_int_equal(handoff_strip(&h, out, sizeof out), strlen(wanted));
    assert_string_equal(out, wanted);
}

static void test_url_loses_the_token(void **state)
{
    (void)state;
    char small[8];
    assert_stripped("/a?stead-handoff=xyz", "/a", "xyz");
    assert_stripped("/a?x=1&stead-handoff=xyz", "/a?x=1", "xyz");
    assert_stripped("/a?stead-handoff=xyz&x=1", "/a?x=1", "xyz");
    assert_stripped("/a?x=1&stead-handoff=&y=2", "/a?x=1&y=2", "");
    assert_stripped("/a", "/a", NULL);
    struct http_head h = head_of("GET /abcdefgh?stead-handoff=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(handoff_strip(&h, small, sizeof small), 0);
}

static void test_taken_once(void **state)
{
    (void)state;
    static struct handoff h;
    struct handoff_once *o = handoff_once_new();
    assert_non_null(o);
    h.end_s = NOW + 30;
    for (unsigned i = 0; i < 1000; i++) {
        h.id[0] = (uint8_t)(i >> 8);
        h.id[1] = (uint8_t)i;
        h.id[9] = 7;
        assert_true(handoff_once_take(o, &h, NOW));
        assert_false(handoff_once_take(o, &h, NOW + 29));
        assert_false(handoff_once_take(o, &h, NOW + 30)); /* past its end */
    }
    handoff_once_free(o);
    handoff_once_free(NULL);
}

/* A full row takes nothing, and the same again when its tokens have ended. */
static void test_full_is_refused(void **state)
{
    (void)state;
    static struct handoff h;
    struct handoff_once *o = handoff_once_new();
    unsigned taken = 0;
    assert_non_null(o);
    h.end_s = NOW + 30;
    for (unsigned i = 0; i < 64; i++) {
        h.id[9] = (uint8_t)i;
        taken += handoff_once_take(o, &h, NOW);
    }
    assert_int_equal(taken, 16);
    h.end_s = NOW + 60;
    assert_true(handoff_once_take(o, &h, NOW + 31));
    handoff_once_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookies_arrive),      cmocka_unit_test(test_for_one_server_and_time),
        cmocka_unit_test(test_nothing_to_carry),    cmocka_unit_test(test_too_much_is_not_carried),
        cmocka_unit_test(test_url_loses_the_token), cmocka_unit_test(test_taken_once),
        cmocka_unit_test(test_full_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
