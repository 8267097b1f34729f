/* ladder.c - events, time, and the queue of actions. */
#include "client/ladder_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void ladder_init(struct ladder *l, const struct ladder_config *c, uint64_t seed)
{
    *l = (struct ladder){.config = *c, .window_ms = LADDER_WINDOW_MS};
    rng_init(&l->rng, seed);
    if (c->service)
        snprintf(l->service, sizeof l->service, "%s", c->service);
}

void ladder_deinit(struct ladder *l)
{
    if (!l)
        return;
    roster_unref(l->roster);
    l->roster = NULL;
}

struct ladder_action *ladder_add(struct ladder *l, enum ladder_act act)
{
    assert(l->action_count < LADDER_ACTIONS_MAX); /* the caller did not take them */
    struct ladder_action *a = &l->actions[l->action_count++];
    *a = (struct ladder_action){.act = act, .job = l->job};
    return a;
}

bool ladder_next(struct ladder *l, struct ladder_action *out)
{
    if (l->action_at == l->action_count) {
        l->action_at = l->action_count = 0;
        return false;
    }
    *out = l->actions[l->action_at++];
    return true;
}

static bool has_job(const struct ladder *l)
{
    return l->state == LADDER_RESOLVING || l->state == LADDER_ASKING ||
           l->state == LADDER_CONNECTING;
}

void ladder_fail(struct ladder *l, int err)
{
    if (has_job(l))
        ladder_add(l, LADDER_CANCEL);
    l->job++;
    ladder_unwatch(l);
    l->state = LADDER_ENDED;
    ladder_add(l, LADDER_FAILED)->error = err;
}

uint32_t ladder_backoff(struct ladder *l, unsigned n)
{
    uint64_t most = (uint64_t)l->config.retry_base_ms << (n < 20 ? n : 20);
    if (most > l->config.retry_max_ms)
        most = l->config.retry_max_ms;
    return (uint32_t)rng_below(&l->rng, most + 1);
}

uint64_t ladder_spread(struct ladder *l, uint32_t window_ms)
{
    return rng_below(&l->rng, (uint64_t)window_ms + 1);
}

void ladder_take_roster(struct ladder *l, struct roster *r, uint32_t window_ms, uint64_t now_ms)
{
    roster_unref(l->roster);
    l->roster = r;
    l->heard_ms = now_ms;
    l->chosen = (struct pick_choice){NULL, NULL};
    if (window_ms != NEWS_WINDOW_UNKNOWN)
        l->window_ms = window_ms < LADDER_WINDOW_MAX_MS ? window_ms : LADDER_WINDOW_MAX_MS;
}

void ladder_start(struct ladder *l, uint64_t now_ms)
{
    (void)now_ms;
    assert(l->state == LADDER_IDLE);
    ladder_resolve(l);
}

static bool waits(const struct ladder *l)
{
    return l->state == LADDER_WAIT_NAME || l->state == LADDER_WAIT_SERVER ||
           (l->state == LADDER_WAIT_MOVE && !l->held);
}

static uint64_t first_deadline(const struct ladder *l)
{
    bool counts = l->config.deadline_ms && l->up_ms == 0 && !l->up;
    return counts ? l->config.deadline_ms : UINT64_MAX;
}

uint64_t ladder_due(const struct ladder *l)
{
    if (l->state == LADDER_ENDED || l->state == LADDER_IDLE)
        return UINT64_MAX;
    uint64_t due = first_deadline(l);
    if (waits(l) && l->at_ms < due)
        due = l->at_ms;
    if (l->watch_at_ms && l->watch_at_ms < due)
        due = l->watch_at_ms;
    return due;
}

void ladder_tick(struct ladder *l, uint64_t now_ms)
{
    if (l->state == LADDER_ENDED || l->state == LADDER_IDLE)
        return;
    if (now_ms >= first_deadline(l)) {
        ladder_fail(l, l->error ? l->error : STEAD_E_DEADLINE);
        return;
    }
    if (l->watch_at_ms && now_ms >= l->watch_at_ms)
        ladder_watch_due(l, now_ms);
    if (!waits(l) || now_ms < l->at_ms)
        return;
    if (l->state == LADDER_WAIT_NAME)
        ladder_resolve(l);
    else if (l->state == LADDER_WAIT_SERVER)
        ladder_connect(l);
    else
        ladder_move_due(l, now_ms);
}

/* Lost: the same server again first, within the farm's retry window, so that those who lost it at
 * the same moment do not come back at the same moment. A server that wants no clients, or that
 * loses them as soon as it has them, is not tried for long. */
void ladder_lost(struct ladder *l, uint64_t now_ms)
{
    if (!l->up)
        return;
    bool stable = now_ms - l->up_ms >= LADDER_STABLE_MS;
    bool settled = l->state == LADDER_SETTLED || l->state == LADDER_WAIT_MOVE;
    bool leaving = l->leaving;
    l->up = l->leaving = l->asked = false;
    l->error = STEAD_E_CLOSED;
    ladder_unwatch(l);
    if (!settled)
        return; /* a move is under way: it has become the way up */
    l->to_count = 0;
    l->next = l->on;
    if (stable)
        l->round = l->strikes = 0;
    uint64_t wait_ms = stable ? ladder_spread(l, l->window_ms) : ladder_backoff(l, l->strikes);
    if (!leaving && ++l->strikes <= l->config.retries) {
        l->state = LADDER_WAIT_SERVER;
    } else {
        if (!leaving)
            penalty_add(&l->penalty, l->on.name, now_ms + l->config.penalty_ms);
        if (!stable)
            wait_ms = ladder_backoff(l, l->round++);
        l->state = LADDER_WAIT_NAME;
    }
    l->at_ms = now_ms + wait_ms;
    struct ladder_action *a = ladder_add(l, LADDER_TROUBLE);
    a->error = STEAD_E_CLOSED;
    a->server = l->on.name;
    a->wait_ms = (uint32_t)wait_ms;
}

void ladder_hold(struct ladder *l, bool hold, uint64_t now_ms)
{
    l->held = hold;
    if (!hold && l->state == LADDER_SETTLED)
        ladder_review(l, now_ms);
}

struct wish ladder_wish(const struct ladder *l, uint64_t now_ms)
{
    return (struct wish){
        .service = l->service,
        .group = l->config.group,
        .zone = l->config.zone,
        .exclude = l->config.exclude,
        .exclude_count = l->config.exclude_count,
        .leave = l->up ? l->on.name : NULL,
        .only = l->to,
        .only_count = l->up ? l->to_count : 0,
        .policy = l->config.policy,
        .allow = &l->config.allow,
        .penalty = &l->penalty,
        .now_ms = now_ms,
    };
}
