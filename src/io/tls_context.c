/* tls_context.c - a context's making, and which certificate a client is shown. */
#include "io/tls_internal.h"

#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 255 /* RFC 1035 */

/* -- the choice -- */

/* In order of text, exact ones before wildcards, then the first of the rules. */
static int by_name(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    if (x->wildcard != y->wildcard)
        return x->wildcard ? 1 : -1;
    return x->chosen < y->chosen ? -1 : x->chosen > y->chosen;
}

/* The first name that is not before the one wanted, if it is that one. */
static const struct tls_name *find(const struct tls_context *c, const char *text, bool wildcard)
{
    const struct tls_name want = {(char *)(uintptr_t)text, 0, wildcard};
    size_t low = 0, high = c->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_name(&c->names[middle], &want) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct tls_name *n = &c->names[low];
    return low < c->name_count && n->wildcard == wildcard && strcmp(n->text, text) == 0 ? n : NULL;
}

static const struct tls_name *find_for(const struct tls_context *c, const char *name)
{
    char lower[NAME_BYTES_MAX + 1];
    size_t len = strnlen(name, sizeof lower);
    if (len == sizeof lower)
        return NULL;
    if (len && name[len - 1] == '.')
        len--;
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[len] = '\0';
    const struct tls_name *n = find(c, lower, false);
    const char *parent = strchr(lower, '.');
    return n || !parent || parent == lower ? n : find(c, parent + 1, true);
}

size_t tls_context_choose(const struct tls_context *c, const char *name)
{
    const struct tls_name *n = find_for(c, name);
    return n ? n->chosen : 0;
}

/* -- callbacks of OpenSSL -- */

static int on_server_name(SSL *ssl, int *alert, void *context)
{
    struct tls_context *c = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_name *n = name ? find_for(c, name) : NULL;
    (void)alert;
    if (!n)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, c->shown[n->chosen].ssl);
    return SSL_TLSEXT_ERR_OK;
}

/* A client that offers protocols and none of ours means another service (RFC 7301, section 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *in, unsigned in_len, void *context)
{
    struct tls_context *c = context;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, c->protocols, (unsigned)c->protocols_len, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_status(SSL *ssl, void *context)
{
    const struct tls_shown *s = context;
    if (!s->ocsp || s->info.ocsp_until <= time(NULL))
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(s->ocsp, (size_t)s->ocsp_len);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, s->ocsp_len);
    return SSL_TLSEXT_ERR_OK;
}

/* -- rules -- */

static int set_protocols(struct tls_context *c, const char *list, char error[TLS_ERROR_MAX])
{
    while (list && *list) {
        size_t len = strcspn(list, ",");
        if (len == 0 || len >= TLS_PROTOCOL_MAX || c->protocols_len + len + 1 > sizeof c->protocols)
            return tls_wrong(error, "no such list of protocols", list);
        c->protocols[c->protocols_len++] = (unsigned char)len;
        memcpy(c->protocols + c->protocols_len, list, len);
        c->protocols_len += len;
        list += len;
        list += *list == ',';
    }
    return STEAD_OK;
}

static int set_clients(SSL_CTX *ssl, const struct tls_rules *r, char error[TLS_ERROR_MAX])
{
    if (r->clients == TLS_CLIENTS_NONE)
        return STEAD_OK;
    if (!r->client_ca || !*r->client_ca)
        return tls_wrong(error, "clients' certificates need it", "client-ca");
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(r->client_ca);
    if (!names || SSL_CTX_load_verify_file(ssl, r->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_wrong(error, "there are no certificates in it", r->client_ca);
    }
    SSL_CTX_set_client_CA_list(ssl, names);
    SSL_CTX_set_max_cert_list(ssl, TLS_CLIENT_CHAIN_MAX);
    int must = r->clients == TLS_CLIENTS_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | must, NULL);
    return STEAD_OK;
}

static void set_common(SSL_CTX *ssl)
{
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
}

static int set_rules(struct tls_context *c, SSL_CTX *ssl, const struct tls_rules *r,
                     char error[TLS_ERROR_MAX])
{
    const char *ciphers = r->ciphers && *r->ciphers ? r->ciphers : TLS_CIPHERS;
    const char *groups = r->groups && *r->groups ? r->groups : TLS_GROUPS;
    set_common(ssl);
    if (r->only_13)
        SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION);
    if (SSL_CTX_set_cipher_list(ssl, ciphers) != 1)
        return tls_wrong(error, "there is no cipher of TLS 1.2 in it", ciphers);
    if (SSL_CTX_set1_groups_list(ssl, groups) != 1)
        return tls_wrong(error, "it is no list of groups", groups);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, c);
    if (c->protocols_len)
        SSL_CTX_set_alpn_select_cb(ssl, on_protocols, c);
    int e = set_clients(ssl, r, error);
    return e == STEAD_OK ? tls_sessions_set(ssl, r, error) : e;
}

static int show(struct tls_shown *s, const struct tls_rules *r, const struct tls_files *f,
                char error[TLS_ERROR_MAX])
{
    int e = set_rules(s->context, s->ssl, r, error);
    SSL_CTX_set_tlsext_status_cb(s->ssl, on_status);
    SSL_CTX_set_tlsext_status_arg(s->ssl, s);
    tls_light_prepare(s->ssl);
    return e == STEAD_OK ? tls_files_load(s, f, error) : e;
}

/* Like those that are shown, but for the certificate: that has been sent by then. */
static int hear(struct tls_context *c, const struct tls_rules *r, char error[TLS_ERROR_MAX])
{
    c->heard = SSL_CTX_new(TLS_server_method());
    if (!c->heard)
        return STEAD_E_NOMEM;
    tls_light_hear(c->heard);
    return set_rules(c, c->heard, r, error);
}

/* -- lifetime -- */

static struct tls_context *context_alloc(const SSL_METHOD *method, size_t count)
{
    struct tls_context *c = mem_alloc(sizeof *c);
    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->bio = tls_bio_new();
    for (; c->count < count; c->count++) {
        struct tls_shown *s = &c->shown[c->count];
        s->context = c;
        if (!(s->ssl = SSL_CTX_new(method)))
            break;
    }
    if (c->bio && c->count == count && tls_suites_init(&c->suites))
        return c;
    tls_context_unref(c);
    return NULL;
}

int tls_context_new(const struct tls_rules *r, struct tls_context **out, char error[TLS_ERROR_MAX])
{
    error[0] = '\0';
    ERR_clear_error();
    if (r->count == 0 || r->count > TLS_CERTIFICATES_MAX)
        return tls_wrong(error, "there must be 1 to 32 certificates", "tls");
    struct tls_context *c = context_alloc(TLS_server_method(), r->count);
    if (!c)
        return STEAD_E_NOMEM;
    c->counters = r->counters;
    c->resumption = r->resumption;
    c->early = r->early && r->resumption == TLS_RESUMPTION_KEPT;
    c->tickets = r->tickets ? tls_tickets_ref(r->tickets) : tls_tickets_new();
    int e = c->tickets ? set_protocols(c, r->protocols, error) : STEAD_E_NOMEM;
    for (size_t i = 0; e == STEAD_OK && i < c->count; i++)
        e = show(&c->shown[i], r, &r->certificates[i], error);
    if (e == STEAD_OK)
        e = hear(c, r, error);
    if (e != STEAD_OK) {
        tls_context_unref(c);
        if (!*error)
            snprintf(error, TLS_ERROR_MAX, "%s", stead_error_text(e));
        return e;
    }
    qsort(c->names, c->name_count, sizeof *c->names, by_name);
    *out = c;
    return STEAD_OK;
}

int tls_context_client(const char *ca, struct tls_context **out, char error[TLS_ERROR_MAX])
{
    struct tls_context *c = context_alloc(TLS_client_method(), 1);
    error[0] = '\0';
    if (!c)
        return STEAD_E_NOMEM;
    SSL_CTX *ssl = c->shown[0].ssl;
    c->client = true;
    c->checks = !ca || *ca;
    set_common(ssl);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    int good = 1;
    if (c->checks)
        good = ca ? SSL_CTX_load_verify_file(ssl, ca) : SSL_CTX_set_default_verify_paths(ssl);
    if (good != 1) {
        tls_context_unref(c);
        return tls_wrong(error, "there are no certificates in it", ca ? ca : "system");
    }
    SSL_CTX_set_verify(ssl, c->checks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *out = c;
    return STEAD_OK;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(c->heard);
    for (size_t i = 0; i < c->count; i++) {
        SSL_CTX_free(c->shown[i].ssl);
        mem_free(c->shown[i].ocsp);
    }
    for (size_t i = 0; i < c->name_count; i++)
        mem_free(c->names[i].text);
    tls_tickets_unref(c->tickets);
    tls_suites_deinit(&c->suites);
    BIO_meth_free(c->bio);
    mem_free(c);
}

enum tls_resumption tls_context_resumption(const struct tls_context *c)
{
    return c->resumption;
}

size_t tls_context_count(const struct tls_context *c)
{
    return c->count;
}

const struct tls_certificate *tls_context_certificate(const struct tls_context *c, size_t i)
{
    return &c->shown[i].info;
}
