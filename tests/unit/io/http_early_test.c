/* http_early_test.c - requests that come as early data: which are handled at once, and which wait
 * for the handshake's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/http_server.h"
#include "io/io.h"
#include "io/listen.h"
#include "stead/error.h"
#include "tls_kit.h"
#include "tls_shelf.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define TURNS 2000
#define HEARD_MAX 65536

static struct kit kit;

struct bench {
    uv_loop_t loop;
    struct http_server *server;
    struct http_counters counters;
    struct tls_counters tls;
    struct tls_door *door;
    struct shelf shelf;
    struct addr address;
    struct stream taken;
    char *bytes;
    size_t len;
    bool closed;
    char log[512]; /* "METHOD path early|late;" of each request */
};

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test", 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static bool early(void *context, const struct http_head *h)
{
    (void)context;
    return !slice_is(h->path, "/never-early");
}

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct bench *b = context;
    const struct http_head *h = http_request_head(r);
    if (slice_is(h->path, "/echo") && !body)
        return HTTP_WANT_BODY;
    size_t at = strlen(b->log);
    snprintf(b->log + at, sizeof b->log - at, "%.*s %.*s %s;", (int)h->method.len, h->method.at,
             (int)h->path.len, h->path.at, http_request_is_early(r) ? "early" : "late");
    if (slice_is(h->path, "/take"))
        assert_int_equal(http_take(r, &b->taken, &b->bytes, &b->len), STEAD_OK);
    else if (body)
        http_reply(r, 200, "text/plain", NULL, body, len);
    else
        http_reply(r, 200, "text/plain", NULL, "fine", 4);
    return HTTP_ANSWERED;
}

static void open_bench(struct bench *b)
{
    static const char *const names[] = {"shop", NULL};
    struct kit_rules r;
    char error[TLS_ERROR_MAX];
    memset(b, 0, sizeof *b);
    b->taken.fd = -1;
    shelf_init(&b->shelf);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->door = tls_door_new(&b->tls);
    kit_rules(&kit, &r, names);
    r.rules.protocols = "h2,http/1.1";
    r.rules.resumption = TLS_RESUMPTION_KEPT;
    r.rules.early = true;
    assert_int_equal(tls_door_load(b->door, &r.rules, true, error), TLS_LOADED);
    struct http_server_config c = {.loop = &b->loop,
                                   .tls = b->door,
                                   .keeper = &b->shelf.keeper,
                                   .counters = &b->counters,
                                   .early = early,
                                   .handle = handle,
                                   .context = b};
    http_limits_default(&c.limits);
    c.limits.streams_max = 100;
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
    tls_door_free(b->door);
    assert_int_equal(atomic_load(&b->counters.open), 0);
    assert_int_equal(atomic_load(&b->tls.open), 0);
}

static void turn(struct bench *b)
{
    struct timespec ms = {.tv_nsec = 1000000};
    uv_run(&b->loop, UV_RUN_NOWAIT);
    nanosleep(&ms, NULL);
}

static SSL *call(struct bench *b, bool h2, SSL_SESSION *old)
{
    static const unsigned char two[] = "\x02h2", one[] = "\x08http/1.1";
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&b->address, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    SSL *ssl = kit_client(&kit, fd, "www.shop.test", NULL);
    assert_int_equal(SSL_set_alpn_protos(ssl, h2 ? two : one, h2 ? 3 : 9), 0);
    if (old)
        assert_true(SSL_set_session(ssl, old));
    return ssl;
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
}

static void shake(struct bench *b, SSL *ssl)
{
    int n = -1;
    for (int i = 0; i < TURNS && n != 1; i++) {
        n = SSL_do_handshake(ssl);
        assert_true(n == 1 || kit_waits(ssl, n));
        turn(b);
    }
    assert_int_equal(n, 1);
}

static char heard[HEARD_MAX];

static size_t hear(struct bench *b, SSL *ssl, const char *until)
{
    size_t len = 0;
    for (int i = 0; i < TURNS && !memmem(heard, len, until, strlen(until)); i++) {
        int n = SSL_read(ssl, heard + len, (int)(sizeof heard - len));
        len += n > 0 ? (size_t)n : 0;
        if (n <= 0 && !kit_waits(ssl, n))
            break;
        turn(b);
    }
    assert_non_null(memmem(heard, len, until, strlen(until)));
    return len;
}

/* A session to resume, and a client that has it. */
static SSL *come_back(struct bench *b, bool h2)
{
    char bytes[1000];
    SSL *ssl = call(b, h2, NULL);
    shake(b, ssl);
    for (int i = 0; i < TURNS && b->shelf.count < 2; i++)
        turn(b);
    (void)SSL_read(ssl, bytes, sizeof bytes); /* tickets */
    SSL_SESSION *s = SSL_get1_session(ssl);
    hang_up(ssl);
    turn(b);
    ssl = call(b, h2, s);
    SSL_SESSION_free(s);
    return ssl;
}

static void say_early(struct bench *b, SSL *ssl, const void *bytes, size_t len)
{
    size_t n = 0;
    assert_int_equal(SSL_write_early_data(ssl, bytes, len, &n), 1);
    assert_int_equal(n, len);
    for (int i = 0; i < 30; i++)
        turn(b);
}

/* A request of HTTP/1.1 that is said early; `at_once`: what was handled before the client had
 * finished, `all`: what was in the end. */
static void try_one(const char *text, const char *at_once, const char *all)
{
    struct bench b;
    open_bench(&b);
    SSL *ssl = come_back(&b, false);
    say_early(&b, ssl, text, strlen(text));
    assert_string_equal(b.log, at_once);
    shake(&b, ssl);
    hear(&b, ssl, "HTTP/1.1 200");
    for (int i = 0; i < 20; i++)
        turn(&b);
    assert_string_equal(b.log, all);
    assert_int_equal(SSL_get_early_data_status(ssl), SSL_EARLY_DATA_ACCEPTED);
    /* And the connection goes on. */
    static const char again[] = "GET /again HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(SSL_write(ssl, again, sizeof again - 1), sizeof again - 1);
    for (int i = 0; i < TURNS && !strstr(b.log, "GET /again late;"); i++)
        turn(&b);
    assert_non_null(strstr(b.log, "GET /again late;"));
    hang_up(ssl);
    close_bench(&b);
}

static void safe_methods_are_handled_at_once(void **state)
{
    (void)state;
    try_one("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a early;", "GET /a early;");
    try_one("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /a early;", "OPTIONS /a early;");
    try_one("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /a early;", "HEAD /a early;");
}

static void all_others_wait_for_the_handshake(void **state)
{
    (void)state;
    try_one("DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", "", "DELETE /a late;");
    try_one("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", "POST /a late;");
    try_one("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "",
            "POST /echo late;");
    try_one("GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "",
            "GET /echo late;");
    try_one("GET /never-early HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET /never-early late;");
    try_one("GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "",
            "GET /a late;");
    /* Another behind it: whoever takes the connection would not know that it was early. */
    try_one("GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n", "",
            "GET /a late;POST /b late;");
}

/* Which can be said only when the client has finished. */
static void the_end_is_said(void **state)
{
    struct bench b;
    char byte;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, false);
    static const char last[] = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    say_early(&b, ssl, last, sizeof last - 1);
    assert_string_equal(b.log, "GET /a early;");
    shake(&b, ssl);
    hear(&b, ssl, "fine");
    int n = -1;
    for (int i = 0; i < TURNS && n < 0; i++) {
        n = SSL_read(ssl, &byte, 1);
        assert_true(n == 0 || kit_waits(ssl, n));
        turn(&b);
    }
    assert_true(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
    hang_up(ssl);
    close_bench(&b);
}

static void half_a_head_is_not_early(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, false);
    say_early(&b, ssl, "GET /a HTTP/1.1\r\nHo", 19);
    shake(&b, ssl);
    assert_string_equal(b.log, "");
    assert_int_equal(SSL_write(ssl, "st: a\r\n\r\n", 9), 9);
    hear(&b, ssl, "HTTP/1.1 200");
    assert_string_equal(b.log, "GET /a late;");
    hang_up(ssl);
    close_bench(&b);
}

/* Who takes the connection sees nothing of what is behind the request before the handshake's end.
 */
static void a_taken_connection_has_nothing_early(void **state)
{
    struct bench b;
    char got[STREAM_READ_WHOLE];
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, false);
    static const char first[] = "GET /take HTTP/1.1\r\nHost: a\r\n\r\n", second[] = "POST /b";
    say_early(&b, ssl, first, sizeof first - 1);
    assert_string_equal(b.log, "GET /take early;");
    assert_int_equal(b.len, sizeof first - 1);
    say_early(&b, ssl, second, sizeof second - 1);
    assert_int_equal(stream_read(&b.taken, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(stream_write(&b.taken, "taken", 5), 5);
    shake(&b, ssl);
    hear(&b, ssl, "taken");
    assert_int_equal(stream_read(&b.taken, got, sizeof got), (ssize_t)sizeof second - 1);
    assert_memory_equal(got, second, sizeof second - 1);
    hang_up(ssl);
    mem_free(b.bytes);
    stream_close(&b.taken, true);
    close_bench(&b);
}

static void who_does_not_finish_is_closed(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, false);
    static const char post[] = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    say_early(&b, ssl, post, sizeof post - 1);
    hang_up(ssl);
    for (int i = 0; i < TURNS && atomic_load(&b.counters.open); i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.open), 0);
    assert_string_equal(b.log, "");
    assert_int_equal(b.tls.failures[TLS_FAIL_CLOSED], 1);
    close_bench(&b);
}

/* -- HTTP/2 -- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
/* :method by its number, :scheme https, :path and :authority as they are. */
#define FIELDS(method, path)                                                                       \
    method "\x87\x04\x02" path "\x01\x01"                                                          \
           "a"
#define HEADERS(flags, stream, method, path) "\0\0\x09\1" flags "\0\0\0" stream FIELDS(method, path)
#define GET "\x82"
#define POST "\x83"

static void streams_of_http2_wait_each_for_itself(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, true);
    static const char all[] = PREFACE SETTINGS HEADERS("\5", "\1", GET, "/a")
        HEADERS("\5", "\3", POST, "/b") HEADERS("\5", "\5", GET, "/c");
    say_early(&b, ssl, all, sizeof all - 1);
    assert_string_equal(b.log, "GET /a early;GET /c early;");
    shake(&b, ssl);
    for (int i = 0; i < TURNS && !strstr(b.log, "POST"); i++)
        turn(&b);
    assert_string_equal(b.log, "GET /a early;GET /c early;POST /b late;");
    hear(&b, ssl, "fine");
    hang_up(ssl);
    close_bench(&b);
}

static void a_body_that_comes_early_is_kept(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, true);
    static const char head[] = PREFACE SETTINGS "\0\0\x0c\1\4\0\0\0\1" POST "\x87\x04\x05/echo"
                                                "\x01\x01"
                                                "a";
    static const char body[] = "\0\0\4\0\0\0\0\0\1half\0\0\6\0\1\0\0\0\1-whole";
    say_early(&b, ssl, head, sizeof head - 1);
    say_early(&b, ssl, body, sizeof body - 1);
    assert_string_equal(b.log, "");
    shake(&b, ssl);
    hear(&b, ssl, "half-whole");
    assert_string_equal(b.log, "POST /echo late;");
    hang_up(ssl);
    close_bench(&b);
}

static void held_streams_end_with_their_connection(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    SSL *ssl = come_back(&b, true);
    static const char all[] = PREFACE SETTINGS HEADERS("\4", "\1", POST, "/b")
        HEADERS("\4", "\3", POST, "/c") "\0\0\4\0\0\0\0\0\1half\0\0\4\3\0\0\0\0\3\0\0\0\x08";
    say_early(&b, ssl, all, sizeof all - 1);
    hang_up(ssl);
    for (int i = 0; i < TURNS && atomic_load(&b.counters.open); i++)
        turn(&b);
    assert_string_equal(b.log, "");
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_methods_are_handled_at_once),
        cmocka_unit_test(all_others_wait_for_the_handshake),
        cmocka_unit_test(the_end_is_said),
        cmocka_unit_test(half_a_head_is_not_early),
        cmocka_unit_test(a_taken_connection_has_nothing_early),
        cmocka_unit_test(who_does_not_finish_is_closed),
        cmocka_unit_test(streams_of_http2_wait_each_for_itself),
        cmocka_unit_test(a_body_that_comes_early_is_kept),
        cmocka_unit_test(held_streams_end_with_their_connection),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
