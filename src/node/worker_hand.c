/* worker_hand.c - see worker_hand.h. */
#include "node/worker_hand.h"

#include "base/mem.h"
#include "node/worker.h"
#include "node/worker_pass.h"
#include "stead/error.h"

#include <unistd.h>

struct waiting {
    struct list link;
    struct hand hand;
    struct upgrade_fds fds;
};

enum { HAND_ADMITTED = 1, HAND_VERSION3 = 2, HAND_FLAGS = 3 };

_Static_assert(HAND_CACHE + CACHE_DOORS <= HAND_TUNNEL, "each door has a number");
_Static_assert(HAND_TCP + TCP_LISTENERS_MAX <= UINT8_MAX, "which is a byte");

void hand_encode(const struct hand *h, struct wire_writer *w)
{
    wire_put_u8(w, h->door);
    wire_put_u8(w,
                (uint8_t)((h->admitted ? HAND_ADMITTED : 0) | (h->version3 ? HAND_VERSION3 : 0)));
    if (h->door >= HAND_TUNNEL)
        passage_encode(&h->passage, w);
    else
        entry_encode_addr(&h->peer, w);
}

bool hand_decode(struct wire_reader *r, struct hand *h)
{
    h->door = wire_u8(r);
    uint8_t flags = wire_u8(r);
    h->admitted = flags & HAND_ADMITTED;
    h->version3 = flags & HAND_VERSION3;
    if (h->door >= HAND_TUNNEL)
        return flags == 0 && h->door < HAND_TCP + TCP_LISTENERS_MAX &&
               passage_decode(r, &h->passage);
    entry_decode_addr(r, &h->peer);
    return wire_done(r) && flags <= HAND_FLAGS && h->door < HAND_CACHE + CACHE_DOORS;
}

bool hand_fits(const struct hand *h, unsigned descriptors)
{
    if (h->door < HAND_TUNNEL)
        return descriptors == 1;
    return descriptors == PASSAGE_PENDING + (passage_waits(&h->passage) ? 1u : 0u);
}

/* -- giving -- */

struct giving {
    struct worker_hand *from;
    uint8_t door;
};

bool worker_hand_send(struct worker_hand *from, const struct hand *h, const struct upgrade_fds *fds)
{
    uint8_t bytes[HAND_BYTES_MAX];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u8(&w, UPGRADE_CONNECTION);
    hand_encode(h, &w);
    return wire_put_ok(&w) && upgrade_send(atomic_load(&from->to), bytes, wire_written(&w), fds);
}

static bool send_on(const struct giving *g, int fd, const struct hand *h)
{
    const struct upgrade_fds one = {1, {fd}};
    return worker_hand_send(g->from, h, &one);
}

static bool give_http(void *context, int fd, const struct addr *peer)
{
    const struct giving *g = context;
    struct hand h = {.door = g->door, .peer = *peer};
    return send_on(g, fd, &h);
}

static bool give_cache(void *context, int fd, bool admitted, bool version3)
{
    const struct giving *g = context;
    struct hand h = {.door = g->door, .admitted = admitted, .version3 = version3};
    return send_on(g, fd, &h);
}

static void give(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    struct giving g = {.from = &w->hand, .door = HAND_PUBLIC};
    if (w->director) {
        director_return(w->director);
        http_server_give(director_server(w->director), give_http, &g);
    }
    g.door = HAND_GATE;
    if (w->gate)
        http_server_give(gate_server(w->gate), give_http, &g);
    for (unsigned p = 0; p < CACHE_DOORS; p++) {
        g.door = (uint8_t)(HAND_CACHE + p);
        if (w->caches[p])
            cache_give_idle(w->caches[p], give_cache, &g);
    }
    if (w->hand.quieted)
        worker_pass_on(w);
}

static void retire(struct worker *w, bool retired)
{
    w->hand.retired = retired;
    if (w->secure)
        director_retire(w->secure, retired);
    if (w->director)
        director_retire(w->director, retired);
    if (w->gate)
        gate_retire(w->gate, retired);
    for (unsigned p = 0; p < CACHE_DOORS; p++)
        if (w->caches[p])
            cache_retire(w->caches[p], retired);
    if (w->sessiond)
        sessiond_door_retire(w->sessiond, retired);
    for (size_t i = 0; i < TCP_LISTENERS_MAX; i++)
        if (w->tcp[i])
            tcp_retire(w->tcp[i], retired);
    if (w->takeover)
        takeover_rest(w->takeover, retired);
    if (retired)
        uv_timer_start(&w->hand.timer, give, 0, HAND_PERIOD_MS);
    else
        uv_timer_stop(&w->hand.timer);
}

/* -- taking -- */

static void adopt(struct worker *w, const struct hand *h, int fd)
{
    struct stream stream = {.fd = fd};
    struct http_server *s = NULL;
    if (h->door == HAND_PUBLIC && w->director)
        s = director_server(w->director);
    else if (h->door == HAND_GATE && w->gate)
        s = gate_server(w->gate);
    if (s)
        (void)http_server_adopt(s, stream, NULL, 0, &h->peer);
    else if (h->door >= HAND_CACHE && w->caches[h->door - HAND_CACHE])
        cache_adopt(w->caches[h->door - HAND_CACHE], fd, h->admitted, h->version3);
    else
        close(fd);
}

static struct waiting *next_waiting(struct worker_hand *h)
{
    uv_mutex_lock(&h->lock);
    struct list *link = list_pop(&h->waiting);
    h->waiting_count -= link != NULL;
    uv_mutex_unlock(&h->lock);
    return link ? list_entry(link, struct waiting, link) : NULL;
}

static void woken(uv_async_t *async)
{
    struct worker *w = async->data;
    struct waiting *next;
    if (atomic_load(&w->hand.retire) != w->hand.retired)
        retire(w, !w->hand.retired);
    if (atomic_load(&w->hand.quiet) && !w->hand.quieted) {
        w->hand.quieted = true;
        worker_quiet(w);
    }
    while ((next = next_waiting(&w->hand))) {
        if (next->hand.door >= HAND_TUNNEL)
            worker_pass_adopt(w, &next->hand, &next->fds);
        else
            adopt(w, &next->hand, next->fds.fd[0]);
        mem_free(next);
    }
}

bool worker_adopt(struct worker *w, const struct hand *h, const struct upgrade_fds *fds)
{
    struct waiting *one = mem_alloc(sizeof *one);
    uv_mutex_lock(&w->hand.lock);
    bool room = one && w->hand.waiting_count < HAND_WAITING_MAX;
    if (room) {
        *one = (struct waiting){.hand = *h, .fds = *fds};
        list_append(&w->hand.waiting, &one->link);
        w->hand.waiting_count++;
    }
    uv_mutex_unlock(&w->hand.lock);
    if (room)
        uv_async_send(&w->hand.async);
    else
        mem_free(one);
    return room;
}

bool worker_has_room(struct worker *w)
{
    uv_mutex_lock(&w->hand.lock);
    bool room = w->hand.waiting_count < HAND_WAITING_MAX;
    uv_mutex_unlock(&w->hand.lock);
    return room;
}

void worker_retire(struct worker *w, bool retire_now, int to)
{
    atomic_store(&w->hand.to, to);
    atomic_store(&w->hand.retire, retire_now);
    uv_async_send(&w->hand.async);
}

void worker_be_quiet(struct worker *w)
{
    atomic_store(&w->hand.quiet, true);
    uv_async_send(&w->hand.async);
}

/* -- lifetime -- */

int worker_hand_open(struct worker *w)
{
    list_init(&w->hand.waiting);
    if (uv_mutex_init(&w->hand.lock))
        return STEAD_E_NOMEM;
    w->hand.async.data = w->hand.timer.data = w;
    if (uv_async_init(&w->loop, &w->hand.async, woken))
        return STEAD_E_IO;
    uv_timer_init(&w->loop, &w->hand.timer);
    return STEAD_OK;
}

void worker_hand_close(struct worker *w)
{
    uv_close((uv_handle_t *)&w->hand.async, NULL);
    uv_close((uv_handle_t *)&w->hand.timer, NULL);
}

void worker_hand_deinit(struct worker *w)
{
    struct waiting *next;
    while ((next = next_waiting(&w->hand))) {
        upgrade_fds_close(&next->fds);
        mem_free(next);
    }
    uv_mutex_destroy(&w->hand.lock);
}
