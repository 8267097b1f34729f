/* exchange_test.c - requests carried between real loopback sockets; client and server are in the
 * test's hands, byte for byte. */
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

static uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

static void spin(struct rig *r)
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

static int listen_loopback(struct addr *at)
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

static bool on_route(void *context, const struct http_head *h, struct exchange_route *out)
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

static void on_done(void *context, const struct exchange_record *record)
{
    struct rig *r = context;
    r->done++;
    r->record = *record;
    snprintf(r->record_head, sizeof(r->record_head), "%.*s", (int)record->head.len,
             record->head.at);
}

static void on_ended(void *context, const struct exchange_result *result)
{
    struct rig *r = context;
    r->ended++;
    r->result = *result;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static struct exchanger_config test_config(void)
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

static void rig_open(struct rig *r, struct exchanger_config c)
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

static void give_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void take_result(struct rig *r)
{
    mem_free(r->result.bytes);
    mem_free(r->result.back);
    give_up(&r->result.client.fd);
    give_up(&r->result.server.fd);
    memset(&r->result, 0, sizeof(r->result));
    r->result.client.fd = r->result.server.fd = -1;
}

static void rig_close(struct rig *r)
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

static int pair(struct rig *r)
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

static int start_text(struct rig *r, const char *text)
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

static void accept_server(struct rig *r)
{
    give_up(&r->server);
    SPIN_UNTIL(r, (r->server = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static void begin(struct rig *r, const char *text)
{
    assert_int_equal(start_text(r, text), STEAD_OK);
    accept_server(r);
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void put_slowly(struct rig *r, int fd, const char *text)
{
    for (; *text; text++) {
        assert_int_equal(send(fd, text, 1, MSG_NOSIGNAL), 1);
        for (int i = 0; i < 3; i++)
            uv_run(&r->loop, UV_RUN_NOWAIT);
    }
}

static void expect(struct rig *r, int fd, const char *text)
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
static int end_of(struct rig *r, int fd)
{
    char byte;
    ssize_t n = -1;
    SPIN_UNTIL(r, (n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
    if (n > 0)
        fail_msg("there is a byte: %02x", byte);
    return n == 0 ? 0 : errno;
}

static void quiet(struct rig *r, int fd)
{
    char byte;
    for (int i = 0; i < 20; i++)
        spin(r);
    assert_true(recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN);
}

static void reset(int *fd)
{
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    give_up(fd);
}

/* The client's answer has that status; the rest is read and dropped until its end. */
static void expect_status(struct rig *r, const char *status)
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

/* -- one request after the other -- */

static void test_requests_share_a_connection(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    SPIN_UNTIL(&r, r.done == 1);
    assert_string_equal(r.record_head, GOT("/1"));
    assert_int_equal(r.record.status, 200);
    assert_int_equal(r.record.down, strlen(OK2));
    assert_false(r.record.reused);
    put(r.client, GET("/2") GET("/3"));
    expect(&r, r.server, GOT("/2"));
    quiet(&r, r.server);
    put(r.server, OK2);
    expect(&r, r.server, GOT("/3"));
    put(r.server, OK2);
    expect(&r, r.client, OK2 OK2);
    SPIN_UNTIL(&r, r.done == 3);
    assert_true(r.record.reused);
    assert_int_equal(r.counters.upstream.connects, 1);
    assert_int_equal(r.counters.upstream.reuses, 2);
    assert_int_equal(r.counters.answers[2], 3);
    give_up(&r.client);
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_CLOSED);
    assert_int_equal(r.counters.upstream.kept, 1);
    rig_close(&r);
}

static void test_another_client_uses_the_kept_connection(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    int first = r.client;
    assert_int_equal(start_text(&r, GET("/2")), STEAD_OK);
    expect(&r, r.server, GOT("/2"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(r.counters.upstream.connects, 1);
    close(first);
    rig_close(&r);
}

#define CHUNKED_REQUEST                                                                            \
    "POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
#define CHUNKED_GOT                                                                                \
    "POST /c HTTP/1.1\r\n" HOST "Trailer: T\r\n" ADDED "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKS "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n"
#define CHUNKED_ANSWER "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNKS

static void test_everything_may_come_byte_by_byte(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST);
    put_slowly(&r, r.client, CHUNKS);
    expect(&r, r.server, CHUNKED_GOT CHUNKS);
    put_slowly(&r, r.server, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" CHUNKED_ANSWER);
    expect(&r, r.client, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" CHUNKED_ANSWER);
    put(r.client, "PUT /n HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n");
    put_slowly(&r, r.client, "body");
    expect(&r, r.server, "PUT /n HTTP/1.1\r\n" HOST "Content-Length: 4\r\n" ADDED "\r\nbody");
    put_slowly(&r, r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(r.counters.upstream.connects, 1);
    rig_close(&r);
}

static void test_an_answer_may_be_cut_anywhere(void **state)
{
    struct rig r;
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n" CHUNKED_ANSWER;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST CHUNKS);
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        expect(&r, r.server, CHUNKED_GOT CHUNKS);
        assert_int_equal(send(r.server, text, cut, MSG_NOSIGNAL), cut);
        for (int i = 0; i < 4; i++)
            uv_run(&r.loop, UV_RUN_NOWAIT);
        put(r.server, text + cut);
        expect(&r, r.client, text);
        put(r.client, CHUNKED_REQUEST CHUNKS);
    }
    assert_int_equal(r.counters.upstream.connects, 1);
    rig_close(&r);
}

static void test_requests_for_others_are_given_back(void **state)
{
    static const char other[] = "POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nab";
    static const char *const nexts[] = {other, "GET /half HTT", "GET / HTTP/1.1\nHost: a\n\n",
                                        "\x16"};
    (void)state;
    for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/1"));
        expect(&r, r.server, GOT("/1"));
        put(r.client, nexts[i]); /* behind the first, while it is in hand */
        put(r.server, OK2);
        expect(&r, r.client, OK2);
        SPIN_UNTIL(&r, r.ended == 1);
        assert_int_equal(r.result.end, EXCHANGE_RETURNED);
        assert_int_equal(r.result.len, strlen(nexts[i]));
        assert_memory_equal(r.result.bytes, nexts[i], r.result.len);
        put(r.result.client.fd, "mine");
        expect(&r, r.client, "mine");
        assert_int_equal(r.counters.returned, 1);
        assert_int_equal(r.counters.upstream.kept, 1);
        rig_close(&r);
    }
}

/* -- kinds of clients and answers -- */

static void test_old_clients(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "GET /1 HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    expect(&r, r.server, "GET /1 HTTP/1.1\r\n" HOST "Via: 1.0 stead\r\nX-Request-Id: id\r\n\r\n");
    put(r.server, "HTTP/1.1 103 x\r\n\r\n" OK2);
    expect(&r, r.client,
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
    put(r.client, "GET /2 HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    expect(&r, r.server, "GET /2 HTTP/1.1\r\n" HOST "Via: 1.0 stead\r\nX-Request-Id: id\r\n\r\n");
    put(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhel");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel");
    put(r.server, "lo\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n");
    expect(&r, r.client, "lo!");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.upstream.kept, 1);
    rig_close(&r);
}

static void test_answers_without_a_body(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
    expect(&r, r.server, "HEAD / HTTP/1.1\r\n" HOST ADDED "\r\n");
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    put(r.client, GET("/204"));
    expect(&r, r.server, GOT("/204"));
    put(r.server, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 204 No Content\r\n\r\n");
    put(r.client, GET("/304"));
    expect(&r, r.server, GOT("/304"));
    put(r.server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n");
    put(r.client, GET("/0"));
    expect(&r, r.server, GOT("/0"));
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(end_of(&r, r.server), 0); /* as it had said; the client stays */
    put(r.client, GET("/5"));
    accept_server(&r);
    expect(&r, r.server, GOT("/5"));
    rig_close(&r);
}

static void test_fields_for_one_hop_stay_here(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 Fine\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\n"
                  "Content-Length: 0\r\nX-Hop: 1\r\nUpgrade: h2c\r\nX-End: 2\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nX-End: 2\r\n\r\n");
    r.lines = "Set-Cookie: s=1\r\n";
    r.host = "b.example:81";
    put(r.client, GET("/"));
    expect(&r, r.server, "GET / HTTP/1.1\r\nHost: b.example:81\r\n" ADDED "\r\n");
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: s=1\r\n\r\nok");
    rig_close(&r);
}

static void test_an_answer_until_the_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\nsome");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome");
    put(r.server, " more");
    expect(&r, r.client, " more");
    quiet(&r, r.client);
    give_up(&r.server);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\nsome");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome");
    reset(&r.server);
    assert_int_equal(end_of(&r, r.client), ECONNRESET); /* not the whole of it */
    rig_close(&r);
}

static void test_a_client_that_closes_is_closed(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.upstream.kept, 1);
    SPIN_UNTIL(&r, r.ended == 1);
    /* One that has ended its half gets its answer all the same. */
    assert_int_equal(start_text(&r, GET("/h")), STEAD_OK);
    assert_int_equal(shutdown(r.client, SHUT_WR), 0);
    expect(&r, r.server, GOT("/h"));
    for (int i = 0; i < 20; i++)
        spin(&r);
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);
}

#define EXPECTS "POST /e HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n"

static void test_continue(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, EXPECTS "\r\n");
    expect(&r, r.server, EXPECTS ADDED "\r\n");
    put(r.server, "HTTP/1.1 100 Continue\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 100 Continue\r\n\r\n");
    put(r.client, "abc");
    expect(&r, r.server, "abc");
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    /* One that is refused before it sends its body. */
    put(r.client, EXPECTS "\r\n");
    expect(&r, r.server, EXPECTS ADDED "\r\n");
    put(r.server, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

static void test_another_protocol(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    r.lines = "Set-Cookie: s=1\r\n";
    begin(&r, "GET /w HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    expect(&r, r.server,
           "GET /w HTTP/1.1\r\n" HOST ADDED "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    put(r.server, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_UPGRADED);
    static const char back[] = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                               "Set-Cookie: s=1\r\n\r\nhello";
    assert_int_equal(r.result.back_len, sizeof(back) - 1);
    assert_memory_equal(r.result.back, back, sizeof(back) - 1);
    assert_int_equal(r.result.len, 5);
    assert_memory_equal(r.result.bytes, "early", 5);
    assert_true(r.result.client.fd >= 0 && r.result.server.fd >= 0);
    put(r.result.server.fd, "x");
    expect(&r, r.server, "x");
    assert_int_equal(r.counters.upgraded, 1);
    assert_int_equal(r.record.status, 101);
    rig_close(&r);
}

/* -- what goes wrong -- */

static void test_answers_that_are_none(void **state)
{
    static const char *const answers[] = {
        "SSH-2.0-x\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        "HTTP/1.1 101 What\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        put(r.server, answers[i]);
        expect_status(&r, "502");
        assert_int_equal(r.counters.bad_answers, 1);
        assert_int_equal(r.counters.answers[5], 1);
        end_of(&r, r.server);
        rig_close(&r);
    }
}

static void test_heads_without_an_end(void **state)
{
    struct rig r;
    char line[130];
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nX: ");
    memset(line, 'x', sizeof(line));
    for (size_t i = 0; i < 2 * HTTP_HEAD_MAX / sizeof(line); i++)
        if (send(r.server, line, sizeof(line), MSG_NOSIGNAL) < 0)
            break;
    expect_status(&r, "502");
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    for (int i = 0; i < 11; i++)
        put(r.server, "HTTP/1.1 102 x\r\n\r\n");
    for (int i = 0; i < 10; i++)
        expect(&r, r.client, "HTTP/1.1 102 x\r\n\r\n");
    expect_status(&r, "502");
    rig_close(&r);
}

static void test_a_server_that_dies(void **state)
{
    static const char *const parts[] = {"", "HTTP/1.1 200 OK\r\nContent-Le", NULL};
    (void)state;
    for (int i = 0; parts[i]; i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        put(r.server, parts[i]);
        for (int k = 0; k < 10; k++)
            spin(&r);
        give_up(&r.server);
        expect_status(&r, "502");
        assert_int_equal(r.counters.server_breaks, 1);
        assert_int_equal(r.counters.retries, 0);
        rig_close(&r);
    }
    static const char *const bodies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsomeBAD",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        size_t head = (size_t)(strstr(bodies[i], "\r\n\r\n") + 4 - bodies[i]);
        assert_int_equal(send(r.server, bodies[i], head, MSG_NOSIGNAL), head);
        for (int k = 0; k < 10; k++)
            spin(&r);
        put(r.server, bodies[i] + head);
        for (int k = 0; k < 10; k++)
            spin(&r);
        give_up(&r.server);
        SPIN_UNTIL(&r, r.ended == 1);
        assert_int_equal(r.result.end, EXCHANGE_RESET);
        rig_close(&r);
    }
}

/* The kept connection is ended by the server at the moment when it is used again. */
static void keep_one(struct rig *r)
{
    rig_open(r, test_config());
    begin(r, GET("/1"));
    expect(r, r->server, GOT("/1"));
    put(r->server, OK2);
    expect(r, r->client, OK2);
    SPIN_UNTIL(r, r->counters.upstream.kept == 1);
}

static void test_a_kept_connection_that_ends(void **state)
{
    struct rig r;
    (void)state;
    keep_one(&r);
    put(r.client, GET("/2"));
    expect(&r, r.server, GOT("/2"));
    accept_server(&r); /* and the first is closed without an answer */
    expect(&r, r.server, GOT("/2"));
    assert_int_equal(r.counters.retries, 1);
    give_up(&r.server); /* only once */
    expect_status(&r, "502");
    assert_int_equal(r.counters.retries, 1);
    rig_close(&r);

    keep_one(&r);
    put(r.client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    expect(&r, r.server, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" ADDED "\r\n");
    give_up(&r.server); /* it may have done it */
    expect_status(&r, "502");
    rig_close(&r);

    keep_one(&r);
    put(r.client, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
    expect(&r, r.server, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" ADDED "\r\nab");
    give_up(&r.server); /* bodies are gone */
    expect_status(&r, "502");
    rig_close(&r);
}

static void test_a_kept_connection_that_has_ended(void **state)
{
    static const char *const requests[] = {GET("/"),
                                           "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"};
    (void)state;
    for (int said = 0; said < 4; said++) {
        struct rig r;
        keep_one(&r);
        if (said & 1)
            put(r.server, "HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n");
        else
            give_up(&r.server);
        put(r.client, requests[said / 2]); /* before the loop has heard of it */
        accept_server(&r);
        put(r.server, OK2);
        expect(&r, r.client, OK2);
        rig_close(&r);
    }
}

static void test_more_than_was_asked_for(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    expect(&r, r.client, OK2);
    end_of(&r, r.server);
    put(r.client, GET("/2"));
    accept_server(&r);
    expect(&r, r.server, GOT("/2"));
    quiet(&r, r.client);
    rig_close(&r);
}

static void test_bodies_that_are_none(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    assert_int_equal(start_text(&r, CHUNKED_REQUEST "5\nhello"), STEAD_OK);
    expect_status(&r, "400");
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST "5\r\n");
    expect(&r, r.server, CHUNKED_GOT "5\r\n");
    put(r.client, "helloX");
    expect_status(&r, "400");
    assert_int_equal(end_of(&r, r.server), ECONNRESET);
    rig_close(&r);

    rig_open(&r, test_config());
    assert_int_equal(start_text(&r, "GET / HTTP/1.1\r\n" HOST
                                    "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n"),
                     STEAD_OK);
    expect_status(&r, "400");
    rig_close(&r);
}

static void test_a_client_that_breaks_off(void **state)
{
    struct rig r;
    (void)state;
    for (int how = 0; how < 2; how++) {
        rig_open(&r, test_config());
        begin(&r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nsome");
        expect(&r, r.server, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n" ADDED "\r\nsome");
        if (how)
            reset(&r.client);
        else
            give_up(&r.client);
        assert_int_equal(end_of(&r, r.server), ECONNRESET);
        assert_int_equal(r.result.end, EXCHANGE_RESET);
        assert_int_equal(r.counters.client_breaks, 1);
        rig_close(&r);
    }
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    reset(&r.client);
    assert_int_equal(end_of(&r, r.server), ECONNRESET);
    rig_close(&r);
}

static void test_nobody_there(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    give_up(&r.listener);
    assert_int_equal(start_text(&r, GET("/")), STEAD_OK);
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_UNREACHABLE);
    assert_int_equal(r.result.len, strlen(GOT("/")));
    assert_memory_equal(r.result.bytes, GOT("/"), r.result.len);
    assert_int_equal(r.counters.upstream.refused, 1);
    rig_close(&r);
}

/* -- time -- */

static void wait_status(struct exchanger_config c, const char *text, const char *status)
{
    struct rig r;
    rig_open(&r, c);
    begin(&r, text);
    expect_status(&r, status);
    assert_int_equal(r.counters.timeouts, 1);
    rig_close(&r);
}

static void drop_all(int fd)
{
    char buf[4096];
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        ;
}

static void test_silence(void **state)
{
    struct exchanger_config c = test_config();
    struct rig r;
    (void)state;
    c.limits.body_ms = 150;
    wait_status(c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nsome", "408");
    c = test_config();
    c.servers[0].answer_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    expect_status(&r, "504");
    rig_close(&r);

    c = test_config();
    c.servers[0].stream_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_RESET);
    drop_all(r.server);
    rig_close(&r);

    c = test_config();
    c.limits.idle_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.timeouts, 0);
    rig_close(&r);

    c = test_config();
    c.servers[0].upstream.kept_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

/* -- much -- */

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9) * 7);
}

struct load {
    int from, to;
    size_t total, sent, got;
    bool chunked; /* the receiver's text is not compared */
};

static void load_turn(struct load *l)
{
    uint8_t chunk[30011];
    while (l->sent < l->total) {
        size_t len = l->total - l->sent < sizeof(chunk) ? l->total - l->sent : sizeof(chunk);
        for (size_t i = 0; i < len; i++)
            chunk[i] = pattern(l->sent + i);
        ssize_t n = send(l->from, chunk, len, MSG_NOSIGNAL);
        if (n < 0)
            break;
        l->sent += (size_t)n;
    }
    ssize_t n = recv(l->to, chunk, sizeof(chunk), 0);
    assert_true(n != 0);
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(chunk[i], pattern(l->got++));
}

static void test_much_both_ways(void **state)
{
    const size_t total = 9 * MIB + 12345;
    char head[300], text[200];
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n", total);
    snprintf(head, sizeof(head), "%s\r\n", text);
    begin(&r, head);
    snprintf(head, sizeof(head), "%s%s\r\n", text, ADDED);
    expect(&r, r.server, head);
    struct load up = {r.client, r.server, total, 0, 0, false};
    while (up.got < total) {
        load_turn(&up);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", total);
    put(r.server, head);
    expect(&r, r.client, head);
    struct load down = {r.server, r.client, total, 0, 0, false};
    while (down.got < total) {
        load_turn(&down);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    SPIN_UNTIL(&r, r.done == 1);
    assert_true(r.record.up > total && r.record.down > total);
    put(r.client, GET("/after"));
    expect(&r, r.server, GOT("/after"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    down = (struct load){r.server, r.client, total, 0, 0, false};
    while (down.got < total) {
        load_turn(&down);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    give_up(&r.server);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);
}

/* Chunks larger than any buffer, to a client that reads slowly. */
static void test_large_chunks(void **state)
{
    static char chunk[300000], got[300000];
    const int count = 20;
    struct rig r;
    (void)state;
    int n = snprintf(chunk, sizeof(chunk), "%x\r\n", (unsigned)sizeof(chunk) - 9);
    assert_int_equal(n, 7);
    for (size_t i = 7; i < sizeof(chunk) - 2; i++)
        chunk[i] = (char)pattern(i);
    memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t sent = 0, at = 0, total = sizeof(chunk) * (size_t)count;
    while (at < total) {
        size_t off = sent % sizeof(chunk);
        ssize_t k =
            sent < total ? send(r.server, chunk + off, sizeof(chunk) - off, MSG_NOSIGNAL) : -1;
        sent += k > 0 ? (size_t)k : 0;
        uv_run(&r.loop, UV_RUN_NOWAIT);
        k = recv(r.client, got, sizeof(chunk) - at % sizeof(chunk), 0);
        if (k > 0)
            assert_memory_equal(got, chunk + at % sizeof(chunk), (size_t)k);
        at += k > 0 ? (size_t)k : 0;
    }
    put(r.server, "0\r\n\r\n");
    expect(&r, r.client, "0\r\n\r\n");
    SPIN_UNTIL(&r, r.counters.upstream.kept == 1);
    rig_close(&r);
}

/* -- limits and the end -- */

static void test_limits(void **state)
{
    struct exchanger_config c = test_config();
    struct rig r;
    (void)state;
    c.limits.clients_max = 1;
    rig_open(&r, c);
    begin(&r, GET("/"));
    int first = r.client;
    assert_int_equal(start_text(&r, GET("/")), STEAD_E_BUSY);
    assert_int_equal(r.counters.busy, 1);
    assert_int_equal(exchanger_clients(r.exchanger), 1);
    close(first);
    rig_close(&r);

    c = test_config();
    c.servers[0].upstream.kept_max = 0;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

static void test_stopping(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    int idle = r.client;
    assert_int_equal(start_text(&r, GET("/2")), STEAD_OK);
    expect(&r, r.server, GOT("/2"));
    SPIN_UNTIL(&r, r.done == 1);
    exchanger_stop(r.exchanger);
    assert_int_equal(end_of(&r, idle), 0);
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_int_equal(end_of(&r, r.client), 0);
    close(idle);
    rig_close(&r);
}

static bool accept_soon(struct rig *r)
{
    for (int i = 0; i < 50 && r->server < 0; i++, spin(r))
        r->server = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK);
    return r->server >= 0;
}

static ssize_t send_text(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Whatever allocation fails, the client is told or closed, and nothing is lost. */
static void test_without_memory(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 12; n++) {
        struct rig r;
        rig_open(&r, test_config());
        char *bytes = mem_dup(CHUNKED_REQUEST CHUNKS, strlen(CHUNKED_REQUEST CHUNKS));
        struct exchange_client c = {.stream = {.fd = pair(&r)},
                                    .bytes = bytes,
                                    .len = strlen(CHUNKED_REQUEST CHUNKS),
                                    .context = &r,
                                    .route = {.id = "id", .lines = {"A: b\r\n", 6}}};
        mem_fail_after(n);
        int e = exchange_start(r.exchanger, &c);
        if (e != STEAD_OK) {
            mem_fail_after(0);
            assert_int_equal(e, STEAD_E_NOMEM);
            mem_free(bytes);
            close(c.stream.fd);
        } else if (accept_soon(&r)) {
            (void)send_text(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encod");
            for (int i = 0; i < 20; i++)
                spin(&r);
            (void)send_text(r.server, "ing: chunked\r\n\r\n" CHUNKS);
            for (int i = 0; i < 20; i++)
                spin(&r);
            mem_fail_after(0);
        }
        mem_fail_after(0);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_share_a_connection),
        cmocka_unit_test(test_another_client_uses_the_kept_connection),
        cmocka_unit_test(test_everything_may_come_byte_by_byte),
        cmocka_unit_test(test_an_answer_may_be_cut_anywhere),
        cmocka_unit_test(test_requests_for_others_are_given_back),
        cmocka_unit_test(test_old_clients),
        cmocka_unit_test(test_answers_without_a_body),
        cmocka_unit_test(test_fields_for_one_hop_stay_here),
        cmocka_unit_test(test_an_answer_until_the_end),
        cmocka_unit_test(test_a_client_that_closes_is_closed),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_another_protocol),
        cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_heads_without_an_end),
        cmocka_unit_test(test_a_server_that_dies),
        cmocka_unit_test(test_a_kept_connection_that_ends),
        cmocka_unit_test(test_a_kept_connection_that_has_ended),
        cmocka_unit_test(test_more_than_was_asked_for),
        cmocka_unit_test(test_bodies_that_are_none),
        cmocka_unit_test(test_a_client_that_breaks_off),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_much_both_ways),
        cmocka_unit_test(test_large_chunks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_without_memory),
    };
    signal(SIGPIPE, SIG_IGN); /* as the node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
