/* news_test.c - what a node tells of the roster, true and false; held against the node's own
 * writer of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/news.h"
#include "core/roster/roster_show.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER(name, service, users)                                                               \
    "{\"name\":\"" name "\",\"service\":\"" service "\",\"status\":\"up\",\"users\":" users        \
    ",\"urls\":[\"http://" name ".shop.test\"]}"
#define WHOLE(window, servers) "{\"farm\":\"f\",\"revision\":4," window "\"servers\":[" servers "]}"

static struct roster *whole(const char *json)
{
    struct news n;
    assert_int_equal(news_whole(json, strlen(json), &n), STEAD_OK);
    return n.roster;
}

/* "a/shop/3 b/mail/5" */
static void assert_roster(const struct roster *r, const char *expected)
{
    char out[512] = "";
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct entry *e = r->nodes[i].entry;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s/%s/%u", i ? " " : "", e->name,
                              e->servers[0].service, e->servers[0].users);
    }
    assert_string_equal(out, expected);
}

static void assert_change(const char *json, const char *expected)
{
    struct roster *old =
        whole(WHOLE("", SERVER("a", "shop", "1") "," SERVER("b", "shop", "2") "," SERVER(
                            "b", "mail", "3") "," SERVER("d", "shop", "4")));
    struct news n;
    assert_int_equal(news_event("change", json, strlen(json), old, &n), STEAD_OK);
    assert_int_equal(n.kind, NEWS_ROSTER);
    assert_roster(n.roster, expected);
    assert_string_equal(n.roster->farm, "f");
    roster_unref(n.roster);
    assert_roster(old, "a/shop/1 b/mail/3 b/shop/2 d/shop/4");
    roster_unref(old);
}

static void test_changes(void **state)
{
    (void)state;
    assert_change("{\"revision\":5}", "a/shop/1 b/mail/3 b/shop/2 d/shop/4");
    assert_change("{\"revision\":5,\"servers\":[" SERVER("b", "shop", "9") "]}",
                  "a/shop/1 b/mail/3 b/shop/9 d/shop/4");
    assert_change(
        "{\"revision\":5,\"servers\":[" SERVER("e", "shop", "5") "," SERVER(
            "c", "shop", "6") "," SERVER("0", "shop",
                                         "7") "],\"gone\":[{\"name\":\"a\",\"service\":\"shop\"},"
                                              "{\"name\":\"x\",\"service\":\"shop\"}]}",
        "0/shop/7 b/mail/3 b/shop/2 c/shop/6 d/shop/4 e/shop/5");
    assert_change(
        "{\"revision\":5,\"gone\":[{\"name\":\"b\",\"service\":\"mail\"}],\"servers\":[]}",
        "a/shop/1 b/shop/2 d/shop/4");
}

/* Two rosters of a node; the difference that it writes leads from the one to the other. */
static void test_as_the_node_writes_it(void **state)
{
    (void)state;
    struct roster *from = whole(WHOLE("", SERVER("a", "shop", "1") "," SERVER("b", "shop", "2")));
    struct roster *to = whole(WHOLE("", SERVER("b", "shop", "7") "," SERVER("c", "shop", "3")));
    const struct roster_show show = {.retry_window_ms = 900};
    char *json;
    size_t len;
    struct news n;
    to->revision = 5;
    assert_int_equal(roster_delta(from, to, &show, 100, &json, &len), STEAD_OK);
    assert_int_equal(news_event("change", json, len, from, &n), STEAD_OK);
    assert_roster(n.roster, "b/shop/7 c/shop/3");
    assert_int_equal(n.window_ms, 900);
    assert_int_equal(n.roster->revision, 5);
    mem_free(json);
    roster_unref(n.roster);
    roster_unref(from);
    roster_unref(to);
}

static void test_window(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t window;
    } cases[] = {
        {WHOLE("\"retry_window_ms\":2500,", ""), 2500},
        {WHOLE("\"retry_window_ms\": 0,", ""), 0},
        {WHOLE("", ""), NEWS_WINDOW_UNKNOWN},
        {WHOLE("\"retry_window_ms\":-1,", ""), NEWS_WINDOW_UNKNOWN},
        {WHOLE("\"retry_window_ms\":\"1\",", ""), NEWS_WINDOW_UNKNOWN},
        {WHOLE("\"x\":\"\\\"retry_window_ms\\\":7\",", ""), NEWS_WINDOW_UNKNOWN},
        {WHOLE("\"retry_window_ms\":99999999999999999999999,", ""), UINT32_MAX - 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct news n;
        int err = news_whole(cases[i].json, strlen(cases[i].json), &n);
        if (err == STEAD_OK) {
            assert_int_equal(n.window_ms, cases[i].window);
            roster_unref(n.roster);
        } else {
            assert_int_equal(err, STEAD_E_PARSE);
        }
    }
}

static void test_move(void **state)
{
    (void)state;
    struct news n;
    const char *json = "{\"service\":\"shop\",\"to\":[\"s3\",\"s1\"],\"within_ms\":5000}";
    assert_int_equal(news_event("move", json, strlen(json), NULL, &n), STEAD_OK);
    assert_int_equal(n.kind, NEWS_MOVE);
    assert_int_equal(n.to_count, 2);
    assert_string_equal(n.to[1], "s1");
    assert_int_equal(n.within_ms, 5000);
    char many[2048] = "{\"service\":\"shop\",\"within_ms\":0,\"to\":[\"s\"";
    for (int i = 0; i < 100; i++)
        strcat(many, ",\"s\"");
    strcat(many, "]}");
    assert_int_equal(news_event("move", many, strlen(many), NULL, &n), STEAD_OK);
    assert_int_equal(n.to_count, NEWS_TARGETS_MAX);
}

static void test_lies(void **state)
{
    (void)state;
    static const struct {
        const char *event, *json;
    } cases[] = {
        {"roster", "[]"},
        {"roster", ""},
        {"change", "{\"revision\":\"5\"}"},
        {"change", "{\"servers\":[]}"},
        {"change", "{\"revision\":5,\"servers\":{}}"},
        {"change", "{\"revision\":5,\"servers\":[{}]}"},
        {"change", "{\"revision\":5,\"gone\":{}}"},
        {"change", "{\"revision\":5,\"gone\":[1]}"},
        {"change", "{\"revision\":5,\"gone\":[{\"name\":\"a\"}]}"},
        {"change", "{\"revision\":-5}"},
        {"change", "[]"},
        {"move", "{}"},
        {"move", "{\"service\":\"shop\",\"to\":\"s1\",\"within_ms\":1}"},
        {"move", "{\"service\":\"shop\",\"to\":[1],\"within_ms\":1}"},
        {"move", "{\"service\":\"shop\",\"to\":[\"a b\"],\"within_ms\":1}"},
        {"move", "{\"service\":\"shop\",\"to\":[],\"within_ms\":-1}"},
        {"move", "{\"service\":\"shop\",\"to\":[],\"within_ms\":1e9}"},
        {"move", "nonsense"},
    };
    struct roster *old = whole(WHOLE("", SERVER("a", "shop", "1")));
    struct news n;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(news_event(cases[i].event, cases[i].json, strlen(cases[i].json), old, &n),
                         STEAD_E_PARSE);
        assert_null(n.roster);
    }
    assert_int_equal(news_event("change", "{\"revision\":5}", 14, NULL, &n), STEAD_E_PARSE);
    assert_int_equal(news_event("other", "nonsense", 8, old, &n), STEAD_OK);
    assert_int_equal(n.kind, NEWS_NOTHING);
    roster_unref(old);
}

static void test_without_memory(void **state)
{
    (void)state;
    const char *json = "{\"revision\":5,\"servers\":[" SERVER("b", "shop", "9") "]}";
    struct roster *old = whole(WHOLE("", SERVER("a", "shop", "1")));
    int failures = 0;
    for (unsigned i = 1; i < 12; i++) {
        struct news n;
        mem_fail_after(i);
        int err = news_event("change", json, strlen(json), old, &n);
        mem_fail_after(0);
        assert_true(err == STEAD_OK || err == STEAD_E_NOMEM);
        failures += err == STEAD_E_NOMEM;
        roster_unref(n.roster);
    }
    assert_true(failures >= 3);
    roster_unref(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes), cmocka_unit_test(test_as_the_node_writes_it),
        cmocka_unit_test(test_window),  cmocka_unit_test(test_move),
        cmocka_unit_test(test_lies),    cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
