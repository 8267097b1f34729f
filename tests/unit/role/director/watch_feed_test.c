/* watch_feed_test.c - which snapshots watchers are told, and which are remembered. */
#include "role/director/watch_feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct roster *snapshot(uint64_t revision, size_t count, uint32_t users, enum status s)
{
    struct roster *r = roster_blank(count, 1);
    assert_non_null(r);
    r->revision = revision;
    for (size_t i = 0; i < count; i++) {
        snprintf(r->nodes[i].entry->name, NAME_MAX_BYTES, "n%05zu", i);
        r->nodes[i].entry->server_count = 1;
        r->nodes[i].entry->servers[0].users = users;
        r->nodes[i].entry->servers[0].healthy = true;
        r->nodes[i].status = s;
    }
    return r;
}

static uint64_t newest(struct watch_feed *f)
{
    struct roster *r = watch_feed_newest(f);
    uint64_t revision = r != NULL ? r->revision : 0;
    roster_unref(r);
    return revision;
}

static bool knows(struct watch_feed *f, uint64_t revision)
{
    struct roster *r = watch_feed_find(f, revision);
    bool known = r != NULL && r->revision == revision;
    roster_unref(r);
    return known;
}

/* Offers it and lets go of it; the newest revision then. */
static uint64_t offer(struct watch_feed *f, struct roster *r, uint64_t now_ms, bool at_once)
{
    watch_feed_offer(f, r, now_ms, at_once);
    roster_unref(r);
    return newest(f);
}

static void test_pace(void **state)
{
    (void)state;
    struct watch_feed *f = watch_feed_new();
    assert_non_null(f);
    assert_int_equal(newest(f), 0);
    assert_int_equal(offer(f, snapshot(5, 2, 1, STATUS_UP), 10000, false), 5);
    /* counts wait for a second, the rest for the pace */
    assert_int_equal(offer(f, snapshot(6, 2, 2, STATUS_UP), 10999, false), 5);
    assert_int_equal(offer(f, snapshot(6, 2, 2, STATUS_UP), 11000, false), 6);
    assert_int_equal(offer(f, snapshot(7, 2, 2, STATUS_DOWN), 11099, false), 6);
    assert_int_equal(offer(f, snapshot(7, 2, 2, STATUS_DOWN), 11100, false), 7);
    /* never back, nor twice, whatever a worker's clock says */
    assert_int_equal(offer(f, snapshot(6, 2, 2, STATUS_UP), 20000, true), 7);
    assert_int_equal(offer(f, snapshot(8, 2, 3, STATUS_DOWN), 11000, false), 7);
    assert_int_equal(offer(f, snapshot(8, 2, 3, STATUS_DOWN), 11101, true), 8);
    assert_true(knows(f, 5) && knows(f, 6) && knows(f, 7) && knows(f, 8));
    assert_false(knows(f, 4) || knows(f, 9));
    watch_feed_free(f);
}

static void test_bounds(void **state)
{
    (void)state;
    struct watch_feed *f = watch_feed_new();
    assert_non_null(f);
    for (uint64_t n = 1; n <= WATCH_FEED_MAX + 10; n++)
        assert_int_equal(offer(f, snapshot(n, 1, 1, STATUS_UP), 0, true), n);
    assert_true(knows(f, 11));
    assert_false(knows(f, 10));
    /* large ones push out more, and the newest stays whatever its size */
    for (uint64_t n = 100; n < 104; n++)
        offer(f, snapshot(n, WATCH_FEED_NODES_MAX / 2, 1, STATUS_UP), 0, true);
    assert_true(knows(f, 103) && knows(f, 102));
    assert_false(knows(f, 101));
    assert_int_equal(offer(f, snapshot(200, WATCH_FEED_NODES_MAX + 1, 1, STATUS_UP), 0, true), 200);
    assert_false(knows(f, 103));
    watch_feed_free(f);
    watch_feed_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
