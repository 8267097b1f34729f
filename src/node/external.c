/* external.c - servers of the configuration: their entries, their checks, and the snapshot with
 * them in it. */
#include "node/external.h"

#include "base/log.h"
#include "base/mem.h"
#include "core/roster/roster_join.h"
#include "role/director/health.h"
#include "role/director/probe.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define NODE_ID_BASIS 0xcbf29ce484222325ull /* FNV-1a */
#define NODE_ID_PRIME 0x100000001b3ull

struct external {
    struct externals *all;
    struct external_section section;
    char host[CONFIG_TEXT_MAX]; /* for its check */
    bool gone;
    struct health_state state;
    struct entry *entry;
    uv_timer_t timer;
    struct probe *probe;
    bool outdated; /* the probe under way is of a check that is no more */
};

struct externals {
    struct externals_config config;
    struct roster *farm;
    uint64_t changes; /* raise the revision of what is shown */
    size_t handles;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
    struct external items[EXTERNALS_MAX];
};

/* -- entries -- */

/* No node has it: the same on all nodes, and never that of a process. */
static uint64_t id_of(const char *name)
{
    uint64_t id = NODE_ID_BASIS;
    for (; *name; name++)
        id = (id ^ (unsigned char)*name) * NODE_ID_PRIME;
    return id | 1;
}

bool external_entry(const struct external_section *s, bool healthy, struct entry *out)
{
    *out = (struct entry){.node = id_of(s->name),
                          .inc = id_of(s->name),
                          .boot = 1,
                          .revision = 1,
                          .shape = 1,
                          .status = STATUS_UP,
                          .public = s->address,
                          .address = s->address,
                          .server_count = 1};
    snprintf(out->name, sizeof(out->name), "%s", s->name);
    snprintf(out->zone, sizeof(out->zone), "%s", s->zone);
    snprintf(out->version, sizeof(out->version), "-");
    out->group_count = (uint8_t)s->groups.count;
    for (size_t i = 0; i < s->groups.count; i++)
        snprintf(out->groups[i], sizeof(out->groups[i]), "%.*s", NAME_MAX_BYTES, s->groups.text[i]);
    struct server *server = &out->servers[0];
    snprintf(server->service, sizeof(server->service), "%s", s->service);
    server->url_count = (uint8_t)s->urls.count;
    for (size_t i = 0; i < s->urls.count; i++)
        snprintf(server->urls[i], sizeof(server->urls[i]), "%.*s", URL_MAX_BYTES, s->urls.text[i]);
    snprintf(server->backup, sizeof(server->backup), "primary");
    server->weight = s->weight;
    server->capacity = s->capacity;
    server->load = LOAD_UNKNOWN;
    server->healthy = healthy;
    return entry_valid(out);
}

/* -- what is shown -- */

/* Nobody counts their users: each is taken to have what its weight's share of the others' is, so
 * that no policy runs to them or from them. */
static uint32_t usual_users(const struct roster *farm, const struct external_section *s)
{
    uint64_t users = 0, weight = 0;
    for (size_t i = 0; i < farm->count; i++) {
        const struct server *other = roster_server(&farm->nodes[i], s->service);
        if (!other || roster_server_status(&farm->nodes[i], other) != STATUS_UP)
            continue;
        users += other->users;
        weight += other->weight;
    }
    return weight ? (uint32_t)(users * s->weight / weight) : 0;
}

static struct entry *fresh_entry(const struct externals *x, const struct external *e)
{
    struct entry entry;
    if (!external_entry(&e->section, e->state.healthy, &entry))
        return NULL;
    entry.servers[0].users = usual_users(x->farm, &e->section);
    return entry_new(&entry);
}

static void show(struct externals *x)
{
    struct roster_node nodes[EXTERNALS_MAX];
    size_t count = 0;
    if (!x->farm || x->closing)
        return;
    for (size_t i = 0; i < EXTERNALS_MAX; i++) {
        struct entry *entry = x->items[i].gone ? NULL : fresh_entry(x, &x->items[i]);
        if (entry)
            nodes[count++] =
                (struct roster_node){.entry = entry, .status = STATUS_UP, .external = true};
    }
    struct roster *r = roster_join(roster_ref(x->farm), nodes, count, x->changes);
    for (size_t i = 0; i < count; i++)
        entry_unref(nodes[i].entry);
    x->config.show(x->config.context, r);
}

void externals_roster(struct externals *x, struct roster *r)
{
    roster_unref(x->farm);
    x->farm = r;
    show(x);
}

/* -- checks -- */

static void maybe_free(struct externals *x)
{
    if (!x->closing || x->handles > 0)
        return;
    void (*closed)(void *) = x->closed;
    void *context = x->closed_context;
    roster_unref(x->farm);
    mem_free(x);
    if (closed)
        closed(context);
}

static void on_probed(void *context, bool good, const char *why)
{
    struct external *e = context;
    struct externals *x = e->all;
    bool outdated = e->outdated || e->gone;
    e->probe = NULL;
    e->outdated = false;
    x->handles--;
    if (x->closing) {
        maybe_free(x);
        return;
    }
    if (outdated || !health_state_result(&e->state, good))
        return;
    if (e->state.healthy)
        log_info("external-healthy", "server=%s service=%s", e->section.name, e->section.service);
    else
        log_warn("external-unhealthy", "server=%s service=%s why=%s", e->section.name,
                 e->section.service, why);
    x->changes++;
    show(x);
}

static void on_due(uv_timer_t *t)
{
    struct external *e = t->data;
    const struct check_section *check = &e->section.check;
    if (e->gone || e->probe || check->type == CHECK_NONE)
        return;
    struct probe_config c = {.loop = t->loop,
                             .to = e->section.address,
                             .path = check->type == CHECK_HTTP ? check->path : NULL,
                             .host = e->host,
                             .timeout_ms = check->timeout_ms,
                             .done = on_probed,
                             .context = e};
    e->probe = probe_start(&c); /* without memory: the next time */
    e->all->handles += e->probe != NULL;
}

static void stop(struct external *e)
{
    e->gone = true;
    uv_timer_stop(&e->timer);
    e->outdated = e->probe != NULL;
    if (e->probe)
        probe_cancel(e->probe);
}

static void begin(struct external *e, const struct external_section *s)
{
    const struct check_section *c = &s->check;
    const struct health_check check = {
        .type = (enum check_type)c->type, .rise = c->rise, .fall = c->fall};
    stop(e);
    e->section = *s;
    e->gone = false;
    const char *host = strstr(s->urls.text[0], "://");
    host = host ? host + 3 : s->name;
    snprintf(e->host, sizeof(e->host), "%.*s", (int)strcspn(host, "/"), host);
    health_state_init(&e->state, &check);
    if (c->type != CHECK_NONE)
        uv_timer_start(&e->timer, on_due, 0, c->interval_ms);
}

void externals_set(struct externals *x, const struct config *c)
{
    for (size_t i = 0; i < EXTERNALS_MAX; i++) {
        struct external *e = &x->items[i];
        if (i >= c->external_count)
            stop(e);
        else if (e->gone || memcmp(&e->section, &c->externals[i], sizeof(e->section)) != 0)
            begin(e, &c->externals[i]);
    }
    x->changes++;
    show(x);
}

/* -- lifetime -- */

int externals_open(const struct externals_config *c, struct externals **out)
{
    struct externals *x = mem_alloc(sizeof(*x));
    if (!x)
        return STEAD_E_NOMEM;
    x->config = *c;
    for (size_t i = 0; i < EXTERNALS_MAX; i++) {
        x->items[i].all = x;
        x->items[i].gone = true;
        uv_timer_init(c->loop, &x->items[i].timer);
        x->items[i].timer.data = &x->items[i];
        x->handles++;
    }
    *out = x;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct external *e = handle->data;
    e->all->handles--;
    maybe_free(e->all);
}

void externals_close(struct externals *x, void (*closed)(void *context), void *context)
{
    if (!x) {
        if (closed)
            closed(context);
        return;
    }
    x->closing = true;
    x->closed = closed;
    x->closed_context = context;
    for (size_t i = 0; i < EXTERNALS_MAX; i++) {
        stop(&x->items[i]);
        uv_close((uv_handle_t *)&x->items[i].timer, on_timer_closed);
    }
}
