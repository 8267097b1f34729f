/* admin_feed.h - what the admin role is told of this node: numbers, phase and own servers, gathered
 * from every part on the admin thread. Everything it points to outlives the admin thread. */
#ifndef NODE_ADMIN_FEED_H
#define NODE_ADMIN_FEED_H

#include "node/bulk.h"
#include "node/mesh_loop.h"
#include "node/upgrade.h"
#include "node/worker.h"
#include "role/admin/admin.h"

struct admin_feed {
    const struct config *config;
    const struct entry *entry; /* as configured; users and health come from the store */
    struct store *store;
    struct repository *repository; /* NULL: there is none */
    struct snapshot *snapshot;     /* NULL: this node keeps no records */
    struct mesh_loop *mesh;
    struct shared *shared;
    struct upgrade *upgrade;
    const struct bulk_counters *bulk;
    uint64_t started_ns;
    struct store_cull cull; /* the last that was asked for */
};

struct admin_source admin_feed_source(struct admin_feed *f);
/* What a phase means to somebody who waits for the node: the start of /readyz' answer. */
bool admin_feed_ready(enum mesh_phase p, const char **reason);

#endif
