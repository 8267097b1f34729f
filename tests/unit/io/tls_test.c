/* tls_test.c - connections under TLS against a client of OpenSSL's, over socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/stream.h"
#include "io/tls_door.h"
#include "io/tls_internal.h"
#include "tls_kit.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROUNDS 2000

static struct kit kit;

struct rig {
    struct kit_rules r;
    struct tls_counters counters;
    struct tls_door *door;
    struct stream s; /* the server's side */
    int fd;          /* the client's */
    SSL *client;
    int version; /* the client's newest; 0: any */
};

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* of OpenSSL's own writes in the client */
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test,DNS:*.shop.test", 10);
    kit_issue(&kit, "other", "other.test", "DNS:other.test", 10);
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

static void open_rig(struct rig *r)
{
    static const char *const names[] = {"shop", "other", NULL};
    memset(r, 0, sizeof *r);
    kit_rules(&kit, &r->r, names);
    r->r.rules.protocols = "h2,http/1.1";
    r->door = tls_door_new(&r->counters);
    assert_non_null(r->door);
    r->s.fd = r->fd = -1;
}

static void load(struct rig *r)
{
    char error[TLS_ERROR_MAX];
    assert_int_equal(tls_door_load(r->door, &r->r.rules, true, error), TLS_LOADED);
}

/* A connection; its handshake has not begun. */
static void call_as(struct rig *r, const char *server, const char *cert)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    r->fd = pair[1];
    r->s = (struct stream){pair[0], tls_door_accept(r->door, pair[0])};
    assert_non_null(r->s.tls);
    r->client = kit_client(&kit, r->fd, server, cert);
}

static void hang_up(struct rig *r)
{
    stream_close(&r->s, false);
    SSL_free(r->client);
    r->client = NULL;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void close_rig(struct rig *r)
{
    hang_up(r);
    tls_door_free(r->door);
    assert_int_equal(r->counters.open, 0);
}

/* What became of the server's side; the client goes on until it is done or fails. */
static enum tls_progress shake(struct rig *r)
{
    enum tls_progress p = TLS_WAITS;
    bool client_done = false;
    for (int i = 0; i < ROUNDS && (p == TLS_WAITS || !client_done); i++) {
        if (!client_done) {
            int n = SSL_do_handshake(r->client);
            client_done = n == 1 || !kit_waits(r->client, n);
        }
        if (p == TLS_WAITS)
            p = tls_handshake(r->s.tls);
        if (p == TLS_FAILED)
            break;
    }
    return p;
}

static void expect_failure(struct rig *r, enum tls_failure why)
{
    assert_int_equal(shake(r), TLS_FAILED);
    assert_string_equal(tls_failure_name(tls_failure(r->s.tls)), tls_failure_name(why));
    assert_int_equal(r->counters.failures[why], 1);
    assert_int_equal(r->counters.handshakes, 0);
    char byte;
    assert_int_equal(stream_read(&r->s, &byte, 1), -1);
    assert_int_not_equal(errno, EAGAIN);
    assert_int_equal(stream_write(&r->s, "x", 1), -1);
}

static void expect_light(struct rig *r)
{
    assert_non_null(r->s.tls->light);
    assert_null(r->s.tls->ssl);
}

static void tell(struct rig *r, const char *text)
{
    char got[256];
    ssize_t n = -1;
    assert_int_equal(SSL_write(r->client, text, (int)strlen(text)), strlen(text));
    for (int i = 0; i < ROUNDS && n < 0; i++)
        n = stream_read(&r->s, got, sizeof got);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

static void answer(struct rig *r, const char *text)
{
    char got[256];
    int n = -1;
    assert_int_equal(stream_write(&r->s, text, strlen(text)), strlen(text));
    for (int i = 0; i < ROUNDS && n < 0; i++)
        n = SSL_read(r->client, got, sizeof got);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

static void a_handshake_leads_to_bytes_both_ways(void **state)
{
    struct rig r;
    char protocol[TLS_PROTOCOL_MAX];
    struct tls_identity id;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "a.shop.test", NULL);
    SSL_set_alpn_protos(r.client, (const unsigned char *)"\x08http/1.1", 9);
    assert_int_equal(stream_read(&r.s, protocol, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(shake(&r), TLS_DONE);
    assert_true(tls_ready(r.s.tls));
    assert_string_equal(tls_protocol(r.s.tls, protocol), "http/1.1");
    assert_string_equal(tls_version(r.s.tls), "TLSv1.3");
    assert_string_equal(tls_server_name(r.s.tls), "a.shop.test");
    expect_light(&r);
    assert_false(tls_client_identity(r.s.tls, &id));
    assert_false(tls_client_identity(NULL, &id));
    tell(&r, "hello");
    answer(&r, "good day");
    tell(&r, "again");
    assert_int_equal(r.counters.handshakes, 1);
    assert_int_equal(r.counters.open, 1);
    close_rig(&r);
}

static void a_piecemeal_handshake_is_one_too(void **state)
{
    struct rig r;
    char flight[16384];
    int pair[2];
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "other.test", NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    SSL_set_fd(r.client, pair[0]);
    enum tls_progress p = TLS_WAITS;
    for (int i = 0; i < ROUNDS && (p == TLS_WAITS || !SSL_is_init_finished(r.client)); i++) {
        SSL_do_handshake(r.client);
        ssize_t n = recv(pair[1], flight, sizeof flight, 0);
        for (ssize_t k = 0; k < n; k++) { /* byte by byte to the server */
            assert_int_equal(send(r.fd, flight + k, 1, 0), 1);
            p = tls_handshake(r.s.tls);
            assert_int_not_equal(p, TLS_FAILED);
        }
        n = recv(r.fd, flight, sizeof flight, 0);
        if (n > 0)
            assert_int_equal(send(pair[1], flight, (size_t)n, 0), n);
    }
    assert_int_equal(p, TLS_DONE);
    SSL_free(r.client);
    r.client = NULL;
    close(pair[0]);
    close(pair[1]);
    close_rig(&r);
}

static void old_versions_and_strange_protocols_are_refused(void **state)
{
    struct rig r;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_min_proto_version(r.client, TLS1_VERSION);
    SSL_set_max_proto_version(r.client, TLS1_1_VERSION);
    SSL_set_security_level(r.client, 0);
    expect_failure(&r, TLS_FAIL_UNLIKE);
    hang_up(&r);
    memset(&r.counters.failures, 0, sizeof r.counters.failures);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_alpn_protos(r.client, (const unsigned char *)"\x04imap", 5);
    expect_failure(&r, TLS_FAIL_UNLIKE);
    close_rig(&r);
}

static void tls_1_2_is_spoken_unless_it_is_ruled_out(void **state)
{
    struct rig r;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_max_proto_version(r.client, TLS1_2_VERSION);
    assert_int_equal(shake(&r), TLS_DONE);
    assert_string_equal(tls_version(r.s.tls), "TLSv1.2");
    assert_non_null(strstr(tls_cipher(r.s.tls), "ECDHE"));
    tell(&r, "old");
    hang_up(&r);
    r.r.rules.only_13 = true;
    load(&r);
    memset(&r.counters, 0, sizeof r.counters);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_max_proto_version(r.client, TLS1_2_VERSION);
    expect_failure(&r, TLS_FAIL_UNLIKE);
    close_rig(&r);
}

static void what_is_no_tls_fails_with_its_name(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum tls_failure why;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, TLS_FAIL_HTTP},
        {"CONNECT a:443 HTTP/1.1\r\n\r\n", 26, TLS_FAIL_HTTP},
        {"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", 12, TLS_FAIL_NOT_TLS},
        {"SSH-2.0-OpenSSH_9.2\r\n", 21, TLS_FAIL_NOT_TLS},
        {"\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00\x00\x00", 12, TLS_FAIL_NOT_TLS},
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, TLS_FAIL_PROTOCOL},
        {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, TLS_FAIL_PROTOCOL},
        {"\x15\x03\x01\x00\x02\x02\x28", 7, TLS_FAIL_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        open_rig(&r);
        load(&r);
        call_as(&r, NULL, NULL);
        assert_int_equal(send(r.fd, cases[i].bytes, cases[i].len, 0), cases[i].len);
        enum tls_progress p = TLS_WAITS;
        for (int k = 0; k < 5 && p == TLS_WAITS; k++)
            p = tls_handshake(r.s.tls);
        assert_int_equal(p, TLS_FAILED);
        assert_string_equal(tls_failure_name(tls_failure(r.s.tls)), tls_failure_name(cases[i].why));
        assert_int_equal(tls_handshake(r.s.tls), TLS_FAILED); /* and stays so */
        assert_int_equal(r.counters.failures[cases[i].why], 1);
        close_rig(&r);
    }
}

static void a_client_that_goes_amid_the_handshake_is_counted(void **state)
{
    struct rig r;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_do_handshake(r.client);
    assert_int_equal(tls_handshake(r.s.tls), TLS_WAITS);
    assert_int_equal(stream_events(&r.s, true, true), EPOLLIN);
    close(r.fd);
    r.fd = -1;
    assert_int_equal(tls_handshake(r.s.tls), TLS_FAILED);
    assert_int_equal(tls_failure(r.s.tls), TLS_FAIL_CLOSED);
    hang_up(&r);
    /* One that is given up is counted once, by its reason. */
    call_as(&r, "www.shop.test", NULL);
    tls_gave_up(r.s.tls, TLS_FAIL_TIMEOUT);
    tls_gave_up(r.s.tls, TLS_FAIL_CLOSED);
    assert_int_equal(r.counters.failures[TLS_FAIL_TIMEOUT], 1);
    assert_int_equal(r.counters.failures[TLS_FAIL_CLOSED], 1);
    close_rig(&r);
}

static void a_client_that_does_not_trust_us_says_so(void **state)
{
    struct rig r;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set1_host(r.client, "elsewhere.test");
    expect_failure(&r, TLS_FAIL_ALERT);
    close_rig(&r);
}

static void an_end_is_told_from_a_break(void **state)
{
    struct rig r;
    char byte;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    tell(&r, "x");
    SSL_shutdown(r.client);
    assert_int_equal(stream_read(&r.s, &byte, 1), 0);
    assert_int_equal(stream_read(&r.s, &byte, 1), 0);
    answer(&r, "still"); /* only its half has ended */
    assert_int_equal(stream_shutdown(&r.s), 0);
    assert_int_equal(SSL_read(r.client, &byte, 1), 0);
    assert_int_equal(SSL_get_error(r.client, 0), SSL_ERROR_ZERO_RETURN);
    hang_up(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    assert_int_equal(SSL_write(r.client, "cut", 3), 3);
    close(r.fd);
    r.fd = -1;
    char got[8];
    assert_int_equal(stream_read(&r.s, got, sizeof got), 3);
    assert_int_equal(stream_read(&r.s, got, sizeof got), -1);
    assert_int_equal(errno, ECONNRESET);
    close_rig(&r);
}

static void closing_says_goodbye_and_a_reset_does_not(void **state)
{
    struct rig r;
    char byte;
    (void)state;
    open_rig(&r);
    load(&r);
    for (int reset = 0; reset < 2; reset++) {
        call_as(&r, "www.shop.test", NULL);
        assert_int_equal(shake(&r), TLS_DONE);
        answer(&r, "x");
        stream_close(&r.s, reset);
        int n = SSL_read(r.client, &byte, 1);
        assert_true(n <= 0);
        assert_true((SSL_get_error(r.client, n) == SSL_ERROR_ZERO_RETURN) == !reset);
        hang_up(&r);
    }
    close_rig(&r);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9) * 7);
}

/* From client to server in pieces, read into buffers of `room`. The rule of pending bytes is
 * followed to the letter: nothing is read without an event or pending bytes. */
static void upload(size_t room, size_t total, int version)
{
    struct rig r;
    static uint8_t out[700000], in[65536 + 16384];
    size_t sent = 0, got = 0;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_max_proto_version(r.client, version);
    assert_int_equal(shake(&r), TLS_DONE);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = pattern(i);
    for (int round = 0; round < 200000 && got < total; round++) {
        size_t piece = total - sent < 20011 ? total - sent : 20011;
        int n = piece ? SSL_write(r.client, out + sent, (int)piece) : 0;
        sent += n > 0 ? (size_t)n : 0;
        char probe;
        bool event = recv(r.s.fd, &probe, 1, MSG_PEEK) > 0;
        if (!event && !stream_pending(&r.s))
            continue;
        ssize_t k = stream_read(&r.s, in, room);
        for (ssize_t i = 0; i < k; i++)
            assert_int_equal(in[i], pattern(got + (size_t)i));
        got += k > 0 ? (size_t)k : 0;
        if (room >= STREAM_READ_WHOLE)
            assert_false(stream_pending(&r.s));
    }
    assert_int_equal(got, total);
    assert_false(stream_pending(&r.s));
    close_rig(&r);
}

static void uploads_arrive_whole_in_buffers_of_any_size(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        upload(1, 90000, version);
        upload(4096, 700000, version);
        upload(16384, 700000, version);
        upload(65536, 700000, version);
        upload(65536 + 16384, 700000, version);
    }
}

static void download(int version, bool changing_keys)
{
    struct rig r;
    static uint8_t out[900000], in[5000];
    size_t sent = 0, got = 0;
    bool blocked = false;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_max_proto_version(r.client, version);
    assert_int_equal(shake(&r), TLS_DONE);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = pattern(i);
    for (int round = 0; round < 100000 && got < sizeof out; round++) {
        struct iovec iov[] = {{out + sent, 0}, {out + sent, (sizeof out - sent) / 3}, {NULL, 0}};
        iov[2].iov_base = out + sent + iov[1].iov_len;
        iov[2].iov_len = sizeof out - sent - iov[1].iov_len;
        /* By turns, as those do who keep a rest. */
        ssize_t n = round & 1 ? stream_writev(&r.s, iov, 3)
                              : stream_write(&r.s, out + sent, sizeof out - sent);
        blocked |= n < 0 && errno == EAGAIN;
        sent += n > 0 ? (size_t)n : 0;
        int k = SSL_read(r.client, in, sizeof in);
        for (int i = 0; i < k; i++)
            assert_int_equal(in[i], pattern(got + (size_t)i));
        got += k > 0 ? (size_t)k : 0;
        if (changing_keys && round % 7 == 0) {
            SSL_key_update(r.client, SSL_KEY_UPDATE_REQUESTED);
            SSL_write(r.client, "k", 1);
            assert_true(stream_read(&r.s, in, sizeof in) != 0 && r.s.tls->error == 0);
        }
    }
    assert_int_equal(got, sizeof out);
    assert_true(blocked);
    close_rig(&r);
}

static void downloads_arrive_whole_at_a_slow_reader(void **state)
{
    (void)state;
    download(TLS1_2_VERSION, false);
    download(TLS1_3_VERSION, false);
    download(TLS1_3_VERSION, true);
}

/* After the handshake, too, what is no TLS breaks the connection, and the peer is told why. */
static void garbage_in_the_stream_breaks_it(void **state)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\x17\x03\x03\x41\x01z",
                                        "\x17\x03\x03\x01\x01", "\x15\x03\x03\x01\x02zz"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct rig r;
        char got[64];
        open_rig(&r);
        load(&r);
        call_as(&r, "www.shop.test", NULL);
        assert_int_equal(shake(&r), TLS_DONE);
        tell(&r, "before");
        answer(&r, "good so far");
        assert_true(send(r.fd, texts[i], strlen(texts[i]), 0) > 0);
        if (i == 2) { /* a record that is long enough, and not sealed */
            static const char body[0x101];
            assert_int_equal(stream_read(&r.s, got, sizeof got), -1);
            assert_int_equal(errno, EAGAIN);
            assert_true(send(r.fd, body, sizeof body, 0) > 0);
        }
        assert_int_equal(stream_read(&r.s, got, sizeof got), -1);
        assert_int_equal(errno, EPROTO);
        assert_int_equal(stream_write(&r.s, "x", 1), -1);
        assert_int_equal(errno, EPROTO);
        int n = SSL_read(r.client, got, sizeof got);
        assert_true(n <= 0);
        assert_int_equal(SSL_get_error(r.client, n), SSL_ERROR_SSL); /* an alert */
        close_rig(&r);
    }
}

static void an_end_waits_for_room_and_is_said_then(void **state)
{
    struct rig r;
    static char bytes[16384], in[65536];
    size_t sent = 0, got = 0;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    /* Whole records until the socket takes no more, then the raw socket up to its brim. */
    int small = 4096;
    setsockopt(r.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ssize_t n;
    while ((n = stream_write(&r.s, bytes, 1000)) > 0)
        sent += (size_t)n;
    assert_int_equal(errno, EAGAIN);
    while ((n = stream_write(&r.s, bytes, 1000)) < 0)
        assert_true(SSL_read(r.client, in, sizeof in) > 0);
    for (;;) {
        int k = SSL_read(r.client, in, sizeof in);
        if (k <= 0)
            break;
        got += (size_t)k;
    }
    int e = stream_shutdown(&r.s);
    assert_int_equal(e, 0);
    assert_int_equal(stream_write(&r.s, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    int k = SSL_read(r.client, in, sizeof in);
    assert_int_equal(SSL_get_error(r.client, k), SSL_ERROR_ZERO_RETURN);
    close_rig(&r);
}

static void a_full_socket_makes_the_end_wait(void **state)
{
    struct rig r;
    static char bytes[1];
    char in[65536];
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    int small = 4096;
    setsockopt(r.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    while (send(r.s.fd, bytes, 1, MSG_DONTWAIT) > 0)
        ; /* not TLS, but the client does not read it */
    assert_int_equal(stream_shutdown(&r.s), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(stream_events(&r.s, true, false), EPOLLIN | EPOLLOUT);
    while (recv(r.fd, in, sizeof in, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(stream_shutdown(&r.s), 0);
    assert_int_equal(stream_events(&r.s, true, false), EPOLLIN);
    close_rig(&r);
}

static void renegotiation_is_refused_and_key_updates_are_not(void **state)
{
    struct rig r;
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    SSL_set_max_proto_version(r.client, TLS1_2_VERSION);
    assert_int_equal(shake(&r), TLS_DONE);
    SSL_renegotiate(r.client);
    SSL_do_handshake(r.client);
    char byte;
    assert_int_equal(stream_read(&r.s, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(r.counters.renegotiations, 1);
    /* OpenSSL's client gives up by itself; one that does not is closed. */
    for (unsigned i = 1; i < TLS_RENEGOTIATIONS_MAX; i++)
        tls_renegotiated(r.s.tls);
    assert_int_equal(stream_read(&r.s, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    tls_renegotiated(r.s.tls);
    assert_int_equal(stream_read(&r.s, &byte, 1), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(stream_write(&r.s, "x", 1), -1);
    assert_int_equal(SSL_get_error(r.client, SSL_do_handshake(r.client)), SSL_ERROR_SSL);
    hang_up(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(r.client, SSL_KEY_UPDATE_REQUESTED), 1);
        tell(&r, "new keys");
        answer(&r, "likewise");
    }
    close_rig(&r);
}

static void clients_with_little_room_get_small_records(void **state)
{
    struct rig r;
    char text[201];
    static char large[5000], got[5000];
    (void)state;
    memset(text, 'x', sizeof text);
    text[200] = '\0';
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(SSL_set_tlsext_max_fragment_length(r.client, TLSEXT_max_fragment_length_512),
                     1);
    assert_int_equal(shake(&r), TLS_DONE);
    tell(&r, text);
    answer(&r, text);
    assert_int_equal(stream_write(&r.s, large, sizeof large), sizeof large);
    for (size_t at = 0; at < sizeof large;) {
        int n = SSL_read(r.client, got, sizeof got);
        assert_in_range(n, 1, 512); /* a record that is larger breaks the connection */
        at += (size_t)n;
    }
    close_rig(&r);
}

static void clients_show_certificates_as_the_rules_say(void **state)
{
    struct rig r;
    struct tls_identity id;
    (void)state;
    open_rig(&r);
    r.r.rules.clients = TLS_CLIENTS_OPTIONAL;
    r.r.rules.client_ca = kit.ca_path;
    load(&r);
    call_as(&r, "www.shop.test", "anna");
    assert_int_equal(shake(&r), TLS_DONE);
    tell(&r, "x");
    assert_true(tls_client_identity(r.s.tls, &id));
    assert_string_equal(id.subject, "CN=anna");
    assert_int_equal(strlen(id.fingerprint), 64);
    hang_up(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    assert_false(tls_client_identity(r.s.tls, &id));
    hang_up(&r);
    r.r.rules.clients = TLS_CLIENTS_REQUIRED;
    load(&r);
    memset(&r.counters, 0, sizeof r.counters);
    call_as(&r, "www.shop.test", NULL);
    expect_failure(&r, TLS_FAIL_CERTIFICATE);
    hang_up(&r);
    /* Of another authority. */
    struct kit theirs, ours = kit;
    kit_open(&theirs);
    kit_issue(&theirs, "eve", "eve", NULL, 10);
    kit_issue(&theirs, "late", "late", NULL, -100);
    memset(&r.counters, 0, sizeof r.counters);
    kit = theirs;
    call_as(&r, "www.shop.test", "eve");
    SSL_set_verify(r.client, SSL_VERIFY_NONE, NULL);
    expect_failure(&r, TLS_FAIL_CERTIFICATE);
    hang_up(&r);
    kit = ours;
    kit_close(&theirs);
    close_rig(&r);
}

/* Connects, and leaves with a session to resume. */
static SSL_SESSION *visit(struct rig *r, SSL_SESSION *old, const char *cert, bool *resumed)
{
    call_as(r, "www.shop.test", cert);
    if (r->version)
        SSL_set_max_proto_version(r->client, r->version);
    if (old)
        SSL_set_session(r->client, old);
    assert_int_equal(shake(r), TLS_DONE);
    tell(r, "x");
    answer(r, "y"); /* the tickets have come with it */
    *resumed = tls_resumed(r->s.tls);
    SSL_SESSION *s = SSL_get1_session(r->client);
    SSL_set_shutdown(r->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    hang_up(r);
    return s;
}

static void sessions_are_resumed_also_after_a_reload(void **state)
{
    struct rig r;
    bool resumed;
    (void)state;
    open_rig(&r);
    load(&r);
    SSL_SESSION *s = visit(&r, NULL, NULL, &resumed);
    assert_false(resumed);
    SSL_SESSION *t = visit(&r, s, NULL, &resumed);
    assert_true(resumed);
    SSL_SESSION_free(s);
    load(&r);
    s = visit(&r, t, NULL, &resumed);
    assert_true(resumed);
    SSL_SESSION_free(t);
    assert_int_equal(r.counters.resumed, 2);
    /* One that began without a certificate does not go on where one is required. */
    r.r.rules.clients = TLS_CLIENTS_REQUIRED;
    r.r.rules.client_ca = kit.ca_path;
    load(&r);
    t = visit(&r, s, "anna", &resumed);
    assert_false(resumed);
    SSL_SESSION_free(s);
    SSL_SESSION_free(t);
    close_rig(&r);
}

/* Two doors are two nodes: of one farm when they share a secret. */
static void another_node_of_the_farm_resumes_what_began_here(void **state)
{
    static const uint8_t farm[TICKET_SECRET_BYTES] = {1}, other[TICKET_SECRET_BYTES] = {2};
    struct rig a, b;
    bool resumed;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        open_rig(&a);
        open_rig(&b);
        a.version = b.version = version;
        load(&a);
        load(&b);
        tls_door_share(a.door, &farm, 1, 1);
        tls_door_share(b.door, &farm, 1, 2);
        SSL_SESSION *s = visit(&a, NULL, NULL, &resumed);
        assert_false(resumed);
        SSL_SESSION *t = visit(&b, s, NULL, &resumed);
        assert_true(resumed);
        assert_int_equal(b.counters.resumed_by[TLS_RESUMED_PEER], 1);
        SSL_SESSION_free(s);
        s = visit(&a, t, NULL, &resumed); /* and back */
        assert_true(resumed);
        /* TLS 1.2 keeps its ticket as long as its key is the present one. */
        enum tls_resumed back = version == TLS1_2_VERSION ? TLS_RESUMED_OWN : TLS_RESUMED_PEER;
        assert_int_equal(a.counters.resumed_by[back], 1);
        SSL_SESSION_free(t);
        tls_door_share(b.door, &other, 1, 2);
        t = visit(&b, s, NULL, &resumed);
        assert_false(resumed);
        assert_int_equal(b.counters.missed[TLS_MISSED_UNKNOWN], 1);
        assert_int_equal(b.counters.resumed, 1);
        SSL_SESSION_free(s);
        SSL_SESSION_free(t);
        close_rig(&a);
        close_rig(&b);
    }
}

/* The session, with its ticket's last byte of the tag another. */
static SSL_SESSION *damaged(const SSL_SESSION *s)
{
    const unsigned char *ticket, *p;
    unsigned char *der = NULL;
    size_t len;
    int n = i2d_SSL_SESSION(s, &der);
    SSL_SESSION_get0_ticket(s, &ticket, &len);
    unsigned char *at = memmem(der, (size_t)n, ticket, len);
    assert_non_null(at);
    at[len - 1] ^= 1;
    p = der;
    SSL_SESSION *out = d2i_SSL_SESSION(NULL, &p, n);
    OPENSSL_free(der);
    assert_non_null(out);
    return out;
}

static size_t put_length(uint8_t *out, size_t len)
{
    if (len < 128) {
        out[0] = (uint8_t)len;
        return 1;
    }
    out[0] = 0x82;
    out[1] = (uint8_t)(len >> 8);
    out[2] = (uint8_t)len;
    return 3;
}

/* The length behind a tag; *at is moved behind it. */
static size_t get_length(const uint8_t **at)
{
    size_t n = *(*at)++, len = n & 127;
    if (n < 128)
        return n;
    for (len = 0, n &= 127; n; n--)
        len = len << 8 | *(*at)++;
    return len;
}

/* A session whose ticket has `len` bytes: those of s, or with others behind. Its DER is taken
 * apart: SEQUENCE { ... [10] { OCTET STRING } ... }. */
static SSL_SESSION *with_ticket_of(const SSL_SESSION *s, size_t len)
{
    static uint8_t out[20000], inner[20000];
    unsigned char *der = NULL;
    const unsigned char *ticket, *at;
    size_t own, n = 0, used;
    assert_true(i2d_SSL_SESSION(s, &der) > 0);
    SSL_SESSION_get0_ticket(s, &ticket, &own);
    at = der + 1;
    size_t left = get_length(&at);
    const unsigned char *end = at + left;
    while (at < end) {
        const unsigned char *from = at++;
        size_t part = get_length(&at);
        if (*from != 0xaa) {
            memcpy(inner + n, from, (size_t)(at - from) + part);
            n += (size_t)(at - from) + part;
        } else {
            uint8_t length[3];
            size_t of_length = put_length(length, len);
            inner[n++] = 0xaa;
            n += put_length(inner + n, 1 + of_length + len);
            inner[n++] = 4;
            memcpy(inner + n, length, of_length);
            n += of_length;
            memset(inner + n, 'x', len);
            memcpy(inner + n, ticket, len < own ? len : own);
            n += len;
        }
        at += part;
    }
    out[0] = 0x30;
    used = 1 + put_length(out + 1, n);
    memcpy(out + used, inner, n);
    OPENSSL_free(der);
    at = out;
    SSL_SESSION *changed = d2i_SSL_SESSION(NULL, &at, (long)(used + n));
    assert_non_null(changed);
    return changed;
}

static void tickets_of_any_length_are_full_handshakes(void **state)
{
    static const size_t lens[] = {1, 15, 16, 17, 32, 33, 63, 64, 80, 112, 200, 1000, 9000};
    struct rig r;
    bool resumed;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        open_rig(&r);
        r.version = version;
        load(&r);
        SSL_SESSION *s = visit(&r, NULL, NULL, &resumed);
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            SSL_SESSION *bad = with_ticket_of(s, lens[i]);
            SSL_SESSION_free(visit(&r, bad, NULL, &resumed));
            SSL_SESSION_free(bad);
            assert_false(resumed);
        }
        SSL_SESSION_free(visit(&r, s, NULL, &resumed));
        assert_true(resumed);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* Certificates with ever more names. */
static void large_client_certificates_are_bounded(void **state)
{
    static char names[60000];
    struct rig r;
    bool resumed;
    (void)state;
    open_rig(&r);
    r.r.rules.clients = TLS_CLIENTS_REQUIRED;
    r.r.rules.client_ca = kit.ca_path;
    load(&r);
    for (int count = 300; count <= 2000; count += 1700) {
        size_t len = 0;
        for (int i = 0; i < count; i++)
            len += (size_t)snprintf(names + len, sizeof names - len, "%sDNS:name-%06d.shop.test",
                                    i ? "," : "", i);
        kit_issue(&kit, "huge", "huge", names, 10);
        if (count == 300) {
            SSL_SESSION_free(visit(&r, NULL, "huge", &resumed));
            continue;
        }
        memset(&r.counters, 0, sizeof r.counters);
        call_as(&r, "www.shop.test", "huge");
        expect_failure(&r, TLS_FAIL_PROTOCOL);
        hang_up(&r);
    }
    close_rig(&r);
}

static void a_bad_ticket_is_a_full_handshake_and_counted(void **state)
{
    struct rig r;
    bool resumed;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        open_rig(&r);
        r.version = version;
        load(&r);
        SSL_SESSION *s = visit(&r, NULL, NULL, &resumed), *bad = damaged(s);
        SSL_SESSION_free(visit(&r, bad, NULL, &resumed));
        assert_false(resumed);
        assert_int_equal(r.counters.missed[TLS_MISSED_DAMAGED], 1);
        /* Other rules for clients: what is in it is good no more. */
        r.r.rules.clients = TLS_CLIENTS_OPTIONAL;
        r.r.rules.client_ca = kit.ca_path;
        load(&r);
        SSL_SESSION_free(visit(&r, s, NULL, &resumed));
        assert_false(resumed);
        assert_int_equal(r.counters.missed[TLS_MISSED_INVALID], 1);
        assert_int_equal(r.counters.handshakes, 3);
        SSL_SESSION_free(s);
        SSL_SESSION_free(bad);
        close_rig(&r);
    }
}

static void without_tickets_nothing_is_resumed(void **state)
{
    struct rig r;
    bool resumed;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        open_rig(&r);
        r.version = version;
        r.r.rules.resumption = TLS_RESUMPTION_OFF;
        load(&r);
        SSL_SESSION *s = visit(&r, NULL, NULL, &resumed);
        assert_false(SSL_SESSION_has_ticket(s));
        SSL_SESSION_free(visit(&r, s, NULL, &resumed));
        assert_false(resumed);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

static void certificates_change_while_connections_go_on(void **state)
{
    struct rig r, after;
    char error[TLS_ERROR_MAX];
    (void)state;
    open_rig(&r);
    load(&r);
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    char before[TLS_FINGERPRINT_MAX];
    struct tls_context *c = tls_door_context(r.door);
    memcpy(before, tls_context_certificate(c, 0)->fingerprint, sizeof before);
    tls_context_unref(c);
    assert_int_equal(tls_door_load(r.door, &r.r.rules, false, error), TLS_UNCHANGED);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test,DNS:*.shop.test", 20);
    assert_int_equal(tls_door_load(r.door, &r.r.rules, false, error), TLS_LOADED);
    c = tls_door_context(r.door);
    assert_string_not_equal(before, tls_context_certificate(c, 0)->fingerprint);
    tell(&r, "old one");
    after = r;
    call_as(&after, "www.shop.test", NULL);
    assert_int_equal(shake(&after), TLS_DONE);
    tell(&after, "new one");
    hang_up(&after);
    /* A bad file changes nothing, and is tried again. */
    kit_write(&kit, "shop.pem", "rubbish", 7);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tls_door_load(r.door, &r.r.rules, false, error), TLS_KEPT);
        assert_non_null(strstr(error, "shop.pem"));
    }
    struct tls_context *same = tls_door_context(r.door);
    assert_ptr_equal(same, c);
    tls_context_unref(same);
    tls_context_unref(c);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test,DNS:*.shop.test", 10);
    tell(&r, "still");
    close_rig(&r);
}

static void our_own_calls_to_servers_are_checked(void **state)
{
    struct rig r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX];
    (void)state;
    open_rig(&r);
    load(&r);
    const char *const names[] = {"www.shop.test", "elsewhere.test"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tls_context_client(i == 2 ? "" : kit.ca_path, &c, error), 0);
        call_as(&r, NULL, NULL);
        struct tls *t = tls_connect(c, r.fd, names[i > 0]);
        enum tls_progress mine = TLS_WAITS, theirs = TLS_WAITS;
        for (int k = 0; k < ROUNDS && mine == TLS_WAITS; k++) {
            mine = tls_handshake(t);
            theirs = tls_handshake(r.s.tls);
        }
        assert_int_equal(mine, i == 1 ? TLS_FAILED : TLS_DONE);
        (void)theirs;
        tls_free(t);
        tls_context_unref(c);
        hang_up(&r);
    }
    assert_int_not_equal(tls_context_client("/nonexistent", &c, error), 0);
    close_rig(&r);
}

static void no_memory_costs_a_connection_and_no_more(void **state)
{
    struct rig r;
    static char out[100], in[100];
    (void)state;
    open_rig(&r);
    load(&r);
    for (unsigned n = 1; n < 5; n++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        mem_fail_after(n);
        struct tls *t = tls_door_accept(r.door, pair[0]);
        mem_fail_after(0);
        assert_true((t == NULL) == (n <= 1));
        tls_free(t);
        close(pair[0]);
        close(pair[1]);
    }
    /* In a handshake, it may cost the connection or the small form of it, and no more. */
    for (unsigned n = 1; n < 12; n++) {
        call_as(&r, "www.shop.test", NULL);
        mem_fail_after(n);
        enum tls_progress p = shake(&r);
        mem_fail_after(0);
        if (p == TLS_DONE) {
            tell(&r, "still");
            answer(&r, "good");
        }
        hang_up(&r);
    }
    /* What is left over of a read needs some; without it the stream is broken, not torn. */
    call_as(&r, "www.shop.test", NULL);
    assert_int_equal(shake(&r), TLS_DONE);
    for (int i = 0; i < 20; i++)
        assert_int_equal(SSL_write(r.client, out, sizeof out), sizeof out);
    mem_fail_after(1);
    ssize_t n = stream_read(&r.s, in, sizeof in);
    assert_int_equal(n, sizeof in);
    n = stream_read(&r.s, in, sizeof in);
    mem_fail_after(0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, ENOMEM);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_leads_to_bytes_both_ways),
        cmocka_unit_test(a_piecemeal_handshake_is_one_too),
        cmocka_unit_test(old_versions_and_strange_protocols_are_refused),
        cmocka_unit_test(tls_1_2_is_spoken_unless_it_is_ruled_out),
        cmocka_unit_test(what_is_no_tls_fails_with_its_name),
        cmocka_unit_test(a_client_that_goes_amid_the_handshake_is_counted),
        cmocka_unit_test(a_client_that_does_not_trust_us_says_so),
        cmocka_unit_test(an_end_is_told_from_a_break),
        cmocka_unit_test(closing_says_goodbye_and_a_reset_does_not),
        cmocka_unit_test(uploads_arrive_whole_in_buffers_of_any_size),
        cmocka_unit_test(downloads_arrive_whole_at_a_slow_reader),
        cmocka_unit_test(garbage_in_the_stream_breaks_it),
        cmocka_unit_test(an_end_waits_for_room_and_is_said_then),
        cmocka_unit_test(a_full_socket_makes_the_end_wait),
        cmocka_unit_test(renegotiation_is_refused_and_key_updates_are_not),
        cmocka_unit_test(clients_with_little_room_get_small_records),
        cmocka_unit_test(clients_show_certificates_as_the_rules_say),
        cmocka_unit_test(sessions_are_resumed_also_after_a_reload),
        cmocka_unit_test(another_node_of_the_farm_resumes_what_began_here),
        cmocka_unit_test(tickets_of_any_length_are_full_handshakes),
        cmocka_unit_test(large_client_certificates_are_bounded),
        cmocka_unit_test(a_bad_ticket_is_a_full_handshake_and_counted),
        cmocka_unit_test(without_tickets_nothing_is_resumed),
        cmocka_unit_test(certificates_change_while_connections_go_on),
        cmocka_unit_test(our_own_calls_to_servers_are_checked),
        cmocka_unit_test(no_memory_costs_a_connection_and_no_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
