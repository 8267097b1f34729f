/* session_internal.h - inside libstead: a call to the session API, on a connection that is kept. */
#ifndef CLIENT_SESSION_INTERNAL_H
#define CLIENT_SESSION_INTERNAL_H

#include "base/addr.h"
#include "client/reply.h"
#include "stead/session.h"

#include <jansson.h>

#define SESSION_ANSWER_MAX (8u << 20) /* a record of 1 MiB, however it is escaped */
#define SESSION_ID_MAX 250
#define SESSION_KIND_MAX 31
#define SESSION_PATH_MAX 107 /* of a unix socket */
#define SESSION_TOKEN_MAX 1024
#define SESSION_PATH_ASK_MAX 512
#define SESSION_ASK ((enum stead_session_verb)100) /* stead_sessions_ask() */

struct stead_sessions {
    char path[SESSION_PATH_MAX + 1]; /* "": by TCP, to `to` */
    struct addr to;
    char *token;
    int fd;               /* -1: none */
    bool connected, kept; /* kept: an earlier call was answered on it */

    /* The call that has begun. */
    enum stead_session_verb verb; /* 0: none */
    bool asks_to_read;            /* SESSION_ASK: it changes nothing */
    char *request;
    size_t len, sent;
    char *body; /* of the answer, with a NUL behind it; of SESSION_ASK until the next call */
    size_t body_len, body_cap;
    struct reply reply;
    uint64_t until_ms;
};

struct stead_session {
    json_t *root; /* owns the texts */
    const char *id, *kind, *version;
    int64_t expires_in;
    size_t count;
    struct stead_field *fields; /* in order of their names */
    char *decoded;              /* owns values that came in base64 */
};

/* session.c: wipes and frees what was said. */
void session_call_clear(struct stead_sessions *s);
/* STEAD_PENDING, or the answer is whole (STEAD_OK), or there is none; then the connection is
 * closed. */
int session_go_on(struct stead_sessions *s);

/* session_request.c: the bytes of a request, from mem_alloc, and their number. STEAD_E_INVAL,
 * STEAD_E_NOMEM. */
int session_request(const struct stead_sessions *node, enum stead_session_verb verb,
                    const char *kind, const char *id, const struct stead_change *change, char **out,
                    size_t *len);

/* session_record.c: what an answer says. */
int session_record_parse(const char *body, size_t len, struct stead_session **out);
int session_error(enum stead_session_verb verb, int status, const char *body, size_t len);
/* Is it a login that holds? now_s: since 1970. */
int session_login_check(const struct stead_session *s, int64_t now_s);

#endif
