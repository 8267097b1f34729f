/* descriptors.h - how many connections of each kind a worker may hold, so that no door, however
 * many clients crowd before it, takes the descriptors that the other doors, the checks of the real
 * servers and the administrator need.
 *
 * The limit of open files less what is held in reserve (a sum with one line per holder) is shared
 * by the workers; a worker's part by its doors. */
#ifndef NODE_DESCRIPTORS_H
#define NODE_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESCRIPTORS_EACH_MAX 10000u /* connections of one kind, whatever the limit */

/* Of one worker, at once. */
struct descriptors {
    uint32_t public;   /* connections at the public door whose request is not decided yet */
    uint32_t tunnels;  /* of two descriptors each; and as many last answers */
    uint32_t gate;     /* connections at the session API */
    uint32_t cache;    /* connections of clients of memcached, and as many of Redis */
    uint32_t watchers; /* of the roster */
};

/* doors: public listeners, 1 or 2 (plain and TLS); each has what struct descriptors says of public,
 * tunnels and watchers. */
/* The least limit of open files that a node of so many workers starts with. */
uint64_t descriptors_needed(size_t workers, unsigned doors);
/* The limit above which no connection is refused for want of descriptors. */
uint64_t descriptors_wanted(size_t workers, unsigned doors);
/* False: the limit is below descriptors_needed(). */
bool descriptors_share(uint64_t limit, size_t workers, unsigned doors, struct descriptors *out);

#endif
