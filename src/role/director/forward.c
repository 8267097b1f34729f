/* forward.c - tunnels: connecting, passing bytes, ending. Which server and why is decided
 * elsewhere. */
#include "role/director/forward.h"

#include "base/list.h"
#include "base/mem.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SWEEP_MS 100
#define ROUNDS_MAX 4 /* buffers read from one side before the other tunnels get their turn */

struct tunnel;

struct side {
    uv_poll_t poll;
    int fd;
    int events; /* what is watched */
    struct tunnel *tunnel;
};

/* One direction. */
struct flow {
    struct side *from, *to;
    char *pending; /* read, not taken yet: [off, len) */
    size_t off, len;
    bool eof;  /* `from` has ended its half */
    bool shut; /* and `to` was told */
    uint64_t bytes;
};

struct tunnel {
    struct list link; /* in one of the forwarder's lists */
    struct forwarder *forwarder;
    struct side client, server;
    struct flow up, down;
    uint64_t since_ms; /* of the start of connecting, the last byte, or the reset */
    struct flow *last; /* after a reset: the direction whose bytes are still to be delivered */
    unsigned handles;  /* not yet closed */
    bool connected;
    void (*ended)(void *context, const struct forward_result *result);
    void *context;
};

struct forwarder {
    uv_loop_t *loop;
    struct forward_limits limits;
    struct forward_counters *counters;
    uv_timer_t sweep;
    /* Each in the order of since_ms: only heads can be overdue. */
    struct list connecting, active, lingering;
    size_t tunnels; /* not ended */
    size_t memory;  /* tunnels not freed, and the timer */
    void (*closed)(void *context);
    void *closed_context;
    bool closing;
    char buffer[FORWARD_BUFFER];
};

void forward_limits_default(struct forward_limits *l)
{
    *l = (struct forward_limits){
        .tunnels_max = 10000, .connect_ms = 3000, .idle_ms = 3600 * 1000, .linger_ms = 2000};
}

const char *forward_end_name(enum forward_end e)
{
    static const char *const names[] = {
        [FORWARD_CLOSED] = "closed", [FORWARD_REFUSED] = "refused", [FORWARD_RESET] = "reset",
        [FORWARD_IDLE] = "idle",     [FORWARD_STOPPED] = "stopped",
    };
    return names[e];
}

/* -- ending -- */

static void forwarder_forget(struct forwarder *f)
{
    if (--f->memory > 0 || !f->closing)
        return;
    void (*closed)(void *) = f->closed;
    void *context = f->closed_context;
    mem_free(f);
    if (closed)
        closed(context);
}

static void on_side_closed(uv_handle_t *h)
{
    struct side *s = h->data;
    struct tunnel *t = s->tunnel;
    if (--t->handles > 0)
        return;
    struct forwarder *f = t->forwarder;
    mem_free(t);
    forwarder_forget(f);
}

static void close_side(struct side *s, bool reset)
{
    uv_close((uv_handle_t *)&s->poll, on_side_closed);
    if (s->fd < 0)
        return;
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close(s->fd);
    s->fd = -1;
}

static void tunnel_end(struct tunnel *t, enum forward_end end)
{
    struct forwarder *f = t->forwarder;
    struct forward_result result = {
        .end = end, .client = -1, .up = t->up.bytes, .down = t->down.bytes};
    if (end == FORWARD_REFUSED) {
        result.client = t->client.fd;
        result.bytes = t->up.pending;
        result.len = t->up.len;
        t->client.fd = -1;
        t->up.pending = NULL;
        f->counters->refused++;
    }
    f->counters->resets += end == FORWARD_RESET;
    f->counters->timeouts += end == FORWARD_IDLE;
    f->counters->up_bytes += t->up.bytes;
    f->counters->down_bytes += t->down.bytes;
    f->counters->open--;
    f->tunnels--;
    list_remove(&t->link);
    if (f->tunnels == 0 && !f->closing)
        uv_timer_stop(&f->sweep);
    mem_free(t->up.pending);
    mem_free(t->down.pending);
    t->up.pending = t->down.pending = NULL;
    bool reset = end == FORWARD_RESET || end == FORWARD_STOPPED;
    close_side(&t->client, reset);
    close_side(&t->server, reset);
    t->ended(t->context, &result);
}

/* -- passing bytes -- */

/* Sends what `to` takes at once; returns how much that was, or -1. */
static ssize_t send_some(int fd, const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)sent;
}

static void pass_end(struct flow *w)
{
    if (!w->eof || w->shut)
        return;
    w->shut = true;
    shutdown(w->to->fd, SHUT_WR);
}

/* False: the receiving side broke off. */
static bool flush(struct flow *w)
{
    if (!w->pending)
        return true;
    ssize_t n = send_some(w->to->fd, w->pending + w->off, w->len - w->off);
    if (n < 0)
        return false;
    w->off += (size_t)n;
    w->bytes += (uint64_t)n;
    if (w->off == w->len) {
        mem_free(w->pending);
        w->pending = NULL;
        pass_end(w);
    }
    return true;
}

/* Passes on what was just read; what is not taken waits. False: the receiving side broke off. */
static bool pass(struct flow *w, const char *bytes, size_t len)
{
    ssize_t sent = send_some(w->to->fd, bytes, len);
    if (sent < 0)
        return false;
    w->bytes += (uint64_t)sent;
    if ((size_t)sent == len)
        return true;
    w->off = 0;
    w->len = len - (size_t)sent;
    w->pending = mem_dup(bytes + sent, w->len);
    return w->pending != NULL;
}

/* Reads and passes on until nothing more is there, or something waits. Returns the side that broke
 * off, or NULL. */
static struct side *pump(struct flow *w, char *buffer)
{
    for (int round = 0; round < ROUNDS_MAX && !w->pending && !w->eof; round++) {
        ssize_t n = recv(w->from->fd, buffer, FORWARD_BUFFER, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? NULL : w->from;
        if (n == 0) {
            w->eof = true;
            pass_end(w);
        } else if (!pass(w, buffer, (size_t)n)) {
            return w->to;
        } else if (n < FORWARD_BUFFER) {
            return NULL;
        }
    }
    return NULL;
}

/* -- watching -- */

static void on_poll(uv_poll_t *handle, int status, int events);

static bool watch(struct side *s, int events)
{
    if (events == s->events)
        return true;
    s->events = events;
    int e = events ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);
    return e == 0;
}

static bool watch_both(struct tunnel *t)
{
    bool up_reads = !t->up.eof && !t->up.pending, down_reads = !t->down.eof && !t->down.pending;
    if (t->last)
        up_reads = down_reads = false;
    int client = (up_reads ? UV_READABLE : 0) | (t->down.pending ? UV_WRITABLE : 0);
    int server = (down_reads ? UV_READABLE : 0) | (t->up.pending ? UV_WRITABLE : 0);
    return watch(&t->client, client) && watch(&t->server, server);
}

static void move_to(struct list *list, struct tunnel *t)
{
    list_remove(&t->link);
    list_append(list, &t->link);
    t->since_ms = uv_now(t->forwarder->loop);
}

static bool delivered(const struct flow *w)
{
    int unacknowledged = 0;
    if (w->pending)
        return false;
    return ioctl(w->to->fd, TIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0;
}

/* Delivers what the broken side had sent before. True: all of it is there, or never will be. */
static bool last_words(struct tunnel *t)
{
    struct flow *w = t->last;
    if (!flush(w))
        return true;
    while (!w->pending && !w->eof) {
        uint64_t before = w->bytes;
        if (pump(w, t->forwarder->buffer) || (w->bytes == before && !w->pending))
            w->eof = true;
    }
    return delivered(w);
}

/* A side broke off, and the other will be reset. That would take back what was last passed to it,
 * so it is done when that has arrived. */
static void on_reset(struct tunnel *t, struct side *broken)
{
    struct flow *lost = broken == &t->client ? &t->down : &t->up;
    t->last = broken == &t->client ? &t->up : &t->down;
    t->last->shut = true; /* it must not look like an orderly end */
    mem_free(lost->pending);
    lost->pending = NULL;
    move_to(&t->forwarder->lingering, t);
    if (last_words(t) || !watch_both(t))
        tunnel_end(t, FORWARD_RESET);
}

static void on_connected(struct tunnel *t, int status)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(t->server.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0 ||
        status < 0 || self_connected(t->server.fd)) {
        tunnel_end(t, FORWARD_REFUSED);
        return;
    }
    t->connected = true;
    t->forwarder->counters->opened++;
    move_to(&t->forwarder->active, t);
    if (!flush(&t->up))
        on_reset(t, &t->server);
    else if (!watch_both(t))
        tunnel_end(t, FORWARD_RESET);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct side *s = handle->data;
    struct tunnel *t = s->tunnel;
    if (!t->connected) {
        on_connected(t, status);
        return;
    }
    struct flow *out = s == &t->client ? &t->up : &t->down;
    struct flow *in = s == &t->client ? &t->down : &t->up;
    if (status < 0)
        s->events = 0; /* libuv has stopped watching */
    if (t->last) {
        if (status < 0 || last_words(t) || !watch_both(t))
            tunnel_end(t, FORWARD_RESET);
        return;
    }
    move_to(&t->forwarder->active, t);
    struct side *broken = status < 0 || (events & UV_WRITABLE && !flush(in)) ? s : NULL;
    if (!broken && events & UV_READABLE)
        broken = pump(out, t->forwarder->buffer);
    if (broken)
        on_reset(t, broken);
    else if (t->up.shut && t->down.shut)
        tunnel_end(t, FORWARD_CLOSED);
    else if (!watch_both(t))
        tunnel_end(t, FORWARD_RESET);
}

/* -- time -- */

static struct tunnel *overdue(struct list *list, uint64_t now_ms, uint32_t limit_ms)
{
    if (list_empty(list))
        return NULL;
    struct tunnel *t = list_entry(list->next, struct tunnel, link);
    return now_ms - t->since_ms >= limit_ms ? t : NULL;
}

static void on_sweep(uv_timer_t *timer)
{
    struct forwarder *f = timer->data;
    uint64_t now = uv_now(f->loop);
    struct tunnel *t;
    while ((t = overdue(&f->connecting, now, f->limits.connect_ms)))
        tunnel_end(t, FORWARD_REFUSED);
    while ((t = overdue(&f->active, now, f->limits.idle_ms)))
        tunnel_end(t, FORWARD_IDLE);
    while ((t = overdue(&f->lingering, now, f->limits.linger_ms)))
        tunnel_end(t, FORWARD_RESET);
    struct list *next;
    for (struct list *at = f->lingering.next; at != &f->lingering; at = next) {
        next = at->next;
        t = list_entry(at, struct tunnel, link);
        if (last_words(t))
            tunnel_end(t, FORWARD_RESET);
    }
}

/* -- starting -- */

static void tune(int fd)
{
    int on = 1, idle_s = 60;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* A client that vanished without a word is noticed long before the idle limit. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

static int connect_to(const struct addr *to, int *fd)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(to, &sa);
    *fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return STEAD_E_IO;
    tune(*fd);
    if (connect(*fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
        return STEAD_OK;
    close(*fd);
    return STEAD_E_UNREACHABLE;
}

static int side_init(struct tunnel *t, struct side *s, int fd)
{
    s->tunnel = t;
    s->fd = fd;
    s->poll.data = s;
    if (uv_poll_init(t->forwarder->loop, &s->poll, fd) != 0)
        return STEAD_E_IO;
    t->handles++;
    return STEAD_OK;
}

/* After a failed start: nothing of the request was taken. */
static int abandon(struct tunnel *t, int server)
{
    bool client_made = t->client.tunnel && t->handles == 2, server_made = t->handles >= 1;
    t->client.fd = -1;
    t->server.fd = -1;
    if (!server_made) {
        t->forwarder->memory--;
        mem_free(t);
    } else {
        close_side(&t->server, false);
        if (client_made)
            close_side(&t->client, false);
    }
    close(server);
    return STEAD_E_IO;
}

int forward_start(struct forwarder *f, const struct forward_request *r)
{
    if (f->closing || f->tunnels >= f->limits.tunnels_max) {
        f->counters->busy++;
        return STEAD_E_BUSY;
    }
    struct tunnel *t = mem_alloc(sizeof(*t));
    if (!t)
        return STEAD_E_NOMEM;
    int server;
    int e = connect_to(&r->to, &server);
    if (e != STEAD_OK) {
        f->counters->refused += e == STEAD_E_UNREACHABLE;
        mem_free(t);
        return e;
    }
    t->forwarder = f;
    f->memory++;
    if (side_init(t, &t->server, server) != STEAD_OK ||
        side_init(t, &t->client, r->client) != STEAD_OK || !watch(&t->server, UV_WRITABLE))
        return abandon(t, server);
    tune(r->client);
    t->up = (struct flow){&t->client, &t->server, r->bytes, 0, r->len, false, false, 0};
    t->down = (struct flow){&t->server, &t->client, NULL, 0, 0, false, false, 0};
    t->ended = r->ended;
    t->context = r->context;
    t->since_ms = uv_now(f->loop);
    list_append(&f->connecting, &t->link);
    f->counters->open++;
    if (f->tunnels++ == 0)
        uv_timer_start(&f->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return STEAD_OK;
}

size_t forwarder_tunnels(const struct forwarder *f)
{
    return f->tunnels;
}

int forwarder_open(const struct forwarder_config *c, struct forwarder **out)
{
    struct forwarder *f = mem_alloc(sizeof(*f));
    if (!f)
        return STEAD_E_NOMEM;
    f->loop = c->loop;
    f->limits = c->limits;
    f->counters = c->counters;
    list_init(&f->connecting);
    list_init(&f->active);
    list_init(&f->lingering);
    uv_timer_init(f->loop, &f->sweep);
    f->sweep.data = f;
    f->memory = 1;
    *out = f;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
    forwarder_forget(h->data);
}

void forwarder_close(struct forwarder *f, void (*closed)(void *context), void *context)
{
    f->closing = true;
    f->closed = closed;
    f->closed_context = context;
    struct list *lists[] = {&f->connecting, &f->active, &f->lingering};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        while (!list_empty(lists[i]))
            tunnel_end(list_entry(lists[i]->next, struct tunnel, link), FORWARD_STOPPED);
    uv_timer_stop(&f->sweep);
    uv_close((uv_handle_t *)&f->sweep, on_timer_closed);
}
