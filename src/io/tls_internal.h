/* tls_internal.h - the inside of TLS contexts. Within io only. */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "io/tls_context.h"
#include "io/tls_keeper.h"
#include "io/tls_record.h"
#include "io/tls_tickets.h"

#include <openssl/ssl.h>

struct tls_name {
    char *text;      /* lower case; of a wildcard what is behind "*." */
    uint32_t chosen; /* which certificate */
    bool wildcard;
};

struct tls_shown { /* one certificate with what belongs to it */
    struct tls_context *context;
    SSL_CTX *ssl;
    struct tls_certificate info;
    unsigned char *ocsp;
    int ocsp_len;
};

struct tls_context {
    atomic_uint refs;
    BIO_METHOD *bio;
    struct tls_suites suites;
    struct tls_counters *counters;
    struct tls_tickets *tickets; /* NULL: a client's */
    enum tls_resumption resumption;
    bool early;                  /* early data is taken */
    bool client;                 /* of our connections to servers */
    bool checks;                 /* with client: the server's certificate is verified */
    unsigned char protocols[64]; /* in ALPN's form */
    size_t protocols_len;
    size_t name_count;
    struct tls_name names[TLS_NAMES_MAX]; /* in order; equal ones in the order of the rules */
    size_t count;
    struct tls_shown shown[TLS_CERTIFICATES_MAX];
    SSL_CTX *heard; /* tells the traffic secrets; handshakes end under it */
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
/* What comes back from a keeper: a whole session of that id and of a version that is spoken, and
 * nothing behind it. NULL: it is not, or there is no memory. */
SSL_SESSION *tls_sessions_read(const uint8_t *bytes, size_t len, const uint8_t id[TLS_ID_BYTES]);

/* -- tls_tickets.c -- */

/* What became of the last session that the client showed, by ticket or id. */
enum tls_ticket {
    TLS_TICKET_NONE,
    TLS_TICKET_UNKNOWN,
    TLS_TICKET_DAMAGED,
    TLS_TICKET_ABSENT,
    TLS_TICKET_LATE,
    TLS_TICKET_OWN, /* opened, but what is in it may not be good */
    TLS_TICKET_PEER,
    TLS_TICKET_KEPT, /* found at the keeper's, likewise */
    TLS_TICKET_KEPT_PEER,
    TLS_TICKET_KEPT_SAVED
};

/* False: no memory. */
bool tls_tickets_set(SSL_CTX *ssl);
/* After the handshake. */
void tls_tickets_count(const struct tls *t);

/* -- tls_keeper.c -- */

/* Sessions lie with connections' keepers. */
void tls_keeper_set(SSL_CTX *ssl);
/* Of a handshake that is over. */
void tls_keeper_free(struct tls *t);
/* The session that a client's hello asks for, of the extensions supported_versions and
 * pre_shared_key (empty: not there) and the old id. once: it is one of TLS 1.3. */
bool tls_hello_id(const uint8_t *versions, size_t versions_len, const uint8_t *psk, size_t psk_len,
                  const uint8_t *old_id, size_t old_len, uint8_t id[TLS_ID_BYTES], bool *once);

/* Was the session found one that nobody else can have: taken, to be used once? */
bool tls_keeper_took(const struct tls *t);

/* -- tls_early.c -- */

struct tls_early;

/* Contexts whose sessions are used once may take early data. */
void tls_early_set(SSL_CTX *ssl);
/* A step of the handshake. 1: some came, call again; 0: done; -1: *e of SSL_get_error(). */
int tls_early_accept(struct tls *t, int *e);
/* After the first early data: on to the handshake's end, as far as the socket allows. Not while a
 * write waits, whose record must be out before another. */
void tls_early_go_on(struct tls *t);
size_t tls_early_take(struct tls *t, void *out, size_t max);
bool tls_early_pending(const struct tls *t);
/* As tls_write(), to a client whose Finished has not come. */
ssize_t tls_early_write(struct tls *t, const void *bytes, size_t len);
void tls_early_free(struct tls *t);

/* -- tls.c -- */

void tls_handshake_done(struct tls *t);
void tls_handshake_failed(struct tls *t, int ssl_error);
/* The client wanted another handshake, and was told that there is none. */
void tls_renegotiated(struct tls *t);

/* -- tls_bio.c -- */

#define TLS_RAW_BYTES 32768u

/* What was read of the socket and not looked at yet, while a call runs. */
struct tls_raw {
    size_t at, len;
    bool drained; /* the socket has no more at this moment */
    bool closed;  /* for nothing more must be read of it in this call */
    char bytes[TLS_RAW_BYTES];
};

/* What the handshake tells of the traffic to come. */
struct tls_secrets {
    uint8_t client[TLS_SECRET_MAX], server[TLS_SECRET_MAX];
    size_t client_len, server_len;
    uint64_t written; /* records under the server's */
};

/* A connection that goes on without OpenSSL's object. */
struct tls_light {
    struct tls_record record;
    const char *version, *cipher;  /* static */
    char *name;                    /* that the client asked for; NULL = none */
    struct tls_identity *identity; /* of the client; NULL = none */
    uint8_t *out;                  /* sealed and not sent yet: from out_at on */
    uint32_t out_at, out_len;
    uint32_t out_plain;  /* whose it is: told to the owner when it is sent */
    uint32_t left_plain; /* bytes at the front of tls.left that are opened already */
    char protocol[TLS_PROTOCOL_MAX];
};

struct tls {
    SSL *ssl; /* NULL: it has gone over to `light` */
    struct tls_light *light;
    struct tls_asking *asking;   /* during a handshake with a keeper */
    struct tls_secrets *secrets; /* during a handshake that may lead there */
    struct tls_early *early;     /* early data was taken; until the owner has it all */
    struct tls_context *context;
    struct tls_raw *raw; /* NULL: no call runs */
    char *left;          /* of the last call's raw bytes */
    uint32_t left_len;
    int fd;
    int error;           /* errno of what broke it, once it is broken */
    uint8_t failure;     /* enum tls_failure */
    uint8_t ticket;      /* enum tls_ticket */
    bool done;           /* the handshake */
    bool counted;        /* its end */
    bool reading_writes; /* reading has to write first */
    bool handshake_writes;
    bool ended; /* the peer said so */
    bool resumed;
    bool end_said; /* by us; part of it may wait */
    bool shutting, shut;
    uint8_t renegotiations; /* that the client asked for */
    bool early_over;        /* none can come any more */
    bool early_writes;      /* a write before the handshake's end has to be repeated */
};

/* -- tls_light.c -- */

void tls_light_prepare(SSL_CTX *ssl); /* those that are shown tell what is needed */
void tls_light_hear(SSL_CTX *ssl);    /* so does the one at the end of handshakes */
/* After the handshake: goes over, if it can be (TLS 1.3, server's side, memory). */
void tls_light_begin(struct tls *t);
void tls_light_free(struct tls_light *l); /* takes NULL */
ssize_t tls_light_read(struct tls *t, void *out, size_t max);
ssize_t tls_light_write(struct tls *t, const void *bytes, size_t len);
bool tls_light_pending(const struct tls *t);
/* Says that nothing more comes. False: errno, EAGAIN as in stream_shutdown(). */
bool tls_light_end(struct tls *t);

BIO_METHOD *tls_bio_new(void);
/* Brings what was left into raw, and back after the call. False: no memory, the stream is broken.
 */
void tls_raw_open(struct tls *t, struct tls_raw *raw);
bool tls_raw_close(struct tls *t);

#endif
