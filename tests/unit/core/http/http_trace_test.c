/* http_trace_test.c - the examples of W3C Trace Context, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/http/http_trace.h"

#include <string.h>

#define EXAMPLE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static struct slice text(const char *t)
{
    return (struct slice){t, strlen(t)};
}

static void test_the_example_comes_back(void **state)
{
    (void)state;
    struct trace t;
    char out[TRACE_TEXT_MAX];
    assert_true(trace_parse(text(EXAMPLE), &t));
    assert_int_equal(t.id[0], 0x4bf92f3577b34da6);
    assert_int_equal(t.parent, 0x00f067aa0ba902b7);
    trace_format(&t, out);
    assert_string_equal(out, EXAMPLE);
    trace_step(&t, 0xabc);
    trace_format(&t, out);
    assert_string_equal(out, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
}

static void test_what_is_none(void **state)
{
    (void)state;
    struct trace t;
    static const char *const bad[] = {
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00+4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736+00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(trace_parse(text(bad[i]), &t));
    assert_false(trace_parse((struct slice){NULL, 0}, &t));
    assert_true(
        trace_parse(text("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"), &t));
}

static void test_a_trace_that_begins_here_is_valid(void **state)
{
    (void)state;
    struct trace t, back;
    char out[TRACE_TEXT_MAX];
    trace_begin(&t, (uint64_t[]){0, 0});
    trace_step(&t, 0);
    trace_format(&t, out);
    assert_true(trace_parse(text(out), &back));
}

static void test_request_ids(void **state)
{
    (void)state;
    char longest[REQUEST_ID_CHARS_MAX + 2];
    memset(longest, 'a', sizeof longest);
    assert_true(request_id_valid((struct slice){longest, REQUEST_ID_CHARS_MAX}));
    assert_false(request_id_valid((struct slice){longest, REQUEST_ID_CHARS_MAX + 1}));
    assert_true(request_id_valid(text("7b3bf470-9456-11e8-9eb6-529269fb1459")));
    assert_false(request_id_valid(text("")));
    assert_false(request_id_valid(text("a b")));
    assert_false(request_id_valid(text("a\"b")));
    assert_false(request_id_valid((struct slice){"a\0b", 3}));
    assert_false(request_id_valid((struct slice){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_comes_back),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_a_trace_that_begins_here_is_valid),
        cmocka_unit_test(test_request_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
