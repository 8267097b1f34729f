/* agent_door.c - connections of agent checks: a line in, perhaps, and a line out. */
#include "role/director/agent_door.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/slice.h"
#include "core/roster/agent.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 128 /* a service's name and its end */

struct agent_door {
    uv_poll_t listener;
    struct agent_door_config config;
    struct list asks;
    size_t handles, open;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

struct asked {
    struct list link;
    struct agent_door *door;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    unsigned handles;
    bool answered, over;
    size_t len;
    char line[LINE_MAX_BYTES];
    char answer[AGENT_ANSWER_MAX];
};

static void maybe_free(struct agent_door *d)
{
    if (!d->closing || d->handles > 0)
        return;
    void (*closed)(void *) = d->closed;
    void *context = d->closed_context;
    mem_free(d);
    if (closed)
        closed(context);
}

static void on_ask_closed(uv_handle_t *h)
{
    struct asked *a = h->data;
    struct agent_door *d = a->door;
    d->handles--;
    if (--a->handles == 0) {
        list_remove(&a->link);
        d->open--;
        mem_free(a);
    }
    maybe_free(d);
}

static void end(struct asked *a)
{
    if (a->over)
        return;
    a->over = true;
    uv_close((uv_handle_t *)&a->tcp, on_ask_closed);
    uv_close((uv_handle_t *)&a->timer, on_ask_closed);
}

/* -- the answer -- */

static size_t print(const struct agent_door *d, uint32_t server, char out[AGENT_ANSWER_MAX])
{
    const struct agent_door_server *s = &d->config.servers[server];
    struct roster *r = store_roster(d->config.store);
    const struct roster_node *self = r ? roster_find(r, d->config.self_name) : NULL;
    const struct server *now = self ? roster_server(self, s->service) : NULL;
    size_t len;
    if (now) {
        uint64_t percent =
            s->weight ? ((uint64_t)now->weight * 100 + s->weight / 2) / s->weight : 0;
        if (percent == 0 && now->weight > 0)
            percent = 1;
        len = agent_print(roster_server_status(self, now),
                          percent < PERCENT_MAX ? (uint32_t)percent : PERCENT_MAX, out);
    } else {
        len = agent_print(STATUS_JOINING, 0, out);
    }
    roster_unref(r);
    return len;
}

static void on_shut(uv_shutdown_t *q, int status)
{
    (void)q;
    (void)status;
}

static void on_written(uv_write_t *q, int status)
{
    struct asked *a = q->data;
    if (status < 0 || a->over || uv_shutdown(&a->shutdown, (uv_stream_t *)&a->tcp, on_shut) != 0)
        end(a);
}

static void on_late(uv_timer_t *t)
{
    end(t->data);
}

/* Closed at once, what the asker has sent and nobody has read would make a reset of the answer. */
static void answer(struct asked *a, uint32_t server)
{
    struct agent_door *d = a->door;
    uv_buf_t buf = uv_buf_init(a->answer, (unsigned)print(d, server, a->answer));
    a->answered = true;
    a->write.data = a;
    uv_timer_start(&a->timer, on_late, AGENT_DOOR_LINGER_MS, 0);
    if (uv_write(&a->write, (uv_stream_t *)&a->tcp, &buf, 1, on_written) != 0)
        end(a);
    else
        d->config.counters->answered++;
}

static void answer_line(struct asked *a)
{
    struct agent_door *d = a->door;
    size_t len = 0;
    while (len < a->len && (unsigned char)a->line[len] > ' ')
        len++;
    for (uint32_t i = 0; i < d->config.server_count; i++)
        if (slice_is((struct slice){a->line, len}, d->config.servers[i].service)) {
            answer(a, i);
            return;
        }
    d->config.counters->unknown++;
    end(a);
}

static void on_quiet(uv_timer_t *t)
{
    answer_line(t->data);
}

/* -- reading -- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct asked *a = h->data;
    (void)suggested;
    if (a->answered)
        a->len = 0; /* what comes now is thrown away */
    *buf = uv_buf_init(a->line + a->len, (unsigned)(sizeof(a->line) - a->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct asked *a = s->data;
    (void)buf;
    if (a->answered) {
        if (n < 0)
            end(a);
        return;
    }
    if (n < 0) { /* it asked and half-closed, or the line is too long */
        answer_line(a);
        return;
    }
    a->len += (size_t)n;
    if (memchr(a->line, '\n', a->len) || memchr(a->line, '\r', a->len))
        answer_line(a);
}

static void begin(struct asked *a)
{
    struct agent_door *d = a->door;
    if (uv_read_start((uv_stream_t *)&a->tcp, on_alloc, on_read) != 0)
        end(a);
    else if (d->config.server != AGENT_DOOR_BY_LINE)
        answer(a, d->config.server);
    else
        uv_timer_start(&a->timer, on_quiet, AGENT_DOOR_WAIT_MS, 0);
}

static void refuse(struct agent_door *d, int fd)
{
    d->config.counters->refused++;
    close(fd);
}

static void take(struct agent_door *d, int fd)
{
    struct asked *a = d->open < AGENT_DOOR_CONNECTIONS_MAX ? mem_alloc(sizeof(*a)) : NULL;
    if (!a) {
        refuse(d, fd);
        return;
    }
    a->door = d;
    uv_tcp_init(d->config.loop, &a->tcp);
    uv_timer_init(d->config.loop, &a->timer);
    a->tcp.data = a->timer.data = a;
    a->handles = 2;
    d->handles += 2;
    d->open++;
    list_append(&d->asks, &a->link);
    if (uv_tcp_open(&a->tcp, fd) != 0) {
        refuse(d, fd);
        end(a);
        return;
    }
    begin(a);
}

static void on_readable(uv_poll_t *listener, int status, int events)
{
    struct agent_door *d = listener->data;
    (void)status;
    (void)events;
    for (int i = 0; i < AGENT_DOOR_CONNECTIONS_MAX; i++) {
        int fd = accept4(d->config.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        take(d, fd);
    }
}

/* -- lifetime -- */

static void on_listener_closed(uv_handle_t *h)
{
    struct agent_door *d = h->data;
    close(d->config.fd);
    d->handles--;
    maybe_free(d);
}

int agent_door_open(const struct agent_door_config *c, struct agent_door **out)
{
    assert(c->server == AGENT_DOOR_BY_LINE || c->server < c->server_count);
    struct agent_door *d = mem_alloc(sizeof(*d));
    if (!d)
        return STEAD_E_NOMEM;
    d->config = *c;
    list_init(&d->asks);
    d->listener.data = d;
    if (uv_poll_init(c->loop, &d->listener, c->fd) != 0) {
        mem_free(d);
        return STEAD_E_IO;
    }
    d->handles = 1;
    uv_poll_start(&d->listener, UV_READABLE, on_readable);
    *out = d;
    return STEAD_OK;
}

void agent_door_close(struct agent_door *d, void (*closed)(void *context), void *context)
{
    d->closing = true;
    d->closed = closed;
    d->closed_context = context;
    uv_close((uv_handle_t *)&d->listener, on_listener_closed);
    for (struct list *l = d->asks.next; l != &d->asks; l = l->next)
        end(list_entry(l, struct asked, link));
}
