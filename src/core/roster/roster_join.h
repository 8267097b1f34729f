/* roster_join.h - servers that no node stands beside: they are told by the configuration, and join
 * the snapshot as if they were nodes, so that whatever reads it knows them. */
#ifndef CORE_ROSTER_ROSTER_JOIN_H
#define CORE_ROSTER_ROSTER_JOIN_H

#include "core/roster/roster.h"

/* A new, settled snapshot of r's nodes and of `more`, ordered by name, its revision raised by
 * `later`; of two of one name, r's node is shown. Takes r's reference; `more` stays the caller's.
 * Without memory it is r itself, so that the farm is not forgotten for want of them. */
struct roster *roster_join(struct roster *r, const struct roster_node *more, size_t count,
                           uint64_t later);

#endif
