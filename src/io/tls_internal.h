/* tls_internal.h - the inside of TLS contexts. Within io only. */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "io/tls_context.h"

#include <openssl/ssl.h>

struct tls_name {
    char *text;      /* lower case; of a wildcard what is behind "*." */
    uint32_t chosen; /* which certificate */
    bool wildcard;
};

/* One certificate with what belongs to it. */
struct tls_shown {
    struct tls_context *context;
    SSL_CTX *ssl;
    struct tls_certificate info;
    unsigned char *ocsp;
    int ocsp_len;
};

struct tls_context {
    atomic_uint refs;
    BIO_METHOD *bio;
    struct tls_counters *counters;
    bool client;                 /* of our connections to servers */
    bool checks;                 /* with client: the server's certificate is verified */
    unsigned char protocols[64]; /* in ALPN's form */
    size_t protocols_len;
    size_t name_count;
    struct tls_name names[TLS_NAMES_MAX]; /* in order; equal ones in the order of the rules */
    size_t count;
    struct tls_shown shown[TLS_CERTIFICATES_MAX];
};

/* -- tls_files.c -- */

/* Puts chain, key and OCSP response into s->ssl and s->info; the names go to the context. */
int tls_files_load(struct tls_shown *s, const struct tls_files *f, char error[TLS_ERROR_MAX]);
/* Both for people. */
void tls_certificate_text(X509 *x, char subject[TLS_SUBJECT_MAX],
                          char fingerprint[TLS_FINGERPRINT_MAX]);
/* STEAD_E_CONFIG with the text, and OpenSSL's reason for it when it has one. */
int tls_wrong(char error[TLS_ERROR_MAX], const char *what, const char *file);

/* -- tls_sessions.c -- */

/* How sessions are kept and resumed: all of it is set here, for each SSL_CTX of a context. */
int tls_sessions_set(SSL_CTX *ssl, const struct tls_rules *r, char error[TLS_ERROR_MAX]);

/* -- tls_bio.c -- */

#define TLS_RAW_BYTES 32768u

/* What was read of the socket and not looked at yet, while a call runs. */
struct tls_raw {
    size_t at, len;
    bool drained; /* the socket has no more at this moment */
    bool closed;  /* for nothing more must be read of it in this call */
    char bytes[TLS_RAW_BYTES];
};

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct tls_raw *raw; /* NULL: no call runs */
    char *left;          /* of the last call's raw bytes */
    uint32_t left_len;
    int fd;
    int error;           /* errno of what broke it, once it is broken */
    uint8_t failure;     /* enum tls_failure */
    bool done;           /* the handshake */
    bool counted;        /* its end */
    bool reading_writes; /* reading has to write first */
    bool handshake_writes;
    bool ended; /* the peer said so */
    bool shutting, shut;
};

BIO_METHOD *tls_bio_new(void);
/* Brings what was left into raw, and back after the call. False: no memory, the stream is broken.
 */
void tls_raw_open(struct tls *t, struct tls_raw *raw);
bool tls_raw_close(struct tls *t);

#endif
