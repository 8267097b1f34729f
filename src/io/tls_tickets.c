/* tls_tickets.c - OpenSSL's callbacks for tickets, and what became of a ticket that came. */
#include "io/tls_tickets.h"

#include "base/held.h"
#include "base/mem.h"
#include "io/io.h"
#include "io/tls_internal.h"

#include <assert.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define IV_BYTES 16

struct tls_tickets {
    struct held held;     /* first */
    pthread_mutex_t lock; /* of the ring */
    size_t count;
    struct ticket_ring rings[TLS_TICKET_RINGS_MAX]; /* the first seals */
    EVP_CIPHER *cipher;
};

/* -- lifetime -- */

static void tickets_free(struct held *h)
{
    struct tls_tickets *t = (struct tls_tickets *)h;
    EVP_CIPHER_free(t->cipher);
    for (size_t i = 0; i < TLS_TICKET_RINGS_MAX; i++)
        ticket_ring_deinit(&t->rings[i]);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = mem_alloc(sizeof *t);
    uint8_t secret[TICKET_SECRET_BYTES];
    if (!t)
        return NULL;
    io_undumped(t, sizeof *t);
    held_init(&t->held, tickets_free);
    pthread_mutex_init(&t->lock, NULL);
    io_random(secret, sizeof secret);
    t->count = 1;
    ticket_ring_init(&t->rings[0], secret, 0);
    OPENSSL_cleanse(secret, sizeof secret);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (t->cipher)
        return t;
    tls_tickets_unref(t);
    return NULL;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    held_ref(&t->held);
    return t;
}

void tls_tickets_unref(struct tls_tickets *t)
{
    held_unref(t ? &t->held : NULL);
}

void tls_tickets_share(struct tls_tickets *t, const uint8_t (*secrets)[TICKET_SECRET_BYTES],
                       size_t count, uint64_t node)
{
    assert(count >= 1 && count <= TLS_TICKET_RINGS_MAX);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < TLS_TICKET_RINGS_MAX; i++)
        ticket_ring_deinit(&t->rings[i]);
    t->count = count;
    for (size_t i = 0; i < count; i++)
        ticket_ring_init(&t->rings[i], secrets[i], node);
    pthread_mutex_unlock(&t->lock);
}

bool tls_tickets_look(struct tls_tickets *t, struct tls_tickets_view *out)
{
    uint64_t now_s = (uint64_t)time(NULL);
    out->since_s = now_s - now_s % TICKET_PERIOD_S;
    pthread_mutex_lock(&t->lock);
    bool made = ticket_ring_turn(&t->rings[0], now_s);
    for (size_t i = 0; made && i < TICKET_KEYS; i++)
        ticket_ring_id(&t->rings[0], i, out->ids[i]);
    pthread_mutex_unlock(&t->lock);
    return made;
}

/* -- OpenSSL's callbacks -- */

/* A copy of what seals now, or of what opens `name`; whoever turns the ring may replace them. */
static bool key_for(struct tls_tickets *t, bool seal, uint8_t name[TICKET_NAME_BYTES],
                    struct ticket_key *out, struct ticket_origin *origin)
{
    const struct ticket_key *k = NULL;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; !k && i < (seal ? 1 : t->count); i++) {
        if (!ticket_ring_turn(&t->rings[i], (uint64_t)time(NULL)))
            continue;
        k = seal ? ticket_ring_seal(&t->rings[i], name)
                 : ticket_ring_open(&t->rings[i], name, origin);
        origin->current &= i == 0;
    }
    if (k)
        *out = *k;
    pthread_mutex_unlock(&t->lock);
    return k != NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params);
}

/* 0: no ticket is made, or none is known by that name; 1: good; 2: good, and a new one is due, as
 * always in TLS 1.3, whose clients use each but once (RFC 8446, appendix C.4). */
static int on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int seal)
{
    struct tls *t = SSL_get_app_data(ssl);
    struct tls_tickets *tickets = t->context->tickets;
    struct ticket_origin origin = {false, false};
    struct ticket_key k;
    if (!seal)
        t->ticket = TLS_TICKET_UNKNOWN;
    if (!key_for(tickets, seal, name, &k, &origin))
        return 0;
    bool good = set_mac(mac, &k);
    if (good && seal) {
        io_random(iv, IV_BYTES);
        good = EVP_EncryptInit_ex(cipher, tickets->cipher, NULL, k.cipher, iv);
    } else if (good) {
        t->ticket = origin.own ? TLS_TICKET_OWN : TLS_TICKET_PEER;
        good = EVP_DecryptInit_ex(cipher, tickets->cipher, NULL, k.cipher, iv);
    }
    OPENSSL_cleanse(&k, sizeof k);
    if (!good)
        return -1;
    return !seal && (!origin.current || SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *context)
{
    struct tls *t = SSL_get_app_data(ssl);
    (void)session;
    (void)name;
    (void)name_len;
    (void)context;
    switch (status) {
    case SSL_TICKET_SUCCESS:
        return SSL_TICKET_RETURN_USE;
    case SSL_TICKET_SUCCESS_RENEW:
        return SSL_TICKET_RETURN_USE_RENEW;
    case SSL_TICKET_EMPTY:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    default:
        if (t->ticket != TLS_TICKET_UNKNOWN)
            t->ticket = TLS_TICKET_DAMAGED;
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
}

bool tls_tickets_set(SSL_CTX *ssl)
{
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_key) &&
           SSL_CTX_set_session_ticket_cb(ssl, NULL, on_opened, NULL);
}

/* -- what became of it -- */

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void tls_tickets_count(const struct tls *t)
{
    static const enum tls_resumed ways[] = {[TLS_TICKET_OWN] = TLS_RESUMED_OWN,
                                            [TLS_TICKET_PEER] = TLS_RESUMED_PEER,
                                            [TLS_TICKET_KEPT] = TLS_RESUMED_KEPT,
                                            [TLS_TICKET_KEPT_PEER] = TLS_RESUMED_KEPT_PEER,
                                            [TLS_TICKET_KEPT_SAVED] = TLS_RESUMED_KEPT_SAVED};
    static const enum tls_missed reasons[] = {[TLS_TICKET_UNKNOWN] = TLS_MISSED_UNKNOWN,
                                              [TLS_TICKET_DAMAGED] = TLS_MISSED_DAMAGED,
                                              [TLS_TICKET_ABSENT] = TLS_MISSED_ABSENT,
                                              [TLS_TICKET_LATE] = TLS_MISSED_LATE};
    struct tls_counters *c = t->context->counters;
    if (!c || t->ticket == TLS_TICKET_NONE)
        return;
    if (t->resumed)
        count(&c->resumed_by[ways[t->ticket]]);
    else
        count(&c->missed[t->ticket < TLS_TICKET_OWN ? reasons[t->ticket] : TLS_MISSED_INVALID]);
}
