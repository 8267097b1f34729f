/* cache_conn.c - a connection of a cache's client: bytes in, requests one after another, bytes out.
 *
 * While a request waits for the store nothing more is read, so its input stays where it is. While
 * the client does not take its answers no more requests are done. A connection that says nothing
 * has no buffers. */
#include "role/gate/cache_internal.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_MAX (RESP_COMMAND_MAX > MEMCACHE_REQUEST_MAX ? RESP_COMMAND_MAX : MEMCACHE_REQUEST_MAX)
#define READS_MAX 8 /* in a turn, so that one client does not keep the others waiting */

static void serve(struct cache_conn *c);

void cache_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- buffers -- */

static char *take_spare(struct cache *d)
{
    return d->spare_count > 0 ? d->spare[--d->spare_count] : mem_alloc(CACHE_IN_BYTES);
}

static void give_spare(struct cache *d, char *buffer, size_t cap)
{
    if (buffer != NULL && cap == CACHE_IN_BYTES && d->spare_count < CACHE_POOL_MAX)
        d->spare[d->spare_count++] = buffer;
    else
        mem_free(buffer);
}

static void drop_in(struct cache_conn *c)
{
    give_spare(c->door, c->in, c->in_cap);
    c->in = NULL;
    c->in_from = c->in_len = c->in_cap = 0;
}

static void drop_out(struct cache_conn *c)
{
    give_spare(c->door, c->out, c->out_cap);
    c->out = NULL;
    c->out_from = c->out_len = c->out_cap = 0;
}

static bool grow(char **buffer, size_t *cap, size_t need)
{
    size_t wanted = *cap;
    while (wanted < need)
        wanted *= 2;
    char *larger = mem_realloc(*buffer, wanted);
    if (larger == NULL)
        return false;
    *buffer = larger;
    *cap = wanted;
    return true;
}

/* Room to read into: at its end, or made by moving what is left to the front, or by growing. */
static bool in_room(struct cache_conn *c)
{
    if (c->in == NULL) {
        c->in = take_spare(c->door);
        c->in_cap = c->in != NULL ? CACHE_IN_BYTES : 0;
        return c->in != NULL;
    }
    if (c->in_len < c->in_cap)
        return true;
    if (c->in_from > 0) {
        memmove(c->in, c->in + c->in_from, c->in_len - c->in_from);
        c->in_len -= c->in_from;
        c->in_from = 0;
        return true;
    }
    return c->in_cap < IN_MAX && grow(&c->in, &c->in_cap, c->in_cap * 2);
}

char *cache_conn_room(struct cache_conn *c, size_t need)
{
    if (c->out == NULL) {
        c->out = take_spare(c->door);
        c->out_cap = c->out != NULL ? CACHE_IN_BYTES : 0;
    }
    if (c->out == NULL ||
        (c->out_cap - c->out_len < need && !grow(&c->out, &c->out_cap, c->out_len + need))) {
        c->broken = true;
        return NULL;
    }
    return c->out + c->out_len;
}

/* -- the socket -- */

static void on_event(uv_poll_t *poll, int status, int events);

/* What to be told of, when it is something else than before. */
static void watch(struct cache_conn *c)
{
    bool reads =
        c->call == NULL && !c->broken && !c->eof && c->out_len - c->out_from < CACHE_OUT_MAX;
    bool writes = c->out_len > c->out_from;
    int events = (writes ? UV_WRITABLE : 0) | (reads ? UV_READABLE : 0);
    if (c->stream.tls != NULL) {
        uint32_t wanted = stream_events(&c->stream, reads, writes);
        events = (wanted & EPOLLIN ? UV_READABLE : 0) | (wanted & EPOLLOUT ? UV_WRITABLE : 0);
    }
    if (c->closing || events == c->events)
        return;
    c->events = events;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, events, on_event);
}

/* False: the connection is gone. */
static bool flush(struct cache_conn *c)
{
    while (c->out_len > c->out_from) {
        ssize_t n = stream_write(&c->stream, c->out + c->out_from, c->out_len - c->out_from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        c->out_from += (size_t)n;
    }
    drop_out(c);
    return true;
}

/* Under TLS: what one read of the whole brings is put behind the input. */
static ssize_t read_secured(struct cache_conn *c)
{
    char *plain = c->door->plain;
    ssize_t n = stream_read(&c->stream, plain, STREAM_READ_WHOLE);
    if (n <= 0)
        return n;
    if (c->in_from > 0) {
        memmove(c->in, c->in + c->in_from, c->in_len - c->in_from);
        c->in_len -= c->in_from;
        c->in_from = 0;
    }
    if (c->in_cap - c->in_len < (size_t)n && !grow(&c->in, &c->in_cap, c->in_len + (size_t)n))
        return 0; /* as if it had ended */
    memcpy(c->in + c->in_len, plain, (size_t)n);
    return n;
}

/* Bytes read; 0: nothing for now; -1: the end, or an error. *full: there may be more. */
static ssize_t read_some(struct cache_conn *c, bool *full)
{
    if (!in_room(c))
        return -1;
    ssize_t n;
    size_t room = c->in_cap - c->in_len;
    bool secured = c->stream.tls != NULL;
    do
        n = secured ? read_secured(c) : recv(c->stream.fd, c->in + c->in_len, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        c->in_len += (size_t)n;
    *full = secured ? n == STREAM_READ_WHOLE : c->in_len == c->in_cap;
    if (n == 0)
        return -1;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

/* -- requests -- */

static void call_done(struct cache_conn *c, struct cache_call *call)
{
    cache_op_deinit(&call->op);
    call->index = 0;
    call->sum = 0;
    c->door->tally.requests++;
}

static bool is_resp(const struct cache_conn *c)
{
    return c->door->config.protocol == CACHE_RESP;
}

/* The bytes of a request stay where they are while it waits. */
static void pass(struct cache_conn *c, size_t n, bool of_multi)
{
    c->served++;
    if (of_multi)
        c->multi->from += n;
    else
        c->in_from += n;
}

static void multi_ends(struct cache_conn *c)
{
    if (c->call == NULL && cache_is_running(c) && c->multi->from == c->multi->len)
        cache_multi_drop(c);
}

static void skip_some(struct cache_conn *c)
{
    size_t have = c->in_len - c->in_from, n = c->skip < have ? c->skip : have;
    c->skip -= n;
    c->in_from += n;
}

/* One request. False: no more can be done now. */
static bool serve_one(struct cache_conn *c)
{
    struct cache_call *call;
    bool of_multi = cache_is_running(c);
    int n = cache_ahead_next(c, &call);
    if (n < 0)
        c->broken = true;
    if (n <= 0)
        return false;
    bool done = is_resp(c) ? cache_resp_begin(c, call) : cache_memcache_begin(c, call);
    pass(c, (size_t)n, of_multi);
    if (done) {
        call_done(c, call);
        return true;
    }
    cache_ahead_park(c, call);
    return false;
}

static bool may_serve(const struct cache_conn *c)
{
    return c->call == NULL && !c->broken && (c->in_from < c->in_len || cache_is_running(c)) &&
           c->out_len - c->out_from < CACHE_OUT_MAX;
}

static void serve(struct cache_conn *c)
{
    struct cache *d = c->door;
    while (may_serve(c)) {
        if (d->clock_left-- == 0) {
            d->now_ns = io_now_ns();
            d->clock_left = CACHE_CLOCK_EVERY - 1;
        }
        skip_some(c);
        if ((c->in_from == c->in_len && !cache_is_running(c)) || !serve_one(c))
            break;
        multi_ends(c);
    }
    cache_ahead_drop(d);
    if (c->call == NULL && c->in_from == c->in_len)
        drop_in(c);
    if (c->out_len - c->out_from >= CACHE_OUT_MAX)
        cache_count(&c->door->config.counters->slow);
}

/* After something happened: answers go out, and the connection ends when it is to. */
static void settle(struct cache_conn *c)
{
    bool alive = flush(c);
    /* What was held back while the client took nothing. */
    while (alive && may_serve(c)) {
        uint64_t before = c->served;
        serve(c);
        alive = flush(c);
        if (c->served == before)
            break;
    }
    bool over = (c->broken || c->eof) && c->call == NULL && c->out_len == c->out_from;
    if (!alive || over)
        cache_conn_close(c);
    else
        watch(c);
}

void cache_conn_serve(struct cache_conn *c)
{
    serve(c);
    settle(c);
}

void cache_conn_result(struct cache_conn *c, struct session_result *r)
{
    struct cache_call *call = c->call;
    c->door->now_ns = io_now_ns();
    if (call == NULL || !cache_run_on(c, call, r))
        return;
    bool done = is_resp(c) ? cache_resp_resume(c, call) : cache_memcache_resume(c, call);
    if (!done)
        return;
    c->call = NULL;
    call_done(c, call);
    list_append(&c->door->calls, &call->pooled);
    multi_ends(c);
    serve(c);
    settle(c);
}

/* Is the handshake done? What came with its last part makes no event: it is read at once. */
static bool shaken(struct cache_conn *c, int status)
{
    if (status < 0) {
        cache_conn_close(c);
        return false;
    }
    if (cache_tls_shake(c))
        return true;
    watch(c);
    return false;
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct cache_conn *c = poll->data;
    if (c->shaking && !shaken(c, status))
        return;
    if (c->stream.tls != NULL)
        events |= UV_READABLE; /* it knows what the event was for */
    c->active_ms = uv_now(c->door->config.loop);
    list_remove(&c->lru);
    list_append(&c->door->lru, &c->lru);
    if (c->ready)
        cache_ready_go(c->door); /* the loop asked for events twice in a turn */
    if (c->closing)
        return;
    if (status < 0)
        c->broken = true;
    for (int i = 0; (events & UV_READABLE) && i < READS_MAX && !c->broken; i++) {
        if (c->call != NULL || c->out_len - c->out_from >= CACHE_OUT_MAX)
            break;
        bool full;
        ssize_t n = read_some(c, &full);
        if (n < 0)
            c->eof = true;
        if (n <= 0)
            break;
        if (i == 0 && !full && cache_ready_put(c))
            return;
        serve(c);
        if (!full)
            break;
    }
    settle(c);
}

/* -- life -- */

static bool take_slot(struct cache *d, struct cache_conn *c)
{
    if (d->free_slot >= d->config.connections_max)
        return false;
    c->slot = d->free_slot;
    struct cache_slot *slot = &d->slots[c->slot];
    d->free_slot = slot->next_free;
    slot->conn = c;
    return true;
}

static void give_slot(struct cache *d, struct cache_conn *c)
{
    struct cache_slot *slot = &d->slots[c->slot];
    slot->conn = NULL;
    slot->generation++;
    slot->next_free = d->free_slot;
    d->free_slot = c->slot;
}

int cache_conn_open(struct cache *d, int fd, bool secured)
{
    struct cache_conn *c = mem_alloc(sizeof *c);
    if (c == NULL)
        return STEAD_E_NOMEM;
    c->door = d;
    c->stream.fd = fd;
    if (!take_slot(d, c)) {
        mem_free(c);
        return STEAD_E_FULL;
    }
    int err = secured ? cache_tls_begin(c) : STEAD_OK;
    if (err == STEAD_OK && uv_poll_init_socket(d->config.loop, &c->poll, fd) != 0)
        err = STEAD_E_IO;
    if (err != STEAD_OK) {
        cache_tls_give_up(c, TLS_FAIL_OWN);
        tls_free(c->stream.tls);
        give_slot(d, c);
        mem_free(c);
        return err;
    }
    c->poll.data = c;
    c->client_id = ++d->next_client;
    c->admitted = d->config.password[0] == '\0';
    c->active_ms = uv_now(d->config.loop);
    list_append(&d->conns, &c->link);
    list_append(&d->lru, &c->lru);
    d->open_handles++;
    cache_count(&d->config.counters->connections);
    watch(c);
    return STEAD_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct cache_conn *c = handle->data;
    struct cache *d = c->door;
    stream_close(&c->stream, false);
    mem_free(c);
    d->open_handles--;
    cache_handle_closed(d);
}

void cache_conn_close(struct cache_conn *c)
{
    struct cache *d = c->door;
    if (c->closing)
        return;
    c->closing = true;
    cache_ready_forget(c);
    cache_tls_give_up(c, TLS_FAIL_CLOSED);
    if (c->call != NULL) {
        call_done(c, c->call);
        list_append(&d->calls, &c->call->pooled);
        c->call = NULL;
    }
    cache_multi_drop(c);
    drop_in(c);
    drop_out(c);
    give_slot(d, c);
    list_remove(&c->link);
    list_remove(&c->lru);
    atomic_fetch_sub_explicit(&d->config.counters->connections, 1, memory_order_relaxed);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}
