/* store_own_test.c - what is told of own servers, and whom it wakes. */
#include "store/store_own.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct store *store;
static unsigned woken;

static void wake(void *context)
{
    (void)context;
    woken++;
}

static int set_up(void **state)
{
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    struct tally_config report = {.from = USERS_REPORT, .weight = 100, .max_age_ns = 10 * NS_PER_S};
    (void)state;
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    store = store_new(&c, 1);
    assert_non_null(store);
    store_set_mesh_wake(store, (struct store_wake){wake, NULL});
    store_own_open(store, 0, "shop", &report);
    report.from = USERS_FORWARD;
    store_own_open(store, 1, "mail", &report);
    store_set_healthy(store, 0, true);
    woken = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static int find(const char *service)
{
    return store_own_find(store, (struct slice){service, strlen(service)});
}

static void servers_are_found_by_service(void **state)
{
    (void)state;
    assert_int_equal(find("shop"), 0);
    assert_int_equal(find("mail"), 1);
    assert_int_equal(find("shopp"), -1);
    assert_int_equal(find(""), -1); /* as those that are not there are named */
}

static void only_changes_wake(void **state)
{
    struct told w = {.what = TOLD_USERS, .users = 3};
    struct tally_state s;
    (void)state;
    store_own_tell(store, 0, TELLER_REPORT, &w, NS_PER_S);
    assert_int_equal(woken, 1);
    store_own_tell(store, 0, TELLER_REPORT, &w, 2 * NS_PER_S);
    assert_int_equal(woken, 1);
    store_own_tell(store, 1, TELLER_REPORT, &w, 2 * NS_PER_S); /* no source of its users */
    assert_int_equal(woken, 1);
    store_own_state(store, 0, 2 * NS_PER_S, &s);
    assert_true(s.users == 3 && s.age_ns == 0 && !s.stale);
    store_users_add(store, 1, 5);
    store_own_state(store, 1, 2 * NS_PER_S, &s);
    assert_int_equal(s.users, 5);
}

static void who_is_still_there(void **state)
{
    struct told w = {.what = TOLD_USERS, .users = 3};
    struct tally_state s;
    (void)state;
    store_own_tell(store, 0, TELLER_REPORT, &w, NS_PER_S);
    store_own_tell(store, 1, TELLER_REPORT, &w, NS_PER_S);
    assert_int_equal(store_users(store, 0), 3);
    assert_int_equal(store_users(store, 1), 0); /* it counts what it forwards */
    store_users_add(store, 0, 4);
    assert_int_equal(store_users(store, 0), 4);
    store_users_add(store, 0, -4);
    store_own_state(store, 0, 60 * NS_PER_S, &s);
    assert_true(s.stale && s.users == 3);
    assert_int_equal(store_users(store, 0), 0); /* an old number keeps nobody from stopping */
}

static void its_own_word_takes_it_out(void **state)
{
    struct told down = {.what = TOLD_DOWN, .down = true}, up = {.what = TOLD_DOWN},
                maint = {.what = TOLD_ADMIN | TOLD_USERS, .maint = true};
    (void)state;
    assert_true(store_healthy(store, 0));
    store_own_tell(store, 0, TELLER_AGENT, &down, 1);
    assert_false(store_healthy(store, 0));
    assert_true(store_own_checked(store, 0)); /* checks found nothing wrong */
    store_own_tell(store, 0, TELLER_REPORT, &maint, 1);
    store_own_tell(store, 0, TELLER_AGENT, &up, 1);
    assert_false(store_healthy(store, 0));
    store_own_forget(store, 0, TELLER_REPORT, 1);
    assert_true(store_healthy(store, 0));
    store_set_healthy(store, 0, false);
    assert_false(store_healthy(store, 0));
}

static void what_was_told_is_shown(void **state)
{
    struct told w = {.what = TOLD_USERS, .users = 3}, out;
    uint64_t age;
    (void)state;
    assert_false(store_own_told(store, 0, TELLER_REPORT, 5, &out, &age));
    assert_int_equal(age, TIME_NEVER);
    store_own_tell(store, 0, TELLER_REPORT, &w, 10);
    assert_true(store_own_told(store, 0, TELLER_REPORT, 15, &out, &age));
    assert_true(out.users == 3 && age == 5);
    store_own_forget(store, 0, TELLER_REPORT, 20);
    assert_false(store_own_told(store, 0, TELLER_REPORT, 25, &out, &age));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(servers_are_found_by_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_changes_wake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_still_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_own_word_takes_it_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_told_is_shown, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
