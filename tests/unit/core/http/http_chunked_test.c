/* http_chunked_test.c - chunked bodies in one piece, in single bytes, and malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/http/http.h"

#include <stdio.h>
#include <string.h>

/* Feeds `text` in pieces of `step` bytes; gives the last result, the body, and the bytes taken. */
static int feed(const char *text, size_t len, size_t step, char *body, size_t *taken)
{
    struct http_chunked c;
    int r = 0;
    size_t out = 0, from = 0;
    http_chunked_init(&c);
    while (from < len && r == 0) {
        size_t n = len - from < step ? len - from : step;
        struct slice in = {text + from, n}, data;
        while ((r = http_chunked_step(&c, &in, &data)) == 1) {
            memcpy(body + out, data.at, data.len);
            out += data.len;
        }
        from = (size_t)(in.at - text);
    }
    body[out] = 0;
    *taken = from;
    return r;
}

static void test_body_in_all_pieces(void **state)
{
    (void)state;
    const char *text = "5;ext=\"a b\"\r\nhello\r\n01\r\n \r\nA\r\n0123456789\r\n000\r\n"
                       "Trailer: x\r\nOther:\r\n\r\nGET /next";
    char body[64];
    size_t taken;
    for (size_t step = 1; step <= strlen(text); step++) {
        assert_int_equal(feed(text, strlen(text), step, body, &taken), 2);
        assert_string_equal(body, "hello 0123456789");
        assert_string_equal(text + taken, "GET /next");
    }
    assert_int_equal(feed("5\r\nhel", 6, 99, body, &taken), 0);
    assert_string_equal(body, "hel");
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n0",
        "g\r\n",
        "-1\r\n",
        "0x5\r\n",
        "5 \r\n",
        " 5\r\n",
        ";a\r\n",
        "5;a\rb\r\n",
        "5;a\nb",
        "5;\x01\r\n",
        "0\r\n\n",
        "0\r\nA b:\r\n",
        "0\r\n: b\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\n c\r\n",
        "8000000000000000\r\n",
        "00000000000000001\r\n",
        "fffffffffffffffff\r\n",
    };
    char body[64];
    size_t taken;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (feed(bad[i], strlen(bad[i]), 1, body, &taken) != -400)
            print_error("accepted: %s\n", bad[i]);
        assert_int_equal(feed(bad[i], strlen(bad[i]), 1, body, &taken), -400);
        assert_int_equal(feed(bad[i], strlen(bad[i]), 99, body, &taken), -400);
    }
}

static void test_bad_stays_bad(void **state)
{
    (void)state;
    struct http_chunked c;
    struct slice in = {"x", 1}, data;
    http_chunked_init(&c);
    assert_int_equal(http_chunked_step(&c, &in, &data), -400);
    in = (struct slice){"5\r\n", 3};
    assert_int_equal(http_chunked_step(&c, &in, &data), -400);
}

static void test_bounds(void **state)
{
    (void)state;
    static char text[64 * 1024], body[64];
    size_t taken, n = (size_t)sprintf(text, "1;");
    memset(text + n, 'a', 2000);
    assert_int_equal(feed(text, n + 2000, 100, body, &taken), -400);
    n = (size_t)sprintf(text, "0\r\n");
    while (n < HTTP_HEAD_MAX + 100)
        n += (size_t)sprintf(text + n, "Name: value\r\n");
    assert_int_equal(feed(text, n, 1000, body, &taken), -400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_in_all_pieces),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bad_stays_bad),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
