/* sse_test.c - server-sent events, whole, in pieces, and endless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/sse.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

/* All events as "event|id|data;", fed in pieces of so many bytes. */
static int read_all(const char *text, size_t piece, char out[512])
{
    struct sse s = {0};
    size_t left = strlen(text), n = 0;
    int got = 0;
    out[0] = 0;
    while (left && got >= 0) {
        const char *at = text;
        size_t len = left < piece ? left : piece;
        text += len;
        left -= len;
        while ((got = sse_feed(&s, &at, &len)) > 0)
            n += (size_t)snprintf(out + n, 512 - n, "%s|%s|%s;", s.event, s.id, s.data.bytes);
    }
    sse_deinit(&s);
    return got;
}

static void test_events(void **state)
{
    (void)state;
    static const struct {
        const char *text, *events;
    } cases[] = {
        {"event: roster\nid: a-1\ndata: {}\n\n", "roster|a-1|{};"},
        {"event:roster\r\ndata:{}\r\n\r\ndata: x\r\n\r\n", "roster||{};||x;"},
        {"data: a\rdata: b\r\r", "||a\nb;"},
        {"id: 1\ndata: a\n\ndata: b\n\n", "|1|a;|1|b;"},
        {": keepalive\n\n:\ndata: a\n\n", "||a;"},
        {"event: lost\n\ndata: a\n\n", "||a;"},
        {"data\n\n", "||;"},
        {"data:\ndata:\n\n", "||\n;"},
        {"data: never ended\n", ""},
        {"nonsense\nretry: 5\ndata: a\n\n", "||a;"},
        {"event: 0123456789012345678901234567890123456789\ndata: a\n\n", "||a;"},
        {"data:  two\n\n", "|| two;"},
        {"data: a:b\n\n\n\n", "||a:b;"},
    };
    char out[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece < 40; piece++) {
            assert_int_equal(read_all(cases[i].text, piece, out), 0);
            assert_string_equal(out, cases[i].events);
        }
    }
}

static int feed_many(struct sse *s, const char *bytes, size_t times)
{
    int got = 0;
    while (times-- && got == 0) {
        const char *at = bytes;
        size_t len = strlen(bytes);
        got = sse_feed(s, &at, &len);
    }
    return got;
}

/* A line that never ends, an event that never ends: an end is made. Comments cost nothing. */
static void test_endless(void **state)
{
    (void)state;
    static char block[1 << 20];
    memset(block, 'x', sizeof block - 1);
    struct sse s = {0};
    assert_int_equal(feed_many(&s, "data: ", 1), 0);
    assert_int_equal(feed_many(&s, block, 64), STEAD_E_TOO_LARGE);
    sse_deinit(&s);
    memcpy(block, "data: ", 6);
    block[sizeof block - 2] = '\n';
    assert_int_equal(feed_many(&s, block, 64), STEAD_E_TOO_LARGE);
    sse_deinit(&s);
    memset(block, ':', sizeof block - 1);
    assert_int_equal(feed_many(&s, block, 64), 0);
    assert_null(s.line.bytes);
    assert_int_equal(s.lines, 0); /* and no sign of life */
    sse_deinit(&s);
    sse_deinit(NULL);
}

static void test_without_memory(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        struct sse s = {0};
        const char *at = "data: abc\n\n";
        size_t len = strlen(at);
        mem_fail_after(n);
        assert_int_equal(sse_feed(&s, &at, &len), STEAD_E_NOMEM);
        mem_fail_after(0);
        sse_deinit(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
