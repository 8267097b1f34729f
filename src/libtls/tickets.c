/* tickets.c - the farm's keys in OpenSSL's callbacks, and the mark that every session carries: 32
 * random bytes which stay the same through all its resumptions, so that a login that comes later
 * than the ticket is still found (login.c). */
#include "libtls/attached.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#define IV_BYTES 16
#define MARK_FORMAT 1

/* -- the keys -- */

static int fetched(struct attached *a, int err, int status, const char *body, size_t len)
{
    if (!err && status != 200)
        err = STEAD_E_UNSUPPORTED;
    if (!err)
        err = keyset_take(a->keys, body, len, time(NULL));
    else
        keyset_failed(a->keys, time(NULL));
    attached_count(err ? &a->keys_failed : &a->keys_fetched);
    return err;
}

static void go_on(struct attached *a, bool wait)
{
    const char *body = "";
    size_t len = 0;
    int status = 0, err;
    if (wait)
        err = link_wait(&a->link, &a->keys_call, &status, &body, &len);
    else
        err = link_step(&a->link, &a->keys_call, &status, &body, &len);
    if (err == STEAD_PENDING)
        return;
    fetched(a, err, status, body, len);
    link_end(&a->link, &a->keys_call);
}

/* One thread asks; the others go on with the keys that there are. */
void tickets_refresh(struct attached *a, bool wait)
{
    char path[PATH_MAX_BYTES];
    if (pthread_mutex_trylock(&a->keys_lock) != 0)
        return;
    if (!a->keys_call.node && keyset_due(a->keys, time(NULL))) {
        snprintf(path, sizeof path, "/v1/tls/%s/keys", a->set);
        const struct stead_ask ask = {.size = sizeof ask, .method = "GET", .path = path};
        int err = link_begin(&a->link, &a->keys_call, &ask);
        if (err) {
            fetched(a, err, 0, "", 0);
            link_end(&a->link, &a->keys_call);
        }
    }
    if (a->keys_call.node)
        go_on(a, wait);
    pthread_mutex_unlock(&a->keys_lock);
}

/* -- marks -- */

const uint8_t *tickets_marked(SSL_SESSION *session)
{
    void *data = NULL;
    size_t len = 0;
    bool is = session && SSL_SESSION_get0_ticket_appdata(session, &data, &len) &&
              len == MARK_BYTES && *(const uint8_t *)data == MARK_FORMAT;
    return is ? data : NULL;
}

bool tickets_mark(SSL_SESSION *session)
{
    uint8_t mark[MARK_BYTES] = {MARK_FORMAT};
    if (tickets_marked(session))
        return true;
    bool good = RAND_bytes(mark + 1, MARK_BYTES - 1) == 1 &&
                SSL_SESSION_set1_ticket_appdata(session, mark, sizeof mark) == 1;
    OPENSSL_cleanse(mark, sizeof mark);
    return good;
}

/* -- OpenSSL's callbacks -- */

static bool set_mac(EVP_MAC_CTX *mac, struct keyset_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params);
}

static bool find_key(struct guest *g, bool seal, unsigned char *name, struct keyset_key *k,
                     bool *current)
{
    struct attached *a = g->of;
    tickets_refresh(a, false);
    bool found = seal ? keyset_seal(a->keys, time(NULL), k)
                      : keyset_open(a->keys, name, time(NULL), k, current);
    if (!seal && !found) /* the farm's key may have been changed */
        keyset_hurry(a->keys, time(NULL));
    if (!seal)
        return found;
    /* Nobody came here for hours. A handshake waits once only. */
    if (!found && !a->event_driven && g->asking == ASKING_NOT && !link_is_lost(&a->link)) {
        tickets_refresh(a, true);
        found = keyset_seal(a->keys, time(NULL), k);
    }
    if (found)
        memcpy(name, k->name, KEYSET_NAME_BYTES);
    return found;
}

/* 0: no ticket is made, or none is known by that name; 1: good; 2: good, and a new one is due, as
 * always in TLS 1.3, whose clients use each but once (RFC 8446, appendix C.4). */
static int on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int seal)
{
    struct guest *g = guest_of(ssl);
    struct keyset_key k;
    bool current = false;
    if (g)
        g->ticket_known = false;
    if (!g || !find_key(g, seal, name, &k, &current))
        return 0;
    bool good = set_mac(mac, &k);
    if (good && seal) {
        good = RAND_bytes(iv, IV_BYTES) == 1 &&
               EVP_EncryptInit_ex(cipher, g->of->cipher, NULL, k.cipher, iv);
    } else if (good) {
        g->ticket_known = true;
        good = EVP_DecryptInit_ex(cipher, g->of->cipher, NULL, k.cipher, iv);
    }
    OPENSSL_cleanse(&k, sizeof k);
    if (!good)
        return -1;
    return !seal && (!current || SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

static int on_made(SSL *ssl, void *context)
{
    (void)context;
    (void)tickets_mark(SSL_get_session(ssl)); /* without it no login is found, and no more */
    return 1;
}

static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *context)
{
    struct guest *g = guest_of(ssl);
    (void)session;
    (void)name;
    (void)name_len;
    (void)context;
    if (status == SSL_TICKET_EMPTY)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    bool good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (g)
        attached_count(good              ? &g->of->opened
                       : g->ticket_known ? &g->of->damaged_tickets
                                         : &g->of->unknown);
    return !good                          ? SSL_TICKET_RETURN_IGNORE_RENEW
           : status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
                                          : SSL_TICKET_RETURN_USE_RENEW;
}

bool tickets_set(SSL_CTX *ctx)
{
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key) &&
           SSL_CTX_set_session_ticket_cb(ctx, on_made, on_opened, NULL);
}
