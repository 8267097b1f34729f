/* exchange_request.c - the half of an exchange that comes from the client: its head, where it goes,
 * its body, and what may be sent a second time. */
#include "role/director/exchange_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* -- giving the client away -- */

/* To the HTTP server, with what was read. */
static bool client_return(struct client *c)
{
    struct exchange_result r = {.end = EXCHANGE_RETURNED, .server.fd = -1, .len = c->in_len};
    r.bytes = mem_dup(c->in + c->in_at, c->in_len);
    if (!r.bytes)
        return client_end(c, EXCHANGE_RESET);
    exchange_count(&c->exchanger->config.counters->returned, 1);
    return client_give(c, &r);
}

/* To whoever answers when no connection to the server came about. */
static bool client_refer(struct client *c, enum exchange_end end)
{
    const struct exchange *x = c->exchange;
    struct exchange_result r = {.end = end, .server.fd = -1, .slot = x->slot, .len = x->head_len};
    r.bytes = mem_dup(x->head, x->head_len);
    if (!r.bytes)
        return client_end(c, EXCHANGE_RESET);
    return client_give(c, &r);
}

/* -- a new exchange -- */

static void consume(struct client *c, size_t bytes)
{
    c->in_at += (uint32_t)bytes;
    c->in_len -= (uint32_t)bytes;
    if (c->in_len || c->borrowed)
        return;
    mem_free(c->in);
    c->in = NULL;
    c->in_at = 0;
}

static struct exchange *exchange_get(struct exchanger *e)
{
    struct list *link = list_pop(&e->spares);
    if (!link)
        return mem_alloc(sizeof(struct exchange));
    e->spare_count--;
    struct exchange *x = list_entry(link, struct exchange, spare);
    *x = (struct exchange){.head = x->head, .head_cap = x->head_cap};
    return x;
}

static bool head_keep(struct exchange *x, const char *bytes, size_t len)
{
    if (len > x->head_cap) {
        char *more = mem_realloc(x->head, len < 1024 ? 1024 : len);
        if (!more)
            return false;
        x->head = more;
        x->head_cap = len < 1024 ? 1024 : len;
    }
    if (len)
        memcpy(x->head, bytes, len);
    x->head_len = len;
    return true;
}

static bool is_idempotent(struct slice method)
{
    static const char *const names[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_is(method, names[i]))
            return true;
    return false;
}

static size_t make_head(struct client *c, const struct exchange_route *to)
{
    struct exchanger *e = c->exchanger;
    const struct exchange_server *s = &e->config.servers[to->slot];
    const struct forwarded f = {.client = &c->peer,
                                .tls = c->tls,
                                .identity = c->identity,
                                .between = to->between,
                                .early = to->early,
                                .hop = to->hop,
                                .omits = s->omits,
                                .make_trace = s->make_trace,
                                .host = to->host,
                                .id = to->id,
                                .node = e->config.name,
                                .random = {rng_u64(&e->rng), rng_u64(&e->rng)}};
    return forwarded_head(&e->head, &f, e->out);
}

bool exchange_binds(const struct http_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        struct slice v = headers[i].value;
        if (slice_is_nocase(headers[i].name, name) &&
            ((v.len >= 4 && strncasecmp(v.at, "ntlm", 4) == 0) ||
             (v.len >= 9 && strncasecmp(v.at, "negotiate", 9) == 0)))
            return true;
    }
    return false;
}

static void describe(struct exchange *x, const struct http_head *h)
{
    http_body_of_request(&x->asked, h);
    x->head_only = slice_is(h->method, "HEAD");
    x->idempotent = is_idempotent(h->method);
    x->bodiless = x->asked.done;
    x->expects = h->expect_continue;
    x->old_client = h->minor == 0;
    x->keep_alive = h->keep_alive;
    x->upgrades = forwarded_upgrades(h);
    x->binds = exchange_binds(h->headers, h->header_count, "authorization");
    x->poisoned = x->binds;
    x->started_ns = io_now_ns();
}

/* -- sending -- */

static void send_init(struct exchange *x)
{
    struct client *c = x->client;
    /* The flows never tell the other side of an end: connections outlive a request. */
    x->send = (struct flow){.from = &c->stream, .to = &x->upstream->stream, .shut = true};
    x->back = (struct flow){.from = &x->upstream->stream, .to = &c->stream, .shut = true};
}

/* Connections that are open go on. */
static void complain(struct exchanger *e)
{
    uint64_t now = uv_now(e->config.loop);
    if (now < e->complain_at_ms)
        return;
    e->complain_at_ms = now + EXCHANGE_COMPLAIN_MS;
    log_warn("forward-failed", "why=\"%s\" clients=%zu", io_error_text(errno), e->clients);
}

/* On kept connections while they take nothing, else on a new one. False: the client is gone. */
static bool request_send(struct exchange *x, struct slice piece)
{
    struct client *c = x->client;
    struct exchanger *e = c->exchanger;
    struct iovec iov[] = {{x->head, x->head_len}, {(void *)(uintptr_t)piece.at, piece.len}};
    bool sure = !x->idempotent || !x->bodiless;
    while (!x->retried &&
           (x->upstream = upstream_reuse(&e->upstreams, x->slot, &x->to, x->name, x, sure))) {
        send_init(x);
        if (flow_give(&x->send, iov, piece.len ? 2 : 1)) {
            x->reused = true;
            return true;
        }
        upstream_close(x->upstream, true);
        x->upstream = NULL;
        if (x->send.bytes) /* no memory for the rest */
            return client_fail(c, 502);
    }
    int err = upstream_connect(&e->upstreams, x->slot, &x->to, x->name, x, &x->upstream);
    if (err == STEAD_E_IO)
        complain(e);
    if (err != STEAD_OK)
        return client_refer(c, err == STEAD_E_UNREACHABLE ? EXCHANGE_UNREACHABLE : EXCHANGE_FAILED);
    send_init(x);
    x->reused = false;
    return flow_hold(&x->send, iov, piece.len ? 2 : 1) || client_refer(c, EXCHANGE_FAILED);
}

static bool name_keep(struct exchange *x, const char *name)
{
    x->name = name ? mem_strdup(name) : NULL;
    return x->name || !name;
}

static bool lines_keep(struct exchange *x, struct slice lines)
{
    if (!lines.at || !lines.len)
        return true;
    assert(lines.len <= EXCHANGE_LINES_MAX);
    x->lines = mem_dup(lines.at, lines.len);
    x->lines_len = (uint32_t)lines.len;
    return x->lines != NULL;
}

/* The head was parsed into the exchanger's. */
static bool request_start(struct client *c, const struct exchange_route *to)
{
    struct exchanger *e = c->exchanger;
    const struct http_head *h = &e->head;
    struct exchange *x = exchange_get(e);
    if (!x)
        return client_end(c, EXCHANGE_RESET);
    x->client = c;
    x->back.to = &c->stream;
    x->slot = (uint8_t)to->slot;
    x->to = to->to;
    c->exchange = x;
    describe(x, h);
    size_t len = make_head(c, to);
    if (!head_keep(x, e->out, len) || !lines_keep(x, to->lines) || !name_keep(x, to->name))
        return client_fail(c, 503);
    if (len == 0)
        return client_fail(c, 400);
    consume(c, h->head_bytes);
    struct slice piece = {c->in ? c->in + c->in_at : NULL, c->in_len};
    ptrdiff_t taken = http_body_take(&x->asked, piece.at, piece.len);
    if (taken < 0)
        return client_fail(c, 400);
    piece.len = (size_t)taken;
    if (!request_send(x, piece))
        return false;
    consume(c, (size_t)taken);
    return true;
}

static bool next_parsed(struct client *c)
{
    const char *why;
    return http_parse_request(c->in + c->in_at, c->in_len, &c->exchanger->head, &why) > 0;
}

bool request_first(struct client *c, const struct exchange_route *route)
{
    /* It was parsed where it came from. */
    return next_parsed(c) ? request_start(c, route) : client_end(c, EXCHANGE_RESET);
}

bool request_begin(struct client *c)
{
    struct exchanger *e = c->exchanger;
    struct exchange_route to = {0};
    if (!c->in_len)
        return true;
    if (e->stopping || !next_parsed(c) || !e->config.route(c->context, &e->head, &to))
        return client_return(c);
    return request_start(c, &to);
}

/* -- the body -- */

bool request_wants(const struct exchange *x)
{
    return x->upstream && x->upstream->connected && !x->asked.done && !x->send_lost &&
           !flow_waits(&x->send);
}

/* The server takes no more: it may have answered before. */
static bool send_lost(struct exchange *x)
{
    x->send_lost = x->poisoned = true;
    flow_drop(&x->send, &x->client->exchanger->means);
    return true;
}

static bool client_broke(struct client *c)
{
    exchange_count(&c->exchanger->config.counters->client_breaks, 1);
    return client_end(c, EXCHANGE_RESET);
}

/* Bodies of a known length between plain sockets need not be looked at. */
static bool body_pump(struct client *c)
{
    struct exchange *x = c->exchange;
    x->send.bounded = true;
    x->send.left = x->asked.left;
    enum flow_end end = flow_pump(&x->send, &c->exchanger->means);
    x->asked.left = x->send.left;
    x->asked.done = x->asked.left == 0;
    if (end == FLOW_FROM_BROKE || x->send.eof)
        return client_broke(c);
    return end == FLOW_OPEN || send_lost(x);
}

static bool body_copy(struct client *c)
{
    struct exchange *x = c->exchange;
    char *buffer = c->exchanger->means.buffer;
    ssize_t n = stream_read(&c->stream, buffer, sizeof(c->exchanger->means.buffer));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return true;
    if (n <= 0)
        return client_broke(c);
    ptrdiff_t taken = http_body_take(&x->asked, buffer, (size_t)n);
    if (taken < 0)
        return client_fail(c, 400);
    struct iovec iov = {buffer, (size_t)taken};
    if (!flow_give(&x->send, &iov, 1))
        return send_lost(x);
    if (n > taken) {
        c->in_at = 0;
        c->in_len = (uint32_t)(n - taken);
        c->in = mem_dup(buffer + taken, c->in_len);
        if (!c->in)
            return client_end(c, EXCHANGE_RESET);
    }
    x->send.bulk = n == sizeof(c->exchanger->means.buffer);
    return true;
}

bool request_readable(struct client *c)
{
    struct exchange *x = c->exchange;
    if (x->asked.kind == HTTP_BODY_LENGTH && !c->stream.tls && !x->upstream->stream.tls)
        return body_pump(c);
    return body_copy(c);
}

bool request_writable(struct exchange *x)
{
    struct client *c = x->client;
    enum upstream_progress p =
        x->upstream->connected ? UPSTREAM_IS : upstream_connected(x->upstream);
    if (p == UPSTREAM_FAILED)
        return client_refer(c, EXCHANGE_UNREACHABLE);
    if (p == UPSTREAM_WAITS)
        return true;
    if (flow_flush(&x->send, &c->exchanger->means))
        return true;
    return send_lost(x);
}

/* -- once more -- */

bool request_lost(struct exchange *x)
{
    struct client *c = x->client;
    struct exchange_counters *n = c->exchanger->config.counters;
    bool again =
        x->reused && !x->retried && x->idempotent && x->bodiless && !x->partial && !x->interims;
    upstream_close(x->upstream, true);
    x->upstream = NULL;
    flow_drop(&x->send, &c->exchanger->means);
    if (!again) {
        exchange_count(&n->server_breaks, 1);
        return client_fail(c, 502);
    }
    exchange_count(&n->retries, 1);
    x->retried = true;
    x->send_lost = false;
    x->poisoned = x->binds;
    return request_send(x, (struct slice){NULL, 0});
}
