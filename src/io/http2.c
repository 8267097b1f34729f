/* http2.c - a connection's session: what comes in, what goes out, deadlines, and its end. Heads and
 * bodies are in http2_request.c, answers in http2_reply.c and http2_pump.c. */
#include "io/http2_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define READS_A_TURN 4
#define KEEPALIVE_IDLE_S 60

uint64_t http2_now_ms(const struct http2 *h)
{
    return uv_now(h->conn->server->config.loop);
}

void http2_reset(struct http2_stream *t, uint32_t error)
{
    t->due_ms = TIME_NEVER;
    (void)nghttp2_submit_rst_stream(t->h2->session, NGHTTP2_FLAG_NONE, t->id, error);
}

void http2_consume(struct http2_stream *t, size_t bytes)
{
    if (!bytes)
        return;
    t->unconsumed -= bytes;
    (void)nghttp2_session_consume(t->h2->session, t->id, bytes);
}

/* -- streams -- */

/* All but its own memory. */
static void stream_drop(struct http2_stream *t, bool whole)
{
    struct http_request *r = t->request;
    t->request = NULL;
    http2_pump_over(t, whole);
    http2_up_drop(t);
    http2_reply_drop(t);
    if (!r)
        return;
    r->h2 = NULL;
    if (t->phase == HTTP2_BODY || t->phase == HTTP2_HELD)
        request_free(r); /* its handler does not have it yet */
    else
        r->conn = NULL;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
    struct http2 *h = context;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(session, id);
    if (!t)
        return 0;
    stream_drop(t, error == NGHTTP2_NO_ERROR);
    if (t->unconsumed)
        (void)nghttp2_session_consume_connection(session, t->unconsumed);
    if (h->heading == t)
        h->heading = NULL;
    list_remove(&t->link);
    h->stream_count--;
    mem_free(t);
    return 0;
}

/* -- frames -- */

static bool within(struct http2 *h, bool calm)
{
    if (!calm)
        h->doom = NGHTTP2_ENHANCE_YOUR_CALM;
    return calm;
}

static bool count_reset(struct http2 *h)
{
    uint32_t max = h->conn->server->config.limits.resets_max;
    return within(h, http2_calm_reset(&h->calm, http2_now_ms(h), max));
}

static bool count_control(struct http2 *h)
{
    return within(h, http2_calm_control(&h->calm, http2_now_ms(h)));
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *context)
{
    struct http2 *h = context;
    bool calm = true;
    (void)session;
    if (hd->type == NGHTTP2_DATA)
        calm = hd->length || hd->flags & NGHTTP2_FLAG_END_STREAM || count_control(h);
    else if (hd->type != NGHTTP2_HEADERS && hd->type != NGHTTP2_RST_STREAM)
        calm = count_control(h);
    return calm ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void data_came(struct http2 *h, struct http2_stream *t, const nghttp2_frame *frame)
{
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    h->fields.lines.len = 0; /* no trailers */
    if (last && t)
        http2_request_done(t);
    else if (!last && frame->hd.length && frame->hd.length == frame->data.padlen)
        (void)count_control(h);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *h = context;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (h->conn->phase == CONN_CLOSED)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        http_count(&h->conn->server->config.counters->h2_resets);
        (void)count_reset(h);
    } else if (frame->hd.type == NGHTTP2_DATA) {
        data_came(h, t, frame);
    } else if (frame->hd.type == NGHTTP2_HEADERS && t) {
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            t->ended = last;
            http2_head_done(h, t);
        }
        if (last && h->conn->phase != CONN_CLOSED)
            http2_request_done(t);
    }
    return h->doom || h->conn->phase == CONN_CLOSED ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Of the client's making: what it sent made us reset the stream. */
static bool blames(uint32_t error)
{
    return error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_FLOW_CONTROL_ERROR ||
           error == NGHTTP2_STREAM_CLOSED || error == NGHTTP2_FRAME_SIZE_ERROR ||
           error == NGHTTP2_REFUSED_STREAM;
}

/* The answer is whole: the rest of the request is not wanted, and gets no more window. Clients stop
 * when they see the answer; a reset on its heels makes some of them forget it. */
static void said(struct http2_stream *t)
{
    t->phase = HTTP2_SAID;
    t->due_ms = http2_now_ms(t->h2) + HTTP2_SAID_MS;
    http2_pump_over(t, false);
    http2_up_drop(t);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *h = context;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool message = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_DATA)
        http2_calm_useful(&h->calm, http2_now_ms(h));
    else if (frame->hd.type == NGHTTP2_RST_STREAM && blames(frame->rst_stream.error_code))
        (void)count_reset(h);
    if (message && frame->hd.flags & NGHTTP2_FLAG_END_STREAM && t && !t->ended)
        said(t);
    return 0;
}

/* -- the end -- */

static void streams_drop(struct http2 *h)
{
    for (struct list *at = h->streams.next; at != &h->streams; at = at->next)
        stream_drop(list_entry(at, struct http2_stream, link), false);
    http2_lanes_close(h);
}

/* All is said: closes so that the last frames are not lost to a reset. */
static void finish(struct http2 *h)
{
    struct http_conn *c = h->conn;
    if (c->phase == CONN_CLOSED || c->phase == CONN_LINGER)
        return;
    if (h->out_len) {
        conn_close(c);
        return;
    }
    streams_drop(h);
    (void)stream_shutdown(&c->stream); /* said again when it may be */
    conn_set_phase(c, CONN_LINGER);
    conn_watch(c, true, false);
}

/* -- output -- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void out_free(struct http2 *h)
{
    h->conn->server->held_bytes -= h->out_len;
    mem_free(h->out);
    h->out = NULL;
    h->out_at = h->out_len = 0;
}

/* True: all is taken. Else the rest is kept, or the connection closed. */
static bool out_write(struct http2 *h, const char *bytes, size_t len)
{
    struct http_conn *c = h->conn;
    struct http_server *s = c->server;
    ssize_t n = stream_write(&c->stream, bytes, len);
    if (n == (ssize_t)len)
        return true;
    size_t sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && !would_block()) {
        conn_close(c);
    } else if (!server_hold(s, len - sent)) {
        http_count(&s->config.counters->busy);
        conn_close(c);
    } else if (!(h->out = mem_dup(bytes + sent, len - sent))) {
        s->held_bytes -= len - sent;
        conn_close(c);
    } else {
        h->out_len = len - sent;
        h->taken_ms = http2_now_ms(h);
    }
    return false;
}

/* What was kept. */
static bool out_drain(struct http2 *h)
{
    ssize_t n = stream_write(&h->conn->stream, h->out + h->out_at, h->out_len - h->out_at);
    if (n < 0 && !would_block())
        conn_close(h->conn);
    if (n <= 0)
        return false;
    h->out_at += (size_t)n;
    h->taken_ms = http2_now_ms(h);
    if (h->out_at < h->out_len)
        return false;
    out_free(h);
    return true;
}

/* Frames into the batch, as many as have room. -1: the session is broken. */
static ssize_t batch_fill(struct http2 *h, char batch[HTTP2_BATCH_BYTES])
{
    size_t used = 0;
    h->running = true;
    while (used + HTTP2_FRAME_MAX <= HTTP2_BATCH_BYTES) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(h->session, &frame);
        if (n < 0 || (size_t)n > HTTP2_BATCH_BYTES - used) {
            h->running = false;
            return -1;
        }
        if (n == 0)
            break;
        memcpy(batch + used, frame, (size_t)n);
        used += (size_t)n;
    }
    h->running = false;
    return (ssize_t)used;
}

/* True: there is nothing more to write. */
static bool out_run(struct http2 *h)
{
    char batch[HTTP2_BATCH_BYTES];
    if (h->out_len && !out_drain(h))
        return false;
    for (unsigned i = 0; i < HTTP2_BATCHES_A_TURN; i++) {
        ssize_t n = batch_fill(h, batch);
        if (n < 0)
            conn_close(h->conn);
        if (n < 0 || (n > 0 && !out_write(h, batch, (size_t)n)))
            return false;
        if (n == 0)
            return true;
    }
    return false;
}

static void doom(struct http2 *h)
{
    uint32_t error = h->doom;
    h->doom = 0;
    if (error == NGHTTP2_ENHANCE_YOUR_CALM)
        http_count(&h->conn->server->config.counters->h2_calmed);
    (void)nghttp2_session_terminate_session(h->session, error);
    if (out_run(h) || h->conn->phase != CONN_CLOSED)
        finish(h);
}

void http2_flush(struct http2 *h)
{
    struct http_conn *c = h->conn;
    if (h->running || c->phase == CONN_CLOSED || c->phase == CONN_LINGER)
        return;
    bool all = out_run(h);
    if (c->phase == CONN_CLOSED)
        return;
    if (h->doom) {
        doom(h);
        return;
    }
    bool over = h->stopping && !h->stream_count;
    if (all && (over || !nghttp2_session_want_read(h->session))) {
        finish(h);
        return;
    }
    enum conn_phase phase = h->stream_count ? CONN_STREAMS : CONN_IDLE;
    if (c->phase != phase)
        conn_set_phase(c, phase);
    /* Who does not take what it asked for is not listened to. */
    conn_watch(c, !h->out_len, !all);
}

/* -- input -- */

void http2_input(struct http_conn *c, const char *bytes, size_t len)
{
    struct http2 *h = c->h2;
    h->running = true;
    ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes, len);
    h->running = false;
    if (c->phase == CONN_CLOSED)
        return;
    if (n < 0 && !h->doom)
        h->doom = n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                  : n == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR
                                           : NGHTTP2_PROTOCOL_ERROR;
    if (h->doom)
        doom(h);
    else
        http2_flush(h);
}

void http2_event(struct http_conn *c, uint32_t events)
{
    struct http_server *s = c->server;
    struct http2 *h = c->h2;
    if (h->out_len || events & EPOLLOUT)
        http2_flush(h);
    for (int i = 0; i < READS_A_TURN; i++) {
        if (c->phase == CONN_CLOSED || c->phase == CONN_LINGER || h->out_len)
            return;
        ssize_t n = stream_read(&c->stream, s->read_buffer, sizeof s->read_buffer);
        bool none = n < 0 && would_block();
        if (h->held && !tls_early(c->stream.tls)) {
            http2_held_begin(h);
            http2_flush(h);
            if (c->phase == CONN_CLOSED || c->phase == CONN_LINGER)
                return;
        }
        if (none)
            return;
        if (n <= 0) {
            conn_close(c);
            return;
        }
        http2_input(c, s->read_buffer, (size_t)n);
        if ((size_t)n < sizeof s->read_buffer)
            return;
    }
}

/* -- deadlines -- */

static void stream_late(struct http2_stream *t)
{
    struct http2 *h = t->h2;
    t->due_ms = TIME_NEVER;
    if (t->phase == HTTP2_BODY) {
        http2_fail(t, 408, "the request did not come in time");
        return;
    }
    if (t->phase == HTTP2_SAID) {
        http2_reset(t, NGHTTP2_NO_ERROR);
        return;
    }
    http_count(&h->conn->server->config.counters->timeouts);
    if (t->phase == HTTP2_HEAD)
        h->doom = NGHTTP2_PROTOCOL_ERROR; /* nothing else can come on this connection */
    else
        http2_reset(t, NGHTTP2_CANCEL);
}

static void tick(struct http2 *h)
{
    struct http_conn *c = h->conn;
    struct http_server *s = c->server;
    uint64_t now = http2_now_ms(h);
    if (h->out_len && now - h->taken_ms >= s->config.limits.body_ms) {
        http_count(&s->config.counters->timeouts);
        conn_close(c);
        return;
    }
    conn_set_phase(c, CONN_STREAMS);
    h->running = true;
    for (struct list *at = h->streams.next; at != &h->streams; at = at->next) {
        struct http2_stream *t = list_entry(at, struct http2_stream, link);
        if (t->due_ms <= now)
            stream_late(t);
    }
    h->running = false;
    http2_flush(h);
}

void http2_stop(struct http_conn *c)
{
    struct http2 *h = c->h2;
    h->stopping = true;
    http2_lanes_close(h);
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
    http2_flush(h);
}

void http2_expire(struct http_conn *c)
{
    if (c->phase == CONN_STREAMS) {
        tick(c->h2);
        return;
    }
    http2_stop(c);
    if (c->phase == CONN_IDLE) /* its output waits */
        conn_close(c);
}

/* -- lifetime -- */

bool http2_preface(const char *bytes, size_t len, bool *more)
{
    size_t n = len < NGHTTP2_CLIENT_MAGIC_LEN ? len : NGHTTP2_CLIENT_MAGIC_LEN;
    bool so_far = n > 0 && memcmp(bytes, NGHTTP2_CLIENT_MAGIC, n) == 0;
    *more = so_far && len < NGHTTP2_CLIENT_MAGIC_LEN;
    return so_far && !*more;
}

static int session_open(struct http2 *h)
{
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_option *option = NULL;
    int err = nghttp2_session_callbacks_new(&calls);
    if (err == 0)
        err = nghttp2_option_new(&option);
    if (err == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(calls, http2_on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(calls, http2_on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, http2_on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame_recv);
        nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_frame_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
        err = nghttp2_session_server_new2(&h->session, calls, h, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    return err;
}

static int session_greet(struct http2 *h)
{
    const struct http_limits *l = &h->conn->server->config.limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    int err = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                      sizeof settings / sizeof *settings);
    if (err == 0)
        err = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                    HTTP2_CONNECTION_WINDOW);
    return err;
}

int http2_start(struct http_conn *c)
{
    int on = 1, idle_s = KEEPALIVE_IDLE_S;
    struct http2 *h = mem_alloc(sizeof *h);
    if (!h)
        return STEAD_E_NOMEM;
    h->conn = c;
    list_init(&h->streams);
    list_init(&h->lanes);
    if (session_open(h) != 0 || session_greet(h) != 0) {
        nghttp2_session_del(h->session);
        mem_free(h);
        return STEAD_E_NOMEM;
    }
    c->h2 = h;
    http_count(&c->server->config.counters->h2_connections);
    /* A client that vanished without a word is noticed though a stream waits for news. */
    setsockopt(c->stream.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(c->stream.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    return STEAD_OK;
}

void http2_drop(struct http_conn *c)
{
    streams_drop(c->h2);
    out_free(c->h2);
}

void http2_free(struct http2 *h)
{
    struct list *link;
    if (!h)
        return;
    while ((link = list_pop(&h->streams)))
        mem_free(list_entry(link, struct http2_stream, link));
    nghttp2_session_del(h->session);
    http2_fields_free(&h->fields);
    mem_free(h);
}
