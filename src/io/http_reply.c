/* http_reply.c - the writing half of a connection: answers, and what follows them. */
#include "io/http2.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define HEAD_BYTES_MAX 768
#define ERROR_BYTES_MAX 1024

struct answer {
    int status;
    const char *content_type, *headers;
    const void *body;
    size_t len;
    bool head_only, old_client;
};

/* -- writing -- */

/* The answer is on its way: reads on, or closes when both sides have said all. */
static void conn_sent(struct http_conn *c)
{
    c->server->held_bytes -= c->out_len;
    server_free(c->server, c->out, c->out_len);
    c->out = NULL;
    c->out_at = c->out_len = 0;
    if (c->close_after && c->last && !tls_early(c->stream.tls)) {
        conn_close(c);
        return;
    }
    if (c->close_after) {
        (void)stream_shutdown(&c->stream); /* said again when it may be */
        if (c->pending_len)
            conn_consume(c, c->pending_len);
        conn_set_phase(c, CONN_LINGER);
        conn_watch(c, true, false);
        return;
    }
    conn_set_phase(c, c->pending_len ? CONN_HEAD : CONN_IDLE);
    c->parse_due = true;
    if (!c->running)
        conn_run(c);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Keeps what the socket did not take, behind what it did not take before. */
static bool keep_rest(struct http_conn *c, const struct iovec *iov, size_t count, size_t sent)
{
    size_t total = 0;
    assert(c->out_at == 0);
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (!server_hold(c->server, total - sent))
        return false;
    char *out = server_realloc(c->server, c->out, c->out_len, c->out_len + total - sent);
    if (!out) {
        c->server->held_bytes -= total - sent;
        return false;
    }
    c->out = out;
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;
        sent -= skip;
        if (iov[i].iov_len > skip)
            memcpy(c->out + c->out_len, (const char *)iov[i].iov_base + skip,
                   iov[i].iov_len - skip);
        c->out_len += iov[i].iov_len - skip;
    }
    return true;
}

/* True: all is sent. Else the rest is kept, or the connection closed. */
static bool conn_write(struct http_conn *c, const struct iovec *iov, size_t count)
{
    size_t total = 0;
    ssize_t n = 0;
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (!c->out && count == 1)
        n = stream_write(&c->stream, iov->iov_base, total);
    else if (!c->out)
        n = stream_writev(&c->stream, iov, count);
    if (n == (ssize_t)total)
        return true;
    if (n < 0 && !would_block()) {
        conn_close(c);
    } else if (!keep_rest(c, iov, count, n > 0 ? (size_t)n : 0)) {
        http_count(&c->server->config.counters->busy);
        conn_close(c);
    } else if (!c->request) {
        /* Else it goes out with the answer to that request. */
        conn_set_phase(c, CONN_WRITE);
        conn_watch(c, false, true);
    }
    return false;
}

bool conn_flush(struct http_conn *c)
{
    struct http_server *s = c->server;
    if (s->batch_of != c || !s->batch_len)
        return true;
    struct iovec iov = {s->batch, s->batch_len};
    s->batch_len = 0;
    bool whole = conn_write(c, &iov, 1);
    if (s->config.wipes)
        explicit_bzero(s->batch, iov.iov_len);
    return whole;
}

void conn_writable(struct http_conn *c)
{
    ssize_t n = stream_write(&c->stream, c->out + c->out_at, c->out_len - c->out_at);
    if (n < 0 && would_block())
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at == c->out_len)
        conn_sent(c);
}

void conn_send_continue(struct http_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n = stream_write(&c->stream, text, sizeof text - 1);
    /* The socket's buffer is empty between requests: it takes so little, or the client is gone. */
    if (n != (ssize_t)sizeof text - 1)
        conn_close(c);
}

/* -- heads of answers -- */

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

struct text {
    char *at;
    size_t len;
};

static void put(struct text *t, const void *bytes, size_t len)
{
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
}

static void put_text(struct text *t, const char *text, size_t max)
{
    put(t, text, strnlen(text, max));
}

#define PUT(t, literal) put(t, literal, sizeof(literal) - 1)

static void put_number(struct text *t, size_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put(t, digits + at, sizeof digits - at);
}

/* Status, date and server: the same for most answers of a second. */
static void put_start(struct text *out, struct http_server *s, int status)
{
    time_t now = time(NULL);
    if (s->start.status != status || s->start_s != now) {
        struct text t = {s->start.bytes, 0};
        struct tm tm;
        PUT(&t, "HTTP/1.1 ");
        put_number(&t, (size_t)status);
        PUT(&t, " ");
        put_text(&t, http_reason(status), 64);
        gmtime_r(&now, &tm);
        t.len += strftime(t.at + t.len, sizeof s->start.bytes - t.len,
                          "\r\nDate: %a, %d %b %Y %H:%M:%S GMT", &tm);
        if (s->server_name) {
            PUT(&t, "\r\nServer: ");
            put_text(&t, s->server_name, 100);
        }
        s->start.status = status;
        s->start.len = t.len;
        s->start_s = now;
    }
    put(out, s->start.bytes, s->start.len);
}

/* At most HEAD_BYTES_MAX, all but the handler's own lines. */
static void put_head(struct text *t, struct http_conn *c, const struct answer *a)
{
    put_start(t, c->server, a->status);
    if (a->content_type) {
        PUT(t, "\r\nContent-Type: ");
        put_text(t, a->content_type, 200);
    }
    if (status_has_body(a->status)) {
        PUT(t, "\r\nContent-Length: ");
        put_number(t, a->len);
    }
    if (c->close_after)
        PUT(t, "\r\nConnection: close");
    else if (a->old_client)
        PUT(t, "\r\nConnection: keep-alive");
    PUT(t, "\r\n");
}

/* Whether the client waits for nothing else that is in hand, so that an answer may wait for the
 * next one's write. */
static bool may_wait(const struct http_conn *c)
{
    return c->running && !c->close_after && c->pending_len > 0;
}

static void conn_answer(struct http_conn *c, const struct answer *a)
{
    char head[HEAD_BYTES_MAX];
    struct http_server *s = c->server;
    size_t body = status_has_body(a->status) && !a->head_only ? a->len : 0;
    size_t lines = a->headers ? strlen(a->headers) : 0;
    bool own = s->batch_of == c && s->batch_len;
    size_t used = own ? s->batch_len : 0;
    bool sent;
    if ((own || !s->batch_len) && lines < HTTP_BATCH_BYTES && body < HTTP_BATCH_BYTES &&
        used + HEAD_BYTES_MAX + lines + 2 + body <= HTTP_BATCH_BYTES) {
        struct text t = {s->batch, used};
        put_head(&t, c, a);
        put(&t, lines ? a->headers : "", lines);
        PUT(&t, "\r\n");
        put(&t, body ? a->body : "", body);
        s->batch_of = c;
        s->batch_len = t.len;
        sent = may_wait(c) || conn_flush(c);
    } else {
        struct text t = {head, 0};
        put_head(&t, c, a);
        struct iovec iov[] = {{s->batch, used},
                              {head, t.len},
                              {(void *)(uintptr_t)a->headers, lines},
                              {(void *)(uintptr_t) "\r\n", 2},
                              {(void *)(uintptr_t)a->body, body}};
        if (own)
            s->batch_len = 0;
        sent = conn_write(c, iov, sizeof iov / sizeof *iov);
    }
    if (sent)
        conn_sent(c);
}

/* JSON of an error; what does not fit is cut from the message. */
static size_t error_json(char out[ERROR_BYTES_MAX], const char *name, const char *message)
{
    int start = snprintf(out, ERROR_BYTES_MAX, "{\"error\": \"%.100s\", \"message\": \"", name);
    size_t n = (size_t)start;
    for (const char *m = message; *m && n < ERROR_BYTES_MAX - 16; m++) {
        unsigned char ch = (unsigned char)*m;
        if (ch == '"' || ch == '\\')
            out[n++] = '\\';
        if (ch < 0x20)
            n += (size_t)snprintf(out + n, ERROR_BYTES_MAX - n, "\\u%04x", ch);
        else
            out[n++] = (char)ch;
    }
    memcpy(out + n, "\"}\n", 3);
    return n + 3;
}

static const char *status_error_name(int status)
{
    switch (status) {
    case 408:
        return "DEADLINE";
    case 413:
    case 414:
    case 431:
        return "TOO_LARGE";
    case 501:
        return "UNSUPPORTED";
    case 503:
        return "NOMEM";
    case 505:
        return "VERSION";
    default:
        return "PARSE";
    }
}

void conn_fail(struct http_conn *c, int status, const char *why)
{
    char body[ERROR_BYTES_MAX];
    struct answer a = {.status = status, .content_type = "application/json", .body = body};
    a.len = error_json(body, status_error_name(status), why);
    struct http_counters *counters = c->server->config.counters;
    if (status != 408)
        http_count(status == 503 ? &counters->busy : &counters->bad);
    if (c->request)
        request_free(c->request);
    c->request = NULL;
    c->close_after = true;
    conn_answer(c, &a);
}

/* -- the handler's answers -- */

/* Can what follows be read as the next request? A body that nobody asked for is skipped when all of
 * it is here; else the connection ends with the answer. */
static bool skip_body(struct http_conn *c, const struct http_request *r)
{
    const struct http_head *h = &r->head;
    if (r->body_read || (!h->chunked && (!h->has_length || h->length == 0)))
        return true;
    if (h->chunked || h->length > c->pending_len)
        return false;
    conn_consume(c, (size_t)h->length);
    return true;
}

void http_reply(struct http_request *r, int status, const char *content_type, const char *headers,
                const void *body, size_t len)
{
    struct http_conn *c = r->conn;
    if (c && r->h2) {
        http2_reply(r, status, content_type, headers, body, len);
    } else if (c) {
        struct answer a = {.status = status,
                           .content_type = content_type,
                           .headers = headers,
                           .body = body,
                           .len = len,
                           .head_only = slice_is(r->head.method, "HEAD"),
                           .old_client = r->head.minor == 0};
        bool whole = skip_body(c, r);
        c->close_after = !r->head.keep_alive || !c->server->accepting || !whole ||
                         (c->server->retired && c->stream.tls);
        c->last = !r->head.keep_alive && whole && !c->pending_len;
        c->request = NULL;
        conn_answer(c, &a);
    }
    request_free(r);
}

void http_reply_error(struct http_request *r, int status, const char *name, const char *message)
{
    char body[ERROR_BYTES_MAX];
    size_t len = error_json(body, name, message);
    http_reply(r, status, "application/json", NULL, body, len);
}
