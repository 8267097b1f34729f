/* http_conn.c - the reading half of a connection: heads, bodies, and handing requests to the
 * handler. */
#include "io/http_internal.h"

#include "base/mem.h"
#include "io/http2.h"
#include "io/io.h"
#include "stead/error.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* -- bytes that wait -- */

/* What is left in the server's buffer becomes the connection's own. */
static void pending_own(struct http_conn *c)
{
    c->borrowed = false;
    if (c->phase == CONN_CLOSED || !c->pending_len) {
        c->pending = NULL;
        c->pending_len = 0;
    } else if (!(c->pending = mem_dup(c->pending + c->pending_at, c->pending_len))) {
        c->pending_len = 0;
        conn_close(c);
    }
    c->pending_at = 0;
}

static bool pending_append(struct http_conn *c, const char *bytes, size_t len)
{
    if (c->pending_at) {
        memmove(c->pending, c->pending + c->pending_at, c->pending_len);
        c->pending_at = 0;
    }
    char *more = server_realloc(c->server, c->pending, c->pending_len, c->pending_len + len);
    if (!more)
        return false;
    memcpy(more + c->pending_len, bytes, len);
    /* Half a head is looked at again only when a line has ended: a client that sends it byte by
     * byte costs no more than its lines. */
    c->parse_due = c->parse_due || !c->pending_len || memchr(bytes, '\n', len) ||
                   c->pending_len + len > HTTP_HEAD_MAX;
    c->pending = more;
    c->pending_len += len;
    return true;
}

void conn_consume(struct http_conn *c, size_t bytes)
{
    c->pending_at += bytes;
    c->pending_len -= bytes;
    c->parse_due = true;
    if (c->pending_len || c->borrowed)
        return;
    server_free(c->server, c->pending, c->pending_at);
    c->pending = NULL;
    c->pending_at = 0;
}

/* -- requests -- */

static struct slice moved(struct slice s, const char *from, const char *to)
{
    if (s.at)
        s.at = to + (s.at - from);
    return s;
}

struct http_request *request_get(struct http_server *s)
{
    struct list *spare = list_pop(&s->spares);
    if (!spare)
        return mem_alloc(sizeof(struct http_request));
    s->spare_count--;
    return list_entry(spare, struct http_request, link);
}

/* The request is gone as others see it; its memory may be the next one's. */
static void request_put(struct http_server *s, struct http_request *r)
{
    if (s->spare_count == HTTP_SPARES_MAX || r->bytes_cap > HTTP_SPARE_BYTES_MAX) {
        mem_free(r->bytes);
        mem_free(r);
        return;
    }
    s->spare_count++;
    list_prepend(&s->spares, &r->link);
}

void requests_free(struct http_server *s)
{
    s->spare_count = HTTP_SPARES_MAX;
    while (!list_empty(&s->spares))
        request_put(s, list_entry(list_pop(&s->spares), struct http_request, link));
}

/* Takes the head, parsed where it was read, out of the pending bytes. False: no memory. */
static bool request_fill(struct http_conn *c, struct http_request *r, size_t head_len)
{
    struct http_head *h = &r->head;
    const char *from = c->pending + c->pending_at;
    if (r->bytes_cap < head_len) {
        char *more = mem_realloc(r->bytes, head_len < 1024 ? 1024 : head_len);
        if (!more)
            return false;
        r->bytes = more;
        r->bytes_cap = head_len < 1024 ? 1024 : head_len;
    }
    memcpy(r->bytes, from, head_len);
    r->head_len = head_len;
    r->conn = c;
    r->h2 = NULL;
    r->peer = c->peer;
    r->body = NULL;
    r->body_len = r->body_cap = 0;
    r->body_read = false;
    r->server = NULL;
    h->method = moved(h->method, from, r->bytes);
    h->target = moved(h->target, from, r->bytes);
    h->path = moved(h->path, from, r->bytes);
    h->query = moved(h->query, from, r->bytes);
    h->host = moved(h->host, from, r->bytes);
    for (size_t i = 0; i < h->header_count; i++) {
        h->headers[i].name = moved(h->headers[i].name, from, r->bytes);
        h->headers[i].value = moved(h->headers[i].value, from, r->bytes);
    }
    return true;
}

void request_free(struct http_request *r)
{
    struct http_server *s = r->server;
    if (s) {
        s->held_bytes -= r->body_cap;
        server_free(s, r->body, r->body_len);
    }
    r->body = NULL;
    if (r->conn) {
        request_put(r->conn->server, r);
    } else {
        mem_free(r->bytes);
        mem_free(r);
    }
    if (s)
        server_release(s);
}

const struct http_head *http_request_head(const struct http_request *r)
{
    return &r->head;
}

const struct addr *http_request_peer(const struct http_request *r)
{
    return &r->peer;
}

const struct addr *http_request_local(const struct http_request *r)
{
    static const struct addr none;
    struct http_conn *c = r->conn;
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof local;
    if (!c)
        return &none;
    if (!c->local_known && getsockname(c->stream.fd, (struct sockaddr *)&local, &len) == 0)
        io_from_sockaddr((const struct sockaddr *)&local, &c->local);
    c->local_known = true;
    return &c->local;
}

const struct tls *http_request_tls(const struct http_request *r)
{
    return r->conn ? r->conn->stream.tls : NULL;
}

bool http_request_is_early(const struct http_request *r)
{
    return r->conn && tls_early(r->conn->stream.tls);
}

bool request_may_begin(const struct http_request *r, size_t rest)
{
    const struct http_server_config *c = &r->conn->server->config;
    const struct http_head *h = &r->head;
    bool safe =
        slice_is(h->method, "GET") || slice_is(h->method, "HEAD") || slice_is(h->method, "OPTIONS");
    if (!http_request_is_early(r))
        return true;
    return safe && !rest && !h->chunked && !h->length && !h->upgrade && c->early &&
           c->early(c->context, h);
}

bool http_request_is_left(const struct http_request *r)
{
    char byte;
    if (!r->conn)
        return true;
    ssize_t n = recv(r->conn->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !r->h2 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR));
}

bool http_request_host_is_loopback(const struct http_request *r)
{
    char text[ADDR_TEXT_MAX];
    struct slice host = r->head.host;
    struct addr a;
    if (slice_is_nocase(host, "localhost"))
        return true;
    if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
        host.at++;
        host.len -= 2;
    }
    if (host.len == 0 || host.len >= sizeof text)
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return addr_parse(text, 1, &a) && addr_is_loopback(&a);
}

int http_take(struct http_request *r, struct stream *out, char **bytes, size_t *len)
{
    struct http_conn *c = r->conn;
    if (!c)
        return STEAD_E_CLOSED;
    if (r->h2) {
        int err = http2_take(r, out, bytes, len);
        if (err == STEAD_OK)
            request_free(r);
        return err;
    }
    if (r->body_read)
        return STEAD_E_INVAL;
    if (c->out || !conn_flush(c))
        return STEAD_E_BUSY;
    char *all = mem_alloc(r->head_len + c->pending_len);
    if (!all)
        return STEAD_E_NOMEM;
    memcpy(all, r->bytes, r->head_len);
    if (c->pending_len)
        memcpy(all + r->head_len, c->pending + c->pending_at, c->pending_len);
    *bytes = all;
    *len = r->head_len + c->pending_len;
    *out = c->stream;
    poller_forget(c->server->poller, &c->item);
    c->stream = (struct stream){.fd = -1};
    conn_close(c);
    request_free(r);
    return STEAD_OK;
}

/* -- bodies -- */

static void body_done(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_request *r = c->request;
    r->body_read = true;
    conn_set_phase(c, CONN_WAIT);
    http_count(&s->config.counters->requests);
    enum http_verdict v =
        s->config.handle(s->config.context, r, r->body ? r->body : "", r->body_len);
    assert(v == HTTP_ANSWERED);
    (void)v;
}

static bool body_reserve(struct http_server *s, struct http_request *r, size_t len)
{
    size_t cap = r->body_cap ? r->body_cap * 2 : 1024;
    if (len <= r->body_cap)
        return true;
    while (cap < len)
        cap *= 2;
    if (!server_hold(s, cap - r->body_cap))
        return false;
    char *more = server_realloc(s, r->body, r->body_len, cap);
    if (!more) {
        s->held_bytes -= cap - r->body_cap;
        return false;
    }
    if (!r->server) {
        r->server = s;
        s->handles++;
    }
    r->body = more;
    r->body_cap = cap;
    return true;
}

int request_body_append(struct http_server *s, struct http_request *r, struct slice data)
{
    if (data.len > s->config.limits.body_max - r->body_len)
        return 413;
    if (!body_reserve(s, r, r->body_len + data.len))
        return 503;
    memcpy(r->body + r->body_len, data.at, data.len);
    r->body_len += data.len;
    return 0;
}

/* True when the body is whole; *status is set when it cannot be. */
static bool chunked_input(struct http_conn *c, int *status)
{
    struct slice in = {c->pending + c->pending_at, c->pending_len};
    int step;
    do {
        struct slice data = {NULL, 0};
        step = http_chunked_step(&c->chunked, &in, &data);
        if (step < 0)
            *status = -step;
        else if (data.len)
            *status = request_body_append(c->server, c->request, data);
    } while (step == 1 && !*status);
    assert(step != 0 || in.len == 0); /* else conn_run() would come here for ever */
    conn_consume(c, c->pending_len - in.len);
    return step == 2;
}

static bool length_input(struct http_conn *c, int *status)
{
    struct slice in = {c->pending + c->pending_at, c->pending_len};
    if (in.len > c->body_left)
        in.len = (size_t)c->body_left;
    *status = request_body_append(c->server, c->request, in);
    c->body_left -= in.len;
    conn_consume(c, in.len);
    return c->body_left == 0;
}

static void step_body(struct http_conn *c)
{
    int status = 0;
    bool whole = c->request->head.chunked ? chunked_input(c, &status) : length_input(c, &status);
    if (status)
        conn_fail(c, status,
                  status == 413   ? "the body is too large"
                  : status == 503 ? "too much is held for other clients"
                                  : "malformed body");
    else if (whole)
        body_done(c);
}

static void body_start(struct http_conn *c)
{
    const struct http_head *h = &c->request->head;
    conn_set_phase(c, CONN_BODY);
    if (h->has_length && h->length > c->server->config.limits.body_max) {
        conn_fail(c, 413, "the body is too large");
        return;
    }
    if (!h->chunked && (!h->has_length || h->length == 0)) {
        body_done(c);
        return;
    }
    http_chunked_init(&c->chunked);
    c->body_left = h->length;
    if (h->expect_continue && h->minor >= 1 && !c->pending_len)
        conn_send_continue(c);
}

/* -- heads -- */

static void request_start(struct http_conn *c, struct http_request *r, size_t head_len)
{
    struct http_server *s = c->server;
    if (!request_fill(c, r, head_len)) {
        request_put(s, r);
        conn_fail(c, 503, "out of memory");
        return;
    }
    if (!request_may_begin(r, c->pending_len - head_len)) {
        request_put(s, r);
        c->held = true;
        return;
    }
    if (http_request_is_early(r))
        tls_early_close(c->stream.tls); /* whoever reads it next sees nothing early */
    conn_consume(c, head_len);
    c->asked = true;
    c->request = r;
    conn_set_phase(c, CONN_WAIT);
    enum http_verdict v = s->config.handle(s->config.context, r, NULL, 0);
    if (v == HTTP_ANSWERED) {
        http_count(&s->config.counters->requests);
        return;
    }
    if (c->phase == CONN_CLOSED)
        request_free(r); /* the handler has closed the server meanwhile */
    else
        body_start(c);
}

/* The first bytes may be HTTP/2's preface. True: they are, or may become one; false: a head. */
static bool step_preface(struct http_conn *c)
{
    bool more = false;
    const char *bytes = c->pending + c->pending_at;
    if (c->asked || !c->server->config.limits.streams_max ||
        (!http2_preface(bytes, c->pending_len, &more) && !more))
        return false;
    if (more) {
        c->parse_due = false;
        return true;
    }
    if (http2_start(c) != STEAD_OK) {
        conn_close(c);
        return true;
    }
    http2_input(c, bytes, c->pending_len);
    if (c->phase != CONN_CLOSED)
        conn_consume(c, c->pending_len);
    return true;
}

static void step_head(struct http_conn *c)
{
    const char *why = "malformed request";
    struct http_server *s = c->server;
    if (step_preface(c))
        return;
    struct http_request *r = request_get(s);
    if (!r) {
        conn_fail(c, 503, "out of memory");
        return;
    }
    c->parse_due = false;
    int n = http_parse_request(c->pending + c->pending_at, c->pending_len, &r->head, &why);
    bool body = n > 0 && (r->head.chunked || r->head.length);
    if (body && !conn_flush(c)) {
        request_put(s, r); /* parsed again when the client has taken what it asked for */
        return;
    }
    if (n > 0) {
        request_start(c, r, (size_t)n);
        return;
    }
    request_put(s, r);
    if (n < 0)
        conn_fail(c, -n, why);
    else if (c->pending_len > HTTP_HEAD_MAX)
        conn_fail(c, 431, "the head is too large");
    else if (c->phase == CONN_IDLE)
        conn_set_phase(c, CONN_HEAD);
}

void conn_run(struct http_conn *c)
{
    unsigned heads = 0;
    c->running = true;
    while (c->pending_len) {
        if (c->phase <= CONN_HEAD && c->parse_due && heads++ < HTTP_REQUESTS_A_TURN)
            step_head(c);
        else if (c->phase == CONN_BODY)
            step_body(c);
        else
            break;
    }
    conn_flush(c);
    c->running = false;
    if (c->borrowed)
        pending_own(c);
    if (c->h2 || c->phase > CONN_BODY)
        return;
    if (heads > HTTP_REQUESTS_A_TURN)
        conn_later(c);
    else
        conn_watch(c, true, false);
}

/* len 0: nothing new came, but what was held may go on. */
static void take_input(struct http_conn *c, size_t len)
{
    struct http_server *s = c->server;
    if (c->phase == CONN_LINGER)
        return;
    if (len == 0) {
        conn_run(c);
        return;
    }
    if (!c->pending_len) {
        c->pending = s->read_buffer;
        c->pending_at = 0;
        c->pending_len = len;
        c->borrowed = c->parse_due = true;
    } else if (!pending_append(c, s->read_buffer, len)) {
        conn_close(c);
        return;
    }
    conn_run(c);
}

void conn_readable(struct http_conn *c)
{
    struct http_server *s = c->server;
    ssize_t n = stream_read(&c->stream, s->read_buffer, sizeof s->read_buffer);
    bool none = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (c->held && !tls_early(c->stream.tls)) {
        c->held = false;
        c->parse_due = true;
    } else if (none) {
        return;
    }
    if (n <= 0 && !none) {
        conn_close(c);
        return;
    }
    take_input(c, none ? 0 : (size_t)n);
    if (s->config.wipes && !none) {
        explicit_bzero(s->read_buffer, (size_t)n);
        mem_wipe_stack();
    }
}
