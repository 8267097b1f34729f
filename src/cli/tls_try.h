/* tls_try.h - one TLS handshake with a server by OpenSSL's own client, waited for, with or without
 * a session to resume. Certificates are not verified: nothing is told to the server, and nothing of
 * it believed. */
#ifndef CLI_TLS_TRY_H
#define CLI_TLS_TRY_H

#include "base/addr.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define TLS_TRY_WHY_MAX 160

struct tls_try {
    const struct addr *to;
    const char *name; /* sent as SNI; "" = none */
    int version;      /* TLS1_2_VERSION or TLS1_3_VERSION */
    uint32_t timeout_ms;
    SSL_SESSION *old; /* NULL: none */
};

struct tls_tried {
    bool done;                 /* the handshake */
    bool resumed;              /* it went on with `old` */
    SSL_SESSION *session;      /* to be resumed; NULL: the server gave none. SSL_SESSION_free */
    char why[TLS_TRY_WHY_MAX]; /* it is not done */
};

void tls_try(const struct tls_try *t, struct tls_tried *out);

#endif
