/* gate.c - a gate's life, its slots, and the way of results from the mailbox to their calls. */
#include "role/gate/gate_internal.h"

#include "base/mem.h"

#include <assert.h>

#define NO_SLOT UINT32_MAX

void gate_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- slots -- */

struct gate_call *gate_call_new(struct gate *g, struct http_request *r)
{
    struct gate_call *call = g->free_slot != NO_SLOT ? mem_alloc(sizeof *call) : NULL;
    gate_count(&g->config.counters->calls);
    if (!call) {
        gate_count(&g->config.counters->busy);
        gate_count(&g->config.counters->failed);
        gate_refuse(g, r, 503, STEAD_E_BUSY, stead_error_text(STEAD_E_BUSY));
        return NULL;
    }
    call->gate = g;
    call->request = r;
    call->slot = g->free_slot;
    struct gate_slot *slot = &g->slots[call->slot];
    g->free_slot = slot->next_free;
    slot->call = call;
    gate_count(&g->config.counters->waiting);
    return call;
}

void gate_call_free(struct gate_call *call)
{
    struct gate *g = call->gate;
    struct gate_slot *slot = &g->slots[call->slot];
    assert(slot->call == call);
    slot->call = NULL;
    slot->generation++;
    slot->next_free = g->free_slot;
    g->free_slot = call->slot;
    record_free(call->record);
    mem_free(call);
    atomic_fetch_sub_explicit(&g->config.counters->waiting, 1, memory_order_relaxed);
}

void gate_collect(struct gate *g)
{
    struct session_result *r;
    while ((r = store_collect(g->config.store, g->config.mailbox))) {
        uint32_t slot = (uint32_t)r->request, generation = (uint32_t)(r->request >> 32);
        if (slot < GATE_CALLS_MAX && g->slots[slot].call && g->slots[slot].generation == generation)
            gate_call_result(g->slots[slot].call, r);
        session_result_free(r);
    }
}

/* -- waking -- */

void gate_wake(struct gate *g)
{
    wake_send(&g->wake);
}

static void wake_from_store(void *context)
{
    gate_wake(context);
}

static void woken(void *context)
{
    struct gate *g = context;
    gate_collect(g);
    if (private_any(g->config.private))
        mem_wipe_stack();
}

/* -- life -- */

static void gate_free(struct gate *g)
{
    mem_free(g->token);
    mem_free(g->node);
    mem_free(g->farm);
    mem_free(g);
}

int gate_open(const struct gate_config *c, struct gate **out)
{
    struct gate *g = mem_alloc(sizeof *g);
    if (!g)
        return STEAD_E_NOMEM;
    g->config = *c;
    for (uint32_t i = 0; i < GATE_CALLS_MAX; i++)
        g->slots[i].next_free = i + 1 < GATE_CALLS_MAX ? i + 1 : NO_SLOT;
    g->token = c->token ? mem_strdup(c->token) : NULL;
    g->node = mem_strdup(c->node);
    g->farm = mem_strdup(c->farm);
    int err = (c->token && !g->token) || !g->node || !g->farm ? STEAD_E_NOMEM : STEAD_OK;
    struct http_server_config http = {.loop = c->loop,
                                      .fd = c->fd,
                                      .tls = c->tls,
                                      .limits = c->http,
                                      .counters = c->http_counters,
                                      .door = "gate",
                                      .wipes = private_any(c->private),
                                      .handle = gate_request,
                                      .context = g};
    http.limits.body_max = GATE_BODY_MAX;
    if (!err)
        err = wake_open(&g->wake);
    if (err) {
        gate_free(g);
        return err;
    }
    err = http_server_open(&http, &g->server);
    if (err) {
        wake_abandon(&g->wake);
        gate_free(g);
        return err;
    }
    wake_start(&g->wake, c->loop, woken, g);
    list_init(&g->watches);
    uv_timer_init(c->loop, &g->timer);
    g->timer.data = g;
    g->open_handles = 3;
    store_set_wake(c->store, c->mailbox, (struct store_wake){wake_from_store, g});
    *out = g;
    return STEAD_OK;
}

struct http_server *gate_server(struct gate *g)
{
    return g->server;
}

void gate_retire(struct gate *g, bool retired)
{
    g->retired = retired;
    http_server_retire(g->server, retired);
}

void gate_part_closed(struct gate *g)
{
    if (--g->open_handles)
        return;
    if (g->closed)
        g->closed(g->closed_context);
    gate_free(g);
}

static void server_closed(void *context)
{
    gate_part_closed(context);
}

static void handle_closed(uv_handle_t *handle)
{
    gate_part_closed(handle->data);
}

/* A request is answered to nobody, which frees it. */
static void give_up(struct gate_call *call)
{
    if (call->watch)
        gate_watch_stop(call);
    else
        gate_reply_status(call, STEAD_E_UNKNOWN);
}

void gate_close(struct gate *g, void (*closed)(void *context), void *context)
{
    g->closed = closed;
    g->closed_context = context;
    /* From here on no thread wakes it. */
    store_set_wake(g->config.store, g->config.mailbox, (struct store_wake){0});
    http_server_close(g->server, server_closed, g);
    for (uint32_t i = 0; i < GATE_CALLS_MAX; i++)
        if (g->slots[i].call)
            give_up(g->slots[i].call);
    uv_close((uv_handle_t *)&g->timer, handle_closed);
    wake_close(&g->wake, handle_closed);
}
