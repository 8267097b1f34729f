/* login_test.c - who has logged in, found again by the TLS session at another server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fake_node.h"
#include "libtls/attached.h"
#include "tls_pair.h"

#define ANNS "QW5uLWhhcy1sb2dnZWQtaW4tMTIzNDU2"

struct farm {
    struct fake_node *node;
    struct identity id;
    SSL_CTX *a, *b;
};

static void farm_open(struct farm *f, bool single_use, bool events)
{
    *f = (struct farm){.node = node_new(), .id = identity_new("server")};
    struct stead_tls_options o = {.size = sizeof o,
                                  .node = f->node->where,
                                  .single_use = single_use,
                                  .event_driven = events,
                                  .deadline_ms = 200};
    f->a = server_new(&f->id);
    f->b = server_new(&f->id);
    SSL_CTX_set_verify(f->a, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify(f->b, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(f->a), f->id.cert);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(f->b), f->id.cert);
    assert_int_equal(stead_tls_attach(f->a, &o), STEAD_OK);
    assert_int_equal(stead_tls_attach(f->b, &o), STEAD_OK);
    strcpy(f->node->login, ANNS);
    strcpy(f->node->user, "ann");
}

static void farm_close(struct farm *f, bool runs)
{
    SSL_CTX_free(f->a);
    SSL_CTX_free(f->b);
    identity_free(&f->id);
    node_free(f->node, runs);
}

static void wait_for(SSL *ssl)
{
    struct pollfd p = {stead_tls_fd(ssl), stead_tls_events(ssl), 0};
    assert_true(p.fd >= 0);
    poll(&p, 1, stead_tls_timeout_ms(ssl));
}

static int bind_login(SSL *ssl, const char *login)
{
    int err;
    while ((err = stead_tls_bind_login(ssl, login)) == STEAD_PENDING)
        wait_for(ssl);
    return err;
}

/* Of whom is it? "" and *err: of nobody. */
static const char *user_of(SSL *ssl, int *err)
{
    static char user[64];
    struct stead_session *login;
    user[0] = '\0';
    while ((*err = stead_tls_login(ssl, &login)) == STEAD_PENDING)
        wait_for(ssl);
    if (*err == STEAD_OK)
        snprintf(user, sizeof user, "%s", stead_session_get(login, "user", NULL));
    else
        assert_null(login);
    stead_session_free(login);
    return user;
}

static void settle(SSL_CTX *ctx)
{
    struct stead_tls_stats s = {.size = sizeof s};
    for (int i = 0; i < 5000; i++) {
        stead_tls_stats(ctx, &s);
        if (attached_of(ctx)->link.sent_count == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail();
}

static const struct {
    int version;
    bool tickets, single_use;
} ways[] = {{TLS1_2_VERSION, false, false},
            {TLS1_2_VERSION, true, false},
            {TLS1_3_VERSION, true, false},
            {TLS1_2_VERSION, true, true},
            {TLS1_3_VERSION, true, true}};

/* A connection at a server; the session that the client has after it in *session. */
static struct pair come(SSL_CTX *client, SSL_CTX *server, SSL_SESSION **session)
{
    struct pair p;
    pair_open(&p, client, server, *session);
    assert_true(pair_shake(&p));
    assert_int_equal(SSL_session_reused(p.server), *session != NULL);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(p.client);
    settle(server);
    return p;
}

static void go_round(struct farm *f, int version, bool tickets)
{
    SSL_CTX *client = client_new(version, tickets);
    SSL_SESSION *s = NULL;
    int err;
    SSL_CTX_use_certificate(client, f->id.cert);
    SSL_CTX_use_PrivateKey(client, f->id.key);
    struct pair p = come(client, f->a, &s);
    assert_string_equal(user_of(p.server, &err), "");
    assert_int_equal(err, STEAD_E_ABSENT);
    /* The client has its ticket by now. */
    assert_int_equal(bind_login(p.server, ANNS), STEAD_OK);
    assert_string_equal(user_of(p.server, &err), "ann");
    pair_close(&p);
    for (int i = 0; i < 3; i++) {
        p = come(client, i % 2 ? f->a : f->b, &s);
        assert_string_equal(user_of(p.server, &err), "ann");
        /* And who he is by his certificate. */
        assert_int_equal(X509_cmp(SSL_get0_peer_certificate(p.server), f->id.cert), 0);
        assert_int_equal(SSL_get_verify_result(p.server), X509_V_OK);
        settle(i % 2 ? f->a : f->b);
        pair_close(&p);
    }
    p = come(client, f->b, &s);
    strcpy(f->node->login, ""); /* it is ended, while the connection is there */
    assert_string_equal(user_of(p.server, &err), "");
    assert_int_equal(err, STEAD_E_ABSENT);
    strcpy(f->node->login, ANNS);
    f->node->login_expires = 1000;
    assert_string_equal(user_of(p.server, &err), "");
    assert_int_equal(err, STEAD_E_DENIED);
    f->node->login_expires = 0;
    assert_string_equal(user_of(p.server, &err), "ann");
    assert_int_equal(bind_login(p.server, NULL), STEAD_OK);
    assert_string_equal(user_of(p.server, &err), "");
    pair_close(&p);
    p = come(client, f->a, &s);
    assert_string_equal(user_of(p.server, &err), "");
    assert_int_equal(err, STEAD_E_ABSENT);
    assert_int_equal(bind_login(p.server, ANNS), STEAD_OK);
    pair_close(&p);
    p = come(client, f->b, &s);
    assert_string_equal(user_of(p.server, &err), "ann");
    settle(f->b);
    pair_close(&p);
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
}

static void a_login_travels_with_its_session(void **state)
{
    struct farm f;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            farm_open(&f, ways[i].single_use, events);
            go_round(&f, ways[i].version, ways[i].tickets);
            farm_close(&f, true);
        }
    }
}

/* Another full handshake is another session. */
static void a_login_is_of_its_session_only(void **state)
{
    struct farm f;
    SSL_SESSION *s = NULL, *other = NULL;
    int err;
    (void)state;
    farm_open(&f, false, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    struct pair p = come(client, f.a, &s);
    assert_int_equal(bind_login(p.server, ANNS), STEAD_OK);
    pair_close(&p);
    p = come(client, f.a, &other);
    assert_string_equal(user_of(p.server, &err), "");
    pair_close(&p);
    p = come(client, f.b, &other);
    assert_string_equal(user_of(p.server, &err), "");
    assert_int_equal(err, STEAD_E_ABSENT);
    pair_close(&p);
    SSL_SESSION_free(s);
    SSL_SESSION_free(other);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

static void what_cannot_be_found_out_is_said(void **state)
{
    struct farm f;
    SSL_SESSION *s = NULL;
    int err;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        farm_open(&f, false, events);
        SSL_CTX *client = client_new(TLS1_3_VERSION, true);
        struct pair p = come(client, f.a, &s);
        assert_int_equal(bind_login(p.server, ANNS), STEAD_OK);
        pair_close(&p);
        p = come(client, f.b, &s);
        atomic_store(&f.node->mood, NODE_REFUSING);
        assert_string_equal(user_of(p.server, &err), "");
        assert_int_equal(err, STEAD_E_UNREACHABLE);
        assert_int_equal(bind_login(p.server, ANNS), STEAD_E_UNREACHABLE);
        atomic_store(&f.node->mood, NODE_GARBAGE);
        assert_string_equal(user_of(p.server, &err), "");
        atomic_store(&f.node->mood, NODE_SILENT);
        assert_string_equal(user_of(p.server, &err), "");
        assert_int_equal(err, STEAD_E_DEADLINE);
        assert_int_equal(bind_login(p.server, ANNS), STEAD_E_UNREACHABLE); /* it is quiet */
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
        assert_int_equal(bind_login(p.server, ANNS), STEAD_E_UNKNOWN);
        node_stop(f.node);
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
        assert_string_equal(user_of(p.server, &err), "");
        assert_int_equal(err, STEAD_E_UNREACHABLE);
        pair_close(&p);
        SSL_SESSION_free(s);
        s = NULL;
        SSL_CTX_free(client);
        farm_close(&f, false);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    static char long_id[300];
    struct farm f;
    SSL_SESSION *s = NULL;
    struct stead_session *login;
    (void)state;
    memset(long_id, 'a', 251);
    farm_open(&f, false, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true), *plain = server_new(&f.id);
    struct pair p = come(client, f.a, &s);
    const char *const wrong[] = {"", "a b", "a/b", "a\r\nb", long_id};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(stead_tls_bind_login(p.server, wrong[i]), STEAD_E_INVAL);
    pair_close(&p);
    /* Not attached; not shaken; without a ticket. */
    pair_open(&p, client, plain, NULL);
    assert_int_equal(stead_tls_bind_login(p.server, ANNS), STEAD_E_UNSUPPORTED);
    assert_int_equal(stead_tls_login(p.server, &login), STEAD_E_UNSUPPORTED);
    assert_int_equal(stead_tls_fd(p.server), -1);
    assert_int_equal(stead_tls_events(p.server), 0);
    assert_int_equal(stead_tls_timeout_ms(p.server), 0);
    pair_close(&p);
    pair_open(&p, client, f.a, NULL);
    assert_int_equal(stead_tls_bind_login(p.server, ANNS), STEAD_E_UNSUPPORTED);
    SSL_set_num_tickets(p.server, 0);
    assert_true(pair_shake(&p));
    assert_int_equal(stead_tls_bind_login(p.server, ANNS), STEAD_E_UNSUPPORTED);
    assert_int_equal(stead_tls_login(p.server, &login), STEAD_E_ABSENT);
    pair_close(&p);
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    SSL_CTX_free(plain);
    farm_close(&f, true);
}

static void without_memory_it_fails(void **state)
{
    struct farm f;
    SSL_SESSION *s = NULL;
    int err;
    (void)state;
    farm_open(&f, false, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    struct pair p = come(client, f.a, &s);
    assert_int_equal(bind_login(p.server, ANNS), STEAD_OK);
    for (unsigned n = 1; n < 8; n++) {
        mem_fail_after(n);
        err = stead_tls_bind_login(p.server, ANNS);
        mem_fail_after(0);
        assert_true(err <= 0);
        mem_fail_after(n);
        user_of(p.server, &err);
        mem_fail_after(0);
        assert_true(err <= 0);
    }
    assert_string_equal(user_of(p.server, &err), "ann");
    pair_close(&p);
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_travels_with_its_session),
        cmocka_unit_test(a_login_is_of_its_session_only),
        cmocka_unit_test(what_cannot_be_found_out_is_said),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(without_memory_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
