/* tls_keeper.c - sessions that lie with a keeper (stateful ones: TLS 1.2's by their ids, TLS 1.3's
 * by tickets that are ids): OpenSSL's callbacks, and the handshake that waits for an answer. */
#include "io/tls_keeper.h"

#include "base/mem.h"
#include "base/wire.h"
#include "io/tls_internal.h"

#include <assert.h>
#include <openssl/err.h>
#include <string.h>

/* A connection's dealings with its keeper, until its handshake is done. */
struct tls_asking {
    const struct tls_keeper *keeper;
    void (*wake)(void *context);
    void *context;
    bool asked, answered;
    bool inside; /* of the keeper's call: the answer comes at once */
    bool once;   /* the question: for this handshake alone */
    uint8_t id[TLS_ID_BYTES];
    SSL_SESSION *found;
};

/* -- what the client shows -- */

static bool offers_13(const uint8_t *bytes, size_t len)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    for (uint8_t left = wire_u8(&r); left >= 2 && wire_ok(&r); left = (uint8_t)(left - 2))
        if (wire_u16(&r) == TLS1_3_VERSION && wire_ok(&r))
            return true;
    return false;
}

bool tls_hello_id(const uint8_t *versions, size_t versions_len, const uint8_t *psk, size_t psk_len,
                  const uint8_t *old_id, size_t old_len, uint8_t id[TLS_ID_BYTES], bool *once)
{
    struct wire_reader r;
    *once = offers_13(versions, versions_len);
    /* Who offers TLS 1.3 fills the old id with random bytes. */
    if (!*once && old_len == TLS_ID_BYTES)
        memcpy(id, old_id, TLS_ID_BYTES);
    if (!*once)
        return old_len == TLS_ID_BYTES;
    wire_reader_init(&r, psk, psk_len);
    size_t all = wire_u16(&r), len = wire_u16(&r);
    const uint8_t *at = wire_bytes(&r, TLS_ID_BYTES);
    if (!wire_ok(&r) || len != TLS_ID_BYTES || all < 2 + TLS_ID_BYTES)
        return false;
    memcpy(id, at, TLS_ID_BYTES);
    return true;
}

static bool id_of(SSL *ssl, uint8_t id[TLS_ID_BYTES], bool *once)
{
    const unsigned char *versions = NULL, *psk = NULL, *old = NULL;
    size_t versions_len = 0, psk_len = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &versions, &versions_len))
        versions_len = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &psk, &psk_len))
        psk_len = 0;
    size_t old_len = SSL_client_hello_get0_session_id(ssl, &old);
    return tls_hello_id(versions, versions_len, psk, psk_len, old, old_len, id, once);
}

/* -- OpenSSL's callbacks -- */

/* After a retry of the hello it is called again, and what was answered still holds. */
static int on_hello(SSL *ssl, int *alert, void *context)
{
    struct tls *t = SSL_get_app_data(ssl);
    struct tls_asking *a = t->asking;
    (void)alert;
    (void)context;
    if (!a || a->answered)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (a->asked)
        return SSL_CLIENT_HELLO_RETRY;
    if (!id_of(ssl, a->id, &a->once))
        return SSL_CLIENT_HELLO_SUCCESS;
    a->asked = a->inside = true;
    ERR_set_mark(); /* a mistake that is left in the queue would be the handshake's */
    a->keeper->ask(a->keeper->context, t, a->id, a->once);
    ERR_pop_to_mark();
    a->inside = false;
    return a->answered ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int len, int *copy)
{
    const struct tls *t = SSL_get_app_data(ssl);
    const struct tls_asking *a = t->asking;
    *copy = 1;
    if (!a || !a->answered || len != TLS_ID_BYTES || memcmp(id, a->id, TLS_ID_BYTES) != 0)
        return NULL;
    return a->found;
}

static int on_new(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *t = SSL_get_app_data(ssl);
    uint8_t bytes[TLS_SESSION_BYTES_MAX], *at = bytes;
    unsigned id_len;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    int len = i2d_SSL_SESSION(session, NULL);
    if (!t->asking || id_len != TLS_ID_BYTES || len <= 0 || (size_t)len > sizeof bytes)
        return 0;
    const struct tls_keeper *k = t->asking->keeper;
    i2d_SSL_SESSION(session, &at);
    k->keep(k->context, id, bytes, (size_t)len);
    explicit_bzero(bytes, sizeof bytes);
    return 0;
}

void tls_keeper_set(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_client_hello_cb(ssl, on_hello, NULL);
    SSL_CTX_sess_set_get_cb(ssl, on_get);
    SSL_CTX_sess_set_new_cb(ssl, on_new);
}

/* -- a connection's -- */

void tls_keep_with(struct tls *t, const struct tls_keeper *k, void (*wake)(void *context),
                   void *context)
{
    t->asking = mem_alloc(sizeof *t->asking); /* without it, nothing is resumed */
    if (t->asking)
        *t->asking = (struct tls_asking){.keeper = k, .wake = wake, .context = context};
}

bool tls_asks(const struct tls *t)
{
    return t->asking && t->asking->asked && !t->asking->answered;
}

bool tls_keeper_took(const struct tls *t)
{
    return t->asking && t->asking->once && t->asking->found;
}

void tls_answer(struct tls *t, enum tls_answer how, const uint8_t *session, size_t len)
{
    struct tls_asking *a = t->asking;
    assert(tls_asks(t));
    a->answered = true;
    ERR_set_mark();
    if (how <= TLS_ANSWER_SAVED && !(a->found = tls_sessions_read(session, len, a->id)))
        how = TLS_ANSWER_DAMAGED;
    ERR_pop_to_mark();
    static const enum tls_ticket became[] = {
        [TLS_ANSWER_OWN] = TLS_TICKET_KEPT,         [TLS_ANSWER_PEER] = TLS_TICKET_KEPT_PEER,
        [TLS_ANSWER_SAVED] = TLS_TICKET_KEPT_SAVED, [TLS_ANSWER_NONE] = TLS_TICKET_ABSENT,
        [TLS_ANSWER_LATE] = TLS_TICKET_LATE,        [TLS_ANSWER_DAMAGED] = TLS_TICKET_DAMAGED};
    t->ticket = became[how];
    if (!a->inside)
        a->wake(a->context);
}

void tls_keeper_free(struct tls *t)
{
    struct tls_asking *a = t->asking;
    if (!a)
        return;
    if (tls_asks(t))
        a->keeper->drop(a->keeper->context, t);
    SSL_SESSION_free(a->found);
    mem_free(a);
    t->asking = NULL;
}
