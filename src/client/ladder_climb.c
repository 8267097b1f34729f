/* ladder_climb.c - name, first server, roster, pick, second server. */
#include "client/ladder_internal.h"

#include <stdio.h>
#include <string.h>

void ladder_resolve(struct ladder *l)
{
    l->job++;
    l->state = LADDER_RESOLVING;
    ladder_add(l, LADDER_RESOLVE);
}

static void trouble(struct ladder *l, int err, const char *server, uint32_t wait_ms)
{
    struct ladder_action *a = ladder_add(l, LADDER_TROUBLE);
    a->error = err;
    a->server = server;
    a->wait_ms = wait_ms;
}

void ladder_round_over(struct ladder *l, int err, uint64_t now_ms)
{
    l->error = err;
    l->round++;
    l->state = LADDER_WAIT_NAME;
    if (l->config.rounds && l->round >= l->config.rounds) {
        ladder_fail(l, err);
        return;
    }
    uint32_t wait_ms = ladder_backoff(l, l->round - 1);
    l->at_ms = now_ms + wait_ms;
    trouble(l, err, NULL, wait_ms);
}

/* In random order, so that clients spread over the first servers whatever the resolver does. */
static void take_addresses(struct ladder *l, const struct addr *list, size_t count)
{
    l->address_count = count < LADDER_ADDRESSES_MAX ? count : LADDER_ADDRESSES_MAX;
    l->address_at = 0;
    memcpy(l->addresses, list, l->address_count * sizeof *list);
    for (size_t i = l->address_count; i > 1; i--) {
        size_t other = (size_t)rng_below(&l->rng, i);
        struct addr swap = l->addresses[i - 1];
        l->addresses[i - 1] = l->addresses[other];
        l->addresses[other] = swap;
    }
}

static void ask(struct ladder *l)
{
    l->job++;
    l->state = LADDER_ASKING;
    ladder_add(l, LADDER_ASK)->to = l->addresses[l->address_at++];
}

void ladder_names(struct ladder *l, uint32_t job, int err, const struct addr *list, size_t count,
                  uint64_t now_ms)
{
    if (l->state != LADDER_RESOLVING || job != l->job)
        return;
    if (!err && count == 0)
        err = STEAD_E_NOT_FOUND;
    if (err) {
        ladder_round_over(l, err, now_ms);
        return;
    }
    take_addresses(l, list, count);
    ask(l);
}

int ladder_choose(struct ladder *l, uint64_t now_ms)
{
    struct http_url url;
    if (l->roster->count == 0)
        return STEAD_E_NO_SERVER;
    if (!*l->service) {
        const char *only = shortlist_service(l->roster);
        if (!only)
            return STEAD_E_INVAL;
        snprintf(l->service, sizeof l->service, "%s", only);
    }
    struct wish w = ladder_wish(l, now_ms);
    l->chance = rng_u64(&l->rng);
    int err = shortlist_pick(&w, l->roster, l->chance, &l->chosen, NULL);
    if (err)
        return err;
    if (!allow_url(&l->config.allow, l->chosen.server, l->config.allow.tls, &url))
        return STEAD_E_NO_SERVER;
    snprintf(l->next.name, sizeof l->next.name, "%s", l->chosen.node->entry->name);
    snprintf(l->next.url, sizeof l->next.url, "%s://%.*s", url.tls ? "https" : "http",
             (int)url.authority.len, url.authority.at);
    return STEAD_OK;
}

/* After failures the next server is not tried at once either: it may stand behind the same fault.
 */
static void go_on(struct ladder *l, uint64_t now_ms)
{
    int err = ladder_choose(l, now_ms);
    l->strikes = 0;
    if (err == STEAD_E_INVAL) {
        l->state = LADDER_WAIT_NAME;
        ladder_fail(l, err);
    } else if (err && l->address_at < l->address_count) {
        l->error = err; /* another first server may know more */
        ask(l);
    } else if (err) {
        ladder_round_over(l, err, now_ms);
    } else if (l->config.goal == LADDER_TO_PICK) {
        l->state = LADDER_ENDED;
        ladder_add(l, LADDER_DONE);
    } else {
        ladder_connect(l);
    }
}

void ladder_roster(struct ladder *l, uint32_t job, int err, struct roster *r, uint32_t window_ms,
                   uint64_t now_ms)
{
    if (l->state != LADDER_ASKING || job != l->job) {
        roster_unref(r);
        return;
    }
    if (err) {
        l->error = err;
        if (l->address_at < l->address_count)
            ask(l);
        else
            ladder_round_over(l, err, now_ms);
        return;
    }
    ladder_take_roster(l, r, window_ms, now_ms);
    l->first = l->addresses[l->address_at - 1];
    if (l->config.goal == LADDER_TO_ROSTER) {
        l->state = LADDER_ENDED;
        ladder_add(l, LADDER_DONE);
    } else {
        go_on(l, now_ms);
    }
}

void ladder_connect(struct ladder *l)
{
    l->job++;
    l->state = LADDER_CONNECTING;
    struct ladder_action *a = ladder_add(l, LADDER_CONNECT);
    a->server = l->next.name;
    a->url = l->next.url;
}

/* Its own retry first; then a penalty, and the way from the name on. */
static void connect_failed(struct ladder *l, int err, uint64_t now_ms)
{
    l->error = err;
    if (++l->strikes <= l->config.retries) {
        uint32_t wait_ms = ladder_backoff(l, l->strikes - 1);
        l->state = LADDER_WAIT_SERVER;
        l->at_ms = now_ms + wait_ms;
        trouble(l, err, l->next.name, wait_ms);
        return;
    }
    penalty_add(&l->penalty, l->next.name, now_ms + l->config.penalty_ms);
    if (l->up)
        ladder_move_failed(l, now_ms);
    else
        ladder_round_over(l, err, now_ms);
}

void ladder_connected(struct ladder *l, uint32_t job, int err, uint64_t now_ms)
{
    if (l->state != LADDER_CONNECTING || job != l->job)
        return;
    if (err) {
        connect_failed(l, err, now_ms);
        return;
    }
    bool moved = l->up;
    if (moved)
        ladder_unwatch(l);
    if (strcmp(l->on.name, l->next.name) != 0)
        l->strikes = 0;
    if (moved)
        l->round = 0;
    l->on = l->next;
    l->up = true;
    l->up_ms = now_ms;
    l->leaving = l->asked = false;
    l->to_count = 0;
    l->error = 0;
    /* Once on TLS, never again on plain. */
    if (strncmp(l->on.url, "https:", 6) == 0)
        l->config.allow.tls = true;
    struct ladder_action *a = ladder_add(l, moved ? LADDER_MOVED : LADDER_UP);
    a->server = l->on.name;
    a->url = l->on.url;
    if (l->config.goal == LADDER_TO_STAY)
        ladder_settle(l, now_ms);
    else
        l->state = LADDER_ENDED;
}
