/* visitor_test.c - clients that resume at another server of the farm, and trust no other one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "libtls/visitor.h"
#include "tls_pair.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define S1 "https://s1.shop.test:8443/cart?a=1"
#define S2 "https://S2.shop.test"
#define BY_IP "https://127.0.0.9:8443/"
#define BANK "https://bank.test/"

struct bench {
    struct identity id;
    SSL_CTX *server;
    struct stead_tls_client *client;
    char path[64];
    int fd[2]; /* the client's, the server's */
    SSL *ssl, *peer;
};

static void bench_open(struct bench *b)
{
    *b = (struct bench){.id = identity_new("farm"), .path = "/tmp/stead-ca-XXXXXX"};
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:*.shop.test,IP:127.0.0.9");
    assert_int_equal(X509_add_ext(b->id.cert, names, -1), 1);
    assert_true(X509_sign(b->id.cert, b->id.key, EVP_sha256()) > 0);
    X509_EXTENSION_free(names);
    FILE *f = fdopen(mkstemp(b->path), "w");
    assert_int_equal(PEM_write_X509(f, b->id.cert), 1);
    fclose(f);
    b->server = server_new(&b->id);
    struct stead_tls_client_options o = {.size = sizeof o, .ca_file = b->path};
    assert_int_equal(stead_tls_client_new(&o, &b->client), STEAD_OK);
}

static void bench_close(struct bench *b)
{
    stead_tls_client_free(b->client);
    SSL_CTX_free(b->server);
    identity_free(&b->id);
    unlink(b->path);
}

static void sockets(struct bench *b)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b->fd), 0);
    b->peer = SSL_new(b->server);
    SSL_set_fd(b->peer, b->fd[1]);
    SSL_set_accept_state(b->peer);
}

static int shake(struct bench *b)
{
    int err = STEAD_PENDING;
    for (int i = 0; i < 100; i++) {
        int r = SSL_do_handshake(b->ssl);
        err = r > 0 ? STEAD_OK : visitor_error(b->ssl, r);
        int p = SSL_do_handshake(b->peer);
        if (err < 0 || (err == STEAD_OK && p > 0))
            break;
    }
    return err;
}

static void hang_up(struct bench *b)
{
    if (SSL_is_init_finished(b->ssl))
        SSL_shutdown(b->ssl);
    SSL_free(b->ssl);
    SSL_free(b->peer);
    close(b->fd[0]);
    close(b->fd[1]);
}

/* *resumed: it was. A failed handshake's error. */
static int go_to(struct bench *b, const char *url, bool *resumed)
{
    char byte;
    sockets(b);
    assert_int_equal(stead_tls_client_start(b->client, url, b->fd[0], &b->ssl), STEAD_OK);
    int err = shake(b);
    *resumed = !err && SSL_session_reused(b->ssl);
    if (!err)
        assert_int_equal(SSL_session_reused(b->peer), *resumed);
    (void)SSL_read(b->ssl, &byte, 1); /* tickets */
    hang_up(b);
    return err;
}

static void a_session_is_tried_at_every_server_of_its_name(void **state)
{
    struct bench b;
    bool resumed;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bench_open(&b);
        SSL_CTX_set_max_proto_version(stead_tls_client_context(b.client), version);
        assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
        assert_false(resumed);
        assert_int_equal(go_to(&b, S2, &resumed), STEAD_OK);
        assert_true(resumed);
        assert_int_equal(go_to(&b, BY_IP, &resumed), STEAD_OK);
        assert_true(resumed);
        assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
        assert_true(resumed);
        /* Nor is one tried where the certificate would not do. */
        assert_int_equal(go_to(&b, BANK, &resumed), STEAD_E_DENIED);
        assert_int_equal(go_to(&b, "https://127.0.0.8/", &resumed), STEAD_E_DENIED);
        assert_int_equal(go_to(&b, "https://a.s1.shop.test/", &resumed), STEAD_E_DENIED);
        assert_int_equal(go_to(&b, S2, &resumed), STEAD_OK);
        assert_true(resumed);
        bench_close(&b);
    }
}

static void only_so_many_sessions_are_kept(void **state)
{
    struct bench b;
    bool resumed;
    (void)state;
    bench_open(&b);
    SSL_CTX_set_num_tickets(b.server, VISITOR_SESSIONS_MAX + 5);
    assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
    assert_int_equal(b.client->count, VISITOR_SESSIONS_MAX);
    SSL_CTX_set_num_tickets(b.server, 0);
    for (int i = 0; i < VISITOR_SESSIONS_MAX; i++) {
        assert_int_equal(go_to(&b, S2, &resumed), STEAD_OK);
        assert_true(resumed); /* each of TLS 1.3 once */
    }
    assert_int_equal(b.client->count, 0);
    assert_int_equal(go_to(&b, S2, &resumed), STEAD_OK);
    assert_false(resumed);
    /* One that is over is not tried. */
    SSL_CTX_set_num_tickets(b.server, 1);
    assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
    SSL_SESSION_set_time(b.client->sessions[0], 1000);
    SSL_CTX_set_num_tickets(b.server, 0);
    assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
    assert_false(resumed);
    assert_int_equal(b.client->count, 0);
    bench_close(&b);
}

static void a_stranger_is_not_trusted(void **state)
{
    struct bench b;
    struct identity other = identity_new("farm");
    bool resumed;
    (void)state;
    bench_open(&b);
    SSL_CTX *mine = b.server;
    b.server = server_new(&other);
    assert_int_equal(go_to(&b, S1, &resumed), STEAD_E_DENIED);
    assert_int_equal(b.client->count, 0);
    SSL_CTX_free(b.server);
    b.server = mine;
    assert_int_equal(go_to(&b, S1, &resumed), STEAD_OK);
    identity_free(&other);
    bench_close(&b);
}

/* -- for libstead -- */

struct layer {
    const struct stead_secure *secure;
    void *connection;
};

static int layer_shake(struct bench *b, struct layer *l)
{
    int err = STEAD_PENDING;
    for (int i = 0; i < 100 && err == STEAD_PENDING; i++) {
        err = l->secure->shake(l->connection);
        SSL_do_handshake(b->peer);
    }
    return err;
}

static void libstead_gets_bytes(void **state)
{
    struct bench b;
    static char large[300000], back[16384];
    size_t n, got = 0, sent = 0;
    (void)state;
    bench_open(&b);
    struct layer l = {.secure = stead_tls_client_secure(b.client)};
    sockets(&b);
    assert_int_equal(l.secure->begin(l.secure->context, b.fd[0], "s1.shop.test", &l.connection),
                     STEAD_OK);
    assert_int_equal(l.secure->shake(l.connection), STEAD_PENDING);
    assert_false(l.secure->wants_write(l.connection));
    assert_int_equal(layer_shake(&b, &l), STEAD_OK);
    SSL_do_handshake(b.peer);
    assert_int_equal(l.secure->send(l.connection, "hello", 5, &n), STEAD_OK);
    assert_int_equal(n, 5);
    assert_int_equal(SSL_read(b.peer, back, sizeof back), 5);
    assert_memory_equal(back, "hello", 5);
    assert_int_equal(l.secure->receive(l.connection, back, sizeof back, &n), STEAD_PENDING);
    /* More than the socket takes: it says that it waits for room. */
    while (sent < sizeof large &&
           l.secure->send(l.connection, large + sent, sizeof large - sent, &n) == STEAD_OK)
        sent += n;
    if (sent < sizeof large)
        assert_true(l.secure->wants_write(l.connection));
    while (got < sent && (n = (size_t)SSL_read(b.peer, back, sizeof back)) <= sizeof back)
        got += n;
    assert_int_equal(got, sent);
    assert_int_equal(SSL_shutdown(b.peer), 0);
    while (sent < sizeof large &&
           l.secure->send(l.connection, large + sent, sizeof large - sent, &n) == STEAD_PENDING)
        SSL_read(b.peer, back, sizeof back);
    assert_int_equal(l.secure->receive(l.connection, back, sizeof back, &n), STEAD_OK);
    assert_int_equal(n, 0); /* the end */
    l.secure->end(l.connection);
    SSL_free(b.peer);
    close(b.fd[0]);
    close(b.fd[1]);
    bench_close(&b);
}

static void a_broken_connection_is_an_error_and_no_signal(void **state)
{
    struct bench b;
    size_t n;
    (void)state;
    bench_open(&b);
    for (int after = 0; after <= 1; after++) {
        struct layer l = {.secure = stead_tls_client_secure(b.client)};
        sockets(&b);
        assert_int_equal(l.secure->begin(l.secure->context, b.fd[0], "s1.shop.test", &l.connection),
                         STEAD_OK);
        if (after)
            assert_int_equal(layer_shake(&b, &l), STEAD_OK);
        SSL_free(b.peer);
        close(b.fd[1]);
        if (after) {
            char byte[16];
            while (l.secure->send(l.connection, "x", 1, &n) == STEAD_OK)
                ;
            assert_true(l.secure->receive(l.connection, byte, sizeof byte, &n) < 0);
        } else {
            int err = STEAD_PENDING;
            for (int i = 0; i < 5 && err == STEAD_PENDING; i++)
                err = l.secure->shake(l.connection);
            assert_int_equal(err, STEAD_E_IO);
        }
        l.secure->end(l.connection);
        close(b.fd[0]);
    }
    bench_close(&b);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static char long_url[300] = "https://";
    struct bench b;
    struct stead_tls_client *c;
    struct stead_tls_client_options o = {.size = 1};
    struct stead_options so;
    struct stead_choice *choice;
    SSL *ssl;
    (void)state;
    memset(long_url + 8, 'a', 256);
    assert_int_equal(stead_tls_client_new(&o, &c), STEAD_E_INVAL);
    o = (struct stead_tls_client_options){.size = sizeof o, .ca_file = "/nowhere"};
    assert_int_equal(stead_tls_client_new(&o, &c), STEAD_E_IO);
    assert_null(c);
    assert_int_equal(stead_tls_client_new(NULL, &c), STEAD_OK);
    stead_tls_client_free(c);
    stead_tls_client_free(NULL);
    bench_open(&b);
    const char *const wrong[] = {"http://a/", "a", "https://", "https://:1/", long_url, NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(stead_tls_client_start(b.client, wrong[i], 0, &ssl), STEAD_E_INVAL);
        assert_null(ssl);
        assert_int_equal(stead_tls_connect(b.client, wrong[i], NULL, &ssl, &choice), STEAD_E_INVAL);
    }
    assert_int_equal(stead_tls_client_start(b.client, S1, -1, &ssl), STEAD_E_INVAL);
    stead_options_init(&so, sizeof so);
    so.deadline_ms = 0;
    assert_int_equal(stead_tls_connect(b.client, S1, &so, &ssl, NULL), STEAD_E_INVAL);
    so.deadline_ms = 1;
    so.exclude_count = 1;
    assert_int_equal(stead_tls_connect(b.client, S1, &so, &ssl, NULL), STEAD_E_INVAL);
    so.size = 1;
    assert_int_equal(stead_tls_connect(b.client, S1, &so, &ssl, NULL), STEAD_E_INVAL);
    for (unsigned n = 1; n < 3; n++) {
        mem_fail_after(n);
        int err = stead_tls_client_new(&(struct stead_tls_client_options){sizeof o, b.path}, &c);
        mem_fail_after(0);
        assert_true(err == (n == 1 ? STEAD_E_NOMEM : STEAD_OK));
        stead_tls_client_free(c);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_tried_at_every_server_of_its_name),
        cmocka_unit_test(only_so_many_sessions_are_kept),
        cmocka_unit_test(a_stranger_is_not_trusted),
        cmocka_unit_test(libstead_gets_bytes),
        cmocka_unit_test(a_broken_connection_is_an_error_and_no_signal),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
