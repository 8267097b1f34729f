/* swarm_net.c - what becomes of a message on its way. */
#include "swarm.h"

bool swarm_carries(struct swarm *w, unsigned from, unsigned to, bool reliable, uint64_t *delay_ns)
{
    const struct swarm_options *o = &w->opt;
    if (w->nodes[to].deaf || (w->split && w->nodes[from].side != w->nodes[to].side))
        return false;
    *delay_ns =
        (o->delay_min_us + rng_below(&w->net, o->delay_max_us - o->delay_min_us + 1)) * NS_PER_US;
    if (rng_below(&w->net, 1000) >= o->loss)
        return true;
    /* The mesh repeats a reliable message until it is through. */
    *delay_ns += MS(30);
    return reliable;
}
