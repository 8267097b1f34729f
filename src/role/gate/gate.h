/* gate.h - the door for applications: sessions over HTTP and JSON. docs/session-api.md is its
 * manual.
 *
 * One gate a worker: it serves one listening descriptor on that worker's loop, puts operations into
 * the store and answers when their results come to its mailbox. The door is a unix socket, where
 * the file's mode says who may come in; or a loopback TCP port with a token, where the Host header
 * must name loopback too (a web page whose name was bound to 127.0.0.1 is refused). Ids of sessions
 * are secrets: they are never logged.
 */
#ifndef ROLE_GATE_H
#define ROLE_GATE_H

#include "io/http_server.h"
#include "role/gate/private.h"
#include "store/store.h"

#define GATE_CALLS_MAX 4096 /* that wait for the store at once, per gate; beyond it 503 */
#define GATE_DEADLINE_MS 5000u
#define GATE_WATCHES_MAX 1024    /* sessions that are watched at once, per gate; beyond it 503 */
#define GATE_WAIT_MAX_S 300u     /* of a read that waits for another version */
#define GATE_BODY_MAX (2u << 20) /* a record of 1 MiB, in base64 or with escapes */

#define GATE_COOKIE_MAX 63

struct gate;

/* Shared by the gates of a node. */
struct gate_counters {
    atomic_uint_fast64_t calls;   /* operations asked for */
    atomic_uint_fast64_t denied;  /* no token, or a foreign Host */
    atomic_uint_fast64_t invalid; /* refused before the store saw it: 400, 404, 405, 413 */
    atomic_uint_fast64_t failed;  /* answered by 503 or 507 */
    atomic_uint_fast64_t unknown; /* of these: a write whose outcome is not known */
    atomic_uint_fast64_t busy;    /* of these: GATE_CALLS_MAX was reached */
    atomic_uint_fast64_t renewed;
    atomic_uint_fast64_t reports;          /* taken */
    atomic_uint_fast64_t known, strangers; /* answers of /v1/auth: 200; 401 and 302 */
    atomic_uint_fast64_t claims_left_out;  /* logins whose claims did not fit into an answer */
    atomic_uint_fast64_t waiting;          /* now */
    atomic_uint_fast64_t watching;         /* of these: for a change */
    atomic_uint_fast64_t watch_dropped;    /* streams of events that were not taken */
};

struct gate_config {
    uv_loop_t *loop;
    int fd;               /* listening; the gate's own from now on */
    struct tls_door *tls; /* NULL: plain. Stays until it is closed */
    struct store *store;
    unsigned mailbox;        /* of the store, this gate's alone */
    const char *token;       /* NULL on a unix socket; must not be NULL on TCP. Copied. */
    const char *node, *farm; /* names for /v1/whoami. Copied. */
    /* Of /v1/auth: the cookie that has the id, and where a stranger is sent to log in ("" =
     * nowhere: 401). They stay the caller's. */
    const char *auth_cookie, *auth_login;
    const struct private_rules *private; /* stays the caller's */
    struct box_ring *tls_keys;           /* of the farm, for /v1/tls; stays the caller's */
    struct http_limits http;             /* body_max is overruled by GATE_BODY_MAX */
    struct http_counters *http_counters;
    struct gate_counters *counters;
};

/* STEAD_E_NOMEM, or what http_server_open says; the descriptor then stays the caller's. Sets the
 * mailbox's wake. */
int gate_open(const struct gate_config *c, struct gate **out);
/* A URL to which strangers may be sent? */
bool gate_login_valid(const char *url);
/* From any thread: results wait in the mailbox. The store does so by itself. */
void gate_wake(struct gate *g);
/* On the loop: takes the results that wait and answers; done by the gate itself when it is woken.
 */
void gate_collect(struct gate *g);
/* Its door, to give connections away, or to adopt them. */
struct http_server *gate_server(struct gate *g);
/* As http_server_retire(); who watches is answered, or his stream ends, so that he comes again to
 * the other process. */
void gate_retire(struct gate *g, bool retired);
/* Closes all connections and forgets what waits; `closed` is called on the loop, then the gate is
 * freed. */
void gate_close(struct gate *g, void (*closed)(void *context), void *context);

#endif
