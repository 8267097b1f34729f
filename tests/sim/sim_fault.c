/* sim_fault.c - what goes wrong, when, and how it ends. */
#include "sim_fault.h"

#include "sim_keys.h"

#include "sim_busy.h"
#include "sim_model.h"
#include "sim_oust.h"

#include <stdlib.h>
#include <string.h>

#define CUT_LOSS 400 /* of 1000: so much loss may cut nodes off from each other */
#define HEARTBEAT_FRAME_MAX 160
#define SICK_AFTER_MS                                                                              \
    35000 /* when nobody is new any more, so that absent is told from unreachable */

#define GROUP_AFTER_MS 9000 /* only loss and disorder until then: what is asked for is counted */

struct fault_plan {
    unsigned weight[FAULT_TYPES];
    unsigned gap_min_ms, gap_max_ms;
};

static const struct fault_plan plans[SCENARIO_COUNT] = {
    [SCENARIO_KILLS] = {{[FAULT_KILL] = 70, [FAULT_TERM] = 20, [FAULT_DELAY] = 10}, 300, 2500},
    [SCENARIO_PAUSES] = {{[FAULT_PAUSE] = 85, [FAULT_KILL] = 10, [FAULT_TERM] = 5}, 300, 4000},
    [SCENARIO_PARTITION] =
        {{[FAULT_PARTITION] = 45, [FAULT_ONE_WAY] = 25, [FAULT_KILL] = 20, [FAULT_TERM] = 10},
         500,
         5000},
    [SCENARIO_SHATTER] = {{[FAULT_PARTITION] = 100}, 300, 3000},
    [SCENARIO_LINK] = {{[FAULT_LINK] = 100}, 200, 2500},
    [SCENARIO_FENCE] = {{[FAULT_PAUSE] = 100}, 200, 800},
    [SCENARIO_LOSSY] =
        {{[FAULT_LOSS] = 35, [FAULT_DELAY] = 20, [FAULT_EAT] = 30, [FAULT_KILL] = 15}, 500, 4000},
    [SCENARIO_FULL] = {{[FAULT_PAUSE] = 55, [FAULT_DELAY] = 25, [FAULT_EAT] = 20}, 500, 3000},
    [SCENARIO_CLONE] = {{[FAULT_CLONE] = 60, [FAULT_KILL] = 25, [FAULT_PAUSE] = 15}, 500, 3000},
    [SCENARIO_WARM] = {{[FAULT_KILL] = 25,
                        [FAULT_TERM] = 10,
                        [FAULT_PAUSE] = 30,
                        [FAULT_PARTITION] = 20,
                        [FAULT_DELAY] = 15},
                       300,
                       3000},
    [SCENARIO_REPOSITORY] = {{[FAULT_KILL] = 40,
                              [FAULT_TERM] = 15,
                              [FAULT_PAUSE] = 15,
                              [FAULT_PARTITION] = 12,
                              [FAULT_ONE_WAY] = 6,
                              [FAULT_LOSS] = 6,
                              [FAULT_DELAY] = 6},
                             300,
                             2500},
    [SCENARIO_CROWDED] = {{[FAULT_PAUSE] = 40, [FAULT_CROWD] = 35, [FAULT_KILL] = 25}, 200, 1800},
    [SCENARIO_OUSTED] = {{[FAULT_OUST] = 100}, 200, 1200},
    [SCENARIO_BUSY] = {{[FAULT_SLOW] = 22,
                        [FAULT_FLOOD] = 24,
                        [FAULT_STARVE] = 10,
                        [FAULT_CROWD] = 12,
                        [FAULT_PAUSE] = 10,
                        [FAULT_KILL] = 14,
                        [FAULT_TERM] = 8},
                       200,
                       2000},
    [SCENARIO_REMADE] = {{[FAULT_DELAY] = 30,
                          [FAULT_CROWD] = 25,
                          [FAULT_SLOW] = 15,
                          [FAULT_PAUSE] = 15,
                          [FAULT_KILL] = 15},
                         300,
                         2000},
    [SCENARIO_UPGRADE] =
        {{[FAULT_UPGRADE] = 88, [FAULT_PAUSE] = 3, [FAULT_LOSS] = 6, [FAULT_DELAY] = 3}, 800, 4500},
    [SCENARIO_QUORUM] = {{[FAULT_KILL] = 16,
                          [FAULT_TERM] = 8,
                          [FAULT_PAUSE] = 22,
                          [FAULT_PARTITION] = 22,
                          [FAULT_ONE_WAY] = 12,
                          [FAULT_LINK] = 12,
                          [FAULT_LOSS] = 4,
                          [FAULT_DELAY] = 4},
                         200,
                         2500},
    [SCENARIO_GROUP] = {{[FAULT_DEAF] = 40,
                         [FAULT_KILL] = 20,
                         [FAULT_TERM] = 6,
                         [FAULT_PAUSE] = 12,
                         [FAULT_PARTITION] = 6,
                         [FAULT_ONE_WAY] = 4,
                         [FAULT_LOSS] = 6,
                         [FAULT_EAT] = 3,
                         [FAULT_DELAY] = 3},
                        300,
                        3500},
    [SCENARIO_KEYS] = {{[FAULT_KEYS] = 78,
                        [FAULT_KILL] = 8,
                        [FAULT_TERM] = 3,
                        [FAULT_PAUSE] = 4,
                        [FAULT_PARTITION] = 4,
                        [FAULT_ONE_WAY] = 2,
                        [FAULT_LOSS] = 1},
                       100,
                       900},
    [SCENARIO_MIXED] = {{[FAULT_KILL] = 25,
                         [FAULT_TERM] = 12,
                         [FAULT_PAUSE] = 20,
                         [FAULT_PARTITION] = 12,
                         [FAULT_ONE_WAY] = 8,
                         [FAULT_LOSS] = 8,
                         [FAULT_DELAY] = 6,
                         [FAULT_EAT] = 5,
                         [FAULT_CLONE] = 4},
                        300,
                        3500},
};

struct sim_faults *sim_faults_new(struct sim *s)
{
    struct sim_faults *f = calloc(1, sizeof *f);
    rng_init(&f->rng, s->opt.seed ^ 0x6661756c74);
    const struct fault_plan *plan = &plans[s->scenario];
    memcpy(f->weight, plan->weight, sizeof f->weight);
    f->gap_min_ms = plan->gap_min_ms;
    f->gap_max_ms = plan->gap_max_ms;
    return f;
}

void sim_faults_free(struct sim_faults *f)
{
    free(f);
}

static void fault_again(struct sim *s, uint64_t in_ms)
{
    sim_post(s, s->now_ns + MS(in_ms), SIM_EV_FAULT, 0, 0, NULL);
}

void sim_faults_start(struct sim *s)
{
    if (s->scenario != SCENARIO_CALM)
        fault_again(s, s->scenario == SCENARIO_SICK    ? SICK_AFTER_MS
                       : s->scenario == SCENARIO_GROUP ? GROUP_AFTER_MS
                                                       : 1500);
}

struct sim_fault *sim_fault_new(struct sim *s, enum sim_fault_type type, unsigned slot,
                                uint64_t lasts_ms)
{
    struct sim_faults *f = s->faults;
    struct sim_fault *fault = &f->faults[f->count];
    *fault = (struct sim_fault){.type = type, .on = true, .slot = slot, .start_ns = s->now_ns};
    sim_post(s, s->now_ns + MS(lasts_ms), SIM_EV_MEND, 0, f->count, NULL);
    f->count++;
    return fault;
}

bool sim_fault_running(const struct sim *s, enum sim_fault_type type)
{
    for (size_t i = 0; i < s->faults->count; i++)
        if (s->faults->faults[i].on && s->faults->faults[i].type == type)
            return true;
    return false;
}

static void fault_harm(struct sim *s)
{
    s->faults->last_harm_ns = s->faults->last_break_ns = s->now_ns;
}

/* -- processes -- */

static void fault_lose_disk(struct sim *s, unsigned slot)
{
    if (!sim_chance(&s->faults->rng, 250))
        return;
    sim_trace(s, "%s loses its state directory", s->nodes[slot].name);
    s->nodes[slot].disk.valid = false;
}

static void fault_kill(struct sim *s, unsigned slot, uint64_t away_ms)
{
    fault_harm(s);
    s->sum.kills++;
    sim_fault_new(s, FAULT_KILL, slot, away_ms);
    sim_node_kill(s, slot);
    fault_lose_disk(s, slot);
}

static void fault_term(struct sim *s, unsigned slot, uint64_t poll_ms)
{
    fault_harm(s);
    s->sum.terms++;
    sim_fault_new(s, FAULT_TERM, slot, poll_ms);
    sim_node_term(s, slot);
}

static uint64_t fault_away_ms(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    return sim_chance(r, 300) ? sim_between(r, 20, 300) : sim_between(r, 300, 6000);
}

static void fault_pause(struct sim *s, unsigned slot, uint64_t lasts_ms)
{
    fault_harm(s);
    s->sum.pauses++;
    sim_fault_new(s, FAULT_PAUSE, slot, lasts_ms);
    bool in_step = sim_chance(&s->faults->rng, 500);
    if (s->scenario == SCENARIO_FENCE)
        sim_node_pause(s, slot, PAUSE_IN_WRITE);
    else
        sim_node_pause(s, slot, in_step ? PAUSE_IN_STEP : PAUSE_NOW);
}

/* In the end either process dies, or the host with both, if that is the only harm meanwhile. */
static void fault_upgrade(struct sim *s, unsigned slot)
{
    struct rng *r = &s->faults->rng;
    bool whole = sim_farm_whole(s);
    if (!sim_node_upgrade(s, slot))
        return;
    struct sim_fault *fault =
        sim_fault_new(s, FAULT_UPGRADE, slot, sim_between(r, 1, sim_chance(r, 800) ? 120 : 900));
    fault->may_kill = whole && sim_chance(r, 700);
    fault->late = sim_chance(r, 500);
}

/* Half of them strike while both are up: it looks again until that is so, and once more. */
static bool fault_upgrade_early(struct sim *s, struct sim_fault *fault)
{
    if (!fault->late || !sim_in_faults(s) || !sim_upgrade_running(s, fault->slot))
        return false;
    fault->late = s->nodes[s->nodes[fault->slot].twin_slot].phase == PHASE_JOINING;
    return true;
}

static void fault_upgrade_ends(struct sim *s, const struct sim_fault *fault)
{
    struct rng *r = &s->faults->rng;
    unsigned slot = fault->slot, twin = s->nodes[slot].twin_slot;
    if (!fault->may_kill || s->faults->last_harm_ns > fault->start_ns ||
        !sim_upgrade_running(s, slot))
        return;
    uint64_t draw = rng_below(r, 4);
    fault_harm(s);
    s->sum.kills++;
    if (draw != 1)
        sim_node_kill(s, slot);
    if (draw != 0)
        sim_node_kill(s, twin);
    if (draw >= 2)
        sim_fault_new(s, FAULT_KILL, slot, sim_between(r, 300, 6000));
}

/* So long that it is counted out, and that clients who asked it still wait when it runs again. */
static void fault_pause_writer(struct sim *s, unsigned slot)
{
    if (!sim_fault_running(s, FAULT_PAUSE))
        fault_pause(s, slot, sim_between(&s->faults->rng, 2000, 3500));
}

static void fault_clone(struct sim *s, unsigned of)
{
    unsigned slot = s->node_count;
    while (slot < SIM_SLOTS && sim_node_alive(&s->nodes[slot]))
        slot++;
    if (slot == SIM_SLOTS || s->nodes[of].phase != PHASE_UP)
        return;
    struct sim_node *n = &s->nodes[slot];
    n->clone = true;
    n->disk = s->nodes[of].disk;
    memcpy(n->name, s->nodes[of].name, sizeof n->name);
    s->sum.clones++;
    sim_fault_new(s, FAULT_CLONE, slot, 1000);
    sim_node_start(s, slot);
}

/* -- the network -- */

static void fault_block(struct sim *s, struct sim_fault *fault, const uint8_t side[SIM_SLOTS],
                        bool one_way)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++)
            if (side[i] != side[j] && (!one_way || side[i])) {
                fault->blocks[i][j] = true;
                s->net->links[i][j].blocked++;
            }
}

/* Since when the node that stands still now does, or did until a moment ago; now, if there is none.
 */
static uint64_t fault_pause_start(const struct sim *s)
{
    uint64_t start_ns = s->now_ns;
    for (size_t i = 0; i < s->faults->count; i++) {
        const struct sim_fault *f = &s->faults->faults[i];
        bool recent = f->on || s->now_ns < f->end_ns + MS(3000);
        if (f->type == FAULT_PAUSE && recent && f->start_ns < start_ns)
            start_ns = f->start_ns;
    }
    return start_ns;
}

unsigned sim_fault_owner(struct sim *s, unsigned but)
{
    for (size_t i = s->model->key_count; i > 0; i--)
        for (unsigned slot = 0; slot < s->node_count; slot++) {
            bool owned;
            const struct key *key = &s->model->keys[i - 1].key;
            if (slot != but && key->kind != KIND_APP &&
                sim_node_peek(&s->nodes[slot], key, &owned) && owned)
                return slot;
        }
    return (unsigned)rng_below(&s->faults->rng, s->node_count);
}

/* Two sides at least; or an owner alone, and the others in two. */
static unsigned fault_sides(struct sim *s, uint8_t side[SIM_SLOTS])
{
    struct rng *r = &s->faults->rng;
    bool three = s->scenario == SCENARIO_SHATTER;
    unsigned first = three ? sim_fault_owner(s, SIM_SLOTS) : (unsigned)rng_below(r, s->node_count);
    side[first] = 1;
    for (unsigned i = 0; i < s->node_count; i++)
        if (i != first && i != (first + 1) % s->node_count)
            side[i] = three ? (uint8_t)(2 * rng_below(r, 2)) : sim_chance(r, 400);
    if (three)
        side[(first + 2) % s->node_count] = 2;
    return first;
}

static void fault_partition(struct sim *s, bool one_way)
{
    struct rng *r = &s->faults->rng;
    uint8_t side[SIM_SLOTS] = {0};
    unsigned first = fault_sides(s, side);
    uint64_t lasts_ms =
        sim_chance(r, 300) ? sim_between(r, 200, 1500) : sim_between(r, 1500, 12000);
    s->faults->may_kill_in_cut = sim_farm_whole(s);
    fault_harm(s);
    s->sum.partitions++;
    struct sim_fault *fault =
        sim_fault_new(s, one_way ? FAULT_ONE_WAY : FAULT_PARTITION, first, lasts_ms);
    fault->cuts = true;
    fault->epoch = sim_model_cut(s, fault_pause_start(s), !one_way, side);
    fault_block(s, fault, side, one_way);
    char text[SIM_SLOTS + 1] = {0};
    for (unsigned i = 0; i < s->node_count; i++)
        text[i] = "bAc"[side[i]];
    sim_trace(s, "the farm is cut%s: %s", one_way ? " (A to b only)" : "", text);
}

/* No epoch: whoever is not heard by one is heard by all others. */
static void fault_link(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    unsigned i = (unsigned)rng_below(r, s->node_count);
    unsigned j = (i + 1 + (unsigned)rng_below(r, s->node_count - 1)) % s->node_count;
    struct sim_fault *fault = sim_fault_new(s, FAULT_LINK, i, sim_between(r, 1000, 9000));
    fault_harm(s);
    s->sum.partitions++;
    fault->blocks[i][j] = true;
    s->net->links[i][j].blocked++;
    if (sim_chance(r, 700)) {
        fault->blocks[j][i] = true;
        s->net->links[j][i].blocked++;
    }
    sim_trace(s, "n%u is not heard by n%u%s", i + 1, j + 1,
              fault->blocks[j][i] ? ", nor the other way" : "");
}

static void fault_all_links(struct sim *s, uint32_t loss, uint32_t delay_us, uint32_t eat)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++) {
            struct sim_link *l = &s->net->links[i][j];
            l->burst_loss = loss ? loss : l->burst_loss;
            l->burst_delay_us = delay_us ? delay_us : l->burst_delay_us;
            l->eat_above = eat ? eat : l->eat_above;
        }
}

static void fault_loss(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    uint32_t loss = (uint32_t)sim_between(r, 100, sim_chance(r, 300) ? 800 : 300);
    struct sim_fault *fault = sim_fault_new(s, FAULT_LOSS, 0, sim_between(r, 500, 6000));
    fault_harm(s);
    if (loss >= CUT_LOSS) {
        fault->cuts = true;
        fault->epoch = sim_model_cut(s, fault_pause_start(s), false, NULL);
    }
    fault_all_links(s, loss, 0, 0);
    sim_trace(s, "the network loses %u of 1000", loss);
}

static void fault_delay(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    uint32_t delay_us = (uint32_t)sim_between(r, 20000, 300000);
    sim_fault_new(s, FAULT_DELAY, 0, sim_between(r, 500, 5000));
    fault_harm(s);
    fault_all_links(s, 0, delay_us, 0);
    sim_trace(s, "the network delays by up to %u ms", delay_us / 1000);
}

static void fault_eat(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    uint32_t above = (uint32_t)sim_between(r, 1200, 4000);
    sim_fault_new(s, FAULT_EAT, 0, sim_between(r, 2000, 12000));
    fault_harm(s);
    if (sim_chance(r, 500)) {
        fault_all_links(s, 0, 0, above);
    } else {
        unsigned from = (unsigned)rng_below(r, s->node_count);
        unsigned to = (unsigned)rng_below(r, s->node_count);
        s->net->links[from][to].eat_above = above;
    }
    sim_trace(s, "a link eats frames above %u bytes", above);
}

/* Not told by unicast, so nothing is promised less: one node or all of them. */
static void fault_deaf(struct sim *s, unsigned slot)
{
    struct rng *r = &s->faults->rng;
    struct sim_fault *fault = sim_fault_new(s, FAULT_DEAF, slot, sim_between(r, 200, 9000));
    unsigned how = (unsigned)rng_below(r, 4);
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        fault->deaf[i] = how == 3 || (how != 1 && i == slot);
        fault->mute[i] = how == 1 && i == slot;
        s->net->deaf[i] += fault->deaf[i];
        s->net->mute[i] += fault->mute[i];
    }
    sim_trace(s, "%s %s", how == 3 ? "nobody" : s->nodes[slot].name,
              how == 1   ? "is not heard by the group"
              : how == 3 ? "hears the group"
                         : "does not hear the group");
}

void sim_fault_crowd_pair(struct sim *s, unsigned i, unsigned j)
{
    s->net->links[i][j].eat_above = s->net->links[j][i].eat_above = HEARTBEAT_FRAME_MAX;
    sim_trace(s, "between n%u and n%u heartbeats pass, and nothing else", i + 1, j + 1);
}

/* What two busy nodes have for each other waits, while heartbeats are let past. */
static void fault_crowd(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    unsigned i = (unsigned)rng_below(r, s->node_count);
    unsigned j = (i + 1 + (unsigned)rng_below(r, s->node_count - 1)) % s->node_count;
    sim_fault_new(s, FAULT_CROWD, i, sim_between(r, 500, 6000));
    sim_fault_crowd_pair(s, i, j);
}

/* -- the agent -- */

static bool fault_may_kill(struct sim *s, bool cut)
{
    bool may = cut ? s->faults->may_kill_in_cut : sim_farm_whole(s);
    s->faults->may_kill_in_cut = false;
    return may;
}

static bool fault_makes_busy(enum sim_fault_type type)
{
    return type == FAULT_SLOW || type == FAULT_FLOOD || type == FAULT_STARVE;
}

static void fault_do(struct sim *s, enum sim_fault_type type)
{
    struct rng *r = &s->faults->rng;
    unsigned slot = (unsigned)rng_below(r, s->node_count);
    bool cut = sim_fault_running(s, FAULT_PARTITION) || sim_fault_running(s, FAULT_ONE_WAY) ||
               sim_fault_running(s, FAULT_LOSS);
    if (type == FAULT_KILL && fault_may_kill(s, cut))
        fault_kill(s, slot, fault_away_ms(s));
    else if (type == FAULT_TERM && !cut && sim_farm_whole(s))
        fault_term(s, slot, fault_away_ms(s));
    else if (type == FAULT_PAUSE && s->scenario == SCENARIO_FENCE)
        fault_pause_writer(s, slot);
    else if (type == FAULT_PAUSE && !sim_fault_running(s, FAULT_PAUSE))
        fault_pause(s, slot,
                    sim_chance(r, 400) ? sim_between(r, 100, 1500) : sim_between(r, 1500, 10000));
    else if ((type == FAULT_PARTITION || type == FAULT_ONE_WAY) && !cut)
        fault_partition(s, type == FAULT_ONE_WAY);
    else if (type == FAULT_LINK && !sim_fault_running(s, FAULT_LINK))
        fault_link(s);
    else if (type == FAULT_LOSS && !cut)
        fault_loss(s);
    else if (type == FAULT_DELAY && !sim_fault_running(s, FAULT_DELAY))
        fault_delay(s);
    else if (type == FAULT_EAT && !sim_fault_running(s, FAULT_EAT))
        fault_eat(s);
    else if (type == FAULT_CROWD && !sim_fault_running(s, FAULT_CROWD))
        fault_crowd(s);
    else if (type == FAULT_OUST && !sim_fault_running(s, FAULT_OUST))
        sim_oust_start(s);
    else if (fault_makes_busy(type) && !sim_fault_running(s, type))
        sim_busy_start(s, type, slot);
    else if (type == FAULT_KEYS)
        sim_keys_rotate(s, r);
    else if (type == FAULT_UPGRADE)
        fault_upgrade(s, slot);
    else if (type == FAULT_DEAF && !sim_fault_running(s, FAULT_DEAF))
        fault_deaf(s, slot);
    else if (type == FAULT_CLONE && sim_farm_whole(s))
        fault_clone(s, slot);
}

/* A clone must be refused while the first is alive; what happens when nobody hears that one is not
 * said. */
static bool fault_clone_lives(const struct sim *s)
{
    for (unsigned i = s->node_count; i < SIM_SLOTS; i++)
        if (s->nodes[i].clone && sim_node_alive(&s->nodes[i]))
            return true;
    return false;
}

static void fault_pick(struct sim *s)
{
    struct sim_faults *f = s->faults;
    if (fault_clone_lives(s))
        return;
    uint64_t draw = rng_below(&f->rng, 100);
    for (int i = 0; i < FAULT_TYPES; i++) {
        if (draw < f->weight[i]) {
            fault_do(s, (enum sim_fault_type)i);
            return;
        }
        draw -= f->weight[i];
    }
}

/* Every node in turn, when all are up, which is all that an operator waits for. */
static void fault_roll(struct sim *s)
{
    struct sim_faults *f = s->faults;
    fault_again(s, sim_between(&f->rng, 2, 40));
    if (!sim_farm_up(s))
        return;
    if (f->rolling_next == s->node_count) {
        f->done = true;
        return;
    }
    unsigned slot = f->rolling_next++;
    uint64_t away_ms = sim_between(&f->rng, 5, sim_chance(&f->rng, 600) ? 100 : 2500);
    if (sim_chance(&f->rng, 500))
        fault_kill(s, slot, away_ms);
    else
        fault_term(s, slot, away_ms);
}

static void fault_sicken(struct sim *s)
{
    struct sim_faults *f = s->faults;
    if (f->sick_from_ns) {
        f->done = s->now_ns > f->sick_until_ns;
        fault_again(s, 1000);
        return;
    }
    uint64_t lasts_ms = sim_between(&f->rng, 6000, 10000);
    f->sick_slot = (unsigned)rng_below(&f->rng, s->node_count);
    f->sick_from_ns = s->now_ns;
    f->sick_until_ns = s->now_ns + MS(lasts_ms);
    fault_pause(s, f->sick_slot, lasts_ms);
    fault_again(s, lasts_ms + 3000);
}

void sim_fault_act(struct sim *s)
{
    struct sim_faults *f = s->faults;
    if (!sim_in_faults(s) || f->done || f->count + 2 > SIM_FAULTS_MAX)
        return;
    if (s->scenario == SCENARIO_ROLLING) {
        fault_roll(s);
    } else if (s->scenario == SCENARIO_SICK) {
        fault_sicken(s);
    } else {
        fault_pick(s);
        fault_again(s, sim_between(&f->rng, f->gap_min_ms, f->gap_max_ms));
    }
}

/* -- ends -- */

static void fault_unblock(struct sim *s, struct sim_fault *fault)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        s->net->deaf[i] -= fault->deaf[i];
        s->net->mute[i] -= fault->mute[i];
        for (unsigned j = 0; j < SIM_SLOTS; j++) {
            if (fault->blocks[i][j])
                s->net->links[i][j].blocked--;
        }
    }
}

static void fault_mend_links(struct sim *s, enum sim_fault_type type)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++) {
            struct sim_link *l = &s->net->links[i][j];
            if (type == FAULT_LOSS)
                l->burst_loss = 0;
            else if (type == FAULT_DELAY)
                l->burst_delay_us = 0;
            else if (type == FAULT_EAT || type == FAULT_CROWD || type == FAULT_OUST)
                l->eat_above = 0;
        }
}

void sim_fault_mend(struct sim *s, size_t number)
{
    static const char *const names[] = {"kill",
                                        "term",
                                        "pause",
                                        "partition",
                                        "one-way cut",
                                        "deafness of one to another",
                                        "loss",
                                        "delay",
                                        "eating of big frames",
                                        "clone",
                                        "upgrade",
                                        "deafness to the group",
                                        "crowding of two",
                                        "ousting",
                                        "lateness",
                                        "full queue",
                                        "want of memory"};
    struct sim_fault *fault = &s->faults->faults[number];
    if (!fault->on)
        return;
    if (fault->type == FAULT_TERM && sim_node_alive(&s->nodes[fault->slot])) {
        sim_post(s, s->now_ns + MS(100), SIM_EV_MEND, 0, number, NULL);
        return;
    }
    if (fault->type == FAULT_UPGRADE && fault_upgrade_early(s, fault)) {
        sim_post(s, s->now_ns + sim_between(&s->faults->rng, 1, 25000) * NS_PER_US, SIM_EV_MEND, 0,
                 number, NULL);
        return;
    }
    if (fault->type == FAULT_OUST) {
        fault_harm(s);
        if (sim_oust_next(s, number))
            return;
    }
    fault->on = false;
    fault->end_ns = s->now_ns;
    if (fault->type == FAULT_UPGRADE) {
        fault_upgrade_ends(s, fault);
        return;
    }
    if (fault->type == FAULT_DEAF)
        s->faults->last_deaf_ns = s->now_ns;
    else if (!fault_makes_busy(fault->type))
        fault_harm(s);
    if (fault->type == FAULT_KILL || fault->type == FAULT_TERM) {
        sim_node_start(s, fault->slot);
    } else if (fault->type == FAULT_PAUSE) {
        sim_node_resume(s, fault->slot);
    } else {
        if (fault_makes_busy(fault->type))
            sim_busy_end(s, fault);
        fault_unblock(s, fault);
        fault_mend_links(s, fault->type);
        sim_trace(s, "the %s is over", names[fault->type]);
    }
    if (fault->cuts)
        sim_model_heal(s, fault->epoch);
}

void sim_faults_end(struct sim *s)
{
    for (size_t i = 0; i < s->faults->count; i++)
        sim_fault_mend(s, i);
}
