/* exchange_answer.c - the half of an exchange that comes from the server: heads, interim ones too,
 * bodies, and what follows an answer. */
#include "role/director/exchange_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

static bool client_broke(struct client *c)
{
    exchange_count(&c->exchanger->config.counters->client_breaks, 1);
    return client_end(c, EXCHANGE_RESET);
}

static bool bad_answer(struct exchange *x)
{
    exchange_count(&x->client->exchanger->config.counters->bad_answers, 1);
    return client_fail(x->client, 502);
}

/* -- the end of an answer -- */

/* The server has done its part; whether its connection can do another's is seen here. */
static void upstream_done(struct exchange *x)
{
    struct upstream *u = x->upstream;
    bool good = !x->poisoned && x->asked.done && !flow_waits(&x->send);
    x->upstream = NULL;
    if (good)
        upstream_keep(u);
    else
        upstream_close(u, false);
}

bool answer_taken(struct exchange *x)
{
    struct client *c = x->client;
    bool whole = x->asked.done && !x->send_lost;
    bool closes = x->closes || !whole || c->exchanger->stopping;
    bool nothing_more = whole && !x->keep_alive && !c->in_len && !c->stream.tls;
    exchange_over(x);
    if (closes)
        return nothing_more ? client_end(c, EXCHANGE_CLOSED) : client_linger(c);
    return request_begin(c);
}

static bool answer_whole(struct exchange *x)
{
    upstream_done(x);
    return flow_waits(&x->back) || answer_taken(x);
}

/* -- another protocol -- */

/* What waits in a flow, then the bytes. NULL without memory. */
static char *gather(struct flow *w, const struct iovec *iov, size_t count, size_t *len)
{
    *len = 0;
    if (!flow_hold(w, iov, count))
        return NULL;
    char *all = w->pending;
    *len = all ? w->len - w->off : 0;
    if (all && w->off)
        memmove(all, all + w->off, *len);
    w->pending = NULL;
    return all;
}

/* Both connections are given away, with what was read of either and belongs to the other. */
static bool upgrade(struct exchange *x, size_t head_len, struct slice rest)
{
    struct client *c = x->client;
    struct exchanger *e = c->exchanger;
    struct exchange_result r = {.end = EXCHANGE_UPGRADED};
    struct iovec in = {c->in ? c->in + c->in_at : NULL, c->in_len};
    struct iovec back[] = {{e->out, head_len}, {(void *)(uintptr_t)rest.at, rest.len}};
    r.bytes = gather(&x->send, &in, 1, &r.len);
    r.back = gather(&x->back, back, 2, &r.back_len);
    if (!r.back || (!r.bytes && c->in_len)) {
        mem_free(r.bytes);
        mem_free(r.back);
        return client_end(c, EXCHANGE_RESET);
    }
    exchange_count(&e->config.counters->upgraded, 1);
    x->status = 101;
    x->answered.done = true;
    r.server = upstream_release(x->upstream);
    x->upstream = NULL;
    return client_give(c, &r);
}

/* -- heads -- */

/* An answer before the answer. *done: it was one. */
static bool interim(struct exchange *x, const struct http_response_head *h, struct slice *in)
{
    struct client *c = x->client;
    const struct exchange_way way = {
        .old_client = x->old_client,
        .interim = true,
        .upgrades = h->status == 101,
        .lines = h->status == 101 ? (struct slice){x->lines, x->lines_len} : (struct slice){0}};
    if (h->status == 101 ? !x->upgrades || !x->asked.done : ++x->interims > EXCHANGE_INTERIM_MAX)
        return bad_answer(x);
    size_t len = exchange_head(h, in->at, &way, c->exchanger->out);
    if (len == 0)
        return bad_answer(x);
    in->at += h->head_bytes;
    in->len -= h->head_bytes;
    if (h->status == 101)
        return upgrade(x, len, *in);
    struct iovec iov = {c->exchanger->out, len};
    return x->old_client || flow_give(&x->back, &iov, 1) || client_broke(c);
}

/* Passes on the final head, and as much of the body as has come with it. */
static bool final_head(struct exchange *x, const struct http_response_head *h, struct slice *in)
{
    struct client *c = x->client;
    char *bytes = (char *)(uintptr_t)in->at; /* the exchanger's buffer, or x->partial */
    http_body_of_response(&x->answered, h, x->head_only);
    x->unchunks = x->old_client && x->answered.kind == HTTP_BODY_CHUNKED;
    x->closes = !x->keep_alive || c->exchanger->stopping ||
                (c->exchanger->retired && c->stream.tls) || !x->asked.done || x->unchunks ||
                x->answered.kind == HTTP_BODY_CLOSE;
    x->poisoned |=
        !h->keep_alive || exchange_binds(h->headers, h->header_count, "www-authenticate");
    const struct exchange_way way = {
        .old_client = x->old_client, .closes = x->closes, .lines = {x->lines, x->lines_len}};
    size_t body_len = in->len - h->head_bytes, data = 0;
    char *body = bytes + h->head_bytes;
    ptrdiff_t taken = x->unchunks ? http_body_unchunk(&x->answered, body, body_len, &data)
                                  : http_body_take(&x->answered, body, body_len);
    bool passes = exchange_head_passes(h, bytes, &way);
    size_t len = passes ? h->head_bytes : exchange_head(h, bytes, &way, c->exchanger->out);
    if (taken < 0 || len == 0)
        return bad_answer(x);
    data = x->unchunks ? data : (size_t)taken;
    struct iovec iov[] = {{passes ? bytes : c->exchanger->out, len}, {body, data}};
    if (passes) {
        iov[0].iov_len += data;
        data = 0;
    }
    x->status = (uint16_t)h->status;
    in->at += h->head_bytes + (size_t)taken;
    in->len -= h->head_bytes + (size_t)taken;
    return flow_give(&x->back, iov, data ? 2 : 1) || client_broke(c);
}

/* Heads until the final one. True and no status: more must come. */
static bool heads(struct exchange *x, struct slice *in)
{
    struct http_response_head *h = &x->client->exchanger->answer;
    const char *why;
    while (in->len && !x->status) {
        int n = http_parse_response(in->at, in->len, h, &why);
        if (n == 0)
            return true;
        if (n < 0)
            return bad_answer(x);
        if (h->status >= 200)
            return final_head(x, h, in);
        if (!interim(x, h, in))
            return false;
    }
    return true;
}

/* -- bytes -- */

static bool body_bytes(struct exchange *x, char *bytes, size_t len)
{
    struct client *c = x->client;
    size_t data = 0;
    ptrdiff_t taken = x->unchunks ? http_body_unchunk(&x->answered, bytes, len, &data)
                                  : http_body_take(&x->answered, bytes, len);
    if (taken < 0) {
        exchange_count(&c->exchanger->config.counters->bad_answers, 1);
        return client_end(c, EXCHANGE_RESET);
    }
    x->poisoned |= (size_t)taken < len;
    struct iovec iov = {bytes, x->unchunks ? data : (size_t)taken};
    if (!flow_give(&x->back, &iov, 1))
        return client_broke(c);
    return !x->answered.done || answer_whole(x);
}

/* Half a head is kept until the rest comes. */
static bool head_bytes(struct exchange *x, char *bytes, size_t len)
{
    struct slice in = {bytes, len};
    char *joined = x->partial;
    x->partial = NULL;
    if (joined) {
        char *more = mem_realloc(joined, x->partial_len + len);
        if (!more) {
            mem_free(joined);
            return client_fail(x->client, 503);
        }
        memcpy(more + x->partial_len, bytes, len);
        in = (struct slice){joined = more, x->partial_len + len};
        /* Byte by byte a head costs no more than its lines. */
        if (in.len < HTTP_HEAD_MAX && !memchr(bytes, '\n', len)) {
            x->partial = joined;
            x->partial_len = in.len;
            return true;
        }
    }
    bool goes_on = heads(x, &in);
    if (goes_on && !x->status && in.len) {
        x->partial = mem_dup(in.at, in.len);
        x->partial_len = in.len;
        goes_on = x->partial || client_fail(x->client, 503);
    } else if (goes_on && x->status) {
        x->poisoned |= in.len > 0; /* said more than was asked for */
        goes_on = !x->answered.done || answer_whole(x);
    }
    mem_free(joined);
    return goes_on;
}

/* The server has ended its half, or broken off. */
static bool server_ended(struct exchange *x, bool broke)
{
    struct client *c = x->client;
    if (!x->status)
        return request_lost(x);
    x->poisoned = true;
    if (x->answered.kind == HTTP_BODY_CLOSE && !broke) {
        x->answered.done = true;
        return answer_whole(x);
    }
    exchange_count(&c->exchanger->config.counters->server_breaks, 1);
    return client_end(c, EXCHANGE_RESET);
}

/* Bodies of a known length, or until the end, between plain sockets need not be looked at. */
static bool body_pump(struct exchange *x)
{
    struct client *c = x->client;
    x->back.bounded = x->answered.kind == HTTP_BODY_LENGTH;
    x->back.left = x->answered.left;
    enum flow_end end = flow_pump(&x->back, &c->exchanger->means);
    if (x->back.bounded) {
        x->answered.left = x->back.left;
        x->answered.done = x->answered.left == 0;
    }
    if (end == FLOW_TO_BROKE)
        return client_broke(c);
    if (end == FLOW_FROM_BROKE || (x->back.eof && !x->answered.done))
        return server_ended(x, end == FLOW_FROM_BROKE);
    return !x->answered.done || answer_whole(x);
}

bool answer_readable(struct exchange *x)
{
    struct flow_means *m = &x->client->exchanger->means;
    if (x->status && x->answered.kind != HTTP_BODY_CHUNKED && !x->client->stream.tls &&
        !x->upstream->stream.tls)
        return body_pump(x);
    ssize_t n = stream_read(&x->upstream->stream, m->buffer, sizeof(m->buffer));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return true;
    if (n <= 0)
        return server_ended(x, n < 0);
    if (!x->status)
        x->back.bulk = n == sizeof(m->buffer);
    return x->status ? body_bytes(x, m->buffer, (size_t)n) : head_bytes(x, m->buffer, (size_t)n);
}
