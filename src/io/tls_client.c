/* tls_client.c - OpenSSL between two memories. */
#include "io/tls_client.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_client_rules {
    SSL_CTX *context;
    bool verify;
};

struct tls_client {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    bool verify;
};

struct tls_client_rules *tls_client_rules_new(bool verify, const char *ca_file)
{
    struct tls_client_rules *r = mem_alloc(sizeof(*r));
    if (!r)
        return NULL;
    r->verify = verify;
    r->context = SSL_CTX_new(TLS_client_method());
    int good = r->context != NULL;
    if (good && verify)
        good = *ca_file ? SSL_CTX_load_verify_locations(r->context, ca_file, NULL)
                        : SSL_CTX_set_default_verify_paths(r->context);
    if (good) {
        SSL_CTX_set_verify(r->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
        return r;
    }
    ERR_clear_error();
    tls_client_rules_free(r);
    return NULL;
}

void tls_client_rules_free(struct tls_client_rules *r)
{
    if (r)
        SSL_CTX_free(r->context);
    mem_free(r);
}

static bool is_address(const char *name)
{
    unsigned char ip[16];
    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

static bool set_name(struct tls_client *t, const char *name)
{
    if (!*name)
        return true;
    if (is_address(name))
        return !t->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), name);
    return SSL_set_tlsext_host_name(t->ssl, name) && (!t->verify || SSL_set1_host(t->ssl, name));
}

struct tls_client *tls_client_new(struct tls_client_rules *r, const char *name)
{
    struct tls_client *t = mem_alloc(sizeof(*t));
    if (!t)
        return NULL;
    t->verify = r->verify;
    t->ssl = SSL_new(r->context);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        mem_free(t);
        return NULL;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    if (set_name(t, name))
        return t;
    tls_client_free(t);
    return NULL;
}

void tls_client_free(struct tls_client *t)
{
    if (t)
        SSL_free(t->ssl);
    mem_free(t);
}

bool tls_client_take(struct tls_client *t, const char *bytes, size_t len)
{
    return len <= INT_MAX && BIO_write(t->in, bytes, (int)len) == (int)len;
}

size_t tls_client_give(struct tls_client *t, char *out, size_t cap)
{
    int n = BIO_read(t->out, out, cap < INT_MAX ? (int)cap : INT_MAX);
    return n > 0 ? (size_t)n : 0;
}

int tls_client_shake(struct tls_client *t, const char **why)
{
    ERR_clear_error();
    int done = SSL_do_handshake(t->ssl);
    if (done == 1)
        return 1;
    int error = SSL_get_error(t->ssl, done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    *why = SSL_get_verify_result(t->ssl) != X509_V_OK && t->verify ? "certificate" : "handshake";
    ERR_clear_error();
    return -1;
}

bool tls_client_write(struct tls_client *t, const char *text, size_t len)
{
    ERR_clear_error();
    return len <= INT_MAX && SSL_write(t->ssl, text, (int)len) == (int)len;
}

long tls_client_read(struct tls_client *t, char *out, size_t cap)
{
    ERR_clear_error();
    int n = SSL_read(t->ssl, out, cap < INT_MAX ? (int)cap : INT_MAX);
    if (n > 0)
        return n;
    int error = SSL_get_error(t->ssl, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}
