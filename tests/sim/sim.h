/* sim.h - a whole farm of node cores in virtual time, from one seed.
 *
 * Everything that happens is an event in one queue, ordered by virtual time; everything random
 * comes from generators that the seed starts. So a seed is a story that can be told again: same
 * seed, same hash. Each node has its own clock (offset and speed); `now_ns` is the time of the
 * simulation, which no node knows.
 *
 *   sim_net.c     frames between addresses: delay, loss, duplication, partitions, links that eat
 * frames sim_node.c    an incarnation: the farm and session cores, and the little that the daemon
 * adds sim_client.c  shoppers and applications that work at random nodes sim_model.c   what was
 * promised to them: the history of every field sim_check*.c  the checkers, written from
 * docs/protocol.md, Promises; apart from the code they check sim_fault.c   what goes wrong and when
 *   sim_stage.c   the course of a run: boot, faults, healing, settling, last look
 */
#ifndef SIM_H
#define SIM_H

#include "base/clock.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "core/session/session.h"

#include <stdio.h>

#define SIM_SLOTS 10 /* addresses: 3 to 7 nodes, and clones */
#define MS(n) ((uint64_t)(n)*NS_PER_MS)
#define SEC(n) ((uint64_t)(n)*NS_PER_S)

enum sim_event_type {
    SIM_EV_WAKE,   /* node `who` may have something to do */
    SIM_EV_FRAME,  /* a frame reaches address `who` */
    SIM_EV_START,  /* the supervisor starts the node at `who` */
    SIM_EV_CLIENT, /* client `who` acts */
    SIM_EV_FAULT,  /* the fault agent looks for something to break */
    SIM_EV_MEND,   /* fault number `arg` ends */
    SIM_EV_SWEEP,  /* checkers look at everything */
    SIM_EV_STAGE   /* the run's course */
};

struct sim_frame;

struct sim_event {
    uint64_t at_ns, seq;
    enum sim_event_type type;
    unsigned who;
    uint64_t arg;
    struct sim_frame *frame; /* FRAME: one reference */
};

struct sim_queue {
    struct sim_event *events;
    size_t count, cap;
    uint64_t seq;
};

enum sim_scenario {
    SCENARIO_CALM,    /* no faults but the network's own */
    SCENARIO_KILLS,   /* kill -9, restart with and without the state directory */
    SCENARIO_ROLLING, /* every node in turn, SIGTERM or kill -9, waiting for up and nothing else */
    SCENARIO_PAUSES,  /* nodes that do not run for a while */
    SCENARIO_SICK,    /* one long pause; the others must be held up once and briefly */
    SCENARIO_PARTITION, /* symmetric and one-way, with a heal */
    SCENARIO_SHATTER,   /* cut in three, owners alone, while all write the same few records */
    SCENARIO_LINK,      /* two nodes do not hear each other, and all others hear both */
    SCENARIO_FENCE,     /* owners stand still within a write, and their records are in demand */
    SCENARIO_LOSSY,     /* bursts of loss and delay, links that eat big frames, big records */
    SCENARIO_FULL,      /* little memory: most have no room now and then */
    SCENARIO_CLONE,     /* a second process with the same node id and name elsewhere */
    SCENARIO_WARM,      /* clients change servers, and their records are pushed ahead of them; zones
                           and backups by name; a kind that must not be short of copies */
    SCENARIO_MIXED,     /* all of them */
    SCENARIO_CROWDED, /* between two nodes heartbeats pass and nothing else; owners stand still and
                         die */
    SCENARIO_OUSTED,  /* owners stand still, come back too busy for their heirs, and those die */
    SCENARIO_BUSY,    /* hosts that run late, have full queues and no memory */
    SCENARIO_REMADE,  /* a few records of short lives, made anew when they are over */
    SCENARIO_UPGRADE, /* a process hands over to its successor, under loss; either or both die */
    SCENARIO_QUORUM,  /* what a majority must grant, under kills, pauses and cuts of all sorts */
    SCENARIO_REPOSITORY, /* one or two nodes keep what they hold beyond their processes, with a lag
                          */
    SCENARIO_GROUP, /* copies go by multicast; some do not hear it for a while, or are not heard */
    SCENARIO_KEYS,  /* the farm's key is changed again and again, with nodes down or cut off */
    SCENARIO_COUNT
};

enum sim_stage { STAGE_BOOT, STAGE_FAULTS, STAGE_HEAL, STAGE_SETTLE, STAGE_LOOK, STAGE_DONE };

struct sim_options {
    uint64_t seed;
    unsigned nodes; /* 0: from the seed */
    int scenario;   /* -1: from the seed */
    enum mutant mutant;
    bool trace;
    const char *trace_key; /* only this key's messages are traced */
    const char *without;   /* checkers that look away; for work on the simulator itself */
    bool quiet;
    bool multicast; /* in any scenario */
};

/* What a run came to. */
struct sim_summary {
    bool violated;
    char checker[32];
    uint64_t hash, virtual_ns;
    uint64_t ops, acked, reads, refused, maybe, frames, bytes;
    uint64_t kills, terms, pauses, partitions, starts, clones, claims, merges, values_lost;
    uint64_t upgrades, rotations;
    uint64_t group_copies, group_repairs, group_late;
};

struct sim_net;
struct sim_node;
struct sim_client;
struct sim_model;
struct sim_watch;
struct sim_faults;

struct sim {
    struct sim_options opt;
    enum sim_scenario scenario;
    enum sim_stage stage;
    uint64_t now_ns, stage_ns; /* now; when the stage began */
    struct sim_queue queue;
    struct rng rng; /* the run's shape; the parts have their own */
    unsigned node_count;
    uint8_t farm_key[32];
    struct kinds kinds;
    unsigned voters; /* so many of the first nodes are */
    bool grouped;    /* there is a multicast group */
    struct sim_net *net;
    struct sim_node *nodes; /* SIM_SLOTS */
    struct sim_client *clients;
    struct sim_model *model;
    struct sim_watch *watch;
    struct sim_faults *faults;
    bool over;
    struct sim_summary sum;
};

/* The kinds that the simulated farm keeps, by index. */
enum sim_kind {
    KIND_PURCHASE,
    KIND_CART,
    KIND_APP,
    KIND_TRIPLE,
    KIND_TLS,
    KIND_BRIEF,
    KIND_LOCK, /* atomic = quorum */
    KIND_COUNT
};
#define BRIEF_TTL_MS 6000
#define REMADE_TTL_MS 1500 /* of an app's records, in REMADE */
#define BRIEF_GRACE_MS 8000

/* Runs one seed to its end or to the first violation. */
void sim_run(const struct sim_options *opt, struct sim_summary *out);

void sim_post(struct sim *s, uint64_t at_ns, enum sim_event_type type, unsigned who, uint64_t arg,
              struct sim_frame *frame);

/* Adds to the hash of the story. */
void sim_hash(struct sim *s, const void *bytes, size_t len);
uint64_t sim_digest(const void *bytes, size_t len);

/* A promise was broken: prints seed, time, checker, key and what; ends the run. */
void sim_violation(struct sim *s, const char *checker, const struct key *key, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* One line of the story, with --trace. */
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_traces_key(const struct sim *s, const struct key *key);
/* A key as text, in one of a few static buffers. */
const char *sim_key_text(const struct key *key);

const char *sim_scenario_name(enum sim_scenario s);
int sim_scenario_find(const char *name); /* -1 */

/* sim_stage.c */
void sim_stage_start(struct sim *s);
void sim_stage_step(struct sim *s);
/* Faults may happen and do happen to clients now. */
static inline bool sim_in_faults(const struct sim *s)
{
    return s->stage == STAGE_FAULTS;
}

static inline bool sim_chance(struct rng *r, unsigned of_1000)
{
    return rng_below(r, 1000) < of_1000;
}

static inline uint64_t sim_between(struct rng *r, uint64_t low, uint64_t high)
{
    return low + rng_below(r, high - low + 1);
}

#endif
