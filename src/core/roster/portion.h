/* portion.h - whose records a repository keeps. A server's portion is what its own node owns; a
 * repository has the union of those that it names: nodes, groups of nodes, or other repositories,
 * and then what these have. One that names nobody has all.
 *
 * Repositories of repositories may stand in up to PORTION_TIERS tiers, and may name each other. */
#ifndef CORE_ROSTER_PORTION_H
#define CORE_ROSTER_PORTION_H

#include "core/roster/entry.h"

#define PORTION_TIERS 8             /* beyond the servers' */
#define PORTION_REPOSITORIES_MAX 64 /* of a farm; those beyond are nodes like others */

/* Does e name the node `of`, or a group of it? */
bool portion_names(const struct entry *e, const struct entry *of);
/* Of those that are repositories: which keep what the node `of` owns? keeps[i] tells it of
 * entries[i], and is false for all others. */
void portion_keepers(const struct entry *of, const struct entry *const *entries, size_t count,
                     bool *keeps);

#endif
