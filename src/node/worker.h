/* worker.h - one thread of the data path: a loop with its own public listener, name server and
 * session gate. The first one also checks the node's own real servers. */
#ifndef NODE_WORKER_H
#define NODE_WORKER_H

#include "node/keyring.h"
#include "node/live.h"
#include "node/own.h"
#include "node/setup.h"
#include "node/tickets.h"
#include "node/worker_hand.h"
#include "role/director/health.h"
#include "role/director/rebalancer.h"
#include "role/director/session_keep.h"
#include "role/gate/gate.h"
#include "role/gate/sessiond_door.h"

#include <uv.h>

/* What all workers read: tables made from the configuration, counters shared. */
struct shared {
    const struct config *config; /* as at the start: what cannot change while the node runs */
    struct live_now now;
    struct live *first; /* kept: the name server's sockets were opened by it */
    struct shared_keys keys;
    size_t worker_count;
    struct store *store;
    const char *token;
    int *agent_fds; /* of the setup */
    struct descriptors descriptors;
    struct tls_setup *tls; /* of the setup */
    struct handoff_once *handoffs;
    struct journal *journals[WORKERS_MAX]; /* by worker; NULL without a public listener */
    struct name_book *book;                /* NULL without a name server */
    struct roster_rules rosters;
    struct rebalancer_shared rebalance;
    struct private_rules private;
    struct key_rings *rings; /* of the node */
    bool succeeds;           /* another process was this node until now */
    struct own own;
    struct director_counters director;
    struct session_keep_counters kept;
    const struct tcp_setup *tcp; /* of the setup */
    struct tcp_stick *tcp_stick;
    struct tcp_counters tcp_counters;
    struct takeover_counters takeover_counters;
    struct name_stats name[WORKERS_MAX][NAME_STATS];
    struct gate_counters gate;
    struct http_counters gate_http;
    const char (*cache_passwords)[CACHE_SECRET_MAX];
    struct cache_counters caches[CACHE_DOORS];
    int *sessiond_fd; /* of the setup */
    struct sessiond_counters sessiond;
    struct tickets *tickets; /* NULL: no section */
    struct tickets_counters ticket_counters;
};

struct worker {
    unsigned index;
    struct shared *shared;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t stop, renew;
    struct live *live;                  /* what its parts go by */
    struct session_keep *keep;          /* of the TLS listener's clients */
    struct director *director, *secure; /* of the plain listener, and of the TLS one */
    struct tcp *tcp[TCP_LISTENERS_MAX];
    struct takeover *takeover; /* the first worker's */
    struct rebalancer *rebalancer, *secure_rebalancer;
    struct name *name;
    struct gate *gate;
    struct cache *caches[CACHE_DOORS];
    struct health *health; /* the first worker's, as are the next */
    struct own *own;
    struct sessiond_door *sessiond;
    unsigned open_parts;
    struct worker_hand hand;
};

/* Fills in the tables; file: the configuration without operators' changes. STEAD_E_NOMEM. */
int shared_init(struct shared *s, struct setup *setup, struct store *store,
                const struct shared_keys *keys, struct key_rings *rings, const struct config *file);
/* Makes what needs memory, and reads the name server's records; says on standard error what is
 * wrong with them. */
int shared_open(struct shared *s);
void shared_close(struct shared *s); /* when no worker runs */

/* Opens its parts on the descriptors (taken over, set to -1) and starts the thread. */
int worker_start(struct worker *w, unsigned index, struct shared *shared,
                 struct worker_sockets *sockets, struct cache_sockets *caches);
/* Its listeners that are not HTTP's; worker_tcp.c. */
int worker_tcp_open(struct worker *w, struct worker_sockets *sockets);
void worker_tcp_close(struct worker *w, void (*closed)(void *context));
/* From any thread: there is a newer shared->now, which it takes between two events. */
void worker_renew(struct worker *w);
/* On its loop: it closes what tells of the node, or is told of it, and no client waits for. */
void worker_quiet(struct worker *w);
/* Closes all its connections and ends the thread. */
void worker_stop(struct worker *w);

#endif
