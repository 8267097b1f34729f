/* tls.c - a connection under TLS: its handshake, reading, writing and end. What is shown to clients
 * is in tls_context.c. */
#include "io/tls_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

const char *tls_failure_name(enum tls_failure f)
{
    static const char *const names[] = {
#define X(name, word) [TLS_FAIL_##name] = word,
        TLS_FAILURES_TABLE(X)
#undef X
    };
    return names[f];
}

/* -- lifetime -- */

static struct tls *tls_new(struct tls_context *c, int fd)
{
    struct tls *t = mem_alloc(sizeof *t);
    BIO *bio = t ? BIO_new(c->bio) : NULL;
    SSL *ssl = bio ? SSL_new(c->shown[0].ssl) : NULL;
    if (!ssl) {
        BIO_free(bio);
        mem_free(t);
        return NULL;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, t);
    t->ssl = ssl;
    t->fd = fd;
    t->context = tls_context_ref(c);
    if (c->counters)
        count(&c->counters->open);
    return t;
}

struct tls *tls_accept(struct tls_context *c, int fd)
{
    assert(!c->client);
    struct tls *t = tls_new(c, fd);
    if (t)
        SSL_set_accept_state(t->ssl);
    return t;
}

struct tls *tls_connect(struct tls_context *c, int fd, const char *name)
{
    assert(c->client);
    struct tls *t = tls_new(c, fd);
    if (!t)
        return NULL;
    SSL_set_connect_state(t->ssl);
    if (*name &&
        (!SSL_set_tlsext_host_name(t->ssl, name) || (c->checks && !SSL_set1_host(t->ssl, name)))) {
        tls_free(t);
        return NULL;
    }
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    struct tls_context *c = t->context;
    if (c->counters)
        atomic_fetch_sub_explicit(&c->counters->open, 1, memory_order_relaxed);
    /* That a connection broke is no fault of its session (RFC 5246, section 7.2.1). */
    if (t->ssl && t->done && t->error != EPROTO)
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    if (tls_early(t))
        tls_gave_up(t, TLS_FAIL_CLOSED);
    tls_early_free(t);
    tls_keeper_free(t);
    SSL_free(t->ssl);
    tls_light_free(t->light);
    if (t->secrets)
        explicit_bzero(t->secrets, sizeof *t->secrets);
    mem_free(t->secrets);
    mem_free(t->left);
    mem_free(t);
    tls_context_unref(c);
}

/* -- the handshake -- */

/* What libssl itself said first: what it met in verifying, say, stands before that. */
static unsigned long ssl_said(void)
{
    unsigned long e;
    do
        e = ERR_get_error();
    while (e && ERR_GET_LIB(e) != ERR_LIB_SSL);
    return e;
}

static enum tls_failure why_failed(const struct tls *t, int ssl_error)
{
    unsigned long e = ssl_said();
    int reason = ERR_GET_REASON(e);
    if (ssl_error == SSL_ERROR_SYSCALL || t->error)
        return TLS_FAIL_CLOSED;
    if (!e)
        return TLS_FAIL_OWN;
    if (reason > SSL_AD_REASON_OFFSET)
        return TLS_FAIL_ALERT;
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return TLS_FAIL_HTTP;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_UNKNOWN_PROTOCOL:
        return TLS_FAIL_NOT_TLS;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return TLS_FAIL_CLOSED;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return TLS_FAIL_UNLIKE;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return TLS_FAIL_CERTIFICATE;
    default:
        return TLS_FAIL_PROTOCOL;
    }
}

void tls_gave_up(struct tls *t, enum tls_failure why)
{
    if (t->counted)
        return;
    t->counted = true;
    t->failure = (uint8_t)why;
    if (!t->error)
        t->error = ECONNABORTED;
    if (t->context->counters)
        count(&t->context->counters->failures[why]);
}

void tls_handshake_done(struct tls *t)
{
    struct tls_counters *counters = t->context->counters;
    int early = t->context->client ? SSL_EARLY_DATA_NOT_SENT : SSL_get_early_data_status(t->ssl);
    t->done = t->counted = true;
    if (counters && early == SSL_EARLY_DATA_REJECTED)
        count(&counters->early_refused);
    t->resumed = SSL_session_reused(t->ssl);
    if (counters)
        count(&counters->handshakes);
    if (counters && t->resumed)
        count(&counters->resumed);
    tls_tickets_count(t);
    tls_keeper_free(t);
    tls_light_begin(t);
}

void tls_handshake_failed(struct tls *t, int ssl_error)
{
    tls_gave_up(t, why_failed(t, ssl_error));
}

static int shake(struct tls *t)
{
    int e = SSL_ERROR_NONE;
    if (t->context->early && t->asking) {
        (void)tls_early_accept(t, &e);
        return e;
    }
    int n = SSL_do_handshake(t->ssl);
    return n == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, n);
}

enum tls_progress tls_handshake(struct tls *t)
{
    struct tls_raw raw;
    if (t->error)
        return t->done ? TLS_DONE : TLS_FAILED;
    if (t->done || t->early)
        return TLS_DONE;
    if (tls_asks(t))
        return TLS_WAITS;
    ERR_clear_error();
    tls_raw_open(t, &raw);
    int e = shake(t);
    if (!tls_raw_close(t))
        e = SSL_ERROR_SSL;
    t->handshake_writes = e == SSL_ERROR_WANT_WRITE;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ||
        e == SSL_ERROR_WANT_CLIENT_HELLO_CB)
        return TLS_WAITS;
    if (e == SSL_ERROR_NONE) {
        if (!t->early)
            tls_handshake_done(t);
        return TLS_DONE;
    }
    tls_handshake_failed(t, e);
    ERR_clear_error();
    return TLS_FAILED;
}

bool tls_ready(const struct tls *t)
{
    return t->done;
}

enum tls_failure tls_failure(const struct tls *t)
{
    return (enum tls_failure)t->failure;
}

/* -- what was agreed on -- */

const char *tls_protocol(const struct tls *t, char out[TLS_PROTOCOL_MAX])
{
    const unsigned char *at = NULL;
    unsigned len = 0;
    if (t->light)
        return memcpy(out, t->light->protocol, TLS_PROTOCOL_MAX);
    SSL_get0_alpn_selected(t->ssl, &at, &len);
    len = len < TLS_PROTOCOL_MAX ? len : 0;
    if (len)
        memcpy(out, at, len);
    out[len] = '\0';
    return out;
}

const char *tls_version(const struct tls *t)
{
    return t->light ? t->light->version : SSL_get_version(t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
    return t->light ? t->light->cipher : SSL_get_cipher_name(t->ssl);
}

const char *tls_server_name(const struct tls *t)
{
    const char *name =
        t->light ? t->light->name : SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    return name ? name : "";
}

bool tls_resumed(const struct tls *t)
{
    return t->resumed;
}

bool tls_client_identity(const struct tls *t, struct tls_identity *out)
{
    if (t && t->light) {
        if (t->light->identity)
            *out = *t->light->identity;
        return t->light->identity != NULL;
    }
    X509 *x = t && (t->done || t->early) ? SSL_get0_peer_certificate(t->ssl) : NULL;
    if (!x || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return false;
    tls_certificate_text(x, out->subject, out->fingerprint);
    return true;
}

/* -- bytes -- */

static ssize_t broken(struct tls *t, int ssl_error)
{
    /* The peer's end without close_notify comes as SYSCALL with what the BIO noted. */
    if (!t->error)
        t->error = ssl_error == SSL_ERROR_SYSCALL ? ECONNRESET : EPROTO;
    ERR_clear_error();
    errno = t->error;
    return -1;
}

void tls_renegotiated(struct tls *t)
{
    if (t->context->counters)
        count(&t->context->counters->renegotiations);
    t->renegotiations++;
    if (t->renegotiations > TLS_RENEGOTIATIONS_MAX && !t->error)
        t->error = EPROTO; /* the next call ends it */
}

/* One more record's bytes behind `got`. False: no more for now, or ever. */
static bool read_more(struct tls *t, char *out, size_t max, size_t *got)
{
    size_t n = 0;
    /* So that a large buffer takes all that is decrypted: OpenSSL may hold the most of a record,
     * and the raw buffer gives less than it holds. The first read is always done. */
    t->raw->closed = *got && max - *got < TLS_RECORD_BYTES + TLS_RAW_BYTES;
    int r = SSL_read_ex(t->ssl, out + *got, max - *got, &n);
    if (r == 1) {
        *got += n;
        return *got < max;
    }
    int e = SSL_get_error(t->ssl, r);
    t->reading_writes = e == SSL_ERROR_WANT_WRITE;
    if (e == SSL_ERROR_ZERO_RETURN)
        t->ended = true;
    else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
        broken(t, e);
    return false;
}

static ssize_t full_read(struct tls *t, void *out, size_t max)
{
    struct tls_raw raw;
    size_t got = 0;
    if (!t->ended && !t->error && max) {
        ERR_clear_error();
        tls_raw_open(t, &raw);
        while (read_more(t, out, max, &got) && !t->error)
            ;
        tls_raw_close(t);
    }
    if (got || t->ended || !max)
        return (ssize_t)got;
    errno = t->error ? t->error : EAGAIN;
    return -1;
}

static ssize_t read_ready(struct tls *t, void *out, size_t max)
{
    ssize_t n = t->light ? tls_light_read(t, out, max) : full_read(t, out, max);
    /* The end came with the last bytes, and the socket has nothing more to tell of: now it has. */
    if (n > 0 && (t->ended || t->error))
        (void)shutdown(t->fd, SHUT_RD);
    return n;
}

/* What was early comes first, and what came after it is not left for an event that is over. */
static ssize_t read_early(struct tls *t, char *out, size_t max)
{
    tls_early_go_on(t);
    size_t got = tls_early_take(t, out, max);
    if (t->done && t->shutting && !t->shut)
        (void)tls_shutdown(t);
    ssize_t n = t->done && got < max ? read_ready(t, out + got, max - got) : 0;
    if (got)
        return (ssize_t)got + (n > 0 ? n : 0);
    if (t->done)
        return n;
    errno = t->error ? t->error : EAGAIN;
    return -1;
}

ssize_t tls_read(struct tls *t, void *out, size_t max)
{
    if (t->early && max)
        return read_early(t, out, max);
    if (t->done)
        return read_ready(t, out, max);
    errno = t->error ? t->error : EINVAL;
    return -1;
}

ssize_t tls_write(struct tls *t, const void *bytes, size_t len)
{
    size_t sent = 0;
    if ((!t->done && !t->early) || t->error || t->shutting) {
        errno = t->error ? t->error : t->shutting ? EPIPE : EINVAL;
        return -1;
    }
    if (!t->done)
        return tls_early_write(t, bytes, len);
    if (t->light)
        return tls_light_write(t, bytes, len);
    ERR_clear_error();
    while (sent < len) {
        size_t n = 0;
        int r = SSL_write_ex(t->ssl, (const char *)bytes + sent, len - sent, &n);
        sent += r == 1 ? n : 0;
        if (r == 1)
            continue;
        int e = SSL_get_error(t->ssl, r);
        if (e != SSL_ERROR_WANT_WRITE && e != SSL_ERROR_WANT_READ)
            return broken(t, e);
        break;
    }
    if (sent || !len)
        return (ssize_t)sent;
    errno = EAGAIN;
    return -1;
}

/* Small pieces share a record. */
ssize_t tls_writev(struct tls *t, const struct iovec *iov, size_t count_)
{
    char record[TLS_RECORD_BYTES];
    size_t sent = 0, i = 0, skip = 0;
    while (i < count_) {
        size_t len = 0;
        size_t at = i, from = skip;
        while (at < count_ && len < sizeof record) {
            size_t piece = iov[at].iov_len - from;
            size_t some = piece < sizeof record - len ? piece : sizeof record - len;
            if (some)
                memcpy(record + len, (const char *)iov[at].iov_base + from, some);
            len += some;
            from = some == piece ? 0 : from + some;
            at += some == piece;
        }
        if (!len)
            break;
        ssize_t n = tls_write(t, record, len);
        if (n < 0)
            return sent && errno == EAGAIN ? (ssize_t)sent : -1;
        sent += (size_t)n;
        if ((size_t)n < len)
            return (ssize_t)sent;
        i = at;
        skip = from;
    }
    return (ssize_t)sent;
}

uint32_t tls_events(const struct tls *t, bool want_read, bool want_write)
{
    uint32_t events = 0;
    if (!t->done && t->early) {
        want_write = want_write && !t->shutting;
        want_read = (want_read || t->shutting) && !t->early_writes;
        return (want_read && !t->handshake_writes ? (uint32_t)EPOLLIN : 0) |
               (want_write || (want_read && t->handshake_writes) ? (uint32_t)EPOLLOUT : 0);
    }
    if (!t->done)
        return t->handshake_writes ? EPOLLOUT : EPOLLIN;
    if (want_read)
        events |= t->reading_writes ? EPOLLOUT : EPOLLIN;
    if (want_write || (t->shutting && !t->shut))
        events |= EPOLLOUT;
    return events;
}

bool tls_pending(const struct tls *t)
{
    if (tls_early_pending(t))
        return true;
    if (!t->done || t->error)
        return false;
    if (t->light)
        return tls_light_pending(t);
    return !t->ended && (t->left_len || SSL_pending(t->ssl) > 0);
}

int tls_shutdown(struct tls *t)
{
    if (tls_early(t) && !t->error) {
        t->shutting = true;
        tls_early_go_on(t);
        if (!t->done && !t->error) {
            errno = EAGAIN;
            return -1;
        }
    }
    if (t->done && !t->error && !t->shut) {
        t->shutting = true;
        ERR_clear_error();
        if (t->light && !tls_light_end(t) && errno == EAGAIN)
            return -1;
        int n = t->light ? 1 : SSL_shutdown(t->ssl);
        if (n < 0 && SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_WRITE) {
            errno = EAGAIN;
            return -1;
        }
        ERR_clear_error();
    }
    t->shutting = t->shut = true;
    return shutdown(t->fd, SHUT_WR);
}
