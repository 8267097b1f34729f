/* client_job.c - names, rosters, connections and the watch, each a step at a time. */
#include "base/mem.h"
#include "client/client_internal.h"
#include "client/net.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const struct addr *name_server(const struct stead_client *c)
{
    return c->terms.dns.family ? &c->terms.dns : NULL;
}

static int take_body(void *context, const char *bytes, size_t len)
{
    struct stead_client *c = context;
    struct sse_buffer *b = &c->body;
    if (len > ROSTER_JSON_BYTES_MAX - b->len)
        return STEAD_E_TOO_LARGE;
    if (b->len + len > b->cap) {
        size_t cap = (b->len + len) * 2;
        char *grown = mem_realloc(b->bytes, cap);
        if (!grown)
            return STEAD_E_NOMEM;
        b->bytes = grown;
        b->cap = cap;
    }
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    return STEAD_OK;
}

static void report(struct stead_client *c, int err, uint64_t now_ms)
{
    if (c->ladder.state == LADDER_RESOLVING)
        ladder_names(&c->ladder, c->job, err, NULL, 0, now_ms);
    else if (c->ladder.state == LADDER_ASKING)
        ladder_roster(&c->ladder, c->job, err, NULL, 0, now_ms);
    else
        ladder_connected(&c->ladder, c->job, err, now_ms);
}

static int begin_ask(struct stead_client *c, const struct addr *to)
{
    char target[TERMS_TARGET_MAX];
    struct dial d;
    terms_target(c->terms.options.service, NULL, target);
    dial_addr(&d, to, c->terms.options.timeout_ms);
    const struct get_request q = {.authority = c->terms.authority,
                                  .target = target,
                                  .accept = "application/json",
                                  .token = c->terms.options.token,
                                  .secure = c->terms.url.tls ? c->terms.options.secure : NULL,
                                  .host = c->terms.host};
    return get_new(&d, &q, &c->ask);
}

static int begin_connect(struct stead_client *c, const char *text)
{
    struct http_url u;
    char host[256];
    if (!http_url_parse(text, strlen(text), &u) || u.host.len >= sizeof host)
        return STEAD_E_PARSE;
    memcpy(host, u.host.at, u.host.len);
    host[u.host.len] = 0;
    int err = dial_host(&c->dial, host, u.port, name_server(c), c->terms.options.timeout_ms);
    c->dialling = err == STEAD_OK;
    return err;
}

void client_begin(struct stead_client *c, const struct ladder_action *a, uint64_t now_ms)
{
    client_cancel(c);
    int err;
    c->job = a->job;
    c->job_until_ms = now_ms + c->terms.options.timeout_ms;
    if (a->act == LADDER_RESOLVE) {
        err = lookup_new(c->terms.host, c->terms.url.port, name_server(c),
                         c->terms.options.timeout_ms, &c->lookup);
        c->job_until_ms = UINT64_MAX;
    } else if (a->act == LADDER_ASK) {
        err = begin_ask(c, &a->to);
    } else {
        err = begin_connect(c, a->url);
        c->job_until_ms = UINT64_MAX;
    }
    if (err)
        report(c, err, now_ms);
}

void client_cancel(struct stead_client *c)
{
    lookup_free(c->lookup);
    c->lookup = NULL;
    get_free(c->ask);
    c->ask = NULL;
    if (c->dialling)
        dial_deinit(&c->dial);
    c->dialling = false;
    mem_free(c->body.bytes);
    c->body = (struct sse_buffer){0};
}

static void finish_names(struct stead_client *c, uint64_t now_ms)
{
    struct addr list[RESOLVE_MAX];
    size_t count = 0;
    int err = lookup_result(c->lookup, list, &count);
    if (err == STEAD_PENDING)
        return;
    client_cancel(c);
    ladder_names(&c->ladder, c->job, err, list, count, now_ms);
}

static void finish_ask(struct stead_client *c, uint64_t now_ms)
{
    struct news n = {0};
    int err = get_step(c->ask, now_ms, take_body, c);
    if (err == STEAD_PENDING && now_ms >= c->job_until_ms)
        err = STEAD_E_DEADLINE;
    if (err == STEAD_PENDING)
        return;
    if (!err)
        err = news_whole(c->body.bytes ? c->body.bytes : "", c->body.len, &n);
    if (!err)
        c->watch_id[0] = 0; /* changes of the older roster would not fit this one */
    client_cancel(c);
    ladder_roster(&c->ladder, c->job, err, n.roster, n.window_ms, now_ms);
}

static void finish_connect(struct stead_client *c, uint64_t now_ms)
{
    int err = dial_step(&c->dial, now_ms);
    if (err == STEAD_PENDING)
        return;
    if (!err) {
        /* From here on it is the application's to wait for. */
        epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->dial.fd, NULL);
        c->old_fd = c->fd;
        c->fd = c->dial.fd;
        c->dial.fd = -1;
    }
    client_cancel(c);
    ladder_connected(&c->ladder, c->job, err, now_ms);
}

/* -- the watch -- */

static int begin_watch(struct stead_client *c, const struct ladder_action *a)
{
    char target[TERMS_TARGET_MAX], authority[272], host[256];
    struct http_url u = c->terms.url;
    struct dial d;
    if (!a->at_name && !http_url_parse(a->url, strlen(a->url), &u))
        return STEAD_E_PARSE;
    if (u.tls && !c->terms.options.secure)
        return STEAD_E_UNSUPPORTED; /* then any first server tells */
    if (u.host.len >= sizeof host || u.authority.len >= sizeof authority)
        return STEAD_E_TOO_LARGE;
    memcpy(host, u.host.at, u.host.len);
    host[u.host.len] = 0;
    memcpy(authority, u.authority.at, u.authority.len);
    authority[u.authority.len] = 0;
    terms_target(c->ladder.service, a->server, target);
    int err = dial_host(&d, host, u.port, name_server(c), c->terms.options.timeout_ms);
    const struct get_request q = {.authority = authority,
                                  .target = target,
                                  .accept = "text/event-stream",
                                  .token = c->terms.options.token,
                                  .last_id = c->watch_id,
                                  .secure = u.tls ? c->terms.options.secure : NULL,
                                  .host = host};
    return err ? err : get_new(&d, &q, &c->watch);
}

void client_watch(struct stead_client *c, const struct ladder_action *a, uint64_t now_ms)
{
    client_unwatch(c);
    c->watch_number++;
    c->watch_until_ms = now_ms + CLIENT_SILENCE_MS;
    c->watch_lines = 0;
    int err = begin_watch(c, a);
    if (err)
        ladder_watch_ended(&c->ladder, err, now_ms);
}

void client_unwatch(struct stead_client *c)
{
    get_free(c->watch);
    c->watch = NULL;
    sse_deinit(&c->sse);
}

static int take_events(void *context, const char *bytes, size_t len)
{
    struct stead_client *c = context;
    int got;
    if (!c->watch->reply.event_stream)
        return STEAD_E_UNSUPPORTED;
    while ((got = sse_feed(&c->sse, &bytes, &len)) > 0) {
        struct news n;
        int err = news_event(c->sse.event, c->sse.data.bytes ? c->sse.data.bytes : "",
                             c->sse.data.len, c->ladder.roster, &n);
        if (err)
            return err;
        if (n.kind == NEWS_ROSTER)
            memcpy(c->watch_id, c->sse.id, sizeof c->watch_id);
        ladder_news(&c->ladder, &n, net_now_ms());
    }
    return got;
}

static void finish_watch(struct stead_client *c, uint64_t now_ms)
{
    int err = get_step(c->watch, now_ms, take_events, c);
    if (c->sse.lines != c->watch_lines) {
        c->watch_lines = c->sse.lines;
        c->watch_until_ms = now_ms + CLIENT_SILENCE_MS;
    }
    if (err == STEAD_PENDING && now_ms >= c->watch_until_ms)
        err = STEAD_E_DEADLINE;
    if (err == STEAD_PENDING)
        return;
    /* What cannot be read does not come again when nothing is to be resumed. */
    if (err == STEAD_E_PARSE || err == STEAD_E_TOO_LARGE)
        c->watch_id[0] = 0;
    client_unwatch(c);
    ladder_watch_ended(&c->ladder, err ? err : STEAD_E_CLOSED, now_ms);
}

bool client_work(struct stead_client *c, uint64_t now_ms)
{
    if (c->lookup)
        finish_names(c, now_ms);
    else if (c->ask)
        finish_ask(c, now_ms);
    else if (c->dialling)
        finish_connect(c, now_ms);
    if (c->watch)
        finish_watch(c, now_ms);
    return c->ladder.action_count > 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t client_work_due(const struct stead_client *c)
{
    uint64_t due = UINT64_MAX;
    if (c->ask)
        due = sooner(c->job_until_ms, c->ask->connected ? UINT64_MAX : c->ask->dial.until_ms);
    if (c->dialling)
        due = sooner(due, c->dial.until_ms);
    if (c->watch)
        due = sooner(due, sooner(c->watch_until_ms,
                                 c->watch->connected ? UINT64_MAX : c->watch->dial.until_ms));
    return due;
}

/* A closed descriptor has left the set by itself, and its number may be another's by now. */
static void place(struct stead_client *c, struct slot *s, int fd, bool writable, unsigned tries)
{
    uint32_t events = writable ? EPOLLOUT : EPOLLIN;
    if (s->fd == fd && s->tries == tries && s->events == events)
        return;
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (fd >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        epoll_ctl(c->epoll, EPOLL_CTL_MOD, fd, &e);
    *s = (struct slot){fd, events, tries};
}

static void place_get(struct stead_client *c, struct slot *s, const struct get *g, unsigned number)
{
    bool writable;
    int fd = get_fd(g, &writable);
    place(c, s, fd, writable, number * 64 + g->dial.tries);
}

void client_sync(struct stead_client *c)
{
    if (c->lookup) {
        place(c, &c->job_slot, lookup_fd(c->lookup), false, c->job * 64);
    } else if (c->ask) {
        place_get(c, &c->job_slot, c->ask, c->job);
    } else if (c->dialling) {
        bool writable;
        int fd = dial_fd(&c->dial, &writable);
        place(c, &c->job_slot, fd, writable, c->job * 64 + c->dial.tries);
    } else {
        c->job_slot = (struct slot){.fd = -1};
    }
    if (c->watch)
        place_get(c, &c->watch_slot, c->watch, c->watch_number);
    else
        c->watch_slot = (struct slot){.fd = -1};
}
