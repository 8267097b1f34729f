/* sim_fault.h - what goes wrong: an agent that wakes now and then, picks a fault that the scenario
 * has and the promises allow, and ends it again. At most one node is killed before the copies are
 * made anew. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim_node.h"

enum sim_fault_type {
    FAULT_KILL,
    FAULT_TERM,
    FAULT_PAUSE,
    FAULT_PARTITION,
    FAULT_ONE_WAY,
    FAULT_LINK,
    FAULT_LOSS,
    FAULT_DELAY,
    FAULT_EAT,
    FAULT_CLONE,
    FAULT_UPGRADE,
    FAULT_DEAF,
    FAULT_CROWD,
    FAULT_OUST,
    FAULT_SLOW,
    FAULT_FLOOD,
    FAULT_STARVE,
    FAULT_KEYS, /* not a fault: the operator does the next thing about keys */
    FAULT_TYPES
};

struct sim_fault {
    enum sim_fault_type type;
    bool on;
    unsigned slot;
    bool blocks[SIM_SLOTS][SIM_SLOTS];
    bool deaf[SIM_SLOTS], mute[SIM_SLOTS];
    uint64_t start_ns, end_ns;
    bool may_kill, late;  /* UPGRADE */
    unsigned stage, heir; /* OUST */
    bool cuts;            /* an epoch of the model */
    size_t epoch;
};

#define SIM_FAULTS_MAX 256

struct sim_faults {
    struct rng rng;
    unsigned weight[FAULT_TYPES];
    unsigned gap_min_ms, gap_max_ms;
    size_t count;
    struct sim_fault faults[SIM_FAULTS_MAX];
    unsigned rolling_next; /* ROLLING: the slot whose turn it is */
    unsigned rolling_state;
    uint64_t last_harm_ns;                /* a kill, a long pause or a cut: began or ended */
    uint64_t last_break_ns;               /* the same, but for hosts that are merely busy */
    uint64_t last_deaf_ns;                /* DEAF began or ended */
    uint64_t sick_from_ns, sick_until_ns; /* SICK: the pause */
    unsigned sick_slot;
    bool may_kill_in_cut; /* the farm was whole when it was cut, and nobody was killed since */
    bool done;            /* ROLLING, SICK: nothing more to do */
};

struct sim_faults *sim_faults_new(struct sim *s);
void sim_faults_free(struct sim_faults *f);
void sim_faults_start(struct sim *s);
void sim_fault_act(struct sim *s);
void sim_fault_mend(struct sim *s, size_t number);
bool sim_fault_running(const struct sim *s, enum sim_fault_type type);
/* Room for one is there when sim_fault_act() begins, and for another. */
struct sim_fault *sim_fault_new(struct sim *s, enum sim_fault_type type, unsigned slot,
                                uint64_t lasts_ms);
/* Whoever owns the newest record that anybody `but` one owns; else any node. */
unsigned sim_fault_owner(struct sim *s, unsigned but);
/* Between two, heartbeats are let past and nothing else. */
void sim_fault_crowd_pair(struct sim *s, unsigned i, unsigned j);
/* All faults end now; dead nodes start. */
void sim_faults_end(struct sim *s);

#endif
