/* name_failback_test.c - a server's own name leads to its backup for a while after it came back. */
#include "role/name/name_failback.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S NS_PER_S

static struct roster *roster;
static struct name_config config;
static struct name_failback f;

/* s1, whose backup is s2. */
static int set_up(void **state)
{
    (void)state;
    roster = roster_blank(2, 1);
    assert_non_null(roster);
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = roster->nodes[i].entry;
        memcpy(e->name, i ? "s2" : "s1", 3);
        e->server_count = 1;
        memcpy(e->servers[0].service, "db", 3);
        memcpy(e->servers[0].backup, i ? "primary" : "s2", i ? 8 : 3);
        roster->nodes[i].status = STATUS_UP;
    }
    config = (struct name_config){
        .service_count = 1, .services = {{.id = "db", .name = "db.test", .failback_ms = 10000}}};
    memset(&f, 0, sizeof(f));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    roster_unref(roster);
    return 0;
}

static bool held_at(enum status status, uint64_t now_ns)
{
    roster->nodes[0].status = status;
    name_failback_see(&f, &config, roster, now_ns);
    return name_failback_held(&f, "s1", "db");
}

static void test_until_sessions_end(void **state)
{
    (void)state;
    assert_false(held_at(STATUS_UP, 1 * S)); /* never gone */
    assert_false(held_at(STATUS_DOWN, 2 * S));
    assert_int_equal(name_failback_next(&f), UINT64_MAX);
    assert_true(held_at(STATUS_UP, 5 * S));
    assert_int_equal(name_failback_next(&f), 15 * S);
    assert_true(held_at(STATUS_UP, 15 * S - 1));
    assert_false(held_at(STATUS_UP, 15 * S));
    assert_int_equal(f.count, 0);
}

static void test_not_when_the_backup_is_gone(void **state)
{
    (void)state;
    held_at(STATUS_DOWN, 2 * S);
    assert_true(held_at(STATUS_UP, 5 * S));
    roster->nodes[1].status = STATUS_DOWN;
    assert_false(held_at(STATUS_UP, 6 * S));
    roster->nodes[1].status = STATUS_UP;
    assert_false(held_at(STATUS_UP, 7 * S));
}

static void test_never_and_at_once(void **state)
{
    (void)state;
    config.services[0].failback_ms = NAME_FAILBACK_NEVER;
    held_at(STATUS_DOWN, 2 * S);
    assert_true(held_at(STATUS_UP, 5 * S));
    assert_true(held_at(STATUS_UP, 500000 * S));
    memset(&f, 0, sizeof(f));
    config.services[0].failback_ms = 0;
    held_at(STATUS_DOWN, 2 * S);
    assert_false(held_at(STATUS_UP, 5 * S));
    config.services[0].failback_ms = 10000;
    memcpy(roster->nodes[0].entry->servers[0].backup, "primary", 8);
    held_at(STATUS_DOWN, 2 * S);
    assert_false(held_at(STATUS_UP, 5 * S)); /* a new choice */
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_until_sessions_end),
                                       TEST(test_not_when_the_backup_is_gone),
                                       TEST(test_never_and_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
