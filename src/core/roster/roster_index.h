/* roster_index.h - what a settled snapshot has prepared, so that a look-up costs the same in a farm
 * of any size: hosts of URLs, and for each service the servers that are up, with their weights
 * summed up.
 *
 * Made by the first reader that needs it, of any thread, and shared by all; the policies that draw
 * from it are pick.h's. Within the roster only. */
#ifndef CORE_ROSTER_INDEX_H
#define CORE_ROSTER_INDEX_H

#include "core/roster/pick.h"

struct roster_candidate {
    const struct roster_node *node;
    const struct server *server;
    uint64_t weight_before; /* of all before it */
};

/* In roster order, with a last one behind `count` that only has the sum of all weights. */
struct roster_candidates {
    const char *service;
    size_t count;
    struct roster_candidate *at;
    size_t *least; /* those with the least load */
    size_t least_count;
};

struct roster_index;

/* NULL: the snapshot is not settled, or there is no memory; then one has to walk. */
const struct roster_index *roster_index_of(const struct roster *r);
void roster_index_free(struct roster_index *index); /* takes NULL */

/* As roster_by_host(), without brackets. */
bool roster_index_host(const struct roster_index *index, const char *host, size_t host_len,
                       uint16_t port, const struct roster_node **node,
                       const struct server **server);
/* Of a service; empty when it has none. */
const struct roster_candidates *roster_index_service(const struct roster_index *index,
                                                     const char *service);
/* The first candidate of that node; count when it has none. */
size_t roster_candidates_of(const struct roster_candidates *c, const struct roster_node *node);

/* Of pick.c: may the server be picked as one of that status? And users by weight, then load: <0
 * when a has less than b. */
bool pick_eligible(const struct roster_node *n, const struct server *s, enum status wanted);
int pick_compare_load(const struct server *a, const struct server *b);

#endif
