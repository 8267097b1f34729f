/* secondary.c - from a decision to forward to the exchange or the tunnel, and who is counted as a
 * user of what. */
#include "role/director/secondary.h"

#include "base/log.h"
#include "base/mem.h"
#include "role/director/forwarded.h"
#include "role/director/hop.h"
#include "store/store_own.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct secondary {
    struct secondary_config config;
    struct forwarder *forwarder;
    struct exchanger *exchanger;
    size_t clients_max;
    char lines[VISIT_COOKIE_MAX], name[URL_MAX_BYTES + 1],
        hop[HOP_TEXT_MAX]; /* for the route that is being made */
    void (*closed)(void *context);
    void *closed_context;
};

/* A client. */
struct visit {
    struct secondary *secondary;
    size_t server; /* of which it is a user; NOBODYS: of none here */
    struct addr peer;
    struct tls_identity *identity; /* of the client; NULL: none */
};

#define NOBODYS SIZE_MAX

void secondary_server_default(struct secondary_server *s, const struct addr *to)
{
    *s = (struct secondary_server){.exchange = {.upstream = {.kept_max = 128, .kept_ms = 4000},
                                                .connect_ms = 3000,
                                                .answer_ms = 60000,
                                                .stream_ms = 3600 * 1000}};
    if (to)
        s->exchange.upstream.to = *to;
}

/* -- users -- */

static void visit_use(struct visit *v, size_t server)
{
    struct store *store = v->secondary->config.store;
    if (v->server == server)
        return;
    if (v->server != NOBODYS)
        store_users_add(store, (unsigned)v->server, -1);
    if (server != NOBODYS)
        store_users_add(store, (unsigned)server, 1);
    v->server = server;
}

static void visit_end(struct visit *v)
{
    visit_use(v, NOBODYS);
    mem_free(v->identity);
    mem_free(v);
}

/* -- where a request goes -- */

/* The other node's public listener, at the port of the server's URL; under TLS, if that is https.
 */
static bool relay_route(struct secondary *s, const struct decision *n, struct exchange_route *out)
{
    struct http_url u;
    if (!http_url_parse(n->url, strlen(n->url), &u) || (u.tls && !s->config.tls) ||
        u.host.len >= sizeof(s->name))
        return false;
    out->slot = UPSTREAM_OTHER;
    out->to = n->chosen.node->entry->public;
    out->host = u.authority;
    if (!n->chosen.node->external)
        out->to.port = u.port;
    if (u.tls) {
        memcpy(s->name, u.host.at, u.host.len);
        s->name[u.host.len] = '\0';
        out->name = s->name;
    }
    return out->to.family != 0;
}

/* Who forwards for the farm is told so by the farm's key; real servers are not. */
static void mark_hop(struct secondary *s, const struct http_head *h, const struct decision *n,
                     struct exchange_route *out)
{
    const uint8_t *key = s->config.decide->secret;
    if (!key)
        return;
    const struct decide_config *c = s->config.decide;
    out->between = hop_valid(key, s->config.self_name, h, time(NULL));
    for (size_t i = 0; !out->between && i < c->older_count; i++)
        out->between = hop_valid(c->older[i], s->config.self_name, h, time(NULL));
    if (n->verdict == DECIDE_RELAY && !n->chosen.node->external &&
        hop_make(key, n->chosen.node->entry->name, time(NULL), s->hop) > 0)
        out->hop = s->hop;
}

/* False: there is no way there. */
static bool make_route(struct secondary *s, const struct http_head *h, const struct decision *n,
                       struct exchange_route *out)
{
    struct http_url u;
    mark_hop(s, h, n, out);
    if (n->verdict == DECIDE_RELAY && !relay_route(s, n, out))
        return false;
    if (n->verdict == DECIDE_FORWARD) {
        out->slot = n->server;
        if (n->url && http_url_parse(n->url, strlen(n->url), &u))
            out->host = u.authority;
    }
    if (n->visit && s->config.decide->secret && n->chosen.node) {
        size_t len = visit_cookie(n->visit, s->config.decide->secret, n->service,
                                  n->chosen.node->entry->name, time(NULL), s->lines);
        out->lines = (struct slice){len ? s->lines : NULL, len};
    }
    return true;
}

static size_t user_of(const struct decision *n)
{
    return n->verdict == DECIDE_FORWARD ? n->server : NOBODYS;
}

static bool on_route(void *context, const struct http_head *h, struct exchange_route *out)
{
    struct visit *v = context;
    struct secondary *s = v->secondary;
    struct decision n;
    if (!s->config.again(s->config.context, h, &v->peer, &n))
        return false;
    if (n.verdict == DECIDE_FORWARD && s->config.servers[n.server].tunnel)
        return false;
    if (!make_route(s, h, &n, out))
        return false;
    visit_use(v, user_of(&n));
    return true;
}

/* -- tunnels -- */

static void on_tunnel_ended(void *context, const struct forward_result *e)
{
    struct visit *v = context;
    struct secondary_config *c = &v->secondary->config;
    size_t server = v->server;
    visit_use(v, NOBODYS);
    if (e->end == FORWARD_REFUSED) {
        c->failed(c->context, server, e->client, &v->peer, e->bytes, e->len);
        mem_free(e->bytes);
    } else if (e->end == FORWARD_ANSWERED) {
        c->back(c->context, e->client, NULL, 0, &v->peer);
    } else if (log_wants(LOG_DEBUG)) {
        char ip[ADDR_TEXT_MAX];
        log_debug("forward-end", "client=%s end=%s up=%llu down=%llu", addr_format(&v->peer, ip),
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
    struct forwarded f = {.client = &v->peer,
                          .tls = tls,
                          .omits = v->secondary->config.servers[v->server].exchange.omits};
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

static int start_tunnel(struct visit *v, struct stream client, char **bytes, size_t *len)
{
    struct secondary *s = v->secondary;
    struct forward_request q = {.client = client,
                                .bytes = *bytes,
                                .len = *len,
                                .to = s->config.servers[v->server].exchange.upstream.to,
                                .ended = on_tunnel_ended,
                                .context = v};
    int e = rewrite(&q, v, s->config.decide->tls);
    *bytes = q.bytes;
    *len = q.len;
    return e == STEAD_OK ? forward_start(s->forwarder, &q) : e;
}

/* -- exchanges -- */

static void upgraded(struct visit *v, const struct exchange_result *r)
{
    struct secondary *s = v->secondary;
    struct forward_join j = {.client = r->client,
                             .server = r->server,
                             .up = r->bytes,
                             .up_len = r->len,
                             .down = r->back,
                             .down_len = r->back_len,
                             .ended = on_tunnel_ended,
                             .context = v};
    if (forward_join(s->forwarder, &j) == STEAD_OK)
        return;
    stream_close(&j.client, true);
    stream_close(&j.server, true);
    mem_free(r->bytes);
    mem_free(r->back);
    visit_end(v);
}

static void on_exchange_ended(void *context, const struct exchange_result *r)
{
    struct visit *v = context;
    struct secondary_config *c = &v->secondary->config;
    size_t server = r->slot == UPSTREAM_OTHER ? NOBODYS : r->slot;
    switch (r->end) {
    case EXCHANGE_UPGRADED:
        upgraded(v, r);
        return;
    case EXCHANGE_RETURNED:
        c->back(c->context, r->client, r->bytes, r->len, &v->peer);
        break;
    case EXCHANGE_PASSED:
        close(r->client.fd); /* there are others of them */
        close(r->server.fd);
        break;
    case EXCHANGE_UNREACHABLE:
    case EXCHANGE_FAILED:
        visit_use(v, NOBODYS);
        c->failed(c->context, r->end == EXCHANGE_UNREACHABLE ? server : NOBODYS, r->client,
                  &v->peer, r->bytes, r->len);
        mem_free(r->bytes);
        break;
    case EXCHANGE_CLOSED:
    case EXCHANGE_RESET:
    case EXCHANGE_STOPPED:
        break;
    }
    visit_end(v);
}

static struct slice field(const struct http_head *h, const char *name)
{
    const struct http_header *x = http_find(h->headers, h->header_count, name);
    return x ? x->value : (struct slice){"-", 1};
}

/* The access log's line of one request. */
static void on_exchange_done(void *context, const struct exchange_record *r)
{
    struct visit *v = context;
    struct secondary *s = v->secondary;
    struct http_head h;
    const char *why;
    char ip[ADDR_TEXT_MAX], method[32], host[300], path[256], id[REQUEST_ID_CHARS_MAX + 16];
    if (v->server != NOBODYS)
        store_own_answered(s->config.store, (unsigned)v->server, r->status >= 500);
    if (!log_wants(LOG_INFO) || http_parse_request(r->head.at, r->head.len, &h, &why) <= 0)
        return;
    struct slice request_id = field(&h, "x-request-id");
    log_quote(h.method.at, h.method.len, method, sizeof(method));
    log_quote(h.host.at, h.host.len, host, sizeof(host));
    log_quote(h.path.at, h.path.len, path, sizeof(path));
    log_quote(request_id.at, request_id.len, id, sizeof(id));
    const char *service = v->server == NOBODYS ? "-" : s->config.decide->servers[v->server].service;
    log_info("request",
             "client=%s method=%s host=%s path=%s service=%s status=%d up=%llu down=%llu ms=%.3f "
             "kept=%s id=%s",
             addr_format(&v->peer, ip), method, host, path, service, r->status,
             (unsigned long long)r->up, (unsigned long long)r->down, (double)r->time_us / 1000,
             r->reused ? "yes" : "no", id);
}

static int start_exchange(struct visit *v, struct stream client, char *bytes, size_t len,
                          const struct exchange_route *route)
{
    struct secondary *s = v->secondary;
    const struct exchange_client q = {.stream = client,
                                      .bytes = bytes,
                                      .len = len,
                                      .route = *route,
                                      .peer = v->peer,
                                      .tls = s->config.decide->tls,
                                      .identity = v->identity,
                                      .context = v};
    return exchange_start(s->exchanger, &q);
}

/* -- requests -- */

size_t secondary_clients(const struct secondary *s)
{
    return forwarder_tunnels(s->forwarder) + exchanger_clients(s->exchanger);
}

/* The request is taken: what cannot be begun is told to `failed`. */
static void begin(struct visit *v, const struct decision *n, const struct exchange_route *route,
                  struct stream client, char *bytes, size_t len)
{
    struct secondary *s = v->secondary;
    struct secondary_config *c = &s->config;
    bool tunnel = n->verdict == DECIDE_FORWARD && c->servers[n->server].tunnel;
    int e = STEAD_E_BUSY;
    visit_use(v, user_of(n));
    if (secondary_clients(s) >= s->clients_max && !exchanger_make_room(s->exchanger))
        (*c->exchange_counters).busy++;
    else if (tunnel)
        e = start_tunnel(v, client, &bytes, &len);
    else
        e = start_exchange(v, client, bytes, len, route);
    if (e == STEAD_OK)
        return;
    struct addr peer = v->peer;
    visit_end(v);
    c->failed(c->context, e == STEAD_E_UNREACHABLE ? n->server : NOBODYS, client, &peer, bytes,
              len);
    mem_free(bytes);
}

static int identify(struct visit *v, const struct http_request *r)
{
    struct tls_identity id;
    if (!tls_client_identity(http_request_tls(r), &id))
        return STEAD_OK;
    v->identity = mem_dup(&id, sizeof(id));
    return v->identity ? STEAD_OK : STEAD_E_NOMEM;
}

void secondary_forward(struct secondary *s, struct http_request *r, const struct decision *n,
                       const struct mark *mark)
{
    struct exchange_route route = {.id = mark->id, .early = http_request_is_early(r)};
    struct stream client;
    char *bytes;
    size_t len;
    if (!make_route(s, http_request_head(r), n, &route)) {
        http_reply_error(r, 503, "UNREACHABLE", "no http URL leads to the chosen server");
        return;
    }
    struct visit *v = mem_alloc(sizeof(*v));
    if (!v) {
        http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
        return;
    }
    *v = (struct visit){s, NOBODYS, *http_request_peer(r), NULL};
    int e = identify(v, r);
    if (e == STEAD_OK)
        e = http_take(r, &client, &bytes, &len);
    if (e != STEAD_OK) {
        http_reply_error(r, 503, stead_error_name(e), stead_error_text(e));
        visit_end(v);
        return;
    }
    begin(v, n, &route, client, bytes, len);
}

/* -- from one process to another -- */

struct giving {
    passage_give *give;
    void *context;
};

static bool give_tunnel(void *context, const struct forward_share *t, void *of)
{
    const struct giving *g = context;
    const struct visit *v = of;
    struct passage p = {.tunnel = *t, .peer = v->peer};
    if (v->server != NOBODYS)
        snprintf(p.service, sizeof(p.service), "%s",
                 v->secondary->config.decide->servers[v->server].service);
    return g->give(g->context, &p);
}

void secondary_export(struct secondary *s, unsigned max, passage_give *give, void *context)
{
    struct giving g = {give, context};
    forwarder_export(s->forwarder, max, give_tunnel, &g);
    exchanger_export(s->exchanger, max, give_tunnel, &g);
}

static size_t server_of(const struct secondary *s, const char *service)
{
    const struct decide_config *d = s->config.decide;
    for (size_t i = 0; *service && i < d->server_count; i++)
        if (strcmp(d->servers[i].service, service) == 0)
            return i;
    return NOBODYS;
}

int secondary_import(struct secondary *s, const struct passage *p)
{
    struct visit *v = mem_alloc(sizeof(*v));
    if (!v)
        return STEAD_E_NOMEM;
    *v = (struct visit){.secondary = s, .server = NOBODYS, .peer = p->peer};
    int err = secondary_clients(s) < s->clients_max
                  ? forwarder_import(s->forwarder, &p->tunnel, on_tunnel_ended, v)
                  : STEAD_E_BUSY;
    if (err)
        mem_free(v);
    else
        visit_use(v, server_of(s, p->service));
    return err;
}

/* -- lifetime -- */

static void on_forwarder_closed(void *context)
{
    struct secondary *s = context;
    void (*closed)(void *) = s->closed;
    void *closed_context = s->closed_context;
    mem_free(s);
    if (closed)
        closed(closed_context);
}

/* Behind the exchanger, which may hand it clients to the last. */
static void on_exchanger_closed(void *context)
{
    struct secondary *s = context;
    if (s->forwarder)
        forwarder_close(s->forwarder, on_forwarder_closed, s);
    else
        on_forwarder_closed(s);
}

static void fill_exchanger(const struct secondary *s, struct exchanger_config *e)
{
    const struct secondary_config *c = &s->config;
    struct secondary_server other;
    *e = (struct exchanger_config){.loop = c->loop,
                                   .limits = c->exchange,
                                   .name = c->self_name,
                                   .tls = c->tls,
                                   .counters = c->exchange_counters,
                                   .route = on_route,
                                   .done = on_exchange_done,
                                   .ended = on_exchange_ended};
    secondary_server_default(&other, NULL);
    e->servers[UPSTREAM_OTHER] = other.exchange;
    for (size_t i = 0; i < c->decide->server_count; i++)
        e->servers[i] = c->servers[i].exchange;
    e->limits.clients_max = (uint32_t)s->clients_max;
}

void secondary_renew(struct secondary *s)
{
    for (size_t i = 0; i < s->config.decide->server_count; i++)
        exchanger_set(s->exchanger, i, &s->config.servers[i].exchange);
}

int secondary_open(const struct secondary_config *c, struct secondary **out)
{
    struct secondary *s = mem_alloc(sizeof(*s));
    if (!s)
        return STEAD_E_NOMEM;
    s->config = *c;
    /* Each of two descriptors; the forwarder sees to its own pipes, and as many are ours. */
    uint32_t pipes = c->forward.tunnels_max / 8;
    if (pipes > c->exchange.pipes_max)
        pipes = c->exchange.pipes_max;
    s->config.exchange.pipes_max = pipes;
    s->clients_max = c->forward.tunnels_max - pipes;
    struct forwarder_config f = {c->loop, c->forward, c->forward_counters};
    struct exchanger_config e;
    fill_exchanger(s, &e);
    f.limits.tunnels_max -= pipes;
    int err = forwarder_open(&f, &s->forwarder);
    if (err == STEAD_OK)
        err = exchanger_open(&e, &s->exchanger);
    if (err != STEAD_OK) {
        on_exchanger_closed(s);
        return err;
    }
    *out = s;
    return STEAD_OK;
}

void secondary_retire(struct secondary *s, bool retired)
{
    exchanger_retire(s->exchanger, retired);
}

void secondary_return(struct secondary *s)
{
    exchanger_return(s->exchanger);
}

void secondary_stop(struct secondary *s)
{
    exchanger_stop(s->exchanger);
}

void secondary_close(struct secondary *s, void (*closed)(void *context), void *context)
{
    s->closed = closed;
    s->closed_context = context;
    exchanger_close(s->exchanger, on_exchanger_closed, s);
}
