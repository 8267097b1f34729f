/* link.c - connections to the node: idle ones, and those on which an answer is still to come that
 * nobody waits for. */
#include "libtls/link.h"

#include "base/mem.h"

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t link_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* -- life -- */

int link_init(struct link *l, const char *where, const char *token, uint32_t deadline_ms)
{
    struct stead_sessions *first;
    *l = (struct link){.deadline_ms = deadline_ms, .owner = getpid()};
    int err = stead_sessions_new(where, token, &first);
    if (err)
        return err;
    l->idle[l->idle_count++] = first;
    pthread_mutex_init(&l->lock, NULL);
    l->where = where ? mem_strdup(where) : NULL;
    l->token = token ? mem_strdup(token) : NULL;
    if ((!where || l->where) && (!token || l->token))
        return STEAD_OK;
    link_deinit(l);
    return STEAD_E_NOMEM;
}

static void close_all(struct link *l)
{
    while (l->idle_count)
        stead_sessions_free(l->idle[--l->idle_count]);
    while (l->sent_count)
        stead_sessions_free(l->sent[--l->sent_count].node);
}

void link_deinit(struct link *l)
{
    close_all(l);
    pthread_mutex_destroy(&l->lock);
    mem_free(l->where);
    if (l->token)
        explicit_bzero(l->token, strlen(l->token));
    mem_free(l->token);
}

/* -- is the node there? -- */

void link_told(struct link *l, int err)
{
    bool lost = err == STEAD_E_DEADLINE || err == STEAD_E_UNREACHABLE || err == STEAD_E_CLOSED ||
                err == STEAD_E_IO || err == STEAD_E_UNKNOWN || err == STEAD_E_DENIED;
    if (err < 0 && !lost)
        return;
    pthread_mutex_lock(&l->lock);
    bool changed = l->lost != lost;
    l->lost = lost;
    /* One that stands still would cost every handshake its deadline. */
    if (err == STEAD_E_DEADLINE)
        l->quiet_until_ms = link_now_ms() + LINK_QUIET_MS;
    else if (!lost)
        l->quiet_until_ms = 0;
    pthread_mutex_unlock(&l->lock);
    if (changed && l->tell)
        l->tell(l->context, lost);
}

bool link_is_lost(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    bool lost = l->lost;
    pthread_mutex_unlock(&l->lock);
    return lost;
}

/* -- connections; the lock is held -- */

static void put_back(struct link *l, struct stead_sessions *node)
{
    if (l->idle_count < LINK_IDLE_MAX)
        l->idle[l->idle_count++] = node;
    else
        stead_sessions_free(node);
}

static void reap(struct link *l)
{
    const char *body;
    size_t len;
    int status;
    for (size_t i = 0; i < l->sent_count;) {
        int err = stead_sessions_answer(l->sent[i].node, &status, &body, &len);
        if (err == STEAD_PENDING) {
            i++;
            continue;
        }
        if (l->sent[i].counts)
            atomic_fetch_add(err || status >= 300 ? &l->unkept : &l->kept, 1);
        put_back(l, l->sent[i].node);
        l->sent[i] = l->sent[--l->sent_count];
    }
}

void link_settle(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->owner == getpid())
        reap(l);
    pthread_mutex_unlock(&l->lock);
}

/* A connection that a parent process goes on with would give us its answers. */
static int take(struct link *l, struct stead_sessions **node)
{
    pid_t self = getpid();
    if (l->owner != self)
        close_all(l);
    l->owner = self;
    reap(l);
    if (l->quiet_until_ms > link_now_ms())
        return STEAD_E_UNREACHABLE;
    if (l->idle_count) {
        *node = l->idle[--l->idle_count];
        return STEAD_OK;
    }
    return stead_sessions_new(l->where, l->token, node);
}

/* -- calls -- */

int link_begin(struct link *l, struct link_call *c, const struct stead_ask *ask)
{
    struct stead_ask bounded = *ask;
    bounded.deadline_ms = l->deadline_ms;
    int err = STEAD_OK;
    if (!c->node) {
        pthread_mutex_lock(&l->lock);
        err = take(l, &c->node);
        pthread_mutex_unlock(&l->lock);
    }
    c->until_ms = link_now_ms() + l->deadline_ms;
    return err ? err : stead_sessions_ask(c->node, &bounded);
}

int link_step(struct link *l, struct link_call *c, int *status, const char **body, size_t *len)
{
    int err = stead_sessions_answer(c->node, status, body, len);
    if (err == STEAD_E_UNKNOWN && link_now_ms() >= c->until_ms)
        err = STEAD_E_DEADLINE; /* of something that it may have done */
    if (err != STEAD_PENDING)
        link_told(l, err);
    return err;
}

void link_poll(const struct link_call *c)
{
    struct pollfd p = {.fd = stead_sessions_fd(c->node), .events = stead_sessions_events(c->node)};
    (void)poll(&p, 1, stead_sessions_timeout_ms(c->node));
}

int link_wait(struct link *l, struct link_call *c, int *status, const char **body, size_t *len)
{
    int err;
    while ((err = link_step(l, c, status, body, len)) == STEAD_PENDING)
        link_poll(c);
    return err;
}

void link_end(struct link *l, struct link_call *c)
{
    if (!c->node)
        return;
    /* What has not been answered would be the next call's answer. */
    bool whole = stead_sessions_timeout_ms(c->node) < 0;
    pthread_mutex_lock(&l->lock);
    if (whole && l->owner == getpid())
        put_back(l, c->node);
    else
        stead_sessions_free(c->node);
    pthread_mutex_unlock(&l->lock);
    c->node = NULL;
}

void link_send(struct link *l, const struct stead_ask *ask, bool counts)
{
    struct link_call c = {NULL};
    const char *body;
    size_t len;
    int status = 0, err = link_begin(l, &c, ask);
    bool begun = !err;
    if (!err)
        err = stead_sessions_answer(c.node, &status, &body, &len);
    if (err == STEAD_PENDING && stead_sessions_events(c.node) != POLLIN)
        err = stead_sessions_answer(c.node, &status, &body, &len); /* by TCP the first connects */
    if (begun && err != STEAD_PENDING)
        link_told(l, err);
    pthread_mutex_lock(&l->lock);
    bool room = l->sent_count < LINK_SENT_MAX;
    if (err == STEAD_PENDING && room) {
        l->sent[l->sent_count].counts = counts;
        l->sent[l->sent_count++].node = c.node;
        c.node = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    bool done = err == STEAD_OK && status < 300;
    if (counts && (err != STEAD_PENDING || !room))
        atomic_fetch_add(done ? &l->kept : &l->unkept, 1);
    link_end(l, &c);
}
