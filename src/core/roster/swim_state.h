/* swim_state.h - the inside of SWIM, shared by the swim_*.c files: the table of peers, suspicions,
 * news, probes, self, and the comparison of tables have a file each; events are in swim.c. */
#ifndef CORE_ROSTER_SWIM_STATE_H
#define CORE_ROSTER_SWIM_STATE_H

#include "base/clock.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "core/roster/swim_message.h"
#include "core/roster/swim_table.h"

#define SWIM_STEP_NS (100 * NS_PER_MS) /* it is stepped at least so often */
#define SWIM_LATE_NS (20 * NS_PER_MS)  /* woken later than this after a deadline: starved */
#define SWIM_HEALTH_MAX 8              /* local health saturates there */
#define SWIM_PROBES_MAX 16             /* unanswered at a time */
#define SWIM_RELAYS_MAX 64             /* pings for others, unanswered */
#define SWIM_NEWS_MAX 4096             /* pieces of news that wait to be told */
#define SWIM_SENT_MAX 40               /* times that a piece is told at most */
#define SWIM_WANTS_MAX 32              /* incarnations that were asked for just now */
#define SWIM_MEET_NS (1 * NS_PER_S)    /* between comparisons because of meeting again */
#define SWIM_YOUNG 10                  /* times more often a young node compares tables */
#define SWIM_WANT_NS (200 * NS_PER_MS) /* before one is asked for again */
#define SWIM_PICKS_MAX 96              /* pieces in a message */
#define SWIM_FAREWELLS 32              /* members that hear it from a leaving node itself */

struct swim_suspicion {
    uint64_t inc, start_ns, due_ns;
    uint64_t accusers[SWIM_ACCUSERS_MAX];
    uint8_t accuser_count, wanted; /* confirmations until the timeout is the least */
    bool asked;                    /* it was asked a last time itself */
};

struct swim_news {
    uint64_t inc;
    uint16_t next, prev; /* places + 1 */
    uint8_t kind, sent;
};

/* What is told, the least told first. */
struct swim_board {
    struct swim_news *items;
    uint16_t used, capacity, free; /* free: first of the free ones, by next */
    uint16_t count;
    uint16_t first[SWIM_SENT_MAX + 1], last[SWIM_SENT_MAX + 1];
};

struct swim_probe {
    uint64_t inc; /* 0 = none */
    uint64_t ask_ns, over_ns;
    uint32_t seq;
    uint8_t asked, nacks;
    bool indirect;
};

struct swim_relay {
    uint64_t origin, target; /* origin 0 = none */
    uint64_t nack_ns, over_ns;
    uint32_t seq, origin_seq;
    bool nacked;
};

struct swim_want {
    uint64_t inc, at_ns;
};

struct swim {
    struct swim_timing timing;
    struct rng rng;
    struct entry *self;   /* as told; shared */
    struct entry *coming; /* as it will be told, or NULL */
    uint64_t coming_ns, told_ns, budget_ns;
    uint64_t start_ns, step_ns, deadline_ns;
    uint64_t probe_ns, gossip_ns, sync_ns, synced_ns, retry_ns;
    struct swim_table table;
    struct swim_walk probe_walk, gossip_walk;
    uint8_t round;
    struct swim_suspicion *suspicions;
    uint16_t suspicion_count, suspicion_capacity;
    uint64_t suspicion_ns; /* the earliest is due then */
    uint64_t *downs;       /* that may come back */
    uint32_t down_count, down_capacity;
    uint64_t *missing; /* listed, not known yet */
    uint32_t missing_count, missing_capacity;
    struct swim_board board;
    struct swim_probe probes[SWIM_PROBES_MAX];
    struct swim_relay *relays; /* SWIM_RELAYS_MAX, or NULL when none was asked for */
    struct swim_want wants[SWIM_WANTS_MAX];
    uint32_t seq;
    uint8_t want_at;
    bool joined, left;
    struct swim_stats stats;
};

static inline uint64_t swim_ns(uint32_t ms)
{
    return (uint64_t)ms * NS_PER_MS;
}

static inline bool swim_with(const struct swim *s, enum swim_without refinement)
{
    return (s->timing.without & (unsigned)refinement) == 0;
}

/* Own time in ms as a table keeps it, never 0; wraps after 49 days. */
static inline uint32_t swim_mark(const struct swim *s, uint64_t now_ns)
{
    uint32_t ms = (uint32_t)((now_ns - s->start_ns) / NS_PER_MS);
    return ms == 0 ? 1 : ms;
}

/* swim_output.c */
bool swim_send(struct swim *s, uint64_t to, bool reliable, const struct wire_writer *w,
               struct swim_actions *out);
void swim_changed(struct swim *s, const struct swim_peer *p, enum swim_rank was,
                  struct swim_actions *out);
void swim_compared(uint64_t inc, struct swim_actions *out);
void swim_stranger(const struct swim_record *r, struct swim_actions *out);

/* swim_suspect.c: what is said of a node's life. */
struct swim_saying {
    uint64_t inc;
    uint32_t life;
    enum swim_rank rank;
    const uint64_t *accusers; /* of SUSPECT */
    uint8_t accuser_count;
};
/* False when it is about nobody known. */
bool swim_say(struct swim *s, const struct swim_saying *what, uint64_t now_ns,
              struct swim_actions *out);
void swim_suspicion_end(struct swim *s, struct swim_peer *p);
void swim_suspicions_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
/* All timers begin anew, as after a pause; or are put off. */
void swim_suspicions_restart(struct swim *s, uint64_t now_ns);
void swim_suspicions_put_off(struct swim *s, uint64_t by_ns);
uint64_t swim_suspicion_least_ns(const struct swim *s);
void swim_health(struct swim *s, int change);

/* swim_news.c */
void swim_tell(struct swim *s, struct swim_peer *p, enum swim_kind kind, uint64_t now_ns);
void swim_untell(struct swim *s, struct swim_peer *p);
/* News for `to`, after a message's head. */
void swim_fill(struct swim *s, uint64_t to, struct wire_writer *w);
void swim_gossip_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
void swim_take_news(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                    struct swim_actions *out);
/* What an entry says; true when it is of a stranger, or taken in. */
void swim_take_entry(struct swim *s, const struct swim_record *r, uint64_t now_ns,
                     struct swim_actions *out);

/* swim_probe.c */
void swim_probe_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
void swim_probe_put_off(struct swim *s, uint64_t by_ns);
void swim_probe_void(struct swim *s);
void swim_ping(struct swim *s, uint64_t to, uint32_t seq, struct swim_actions *out);
void swim_probe_next(struct swim *s, struct swim_peer *p, uint64_t now_ns,
                     struct swim_actions *out);
void swim_contact(struct swim *s, struct swim_peer *p, uint64_t now_ns);
void swim_take_ping(struct swim *s, uint64_t from, const struct swim_message *m,
                    struct swim_actions *out);
void swim_take_ack(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                   struct swim_actions *out);
void swim_take_ask(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                   struct swim_actions *out);
void swim_take_nack(struct swim *s, const struct swim_message *m);

/* swim_sync.c */
void swim_sync_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
void swim_sync_with(struct swim *s, uint64_t to, uint64_t now_ns, struct swim_actions *out);
void swim_want(struct swim *s, uint64_t from, uint64_t inc, uint64_t now_ns,
               struct swim_actions *out);
void swim_found(struct swim *s, uint64_t inc); /* not missing any more */
void swim_take_page(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                    struct swim_actions *out);

/* swim_self.c: what this node says of itself. */
void swim_self_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
/* Raises the life above one at which this node was said to be suspect or down. */
void swim_refute(struct swim *s, uint32_t life, uint64_t now_ns);

#endif
