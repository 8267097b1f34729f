/* live.c - snapshots of the configuration and their tables, and where the newest is. What of a file
 * can be taken up while the node runs is live_take.c's. */
#include "node/live.h"

#include "base/mem.h"
#include "node/forward_setup.h"
#include "node/names.h"
#include "node/setup.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void free_live(struct held *h)
{
    struct live *l = (struct live *)h;
    explicit_bzero(l->decide.secret, sizeof(l->decide.secret));
    explicit_bzero(l->decide.older, sizeof(l->decide.older));
    mem_free(l);
}

static void init_rebalances(struct live *l)
{
    const struct config *c = &l->config;
    for (size_t i = 0; i < c->service_count; i++)
        l->rebalances[i] = (struct rebalancer_service){
            .name = c->services[i].id,
            .on = c->services[i].rebalance,
            .rules = {.threshold_percent = c->services[i].rebalance_threshold,
                      .pace_per_s = REBALANCE_PACE_PER_S}};
}

/* A check asks as a client of the server's first URL does, so that virtual hosts answer. */
static void init_check(struct live *l, size_t i)
{
    const struct server_section *from = &l->config.servers[i];
    const char *host = from->urls.count ? strstr(from->urls.text[0], "://") : NULL;
    host = host ? host + 3 : "localhost";
    snprintf(l->check_hosts[i], CONFIG_TEXT_MAX, "%.*s", (int)strcspn(host, "/"), host);
    int status_min = 0, status_max = 0;
    (void)health_status_parse(from->check.status, &status_min, &status_max);
    l->checks[i] =
        (struct health_check){.type = (enum check_type)from->check.type,
                              .gone = from->gone,
                              .to = from->forward,
                              .service = from->service,
                              .path = from->check.path,
                              .host = *from->check.host ? from->check.host : l->check_hosts[i],
                              .method = (enum check_method)from->check.method,
                              .status_min = status_min,
                              .status_max = status_max,
                              .text = from->check.text,
                              .verify = from->check.verify,
                              .ca_file = from->check.ca_file,
                              .interval_fast_ms = from->check.interval_fast_ms,
                              .errors_max = from->check.errors_max,
                              .interval_ms = from->check.interval_ms,
                              .timeout_ms = from->check.timeout_ms,
                              .rise = from->check.rise,
                              .fall = from->check.fall};
}

struct live *live_new(const struct config *config, const struct config *file, uint64_t serial,
                      const struct shared_keys *keys, size_t workers)
{
    struct live *l = mem_alloc(sizeof(*l));
    if (!l)
        return NULL;
    held_init(&l->held, free_live);
    l->serial = serial;
    l->config = *config;
    l->file = *file;
    decide_setup(&l->decide, &l->config, keys->token, keys->visit);
    decide_setup_older(&l->decide, keys->older, keys->older_count);
    l->decide.config.held = l->decide.secure.held = &l->held;
    names_init(&l->names, &l->config, workers, keys->dns_cookie);
    l->names.held = &l->held;
    forward_setup(l->servers, &l->config);
    for (size_t i = 0; i < l->config.server_count; i++)
        init_check(l, i);
    init_rebalances(l);
    return l;
}

void live_now_init(struct live_now *n, struct live *first)
{
    pthread_mutex_init(&n->lock, NULL);
    n->live = first;
}

void live_now_deinit(struct live_now *n)
{
    live_unref(n->live);
    n->live = NULL;
    pthread_mutex_destroy(&n->lock);
}

struct live *live_now(struct live_now *n)
{
    pthread_mutex_lock(&n->lock);
    struct live *l = live_ref(n->live);
    pthread_mutex_unlock(&n->lock);
    return l;
}

void live_now_set(struct live_now *n, struct live *fresh)
{
    pthread_mutex_lock(&n->lock);
    struct live *old = n->live;
    n->live = fresh;
    pthread_mutex_unlock(&n->lock);
    live_unref(old);
}

void live_entry(const struct config *c, struct entry *e, struct own_entry *o)
{
    memset(e->servers, 0, sizeof(e->servers));
    memset(e->groups, 0, sizeof(e->groups));
    memset(e->group_users, 0, sizeof(e->group_users));
    e->server_count = 0;
    for (size_t i = 0; i < c->server_count; i++) {
        if (c->servers[i].gone)
            continue;
        o->place[e->server_count] = (uint8_t)i;
        setup_server(&c->servers[i], &e->servers[e->server_count++]);
    }
    snprintf(e->zone, sizeof(e->zone), "%s", c->node.zone);
    e->group_count = (uint8_t)c->node.groups.count;
    for (size_t i = 0; i < c->node.groups.count; i++)
        snprintf(e->groups[i], sizeof(e->groups[i]), "%.*s", NAME_MAX_BYTES,
                 c->node.groups.text[i]);
}
