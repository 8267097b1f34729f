/* rebalance_test.c - what moves and what does not; farms of plans carried out until all is quiet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/roster/rebalance.h"

#include <stdio.h>
#include <string.h>

#define NODES_MAX 40
#define CALM (REBALANCE_CALM_MS + 1)

static const struct rebalance_rules rules = {.threshold_percent = 5,
                                             .pace_per_s = REBALANCE_PACE_PER_S};

static struct roster *farm(const uint32_t *users, size_t count, size_t self)
{
    struct roster *r = roster_blank(count, 1);
    assert_non_null(r);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = r->nodes[i].entry;
        snprintf(e->name, sizeof e->name, "s%02zu", i + 1);
        e->inc = i + 1;
        e->server_count = 1;
        e->servers[0] = (struct server){.weight = 100, .users = users[i], .healthy = true};
        snprintf(e->servers[0].service, sizeof e->servers[0].service, "shop");
        r->nodes[i].status = STATUS_UP;
        r->nodes[i].self = i == self;
    }
    return r;
}

static struct server *at(struct roster *r, size_t i)
{
    return &r->nodes[i].entry->servers[0];
}

/* The plan of a farm that has been calm for long enough. */
static struct rebalance_plan plan_of(const struct roster *r)
{
    struct rebalance b = {0};
    struct rebalance_plan p;
    rebalance_step(&b, r, "shop", &rules, 1000, &p);
    rebalance_step(&b, r, "shop", &rules, 1000 + CALM, &p);
    return p;
}

static uint32_t sum_of(const struct rebalance_plan *p)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < p->count; i++)
        sum += p->targets[i].count;
    return sum;
}

static void only_the_surplus_moves(void **state)
{
    uint32_t users[] = {130, 70, 100};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    struct rebalance_plan p = plan_of(r);
    assert_int_equal(p.why, REBALANCE_MOVES);
    assert_int_equal(p.surplus, 30);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.targets[0].name, "s02");
    assert_int_equal(p.targets[0].count, 30);
    assert_int_equal(p.targets[0].within_ms, REBALANCE_WITHIN_MIN_MS);
    roster_unref(r);
    for (size_t self = 1; self < 3; self++) {
        r = farm(users, 3, self);
        assert_int_equal(plan_of(r).why, REBALANCE_LEVEL);
        roster_unref(r);
    }
}

static void weights_make_the_share(void **state)
{
    uint32_t users[] = {300, 100, 200};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    at(r, 0)->weight = 300; /* 360 : 120 : 120 */
    assert_int_equal(plan_of(r).why, REBALANCE_LEVEL);
    r->nodes[0].self = false;
    r->nodes[2].self = true;
    struct rebalance_plan p = plan_of(r);
    assert_int_equal(p.surplus, 80);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.targets[0].count, 60);
    assert_int_equal(p.targets[1].count, 20);
    at(r, 1)->weight = 0; /* takes no part, nor do its users: 375 : 125 of 500 */
    p = plan_of(r);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.targets[0].name, "s01");
    assert_int_equal(p.targets[0].count, 75);
    roster_unref(r);
}

static void a_full_target_gets_no_more_than_fits(void **state)
{
    uint32_t users[] = {200, 40, 60};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    at(r, 1)->capacity = 50;
    struct rebalance_plan p = plan_of(r);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.targets[0].count, 10);
    assert_int_equal(p.targets[1].count, 40);
    at(r, 1)->capacity = 40;
    at(r, 2)->capacity = 60;
    p = plan_of(r);
    assert_int_equal(p.why, REBALANCE_LEVEL);
    assert_int_equal(p.count, 0);
    roster_unref(r);
}

static void a_little_is_left_alone(void **state)
{
    uint32_t users[] = {104, 98, 98};
    uint32_t few[] = {2, 1, 1};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    assert_int_equal(plan_of(r).why, REBALANCE_LEVEL);
    at(r, 0)->users = 110;
    assert_int_equal(plan_of(r).why, REBALANCE_MOVES);
    roster_unref(r);
    r = farm(few, 3, 0);
    assert_int_equal(plan_of(r).why, REBALANCE_LEVEL);
    roster_unref(r);
}

/* Each of the others is little above, but one is far below. */
static void an_empty_server_is_filled_by_many(void **state)
{
    uint32_t users[30];
    (void)state;
    for (size_t i = 0; i < 30; i++)
        users[i] = i == 7 ? 0 : 300;
    uint32_t given = 0;
    for (size_t self = 0; self < 30; self++) {
        struct roster *r = farm(users, 30, self);
        struct rebalance_plan p = plan_of(r);
        if (self != 7) {
            assert_int_equal(p.count, 1);
            assert_string_equal(p.targets[0].name, "s08");
            given += p.targets[0].count;
            assert_true(p.targets[0].within_ms >= 290 * 1000 / REBALANCE_PACE_PER_S - 100);
        }
        roster_unref(r);
    }
    assert_true(given <= 290 && given >= 260);
}

static void it_begins_beyond_the_threshold_and_ends_level(void **state)
{
    uint32_t users[] = {110, 95, 95};
    struct rebalance b = {0};
    struct rebalance_plan p;
    (void)state;
    struct roster *r = farm(users, 3, 0);
    rebalance_step(&b, r, "shop", &rules, 1000, &p);
    rebalance_step(&b, r, "shop", &rules, 1000 + CALM, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    rebalance_step(&b, r, "shop", &rules, 2000 + CALM, &p);
    assert_int_equal(p.why, REBALANCE_WAITS);
    at(r, 0)->users = 103;
    at(r, 1)->users = 99;
    at(r, 2)->users = 98;
    rebalance_step(&b, r, "shop", &rules, 60000, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    assert_int_equal(sum_of(&p), 3);
    at(r, 0)->users = 100;
    at(r, 1)->users = 100;
    at(r, 2)->users = 100;
    rebalance_step(&b, r, "shop", &rules, 120000, &p);
    assert_int_equal(p.why, REBALANCE_LEVEL);
    at(r, 0)->users = 103;
    rebalance_step(&b, r, "shop", &rules, 180000, &p);
    assert_int_equal(p.why, REBALANCE_LEVEL);
    roster_unref(r);
}

static void what_is_not_sure_moves_nobody(void **state)
{
    uint32_t users[] = {200, 50, 50};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    r->nodes[1].status = STATUS_SUSPECT;
    assert_int_equal(plan_of(r).why, REBALANCE_UNSETTLED);
    r->nodes[1].status = STATUS_JOINING;
    assert_int_equal(plan_of(r).why, REBALANCE_UNSETTLED);
    r->nodes[1].status = STATUS_UP;
    r->nodes[1].heard_ms = REBALANCE_STALE_MS + 1;
    assert_int_equal(plan_of(r).why, REBALANCE_UNSETTLED);
    r->nodes[1].heard_ms = 0;
    assert_int_equal(plan_of(r).why, REBALANCE_MOVES);
    r->nodes[0].status = STATUS_DRAINING;
    assert_int_equal(plan_of(r).why, REBALANCE_NOT_HERE);
    roster_unref(r);
}

static void who_drains_or_is_out_gets_nobody(void **state)
{
    static const enum status out[] = {STATUS_DRAINING, STATUS_MAINT, STATUS_DOWN, STATUS_LEFT};
    uint32_t users[] = {200, 0, 100};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    for (size_t i = 0; i < 4; i++) {
        r->nodes[1].status = out[i];
        struct rebalance_plan p = plan_of(r);
        assert_int_equal(p.count, 1);
        assert_string_equal(p.targets[0].name, "s03");
        assert_int_equal(p.targets[0].count, 50);
    }
    roster_unref(r);
}

static void nothing_moves_while_users_come(void **state)
{
    uint32_t users[] = {200, 50, 50};
    struct rebalance b = {0};
    struct rebalance_plan p;
    uint64_t now_ms = 1000;
    (void)state;
    struct roster *r = farm(users, 3, 0);
    for (unsigned i = 0; i < 30; i++, now_ms += 1000) {
        at(r, i % 3)->users += 20;
        rebalance_step(&b, r, "shop", &rules, now_ms, &p);
        assert_int_equal(p.why, REBALANCE_NOT_CALM);
    }
    for (unsigned i = 0; i < 5 && p.why == REBALANCE_NOT_CALM; i++, now_ms += 1000)
        rebalance_step(&b, r, "shop", &rules, now_ms, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    b = (struct rebalance){0};
    rebalance_step(&b, r, "shop", &rules, now_ms, &p);
    r->nodes[2].entry->inc = 99; /* another one came in its place */
    rebalance_step(&b, r, "shop", &rules, now_ms + CALM, &p);
    assert_int_equal(p.why, REBALANCE_NOT_CALM);
    roster_unref(r);
}

/* Clients that are busy go later than they were asked to. */
static void who_was_asked_and_is_still_here_is_on_his_way(void **state)
{
    uint32_t users[] = {200, 50, 50};
    struct rebalance b = {0};
    struct rebalance_plan p;
    (void)state;
    struct roster *r = farm(users, 3, 0);
    rebalance_step(&b, r, "shop", &rules, 1000, &p);
    rebalance_step(&b, r, "shop", &rules, 1000 + CALM, &p);
    assert_int_equal(sum_of(&p), 100);
    at(r, 0)->users = 130;
    at(r, 1)->users = at(r, 2)->users = 85;
    rebalance_step(&b, r, "shop", &rules, 20000, &p);
    assert_int_equal(p.why, REBALANCE_WAITS);
    struct rebalance later = b;
    rebalance_step(&later, r, "shop", &rules, 60000, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    assert_int_equal(sum_of(&p), 30);
    at(r, 0)->users = at(r, 1)->users = at(r, 2)->users = 100;
    rebalance_step(&b, r, "shop", &rules, 20000, &p);
    assert_int_equal(p.why, REBALANCE_LEVEL);
    roster_unref(r);
}

static void who_went_away_may_come_back(void **state)
{
    uint32_t users[] = {200, 50, 50};
    struct rebalance b = {0};
    struct rebalance_plan p;
    (void)state;
    struct roster *r = farm(users, 3, 0);
    rebalance_step(&b, r, "shop", &rules, 1000, &p);
    r->nodes[2].status = STATUS_DRAINING;
    rebalance_step(&b, r, "shop", &rules, 2000, &p);
    rebalance_step(&b, r, "shop", &rules, 2000 + REBALANCE_AWAY_MS - 1, &p);
    assert_int_equal(p.why, REBALANCE_NOT_CALM);
    struct rebalance gone = b;
    rebalance_step(&gone, r, "shop", &rules, 2000 + REBALANCE_AWAY_MS, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    r->nodes[2].status = STATUS_UP;
    rebalance_step(&b, r, "shop", &rules, 18000, &p);
    rebalance_step(&b, r, "shop", &rules, 18000 + REBALANCE_CALM_MS, &p);
    assert_int_equal(p.why, REBALANCE_MOVES);
    roster_unref(r);
}

/* All nodes at once, by the same roster: no target is overfilled, nobody gives more than he has. */
static void many_that_give_fill_each_target_exactly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        size_t count = 2 + rng_below(&rng, NODES_MAX - 2);
        uint32_t users[NODES_MAX], weights[NODES_MAX], gets[NODES_MAX] = {0};
        uint64_t all = 0, weight = 0;
        for (size_t i = 0; i < count; i++) {
            all += users[i] = (uint32_t)rng_below(&rng, 400);
            weight += weights[i] = 1 + (uint32_t)rng_below(&rng, 3);
        }
        for (size_t self = 0; self < count; self++) {
            struct roster *r = farm(users, count, self);
            for (size_t i = 0; i < count; i++)
                at(r, i)->weight = weights[i];
            struct rebalance_plan p = plan_of(r);
            assert_true(sum_of(&p) <= p.surplus);
            for (size_t t = 0; t < p.count; t++)
                for (size_t i = 0; i < count; i++)
                    if (strcmp(r->nodes[i].entry->name, p.targets[t].name) == 0)
                        gets[i] += p.targets[t].count;
            roster_unref(r);
        }
        for (size_t i = 0; i < count; i++) {
            if (gets[i] > 0 && users[i] + gets[i] > all * weights[i] / weight)
                fail_msg("seed %lu: node %zu is overfilled", (unsigned long)seed, i);
        }
    }
}

/* The longest names, the most users: no sum overflows. */
static void the_largest_numbers_are_borne(void **state)
{
    uint32_t users[] = {UINT32_MAX, 0, UINT32_MAX};
    (void)state;
    struct roster *r = farm(users, 3, 0);
    for (size_t i = 0; i < 3; i++)
        at(r, i)->weight = 1000000;
    struct rebalance_plan p = plan_of(r);
    assert_int_equal(p.why, REBALANCE_MOVES);
    assert_int_equal(p.surplus, UINT32_MAX - 2 * (UINT32_MAX / 3));
    assert_int_equal(p.targets[0].within_ms, REBALANCE_ROUND_MS);
    assert_true(p.targets[0].count <= REBALANCE_PACE_PER_S * REBALANCE_ROUND_MS / 1000 / 2 + 1);
    roster_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_surplus_moves),
        cmocka_unit_test(weights_make_the_share),
        cmocka_unit_test(a_full_target_gets_no_more_than_fits),
        cmocka_unit_test(a_little_is_left_alone),
        cmocka_unit_test(an_empty_server_is_filled_by_many),
        cmocka_unit_test(it_begins_beyond_the_threshold_and_ends_level),
        cmocka_unit_test(what_is_not_sure_moves_nobody),
        cmocka_unit_test(who_drains_or_is_out_gets_nobody),
        cmocka_unit_test(nothing_moves_while_users_come),
        cmocka_unit_test(who_was_asked_and_is_still_here_is_on_his_way),
        cmocka_unit_test(who_went_away_may_come_back),
        cmocka_unit_test(many_that_give_fill_each_target_exactly),
        cmocka_unit_test(the_largest_numbers_are_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
