/* reserve_test.c - who is on his way: counted at once, until he is seen or for a life; and bursts
 * over several directors, that stay within capacities and near level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/roster/pick.h"
#include "core/roster/reserve.h"

#include <stdio.h>
#include <string.h>

#define LIFE_MS 2000
#define SERVERS 5
#define DIRECTORS_MAX 4

static struct server shop = {.service = "shop", .weight = 100, .users = 10};

static void a_client_counts_until_he_is_seen(void **state)
{
    struct reserve *r = reserve_new(LIFE_MS);
    (void)state;
    assert_non_null(r);
    reserve_turn(r, 1000);
    assert_int_equal(reserve_users(r, 7, &shop), 10);
    for (int i = 0; i < 4; i++)
        reserve_add(r, 7, &shop);
    assert_int_equal(reserve_users(r, 7, &shop), 14);
    assert_int_equal(reserve_users(r, 8, &shop), 10); /* another node */
    struct server mail = shop, seen = shop;
    snprintf(mail.service, sizeof mail.service, "mail");
    assert_int_equal(reserve_users(r, 7, &mail), 10);
    seen.users = 13; /* three of them have come */
    assert_int_equal(reserve_users(r, 7, &seen), 14);
    seen.users = 12; /* somebody left: that tells nothing of who is on his way */
    assert_int_equal(reserve_users(r, 7, &seen), 13);
    seen.users = 20;
    assert_int_equal(reserve_users(r, 7, &seen), 20);
    reserve_free(r);
}

static void who_never_comes_is_forgotten(void **state)
{
    struct reserve *r = reserve_new(LIFE_MS);
    (void)state;
    reserve_turn(r, 100000);
    reserve_add(r, 7, &shop);
    reserve_turn(r, 100000 + LIFE_MS / 2);
    reserve_add(r, 7, &shop);
    assert_int_equal(reserve_users(r, 7, &shop), 12);
    reserve_turn(r, 100000 + LIFE_MS + LIFE_MS / 8);
    assert_int_equal(reserve_users(r, 7, &shop), 11);
    reserve_turn(r, 100000 + 2 * LIFE_MS);
    assert_int_equal(reserve_users(r, 7, &shop), 10);
    reserve_turn(r, 100000 + 1000 * LIFE_MS);
    reserve_add(r, 7, &shop);
    assert_int_equal(reserve_users(r, 7, &shop), 11);
    reserve_free(r);
}

/* A thousand a second are led and never come; ten a second come, and stay for half a second. */
static void who_never_comes_keeps_nobody_out(void **state)
{
    static uint32_t change[12000]; /* users that come or go at that ms, as two halves */
    struct reserve *r = reserve_new(LIFE_MS);
    struct server s = shop;
    unsigned came = 0, refused = 0;
    (void)state;
    s.users = 0;
    for (uint32_t ms = 0; ms < 10000; ms++) {
        reserve_turn(r, 70000 + ms);
        s.users += change[ms] & 0xffff;
        s.users -= change[ms] >> 16;
        if (reserve_users(r, 7, &s) < 20)
            reserve_add(r, 7, &s);
        if (ms % 100 != 50)
            continue;
        bool room = reserve_users(r, 7, &s) < 20;
        came += ms > 3000;
        refused += ms > 3000 && !room;
        if (!room)
            continue;
        reserve_add(r, 7, &s);
        change[ms + 100]++;
        change[ms + 600] += 1u << 16;
    }
    if (refused * 10 > 3 * came)
        fail_msg("%u of %u were refused", refused, came);
    reserve_free(r);
}

static void more_servers_than_places_do_no_harm(void **state)
{
    struct reserve *r = reserve_new(LIFE_MS);
    struct rng rng;
    (void)state;
    rng_init(&rng, 1);
    reserve_turn(r, 5000);
    for (uint64_t i = 0; i < 4 * RESERVE_SLOTS; i++) {
        uint64_t node = rng_u64(&rng);
        reserve_add(r, node, &shop);
        uint32_t users = reserve_users(r, node, &shop);
        assert_true(users == 10 || users == 11);
    }
    reserve_turn(r, 5000 + 2 * LIFE_MS); /* the places of what is forgotten are free again */
    reserve_add(r, 42, &shop);
    assert_int_equal(reserve_users(r, 42, &shop), 11);
    reserve_free(r);
    mem_fail_after(1);
    assert_null(reserve_new(LIFE_MS));
    mem_fail_after(0);
}

/* -- bursts -- */

struct burst {
    size_t directors;
    enum policy policy;
    uint32_t capacity, start[SERVERS];
    uint32_t clients, span_ms;   /* that come within it, evenly */
    uint32_t arrive_ms, told_ms; /* how long a client is on his way; between two rosters */
};

struct burst_end {
    uint32_t users[SERVERS], refused;
    double factor;
};

static struct roster *make_roster(const struct burst *b, const uint32_t users[SERVERS])
{
    struct roster *r = roster_blank(SERVERS, 1);
    assert_non_null(r);
    for (size_t i = 0; i < SERVERS; i++) {
        struct entry *e = r->nodes[i].entry;
        e->node = 1000 + i;
        e->server_count = 1;
        snprintf(e->name, sizeof e->name, "s%zu", i);
        r->nodes[i].status = STATUS_UP;
        struct server *s = &e->servers[0];
        snprintf(s->service, sizeof s->service, "shop");
        s->weight = 100;
        s->healthy = true;
        s->load = LOAD_UNKNOWN;
        s->capacity = b->capacity;
        s->users = users[i];
    }
    roster_settle(r);
    return r;
}

/* In steps of 1 ms. Every director sees the same roster, which is told_ms old at most. */
static void run(const struct burst *b, bool reserving, struct burst_end *end)
{
    static uint32_t coming[20000][SERVERS];
    struct reserve *reserves[DIRECTORS_MAX] = {NULL};
    struct rng rng;
    uint32_t sent = 0;
    memset(coming, 0, sizeof coming);
    memset(end, 0, sizeof *end);
    memcpy(end->users, b->start, sizeof end->users);
    rng_init(&rng, 99);
    for (size_t d = 0; reserving && d < b->directors; d++)
        reserves[d] = reserve_new(LIFE_MS);
    struct roster *r = make_roster(b, end->users);
    for (uint32_t ms = 0; ms < b->span_ms + b->arrive_ms + 1; ms++) {
        for (size_t i = 0; i < SERVERS; i++)
            end->users[i] += coming[ms][i];
        if (ms % b->told_ms == 0) {
            roster_unref(r);
            r = make_roster(b, end->users);
        }
        uint32_t due =
            ms < b->span_ms ? (uint32_t)((uint64_t)b->clients * (ms + 1) / b->span_ms) : b->clients;
        for (; sent < due; sent++) {
            size_t d = sent % b->directors;
            struct pick_filter f = {.service = "shop", .reserve = reserves[d]};
            struct pick_choice c;
            if (reserving)
                reserve_turn(reserves[d], 50000 + ms);
            if (!pick(r, &f, b->policy, false, rng_u64(&rng), &c)) {
                end->refused++;
                continue;
            }
            if (reserving)
                reserve_add(reserves[d], c.node->entry->node, c.server);
            coming[ms + b->arrive_ms][c.node - r->nodes]++;
        }
    }
    end->factor = reserving ? reserve_factor(reserves[0]) : 1;
    roster_unref(r);
    for (size_t d = 0; d < b->directors; d++)
        reserve_free(reserves[d]);
}

static uint32_t most(const struct burst_end *e)
{
    uint32_t m = 0;
    for (size_t i = 0; i < SERVERS; i++)
        m = e->users[i] > m ? e->users[i] : m;
    return m;
}

static uint32_t fewest(const struct burst_end *e)
{
    uint32_t m = UINT32_MAX;
    for (size_t i = 0; i < SERVERS; i++)
        m = e->users[i] < m ? e->users[i] : m;
    return m;
}

/* All at once, from an even start: 200 for each, whoever directs. */
static void a_burst_is_level(void **state)
{
    (void)state;
    for (size_t directors = 1; directors <= DIRECTORS_MAX; directors *= 2) {
        struct burst b = {.directors = directors,
                          .policy = POLICY_LEAST_USERS,
                          .clients = 1000,
                          .span_ms = 50,
                          .arrive_ms = 100,
                          .told_ms = 100};
        struct burst_end with, without;
        run(&b, true, &with);
        run(&b, false, &without);
        if (most(&with) > 204 || fewest(&with) < 196)
            fail_msg("%zu directors: %u to %u users", directors, fewest(&with), most(&with));
        assert_int_equal(with.refused, 0);
        b.policy = POLICY_TWO_CHOICES;
        run(&b, true, &with);
        if (most(&with) > 240 || fewest(&with) < 160)
            fail_msg("two choices, %zu directors: %u to %u", directors, fewest(&with), most(&with));
    }
}

/* One server is new: it gets what it lacks, and not the whole burst. */
static void a_new_server_is_not_run_over(void **state)
{
    (void)state;
    for (size_t directors = 1; directors <= DIRECTORS_MAX; directors *= 2) {
        struct burst b = {.directors = directors,
                          .policy = POLICY_LEAST_USERS,
                          .clients = 1000,
                          .start = {300, 300, 300, 300, 0},
                          .span_ms = 2500,
                          .arrive_ms = 50,
                          .told_ms = 100};
        struct burst_end with, without;
        run(&b, true, &with);
        run(&b, false, &without);
        if (most(&with) > 440 * 112 / 100 || fewest(&with) < 440 * 88 / 100)
            fail_msg("%zu directors: %u to %u users, factor %.1f", directors, fewest(&with),
                     most(&with), with.factor);
        assert_int_equal(with.refused, 0);
        /* Several directors are noticed, one alone is not taken for several. */
        if (with.factor < (double)directors * 0.5 || with.factor > (double)directors * 1.5)
            fail_msg("%zu directors: factor %.2f", directors, with.factor);
        assert_true(most(&with) - fewest(&with) < most(&without) - fewest(&without));
    }
}

/* Room for 1,000 in all, and 1,100 come. Nobody is refused while there is room elsewhere. */
static void capacities_hold(void **state)
{
    (void)state;
    static const enum policy policies[] = {POLICY_LEAST_USERS, POLICY_TWO_CHOICES, POLICY_WEIGHTED,
                                           POLICY_RANDOM};
    for (size_t p = 0; p < 4; p++)
        for (size_t directors = 1; directors <= DIRECTORS_MAX; directors *= 2) {
            struct burst b = {.directors = directors,
                              .policy = policies[p],
                              .capacity = 200,
                              .clients = 1100,
                              .span_ms = 2500,
                              .arrive_ms = 50,
                              .told_ms = 100};
            struct burst_end with, without;
            run(&b, true, &with);
            run(&b, false, &without);
            uint32_t over = most(&with) > 200 ? most(&with) - 200 : 0;
            uint32_t over_without = most(&without) > 200 ? most(&without) - 200 : 0;
            /* One director knows all; of several each sees the others' within one roster. */
            if (over > (directors == 1 ? 0 : 16) || (over_without > 0 && over >= over_without))
                fail_msg("%s, %zu directors: %u over, %u without reserving", policy_name(b.policy),
                         directors, over, over_without);
            if (with.refused > 160)
                fail_msg("%s, %zu directors: %u refused", policy_name(b.policy), directors,
                         with.refused);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_counts_until_he_is_seen),
        cmocka_unit_test(who_never_comes_is_forgotten),
        cmocka_unit_test(who_never_comes_keeps_nobody_out),
        cmocka_unit_test(more_servers_than_places_do_no_harm),
        cmocka_unit_test(a_burst_is_level),
        cmocka_unit_test(a_new_server_is_not_run_over),
        cmocka_unit_test(capacities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
