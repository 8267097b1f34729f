/* users.c - the two loops of asking: the kernel and the agents, for each server. */
#include "role/director/users.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "io/socket_diag.h"
#include "store/store_own.h"

#include <assert.h>

#define KERNEL_SHARE 10     /* waits so many times as long as a count took */
#define CHECK_WAIT_MS 20    /* until the own check's connection is gone */
#define CHECK_WAITS_MAX 100 /* then it is counted with it */

struct counted {
    struct users *users;
    struct users_source source;
    unsigned server;
    uv_timer_t kernel_timer, agent_timer;
    uv_work_t work;
    bool working;
    unsigned waits;
    uint64_t began_ns;
    int err, last_err; /* of counts */
    uint32_t count;
    struct agent_ask *ask; /* under way */
    enum agent_ask_end last_end;
    bool last_unknown;
};

struct users {
    struct users_config config;
    size_t handles;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
    struct counted counted[];
};

static void release(struct users *u)
{
    u->handles--;
    if (!u->closing || u->handles > 0)
        return;
    void (*closed)(void *) = u->closed;
    void *context = u->closed_context;
    mem_free(u);
    if (closed)
        closed(context);
}

/* -- the kernel -- */

static void on_kernel_due(uv_timer_t *t);

static void count_now(uv_work_t *work)
{
    struct counted *c = work->data;
    struct socket_diag q = {c->source.port};
    c->err = socket_diag_count(&q, &c->count);
}

static void log_count(struct counted *c)
{
    if (c->err == c->last_err)
        return;
    if (c->err)
        log_warn("users-uncounted", "service=%s port=%u error=%s", c->source.service,
                 c->source.port.port, stead_error_name(c->err));
    else
        log_info("users-counted", "service=%s port=%u", c->source.service, c->source.port.port);
    c->last_err = c->err;
}

static void on_counted(uv_work_t *work, int status)
{
    struct counted *c = work->data;
    struct users *u = c->users;
    c->working = false;
    if (u->closing || status != 0) {
        release(u);
        return;
    }
    uint64_t now = io_now_ns(), took_ms = (now - c->began_ns) / NS_PER_MS;
    u->config.counters->kernel_counts++;
    u->config.counters->kernel_failed += c->err != STEAD_OK;
    u->config.counters->kernel_capped += c->count >= SOCKET_DIAG_MAX;
    log_count(c);
    if (c->err == STEAD_OK) {
        struct told told = {.what = TOLD_USERS, .users = c->count};
        store_own_tell(u->config.store, c->server, TELLER_KERNEL, &told, now);
    }
    uint64_t wait = c->source.kernel_interval_ms;
    wait = wait > took_ms * KERNEL_SHARE ? wait : took_ms * KERNEL_SHARE;
    uv_timer_start(&c->kernel_timer, on_kernel_due, wait, 0);
    release(u);
}

static void on_kernel_due(uv_timer_t *t)
{
    struct counted *c = t->data;
    const struct health *h = c->users->config.health;
    if (h && health_checking(h, c->server) && c->waits++ < CHECK_WAITS_MAX) {
        uv_timer_start(t, on_kernel_due, CHECK_WAIT_MS, 0);
        return;
    }
    c->waits = 0;
    c->began_ns = io_now_ns();
    c->work.data = c;
    if (uv_queue_work(t->loop, &c->work, count_now, on_counted) != 0) {
        uv_timer_start(t, on_kernel_due, c->source.kernel_interval_ms, 0);
        return;
    }
    c->working = true;
    c->users->handles++;
}

/* -- agents -- */

static void log_agent(struct counted *c, enum agent_ask_end end)
{
    char to[ADDR_TEXT_MAX];
    if (end == c->last_end)
        return;
    if (end == AGENT_ASK_TOLD)
        log_info("agent", "service=%s address=%s what=answers", c->source.service,
                 addr_format(&c->source.agent, to));
    else
        log_warn("agent", "service=%s address=%s what=%s", c->source.service,
                 addr_format(&c->source.agent, to), agent_ask_end_name(end));
    c->last_end = end;
}

static void on_asked(void *context, enum agent_ask_end end, const struct agent_word *w)
{
    struct counted *c = context;
    struct users *u = c->users;
    c->ask = NULL;
    if (u->closing) {
        release(u);
        return;
    }
    u->config.counters->agent_ends[end]++;
    log_agent(c, end);
    if (end == AGENT_ASK_TOLD) {
        u->config.counters->agent_unknown_words += w->unknown;
        if (w->unknown > 0 && !c->last_unknown)
            log_warn("agent", "service=%s what=unknown-words count=%u", c->source.service,
                     w->unknown);
        c->last_unknown = w->unknown > 0;
        if (w->told.what)
            store_own_tell(u->config.store, c->server, TELLER_AGENT, &w->told, io_now_ns());
    }
    release(u);
}

static void on_agent_due(uv_timer_t *t)
{
    struct counted *c = t->data;
    if (c->ask)
        return;
    struct agent_ask_config a = {.loop = t->loop,
                                 .to = c->source.agent,
                                 .send = c->source.agent_send,
                                 .timeout_ms = c->source.agent_timeout_ms,
                                 .done = on_asked,
                                 .context = c};
    c->ask = agent_ask_start(&a); /* without memory: the next time */
    c->users->handles += c->ask != NULL;
}

/* -- lifetime -- */

static void start(struct counted *c)
{
    struct users *u = c->users;
    uv_timer_init(u->config.loop, &c->kernel_timer);
    uv_timer_init(u->config.loop, &c->agent_timer);
    u->handles += 2;
    c->kernel_timer.data = c->agent_timer.data = c;
    c->last_end = AGENT_ASK_TOLD;
    if (c->source.kernel)
        uv_timer_start(&c->kernel_timer, on_kernel_due, 0, 0);
    if (c->source.agent.family)
        uv_timer_start(&c->agent_timer, on_agent_due, 0, c->source.agent_interval_ms);
}

int users_open(const struct users_config *c, struct users **out)
{
    assert(c->count <= ENTRY_SERVERS_MAX);
    struct users *u = mem_alloc(sizeof(*u) + c->count * sizeof(struct counted));
    if (!u)
        return STEAD_E_NOMEM;
    u->config = *c;
    for (size_t i = 0; i < c->count; i++) {
        u->counted[i].users = u;
        u->counted[i].server = (unsigned)i;
        u->counted[i].source = c->sources[i];
        start(&u->counted[i]);
    }
    *out = u;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct counted *c = h->data;
    release(c->users);
}

void users_close(struct users *u, void (*closed)(void *context), void *context)
{
    u->closed = closed;
    u->closed_context = context;
    u->handles++; /* until all are told to close */
    u->closing = true;
    for (size_t i = 0; i < u->config.count; i++) {
        struct counted *c = &u->counted[i];
        uv_close((uv_handle_t *)&c->kernel_timer, on_timer_closed);
        uv_close((uv_handle_t *)&c->agent_timer, on_timer_closed);
        if (c->working)
            uv_cancel((uv_req_t *)&c->work);
        if (c->ask)
            agent_ask_cancel(c->ask);
    }
    release(u);
}
