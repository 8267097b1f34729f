/* forward_setup.h - the configuration as the secondary's rules and limits. */
#ifndef NODE_FORWARD_SETUP_H
#define NODE_FORWARD_SETUP_H

#include "node/config.h"
#include "role/director/director.h"

/* One for each of the configuration's servers. */
void forward_setup(struct secondary_server servers[ENTRY_SERVERS_MAX], const struct config *c);
/* The times of its public listener. */
void forward_setup_limits(const struct config *c, struct director_config *out);

#endif
