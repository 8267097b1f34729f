/* sim_upgrade.c - a process hands over to a successor on its own node: both run at one address for
 * a while, each with an incarnation of its own. What the daemon says to its successor over a local
 * socket (ready, go, taken) are flags here, which each side looks at when it runs next. */
#include "sim_node.h"

#include "sim_check.h"
#include "sim_fault.h"

#include <string.h>

#define UPGRADE_NS SEC(40) /* a successor that is not up by then is given up */

static struct sim_node *upgrade_twin(struct sim *s, const struct sim_node *n)
{
    struct sim_node *twin = &s->nodes[n->twin_slot];
    bool lives = n->twin_inc != 0 && sim_node_alive(twin) && twin->inc == n->twin_inc;
    return lives ? twin : NULL;
}

bool sim_upgrade_running(struct sim *s, unsigned slot)
{
    return sim_node_alive(&s->nodes[slot]) && upgrade_twin(s, &s->nodes[slot]) != NULL;
}

static int upgrade_free_slot(const struct sim *s)
{
    for (unsigned i = s->node_count; i < SIM_SLOTS; i++)
        if (!sim_node_alive(&s->nodes[i]))
            return (int)i;
    return -1;
}

bool sim_node_upgrade(struct sim *s, unsigned slot)
{
    struct sim_node *old = &s->nodes[slot];
    int at = upgrade_free_slot(s);
    if (old->phase != PHASE_UP || old->paused || old->twin_inc != 0 || at < 0)
        return false;
    struct sim_node *next = &s->nodes[at];
    next->clone = false;
    next->home = old->home;
    next->addr = old->addr;
    next->disk = old->disk;
    next->entry.holds = old->entry.holds;
    next->memory_bytes = old->memory_bytes;
    next->clock_ppm = old->clock_ppm;
    next->clock_offset_ns = old->clock_offset_ns;
    memcpy(next->name, old->name, sizeof next->name);
    next->name[strlen(next->name)] = '\'';
    memcpy(next->join, old->join, sizeof next->join);
    next->join_count = old->join_count;
    if (next->join_count == 0 || next->join[next->join_count - 1] != old->home)
        next->join[next->join_count++] = old->home;
    next->twin_slot = slot;
    next->twin_inc = old->inc;
    next->elder = false;
    sim_trace(s, "%s is upgraded", old->name);
    sim_node_start(s, (unsigned)at);
    old->disk.boot = next->disk.boot;
    old->twin_slot = (unsigned)at;
    old->twin_inc = next->inc;
    old->elder = true;
    old->ready = old->go = next->ready = next->go = false;
    old->upgrade_ns = s->now_ns;
    old->entry.twin = next->inc;
    sim_node_tell(s, old, STATUS_UP);
    s->sum.upgrades++;
    return true;
}

static void upgrade_end(struct sim *s, struct sim_node *n, enum status status)
{
    n->twin_inc = n->entry.twin = 0;
    n->elder = n->ready = n->go = false;
    sim_node_tell(s, n, status);
}

/* The successor's side: ready, then up when it is told to go. */
static void upgrade_next(struct sim *s, struct sim_node *n)
{
    struct sim_node *old = upgrade_twin(s, n);
    if (!old) {
        sim_trace(s, "%s has nobody to succeed any more", n->name);
        upgrade_end(s, n, n->phase == PHASE_UP ? STATUS_UP : STATUS_JOINING);
        sim_node_settle(s, n);
        return;
    }
    if (n->phase == PHASE_JOINING && !n->ready && sim_node_synced(n)) {
        n->ready = true;
        sim_node_wake_soon(s, old);
    }
    if (n->phase == PHASE_JOINING && n->go) {
        sim_trace(s, "%s takes over", n->name);
        n->phase = PHASE_UP;
        n->up_ns = s->now_ns;
        sim_node_tell(s, n, STATUS_UP);
        sim_node_wake_soon(s, old);
    }
}

/* The elder's side: it goes on as if nothing had been when its successor dies before it has left.
 */
static void upgrade_old(struct sim *s, struct sim_node *n)
{
    struct sim_node *next = upgrade_twin(s, n);
    if (!next) {
        sim_trace(s, "%s has lost its successor and goes on", n->name);
        n->phase = PHASE_UP;
        upgrade_end(s, n, STATUS_UP);
    } else if (next->phase == PHASE_JOINING && s->now_ns > n->upgrade_ns + UPGRADE_NS) {
        sim_node_kill(s, n->twin_slot);
        upgrade_end(s, n, STATUS_UP);
    } else if (next->ready && !next->go) {
        next->go = true;
        sim_node_wake_soon(s, next);
    } else if (next->phase == PHASE_UP && n->phase == PHASE_UP) {
        n->phase = PHASE_LEAVING;
        n->leave_by_ns = s->now_ns + SIM_DRAIN_NS;
        sim_node_tell(s, n, STATUS_DRAINING);
    }
}

void sim_upgrade_step(struct sim *s, struct sim_node *n)
{
    if (n->twin_inc == 0)
        return;
    if (n->elder)
        upgrade_old(s, n);
    else
        upgrade_next(s, n);
}

/* The elder's slot is free: its successor lives there from now on, so that clients and faults find
 * it. */
void sim_node_settle(struct sim *s, struct sim_node *n)
{
    struct sim_node *home = &s->nodes[n->home];
    if (home == n || sim_node_alive(home))
        return;
    unsigned slot = home->slot, from = n->slot;
    struct list inbox, calls, outgoing, held;
    list_init(&inbox);
    list_init(&calls);
    list_init(&outgoing);
    list_init(&held);
    list_splice(&inbox, &n->inbox);
    list_splice(&calls, &n->calls);
    list_splice(&outgoing, &n->outgoing);
    list_splice(&held, &n->held);
    uint64_t gone_ns = home->gone_ns;
    struct rng rng = home->rng;
    *home = *n;
    home->slot = slot;
    home->gone_ns = gone_ns;
    home->wake_ns = TIME_NEVER;
    home->name[strcspn(home->name, "'")] = '\0';
    list_init(&home->inbox);
    list_init(&home->calls);
    list_init(&home->outgoing);
    list_init(&home->held);
    list_splice(&home->inbox, &inbox);
    list_splice(&home->calls, &calls);
    list_splice(&home->outgoing, &outgoing);
    list_splice(&home->held, &held);
    *n = (struct sim_node){.slot = from, .home = from, .wake_ns = TIME_NEVER, .rng = rng};
    n->addr = sim_net_addr(from);
    snprintf(n->name, sizeof n->name, "n%u", from + 1);
    n->entry.holds = true;
    n->memory_bytes = home->memory_bytes;
    n->clock_ppm = home->clock_ppm;
    n->clock_offset_ns = home->clock_offset_ns;
    memcpy(n->join, home->join, sizeof n->join);
    n->join_count = home->join_count;
    list_init(&n->inbox);
    list_init(&n->calls);
    list_init(&n->outgoing);
    list_init(&n->held);
    sim_node_wake_soon(s, home);
}
