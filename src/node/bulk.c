/* bulk.c - the bulk thread: its connections, who gets which message, and when to connect. */
#include "node/bulk.h"

#include "base/clock.h"
#include "base/mem.h"
#include "core/token/box_ring.h"
#include "io/io.h"
#include "node/bulk_link.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RETRY_NS NS_PER_S /* after a connection that came to nothing */
#define REST_MS 200       /* so often, whether a greeting takes too long */
#define IDLE_NS (60 * NS_PER_S)

/* To whom it was tried in vain, or the connection ended. */
struct failure {
    uint64_t peer, until_ns;
};

struct bulk {
    struct bulk_config config;
    struct link_own own;
    pthread_t thread;
    atomic_bool stopping;
    int wake_fd;
    struct box_ring fresh; /* a secret that is to be taken up */
    struct bulk_link links[BULK_LINKS_MAX];
    struct failure failures[BULK_LINKS_MAX];
    size_t next_failure;
};

static void wake(void *context)
{
    const struct bulk *b = context;
    const uint64_t one = 1;
    (void)!write(b->wake_fd, &one, sizeof one); /* full: it is awake */
}

/* -- links -- */

static struct bulk_link *find(struct bulk *b, uint64_t peer)
{
    struct bulk_link *found = NULL;
    for (size_t i = 0; i < BULK_LINKS_MAX; i++) {
        struct bulk_link *l = &b->links[i];
        bool ours = l->state != LINK_CLOSED && l->state != LINK_ACCEPTED && l->peer == peer;
        if (ours && (!found || l->state > found->state))
            found = l;
    }
    return found;
}

static struct bulk_link *spare(struct bulk *b)
{
    for (size_t i = 0; i < BULK_LINKS_MAX; i++)
        if (b->links[i].state == LINK_CLOSED)
            return &b->links[i];
    return NULL;
}

static struct failure *failure_of(struct bulk *b, uint64_t peer)
{
    for (size_t i = 0; i < BULK_LINKS_MAX; i++)
        if (b->failures[i].peer == peer)
            return &b->failures[i];
    return NULL;
}

static void note_failure(struct bulk *b, uint64_t peer, uint64_t now)
{
    struct failure *f = failure_of(b, peer);
    if (!f)
        f = &b->failures[b->next_failure++ % BULK_LINKS_MAX];
    *f = (struct failure){.peer = peer, .until_ns = now + RETRY_NS};
}

static void drop(struct bulk *b, struct bulk_link *l, uint64_t now)
{
    bool open = l->state == LINK_OPEN;
    atomic_fetch_sub(&b->config.counters->links, open);
    atomic_fetch_add(&b->config.counters->refused, !open);
    if (l->peer)
        note_failure(b, l->peer, now);
    bulk_link_close(l);
    store_return_bulk(b->config.store, &l->pending);
}

static bool address_of(struct bulk *b, uint64_t peer, struct addr *out)
{
    struct roster *r = store_roster(b->config.store);
    bool found = false;
    for (size_t i = 0; r && i < r->count && !found; i++) {
        found = r->nodes[i].entry->inc == peer;
        if (found)
            *out = r->nodes[i].entry->address;
    }
    roster_unref(r);
    return found && out->family;
}

/* NULL: not now. */
static struct bulk_link *connect_to(struct bulk *b, uint64_t peer, uint64_t now)
{
    struct addr to;
    const struct failure *f = failure_of(b, peer);
    struct bulk_link *l = spare(b);
    if (!l || (f && now < f->until_ns))
        return NULL;
    if (address_of(b, peer, &to) && bulk_link_connect(l, &b->own, peer, &to, now) == STEAD_OK)
        return l;
    note_failure(b, peer, now);
    return NULL;
}

static void accept_all(struct bulk *b, uint64_t now)
{
    int fd;
    while ((fd = accept4(b->config.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct bulk_link *l = spare(b);
        if (l && bulk_link_accept(l, fd, now) == STEAD_OK)
            continue;
        atomic_fetch_add(&b->config.counters->refused, 1);
        if (!l)
            close(fd);
    }
}

/* -- messages -- */

static void take(void *context, uint64_t from, const struct session_slice *slices, size_t count)
{
    struct bulk *b = context;
    atomic_fetch_add_explicit(&b->config.counters->in, count, memory_order_relaxed);
    store_deliver_batch(b->config.store, from, slices, count, io_now_ns());
}

static void route(struct bulk *b, uint64_t now)
{
    struct list messages, lost, *link;
    struct bulk_link *l = NULL;
    uint64_t peer = 0, out = 0, returned = 0;
    list_init(&messages);
    list_init(&lost);
    store_take_bulk(b->config.store, &messages);
    while ((link = list_pop(&messages))) {
        struct msg *m = list_entry(link, struct msg, link);
        uint32_t count = msg_count(m);
        if (m->peer != peer) {
            peer = m->peer;
            l = find(b, peer);
            if (!l)
                l = connect_to(b, peer, now);
        }
        if (l && bulk_link_queue(l, m)) {
            out += count;
            continue;
        }
        list_append(&lost, &m->link);
        returned += count;
    }
    store_return_bulk(b->config.store, &lost);
    atomic_fetch_add_explicit(&b->config.counters->out, out, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->config.counters->returned, returned, memory_order_relaxed);
}

/* -- the loop -- */

static void go(struct bulk *b, struct bulk_link *l, short events, uint64_t now)
{
    bool open = l->state == LINK_OPEN;
    bool on = bulk_link_go(l, &b->own, events, take, b);
    bool opened = !open && l->state == LINK_OPEN;
    atomic_fetch_add(&b->config.counters->links, opened);
    atomic_fetch_add(&b->config.counters->made, opened);
    if (opened || events)
        l->began_ns = opened || open ? now : l->began_ns;
    uint64_t limit = l->state == LINK_OPEN ? IDLE_NS : LINK_GREETING_NS;
    if (!on || now >= l->began_ns + limit)
        drop(b, l, now);
}

static void take_secret(struct bulk *b, uint64_t now)
{
    uint8_t keys[BOX_RING_MAX][TOKEN_KEY_BYTES];
    bool other = box_ring_get(&b->fresh, keys) > 0 &&
                 memcmp(keys[0], b->config.secret, sizeof b->config.secret) != 0;
    if (other)
        memcpy(b->config.secret, keys[0], sizeof b->config.secret);
    for (size_t i = 0; other && i < BULK_LINKS_MAX; i++)
        if (b->links[i].state != LINK_CLOSED)
            drop(b, &b->links[i], now);
    OPENSSL_cleanse(keys, sizeof keys);
}

static void turn(struct bulk *b)
{
    struct pollfd fds[BULK_LINKS_MAX + 2];
    size_t at[BULK_LINKS_MAX + 2] = {0};
    nfds_t count = 2;
    uint64_t wakes;
    take_secret(b, io_now_ns());
    fds[0] = (struct pollfd){.fd = b->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = b->config.listen_fd, .events = POLLIN};
    for (size_t i = 0; i < BULK_LINKS_MAX; i++) {
        const struct bulk_link *l = &b->links[i];
        if (l->state == LINK_CLOSED)
            continue;
        at[count] = i;
        fds[count++] = (struct pollfd){.fd = l->fd, .events = bulk_link_events(l)};
    }
    (void)poll(fds, count, count > 2 ? REST_MS : -1);
    uint64_t now = io_now_ns();
    if (fds[0].revents)
        (void)!read(b->wake_fd, &wakes, sizeof wakes);
    for (nfds_t i = 2; i < count; i++)
        go(b, &b->links[at[i]], fds[i].revents, now);
    if (b->config.listen_fd >= 0 && fds[1].revents)
        accept_all(b, now);
    route(b, now);
}

static void *loop(void *context)
{
    struct bulk *b = context;
    while (!atomic_load(&b->stopping))
        turn(b);
    return NULL;
}

static void free_all(struct bulk *b)
{
    if (b->config.listen_fd >= 0)
        close(b->config.listen_fd);
    if (b->wake_fd >= 0)
        close(b->wake_fd);
    OPENSSL_cleanse(b->config.secret, sizeof b->config.secret);
    box_ring_set(&b->fresh, NULL, 0);
    mem_free(b);
}

int bulk_start(const struct bulk_config *c, struct bulk **out)
{
    struct bulk *b = mem_alloc(sizeof *b);
    if (!b) {
        if (c->listen_fd >= 0)
            close(c->listen_fd);
        return STEAD_E_NOMEM;
    }
    b->config = *c;
    b->own = (struct link_own){.inc = c->inc, .secret = b->config.secret};
    b->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (b->wake_fd < 0 || pthread_create(&b->thread, NULL, loop, b)) {
        free_all(b);
        return STEAD_E_IO;
    }
    store_set_bulk_wake(c->store, (struct store_wake){.call = wake, .context = b});
    *out = b;
    return STEAD_OK;
}

void bulk_rekey(struct bulk *b, const uint8_t secret[BULK_SECRET_BYTES])
{
    if (!b)
        return;
    box_ring_set(&b->fresh, (const uint8_t(*)[TOKEN_KEY_BYTES])secret, 1);
    wake(b);
}

void bulk_stop(struct bulk *b)
{
    if (!b)
        return;
    store_set_bulk_wake(b->config.store, (struct store_wake){0});
    atomic_store(&b->stopping, true);
    wake(b);
    pthread_join(b->thread, NULL);
    route(b, TIME_NEVER);
    for (size_t i = 0; i < BULK_LINKS_MAX; i++)
        if (b->links[i].state != LINK_CLOSED)
            drop(b, &b->links[i], 0);
    free_all(b);
}
