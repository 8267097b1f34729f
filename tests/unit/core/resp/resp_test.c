/* resp_test.c - what Redis clients send is understood, wherever it is cut; garbage is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/resp/resp.h"

#include <string.h>

static struct resp_command c;
static const char *why;

static void assert_parsed(const char *text, size_t argc, const char *last)
{
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(resp_parse(text, cut, &c, &why), 0);
    assert_int_equal(resp_parse(text, len, &c, &why), len);
    assert_int_equal(c.argc, argc);
    if (argc > 0)
        assert_true(slice_is(c.argv[argc - 1], last));
}

static void test_commands(void **state)
{
    (void)state;
    assert_parsed("*1\r\n$4\r\nPING\r\n", 1, "PING");
    assert_true(resp_is(&c, 0, "ping"));
    assert_false(resp_is(&c, 1, "ping"));
    assert_parsed("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n", 3, "\r\n");
    assert_parsed("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 2, "");
    assert_parsed("GET  a b \r\n", 3, "b");
    assert_parsed("PING\n", 1, "PING");
    assert_parsed("\r\n", 0, NULL);
    assert_parsed("*0\r\n", 0, NULL);
    assert_parsed("*-1\r\n", 0, NULL);
}

static void test_the_first_of_several(void **state)
{
    (void)state;
    static const char two[] = "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n";
    int first = resp_parse(two, sizeof two - 1, &c, &why);
    assert_int_equal(first, 14);
    assert_int_equal(resp_parse(two + first, sizeof two - 1 - 14, &c, &why), 14);
    assert_true(slice_is(c.argv[0], "QUIT"));
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const bad[] = {"*1025\r\n",
                                      "*x\r\n",
                                      "*\r\n",
                                      "*01\r\n",
                                      "*1\r\nPING\r\n",
                                      "*1\r\n$-1\r\n",
                                      "*1\r\n$x\r\n",
                                      "*1\r\n$4\r\nPINGxx",
                                      "*1\r\n$1048577\r\n",
                                      "*99999999999999999999\r\n",
                                      "*1\r\n$+1\r\na\r\n",
                                      "GET / HTTP/1.1\r\n",
                                      "POST /a HTTP/1.0\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why = NULL;
        assert_int_equal(resp_parse(bad[i], strlen(bad[i]), &c, &why), -1);
        assert_non_null(strstr(why, "Protocol error: "));
    }
    static char endless[RESP_INLINE_MAX + 1];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(resp_parse(endless, RESP_INLINE_MAX - 1, &c, &why), 0);
    assert_int_equal(resp_parse(endless, sizeof endless, &c, &why), -1);
}

static void test_integers(void **state)
{
    (void)state;
    int64_t n;
    assert_true(resp_int((struct slice){"-9223372036854775808", 20}, &n));
    assert_true(n == INT64_MIN);
    assert_true(resp_int((struct slice){"9223372036854775807", 19}, &n));
    assert_true(n == INT64_MAX);
    assert_false(resp_int((struct slice){"9223372036854775808", 19}, &n));
    assert_true(resp_int((struct slice){"0", 1}, &n) && n == 0);
    static const char *const bad[] = {"", "-", "00", "1 ", " 1", "0x1", "-0x", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(resp_int((struct slice){bad[i], strlen(bad[i])}, &n));
}

static void put_all(struct resp_out *o)
{
    resp_put_simple(o, "OK");
    resp_put_error(o, "ERR no");
    resp_put_int(o, -7);
    resp_put_bulk(o, "a\r\n", 3);
    resp_put_bulk(o, NULL, 0);
    resp_put_null(o);
    resp_put_array(o, 2);
    resp_put_map(o, 1);
}

static void test_replies(void **state)
{
    (void)state;
    static const char two[] =
        "+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n*2\r\n*2\r\n";
    static const char three[] =
        "+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$0\r\n\r\n_\r\n*2\r\n%1\r\n";
    char bytes[128];
    struct resp_out o;
    resp_out_init(&o, bytes, sizeof bytes, false);
    put_all(&o);
    assert_false(o.failed);
    assert_int_equal(o.len, sizeof two - 1);
    assert_memory_equal(bytes, two, sizeof two - 1);
    resp_out_init(&o, bytes, sizeof bytes, true);
    put_all(&o);
    assert_int_equal(o.len, sizeof three - 1);
    assert_memory_equal(bytes, three, sizeof three - 1);
    for (size_t cap = 0; cap < sizeof two - 1; cap++) {
        resp_out_init(&o, bytes, cap, false);
        put_all(&o);
        assert_true(o.failed && o.len <= cap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_the_first_of_several),
        cmocka_unit_test(test_garbage),  cmocka_unit_test(test_integers),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
