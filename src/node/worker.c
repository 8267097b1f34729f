/* A worker's thread: opens its roles on its loop, runs, and closes them in turn when it is told to.
 */
#include "node/worker.h"

#include "node/forward_setup.h"
#include "node/names.h"

#include <stdio.h>
#include <string.h>

static void init_rosters(struct shared *s, const struct setup *setup)
{
    static const enum roster_exposure exposures[] = {[EXPOSURE_AUTO] = ROSTER_COARSE,
                                                     [EXPOSURE_OPEN] = ROSTER_OPEN,
                                                     [EXPOSURE_COARSE] = ROSTER_COARSE,
                                                     [EXPOSURE_AUTHENTICATED] =
                                                         ROSTER_AUTHENTICATED};
    const struct public_section *p = &setup->config->public;
    s->rosters = (struct roster_rules){.exposure = exposures[p->exposure],
                                       .token = setup->roster_token,
                                       .cors = p->cors,
                                       .inside_count = p->inside.count,
                                       .retry = {p->retry_min_ms, p->retry_max_ms, p->retry_joins},
                                       .watchers_max = p->watchers,
                                       .watchers_here = setup->descriptors.watchers};
    for (size_t i = 0; i < p->inside.count; i++)
        s->rosters.inside[i] = p->inside.network[i];
}

_Static_assert(PRIVATE_NAMES_MAX == CONFIG_STRINGS_MAX, "every name has its place");

static void init_private(struct shared *s, const struct config *c)
{
    for (size_t k = 0; k < c->sessions.kinds.count; k++) {
        const struct strings *names = &c->sessions.private[k];
        s->private.kind[k].count = names->count;
        for (size_t i = 0; i < names->count; i++)
            s->private.kind[k].names[i] = (struct slice){names->text[i], strlen(names->text[i])};
        if (names->count > 0)
            s->private.keys = &s->rings->private;
    }
}

int shared_init(struct shared *s, struct setup *setup, struct store *store,
                const struct shared_keys *keys, struct key_rings *rings, const struct config *file)
{
    const struct config *c = setup->config;
    s->config = c;
    s->store = store;
    s->token = setup->token;
    s->succeeds = setup->borrowed;
    s->cache_passwords = setup->cache_passwords;
    s->agent_fds = setup->agent_fds;
    s->sessiond_fd = &setup->sessiond_fd;
    s->descriptors = setup->descriptors;
    s->tls = &setup->tls;
    s->tcp = &setup->tcp;
    s->keys = *keys;
    s->worker_count = setup->worker_count;
    s->rings = rings;
    init_private(s, c);
    init_rosters(s, setup);
    own_init(&s->own, store);
    s->first = live_new(c, file, 1, keys, setup->worker_count);
    if (!s->first)
        return STEAD_E_NOMEM;
    live_now_init(&s->now, live_ref(s->first));
    return STEAD_OK;
}

int shared_open(struct shared *s)
{
    char error[CONFIG_TEXT_MAX + 128];
    s->rosters.feed = watch_feed_new();
    if (s->tcp->count && !(s->tcp_stick = tcp_stick_new()))
        return STEAD_E_NOMEM;
    s->handoffs = handoff_once_new();
    if (!s->rosters.feed || !s->handoffs)
        return STEAD_E_NOMEM;
    for (unsigned i = 0; s->config->public.listen.family && i < s->config->top.workers; i++)
        if (!(s->journals[i] = journal_new()))
            return STEAD_E_NOMEM;
    if (s->config->dns.listen.count == 0)
        return STEAD_OK;
    s->book = name_book_new(&s->first->names, s->store);
    if (!s->book)
        return STEAD_E_NOMEM;
    if (*s->config->dns.records &&
        !name_book_load(s->book, s->config->dns.records, error, sizeof(error))) {
        fprintf(stderr, "stead: dns: records: %s\n", error);
        return STEAD_E_CONFIG;
    }
    return STEAD_OK;
}

void shared_close(struct shared *s)
{
    name_book_free(s->book);
    watch_feed_free(s->rosters.feed);
    handoff_once_free(s->handoffs);
    tcp_stick_free(s->tcp_stick);
    s->tcp_stick = NULL;
    s->handoffs = NULL;
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        journal_free(s->journals[i]);
        s->journals[i] = NULL;
    }
    s->book = NULL;
    s->rosters.feed = NULL;
    if (s->first)
        live_now_deinit(&s->now);
    live_unref(s->first);
    s->first = NULL;
}

static void part_closed(void *context)
{
    struct worker *w = context;
    w->open_parts--;
}

/* What tells of the node, or is told of it, in a process that has left the farm. */
void worker_quiet(struct worker *w)
{
    if (w->rebalancer)
        rebalancer_close(w->rebalancer, part_closed, w);
    if (w->secure_rebalancer)
        rebalancer_close(w->secure_rebalancer, part_closed, w);
    if (w->name)
        name_close(w->name, part_closed, w);
    if (w->own)
        own_close(w->own, part_closed, w);
    if (w->health)
        health_close(w->health, part_closed, w);
    if (w->takeover)
        takeover_close(w->takeover, atomic_load(&w->hand.quiet), part_closed, w);
    w->rebalancer = w->secure_rebalancer = NULL;
    w->name = NULL;
    w->takeover = NULL;
    w->health = NULL;
    w->own = NULL;
}

static void on_stop(uv_async_t *stop)
{
    struct worker *w = stop->data;
    worker_hand_close(w);
    worker_quiet(w);
    worker_tcp_close(w, part_closed);
    if (w->director)
        director_close(w->director, part_closed, w);
    if (w->secure)
        director_close(w->secure, part_closed, w);
    if (w->gate)
        gate_close(w->gate, part_closed, w);
    for (unsigned p = 0; p < CACHE_DOORS; p++)
        if (w->caches[p])
            cache_close(w->caches[p], part_closed, w);
    if (w->keep)
        session_keep_close(w->keep, part_closed, w);
    sessiond_door_close(w->sessiond);
    w->sessiond = NULL;
    uv_close((uv_handle_t *)stop, NULL);
    uv_close((uv_handle_t *)&w->renew, NULL);
}

/* Between two events of this loop, so no request is under way. */
static void on_renew(uv_async_t *renew)
{
    struct worker *w = renew->data;
    struct live *old = w->live, *l = live_now(&w->shared->now);
    if (l == old || uv_is_closing((uv_handle_t *)&w->stop)) {
        live_unref(l);
        return;
    }
    w->live = l;
    if (w->director)
        director_set(w->director, &l->decide.config, l->servers);
    if (w->secure)
        director_set(w->secure, &l->decide.secure, l->servers);
    if (w->rebalancer)
        rebalancer_set(w->rebalancer, l->rebalances, l->config.service_count);
    if (w->secure_rebalancer)
        rebalancer_set(w->secure_rebalancer, l->rebalances, l->config.service_count);
    if (w->health)
        health_set(w->health, l->checks, l->config.server_count);
    if (w->own)
        own_set(w->own, l);
    live_unref(old);
}

/* uv_run ends when the last handle is closed. */
static void run(void *context)
{
    struct worker *w = context;
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* One of the public listeners. */
static int open_director(struct worker *w, int *fd, bool tls, struct director **out)
{
    struct shared *s = w->shared;
    const struct config *config = s->config;
    struct director_config c = {.loop = &w->loop,
                                .fd = *fd,
                                .tls = tls ? s->tls->door : NULL,
                                .keeper = w->keep ? session_keep_keeper(w->keep) : NULL,
                                .relay_tls = s->tls->relays,
                                .store = s->store,
                                .self_name = config->node.name,
                                .decide = tls ? &w->live->decide.secure : &w->live->decide.config,
                                .handoffs = s->handoffs,
                                .servers = w->live->servers,
                                .journal = s->journals[w->index],
                                .rosters = s->rosters,
                                .proxy_count = s->config->public.proxies.count,
                                .proxies = s->config->public.proxies.network,
                                .counters = &s->director};
    http_limits_default(&c.http);
    forward_limits_default(&c.forward);
    exchange_limits_default(&c.exchange);
    forward_setup_limits(s->config, &c);
    c.http.connections_max = s->descriptors.public;
    c.http.streams_max = config->public.http2 ? config->public.http2_streams : 0;
    c.http.resets_max = config->public.http2_resets;
    c.forward.tunnels_max = s->descriptors.tunnels;
    if (tls) {
        c.http.handshakes_max = config->tls.handshakes;
        c.http.handshake_ms = config->tls.handshake_ms;
    }
    if (*fd < 0)
        return STEAD_OK;
    take(fd);
    int err = director_open(&c, out);
    w->open_parts += err == STEAD_OK;
    return err;
}

/* place: among all that share the clients of a server. */
static int open_rebalancer(struct worker *w, struct director *d, unsigned place,
                           struct rebalancer **out)
{
    struct shared *s = w->shared;
    if (!d)
        return STEAD_OK;
    struct rebalancer_config c = {.loop = &w->loop,
                                  .store = s->store,
                                  .watch = director_watch(d),
                                  .self_name = s->config->node.name,
                                  .worker = place,
                                  .services = w->live->rebalances,
                                  .service_count = w->live->config.service_count,
                                  .shared = &s->rebalance};
    int err = rebalancer_open(&c, out);
    w->open_parts += err == STEAD_OK;
    return err;
}

/* Clients' TLS sessions that any node resumes. */
static int open_keep(struct worker *w)
{
    struct shared *s = w->shared;
    int kind = kinds_find(&s->config->sessions.kinds, "tls");
    struct session_keep_config c = {.loop = &w->loop,
                                    .store = s->store,
                                    .mailbox =
                                        w->index + s->config->top.workers * (1 + CACHE_DOORS) + 1,
                                    .kind = (uint8_t)kind,
                                    .keys = &s->rings->tls,
                                    .counters = &s->kept};
    if (!s->tls->door || kind < 0)
        return STEAD_OK;
    int err = session_keep_open(&c, &w->keep);
    w->open_parts += err == STEAD_OK;
    return err;
}

static int open_public(struct worker *w, struct worker_sockets *sockets)
{
    int err = open_keep(w);
    if (!err)
        err = open_director(w, &sockets->public, false, &w->director);
    if (!err)
        err = open_director(w, &sockets->secure, true, &w->secure);
    if (!err)
        err = open_rebalancer(w, w->director, w->index, &w->rebalancer);
    if (!err)
        err = open_rebalancer(w, w->secure, w->index + WORKERS_MAX, &w->secure_rebalancer);
    return err;
}

static int open_gate(struct worker *w, struct worker_sockets *sockets)
{
    struct shared *s = w->shared;
    struct gate_config c = {.loop = &w->loop,
                            .fd = sockets->gate,
                            .tls = s->config->sessions.tls ? s->tls->door : NULL,
                            .store = s->store,
                            .mailbox = w->index,
                            .token = s->token,
                            .node = s->config->node.name,
                            .farm = s->config->top.farm,
                            .auth_cookie = s->config->sessions.auth_cookie,
                            .auth_login = s->config->sessions.auth_login,
                            .private = &s->private,
                            .tls_keys = &s->rings->tls_set,
                            .http_counters = &s->gate_http,
                            .counters = &s->gate};
    http_limits_default(&c.http);
    c.http.connections_max = s->descriptors.gate;
    if (c.tls && s->config->public.http2) /* as its certificates' listeners say by ALPN */
        c.http.streams_max = s->config->public.http2_streams;
    if (sockets->gate < 0)
        return STEAD_OK;
    int err = gate_open(&c, &w->gate);
    if (err == STEAD_OK)
        take(&sockets->gate);
    w->open_parts += err == STEAD_OK;
    return err;
}

/* A node that is not up yet, or no more, is as good as none to a cache's client. */
static bool serving(void *context)
{
    struct shared *s = context;
    struct roster *r = store_roster(s->store);
    const struct roster_node *self = r ? roster_find(r, s->config->node.name) : NULL;
    bool up = self && self->status != STATUS_JOINING && self->status < STATUS_SUSPECT;
    roster_unref(r);
    return up;
}

static int open_cache(struct worker *w, enum cache_protocol p, struct cache_sockets *sockets)
{
    struct shared *s = w->shared;
    struct cache_config c = {.loop = &w->loop,
                             .fd = sockets->fd[p],
                             .store = s->store,
                             .mailbox = w->index + s->config->top.workers * (1 + (unsigned)p),
                             .connections_max = s->descriptors.cache,
                             .serving = serving,
                             .context = s,
                             .counters = &s->caches[p]};
    if (c.fd < 0)
        return STEAD_OK;
    cache_rules(s->config, p, &c);
    c.tls = cache_section_of(s->config, p)->tls ? s->tls->door : NULL;
    c.handshakes_max = s->config->tls.handshakes;
    c.handshake_ms = s->config->tls.handshake_ms;
    memcpy(c.password, s->cache_passwords[p], sizeof c.password);
    int err = cache_open(&c, &w->caches[p]);
    if (err == STEAD_OK)
        take(&sockets->fd[p]);
    w->open_parts += err == STEAD_OK;
    return err;
}

static int open_sessiond(struct worker *w)
{
    struct shared *s = w->shared;
    const struct config *c = s->config;
    struct sessiond_door_config d = {.fd = *s->sessiond_fd,
                                     .store = s->store,
                                     .mailbox = c->top.workers * (1 + CACHE_DOORS),
                                     .kind =
                                         (uint8_t)kinds_find(&c->sessions.kinds, c->sessiond.kind),
                                     .counters = &s->sessiond};
    if (w->index != 0 || d.fd < 0)
        return STEAD_OK;
    int err = sessiond_door_open(&d, &w->sessiond);
    if (err == STEAD_OK)
        take(s->sessiond_fd);
    return err;
}

static int open_name(struct worker *w, struct worker_sockets *sockets)
{
    struct shared *s = w->shared;
    size_t count = s->config->dns.listen.count;
    int udp[NAME_LISTENERS_MAX], tcp[NAME_LISTENERS_MAX];
    if (count == 0)
        return STEAD_OK;
    for (size_t i = 0; i < count; i++) {
        udp[i] = take(&sockets->dns_udp[i]);
        tcp[i] = take(&sockets->dns_tcp[i]);
    }
    int err = name_open(&w->loop, &s->first->names, s->book, udp, tcp, count, s->name[w->index],
                        &w->name);
    w->open_parts += err == STEAD_OK;
    return err;
}

static int open_health(struct worker *w)
{
    struct shared *s = w->shared;
    struct health_config c = {.loop = &w->loop,
                              .store = s->store,
                              .checks = w->live->checks,
                              .count = w->live->config.server_count,
                              .trusting = s->succeeds};
    if (w->index != 0)
        return STEAD_OK;
    int err = health_open(&c, &w->health);
    w->open_parts += err == STEAD_OK;
    return err;
}

static int open_own(struct worker *w)
{
    if (w->index != 0)
        return STEAD_OK;
    int err = own_open(&w->shared->own, &w->loop, w->live, w->health, w->shared->agent_fds);
    w->own = err ? NULL : &w->shared->own;
    w->open_parts += err == STEAD_OK;
    return err;
}

int worker_start(struct worker *w, unsigned index, struct shared *shared,
                 struct worker_sockets *sockets, struct cache_sockets *caches)
{
    w->index = index;
    w->shared = shared;
    if (uv_loop_init(&w->loop))
        return STEAD_E_IO;
    w->stop.data = w->renew.data = w;
    if (uv_async_init(&w->loop, &w->stop, on_stop) || uv_async_init(&w->loop, &w->renew, on_renew))
        return STEAD_E_IO;
    w->live = live_now(&shared->now);
    int err = worker_hand_open(w);
    if (err)
        return err;
    err = open_public(w, sockets);
    if (!err)
        err = worker_tcp_open(w, sockets);
    if (!err)
        err = open_name(w, sockets);
    if (!err)
        err = open_gate(w, sockets);
    for (unsigned p = 0; !err && p < CACHE_DOORS; p++)
        err = open_cache(w, (enum cache_protocol)p, caches);
    if (!err)
        err = open_sessiond(w);
    if (!err)
        err = open_health(w);
    if (!err)
        err = open_own(w);
    if (!err && uv_thread_create(&w->thread, run, w))
        err = STEAD_E_IO;
    if (err) {
        on_stop(&w->stop);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        worker_hand_deinit(w);
        uv_loop_close(&w->loop);
        session_keep_free(w->keep);
        live_unref(w->live);
        w->live = NULL;
    }
    return err;
}

void worker_renew(struct worker *w)
{
    uv_async_send(&w->renew);
}

void worker_stop(struct worker *w)
{
    uv_async_send(&w->stop);
    uv_thread_join(&w->thread);
    worker_hand_deinit(w);
    uv_loop_close(&w->loop);
    session_keep_free(w->keep);
    live_unref(w->live);
    w->live = NULL;
}
