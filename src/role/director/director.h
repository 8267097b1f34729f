/* director.h - the public HTTP listener of a node, on one worker's loop.
 *
 * Reads the head of every request and does what decide.h says: redirects, forwards to the own real
 * servers (secondary.h), or answers for itself: /.well-known/stead/roster is the
 * roster (roster_answer.h), which can be watched (watch.h).
 *
 * When the own real server cannot be connected to, the pair is marked unhealthy in the store first,
 * and the client, of whose request nothing was passed on, is redirected to the pair's backup. Who
 * makes it healthy again is health.h.
 */
#ifndef ROLE_DIRECTOR_H
#define ROLE_DIRECTOR_H

#include "io/http_server.h"
#include "role/director/decide.h"
#include "role/director/handoff_once.h"
#include "role/director/journal.h"
#include "role/director/roster_answer.h"
#include "role/director/secondary.h"
#include "role/director/tcp_door.h"
#include "store/store.h"

#define DIRECTOR_VERDICTS (DECIDE_BAD + 1)

/* May be shared by the directors of all workers. */
struct director_counters {
    struct http_counters http;
    struct tcp_door_counters door;
    struct forward_counters forward;
    struct exchange_counters exchange;
    atomic_uint_fast64_t verdicts[DIRECTOR_VERDICTS]; /* by enum decide_verdict */
    atomic_uint_fast64_t returned; /* redirects to the server that the client had */
    atomic_uint_fast64_t warmed;   /* clients whose records were sent before them */
    atomic_uint_fast64_t handoffs_taken, handoffs_refused; /* tokens */
    struct roster_counters roster;
    atomic_uint_fast64_t answers_dropped; /* clients whose tunnel failed, closed without a word */
};

struct director_config {
    uv_loop_t *loop;
    int fd;               /* listening; the director's once it is open */
    struct tls_door *tls; /* of the listener; NULL: plain. Stays until director_close is done */
    const struct tls_keeper *keeper; /* of its clients' TLS sessions, likewise; NULL: none */
    struct store *store;
    const char *self_name;
    const struct decide_config
        *decide; /* copied; all it points to stays until director_set or director_close is done */
    struct handoff_once *handoffs; /* which tokens were taken: the node's; NULL: none are made */
    const struct secondary_server *servers; /* copied: as many as decide->servers */
    struct journal *journal;                /* this worker's */
    uint32_t reserve_ms; /* how long a redirect counts as a user at most (reserve.h); 0 = not */
    struct roster_rules rosters;
    size_t
        proxy_count; /* 0: clients come themselves; else all come by these, with a PROXY header */
    const struct prefix *proxies;
    struct http_limits http;
    struct tls_context *relay_tls; /* to other nodes' https URLs; NULL: nothing is relayed there */
    struct forward_limits forward;
    struct exchange_limits exchange;
    struct director_counters *counters;
};

struct director;

/* STEAD_E_NOMEM, or what http_server_open says; then the descriptor is still the caller's,
 * unless there are proxies. */
int director_open(const struct director_config *c, struct director **out);
/* A connection that was accepted elsewhere: like one of the listener. The descriptor is the
 * director's, also when it has no room and closes it. */
void director_accepted(struct director *d, int fd, const struct addr *peer);
/* Accepts no more, for another process does that on the same socket; until it is taken back. What
 * cannot pass to it is wound up. */
void director_retire(struct director *d, bool retired);
/* Clients that are forwarded and between two requests go back to its door. */
void director_return(struct director *d);
/* As secondary_export() and secondary_import(). */
void director_export(struct director *d, unsigned max, passage_give *give, void *context);
int director_import(struct director *d, const struct passage *p);
/* Its door, to be retired, or to adopt connections. */
struct http_server *director_server(struct director *d);
/* Other tables from the next request on, on the loop; port and scheme of the listener stay. What
 * the old ones pointed to may go when this returns, for all but what holds it (decide_config.held).
 * Servers keep their numbers. */
void director_set(struct director *d, const struct decide_config *decide,
                  const struct secondary_server *servers);
/* No new connections; requests under way and tunnels go on. */
void director_stop_accepting(struct director *d);
/* Clients that are being forwarded. */
size_t director_tunnels(const struct director *d);
/* Those who watch the roster at this listener. */
struct watch *director_watch(struct director *d);
/* Closes everything; `closed` is called on the loop when nothing is left, then the director is
 * freed. */
void director_close(struct director *d, void (*closed)(void *context), void *context);

#endif
