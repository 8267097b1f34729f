/* roster_show.h - the roster as it is shown to the outside: whole (JSON, lines of text) and as the
 * difference of two snapshots. docs/roster-api.md.
 *
 * What is shown depends on who asks: for which service, from which network (each is told addresses
 * that it can reach), and how much he may know (coarse: no counts, load in quarters). Servers stand
 * in roster order, so equal snapshots give equal bytes. */
#ifndef CORE_ROSTER_SHOW_H
#define CORE_ROSTER_SHOW_H

#include "core/roster/roster.h"

struct roster_show {
    const char *service; /* NULL = all */
    enum network network;
    bool coarse;              /* no users, capacity, group_users; load in quarters */
    uint32_t retry_window_ms; /* of retry_window.h */
    const char *after;        /* only nodes behind this name; NULL = from the first */
    size_t limit;             /* servers; the last node's are told all the same; 0 = no limit */
};

#define ROSTER_LOAD_STEP 250 /* of a coarse load */

/* {"farm","revision","retry_window_ms","next"?,"servers":[...]}; `next` is what to give as `after`
 * for what did not fit in `limit`. Ended by NUL, freed with mem_free; NULL without memory. */
char *roster_show_json(const struct roster *r, const struct roster_show *show, size_t *len);
/* One line a server, columns divided by tabs, "-" for what is empty or not told: name, service,
 * status, users, capacity, weight, load, groups, zone, address, urls (lists by commas). */
char *roster_show_text(const struct roster *r, const struct roster_show *show, size_t *len);

/* What is shown otherwise in `to` than in `from`: {"revision","retry_window_ms"?,"servers":[...],
 * "gone":[{"name","service"}]}; the window of `to` only when it is another than window_before.
 * *out = NULL when the two look the same. STEAD_E_NOMEM. Paging has no place here. */
int roster_delta(const struct roster *from, const struct roster *to, const struct roster_show *show,
                 uint32_t window_before, char **out, size_t *len);
/* Do they differ in more than counts (users, load, users of groups)? Counts change all the time and
 * may be told less often. */
bool roster_delta_urgent(const struct roster *from, const struct roster *to, const char *service);

#endif
