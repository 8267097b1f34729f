/* crowd_test.c - thousands of clients and their farm in virtual time: loads stay even although
 * counts are old, a crowd that loses its servers does not come back at once, and a rolling restart
 * is nobody's error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/ladder.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define SERVERS 3
#define CLIENTS 1500
#define TICK_MS 10
#define TOLD_EVERY_MS 1000 /* counts are so old at most */
#define WINDOW_MS 4000

struct client {
    struct ladder ladder;
    int on; /* -1: nowhere */
    bool watching;
};

static struct client clients[CLIENTS];
static struct {
    enum status status[SERVERS];
    bool refuses[SERVERS];
    uint32_t users[SERVERS];
    unsigned joins[SERVERS]; /* in this second */
    unsigned most_joins, lost;
    struct roster *roster;
} farm;
static uint64_t now;

/* As the farm tells it at this moment. */
static void tell(void)
{
    roster_unref(farm.roster);
    struct roster *r = farm.roster = roster_blank(SERVERS, 1);
    assert_non_null(r);
    for (size_t i = 0; i < SERVERS; i++) {
        struct entry *e = r->nodes[i].entry;
        struct server *s = &e->servers[0];
        snprintf(e->name, sizeof e->name, "s%zu", i);
        strcpy(s->service, "shop");
        snprintf(s->urls[0], sizeof s->urls[0], "http://s%zu.shop.test", i);
        s->url_count = e->server_count = 1;
        s->weight = 100;
        s->healthy = true;
        s->load = LOAD_UNKNOWN;
        s->users = farm.users[i];
        r->nodes[i].status = farm.status[i];
    }
}

static void leave(struct client *c)
{
    if (c->on >= 0)
        farm.users[c->on]--;
    c->on = -1;
}

static void join(struct client *c, uint32_t job, int to)
{
    int err = farm.refuses[to] ? STEAD_E_UNREACHABLE : STEAD_OK;
    if (!err) {
        leave(c);
        c->on = to;
        farm.users[to]++;
        farm.joins[to]++;
    }
    ladder_connected(&c->ladder, job, err, now);
}

static void obey(struct client *c)
{
    struct ladder_action a;
    const struct addr first = {4, 80, {127, 0, 0, 1}};
    while (ladder_next(&c->ladder, &a)) {
        if (a.act == LADDER_RESOLVE)
            ladder_names(&c->ladder, a.job, STEAD_OK, &first, 1, now);
        else if (a.act == LADDER_ASK)
            ladder_roster(&c->ladder, a.job, STEAD_OK, roster_ref(farm.roster), WINDOW_MS, now);
        else if (a.act == LADDER_CONNECT)
            join(c, a.job, a.server[1] - '0');
        else if (a.act == LADDER_WATCH || a.act == LADDER_UNWATCH)
            c->watching = a.act == LADDER_WATCH;
        assert_int_not_equal(a.act, LADDER_FAILED);
    }
}

static void begin(enum policy policy)
{
    struct ladder_config config = {.goal = LADDER_TO_STAY,
                                   .retries = 1,
                                   .policy = policy,
                                   .retry_base_ms = 200,
                                   .retry_max_ms = 30000,
                                   .penalty_ms = 30000};
    assert_true(allow_init(&config.allow, "www.shop.test", NULL, false));
    memset(&farm, 0, sizeof farm);
    for (size_t i = 0; i < SERVERS; i++)
        farm.status[i] = STATUS_UP;
    now = 1000000;
    tell();
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.on = -1};
        ladder_init(&clients[i].ladder, &config, i);
    }
}

static void end(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        ladder_deinit(&clients[i].ladder);
    roster_unref(farm.roster);
    farm.roster = NULL;
}

/* Everybody on this server loses his connection, and it takes no other. */
static void stop(int server)
{
    farm.refuses[server] = true;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].on != server)
            continue;
        leave(&clients[i]);
        farm.lost++;
        ladder_lost(&clients[i].ladder, now);
        obey(&clients[i]);
    }
}

static void hear(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (!clients[i].watching)
            continue;
        struct news n = {.kind = NEWS_ROSTER,
                         .roster = roster_ref(farm.roster),
                         .window_ms = NEWS_WINDOW_UNKNOWN};
        ladder_news(&clients[i].ladder, &n, now);
        obey(&clients[i]);
    }
}

static void run(uint64_t ms)
{
    for (uint64_t until = now + ms; now < until; now += TICK_MS) {
        if (now % TOLD_EVERY_MS == 0) {
            for (size_t i = 0; i < SERVERS; i++) {
                farm.most_joins = farm.joins[i] > farm.most_joins ? farm.joins[i] : farm.most_joins;
                farm.joins[i] = 0;
            }
            tell();
            hear();
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            if (ladder_due(&clients[i].ladder) <= now)
                ladder_tick(&clients[i].ladder, now);
            obey(&clients[i]);
        }
    }
}

/* They come one after the other, within so long. */
static void arrive(uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += TICK_MS) {
        for (size_t i = at * CLIENTS / ms; i < (at + TICK_MS) * CLIENTS / ms; i++) {
            ladder_start(&clients[i].ladder, now);
            obey(&clients[i]);
        }
        run(TICK_MS);
    }
}

static unsigned spread(void)
{
    uint32_t most = 0, least = UINT32_MAX;
    for (size_t i = 0; i < SERVERS; i++) {
        most = farm.users[i] > most ? farm.users[i] : most;
        least = farm.users[i] < least ? farm.users[i] : least;
    }
    return most - least;
}

static void test_even_though_counts_are_old(void **state)
{
    (void)state;
    begin(POLICY_TWO_CHOICES);
    arrive(6000);
    unsigned two_choices = spread();
    end();
    begin(POLICY_LEAST_USERS);
    arrive(6000);
    unsigned herd = spread();
    end();
    assert_true(two_choices <= CLIENTS / SERVERS / 5);
    assert_true(herd > two_choices); /* why it is not the default */
}

static void test_crowd_comes_back(void **state)
{
    (void)state;
    begin(POLICY_TWO_CHOICES);
    arrive(10000);
    run(LADDER_STABLE_MS + 1000);
    now += TOLD_EVERY_MS - now % TOLD_EVERY_MS;
    for (int i = 0; i < SERVERS; i++)
        stop(i);
    for (int i = 0; i < SERVERS; i++)
        farm.refuses[i] = false;
    assert_int_equal(farm.lost, CLIENTS);
    farm.most_joins = 0;
    run(WINDOW_MS + 2000);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(clients[i].on >= 0);
    /* A server's share of them all over the window, twice. */
    assert_in_range(farm.most_joins, 1, 2 * CLIENTS / SERVERS * 1000 / WINDOW_MS);
    end();
}

/* Each drains, is empty before it stops, and comes back. */
static void test_rolling_restart(void **state)
{
    (void)state;
    begin(POLICY_TWO_CHOICES);
    arrive(6000);
    for (int i = 0; i < SERVERS; i++) {
        farm.status[i] = STATUS_DRAINING;
        run(WINDOW_MS + 2000);
        assert_int_equal(farm.users[i], 0);
        farm.status[i] = STATUS_DOWN;
        stop(i);
        run(3000);
        farm.status[i] = STATUS_UP;
        farm.refuses[i] = false;
        run(2000);
    }
    assert_int_equal(farm.lost, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(clients[i].on >= 0);
    end();
}

/* One dies: its clients are on others in the end, and nobody else moved. */
static void test_one_dies(void **state)
{
    (void)state;
    begin(POLICY_TWO_CHOICES);
    arrive(6000);
    run(LADDER_STABLE_MS);
    uint32_t before[2] = {farm.users[0], farm.users[2]};
    stop(1);
    run(1500);
    farm.status[1] = STATUS_DOWN;
    run(WINDOW_MS + 3000);
    assert_int_equal(farm.users[0] + farm.users[2], CLIENTS);
    assert_true(farm.users[0] >= before[0] && farm.users[2] >= before[1]);
    assert_true(spread() > 0);
    int difference = (int)farm.users[0] - (int)farm.users[2];
    assert_true(difference < CLIENTS / 10 && difference > -CLIENTS / 10);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_though_counts_are_old),
        cmocka_unit_test(test_crowd_comes_back),
        cmocka_unit_test(test_rolling_restart),
        cmocka_unit_test(test_one_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
