/* own_entry_test.c - what the store knows of own servers, as the entry shows it. */
#include "node/own_entry.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct store *store;
static struct entry entry;
static struct own_entry own;

static int set_up(void **state)
{
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    struct tally_config t = {
        .from = USERS_REPORT, .weight = 100, .capacity = 9, .max_age_ns = 10 * NS_PER_S};
    (void)state;
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    store = store_new(&c, 1);
    assert_non_null(store);
    store_own_open(store, 0, "shop", &t);
    t.from = USERS_FORWARD;
    store_own_open(store, 1, "mail", &t);
    store_set_healthy(store, 0, true);
    store_set_healthy(store, 1, true);
    memset(&own, 0, sizeof own);
    own.place[1] = 1;
    memset(&entry, 0, sizeof entry);
    entry.server_count = 2;
    entry.group_count = 2;
    snprintf(entry.groups[0], sizeof entry.groups[0], "blue");
    snprintf(entry.groups[1], sizeof entry.groups[1], "gold");
    entry.group_users[1] = 77; /* of before */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static void fill(uint64_t at)
{
    own_entry_fill(&own, store, at, &entry);
}

static void counts_and_groups_are_filled_in(void **state)
{
    struct told w = {.what = TOLD_USERS | TOLD_LOAD, .users = 5, .load = 300};
    (void)state;
    fill(1);
    assert_true(entry.servers[0].users == 0 && entry.servers[0].weight == 100);
    assert_int_equal(entry.servers[0].load, LOAD_UNKNOWN);
    assert_int_equal(entry.group_users[1], 0);
    store_users_add(store, 1, 3);
    store_own_tell(store, 0, TELLER_REPORT, &w, 1);
    fill(2);
    assert_true(entry.servers[0].users == 5 && entry.servers[0].load == 300);
    assert_int_equal(entry.servers[1].users, 3);
    assert_true(entry.group_users[0] == 8 && entry.group_users[1] == 8);
    w.what |= TOLD_GROUPS;
    w.group_count = 1;
    snprintf(w.groups[0], sizeof w.groups[0], "blue");
    w.group_users[0] = 4;
    store_own_tell(store, 0, TELLER_REPORT, &w, 2);
    fill(3);
    assert_true(entry.group_users[0] == 4 + 3 && entry.group_users[1] == 3);
}

static void states_are_filled_in(void **state)
{
    struct told w = {.what = TOLD_DOWN | TOLD_ADMIN | TOLD_CAPACITY | TOLD_PERCENT,
                     .down = true,
                     .drain = true,
                     .capacity = 70,
                     .percent = 10};
    (void)state;
    store_own_tell(store, 0, TELLER_AGENT, &w, 1);
    fill(1);
    const struct server *s = &entry.servers[0];
    assert_true(!s->healthy && s->drain && !s->maint && s->capacity == 70 && s->weight == 10);
    assert_true(entry.servers[1].healthy && !entry.servers[1].drain);
    store_set_maint(store, true); /* the operator's word is of the node */
    fill(2);
    assert_true(entry.servers[0].maint && entry.servers[1].maint);
    store_set_maint(store, false);
    store_set_healthy(store, 1, false);
    fill(3);
    assert_true(!entry.servers[0].maint && !entry.servers[1].healthy);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void changes_are_logged_once(void **state)
{
    struct told w = {.what = TOLD_USERS | TOLD_PERCENT, .users = 5, .percent = 50};
    char text[4096] = "";
    int pipes[2];
    (void)state;
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    log_set_fd(pipes[1]);
    fill(NS_PER_S);
    store_own_tell(store, 0, TELLER_REPORT, &w, NS_PER_S);
    for (int i = 0; i < 5; i++)
        fill(NS_PER_S + 1);
    w.users = 6; /* a number is no event */
    store_own_tell(store, 0, TELLER_REPORT, &w, NS_PER_S);
    fill(NS_PER_S + 2);
    for (int i = 0; i < 5; i++)
        fill(20 * NS_PER_S); /* its percentage lapses, too */
    log_set_fd(STDERR_FILENO);
    assert_true(read(pipes[0], text, sizeof text - 1) > 0);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(count(text, "server-told"), 2);
    assert_int_equal(count(text, "weight=50"), 1);
    assert_int_equal(count(text, "users-fresh"), 1);
    assert_int_equal(count(text, "users-stale"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_and_groups_are_filled_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(states_are_filled_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_are_logged_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
