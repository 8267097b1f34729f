/* http2_reply.c - what http_reply() says, as HEADERS and DATA. */
#include "io/http2_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELDS_MAX 64u /* of one answer */

struct fields {
    nghttp2_nv nv[FIELDS_MAX];
    size_t count;
};

static void add(struct fields *f, struct slice name, struct slice value)
{
    assert(f->count < FIELDS_MAX);
    f->nv[f->count++] = (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at,
                                     name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

#define ADD(f, literal, value) add(f, (struct slice){literal, sizeof(literal) - 1}, value)

static struct slice text_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* "Name: value\r\n" each; nghttp2 lowers the names. */
static void add_lines(struct fields *f, const char *lines)
{
    while (lines && *lines) {
        const char *colon = strchr(lines, ':');
        const char *end = strstr(lines, "\r\n");
        if (!colon || !end || colon > end)
            return;
        const char *value = colon + 1;
        while (*value == ' ')
            value++;
        struct slice name = {lines, (size_t)(colon - lines)};
        add(f, name, (struct slice){value, (size_t)(end - value)});
        /* Never twice the same: it would only push others out of HPACK's table. */
        if (slice_is_nocase(name, "x-request-id"))
            f->nv[f->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
        lines = end + 2;
    }
}

/* -- the body -- */

void http2_reply_drop(struct http2_stream *t)
{
    t->h2->conn->server->held_bytes -= t->out_len;
    mem_free(t->out);
    t->out = NULL;
    t->out_at = t->out_len = 0;
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                        uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct http2_stream *t = source->ptr;
    size_t left = t->out_len - t->out_at, n = left < max ? left : max;
    (void)session;
    (void)id;
    (void)context;
    memcpy(buf, t->out + t->out_at, n);
    t->out_at += n;
    /* As long as the client takes something, it has time. */
    t->due_ms = http2_now_ms(t->h2) + t->h2->conn->server->config.limits.body_ms;
    if (n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static bool keep_body(struct http2_stream *t, const void *body, size_t len)
{
    struct http_server *s = t->h2->conn->server;
    if (!server_hold(s, len))
        return false;
    if (!(t->out = mem_dup(body, len))) {
        s->held_bytes -= len;
        return false;
    }
    t->out_len = len;
    return true;
}

/* -- the head -- */

static struct slice date_now(struct http_server *s)
{
    time_t now = time(NULL);
    if (s->date_s != now) {
        struct tm tm;
        gmtime_r(&now, &tm);
        s->date_len = strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        s->date_s = now;
    }
    return (struct slice){s->date, s->date_len};
}

void http2_reply(struct http_request *r, int status, const char *content_type, const char *headers,
                 const void *body, size_t len)
{
    struct http2_stream *t = r->h2;
    struct http2 *h = t->h2;
    struct http_server *s = h->conn->server;
    struct fields f = {.count = 0};
    char code[16], length[24];
    bool has_body = status >= 200 && status != 204 && status != 304;
    r->h2 = NULL;
    t->request = NULL;
    t->phase = HTTP2_REPLY;
    t->due_ms = http2_now_ms(h) + s->config.limits.body_ms;
    http2_consume(t, t->unconsumed);
    http2_up_drop(t);
    snprintf(code, sizeof code, "%d", status);
    ADD(&f, ":status", text_of(code));
    ADD(&f, "date", date_now(s));
    if (s->server_name)
        ADD(&f, "server", text_of(s->server_name));
    if (content_type)
        ADD(&f, "content-type", text_of(content_type));
    snprintf(length, sizeof length, "%zu", len);
    if (has_body)
        ADD(&f, "content-length", text_of(length));
    add_lines(&f, headers);
    nghttp2_data_provider data = {{.ptr = t}, read_out};
    bool send_body = has_body && len && !slice_is(r->head.method, "HEAD");
    if (send_body && !keep_body(t, body, len)) {
        http_count(&s->config.counters->busy);
        http2_reset(t, NGHTTP2_INTERNAL_ERROR);
    } else if (nghttp2_submit_response(h->session, t->id, f.nv, f.count,
                                       send_body ? &data : NULL) != 0) {
        http2_reset(t, NGHTTP2_INTERNAL_ERROR);
    }
    http2_flush(h);
}

static const char *error_name(int status)
{
    return status == 413 || status == 414 || status == 431 ? "TOO_LARGE"
           : status == 408                                 ? "DEADLINE"
           : status == 501                                 ? "UNSUPPORTED"
           : status == 503                                 ? "NOMEM"
                                                           : "PARSE";
}

void http2_fail(struct http2_stream *t, int status, const char *why)
{
    struct http_counters *counters = t->h2->conn->server->config.counters;
    http_count(status == 503   ? &counters->busy
               : status == 408 ? &counters->timeouts
                               : &counters->bad);
    http_reply_error(t->request, status, error_name(status), why);
}
