/* http2_bench.h - a server on a loop that speaks HTTP/2, and clients on the same thread: nghttp2's
 * client side, or raw frames. */
#ifndef HTTP2_BENCH_H
#define HTTP2_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/http_server.h"
#include "io/io.h"
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_TURNS 30000
#define STREAMS_MAX 1024
#define TEXT_MAX 4096

struct bench {
    uv_loop_t loop;
    struct http_server *server;
    struct http_counters counters;
    struct addr address;
    struct http_request *held; /* by "/later" */
    struct stream taken;
    char *bytes;
    size_t len;
    char head[1000]; /* the bytes, as a text */
    int take_error;
    bool closed;
};

struct got {
    int status, interim;
    char fields[TEXT_MAX]; /* "name: value\n" */
    char text[TEXT_MAX];   /* the body's beginning */
    size_t body;
    bool closed;
    uint32_t error;
};

struct peer {
    struct bench *bench;
    nghttp2_session *session;
    int fd;
    bool ended, goaway;
    uint32_t goaway_error;
    size_t settings;
    struct got got[STREAMS_MAX]; /* by stream id / 2 */
    /* Of the one body that is being sent. */
    const char *body;
    size_t body_len, body_at;
    bool body_more; /* it does not end yet */
    const char *trailer;
};

static char large[300000];

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct bench *b = context;
    const struct http_head *h = http_request_head(r);
    const struct http_header *cookie = http_find(h->headers, h->header_count, "cookie");
    if (slice_is(h->path, "/later")) {
        if (b->held)
            http_reply(b->held, 503, NULL, NULL, NULL, 0);
        b->held = r;
    } else if (slice_is(h->path, "/take")) {
        b->take_error = http_take(r, &b->taken, &b->bytes, &b->len);
        snprintf(b->head, sizeof b->head, "%.*s", (int)b->len, b->bytes ? b->bytes : "");
        mem_free(b->bytes);
        b->bytes = NULL;
        if (b->take_error != STEAD_OK)
            http_reply_error(r, 503, "BUSY", "no");
    } else if (slice_is(h->path, "/large")) {
        http_reply(r, 200, "text/plain", NULL, large, sizeof large);
    } else if (slice_is(h->path, "/none")) {
        http_reply(r, 204, NULL, NULL, NULL, 0);
    } else if (slice_is(h->path, "/cookie")) {
        http_reply(r, 200, NULL, NULL, cookie ? cookie->value.at : "",
                   cookie ? cookie->value.len : 0);
    } else if (slice_is(h->path, "/host")) {
        http_reply(r, 200, NULL, NULL, h->host.at, h->host.len);
    } else if (slice_is(h->path, "/echo") && !body) {
        return HTTP_WANT_BODY;
    } else if (slice_is(h->path, "/echo")) {
        http_reply(r, 200, "application/octet-stream", "X-Echo: yes\r\nX-Two: 2\r\n", body, len);
    } else {
        http_reply(r, 200, "text/plain", NULL, h->path.at, h->path.len);
    }
    return HTTP_ANSWERED;
}

static void open_bench(struct bench *b, const struct http_limits *limits)
{
    memset(b, 0, sizeof *b);
    b->taken.fd = -1;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    struct http_server_config c = {.loop = &b->loop,
                                   .counters = &b->counters,
                                   .server_name = "stead",
                                   .handle = handle,
                                   .context = b};
    http_limits_default(&c.limits);
    c.limits.streams_max = 100;
    if (limits)
        c.limits = *limits;
    struct addr any;
    assert_true(addr_parse("127.0.0.1:0", 0, &any));
    assert_int_equal(listen_tcp(&any, false, &c.fd), STEAD_OK);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getsockname(c.fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &b->address));
    assert_int_equal(http_server_open(&c, &b->server), STEAD_OK);
}

static void server_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static void close_bench(struct bench *b)
{
    http_server_close(b->server, server_closed, b);
    for (int i = 0; i < 1000 && !b->closed; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(b->closed);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(atomic_load(&b->counters.open), 0);
    stream_close(&b->taken, false);
}

/* -- the client -- */

static struct got *got_of(struct peer *p, int32_t id)
{
    assert_true(id > 0 && id / 2 < STREAMS_MAX);
    return &p->got[id / 2];
}

static int peer_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                       size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                       void *context)
{
    struct got *g = got_of(context, frame->hd.stream_id);
    size_t used = strlen(g->fields);
    (void)session;
    (void)flags;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        int status = atoi((const char *)value);
        g->interim += status < 200;
        g->status = status;
    }
    snprintf(g->fields + used, sizeof g->fields - used, "%.*s: %.*s\n", (int)name_len, name,
             (int)value_len, value);
    return 0;
}

static int peer_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                     size_t len, void *context)
{
    struct got *g = got_of(context, id);
    (void)session;
    (void)flags;
    if (g->body < sizeof g->text - 1) {
        size_t room = sizeof g->text - 1 - g->body;
        memcpy(g->text + g->body, data, len < room ? len : room);
    }
    g->body += len;
    return 0;
}

static int peer_closed(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
    struct got *g = got_of(context, id);
    (void)session;
    g->closed = true;
    g->error = error;
    return 0;
}

static int peer_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct peer *p = context;
    (void)session;
    p->settings += frame->hd.type == NGHTTP2_SETTINGS;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        p->goaway = true;
        p->goaway_error = frame->goaway.error_code;
    }
    return 0;
}

static int dial(struct bench *b)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&b->address, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static struct peer *peer_new(struct bench *b)
{
    struct peer *p = calloc(1, sizeof *p);
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    assert_non_null(p);
    p->bench = b;
    p->fd = dial(b);
    assert_int_equal(nghttp2_session_callbacks_new(&calls), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_session_callbacks_set_on_header_callback(calls, peer_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, peer_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, peer_closed);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, peer_frame);
    /* What it may not send is the server's to find. */
    nghttp2_option_set_no_http_messaging(option, 1);
    assert_int_equal(nghttp2_session_client_new2(&p->session, calls, p, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    assert_int_equal(nghttp2_submit_settings(p->session, 0, NULL, 0), 0);
    return p;
}

static void peer_free(struct peer *p)
{
    nghttp2_session_del(p->session);
    close(p->fd);
    free(p);
}

/* One turn: what the client has to say, the loop, what it hears. */
static void turn(struct peer *p)
{
    static char bytes[65536];
    struct timespec pause = {.tv_nsec = 200000};
    const uint8_t *out;
    ssize_t n;
    while (!p->ended && (n = nghttp2_session_mem_send(p->session, &out)) > 0)
        for (ssize_t sent = 0, m; sent<n; sent += m> 0 ? m : 0) {
            m = send(p->fd, out + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            if (m < 0 && errno != EAGAIN) {
                p->ended = true;
                break;
            }
            uv_run(&p->bench->loop, UV_RUN_NOWAIT);
        }
    uv_run(&p->bench->loop, UV_RUN_NOWAIT);
    while (!p->ended && (n = recv(p->fd, bytes, sizeof bytes, 0)) >= 0) {
        p->ended = n == 0;
        if (nghttp2_session_mem_recv(p->session, (uint8_t *)bytes, (size_t)n) < 0)
            p->ended = true;
    }
    nanosleep(&pause, NULL);
}

#define UNTIL(p, condition)                                                                        \
    do {                                                                                           \
        for (int turns_ = 0; turns_ < WAIT_TURNS && !(condition); turns_++)                        \
            turn(p);                                                                               \
        assert_true(condition);                                                                    \
    } while (0)

static ssize_t peer_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct peer *p = context;
    size_t left = p->body_len - p->body_at, n = left < max ? left : max;
    (void)source;
    if (!n && p->body_more)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(buf, p->body + p->body_at, n);
    p->body_at += n;
    if (n == left && !p->body_more) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (p->trailer) {
            nghttp2_nv nv = {(uint8_t *)(uintptr_t) "x-sum", (uint8_t *)(uintptr_t)p->trailer, 5,
                             strlen(p->trailer), 0};
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, &nv, 1);
        }
    }
    return (ssize_t)n;
}

/* fields: name, value, ..., NULL; body NULL: none. */
static int32_t ask_fields(struct peer *p, const char *body, const char *const *fields)
{
    nghttp2_nv nv[64];
    size_t count = 0;
    nghttp2_data_provider data = {{.ptr = NULL}, peer_read};
    for (; *fields; fields += 2)
        nv[count++] = (nghttp2_nv){(uint8_t *)(uintptr_t)fields[0], (uint8_t *)(uintptr_t)fields[1],
                                   strlen(fields[0]), strlen(fields[1]), NGHTTP2_NV_FLAG_NONE};
    if (body && body != p->body) {
        p->body = body;
        p->body_len = strlen(body);
        p->body_at = 0;
    }
    int32_t id = nghttp2_submit_request(p->session, NULL, nv, count, body ? &data : NULL, NULL);
    assert_true(id > 0);
    return id;
}

#define ASK(p, body, method, path, ...)                                                            \
    ask_fields(p, body,                                                                            \
               (const char *const[]){":method", method, ":scheme", "http", ":authority",           \
                                     "shop.test:8080", ":path", path, ##__VA_ARGS__, NULL})

#define assert_has(text, part) assert_non_null(strstr(text, part))
#define assert_has_not(text, part) assert_null(strstr(text, part))

#endif
