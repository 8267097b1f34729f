/* forward.c - tunnels: connecting, watching, ending. How bytes pass is flow.c's; which server and
 * why is decided elsewhere. */
#include "role/director/forward_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SWEEP_MS 100
#define COMPLAIN_MS 10000

void forward_limits_default(struct forward_limits *l)
{
    *l = (struct forward_limits){
        .tunnels_max = 10000, .connect_ms = 3000, .idle_ms = 3600 * 1000, .linger_ms = 2000};
}

const char *forward_end_name(enum forward_end e)
{
    static const char *const names[] = {
        [FORWARD_CLOSED] = "closed",     [FORWARD_REFUSED] = "refused", [FORWARD_RESET] = "reset",
        [FORWARD_IDLE] = "idle",         [FORWARD_STOPPED] = "stopped", [FORWARD_PASSED] = "passed",
        [FORWARD_ANSWERED] = "answered",
    };
    return names[e];
}

/* -- ending -- */

static void part_closed(void *context)
{
    struct forwarder *f = context;
    if (--f->parts > 0)
        return;
    void (*closed)(void *) = f->closed;
    void *closed_context = f->closed_context;
    flow_means_deinit(&f->means);
    mem_free(f);
    if (closed)
        closed(closed_context);
}

static void close_side(struct side *s, bool reset)
{
    if (s->stream.fd < 0)
        return;
    poller_forget(s->tunnel->forwarder->poller, &s->item);
    stream_close(&s->stream, reset);
}

void forward_end_tunnel(struct tunnel *t, enum forward_end end)
{
    struct forwarder *f = t->forwarder;
    struct forward_result result = {
        .end = end, .client = {.fd = -1}, .up = t->up.bytes, .down = t->down.bytes};
    if (end == FORWARD_REFUSED || end == FORWARD_ANSWERED) {
        poller_forget(f->poller, &t->client.item);
        result.client = t->client.stream;
        result.bytes = t->up.pending;
        result.len = t->up.len;
        t->client.stream = (struct stream){.fd = -1};
        t->up.pending = NULL;
    }
    f->counters->refused += end == FORWARD_REFUSED;
    f->counters->resets += end == FORWARD_RESET;
    f->counters->timeouts += end == FORWARD_IDLE;
    f->counters->passed += end == FORWARD_PASSED;
    f->counters->up_bytes += t->up.bytes - t->up_before;
    f->counters->down_bytes += t->down.bytes - t->down_before;
    f->counters->open--;
    f->tunnels--;
    list_remove(&t->link);
    if (f->tunnels == 0 && !f->closing)
        uv_timer_stop(&f->sweep);
    flow_drop(&t->up, &f->means);
    flow_drop(&t->down, &f->means);
    bool reset = end == FORWARD_RESET || end == FORWARD_STOPPED;
    close_side(&t->client, reset);
    close_side(&t->server, reset);
    t->ended(t->context, &result);
    mem_free(t);
}

/* -- watching -- */

static void on_ready(struct poller_item *item, uint32_t events);

static bool watch(struct side *s, bool want_read, bool want_write)
{
    uint32_t events = stream_events(&s->stream, want_read, want_write);
    /* By edges the kernel does not look again at what was just emptied. */
    if (events && !s->stream.tls)
        events |= EPOLLET | (want_read ? EPOLLRDHUP : 0u);
    return poller_watch(s->tunnel->forwarder->poller, &s->item, events);
}

static bool watch_both(struct tunnel *t)
{
    bool up_waits = flow_wants(&t->up), down_waits = flow_wants(&t->down);
    bool up_reads = !t->up.eof && !up_waits && !t->last;
    bool down_reads = !t->down.eof && !down_waits && !t->last;
    return watch(&t->client, up_reads, down_waits) && watch(&t->server, down_reads, up_waits);
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
    if (flow_waits(w))
        return false;
    return ioctl(w->to->fd, TIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0;
}

/* Delivers what the broken side had sent before. True: all of it is there, or never will be. */
static bool last_words(struct tunnel *t)
{
    struct flow *w = t->last;
    struct flow_means *m = &t->forwarder->means;
    if (!flow_flush(w, m))
        return true;
    while (!flow_waits(w) && !w->eof) {
        uint64_t before = w->bytes;
        if (flow_pump(w, m) != FLOW_OPEN || (w->bytes == before && !flow_waits(w)))
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
    flow_drop(lost, &t->forwarder->means);
    move_to(&t->forwarder->lingering, t);
    if (last_words(t) || !watch_both(t))
        forward_end_tunnel(t, FORWARD_RESET);
}

static void on_connected(struct tunnel *t)
{
    int error = 0;
    socklen_t len = sizeof(error);
    int fd = t->server.item.fd;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0 ||
        self_connected(fd)) {
        forward_end_tunnel(t, FORWARD_REFUSED);
        return;
    }
    t->connected = true;
    t->forwarder->counters->opened++;
    move_to(&t->forwarder->active, t);
    if (!flow_flush(&t->up, &t->forwarder->means))
        on_reset(t, &t->server);
    else if (!watch_both(t))
        forward_end_tunnel(t, FORWARD_RESET);
}

/* Returns the side that broke off, or NULL. */
static struct side *pass_on(struct tunnel *t, struct side *s, uint32_t events)
{
    struct side *other = s == &t->client ? &t->server : &t->client;
    struct flow *out = s == &t->client ? &t->up : &t->down;
    struct flow *in = s == &t->client ? &t->down : &t->up;
    struct flow_means *m = &t->forwarder->means;
    if (events & EPOLLERR || (events & EPOLLOUT && !flow_flush(in, m)))
        return s;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)))
        return NULL;
    enum flow_end end = flow_pump(out, m);
    return end == FLOW_OPEN ? NULL : end == FLOW_FROM_BROKE ? s : other;
}

/* What an edge has told of and was not read is asked for again: bytes beyond a turn, and the end
 * behind the last ones. */
static bool look_again(struct side *s, uint32_t events)
{
    const struct flow *out = s == &s->tunnel->client ? &s->tunnel->up : &s->tunnel->down;
    bool left = out->unread || events & (EPOLLRDHUP | EPOLLHUP);
    if (!left || out->eof || flow_waits(out) || !(s->item.events & EPOLLET))
        return true;
    return poller_again(s->tunnel->forwarder->poller, &s->item);
}

/* The rest of an answer. True: that was it. */
static bool answer_ends(struct tunnel *t)
{
    if (!t->down.bounded || flow_waits(&t->down) || (t->down.left && !t->down.eof))
        return false;
    forward_end_tunnel(t, t->down.left ? FORWARD_RESET : FORWARD_ANSWERED);
    return true;
}

static void on_ready(struct poller_item *item, uint32_t events)
{
    struct side *s = list_entry(item, struct side, item);
    struct tunnel *t = s->tunnel;
    if (!t->connected) {
        on_connected(t);
        return;
    }
    if (t->last) {
        if (events & EPOLLERR || last_words(t) || !watch_both(t))
            forward_end_tunnel(t, FORWARD_RESET);
        return;
    }
    move_to(&t->forwarder->active, t);
    struct side *broken = pass_on(t, s, events);
    if (broken)
        on_reset(t, broken);
    else if (answer_ends(t))
        return;
    else if (!t->down.bounded && t->up.shut && t->down.shut)
        forward_end_tunnel(t, FORWARD_CLOSED);
    else if (!watch_both(t) || !look_again(s, events))
        forward_end_tunnel(t, FORWARD_RESET);
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
        forward_end_tunnel(t, FORWARD_REFUSED);
    while ((t = overdue(&f->active, now, f->limits.idle_ms)))
        forward_end_tunnel(t, FORWARD_IDLE);
    while ((t = overdue(&f->lingering, now, f->limits.linger_ms)))
        forward_end_tunnel(t, FORWARD_RESET);
    struct list *next;
    for (struct list *at = f->lingering.next; at != &f->lingering; at = next) {
        next = at->next;
        t = list_entry(at, struct tunnel, link);
        if (last_words(t))
            forward_end_tunnel(t, FORWARD_RESET);
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

/* As the other end of the client's connection is here too, its port may be used at the same time:
 * the two differ in direction. */
static bool bind_as(int fd, const struct addr *from, bool own_port)
{
    struct sockaddr_storage sa;
    struct addr a = *from;
    int on = 1, level = a.family == 6 ? IPPROTO_IPV6 : IPPROTO_IP;
    a.port = own_port ? a.port : 0;
    socklen_t len = io_sockaddr(&a, &sa);
    if (setsockopt(fd, level, a.family == 6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)))
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (struct sockaddr *)&sa, len) == 0;
}

/* 0, or errno. */
static int try_connect(const struct addr *to, const struct addr *from, bool own_port, int *fd)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(to, &sa);
    *fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return errno;
    tune(*fd);
    if ((from->family == 0 || bind_as(*fd, from, own_port)) &&
        (connect(*fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS))
        return 0;
    int why = errno;
    close(*fd);
    return why;
}

static int connect_to(const struct addr *to, const struct addr *from, int *fd)
{
    int why = try_connect(to, from, true, fd);
    if (from->family && (why == EADDRINUSE || why == EADDRNOTAVAIL))
        why = try_connect(to, from, false, fd);
    errno = why;
    switch (why) {
    case 0:
        return STEAD_OK;
    /* No descriptor, local port, buffer or permission: that says nothing of the server. */
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case ENOBUFS:
    case EAGAIN:
    case EPERM:
    case EACCES:
        return STEAD_E_IO;
    default:
        return STEAD_E_UNREACHABLE;
    }
}

/* Connections in the listener's queue wait meanwhile, and those that are open go on. */
static void complain(struct forwarder *f, int errnum)
{
    uint64_t now = uv_now(f->loop);
    f->counters->failed++;
    if (now < f->complain_at_ms)
        return;
    f->complain_at_ms = now + COMPLAIN_MS;
    log_warn("forward-failed", "why=\"%s\" tunnels=%zu", io_error_text(errnum), f->tunnels);
}

static void side_init(struct tunnel *t, struct side *s, struct stream stream)
{
    *s = (struct side){.item = {.fd = stream.fd, .ready = on_ready}, .stream = stream, .tunnel = t};
}

int forward_room(struct forwarder *f, struct tunnel **out)
{
    if (f->closing || f->tunnels >= f->limits.tunnels_max) {
        f->counters->busy++;
        return STEAD_E_BUSY;
    }
    *out = mem_alloc(sizeof(**out));
    return *out ? STEAD_OK : STEAD_E_NOMEM;
}

int forward_start(struct forwarder *f, const struct forward_request *r)
{
    struct tunnel *t;
    int e = forward_room(f, &t);
    if (e != STEAD_OK)
        return e;
    int server;
    e = connect_to(&r->to, &r->from, &server);
    if (e != STEAD_OK) {
        if (e == STEAD_E_UNREACHABLE)
            f->counters->refused++;
        else
            complain(f, errno);
        mem_free(t);
        return e;
    }
    forward_init_sides(t, f, r->client, (struct stream){.fd = server});
    if (!watch(&t->server, false, true)) {
        complain(f, errno);
        close(server);
        mem_free(t);
        return STEAD_E_IO;
    }
    tune(r->client.fd);
    t->up.pending = r->bytes;
    t->up.len = (uint32_t)r->len;
    t->ended = r->ended;
    t->context = r->context;
    t->since_ms = uv_now(f->loop);
    list_append(&f->connecting, &t->link);
    f->counters->open++;
    if (f->tunnels++ == 0)
        uv_timer_start(&f->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return STEAD_OK;
}

void forward_init_sides(struct tunnel *t, struct forwarder *f, struct stream client,
                        struct stream server)
{
    t->forwarder = f;
    side_init(t, &t->server, server);
    side_init(t, &t->client, client);
    t->up = (struct flow){.from = &t->client.stream, .to = &t->server.stream};
    t->down = (struct flow){.from = &t->server.stream, .to = &t->client.stream};
}

int forward_run(struct tunnel *t, struct list *behind)
{
    struct forwarder *f = t->forwarder;
    if (!watch_both(t)) {
        poller_forget(f->poller, &t->client.item);
        poller_forget(f->poller, &t->server.item);
        complain(f, errno);
        return STEAD_E_IO;
    }
    t->connected = true;
    list_append(behind->next, &t->link);
    f->counters->opened++;
    f->counters->open++;
    if (f->tunnels++ == 0)
        uv_timer_start(&f->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return STEAD_OK;
}

int forward_join(struct forwarder *f, const struct forward_join *j)
{
    struct tunnel *t;
    int err = forward_room(f, &t);
    if (err)
        return err;
    forward_init_sides(t, f, j->client, j->server);
    t->up.pending = j->up;
    t->up.len = (uint32_t)j->up_len;
    t->down.pending = j->down;
    t->down.len = (uint32_t)j->down_len;
    t->ended = j->ended;
    t->context = j->context;
    t->since_ms = uv_now(f->loop);
    err = forward_run(t, f->active.prev);
    if (err)
        mem_free(t);
    return err;
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
    int e = poller_open(c->loop, &f->poller);
    if (e != STEAD_OK) {
        mem_free(f);
        return e;
    }
    /* A pipe has two descriptors as a tunnel has. */
    unsigned pipes = c->limits.tunnels_max / 8;
    flow_means_init(&f->means, pipes < FLOW_PIPES_MAX ? pipes : FLOW_PIPES_MAX);
    f->loop = c->loop;
    f->limits = c->limits;
    f->limits.tunnels_max -= f->means.pipes_max;
    f->counters = c->counters;
    list_init(&f->connecting);
    list_init(&f->active);
    list_init(&f->lingering);
    uv_timer_init(f->loop, &f->sweep);
    f->sweep.data = f;
    f->parts = 2;
    *out = f;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
    part_closed(h->data);
}

void forwarder_close(struct forwarder *f, void (*closed)(void *context), void *context)
{
    f->closing = true;
    f->closed = closed;
    f->closed_context = context;
    struct list *lists[] = {&f->connecting, &f->active, &f->lingering};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        while (!list_empty(lists[i]))
            forward_end_tunnel(list_entry(lists[i]->next, struct tunnel, link), FORWARD_STOPPED);
    uv_timer_stop(&f->sweep);
    poller_close(f->poller, part_closed, f);
    uv_close((uv_handle_t *)&f->sweep, on_timer_closed);
}
