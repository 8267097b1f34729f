/* member_roster.c - what membership shows: the snapshot for readers, contacts for the session
 * shards, addresses for the disk. */
#include "core/roster/member_state.h"
#include "core/roster/portion.h"

#include <stdlib.h>
#include <string.h>

/* One that joins stands behind the one that it shall succeed, and before one that is gone. */
static int shown_rank(const struct roster_node *n)
{
    if (n->status == STATUS_JOINING)
        return 2 * STATUS_MAINT + 1;
    return 2 * (int)n->status;
}

/* In the order in which one of two nodes of the same name is shown: the more alive, then the newer.
 */
static int compare_shown(const void *a, const void *b)
{
    const struct roster_node *x = a, *y = b;
    int order = strcmp(x->entry->name, y->entry->name);
    if (order != 0)
        return order;
    if (x->status != y->status)
        return shown_rank(x) - shown_rank(y);
    return -entry_compare(x->entry, y->entry);
}

static bool in_roster(const struct contact *c)
{
    return c->presence != PRESENCE_REPLACED && !c->dormant && !c->superseded;
}

/* Since this node had a sign of its life, by whatever message. Most of a large farm it meets
 * seldom: that SWIM holds one for alive is a sign as well. */
static uint64_t silent_ms(const struct membership *m, const struct contact *c, uint64_t now_ns)
{
    struct swim_view v;
    uint64_t since = (now_ns - (c->heard_ns == 0 ? m->start_ns : c->heard_ns)) / NS_PER_MS;
    if (!member_paired(m, c) && c->rank == SWIM_ALIVE)
        return 0;
    bool met = swim_look(m->swim, c->entry->inc, now_ns, &v) && v.rank <= SWIM_SUSPECT;
    return met && v.since_ms < since ? v.since_ms : since;
}

static size_t drop_same_names(struct roster_node *nodes, size_t count)
{
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(nodes[i].entry->name, nodes[kept - 1].entry->name) != 0)
            nodes[kept++] = nodes[i];
        else
            entry_unref(nodes[i].entry);
    }
    return kept;
}

struct roster *membership_roster(struct membership *m, uint64_t now_ns)
{
    size_t count = 1;
    for (size_t i = 0; i < m->contacts.count; i++)
        count += in_roster(m->contacts.items[i]);
    struct roster *r = roster_new(count);
    struct entry *self = entry_new(&m->self);
    if (r == NULL || self == NULL) {
        m->roster_dirty = true;
        entry_unref(self);
        roster_unref(r);
        return NULL;
    }
    r->revision = ++m->roster_revision;
    memcpy(r->farm, m->farm, sizeof r->farm);
    r->nodes[0] = (struct roster_node){.entry = self, .status = m->self.status, .self = true};
    size_t n = 1;
    for (size_t i = 0; i < m->contacts.count; i++) {
        const struct contact *c = m->contacts.items[i];
        if (!in_roster(c))
            continue;
        r->nodes[n++] = (struct roster_node){
            .entry = entry_ref(c->entry),
            .status = contact_status(c),
            .heard_ms = silent_ms(m, c, now_ns),
            .self = c->entry->node == m->self.node,
        };
    }
    qsort(r->nodes, count, sizeof r->nodes[0], compare_shown);
    r->count = drop_same_names(r->nodes, count);
    roster_settle(r);
    return r;
}

/* FNV-1a: nodes of one zone have one number everywhere. */
static uint64_t zone_number(const struct entry *e)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (const char *c = e->zone; *c; c++)
        h = (h ^ (uint8_t)*c) * 0x100000001b3ull;
    return h;
}

uint64_t membership_zone(const struct membership *m)
{
    return zone_number(&m->self);
}

static bool share_group(const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < a->group_count; i++)
        for (size_t j = 0; j < b->group_count; j++)
            if (strcmp(a->groups[i], b->groups[j]) == 0)
                return true;
    return false;
}

static bool backs_up(const struct entry *e, const struct entry *by)
{
    for (size_t i = 0; i < e->server_count; i++)
        if (strcmp(e->servers[i].backup, by->name) == 0)
            return true;
    return false;
}

/* The incarnations of those who keep what this node owns. */
static size_t find_keepers(const struct membership *m, uint64_t *incs)
{
    const struct entry *repositories[PORTION_REPOSITORIES_MAX] = {NULL};
    bool keeps[PORTION_REPOSITORIES_MAX];
    size_t count = 0, n = 0;
    for (size_t i = 0; i < m->contacts.count && count < PORTION_REPOSITORIES_MAX; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->entry->repository && contact_shown(c))
            repositories[count++] = c->entry;
    }
    portion_keepers(&m->self, repositories, count, keeps);
    for (size_t i = 0; i < count; i++)
        if (keeps[i])
            incs[n++] = repositories[i]->inc;
    return n;
}

static bool is_among(uint64_t inc, const uint64_t *incs, size_t count)
{
    size_t i = 0;
    while (i < count && incs[i] != inc)
        i++;
    return i < count;
}

size_t membership_contacts(const struct membership *m, struct member_contact *out, size_t max)
{
    uint64_t keepers[PORTION_REPOSITORIES_MAX];
    size_t n = 0, keeper_count = find_keepers(m, keepers);
    for (size_t i = 0; i < m->contacts.count; i++) {
        const struct contact *c = m->contacts.items[i];
        if (!contact_shown(c))
            continue;
        if (n < max)
            out[n] = (struct member_contact){
                .inc = c->entry->inc,
                .node = c->entry->node,
                .status = contact_state(c),
                /* What a replaced process kept is gone with it. */
                .holds = c->entry->holds && c->presence != PRESENCE_REPLACED,
                .mate = share_group(&m->self, c->entry),
                .wish =
                    is_among(c->entry->inc, keepers, keeper_count) || backs_up(&m->self, c->entry),
                .repository = c->entry->repository,
                .zone = zone_number(c->entry),
                .name = c->entry->name,
                .lease_until_ns = c->lease_until_ns,
                .counted = c->counted,
                .granted = c->granted,
            };
        n++;
    }
    return n;
}

static size_t addresses_of(const struct membership *m, enum presence p, struct addr *out,
                           size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < m->contacts.count && n < max; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->presence == p && !c->dormant)
            out[n++] = c->addr;
    }
    return n;
}

size_t membership_addresses(const struct membership *m, struct addr *out, size_t max)
{
    size_t n = addresses_of(m, PRESENCE_HEARD, out, max);
    n += addresses_of(m, PRESENCE_TOLD, out + n, max - n);
    return n + addresses_of(m, PRESENCE_OUT, out + n, max - n);
}
