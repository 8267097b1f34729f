/* gate_internal.h - the inside of the gate: routes, calls, and their slots. Within role/gate only.
 */
#ifndef ROLE_GATE_INTERNAL_H
#define ROLE_GATE_INTERNAL_H

#include "base/list.h"
#include "io/wake.h"
#include "role/gate/gate.h"
#include "role/gate/gate_json.h"

#define GATE_ID_BYTES 24 /* random */
#define GATE_ID_CHARS 32 /* of them in base64url */
#define GATE_RENEW_TRIES 5
#define GATE_HEADERS_MAX 1024

#define GATE_LOOK_MS 10         /* how often watches compare the counts of changes */
#define GATE_LOOK_AGAIN_MS 1000 /* and look in any case */
#define GATE_WATCH_KEEPALIVE_MS 15000
#define GATE_WATCH_STALL_MS 20000 /* a client that takes nothing */

enum gate_verb {
    GATE_CREATE,
    GATE_READ,
    GATE_CHANGE,
    GATE_RENEW,
    GATE_TOUCH,
    GATE_END,
    GATE_LOGIN,
    GATE_VERIFY,
    GATE_KINDS,
    GATE_WHOAMI,
    GATE_TLS_KEYS,
    GATE_TLS_GET,
    GATE_TLS_TAKE,
    GATE_TLS_PUT,
    GATE_TLS_END,
    GATE_REPORT_SHOW,
    GATE_REPORT,
    GATE_REPORT_END
};

/* What a path and a method ask for. */
struct gate_route {
    enum gate_verb verb;
    bool takes_body;
    struct slice kind, id; /* at == NULL: not in this route */
    const char *allow;     /* with 405 */
};

/* Steps of a renewal; every other call has one operation. */
enum gate_step {
    STEP_ONLY,
    STEP_READ,      /* the old record */
    STEP_CREATE,    /* the new one */
    STEP_END_OLD,   /* only if it is still as it was read */
    STEP_CHECK_OLD, /* the end's outcome is not known: is it still there? */
    STEP_END_NEW    /* back: then `status` is answered, or all is tried anew */
};

/* A request whose operation is in the store. */
struct gate_call {
    struct gate *gate;
    struct http_request *request; /* NULL: its connection was taken, for events */
    unsigned slot;
    enum gate_verb verb;
    enum gate_step step;
    struct key key;
    uint64_t deadline_ns; /* of the present operation */
    uint64_t last_ns;     /* of the whole call */
    uint32_t deadline_ms;
    bool has_match;
    struct stamp match; /* If-Match */

    struct key new_key;    /* RENEW */
    struct stamp old;      /* the version that was read */
    struct record *record; /* the new one */
    unsigned copies, tries;
    uint32_t left_ms; /* of the life of the record that is answered */
    int status;

    uint32_t wait_s, changes; /* READ: for another version; counted before it was asked for */
    struct gate_watch *watch; /* it is one now */
};

/* A result names its slot and generation: one that comes late never meets another call. */
struct gate_slot {
    struct gate_call *call;
    uint32_t generation, next_free;
};

struct gate {
    struct gate_config config;
    char *token, *node, *farm;
    struct http_server *server;
    struct wake wake;
    uv_timer_t timer; /* runs while somebody watches */
    struct list watches;
    unsigned watch_count;
    bool retired;          /* nobody watches here any more */
    unsigned open_handles; /* the server, the wake, the timer and streams of events */
    void (*closed)(void *context);
    void *closed_context;
    uint32_t free_slot;
    struct gate_slot slots[GATE_CALLS_MAX];
};

/* gate_route.c: 0, or 404 or 405. */
int gate_route(const struct http_head *h, struct gate_route *out);
/* gate_auth.c: 0, or 401 or 403: what a TCP client must show. */
int gate_auth(const struct gate *g, const struct http_request *r, const char **why);

/* gate.c */
void gate_count(atomic_uint_fast64_t *counter);
/* A call with a slot, counted. NULL when there is none left: the request was answered with 503. */
struct gate_call *gate_call_new(struct gate *g, struct http_request *r);
/* Ends the call; its request must have been answered. */
void gate_call_free(struct gate_call *call);
/* One of open_handles is closed: with the last one the gate is freed. */
void gate_part_closed(struct gate *g);

/* gate_request.c: starts what a request asks for. */
enum http_verdict gate_request(void *context, struct http_request *r, const char *body, size_t len);

/* gate_call.c */
/* Puts an operation into the store; its result, at once or later, goes to gate_call_result(). */
void gate_call_submit(struct gate_call *call, struct session_op *op);
void gate_call_result(struct gate_call *call, struct session_result *r);

/* gate_renew.c */
void gate_renew_start(struct gate_call *call);
void gate_renew_result(struct gate_call *call, struct session_result *r);

/* gate_watch.c: sessions that are watched. Does it ask for a stream of events? */
bool gate_watch_streams(const struct http_head *h);
/* After a read that went well; same: the client has that version. True: the call is a watch from
 * now on, or was answered. */
bool gate_watch_start(struct gate_call *call, const struct session_result *r, bool same);
void gate_watch_result(struct gate_call *call, const struct session_result *r);
void gate_watch_stop(struct gate_call *call);
void gate_watch_timer(uv_timer_t *timer);

/* gate_verify.c: who sends a request that a web server asks about. */
void gate_verify_request(struct gate *g, struct http_request *r);
void gate_verify_result(struct gate_call *call, const struct session_result *result);
/* gate_login.c: a login's body as that of a new record, freed with free(); NULL, with a sentence in
 * *why. */
char *gate_login_form(const char *body, size_t len, int64_t now_s, const char **why);
/* gate_request.c: may it be an id? */
bool gate_id_is_plain(struct slice id);

/* gate_tls.c: /v1/tls, for servers that end TLS themselves. */
bool gate_is_tls(enum gate_verb verb);
enum http_verdict gate_tls_request(struct gate *g, struct http_request *r,
                                   const struct gate_route *route, const char *body, size_t len);
void gate_tls_result(struct gate_call *call, struct session_result *r);
/* gate_request.c: milliseconds; GATE_DEADLINE_MS when nothing is said, 0 when it makes no sense. */
uint32_t gate_deadline(const struct http_head *h);

/* gate_reply.c: each answers and ends the call. */
void gate_reply_record(struct gate_call *call, int status, const struct record *r, unsigned copies,
                       const char *origin);
void gate_reply_empty(struct gate_call *call, int status);
void gate_reply_status(struct gate_call *call, int err);
/* As above, of an id that may have taken the place of the call's. */
void gate_reply_unknown_renewal(struct gate_call *call, int err);
/* For requests that never became a call. */
void gate_refuse(struct gate *g, struct http_request *r, int status, int err, const char *why);
void gate_refuse_method(struct gate *g, struct http_request *r, const char *allow);
void gate_reply_kinds(struct gate *g, struct http_request *r);
void gate_reply_whoami(struct gate *g, struct http_request *r);
/* Answers with the object, which is freed; the text is wiped, as it may hold keys. */
void gate_reply_json(struct http_request *r, json_t *j);

/* gate_report.c: answers what is asked of /v1/server/SERVICE/report. */
enum http_verdict gate_report_request(struct gate *g, struct http_request *r,
                                      const struct gate_route *route, const char *body, size_t len);

#endif
