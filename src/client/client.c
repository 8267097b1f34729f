/* client.c - stead/client.h: a ladder with sockets. */
#include "base/mem.h"
#include "client/client_internal.h"
#include "client/net.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct ladder_config make_config(const struct terms *t, enum ladder_goal goal,
                                        unsigned rounds, uint64_t now_ms)
{
    const struct stead_options *o = &t->options;
    return (struct ladder_config){
        .goal = goal,
        .service = o->service,
        .group = o->group,
        .zone = o->zone,
        .exclude = o->exclude,
        .exclude_count = o->exclude_count,
        .policy = t->policy,
        .allow = t->allow,
        .retries = o->retries,
        .rounds = rounds,
        .retry_base_ms = o->retry_base_ms,
        .retry_max_ms = o->retry_max_ms,
        .penalty_ms = o->penalty_ms,
        .deadline_ms = o->deadline_ms ? now_ms + o->deadline_ms : 0,
    };
}

int client_new(const char *url, const struct stead_options *options, enum ladder_goal goal,
               unsigned rounds, struct stead_client **out)
{
    uint64_t seed, now_ms = net_now_ms();
    *out = NULL;
    struct stead_client *c = mem_alloc(sizeof *c);
    if (!c)
        return STEAD_E_NOMEM;
    c->fd = c->old_fd = c->dial.fd = c->job_slot.fd = c->watch_slot.fd = c->epoll = -1;
    int err = terms_init(&c->terms, url, options);
    if (!err) {
        c->epoll = epoll_create1(EPOLL_CLOEXEC);
        err = c->epoll < 0 ? STEAD_E_IO : STEAD_OK;
    }
    if (err) {
        stead_client_free(c);
        return err;
    }
    net_random(&seed, sizeof seed);
    struct ladder_config config = make_config(&c->terms, goal, rounds, now_ms);
    ladder_init(&c->ladder, &config, seed);
    ladder_start(&c->ladder, now_ms);
    *out = c;
    return STEAD_OK;
}

int stead_client_new(const char *url, const struct stead_options *options,
                     struct stead_client **client)
{
    return client_new(url, options, LADDER_TO_STAY, 0, client);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void stead_client_free(struct stead_client *c)
{
    if (!c)
        return;
    client_cancel(c);
    client_unwatch(c);
    ladder_deinit(&c->ladder);
    terms_deinit(&c->terms);
    close_fd(&c->fd);
    close_fd(&c->old_fd);
    close_fd(&c->epoll);
    mem_free(c);
}

int stead_client_fd(const struct stead_client *c)
{
    return c->epoll;
}

int stead_client_timeout_ms(const struct stead_client *c)
{
    if (c->ended)
        return c->ended < 0 ? 0 : -1;
    if (c->ladder.action_count || c->old_fd >= 0)
        return 0;
    uint64_t due = ladder_due(&c->ladder), work = client_work_due(c), now = net_now_ms();
    if (work < due)
        due = work;
    if (due == UINT64_MAX)
        return -1;
    return due <= now ? 0 : due - now > INT_MAX ? INT_MAX : (int)(due - now);
}

static void tell(struct stead_client *c, const struct ladder_action *a, enum stead_event_kind kind,
                 struct stead_event *out)
{
    snprintf(c->server, sizeof c->server, "%s", a->server ? a->server : "");
    c->url[0] = 0;
    if (a->url)
        snprintf(c->url, sizeof c->url, "%s", a->url);
    struct stead_event event = {.size = out->size,
                                .kind = kind,
                                .fd = c->fd,
                                .old_fd = kind == STEAD_MOVED ? c->old_fd : -1,
                                .error = a->error,
                                .wait_ms = a->wait_ms,
                                .server = c->server,
                                .url = c->url};
    memcpy(out, &event, out->size < sizeof event ? out->size : sizeof event);
}

/* Does what the ladder says. True: it is something that the application hears of. */
static bool act(struct stead_client *c, const struct ladder_action *a, uint64_t now_ms,
                struct stead_event *event)
{
    switch (a->act) {
    case LADDER_RESOLVE:
    case LADDER_ASK:
    case LADDER_CONNECT:
        client_begin(c, a, now_ms);
        return false;
    case LADDER_CANCEL:
        client_cancel(c);
        return false;
    case LADDER_WATCH:
        client_watch(c, a, now_ms);
        return false;
    case LADDER_UNWATCH:
        client_unwatch(c);
        return false;
    case LADDER_DONE:
        c->ended = STEAD_PENDING;
        return false;
    case LADDER_FAILED:
        c->ended = a->error;
        return false;
    case LADDER_UP:
        tell(c, a, STEAD_CONNECTED, event);
        return true;
    case LADDER_MOVED:
        tell(c, a, STEAD_MOVED, event);
        return true;
    case LADDER_HEARD:
        tell(c, a, STEAD_HEARD, event);
        return true;
    case LADDER_TROUBLE:
        break;
    }
    tell(c, a, STEAD_TROUBLE, event);
    return true;
}

static int step(struct stead_client *c, struct stead_event *event)
{
    struct ladder_action a;
    for (;;) {
        uint64_t now_ms = net_now_ms();
        while (ladder_next(&c->ladder, &a))
            if (act(c, &a, now_ms, event))
                return 1;
        if (c->ended)
            return c->ended < 0 ? c->ended : 0;
        ladder_tick(&c->ladder, now_ms);
        if (c->ladder.action_count == 0 && !client_work(c, now_ms))
            return 0;
    }
}

int stead_client_step(struct stead_client *c, struct stead_event *event)
{
    close_fd(&c->old_fd);
    int got = step(c, event);
    client_sync(c);
    return got;
}

void stead_client_lost(struct stead_client *c)
{
    close_fd(&c->fd);
    ladder_lost(&c->ladder, net_now_ms());
}

void stead_client_hold(struct stead_client *c, int hold)
{
    ladder_hold(&c->ladder, hold != 0, net_now_ms());
}

int stead_client_take(struct stead_client *c)
{
    int fd = c->fd;
    c->fd = -1;
    if (fd < 0)
        return -1;
    c->ended = STEAD_PENDING;
    client_cancel(c);
    client_unwatch(c);
    return fd;
}

const char *stead_client_server(const struct stead_client *c)
{
    return c->ladder.up ? c->ladder.on.name : "";
}

uint64_t stead_client_revision(const struct stead_client *c)
{
    return c->ladder.roster ? c->ladder.roster->revision : 0;
}
