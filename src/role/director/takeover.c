/* takeover.c - the steps, and doing what they say. */
#include "role/director/takeover.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/neighbour.h"
#include "stead/error.h"

struct guard {
    struct takeover_server config;
    struct takeover_state state;
    struct neighbour link;
};

struct takeover {
    struct takeover_config config;
    struct guard guards[ENTRY_SERVERS_MAX];
    uv_timer_t timer;
    void (*closed)(void *context);
    void *closed_context;
};

/* -- the steps -- */

static unsigned step_free(struct takeover_state *s, const struct takeover_seen *v)
{
    s->asked = v->healthy || v->heard ? 0 : s->asked + 1;
    if (v->healthy)
        return 0;
    if (s->asked <= TAKEOVER_ASKS)
        return TAKEOVER_ASK;
    *s = (struct takeover_state){.held = true};
    return TAKEOVER_TAKE | TAKEOVER_TELL;
}

static unsigned step_held(struct takeover_state *s, const struct takeover_seen *v)
{
    s->ticks++;
    s->back |= v->heard;
    bool ended =
        v->failback == FAILBACK_AT_ONCE || (v->failback == FAILBACK_SESSION_END && !v->guests);
    if (s->back && ended) {
        *s = (struct takeover_state){0};
        return TAKEOVER_RELEASE;
    }
    unsigned todo = s->ticks % TAKEOVER_PACE == 0 ? TAKEOVER_ASK : 0;
    if (s->ticks < TAKEOVER_TELLS || (s->back && todo))
        todo |= TAKEOVER_TELL;
    return todo;
}

unsigned takeover_step(struct takeover_state *s, const struct takeover_seen *v)
{
    return s->held ? step_held(s, v) : step_free(s, v);
}

/* -- doing it -- */

static void release(struct takeover *t, struct guard *g)
{
    char ip[ADDR_TEXT_MAX];
    neighbour_release(&g->link);
    neighbour_tell_other(&g->link);
    atomic_store(&g->config.mark->held, false);
    t->config.counters->held--;
    log_info("address-released", "service=%s address=%s interface=%s", g->config.service,
             addr_format_ip(&g->config.address, ip), g->config.interface);
}

static void take(struct takeover *t, struct guard *g)
{
    char ip[ADDR_TEXT_MAX];
    int err = neighbour_take(&g->link);
    addr_format_ip(&g->config.address, ip);
    if (err != STEAD_OK) {
        g->state = (struct takeover_state){0}; /* it is tried again */
        t->config.counters->failed++;
        log_error("address-not-taken", "service=%s address=%s interface=%s why=\"%s\"",
                  g->config.service, ip, g->config.interface, stead_error_text(err));
        return;
    }
    atomic_store(&g->config.mark->held, true);
    store_set_healthy(t->config.store, g->config.server, false);
    t->config.counters->taken++;
    t->config.counters->held++;
    log_warn("address-taken", "service=%s address=%s interface=%s", g->config.service, ip,
             g->config.interface);
}

static void on_tick(uv_timer_t *timer)
{
    struct takeover *t = timer->data;
    for (size_t i = 0; i < t->config.count; i++) {
        struct guard *g = &t->guards[i];
        const struct takeover_seen v = {
            .healthy = store_healthy(t->config.store, g->config.server),
            .heard = neighbour_heard(&g->link),
            .guests = atomic_load(&g->config.mark->guests) > 0,
            .failback = g->config.failback,
        };
        unsigned todo = takeover_step(&g->state, &v);
        if (todo & TAKEOVER_TAKE)
            take(t, g);
        if (todo & TAKEOVER_RELEASE)
            release(t, g);
        if (todo & TAKEOVER_ASK)
            neighbour_ask(&g->link);
        if (todo & TAKEOVER_TELL && g->state.held)
            neighbour_tell(&g->link);
    }
}

/* -- from one process of the node to another -- */

static void see_held(struct takeover *t, struct guard *g)
{
    bool was = g->state.held, held = neighbour_held(&g->link);
    if (was == held)
        return;
    g->state = (struct takeover_state){.held = held};
    atomic_store(&g->config.mark->held, held);
    t->config.counters->held += held ? 1 : (uint_fast64_t)-1;
}

void takeover_rest(struct takeover *t, bool rests)
{
    if (rests) {
        uv_timer_stop(&t->timer);
        return;
    }
    for (size_t i = 0; i < t->config.count; i++)
        see_held(t, &t->guards[i]);
    uv_timer_start(&t->timer, on_tick, TAKEOVER_TICK_MS, TAKEOVER_TICK_MS);
}

/* -- lifetime -- */

static void on_closed(uv_handle_t *h)
{
    struct takeover *t = h->data;
    void (*closed)(void *) = t->closed;
    void *context = t->closed_context;
    mem_free(t);
    if (closed)
        closed(context);
}

int takeover_open(const struct takeover_config *c, struct takeover **out)
{
    struct takeover *t = mem_alloc(sizeof(*t));
    if (!t)
        return STEAD_E_NOMEM;
    t->config = *c;
    for (size_t i = 0; i < c->count; i++) {
        struct guard *g = &t->guards[i];
        g->config = c->servers[i];
        int err = neighbour_open(g->config.interface, &g->config.address, &g->link);
        if (err != STEAD_OK) {
            while (i > 0)
                neighbour_close(&t->guards[--i].link);
            mem_free(t);
            return err;
        }
        if (c->succeeds)
            see_held(t, g);
        else
            (void)neighbour_release(&g->link);
    }
    uv_timer_init(c->loop, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, on_tick, TAKEOVER_TICK_MS, TAKEOVER_TICK_MS);
    *out = t;
    return STEAD_OK;
}

void takeover_close(struct takeover *t, bool left, void (*closed)(void *context), void *context)
{
    t->closed = closed;
    t->closed_context = context;
    for (size_t i = 0; i < t->config.count; i++) {
        if (t->guards[i].state.held && !left)
            release(t, &t->guards[i]);
        neighbour_close(&t->guards[i].link);
    }
    uv_close((uv_handle_t *)&t->timer, on_closed);
}
