/* crowd_node.c - a node: what it knows of the others, what it tells its watchers, and whom it asks
 * to move. */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct rebalance_rules rules = {.threshold_percent = 5,
                                             .pace_per_s = REBALANCE_PACE_PER_S};

/* -- what nodes say to each other -- */

static void tell(struct crowd *c, unsigned n)
{
    struct crowd_node *k = &c->node[n];
    k->told = k->view[n] = (struct seen){k->status, k->users, k->life};
    k->told_ms = c->now_ms;
    k->changed = true;
    for (unsigned to = 0; to < c->rules.nodes; to++) {
        struct event e = {.kind = EVENT_TELL,
                          .node = to,
                          .from = n,
                          .status = k->status,
                          .users = k->users,
                          .life = k->life};
        if (to != n && c->node[to].runs)
            crowd_event(c, c->now_ms + crowd_delay(c), &e);
    }
}

void node_say(struct crowd *c, unsigned n, enum status s)
{
    c->node[n].status = s;
    tell(c, n);
}

void node_start(struct crowd *c, unsigned n)
{
    struct crowd_node *k = &c->node[n];
    k->runs = true;
    k->life++;
    k->users = 0;
    k->rebalance = (struct rebalance){0};
    for (unsigned from = 0; from < c->rules.nodes; from++) {
        struct crowd_node *other = &c->node[from];
        k->view[from] = (struct seen){.status = other->runs ? other->status : STATUS_LEFT,
                                      .users = other->runs ? other->users : 0,
                                      .life = other->life};
    }
    node_say(c, n, STATUS_UP);
    crowd_event(c, c->now_ms + TELL_MS,
                &(struct event){.kind = EVENT_NODE, .node = n, .life = k->life});
}

void node_end(struct crowd *c, unsigned n, bool in_order)
{
    struct crowd_node *k = &c->node[n];
    if (in_order)
        node_say(c, n, STATUS_LEFT);
    k->runs = false;
    for (unsigned to = 0; !in_order && to < c->rules.nodes; to++) {
        struct event e = {.kind = EVENT_LOOK, .node = to, .from = n, .life = k->life};
        e.status = STATUS_SUSPECT;
        crowd_event(c, c->now_ms + SUSPECT_MS + crowd_delay(c), &e);
        e.status = STATUS_DOWN;
        crowd_event(c, c->now_ms + DOWN_MS + crowd_delay(c), &e);
    }
    for (uint32_t i = 0; i < c->rules.clients; i++)
        client_cut(c, i, n, true);
    k->users = 0;
}

/* -- the roster as this node sees it -- */

static const char *const names[CROWD_NODES_MAX] = {"s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"};

struct roster *node_roster(struct crowd *c, unsigned n)
{
    struct crowd_node *k = &c->node[n];
    if (k->roster && !k->changed)
        return k->roster;
    struct roster *r = roster_blank(c->rules.nodes, 1);
    if (!r)
        abort();
    r->revision = k->roster ? k->roster->revision + 1 : 1;
    for (unsigned i = 0; i < c->rules.nodes; i++) {
        struct entry *e = r->nodes[i].entry;
        snprintf(e->name, sizeof e->name, "%s", names[i]);
        e->inc = k->view[i].life;
        e->server_count = 1;
        e->servers[0] = (struct server){
            .weight = 100, .users = k->view[i].users, .healthy = true, .url_count = 1};
        snprintf(e->servers[0].service, sizeof e->servers[0].service, "shop");
        snprintf(e->servers[0].urls[0], sizeof e->servers[0].urls[0], "http://%s.shop.test:8080",
                 names[i]);
        r->nodes[i].status = k->view[i].status;
        r->nodes[i].self = i == n;
    }
    roster_unref(k->roster);
    k->roster = r;
    k->changed = false;
    return r;
}

uint32_t node_window(const struct crowd *c, const struct roster *r)
{
    struct retry_limits l = {RETRY_MIN_MS, RETRY_MAX_MS, c->rules.joins_per_s};
    return c->rules.joins_per_s ? retry_window(r, "shop", &l) : 0;
}

/* -- watchers -- */

static bool urgent(const struct roster *a, const struct roster *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->nodes[i].status != b->nodes[i].status)
            return true;
    return false;
}

static void push(struct crowd *c, unsigned n)
{
    struct crowd_node *k = &c->node[n];
    struct roster *r = node_roster(c, n);
    if (r == k->pushed || c->now_ms < k->pushed_ms + PUSH_MS)
        return;
    if (k->pushed && !urgent(k->pushed, r) && c->now_ms < k->pushed_ms + COUNTS_MS)
        return;
    k->pushed_ms = c->now_ms;
    roster_unref(k->pushed);
    k->pushed = roster_ref(r);
    for (uint32_t i = 0; i < c->rules.clients; i++) {
        if (c->client[i].watch != (int)n)
            continue;
        struct news news = {
            .kind = NEWS_ROSTER, .roster = roster_ref(r), .window_ms = node_window(c, r)};
        ladder_news(&c->client[i].ladder, &news, c->now_ms);
        client_act(c, i);
    }
}

static void ask(struct crowd *c, unsigned n, const struct rebalance_target *t)
{
    uint32_t left = t->count;
    for (uint32_t i = 0; i < c->rules.clients && left > 0; i++) {
        struct crowd_client *x = &c->client[i];
        if (x->watch != (int)n || x->conn != (int)n ||
            (x->watch_asked && c->now_ms < x->watch_asked + ASK_AGAIN_MS))
            continue;
        struct news news = {.kind = NEWS_MOVE, .within_ms = t->within_ms, .to_count = 1};
        snprintf(news.service, sizeof news.service, "shop");
        snprintf(news.to[0], sizeof news.to[0], "%s", t->name);
        x->watch_asked = c->now_ms;
        left--;
        c->counts.asked++;
        ladder_news(&x->ladder, &news, c->now_ms);
        client_act(c, i);
    }
}

static void level(struct crowd *c, unsigned n)
{
    struct crowd_node *k = &c->node[n];
    struct rebalance_plan plan;
    if (!c->rules.rebalance || c->now_ms < k->stepped_ms + 1000)
        return;
    k->stepped_ms = c->now_ms;
    struct roster *r = roster_ref(node_roster(c, n));
    rebalance_step(&k->rebalance, r, "shop", &rules, c->now_ms, &plan);
    for (size_t i = 0; plan.why == REBALANCE_MOVES && i < plan.count; i++)
        ask(c, n, &plan.targets[i]);
    roster_unref(r);
}

static void take_turn(struct crowd *c, unsigned n, uint64_t life)
{
    struct crowd_node *k = &c->node[n];
    if (!k->runs || k->life != life)
        return;
    if (k->told.users != k->users)
        tell(c, n);
    push(c, n);
    level(c, n);
    crowd_event(c, c->now_ms + TELL_MS,
                &(struct event){.kind = EVENT_NODE, .node = n, .life = life});
}

static void take_word(struct crowd *c, const struct event *e)
{
    struct crowd_node *k = &c->node[e->node];
    struct seen *s = &k->view[e->from];
    if (!k->runs || e->life < s->life)
        return;
    if (e->kind == EVENT_LOOK && (s->life != e->life || s->status == STATUS_LEFT))
        return;
    s->status = e->status;
    s->life = e->life;
    if (e->kind == EVENT_TELL)
        s->users = e->users;
    k->changed = true;
}

void node_event(struct crowd *c, const struct event *e)
{
    if (e->kind == EVENT_NODE)
        take_turn(c, e->node, e->life);
    else
        take_word(c, e);
}
