/* own.h - what runs on the first worker's loop to find out and tell of the own real servers: kernel
 * counts, agents that are asked (role/director/users.h), doors for those who ask
 * (role/director/agent_door.h). Made from the configuration, and made anew when it changes. */
#ifndef NODE_OWN_H
#define NODE_OWN_H

#include "node/live.h"
#include "role/director/agent_door.h"
#include "role/director/users.h"

/* Who is asked by one snapshot of the configuration; it goes when the last question has ended. */
struct own_asking {
    struct own *own;
    struct live *live;
    struct users_source sources[ENTRY_SERVERS_MAX];
    char sends[ENTRY_SERVERS_MAX][CONFIG_TEXT_MAX + 1];
    struct users *users;
};

struct own {
    struct store *store;
    uv_loop_t *loop;
    const struct health *health;
    struct live *live; /* what the doors speak of */
    struct agent_door_server servers[ENTRY_SERVERS_MAX];
    struct users_counters counters;
    struct agent_door_counters doors_counters;
    struct own_asking *asking;
    struct agent_door *doors[ENTRY_SERVERS_MAX];
    unsigned open;
    void (*closed)(void *context);
    void *closed_context;
};

/* Tells the store of the servers: at the start, and of each change. */
void own_tell_store(const struct config *c, struct store *s);
void own_init(struct own *o, struct store *s);
/* fds: one listener a section agent, taken over (set to -1). On an error nothing is left open. */
int own_open(struct own *o, uv_loop_t *loop, struct live *live, const struct health *h, int *fds);
/* On the loop: the configuration has changed. Without memory the old one is asked by. */
void own_set(struct own *o, struct live *live);
/* closed is called on the loop when nothing is left. */
void own_close(struct own *o, void (*closed)(void *context), void *context);

#endif
