/* rebalancer.h - asks clients of the own servers to move, so that all servers end level: the plan
 * is core/roster/rebalance.h's, who is asked is among those who watch the roster (watch.h) and said
 * whose client they are. One on each worker's loop; what the node has to give is divided among them
 * by how many such clients each one has. */
#ifndef ROLE_DIRECTOR_REBALANCER_H
#define ROLE_DIRECTOR_REBALANCER_H

#include "core/roster/rebalance.h"
#include "role/director/watch.h"
#include "store/store.h"

#define REBALANCER_SERVICES_MAX 16
#define REBALANCER_WORKERS_MAX 64 /* 32 workers with two listeners each */
#define REBALANCER_STEP_MS 1000

/* How many clients that may be asked each worker has. */
struct rebalancer_shared {
    atomic_uint_fast32_t clients[REBALANCER_SERVICES_MAX][REBALANCER_WORKERS_MAX];
};

struct rebalancer_service {
    const char *name;
    bool on;
    struct rebalance_rules rules;
};

/* Strings and tables stay the caller's. */
struct rebalancer_config {
    uv_loop_t *loop;
    struct store *store;
    struct watch *watch; /* stays until rebalancer_close */
    const char *self_name;
    unsigned worker;
    const struct rebalancer_service *services;
    size_t service_count; /* at most REBALANCER_SERVICES_MAX */
    struct rebalancer_shared *shared;
};

struct rebalancer;

/* STEAD_E_NOMEM. */
int rebalancer_open(const struct rebalancer_config *c, struct rebalancer **out);
/* Other services from now on, on the loop; strings and table stay the caller's. */
void rebalancer_set(struct rebalancer *r, const struct rebalancer_service *services, size_t count);
/* Asks nobody any more; `closed` is called on the loop, and it is freed then. */
void rebalancer_close(struct rebalancer *r, void (*closed)(void *context), void *context);

/* This worker's part of `count`, whole ones: the parts of all workers add up to it. 0 when nobody
 * has any clients. */
uint32_t rebalancer_part(const struct rebalancer_shared *s, size_t service, unsigned worker,
                         uint32_t count);

#endif
