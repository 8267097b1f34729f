/* roster_join.c - a snapshot with further servers. Whether they are up is found out elsewhere. */
#include "core/roster/roster_join.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    const struct roster_node *x = a, *y = b;
    return strcmp(x->entry->name, y->entry->name);
}

struct roster *roster_join(struct roster *r, const struct roster_node *more, size_t count,
                           uint64_t later)
{
    if (count == 0 && later == 0)
        return r;
    struct roster *joined = roster_new(r->count + count);
    if (joined == NULL)
        return r;
    size_t n = 0;
    for (; n < r->count; n++)
        joined->nodes[n] = r->nodes[n];
    for (size_t i = 0; i < count; i++)
        if (!roster_find(r, more[i].entry->name))
            joined->nodes[n++] = more[i];
    for (size_t i = 0; i < n; i++)
        entry_ref(joined->nodes[i].entry);
    joined->count = n;
    joined->revision = r->revision + later;
    memcpy(joined->farm, r->farm, sizeof joined->farm);
    qsort(joined->nodes, n, sizeof joined->nodes[0], compare_names);
    roster_settle(joined);
    roster_unref(r);
    return joined;
}
