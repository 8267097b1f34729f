/* exchange_rig.h - an exchanger between real loopback sockets; client and server are in the test's
 * hands, byte for byte. For the tests of exchange.h. */
#ifndef TEST_EXCHANGE_RIG_H
#define TEST_EXCHANGE_RIG_H

#include "role/director/exchange.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/director/forwarded.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)
#define PATIENCE_MS 8000
#define HOST "Host: a\r\n"
#define ADDED "Via: 1.1 stead\r\nX-Request-Id: id\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define GOT(path) "GET " path " HTTP/1.1\r\n" HOST ADDED "\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#define CHUNKED_REQUEST                                                                            \
    "POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
#define CHUNKED_GOT                                                                                \
    "POST /c HTTP/1.1\r\n" HOST "Trailer: T\r\n" ADDED "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKS "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n"
#define CHUNKED_ANSWER "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNKS

struct rig {
    uv_loop_t loop;
    struct exchange_counters counters;
    struct exchanger *exchanger;
    int listener;
    int client, server; /* the test's ends */
    int ended, done;
    struct exchange_result result;
    struct exchange_record record;
    char record_head[4096];
    const char *lines, *host;
    bool foreign; /* the next requests are for somebody else */
    bool closed;
};

static inline uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

static inline void spin(struct rig *r)
{
    uv_run(&r->loop, UV_RUN_NOWAIT);
    usleep(50);
}

#define SPIN_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        uint64_t give_up_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition)) {                                                                     \
            assert_true(now_ms() < give_up_);                                                      \
            spin(r);                                                                               \
        }                                                                                          \
    } while (0)

static inline int listen_loopback(struct addr *at)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, at));
    return fd;
}

static inline bool on_route(void *context, const struct http_head *h, struct exchange_route *out)
{
    struct rig *r = context;
    if (r->foreign || !slice_is(h->host, "a"))
        return false;
    out->id = "id";
    if (r->lines)
        out->lines = (struct slice){r->lines, strlen(r->lines)};
    if (r->host)
        out->host = (struct slice){r->host, strlen(r->host)};
    return true;
}

static inline void on_done(void *context, const struct exchange_record *record)
{
    struct rig *r = context;
    r->done++;
    r->record = *record;
    snprintf(r->record_head, sizeof(r->record_head), "%.*s", (int)record->head.len,
             record->head.at);
}

static inline void on_ended(void *context, const struct exchange_result *result)
{
    struct rig *r = context;
    r->ended++;
    r->result = *result;
}

static inline void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static inline struct exchanger_config test_config(void)
{
    struct exchanger_config c = {.name = "n1"};
    exchange_limits_default(&c.limits);
    for (size_t i = 0; i < UPSTREAM_SLOTS; i++)
        c.servers[i] = (struct exchange_server){.upstream = {.kept_max = 8, .kept_ms = 60000},
                                                .connect_ms = 3000,
                                                .answer_ms = 60000,
                                                .stream_ms = 60000,
                                                .omits = FORWARDED_NO_X | FORWARDED_NO_RFC7239};
    return c;
}

static inline void rig_open(struct rig *r, struct exchanger_config c)
{
    memset(r, 0, sizeof(*r));
    r->client = r->server = -1;
    r->result.client.fd = r->result.server.fd = -1;
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->listener = listen_loopback(&c.servers[0].upstream.to);
    c.loop = &r->loop;
    c.counters = &r->counters;
    c.route = on_route;
    c.done = on_done;
    c.ended = on_ended;
    assert_int_equal(exchanger_open(&c, &r->exchanger), STEAD_OK);
}

static inline void give_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void take_result(struct rig *r)
{
    mem_free(r->result.bytes);
    mem_free(r->result.back);
    give_up(&r->result.client.fd);
    give_up(&r->result.server.fd);
    memset(&r->result, 0, sizeof(r->result));
    r->result.client.fd = r->result.server.fd = -1;
}

static inline void rig_close(struct rig *r)
{
    exchanger_close(r->exchanger, on_closed, r);
    SPIN_UNTIL(r, r->closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_int_equal(r->counters.clients, 0);
    assert_int_equal(r->counters.upstream.kept, 0);
    take_result(r);
    give_up(&r->listener);
    give_up(&r->client);
    give_up(&r->server);
}

static inline int pair(struct rig *r)
{
    struct addr at;
    struct sockaddr_storage sa;
    int listener = listen_loopback(&at), fd = -1;
    socklen_t len = io_sockaddr(&at, &sa);
    r->client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int e = connect(r->client, (struct sockaddr *)&sa, len);
    assert_true(e == 0 || errno == EINPROGRESS);
    SPIN_UNTIL(r, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    close(listener);
    return fd;
}

static inline int start_text(struct rig *r, const char *text)
{
    struct http_head h;
    size_t len = strlen(text);
    struct exchange_client c = {
        .stream = {.fd = pair(r)}, .bytes = mem_dup(text, len), .len = len, .context = r};
    const char *why;
    assert_non_null(c.bytes);
    assert_true(http_parse_request(text, len, &h, &why) > 0);
    assert_true(on_route(r, &h, &c.route));
    int e = exchange_start(r->exchanger, &c);
    if (e != STEAD_OK) {
        mem_free(c.bytes);
        close(c.stream.fd);
    }
    return e;
}

static inline void accept_server(struct rig *r)
{
    give_up(&r->server);
    SPIN_UNTIL(r, (r->server = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static inline void begin(struct rig *r, const char *text)
{
    assert_int_equal(start_text(r, text), STEAD_OK);
    accept_server(r);
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void put_slowly(struct rig *r, int fd, const char *text)
{
    for (; *text; text++) {
        assert_int_equal(send(fd, text, 1, MSG_NOSIGNAL), 1);
        for (int i = 0; i < 3; i++)
            uv_run(&r->loop, UV_RUN_NOWAIT);
    }
}

static inline void expect(struct rig *r, int fd, const char *text)
{
    char buf[4096];
    size_t got = 0, want = strlen(text);
    assert_true(want < sizeof(buf));
    while (got < want) {
        ssize_t n = -1;
        SPIN_UNTIL(r, (n = recv(fd, buf + got, want - got, 0)) >= 0);
        if (n == 0)
            fail_msg("ended after \"%.*s\"", (int)got, buf);
        got += (size_t)n;
    }
    buf[got] = '\0';
    assert_string_equal(buf, text);
}

/* 0 at an orderly end, else errno. */
static inline int end_of(struct rig *r, int fd)
{
    char byte;
    ssize_t n = -1;
    SPIN_UNTIL(r, (n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
    if (n > 0)
        fail_msg("there is a byte: %02x", byte);
    return n == 0 ? 0 : errno;
}

static inline void quiet(struct rig *r, int fd)
{
    char byte;
    for (int i = 0; i < 20; i++)
        spin(r);
    assert_true(recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN);
}

static inline void reset(int *fd)
{
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    give_up(fd);
}

/* The client's answer has that status; the rest is read and dropped until its end. */
static inline void expect_status(struct rig *r, const char *status)
{
    char buf[2048];
    ssize_t n = -1, all = 0;
    SPIN_UNTIL(r, (n = recv(r->client, buf + all, sizeof(buf) - 1 - (size_t)all, 0)) == 0 ||
                      (n > 0 && (all += n) < 0));
    buf[all] = '\0';
    if (strncmp(buf, "HTTP/1.1 ", 9) != 0 || strncmp(buf + 9, status, 3) != 0)
        fail_msg("no %s: \"%s\"", status, buf);
    assert_non_null(strstr(buf, "\r\nConnection: close\r\n"));
}

#endif
