/* tls_sessions.c - how TLS sessions are kept and resumed: by tickets (tls_tickets.h) that the
 * clients keep, with the connection's keeper (tls_keeper.h), or not at all. */
#include "io/tls_internal.h"

#include <openssl/sha.h>
#include <string.h>

#define TICKETS 2 /* after a full handshake of TLS 1.3: a browser opens several connections */

/* Who resumes a session is not asked for a certificate again, so a session is good only under the
 * rules for clients that it began with. */
static bool set_context(SSL_CTX *ssl, const struct tls_rules *r)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    unsigned clients = (unsigned)r->clients;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(ssl);
    bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(md, &clients, sizeof clients);
    for (int i = 0; good && i < sk_X509_NAME_num(names); i++) {
        unsigned char one[SHA256_DIGEST_LENGTH];
        good = X509_NAME_digest(sk_X509_NAME_value(names, i), EVP_sha256(), one, NULL) &&
               EVP_DigestUpdate(md, one, sizeof one);
    }
    good = good && EVP_DigestFinal_ex(md, digest, NULL) &&
           SSL_CTX_set_session_id_context(ssl, digest, sizeof digest);
    EVP_MD_CTX_free(md);
    return good;
}

int tls_sessions_set(SSL_CTX *ssl, const struct tls_rules *r, char error[TLS_ERROR_MAX])
{
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl,
                        r->resumption == TLS_RESUMPTION_KEPT ? TLS_KEPT_LIFE_S : TICKET_LIFE_S);
    bool off = r->resumption == TLS_RESUMPTION_OFF, kept = r->resumption == TLS_RESUMPTION_KEPT;
    if (off)
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    bool good = set_context(ssl, r) && SSL_CTX_set_num_tickets(ssl, off ? 0 : TICKETS) &&
                tls_tickets_set(ssl);
    if (good && kept)
        tls_keeper_set(ssl);
    if (good && kept && r->early)
        tls_early_set(ssl);
    return good ? 0 : tls_wrong(error, "sessions", "tls");
}

SSL_SESSION *tls_sessions_read(const uint8_t *bytes, size_t len, const uint8_t id[TLS_ID_BYTES])
{
    const uint8_t *at = bytes;
    unsigned id_len = 0;
    SSL_SESSION *s = len <= TLS_SESSION_BYTES_MAX ? d2i_SSL_SESSION(NULL, &at, (long)len) : NULL;
    if (!s)
        return NULL;
    const uint8_t *own = SSL_SESSION_get_id(s, &id_len);
    int version = SSL_SESSION_get_protocol_version(s);
    if (at == bytes + len && id_len == TLS_ID_BYTES && memcmp(own, id, TLS_ID_BYTES) == 0 &&
        (version == TLS1_2_VERSION || version == TLS1_3_VERSION) &&
        SSL_SESSION_get_master_key(s, NULL, 0) > 0)
        return s;
    SSL_SESSION_free(s);
    return NULL;
}
