/* forwarded.h - the head of a request as it goes to the real server: the client's own, with who
 * asked and for what added (RFC 7239 and the X-Forwarded family).
 *
 * X-Forwarded-For and Forwarded are appended to, each as one line; X-Forwarded-Proto and
 * X-Forwarded-Host are said anew, so a client cannot claim them; but another node can. What is not
 * said is not passed on either. X-SSL-Client-Subject and -Fingerprint are the farm's word alone,
 * said in exchanges of clients with a certificate; a client's own are left out, under any spelling
 * that servers take for the same ('_' for '-'). An absolute-form target becomes origin-form, with
 * its host as Host.
 *
 * In front of a tunnel all else passes unchanged, Connection too: the two ends keep alive what they
 * like. As one request of an exchange the head is HTTP/1.1 whatever the client speaks, the fields
 * for one hop are left out or said anew (Transfer-Encoding, TE: trailers, an Upgrade that is not to
 * HTTP or TLS), and Via, X-Request-Id and a trace are added.
 */
#ifndef ROLE_DIRECTOR_FORWARDED_H
#define ROLE_DIRECTOR_FORWARDED_H

#include "base/addr.h"
#include "core/http/http.h"
#include "core/http/http_trace.h"
#include "io/tls.h"

/* More than the client's head has, at most. */
#define FORWARDED_ADDED_MAX (1816 + TLS_SUBJECT_MAX + TLS_FINGERPRINT_MAX + 64)

enum { FORWARDED_NO_X = 1, FORWARDED_NO_RFC7239 = 2 };

struct forwarded {
    const struct addr *client; /* family 0: not known, then nothing is said of it */
    bool tls;
    bool between;  /* it comes from another node: what that tells of the client is told on */
    uint8_t omits; /* FORWARDED_NO_... */
    /* Of an exchange: */
    const struct tls_identity *identity; /* by the client's certificate; NULL: it has none */
    bool early;        /* Early-Data: it may be a copy that an attacker sent (RFC 8470) */
    bool make_trace;   /* a request without a traceparent gets one */
    struct slice host; /* instead of the client's Host; at NULL: as it is */
    const char *hop;   /* for another node (hop.h); NULL: it goes to a real server */
    const char *id;    /* its X-Request-Id; NULL: the client's if it is one, else RANDOM@node */
    const char *node;
    uint64_t random[2];
};

/* Tunnel: makes the new head and `rest` behind it. *out is the caller's, mem_free. STEAD_E_NOMEM.
 */
int forwarded_build(const struct http_head *h, const struct forwarded *f, struct slice rest,
                    char **out, size_t *len);
/* Exchange: writes the new head, at most h->head_bytes + FORWARDED_ADDED_MAX; returns its length.
 * 0: the client's Connection names more fields than anybody does (400). */
size_t forwarded_head(const struct http_head *h, const struct forwarded *f, char *out);
/* Does the head of an exchange ask for another protocol? */
bool forwarded_upgrades(const struct http_head *h);

#endif
