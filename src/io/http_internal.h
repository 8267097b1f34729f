/* http_internal.h - the inside of the HTTP server: its connections and their phases.
 *
 * A connection shakes hands when it is under TLS (HANDSHAKE), reads (IDLE, HEAD, BODY), waits for
 * its handler (WAIT), writes (WRITE), and lingers before it is closed, so that an answer is not
 * lost to a reset. Each phase has one fixed duration, so the list of connections in a phase is in
 * order of deadlines: the server's one timer looks at the fronts. An idle connection has no
 * buffers: what is read lies in the server's buffer while the connection runs, and only what is
 * left then is its own; small answers are put together in the server's other buffer, so that
 * several to pipelined requests are one write. Within io only.
 */
#ifndef IO_HTTP_INTERNAL_H
#define IO_HTTP_INTERNAL_H

#include "base/list.h"
#include "io/http_server.h"
#include "io/poller.h"
#include "io/stream.h"

#include <sys/epoll.h>

#define HTTP_READ_BYTES 65536u /* read at once, into the server's buffer */
/* Of one connection; then the loop's other work has its turn, however much is pipelined. */
#define HTTP_REQUESTS_A_TURN 16u
#define HTTP_HANDSHAKES_A_TURN 4u /* steps of them, a millisecond or less each */
#define HTTP_CROWDED_LOOKS 16u    /* for one that waits for its client */
#define HTTP_CROWDED_PAUSE_MS 10u
#define HTTP_LINGER_MS 2000u
#define HTTP_COMPLAIN_MS 10000u
#define HTTP_ACCEPT_PAUSE_MS 100u  /* out of descriptors */
#define HTTP_START_BYTES 256       /* of an answer: its status, date and server */
#define HTTP_BATCH_BYTES 16384u    /* of answers that go out together */
#define HTTP_SPARES_MAX 8u         /* requests kept for the next clients */
#define HTTP_SPARE_BYTES_MAX 4096u /* of the head that one of them has room for */

struct http2;
struct http2_stream;

enum conn_phase {
    CONN_IDLE,
    CONN_HEAD,
    CONN_BODY,
    CONN_WAIT,
    CONN_WRITE,
    CONN_STREAMS, /* HTTP/2 with open streams, whose deadlines it has */
    CONN_LINGER,
    CONN_HANDSHAKE,
    CONN_PHASES,
    CONN_CLOSED = CONN_PHASES
};

struct http_conn {
    struct poller_item item;
    struct stream stream;
    struct http_server *server;
    struct http2 *h2;  /* NULL: it speaks HTTP/1 */
    struct list link;  /* of its phase; or of those to be freed */
    struct list later; /* has had its turn, and has more; or its handshake can go on */
    uint64_t deadline_ms;
    struct http_request *request; /* being read, or not answered yet */
    char *pending;                /* read and not consumed yet: from pending_at on; see borrowed */
    size_t pending_at, pending_len;
    char *out; /* the rest of an answer: from out_at on */
    size_t out_at, out_len;
    struct http_chunked chunked;
    uint64_t body_left; /* of a Content-Length */
    struct addr peer, local;
    uint8_t phase;
    bool borrowed;    /* pending lies in the server's read buffer */
    bool local_known; /* asked for when somebody wants it */
    bool running;     /* conn_run() is on the stack: a reply must not call it */
    bool close_after; /* when the answer is written */
    bool last;      /* the client has said that it sends nothing more: it need not be waited for */
    bool asked;     /* a request has come: no preface can */
    bool parse_due; /* the pending bytes may make a head, or show that they do not */
    bool held;      /* a request came as early data, and waits for the handshake's end */
};

struct http_request {
    struct http_conn *conn;  /* NULL: the client is gone */
    struct http2_stream *h2; /* of its stream; NULL: HTTP/1 */
    struct http_head head;   /* its slices point into bytes */
    struct addr peer, local;
    struct list link; /* of the server's spare ones */
    char *body;
    size_t body_len, body_cap;
    bool body_read;
    struct http_server *server; /* kept as long as this has a body; NULL: it has none */
    char *bytes;                /* of the head */
    size_t head_len, bytes_cap;
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
    struct poller *poller;   /* of the connections */
    struct list phases[CONN_PHASES], later;
    struct list shaking; /* handshakes that can go on */
    uint32_t handshakes; /* under way */
    struct list dead;    /* closed; freed when none of their functions is on the stack */
    struct list spares;  /* requests */
    uint32_t spare_count;
    struct http_conn *batch_of; /* whose answers are in the batch */
    size_t batch_len;
    uint64_t held_bytes;
    uint32_t connections;
    uint32_t handles; /* not closed yet; the server is freed when none is left */
    bool accepting, closing, retired;
    void (*closed)(void *context);
    void *closed_context;
    long start_s; /* the second of `start` */
    struct {
        int status; /* 0: nothing is kept */
        size_t len;
        char bytes[HTTP_START_BYTES];
    } start;     /* of the last answer's head */
    long date_s; /* the second of `date` */
    size_t date_len;
    char date[32];
    char batch[HTTP_BATCH_BYTES];
    char read_buffer[HTTP_READ_BYTES];
};

/* http_server.c */
void conn_set_phase(struct http_conn *c, enum conn_phase phase);
/* Neither: nothing of it is looked at for now. */
void conn_watch(struct http_conn *c, bool want_read, bool want_write);
void conn_close(struct http_conn *c);
/* How long a phase may last; 0: no limit. */
uint32_t server_phase_ms(const struct http_server *s, enum conn_phase phase);
/* Goes on in the loop's next turn; until then nothing is read. */
void conn_later(struct http_conn *c);
void http_count(atomic_uint_fast64_t *counter);
/* Takes account of bytes that are kept for a client. False: too many. */
bool server_hold(struct http_server *s, uint64_t bytes);
/* Memory for bytes of clients: wiped where the server does that. `have` is what is in use of it. */
void *server_realloc(const struct http_server *s, void *memory, size_t have, size_t bytes);
void server_free(const struct http_server *s, void *memory, size_t have);
/* Frees what is closed; where no function of a connection is on the stack. */
void server_bury(struct http_server *s);
/* Accepts from now on. */
void server_listen(struct http_server *s);
/* One thing less that the server must outlive. */
void server_release(struct http_server *s);

/* http_handshake.c */
/* A new connection under TLS; from then on its events lead to conn_shake(). */
void conn_shake_begin(struct http_conn *c);
void conn_shake(struct http_conn *c);
/* It is closed before its handshake was done. */
void conn_shake_end(struct http_conn *c);
/* Some of those that can go on do. */
void server_shake(struct http_server *s);
/* Are there no more than may be? If need be, one that waits for its client is closed. */
bool server_shake_room(struct http_server *s);
/* http_crowd.c: room for one more connection; another one may give way for it. */
bool server_room(struct http_server *s);

/* http_conn.c */
void conn_readable(struct http_conn *c);
/* Goes on with what has been read, until more is needed or an answer is waited for. */
void conn_run(struct http_conn *c);
/* May the request be handled now? Not when it came as early data and it, or its handler, cannot
 * have that. rest: bytes that came behind its head. */
bool request_may_begin(const struct http_request *r, size_t rest);
/* Consumes from the front of the pending bytes. */
void conn_consume(struct http_conn *c, size_t bytes);
void request_free(struct http_request *r);
/* Nothing of it is set but its room; NULL: no memory. */
struct http_request *request_get(struct http_server *s);
/* More of a request's body. 0, 413 or 503. */
int request_body_append(struct http_server *s, struct http_request *r, struct slice data);
/* Frees the spare requests. */
void requests_free(struct http_server *s);

/* http_reply.c */
void conn_writable(struct http_conn *c);
/* Sends the answers that wait in the batch. False: the client did not take all of them; the rest is
 * the connection's, or the connection is closed. */
bool conn_flush(struct http_conn *c);
/* Answers what is wrong with the request that is being read, and closes. */
void conn_fail(struct http_conn *c, int status, const char *why);
/* Sends "100 Continue". */
void conn_send_continue(struct http_conn *c);

#endif
