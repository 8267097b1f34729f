/* agent_ask.c - one connection to an agent, for one line. */
#include "role/director/agent_ask.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <stdio.h>
#include <string.h>

struct agent_ask {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    struct agent_ask_config config;
    unsigned handles;
    bool over;
    enum agent_ask_end end;
    struct agent_word word;
    char send[AGENT_SEND_MAX + 1];
    size_t len;
    char line[AGENT_LINE_MAX];
};

const char *agent_ask_end_name(enum agent_ask_end e)
{
    static const char *const names[AGENT_ASK_ENDS] = {[AGENT_ASK_TOLD] = "told",
                                                      [AGENT_ASK_UNREACHABLE] = "unreachable",
                                                      [AGENT_ASK_TIMEOUT] = "timeout",
                                                      [AGENT_ASK_MALFORMED] = "malformed",
                                                      [AGENT_ASK_CANCELLED] = "cancelled"};
    return names[e];
}

static void on_handle_closed(uv_handle_t *h)
{
    struct agent_ask *a = h->data;
    if (--a->handles > 0)
        return;
    struct agent_ask_config c = a->config;
    struct agent_word word = a->word;
    enum agent_ask_end end = a->end;
    mem_free(a);
    c.done(c.context, end, end == AGENT_ASK_TOLD ? &word : NULL);
}

static void finish(struct agent_ask *a, enum agent_ask_end end)
{
    if (a->over)
        return;
    a->over = true;
    a->end = end;
    uv_close((uv_handle_t *)&a->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&a->timer, on_handle_closed);
}

static void on_timeout(uv_timer_t *t)
{
    finish(t->data, AGENT_ASK_TIMEOUT);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct agent_ask *a = h->data;
    (void)suggested;
    *buf = uv_buf_init(a->line + a->len, (unsigned)(sizeof(a->line) - a->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct agent_ask *a = s->data;
    (void)buf;
    if (n < 0) { /* without a line's end what came may be half a word */
        finish(a, a->len > 0 ? AGENT_ASK_MALFORMED : AGENT_ASK_UNREACHABLE);
        return;
    }
    a->len += (size_t)n;
    int e = agent_parse(a->line, a->len, &a->word);
    if (e != 0)
        finish(a, e > 0 ? AGENT_ASK_TOLD : AGENT_ASK_MALFORMED);
}

static void on_written(uv_write_t *q, int status)
{
    /* What the agent said before it closed may still be read. */
    (void)q;
    (void)status;
}

static void on_connected(uv_connect_t *q, int status)
{
    struct agent_ask *a = q->data;
    uv_os_fd_t fd;
    uv_stream_t *s = (uv_stream_t *)&a->tcp;
    if (status < 0 || uv_fileno((uv_handle_t *)&a->tcp, &fd) != 0 || self_connected(fd)) {
        finish(a, AGENT_ASK_UNREACHABLE);
        return;
    }
    uv_buf_t buf = uv_buf_init(a->send, (unsigned)strlen(a->send));
    if ((buf.len > 0 && uv_write(&a->write, s, &buf, 1, on_written) != 0) ||
        uv_read_start(s, on_alloc, on_read) != 0)
        finish(a, AGENT_ASK_UNREACHABLE);
}

struct agent_ask *agent_ask_start(const struct agent_ask_config *c)
{
    struct sockaddr_storage sa;
    struct agent_ask *a = mem_alloc(sizeof(*a));
    if (!a)
        return NULL;
    a->config = *c;
    snprintf(a->send, sizeof(a->send), "%s", c->send);
    uv_tcp_init(c->loop, &a->tcp);
    uv_timer_init(c->loop, &a->timer);
    a->handles = 2;
    a->tcp.data = a->timer.data = a->connect.data = a;
    uv_timer_start(&a->timer, on_timeout, c->timeout_ms, 0);
    io_sockaddr(&c->to, &sa);
    if (uv_tcp_connect(&a->connect, &a->tcp, (struct sockaddr *)&sa, on_connected) != 0)
        finish(a, AGENT_ASK_UNREACHABLE);
    return a;
}

void agent_ask_cancel(struct agent_ask *a)
{
    finish(a, AGENT_ASK_CANCELLED);
}
