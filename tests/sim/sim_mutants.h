/* sim_mutants.h - the planted bugs of base/mutant.h: where each is looked for, and within how many
 * seeds it must be found. */
#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include "sim.h"

struct sim_mutant {
    const char *name;
    enum mutant mutant;
    int scenario; /* -1: as the seed says */
    uint64_t seeds;
};

extern const struct sim_mutant sim_mutants[];
extern const size_t sim_mutant_count;

const struct sim_mutant *sim_mutant_find(const char *name);

#endif
