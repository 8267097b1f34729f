/* memcache_test.c - what memcached's clients send is understood in all three forms, wherever it is
 * cut, and answered by the book. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memcache/memcache.h"

#include <stdio.h>
#include <string.h>

static struct memcache_request q;
static char bytes[4096];
static struct memcache_out out;

static void parse(const char *text)
{
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(memcache_parse(text, cut, false, &q), 0);
    assert_int_equal(memcache_parse(text, len, false, &q), len);
    memcache_out_init(&out, bytes, sizeof bytes);
}

static void assert_said(const char *wanted)
{
    assert_false(out.failed);
    assert_int_equal(out.len, strlen(wanted));
    assert_memory_equal(bytes, wanted, out.len);
}

static void assert_error(const char *request, const char *wanted)
{
    parse(request);
    assert_int_equal(q.op, MEMCACHE_BAD);
    memcache_put_status(&out, &q, MEMCACHE_INVALID, NULL);
    assert_said(wanted);
}

static void test_get(void **state)
{
    (void)state;
    const struct memcache_item item = {.key = {"a", 1}, .value = {"xyz", 3}, .flags = 2, .cas = 9};
    parse("get a b  c \r\n");
    assert_int_equal(q.key_count, 3);
    memcache_put_item(&out, &q, &item);
    memcache_put_miss(&out, &q, q.keys[1]);
    memcache_put_end(&out, &q);
    assert_said("VALUE a 2 3\r\nxyz\r\nEND\r\n");
    parse("gets a\n");
    memcache_put_item(&out, &q, &item);
    assert_said("VALUE a 2 3 9\r\nxyz\r\n");
    parse("gat 60 a\r\n");
    assert_true(q.op == MEMCACHE_GET && q.touches && q.expiry == 60);
    assert_error("get\r\n", "ERROR\r\n");
}

static void test_store(void **state)
{
    (void)state;
    parse("set mod_ssl-sess:01 0 299 5 \r\na\r\nbc\r\n");
    assert_true(q.op == MEMCACHE_SET && slice_is(q.value, "a\r\nbc"));
    parse("set k 4294967295 -1 4\r\n\r\n\r\n\r\n");
    assert_true(q.op == MEMCACHE_SET && q.flags == UINT32_MAX && q.expiry == -1);
    assert_int_equal(q.value.len, 4);
    memcache_put_status(&out, &q, MEMCACHE_OK, NULL);
    assert_said("STORED\r\n");
    parse("add k 0 30 0 noreply\r\n\r\n");
    assert_true(q.op == MEMCACHE_ADD && q.quiet && q.value.len == 0);
    memcache_put_status(&out, &q, MEMCACHE_NOT_STORED, NULL);
    memcache_put_status(&out, &q, MEMCACHE_NO_MEMORY, NULL);
    assert_said("");
    parse("cas k 1 0 1 18446744073709551615\r\nx\r\n");
    assert_true(q.op == MEMCACHE_SET && q.has_cas && q.cas == UINT64_MAX);
    memcache_put_status(&out, &q, MEMCACHE_EXISTS, NULL);
    assert_said("EXISTS\r\n");
    assert_error("set k 0 0 1 nope\r\nx\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_error("set k x 0 1\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_error("set k 0 0 -1\r\n", "CLIENT_ERROR bad command line format\r\n");
}

static void test_values_that_do_not_fit(void **state)
{
    (void)state;
    parse("set k 0 0 1048577\r\n");
    assert_int_equal(q.skip, 1048579);
    memcache_put_status(&out, &q, MEMCACHE_TOO_LARGE, NULL);
    assert_said("SERVER_ERROR object too large for cache\r\n");
    static const char bad[] = "set k 0 0 2\r\nabcd\r\nget k\r\n";
    int n = memcache_parse(bad, sizeof bad - 1, false, &q);
    assert_int_equal(n, 19);
    assert_string_equal(q.error, "CLIENT_ERROR bad data chunk");
    assert_int_equal(memcache_parse(bad + n, sizeof bad - 1 - 19, false, &q), 7);
    assert_int_equal(q.op, MEMCACHE_GET);
}

static void test_the_rest(void **state)
{
    (void)state;
    parse("delete k 0\r\n");
    assert_true(q.op == MEMCACHE_DELETE && !q.quiet);
    memcache_put_status(&out, &q, MEMCACHE_OK, NULL);
    memcache_put_status(&out, &q, MEMCACHE_NOT_FOUND, NULL);
    assert_said("DELETED\r\nNOT_FOUND\r\n");
    parse("delete k noreply\r\n");
    assert_true(q.op == MEMCACHE_DELETE && q.quiet);
    parse("incr k 18446744073709551615\r\n");
    assert_true(q.op == MEMCACHE_INCR && q.delta == UINT64_MAX);
    memcache_put_number(&out, &q, 7, NULL);
    memcache_put_status(&out, &q, MEMCACHE_NOT_NUMBER, NULL);
    assert_said("7\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    parse("touch k 9 noreply\r\n");
    assert_true(q.op == MEMCACHE_TOUCH && q.quiet && q.expiry == 9);
    parse("flush_all 600\r\n");
    assert_true(q.op == MEMCACHE_FLUSH && q.expiry == 600);
    parse("version\r\n");
    memcache_put_version(&out, &q, "1.6.0");
    assert_said("VERSION 1.6.0\r\n");
    parse("stats\r\n");
    memcache_put_stat(&out, &q, "pid", "1");
    memcache_put_stats_end(&out, &q);
    assert_said("STAT pid 1\r\nEND\r\n");
    parse("quit\r\n");
    assert_int_equal(q.op, MEMCACHE_QUIT);
    assert_error("\r\n", "ERROR\r\n");
    assert_error("GET k\r\n", "ERROR\r\n"); /* memcached's commands are lower case */
    assert_int_equal(memcache_parse("POST / HTTP/1.1\r\nset", 20, false, &q), -1);
    assert_string_equal(q.error, "CLIENT_ERROR this is no HTTP server");
    parse("get / HTTP/1.1\r\n");
    assert_true(q.op == MEMCACHE_GET && q.key_count == 2);
    assert_error("incr k -1\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n");
    assert_error("delete\r\n",
                 "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
}

static void test_keys(void **state)
{
    (void)state;
    char text[600];
    int n = snprintf(text, sizeof text, "get %0250d\r\n", 1);
    assert_int_equal(memcache_parse(text, (size_t)n, false, &q), n);
    assert_int_equal(q.op, MEMCACHE_GET);
    n = snprintf(text, sizeof text, "get %0251d\r\n", 1);
    assert_int_equal(memcache_parse(text, (size_t)n, false, &q), n);
    assert_int_equal(q.op, MEMCACHE_BAD);
    assert_error("get a\tb\r\n", "CLIENT_ERROR bad command line format\r\n");
    static char endless[MEMCACHE_LINE_MAX];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(memcache_parse(endless, sizeof endless - 1, false, &q), 0);
    assert_int_equal(memcache_parse(endless, sizeof endless, false, &q), -1);
}

static void test_meta(void **state)
{
    (void)state;
    const struct memcache_item item = {
        .key = {"foo", 3}, .value = {"xy", 2}, .flags = 5, .cas = 77, .left_s = -1};
    parse("mg foo t c f v k O123 s\r\n");
    assert_true(q.op == MEMCACHE_GET && q.form == MEMCACHE_META);
    memcache_put_item(&out, &q, &item);
    assert_said("VA 2 t-1 c77 f5 kfoo O123 s2\r\nxy\r\n");
    parse("mg foo q\r\n");
    memcache_put_miss(&out, &q, q.keys[0]);
    assert_said("");
    parse("mg foo\r\n");
    memcache_put_miss(&out, &q, q.keys[0]);
    memcache_put_item(&out, &q, &item);
    assert_said("EN\r\nHD\r\n");
    parse("ms foo 2 T90 F5 ME c\r\nhi\r\n");
    assert_true(q.op == MEMCACHE_ADD && q.flags == 5 && q.expiry == 90);
    memcache_put_status(&out, &q, MEMCACHE_NOT_STORED, &item);
    assert_said("NS c77\r\n");
    parse("ms foo 2 q C77\r\nhi\r\n");
    assert_true(q.has_cas && q.cas == 77);
    memcache_put_status(&out, &q, MEMCACHE_OK, &item);
    memcache_put_status(&out, &q, MEMCACHE_EXISTS, &item);
    assert_said("EX\r\n");
    parse("md foo q\r\n");
    memcache_put_status(&out, &q, MEMCACHE_NOT_FOUND, NULL);
    assert_said("");
    parse("ma foo N60 J13 D3 MD v\r\n");
    assert_true(q.op == MEMCACHE_DECR && q.has_initial && q.initial == 13 && q.delta == 3);
    memcache_put_number(&out, &q, 10, &item);
    assert_said("VA 2\r\n10\r\n");
    parse("mn\r\n");
    memcache_put_status(&out, &q, MEMCACHE_OK, NULL);
    assert_said("MN\r\n");
    assert_error("mg foo v v\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_error("mg foo %\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_error("mx foo\r\n", "ERROR\r\n");
    assert_error("ms foo S100\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_error("ms foo 2 Mx\r\nhi\r\n", "CLIENT_ERROR bad command line format\r\n");
}

/* A head, and what follows it. */
static size_t frame(char *to, uint8_t opcode, uint16_t key, uint8_t extras, uint32_t body,
                    const char *rest)
{
    const unsigned char head[24] = {0x80,
                                    opcode,
                                    (unsigned char)(key >> 8),
                                    (unsigned char)key,
                                    extras,
                                    0,
                                    0,
                                    0,
                                    (unsigned char)(body >> 24),
                                    (unsigned char)(body >> 16),
                                    (unsigned char)(body >> 8),
                                    (unsigned char)body,
                                    0,
                                    0,
                                    0,
                                    42};
    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, rest, body);
    return sizeof head + body;
}

static void parse_frame(const char *text, size_t len)
{
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(memcache_parse(text, cut, true, &q), 0);
    assert_int_equal(memcache_parse(text, len, true, &q), len);
    memcache_out_init(&out, bytes, sizeof bytes);
}

static void test_binary(void **state)
{
    (void)state;
    char text[256];
    const struct memcache_item item = {.key = {"key", 3}, .value = {"v", 1}, .flags = 1, .cas = 3};
    parse_frame(text, frame(text, 0x02, 3, 8, 12, "\0\0\0\2\0\0\0\x1ekeyv"));
    assert_true(q.op == MEMCACHE_ADD && q.flags == 2 && q.expiry == 30 && q.opaque == 42);
    assert_true(slice_is(q.keys[0], "key") && slice_is(q.value, "v"));
    memcache_put_status(&out, &q, MEMCACHE_EXISTS, NULL);
    assert_memory_equal(bytes, "\x81\x02\0\0\0\0\0\x02", 8);
    assert_memory_equal(bytes + 24, "Data exists for key.", 20);

    parse_frame(text, frame(text, 0x0c, 3, 0, 3, "key"));
    assert_true(q.op == MEMCACHE_GET && q.with_key);
    memcache_put_item(&out, &q, &item);
    assert_int_equal(out.len, 24 + 4 + 3 + 1);
    assert_memory_equal(
        bytes, "\x81\x0c\0\3\4\0\0\0\0\0\0\x08\0\0\0\x2a\0\0\0\0\0\0\0\3\0\0\0\1keyv", out.len);
    parse_frame(text, frame(text, 0x09, 3, 0, 3, "key"));
    memcache_put_miss(&out, &q, q.keys[0]);
    assert_int_equal(out.len, 0);
    parse_frame(text, frame(text, 0x1c, 3, 4, 7, "\0\0\5\xa0key"));
    assert_true(q.op == MEMCACHE_TOUCH && q.expiry == 1440);
    parse_frame(
        text, frame(text, 0x05, 3, 20, 23, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\7\xff\xff\xff\xffkey"));
    assert_true(q.op == MEMCACHE_INCR && q.delta == 1 && q.initial == 7 && !q.has_initial);
    memcache_put_number(&out, &q, 258, &item);
    assert_memory_equal(bytes + 24, "\0\0\0\0\0\0\1\2", 8);
    parse_frame(text, frame(text, 0x07, 0, 0, 0, ""));
    assert_int_equal(q.op, MEMCACHE_QUIT);
}

static void test_bad_binary(void **state)
{
    (void)state;
    char text[256];
    parse_frame(text, frame(text, 0x55, 3, 0, 3, "key"));
    memcache_put_status(&out, &q, MEMCACHE_OK, NULL);
    assert_memory_equal(bytes + 6, "\0\x81", 2);
    parse_frame(text, frame(text, 0x00, 0, 0, 0, ""));
    assert_true(q.op == MEMCACHE_BAD && q.status == MEMCACHE_INVALID);
    parse_frame(text, frame(text, 0x01, 3, 4, 7, "\0\0\0\0key"));
    assert_true(q.op == MEMCACHE_BAD && q.status == MEMCACHE_INVALID);
    frame(text, 0x00, 9, 0, 3, "key");
    assert_int_equal(memcache_parse(text, 27, true, &q), -1);
    text[0] = 'g';
    assert_int_equal(memcache_parse(text, 27, true, &q), -1);
    frame(text, 0x01, 3, 8, 0, "");
    text[8] = text[9] = 0x7f;
    assert_int_equal(memcache_parse(text, 24, true, &q), 24);
    assert_true(q.op == MEMCACHE_BAD && q.status == MEMCACHE_TOO_LARGE && q.skip == 0x7f7f0000);
}

static void test_expiry(void **state)
{
    (void)state;
    uint32_t ttl;
    assert_true(memcache_ttl(0, 1763731200, &ttl) && ttl == 0);
    assert_true(memcache_ttl(60, 1763731200, &ttl) && ttl == 60000);
    assert_true(memcache_ttl(MEMCACHE_RELATIVE_MAX_S, 1763731200, &ttl) && ttl == 2592000000u);
    assert_true(memcache_ttl(1763731260, 1763731200, &ttl) && ttl == 60000);
    assert_false(memcache_ttl(-1, 1763731200, &ttl));
    assert_false(memcache_ttl(MEMCACHE_RELATIVE_MAX_S + 1, 1763731200, &ttl));
    assert_true(memcache_ttl(INT64_MAX, 1763731200, &ttl) && ttl == UINT32_MAX);
}

static void test_no_room(void **state)
{
    (void)state;
    const struct memcache_item item = {.key = {"a", 1}, .value = {"xyz", 3}};
    parse("get a\r\n");
    for (size_t cap = 0; cap < 18; cap++) {
        memcache_out_init(&out, bytes, cap);
        memcache_put_item(&out, &q, &item);
        assert_true(out.failed && out.len <= cap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_values_that_do_not_fit),
        cmocka_unit_test(test_the_rest),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_bad_binary),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
