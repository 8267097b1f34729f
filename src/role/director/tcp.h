/* tcp.h - the director for services that are not HTTP: plain TCP, whatever is spoken in it, TLS
 * passed through.
 *
 * A listener serves one service, or several whose clients say by TLS which they mean (SNI): the
 * service's own host name, or that of a server of it. Which server a client gets is tcp_target.h's;
 * that it is not reached before the next is tried is done here, and that a client is counted.
 *
 * In line (`transparent`): connections come by TPROXY to a socket that has their servers' own
 * addresses, which tell the server; on from here they have their client's address as source.
 */
#ifndef ROLE_DIRECTOR_TCP_H
#define ROLE_DIRECTOR_TCP_H

#include "base/buzhash.h"
#include "core/tcp/proxy_protocol.h"
#include "io/stream.h"
#include "role/director/passage.h"
#include "role/director/takeover.h"
#include "role/director/tcp_door.h"
#include "role/director/tcp_target.h"
#include "store/store.h"

#define TCP_SERVICES_MAX 16
#define TCP_NOT_OWN SIZE_MAX

/* One service at one listener; strings stay the caller's. */
struct tcp_service {
    struct tcp_target_rule rule;
    const char *host; /* of the service's URL */
    enum tcp_affinity affinity;
    uint32_t life_ms;           /* of a session between connections */
    bool between;               /* nodes tell each other the client by a PROXY header */
    size_t own;                 /* number in the store; TCP_NOT_OWN */
    struct addr to;             /* own: the real server */
    struct takeover_mark *mark; /* own: of its address; NULL: it is never taken over */
    enum proxy_protocol out;    /* own: the header that the real server wants */
    size_t url_count;           /* own */
    const char *urls[SERVER_URLS_MAX];
    /* In line, of a service of HTTP: a client that cannot be served is handed to the HTTP listener,
     * which answers it with a redirect. */
    bool http;
    bool tls; /* and that listener is the one under TLS */
};

struct tcp_counters {
    struct forward_counters forward;
    struct tcp_door_counters door;
    atomic_uint_fast64_t own, backup, balanced; /* connections given to */
    atomic_uint_fast64_t nobody;  /* reset: no server is up, or none of TCP_TRIES_MAX was reached */
    atomic_uint_fast64_t unnamed; /* reset: no service of that name, or in line no such address */
    atomic_uint_fast64_t busy;    /* reset: for want of room or descriptors */
    atomic_uint_fast64_t handed;  /* in line, to the HTTP listener */
};

struct tcp_config {
    uv_loop_t *loop;
    int fd; /* listening; taken over once it is open */
    struct store *store;
    const char *self_name, *what; /* what: the listener, for the log */
    const struct tcp_service *services;
    size_t service_count; /* at most TCP_SERVICES_MAX */
    const struct buzhash *keys;
    struct tcp_stick *stick; /* of the node */
    size_t proxy_count;
    const struct prefix *proxies; /* who sends PROXY headers, and must */
    bool transparent;
    uint32_t waiting_max;
    struct forward_limits forward;
    struct tcp_counters *counters;
    /* In line; takes the connection, of which nothing was read. NULL: there is no HTTP listener. */
    void (*hand)(void *context, int fd, const struct addr *peer, bool tls);
    void *context;
};

struct tcp;

/* STEAD_E_NOMEM, IO: then the descriptor is still the caller's. */
int tcp_open(const struct tcp_config *c, struct tcp **out);
/* Accepts no more, for another process does on the same socket; until it is taken back. */
void tcp_retire(struct tcp *t, bool retired);
/* Running tunnels, at most `max`, pass to another process: as forwarder_export(). */
void tcp_export(struct tcp *t, unsigned max, passage_give *give, void *context);
/* As forwarder_import(). STEAD_E_NOT_FOUND: it is of no service of this listener. */
int tcp_import(struct tcp *t, const struct passage *p);
void tcp_stop_accepting(struct tcp *t); /* what is open goes on */
size_t tcp_tunnels(const struct tcp *t);
void tcp_close(struct tcp *t, void (*closed)(void *context), void *context);

#endif
