/* name_target.c - who is good for a client. */
#include "role/name/name_target.h"

#include "base/mem.h"

#include <string.h>

/* How good a node is for a client, best first. Targets are of one grade only. */
enum grade { GRADE_UP, GRADE_DOUBTFUL, GRADE_KNOWN, GRADE_NONE };

bool name_targets_init(struct name_targets *t, const struct roster *r)
{
    size_t cap = 0;
    for (size_t i = 0; i < r->count; i++)
        cap += r->nodes[i].entry->server_count + 1u;
    *t = (struct name_targets){.cap = cap, .list = mem_alloc(cap * sizeof *t->list)};
    return t->list != NULL;
}

void name_targets_deinit(struct name_targets *t)
{
    mem_free(t->list);
    t->list = NULL;
}

static enum grade grade_status(enum status s)
{
    switch (s) {
    case STATUS_UP:
        return GRADE_UP;
    case STATUS_FULL:
    case STATUS_SUSPECT:
        return GRADE_DOUBTFUL;
    case STATUS_LEFT:
        return GRADE_NONE;
    default:
        return GRADE_KNOWN;
    }
}

static bool in_group(const struct entry *e, const char *group)
{
    if (!group || !*group)
        return true;
    for (size_t i = 0; i < e->group_count; i++)
        if (strcmp(e->groups[i], group) == 0)
            return true;
    return false;
}

/* Weight 0 says "no new clients": as good as full. */
static enum grade grade_server(const struct roster_node *n, const struct server *s)
{
    enum grade g = grade_status(roster_server_status(n, s));
    return g == GRADE_UP && s->weight == 0 ? GRADE_DOUBTFUL : g;
}

static enum grade grade_director(const struct roster_node *n)
{
    if (!roster_is_director(n) || n->entry->public.family == 0)
        return GRADE_NONE;
    return grade_status(n->status);
}

/* Whoever is better than all before takes their place. */
static void offer(struct name_targets *t, enum grade *best, enum grade g,
                  const struct roster_node *n, const struct server *s)
{
    if (g > *best || g == GRADE_NONE)
        return;
    if (g < *best)
        t->count = 0;
    *best = g;
    t->list[t->count++] = (struct name_target){n, s};
}

static enum grade offer_directors(struct name_targets *t, const struct roster *r, enum grade best)
{
    for (size_t i = 0; i < r->count; i++)
        offer(t, &best, grade_director(&r->nodes[i]), &r->nodes[i], NULL);
    return best;
}

static enum grade offer_servers(struct name_targets *t, const struct roster *r,
                                const struct name_service *s, enum grade best)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *own = roster_server(n, s->id);
        if (own && in_group(n->entry, s->group))
            offer(t, &best, grade_server(n, own), n, own);
    }
    return best;
}

/* Servers stand in for directors that are worse than they. */
static enum grade offer_both(struct name_targets *t, const struct roster *r,
                             const struct name_service *s)
{
    enum grade best = GRADE_NONE, directors = GRADE_NONE;
    if (s->mode != NAME_SERVERS)
        best = directors = offer_directors(t, r, best);
    if (s->mode == NAME_DIRECTORS && directors == GRADE_UP)
        return best;
    size_t before = t->count;
    best = offer_servers(t, r, s, best);
    if (s->mode == NAME_DIRECTORS && best == directors)
        t->count = before; /* as good as the directors, whose turn it is */
    return best;
}

void name_targets_service(struct name_targets *t, const struct roster *r,
                          const struct name_service *s, enum name_nobody nobody)
{
    t->count = 0;
    enum grade best = offer_both(t, r, s);
    t->last_resort = best != GRADE_UP;
    if (t->last_resort && nobody != NAME_NOBODY_ALL)
        t->count = 0;
}

void name_targets_nodes(struct name_targets *t, const struct roster *r)
{
    enum grade best = GRADE_NONE;
    t->count = 0;
    for (size_t i = 0; i < r->count; i++)
        offer(t, &best, grade_status(r->nodes[i].status), &r->nodes[i], NULL);
    t->last_resort = best != GRADE_UP;
}

void name_targets_one(struct name_targets *t, const struct roster_node *n, const struct server *s)
{
    t->list[0] = (struct name_target){n, s};
    t->count = 1;
    t->last_resort = false;
}

void name_targets_near(struct name_targets *t, const char *zone)
{
    size_t near = 0;
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->list[i].node->entry->zone, zone) == 0)
            near++;
    if (near == 0)
        return;
    near = 0;
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->list[i].node->entry->zone, zone) == 0)
            t->list[near++] = t->list[i];
    t->count = near;
}

struct name_share name_targets_mean(const struct name_targets *t)
{
    struct name_share mean = {.weight = 1, .load.report = LOAD_UNKNOWN};
    uint64_t weight = 0, servers = 0;
    float users = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!t->list[i].server)
            continue;
        struct name_share own = name_target_share(&t->list[i], NULL);
        weight += own.weight;
        users += own.load.users;
        servers++;
    }
    if (servers) {
        mean.weight = (uint32_t)(weight / servers);
        mean.load.users = users / (float)servers;
    }
    return mean;
}

struct name_share name_target_share(const struct name_target *t, const struct name_share *mean)
{
    const struct server *s = t->server;
    if (!s)
        return *mean;
    float weight = s->weight ? (float)s->weight : 1;
    return (struct name_share){s->weight, {(float)s->users / weight, s->load}};
}

bool name_node_serves(const struct roster_node *n)
{
    return n->status != STATUS_DOWN && n->status != STATUS_LEFT;
}

size_t name_node_addresses(const struct roster_node *n, enum network network, uint8_t family,
                           const struct addr *out[1 + ENTRY_ADDRESSES_MAX])
{
    if (n->entry->public.family)
        return entry_public(n->entry, network, family, out);
    out[0] = &n->entry->address;
    return n->entry->address.family == family;
}
