/* exchange_internal.h - the inside of the exchanger: clients, and the request that one has in hand.
 *
 * A client is in one list of those whose time runs for the same reason; each list has one limit, so
 * it is in the order of deadlines. Steps that return false have ended the client: it is gone.
 * Within exchange*.c only.
 */
#ifndef ROLE_DIRECTOR_EXCHANGE_INTERNAL_H
#define ROLE_DIRECTOR_EXCHANGE_INTERNAL_H

#include "core/http/http_body.h"
#include "role/director/exchange.h"
#include "role/director/exchange_head.h"
#include "role/director/flow.h"
#include "role/director/forwarded.h"

#include "base/rng.h"

#define EXCHANGE_INTERIM_MAX 10    /* 1xx before an answer */
#define EXCHANGE_SPARES_MAX 16u    /* requests kept for the next clients */
#define EXCHANGE_SPARE_BYTES 2048u /* of the head that one of them has room for */
#define EXCHANGE_SWEEP_MS 100
#define EXCHANGE_COMPLAIN_MS 10000

/* What is waited for. */
enum wait {
    WAIT_IDLE,
    WAIT_LINGER,
    WAIT_CONNECT,
    WAIT_REQUEST, /* the rest of it, or the server to take it */
    WAIT_ANSWER,  /* its head */
    WAIT_STREAM,  /* the rest of it */
    WAIT_TAKE,    /* the client to take it */
    WAITS
};

struct waiting {
    struct list clients;
    uint32_t limit_ms;
};

struct client {
    struct poller_item item;
    struct stream stream;
    struct exchanger *exchanger;
    struct exchange *exchange; /* NULL: idle, or lingering */
    struct list link;
    uint64_t since_ms;
    char *in; /* read and not used: from in_at on; borrowed: in the exchanger's buffer */
    uint32_t in_at, in_len;
    struct addr peer;
    const struct tls_identity *identity;
    uint8_t wait;
    bool tls, borrowed, shut;
    void *context;
};

/* One request and its answer. */
struct exchange {
    struct client *client;
    struct upstream *upstream; /* NULL: it has done its part */
    struct flow send, back;
    struct http_body asked, answered;
    char *head; /* as for the server */
    size_t head_len, head_cap;
    char *partial; /* of the answer's head */
    size_t partial_len;
    char *lines; /* that the answer gets; NULL: none */
    uint32_t lines_len;
    uint8_t slot;
    struct addr to;
    char *name; /* under TLS, to a server of that name; NULL: plain */
    struct list spare;
    uint64_t started_ns;
    uint16_t status; /* passed on; 0: none yet */
    uint8_t interims;
    bool head_only, idempotent, bodiless, old_client, keep_alive, upgrades;
    bool expects; /* the client waits for 100 Continue */
    bool retried;
    bool binds;     /* its login may hold for the connection: see exchange_binds() */
    bool reused;    /* the connection, for the log */
    bool send_lost; /* the server takes no more of the request */
    bool poisoned;  /* its connection cannot serve another request */
    bool closes;    /* the client was told so */
    bool unchunks;
};

struct exchanger {
    struct exchanger_config config;
    struct poller *poller;
    struct upstreams upstreams;
    uv_timer_t sweep;
    struct waiting own[WAITS];                       /* WAIT_IDLE, LINGER, REQUEST, TAKE */
    struct waiting of_server[UPSTREAM_SLOTS][WAITS]; /* the others */
    struct list spares;
    uint32_t spare_count;
    size_t clients;
    uint64_t complain_at_ms;
    struct rng rng;
    unsigned parts; /* not closed: the poller and the timer */
    bool stopping, closing;
    bool retired; /* clients under TLS are told to open another connection */
    void (*closed)(void *context);
    void *closed_context;
    struct flow_means means;
    struct http_head head;            /* of the request that is parsed */
    struct http_response_head answer; /* likewise */
    char out[HTTP_HEAD_MAX + FORWARDED_ADDED_MAX + EXCHANGE_LINES_MAX]; /* a head that is made */
};

/* exchange.c */
void exchange_count(atomic_uint_fast64_t *counter, int64_t by);
/* Puts the client where it belongs by what it waits for, and watches both sides. */
bool client_settle(struct client *c);
/* Closes the client, or gives it away; the exchange is recorded. All give false. */
bool client_end(struct client *c, enum exchange_end end);
bool client_give(struct client *c, struct exchange_result *r);
/* Half closed, until the client closes too. */
bool client_linger(struct client *c);
/* The answer `status` of our own, and the end; a reset when a part of another was sent. */
bool client_fail(struct client *c, int status);
/* The exchange is over: counted, told and freed, its upstream kept or closed. */
void exchange_over(struct exchange *x);
void client_event(struct poller_item *item, uint32_t events);

/* exchange_request.c */
/* Begins with the next request that was read, if one was. */
bool request_begin(struct client *c);
/* With the first, which was parsed into the exchanger's head. */
bool request_first(struct client *c, const struct exchange_route *route);
/* The client can be read. */
bool request_readable(struct client *c);
bool request_wants(const struct exchange *x);
/* Does a field of that name log in by NTLM or Negotiate? Such a login may hold for the whole
 * connection, which then must not serve anybody else. */
bool exchange_binds(const struct http_header *headers, size_t count, const char *name);
/* The connection to the server came about, or takes more. */
bool request_writable(struct exchange *x);
/* The server broke off before it answered: again, or 502. */
bool request_lost(struct exchange *x);

/* exchange_answer.c */
bool answer_readable(struct exchange *x);
/* The answer is whole, and the client has it. */
bool answer_taken(struct exchange *x);

#endif
