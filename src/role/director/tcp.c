/* tcp.c - from a connection to its service, its server and its tunnel. */
#include "role/director/tcp.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/io.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct tcp {
    struct tcp_config config;
    struct rng rng;
    struct roster *roster; /* the newest that was asked for */
    struct tcp_door *door;
    struct forwarder *forwarder;
    bool between; /* any service's nodes tell each other the client */
    void (*closed)(void *context);
    void *closed_context;
};

/* A connection on its way to a server, or there. */
struct guest {
    struct tcp *tcp;
    const struct tcp_service *service;
    struct addr client, at;
    uint64_t key;
    uint8_t head_len; /* of the PROXY header before the client's own bytes */
    uint8_t tries;
    bool hop, by_key, counted;
    bool led;                          /* to another server in the place of the own one */
    bool own_tried;                    /* and not reached */
    uint64_t tried[TCP_TRIES_MAX + 1]; /* ids of nodes; behind the last: the one tried now */
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t now_ms(const struct tcp *t)
{
    return uv_now(t->config.loop);
}

/* -- which service -- */

static bool names_host(const char *url, const char *name)
{
    const char *host;
    size_t len;
    uint16_t port;
    return entry_url_host(url, &host, &len, &port) && len == strlen(name) &&
           strncasecmp(host, name, len) == 0;
}

/* A server's own name: of this node's, or of one whose name leads here while it is gone. */
static bool names_server(const struct tcp *t, const struct tcp_service *s, const char *name)
{
    for (size_t i = 0; i < s->url_count; i++)
        if (names_host(s->urls[i], name))
            return true;
    for (size_t n = 0; t->roster && n < t->roster->count; n++) {
        const struct server *v = roster_server(&t->roster->nodes[n], s->rule.service);
        for (size_t u = 0; v && u < v->url_count; u++)
            if (names_host(v->urls[u], name))
                return true;
    }
    return false;
}

static const struct tcp_service *service_named(const struct tcp *t, const char *name)
{
    const struct tcp_config *c = &t->config;
    for (size_t i = 0; i < c->service_count; i++)
        if (strcasecmp(c->services[i].host, name) == 0)
            return &c->services[i];
    for (size_t i = 0; i < c->service_count && *name; i++)
        if (names_server(t, &c->services[i], name))
            return &c->services[i];
    return NULL;
}

static const struct tcp_service *service_of(const struct tcp *t, const struct tcp_arrival *a)
{
    const struct tcp_config *c = &t->config;
    for (size_t i = 0; c->transparent && i < c->service_count; i++)
        if (addr_equal(&c->services[i].to, &a->at))
            return &c->services[i];
    if (c->transparent)
        return NULL;
    return c->service_count == 1 ? &c->services[0] : service_named(t, a->name ? a->name : "");
}

/* -- which server -- */

static bool is_node(const struct roster_node *n, const struct addr *a)
{
    return !n->self && (addr_same_ip(&n->entry->address, a) || addr_same_ip(&n->entry->public, a));
}

static bool from_node(const struct tcp *t, const struct addr *peer)
{
    for (size_t i = 0; t->roster && i < t->roster->count; i++)
        if (is_node(&t->roster->nodes[i], peer))
            return true;
    return false;
}

/* Equal on all nodes. */
static uint64_t key_of(const struct tcp *t, const struct tcp_service *s,
                       const struct tcp_arrival *a)
{
    char text[NAME_MAX_BYTES + 1 + CLIENT_HELLO_NAME_MAX + 1];
    size_t n = strlen(s->rule.service) + 1, more = sizeof(a->client.ip);
    memcpy(text, s->rule.service, n);
    if (s->affinity == TCP_BY_NAME && a->name) {
        more = strlen(a->name);
        memcpy(text + n, a->name, more);
    } else {
        memcpy(text + n, a->client.ip, more);
    }
    return buzhash(t->config.keys, text, n + more);
}

static bool was_tried(const struct guest *g, uint64_t node)
{
    for (size_t i = 0; i < g->tries; i++)
        if (g->tried[i] == node)
            return true;
    return false;
}

static void choose(struct guest *g, struct tcp_target *out)
{
    struct tcp *t = g->tcp;
    const struct tcp_service *s = g->service;
    char stuck[NAME_MAX_BYTES + 1];
    struct tcp_target_view v = {.roster = t->roster,
                                .self_name = t->config.self_name,
                                .hop = g->hop,
                                .by_key = g->by_key,
                                .key = g->key,
                                .chance = rng_u64(&t->rng)};
    for (size_t n = 0; g->tries > 0 && n < t->roster->count; n++)
        if (was_tried(g, t->roster->nodes[n].entry->node))
            v.tried[v.tried_count++] = t->roster->nodes[n].entry->name;
    bool held = s->mark && atomic_load_explicit(&s->mark->held, memory_order_relaxed);
    v.own_good = s->own != TCP_NOT_OWN && !held && !g->own_tried && !store_maint(t->config.store) &&
                 store_healthy(t->config.store, (unsigned)s->own);
    if (s->own != TCP_NOT_OWN && tcp_stick_find(t->config.stick, g->key, now_ms(t), stuck))
        v.stuck = stuck;
    tcp_target(&s->rule, &v, out);
}

/* A client that was led elsewhere stays there as long as the rule says. */
static void remember(struct guest *g, const char *node)
{
    static const uint64_t forever_ms = 365ull * 24 * 3600 * 1000;
    const struct tcp_service *s = g->service;
    uint64_t now = now_ms(g->tcp);
    if (s->rule.failback == FAILBACK_AT_ONCE)
        return;
    tcp_stick_put(g->tcp->config.stick, g->key, node, now,
                  now + (s->rule.failback == FAILBACK_NEVER ? forever_ms : s->life_ms));
}

/* -- leading there -- */

static void log_choice(const struct guest *g, const struct tcp_target *n)
{
    char ip[ADDR_TEXT_MAX];
    if (!log_wants(LOG_INFO))
        return;
    log_info("tcp", "client=%s service=%s server=%s why=%s", addr_format(&g->client, ip),
             g->service->rule.service,
             n->verdict == TCP_OWN    ? g->tcp->config.self_name
             : n->verdict == TCP_NODE ? n->chosen.node->entry->name
                                      : "-",
             n->why);
}

static void turn_away(struct guest *g, struct forward_request *q, atomic_uint_fast64_t *why)
{
    count(why);
    stream_close(&q->client, true);
    mem_free(q->bytes);
    mem_free(g);
}

/* The header in its place before the client's bytes. */
static int put_head(struct guest *g, enum proxy_protocol version, char **bytes, size_t *len)
{
    uint8_t head[PROXY_PROTOCOL_OUT_MAX];
    size_t n = proxy_protocol_make(version, &g->client, &g->at, head);
    size_t body = *len - g->head_len;
    if (n == 0 && g->head_len == 0)
        return STEAD_OK;
    char *both = mem_alloc(n + body + 1);
    if (!both)
        return STEAD_E_NOMEM;
    memcpy(both, head, n);
    if (body > 0)
        memcpy(both + n, *bytes + g->head_len, body);
    mem_free(*bytes);
    *bytes = both;
    *len = n + body;
    g->head_len = (uint8_t)n;
    return STEAD_OK;
}

static void on_tunnel_ended(void *context, const struct forward_result *e);

static void set_counted(struct guest *g, bool counted)
{
    if (g->counted != counted)
        store_users_add(g->tcp->config.store, (unsigned)g->service->own, counted ? 1 : -1);
    g->counted = counted;
}

/* Before anybody is sent here again. */
static void mark_failed(struct guest *g)
{
    struct store *store = g->tcp->config.store;
    char to[ADDR_TEXT_MAX];
    if (!store_healthy(store, (unsigned)g->service->own))
        return;
    store_set_healthy(store, (unsigned)g->service->own, false);
    log_warn("server-unreachable", "service=%s address=%s", g->service->rule.service,
             addr_format(&g->service->to, to));
}

static int start(struct guest *g, const struct tcp_target *n, struct forward_request *q)
{
    const struct tcp_service *s = g->service;
    bool own = n->verdict == TCP_OWN;
    enum proxy_protocol version = own ? s->out : s->between ? PROXY_V2 : PROXY_NONE;
    q->to = s->to;
    if (!own && !tcp_target_addr(&n->chosen, &q->to))
        return STEAD_E_UNREACHABLE;
    if (own && g->tcp->config.transparent)
        q->from = g->client;
    int err = put_head(g, version, &q->bytes, &q->len);
    if (err != STEAD_OK)
        return err;
    if (own)
        set_counted(g, true);
    err = forward_start(g->tcp->forwarder, q);
    if (err != STEAD_OK)
        set_counted(g, false);
    return err;
}

/* In line, HTTP: a redirect is better than another server's content under this address. */
static bool hand_over(struct guest *g, struct forward_request *q, const struct tcp_target *n)
{
    struct tcp *t = g->tcp;
    if (!g->service->http || n->verdict == TCP_OWN || !t->config.hand || q->len > g->head_len)
        return false;
    count(&t->config.counters->handed);
    t->config.hand(t->config.context, q->client.fd, &g->client, g->service->tls);
    mem_free(q->bytes);
    mem_free(g);
    return true;
}

static void given(struct guest *g, const struct tcp_target *n)
{
    struct tcp_counters *c = g->tcp->config.counters;
    count(n->verdict == TCP_OWN ? &c->own : n->backup ? &c->backup : &c->balanced);
    g->led = n->backup;
    if (n->backup && g->service->mark)
        atomic_fetch_add(&g->service->mark->guests, 1);
    if (n->backup)
        remember(g, n->chosen.node->entry->name);
}

static void not_reached(struct guest *g, bool own)
{
    g->tries++;
    if (!own)
        return;
    g->own_tried = true;
    mark_failed(g);
}

/* Tries servers until one may be connecting. */
static void lead(struct guest *g, struct forward_request *q)
{
    struct tcp *t = g->tcp;
    t->roster = store_roster_renew(t->config.store, t->roster);
    while (t->roster && g->tries < TCP_TRIES_MAX) {
        struct tcp_target n;
        choose(g, &n);
        log_choice(g, &n);
        if (hand_over(g, q, &n))
            return;
        if (n.verdict == TCP_NOBODY)
            break;
        bool own = n.verdict == TCP_OWN;
        g->tried[g->tries] = own ? 0 : n.chosen.node->entry->node;
        int err = start(g, &n, q);
        if (err == STEAD_OK) {
            given(g, &n);
            return;
        }
        if (err != STEAD_E_UNREACHABLE) {
            turn_away(g, q, &t->config.counters->busy);
            return;
        }
        not_reached(g, own);
    }
    turn_away(g, q, &t->config.counters->nobody);
}

static void on_tunnel_ended(void *context, const struct forward_result *e)
{
    struct guest *g = context;
    struct tcp *t = g->tcp;
    char text[ADDR_TEXT_MAX], node[NAME_MAX_BYTES + 1];
    bool own = g->counted;
    set_counted(g, false);
    if (g->led && g->service->mark)
        atomic_fetch_sub(&g->service->mark->guests, 1);
    if (e->end == FORWARD_REFUSED) {
        struct forward_request q = {.client = e->client,
                                    .bytes = e->bytes,
                                    .len = e->len,
                                    .ended = on_tunnel_ended,
                                    .context = g};
        g->led = false;
        not_reached(g, own);
        lead(g, &q);
        return;
    }
    if (g->led && tcp_stick_find(t->config.stick, g->key, now_ms(t), node))
        remember(g, node); /* its session lasts from here */
    if (log_wants(LOG_DEBUG))
        log_debug("tcp-end", "client=%s service=%s end=%s up=%llu down=%llu",
                  addr_format(&g->client, text), g->service->rule.service, forward_end_name(e->end),
                  (unsigned long long)e->up, (unsigned long long)e->down);
    mem_free(g);
}

/* -- arriving -- */

static bool expects_header(void *context, const struct addr *peer)
{
    struct tcp *t = context;
    t->roster = store_roster_renew(t->config.store, t->roster);
    return t->between && from_node(t, peer);
}

/* A balancer may stand on a node's host; who it is for is told by its header. */
static bool is_hop(const struct tcp *t, const struct addr *peer)
{
    for (size_t i = 0; !t->between && i < t->config.proxy_count; i++)
        if (prefix_has(&t->config.proxies[i], peer))
            return false;
    return from_node(t, peer);
}

static void on_arrived(void *context, const struct tcp_arrival *a)
{
    struct tcp *t = context;
    struct forward_request q = {
        .client = {.fd = a->fd}, .bytes = a->bytes, .len = a->len, .ended = on_tunnel_ended};
    t->roster = store_roster_renew(t->config.store, t->roster);
    const struct tcp_service *s = service_of(t, a);
    struct guest *g = s ? mem_alloc(sizeof(*g)) : NULL;
    if (!g) {
        turn_away(NULL, &q, s ? &t->config.counters->busy : &t->config.counters->unnamed);
        return;
    }
    *g = (struct guest){.tcp = t,
                        .service = s,
                        .client = a->client,
                        .at = a->at,
                        .key = key_of(t, s, a),
                        .by_key = s->affinity != TCP_ANYWHERE,
                        .hop = is_hop(t, &a->peer)};
    q.context = g;
    lead(g, &q);
}

/* -- from one process to another -- */

struct giving {
    passage_give *give;
    void *context;
};

static bool give_guest(void *context, const struct forward_share *s, void *of)
{
    const struct giving *to = context;
    const struct guest *g = of;
    struct passage p = {.tunnel = *s, .peer = g->client, .counted = g->counted, .key = g->key};
    snprintf(p.service, sizeof(p.service), "%s", g->service->rule.service);
    if (g->led)
        (void)tcp_stick_find(g->tcp->config.stick, g->key, now_ms(g->tcp), p.led);
    return to->give(to->context, &p);
}

void tcp_export(struct tcp *t, unsigned max, passage_give *give, void *context)
{
    struct giving to = {give, context};
    forwarder_export(t->forwarder, max, give_guest, &to);
}

static const struct tcp_service *service_called(const struct tcp *t, const char *name)
{
    for (size_t i = 0; i < t->config.service_count; i++)
        if (strcmp(t->config.services[i].rule.service, name) == 0)
            return &t->config.services[i];
    return NULL;
}

int tcp_import(struct tcp *t, const struct passage *p)
{
    const struct tcp_service *s = service_called(t, p->service);
    struct guest *g = s ? mem_alloc(sizeof(*g)) : NULL;
    if (!g)
        return s ? STEAD_E_NOMEM : STEAD_E_NOT_FOUND;
    *g = (struct guest){
        .tcp = t, .service = s, .client = p->peer, .key = p->key, .led = *p->led != '\0'};
    int err = forwarder_import(t->forwarder, &p->tunnel, on_tunnel_ended, g);
    if (err) {
        mem_free(g);
        return err;
    }
    if (p->counted && s->own != TCP_NOT_OWN)
        set_counted(g, true);
    if (g->led && s->mark)
        atomic_fetch_add(&s->mark->guests, 1);
    if (g->led)
        remember(g, p->led);
    return STEAD_OK;
}

/* -- lifetime -- */

static void on_forwarder_closed(void *context)
{
    struct tcp *t = context;
    void (*closed)(void *) = t->closed;
    void *closed_context = t->closed_context;
    roster_unref(t->roster);
    mem_free(t);
    if (closed)
        closed(closed_context);
}

static void on_door_closed(void *context)
{
    struct tcp *t = context;
    if (t->forwarder)
        forwarder_close(t->forwarder, on_forwarder_closed, t);
    else
        on_forwarder_closed(t);
}

static bool wants_name(const struct tcp_config *c)
{
    bool any = c->service_count > 1 && !c->transparent;
    for (size_t i = 0; i < c->service_count; i++)
        any |= c->services[i].affinity == TCP_BY_NAME;
    return any;
}

int tcp_open(const struct tcp_config *c, struct tcp **out)
{
    uint64_t seed;
    struct tcp *t = mem_alloc(sizeof(*t));
    if (!t)
        return STEAD_E_NOMEM;
    assert(c->service_count > 0 && c->service_count <= TCP_SERVICES_MAX);
    t->config = *c;
    io_random(&seed, sizeof(seed));
    rng_init(&t->rng, seed);
    for (size_t i = 0; i < c->service_count; i++)
        t->between |= c->services[i].between;
    struct forwarder_config f = {c->loop, c->forward, &c->counters->forward};
    int err = forwarder_open(&f, &t->forwarder);
    struct tcp_door_config d = {.loop = c->loop,
                                .fd = c->fd,
                                .what = c->what,
                                .hello = wants_name(c),
                                .proxy_count = c->proxy_count,
                                .proxies = c->proxies,
                                .expects = t->between ? expects_header : NULL,
                                .connections_max = c->waiting_max,
                                .counters = &c->counters->door,
                                .arrived = on_arrived,
                                .context = t};
    if (err == STEAD_OK)
        err = tcp_door_open(&d, &t->door);
    if (err != STEAD_OK) {
        on_door_closed(t);
        return err;
    }
    *out = t;
    return STEAD_OK;
}

void tcp_retire(struct tcp *t, bool retired)
{
    tcp_door_retire(t->door, retired);
}

void tcp_stop_accepting(struct tcp *t)
{
    tcp_door_stop_accepting(t->door);
}

size_t tcp_tunnels(const struct tcp *t)
{
    return forwarder_tunnels(t->forwarder);
}

void tcp_close(struct tcp *t, void (*closed)(void *context), void *context)
{
    t->closed = closed;
    t->closed_context = context;
    tcp_door_close(t->door, on_door_closed, t);
}
