/* director.c - from requests to decisions to what is done about them. */
#include "role/director/director.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/io.h"
#include "role/director/answer.h"
#include "role/director/reply.h"
#include "role/director/roster_answer.h"

#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NOT_FAILED SIZE_MAX /* also: no own server is to blame */
#define WARM_KEYS_MAX 8

struct director {
    struct director_config config; /* its tables are the two below */
    struct decide_config decide;
    struct secondary_server servers[ENTRY_SERVERS_MAX];
    struct rng rng;
    struct reserve *reserve; /* NULL: redirects are not counted in advance */
    struct roster *roster;   /* the newest that was asked for */
    struct roster_answers *rosters;
    struct http_server *server;
    struct secondary *secondary;
    struct tcp_door *door; /* with proxies before it: the listener */
    struct answers *answers;
    void (*closed)(void *context);
    void *closed_context;
};

/* -- deciding -- */

/* failed: the own server to which a connection just failed, whatever the store says by now. */
static void decide_only(struct director *d, const struct roster *roster, const struct http_head *h,
                        size_t failed, struct decision *out)
{
    struct decide_view v = {.roster = roster,
                            .self_name = d->config.self_name,
                            .draining = store_draining(d->config.store),
                            .chance = rng_u64(&d->rng),
                            .reserve = d->reserve};
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
}

static void decide_now(struct director *d, const struct roster *roster, const struct http_head *h,
                       size_t failed, struct decision *out)
{
    if (d->reserve)
        reserve_turn(d->reserve, uv_now(d->config.loop));
    decide_only(d, roster, h, failed, out);
    /* Who comes back is a user already, or was one a moment ago. */
    bool sent =
        out->verdict == DECIDE_REDIRECT && out->chosen.server && strcmp(out->why, "returned") != 0;
    if (sent && d->reserve)
        reserve_add(d->reserve, out->chosen.node->entry->node, out->chosen.server);
    d->config.counters->verdicts[out->verdict]++;
    if (out->verdict == DECIDE_REDIRECT && strcmp(out->why, "returned") == 0)
        d->config.counters->returned++;
}

/* -- cookies that go out with an answer -- */

static bool read_handoff(const struct director *d, const struct http_head *h,
                         const struct decision *n, int64_t now_s, struct handoff *out)
{
    const struct decide_config *c = d->config.decide;
    struct slice text = handoff_find(h);
    bool good = handoff_read(c->secret, n->service, d->config.self_name, text, now_s, out);
    for (size_t i = 0; !good && i < c->older_count; i++)
        good = handoff_read(c->older[i], n->service, d->config.self_name, text, now_s, out);
    return good;
}

/* A token that was taken before, or is none of this server's, gives nothing; the client goes on
 * without it. */
static void take_handoff(struct director *d, const struct http_head *h, const struct decision *n,
                         char *out)
{
    struct handoff taken;
    int64_t now_s = time(NULL);
    bool good = d->config.handoffs && read_handoff(d, h, n, now_s, &taken) &&
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

/* -- after a connection to a server that did not come about -- */

/* Before any redirect is sent, so that no primary sends the next client here. */
static void mark_failed(struct director *d, size_t server)
{
    char to[ADDR_TEXT_MAX];
    if (!store_healthy(d->config.store, (unsigned)server))
        return;
    store_set_healthy(d->config.store, (unsigned)server, false);
    log_warn("server-unreachable", "service=%s address=%s",
             d->config.decide->servers[server].service,
             addr_format(&d->config.servers[server].exchange.upstream.to, to));
}

/* The answer goes out on the client's connection itself; nothing of the request reached the server.
 */
static void on_failed(void *context, size_t server, struct stream client, const struct addr *peer,
                      const char *bytes, size_t len)
{
    struct director *d = context;
    struct http_head h;
    struct decision n;
    struct reply r;
    char raw[REPLY_RAW_MAX];
    const char *why;
    if (server != NOT_FAILED)
        mark_failed(d, server);
    d->roster = store_roster_renew(d->config.store, d->roster);
    /* What is parsed here is what forwarded.h made, or what came. */
    bool parsed = http_parse_request(bytes, len, &h, &why) > 0;
    if (d->roster && parsed && server != NOT_FAILED)
        decide_now(d, d->roster, &h, server, &n);
    else
        n = (struct decision){.verdict = DECIDE_NO_SERVER, .why = "no-tunnel"};
    if (n.verdict != DECIDE_REDIRECT && n.verdict != DECIDE_NO_SERVER)
        n = (struct decision){.verdict = DECIDE_NO_SERVER, .why = "no-tunnel"};
    char lines[REPLY_LINES_MAX] = "";
    struct mark mark;
    if (parsed) {
        note(d, &n, &h, peer, &mark);
        (void)mark_lines(&mark, lines);
    }
    reply_make(&n, lines, &r);
    size_t raw_len = reply_raw(&r, parsed && slice_is(h.method, "HEAD"), time(NULL), raw);
    answer_last(d->answers, client, raw, raw_len);
}

static void on_back(void *context, struct stream client, char *bytes, size_t len,
                    const struct addr *peer)
{
    struct director *d = context;
    (void)http_server_adopt(d->server, client, bytes, len, peer);
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

/* A further request on a connection that is forwarded. One that is not to be forwarded is decided
 * on again, and counted, where it is answered. */
static bool on_again(void *context, const struct http_head *h, const struct addr *peer,
                     struct decision *n)
{
    struct director *d = context;
    d->roster = store_roster_renew(d->config.store, d->roster);
    if (!d->roster)
        return false;
    decide_only(d, d->roster, h, NOT_FAILED, n);
    if (n->verdict != DECIDE_FORWARD && n->verdict != DECIDE_RELAY)
        return false;
    d->config.counters->verdicts[n->verdict]++;
    if (n->warm)
        warm(d, h, n);
    if (n->chosen.node) {
        struct mark mark;
        note(d, n, h, peer, &mark);
    }
    return true;
}

/* What a service wants early and what repeating does not change: a redirect, or a request for the
 * real server, which is told of it and may refuse it. */
static bool on_early(void *context, const struct http_head *h)
{
    struct director *d = context;
    struct decision n;
    d->roster = store_roster_renew(d->config.store, d->roster);
    if (!d->roster)
        return false;
    decide_only(d, d->roster, h, NOT_FAILED, &n);
    if (n.verdict != DECIDE_REDIRECT && n.verdict != DECIDE_FORWARD && n.verdict != DECIDE_RELAY)
        return false;
    for (size_t i = 0; n.service && i < d->decide.service_count; i++)
        if (strcmp(d->decide.services[i].name, n.service) == 0)
            return d->decide.services[i].early;
    return false;
}

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
    if (n.verdict == DECIDE_FORWARD || n.verdict == DECIDE_RELAY) {
        secondary_forward(d->secondary, r, &n, &mark);
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
    reserve_free(d->reserve);
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
static void on_secondary_closed(void *context)
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
    if (d->secondary)
        secondary_close(d->secondary, on_secondary_closed, d);
    else
        on_secondary_closed(d);
}

static int open_secondary(struct director *d)
{
    const struct director_config *c = &d->config;
    const struct secondary_config s = {.loop = c->loop,
                                       .store = c->store,
                                       .self_name = c->self_name,
                                       .decide = c->decide,
                                       .servers = c->servers,
                                       .tls = c->relay_tls,
                                       .forward = c->forward,
                                       .exchange = c->exchange,
                                       .forward_counters = &c->counters->forward,
                                       .exchange_counters = &c->counters->exchange,
                                       .again = on_again,
                                       .back = on_back,
                                       .failed = on_failed,
                                       .context = d};
    return secondary_open(&s, &d->secondary);
}

static void on_arrived(void *context, const struct tcp_arrival *a)
{
    struct director *d = context;
    http_server_accepted(d->server, a->fd, &a->client);
}

/* The HTTP server's own listener is then one where nobody ever comes. */
static int open_door(struct director *d, struct http_server_config *h)
{
    struct tcp_door_config c = {.loop = h->loop,
                                .fd = h->fd,
                                .what = h->door,
                                .proxy_count = d->config.proxy_count,
                                .proxies = d->config.proxies,
                                .connections_max = h->limits.connections_max,
                                .counters = &d->config.counters->door,
                                .arrived = on_arrived,
                                .context = d};
    int nobody = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (nobody < 0)
        return STEAD_E_IO;
    int e = tcp_door_open(&c, &d->door);
    if (e == STEAD_OK)
        h->fd = nobody;
    else
        close(nobody);
    return e;
}

static void take_tables(struct director *d, const struct decide_config *decide,
                        const struct secondary_server *servers)
{
    d->decide = *decide;
    if (decide->server_count > 0)
        memcpy(d->servers, servers, decide->server_count * sizeof(*servers));
}

void director_set(struct director *d, const struct decide_config *decide,
                  const struct secondary_server *servers)
{
    uint16_t port = d->decide.port;
    bool tls = d->decide.tls;
    take_tables(d, decide, servers);
    d->decide.port = port;
    d->decide.tls = tls;
    roster_answers_forget(d->rosters);
    secondary_renew(d->secondary);
}

int director_open(const struct director_config *c, struct director **out)
{
    uint64_t seed;
    struct director *d = mem_alloc(sizeof(*d));
    if (!d)
        return STEAD_E_NOMEM;
    d->config = *c;
    take_tables(d, c->decide, c->servers);
    d->config.decide = &d->decide;
    d->config.servers = d->servers;
    io_random(&seed, sizeof(seed));
    rng_init(&d->rng, seed);
    if (c->reserve_ms && !(d->reserve = reserve_new(c->reserve_ms))) {
        mem_free(d);
        return STEAD_E_NOMEM;
    }
    struct http_server_config h = {.loop = c->loop,
                                   .fd = c->fd,
                                   .tls = c->tls,
                                   .keeper = c->keeper,
                                   .limits = c->http,
                                   .counters = &c->counters->http,
                                   .server_name = "stead",
                                   .door = c->tls ? "public-tls" : "public",
                                   .early = on_early,
                                   .handle = on_request,
                                   .context = d};
    const struct roster_answers_config rosters = {.loop = c->loop,
                                                  .store = c->store,
                                                  .decide = &d->decide,
                                                  .self_name = c->self_name,
                                                  .rules = c->rosters,
                                                  .counters = &c->counters->roster};
    int e = roster_answers_open(&rosters, &d->rosters);
    if (e == STEAD_OK)
        e = answers_open(c->loop, c->forward.tunnels_max, &c->counters->answers_dropped,
                         &d->answers);
    if (e == STEAD_OK)
        e = open_secondary(d);
    if (e == STEAD_OK && c->proxy_count > 0)
        e = open_door(d, &h);
    if (e == STEAD_OK)
        e = http_server_open(&h, &d->server);
    if (e != STEAD_OK && d->door) {
        close(h.fd);
        tcp_door_close(d->door, on_server_closed, d);
    } else if (e != STEAD_OK) {
        on_server_closed(d);
    }
    if (e != STEAD_OK)
        return e;
    *out = d;
    return STEAD_OK;
}

struct watch *director_watch(struct director *d)
{
    return roster_answers_watch(d->rosters);
}

void director_accepted(struct director *d, int fd, const struct addr *peer)
{
    http_server_accepted(d->server, fd, peer);
}

void director_stop_accepting(struct director *d)
{
    if (d->door)
        tcp_door_stop_accepting(d->door);
    http_server_stop_accepting(d->server);
    secondary_stop(d->secondary);
}

void director_retire(struct director *d, bool retired)
{
    if (d->door)
        tcp_door_retire(d->door, retired);
    secondary_retire(d->secondary, retired);
    http_server_retire(d->server, retired);
}

void director_return(struct director *d)
{
    secondary_return(d->secondary);
}

void director_export(struct director *d, unsigned max, passage_give *give, void *context)
{
    secondary_export(d->secondary, max, give, context);
}

int director_import(struct director *d, const struct passage *p)
{
    return secondary_import(d->secondary, p);
}

struct http_server *director_server(struct director *d)
{
    return d->server;
}

size_t director_tunnels(const struct director *d)
{
    return secondary_clients(d->secondary);
}

static void on_door_closed(void *context)
{
    struct director *d = context;
    http_server_close(d->server, on_server_closed, d);
}

void director_close(struct director *d, void (*closed)(void *context), void *context)
{
    d->closed = closed;
    d->closed_context = context;
    if (d->door)
        tcp_door_close(d->door, on_door_closed, d);
    else
        on_door_closed(d);
}
