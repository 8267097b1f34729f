/* sim_farm.c - the nodes together: how they are made, and what can be asked of all of them. */
#include "sim_fault.h"
#include "sim_node.h"

#include <stdlib.h>

#define MEMORY_BYTES (256u << 20)
#define MEMORY_TIGHT_MIN (4u << 10) /* a few records, and ten times as many */
#define MEMORY_TIGHT_MAX (60u << 10)
#define HARM_PAST_NS SEC(3) /* longer than a count-out: what a fault broke is seen by then */

/* The first two nodes are everybody's contacts, and each other's. */
static void nodes_contacts(struct sim_node *n, struct rng *r)
{
    uint64_t draw = rng_below(r, 3);
    for (unsigned i = 0; i < 2; i++)
        if (n->slot != i && (n->slot < 2 || draw == i || draw == 2))
            n->join[n->join_count++] = i;
}

/* One of them, or two. */
static void nodes_repositories(const struct sim *s, struct sim_node *nodes, struct rng *r)
{
    unsigned first = (unsigned)rng_below(r, s->node_count);
    unsigned count = sim_chance(r, 300) ? 2 : 1;
    for (unsigned i = 0; i < count; i++) {
        struct sim_node *n = &nodes[(first + i) % s->node_count];
        n->shelf.on = n->entry.holds = true;
    }
}

struct sim_node *sim_nodes_new(struct sim *s)
{
    struct sim_node *nodes = calloc(SIM_SLOTS, sizeof *nodes);
    struct rng r;
    rng_init(&r, s->opt.seed ^ 0x6e6f6465);
    unsigned bystander = SIM_SLOTS; /* one that keeps no records, now and then */
    if (s->node_count >= 4 && sim_chance(&r, 150))
        bystander = (unsigned)rng_below(&r, s->node_count);
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        struct sim_node *n = &nodes[i];
        n->slot = n->home = i;
        n->addr = sim_net_addr(i);
        snprintf(n->name, sizeof n->name, "n%u", i + 1);
        n->entry.holds = i != bystander || s->scenario == SCENARIO_QUORUM;
        n->memory_bytes = MEMORY_BYTES;
        if (s->scenario == SCENARIO_FULL)
            n->memory_bytes = sim_between(&r, MEMORY_TIGHT_MIN, MEMORY_TIGHT_MAX);
        n->clock_ppm = (int32_t)rng_below(&r, 100001) - 50000;
        n->clock_offset_ns = SEC(1) + rng_below(&r, SEC(1000000));
        n->wake_ns = TIME_NEVER;
        rng_init(&n->rng, rng_u64(&r));
        nodes_contacts(n, &r);
        list_init(&n->inbox);
        list_init(&n->calls);
        list_init(&n->outgoing);
        list_init(&n->held);
    }
    if (s->scenario == SCENARIO_REPOSITORY)
        nodes_repositories(s, nodes, &r);
    return nodes;
}

void sim_nodes_free(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        sim_node_kill(s, i);
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        sim_shelf_free(&s->nodes[i]);
    free(s->nodes);
}

const struct record *sim_node_peek(struct sim_node *n, const struct key *key, bool *owned)
{
    bool ignored;
    bool *out = owned ? owned : &ignored;
    *out = false;
    return sim_node_alive(n) ? session_peek(sim_node_shard(n, key), key, out) : NULL;
}

struct sim_node *sim_node_by_inc(struct sim *s, uint64_t inc)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        if (sim_node_alive(&s->nodes[i]) && s->nodes[i].inc == inc)
            return &s->nodes[i];
    return NULL;
}

void sim_node_stats(const struct sim_node *n, struct session_stats *out)
{
    *out = (struct session_stats){0};
    for (unsigned i = 0; i < n->shard_count && n->shards[i]; i++) {
        struct session_stats one;
        session_stats(n->shards[i], &one);
        out->records += one.records;
        out->owned += one.owned;
        out->copies += one.copies;
        out->memory_bytes += one.memory_bytes;
        out->waiting += one.waiting;
        out->below_copies += one.below_copies;
        out->orphans += one.orphans;
        out->doubtful += one.doubtful;
        out->malformed += one.malformed;
        out->claims += one.claims;
        out->fenced += one.fenced;
        out->votes += one.votes;
    }
}

bool sim_farm_up(const struct sim *s)
{
    for (unsigned i = 0; i < s->node_count; i++)
        if (s->nodes[i].phase != PHASE_UP || s->nodes[i].twin_inc != 0)
            return false;
    return true;
}

static bool node_sees_all(struct sim *s, struct sim_node *n)
{
    const struct session_view *v = farm_view(n->farm);
    for (unsigned i = 0; i < s->node_count; i++) {
        if (i == n->slot)
            continue;
        const struct peer_view *p = view_find(v, s->nodes[i].inc);
        if (!p || p->state != PEER_UP)
            return false;
    }
    return true;
}

bool sim_farm_whole(struct sim *s)
{
    if (!sim_farm_up(s) || s->now_ns < s->faults->last_break_ns + HARM_PAST_NS)
        return false;
    for (unsigned i = 0; i < s->node_count; i++) {
        struct session_stats stats;
        struct sim_node *n = &s->nodes[i];
        if (n->paused || !node_sees_all(s, n))
            return false;
        sim_node_stats(n, &stats);
        if (stats.below_copies || stats.orphans || stats.doubtful ||
            (i < s->voters && stats.votes < n->shard_count))
            return false;
    }
    return true;
}
