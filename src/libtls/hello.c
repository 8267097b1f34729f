/* hello.c - what a client shows of an earlier session, before OpenSSL looks at it. */
#include "libtls/attached.h"

#include <string.h>

static unsigned u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static bool offers_13(const uint8_t *bytes, size_t len)
{
    size_t list = len ? bytes[0] : 0;
    for (size_t i = 1; i + 1 < len && i + 1 <= list; i += 2)
        if (u16(bytes + i) == TLS1_3_VERSION)
            return true;
    return false;
}

bool hello_parts(bool tls13, const uint8_t *versions, size_t versions_len, const uint8_t *psk,
                 size_t psk_len, const uint8_t *old_id, size_t old_len,
                 uint8_t id[SESSION_ID_BYTES], bool *once)
{
    *once = tls13 && offers_13(versions, versions_len);
    if (!*once) {
        if (old_len != SESSION_ID_BYTES)
            return false;
        memcpy(id, old_id, SESSION_ID_BYTES);
        return true;
    }
    /* The first identity: the list's length, its own, itself (RFC 8446, section 4.2.11). */
    if (psk_len < 4 + SESSION_ID_BYTES || u16(psk) < 2 + SESSION_ID_BYTES ||
        u16(psk + 2) != SESSION_ID_BYTES)
        return false;
    memcpy(id, psk + 4, SESSION_ID_BYTES);
    return true;
}

static bool speaks_13(const SSL *ssl)
{
    long most = SSL_get_max_proto_version((SSL *)(uintptr_t)ssl);
    return (most == 0 || most >= TLS1_3_VERSION) && !(SSL_get_options(ssl) & SSL_OP_NO_TLSv1_3);
}

bool hello_id(SSL *ssl, uint8_t id[SESSION_ID_BYTES], bool *once)
{
    const unsigned char *versions = NULL, *psk = NULL, *old = NULL, *ticket = NULL;
    size_t versions_len = 0, psk_len = 0, ticket_len = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &versions, &versions_len))
        versions_len = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &psk, &psk_len))
        psk_len = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &ticket, &ticket_len))
        ticket_len = 0;
    size_t old_len = SSL_client_hello_get0_session_id(ssl, &old);
    bool found =
        hello_parts(speaks_13(ssl), versions, versions_len, psk, psk_len, old, old_len, id, once);
    /* Who of TLS 1.2 shows a ticket shows an id of his own with it (RFC 5077, section 3.4). */
    bool tickets = !(SSL_get_options(ssl) & SSL_OP_NO_TICKET);
    return found && !(!*once && ticket_len && tickets);
}
