/* shortlist.c - the wishes of one client. The choice itself is core/roster/pick.c's. */
#include "client/shortlist.h"

#include "base/mem.h"
#include "stead/error.h"

#include <string.h>

const char *verdict_text(enum verdict v)
{
    static const char *const texts[] = {
        [VERDICT_CANDIDATE] = "candidate",
        [VERDICT_SERVICE] = "another service",
        [VERDICT_GROUP] = "not in the group",
        [VERDICT_ZONE] = "another zone",
        [VERDICT_EXCLUDED] = "excluded",
        [VERDICT_NOT_NAMED] = "not named by the move",
        [VERDICT_URL] = "no URL that may be followed",
        [VERDICT_PENALTY] = "failed lately",
        [VERDICT_WEIGHT] = "weight 0",
        [VERDICT_STATUS] = "not up",
        [VERDICT_FULL] = "full",
        [VERDICT_SUSPECT] = "suspect",
    };
    return (size_t)v < sizeof texts / sizeof texts[0] ? texts[v] : "unknown";
}

const char *shortlist_service(const struct roster *r)
{
    const char *service = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const char *own = r->nodes[i].entry->servers[0].service;
        if (service && strcmp(service, own) != 0)
            return NULL;
        service = own;
    }
    return service;
}

static bool is_excluded(const struct wish *w, const char *name)
{
    for (size_t i = 0; i < w->exclude_count; i++)
        if (strcmp(name, w->exclude[i]) == 0)
            return true;
    return w->leave && strcmp(name, w->leave) == 0;
}

static bool is_named(const struct wish *w, const char *name)
{
    for (size_t i = 0; i < w->only_count; i++)
        if (strcmp(name, w->only[i]) == 0)
            return true;
    return w->only_count == 0;
}

static bool in_group(const struct entry *e, const char *group)
{
    for (size_t i = 0; i < e->group_count; i++)
        if (strcmp(e->groups[i], group) == 0)
            return true;
    return false;
}

enum verdict shortlist_judge(const struct wish *w, const struct roster_node *n)
{
    const struct entry *e = n->entry;
    const struct server *s = &e->servers[0];
    struct http_url url;
    if (strcmp(s->service, w->service) != 0)
        return VERDICT_SERVICE;
    if (w->group && !in_group(e, w->group))
        return VERDICT_GROUP;
    if (w->zone && strcmp(e->zone, w->zone) != 0)
        return VERDICT_ZONE;
    if (is_excluded(w, e->name))
        return VERDICT_EXCLUDED;
    if (!is_named(w, e->name))
        return VERDICT_NOT_NAMED;
    if (!allow_url(w->allow, s, w->allow->tls, &url))
        return VERDICT_URL;
    if (s->weight == 0)
        return VERDICT_WEIGHT;
    enum status status = roster_server_status(n, s);
    if (status == STATUS_FULL || (s->capacity && s->users >= s->capacity))
        return VERDICT_FULL;
    if (status != STATUS_UP && status != STATUS_SUSPECT)
        return VERDICT_STATUS;
    if (w->penalty && penalty_has(w->penalty, e->name, w->now_ms))
        return VERDICT_PENALTY;
    return status == STATUS_UP ? VERDICT_CANDIDATE : VERDICT_SUSPECT;
}

/* pick() walks all servers of what it is given, so it is given only those that count. */
static struct roster *take(const struct wish *w, const struct roster *r, enum verdict wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++)
        count += shortlist_judge(w, &r->nodes[i]) == wanted;
    struct roster *list = roster_new(count);
    for (size_t i = 0, n = 0; list && i < r->count; i++) {
        if (shortlist_judge(w, &r->nodes[i]) != wanted)
            continue;
        list->nodes[n] = r->nodes[i];
        entry_ref(list->nodes[n++].entry);
    }
    return list;
}

/* The node of the whole roster behind a choice from a part of it. Entries are shared, so the server
 * is the same object; nodes of one name with several services stand side by side. */
static void point_into(const struct roster *r, struct pick_choice *c)
{
    c->node = roster_find(r, c->node->entry->name);
    while (&c->node->entry->servers[0] != c->server)
        c->node++;
}

int shortlist_pick(const struct wish *w, const struct roster *r, uint64_t chance,
                   struct pick_choice *out, struct shortlist_why *why)
{
    static const enum verdict order[] = {VERDICT_CANDIDATE, VERDICT_SUSPECT, VERDICT_PENALTY};
    const struct pick_filter f = {.service = w->service};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct roster *list = take(w, r, order[i]);
        if (!list)
            return STEAD_E_NOMEM;
        bool found = pick(list, &f, w->policy, true, chance, out);
        if (found) {
            point_into(r, out);
            if (why) {
                why->among = order[i];
                why->drawn_count = pick_drawn(list, &f, w->policy, true, chance, why->drawn);
                for (size_t k = 0; k < why->drawn_count; k++)
                    point_into(r, &why->drawn[k]);
            }
        }
        roster_unref(list);
        if (found)
            return STEAD_OK;
    }
    return STEAD_E_NO_SERVER;
}
