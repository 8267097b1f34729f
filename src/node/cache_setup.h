/* cache_setup.h - the doors for clients of memcached and Redis, from the configuration: their
 * sockets before the threads start, their doors on each worker's loop. */
#ifndef NODE_CACHE_SETUP_H
#define NODE_CACHE_SETUP_H

#include "node/config.h"
#include "role/gate/cache.h"

#define CACHE_DOORS 2 /* by enum cache_protocol */

/* What a worker has for one door; -1 = there is no such section. */
struct cache_sockets {
    int fd[CACHE_DOORS];
};

/* Binds a door's address for `count` workers: a TCP port shared by all, or one unix socket. Says on
 * standard error what failed. */
int cache_bind(const struct config *c, struct cache_sockets *workers, size_t count);
/* The section's password; read once. STEAD_E_DENIED when others than its owner may read the file.
 */
int cache_read_password(const struct cache_section *s, char out[CACHE_SECRET_MAX]);
/* The rules of a door; descriptor, loop, mailbox and counters are the caller's. */
void cache_rules(const struct config *c, enum cache_protocol p, struct cache_config *out);
const struct cache_section *cache_section_of(const struct config *c, enum cache_protocol p);

#endif
