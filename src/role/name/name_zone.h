/* name_zone.h - inside role/name: what the names of the zones mean, by the roster of the moment. */
#ifndef ROLE_NAME_ZONE_H
#define ROLE_NAME_ZONE_H

#include "core/dns/dns.h"
#include "role/name/name.h"

#define NAME_NODES_MAX 1024

enum name_meaning {
    NAME_OUTSIDE, /* of every zone */
    NAME_UNKNOWN, /* in a zone, but there is no such name */
    NAME_BARE,    /* there is such a name, without addresses: an apex, or a name above others */
    NAME_KNOWN    /* there are addresses, perhaps none of the family that was asked for */
};

/* Nodes that a name leads to, all equally good. */
struct name_targets {
    enum name_meaning meaning;
    const char *zone; /* NULL when outside */
    bool apex;
    bool last_resort; /* none of the nodes is up */
    size_t count;
    const struct roster_node *nodes[NAME_NODES_MAX];
};

/* name is lower case. */
void name_lookup(const struct name_config *c, const struct roster *r, const char *name,
                 struct name_targets *out);
/* A node's address for clients: its public listener's, or else its own. */
const struct addr *name_node_address(const struct roster_node *n);

#endif
