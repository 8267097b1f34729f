/* hop_test.c - who forwards a request for the farm, and who only says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/hop.h"

#include <stdio.h>
#include <string.h>

#define NOW 1763731200

static const uint8_t key[TOKEN_KEY_BYTES] = {1}, other[TOKEN_KEY_BYTES] = {2};

static bool valid(const uint8_t *by, const char *self, const char *value, int64_t now_s)
{
    char text[512];
    struct http_head h;
    const char *why;
    int n =
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nstead-hop: %s\r\n\r\n", value);
    assert_true(http_parse_request(text, (size_t)n, &h, &why) > 0);
    return hop_valid(by, self, &h, now_s);
}

static void test_only_the_farm_makes_it(void **state)
{
    (void)state;
    char text[HOP_TEXT_MAX];
    size_t len = hop_make(key, "s2", NOW, text);
    assert_int_equal(len, strlen(text));
    assert_true(valid(key, "s2", text, NOW));
    assert_true(valid(key, "s2", text, NOW + HOP_LIFE_S - 1));
    assert_true(valid(key, "s2", text, NOW - 29)); /* a clock behind */
    assert_false(valid(key, "s2", text, NOW + HOP_LIFE_S));
    assert_false(valid(key, "s2", text, NOW - 3600));
    assert_false(valid(key, "s3", text, NOW));
    assert_false(valid(other, "s2", text, NOW));
    text[5] = text[5] == 'A' ? 'B' : 'A';
    assert_false(valid(key, "s2", text, NOW));
    assert_false(valid(key, "s2", "", NOW));
    assert_false(valid(key, "s2", "x", NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_the_farm_makes_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
