/* own_entry.h - what the store knows of the own real servers, carried into the node's own entry:
 * the one way in which counts, weights and states come to all who read a roster. */
#ifndef NODE_OWN_ENTRY_H
#define NODE_OWN_ENTRY_H

#include "store/store_own.h"

struct own_entry {
    bool begun;
    uint8_t place[ENTRY_SERVERS_MAX];           /* the store's number of each server of the entry */
    struct tally_state last[ENTRY_SERVERS_MAX]; /* as last logged; of the entry's servers */
};

/* Fills in the servers' counts and states and the groups' users; what else is in e stays. Logs each
 * change of weight or state once, and a source of users that falls silent or speaks again. */
void own_entry_fill(struct own_entry *o, struct store *s, uint64_t now_ns, struct entry *e);

#endif
