/* http2_request.c - from fields and DATA to requests: the head in HTTP/1.1's form, and bodies. */
#include "io/http2_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define FIELD_OVERHEAD 32u /* of each, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
#define TEXT_START 512u

/* -- texts -- */

static bool text_reserve(struct http2_text *t, size_t more)
{
    size_t cap = t->cap ? t->cap : TEXT_START;
    if (more <= t->cap - t->len)
        return true;
    while (cap - t->len < more)
        cap *= 2;
    char *at = mem_realloc(t->at, cap);
    if (!at)
        return false;
    t->at = at;
    t->cap = cap;
    return true;
}

bool http2_text_put(struct http2_text *t, const void *bytes, size_t len)
{
    if (!text_reserve(t, len))
        return false;
    if (len)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
    return true;
}

static void text_free(struct http2_text *t)
{
    mem_free(t->at);
    *t = (struct http2_text){0};
}

/* -- fields -- */

void http2_fields_free(struct http2_fields *f)
{
    text_free(&f->pseudo);
    text_free(&f->lines);
    text_free(&f->cookie);
}

static void fields_clear(struct http2_fields *f)
{
    struct http2_fields empty = {.pseudo = f->pseudo, .lines = f->lines, .cookie = f->cookie};
    empty.pseudo.len = empty.lines.len = empty.cookie.len = 0;
    *f = empty;
}

static struct slice part(const struct http2_fields *f, size_t at, size_t len)
{
    return (struct slice){f->pseudo.at + at, len};
}

#define PART(f, name) part(f, (f)->name.at, (f)->name.len)

/* For one of the session's pseudo fields (or Host, which is as good as one). */
#define KEEP_PART(f, name, value)                                                                  \
    ((f)->twice |= (f)->name.given, (f)->name.given = true, (f)->name.at = (f)->pseudo.len,        \
     (f)->name.len = (value).len, http2_text_put(&(f)->pseudo, (value).at, (value).len))

static bool keep_line(struct http2_text *t, struct slice name, struct slice value)
{
    return http2_text_put(t, name.at, name.len) && http2_text_put(t, ": ", 2) &&
           http2_text_put(t, value.at, value.len) && http2_text_put(t, "\r\n", 2);
}

/* RFC 9113 8.2.3: crumbs of one Cookie field are one again. */
static bool keep_cookie(struct http2_text *t, struct slice value)
{
    return (!t->len || http2_text_put(t, "; ", 2)) && http2_text_put(t, value.at, value.len);
}

static bool keep_field(struct http2_fields *f, struct slice name, struct slice value)
{
    if (slice_is(name, ":method"))
        return KEEP_PART(f, method, value);
    if (slice_is(name, ":scheme"))
        return KEEP_PART(f, scheme, value);
    if (slice_is(name, ":authority"))
        return KEEP_PART(f, authority, value);
    if (slice_is(name, ":path"))
        return KEEP_PART(f, path, value);
    if (slice_is(name, "host"))
        return KEEP_PART(f, host, value);
    if (slice_is(name, "cookie"))
        return keep_cookie(&f->cookie, value);
    f->has_length |= slice_is(name, "content-length");
    return keep_line(&f->lines, name, value);
}

/* What would be about the message's frame or way has no place behind it. */
static bool bad_trailer(struct slice name)
{
    static const char *const names[] = {
        "content-length", "transfer-encoding", "host",          "te",
        "trailer",        "connection",        "authorization", "cookie"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *h = context;
    fields_clear(&h->fields);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_stream *t = mem_alloc(sizeof *t);
    if (!t)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    t->h2 = h;
    t->id = frame->hd.stream_id;
    t->due_ms = http2_now_ms(h) + h->conn->server->config.limits.head_ms;
    list_append(&h->streams, &t->link);
    h->stream_count++;
    h->heading = t;
    http2_calm_useful(&h->calm, http2_now_ms(h));
    nghttp2_session_set_stream_user_data(session, t->id, t);
    return 0;
}

int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                    void *context)
{
    struct http2 *h = context;
    struct http2_fields *f = &h->fields;
    struct slice n = {(const char *)name, name_len}, v = {(const char *)value, value_len};
    (void)session;
    (void)flags;
    f->bytes += name_len + value_len + FIELD_OVERHEAD;
    if (++f->count > HTTP2_FIELDS_MAX || f->bytes > HTTP2_FIELDS_BYTES_MAX) {
        h->doom = NGHTTP2_ENHANCE_YOUR_CALM;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    f->too_large |= f->bytes > HTTP_HEAD_MAX;
    if (f->too_large || f->no_memory)
        return 0;
    bool trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS;
    if (trailer && !bad_trailer(n))
        f->no_memory = !keep_line(&f->lines, n, v);
    else if (!trailer)
        f->no_memory = !keep_field(f, n, v);
    return 0;
}

/* -- heads -- */

/* What nghttp2 does not check, and the HTTP/1 parser would not see. */
static const char *fields_fault(const struct http2_fields *f)
{
    struct slice authority = PART(f, authority), host = PART(f, host);
    if (f->twice)
        return "a field that may be there once is there twice";
    if (f->scheme.given && !slice_is(PART(f, scheme), "http") &&
        !slice_is(PART(f, scheme), "https"))
        return "a scheme other than http and https";
    if (f->authority.given && f->host.given &&
        (authority.len != host.len || memcmp(authority.at, host.at, host.len) != 0))
        return "Host and :authority name different hosts";
    return NULL;
}

static bool put_slice(struct http2_text *t, struct slice s)
{
    return http2_text_put(t, s.at, s.len);
}

#define PUT(t, literal) http2_text_put(t, literal, sizeof(literal) - 1)

/* The head in HTTP/1.1, Host first: also when it is passed on as it is. A body without a length is
 * chunked there. */
static bool compose(const struct http2_fields *f, bool ended, struct http2_text *t)
{
    bool connect = slice_is(PART(f, method), "CONNECT");
    struct slice host = f->authority.given ? PART(f, authority) : PART(f, host);
    return put_slice(t, PART(f, method)) && PUT(t, " ") &&
           put_slice(t, connect ? host : PART(f, path)) && PUT(t, " HTTP/1.1\r\nhost: ") &&
           put_slice(t, host) && PUT(t, "\r\n") && http2_text_put(t, f->lines.at, f->lines.len) &&
           (!f->cookie.len || (PUT(t, "cookie: ") &&
                               http2_text_put(t, f->cookie.at, f->cookie.len) && PUT(t, "\r\n"))) &&
           (ended || f->has_length || PUT(t, "transfer-encoding: chunked\r\n")) && PUT(t, "\r\n");
}

/* 0, or the status that it is answered with. */
static int head_parse(struct http2_stream *t, struct http_request *r, const char **why)
{
    const struct http2_fields *f = &t->h2->fields;
    struct http2_text text = {r->bytes, 0, r->bytes_cap};
    r->head.method = (struct slice){"", 0};
    if (f->too_large)
        return *why = "the fields are too large", 431;
    if (f->no_memory)
        return *why = "out of memory", 503;
    if ((*why = fields_fault(f)))
        return 400;
    bool whole = compose(f, t->ended, &text);
    r->bytes = text.at;
    r->bytes_cap = text.cap;
    r->head_len = text.len;
    if (!whole)
        return *why = "out of memory", 503;
    int n = http_parse_request(r->bytes, text.len, &r->head, why);
    if (n > 0 && (size_t)n == text.len)
        return 0;
    /* Something is wrong with it; its method cannot be relied on. */
    r->head.method = (struct slice){"", 0};
    if (n == 0 || n > 0)
        *why = "malformed request";
    return n < 0 ? -n : 400;
}

static struct http_request *request_new(struct http2_stream *t)
{
    struct http_conn *c = t->h2->conn;
    struct http_request *r = request_get(c->server);
    if (!r)
        return NULL;
    r->conn = c;
    r->h2 = t;
    r->peer = c->peer;
    r->body = NULL;
    r->body_len = r->body_cap = 0;
    r->body_read = false;
    r->server = NULL;
    return r;
}

static void body_start(struct http2_stream *t)
{
    const struct http_head *head = &t->request->head;
    const struct http_limits *l = &t->h2->conn->server->config.limits;
    static const nghttp2_nv go_on = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100",
                                     7, 3, NGHTTP2_NV_FLAG_NONE};
    t->phase = HTTP2_BODY;
    t->due_ms = http2_now_ms(t->h2) + l->body_ms;
    if (head->has_length && head->length > l->body_max)
        http2_fail(t, 413, "the body is too large");
    else if (head->expect_continue && !t->ended)
        (void)nghttp2_submit_headers(t->h2->session, NGHTTP2_FLAG_NONE, t->id, NULL, &go_on, 1,
                                     NULL);
}

static void ask(struct http2_stream *t, struct http_request *r)
{
    struct http_conn *c = t->h2->conn;
    struct http_server *s = c->server;
    t->phase = HTTP2_WAIT;
    t->due_ms = TIME_NEVER;
    http_count(&s->config.counters->h2_streams);
    if (!http_request_is_early(r) && http2_lane_take(t, r)) {
        http_count(&s->config.counters->requests);
        request_free(r);
        return;
    }
    enum http_verdict v = s->config.handle(s->config.context, r, NULL, 0);
    if (v == HTTP_ANSWERED)
        http_count(&s->config.counters->requests);
    else if (c->phase == CONN_CLOSED)
        request_free(r); /* the handler has closed the server meanwhile */
    else
        body_start(t);
}

void http2_head_done(struct http2 *h, struct http2_stream *t)
{
    const char *why = NULL;
    struct http_request *r = request_new(t);
    h->heading = NULL;
    if (!r) {
        http_count(&h->conn->server->config.counters->busy);
        http2_reset(t, NGHTTP2_REFUSED_STREAM);
        return;
    }
    t->request = r;
    int status = head_parse(t, r, &why);
    if (status) {
        http2_fail(t, status, why);
    } else if (!request_may_begin(r, t->ended ? 0 : 1)) {
        t->phase = HTTP2_HELD;
        t->due_ms = http2_now_ms(h) + h->conn->server->config.limits.handshake_ms;
        h->held = true;
    } else {
        ask(t, r);
    }
}

static void body_came(struct http2_stream *t, const char *bytes, size_t len);

/* Its body may have come meanwhile. */
static void held_begin(struct http2_stream *t)
{
    struct http_conn *c = t->h2->conn;
    ask(t, t->request);
    if (c->phase == CONN_CLOSED || t->phase != HTTP2_BODY)
        return;
    struct http2_text kept = t->up;
    c->server->held_bytes -= kept.len;
    t->up = (struct http2_text){0};
    if (kept.len)
        body_came(t, kept.at, kept.len);
    mem_free(kept.at);
    if (t->ended && t->phase == HTTP2_BODY)
        http2_request_done(t);
}

void http2_held_begin(struct http2 *h)
{
    bool outer = h->running;
    if (!h->held)
        return;
    h->held = false;
    h->running = true;
    for (struct list *at = h->streams.next; at != &h->streams; at = at->next) {
        struct http2_stream *t = list_entry(at, struct http2_stream, link);
        if (h->conn->phase != CONN_CLOSED && t->phase == HTTP2_HELD)
            held_begin(t);
    }
    h->running = outer;
}

/* -- bodies -- */

void http2_request_done(struct http2_stream *t)
{
    struct http_server *s = t->h2->conn->server;
    struct http_request *r = t->request;
    t->ended = true;
    if (t->phase == HTTP2_TAKEN) {
        http2_pump_end(t);
    } else if (t->phase == HTTP2_BODY) {
        t->phase = HTTP2_WAIT;
        t->due_ms = TIME_NEVER;
        r->body_read = true;
        http_count(&s->config.counters->requests);
        enum http_verdict v =
            s->config.handle(s->config.context, r, r->body ? r->body : "", r->body_len);
        assert(v == HTTP_ANSWERED);
        (void)v;
    }
}

bool http2_up_keep(struct http2_stream *t, const void *bytes, size_t len)
{
    struct http_server *s = t->h2->conn->server;
    if (t->up_at) {
        memmove(t->up.at, t->up.at + t->up_at, t->up.len - t->up_at);
        t->up.len -= t->up_at;
        t->up_at = 0;
    }
    if (!server_hold(s, len))
        return false;
    if (http2_text_put(&t->up, bytes, len))
        return true;
    s->held_bytes -= len;
    return false;
}

void http2_up_drop(struct http2_stream *t)
{
    t->h2->conn->server->held_bytes -= t->up.len - t->up_at;
    t->up_at = 0;
    text_free(&t->up);
}

static void body_came(struct http2_stream *t, const char *bytes, size_t len)
{
    int status = request_body_append(t->h2->conn->server, t->request, (struct slice){bytes, len});
    http2_consume(t, len);
    if (status)
        http2_fail(t, status,
                   status == 413 ? "the body is too large" : "too much is held for other clients");
}

int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                  size_t len, void *context)
{
    struct http2 *h = context;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(session, id);
    const char *bytes = (const char *)data;
    (void)flags;
    if (!t || h->conn->phase == CONN_CLOSED) {
        (void)nghttp2_session_consume_connection(session, len);
        return 0;
    }
    if (t->phase == HTTP2_SAID) {
        (void)nghttp2_session_consume_connection(session, len);
        return 0;
    }
    t->unconsumed += len;
    if (t->phase == HTTP2_BODY)
        body_came(t, bytes, len);
    else if (t->phase == HTTP2_TAKEN)
        http2_pump_up(t, bytes, len);
    else if (t->phase == HTTP2_REPLY)
        http2_consume(t, len); /* the answer did not need it */
    else if (!http2_up_keep(t, bytes, len))
        http2_reset(t, NGHTTP2_REFUSED_STREAM);
    return 0;
}
