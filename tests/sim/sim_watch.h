/* sim_watch.h - what the checkers remember of a run. Theirs alone. */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "sim_check.h"
#include "sim_fault.h"

/* A life is sure for so long: clocks differ, and a renewal may be ttl/10 late. */
#define BRIEF_SURE_MS (BRIEF_TTL_MS * 7 / 10)

/* From words to words; a new value is 0. */
struct sim_map {
    uint64_t *keys, *values;
    size_t count, cap;
};

uint64_t *sim_map_at(struct sim_map *m, uint64_t key);
void sim_map_deinit(struct sim_map *m);

struct sim_watch {
    struct sim_map sealed;   /* (incarnation, counter) -> digest of the frame */
    struct sim_map messages; /* digest of (from, to, bytes) -> sent and not yet delivered */
    uint64_t runs[SIM_SLOTS], runs_inc[SIM_SLOTS];
    struct {
        uint64_t inc, repairs, late; /* as the node has counted them when it was last looked at */
    } group[SIM_SLOTS];
    uint64_t group_repairs, group_late; /* in calm times */
    uint64_t quiet_bytes[SIM_SLOTS], quiet_from_ns;
};

#endif
