/* sim_net.c - frames on their way: delay, loss, duplication, reordering, faults of links, and an
 * attacker who replays what he has seen. */
#include "sim_net.h"

#include "sim_check.h"

#include <stdlib.h>
#include <string.h>

static void net_links(struct sim *s, struct sim_net *n)
{
    bool lossy = s->scenario == SCENARIO_LOSSY;
    unsigned loss_max = lossy ? 50 : s->scenario == SCENARIO_SICK ? 2 : 20;
    unsigned loss = (unsigned)rng_below(&n->rng, loss_max + 1);
    unsigned duplicate = (unsigned)rng_below(&n->rng, 30);
    uint32_t low = (uint32_t)sim_between(&n->rng, 20, 500);
    uint32_t high =
        low + (uint32_t)sim_between(&n->rng, 10, sim_chance(&n->rng, 300) ? 20000 : 800);
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++)
            n->links[i][j] = (struct sim_link){
                .delay_min_us = low, .delay_max_us = high, .loss = loss, .duplicate = duplicate};
    n->spike = (unsigned)rng_below(&n->rng, 20);
    n->replay = (unsigned)rng_below(&n->rng, 300);
    if (s->grouped)
        n->shared_loss = (unsigned)rng_below(&n->rng, 15);
}

struct sim_net *sim_net_new(struct sim *s)
{
    struct sim_net *n = calloc(1, sizeof *n);
    rng_init(&n->rng, s->opt.seed ^ 0x6e6574);
    net_links(s, n);
    return n;
}

void sim_net_free(struct sim_net *n)
{
    for (size_t i = 0; i < SIM_OLD_FRAMES; i++)
        sim_frame_unref(n->old[i]);
    free(n);
}

void sim_frame_unref(struct sim_frame *f)
{
    if (f && --f->refs == 0)
        free(f);
}

struct addr sim_net_addr(unsigned slot)
{
    return (struct addr){.family = 4, .port = 7000, .ip = {10, 0, 0, (uint8_t)(slot + 1)}};
}

struct addr sim_net_group(void)
{
    return (struct addr){.family = 4, .port = 7001, .ip = {239, 0, 0, 1}};
}

static int net_slot(const struct addr *a)
{
    if (a->family != 4 || a->port != 7000 || a->ip[0] != 10 || a->ip[3] == 0 ||
        a->ip[3] > SIM_SLOTS)
        return -1;
    return a->ip[3] - 1;
}

static uint64_t net_delay(struct sim_net *n, const struct sim_link *l)
{
    uint64_t us = sim_between(&n->rng, l->delay_min_us, l->delay_max_us);
    if (sim_chance(&n->rng, n->spike))
        us *= 10;
    if (l->burst_delay_us)
        us += rng_below(&n->rng, l->burst_delay_us);
    return us * NS_PER_US;
}

static void net_deliver(struct sim *s, unsigned to, struct sim_frame *f, uint64_t delay_ns)
{
    f->refs++;
    sim_post(s, s->now_ns + delay_ns, SIM_EV_FRAME, to, 0, f);
}

/* The attacker keeps some frames and sends one again, whenever he likes. */
static void net_attack(struct sim *s, unsigned to, struct sim_frame *f)
{
    struct sim_net *n = s->net;
    size_t i = rng_below(&n->rng, SIM_OLD_FRAMES);
    if (sim_chance(&n->rng, 20)) {
        sim_frame_unref(n->old[i]);
        n->old[i] = f;
        n->old_to[i] = to;
        f->refs++;
    }
    if (rng_below(&n->rng, 100000) < n->replay && n->old[i] && n->old[i] != f)
        net_deliver(s, n->old_to[i], n->old[i], MS(1));
}

static void net_pass(struct sim *s, unsigned from, unsigned slot, const uint8_t *bytes, size_t len,
                     uint64_t delay_ns)
{
    struct sim_net *n = s->net;
    const struct sim_link *l = &n->links[from][slot];
    bool lost = sim_chance(&n->rng, l->loss) || sim_chance(&n->rng, l->burst_loss) ||
                l->blocked > 0 || (l->eat_above && len > l->eat_above);
    struct sim_frame *f = malloc(sizeof *f + len);
    *f = (struct sim_frame){.refs = 1, .from = from, .len = len};
    memcpy(f->bytes, bytes, len);
    if (!lost) {
        net_deliver(s, slot, f, delay_ns + net_delay(n, l));
        if (sim_chance(&n->rng, l->duplicate))
            net_deliver(s, slot, f, delay_ns + net_delay(n, l));
        net_attack(s, slot, f);
    }
    sim_frame_unref(f);
}

static void net_pass_all(struct sim *s, unsigned from, const uint8_t *bytes, size_t len,
                         uint64_t delay_ns)
{
    struct sim_net *n = s->net;
    if (n->mute[from] || sim_chance(&n->rng, n->shared_loss))
        return;
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        if (!n->deaf[i])
            net_pass(s, from, i, bytes, len, delay_ns);
}

void sim_net_send(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes,
                  size_t len, uint64_t delay_ns)
{
    struct addr group = sim_net_group();
    CHECK_ALL(s, frame_sent, s, bytes, len);
    sim_hash(s, bytes, len);
    s->sum.frames++;
    s->sum.bytes += len;
    int slot = net_slot(to);
    if (slot >= 0)
        net_pass(s, from, (unsigned)slot, bytes, len, delay_ns);
    else if (addr_equal(to, &group))
        net_pass_all(s, from, bytes, len, delay_ns);
}

bool sim_net_whole(const struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        if (s->net->deaf[i] || s->net->mute[i])
            return false;
        for (unsigned j = 0; j < SIM_SLOTS; j++) {
            const struct sim_link *l = &s->net->links[i][j];
            if (l->blocked || l->burst_loss || l->burst_delay_us || l->eat_above)
                return false;
        }
    }
    return true;
}

void sim_net_mend(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++) {
            struct sim_link *l = &s->net->links[i][j];
            l->blocked = 0;
            l->burst_loss = l->burst_delay_us = l->eat_above = 0;
        }
}
