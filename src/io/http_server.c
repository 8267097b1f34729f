/* http_server.c - a server's life: accepting, the one timer, closing. Reading is in http_conn.c,
 * answers in http_reply.c. */
#include "io/http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http2.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64

static const char server_is_full[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                     "Retry-After: 1\r\nConnection: close\r\n\r\n";

void http_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void http_limits_default(struct http_limits *l)
{
    *l = (struct http_limits){.connections_max = 10000,
                              .head_ms = 10000,
                              .body_ms = 30000,
                              .idle_ms = 60000,
                              .handshake_ms = 10000,
                              .handshakes_max = 1000,
                              .body_max = 2u << 20,
                              .resets_max = 200,
                              .held_max = 64u << 20};
}

/* -- memory for clients' bytes -- */

void *server_realloc(const struct http_server *s, void *memory, size_t have, size_t bytes)
{
    if (!s->config.wipes)
        return mem_realloc(memory, bytes);
    void *more = mem_alloc(bytes);
    if (!more)
        return NULL;
    if (memory)
        memcpy(more, memory, have < bytes ? have : bytes);
    mem_free_wiped(memory, have);
    return more;
}

void server_free(const struct http_server *s, void *memory, size_t have)
{
    if (s->config.wipes)
        mem_free_wiped(memory, have);
    else
        mem_free(memory);
}

/* -- what is closed -- */

void server_bury(struct http_server *s)
{
    while (!list_empty(&s->dead)) {
        struct http_conn *c = list_entry(list_pop(&s->dead), struct http_conn, link);
        s->held_bytes -= c->out_len;
        if (!c->borrowed)
            server_free(s, c->pending, c->pending_at + c->pending_len);
        server_free(s, c->out, c->out_len);
        http2_free(c->h2);
        mem_free(c);
    }
}

/* -- the timer -- */

uint32_t server_phase_ms(const struct http_server *s, enum conn_phase phase)
{
    const struct http_limits *l = &s->config.limits;
    switch (phase) {
    case CONN_IDLE:
        return l->idle_ms;
    case CONN_HEAD:
        return l->head_ms;
    case CONN_BODY:
    case CONN_WRITE:
        return l->body_ms;
    case CONN_STREAMS:
        return HTTP2_TICK_MS;
    case CONN_LINGER:
        return HTTP_LINGER_MS;
    case CONN_HANDSHAKE:
        return l->handshake_ms;
    default:
        return 0; /* WAIT: its handler's matter */
    }
}

static void timer_fired(uv_timer_t *timer);

static void timer_at(struct http_server *s, uint64_t due_ms)
{
    if (due_ms >= s->timer_due_ms || s->closing)
        return;
    uint64_t now = uv_now(s->config.loop);
    s->timer_due_ms = due_ms;
    uv_timer_start(&s->timer, timer_fired, due_ms > now ? due_ms - now : 0, 0);
}

void conn_set_phase(struct http_conn *c, enum conn_phase phase)
{
    struct http_server *s = c->server;
    if (list_linked(&c->link))
        list_remove(&c->link);
    c->phase = (uint8_t)phase;
    if (phase == CONN_CLOSED)
        return;
    list_append(&s->phases[phase], &c->link);
    uint32_t limit = server_phase_ms(s, phase);
    c->deadline_ms = limit ? uv_now(s->config.loop) + limit : TIME_NEVER;
    timer_at(s, c->deadline_ms);
}

static void conn_expire(struct http_conn *c)
{
    if (c->h2 && c->phase != CONN_LINGER) {
        http2_expire(c);
        return;
    }
    if (c->phase == CONN_HANDSHAKE)
        tls_gave_up(c->stream.tls, TLS_FAIL_TIMEOUT);
    bool asked = c->phase == CONN_BODY || (c->phase == CONN_HEAD && c->pending_len);
    if (c->phase != CONN_IDLE && c->phase != CONN_LINGER)
        http_count(&c->server->config.counters->timeouts);
    if (asked)
        conn_fail(c, 408, "the request did not come in time");
    else
        conn_close(c);
}

static void listener_event(uv_poll_t *poll, int status, int events);

static void timer_fired(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now = uv_now(s->config.loop), next = TIME_NEVER;
    s->timer_due_ms = TIME_NEVER;
    if (s->accept_at_ms && s->accepting && !s->retired && s->accept_at_ms <= now) {
        s->accept_at_ms = 0;
        uv_poll_start(&s->listener, UV_READABLE, listener_event);
    }
    for (int p = 0; p < CONN_PHASES; p++) {
        while (!list_empty(&s->phases[p])) {
            struct http_conn *c = list_entry(s->phases[p].next, struct http_conn, link);
            if (c->deadline_ms > now) {
                next = c->deadline_ms < next ? c->deadline_ms : next;
                break;
            }
            conn_expire(c);
        }
    }
    server_bury(s);
    if (s->accept_at_ms && s->accept_at_ms < next)
        next = s->accept_at_ms;
    timer_at(s, next);
}

/* -- connections -- */

bool server_hold(struct http_server *s, uint64_t bytes)
{
    if (bytes > s->config.limits.held_max - s->held_bytes)
        return false;
    s->held_bytes += bytes;
    return true;
}

void server_release(struct http_server *s)
{
    if (--s->handles || !s->closing)
        return;
    server_bury(s);
    requests_free(s);
    if (s->closed)
        s->closed(s->closed_context);
    mem_free(s->server_name);
    mem_free(s);
}

void conn_close(struct http_conn *c)
{
    struct http_server *s = c->server;
    if (c->phase == CONN_CLOSED)
        return;
    struct http_request *r = c->request;
    c->request = NULL;
    if (list_linked(&c->later))
        list_remove(&c->later);
    if (c->phase == CONN_HANDSHAKE)
        conn_shake_end(c);
    if (r && c->phase == CONN_BODY)
        request_free(r); /* its handler does not have it yet */
    else if (r)
        r->conn = NULL;
    conn_set_phase(c, CONN_CLOSED);
    if (c->h2)
        http2_drop(c);
    list_append(&s->dead, &c->link);
    poller_forget(s->poller, &c->item);
    if (s->batch_of == c) {
        if (s->config.wipes)
            explicit_bzero(s->batch, s->batch_len);
        s->batch_len = 0;
    }
    stream_close(&c->stream, false);
    s->connections--;
    atomic_fetch_sub_explicit(&s->config.counters->open, 1, memory_order_relaxed);
}

static void conn_event(struct poller_item *item, uint32_t events)
{
    struct http_conn *c = list_entry(item, struct http_conn, item);
    struct http_server *s = c->server;
    /* Errors come out of reading and writing. */
    if (c->phase == CONN_HANDSHAKE) {
        conn_shake(c);
    } else if (c->phase == CONN_LINGER && events & EPOLLOUT) {
        (void)stream_shutdown(&c->stream);
        conn_watch(c, true, false);
    } else if (c->h2 && c->phase != CONN_LINGER)
        http2_event(c, events);
    else if (c->phase == CONN_WAIT)
        conn_watch(c, false,
                   false); /* more requests, or the client's end: looked at after the answer */
    else if (c->phase == CONN_WRITE)
        conn_writable(c);
    else
        conn_readable(c);
    server_bury(s);
}

void conn_watch(struct http_conn *c, bool want_read, bool want_write)
{
    uint32_t events = 0;
    if (want_read || want_write)
        events = stream_events(&c->stream, want_read, want_write);
    if (c->phase != CONN_CLOSED && !poller_watch(c->server->poller, &c->item, events))
        conn_close(c);
}

static void refuse(struct http_server *s, const char *why)
{
    uint64_t now = uv_now(s->config.loop);
    http_count(&s->config.counters->refused);
    if (now < s->complain_at_ms)
        return;
    s->complain_at_ms = now + HTTP_COMPLAIN_MS;
    log_warn("connections-refused", "door=%s why=\"%s\" open=%u", s->config.door, why,
             s->connections);
}

static void idle_turn(uv_idle_t *idle)
{
    struct http_server *s = idle->data;
    struct list due, *link;
    list_init(&due);
    list_splice(&due, &s->later);
    while ((link = list_pop(&due))) {
        struct http_conn *c = list_entry(link, struct http_conn, later);
        if (stream_pending(&c->stream))
            conn_readable(c);
        else
            conn_run(c);
    }
    server_shake(s);
    server_bury(s);
    if (list_empty(&s->later) && list_empty(&s->shaking) && !s->closing)
        uv_idle_stop(idle);
}

void conn_later(struct http_conn *c)
{
    struct http_server *s = c->server;
    conn_watch(c, false, false);
    if (c->phase != CONN_CLOSED && !list_linked(&c->later))
        list_append(c->phase == CONN_HANDSHAKE ? &s->shaking : &s->later, &c->later);
    uv_idle_start(&s->idle, idle_turn);
}

/* NULL: no memory; then the stream is closed. */
static struct http_conn *conn_new(struct http_server *s, struct stream stream)
{
    struct http_conn *c = mem_alloc(sizeof *c);
    if (!c) {
        refuse(s, "no memory");
        stream_close(&stream, false);
        return NULL;
    }
    http_count(&s->config.counters->open);
    c->server = s;
    c->stream = stream;
    c->item = (struct poller_item){.fd = stream.fd, .ready = conn_event};
    s->connections++;
    return c;
}

void http_server_accepted(struct http_server *s, int fd, const struct addr *peer)
{
    if (s->closing || !s->accepting) {
        close(fd);
        return;
    }
    if (!server_room(s)) {
        refuse(s, "as many as this door may have");
        if (!s->config.tls)
            (void)!send(fd, server_is_full, sizeof server_is_full - 1, MSG_NOSIGNAL);
        close(fd);
        return;
    }
    struct http_conn *c = conn_new(s, (struct stream){.fd = fd});
    if (!c)
        return;
    http_count(&s->config.counters->accepted);
    c->peer = *peer;
    if (s->config.tls) {
        conn_shake_begin(c);
        server_bury(s);
        return;
    }
    conn_set_phase(c, CONN_HEAD);
    /* Mostly the request is here already: a connection for one request is never polled. */
    conn_readable(c);
    if (!c->h2 && c->phase <= CONN_HEAD && !list_linked(&c->later))
        conn_watch(c, true, false);
    server_bury(s);
}

/* STEAD_OK: it may come. */
static int admit(struct http_server *s, size_t len)
{
    if (s->closing || (!s->accepting && len == 0))
        return STEAD_E_CLOSED;
    if (s->connections < s->config.limits.connections_max)
        return STEAD_OK;
    refuse(s, "as many as this door may have");
    return STEAD_E_BUSY;
}

int http_server_adopt(struct http_server *s, struct stream stream, char *bytes, size_t len,
                      const struct addr *peer)
{
    int err = admit(s, len);
    struct http_conn *c = NULL;
    if (err != STEAD_OK)
        stream_close(&stream, false);
    else if (!(c = conn_new(s, stream)))
        err = STEAD_E_NOMEM;
    if (err != STEAD_OK) {
        mem_free(bytes);
        return err;
    }
    if (peer)
        c->peer = *peer;
    if (len) {
        c->pending = bytes;
        c->pending_len = len;
    } else {
        mem_free(bytes);
    }
    c->parse_due = true;
    conn_set_phase(c, len ? CONN_HEAD : CONN_IDLE);
    if (len || stream_pending(&c->stream))
        conn_later(c);
    else
        conn_watch(c, true, false);
    return STEAD_OK;
}

/* What comes stays in the backlog, and polling would spin. */
static void pause_accepting(struct http_server *s, uint32_t ms)
{
    uv_poll_stop(&s->listener);
    s->accept_at_ms = uv_now(s->config.loop) + ms;
    timer_at(s, s->accept_at_ms);
}

static void listener_event(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && s->accepting && !s->retired; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        peer.ss_family = AF_UNSPEC;
        if (s->config.tls && !server_shake_room(s)) {
            pause_accepting(s, HTTP_CROWDED_PAUSE_MS);
            return;
        }
        int fd =
            accept4(s->config.fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct addr from = {0}; /* stays so on a unix socket */
            io_from_sockaddr((const struct sockaddr *)&peer, &from);
            http_server_accepted(s, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse(s, io_error_text(errno));
            pause_accepting(s, HTTP_ACCEPT_PAUSE_MS);
            return;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

void server_listen(struct http_server *s)
{
    uv_poll_start(&s->listener, UV_READABLE, listener_event);
}

/* -- the server -- */

int http_server_open(const struct http_server_config *config, struct http_server **out)
{
    struct http_server *s = mem_alloc(sizeof *s);
    if (!s)
        return STEAD_E_NOMEM;
    s->config = *config;
    if (!config->door)
        s->config.door = "http";
    s->timer_due_ms = TIME_NEVER;
    for (int p = 0; p < CONN_PHASES; p++)
        list_init(&s->phases[p]);
    list_init(&s->later);
    list_init(&s->shaking);
    list_init(&s->dead);
    list_init(&s->spares);
    if (config->server_name && !(s->server_name = mem_strdup(config->server_name)))
        goto fail;
    int err = poller_open(config->loop, &s->poller);
    if (err != STEAD_OK)
        goto fail_poller;
    err = uv_poll_init(config->loop, &s->listener, config->fd);
    if (err) {
        poller_close(s->poller, NULL, NULL);
        err = io_error(-err);
        goto fail_poller;
    }
    /* Connections inherit it. On a unix socket there is nothing to set. */
    int on = 1;
    setsockopt(config->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uv_timer_init(config->loop, &s->timer);
    uv_idle_init(config->loop, &s->idle);
    s->listener.data = s;
    s->timer.data = s;
    s->idle.data = s;
    s->handles = 4;
    s->accepting = true;
    uv_poll_start(&s->listener, UV_READABLE, listener_event);
    *out = s;
    return STEAD_OK;
fail_poller:
    mem_free(s->server_name);
    mem_free(s);
    return err;
fail:
    mem_free(s);
    return STEAD_E_NOMEM;
}

static void poller_closed(void *context)
{
    server_release(context);
}

static void plain_handle_closed(uv_handle_t *handle)
{
    server_release(handle->data);
}

void http_server_stop_accepting(struct http_server *s)
{
    if (!s->accepting)
        return;
    s->accepting = false;
    uv_close((uv_handle_t *)&s->listener, plain_handle_closed);
    close(s->config.fd);
    while (!list_empty(&s->phases[CONN_IDLE])) {
        struct http_conn *c = list_entry(s->phases[CONN_IDLE].next, struct http_conn, link);
        if (c->h2)
            http2_expire(c);
        else
            conn_close(c);
    }
    struct list *next;
    for (struct list *at = s->phases[CONN_STREAMS].next; at != &s->phases[CONN_STREAMS];
         at = next) {
        next = at->next;
        http2_stop(list_entry(at, struct http_conn, link));
    }
}

void http_server_close(struct http_server *s, void (*closed)(void *context), void *context)
{
    http_server_stop_accepting(s);
    s->closed = closed;
    s->closed_context = context;
    s->closing = true;
    for (int p = 0; p < CONN_PHASES; p++)
        while (!list_empty(&s->phases[p]))
            conn_close(list_entry(s->phases[p].next, struct http_conn, link));
    poller_close(s->poller, poller_closed, s);
    uv_close((uv_handle_t *)&s->timer, plain_handle_closed);
    uv_close((uv_handle_t *)&s->idle, plain_handle_closed);
}
