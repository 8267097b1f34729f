/* tls_sessions.c - how TLS sessions are kept and resumed: by tickets (RFC 5077, RFC 8446 section
 * 4.6.1) that the clients keep, sealed with keys that outlive a reload of the certificates. The
 * callbacks of a store of sessions belong here. */
#include "io/tls_internal.h"

#include "io/io.h"

#include <openssl/sha.h>
#include <string.h>

#define SESSION_LIFE_S (8 * 3600)
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
    uint8_t keys[TLS_TICKET_KEYS_BYTES];
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, SESSION_LIFE_S);
    if (r->ticket_keys)
        memcpy(keys, r->ticket_keys, sizeof keys);
    else
        io_random(keys, sizeof keys);
    bool good = set_context(ssl, r) && SSL_CTX_set_num_tickets(ssl, TICKETS) &&
                SSL_CTX_set_tlsext_ticket_keys(ssl, keys, sizeof keys);
    explicit_bzero(keys, sizeof keys);
    return good ? 0 : tls_wrong(error, "sessions", "tls");
}
