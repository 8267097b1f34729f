/* tally_test.c - one source for users, all voices for the rest, and what age does to them. */
#include "core/roster/tally.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AGE_NS (10 * NS_PER_S)
#define START_NS NS_PER_S

static struct tally tally;
static struct tally_state seen;

static void begin(enum users_from from)
{
    const struct tally_config c = {
        .from = from, .weight = 200, .capacity = 50, .max_age_ns = AGE_NS};
    tally_init(&tally, &c);
}

static void look(uint64_t at)
{
    tally_state(&tally, 7, at, &seen);
}

static void tell(enum teller by, struct told w, uint64_t at)
{
    tally_tell(&tally, by, &w, at);
}

static void users_have_one_source(void **state)
{
    static const enum teller tellers[] = {TELLER_KERNEL, TELLER_REPORT, TELLER_AGENT};
    (void)state;
    for (int from = USERS_FORWARD; from <= USERS_AGENT; from++) {
        begin((enum users_from)from);
        for (uint32_t i = 0; i < 3; i++)
            tell(tellers[i], (struct told){.what = TOLD_USERS, .users = 100 + i}, START_NS);
        look(START_NS + 5);
        assert_int_equal(seen.from, from);
        assert_int_equal(seen.users, from == USERS_FORWARD ? 7 : 99 + from);
        assert_int_equal(seen.age_ns, from == USERS_FORWARD ? 0 : 5);
        assert_false(seen.stale);
    }
}

static void a_silent_source_is_stale(void **state)
{
    (void)state;
    begin(USERS_REPORT);
    look(START_NS);
    assert_true(seen.stale && seen.users == 0 && seen.age_ns == TIME_NEVER);
    tell(TELLER_REPORT,
         (struct told){.what = TOLD_USERS | TOLD_LOAD | TOLD_PERCENT | TOLD_ADMIN,
                       .users = 9,
                       .load = 300,
                       .percent = 50,
                       .drain = true},
         START_NS);
    look(START_NS + AGE_NS);
    assert_true(!seen.stale && seen.load == 300 && seen.weight == 100 && seen.drain);
    look(START_NS + AGE_NS + 1);
    assert_true(seen.stale && seen.drain); /* what was asked for stays */
    assert_int_equal(seen.users, 9);
    assert_int_equal(seen.load, LOAD_UNKNOWN);
    assert_int_equal(seen.weight, 200);
    tally_forget(&tally, TELLER_REPORT);
    look(START_NS);
    assert_true(seen.stale && !seen.drain && seen.users == 0);
    begin(USERS_FORWARD);
    look(UINT64_MAX / 2);
    assert_false(seen.stale);
}

static void a_report_replaces_an_agent_adds(void **state)
{
    (void)state;
    begin(USERS_REPORT);
    tell(TELLER_REPORT, (struct told){.what = TOLD_ADMIN | TOLD_LOAD, .maint = true, .load = 5}, 1);
    tell(TELLER_REPORT, (struct told){.what = TOLD_USERS, .users = 3}, 1);
    look(1);
    assert_true(!seen.maint && seen.load == LOAD_UNKNOWN && seen.users == 3);
    begin(USERS_AGENT);
    tell(TELLER_AGENT, (struct told){.what = TOLD_DOWN | TOLD_USERS, .down = true, .users = 8}, 1);
    tell(TELLER_AGENT, (struct told){.what = TOLD_PERCENT, .percent = 10}, 2);
    look(2);
    assert_true(seen.down && seen.users == 8 && seen.weight == 20);
    assert_int_equal(seen.age_ns, 1); /* of the number, not of the last word */
    tell(TELLER_AGENT, (struct told){.what = TOLD_DOWN}, 3);
    tell(TELLER_AGENT, (struct told){.what = TOLD_ADMIN, .drain = true}, 4);
    tell(TELLER_AGENT, (struct told){.what = TOLD_CAPACITY, .capacity = 12}, 5);
    look(5);
    assert_true(!seen.down && seen.drain && seen.capacity == 12 && seen.weight == 20);
    look(AGE_NS * 9);
    assert_true(seen.stale && seen.drain && seen.weight == 20 && seen.users == 8);
    tell(TELLER_AGENT, (struct told){.what = TOLD_ADMIN}, 6);
    look(6);
    assert_false(seen.drain);
}

static void all_voices_count(void **state)
{
    (void)state;
    begin(USERS_FORWARD);
    look(START_NS);
    assert_true(seen.percent == 100 && seen.weight == 200 && seen.capacity == 50);
    tell(TELLER_REPORT,
         (struct told){.what = TOLD_PERCENT | TOLD_LOAD, .percent = 150, .load = 400}, START_NS);
    look(START_NS);
    assert_int_equal(seen.weight, 300);
    tell(TELLER_AGENT,
         (struct told){.what = TOLD_PERCENT | TOLD_LOAD | TOLD_ADMIN,
                       .percent = 25,
                       .load = 100,
                       .maint = true},
         START_NS);
    look(START_NS);
    assert_true(seen.weight == 50 && seen.load == 400 && seen.maint);
    assert_int_equal(seen.users, 7);
}

static void weights_are_rounded_and_bounded(void **state)
{
    (void)state;
    begin(USERS_FORWARD);
    tally.config.weight = 1;
    tell(TELLER_AGENT, (struct told){.what = TOLD_PERCENT, .percent = 1}, 1);
    look(1);
    assert_int_equal(seen.weight, 1);
    tell(TELLER_AGENT, (struct told){.what = TOLD_PERCENT}, 1);
    look(1);
    assert_int_equal(seen.weight, 0);
    tally.config.weight = WEIGHT_MAX;
    tell(TELLER_AGENT, (struct told){.what = TOLD_PERCENT, .percent = PERCENT_MAX}, 1);
    look(1);
    assert_int_equal(seen.weight, WEIGHT_MAX);
    tally.config.weight = 0;
    look(1);
    assert_int_equal(seen.weight, 0);
}

static void groups_come_with_the_source(void **state)
{
    struct told w = {.what = TOLD_USERS | TOLD_GROUPS, .group_count = 1, .users = 4};
    (void)state;
    strcpy(w.groups[0], "blue");
    w.group_users[0] = 3;
    begin(USERS_REPORT);
    tell(TELLER_REPORT, w, 1);
    look(1);
    assert_true(seen.groups_told && seen.group_count == 1 && seen.group_users[0] == 3);
    begin(USERS_FORWARD);
    tell(TELLER_REPORT, w, 1);
    look(1);
    assert_false(seen.groups_told);
}

static void the_weight_of_one_that_came_up_grows(void **state)
{
    struct tally t;
    struct tally_state s;
    struct tally_config c = {.weight = 200, .max_age_ns = NS_PER_S, .slow_start_ns = 10 * NS_PER_S};
    uint32_t last = 0;
    (void)state;
    tally_init(&t, &c);
    tally_state(&t, 0, 5 * NS_PER_S, &s);
    assert_true(s.weight == 200 && s.grown == 100); /* it always was up */
    tally_up(&t, 100 * NS_PER_S);
    for (uint64_t ms = 0; ms <= 10000; ms += 100) {
        tally_state(&t, 0, 100 * NS_PER_S + ms * NS_PER_MS, &s);
        assert_true(s.weight >= last && s.weight >= 1);
        assert_true(s.weight + 12 >= 200 * ms / 10000 && s.weight <= 200 * ms / 10000 + 12);
        last = s.weight;
    }
    assert_true(s.weight == 200 && s.grown == 100);
    tally_up(&t, 200 * NS_PER_S);
    t.config.weight = 1; /* nobody is rounded down to nothing */
    tally_state(&t, 0, 200 * NS_PER_S, &s);
    assert_int_equal(s.weight, 1);
    t.config.weight = 0;
    tally_state(&t, 0, 200 * NS_PER_S, &s);
    assert_int_equal(s.weight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weight_of_one_that_came_up_grows),
        cmocka_unit_test(users_have_one_source),
        cmocka_unit_test(a_silent_source_is_stale),
        cmocka_unit_test(a_report_replaces_an_agent_adds),
        cmocka_unit_test(all_voices_count),
        cmocka_unit_test(weights_are_rounded_and_bounded),
        cmocka_unit_test(groups_come_with_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
