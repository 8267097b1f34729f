/* roster_answer.h - GET /.well-known/stead/roster: who may ask, what he is told, and in which form.
 * docs/roster-api.md.
 *
 * A text is made once for each revision, service, network and form, and kept: asking often costs
 * little. A revision counts within one incarnation of one node, so the ETag names that too: a
 * client that asks another node with it gets the whole roster. Watchers go to watch.h. Of one
 * worker. */
#ifndef ROLE_DIRECTOR_ROSTER_ANSWER_H
#define ROLE_DIRECTOR_ROSTER_ANSWER_H

#include "base/prefix.h"
#include "io/http_server.h"
#include "role/director/decide.h"
#include "role/director/watch.h"
#include "store/store.h"

#define ROSTER_INSIDE_MAX 64

enum roster_exposure {
    ROSTER_OPEN,         /* everything */
    ROSTER_COARSE,       /* no counts, load in quarters */
    ROSTER_AUTHENTICATED /* everything, to who has the token */
};

/* Strings stay the caller's. */
struct roster_rules {
    enum roster_exposure exposure;
    const char *token;                       /* of ROSTER_AUTHENTICATED */
    const char *cors;                        /* as cors.h takes it; NULL = none */
    struct prefix inside[ROSTER_INSIDE_MAX]; /* clients from there are told inside addresses */
    size_t inside_count;
    struct retry_limits retry;
    struct watch_feed *feed; /* shared by all workers; NULL: one for each */
    uint32_t watchers_max;   /* of all workers */
    uint32_t watchers_here;  /* of this one */
};

struct roster_counters {
    atomic_uint_fast64_t not_modified;
    atomic_uint_fast64_t denied;   /* without the token */
    atomic_uint_fast64_t rendered; /* texts that were made */
    struct watch_counters watch;
};

struct roster_answers;

/* What it points to stays the caller's. */
struct roster_answers_config {
    uv_loop_t *loop;
    struct store *store;
    const struct decide_config *decide; /* its services are those whose texts are kept */
    const char *self_name;
    struct roster_rules rules;
    struct roster_counters *counters;
};

/* STEAD_E_NOMEM. */
int roster_answers_open(const struct roster_answers_config *c, struct roster_answers **out);
/* Replies to a request for the roster: GET, HEAD or OPTIONS. */
void roster_answer(struct roster_answers *a, struct http_request *r, const struct roster *roster);
/* The configuration has changed: what is kept for its services is made anew. */
void roster_answers_forget(struct roster_answers *a);
struct watch *roster_answers_watch(struct roster_answers *a);
/* `closed` is called on the loop when nothing is left; a is freed then. */
void roster_answers_close(struct roster_answers *a, void (*closed)(void *context), void *context);

#endif
