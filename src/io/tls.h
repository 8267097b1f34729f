/* tls.h - one connection under TLS 1.2 or 1.3 (RFC 5246, RFC 8446), on a non-blocking socket.
 *
 * Owners of connections use stream.h; here is what only a listener and those who ask for the
 * client's identity need. The handshake comes first: tls_handshake() until it is done or failed;
 * reading and writing before is EINVAL. The descriptor is not closed here. No renegotiation, no
 * compression.
 *
 * Early data (RFC 8446, section 2.3) is taken where the context's rules say so, and of a session
 * that the keeper took for this handshake alone. Then tls_handshake() is done before the client has
 * finished: tls_early(). It can be read, answered and shut down as any other, and goes on with its
 * handshake while it is read.
 *
 * Memory: after a server's handshake of TLS 1.3 only keys and counters are left (tls_record.h), 0.4
 * KB; else OpenSSL's object, without buffers while it is idle. What is read of the socket lies on
 * the caller's stack while a call runs. An end that comes with the last bytes makes the socket
 * readable, so that it is heard of. Not thread-safe: one thread.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TLS_RECORD_BYTES 16384u /* of plain text, at most */
#define TLS_SUBJECT_MAX 512     /* with the NUL; a longer one is cut */
#define TLS_FINGERPRINT_MAX 65  /* SHA-256 in hex */
#define TLS_PROTOCOL_MAX 16
#define TLS_RENEGOTIATIONS_MAX 4u /* wishes of one client; then its connection ends */
#define TLS_EARLY_MAX 16384u      /* bytes of early data of one connection */

struct tls;
struct tls_context;

/* X(name, word for logs and metrics) */
#define TLS_FAILURES_TABLE(X)                                                                      \
    X(NONE, "none")                                                                                \
    X(TIMEOUT, "timeout")         /* it did not end in time */                                     \
    X(CROWDED, "crowded")         /* it gave way to newer ones */                                  \
    X(CLOSED, "closed")           /* the client went away */                                       \
    X(NOT_TLS, "not-tls")         /* other bytes */                                                \
    X(HTTP, "http")               /* a plain HTTP request */                                       \
    X(UNLIKE, "no-common")        /* no version, cipher or protocol in common */                   \
    X(CERTIFICATE, "client-cert") /* none given though required, or not valid */                   \
    X(ALERT, "alert")             /* the client refused, mostly our certificate */                 \
    X(PROTOCOL, "protocol")       /* what it said is against the rules */                          \
    X(OWN, "internal")

enum tls_failure {
#define X(name, word) TLS_FAIL_##name,
    TLS_FAILURES_TABLE(X)
#undef X
        TLS_FAILURES
};

/* By what a session was resumed: X(name, word for metrics). */
#define TLS_RESUMED_TABLE(X)                                                                       \
    X(OWN, "ticket-own")   /* a ticket that this node sealed */                                    \
    X(PEER, "ticket-peer") /* one that another node of the farm sealed */                          \
    X(KEPT, "local")       /* by id, from the own store */                                         \
    X(KEPT_PEER, "peer")   /* by id, from another node */                                          \
    X(KEPT_SAVED, "saved") /* by id, whose node was lost: from a copy or a repository */

enum tls_resumed {
#define X(name, word) TLS_RESUMED_##name,
    TLS_RESUMED_TABLE(X)
#undef X
        TLS_RESUMED_WAYS
};

/* Why a client that had a ticket got a full handshake. */
#define TLS_MISSED_TABLE(X)                                                                        \
    X(UNKNOWN, "unknown-key") /* of a key that is too old, or of another farm */                   \
    X(DAMAGED, "damaged")                                                                          \
    X(INVALID, "not-valid") /* its life is over, or it began under other rules */                  \
    X(ABSENT, "absent")     /* no node has it, or it was used */                                   \
    X(LATE, "late")         /* who may have it did not answer in time */

enum tls_missed {
#define X(name, word) TLS_MISSED_##name,
    TLS_MISSED_TABLE(X)
#undef X
        TLS_MISSED_REASONS
};

/* May be shared by all listeners and threads. */
struct tls_counters {
    atomic_uint_fast64_t handshakes, resumed; /* done; and those of them that went on an old one */
    atomic_uint_fast64_t resumed_by[TLS_RESUMED_WAYS], missed[TLS_MISSED_REASONS];
    atomic_uint_fast64_t early_taken, early_refused; /* handshakes that came with early data */
    atomic_uint_fast64_t renegotiations;             /* that clients wanted, and did not get */
    atomic_uint_fast64_t open;                       /* connections, handshakes included */
    atomic_uint_fast64_t failures[TLS_FAILURES];
};

enum tls_progress { TLS_DONE, TLS_WAITS, TLS_FAILED };

struct tls_identity {
    char subject[TLS_SUBJECT_MAX];         /* RFC 2253, as "CN=anna,O=shop" */
    char fingerprint[TLS_FINGERPRINT_MAX]; /* of the certificate, lower case */
};

/* A server's side. The context is referenced until tls_free(). NULL: no memory. */
struct tls *tls_accept(struct tls_context *c, int fd);
/* A client's side, to a server of that name ("": none is said, none is checked). */
struct tls *tls_connect(struct tls_context *c, int fd, const char *name);
void tls_free(struct tls *t); /* takes NULL */

/* Goes on as far as the socket allows. TLS_WAITS: tls_events() tells for what. Counted when it
 * ends; a client that has to be told why it failed was. */
enum tls_progress tls_handshake(struct tls *t);
bool tls_ready(const struct tls *t); /* the handshake is done */
/* What is read now may be an attacker's copy: the client has not finished its handshake. Takes
 * NULL. */
bool tls_early(const struct tls *t);
/* Nothing more of it is read before the handshake's end. Only while tls_early(). */
void tls_early_close(struct tls *t);
enum tls_failure tls_failure(const struct tls *t);
const char *tls_failure_name(enum tls_failure f);
/* Counts a handshake that is given up by its owner. */
void tls_gave_up(struct tls *t, enum tls_failure why);

/* -- after the handshake -- */

/* What was agreed on by ALPN (RFC 7301), as "http/1.1"; "" when nothing was. */
const char *tls_protocol(const struct tls *t, char out[TLS_PROTOCOL_MAX]);
const char *tls_version(const struct tls *t); /* "TLSv1.3" */
const char *tls_cipher(const struct tls *t);
/* The name that the client asked for (SNI); "" when none. */
const char *tls_server_name(const struct tls *t);
bool tls_resumed(const struct tls *t);
/* The client's certificate, which was verified; false when it gave none. Takes NULL (a plain
 * connection). */
bool tls_client_identity(const struct tls *t, struct tls_identity *out);

/* -- for stream.c -- */

ssize_t tls_read(struct tls *t, void *out, size_t max);
ssize_t tls_write(struct tls *t, const void *bytes, size_t len);
ssize_t tls_writev(struct tls *t, const struct iovec *iov, size_t count);
uint32_t tls_events(const struct tls *t, bool want_read, bool want_write);
bool tls_pending(const struct tls *t);
int tls_shutdown(struct tls *t);

#endif
