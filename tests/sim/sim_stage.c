/* sim_stage.c - the course of a run: the farm boots, works while things go wrong, heals, settles,
 * and is looked at. */
#include "sim_check.h"
#include "sim_fault.h"

#define STEP_NS MS(50)
#define HEAL_NS SEC(10)
#define SETTLE_NS SEC(30)

void sim_stage_start(struct sim *s)
{
    sim_trace(s, "seed %llu: %u nodes, %s", (unsigned long long)s->opt.seed, s->node_count,
              sim_scenario_name(s->scenario));
    for (unsigned i = 0; i < s->node_count; i++)
        sim_post(s, MS(rng_below(&s->rng, 1500)), SIM_EV_START, i, 0, NULL);
    sim_post(s, STEP_NS, SIM_EV_STAGE, 0, 0, NULL);
    sim_post(s, MS(100), SIM_EV_SWEEP, 0, 0, NULL);
}

static uint64_t stage_faults_ns(struct sim *s)
{
    if (s->scenario == SCENARIO_CALM)
        return SEC(15);
    if (s->scenario == SCENARIO_ROLLING || s->scenario == SCENARIO_SICK)
        return SEC(300); /* until it is done */
    return SEC(20 + s->opt.seed % 25);
}

static void stage_next(struct sim *s)
{
    static const char *const names[] = {
        "boots", "works, and things go wrong", "heals", "settles", "is looked at", "is done"};
    s->stage++;
    s->stage_ns = s->now_ns;
    sim_trace(s, "-- the farm %s", names[s->stage]);
    if (s->stage == STAGE_FAULTS) {
        sim_clients_start(s);
        sim_faults_start(s);
    } else if (s->stage == STAGE_HEAL) {
        sim_faults_end(s);
    } else if (s->stage == STAGE_LOOK) {
        CHECK_ALL(s, final, s);
    } else if (s->stage == STAGE_DONE) {
        s->over = true;
    }
}

static bool stage_over(struct sim *s)
{
    uint64_t age = s->now_ns - s->stage_ns;
    switch (s->stage) {
    case STAGE_BOOT:
        return sim_farm_up(s);
    case STAGE_FAULTS:
        return s->faults->done || age > stage_faults_ns(s);
    case STAGE_HEAL:
        return age > HEAL_NS && sim_farm_up(s);
    case STAGE_SETTLE:
        return age > SETTLE_NS;
    case STAGE_LOOK:
        return sim_clients_look(s);
    case STAGE_DONE:
        break;
    }
    return false;
}

void sim_stage_step(struct sim *s)
{
    if (stage_over(s))
        stage_next(s);
    sim_post(s, s->now_ns + STEP_NS, SIM_EV_STAGE, 0, 0, NULL);
}
