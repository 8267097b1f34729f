/* http2_fuzz.c - what follows the preface: any bytes, in two reads, against a server whose handlers
 * answer, read bodies and take streams. Whatever comes, the connection is gone in the end and
 * nothing is held. The first byte says where the reads part. */
#include "fuzz_check.h"

#include "base/mem.h"
#include "io/http_server.h"
#include "stead/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_counters counters;
    struct http_request *held;
    struct stream lane; /* a taken stream that stays open, fd -1: none */
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void take(struct world *w, struct http_request *r)
{
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nZ: 1\r\n\r\n";
    struct stream s;
    char *bytes, drop[4096];
    size_t len;
    struct http_head head;
    const char *why;
    if (http_take(r, &s, &bytes, &len) != STEAD_OK) {
        http_reply_error(r, 503, "BUSY", "no");
        return;
    }
    CHECK(http_parse_request(bytes, len, &head, &why) == (int)len);
    mem_free(bytes);
    (void)!stream_read(&s, drop, sizeof drop);
    (void)!stream_write(&s, answer, sizeof answer - 1);
    if (w->lane.fd < 0)
        w->lane = s;
    else
        stream_close(&s, false);
}

/* Whatever else comes on the kept one is answered too. */
static void lane_answer(struct world *w)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    char drop[4096];
    if (w->lane.fd >= 0 && stream_read(&w->lane, drop, sizeof drop) > 0)
        (void)!stream_write(&w->lane, answer, sizeof answer - 1);
}

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct world *w = context;
    const struct http_head *h = http_request_head(r);
    if (slice_is(h->method, "POST") && !body)
        return HTTP_WANT_BODY;
    if (body) {
        http_reply(r, 200, "text/plain", "X-A: b\r\n", body, len);
    } else if (slice_is(h->path, "/take")) {
        take(w, r);
    } else if (slice_is(h->path, "/later") && !w->held) {
        w->held = r;
    } else {
        http_reply(r, 200, "text/plain", NULL, h->path.at, h->path.len);
    }
    return HTTP_ANSWERED;
}

static struct world *open_world(void)
{
    static struct world w = {.lane.fd = -1};
    int pair[2];
    if (w.server)
        return &w;
    CHECK(uv_loop_init(&w.loop) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    struct http_server_config c = {
        .loop = &w.loop, .fd = pair[0], .counters = &w.counters, .handle = handle, .context = &w};
    http_limits_default(&c.limits);
    c.limits.streams_max = 20;
    c.limits.resets_max = 10;
    c.limits.body_max = 2000;
    CHECK(http_server_open(&c, &w.server) == STEAD_OK);
    return &w;
}

static void turn(struct world *w, int fd)
{
    char drop[65536];
    for (int i = 0; i < TURNS; i++) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        lane_answer(w);
        while (recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = open_world();
    int pair[2];
    if (size < 1 || size > 60000)
        return 0;
    size_t first = (size - 1) * data[0] / 255;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    char *bytes = mem_alloc(sizeof preface - 1 + first);
    CHECK(bytes);
    memcpy(bytes, preface, sizeof preface - 1);
    memcpy(bytes + sizeof preface - 1, data + 1, first);
    struct stream s = {.fd = pair[0]};
    CHECK(http_server_adopt(w->server, s, bytes, sizeof preface - 1 + first, NULL) == STEAD_OK);
    turn(w, pair[1]);
    (void)!send(pair[1], data + 1 + first, size - 1 - first, MSG_NOSIGNAL);
    turn(w, pair[1]);
    if (w->held)
        http_reply(w->held, 200, NULL, NULL, "late", 4);
    w->held = NULL;
    turn(w, pair[1]);
    stream_close(&w->lane, false);
    close(pair[1]);
    for (int i = 0; i < 1000 && w->counters.open; i++)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    CHECK(w->counters.open == 0);
    return 0;
}
