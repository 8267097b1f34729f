/* visitor.c - whom a client trusts, and the sessions that it tries. A session is tried only
 * where the certificate that was verified when it began has the server's name too: no certificate
 * is shown when it is resumed. */
#include "libtls/visitor.h"

#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

/* -- where OpenSSL keeps it -- */

static int client_index = -1;

static void make_index(void)
{
    client_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool have_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    return client_index >= 0;
}

/* -- sessions -- */

static SSL_SESSION *take_at(struct stead_tls_client *c, size_t i)
{
    SSL_SESSION *s = c->sessions[i];
    memmove(&c->sessions[i], &c->sessions[i + 1], (--c->count - i) * sizeof *c->sessions);
    return s;
}

/* Ours from now on: 1. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct stead_tls_client *c = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), client_index);
    if (!c || SSL_get_verify_result(ssl) != X509_V_OK)
        return 0;
    pthread_mutex_lock(&c->lock);
    if (c->count == VISITOR_SESSIONS_MAX)
        SSL_SESSION_free(take_at(c, 0));
    c->sessions[c->count++] = session;
    pthread_mutex_unlock(&c->lock);
    return 1;
}

static bool is_over(const SSL_SESSION *s)
{
    return !SSL_SESSION_is_resumable(s) ||
           SSL_SESSION_get_time(s) + SSL_SESSION_get_timeout(s) <= (long)time(NULL);
}

static bool has_name(SSL_SESSION *s, const char *host)
{
    X509 *cert = SSL_SESSION_get0_peer(s);
    return cert &&
           (X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
            X509_check_ip_asc(cert, host, 0) == 1);
}

/* Those of TLS 1.3 are used once (RFC 8446, appendix C.4). */
static SSL_SESSION *take_session(struct stead_tls_client *c, const char *host)
{
    SSL_SESSION *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = c->count; i-- > 0 && !found;) {
        SSL_SESSION *s = c->sessions[i];
        if (is_over(s)) {
            SSL_SESSION_free(take_at(c, i));
        } else if (has_name(s, host)) {
            found = s;
            if (SSL_SESSION_get_protocol_version(s) == TLS1_3_VERSION)
                take_at(c, i);
            else
                SSL_SESSION_up_ref(s);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* -- life -- */

int stead_tls_client_new(const struct stead_tls_client_options *options,
                         struct stead_tls_client **client)
{
    *client = NULL;
    if (options && options->size != sizeof *options)
        return STEAD_E_INVAL;
    struct stead_tls_client *c = have_index() ? mem_alloc(sizeof *c) : NULL;
    if (!c)
        return STEAD_E_NOMEM;
    pthread_mutex_init(&c->lock, NULL);
    visitor_secure(c, &c->secure);
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (!c->ctx || !SSL_CTX_set_ex_data(c->ctx, client_index, c) ||
        !SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION)) {
        stead_tls_client_free(c);
        return STEAD_E_NOMEM;
    }
    const char *file = options ? options->ca_file : NULL;
    ERR_set_mark();
    bool trusts =
        file ? SSL_CTX_load_verify_file(c->ctx, file) : SSL_CTX_set_default_verify_paths(c->ctx);
    ERR_pop_to_mark();
    if (!trusts) {
        stead_tls_client_free(c);
        return STEAD_E_IO;
    }
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(c->ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ctx, on_new);
    *client = c;
    return STEAD_OK;
}

void stead_tls_client_free(struct stead_tls_client *c)
{
    if (!c)
        return;
    if (c->ctx)
        SSL_CTX_set_ex_data(c->ctx, client_index, NULL);
    while (c->count)
        SSL_SESSION_free(c->sessions[--c->count]);
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

SSL_CTX *stead_tls_client_context(struct stead_tls_client *c)
{
    return c->ctx;
}

const struct stead_secure *stead_tls_client_secure(struct stead_tls_client *c)
{
    return &c->secure;
}

/* -- a connection's -- */

SSL *visitor_ssl(struct stead_tls_client *c, const char *host)
{
    if (!*host || strlen(host) > VISITOR_HOST_MAX)
        return NULL;
    SSL *ssl = SSL_new(c->ctx);
    X509_VERIFY_PARAM *param = ssl ? SSL_get0_param(ssl) : NULL;
    bool good = ssl != NULL;
    if (good && X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1) {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        good = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
    }
    if (!good) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_SESSION *session = take_session(c, host);
    if (session)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    SSL_set_connect_state(ssl);
    return ssl;
}

int visitor_error(SSL *ssl, int result)
{
    int e = SSL_get_error(ssl, result);
    ERR_clear_error();
    switch (e) {
    case SSL_ERROR_NONE:
        return STEAD_OK;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STEAD_PENDING;
    case SSL_ERROR_ZERO_RETURN:
        return STEAD_E_CLOSED;
    default:
        return SSL_get_verify_result(ssl) != X509_V_OK ? STEAD_E_DENIED : STEAD_E_IO;
    }
}
