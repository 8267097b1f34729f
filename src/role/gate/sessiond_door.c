/* sessiond_door.c - the thread that answers stunnel, and the questions that wait for other nodes.
 */
#include "role/gate/sessiond_door.h"

#include "base/clock.h"
#include "base/mem.h"
#include "core/sessiond/sessiond.h"
#include "io/io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAMS_MAX 64     /* in a turn; then results have theirs */
#define ERROR_PAUSE_US 1000  /* poll() fails only without memory */
#define WRITE_TAG UINT64_MAX /* of operations that no client waits for */
#define NO_SLOT UINT32_MAX
#define BUFFER_BYTES (4 << 20) /* a burst waits in the kernel */

/* Who asked. */
struct asker {
    struct sockaddr_storage at;
    socklen_t len;
    uint8_t id[SESSIOND_ID_BYTES];
};

struct waiting {
    struct asker asker;
    uint64_t until_ns;
    uint32_t generation, next_free;
    bool used;
};

struct sessiond_door {
    struct sessiond_door_config config;
    int wake_fd;
    pthread_t thread;
    atomic_bool stop, retired;
    uint32_t free_slot;
    struct waiting waiting[SESSIOND_WAITING_MAX];
    uint8_t in[SESSIOND_DATAGRAM_MAX + 1], out[SESSIOND_DATAGRAM_MAX];
    size_t out_len; /* of the answer that a read has made */
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- answers -- */

static void send_answer(struct sessiond_door *d, const struct asker *to)
{
    ssize_t n = sendto(d->config.fd, d->out, d->out_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&to->at, to->len);
    if (n < 0)
        count(&d->config.counters->unsent);
}

static void answer_miss(struct sessiond_door *d, const struct asker *to)
{
    count(&d->config.counters->misses);
    d->out_len = sessiond_answer(to->id, NULL, 0, d->out);
    send_answer(d, to);
}

/* A record that another door has made may have no value, or too long a one. */
static bool make_answer(struct sessiond_door *d, const uint8_t id[SESSIOND_ID_BYTES],
                        const struct record *r)
{
    const struct field *f = r != NULL ? record_get(r, "", 0) : NULL;
    d->out_len = 0;
    if (f != NULL && f->value_len > 0)
        d->out_len = sessiond_answer(id, field_value(f), f->value_len, d->out);
    return d->out_len > 0;
}

static void answer(struct sessiond_door *d, const struct asker *to, const struct record *r)
{
    if (!make_answer(d, to->id, r)) {
        answer_miss(d, to);
        return;
    }
    count(&d->config.counters->hits);
    send_answer(d, to);
}

/* -- questions that wait -- */

static uint32_t slot_take(struct sessiond_door *d, const struct asker *who)
{
    uint32_t slot = d->free_slot;
    if (slot == NO_SLOT)
        return NO_SLOT;
    struct waiting *w = &d->waiting[slot];
    d->free_slot = w->next_free;
    w->asker = *who;
    w->used = true;
    return slot;
}

static void slot_give(struct sessiond_door *d, uint32_t slot)
{
    struct waiting *w = &d->waiting[slot];
    w->used = false;
    w->generation++;
    w->next_free = d->free_slot;
    d->free_slot = slot;
}

/* Of a kind that may be lost, what could not be found out in time is told as absent. */
static void tell_read(struct sessiond_door *d, const struct waiting *w, struct session_result *r)
{
    if (r->status == STEAD_OK)
        count(&d->config.counters->elsewhere);
    else if (r->status == STEAD_E_DEADLINE || io_now_ns() >= w->until_ns)
        count(&d->config.counters->late);
    answer(d, &w->asker, r->status == STEAD_OK ? r->record : NULL);
}

/* A record that is there already, or gone already, is what was wanted. */
static void tell_write(struct sessiond_door *d, int status)
{
    if (status != STEAD_OK && status != STEAD_E_EXISTS && status != STEAD_E_ABSENT &&
        status != STEAD_E_ENDED)
        count(&d->config.counters->failed);
}

static void collect(struct sessiond_door *d)
{
    struct session_result *r;
    while ((r = store_collect(d->config.store, d->config.mailbox)) != NULL) {
        uint32_t slot = (uint32_t)r->request, generation = (uint32_t)(r->request >> 32);
        if (r->request == WRITE_TAG) {
            tell_write(d, r->status);
        } else if (slot < SESSIOND_WAITING_MAX && d->waiting[slot].used &&
                   d->waiting[slot].generation == generation) {
            tell_read(d, &d->waiting[slot], r);
            slot_give(d, slot);
        }
        session_result_free(r);
    }
}

/* -- requests -- */

struct reading {
    struct sessiond_door *door;
    const struct asker *asker;
    bool found;
};

static void take(void *context, const struct session_reading *r)
{
    struct reading *to = context;
    to->found = make_answer(to->door, to->asker->id, r->record);
}

static void ask_others(struct sessiond_door *d, const struct asker *who, struct session_op *op,
                       uint64_t now_ns)
{
    struct session_result *r = NULL;
    uint32_t slot = slot_take(d, who);
    if (slot == NO_SLOT) {
        count(&d->config.counters->full);
        answer_miss(d, who);
        return;
    }
    d->waiting[slot].until_ns = op->deadline_ns;
    op->request = (uint64_t)d->waiting[slot].generation << 32 | slot;
    int status = store_submit(d->config.store, d->config.mailbox, op, now_ns, &r);
    if (status == STEAD_PENDING)
        return;
    slot_give(d, slot);
    answer(d, who, r != NULL && r->status == STEAD_OK ? r->record : NULL);
    if (r != NULL)
        session_result_free(r);
}

static void get(struct sessiond_door *d, const struct asker *who, const struct key *key,
                uint64_t now_ns)
{
    struct reading reading = {d, who, false};
    struct session_op op = {
        .type = SESSION_READ, .key = key, .deadline_ns = now_ns + SESSIOND_GET_MS * NS_PER_MS};
    int status = store_read(d->config.store, &op, now_ns, take, &reading);
    if (status == STEAD_PENDING) {
        ask_others(d, who, &op, now_ns);
    } else if (status == STEAD_OK && reading.found) {
        count(&d->config.counters->hits);
        send_answer(d, who);
    } else {
        answer_miss(d, who);
    }
}

static void put(struct sessiond_door *d, struct session_op *op, uint64_t now_ns)
{
    struct session_result *r = NULL;
    op->deadline_ns = now_ns + SESSIOND_PUT_MS * NS_PER_MS;
    op->request = WRITE_TAG;
    int status = store_submit(d->config.store, d->config.mailbox, op, now_ns, &r);
    if (status != STEAD_PENDING)
        tell_write(d, r != NULL ? r->status : status);
    if (r != NULL)
        session_result_free(r);
}

static void serve(struct sessiond_door *d, struct asker *who, size_t len)
{
    struct sessiond_request request;
    struct key key;
    char text[SESSIOND_KEY_BYTES];
    uint64_t now_ns = io_now_ns();
    count(&d->config.counters->requests);
    if (sessiond_parse(d->in, len, &request) != STEAD_OK) {
        count(&d->config.counters->malformed);
        return;
    }
    memcpy(who->id, request.id, sizeof who->id);
    sessiond_key(request.id, text);
    (void)key_set(&key, d->config.kind, text, sizeof text); /* its length is fixed */
    struct field_op value = {.type = FIELD_SET,
                             .name = (const uint8_t *)"",
                             .value = request.value,
                             .value_len = request.value_len};
    struct session_op op = {.key = &key, .bare = true};
    switch (request.verb) {
    case SESSIOND_GET:
        get(d, who, &key, now_ns);
        break;
    case SESSIOND_NEW:
        count(&d->config.counters->stores);
        op.type = SESSION_CREATE;
        op.ttl_ms = request.life_s * 1000u;
        op.ops = &value;
        op.op_count = 1;
        put(d, &op, now_ns);
        break;
    case SESSIOND_REMOVE:
        count(&d->config.counters->removals);
        op.type = SESSION_END;
        put(d, &op, now_ns);
        break;
    }
}

/* The kernel tells with each datagram how many it has dropped before it, of all. */
static void see_dropped(struct sessiond_door *d, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        uint32_t dropped;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&dropped, CMSG_DATA(c), sizeof dropped);
        atomic_store_explicit(&d->config.counters->dropped, dropped, memory_order_relaxed);
    }
}

static void receive(struct sessiond_door *d)
{
    union {
        struct cmsghdr head; /* for its alignment */
        uint8_t bytes[CMSG_SPACE(sizeof(uint32_t))];
    } control;
    for (int i = 0; i < DATAGRAMS_MAX; i++) {
        struct asker who = {0};
        struct iovec in = {d->in, sizeof d->in};
        struct msghdr m = {.msg_name = &who.at,
                           .msg_namelen = sizeof who.at,
                           .msg_iov = &in,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(d->config.fd, &m, MSG_DONTWAIT);
        if (n < 0 && errno != EINTR)
            return;
        if (n < 0)
            continue;
        see_dropped(d, &m);
        who.len = m.msg_namelen;
        serve(d, &who, (size_t)n);
    }
}

/* -- the thread -- */

static void wake(void *context)
{
    struct sessiond_door *d = context;
    uint64_t one = 1;
    ssize_t n = write(d->wake_fd, &one, sizeof one); /* a full counter wakes as well */
    (void)n;
}

static void *run(void *context)
{
    struct sessiond_door *d = context;
    uint64_t woken;
    while (!atomic_load_explicit(&d->stop, memory_order_acquire)) {
        bool retired = atomic_load_explicit(&d->retired, memory_order_acquire);
        struct pollfd on[] = {{.fd = d->wake_fd, .events = POLLIN},
                              {.fd = retired ? -1 : d->config.fd, .events = POLLIN}};
        if (poll(on, 2, -1) < 0) {
            if (errno != EINTR)
                usleep(ERROR_PAUSE_US);
            continue;
        }
        if (on[0].revents && read(d->wake_fd, &woken, sizeof woken) > 0)
            collect(d);
        if (on[1].revents)
            receive(d);
    }
    return NULL;
}

/* -- life -- */

static void door_free(struct sessiond_door *d)
{
    if (d->wake_fd >= 0)
        close(d->wake_fd);
    explicit_bzero(d->in, sizeof d->in);
    explicit_bzero(d->out, sizeof d->out);
    mem_free(d);
}

/* What the system does not grant, it does without. */
static void tune(int fd)
{
    int on = 1, bytes = BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    /* FORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

int sessiond_door_open(const struct sessiond_door_config *c, struct sessiond_door **out)
{
    struct sessiond_door *d = mem_alloc(sizeof *d);
    if (d == NULL)
        return STEAD_E_NOMEM;
    d->config = *c;
    for (uint32_t i = 0; i < SESSIOND_WAITING_MAX; i++)
        d->waiting[i].next_free = i + 1 < SESSIOND_WAITING_MAX ? i + 1 : NO_SLOT;
    d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (d->wake_fd < 0) {
        door_free(d);
        return STEAD_E_IO;
    }
    tune(c->fd);
    store_set_wake(c->store, c->mailbox, (struct store_wake){wake, d});
    if (pthread_create(&d->thread, NULL, run, d) != 0) {
        store_set_wake(c->store, c->mailbox, (struct store_wake){0});
        door_free(d);
        return STEAD_E_IO;
    }
    *out = d;
    return STEAD_OK;
}

void sessiond_door_retire(struct sessiond_door *d, bool retired)
{
    atomic_store_explicit(&d->retired, retired, memory_order_release);
    wake(d);
}

void sessiond_door_close(struct sessiond_door *d)
{
    if (d == NULL)
        return;
    store_set_wake(d->config.store, d->config.mailbox, (struct store_wake){0});
    atomic_store_explicit(&d->stop, true, memory_order_release);
    wake(d);
    pthread_join(d->thread, NULL);
    close(d->config.fd);
    door_free(d);
}
