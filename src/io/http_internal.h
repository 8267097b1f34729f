/* http_internal.h - the inside of the HTTP server: its connections and their phases.
 *
 * A connection reads (IDLE, HEAD, BODY), waits for its handler (WAIT), writes (WRITE), and lingers
 * before it is closed, so that an answer is not lost to a reset. Each phase has one fixed duration,
 * so the list of connections in a phase is in order of deadlines: the server's one timer looks at
 * the fronts. An idle connection has no buffers. Within io only.
 */
#ifndef IO_HTTP_INTERNAL_H
#define IO_HTTP_INTERNAL_H

#include "base/list.h"
#include "io/http_server.h"

#define HTTP_READ_BYTES 65536u /* read at once, into the server's buffer */
/* Of one connection; then the loop's other work has its turn, however much is pipelined. */
#define HTTP_REQUESTS_A_TURN 16u
#define HTTP_LINGER_MS 2000u
#define HTTP_COMPLAIN_MS 10000u
#define HTTP_ACCEPT_PAUSE_MS 100u /* out of descriptors */
#define HTTP_DATE_BYTES 32

enum conn_phase {
    CONN_IDLE,
    CONN_HEAD,
    CONN_BODY,
    CONN_WAIT,
    CONN_WRITE,
    CONN_LINGER,
    CONN_PHASES,
    CONN_CLOSED = CONN_PHASES
};

struct http_conn {
    uv_poll_t poll;
    struct http_server *server;
    struct list link;  /* of its phase */
    struct list later; /* has had its turn, and has more */
    uint64_t deadline_ms;
    struct http_request *request; /* being read, or not answered yet */
    char *pending;                /* read and not consumed yet: from pending_at on */
    size_t pending_at, pending_len;
    char *out; /* the rest of an answer: from out_at on */
    size_t out_at, out_len;
    struct http_chunked chunked;
    uint64_t body_left; /* of a Content-Length */
    struct addr peer, local;
    int fd;
    uint8_t phase, watched;
    bool running;     /* conn_run() is on the stack: a reply must not call it */
    bool close_after; /* when the answer is written */
    bool parse_due;   /* the pending bytes may make a head, or show that they do not */
};

struct http_request {
    struct http_conn *conn; /* NULL: the client is gone */
    struct http_head head;  /* its slices point into bytes */
    struct addr peer, local;
    void *data;
    char *body;
    size_t body_len, body_cap;
    bool body_read;
    struct http_server *server; /* kept as long as this has a body; NULL: it has none */
    size_t head_len;
    char bytes[];
};

struct http_server {
    uv_poll_t listener;
    uv_timer_t timer;
    struct http_server_config config;
    char *server_name;
    uint64_t timer_due_ms;   /* TIME_NEVER: not running */
    uint64_t accept_at_ms;   /* paused until; 0 = not paused */
    uint64_t complain_at_ms; /* not before, of refused connections */
    uv_idle_t idle;          /* runs while `later` has connections */
    struct list phases[CONN_PHASES], later;
    uint64_t held_bytes;
    uint32_t connections;
    uint32_t handles; /* not closed yet; the server is freed when none is left */
    bool accepting, closing;
    void (*closed)(void *context);
    void *closed_context;
    long date_s;
    char date[HTTP_DATE_BYTES];
    struct http_head head; /* being parsed */
    char read_buffer[HTTP_READ_BYTES];
};

/* http_server.c */
void conn_set_phase(struct http_conn *c, enum conn_phase phase);
void conn_watch(struct http_conn *c, int events);
void conn_close(struct http_conn *c);
/* Goes on in the loop's next turn; until then nothing is read. */
void conn_later(struct http_conn *c);
void http_count(atomic_uint_fast64_t *counter);
/* Takes account of bytes that are kept for a client. False: too many. */
bool server_hold(struct http_server *s, uint64_t bytes);
/* One thing less that the server must outlive. */
void server_release(struct http_server *s);

/* http_conn.c */
void conn_readable(struct http_conn *c);
/* Goes on with what has been read, until more is needed or an answer is waited for. */
void conn_run(struct http_conn *c);
/* Consumes from the front of the pending bytes. */
void conn_consume(struct http_conn *c, size_t bytes);
void request_free(struct http_request *r);

/* http_reply.c */
void conn_writable(struct http_conn *c);
/* Answers what is wrong with the request that is being read, and closes. */
void conn_fail(struct http_conn *c, int status, const char *why);
/* Sends "100 Continue". */
void conn_send_continue(struct http_conn *c);

#endif
