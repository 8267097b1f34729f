/* sim_mutants.c - the table of planted bugs. */
#include "sim_mutants.h"

#include <string.h>

#define ROW(name_, scenario_, seeds_)                                                              \
    {                                                                                              \
        .name = #name_, .mutant = MUTANT_##name_, .scenario = (scenario_), .seeds = (seeds_)       \
    }

const struct sim_mutant sim_mutants[] = {
    ROW(ACK_BEFORE_COPY, SCENARIO_KILLS, 4),
    ROW(NO_FENCING, SCENARIO_FENCE, 15),
    ROW(NO_TOMBSTONE, SCENARIO_KILLS, 4),
    ROW(NO_REPLAY_WINDOW, SCENARIO_CALM, 4),
    ROW(MERGE_WITHOUT_TIEBREAK, SCENARIO_SHATTER, 25),
    ROW(LOST_PART, SCENARIO_LOSSY, 4),
    ROW(EXPIRY_BY_HOLDER, SCENARIO_KILLS, 20),
    ROW(CLAIM_WITHOUT_ASKING, SCENARIO_LINK, 10),
    ROW(READ_WITHOUT_LEASE, SCENARIO_PAUSES, 30),
    ROW(HEARSAY_COUNTS, SCENARIO_OUSTED, 4),
    ROW(NO_RECOPY, SCENARIO_KILLS, 15),
    ROW(FIELD_DELETE_FORGETS, SCENARIO_PARTITION, 30),
    ROW(TERM_NOT_RAISED, SCENARIO_PAUSES, 20),
    ROW(REFUSAL_AS_ACK, SCENARIO_FENCE, 10),
    ROW(NONCE_REUSED, SCENARIO_CALM, 4),
    ROW(DEDUP_OFF, SCENARIO_LOSSY, 4),
    ROW(READY_TOO_EARLY, SCENARIO_ROLLING, 40),
    ROW(QUORUM_OF_ONE, SCENARIO_QUORUM, 10),
    ROW(VOTES_TOO_EARLY, SCENARIO_QUORUM, 60),
    ROW(GAP_NOT_NOTICED, SCENARIO_GROUP, 4),
    ROW(REPAIR_NEVER, SCENARIO_GROUP, 4),
    ROW(SUM_STAYS, SCENARIO_WARM, 4),
    ROW(TWINS_COUNT_TWICE, SCENARIO_UPGRADE, 40),
};
const size_t sim_mutant_count = sizeof sim_mutants / sizeof sim_mutants[0];

const struct sim_mutant *sim_mutant_find(const char *name)
{
    for (size_t i = 0; i < sim_mutant_count; i++)
        if (strcmp(sim_mutants[i].name, name) == 0)
            return &sim_mutants[i];
    return NULL;
}
