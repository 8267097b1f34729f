/* name_failback.h - inside role/name: servers' own names that still lead to their backup though
 * their node is there again, so that sessions which went to the backup end where they are. Only
 * where the service says so, and only for a backup that is named: a new choice holds no session.
 *
 * What is held is seen from one roster to the next, by each name server for itself: one that
 * started meanwhile holds nothing. */
#ifndef ROLE_NAME_FAILBACK_H
#define ROLE_NAME_FAILBACK_H

#include "core/roster/roster.h"
#include "role/name/name.h"

#define NAME_FAILBACK_MAX 256 /* pairs of node and service; others are not held */
#define NAME_FAILBACK_NEVER UINT32_MAX

struct name_failback_pair {
    char node[NAME_MAX_BYTES + 1], service[NAME_MAX_BYTES + 1];
    bool out;          /* its node does not serve */
    uint64_t until_ns; /* not out: to which its name leads to the backup; UINT64_MAX = as long as
                          that is there */
};

struct name_failback {
    size_t count;
    struct name_failback_pair pairs[NAME_FAILBACK_MAX];
};

void name_failback_see(struct name_failback *f, const struct name_config *c, const struct roster *r,
                       uint64_t now_ns);
bool name_failback_held(const struct name_failback *f, const char *node, const char *service);
/* When the next one ends; UINT64_MAX: none does. */
uint64_t name_failback_next(const struct name_failback *f);

#endif
