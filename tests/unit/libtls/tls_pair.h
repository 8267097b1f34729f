/* tls_pair.h - a TLS client and a server in one process, over memory. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include "stead/tls.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <poll.h>

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static struct identity identity_new(const char *name)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    X509_NAME *n = X509_get_subject_name(id.cert);
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.cert, n);
    X509_set_pubkey(id.cert, id.key);
    assert_true(X509_sign(id.cert, id.key, EVP_sha256()) > 0);
    return id;
}

static void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static SSL_CTX *server_new(const struct identity *id)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(ctx, id->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, id->key), 1);
    return ctx;
}

static inline SSL_CTX *client_new(int version, bool tickets)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version);
    if (!tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return ctx;
}

struct pair {
    SSL *client, *server;
};

/* session: to be resumed; NULL: none. */
static inline void pair_open(struct pair *p, SSL_CTX *client, SSL_CTX *server, SSL_SESSION *session)
{
    BIO *a, *b;
    assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
    p->client = SSL_new(client);
    p->server = SSL_new(server);
    SSL_set_bio(p->client, a, a);
    SSL_set_bio(p->server, b, b);
    SSL_set_connect_state(p->client);
    SSL_set_accept_state(p->server);
    if (session) { /* a copy, as OpenSSL does not show one twice by itself */
        SSL_SESSION *copy = SSL_SESSION_dup(session);
        assert_int_equal(SSL_set_session(p->client, copy), 1);
        SSL_SESSION_free(copy);
    }
}

/* One turn of each. The server's SSL_get_error(). */
static inline int pair_turn(struct pair *p)
{
    (void)SSL_do_handshake(p->client);
    int r = SSL_do_handshake(p->server);
    return SSL_get_error(p->server, r);
}

/* Until both are done; where the server waits for the node, this does. False: it failed. */
static inline bool pair_shake(struct pair *p)
{
    char byte;
    for (int i = 0; i < 2000; i++) {
        int e = pair_turn(p);
        if (SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server)) {
            (void)SSL_read(p->client, &byte, 1); /* tickets of TLS 1.3 */
            return true;
        }
        if (e == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
            struct pollfd w = {stead_tls_fd(p->server), stead_tls_events(p->server), 0};
            poll(&w, 1, stead_tls_timeout_ms(p->server));
        } else if (e == SSL_ERROR_SSL || e == SSL_ERROR_SYSCALL) {
            return false;
        }
    }
    return false;
}

static inline void pair_close(struct pair *p)
{
    SSL_shutdown(p->client);
    SSL_shutdown(p->server);
    SSL_free(p->client);
    SSL_free(p->server);
}

/* A whole connection. *session: what the client has for the next one; may be NULL. */
static inline bool visit(SSL_CTX *client, SSL_CTX *server, SSL_SESSION *with, SSL_SESSION **session)
{
    struct pair p;
    pair_open(&p, client, server, with);
    assert_true(pair_shake(&p));
    bool resumed = SSL_session_reused(p.server);
    assert_int_equal(resumed, SSL_session_reused(p.client));
    if (session)
        *session = SSL_get1_session(p.client);
    pair_close(&p);
    return resumed;
}

#endif
