/* sim_oust.c - the stages of the plan. */
#include "sim_oust.h"

enum oust_stage { OUST_AWAY, OUST_BACK, OUST_HEIR_GONE };

void sim_oust_start(struct sim *s)
{
    struct rng *r = &s->faults->rng;
    unsigned slot = sim_fault_owner(s, SIM_SLOTS);
    if (s->nodes[slot].phase != PHASE_UP || !sim_farm_whole(s))
        return;
    struct sim_fault *fault = sim_fault_new(s, FAULT_OUST, slot, sim_between(r, 1700, 4000));
    fault->stage = OUST_AWAY;
    s->sum.pauses++;
    sim_node_pause(s, slot, sim_chance(r, 500) ? PAUSE_IN_STEP : PAUSE_NOW);
}

/* The one that was away knows nothing of the heir, nor the heir of it. */
static void oust_back(struct sim *s, struct sim_fault *fault)
{
    fault->heir = sim_fault_owner(s, fault->slot);
    if (fault->heir != fault->slot)
        sim_fault_crowd_pair(s, fault->slot, fault->heir);
    sim_node_resume(s, fault->slot);
}

static void oust_heir(struct sim *s, const struct sim_fault *fault)
{
    struct rng *r = &s->faults->rng;
    unsigned slot = fault->heir;
    if (slot == fault->slot || s->nodes[slot].phase != PHASE_UP ||
        s->faults->count == SIM_FAULTS_MAX)
        return;
    uint64_t away_ms = sim_between(r, 300, 5000);
    if (sim_chance(r, 500)) {
        s->sum.kills++;
        sim_fault_new(s, FAULT_KILL, slot, away_ms);
        sim_node_kill(s, slot);
    } else {
        s->sum.pauses++;
        sim_fault_new(s, FAULT_PAUSE, slot, away_ms);
        sim_node_pause(s, slot, PAUSE_NOW);
    }
}

bool sim_oust_next(struct sim *s, size_t number)
{
    struct sim_fault *fault = &s->faults->faults[number];
    struct rng *r = &s->faults->rng;
    if (!sim_in_faults(s) && fault->stage == OUST_AWAY)
        sim_node_resume(s, fault->slot);
    if (!sim_in_faults(s) || fault->stage == OUST_HEIR_GONE)
        return false;
    uint64_t next_ms = sim_between(r, 1500, 4000);
    if (fault->stage++ == OUST_AWAY) {
        oust_back(s, fault);
        next_ms = sim_chance(r, 700) ? sim_between(r, 20, 900) : sim_between(r, 900, 3000);
    } else {
        oust_heir(s, fault);
    }
    sim_post(s, s->now_ns + MS(next_ms), SIM_EV_MEND, 0, number, NULL);
    return true;
}
