/* http2_pump.c - a stream that was taken: a socket pair's end that speaks HTTP/1.1 with the taker.
 *
 * Up (the client's body) what the pair does not take is kept, and the client gets new window only
 * for what was taken. Down nothing is kept but a head that is not whole: nghttp2 reads from the
 * pair when the client has window and the connection takes more.
 *
 * A pair whose answer is whole, and whose taker keeps it open, is a lane: the next request for the
 * same host goes to the same taker, as on a kept connection of HTTP/1.1. Only methods that may be
 * repeated go there, since the taker may close it at the same time: then REFUSED_STREAM tells the
 * client to ask again.
 */
#include "io/http2_internal.h"

#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_HEAD_MAX 24

enum pump_phase { PUMP_HEAD, PUMP_LENGTH, PUMP_CHUNKED, PUMP_TO_END, PUMP_DONE };

struct http2_pump {
    struct poller_item item;
    struct http2 *h2;
    struct http2_stream *stream; /* NULL: an idle lane */
    struct list link;            /* of the idle lanes */
    uint64_t idle_since_ms;
    char *host; /* Host of its requests */
    size_t host_len;
    uint8_t phase;
    bool keep;       /* the answer leaves the pair open, and nothing is behind it */
    bool again;      /* not its first request */
    bool chunked_up; /* the body goes up in chunks: it came without a length */
    bool up_broken;  /* the taker reads no more */
    bool head_only;  /* the answer has no body, whatever it says */
    bool deferred;   /* nghttp2 waits for bytes from the pair */
    bool want_in;    /* the pair's bytes are waited for */
    uint8_t interim; /* 1xx answers passed on */
    uint64_t left;   /* LENGTH */
    struct http_chunked chunked;
    struct http2_text down; /* read and not passed on: from down_at on */
    size_t down_at;
    struct http2_text trailers;
};

static struct http_server *server_of(const struct http2_pump *p)
{
    return p->h2->conn->server;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void pump_fail(struct http2_pump *p)
{
    bool unheard = p->phase == PUMP_HEAD && p->again && !p->down.len && !p->interim;
    p->phase = PUMP_DONE;
    p->keep = p->want_in = false;
    http2_reset(p->stream, unheard ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
}

static void pump_watch_for(struct http2_pump *p, uint32_t events)
{
    if (!poller_watch(server_of(p)->poller, &p->item, events) && p->phase != PUMP_DONE)
        pump_fail(p);
}

/* To watch for what is not wanted costs nothing until it comes: mostly the pair is closed before.
 */
static void pump_watch(struct http2_pump *p)
{
    const struct http2_stream *t = p->stream;
    uint32_t events =
        (p->want_in ? (uint32_t)EPOLLIN : 0) | (t->up.len > t->up_at ? (uint32_t)EPOLLOUT : 0);
    if ((p->item.events | EPOLLIN) != (events | EPOLLIN) || (events & ~p->item.events))
        pump_watch_for(p, events);
}

/* -- up: the request's body -- */

/* The taker reads no more; its answer may still come. */
static void up_break(struct http2_pump *p)
{
    p->up_broken = true;
    http2_up_drop(p->stream);
    http2_consume(p->stream, p->stream->unconsumed);
}

static void up_write(struct http2_pump *p)
{
    struct http2_stream *t = p->stream;
    size_t waiting = t->up.len - t->up_at;
    if (!waiting)
        return;
    ssize_t n = send(p->item.fd, t->up.at + t->up_at, waiting, MSG_NOSIGNAL);
    if (n < 0 && !would_block()) {
        up_break(p);
    } else if (n > 0) {
        server_of(p)->held_bytes -= (size_t)n;
        t->up_at += (size_t)n;
        /* The chunks' own bytes have their share. */
        http2_consume(t, (size_t)((uint64_t)t->unconsumed * (size_t)n / waiting));
    }
    if (t->up_at == t->up.len)
        http2_up_drop(t);
}

static bool up_put(struct http2_pump *p, const void *bytes, size_t len)
{
    if (http2_up_keep(p->stream, bytes, len))
        return true;
    http_count(&server_of(p)->config.counters->busy);
    pump_fail(p);
    return false;
}

void http2_pump_up(struct http2_stream *t, const char *bytes, size_t len)
{
    struct http2_pump *p = t->pump;
    char head[CHUNK_HEAD_MAX];
    if (p->up_broken || p->phase == PUMP_DONE) {
        http2_consume(t, len);
        return;
    }
    int n = p->chunked_up ? snprintf(head, sizeof head, "%zx\r\n", len) : 0;
    if (len && up_put(p, head, (size_t)n) && up_put(p, bytes, len) &&
        up_put(p, "\r\n", p->chunked_up ? 2 : 0)) {
        up_write(p);
        pump_watch(p);
    }
}

void http2_pump_end(struct http2_stream *t)
{
    struct http2_pump *p = t->pump;
    const struct http2_text *trailers = &t->h2->fields.lines;
    bool usable = !t->h2->fields.too_large && !t->h2->fields.no_memory;
    if (!p->chunked_up || p->up_broken || p->phase == PUMP_DONE)
        return;
    if (up_put(p, "0\r\n", 3) && up_put(p, trailers->at, usable ? trailers->len : 0) &&
        up_put(p, "\r\n", 2)) {
        up_write(p);
        pump_watch(p);
    }
}

/* -- down: the body -- */

/* What of n bytes in buf is data, moved to the front. 1: the body is whole, 0: not yet, -1: it is
 * malformed. */
static int decode_chunks(struct http2_pump *p, char *buf, size_t *n)
{
    struct slice in = {buf, *n};
    size_t out = 0;
    int step;
    do {
        struct slice data;
        uint32_t before = p->chunked.trailer_bytes;
        step = http_chunked_step(&p->chunked, &in, &data);
        if (data.len)
            memmove(buf + out, data.at, data.len);
        out += data.len;
        size_t trailer = p->chunked.trailer_bytes - before;
        if (step >= 0 && trailer && !http2_text_put(&p->trailers, in.at - trailer, trailer))
            return -1;
    } while (step == 1);
    *n = out;
    p->keep = p->keep && !in.len;
    return step < 0 ? -1 : step == 2;
}

static void down_free(struct http2_pump *p)
{
    mem_free(p->down.at);
    p->down = (struct http2_text){0};
    p->down_at = 0;
}

static int decode(struct http2_pump *p, char *buf, size_t *n)
{
    if (p->phase == PUMP_CHUNKED)
        return decode_chunks(p, buf, n);
    if (p->phase == PUMP_TO_END)
        return 0;
    p->keep = p->keep && *n <= p->left;
    if (*n > p->left)
        *n = (size_t)p->left;
    p->left -= *n;
    return p->left == 0;
}

/* The trailer section as it came: lines, the last one empty. */
static bool send_trailers(struct http2_pump *p)
{
    nghttp2_nv nv[HTTP_HEADERS_MAX];
    size_t count = 0, at = 0;
    const struct http2_text *x = &p->trailers;
    while (at < x->len && count < HTTP_HEADERS_MAX) {
        char *line = x->at + at;
        char *end = memchr(line, '\r', x->len - at);
        char *colon = end ? memchr(line, ':', (size_t)(end - line)) : NULL;
        if (!colon)
            break;
        char *value = colon + 1;
        while (value < end && *value == ' ')
            value++;
        nv[count++] = (nghttp2_nv){(uint8_t *)line, (uint8_t *)value, (size_t)(colon - line),
                                   (size_t)(end - value), NGHTTP2_NV_FLAG_NONE};
        at = (size_t)(end - x->at) + 2;
    }
    return count && nghttp2_submit_trailer(p->stream->h2->session, p->stream->id, nv, count) == 0;
}

static void body_ended(struct http2_pump *p, uint32_t *flags)
{
    p->phase = PUMP_DONE;
    p->want_in = false;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (send_trailers(p))
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    pump_watch(p);
}

static ssize_t read_pair(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct http2_pump *p = ((struct http2_stream *)source->ptr)->pump;
    (void)session;
    (void)id;
    (void)context;
    for (;;) {
        size_t n = p->down.len - p->down_at;
        if (n) {
            n = n < max ? n : max;
            memcpy(buf, p->down.at + p->down_at, n);
            p->down_at += n;
            if (p->down_at == p->down.len)
                down_free(p);
        } else {
            ssize_t got = recv(p->item.fd, buf, max, 0);
            if (got < 0 && would_block()) {
                p->deferred = p->want_in = true;
                pump_watch(p);
                return NGHTTP2_ERR_DEFERRED;
            }
            if (got == 0 && p->phase == PUMP_TO_END) {
                body_ended(p, flags);
                return 0;
            }
            if (got <= 0)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cut off: RST_STREAM */
            n = (size_t)got;
        }
        int end = decode(p, (char *)buf, &n);
        if (end < 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        if (end)
            body_ended(p, flags);
        if (end || n)
            return (ssize_t)n;
    }
}

/* -- down: the head -- */

static bool of_the_hop(const struct http_response_head *head, struct slice name)
{
    static const char *const names[] = {"connection",        "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade",    "te"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is_nocase(name, names[i]))
            return true;
    for (size_t i = 0; i < head->header_count; i++) {
        struct slice list = head->headers[i].value, option;
        if (!slice_is_nocase(head->headers[i].name, "connection"))
            continue;
        while (http_list_next(&list, &option))
            if (option.len == name.len && strncasecmp(option.at, name.at, name.len) == 0)
                return true;
    }
    return false;
}

static size_t head_fields(const struct http_response_head *head, char code[4], nghttp2_nv *nv)
{
    size_t count = 1;
    snprintf(code, 4, "%03u", (unsigned)head->status % 1000);
    nv[0] =
        (nghttp2_nv){(uint8_t *)(uintptr_t) ":status", (uint8_t *)code, 7, 3, NGHTTP2_NV_FLAG_NONE};
    for (size_t i = 0; i < head->header_count; i++) {
        const struct http_header *x = &head->headers[i];
        if (!of_the_hop(head, x->name))
            nv[count++] =
                (nghttp2_nv){(uint8_t *)(uintptr_t)x->name.at, (uint8_t *)(uintptr_t)x->value.at,
                             x->name.len, x->value.len, NGHTTP2_NV_FLAG_NONE};
    }
    return count;
}

/* False: the stream cannot go on. */
static bool send_head(struct http2_pump *p, const struct http_response_head *head)
{
    nghttp2_nv nv[HTTP_HEADERS_MAX + 1];
    char code[4];
    struct http2_stream *t = p->stream;
    nghttp2_session *session = t->h2->session;
    size_t count = head_fields(head, code, nv);
    if (head->status == 101)
        return false; /* nobody asked for it */
    if (head->status < 200)
        return ++p->interim > HTTP2_INTERIM_MAX ||
               nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, t->id, NULL, nv, count, NULL) ==
                   0;
    p->left = head->length;
    p->phase = head->chunked ? PUMP_CHUNKED : head->has_length ? PUMP_LENGTH : PUMP_TO_END;
    if (p->head_only || head->status == 204 || head->status == 304 ||
        (p->phase == PUMP_LENGTH && !p->left))
        p->phase = PUMP_DONE;
    p->want_in = false;
    p->keep = head->keep_alive;
    nghttp2_data_provider data = {{.ptr = t}, read_pair};
    return nghttp2_submit_response(session, t->id, nv, count,
                                   p->phase == PUMP_DONE ? NULL : &data) == 0;
}

static bool read_head(struct http2_pump *p)
{
    char bytes[HTTP_HEAD_MAX];
    struct http_response_head head;
    const char *why;
    ssize_t n = recv(p->item.fd, bytes, sizeof bytes, 0);
    if (n < 0 && would_block())
        return true;
    if (n <= 0 || !http2_text_put(&p->down, bytes, (size_t)n))
        return false;
    while (p->phase == PUMP_HEAD) {
        int used =
            http_parse_response(p->down.at + p->down_at, p->down.len - p->down_at, &head, &why);
        if (used == 0)
            return true;
        if (used < 0)
            return false;
        p->down_at += (size_t)used;
        if (!send_head(p, &head))
            return false;
    }
    return true;
}

static void pump_free(struct http2_pump *p)
{
    struct http_server *s = server_of(p);
    s->connections--;
    poller_forget(s->poller, &p->item);
    close(p->item.fd);
    mem_free(p->host);
    mem_free(p->down.at);
    mem_free(p->trailers.at);
    mem_free(p);
}

static void lane_leave(struct http2_pump *p)
{
    list_remove(&p->link);
    p->h2->lane_count--;
}

static void lane_close(struct http2_pump *p)
{
    lane_leave(p);
    pump_free(p);
}

static void pump_event(struct poller_item *item, uint32_t events)
{
    struct http2_pump *p = list_entry(item, struct http2_pump, item);
    struct http2_stream *t = p->stream;
    struct http2 *h = p->h2;
    struct http_server *s = h->conn->server;
    if (!t) {
        lane_close(p); /* whatever comes here now, nobody asked for it */
        return;
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        up_write(p);
    if (p->phase == PUMP_HEAD && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        if (!read_head(p))
            pump_fail(p);
    } else if (p->deferred && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        p->deferred = false;
        (void)nghttp2_session_resume_data(h->session, t->id);
    } else if (!p->deferred) {
        p->want_in = p->phase == PUMP_HEAD; /* else it is read when the client has window */
        pump_watch_for(p, p->want_in ? EPOLLIN : 0);
    }
    pump_watch(p);
    http2_flush(h);
    server_bury(s);
}

/* -- taking -- */

static void pump_begin(struct http2_pump *p, struct http2_stream *t, const struct http_head *head)
{
    p->stream = t;
    p->phase = PUMP_HEAD;
    p->chunked_up = head->chunked;
    p->head_only = slice_is(head->method, "HEAD");
    p->want_in = true;
    p->keep = p->deferred = p->up_broken = false;
    p->interim = 0;
    p->trailers.len = 0;
    http_chunked_init(&p->chunked);
    t->pump = p;
    t->phase = HTTP2_TAKEN;
    t->request = NULL;
}

static struct http2_pump *pump_new(struct http2 *h, const struct http_head *head, int fd)
{
    struct slice host = head->headers[0].value;
    struct http2_pump *p = mem_alloc(sizeof *p);
    if (!p || !(p->host = mem_dup(host.at, host.len))) {
        mem_free(p);
        return NULL;
    }
    p->host_len = host.len;
    p->item = (struct poller_item){.fd = fd, .ready = pump_event};
    p->h2 = h;
    return p;
}

/* The body that came before. */
static void hand_over(struct http2_stream *t)
{
    struct http2_text kept = t->up;
    if (kept.len) {
        t->h2->conn->server->held_bytes -= kept.len;
        t->up = (struct http2_text){0};
        http2_pump_up(t, kept.at, kept.len);
        mem_free(kept.at);
    }
    if (t->ended) {
        t->h2->fields.lines.len = 0; /* another block's by now */
        http2_pump_end(t);
    }
}

int http2_take(struct http_request *r, struct stream *out, char **bytes, size_t *len)
{
    struct http2_stream *t = r->h2;
    struct http_server *s = t->h2->conn->server;
    int pair[2];
    if (r->body_read || t->phase != HTTP2_WAIT)
        return STEAD_E_INVAL;
    if (s->connections >= s->config.limits.connections_max ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        http_count(&s->config.counters->busy);
        return STEAD_E_BUSY;
    }
    char *head = mem_dup(r->bytes, r->head_len);
    struct http2_pump *p = head ? pump_new(t->h2, &r->head, pair[0]) : NULL;
    if (!p || !poller_watch(s->poller, &p->item, EPOLLIN)) {
        close(pair[0]);
        close(pair[1]);
        mem_free(head);
        if (p)
            mem_free(p->host);
        mem_free(p);
        return STEAD_E_NOMEM;
    }
    s->connections++;
    *out = (struct stream){.fd = pair[1]};
    *bytes = head;
    *len = r->head_len;
    r->h2 = NULL;
    pump_begin(p, t, &r->head);
    hand_over(t);
    http2_flush(t->h2);
    return STEAD_OK;
}

/* -- lanes -- */

/* Few of them, and none when the listener's connections grow short. */
static bool lane_room(const struct http2 *h)
{
    const struct http_server *s = h->conn->server;
    return !h->stopping && h->conn->phase != CONN_CLOSED && h->lane_count < HTTP2_LANES_MAX &&
           s->connections < s->config.limits.connections_max / 4 * 3;
}

void http2_pump_over(struct http2_stream *t, bool whole)
{
    struct http2_pump *p = t->pump;
    t->pump = NULL;
    if (!p)
        return;
    bool done = whole && t->ended && p->keep && p->phase == PUMP_DONE && !p->up_broken &&
                t->up.len == t->up_at && p->down.len == p->down_at;
    if (!done || !lane_room(t->h2) || !poller_watch(server_of(p)->poller, &p->item, EPOLLIN)) {
        pump_free(p);
        return;
    }
    down_free(p);
    p->stream = NULL;
    p->idle_since_ms = http2_now_ms(p->h2);
    list_prepend(&p->h2->lanes, &p->link);
    p->h2->lane_count++;
}

static struct http2_pump *lane_for(struct http2 *h, struct slice host)
{
    uint64_t now = http2_now_ms(h);
    struct list *next;
    for (struct list *at = h->lanes.next; at != &h->lanes; at = next) {
        struct http2_pump *p = list_entry(at, struct http2_pump, link);
        next = at->next;
        if (now - p->idle_since_ms >= HTTP2_LANE_IDLE_MS)
            lane_close(p);
        else if (p->host_len == host.len && memcmp(p->host, host.at, host.len) == 0)
            return p;
    }
    return NULL;
}

bool http2_lane_take(struct http2_stream *t, struct http_request *r)
{
    const struct http_head *head = &r->head;
    bool again = slice_is(head->method, "GET") || slice_is(head->method, "HEAD") ||
                 slice_is(head->method, "OPTIONS");
    struct http2_pump *p = again && t->ended ? lane_for(t->h2, head->headers[0].value) : NULL;
    if (!p)
        return false;
    lane_leave(p);
    p->again = true;
    pump_begin(p, t, head);
    r->h2 = NULL;
    if (up_put(p, r->bytes, r->head_len)) {
        up_write(p);
        pump_watch(p);
    }
    return true;
}

void http2_lanes_close(struct http2 *h)
{
    while (!list_empty(&h->lanes))
        lane_close(list_entry(h->lanes.next, struct http2_pump, link));
}
