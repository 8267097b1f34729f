/* mark_test.c - the names of a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/mark.h"

#include <string.h>

static struct mark mark_of(const char *text, const char *node)
{
    struct http_head h;
    struct mark m;
    const char *why;
    assert_true(http_parse_request(text, strlen(text), &h, &why) > 0);
    mark_make(&h, node, 0x0123456789abcdef, &m);
    return m;
}

static void test_an_id_is_made_or_kept(void **state)
{
    (void)state;
    char lines[MARK_LINES_MAX], node[NAME_MAX_BYTES + 1];
    struct mark m = mark_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "s1");
    assert_string_equal(m.id, "0123456789abcdef@s1");
    size_t len = mark_lines(&m, lines);
    assert_int_equal(len, strlen(lines));
    assert_string_equal(lines, "X-Request-Id: 0123456789abcdef@s1\r\n");
    m = mark_of("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: abc-1\r\n\r\n", "s1");
    assert_string_equal(m.id, "abc-1");
    m = mark_of("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\"b\r\n\r\n", "s1");
    assert_string_equal(m.id, "0123456789abcdef@s1");
    memset(node, 'n', NAME_MAX_BYTES);
    node[NAME_MAX_BYTES] = '\0';
    m = mark_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n", node);
    assert_int_equal(strlen(m.id), REQUEST_ID_CHARS_MAX);
    assert_true(request_id_valid((struct slice){m.id, strlen(m.id)}));
}

static void test_a_trace_goes_on(void **state)
{
    (void)state;
    char lines[MARK_LINES_MAX];
    struct mark m = mark_of("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\nTraceparent: "
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
                            "s1");
    (void)mark_lines(&m, lines);
    assert_string_equal(lines, "X-Request-Id: 1\r\ntraceparent: "
                               "00-4bf92f3577b34da6a3ce929d0e0e4736-0123456789abcdef-01\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_is_made_or_kept),
        cmocka_unit_test(test_a_trace_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
