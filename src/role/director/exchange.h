/* exchange.h - the secondary as an HTTP proxy: each request of a client by itself, over connections
 * to the own real servers that are kept and shared.
 *
 * An exchanger belongs to one loop. It takes a client from the HTTP server with the first request
 * that was read, and carries one request and its answer after the other: heads parsed and rewritten
 * (forwarded.h, exchange_head.h), bodies counted as they pass (core/http/http_body.h), bulk spliced
 * (flow.h). Before each further request `route` is asked where it goes; a client whose next request
 * is not for a server, or is not a whole, well-formed head yet, is given back with what was read
 * (EXCHANGE_RETURNED): the HTTP server knows what to do. A switch of protocols (101) ends the
 * exchange with both connections (EXCHANGE_UPGRADED).
 *
 * What goes wrong is answered by the book while nothing of an answer was passed on: 400 for a body
 * that is malformed, 408 for a client that stops in mid-request, 502 for a server that breaks off
 * or speaks no HTTP, 504 for one that is silent; later the client's connection is reset, so that no
 * part is taken for the whole. A request is repeated, once, on a new connection, when a kept one
 * breaks without a byte of answer, and the request has no body and an idempotent method; or when
 * the connection took not a byte of it.
 *
 * An idle client has no buffer and no connection to a server: 200 bytes here. A request in hand has
 * its head (to repeat it, and for the log), and what one side has sent and the other does not take:
 * then nothing more is read.
 */
#ifndef ROLE_DIRECTOR_EXCHANGE_H
#define ROLE_DIRECTOR_EXCHANGE_H

#include "core/http/http.h"
#include "role/director/forward.h"
#include "role/director/upstream.h"

struct exchanger;

struct exchange_limits {
    /* At once, each of two descriptors with its server; beyond it who waits for its client gives
     * way; default 10,000. */
    uint32_t clients_max;
    unsigned pipes_max; /* of two descriptors each; default FLOW_PIPES_MAX */
    uint32_t body_ms;   /* silence amid a request, or an answer not taken; default 30 s */
    uint32_t idle_ms;   /* between requests; default 60 s */
    uint32_t linger_ms; /* for a client to close after its last answer; default 2 s */
};

struct exchange_server {
    struct upstream_rule upstream;
    uint32_t connect_ms;
    uint32_t answer_ms; /* from the whole request to the head of its answer */
    uint32_t stream_ms; /* silence amid an answer */
    uint8_t omits;      /* FORWARDED_NO_... */
    bool make_trace;
};

#define EXCHANGE_LINES_MAX 8192

/* Where a request goes. What it points to need not stay. */
struct exchange_route {
    size_t slot; /* one of the servers, or UPSTREAM_OTHER: then to */
    struct addr to;
    const char *name;   /* OTHER: under TLS, to a server of that name; NULL: plain */
    struct slice host;  /* the Host for the server; at NULL: as the client said */
    const char *id;     /* its X-Request-Id; NULL: the client's, or one is made */
    const char *hop;    /* hop.h, for another node; NULL: none */
    bool between;       /* the request came from one */
    bool early;         /* it came as early data, of a handshake that is not done */
    struct slice lines; /* header lines, each with its CRLF, that its answer gets: at most
                         * EXCHANGE_LINES_MAX; at NULL: none */
};

#define EXCHANGE_TIMES 14 /* the last: all above */
/* Upper bounds of the times that are counted, in microseconds; as text in seconds for metrics. */
extern const uint32_t exchange_time_us[EXCHANGE_TIMES - 1];

struct exchange_counters {
    struct upstream_counters upstream;
    atomic_uint_fast64_t clients, clients_total, returned, upgraded, busy, crowded;
    atomic_uint_fast64_t answers[6]; /* by the status' first digit; 0: none came about */
    atomic_uint_fast64_t retries, timeouts, bad_answers, client_breaks, server_breaks;
    atomic_uint_fast64_t up_bytes, down_bytes;           /* counted when a request is done */
    atomic_uint_fast64_t times[EXCHANGE_TIMES], time_us; /* of whole requests */
};

enum exchange_end {
    EXCHANGE_CLOSED,
    EXCHANGE_RETURNED,    /* client; bytes: read of it and not used */
    EXCHANGE_UNREACHABLE, /* client; bytes: the head of the request, as for the server */
    EXCHANGE_FAILED,      /* likewise, but the server is not to blame */
    EXCHANGE_PASSED,      /* client, server: copies of what another process has */
    EXCHANGE_UPGRADED,    /* client, server; bytes for the server, back for the client */
    EXCHANGE_RESET,
    EXCHANGE_STOPPED
};

/* What is set is the receiver's. */
struct exchange_result {
    enum exchange_end end;
    size_t slot;                  /* UNREACHABLE */
    struct stream client, server; /* fd -1: none */
    char *bytes, *back;           /* mem_free */
    size_t len, back_len;
};

/* One request that is done, for the log. */
struct exchange_record {
    struct slice head; /* of the request, as the server has it */
    int status;        /* 0: none was sent */
    uint64_t up, down; /* bytes, heads counted */
    uint64_t time_us;
    bool reused; /* the connection to the server */
};

struct exchange_client {
    struct stream stream; /* connected, and nobody watches it */
    char *bytes;          /* a whole head and more; from mem_alloc */
    size_t len;
    struct exchange_route route; /* of the first request */
    struct addr peer;
    bool tls;
    const struct tls_identity *identity; /* NULL: none; stays until it has ended */
    void *context;
};

struct exchanger_config {
    uv_loop_t *loop;
    struct exchange_limits limits;
    struct exchange_server servers[UPSTREAM_SLOTS];
    const char *name;                   /* of this node, for ids */
    struct tls_context *tls;            /* for routes with a name; NULL: there are none */
    struct exchange_counters *counters; /* may be shared */
    /* False: the client is given back. */
    bool (*route)(void *context, const struct http_head *h, struct exchange_route *out);
    void (*done)(void *context, const struct exchange_record *r);
    /* Exactly once a client; may come from within exchange_start(). */
    void (*ended)(void *context, const struct exchange_result *r);
};

void exchange_limits_default(struct exchange_limits *l);
const char *exchange_end_name(enum exchange_end e);

/* STEAD_E_NOMEM, IO. */
int exchanger_open(const struct exchanger_config *c, struct exchanger **out);
/* Takes the stream and the bytes. On an error nothing is taken and `ended` is not called:
 * STEAD_E_BUSY (clients_max), NOMEM. */
int exchange_start(struct exchanger *e, const struct exchange_client *client);
size_t exchanger_clients(const struct exchanger *e);
/* Ends the client that has been silent for longest: one without a request, or amid sending one or
 * taking an answer. False: all are at work, or wait for their server. */
bool exchanger_make_room(struct exchanger *e);
/* Another rule for a server, from the next request on, on the loop. */
void exchanger_set(struct exchanger *e, size_t slot, const struct exchange_server *server);
/* Offers rests of answers to another process, at most `max`: as forwarder_export(). Those that are
 * long, of a length that is known, to clients that may ask again, between plain sockets. */
void exchanger_export(struct exchanger *e, unsigned max, forward_give *give, void *context);
/* Another process takes new clients from now on: those under TLS, who cannot pass to it, are told
 * to connect again; until it is taken back. */
void exchanger_retire(struct exchanger *e, bool retired);
/* Plain clients that are idle go back to the HTTP server (EXCHANGE_RETURNED, without bytes). */
void exchanger_return(struct exchanger *e);
/* Idle clients are closed, the others after their present request. */
void exchanger_stop(struct exchanger *e);
/* Ends all; `closed` is called on the loop when nothing is left, then the exchanger is freed. */
void exchanger_close(struct exchanger *e, void (*closed)(void *context), void *context);

#endif
