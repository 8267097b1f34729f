/* kept.c - sessions in the farm's store: TLS 1.2's by their ids, TLS 1.3's by tickets that are ids;
 * and the handshake that waits for one. */
#include "libtls/attached.h"

#include "base/base64.h"
#include "base/mem.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* -- names and texts -- */

bool kept_path(const struct attached *a, const char *use, const uint8_t *bytes, size_t len,
               const char *suffix, char path[PATH_MAX_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE], context_len = (uint8_t)a->context_len;
    char id[STORE_ID_CHARS + 1];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(md, use, strlen(use) + 1) &&
                EVP_DigestUpdate(md, &context_len, 1) &&
                EVP_DigestUpdate(md, a->context, a->context_len) &&
                EVP_DigestUpdate(md, bytes, len) && EVP_DigestFinal_ex(md, digest, NULL);
    EVP_MD_CTX_free(md);
    for (size_t i = 0; good && i < STORE_ID_CHARS / 2; i++)
        snprintf(id + 2 * i, 3, "%02x", digest[i]);
    if (good)
        snprintf(path, PATH_MAX_BYTES, "/v1/tls/%s/%s%s", a->set, id, suffix);
    return good;
}

char *kept_body(const uint8_t *value, size_t len, uint32_t ttl_s)
{
    static const char before[] = "{\"value\":\"";
    size_t chars = base64_size(len), cap = sizeof before + chars + 32;
    char *body = len <= SESSION_BYTES_MAX ? mem_alloc(cap) : NULL;
    if (!body)
        return NULL;
    memcpy(body, before, sizeof before - 1);
    base64_encode(value, len, body + sizeof before - 1);
    size_t at = sizeof before - 1 + chars;
    snprintf(body + at, cap - at, "\",\"ttl\":%u}", ttl_s);
    return body;
}

void kept_body_free(char *body)
{
    if (body)
        OPENSSL_cleanse(body, strlen(body));
    mem_free(body);
}

uint8_t *kept_value(const char *body, size_t len, size_t *value_len, bool *local)
{
    json_t *root =
        len <= VALUE_TEXT_MAX ? json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *text = json_object_get(root, "value");
    const char *origin = json_string_value(json_object_get(root, "origin"));
    size_t chars = json_string_length(text);
    uint8_t *value = json_is_string(text) ? mem_alloc(chars / 4 * 3 + 1) : NULL;
    *local = origin && strcmp(origin, "local") == 0;
    if (value && !base64_decode(json_string_value(text), chars, value, value_len)) {
        mem_free(value);
        value = NULL;
    }
    if (value)
        value[*value_len] = 0;
    if (json_is_string(text))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(text), chars);
    json_decref(root);
    return value;
}

/* -- questions -- */

static void begin(struct guest *g, bool once)
{
    struct attached *a = g->of;
    char path[PATH_MAX_BYTES];
    const struct stead_ask ask = {
        .size = sizeof ask, .method = once ? "POST" : "GET", .path = path};
    g->asking = ASKING_WAITS;
    if (kept_path(a, "session", g->id, sizeof g->id, once ? "/take" : "", path) &&
        link_begin(&a->link, &g->call, &ask) == STEAD_OK)
        return;
    attached_count(&a->late);
    link_end(&a->link, &g->call);
    g->asking = ASKING_DONE;
}

static void found(struct guest *g, const char *body, size_t len)
{
    struct attached *a = g->of;
    size_t n = 0;
    bool local = false;
    uint8_t *value = kept_value(body, len, &n, &local);
    const unsigned char *at = value;
    ERR_set_mark(); /* a mistake that is left in the queue would be the handshake's */
    if (value)
        g->found = d2i_SSL_SESSION(NULL, &at, (long)n);
    ERR_pop_to_mark();
    if (value)
        OPENSSL_cleanse(value, n);
    mem_free(value);
    attached_count(!g->found ? &a->damaged : local ? &a->found_local : &a->found_peer);
}

/* True: there is nothing more to wait for. */
static bool answered(struct guest *g, bool wait)
{
    struct attached *a = g->of;
    const char *body;
    size_t len;
    int status, err;
    if (g->asking == ASKING_DONE)
        return true;
    if (wait)
        err = link_wait(&a->link, &g->call, &status, &body, &len);
    else
        err = link_step(&a->link, &g->call, &status, &body, &len);
    if (err == STEAD_PENDING)
        return false;
    if (!err && status == 200)
        found(g, body, len);
    else
        attached_count(!err && status == 404 ? &a->absent : &a->late);
    link_end(&a->link, &g->call);
    g->asking = ASKING_DONE;
    return true;
}

/* -- OpenSSL's callbacks -- */

/* A hello that is new, and not the same once more: after a retry, or a HelloRetryRequest (RFC 8446,
 * section 4.1.2: with the same random bytes). */
static bool is_new(SSL *ssl, struct guest *g)
{
    const unsigned char *random = NULL;
    uint8_t now[HELLO_RANDOM_BYTES] = {0};
    size_t len = SSL_client_hello_get0_random(ssl, &random);
    memcpy(now, random, len < sizeof now ? len : sizeof now);
    if (g->looking_up && memcmp(now, g->random, sizeof now) == 0)
        return false;
    memcpy(g->random, now, sizeof now);
    return true;
}

static void forget(struct guest *g)
{
    link_end(&g->of->link, &g->call);
    SSL_SESSION_free(g->found);
    g->found = NULL;
    g->asking = ASKING_NOT;
    g->login = LOGIN_NONE;
    g->was_bound = false;
}

/* After a retry of the hello it is called again, and what was answered still holds. */
static int on_hello(SSL *ssl, int *alert, void *context)
{
    struct guest *g = guest_of(ssl);
    bool once;
    (void)context;
    if (!g)
        return SSL_CLIENT_HELLO_SUCCESS;
    struct attached *a = g->of;
    if (is_new(ssl, g)) {
        int verdict = a->hello ? a->hello(ssl, alert, a->hello_context) : SSL_CLIENT_HELLO_SUCCESS;
        if (verdict != SSL_CLIENT_HELLO_SUCCESS) {
            g->looking_up = false;
            return verdict;
        }
        g->looking_up = true;
        forget(g);
        tickets_refresh(a, false);
        if (a->event_driven && hello_id(ssl, g->id, &once))
            begin(g, once);
    }
    return g->asking != ASKING_WAITS || answered(g, false) ? SSL_CLIENT_HELLO_SUCCESS
                                                           : SSL_CLIENT_HELLO_RETRY;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int len, int *copy)
{
    struct guest *g = guest_of(ssl);
    *copy = 1; /* after a HelloRetryRequest it is asked for again */
    if (!g || len != SESSION_ID_BYTES)
        return NULL;
    if (g->asking == ASKING_NOT && !g->of->event_driven) {
        memcpy(g->id, id, sizeof g->id);
        begin(g, SSL_version(ssl) == TLS1_3_VERSION);
        answered(g, true);
    }
    if (g->asking != ASKING_DONE || memcmp(id, g->id, sizeof g->id) != 0)
        return NULL;
    return g->found;
}

/* TLS 1.3's sessions have an id in either case; is it what the client has as a ticket? So it is
 * also where early data is taken, against replays. */
static bool is_stateful(const SSL *ssl)
{
    uint64_t options = SSL_get_options(ssl);
    return SSL_version(ssl) != TLS1_3_VERSION || (options & SSL_OP_NO_TICKET) ||
           (SSL_get_max_early_data(ssl) > 0 && !(options & SSL_OP_NO_ANTI_REPLAY));
}

/* The session stays the caller's: 0. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct guest *g = guest_of(ssl);
    unsigned id_len;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    char path[PATH_MAX_BYTES];
    if (!g || id_len != SESSION_ID_BYTES || !is_stateful(ssl) || !tickets_mark(session))
        return 0;
    struct attached *a = g->of;
    int len = i2d_SSL_SESSION(session, NULL);
    uint8_t *bytes = len > 0 && len <= SESSION_BYTES_MAX ? mem_alloc((size_t)len) : NULL;
    uint8_t *at = bytes;
    if (bytes)
        i2d_SSL_SESSION(session, &at);
    char *body = bytes ? kept_body(bytes, (size_t)len, a->life_s) : NULL;
    if (body && kept_path(a, "session", id, id_len, "", path)) {
        const struct stead_ask ask = {.size = sizeof ask,
                                      .method = "PUT",
                                      .path = path,
                                      .body = body,
                                      .body_len = strlen(body)};
        link_send(&a->link, &ask, true);
    } else {
        attached_count(&a->link.unkept);
    }
    if (bytes)
        OPENSSL_cleanse(bytes, (size_t)len);
    mem_free(bytes);
    kept_body_free(body);
    return 0;
}

/* Its connection has failed: it must not be resumed (RFC 5246, section 7.2.2). */
static void on_remove(SSL_CTX *ctx, SSL_SESSION *session)
{
    struct attached *a = attached_of(ctx);
    unsigned id_len;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    char path[PATH_MAX_BYTES];
    if (!a || id_len != SESSION_ID_BYTES || !kept_path(a, "session", id, id_len, "", path))
        return;
    const struct stead_ask ask = {.size = sizeof ask, .method = "DELETE", .path = path};
    link_send(&a->link, &ask, false);
}

void kept_set(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    SSL_CTX_sess_set_get_cb(ctx, on_get);
    SSL_CTX_sess_set_new_cb(ctx, on_new);
    SSL_CTX_sess_set_remove_cb(ctx, on_remove);
}

void kept_unset(SSL_CTX *ctx)
{
    struct attached *a = attached_of(ctx);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_client_hello_cb(ctx, a ? a->hello : NULL, a ? a->hello_context : NULL);
    SSL_CTX_sess_set_get_cb(ctx, NULL);
    SSL_CTX_sess_set_new_cb(ctx, NULL);
    SSL_CTX_sess_set_remove_cb(ctx, NULL);
}
