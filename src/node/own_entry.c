/* own_entry.c - from tallies to the entry. How tallies come about is core/roster/tally.h. */
#include "node/own_entry.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

static void log_change(const struct tally_state *was, const struct tally_state *is,
                       const struct server *s)
{
    bool grows = was->grown != is->grown;
    if ((was->weight != is->weight && !grows) || was->capacity != is->capacity ||
        was->down != is->down || was->drain != is->drain || was->maint != is->maint)
        log_info("server-told", "service=%s weight=%u percent=%u capacity=%u state=%s", s->service,
                 is->weight, is->percent, is->capacity,
                 is->maint   ? "maint"
                 : is->down  ? "down"
                 : is->drain ? "drain"
                             : "up");
    if (was->stale == is->stale)
        return;
    if (is->stale)
        log_warn("users-stale", "service=%s from=%s users=%u age_ms=%" PRIu64, s->service,
                 users_from_name(is->from), is->users,
                 (uint64_t)(is->age_ns == TIME_NEVER ? 0 : is->age_ns / NS_PER_MS));
    else
        log_info("users-fresh", "service=%s from=%s users=%u", s->service,
                 users_from_name(is->from), is->users);
}

/* Without word of groups, who uses the server is a user of all its groups. */
static uint32_t users_of(const struct tally_state *t, const char *group)
{
    if (!t->groups_told)
        return t->users;
    for (size_t i = 0; i < t->group_count; i++)
        if (strcmp(t->groups[i], group) == 0)
            return t->group_users[i];
    return 0;
}

static void fill_server(struct server *s, const struct tally_state *t, bool checked, bool maint)
{
    s->users = t->users;
    s->weight = t->weight;
    s->capacity = t->capacity;
    s->load = t->load;
    s->healthy = checked && !t->down;
    s->maint = t->maint || maint;
    s->drain = t->drain;
}

void own_entry_fill(struct own_entry *o, struct store *s, uint64_t now_ns, struct entry *e)
{
    bool maint = store_maint(s);
    memset(e->group_users, 0, sizeof e->group_users);
    for (unsigned i = 0; i < e->server_count; i++) {
        struct tally_state now;
        store_own_state(s, o->place[i], now_ns, &now);
        fill_server(&e->servers[i], &now, store_own_checked(s, o->place[i]), maint);
        for (size_t g = 0; g < e->group_count; g++)
            e->group_users[g] += users_of(&now, e->groups[g]);
        if (o->begun && now.from == o->last[i].from)
            log_change(&o->last[i], &now, &e->servers[i]);
        o->last[i] = now;
    }
    o->begun = true;
}
