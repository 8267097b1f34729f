/* rebalance.h - which of a server's clients should go to which other servers, so that all end level
 * by weight. Pure; each node asks it for its own server only, with the roster as it sees it.
 *
 * Only what a server has above its fair share (all users x own weight / all weights) moves, to
 * servers below theirs. Surpluses and deficits are laid side by side, each in the roster's order;
 * what overlaps is who goes where:
 *
 *     surplus   |---- s1 ----|------- s4 -------|
 *     deficit   |------ s2 ------|---- s3 ------|      s1 -> s2, s4 -> s2 and s3
 *
 * So nodes that see the same roster fill each target exactly, however many of them give.
 *
 * It begins when this server is above its share, or a target below its own, by more than the
 * threshold, and goes on to level. It waits while somebody is suspect or joining, while counts are
 * old, while users come in numbers, for longer after a server went away (it may be restarting: what
 * moves now would move back), and after each round until the counts show what moved. */
#ifndef CORE_ROSTER_REBALANCE_H
#define CORE_ROSTER_REBALANCE_H

#include "core/roster/roster.h"

#define REBALANCE_TARGETS_MAX 16
#define REBALANCE_LEAST 2       /* clients: less is not worth a move */
#define REBALANCE_PACE_PER_S 50 /* joins that a target gets, from all that give */
#define REBALANCE_WITHIN_MIN_MS 1000
#define REBALANCE_ROUND_MS 10000    /* the most that one round takes */
#define REBALANCE_SETTLE_MS 3000    /* after a round, until counts are believed */
#define REBALANCE_CALM_MS 3000      /* so long the farm must have been the same */
#define REBALANCE_AWAY_MS 15000     /* and so long after a server went away */
#define REBALANCE_PATIENCE_MS 20000 /* longer, while those who were asked are still here */
#define REBALANCE_STALE_MS 5000     /* counts older than that are not believed */

struct rebalance_rules {
    uint32_t threshold_percent; /* of the fair share */
    uint32_t pace_per_s;        /* REBALANCE_PACE_PER_S */
};

/* What one server remembers from step to step. Zeroed = new. */
struct rebalance {
    uint64_t digest;  /* of who takes part */
    size_t servers;   /* that do */
    uint64_t users;   /* of all, when the calm began */
    uint64_t calm_ms; /* since when; 0 = never stepped */
    uint64_t calm_for_ms;
    uint64_t again_ms; /* not before */
    uint64_t late_ms;  /* nor before, while this server has more users than */
    uint32_t left;
    bool active;
};

struct rebalance_target {
    const char *name; /* points into the roster */
    uint32_t count;
    uint32_t within_ms; /* the clients go at random moments within */
};

enum rebalance_why {
    REBALANCE_MOVES,
    REBALANCE_LEVEL,     /* within the threshold, or nothing to give */
    REBALANCE_NOT_HERE,  /* this node has no such server that is up */
    REBALANCE_UNSETTLED, /* somebody is suspect or joining, or counts are old */
    REBALANCE_NOT_CALM,  /* users come or go in numbers, or servers did just now */
    REBALANCE_WAITS      /* for the last round */
};

struct rebalance_plan {
    enum rebalance_why why;
    uint32_t surplus; /* above the fair share, whether it is moved or not */
    size_t count;
    struct rebalance_target targets[REBALANCE_TARGETS_MAX];
};

/* To be called about once a second. */
void rebalance_step(struct rebalance *b, const struct roster *r, const char *service,
                    const struct rebalance_rules *rules, uint64_t now_ms,
                    struct rebalance_plan *out);

#endif
