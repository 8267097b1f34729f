/* upstream.c - connecting to real servers, and keeping connections for the next request. */
#include "role/director/upstream.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void count(atomic_uint_fast64_t *counter, int by)
{
    atomic_fetch_add_explicit(counter, (uint_fast64_t)by, memory_order_relaxed);
}

void upstreams_init(struct upstreams *p)
{
    p->count = 0;
    for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
        list_init(&p->kept[i]);
        p->kept_count[i] = 0;
    }
}

/* -- the end -- */

static void unkeep(struct upstream *u)
{
    list_remove(&u->link);
    u->pool->kept_count[u->slot]--;
    count(&u->pool->counters->kept, -1);
}

struct stream upstream_release(struct upstream *u)
{
    struct upstreams *p = u->pool;
    struct stream s = u->stream;
    poller_forget(p->poller, &u->item);
    if (!u->owner)
        unkeep(u);
    p->count--;
    mem_free(u->name);
    mem_free(u);
    return s;
}

void upstream_close(struct upstream *u, bool reset)
{
    struct upstreams *p = u->pool;
    poller_forget(p->poller, &u->item);
    stream_close(&u->stream, reset);
    if (!u->owner)
        unkeep(u);
    p->count--;
    mem_free(u->name);
    mem_free(u);
}

void upstreams_deinit(struct upstreams *p)
{
    for (size_t i = 0; i < UPSTREAM_SLOTS; i++)
        while (!list_empty(&p->kept[i]))
            upstream_close(list_entry(p->kept[i].next, struct upstream, link), false);
}

void upstreams_sweep(struct upstreams *p, uint64_t now_ms)
{
    for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
        while (!list_empty(&p->kept[i])) {
            struct upstream *oldest = list_entry(p->kept[i].prev, struct upstream, link);
            if (now_ms - oldest->since_ms < p->rules[i].kept_ms)
                break;
            upstream_close(oldest, false);
        }
    }
}

void upstreams_renew(struct upstreams *p, size_t slot)
{
    struct list *next;
    for (struct list *at = p->kept[slot].next; at != &p->kept[slot]; at = next) {
        struct upstream *u = list_entry(at, struct upstream, link);
        next = at->next;
        if (!addr_equal(&u->to, &p->rules[slot].to))
            upstream_close(u, false);
    }
}

/* Of whatever server: somebody needs its place. */
static bool close_one_kept(struct upstreams *p)
{
    for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
        if (list_empty(&p->kept[i]))
            continue;
        upstream_close(list_entry(p->kept[i].prev, struct upstream, link), false);
        return true;
    }
    return false;
}

/* -- use -- */

static void on_ready(struct poller_item *item, uint32_t events)
{
    struct upstream *u = list_entry(item, struct upstream, item);
    if (u->owner)
        u->pool->ready(u->owner, events);
    else
        upstream_close(u, false);
}

bool upstream_watch(struct upstream *u, bool read, bool write)
{
    return poller_watch(u->pool->poller, &u->item, stream_events(&u->stream, read, write));
}

void upstream_keep(struct upstream *u)
{
    struct upstreams *p = u->pool;
    const struct upstream_rule *rule = &p->rules[u->slot];
    bool elsewhere = u->slot != UPSTREAM_OTHER && !addr_equal(&u->to, &rule->to);
    if (elsewhere || p->kept_count[u->slot] >= rule->kept_max || !upstream_watch(u, true, false)) {
        upstream_close(u, false);
        return;
    }
    u->owner = NULL;
    u->since_ms = uv_now(p->loop);
    list_prepend(&p->kept[u->slot], &u->link);
    p->kept_count[u->slot]++;
    count(&p->counters->kept, 1);
}

static bool still_silent(const struct upstream *u)
{
    char byte;
    return recv(u->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool same_name(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The newest that leads where it shall. */
static struct upstream *find_kept(struct upstreams *p, size_t slot, const struct addr *to,
                                  const char *name)
{
    for (struct list *at = p->kept[slot].next; at != &p->kept[slot]; at = at->next) {
        struct upstream *u = list_entry(at, struct upstream, link);
        if (slot != UPSTREAM_OTHER || (addr_equal(&u->to, to) && same_name(u->name, name)))
            return u;
    }
    return NULL;
}

struct upstream *upstream_reuse(struct upstreams *p, size_t slot, const struct addr *to,
                                const char *name, void *owner, bool sure)
{
    struct upstream *u;
    while ((u = find_kept(p, slot, to, name))) {
        if (sure && !still_silent(u)) {
            upstream_close(u, false);
            continue;
        }
        unkeep(u);
        u->owner = owner;
        u->reused = true;
        count(&p->counters->reuses, 1);
        return u;
    }
    return NULL;
}

/* -- connecting -- */

static int dial(const struct addr *to, int *fd)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(to, &sa);
    int on = 1;
    *fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return STEAD_E_IO;
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(*fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
        return STEAD_OK;
    int why = errno;
    close(*fd);
    errno = why;
    /* No local port or buffer is left: that says nothing of the server. */
    return why == EADDRNOTAVAIL || why == ENOBUFS || why == EAGAIN ? STEAD_E_IO
                                                                   : STEAD_E_UNREACHABLE;
}

int upstream_connect(struct upstreams *p, size_t slot, const struct addr *to, const char *name,
                     void *owner, struct upstream **out)
{
    const struct addr *at = slot == UPSTREAM_OTHER ? to : &p->rules[slot].to;
    int fd;
    if (p->count >= p->max && !close_one_kept(p))
        return STEAD_E_BUSY;
    struct upstream *u = mem_alloc(sizeof(*u));
    if (!u)
        return STEAD_E_NOMEM;
    u->name = name ? mem_strdup(name) : NULL;
    if (name && (!u->name || !p->tls)) {
        mem_free(u->name);
        mem_free(u);
        return p->tls ? STEAD_E_NOMEM : STEAD_E_IO;
    }
    int e = dial(at, &fd);
    if (e != STEAD_OK) {
        count(e == STEAD_E_UNREACHABLE ? &p->counters->refused : &p->counters->failed, 1);
        mem_free(u->name);
        mem_free(u);
        return e;
    }
    u->item = (struct poller_item){.fd = fd, .ready = on_ready};
    u->stream.fd = fd;
    u->pool = p;
    u->owner = owner;
    u->slot = (uint8_t)slot;
    u->to = *at;
    if (!upstream_watch(u, false, true)) {
        close(fd);
        mem_free(u->name);
        mem_free(u);
        count(&p->counters->failed, 1);
        return STEAD_E_IO;
    }
    p->count++;
    *out = u;
    return STEAD_OK;
}

static bool socket_connected(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 &&
           !self_connected(fd);
}

enum upstream_progress upstream_connected(struct upstream *u)
{
    bool good = u->stream.tls || socket_connected(u->stream.fd);
    if (good && u->name && !u->stream.tls)
        good = (u->stream.tls = tls_connect(u->pool->tls, u->stream.fd, u->name)) != NULL;
    enum tls_progress t = good && u->name ? tls_handshake(u->stream.tls) : TLS_DONE;
    if (good && t == TLS_WAITS)
        return UPSTREAM_WAITS;
    u->connected = good && t == TLS_DONE;
    count(u->connected ? &u->pool->counters->connects : &u->pool->counters->refused, 1);
    return u->connected ? UPSTREAM_IS : UPSTREAM_FAILED;
}
