/* director.c - from requests to decisions to what is done about them. */
#include "role/director/director.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/io.h"
#include "role/director/answer.h"
#include "role/director/forwarded.h"
#include "role/director/reply.h"
#include "role/director/roster_answer.h"

#include <string.h>
#include <time.h>

#define NOT_FAILED SIZE_MAX
#define WARM_KEYS_MAX 8

struct director {
    struct director_config config;
    struct rng rng;
    struct roster *roster; /* the newest that was asked for */
    struct roster_answers *rosters;
    struct http_server *server;
    struct forwarder *forwarder;
    struct answers *answers;
    void (*closed)(void *context);
    void *closed_context;
};

/* A client behind the secondary. */
struct visit {
    struct director *director;
    size_t server;
    struct addr client;
};

/* -- deciding -- */

/* failed: the own server to which a connection just failed, whatever the store says by now. */
static void decide_now(struct director *d, const struct roster *roster, const struct http_head *h,
                       size_t failed, struct decision *out)
{
    struct decide_view v = {.roster = roster,
                            .self_name = d->config.self_name,
                            .draining = store_draining(d->config.store),
                            .chance = rng_u64(&d->rng)};
    uint64_t salt[TOKEN_SALT_BYTES / sizeof(uint64_t)];
    if (d->config.decide->secret) {
        for (size_t i = 0; i < sizeof(salt) / sizeof(salt[0]); i++)
            salt[i] = rng_u64(&d->rng);
        v.salt = (const uint8_t *)salt;
        v.now_s = time(NULL);
    }
    for (size_t i = 0; i < d->config.decide->server_count; i++)
        v.healthy[i] = i != failed && !store_maint(d->config.store) &&
                       store_healthy(d->config.store, (unsigned)i);
    decide(d->config.decide, &v, h, out);
    d->config.counters->verdicts[out->verdict]++;
    if (out->verdict == DECIDE_REDIRECT && strcmp(out->why, "returned") == 0)
        d->config.counters->returned++;
}

/* -- cookies that go out with an answer -- */

/* A token that was taken before, or is none of this server's, gives nothing; the client goes on
 * without it. */
static void take_handoff(struct director *d, const struct http_head *h, const struct decision *n,
                         char *out)
{
    struct handoff taken;
    int64_t now_s = time(NULL);
    bool good = d->config.handoffs &&
                handoff_read(d->config.decide->secret, n->service, d->config.self_name,
                             handoff_find(h), now_s, &taken) &&
                handoff_once_take(d->config.handoffs, &taken, now_s);
    if (good)
        (void)handoff_cookies(&taken, d->config.decide->tls, out);
    if (good)
        d->config.counters->handoffs_taken++;
    else
        d->config.counters->handoffs_refused++;
}

/* What an answer has beside its own headers: the names of the request, and cookies. */
static void make_lines(struct director *d, const struct http_head *h, const struct decision *n,
                       const struct mark *mark, char lines[REPLY_LINES_MAX])
{
    char *out = lines + mark_lines(mark, lines);
    if (n->verdict == DECIDE_HANDOFF)
        take_handoff(d, h, n, out);
    else if (n->verdict == DECIDE_REDIRECT && n->visit)
        (void)visit_cookie(n->visit, d->config.decide->secret, n->service,
                           n->chosen.node->entry->name, time(NULL), out);
}

/* By which name it is found again; kept, logged. */
static void note(struct director *d, const struct decision *n, const struct http_head *h,
                 const struct addr *client, struct mark *mark)
{
    mark_make(h, d->config.self_name, rng_u64(&d->rng), mark);
    journal_note(d->config.journal, n, h, client, mark, d->roster, time(NULL));
}

/* -- after a tunnel that did not come about -- */

/* The answer goes out on the client's connection itself; nothing of the request reached the server.
 */
static void answer_failed(struct director *d, const struct visit *v, struct stream client,
                          const char *bytes, size_t len, bool server_failed)
{
    struct http_head h;
    struct decision n;
    struct reply r;
    char raw[REPLY_RAW_MAX];
    const char *why;
    d->roster = store_roster_renew(d->config.store, d->roster);
    /* What is parsed here is what forwarded_build() made. */
    bool parsed = http_parse_request(bytes, len, &h, &why) > 0;
    if (d->roster && parsed && server_failed)
        decide_now(d, d->roster, &h, v->server, &n);
    else
        n = (struct decision){.verdict = DECIDE_NO_SERVER, .why = "no-tunnel"};
    if (n.verdict != DECIDE_REDIRECT && n.verdict != DECIDE_NO_SERVER)
        n = (struct decision){.verdict = DECIDE_NO_SERVER, .why = "no-tunnel"};
    char lines[REPLY_LINES_MAX] = "";
    struct mark mark;
    if (parsed) {
        note(d, &n, &h, &v->client, &mark);
        (void)mark_lines(&mark, lines);
    }
    reply_make(&n, lines, &r);
    size_t raw_len = reply_raw(&r, parsed && slice_is(h.method, "HEAD"), time(NULL), raw);
    answer_last(d->answers, client, raw, raw_len);
}

/* Before any redirect is sent, so that no primary sends the next client here. */
static void mark_failed(struct director *d, size_t server)
{
    char to[ADDR_TEXT_MAX];
    if (!store_healthy(d->config.store, (unsigned)server))
        return;
    store_set_healthy(d->config.store, (unsigned)server, false);
    log_warn("server-unreachable", "service=%s address=%s",
             d->config.decide->servers[server].service,
             addr_format(&d->config.forwards[server], to));
}

/* -- forwarding -- */

static void on_tunnel_ended(void *context, const struct forward_result *e)
{
    struct visit *v = context;
    struct director *d = v->director;
    store_users_add(d->config.store, (unsigned)v->server, -1);
    if (e->end == FORWARD_REFUSED) {
        mark_failed(d, v->server);
        answer_failed(d, v, e->client, e->bytes, e->len, true);
        mem_free(e->bytes);
    } else if (log_wants(LOG_DEBUG)) {
        char ip[ADDR_TEXT_MAX];
        log_debug("forward-end", "client=%s service=%s end=%s up=%llu down=%llu",
                  addr_format(&v->client, ip), d->config.decide->servers[v->server].service,
                  forward_end_name(e->end), (unsigned long long)e->up, (unsigned long long)e->down);
    }
    mem_free(v);
}

/* What the client sent, with the head rewritten for the real server, in place of the bytes of q. */
static int rewrite(struct forward_request *q, const struct visit *v, bool tls)
{
    struct http_head h;
    const char *why;
    int head_bytes = http_parse_request(q->bytes, q->len, &h, &why);
    if (head_bytes <= 0)
        return STEAD_E_PARSE;
    struct forwarded f = {.client = &v->client, .tls = tls};
    struct slice rest = {q->bytes + head_bytes, q->len - (size_t)head_bytes};
    char *bytes;
    size_t len;
    int e = forwarded_build(&h, &f, rest, &bytes, &len);
    if (e != STEAD_OK)
        return e;
    mem_free(q->bytes);
    q->bytes = bytes;
    q->len = len;
    return STEAD_OK;
}

static void forward(struct director *d, struct http_request *r, const struct decision *n)
{
    struct visit *v = mem_alloc(sizeof(*v));
    if (!v) {
        http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
        return;
    }
    *v = (struct visit){d, n->server, *http_request_peer(r)};
    struct forward_request q = {
        .to = d->config.forwards[n->server], .ended = on_tunnel_ended, .context = v};
    int e = http_take(r, &q.client, &q.bytes, &q.len);
    if (e != STEAD_OK) {
        http_reply_error(r, 503, stead_error_name(e), stead_error_text(e));
        mem_free(v);
        return;
    }
    e = rewrite(&q, v, d->config.decide->tls);
    if (e == STEAD_OK) {
        store_users_add(d->config.store, (unsigned)n->server, 1);
        e = forward_start(d->forwarder, &q);
        if (e == STEAD_OK)
            return;
        store_users_add(d->config.store, (unsigned)n->server, -1);
    }
    if (e == STEAD_E_UNREACHABLE)
        mark_failed(d, n->server);
    answer_failed(d, v, q.client, q.bytes, q.len, e == STEAD_E_UNREACHABLE);
    mem_free(q.bytes);
    mem_free(v);
}

/* The session's records go where its client is sent, and are there before it: a push is one
 * datagram, the client has a round trip and a connection before it. */
static void warm(struct director *d, const struct http_head *h, const struct decision *n)
{
    struct key keys[WARM_KEYS_MAX];
    size_t count = n->warm->warm_count < WARM_KEYS_MAX ? n->warm->warm_count : WARM_KEYS_MAX;
    count = warm_keys(n->warm->warm, count, h, keys);
    if (count > 0 && store_push(d->config.store, keys, count, n->chosen.node->entry->name,
                                io_now_ns()) == STEAD_OK)
        d->config.counters->warmed++;
}

/* -- requests -- */

static enum http_verdict on_request(void *context, struct http_request *r, const char *body,
                                    size_t body_len)
{
    struct director *d = context;
    struct decision n;
    struct reply reply;
    (void)body;
    (void)body_len;
    d->roster = store_roster_renew(d->config.store, d->roster);
    if (!d->roster) {
        http_reply_error(r, 503, "BUSY", "this node has just started");
        return HTTP_ANSWERED;
    }
    decide_now(d, d->roster, http_request_head(r), NOT_FAILED, &n);
    if (n.verdict == DECIDE_ROSTER) {
        roster_answer(d->rosters, r, d->roster);
        return HTTP_ANSWERED;
    }
    struct mark mark;
    note(d, &n, http_request_head(r), http_request_peer(r), &mark);
    if (n.warm)
        warm(d, http_request_head(r), &n);
    if (n.verdict == DECIDE_FORWARD) {
        forward(d, r, &n);
    } else {
        char lines[REPLY_LINES_MAX];
        make_lines(d, http_request_head(r), &n, &mark, lines);
        reply_make(&n, lines, &reply);
        http_reply(r, reply.status, reply.type, reply.headers, reply.body, strlen(reply.body));
    }
    return HTTP_ANSWERED;
}

/* -- lifetime -- */

static void on_rosters_closed(void *context)
{
    struct director *d = context;
    void (*closed)(void *) = d->closed;
    void *closed_context = d->closed_context;
    roster_unref(d->roster);
    mem_free(d);
    if (closed)
        closed(closed_context);
}

static void on_answers_closed(void *context)
{
    struct director *d = context;
    if (d->rosters)
        roster_answers_close(d->rosters, on_rosters_closed, d);
    else
        on_rosters_closed(d);
}

/* What is behind the server is closed after it, in the order in which work passes through. */
static void on_forwarder_closed(void *context)
{
    struct director *d = context;
    if (d->answers)
        answers_close(d->answers, on_answers_closed, d);
    else
        on_answers_closed(d);
}

static void on_server_closed(void *context)
{
    struct director *d = context;
    if (d->forwarder)
        forwarder_close(d->forwarder, on_forwarder_closed, d);
    else
        on_forwarder_closed(d);
}

int director_open(const struct director_config *c, struct director **out)
{
    uint64_t seed;
    struct director *d = mem_alloc(sizeof(*d));
    if (!d)
        return STEAD_E_NOMEM;
    d->config = *c;
    io_random(&seed, sizeof(seed));
    rng_init(&d->rng, seed);
    struct forwarder_config f = {c->loop, c->forward, &c->counters->forward};
    struct http_server_config h = {.loop = c->loop,
                                   .fd = c->fd,
                                   .limits = c->http,
                                   .counters = &c->counters->http,
                                   .server_name = "stead",
                                   .door = "public",
                                   .handle = on_request,
                                   .context = d};
    const struct roster_answers_config rosters = {.loop = c->loop,
                                                  .store = c->store,
                                                  .decide = c->decide,
                                                  .self_name = c->self_name,
                                                  .rules = c->rosters,
                                                  .counters = &c->counters->roster};
    int e = roster_answers_open(&rosters, &d->rosters);
    if (e == STEAD_OK)
        e = answers_open(c->loop, c->forward.tunnels_max, &c->counters->answers_dropped,
                         &d->answers);
    if (e == STEAD_OK)
        e = forwarder_open(&f, &d->forwarder);
    if (e == STEAD_OK)
        e = http_server_open(&h, &d->server);
    if (e != STEAD_OK) {
        on_server_closed(d);
        return e;
    }
    *out = d;
    return STEAD_OK;
}

struct watch *director_watch(struct director *d)
{
    return roster_answers_watch(d->rosters);
}

void director_adopt(struct director *d, struct stream client, char *bytes, size_t len,
                    const struct addr *peer)
{
    (void)http_server_adopt(d->server, client, bytes, len, peer);
}

void director_stop_accepting(struct director *d)
{
    http_server_stop_accepting(d->server);
}

size_t director_tunnels(const struct director *d)
{
    return forwarder_tunnels(d->forwarder);
}

void director_close(struct director *d, void (*closed)(void *context), void *context)
{
    d->closed = closed;
    d->closed_context = context;
    http_server_close(d->server, on_server_closed, d);
}
