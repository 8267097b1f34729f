/* stead/session.h - sessions for servers: kept by the farm, over the node on this host.
 *
 * A session is a small map of fields. Whatever server of the farm the client comes to next finds it
 * there; a call that changes it succeeds when other nodes have the change too. docs/session-api.md
 * says what is promised.
 *
 *     struct stead_sessions *node;
 *     struct stead_session *cart = NULL;
 *     struct stead_field tea = {.name = "item.tea", .value = "2", .value_len = 1};
 *     struct stead_change change = {.size = sizeof change, .set = &tea, .set_count = 1};
 *     int err = stead_sessions_new(NULL, NULL, &node);
 *     if (!err)
 *         err = stead_session_create(node, "purchase", &change, &cart);
 *     if (!err)
 *         remember(stead_session_id(cart));
 *     stead_session_free(cart);
 *     stead_sessions_free(node);
 *
 * The calls that take a struct stead_sessions and give a session block their thread, for
 * STEAD_SESSION_DEADLINE_MS and a second at most, a renewal twice that. Who may not wait begins the
 * same with stead_session_begin(), watches stead_sessions_fd() for stead_sessions_events(), and
 * calls stead_session_advance() until it is no longer STEAD_PENDING.
 *
 * A connection is kept for the next call. One struct is for one thread, and one call, at a time;
 * have as many as there are calls at once. Nothing is printed, no signal raised.
 *
 * Errors, of all calls: STEAD_E_ABSENT, ENDED, CONFLICT, TOO_LARGE, FULL, ALONE, BUSY, DENIED: as
 * the node says. INVAL: an argument, an `add` that cannot be. NOT_FOUND: no such kind.
 * UNREACHABLE: no node listens, or none that may have the session is reached. UNKNOWN: a change may
 * have been made or not; read before it is made again. DEADLINE, FENCED, CLOSED, IO, NOMEM: nothing
 * was changed. PARSE: what answers is no node.
 */
#ifndef STEAD_SESSION_H
#define STEAD_SESSION_H

#include "stead/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STEAD_SESSION_DEADLINE_MS 5000

/* This host's node, as the one who keeps sessions. */
struct stead_sessions;
/* A session as it was when it was answered. */
struct stead_session;

/* where: "unix:/PATH", or "127.0.0.1:PORT" or "[::1]:PORT" with the token of `sessions {
 * token-file }`; NULL: "unix:/run/stead/sessions.sock". Copied. Connects only when it is asked for
 * something. STEAD_E_INVAL, STEAD_E_NOMEM. */
int stead_sessions_new(const char *where, const char *token, struct stead_sessions **node)
    __attribute__((warn_unused_result));
void stead_sessions_free(struct stead_sessions *node); /* takes NULL; drops a call that was begun */

/* A field and its bytes. Names are text in UTF-8 of at most 250 bytes. */
struct stead_field {
    const char *name;
    const void *value;
    size_t value_len;
};
/* A whole number that is added to a decimal one; an absent field counts as 0. */
struct stead_add {
    const char *name;
    int64_t amount;
};

/* What is to become of a session: all or nothing. A name stands in one of the three only. Strings
 * are the caller's, until the call returns. Fields are only ever added at the end. */
struct stead_change {
    size_t size; /* sizeof(struct stead_change) */
    const struct stead_field *set;
    size_t set_count;
    const char *const *remove;
    size_t remove_count;
    const struct stead_add *add;
    size_t add_count;
    uint32_t ttl_ms;     /* its life; 0: that of its kind, or as it is */
    const char *version; /* only if it has this one, else STEAD_E_CONFLICT; NULL: any */
};

/* Each sets *session on success (the caller's, to be freed), and to NULL on failure. session may be
 * NULL where it is not wanted. change may be NULL: nothing to set. */
int stead_session_create(struct stead_sessions *node, const char *kind,
                         const struct stead_change *change, struct stead_session **session);
int stead_session_read(struct stead_sessions *node, const char *kind, const char *id,
                       struct stead_session **session);
int stead_session_change(struct stead_sessions *node, const char *kind, const char *id,
                         const struct stead_change *change, struct stead_session **session);
/* Renews its life; ttl_ms not 0: gives it another one. */
int stead_session_touch(struct stead_sessions *node, const char *kind, const char *id,
                        uint32_t ttl_ms, struct stead_session **session);
/* A new id, with all fields; the old one is ended. After a login, so that an id known from before
 * is worth nothing. */
int stead_session_renew(struct stead_sessions *node, const char *kind, const char *id,
                        struct stead_session **session);
/* version NULL: whichever it has. */
int stead_session_end(struct stead_sessions *node, const char *kind, const char *id,
                      const char *version);
/* The login with this id: a session of kind auth that has a user and whose end has not come.
 * STEAD_E_DENIED: nobody, or a login that is over; STEAD_E_ABSENT, STEAD_E_ENDED: it is no more. */
int stead_session_verify(struct stead_sessions *node, const char *id,
                         struct stead_session **session);

/* -- without waiting -- */

enum stead_session_verb {
    STEAD_SESSION_CREATE = 1,
    STEAD_SESSION_READ,
    STEAD_SESSION_CHANGE,
    STEAD_SESSION_TOUCH,
    STEAD_SESSION_RENEW,
    STEAD_SESSION_END,
    STEAD_SESSION_VERIFY /* kind is not looked at */
};

/* Begins a call; what it is given is copied. id NULL with CREATE; change NULL: none. Of a change
 * TOUCH takes the ttl, END the version. STEAD_E_BUSY: one has begun already. */
int stead_session_begin(struct stead_sessions *node, enum stead_session_verb verb, const char *kind,
                        const char *id, const struct stead_change *change)
    __attribute__((warn_unused_result));
/* Goes on. STEAD_PENDING: when the descriptor is ready, or the time is over. Else it is done, as
 * the blocking call would return. */
int stead_session_advance(struct stead_sessions *node, struct stead_session **session);
/* What to wait for: the descriptor (-1: none; it may be another after each call), poll()'s events
 * (POLLIN, POLLOUT) and milliseconds, at most (-1: no call has begun). */
int stead_sessions_fd(const struct stead_sessions *node);
short stead_sessions_events(const struct stead_sessions *node);
int stead_sessions_timeout_ms(const struct stead_sessions *node);

/* -- any other call -- */

/* A request as docs/session-api.md has them. Copied. Fields are only ever added at the end. */
struct stead_ask {
    size_t size; /* sizeof(struct stead_ask) */
    const char *method, *path;
    const char *match; /* the value of If-Match; NULL: none */
    const void *body;  /* JSON; NULL: none */
    size_t body_len;
    uint32_t deadline_ms; /* 0 or too much: STEAD_SESSION_DEADLINE_MS */
};
/* Begins it. STEAD_E_BUSY, STEAD_E_INVAL, STEAD_E_NOMEM. */
int stead_sessions_ask(struct stead_sessions *node, const struct stead_ask *ask)
    __attribute__((warn_unused_result));
/* STEAD_PENDING: as stead_session_advance(). STEAD_OK: what was answered, whatever its status: body
 * has a NUL behind it and lives until the next call, then it is wiped. Else there is no answer;
 * with STEAD_E_UNKNOWN it may have been done. */
int stead_sessions_answer(struct stead_sessions *node, int *status, const char **body, size_t *len);

/* -- what was answered; strings live as long as the session -- */

void stead_session_free(struct stead_session *session); /* takes NULL */
const char *stead_session_id(const struct stead_session *session);
const char *stead_session_kind(const struct stead_session *session);
/* As `version` of a change takes it. */
const char *stead_session_version(const struct stead_session *session);
/* Seconds that are left of its life, rounded up; -1: it has no end. */
int64_t stead_session_expires_in(const struct stead_session *session);
/* The value, with a NUL behind it, and its length (value_len may be NULL); NULL: no such field, or
 * a private one that does not open. */
const char *stead_session_get(const struct stead_session *session, const char *name,
                              size_t *value_len);
/* All fields in order of their names: 0 to count - 1; false (0) beyond. *value is as of
 * stead_session_get(). */
size_t stead_session_count(const struct stead_session *session);
int stead_session_field(const struct stead_session *session, size_t index,
                        struct stead_field *field);

#ifdef __cplusplus
}
#endif
#endif
