/* tls_keeper.h - who keeps clients' TLS sessions so that any node resumes them: calls that a
 * listener's owner gives for its connections. Of one thread.
 *
 * A question holds up its own handshake only. It is answered by tls_answer(), at once (within
 * `ask`) or later, once, unless it was dropped. */
#ifndef IO_TLS_KEEPER_H
#define IO_TLS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_ID_BYTES 32
#define TLS_SESSION_BYTES_MAX                                                                      \
    4096 /* of one with a client's certificate; a larger one is not kept */
#define TLS_KEPT_LIFE_S (2u * 3600)

struct tls;

struct tls_keeper {
    void *context;
    void (*keep)(void *context, const uint8_t id[TLS_ID_BYTES], const uint8_t *session, size_t len);
    /* once: from now on nobody gets it any more, wherever he asks; when that is not sure, neither
     * does this one. */
    void (*ask)(void *context, struct tls *t, const uint8_t id[TLS_ID_BYTES], bool once);
    /* The connection goes, its question is nobody's. */
    void (*drop)(void *context, struct tls *t);
};

enum tls_answer {
    TLS_ANSWER_OWN,   /* it was here */
    TLS_ANSWER_PEER,  /* another node had it */
    TLS_ANSWER_SAVED, /* its node was lost: a copy, or a repository, brought it back */
    TLS_ANSWER_NONE,  /* there is none, or it was used */
    TLS_ANSWER_LATE,  /* who may know did not say so in time */
    TLS_ANSWER_DAMAGED
};

/* session: with OWN, PEER and SAVED. */
void tls_answer(struct tls *t, enum tls_answer how, const uint8_t *session, size_t len);

/* Before the handshake. The keeper stays as long as the connection's handshake; wake: an answer has
 * come, tls_handshake() goes on. */
void tls_keep_with(struct tls *t, const struct tls_keeper *k, void (*wake)(void *context),
                   void *context);
/* The handshake waits for the keeper, and for nothing of the client. */
bool tls_asks(const struct tls *t);

#endif
