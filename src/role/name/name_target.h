/* name_target.h - inside role/name: the servers that a name leads to, by the roster of the moment.
 */
#ifndef ROLE_NAME_TARGET_H
#define ROLE_NAME_TARGET_H

#include "role/name/name_table.h"

struct name_target {
    const struct roster_node *node;
    const struct server *server; /* NULL: the node directs, or stands for itself */
};

/* All equally good. */
struct name_targets {
    size_t count, cap;
    struct name_target *list;
    bool last_resort; /* none of them is up */
};

/* Room for every server of a roster. */
bool name_targets_init(struct name_targets *t, const struct roster *r);
void name_targets_deinit(struct name_targets *t);

/* Those of a service; empty when nobody is up and `nobody` says so. */
void name_targets_service(struct name_targets *t, const struct roster *r,
                          const struct name_service *s, enum name_nobody nobody);
/* Nodes that are up, or the best there is. */
void name_targets_nodes(struct name_targets *t, const struct roster *r);
void name_targets_one(struct name_targets *t, const struct roster_node *n, const struct server *s);
/* Only those of a zone, if there are any. */
void name_targets_near(struct name_targets *t, const char *zone);

/* A server's share of clients, and its users by weight. A node that only directs counts as the
 * servers beside it do on average. */
struct name_share {
    uint32_t weight;
    struct name_load load;
};
struct name_share name_targets_mean(const struct name_targets *t);
struct name_share name_target_share(const struct name_target *t, const struct name_share *mean);
/* A node that answers clients, be it for the last ones. */
bool name_node_serves(const struct roster_node *n);
/* Its addresses of a family (4 or 6) for clients of a network: the public listener's, or else the
 * node's own. */
size_t name_node_addresses(const struct roster_node *n, enum network network, uint8_t family,
                           const struct addr *out[1 + ENTRY_ADDRESSES_MAX]);

#endif
