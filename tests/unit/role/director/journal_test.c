/* journal_test.c - decisions are found again while they are among the last, whatever their sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/journal.h"

#include <stdio.h>
#include <string.h>

static void note(struct journal *j, unsigned n, size_t path_len)
{
    static char text[1024], path[512];
    struct http_head h;
    struct decision d = {.verdict = DECIDE_MISDIRECTED, .why = "unknown-host"};
    struct mark m = {0};
    struct addr client;
    const char *why;
    memset(path, 'p', path_len);
    path[path_len] = '\0';
    int len = snprintf(text, sizeof text, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    assert_true(http_parse_request(text, (size_t)len, &h, &why) > 0);
    assert_true(addr_parse("192.0.2.1:7", 0, &client));
    snprintf(m.id, sizeof m.id, "id-%u", n);
    journal_note(j, &d, &h, &client, &m, NULL, n);
}

static bool finds(struct journal *j, unsigned n, struct journal_entry *e)
{
    char id[32];
    snprintf(id, sizeof id, "id-%u", n);
    return journal_find(j, id, e);
}

static void test_the_last_ones_are_found(void **state)
{
    (void)state;
    struct journal *j = journal_new();
    struct journal_entry e;
    assert_non_null(j);
    assert_false(finds(j, 0, &e));
    unsigned oldest = 0;
    for (unsigned n = 0; n < 20000; n++) {
        note(j, n, n * 7919 % 300);
        assert_true(finds(j, n, &e));
        assert_int_equal(e.at_s, n);
        assert_int_equal(strlen(e.path), n * 7919 % 300 < JOURNAL_PATH_MAX - 1
                                             ? n * 7919 % 300 + 1
                                             : JOURNAL_PATH_MAX - 1);
        while (!finds(j, oldest, &e))
            oldest++;
        /* Between a thousand of the shortest and what the longest leave; none in between is lost.
         */
        assert_true(n < 400 ? oldest == 0 : n - oldest >= 400);
        assert_true(finds(j, oldest + (n - oldest) / 2, &e));
    }
    assert_true(20000 - oldest < 3000);
    assert_string_equal(e.verdict, "misdirected");
    assert_int_equal(e.status, 421);
    journal_free(j);
}

static void test_the_newest_of_one_id(void **state)
{
    (void)state;
    struct journal *j = journal_new();
    struct journal_entry e;
    note(j, 7, 1);
    note(j, 8, 1);
    note(j, 7, 2);
    assert_true(finds(j, 7, &e));
    assert_string_equal(e.path, "/pp");
    journal_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_ones_are_found),
        cmocka_unit_test(test_the_newest_of_one_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
