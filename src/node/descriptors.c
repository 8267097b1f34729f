/* descriptors.c - the sum of what is held in reserve, and the shares of the rest. */
#include "node/descriptors.h"

#include "core/roster/entry.h"
#include "node/tcp_setup.h"
#include "role/admin/admin.h"
#include "role/director/agent_door.h"
#include "role/name/name.h"

/* Of a worker's part: gate 1, caches 2; and for each public listener: public 1, tunnels 2, last
 * answers 1, watchers 1. */
#define PARTS 3u
#define PARTS_A_DOOR 5u
#define EACH_MIN 16u

static uint64_t reserve(size_t workers)
{
    const uint64_t process = 32; /* mesh, admin, state, log, sessiond, files being read */
    const uint64_t admin = 2 * ADMIN_CONNECTIONS_MAX; /* unix and TCP */
    const uint64_t checks = 2 * ENTRY_SERVERS_MAX;    /* one ends while the next begins */
    /* of each server one agent asked, one kernel count; a door with its askers for each */
    const uint64_t agents = ENTRY_SERVERS_MAX * (2 + 1 + AGENT_DOOR_CONNECTIONS_MAX + 1);
    /* a worker's listeners, pollers, and its loop's own */
    const uint64_t loop = 19 + 2 * NAME_LISTENERS_MAX + 3 * TCP_LISTENERS_MAX;
    const uint64_t names = NAME_TCP_CONNECTIONS_MAX + 1;
    return process + admin + checks + agents + workers * (loop + names);
}

static uint64_t parts(size_t workers, unsigned doors)
{
    return workers * (PARTS + doors * PARTS_A_DOOR);
}

uint64_t descriptors_needed(size_t workers, unsigned doors)
{
    return reserve(workers) + parts(workers, doors) * EACH_MIN;
}

uint64_t descriptors_wanted(size_t workers, unsigned doors)
{
    return reserve(workers) + parts(workers, doors) * DESCRIPTORS_EACH_MAX;
}

bool descriptors_share(uint64_t limit, size_t workers, unsigned doors, struct descriptors *out)
{
    if (limit < descriptors_needed(workers, doors))
        return false;
    uint64_t each = (limit - reserve(workers)) / parts(workers, doors);
    if (each > DESCRIPTORS_EACH_MAX)
        each = DESCRIPTORS_EACH_MAX;
    *out = (struct descriptors){(uint32_t)each, (uint32_t)each, (uint32_t)each, (uint32_t)each,
                                (uint32_t)each};
    return true;
}
