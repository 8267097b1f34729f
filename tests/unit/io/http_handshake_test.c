/* http_handshake_test.c - the HTTP server under TLS: clients of OpenSSL's on the same thread that
 * turn the loop by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/http_server.h"
#include "io/io.h"
#include "io/listen.h"
#include "tls_kit.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define TURNS 3000

static struct kit kit;
static char large[500000];

struct bench {
    uv_loop_t loop;
    struct http_server *server;
    struct http_counters counters;
    struct tls_counters tls;
    struct tls_door *door;
    struct addr address;
    struct stream taken;
    char *bytes;
    size_t len;
    bool closed;
};

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* of OpenSSL's own writes in the clients */
    memset(large, 'l', sizeof large);
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test", 10);
    kit_issue(&kit, "anna", "anna", NULL, 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct bench *b = context;
    const struct http_head *h = http_request_head(r);
    struct tls_identity id = {.subject = "nobody"};
    if (slice_is(h->path, "/take")) {
        assert_int_equal(http_take(r, &b->taken, &b->bytes, &b->len), STEAD_OK);
    } else if (slice_is(h->path, "/large")) {
        http_reply(r, 200, "text/plain", NULL, large, sizeof large);
    } else if (slice_is(h->path, "/who")) {
        tls_client_identity(http_request_tls(r), &id);
        http_reply(r, 200, "text/plain", NULL, id.subject, strlen(id.subject));
    } else if (slice_is(h->path, "/echo") && !body) {
        return HTTP_WANT_BODY;
    } else if (slice_is(h->path, "/echo")) {
        http_reply(r, 200, "text/plain", NULL, body, len);
    } else {
        http_reply(r, 200, "text/plain", NULL, h->path.at, h->path.len);
    }
    return HTTP_ANSWERED;
}

static void load(struct bench *b, enum tls_clients clients)
{
    static const char *const names[] = {"shop", NULL};
    struct kit_rules r;
    char error[TLS_ERROR_MAX];
    kit_rules(&kit, &r, names);
    r.rules.protocols = "http/1.1";
    r.rules.clients = clients;
    r.rules.client_ca = kit.ca_path;
    assert_int_equal(tls_door_load(b->door, &r.rules, true, error), TLS_LOADED);
}

static void open_bench(struct bench *b, const struct http_limits *limits)
{
    memset(b, 0, sizeof *b);
    b->taken.fd = -1;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->door = tls_door_new(&b->tls);
    load(b, TLS_CLIENTS_NONE);
    struct http_server_config c = {
        .loop = &b->loop, .tls = b->door, .counters = &b->counters, .handle = handle, .context = b};
    http_limits_default(&c.limits);
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

static int call_plain(struct bench *b)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&b->address, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static SSL *call(struct bench *b, const char *cert)
{
    return kit_client(&kit, call_plain(b), "www.shop.test", cert);
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

static bool shake(struct bench *b, SSL *ssl)
{
    int n = -1;
    for (int i = 0; i < TURNS && n != 1; i++) {
        n = SSL_do_handshake(ssl);
        if (n != 1 && !kit_waits(ssl, n))
            return false;
        turn(b);
    }
    return n == 1;
}

static char heard[600000];
static size_t heard_len;

/* Until `until` was heard, or the end. */
static const char *hear(struct bench *b, SSL *ssl, const char *until)
{
    heard_len = 0;
    for (int i = 0; i < TURNS; i++) {
        int n = SSL_read(ssl, heard + heard_len, (int)(sizeof heard - 1 - heard_len));
        heard_len += n > 0 ? (size_t)n : 0;
        heard[heard_len] = '\0';
        if (strstr(heard, until) || (n <= 0 && !kit_waits(ssl, n)))
            break;
        if (n <= 0)
            turn(b);
    }
    return heard;
}

static void say(SSL *ssl, const char *text)
{
    assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), strlen(text));
}

static void requests_are_answered_under_tls(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    SSL *ssl = call(&b, NULL);
    assert_true(shake(&b, ssl));
    say(ssl, "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "/one"), "HTTP/1.1 200"));
    say(ssl, "GET /two HTTP/1.1\r\nHost: a\r\n\r\nGET /three HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "/three"), "/two"));
    say(ssl, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    turn(&b);
    say(ssl, "-whole");
    hear(&b, ssl, "half-whole");
    assert_non_null(strstr(heard, "half-whole"));
    say(ssl, "GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "nobody"), "nobody"));
    say(ssl, "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear(&b, ssl, "never");
    assert_non_null(strstr(heard, "/end"));
    assert_true(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN); /* it was said */
    assert_int_equal(atomic_load(&b.tls.handshakes), 1);
    assert_int_equal(atomic_load(&b.counters.requests), 6);
    hang_up(ssl);
    close_bench(&b);
}

/* The client's last flight and its first request in one segment make one event. */
static void a_request_that_comes_with_the_handshake_is_seen(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    SSL *ssl = call(&b, NULL);
    int fd = SSL_get_fd(ssl), n = -1;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    char bytes[16384];
    for (int i = 0; i < TURNS && n != 1; i++) {
        n = SSL_do_handshake(ssl);
        if (n == 1)
            say(ssl, "GET /early HTTP/1.1\r\nHost: a\r\n\r\n");
        int k = BIO_read(out, bytes, sizeof bytes);
        if (k > 0)
            assert_int_equal(send(fd, bytes, (size_t)k, 0), k);
        turn(&b);
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got > 0)
            BIO_write(in, bytes, (int)got);
    }
    assert_int_equal(n, 1);
    for (int i = 0; i < 50 && !atomic_load(&b.counters.requests); i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.requests), 1);
    SSL_free(ssl);
    close(fd);
    close_bench(&b);
}

static void large_answers_arrive_whole(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    SSL *ssl = call(&b, NULL);
    assert_true(shake(&b, ssl));
    say(ssl, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 20; i++)
        turn(&b); /* nothing is read meanwhile */
    hear(&b, ssl, "never");
    const char *body = strstr(heard, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body + 4), sizeof large);
    hang_up(ssl);
    close_bench(&b);
}

static void plain_http_is_told_where_it_is(void **state)
{
    struct bench b;
    char got[1000] = "";
    (void)state;
    open_bench(&b, NULL);
    int fd = call_plain(&b);
    assert_true(send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 0) == 27);
    for (int i = 0; i < TURNS && recv(fd, got, sizeof got - 1, 0) <= 0; i++)
        turn(&b);
    assert_non_null(strstr(got, "HTTP/1.1 400"));
    assert_non_null(strstr(got, "https"));
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_HTTP]), 1);
    close(fd);
    fd = call_plain(&b);
    assert_true(send(fd, "EHLO mail.test\r\n", 16, 0) == 16);
    for (int i = 0; i < TURNS && !atomic_load(&b.tls.failures[TLS_FAIL_NOT_TLS]); i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_NOT_TLS]), 1);
    close(fd);
    for (int i = 0; i < TURNS && atomic_load(&b.counters.open); i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.open), 0);
    close_bench(&b);
}

static void a_handshake_has_a_time(void **state)
{
    struct bench b;
    struct http_limits l;
    char byte;
    (void)state;
    http_limits_default(&l);
    l.handshake_ms = 50;
    open_bench(&b, &l);
    int fd = call_plain(&b);
    assert_int_equal(send(fd, "\x16\x03\x01\x01", 4, 0), 4);
    ssize_t n = -1;
    for (int i = 0; i < TURNS && n < 0; i++) {
        turn(&b);
        n = recv(fd, &byte, 1, 0);
    }
    assert_int_equal(n, 0);
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_TIMEOUT]), 1);
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_CLOSED]), 0);
    assert_int_equal(atomic_load(&b.counters.timeouts), 1);
    close(fd);
    close_bench(&b);
}

static void silent_clients_give_way_to_those_that_go_on(void **state)
{
    struct bench b;
    struct http_limits l;
    int silent[8];
    (void)state;
    http_limits_default(&l);
    l.handshakes_max = 4;
    open_bench(&b, &l);
    for (int i = 0; i < 8; i++) {
        silent[i] = call_plain(&b);
        for (int k = 0; k < 5; k++)
            turn(&b);
        assert_true(atomic_load(&b.counters.open) <= 4);
    }
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_CROWDED]), 4);
    SSL *ssl = call(&b, NULL);
    assert_true(shake(&b, ssl));
    say(ssl, "GET /through HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "/through"), "HTTP/1.1 200"));
    hang_up(ssl);
    for (int i = 0; i < 8; i++)
        close(silent[i]);
    close_bench(&b);
}

/* More at once than may be: those that are being served are not thrown out, the rest waits. */
static void a_crowd_gets_through(void **state)
{
    enum { CROWD = 40 };
    struct bench b;
    struct http_limits l;
    SSL *crowd[CROWD];
    int done = 0;
    bool is_done[CROWD] = {0};
    (void)state;
    http_limits_default(&l);
    l.handshakes_max = CROWD / 2;
    open_bench(&b, &l);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = call(&b, NULL);
        SSL_do_handshake(crowd[i]);
    }
    for (int i = 0; i < TURNS && done < CROWD; i++) {
        turn(&b);
        for (int k = 0; k < CROWD; k++) {
            int n = is_done[k] ? 1 : SSL_do_handshake(crowd[k]);
            assert_true(n == 1 || kit_waits(crowd[k], n));
            done += n == 1 && !is_done[k];
            is_done[k] |= n == 1;
        }
    }
    assert_int_equal(done, CROWD);
    for (int i = 0; i < CROWD; i++)
        hang_up(crowd[i]);
    for (int i = 0; i < 20; i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.open), 0);
    close_bench(&b);
}

static void a_connection_goes_from_hand_to_hand(void **state)
{
    struct bench b;
    char more[STREAM_READ_WHOLE];
    (void)state;
    open_bench(&b, NULL);
    SSL *ssl = call(&b, NULL);
    assert_true(shake(&b, ssl));
    say(ssl, "GET /take HTTP/1.1\r\nHost: a\r\n\r\nrest");
    for (int i = 0; i < TURNS && b.taken.fd < 0; i++)
        turn(&b);
    assert_non_null(b.taken.tls);
    assert_memory_equal(b.bytes + b.len - 4, "rest", 4);
    mem_free(b.bytes);
    say(ssl, "more");
    assert_int_equal(stream_read(&b.taken, more, sizeof more), 4);
    assert_int_equal(stream_write(&b.taken, "taken", 5), 5);
    assert_non_null(strstr(hear(&b, ssl, "taken"), "taken"));
    /* Given back with half a request, of which the other half comes. */
    assert_int_equal(http_server_adopt(b.server, b.taken, mem_dup("GET /back", 9), 9, NULL),
                     STEAD_OK);
    say(ssl, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "/back"), "HTTP/1.1 200"));
    hang_up(ssl);
    close_bench(&b);
}

static void who_gives_a_connection_back_may_have_left_bytes_in_it(void **state)
{
    struct bench b;
    char some[4];
    (void)state;
    open_bench(&b, NULL);
    SSL *ssl = call(&b, NULL);
    assert_true(shake(&b, ssl));
    say(ssl, "GET /take HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < TURNS && b.taken.fd < 0; i++)
        turn(&b);
    mem_free(b.bytes);
    say(ssl, "GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(stream_read(&b.taken, some, sizeof some), sizeof some);
    assert_true(stream_pending(&b.taken));
    assert_int_equal(http_server_adopt(b.server, b.taken, mem_dup(some, 4), 4, NULL), STEAD_OK);
    assert_non_null(strstr(hear(&b, ssl, "/left"), "HTTP/1.1 200"));
    hang_up(ssl);
    close_bench(&b);
}

static void a_client_is_known_by_its_certificate(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    load(&b, TLS_CLIENTS_REQUIRED);
    SSL *ssl = call(&b, "anna");
    assert_true(shake(&b, ssl));
    say(ssl, "GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, ssl, "CN=anna"), "CN=anna"));
    hang_up(ssl);
    ssl = call(&b, NULL);
    (void)shake(&b, ssl); /* in TLS 1.3 it learns of it with its first read */
    for (int i = 0; i < TURNS && !atomic_load(&b.tls.failures[TLS_FAIL_CERTIFICATE]); i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.tls.failures[TLS_FAIL_CERTIFICATE]), 1);
    hang_up(ssl);
    close_bench(&b);
}

static void a_server_closes_amid_handshakes(void **state)
{
    struct bench b;
    SSL *ssl[6];
    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < 6; i++) {
        ssl[i] = call(&b, NULL);
        SSL_do_handshake(ssl[i]);
    }
    uv_run(&b.loop, UV_RUN_NOWAIT);
    close_bench(&b);
    for (int i = 0; i < 6; i++)
        hang_up(ssl[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_under_tls),
        cmocka_unit_test(a_request_that_comes_with_the_handshake_is_seen),
        cmocka_unit_test(large_answers_arrive_whole),
        cmocka_unit_test(plain_http_is_told_where_it_is),
        cmocka_unit_test(a_handshake_has_a_time),
        cmocka_unit_test(silent_clients_give_way_to_those_that_go_on),
        cmocka_unit_test(a_crowd_gets_through),
        cmocka_unit_test(a_connection_goes_from_hand_to_hand),
        cmocka_unit_test(who_gives_a_connection_back_may_have_left_bytes_in_it),
        cmocka_unit_test(a_client_is_known_by_its_certificate),
        cmocka_unit_test(a_server_closes_amid_handshakes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
