/* own.h - what runs on the first worker's loop to find out and tell of the own real servers: kernel
 * counts, agents that are asked (role/director/users.h), doors for those who ask
 * (role/director/agent_door.h). Made from the configuration. */
#ifndef NODE_OWN_H
#define NODE_OWN_H

#include "node/config.h"
#include "role/director/agent_door.h"
#include "role/director/users.h"

struct own {
    const struct config *config;
    struct store *store;
    struct users_source sources[ENTRY_SERVERS_MAX];
    char sends[ENTRY_SERVERS_MAX][CONFIG_TEXT_MAX + 1];
    struct agent_door_server servers[ENTRY_SERVERS_MAX];
    struct users_counters counters;
    struct agent_door_counters doors_counters;
    struct users *users;
    struct agent_door *doors[ENTRY_SERVERS_MAX];
    unsigned open;
    void (*closed)(void *context);
    void *closed_context;
};

/* Tells the store of the servers; before any thread starts. */
void own_tell_store(const struct config *c, struct store *s);
void own_init(struct own *o, const struct config *c, struct store *s);
/* fds: one listener a section agent, taken over (set to -1). On an error nothing is left open. */
int own_open(struct own *o, uv_loop_t *loop, const struct health *h, int *fds);
/* closed is called on the loop when nothing is left. */
void own_close(struct own *o, void (*closed)(void *context), void *context);

#endif
