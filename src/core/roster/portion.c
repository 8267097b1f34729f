/* portion.c - whose records a repository keeps (portion.h). */
#include "core/roster/portion.h"

#include <string.h>

bool portion_names(const struct entry *e, const struct entry *of)
{
    for (size_t i = 0; i < e->of_count; i++) {
        if (strcmp(e->of[i], of->name) == 0)
            return true;
        for (size_t g = 0; g < of->group_count; g++)
            if (strcmp(e->of[i], of->groups[g]) == 0)
                return true;
    }
    return false;
}

static bool names_keeper(const struct entry *e, const struct entry *const *entries, size_t count,
                         const bool *keeps)
{
    for (size_t i = 0; i < count; i++)
        if (keeps[i] && portion_names(e, entries[i]))
            return true;
    return false;
}

void portion_keepers(const struct entry *of, const struct entry *const *entries, size_t count,
                     bool *keeps)
{
    bool found = false, tiers = false;
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = entries[i];
        keeps[i] = e->repository && (e->of_count == 0 || portion_names(e, of));
        found |= keeps[i];
        tiers |= e->repository && !keeps[i];
    }
    for (unsigned tier = 1; found && tiers && tier < PORTION_TIERS; tier++) {
        found = false;
        for (size_t i = 0; i < count; i++)
            if (entries[i]->repository && !keeps[i] &&
                names_keeper(entries[i], entries, count, keeps))
                found = keeps[i] = true;
    }
}
