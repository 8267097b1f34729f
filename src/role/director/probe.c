/* probe.c - one check over one connection of its own, which is not kept. */
#include "role/director/probe.h"

#include "base/mem.h"
#include "core/http/http.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <stdio.h>
#include <string.h>

#define REQUEST_MAX (PROBE_PATH_MAX + PROBE_HOST_MAX + 128)
#define HEAD_MAX 8192 /* of the answer; the rest is not read */

struct probe {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    struct probe_config config;
    bool over, good;
    const char *why;
    unsigned handles;
    char request[REQUEST_MAX];
    size_t len;
    char head[HEAD_MAX];
};

static void on_handle_closed(uv_handle_t *h)
{
    struct probe *p = h->data;
    if (--p->handles > 0)
        return;
    struct probe_config c = p->config;
    bool good = p->good;
    const char *why = p->why;
    mem_free(p);
    c.done(c.context, good, why);
}

static void finish(struct probe *p, bool good, const char *why)
{
    if (p->over)
        return;
    p->over = true;
    p->good = good;
    p->why = why;
    uv_close((uv_handle_t *)&p->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&p->timer, on_handle_closed);
}

static void on_timeout(uv_timer_t *t)
{
    finish(t->data, false, "timeout");
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct probe *p = h->data;
    (void)suggested;
    *buf = uv_buf_init(p->head + p->len, (unsigned)(HEAD_MAX - p->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct probe *p = s->data;
    struct http_response_head h;
    const char *why;
    (void)buf;
    if (n < 0) {
        finish(p, false, n == UV_ENOBUFS ? "long-head" : "no-answer");
        return;
    }
    p->len += (size_t)n;
    int e = http_parse_response(p->head, p->len, &h, &why);
    if (e < 0)
        finish(p, false, "malformed-answer");
    else if (e > 0)
        finish(p, h.status >= 200 && h.status <= 399, "status");
}

static void on_written(uv_write_t *q, int status)
{
    if (status < 0)
        finish(q->data, false, "write");
}

static void on_connected(uv_connect_t *q, int status)
{
    struct probe *p = q->data;
    uv_os_fd_t fd;
    if (status < 0 || uv_fileno((uv_handle_t *)&p->tcp, &fd) != 0 || self_connected(fd)) {
        finish(p, false, "connect");
        return;
    }
    if (!p->config.path) {
        finish(p, true, "connected");
        return;
    }
    uv_buf_t buf = uv_buf_init(p->request, (unsigned)strlen(p->request));
    uv_stream_t *s = (uv_stream_t *)&p->tcp;
    p->write.data = p;
    if (uv_write(&p->write, s, &buf, 1, on_written) != 0 ||
        uv_read_start(s, on_alloc, on_read) != 0)
        finish(p, false, "write");
}

struct probe *probe_start(const struct probe_config *c)
{
    char to[ADDR_TEXT_MAX];
    struct sockaddr_storage sa;
    struct probe *p = mem_alloc(sizeof(*p));
    if (!p)
        return NULL;
    p->config = *c;
    if (c->path)
        snprintf(p->request, sizeof(p->request),
                 "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: stead-check\r\n"
                 "Connection: close\r\n\r\n",
                 PROBE_PATH_MAX, c->path, PROBE_HOST_MAX,
                 c->host ? c->host : addr_format(&c->to, to));
    uv_tcp_init(c->loop, &p->tcp);
    uv_timer_init(c->loop, &p->timer);
    p->handles = 2;
    p->tcp.data = p->timer.data = p->connect.data = p;
    uv_timer_start(&p->timer, on_timeout, c->timeout_ms, 0);
    io_sockaddr(&c->to, &sa);
    if (uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&sa, on_connected) != 0)
        finish(p, false, "connect");
    return p;
}

void probe_cancel(struct probe *p)
{
    finish(p, false, "cancelled");
}
