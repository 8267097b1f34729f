/* tls_early.c - early data of TLS 1.3 (RFC 8446, section 2.3): taken between the client's first
 * flight and its Finished, while OpenSSL still has the connection. */
#include "io/tls_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

struct tls_early {
    uint32_t at, len;
    bool closed; /* the owner takes no more before the handshake's end */
    uint8_t bytes[TLS_EARLY_MAX];
};

/* OpenSSL's own guard knows this process only: who took the session from the farm is the one. */
static int on_allow(SSL *ssl, void *context)
{
    const struct tls *t = SSL_get_app_data(ssl);
    (void)context;
    return t && tls_keeper_took(t);
}

void tls_early_set(SSL_CTX *ssl)
{
    SSL_CTX_set_max_early_data(ssl, TLS_EARLY_MAX);
    SSL_CTX_set_recv_max_early_data(ssl, TLS_EARLY_MAX);
    SSL_CTX_set_options(ssl, SSL_OP_NO_ANTI_REPLAY);
    SSL_CTX_set_allow_early_data_cb(ssl, on_allow, NULL);
}

/* -- the handshake -- */

/* 1: some came, or more is awaited of it (*e says so); 0: its end, or there is none; -1: *e. */
static int read_some(struct tls *t, int *e)
{
    uint8_t bytes[TLS_RECORD_BYTES];
    size_t n = 0;
    int r = SSL_read_early_data(t->ssl, bytes, sizeof bytes, &n);
    if (r == SSL_READ_EARLY_DATA_FINISH)
        return 0;
    if (r == SSL_READ_EARLY_DATA_ERROR) {
        *e = SSL_get_error(t->ssl, 0);
        return -1;
    }
    if (!t->early && (t->early = mem_alloc(sizeof *t->early)) && t->context->counters)
        atomic_fetch_add_explicit(&t->context->counters->early_taken, 1, memory_order_relaxed);
    /* OpenSSL sees to the bound. */
    if (!t->early || n > sizeof t->early->bytes - t->early->len) {
        explicit_bzero(bytes, n);
        t->error = ENOMEM;
        *e = SSL_ERROR_SSL;
        return -1;
    }
    memcpy(t->early->bytes + t->early->len, bytes, n);
    t->early->len += (uint32_t)n;
    explicit_bzero(bytes, n);
    return 1;
}

int tls_early_accept(struct tls *t, int *e)
{
    int n = t->early_over ? 0 : read_some(t, e);
    if (n != 0)
        return n;
    t->early_over = true;
    n = SSL_do_handshake(t->ssl);
    *e = n == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, n);
    return n == 1 ? 0 : -1;
}

void tls_early_go_on(struct tls *t)
{
    struct tls_raw raw;
    int n, e = SSL_ERROR_NONE;
    if (t->done || t->error || t->early_writes)
        return;
    ERR_clear_error();
    tls_raw_open(t, &raw);
    do
        n = tls_early_accept(t, &e);
    while (n > 0);
    if (!tls_raw_close(t))
        e = SSL_ERROR_SSL;
    if (e == SSL_ERROR_NONE)
        tls_handshake_done(t);
    else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
        tls_handshake_failed(t, e);
    t->handshake_writes = e == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
}

/* -- bytes -- */

size_t tls_early_take(struct tls *t, void *out, size_t max)
{
    struct tls_early *x = t->early;
    if (!x || (x->closed && !t->done))
        return 0;
    size_t some = x->len - x->at < max ? x->len - x->at : max;
    memcpy(out, x->bytes + x->at, some);
    explicit_bzero(x->bytes + x->at, some);
    x->at += (uint32_t)some;
    if (t->done && x->at == x->len)
        tls_early_free(t);
    return some;
}

bool tls_early_pending(const struct tls *t)
{
    return t->early && t->early->len > t->early->at && (t->done || !t->early->closed);
}

ssize_t tls_early_write(struct tls *t, const void *bytes, size_t len)
{
    size_t sent = 0;
    ERR_clear_error();
    while (sent < len) {
        size_t n = 0, left = len - sent;
        left = left < TLS_RECORD_BYTES ? left : TLS_RECORD_BYTES;
        int r = SSL_write_early_data(t->ssl, (const char *)bytes + sent, left, &n);
        int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
        sent += r == 1 ? n : 0;
        t->early_writes = e == SSL_ERROR_WANT_WRITE;
        if (t->early_writes)
            break;
        if (e != SSL_ERROR_NONE) {
            tls_handshake_failed(t, e);
            errno = t->error;
            return -1;
        }
    }
    if (sent || !len)
        return (ssize_t)sent;
    errno = EAGAIN;
    return -1;
}

void tls_early_free(struct tls *t)
{
    if (t->early)
        explicit_bzero(t->early->bytes, t->early->len);
    mem_free(t->early);
    t->early = NULL;
}

/* -- for the owner -- */

bool tls_early(const struct tls *t)
{
    return t && t->early && !t->done;
}

void tls_early_close(struct tls *t)
{
    assert(tls_early(t));
    t->early->closed = true;
}
