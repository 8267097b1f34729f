/* health.c - the state of a server by the results of its checks, and the loop that runs them. How
 * one check is made is probe.c's. */
#include "role/director/health.h"

#include "base/log.h"
#include "base/mem.h"
#include "role/director/probe.h"
#include "stead/error.h"
#include "store/store_own.h"

#include <assert.h>

#define INTERVAL_MS 1000
#define TIMEOUT_MS 2000
#define FALL 2

struct watched {
    struct health *health;
    struct health_check check;
    struct health_state state;
    unsigned server;
    uv_timer_t timer;
    struct probe *probe; /* under way */
    bool outdated;       /* the probe under way is of a check that is no more */
};

struct health {
    struct store *store;
    size_t count, handles;
    void (*closed)(void *context);
    void *closed_context;
    bool closing;
    struct watched watched[ENTRY_SERVERS_MAX]; /* places without a server are gone ones */
};

/* -- the state -- */

void health_state_init(struct health_state *s, const struct health_check *c)
{
    *s = (struct health_state){.healthy = c->type == CHECK_NONE,
                               .rise = c->rise ? c->rise : 1,
                               .fall = c->fall ? c->fall : FALL};
    if (!s->healthy)
        s->good = s->rise - 1; /* the first good check at the start is enough */
}

void health_state_doubt(struct health_state *s)
{
    s->healthy = false;
    s->failed = 0;
    s->good = s->rise - 1;
}

bool health_state_result(struct health_state *s, bool good)
{
    bool before = s->healthy;
    s->good = good ? s->good + (s->good < s->rise) : 0;
    s->failed = good ? 0 : s->failed + (s->failed < s->fall);
    if (s->healthy && s->failed >= s->fall)
        s->healthy = false;
    else if (!s->healthy && s->good >= s->rise)
        s->healthy = true;
    return s->healthy != before;
}

bool health_checking(const struct health *h, unsigned server)
{
    return server < h->count && h->watched[server].probe != NULL;
}

/* -- running checks -- */

static void maybe_free(struct health *h)
{
    if (!h->closing || h->handles > 0)
        return;
    void (*closed)(void *) = h->closed;
    void *context = h->closed_context;
    mem_free(h);
    if (closed)
        closed(context);
}

/* Takes over what a failed forward said meanwhile. */
static void heed_forwards(struct watched *w)
{
    if (w->state.healthy && !store_own_checked(w->health->store, w->server))
        health_state_doubt(&w->state);
}

static void on_probed(void *context, bool good, const char *why)
{
    struct watched *w = context;
    struct health *h = w->health;
    w->probe = NULL;
    h->handles--;
    if (h->closing) {
        maybe_free(h);
        return;
    }
    if (w->check.gone || w->outdated) {
        w->outdated = false;
        return;
    }
    heed_forwards(w);
    if (!health_state_result(&w->state, good))
        return;
    store_set_healthy(h->store, w->server, w->state.healthy);
    if (w->state.healthy)
        log_info("server-healthy", "service=%s", w->check.service);
    else
        log_warn("server-unhealthy", "service=%s why=%s", w->check.service, why);
}

static void on_due(uv_timer_t *t)
{
    struct watched *w = t->data;
    if (w->check.gone)
        return;
    heed_forwards(w);
    if (w->probe || (w->check.type == CHECK_NONE && w->state.healthy))
        return;
    struct probe_config c = {.loop = t->loop,
                             .to = w->check.to,
                             .path = w->check.type == CHECK_HTTP ? w->check.path : NULL,
                             .host = w->check.host,
                             .timeout_ms = w->check.timeout_ms ? w->check.timeout_ms : TIMEOUT_MS,
                             .done = on_probed,
                             .context = w};
    w->probe = probe_start(&c); /* without memory: the next time */
    w->health->handles += w->probe != NULL;
}

/* A server begins with this check: unhealthy until one is good, unless there is none to make. */
static void begin(struct watched *w, const struct health_check *c)
{
    uint32_t interval = c->type == CHECK_NONE || !c->interval_ms ? INTERVAL_MS : c->interval_ms;
    w->check = *c;
    w->outdated = w->probe != NULL;
    if (w->probe)
        probe_cancel(w->probe);
    health_state_init(&w->state, c);
    if (c->gone)
        w->state.healthy = false;
    store_set_healthy(w->health->store, w->server, w->state.healthy);
    uv_timer_stop(&w->timer);
    if (!c->gone)
        uv_timer_start(&w->timer, on_due, 0, interval);
}

/* Other limits, the same server: it stays as it was found. */
static void go_on(struct watched *w, const struct health_check *c)
{
    struct health_state fresh;
    uint32_t interval = c->type == CHECK_NONE || !c->interval_ms ? INTERVAL_MS : c->interval_ms;
    health_state_init(&fresh, c);
    w->state.rise = fresh.rise;
    w->state.fall = fresh.fall;
    if (interval != uv_timer_get_repeat(&w->timer))
        uv_timer_start(&w->timer, on_due, interval, interval);
    w->check = *c;
}

void health_set(struct health *h, const struct health_check *checks, size_t count)
{
    static const struct health_check nobody = {.gone = true, .service = "-"};
    assert(count <= ENTRY_SERVERS_MAX);
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        const struct health_check *c = i < count ? &checks[i] : &nobody;
        if (!w->check.gone && !c->gone && w->check.type == c->type &&
            addr_equal(&w->check.to, &c->to))
            go_on(w, c);
        else if (!(w->check.gone && c->gone))
            begin(w, c);
        else
            w->check = *c;
    }
    h->count = count;
}

int health_open(const struct health_config *c, struct health **out)
{
    struct health *h = mem_alloc(sizeof(*h));
    if (!h)
        return STEAD_E_NOMEM;
    h->store = c->store;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        w->health = h;
        w->server = (unsigned)i;
        w->check.gone = true;
        uv_timer_init(c->loop, &w->timer);
        w->timer.data = w;
        h->handles++;
    }
    health_set(h, c->checks, c->count);
    *out = h;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watched *w = handle->data;
    w->health->handles--;
    maybe_free(w->health);
}

void health_close(struct health *h, void (*closed)(void *context), void *context)
{
    h->closing = true;
    h->closed = closed;
    h->closed_context = context;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        uv_close((uv_handle_t *)&w->timer, on_timer_closed);
        if (w->probe)
            probe_cancel(w->probe);
    }
    maybe_free(h); /* a node may have no server */
}
