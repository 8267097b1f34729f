/* sim_busy.c - which host, for how long, how badly. What it means is in sim_node.c. */
#include "sim_busy.h"

static void busy_slow(struct sim *s, unsigned slot)
{
    struct rng *r = &s->faults->rng;
    sim_fault_new(s, FAULT_SLOW, slot, sim_between(r, 1000, 9000));
    s->nodes[slot].slow_ms = (unsigned)sim_between(r, 50, sim_chance(r, 300) ? 700 : 300);
    sim_trace(s, "%s runs up to %u ms late", s->nodes[slot].name, s->nodes[slot].slow_ms);
}

static void busy_flood(struct sim *s, unsigned slot)
{
    struct rng *r = &s->faults->rng;
    unsigned to = (slot + 1 + (unsigned)rng_below(r, s->node_count - 1)) % s->node_count;
    struct sim_node *n = &s->nodes[slot];
    sim_fault_new(s, FAULT_FLOOD, slot, sim_between(r, 100, 4000));
    n->full_to = to;
    n->full_of_1000 = (unsigned)sim_between(r, 200, sim_chance(r, 500) ? 1000 : 500);
    sim_trace(s, "%s's queue to n%u takes no more, %u times of 1000", n->name, to + 1,
              n->full_of_1000);
}

static void busy_starve(struct sim *s, unsigned slot)
{
    struct rng *r = &s->faults->rng;
    sim_fault_new(s, FAULT_STARVE, slot, sim_between(r, 200, 5000));
    s->nodes[slot].starves_of_1000 = (unsigned)sim_between(r, 5, 200);
    sim_trace(s, "%s has no memory, %u times of 1000", s->nodes[slot].name,
              s->nodes[slot].starves_of_1000);
}

void sim_busy_start(struct sim *s, enum sim_fault_type type, unsigned slot)
{
    if (type == FAULT_SLOW)
        busy_slow(s, slot);
    else if (type == FAULT_FLOOD)
        busy_flood(s, slot);
    else
        busy_starve(s, slot);
    s->faults->last_harm_ns = s->now_ns;
}

void sim_busy_end(struct sim *s, const struct sim_fault *fault)
{
    struct sim_node *n = &s->nodes[fault->slot];
    if (fault->type == FAULT_SLOW)
        n->slow_ms = 0;
    else if (fault->type == FAULT_FLOOD)
        n->full_of_1000 = 0;
    else
        n->starves_of_1000 = 0;
    s->faults->last_harm_ns = s->now_ns;
    sim_node_wake_soon(s, n);
}
