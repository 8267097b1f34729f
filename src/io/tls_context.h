/* tls_context.h - what a TLS listener shows and demands: certificates and rules, read once from
 * files and never changed after. A reload makes a new context (tls_door.h).
 *
 * A certificate serves the DNS names in it (its common name when it has none), exactly or by a
 * wildcard for one label (RFC 6125); of several that fit the first does, an exact name before a
 * wildcard. A client that names none of them, or nothing, gets the first certificate.
 */
#ifndef IO_TLS_CONTEXT_H
#define IO_TLS_CONTEXT_H

#include "io/tls.h"
#include "io/tls_tickets.h"

#include <time.h>

#define TLS_CERTIFICATES_MAX 32
#define TLS_NAMES_MAX 1024               /* of all certificates together */
#define TLS_CLIENT_CHAIN_MAX (32u << 10) /* bytes of a client's certificates; more is refused */
#define TLS_FILE_BYTES_MAX (256u << 10)
#define TLS_ERROR_MAX 512

/* Mozilla's "intermediate" of 2024, without the finite-field ones. */
#define TLS_CIPHERS                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TLS_GROUPS "X25519:P-256:P-384"

struct tls_files {
    const char *name;  /* for people */
    const char *chain; /* PEM: the certificate, then those between it and the root */
    const char *key;   /* PEM, not encrypted, not readable by others; "" = in the chain's file */
    const char *ocsp;  /* DER: a response to staple; "" = none */
};

/* How sessions are resumed. */
enum tls_resumption {
    TLS_RESUMPTION_TICKETS, /* clients keep them */
    TLS_RESUMPTION_KEPT,    /* the connection's keeper does; those of TLS 1.3 are used once */
    TLS_RESUMPTION_OFF
};

enum tls_clients { TLS_CLIENTS_NONE, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_REQUIRED };

/* All strings stay the caller's, and are not needed after the call. */
struct tls_rules {
    size_t count; /* 1 to TLS_CERTIFICATES_MAX */
    const struct tls_files *certificates;
    enum tls_clients clients;
    const char *client_ca; /* PEM; with clients other than NONE */
    bool only_13;          /* TLS 1.3 alone */
    const char *ciphers;   /* of TLS 1.2; NULL = TLS_CIPHERS */
    const char *groups;    /* NULL = TLS_GROUPS */
    const char *protocols; /* ALPN in order of preference, "h2,http/1.1"; NULL = none */
    enum tls_resumption resumption;
    bool early;                  /* early data is taken; with KEPT only */
    struct tls_tickets *tickets; /* their keys; NULL: of this context alone */
    struct tls_counters *counters;
};

struct tls_certificate {
    char name[64], subject[TLS_SUBJECT_MAX], fingerprint[TLS_FINGERPRINT_MAX];
    time_t not_after, ocsp_until; /* ocsp_until 0: nothing is stapled */
    const char *ocsp_mistake;     /* why not, though there is a file; NULL: nothing is wrong */
};

/* Errors: STEAD_E_CONFIG, NOMEM, DENIED (a key that others may read), NOT_FOUND; `error` says which
 * file and what is wrong with it. The context has one reference. */
int tls_context_new(const struct tls_rules *r, struct tls_context **out, char error[TLS_ERROR_MAX]);
/* For connections to servers: who signs them is in `ca` (PEM; "" = nothing is checked, NULL = as
 * the system does). */
int tls_context_client(const char *ca, struct tls_context **out, char error[TLS_ERROR_MAX]);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* takes NULL */

/* What is shown to a client that asks for that name: its place in the rules. */
size_t tls_context_choose(const struct tls_context *c, const char *name);
enum tls_resumption tls_context_resumption(const struct tls_context *c);
size_t tls_context_count(const struct tls_context *c);
const struct tls_certificate *tls_context_certificate(const struct tls_context *c, size_t i);

#endif
