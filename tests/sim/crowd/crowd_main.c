/* crowd_main.c - the scenarios: a rolling restart, and a crowd that comes back at once.
 * usage: stead_crowd [--table] [--plain] [--seeds N] SCENARIO
 * Without --table the promises of docs/drain.md are checked, and the seed is printed when one is
 * broken; with it, a row is printed for each way of balancing. --plain: random picks, everybody at
 * once and no rebalancing, which must break them. */
#include "crowd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct result {
    uint32_t least, most; /* users of a server in the end */
    double off_percent;   /* from level, of the server that is furthest from it */
    uint64_t surplus;     /* above the fair share, summed over what rebalancing had to mend */
    double peak;          /* joins of one server in one second / average joins per second */
    struct crowd_counts counts;
};

static int broken;

#define PROMISE(good, ...)                                                                         \
    do {                                                                                           \
        if (!(good)) {                                                                             \
            broken++;                                                                              \
            printf("BROKEN: " __VA_ARGS__);                                                        \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

/* -- what is seen from outside -- */

static uint64_t surplus(const struct crowd *c)
{
    uint64_t users = 0, sum = 0;
    for (unsigned n = 0; n < c->rules.nodes; n++)
        users += c->node[n].users;
    uint64_t fair = (users + c->rules.nodes - 1) / c->rules.nodes;
    for (unsigned n = 0; n < c->rules.nodes; n++)
        sum += c->node[n].users > fair ? c->node[n].users - fair : 0;
    return sum;
}

/* The most joins of one server within any second since. */
static uint32_t peak_joins(const struct crowd *c, uint64_t since_ms)
{
    uint32_t most = 0;
    for (unsigned n = 0; n < c->rules.nodes; n++) {
        uint32_t now = 0;
        for (uint64_t t = since_ms; t < c->now_ms && t < CROWD_SECONDS_MAX * 1000; t++) {
            now += c->node[n].joins_ms[t];
            now -= t >= since_ms + 1000 ? c->node[n].joins_ms[t - 1000] : 0;
            most = now > most ? now : most;
        }
    }
    return most;
}

static void look(const struct crowd *c, struct result *out)
{
    double level = (double)c->rules.clients / c->rules.nodes;
    out->least = UINT32_MAX;
    out->most = 0;
    for (unsigned n = 0; n < c->rules.nodes; n++) {
        uint32_t users = c->node[n].users;
        out->least = users < out->least ? users : out->least;
        out->most = users > out->most ? users : out->most;
    }
    double over = (double)out->most - level, under = level - (double)out->least;
    out->off_percent = 100 * (over > under ? over : under) / level;
    out->counts = c->counts;
}

/* -- scenarios -- */

static void arrive(struct crowd *c)
{
    for (uint32_t i = 0; i < c->rules.clients; i++) {
        c->client[i].timer_ms = c->now_ms + rng_below(&c->rng, 10000);
        crowd_event(c, c->client[i].timer_ms, &(struct event){.kind = EVENT_CLIENT, .client = i});
    }
    crowd_run(c, 30000);
}

/* Drain, wait until it is safe, restart, wait until it is up and the farm had time to level. */
static void restart(struct crowd *c, unsigned n, struct result *out)
{
    node_say(c, n, STATUS_DRAINING);
    for (unsigned s = 0; s < 60 && c->node[n].users > 0; s++)
        crowd_run(c, 1000);
    node_end(c, n, true);
    crowd_run(c, 2000);
    node_start(c, n);
    out->surplus += surplus(c);
    crowd_run(c, 40000);
}

static void rolling(const struct crowd_rules *rules, struct result *out)
{
    struct crowd *c = crowd_new(rules);
    *out = (struct result){0};
    arrive(c);
    c->counts = (struct crowd_counts){0};
    for (unsigned n = 0; n < rules->nodes; n++)
        restart(c, n, out);
    look(c, out);
    crowd_free(c);
}

/* The average is what the clients would make if they came back evenly in the time that the farm
 * asks for: the same for every way of balancing. */
static void crash(const struct crowd_rules *rules, bool all, struct result *out)
{
    struct crowd *c = crowd_new(rules);
    struct retry_limits limits = {RETRY_MIN_MS, RETRY_MAX_MS, RETRY_JOINS_PER_S};
    *out = (struct result){0};
    arrive(c);
    c->counts = (struct crowd_counts){0};
    uint64_t since_ms = c->now_ms;
    double window_s = retry_window(node_roster(c, 1), "shop", &limits) / 1000.0;
    uint32_t lost = all ? rules->clients : c->node[0].users;
    for (unsigned n = 0; all && n < rules->nodes; n++)
        for (uint32_t i = 0; i < rules->clients; i++)
            client_cut(c, i, n, true);
    if (!all)
        node_end(c, 0, false);
    crowd_run(c, 60000);
    double average = lost / window_s / (all ? rules->nodes : rules->nodes - 1);
    out->peak = peak_joins(c, since_ms) / average;
    if (!all) {
        node_start(c, 0);
        out->surplus = surplus(c);
        crowd_run(c, 90000);
    }
    look(c, out);
    crowd_free(c);
}

static void reconnect(const struct crowd_rules *rules, struct result *out)
{
    crash(rules, true, out);
}

static void killed(const struct crowd_rules *rules, struct result *out)
{
    crash(rules, false, out);
}

/* -- promises -- */

static void check_level(const struct result *r, uint64_t seed)
{
    PROMISE(r->off_percent <= 5, "seed %" PRIu64 ": %.1f %% off level", seed, r->off_percent);
    PROMISE(r->counts.asked * 100 <= r->surplus * 105,
            "seed %" PRIu64 ": %" PRIu64 " asked to move for a surplus of %" PRIu64, seed,
            r->counts.asked, r->surplus);
}

static void check_rolling(const struct result *r, uint64_t seed)
{
    check_level(r, seed);
    PROMISE(r->counts.trouble == 0 && r->counts.lost == 0,
            "seed %" PRIu64 ": %" PRIu64 " troubles, %" PRIu64 " lost", seed, r->counts.trouble,
            r->counts.lost);
}

static void check_reconnect(const struct result *r, uint64_t seed)
{
    PROMISE(r->peak <= 2, "seed %" PRIu64 ": %.2f times the average joins", seed, r->peak);
    PROMISE(r->peak > 0.5, "seed %" PRIu64 ": hardly anybody came back", seed);
}

static void check_killed(const struct result *r, uint64_t seed)
{
    check_reconnect(r, seed);
    check_level(r, seed);
}

struct scenario {
    const char *name;
    unsigned nodes;
    uint32_t clients;
    void (*run)(const struct crowd_rules *rules, struct result *out);
    void (*check)(const struct result *r, uint64_t seed);
};

static const struct scenario scenarios[] = {
    {"rolling", 3, 1500, rolling, check_rolling},
    {"rolling-8", 8, 1600, rolling, check_rolling},
    {"reconnect", 3, 5000, reconnect, check_reconnect},
    {"killed", 3, 5000, killed, check_killed},
};

static struct crowd_rules rules_of(const struct scenario *s, bool plain, uint64_t seed)
{
    return (struct crowd_rules){.nodes = s->nodes,
                                .clients = s->clients,
                                .policy = plain ? POLICY_RANDOM : POLICY_TWO_CHOICES,
                                .rebalance = !plain,
                                .joins_per_s = plain ? 0 : RETRY_JOINS_PER_S,
                                .seed = seed};
}

static void print_rows(const struct scenario *s, uint64_t seed)
{
    for (int plain = 1; plain >= 0; plain--) {
        struct crowd_rules rules = rules_of(s, plain, seed);
        struct result r;
        s->run(&rules, &r);
        printf("| %s | %s | %u | %u | %.1f %% | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
               " | %.2f |\n",
               s->name, plain ? "plain random" : "stead", r.least, r.most, r.off_percent,
               r.counts.moved, r.surplus, r.counts.asked, r.counts.trouble, r.peak);
    }
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1;
    const char *wanted = NULL;
    bool table = false, plain = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--table") == 0)
            table = true;
        else if (strcmp(argv[i], "--plain") == 0)
            plain = true;
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            seeds = strtoull(argv[++i], NULL, 10);
        else
            wanted = argv[i];
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        const struct scenario *s = &scenarios[i];
        if (wanted && strcmp(wanted, s->name) != 0)
            continue;
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            struct crowd_rules rules = rules_of(s, plain, seed);
            struct result r;
            if (table) {
                print_rows(s, seed);
                continue;
            }
            s->run(&rules, &r);
            s->check(&r, seed);
        }
    }
    return broken > 0;
}
