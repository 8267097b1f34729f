/* roster_answer.h - GET /.well-known/stead/roster[?service=NAME]: the JSON, made once a revision
 * and service.
 *
 * A revision counts within one incarnation of one node, so the ETag names that too: a client that
 * asks another node with it gets the whole roster.
 */
#ifndef ROLE_DIRECTOR_ROSTER_ANSWER_H
#define ROLE_DIRECTOR_ROSTER_ANSWER_H

#include "role/director/decide.h"

#define ROSTER_HEADERS_MAX 128

struct roster_answers;

struct roster_answer {
    bool not_modified;
    char headers[ROSTER_HEADERS_MAX];
    const char *json; /* valid until the next call */
    size_t len;
    char *own; /* json, when it is not kept */
};

/* Strings of both stay the caller's. STEAD_E_NOMEM. */
int roster_answers_new(const struct decide_config *c, const char *self_name,
                       struct roster_answers **out);
void roster_answers_free(struct roster_answers *a); /* takes NULL */
/* STEAD_E_INVAL: the service parameter cannot be a name; NOMEM. */
int roster_answers_get(struct roster_answers *a, const struct roster *r, const struct http_head *h,
                       struct roster_answer *out);
void roster_answer_deinit(struct roster_answer *answer);

#endif
