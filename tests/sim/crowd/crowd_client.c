/* crowd_client.c - carries out what the clients' state machines ask for. */
#include "crowd.h"

#include "stead/error.h"

#include <stdlib.h>
#include <string.h>

static unsigned node_named(const char *name)
{
    return (unsigned)(name[1] - '1');
}

/* A name server that runs, as a resolver finds one. */
static int some_node(struct crowd *c)
{
    unsigned start = (unsigned)rng_below(&c->rng, c->rules.nodes);
    for (unsigned i = 0; i < c->rules.nodes; i++)
        if (c->node[(start + i) % c->rules.nodes].runs)
            return (int)((start + i) % c->rules.nodes);
    return -1;
}

static void set_timer(struct crowd *c, uint32_t i)
{
    struct crowd_client *x = &c->client[i];
    uint64_t due = ladder_due(&x->ladder);
    if (due == UINT64_MAX || (x->timer_ms <= due && x->timer_ms > c->now_ms))
        return;
    x->timer_ms = due > c->now_ms ? due : c->now_ms + 1;
    crowd_event(c, x->timer_ms, &(struct event){.kind = EVENT_CLIENT, .client = i});
}

static void start_job(struct crowd *c, uint32_t i, enum event_kind kind, uint32_t job,
                      unsigned node)
{
    struct event e = {.kind = kind, .client = i, .job = job, .node = node};
    crowd_event(c, c->now_ms + crowd_delay(c), &e);
}

static void close_conn(struct crowd *c, struct crowd_client *x)
{
    if (x->conn >= 0)
        c->node[x->conn].users--;
    x->conn = -1;
}

static void act(struct crowd *c, uint32_t i, const struct ladder_action *a)
{
    struct crowd_client *x = &c->client[i];
    int n;
    switch (a->act) {
    case LADDER_RESOLVE:
        start_job(c, i, EVENT_NAMES, a->job, 0);
        break;
    case LADDER_ASK:
        start_job(c, i, EVENT_ROSTER, a->job, a->to.ip[3] - 1u);
        break;
    case LADDER_CONNECT:
        start_job(c, i, EVENT_CONNECTED, a->job, node_named(a->server));
        break;
    case LADDER_WATCH:
        n = a->at_name ? some_node(c) : (int)node_named(a->server);
        x->watch_asked = 0;
        start_job(c, i, EVENT_WATCH, ++x->watch_job, n >= 0 ? (unsigned)n : 0);
        break;
    case LADDER_UNWATCH:
        x->watch = -1;
        x->watch_job++;
        break;
    case LADDER_MOVED:
        close_conn(c, x);
        c->counts.moved++;
        x->conn = (int)node_named(a->server);
        break;
    case LADDER_UP:
        x->conn = (int)node_named(a->server);
        break;
    case LADDER_TROUBLE:
        c->counts.trouble++;
        break;
    case LADDER_CANCEL:
    case LADDER_HEARD:
    case LADDER_DONE:
        break;
    case LADDER_FAILED:
        abort(); /* one that stays never ends */
    }
}

void client_act(struct crowd *c, uint32_t i)
{
    struct ladder_action a;
    while (ladder_next(&c->client[i].ladder, &a))
        act(c, i, &a);
    set_timer(c, i);
}

void client_start(struct crowd *c, uint32_t i)
{
    struct crowd_client *x = &c->client[i];
    struct ladder_config config = {.goal = LADDER_TO_STAY,
                                   .service = "shop",
                                   .policy = c->rules.policy,
                                   .retries = 1,
                                   .retry_base_ms = 200,
                                   .retry_max_ms = 30000,
                                   .penalty_ms = 30000};
    if (!allow_init(&config.allow, "www.shop.test", NULL, false))
        abort();
    x->timer_ms = UINT64_MAX;
    ladder_init(&x->ladder, &config, rng_u64(&c->rng));
    if (c->rules.joins_per_s == 0)
        x->ladder.window_ms = 0;
    ladder_start(&x->ladder, c->now_ms);
    client_act(c, i);
}

void client_cut(struct crowd *c, uint32_t i, unsigned n, bool watch)
{
    struct crowd_client *x = &c->client[i];
    bool watched = watch && x->watch == (int)n;
    if (x->conn == (int)n) {
        close_conn(c, x);
        c->counts.lost++;
        ladder_lost(&x->ladder, c->now_ms);
        client_act(c, i);
    }
    if (watched && x->watch == (int)n) {
        x->watch = -1;
        ladder_watch_ended(&x->ladder, STEAD_E_CLOSED, c->now_ms);
        client_act(c, i);
    }
}

/* -- outcomes -- */

static void give_names(struct crowd *c, const struct event *e)
{
    struct ladder *l = &c->client[e->client].ladder;
    struct addr list[CROWD_NODES_MAX];
    size_t count = 0;
    int n = some_node(c);
    for (unsigned i = 0; n >= 0 && i < c->rules.nodes; i++)
        if (c->node[n].view[i].status == STATUS_UP)
            list[count++] =
                (struct addr){.family = 4, .port = 8080, .ip = {127, 0, 0, (uint8_t)(i + 1)}};
    ladder_names(l, e->job, n < 0 ? STEAD_E_UNREACHABLE : STEAD_OK, list, count, c->now_ms);
}

static void give_roster(struct crowd *c, const struct event *e)
{
    struct ladder *l = &c->client[e->client].ladder;
    struct roster *r = c->node[e->node].runs ? node_roster(c, e->node) : NULL;
    if (r)
        ladder_roster(l, e->job, STEAD_OK, roster_ref(r), node_window(c, r), c->now_ms);
    else
        ladder_roster(l, e->job, STEAD_E_UNREACHABLE, NULL, 0, c->now_ms);
}

static void give_connection(struct crowd *c, const struct event *e)
{
    struct ladder *l = &c->client[e->client].ladder;
    struct crowd_node *k = &c->node[e->node];
    if (l->state != LADDER_CONNECTING || l->job != e->job)
        return; /* it was called off */
    if (k->runs) {
        k->users++;
        if (c->now_ms < CROWD_SECONDS_MAX * 1000)
            k->joins_ms[c->now_ms]++;
    } else {
        c->counts.refused++;
    }
    ladder_connected(l, e->job, k->runs ? STEAD_OK : STEAD_E_UNREACHABLE, c->now_ms);
}

static void give_watch(struct crowd *c, const struct event *e)
{
    struct crowd_client *x = &c->client[e->client];
    if (x->watch_job != e->job || !x->ladder.watching)
        return;
    if (!c->node[e->node].runs) {
        ladder_watch_ended(&x->ladder, STEAD_E_UNREACHABLE, c->now_ms);
        return;
    }
    struct roster *r = node_roster(c, e->node);
    struct news news = {
        .kind = NEWS_ROSTER, .roster = roster_ref(r), .window_ms = node_window(c, r)};
    x->watch = (int)e->node;
    ladder_news(&x->ladder, &news, c->now_ms);
}

void client_event(struct crowd *c, const struct event *e)
{
    struct crowd_client *x = &c->client[e->client];
    switch (e->kind) {
    case EVENT_CLIENT:
        if (x->timer_ms != e->at_ms)
            return; /* another one came after it */
        x->timer_ms = UINT64_MAX;
        if (x->ladder.state == LADDER_IDLE) {
            client_start(c, e->client);
            return;
        }
        ladder_tick(&x->ladder, c->now_ms);
        break;
    case EVENT_NAMES:
        give_names(c, e);
        break;
    case EVENT_ROSTER:
        give_roster(c, e);
        break;
    case EVENT_CONNECTED:
        give_connection(c, e);
        break;
    case EVENT_WATCH:
        give_watch(c, e);
        break;
    default:
        break;
    }
    client_act(c, e->client);
}
