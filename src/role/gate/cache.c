/* cache.c - a cache's door: its listener, who is idle, and the way of results to connections. */
#include "role/gate/cache_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_MAX 64 /* in a turn */
#define TIMER_MS 1000

static void on_listener(uv_poll_t *poll, int status, int events);

/* -- accepting -- */

static void listen_again(struct cache *d)
{
    if (!d->accepting && !d->closing && !d->retired)
        d->accepting = uv_poll_start(&d->listener, UV_READABLE, on_listener) == 0;
}

static void admit(struct cache *d, int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* no TCP: no matter */
    cache_count(&d->config.counters->accepted);
    if (d->config.serving == NULL || d->config.serving(d->config.context))
        if (cache_conn_open(d, fd, d->config.tls != NULL) == STEAD_OK)
            return;
    cache_count(&d->config.counters->refused);
    close(fd);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct cache *d = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(d->config.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(d, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            /* Without this the loop would spin: the client stays in the queue. */
            log_warn("cache-accept", "why=\"no descriptors left\"");
            uv_poll_stop(&d->listener);
            d->accepting = false;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct cache *d = timer->data;
    uint64_t now_ms = uv_now(d->config.loop);
    while (d->config.idle_ms > 0 && !list_empty(&d->lru)) {
        struct cache_conn *c = list_entry(d->lru.next, struct cache_conn, lru);
        if (now_ms - c->active_ms < d->config.idle_ms || c->call != NULL)
            break;
        cache_conn_close(c);
    }
    cache_tls_tick(d);
    listen_again(d);
}

/* What was counted in a turn of the loop. */
static void tell(atomic_uint_fast64_t *counter, uint32_t *counted)
{
    if (*counted > 0)
        atomic_fetch_add_explicit(counter, *counted, memory_order_relaxed);
    *counted = 0;
}

static void on_events_end(uv_check_t *check)
{
    cache_ready_go(check->data);
}

static void on_turn(uv_prepare_t *turn)
{
    struct cache *d = turn->data;
    struct cache_counters *to = d->config.counters;
    d->clock_left = 0;
    store_go(d->config.store);
    if (d->tally.requests == 0)
        return;
    tell(&to->requests, &d->tally.requests);
    tell(&to->hits, &d->tally.hits);
    tell(&to->misses, &d->tally.misses);
    tell(&to->stores, &d->tally.stores);
    tell(&to->removals, &d->tally.removals);
}

/* -- results -- */

static void on_wake(void *context)
{
    struct cache *d = context;
    struct session_result *r;
    while ((r = store_collect(d->config.store, d->config.mailbox)) != NULL) {
        uint32_t slot = (uint32_t)r->request, generation = (uint32_t)(r->request >> 32);
        if (slot < d->config.connections_max && d->slots[slot].conn != NULL &&
            d->slots[slot].generation == generation)
            cache_conn_result(d->slots[slot].conn, r);
        session_result_free(r);
    }
}

static void wake_from_store(void *context)
{
    struct cache *d = context;
    wake_send(&d->wake);
}

/* -- life -- */

static void cache_free(struct cache *d)
{
    struct list *link;
    while ((link = list_pop(&d->calls)) != NULL)
        mem_free(list_entry(link, struct cache_call, pooled));
    while (d->spare_count > 0)
        mem_free(d->spare[--d->spare_count]);
    mem_free(d->value);
    mem_free(d->plain);
    cache_ahead_deinit(d);
    mem_free(d->slots);
    mem_free(d);
}

int cache_open(const struct cache_config *c, struct cache **out)
{
    struct cache *d = mem_alloc(sizeof *d);
    if (d == NULL)
        return STEAD_E_NOMEM;
    d->config = *c;
    list_init(&d->conns);
    list_init(&d->lru);
    list_init(&d->calls);
    d->slots = mem_alloc(c->connections_max * sizeof *d->slots);
    if (d->slots == NULL) {
        cache_free(d);
        return STEAD_E_NOMEM;
    }
    for (uint32_t i = 0; i < c->connections_max; i++)
        d->slots[i].next_free = i + 1;
    if (wake_open(&d->wake) != STEAD_OK) {
        cache_free(d);
        return STEAD_E_IO;
    }
    if (uv_poll_init_socket(c->loop, &d->listener, c->fd) != 0) {
        wake_abandon(&d->wake);
        cache_free(d);
        return STEAD_E_IO;
    }
    wake_start(&d->wake, c->loop, on_wake, d);
    uv_timer_init(c->loop, &d->timer);
    uv_prepare_init(c->loop, &d->turn);
    uv_check_init(c->loop, &d->events_end);
    d->listener.data = d->timer.data = d->turn.data = d->events_end.data = d;
    d->open_handles = 5;
    uv_check_start(&d->events_end, on_events_end);
    uv_prepare_start(&d->turn, on_turn);
    uv_timer_start(&d->timer, on_timer, TIMER_MS, TIMER_MS);
    listen_again(d);
    store_set_wake(c->store, c->mailbox, (struct store_wake){wake_from_store, d});
    *out = d;
    return STEAD_OK;
}

void cache_stop_accepting(struct cache *d)
{
    if (d->accepting)
        uv_poll_stop(&d->listener);
    d->accepting = false;
    uv_timer_stop(&d->timer);
}

void cache_retire(struct cache *d, bool retired)
{
    d->retired = retired;
    if (!retired) {
        listen_again(d);
    } else if (d->accepting) {
        uv_poll_stop(&d->listener);
        d->accepting = false;
    }
}

void cache_give_idle(struct cache *d, cache_give *give, void *context)
{
    struct list *next;
    for (struct list *at = d->conns.next; d->retired && at != &d->conns; at = next) {
        struct cache_conn *c = list_entry(at, struct cache_conn, link);
        next = at->next;
        bool idle = c->stream.tls == NULL && c->call == NULL && c->multi == NULL &&
                    c->in_from == c->in_len && c->out_from == c->out_len && c->skip == 0 &&
                    !c->closing && !c->broken && !c->eof;
        if (!idle)
            continue;
        if (!give(context, c->stream.fd, c->admitted, c->version3))
            return;
        uv_poll_stop(&c->poll); /* closing alone would not, while the other process has it */
        cache_conn_close(c);
    }
}

void cache_adopt(struct cache *d, int fd, bool admitted, bool version3)
{
    struct list *last = d->conns.prev;
    if (d->closing || cache_conn_open(d, fd, false) != STEAD_OK) {
        cache_count(&d->config.counters->refused);
        close(fd);
        return;
    }
    struct list *made = d->conns.prev != last ? d->conns.prev : d->conns.next;
    struct cache_conn *c = list_entry(made, struct cache_conn, link);
    c->admitted |= admitted;
    c->version3 = version3;
}

void cache_handle_closed(struct cache *d)
{
    if (d->open_handles > 0)
        return;
    if (d->closed != NULL)
        d->closed(d->closed_context);
    cache_free(d);
}

static void part_closed(uv_handle_t *handle)
{
    struct cache *d = handle->data;
    if (handle == (uv_handle_t *)&d->listener)
        close(d->config.fd);
    d->open_handles--;
    cache_handle_closed(d);
}

void cache_close(struct cache *d, void (*closed)(void *context), void *context)
{
    d->closing = true;
    d->closed = closed;
    d->closed_context = context;
    /* From here on no thread wakes it. */
    store_set_wake(d->config.store, d->config.mailbox, (struct store_wake){0});
    while (!list_empty(&d->conns))
        cache_conn_close(list_entry(d->conns.next, struct cache_conn, link));
    uv_close((uv_handle_t *)&d->listener, part_closed);
    wake_close(&d->wake, part_closed);
    uv_close((uv_handle_t *)&d->timer, part_closed);
    on_turn(&d->turn);
    uv_close((uv_handle_t *)&d->turn, part_closed);
    uv_close((uv_handle_t *)&d->events_end, part_closed);
}
