/* exchange.c - clients from their coming to their end: what they wait for, whom is watched, what
 * time is up. Requests are exchange_request.c's, answers exchange_answer.c's. */
#include "role/director/exchange_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

const uint32_t exchange_time_us[EXCHANGE_TIMES - 1] = {500,     1000,    2500,    5000,   10000,
                                                       25000,   50000,   100000,  250000, 1000000,
                                                       2500000, 5000000, 10000000};

void exchange_limits_default(struct exchange_limits *l)
{
    *l = (struct exchange_limits){.clients_max = 10000,
                                  .pipes_max = FLOW_PIPES_MAX,
                                  .body_ms = 30000,
                                  .idle_ms = 60000,
                                  .linger_ms = 2000};
}

const char *exchange_end_name(enum exchange_end e)
{
    static const char *const names[] = {
        [EXCHANGE_CLOSED] = "closed",           [EXCHANGE_RETURNED] = "returned",
        [EXCHANGE_UNREACHABLE] = "unreachable", [EXCHANGE_FAILED] = "failed",
        [EXCHANGE_UPGRADED] = "upgraded",       [EXCHANGE_RESET] = "reset",
        [EXCHANGE_STOPPED] = "stopped",         [EXCHANGE_PASSED] = "passed",
    };
    return names[e];
}

void exchange_count(atomic_uint_fast64_t *counter, int64_t by)
{
    if (by)
        atomic_fetch_add_explicit(counter, (uint_fast64_t)by, memory_order_relaxed);
}

/* -- the end of a request -- */

static void record(struct exchange *x)
{
    struct exchanger *e = x->client->exchanger;
    struct exchange_counters *n = e->config.counters;
    struct exchange_record r = {.head = {x->head, x->head_len},
                                .status = x->status,
                                .up = x->send.bytes,
                                .down = x->back.bytes,
                                .time_us = (io_now_ns() - x->started_ns) / 1000,
                                .reused = x->reused};
    size_t slot = 0;
    while (slot < EXCHANGE_TIMES - 1 && r.time_us > exchange_time_us[slot])
        slot++;
    exchange_count(&n->answers[x->status / 100], 1);
    exchange_count(&n->times[slot], 1);
    exchange_count(&n->time_us, (int64_t)r.time_us);
    exchange_count(&n->up_bytes, (int64_t)r.up);
    exchange_count(&n->down_bytes, (int64_t)r.down);
    if (e->config.done)
        e->config.done(x->client->context, &r);
}

void exchange_over(struct exchange *x)
{
    struct client *c = x->client;
    struct exchanger *e = c->exchanger;
    record(x);
    flow_drop(&x->send, &e->means);
    flow_drop(&x->back, &e->means);
    if (x->upstream)
        upstream_close(x->upstream, x->status == 0 || !x->answered.done);
    x->upstream = NULL;
    mem_free(x->partial);
    mem_free(x->lines);
    mem_free(x->name);
    x->partial = x->lines = x->name = NULL;
    c->exchange = NULL;
    if (e->spare_count == EXCHANGE_SPARES_MAX || x->head_cap > EXCHANGE_SPARE_BYTES) {
        mem_free(x->head);
        mem_free(x);
        return;
    }
    e->spare_count++;
    list_prepend(&e->spares, &x->spare);
}

static void spares_free(struct exchanger *e)
{
    struct list *link;
    while ((link = list_pop(&e->spares))) {
        struct exchange *x = list_entry(link, struct exchange, spare);
        mem_free(x->head);
        mem_free(x);
    }
    e->spare_count = 0;
}

/* -- the end of a client -- */

static void part_closed(void *context)
{
    struct exchanger *e = context;
    if (--e->parts > 0)
        return;
    void (*closed)(void *) = e->closed;
    void *closed_context = e->closed_context;
    flow_means_deinit(&e->means);
    spares_free(e);
    mem_free(e);
    if (closed)
        closed(closed_context);
}

/* Takes it out of all lists; what it still has is the caller's in r. */
static void client_out(struct client *c, struct exchange_result *r)
{
    struct exchanger *e = c->exchanger;
    if (c->exchange)
        exchange_over(c->exchange);
    list_remove(&c->link);
    poller_forget(e->poller, &c->item);
    if (r->client.fd < 0)
        stream_close(&c->stream, r->end == EXCHANGE_RESET || r->end == EXCHANGE_STOPPED);
    if (!c->borrowed)
        mem_free(c->in);
    e->clients--;
    exchange_count(&e->config.counters->clients, -1);
    e->config.ended(c->context, r);
    mem_free(c);
}

bool client_end(struct client *c, enum exchange_end end)
{
    struct exchange_result r = {.end = end, .client.fd = -1, .server.fd = -1};
    client_out(c, &r);
    return false;
}

bool client_give(struct client *c, struct exchange_result *r)
{
    r->client = c->stream;
    client_out(c, r);
    return false;
}

static void wait_for(struct client *c, enum wait w)
{
    struct exchanger *e = c->exchanger;
    bool own = w == WAIT_IDLE || w == WAIT_LINGER || w == WAIT_REQUEST || w == WAIT_TAKE;
    if (list_linked(&c->link))
        list_remove(&c->link);
    c->wait = (uint8_t)w;
    c->since_ms = uv_now(e->config.loop);
    list_append(own ? &e->own[w].clients : &e->of_server[c->exchange->slot][w].clients, &c->link);
}

/* -- watching -- */

/* What is always said, as errors are, if anything is watched. */
#define NOTHING EPOLLPRI

/* A side that is watched for more than is wanted stays so until something comes: mostly what is not
 * wanted now is wanted soon. */
static bool watch_enough(uint32_t now, uint32_t wanted)
{
    const uint32_t whatever = EPOLLIN | NOTHING;
    return now != 0 && (now | whatever) == (wanted | whatever) && (wanted & ~now & EPOLLIN) == 0;
}

static bool client_watch(struct client *c, bool read, bool write, bool exactly)
{
    uint32_t wanted = stream_events(&c->stream, read, write);
    if (!wanted)
        wanted = NOTHING;
    if (!exactly && watch_enough(c->item.events, wanted))
        return true;
    return poller_watch(c->exchanger->poller, &c->item, wanted);
}

static bool upstream_watch_enough(struct upstream *u, bool read, bool write, bool exactly)
{
    if (!exactly && watch_enough(u->item.events, stream_events(&u->stream, read, write)))
        return true;
    return upstream_watch(u, read, write);
}

static enum wait waits_for(const struct exchange *x)
{
    if (x->upstream && !x->upstream->connected)
        return WAIT_CONNECT;
    if (flow_waits(&x->back))
        return WAIT_TAKE;
    if (x->status)
        return WAIT_STREAM;
    return (x->asked.done || x->send_lost) && !flow_waits(&x->send) ? WAIT_ANSWER : WAIT_REQUEST;
}

/* exactly: something came that was not wanted. */
static bool settle(struct client *c, bool exactly)
{
    struct exchange *x = c->exchange;
    if (!x) {
        wait_for(c, WAIT_IDLE);
        return client_watch(c, true, false, exactly) || client_end(c, EXCHANGE_RESET);
    }
    struct upstream *u = x->upstream;
    bool taking = !flow_waits(&x->back);
    wait_for(c, waits_for(x));
    if (!client_watch(c, request_wants(x), !taking, exactly) ||
        (u && !upstream_watch_enough(u, u->connected && taking,
                                     !u->connected || flow_waits(&x->send), exactly)))
        return client_end(c, EXCHANGE_RESET);
    return true;
}

bool client_settle(struct client *c)
{
    return settle(c, false);
}

/* -- last answers -- */

static void linger(struct client *c)
{
    struct exchanger *e = c->exchanger;
    if (!c->shut)
        c->shut = stream_shutdown(&c->stream) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    ssize_t n = stream_read(&c->stream, e->means.buffer, sizeof(e->means.buffer));
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    if (over || !client_watch(c, true, false, true))
        client_end(c, EXCHANGE_CLOSED);
}

bool client_linger(struct client *c)
{
    if (c->exchange)
        exchange_over(c->exchange);
    if (!c->borrowed)
        mem_free(c->in);
    c->in = NULL;
    c->in_len = 0;
    c->borrowed = false;
    wait_for(c, WAIT_LINGER);
    linger(c);
    return false;
}

bool client_fail(struct client *c, int status)
{
    struct exchange *x = c->exchange;
    char text[EXCHANGE_ERROR_MAX];
    if (x->status || flow_waits(&x->back))
        return client_end(c, EXCHANGE_RESET);
    size_t len = exchange_error(status, x->head_only, time(NULL), text);
    struct iovec iov = {text, len};
    x->status = (uint16_t)status;
    /* The socket's buffer is empty: it takes so little, or the client is gone. */
    if (!flow_give(&x->back, &iov, 1) || flow_waits(&x->back))
        return client_end(c, EXCHANGE_RESET);
    return client_linger(c);
}

/* -- events -- */

/* What is left in the exchanger's buffer becomes the client's own. */
static bool own_rest(struct client *c)
{
    char *own = c->in_len ? mem_dup(c->in + c->in_at, c->in_len) : NULL;
    bool kept = own || !c->in_len;
    c->borrowed = false;
    c->in = own;
    c->in_at = 0;
    return kept || client_end(c, EXCHANGE_RESET);
}

/* What the client sent is used as far as it goes; the rest is kept. */
static void client_read(struct client *c)
{
    struct exchanger *e = c->exchanger;
    ssize_t n = stream_read(&c->stream, e->means.buffer, sizeof(e->means.buffer));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        client_end(c, n == 0 ? EXCHANGE_CLOSED : EXCHANGE_RESET);
        return;
    }
    c->in = e->means.buffer;
    c->in_at = 0;
    c->in_len = (uint32_t)n;
    c->borrowed = true;
    (void)(request_begin(c) && own_rest(c) && client_settle(c));
}

static bool back_writable(struct exchange *x)
{
    struct client *c = x->client;
    if (!flow_flush(&x->back, &c->exchanger->means)) {
        exchange_count(&c->exchanger->config.counters->client_breaks, 1);
        return client_end(c, EXCHANGE_RESET);
    }
    return flow_waits(&x->back) || !x->answered.done || !x->status || answer_taken(x);
}

void client_event(struct poller_item *item, uint32_t events)
{
    struct client *c = list_entry(item, struct client, item);
    struct exchange *x = c->exchange;
    if (c->wait == WAIT_LINGER) {
        linger(c);
        return;
    }
    if (!x) {
        client_read(c);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP)) {
        exchange_count(&c->exchanger->config.counters->client_breaks, 1);
        client_end(c, EXCHANGE_RESET);
        return;
    }
    if (flow_waits(&x->back) && !back_writable(x))
        return;
    /* More requests, or the client's end, are looked at when their turn has come. */
    bool says = events & EPOLLIN, used = says && c->exchange == x && request_wants(x);
    if (!used || request_readable(c))
        settle(c, says && !used);
}

static void server_event(void *owner, uint32_t events)
{
    struct exchange *x = owner;
    struct client *c = x->client;
    if (!x->upstream->connected || flow_waits(&x->send))
        if (!request_writable(x))
            return;
    if (!c->exchange || !c->exchange->upstream) {
        client_settle(c);
        return;
    }
    bool taking = !flow_waits(&x->back);
    if (x->upstream->connected && taking && events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
        !answer_readable(x))
        return;
    settle(c, !taking);
}

/* -- time -- */

static void expire(struct client *c)
{
    struct exchange *x = c->exchange;
    enum wait w = (enum wait)c->wait;
    struct exchange_result r = {
        .end = EXCHANGE_UNREACHABLE, .server.fd = -1, .slot = x ? x->slot : 0};
    if (w != WAIT_IDLE && w != WAIT_LINGER)
        exchange_count(&c->exchanger->config.counters->timeouts, 1);
    switch (w) {
    case WAIT_IDLE:
    case WAIT_LINGER:
        client_end(c, EXCHANGE_CLOSED);
        break;
    case WAIT_CONNECT:
        exchange_count(&c->exchanger->config.counters->upstream.refused, 1);
        r.bytes = mem_dup(x->head, x->head_len);
        r.len = r.bytes ? x->head_len : 0;
        client_give(c, &r);
        break;
    case WAIT_REQUEST:
        client_fail(c, flow_waits(&x->send) || (x->expects && !x->interims) ? 504 : 408);
        break;
    case WAIT_ANSWER:
        client_fail(c, 504);
        break;
    default:
        client_end(c, EXCHANGE_RESET);
    }
}

static void sweep_list(struct exchanger *e, struct waiting *w)
{
    uint64_t now = uv_now(e->config.loop);
    while (!list_empty(&w->clients)) {
        struct client *c = list_entry(w->clients.next, struct client, link);
        if (now - c->since_ms < w->limit_ms)
            return;
        expire(c);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct exchanger *e = timer->data;
    for (int w = 0; w < WAITS; w++) {
        sweep_list(e, &e->own[w]);
        for (size_t s = 0; s < UPSTREAM_SLOTS; s++)
            sweep_list(e, &e->of_server[s][w]);
    }
    upstreams_sweep(&e->upstreams, uv_now(e->config.loop));
    if (e->clients == 0 && e->upstreams.count == 0)
        uv_timer_stop(timer);
}

/* -- coming -- */

static void tune(int fd)
{
    int on = 1, idle_s = 60;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* A client that vanished without a word is noticed. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

/* In this order; so long at least without a byte. */
static const struct {
    enum wait wait;
    uint32_t ms;
} crowded[] = {{WAIT_LINGER, 0}, {WAIT_IDLE, 50}, {WAIT_REQUEST, 100}, {WAIT_TAKE, 500}};

bool exchanger_make_room(struct exchanger *e)
{
    uint64_t now = uv_now(e->config.loop);
    for (size_t i = 0; i < sizeof(crowded) / sizeof(crowded[0]); i++) {
        struct list *waiting = &e->own[crowded[i].wait].clients;
        struct client *c = list_entry(waiting->next, struct client, link);
        if (list_empty(waiting) || now - c->since_ms < crowded[i].ms)
            continue;
        exchange_count(&e->config.counters->crowded, 1);
        client_end(c, c->exchange ? EXCHANGE_RESET : EXCHANGE_CLOSED);
        return true;
    }
    return false;
}

int exchange_start(struct exchanger *e, const struct exchange_client *q)
{
    bool full = e->clients >= e->config.limits.clients_max;
    if (e->closing || (full && !exchanger_make_room(e))) {
        exchange_count(&e->config.counters->busy, 1);
        return STEAD_E_BUSY;
    }
    struct client *c = mem_alloc(sizeof(*c));
    if (!c)
        return STEAD_E_NOMEM;
    *c = (struct client){.item = {.fd = q->stream.fd, .ready = client_event},
                         .stream = q->stream,
                         .exchanger = e,
                         .in = q->bytes,
                         .in_len = (uint32_t)q->len,
                         .peer = q->peer,
                         .tls = q->tls,
                         .identity = q->identity,
                         .context = q->context};
    tune(q->stream.fd);
    if (e->clients++ == 0)
        uv_timer_start(&e->sweep, on_sweep, EXCHANGE_SWEEP_MS, EXCHANGE_SWEEP_MS);
    exchange_count(&e->config.counters->clients, 1);
    exchange_count(&e->config.counters->clients_total, 1);
    wait_for(c, WAIT_IDLE);
    (void)(request_first(c, &q->route) && client_settle(c));
    return STEAD_OK;
}

size_t exchanger_clients(const struct exchanger *e)
{
    return e->clients;
}

/* -- the exchanger -- */

static void take_server(struct exchanger *e, size_t slot)
{
    const struct exchange_server *s = &e->config.servers[slot];
    e->of_server[slot][WAIT_CONNECT].limit_ms = s->connect_ms;
    e->of_server[slot][WAIT_ANSWER].limit_ms = s->answer_ms;
    e->of_server[slot][WAIT_STREAM].limit_ms = s->stream_ms;
    e->upstreams.rules[slot] = s->upstream;
}

static void lists_init(struct exchanger *e)
{
    const struct exchanger_config *l = &e->config;
    for (int w = 0; w < WAITS; w++) {
        list_init(&e->own[w].clients);
        for (size_t s = 0; s < UPSTREAM_SLOTS; s++)
            list_init(&e->of_server[s][w].clients);
    }
    e->own[WAIT_IDLE].limit_ms = l->limits.idle_ms;
    e->own[WAIT_LINGER].limit_ms = l->limits.linger_ms;
    e->own[WAIT_REQUEST].limit_ms = e->own[WAIT_TAKE].limit_ms = l->limits.body_ms;
    for (size_t s = 0; s < UPSTREAM_SLOTS; s++)
        take_server(e, s);
}

void exchanger_set(struct exchanger *e, size_t slot, const struct exchange_server *server)
{
    e->config.servers[slot] = *server;
    take_server(e, slot);
    upstreams_renew(&e->upstreams, slot);
}

int exchanger_open(const struct exchanger_config *config, struct exchanger **out)
{
    uint64_t seed;
    struct exchanger *e = mem_alloc(sizeof(*e));
    if (!e)
        return STEAD_E_NOMEM;
    int err = poller_open(config->loop, &e->poller);
    if (err != STEAD_OK) {
        mem_free(e);
        return err;
    }
    e->config = *config;
    lists_init(e);
    list_init(&e->spares);
    io_random(&seed, sizeof(seed));
    rng_init(&e->rng, seed);
    flow_means_init(&e->means, config->limits.pipes_max);
    e->upstreams.loop = config->loop;
    e->upstreams.poller = e->poller;
    e->upstreams.max = config->limits.clients_max;
    e->upstreams.tls = config->tls;
    e->upstreams.counters = &config->counters->upstream;
    e->upstreams.ready = server_event;
    upstreams_init(&e->upstreams);
    uv_timer_init(config->loop, &e->sweep);
    e->sweep.data = e;
    e->parts = 2;
    *out = e;
    return STEAD_OK;
}

void exchanger_retire(struct exchanger *e, bool retired)
{
    e->retired = retired;
}

void exchanger_return(struct exchanger *e)
{
    struct list *next, *idle = &e->own[WAIT_IDLE].clients;
    for (struct list *at = idle->next; at != idle; at = next) {
        struct client *c = list_entry(at, struct client, link);
        next = at->next;
        if (c->exchange || c->in_len || c->stream.tls)
            continue;
        struct exchange_result r = {.end = EXCHANGE_RETURNED, .server.fd = -1};
        exchange_count(&e->config.counters->returned, 1);
        client_give(c, &r);
    }
}

void exchanger_stop(struct exchanger *e)
{
    e->stopping = true;
    while (!list_empty(&e->own[WAIT_IDLE].clients))
        client_end(list_entry(e->own[WAIT_IDLE].clients.next, struct client, link),
                   EXCHANGE_CLOSED);
}

static void end_all(struct waiting *w)
{
    while (!list_empty(&w->clients))
        client_end(list_entry(w->clients.next, struct client, link), EXCHANGE_STOPPED);
}

static void on_timer_closed(uv_handle_t *h)
{
    part_closed(h->data);
}

void exchanger_close(struct exchanger *e, void (*closed)(void *context), void *context)
{
    e->stopping = e->closing = true;
    e->closed = closed;
    e->closed_context = context;
    for (int w = 0; w < WAITS; w++) {
        end_all(&e->own[w]);
        for (size_t s = 0; s < UPSTREAM_SLOTS; s++)
            end_all(&e->of_server[s][w]);
    }
    upstreams_deinit(&e->upstreams);
    uv_timer_stop(&e->sweep);
    poller_close(e->poller, part_closed, e);
    uv_close((uv_handle_t *)&e->sweep, on_timer_closed);
}
