/* rebalancer.c - once a second, for each service: the plan, and this worker's part of it. */
#include "role/director/rebalancer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

struct rebalancer {
    struct rebalancer_config config;
    uv_timer_t timer;
    struct rebalance states[REBALANCER_SERVICES_MAX];
    void (*closed)(void *context);
    void *closed_context;
};

uint32_t rebalancer_part(const struct rebalancer_shared *s, size_t service, unsigned worker,
                         uint32_t count)
{
    uint64_t before = 0, here = 0, all = 0;
    for (unsigned w = 0; w < REBALANCER_WORKERS_MAX; w++) {
        uint64_t n = atomic_load_explicit(&s->clients[service][w], memory_order_relaxed);
        before += w < worker ? n : 0;
        here = w == worker ? n : here;
        all += n;
    }
    if (all == 0)
        return 0;
    return (uint32_t)(count * (before + here) / all - count * before / all);
}

static void ask(struct rebalancer *r, size_t service, const struct rebalance_plan *plan)
{
    const struct rebalancer_config *c = &r->config;
    for (size_t i = 0; i < plan->count; i++) {
        const struct rebalance_target *t = &plan->targets[i];
        struct watch_wish wish = {.service = c->services[service].name,
                                  .server = c->self_name,
                                  .count = rebalancer_part(c->shared, service, c->worker, t->count),
                                  .targets = &t->name,
                                  .target_count = 1,
                                  .within_ms = t->within_ms};
        uint32_t asked = wish.count ? watch_move(c->watch, &wish) : 0;
        if (asked)
            log_info("rebalance", "service=%s to=%s asked=%u surplus=%u within_ms=%u", wish.service,
                     t->name, asked, plan->surplus, t->within_ms);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct rebalancer *r = timer->data;
    const struct rebalancer_config *c = &r->config;
    struct roster *roster = store_roster(c->store);
    uint64_t now_ms = uv_now(c->loop);
    for (size_t i = 0; roster && i < c->service_count; i++) {
        struct rebalance_plan plan;
        if (!c->services[i].on)
            continue;
        atomic_store_explicit(&c->shared->clients[i][c->worker],
                              watch_clients(c->watch, c->services[i].name, c->self_name),
                              memory_order_relaxed);
        rebalance_step(&r->states[i], roster, c->services[i].name, &c->services[i].rules, now_ms,
                       &plan);
        if (plan.why == REBALANCE_MOVES)
            ask(r, i, &plan);
    }
    roster_unref(roster);
}

int rebalancer_open(const struct rebalancer_config *c, struct rebalancer **out)
{
    assert(c->service_count <= REBALANCER_SERVICES_MAX && c->worker < REBALANCER_WORKERS_MAX);
    struct rebalancer *r = mem_alloc(sizeof *r);
    if (!r)
        return STEAD_E_NOMEM;
    r->config = *c;
    r->timer.data = r;
    uv_timer_init(c->loop, &r->timer);
    uv_timer_start(&r->timer, on_timer, REBALANCER_STEP_MS, REBALANCER_STEP_MS);
    *out = r;
    return STEAD_OK;
}

void rebalancer_set(struct rebalancer *r, const struct rebalancer_service *services, size_t count)
{
    assert(count <= REBALANCER_SERVICES_MAX);
    for (size_t i = 0; i < REBALANCER_SERVICES_MAX; i++) {
        const char *was = i < r->config.service_count ? r->config.services[i].name : "";
        if (i >= count || strcmp(was, services[i].name) != 0)
            r->states[i] = (struct rebalance){0};
    }
    r->config.services = services;
    r->config.service_count = count;
}

static void on_closed(uv_handle_t *handle)
{
    struct rebalancer *r = handle->data;
    if (r->closed)
        r->closed(r->closed_context);
    mem_free(r);
}

void rebalancer_close(struct rebalancer *r, void (*closed)(void *context), void *context)
{
    r->closed = closed;
    r->closed_context = context;
    uv_close((uv_handle_t *)&r->timer, on_closed);
}
