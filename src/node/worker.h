/* worker.h - one thread of the data path: a loop with its own public listener, name server and
 * session gate. The first one also checks the node's own real servers. */
#ifndef NODE_WORKER_H
#define NODE_WORKER_H

#include "node/decide_setup.h"
#include "node/own.h"
#include "node/setup.h"
#include "role/director/health.h"
#include "role/director/rebalancer.h"
#include "role/gate/gate.h"

#include <uv.h>

/* What all workers read: tables made from the configuration, counters shared. */
struct shared {
    const struct config *config;
    struct store *store;
    const char *token;
    int *agent_fds; /* of the setup */
    struct descriptors descriptors;
    struct tls_setup *tls; /* of the setup */
    struct decide_setup decide;
    struct handoff_once *handoffs;         /* NULL when no service hands over */
    struct journal *journals[WORKERS_MAX]; /* by worker; NULL without a public listener */
    struct secondary_server servers[ENTRY_SERVERS_MAX];
    struct health_check checks[ENTRY_SERVERS_MAX];
    char check_hosts[ENTRY_SERVERS_MAX][CONFIG_TEXT_MAX];
    struct name_config names;
    struct name_book *book; /* NULL without a name server */
    struct roster_rules rosters;
    struct rebalancer_service rebalances[CONFIG_SERVICES_MAX];
    struct rebalancer_shared rebalance;
    struct private_rules private; /* with its key: */
    uint8_t private_key[TOKEN_KEY_BYTES];
    struct own own;
    struct director_counters director;
    const struct tcp_setup *tcp; /* of the setup */
    struct tcp_stick *tcp_stick;
    struct tcp_counters tcp_counters;
    struct name_stats name[WORKERS_MAX][NAME_STATS];
    struct gate_counters gate;
    struct http_counters gate_http;
    const char (*cache_passwords)[CACHE_SECRET_MAX];
    struct cache_counters caches[CACHE_DOORS];
};

struct worker {
    unsigned index;
    struct shared *shared;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    struct director *director, *secure; /* of the plain listener, and of the TLS one */
    struct tcp *tcp[TCP_LISTENERS_MAX];
    struct rebalancer *rebalancer, *secure_rebalancer;
    struct name *name;
    struct gate *gate;
    struct cache *caches[CACHE_DOORS];
    struct health *health; /* the first worker's, as is the next */
    struct own *own;
    unsigned open_parts;
};

/* Derived from the farm's key, so that all nodes agree. */
struct shared_keys {
    uint8_t dns_cookie[DNS_COOKIE_KEY_BYTES]; /* DNS cookies */
    uint8_t token[TOKEN_KEY_BYTES];           /* what clients bring back */
    uint8_t visit[32];                        /* keys of return visits */
    uint8_t private[TOKEN_KEY_BYTES];         /* private fields of records */
};

/* Fills in the tables. */
void shared_init(struct shared *s, struct setup *setup, struct store *store,
                 const struct shared_keys *keys);
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
/* Closes all its connections and ends the thread. */
void worker_stop(struct worker *w);

#endif
