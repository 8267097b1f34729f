/* worker.h - one thread of the data path: a loop with its own public listener, name server and
 * session gate. The first one also checks the node's own real servers. */
#ifndef NODE_WORKER_H
#define NODE_WORKER_H

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
    struct descriptors descriptors;
    struct decide_config decide;
    struct decide_service services[CONFIG_SERVICES_MAX];
    struct decide_server servers[ENTRY_SERVERS_MAX];
    struct addr forwards[ENTRY_SERVERS_MAX];
    struct health_check checks[ENTRY_SERVERS_MAX];
    char check_hosts[ENTRY_SERVERS_MAX][CONFIG_TEXT_MAX];
    struct name_config names;
    char zones[CONFIG_SERVICES_MAX][CONFIG_TEXT_MAX];
    struct roster_rules rosters;
    struct rebalancer_service rebalances[CONFIG_SERVICES_MAX];
    struct rebalancer_shared rebalance;
    struct director_counters director;
    struct name_stats name;
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
    struct director *director;
    struct rebalancer *rebalancer;
    struct name *name;
    struct gate *gate;
    struct cache *caches[CACHE_DOORS];
    struct health *health; /* the first worker's */
    unsigned open_parts;
};

/* Fills in the tables. */
void shared_init(struct shared *s, const struct setup *setup, struct store *store);

/* Opens its parts on the descriptors (taken over, set to -1) and starts the thread. */
int worker_start(struct worker *w, unsigned index, struct shared *shared,
                 struct worker_sockets *sockets, struct cache_sockets *caches);
/* Closes all its connections and ends the thread. */
void worker_stop(struct worker *w);

#endif
