/* ladder_stay.c - on a server: the roster is watched, and the client moves when it should, the new
 * connection before the old one ends. */
#include "client/ladder_internal.h"

#include <string.h>

void ladder_settle(struct ladder *l, uint64_t now_ms)
{
    l->state = LADDER_SETTLED;
    l->watch_failures = 0;
    l->watch_at_ms = 0;
    ladder_watch_due(l, now_ms);
}

/* The node beside the server first; where it does not tell, any first server, in turn. */
void ladder_watch_due(struct ladder *l, uint64_t now_ms)
{
    (void)now_ms;
    struct ladder_action *a = ladder_add(l, LADDER_WATCH);
    a->server = l->on.name;
    a->url = l->on.url;
    a->at_name = l->watch_failures % 2;
    l->watching = true;
    l->watch_at_ms = 0;
}

void ladder_unwatch(struct ladder *l)
{
    if (l->watching)
        ladder_add(l, LADDER_UNWATCH);
    l->watching = false;
    l->watch_at_ms = 0;
}

void ladder_watch_ended(struct ladder *l, int err, uint64_t now_ms)
{
    (void)err;
    if (!l->watching)
        return;
    l->watching = false;
    uint64_t wait_ms = ladder_spread(l, l->window_ms) + ladder_backoff(l, l->watch_failures++);
    l->watch_at_ms = now_ms + wait_ms + 1;
}

static const struct roster_node *own_node(const struct ladder *l)
{
    const struct roster *r = l->roster;
    const struct roster_node *n = roster_find(r, l->on.name);
    for (; n && n < r->nodes + r->count && strcmp(n->entry->name, l->on.name) == 0; n++)
        if (strcmp(n->entry->servers[0].service, l->service) == 0)
            return n;
    return NULL;
}

/* Suspect and full ones keep their clients. */
static bool wants_rid(const struct ladder *l)
{
    const struct roster_node *n = own_node(l);
    enum status s = n ? roster_server_status(n, &n->entry->servers[0]) : STATUS_LEFT;
    return s == STATUS_DRAINING || s == STATUS_MAINT || s == STATUS_DOWN || s == STATUS_LEFT;
}

static void plan_move(struct ladder *l, uint64_t wait_ms, uint64_t now_ms)
{
    l->state = LADDER_WAIT_MOVE;
    l->at_ms = now_ms + wait_ms;
}

/* What the newest roster means for the place where the client is. */
void ladder_review(struct ladder *l, uint64_t now_ms)
{
    if (!l->up || !l->roster)
        return;
    bool before = l->leaving;
    l->leaving = wants_rid(l);
    if (l->leaving && l->state == LADDER_SETTLED) {
        plan_move(l, before ? ladder_backoff(l, 0) : ladder_spread(l, l->window_ms), now_ms);
    } else if (!l->leaving && l->state == LADDER_WAIT_MOVE && !l->asked) {
        l->state = LADDER_SETTLED;
    }
}

static void take_move(struct ladder *l, const struct news *n, uint64_t now_ms)
{
    if (!l->up || strcmp(n->service, l->service) != 0 || n->to_count == 0)
        return;
    if (l->state != LADDER_SETTLED && l->state != LADDER_WAIT_MOVE)
        return;
    memcpy(l->to, n->to, sizeof l->to);
    l->to_count = n->to_count;
    l->asked = true;
    uint32_t within = n->within_ms < LADDER_WINDOW_MAX_MS ? n->within_ms : LADDER_WINDOW_MAX_MS;
    plan_move(l, ladder_spread(l, within), now_ms);
}

/* Once, however many came at once. */
static void say_heard(struct ladder *l)
{
    for (size_t i = l->action_at; i < l->action_count; i++)
        if (l->actions[i].act == LADDER_HEARD)
            return;
    ladder_add(l, LADDER_HEARD);
}

void ladder_news(struct ladder *l, struct news *n, uint64_t now_ms)
{
    if (!l->watching) {
        roster_unref(n->roster);
        n->roster = NULL;
        return;
    }
    if (n->kind == NEWS_ROSTER) {
        ladder_take_roster(l, n->roster, n->window_ms, now_ms);
        n->roster = NULL;
        l->first = (struct addr){0};
        l->watch_failures = 0;
        say_heard(l);
        ladder_review(l, now_ms);
    } else if (n->kind == NEWS_MOVE) {
        take_move(l, n, now_ms);
    }
}

/* To stay is legal: when none of the named servers can be taken, or nobody else is up. */
static void stay(struct ladder *l, uint64_t now_ms)
{
    bool asked = l->asked;
    l->asked = false;
    l->to_count = 0;
    l->state = LADDER_SETTLED;
    if (!l->leaving)
        return;
    /* Another look: sooner where only the named ones were out of reach. */
    uint64_t wait_ms = ladder_backoff(l, asked ? 0 : l->round++);
    plan_move(l, wait_ms + 1, now_ms);
}

/* One that failed lately is no reason to leave a connection that works. */
void ladder_move_due(struct ladder *l, uint64_t now_ms)
{
    int err = ladder_choose(l, now_ms);
    l->strikes = 0;
    if (err || penalty_has(&l->penalty, l->next.name, now_ms))
        stay(l, now_ms);
    else
        ladder_connect(l);
}

void ladder_move_failed(struct ladder *l, uint64_t now_ms)
{
    struct ladder_action *a = ladder_add(l, LADDER_TROUBLE);
    a->error = l->error;
    a->server = l->next.name;
    stay(l, now_ms);
}
