/* ladder_test.c - the client's way in virtual time: what it asks for, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/ladder.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define SEEDS 200

static struct ladder ladder;
static struct ladder_config config;
static uint64_t now;
static struct ladder_action action;
static struct addr first[3];

static int setup(void **state)
{
    (void)state;
    now = 1000000;
    config = (struct ladder_config){.goal = LADDER_TO_STAY,
                                    .service = "shop",
                                    .retries = 1,
                                    .retry_base_ms = 200,
                                    .retry_max_ms = 30000,
                                    .penalty_ms = 30000};
    assert_true(allow_init(&config.allow, "www.shop.test", NULL, false));
    for (uint8_t i = 0; i < 3; i++)
        first[i] = (struct addr){4, 8080, {127, 0, 0, (uint8_t)(i + 1)}};
    return 0;
}

/* "s1 up", "s2 draining", ...: a farm's roster. */
static struct roster *farm(const char *const *servers, size_t count)
{
    struct roster *r = roster_blank(count, 1);
    assert_non_null(r);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = r->nodes[i].entry;
        char status[16];
        assert_int_equal(sscanf(servers[i], "%63s %15s", e->name, status), 2);
        assert_true(status_parse(status, &r->nodes[i].status));
        struct server *s = &e->servers[0];
        strcpy(s->service, "shop");
        snprintf(s->urls[0], sizeof s->urls[0], "http://%s.shop.test:8080", e->name);
        s->url_count = e->server_count = 1;
        s->weight = 10;
        s->healthy = true;
        s->load = LOAD_UNKNOWN;
    }
    r->revision = 7;
    return r;
}
#define FARM(...)                                                                                  \
    farm((const char *const[]){__VA_ARGS__},                                                       \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void begin(uint64_t seed)
{
    ladder_init(&ladder, &config, seed);
    ladder_start(&ladder, now);
}

static void expect(enum ladder_act act)
{
    assert_true(ladder_next(&ladder, &action));
    assert_int_equal(action.act, act);
}

static void expect_nothing(void)
{
    assert_false(ladder_next(&ladder, &action));
}

/* Until the ladder wants to be woken. Returns how long that was. */
static uint64_t pass(void)
{
    uint64_t due = ladder_due(&ladder), waited = due > now ? due - now : 0;
    assert_true(due != UINT64_MAX);
    if (waited) {
        now = due - 1;
        ladder_tick(&ladder, now);
        expect_nothing();
    }
    now = due;
    ladder_tick(&ladder, now);
    return waited;
}

static void names(size_t count)
{
    expect(LADDER_RESOLVE);
    ladder_names(&ladder, action.job, STEAD_OK, first, count, now);
    expect(LADDER_ASK);
}

static void give(struct roster *r)
{
    ladder_roster(&ladder, action.job, STEAD_OK, r, 4000, now);
}

static void arrive(enum ladder_act how)
{
    expect(LADDER_CONNECT);
    ladder_connected(&ladder, action.job, STEAD_OK, now);
    if (how == LADDER_MOVED)
        expect(LADDER_UNWATCH);
    expect(how);
    expect(LADDER_WATCH);
    expect_nothing();
}

static void refuse(void)
{
    expect(LADDER_CONNECT);
    ladder_connected(&ladder, action.job, STEAD_E_UNREACHABLE, now);
}

static void hear(struct roster *r)
{
    struct news n = {.kind = NEWS_ROSTER, .roster = r, .window_ms = NEWS_WINDOW_UNKNOWN};
    ladder_news(&ladder, &n, now);
    expect(LADDER_HEARD);
    expect_nothing();
}

static void ask_to_move(const char *to, uint32_t within_ms)
{
    struct news n = {.kind = NEWS_MOVE, .within_ms = within_ms, .service = "shop", .to_count = 1};
    strcpy(n.to[0], to);
    ladder_news(&ladder, &n, now);
    expect_nothing();
}

static void test_first_way(void **state)
{
    (void)state;
    begin(1);
    names(3);
    ladder_roster(&ladder, action.job, STEAD_E_UNREACHABLE, NULL, 0, now);
    struct addr one = action.to;
    expect(LADDER_ASK);
    assert_false(addr_equal(&one, &action.to));
    give(FARM("s1 up", "s2 down", "s3 draining"));
    expect(LADDER_CONNECT);
    assert_string_equal(action.server, "s1");
    assert_string_equal(action.url, "http://s1.shop.test:8080");
    ladder_connected(&ladder, action.job, STEAD_OK, now);
    expect(LADDER_UP);
    expect(LADDER_WATCH);
    assert_false(action.at_name);
    assert_string_equal(action.server, "s1");
    expect_nothing();
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    ladder_deinit(&ladder);
}

/* Refused, retried, penalty, the name again, a fresh roster, another server. */
static void test_whole_ladder(void **state)
{
    (void)state;
    begin(5);
    names(1);
    give(FARM("s1 up"));
    refuse();
    expect(LADDER_TROUBLE);
    assert_string_equal(action.server, "s1");
    assert_true(pass() <= 200);
    refuse();
    assert_true(penalty_has(&ladder.penalty, "s1", now));
    expect(LADDER_TROUBLE);
    assert_true(pass() <= 200);
    names(2);
    give(FARM("s1 up", "s2 up"));
    expect(LADDER_CONNECT);
    assert_string_equal(action.server, "s2");
    ladder_connected(&ladder, action.job, STEAD_OK, now);
    expect(LADDER_UP);
    ladder_deinit(&ladder);
}

/* A penalty is no reason to take nobody; waits grow, are jittered, and have a limit. */
static void test_waits_grow(void **state)
{
    (void)state;
    uint64_t longest = 0, late = 0;
    begin(9);
    for (int round = 0; round < 12; round++) {
        names(1);
        give(FARM("s1 up"));
        refuse();
        expect(LADDER_TROUBLE);
        pass();
        refuse();
        expect(LADDER_TROUBLE);
        uint64_t waited = pass();
        assert_true(waited <= 30000 && waited <= (uint64_t)200 << round);
        longest = waited > longest ? waited : longest;
        late += round > 8 ? waited : 0;
    }
    assert_true(longest > 5000 && late > 10000);
    ladder_deinit(&ladder);
}

static void lose(void)
{
    ladder_lost(&ladder, now);
    expect(LADDER_UNWATCH);
    expect(LADDER_TROUBLE);
    expect_nothing();
}

/* Those who lose a server at one moment come back spread over the farm's window. */
static void test_first_retry_is_spread(void **state)
{
    (void)state;
    unsigned quarter[4] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        names(1);
        give(FARM("s1 up", "s2 up"));
        arrive(LADDER_UP);
        char server[64];
        snprintf(server, sizeof server, "%s", ladder.on.name);
        now += LADDER_STABLE_MS;
        lose();
        uint64_t waited = pass();
        assert_true(waited <= 4000);
        quarter[waited == 4000 ? 3 : waited / 1000]++;
        expect(LADDER_CONNECT);
        assert_string_equal(action.server, server); /* the same one first */
        ladder_connected(&ladder, action.job, STEAD_E_UNREACHABLE, now);
        expect(LADDER_TROUBLE);
        pass();
        expect(LADDER_RESOLVE); /* one retry, and no more */
        ladder_deinit(&ladder);
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(quarter[i], SEEDS / 8, SEEDS / 2);
}

/* A server that takes clients and loses them at once is not tried for ever, nor fast. */
static void test_server_that_flaps(void **state)
{
    (void)state;
    begin(3);
    names(1);
    give(FARM("s1 up"));
    arrive(LADDER_UP);
    lose();
    pass();
    arrive(LADDER_UP);
    lose();
    assert_true(penalty_has(&ladder.penalty, "s1", now));
    pass();
    names(1);
    give(FARM("s1 up", "s2 up"));
    expect(LADDER_CONNECT);
    assert_string_equal(action.server, "s2");
    ladder_deinit(&ladder);
}

static void on_s1(uint64_t seed)
{
    begin(seed);
    names(1);
    give(FARM("s1 up", "s2 down"));
    arrive(LADDER_UP);
    now += LADDER_STABLE_MS;
}

static void test_leaves_a_server_that_drains(void **state)
{
    (void)state;
    static const char *const why[] = {"s1 draining", "s1 maint", "s1 down", "s1 left"};
    for (size_t i = 0; i < 4; i++) {
        on_s1(i);
        hear(FARM("s1 up", "s2 up"));
        assert_true(ladder_due(&ladder) == UINT64_MAX); /* a better place is no reason */
        hear(farm((const char *const[]){why[i], "s2 up"}, 2));
        assert_true(pass() <= 4000);
        arrive(LADDER_MOVED);
        assert_string_equal(ladder.on.name, "s2");
        ladder_deinit(&ladder);
    }
    on_s1(9);
    hear(FARM("s2 up")); /* it is not in the roster any more */
    pass();
    arrive(LADDER_MOVED);
    ladder_deinit(&ladder);
}

static void test_stays_when_it_may(void **state)
{
    (void)state;
    on_s1(1);
    hear(FARM("s1 full", "s2 up"));
    hear(FARM("s1 suspect", "s2 up"));
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    hear(FARM("s1 draining", "s2 up"));
    hear(FARM("s1 up", "s2 up")); /* it was taken back */
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    hear(FARM("s1 draining", "s2 down")); /* nobody else */
    pass();
    expect_nothing();
    assert_true(ladder.up);
    hear(FARM("s1 draining", "s2 up"));
    pass();
    arrive(LADDER_MOVED);
    ladder_deinit(&ladder);
}

/* A target that fails is given up after its retry; the connection that works is kept. */
static void test_move_that_fails(void **state)
{
    (void)state;
    on_s1(2);
    hear(FARM("s1 draining", "s2 up", "s3 down"));
    pass();
    refuse();
    expect(LADDER_TROUBLE);
    pass();
    refuse();
    expect(LADDER_TROUBLE);
    assert_true(ladder.up);
    pass();
    expect_nothing(); /* s2 has a penalty: stay */
    hear(FARM("s1 draining", "s2 up", "s3 up"));
    pass();
    arrive(LADDER_MOVED);
    assert_string_equal(ladder.on.name, "s3");
    ladder_deinit(&ladder);
}

static void test_lost_in_the_midst_of_a_move(void **state)
{
    (void)state;
    on_s1(2);
    hear(FARM("s1 draining", "s2 up"));
    pass();
    expect(LADDER_CONNECT);
    uint32_t job = action.job;
    ladder_lost(&ladder, now);
    expect(LADDER_UNWATCH);
    expect_nothing();
    ladder_connected(&ladder, job, STEAD_OK, now);
    expect(LADDER_UP);
    expect(LADDER_WATCH);
    ladder_lost(&ladder, now);
    ladder_lost(&ladder, now); /* nothing to lose any more */
    ladder_deinit(&ladder);
}

static void test_asked_to_move(void **state)
{
    (void)state;
    uint64_t sum = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        on_s1(seed);
        hear(FARM("s1 up", "s2 up", "s3 up"));
        ask_to_move("s3", 10000);
        uint64_t waited = pass();
        assert_true(waited <= 10000);
        sum += waited;
        arrive(LADDER_MOVED);
        assert_string_equal(ladder.on.name, "s3");
        ladder_deinit(&ladder);
    }
    assert_in_range(sum / SEEDS, 4000, 6000);
}

static void test_moves_that_cannot_be(void **state)
{
    (void)state;
    on_s1(1);
    hear(FARM("s1 up", "s2 up", "s3 down"));
    const char *const to[] = {"s3", "s1", "s9"};
    for (size_t i = 0; i < 3; i++) {
        ask_to_move(to[i], 0);
        ladder_tick(&ladder, now);
        expect_nothing();
        assert_int_equal(ladder.state, LADDER_SETTLED);
    }
    ladder_hold(&ladder, true, now);
    ask_to_move("s2", 100);
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    now += 1000;
    ladder_tick(&ladder, now);
    expect_nothing();
    ladder_hold(&ladder, false, now);
    ladder_tick(&ladder, now);
    arrive(LADDER_MOVED);
    struct news other = {.kind = NEWS_MOVE, .service = "mail", .to_count = 1, .to = {"s1"}};
    ladder_news(&ladder, &other, now);
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    ladder_deinit(&ladder);
}

/* At the own node first, then at any first server, in turn, ever more seldom. */
static void test_watch_is_kept(void **state)
{
    (void)state;
    on_s1(4);
    for (int i = 0; i < 6; i++) {
        ladder_watch_ended(&ladder, STEAD_E_CLOSED, now);
        assert_true(pass() <= 4001 + (200u << i));
        expect(LADDER_WATCH);
        assert_int_equal(action.at_name, (i + 1) % 2);
    }
    hear(FARM("s1 up", "s2 up"));
    ladder_watch_ended(&ladder, STEAD_E_CLOSED, now);
    pass();
    expect(LADDER_WATCH);
    assert_true(ladder.up);
    ladder_deinit(&ladder);
}

static void test_ends(void **state)
{
    (void)state;
    config.goal = LADDER_TO_PICK;
    config.rounds = 2;
    begin(1);
    names(1);
    ladder_roster(&ladder, action.job, STEAD_E_PARSE, NULL, 0, now);
    expect(LADDER_TROUBLE);
    pass();
    expect(LADDER_RESOLVE);
    ladder_names(&ladder, action.job, STEAD_E_NOT_FOUND, NULL, 0, now);
    expect(LADDER_FAILED);
    assert_int_equal(action.error, STEAD_E_NOT_FOUND);
    assert_true(ladder_due(&ladder) == UINT64_MAX);
    ladder_deinit(&ladder);

    config.deadline_ms = now + 500;
    begin(1);
    expect(LADDER_RESOLVE);
    now += 500;
    ladder_tick(&ladder, now);
    expect(LADDER_CANCEL);
    expect(LADDER_FAILED);
    assert_int_equal(action.error, STEAD_E_DEADLINE);
    ladder_deinit(&ladder);
}

/* Outcomes of jobs that are not under way any more change nothing. */
static void test_stale_outcomes(void **state)
{
    (void)state;
    begin(1);
    names(1);
    uint32_t old = action.job - 1;
    ladder_names(&ladder, old, STEAD_OK, first, 1, now);
    ladder_roster(&ladder, old, STEAD_OK, FARM("s1 up"), 0, now);
    ladder_connected(&ladder, old, STEAD_OK, now);
    struct news n = {.kind = NEWS_ROSTER, .roster = FARM("s1 up")};
    ladder_news(&ladder, &n, now);
    expect_nothing();
    assert_null(ladder.roster);
    ladder_deinit(&ladder);
}

/* Once on TLS, a roster that offers the same server without it does not lead there. */
static void test_never_from_tls_to_plain(void **state)
{
    (void)state;
    begin(1);
    names(1);
    struct roster *r = FARM("s1 up", "s2 down");
    strcpy(r->nodes[0].entry->servers[0].urls[0], "https://s1.shop.test");
    give(r);
    arrive(LADDER_UP);
    hear(FARM("s1 draining", "s2 up"));
    pass();
    expect_nothing();
    assert_string_equal(ladder.on.name, "s1");
    ladder_deinit(&ladder);
}

#define test(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_first_way),
        test(test_whole_ladder),
        test(test_waits_grow),
        test(test_first_retry_is_spread),
        test(test_server_that_flaps),
        test(test_leaves_a_server_that_drains),
        test(test_stays_when_it_may),
        test(test_move_that_fails),
        test(test_lost_in_the_midst_of_a_move),
        test(test_asked_to_move),
        test(test_moves_that_cannot_be),
        test(test_watch_is_kept),
        test(test_ends),
        test(test_stale_outcomes),
        test(test_never_from_tls_to_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
