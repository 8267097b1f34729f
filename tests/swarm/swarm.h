/* swarm.h - farms of SWIM cores in virtual time, from one seed: 3 to 10,000 members, a light
 * network, and members that starve.
 *
 *   swarm.c        the world: events, members, what they put out
 *   swarm_net.c    latency, loss, cuts
 *   swarm_story.c  what happens in a run, and what must come of it
 *   swarm_grid.c   Lifeguard's grid of starved members
 *   swarm_main.c   the command
 *
 * A member that starves runs nothing while it is blocked: no timer, no message; its inbox fills up
 * to a bound. When it runs again its timers come first and then its messages one by one. */
#ifndef SWARM_H
#define SWARM_H

#include "base/clock.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "core/roster/swim.h"

#include <stdbool.h>
#include <stdint.h>

#define MS(n) ((uint64_t)(n)*NS_PER_MS)
#define SEC(n) ((uint64_t)(n)*NS_PER_S)

#define SWARM_INBOX_MAX 2048
#define SWARM_COST_NS (20 * NS_PER_US) /* to process a message */
#define SWARM_BOOTS_MAX 8

struct swarm_message {
    uint64_t from; /* incarnation */
    struct swim_output *o;
};

struct swarm_node {
    struct swim *swim;  /* NULL = does not run */
    struct entry *told; /* as it says of itself now: shared by everybody who knows it */
    struct entry *past[SWARM_BOOTS_MAX]; /* of each start: the last thing said */
    unsigned boots;
    struct swarm_message *inbox;
    uint32_t inbox_first, inbox_count;
    uint64_t wake_ns, busy_ns, blocked_ns;
    uint64_t killed_ns;
    bool sick; /* one of those that starve in this run */
    unsigned side;
    bool deaf;                  /* nothing comes in */
    uint32_t down_at, known_at; /* members that hold it down; that know its latest */
};

enum swarm_event_type { EVENT_WAKE, EVENT_ARRIVAL, EVENT_BLOCK };

struct swarm_event {
    uint64_t at_ns, seq;
    enum swarm_event_type type;
    uint32_t node;
    uint64_t from;
    struct swim_output *o;
};

struct swarm_options {
    unsigned nodes;
    uint64_t seed;
    struct swim_timing timing;
    unsigned loss; /* of 1000 */
    uint32_t delay_min_us, delay_max_us;
    bool trace;
};

struct swarm_totals {
    uint64_t messages, bytes, lost, overflow, events;
    uint64_t suspicions;
    uint64_t false_all;                   /* times that a well member was held down, by whomever */
    uint64_t false_healthy;               /* of these by a well member */
    uint64_t downs_nap;                   /* times that a member that only starves was held down */
    uint64_t first_down_ns, last_down_ns; /* of the one that was killed last */
};

struct swarm {
    struct swarm_options opt;
    struct rng rng, net;
    uint64_t now_ns, seq;
    struct swarm_event *heap;
    size_t heap_count, heap_capacity;
    struct swarm_node *nodes;
    unsigned count;
    uint64_t block_ns, gap_ns, block_until_ns; /* the starved: blocked for, then running for */
    bool split;                                /* sides do not hear each other */
    int watched;                               /* whose death is timed; -1 */
    struct swarm_totals sum;
    struct swim_actions actions;
};

struct swarm *swarm_new(const struct swarm_options *opt);
void swarm_free(struct swarm *w);
/* Everybody knows everybody. */
void swarm_acquaint(struct swarm *w);
void swarm_run(struct swarm *w, uint64_t for_ns);
/* A fresh incarnation that knows only `contact` (-1 = nobody). */
void swarm_start(struct swarm *w, unsigned node, int contact);
void swarm_kill(struct swarm *w, unsigned node);
void swarm_leave(struct swarm *w, unsigned node);
void swarm_set_users(struct swarm *w, unsigned node, uint32_t users);
/* The sick are blocked for block_ns, run for gap_ns, and so on until `until`. */
void swarm_starve(struct swarm *w, uint64_t block_ns, uint64_t gap_ns, uint64_t until_ns);
struct entry *swarm_entry(const struct swarm *w, unsigned node, unsigned boot);
int swarm_slot(const struct swarm *w, uint64_t inc);
uint64_t swarm_inc(const struct swarm *w, unsigned node); /* of its present or last start */
/* How many of the running members see `node` as `rank`; know its present revision. Does everybody
 * hold exactly those for alive (or suspect) that are, and know their latest? */
unsigned swarm_seen(const struct swarm *w, unsigned node, enum swim_rank rank);
unsigned swarm_known(const struct swarm *w, unsigned node);
bool swarm_agrees(const struct swarm *w);

/* swarm_net.c: false when it is lost. */
bool swarm_carries(struct swarm *w, unsigned from, unsigned to, bool reliable, uint64_t *delay_ns);

/* swarm_story.c */
struct swarm_result {
    bool broken;
    char why[160];
    uint64_t first_ns, all_ns; /* of what the story waits for */
    struct swarm_totals sum;
    struct swim_stats swim;     /* of all, added up */
    double messages_s, bytes_s; /* per member and second */
};
const char *swarm_story_name(size_t i); /* NULL behind the last */
/* False when there is no such story. */
bool swarm_tell(const char *story, const struct swarm_options *opt, struct swarm_result *out);
void swarm_measure(struct swarm *w, uint64_t span_ns, struct swarm_result *out);

/* swarm_grid.c */
void swarm_grid(unsigned nodes, unsigned seconds, uint64_t seed, uint32_t interval_ms);

#endif
