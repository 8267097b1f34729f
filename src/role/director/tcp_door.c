/* tcp_door.c - accepting, and waiting for what must be seen first. */
#include "role/director/tcp_door.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/tcp/proxy_protocol.h"
#include "io/io.h"
#include "io/poller.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64
#define WAIT_MS 5000
#define SWEEP_MS 100
#define PAUSE_MS 100 /* without descriptors: connections stay in the listener's queue */
#define COMPLAIN_MS 10000
#define FIRST_BYTES 2048u

/* A connection whose first bytes are awaited. */
struct waiting {
    struct list link; /* in the order of since_ms */
    struct poller_item item;
    struct tcp_door *door;
    struct tcp_arrival arrival;
    uint64_t since_ms;
    size_t room; /* of arrival.bytes */
    bool header; /* is still to come */
};

struct tcp_door {
    struct tcp_door_config config;
    uv_poll_t listener;
    uv_timer_t timer;
    struct poller *poller;
    struct list waiting;
    uint32_t count;
    uint64_t accept_at_ms, complain_at_ms;
    unsigned parts; /* not closed: the poller, the listener, the timer */
    bool accepting, closing;
    void (*closed)(void *context);
    void *closed_context;
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static bool trusted(const struct tcp_door *d, const struct addr *peer)
{
    for (size_t i = 0; i < d->config.proxy_count; i++)
        if (prefix_has(&d->config.proxies[i], peer))
            return true;
    return false;
}

static void on_sweep(uv_timer_t *timer);

/* -- the first bytes -- */

static void forget(struct waiting *w)
{
    poller_forget(w->door->poller, &w->item);
    list_remove(&w->link);
    w->door->count--;
    atomic_fetch_sub_explicit(&w->door->config.counters->waiting, 1, memory_order_relaxed);
}

static void give_up(struct waiting *w, atomic_uint_fast64_t *why)
{
    count(why);
    forget(w);
    close(w->arrival.fd);
    mem_free(w->arrival.bytes);
    mem_free(w);
}

static void give_on(struct waiting *w)
{
    struct tcp_door *d = w->door;
    forget(w);
    if (w->arrival.len == 0) {
        mem_free(w->arrival.bytes);
        w->arrival.bytes = NULL;
    }
    d->config.arrived(d->config.context, &w->arrival);
    mem_free(w);
}

/* False: more bytes are needed, or the connection was given up. */
static bool take_header(struct waiting *w, uint32_t events)
{
    struct tcp_arrival *a = &w->arrival;
    struct proxy_header h;
    char bytes[PROXY_PROTOCOL_MAX];
    ssize_t there = recv(a->fd, bytes, sizeof(bytes), MSG_PEEK);
    if (there < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    int n = there > 0 ? proxy_protocol_parse(bytes, (size_t)there, &h) : -1;
    bool ended = n == 0 && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (n < 0 || ended || (n > 0 && recv(a->fd, bytes, (size_t)n, 0) != n)) {
        give_up(w, &w->door->config.counters->malformed);
        return false;
    }
    if (n == 0)
        return false;
    count(&w->door->config.counters->proxied);
    if (!h.local) {
        a->client = h.client;
        a->at = h.server;
    }
    w->header = false;
    return true;
}

/* Is the hello there? Then it was given on. */
static bool look(struct waiting *w, bool ended)
{
    char name[CLIENT_HELLO_NAME_MAX + 1];
    enum client_hello e = client_hello_name(w->arrival.bytes, w->arrival.len, name);
    if (e == CLIENT_HELLO_MORE && !ended)
        return false;
    w->arrival.name = name;
    give_on(w);
    return true;
}

static bool make_room(struct waiting *w)
{
    struct tcp_arrival *a = &w->arrival;
    if (a->len < w->room)
        return true;
    size_t room = w->room ? w->room * 2 : FIRST_BYTES;
    char *more = room <= 2 * TCP_DOOR_BYTES_MAX ? mem_realloc(a->bytes, room) : NULL;
    if (!more)
        return false;
    a->bytes = more;
    w->room = room;
    return true;
}

static void on_bytes(struct poller_item *item, uint32_t events)
{
    struct waiting *w = list_entry(item, struct waiting, item);
    struct tcp_arrival *a = &w->arrival;
    if (w->header && !take_header(w, events))
        return;
    if (!w->door->config.hello) {
        give_on(w);
        return;
    }
    for (;;) {
        if (!make_room(w)) {
            give_up(w, &w->door->config.counters->full);
            return;
        }
        ssize_t n = recv(a->fd, a->bytes + a->len, w->room - a->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0 || (n == 0 && a->len == 0)) {
            give_up(w, &w->door->config.counters->malformed);
            return;
        }
        a->len += (size_t)n;
        if (look(w, n == 0))
            return;
    }
}

/* -- accepting -- */

static void wait_for(struct tcp_door *d, const struct tcp_arrival *a, bool header)
{
    struct waiting *w = d->count < d->config.connections_max ? mem_alloc(sizeof(*w)) : NULL;
    if (!w) {
        count(&d->config.counters->full);
        close(a->fd);
        return;
    }
    *w = (struct waiting){.item = {.fd = a->fd, .ready = on_bytes},
                          .door = d,
                          .arrival = *a,
                          .since_ms = uv_now(d->config.loop),
                          .header = header};
    list_append(&d->waiting, &w->link);
    count(&d->config.counters->waiting);
    if (d->count++ == 0)
        uv_timer_start(&d->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    /* By edges: a header that is there in part is left there, and would be ready for ever. */
    if (!poller_watch(d->poller, &w->item, EPOLLIN | EPOLLRDHUP | EPOLLET))
        give_up(w, &d->config.counters->full);
}

static void on_accepted(struct tcp_door *d, int fd, const struct sockaddr_storage *peer)
{
    struct tcp_arrival a = {.fd = fd};
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    count(&d->config.counters->accepted);
    if (!io_from_sockaddr((const struct sockaddr *)peer, &a.peer) ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        !io_from_sockaddr((struct sockaddr *)&at, &a.at)) {
        close(fd);
        return;
    }
    a.client = a.peer;
    bool header = d->config.expects && d->config.expects(d->config.context, &a.peer);
    if (d->config.proxy_count > 0 && !header && !(header = trusted(d, &a.peer))) {
        count(&d->config.counters->untrusted);
        close(fd);
        return;
    }
    if (header || d->config.hello)
        wait_for(d, &a, header);
    else
        d->config.arrived(d->config.context, &a);
}

static void on_connections(uv_poll_t *listener, int status, int events);

static void pause_accepting(struct tcp_door *d)
{
    uint64_t now = uv_now(d->config.loop);
    count(&d->config.counters->starved);
    uv_poll_stop(&d->listener);
    d->accept_at_ms = now + PAUSE_MS;
    uv_timer_start(&d->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    if (now < d->complain_at_ms)
        return;
    d->complain_at_ms = now + COMPLAIN_MS;
    log_warn("connections-wait", "door=%s why=\"%s\"", d->config.what, io_error_text(errno));
}

static void on_connections(uv_poll_t *listener, int status, int events)
{
    struct tcp_door *d = listener->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && d->accepting && !d->closing; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd =
            accept4(d->config.fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            on_accepted(d, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(d);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct tcp_door *d = timer->data;
    uint64_t now = uv_now(d->config.loop);
    if (d->accept_at_ms && d->accept_at_ms <= now) {
        d->accept_at_ms = 0;
        if (d->accepting)
            uv_poll_start(&d->listener, UV_READABLE, on_connections);
    }
    while (!list_empty(&d->waiting)) {
        struct waiting *w = list_entry(d->waiting.next, struct waiting, link);
        if (now - w->since_ms < d->config.wait_ms)
            break;
        give_up(w, &d->config.counters->slow);
    }
    if (d->count == 0 && !d->accept_at_ms)
        uv_timer_stop(&d->timer);
}

/* -- lifetime -- */

static void part_closed(void *context)
{
    struct tcp_door *d = context;
    if (--d->parts > 0)
        return;
    void (*closed)(void *) = d->closed;
    void *closed_context = d->closed_context;
    mem_free(d);
    if (closed)
        closed(closed_context);
}

static void on_timer_closed(uv_handle_t *h)
{
    part_closed(h->data);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct tcp_door *d = h->data;
    close(d->config.fd);
    part_closed(d);
}

int tcp_door_open(const struct tcp_door_config *c, struct tcp_door **out)
{
    struct tcp_door *d = mem_alloc(sizeof(*d));
    if (!d)
        return STEAD_E_NOMEM;
    d->config = *c;
    if (d->config.wait_ms == 0)
        d->config.wait_ms = WAIT_MS;
    list_init(&d->waiting);
    int err = poller_open(c->loop, &d->poller);
    if (err != STEAD_OK) {
        mem_free(d);
        return err;
    }
    if (uv_poll_init(c->loop, &d->listener, c->fd) != 0) {
        poller_close(d->poller, NULL, NULL);
        mem_free(d);
        return STEAD_E_IO;
    }
    uv_timer_init(c->loop, &d->timer);
    d->listener.data = d->timer.data = d;
    d->parts = 3;
    d->accepting = true;
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* connections inherit it */
    uv_poll_start(&d->listener, UV_READABLE, on_connections);
    *out = d;
    return STEAD_OK;
}

void tcp_door_retire(struct tcp_door *d, bool retired)
{
    if (d->closing || d->accepting == !retired)
        return;
    d->accepting = !retired;
    if (retired)
        uv_poll_stop(&d->listener);
    else
        uv_poll_start(&d->listener, UV_READABLE, on_connections);
}

void tcp_door_stop_accepting(struct tcp_door *d)
{
    d->accepting = false;
    uv_poll_stop(&d->listener);
}

void tcp_door_close(struct tcp_door *d, void (*closed)(void *context), void *context)
{
    d->closing = true;
    d->closed = closed;
    d->closed_context = context;
    while (!list_empty(&d->waiting))
        give_up(list_entry(d->waiting.next, struct waiting, link), &d->config.counters->slow);
    uv_timer_stop(&d->timer);
    uv_poll_stop(&d->listener);
    poller_close(d->poller, part_closed, d);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    uv_close((uv_handle_t *)&d->listener, on_listener_closed);
}
