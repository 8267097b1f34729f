/* probe.c - one check over one connection of its own, which is not kept. */
#include "role/director/probe.h"

#include "base/mem.h"
#include "core/http/http.h"
#include "io/io.h"
#include "role/director/self_connect.h"

#include <stdio.h>
#include <string.h>

#define REQUEST_MAX (PROBE_PATH_MAX + PROBE_HOST_MAX + 128)
#define RECORD_MAX 4096 /* bytes taken from, or given to, the connection at once */

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
    char answer[PROBE_ANSWER_MAX];
    struct tls_client *tls;
    bool shaken;
    char bytes[RECORD_MAX]; /* under TLS: as they come */
};

static void on_handle_closed(uv_handle_t *h)
{
    struct probe *p = h->data;
    if (--p->handles > 0)
        return;
    struct probe_config c = p->config;
    bool good = p->good;
    const char *why = p->why;
    tls_client_free(p->tls);
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
    *buf = p->tls ? uv_buf_init(p->bytes, RECORD_MAX)
                  : uv_buf_init(p->answer + p->len, (unsigned)(PROBE_ANSWER_MAX - p->len));
}

static bool good_status(const struct probe_config *c, int status)
{
    return status >= (c->status_min ? c->status_min : 200) &&
           status <= (c->status_max ? c->status_max : 399);
}

/* What has come of the answer so far; ended: nothing more comes. */
static void judge(struct probe *p, bool ended)
{
    const struct probe_config *c = &p->config;
    struct http_response_head h;
    const char *why;
    int e = http_parse_response(p->answer, p->len, &h, &why);
    bool full = p->len == PROBE_ANSWER_MAX, wants_text = c->text && *c->text;
    if (e < 0)
        finish(p, false, "malformed-answer");
    else if (e == 0 && (ended || full))
        finish(p, false, full ? "long-head" : "no-answer");
    else if (e > 0 && !good_status(c, h.status))
        finish(p, false, "status");
    else if (e > 0 && !wants_text)
        finish(p, true, "status");
    else if (e > 0 &&
             memmem(p->answer + h.head_bytes, p->len - h.head_bytes, c->text, strlen(c->text)))
        finish(p, true, "text");
    else if (ended || full)
        finish(p, false, "text");
}

/* Small enough for an empty socket buffer; a server that takes nothing runs into the time limit. */
static bool send_tls(struct probe *p)
{
    char bytes[RECORD_MAX];
    size_t len;
    while ((len = tls_client_give(p->tls, bytes, sizeof(bytes))) > 0) {
        uv_buf_t buf = uv_buf_init(bytes, (unsigned)len);
        if (uv_try_write((uv_stream_t *)&p->tcp, &buf, 1) != (int)len) {
            finish(p, false, "write");
            return false;
        }
    }
    return true;
}

static void go_on_tls(struct probe *p, bool ended)
{
    const char *why = "handshake";
    int done = p->shaken ? 1 : tls_client_shake(p->tls, &why);
    if (!send_tls(p))
        return;
    if (done < 0 || (done == 0 && ended)) {
        finish(p, false, why);
        return;
    }
    if (done == 0)
        return;
    if (!p->config.path) {
        finish(p, true, "handshake");
        return;
    }
    if (!p->shaken && (!tls_client_write(p->tls, p->request, strlen(p->request)) || !send_tls(p))) {
        finish(p, false, "write");
        return;
    }
    p->shaken = true;
    long n = 0;
    while (p->len < PROBE_ANSWER_MAX &&
           (n = tls_client_read(p->tls, p->answer + p->len, PROBE_ANSWER_MAX - p->len)) > 0)
        p->len += (size_t)n;
    if (p->len > 0 || ended || n < 0)
        judge(p, ended || n < 0);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct probe *p = s->data;
    if (p->tls) {
        if (n > 0 && !tls_client_take(p->tls, buf->base, (size_t)n))
            finish(p, false, "memory");
        else
            go_on_tls(p, n < 0);
        return;
    }
    p->len += n > 0 ? (size_t)n : 0;
    judge(p, n < 0);
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
    if (p->tls) {
        if (uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read) != 0)
            finish(p, false, "read");
        else
            go_on_tls(p, false);
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
    if (c->tls && !(p->tls = tls_client_new(c->tls, c->name ? c->name : ""))) {
        mem_free(p);
        return NULL;
    }
    if (c->path)
        snprintf(p->request, sizeof(p->request),
                 "%.16s %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: stead-check\r\n"
                 "Connection: close\r\n\r\n",
                 c->method ? c->method : "GET", PROBE_PATH_MAX, c->path, PROBE_HOST_MAX,
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
