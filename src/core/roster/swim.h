/* swim.h - who lives: failure detection and the spreading of entries by gossip. SWIM (Das, Gupta,
 * Motivala, DSN 2002) with Lifeguard's refinements (Dadgar, Phillips, Currey, arXiv 1707.00788).
 * docs/roster.md tells how, docs/protocol.md what is on the wire.
 *
 * A function of (state, event, now) -> (outputs, next deadline). Peers are named by incarnation and
 * are in the table because the caller put them there (swim_learn): who may join is not decided
 * here. Of each peer it knows an entry, and how alive it is: (life, rank). Only the peer itself
 * raises its life, to refute that it is suspect or down. */
#ifndef CORE_ROSTER_SWIM_H
#define CORE_ROSTER_SWIM_H

#include "base/list.h"
#include "core/roster/entry_share.h"

#define SWIM_PEERS_MAX 16384      /* in the table, gone ones too */
#define SWIM_FLEETING_BYTES 1088u /* the largest fleeting message: one frame of the mesh */
#define SWIM_PAGE_BYTES 32768u    /* a reliable one, but for the list of a great table */
#define SWIM_TYPE_FIRST 16        /* first byte of a message; smaller ones are others' */

enum swim_rank { SWIM_ALIVE, SWIM_SUSPECT, SWIM_DOWN, SWIM_LEFT };

/* What is known of a node, as a value with an algebra: the greatest (boot, inc) wins; within an
 * incarnation content by the greatest revision, and being alive by the greatest (life, rank), but
 * that one that left has left. Commutative, associative, idempotent. */
struct swim_fact {
    uint64_t boot, inc, revision;
    uint32_t life;
    enum swim_rank rank;
};
struct swim_fact swim_fact_merge(const struct swim_fact *a, const struct swim_fact *b);

/* Refinements that can be switched off, to measure what each is worth. */
enum swim_without {
    SWIM_WITHOUT_HEALTH = 1,    /* LHA-probe: local health stretches interval and timeout */
    SWIM_WITHOUT_SHRINKING = 2, /* LHA-suspicion: timeouts that shrink by confirmations */
    SWIM_WITHOUT_BUDDY = 4,     /* a suspect is told first */
    SWIM_WITHOUT_PAUSE = 8,     /* time in which this node did not run does not count */
    SWIM_WITHOUT_EVIDENCE = 16  /* own fresh contact beats hearsay */
};

struct swim_timing {
    uint32_t interval_ms;   /* 200: a member answers within it, directly or through others */
    uint32_t timeout_ms;    /* 100: then others are asked to try */
    uint32_t probes;        /* 2 members are probed in each interval */
    uint32_t helpers;       /* 3 are asked to try */
    uint32_t gossip_ms;     /* 50: between messages of news, while there is news */
    uint32_t fanout;        /* 3 members get them */
    uint32_t spread;        /* 4: news is sent that many times ceil(log10(n + 1)) by each */
    uint32_t suspicion;     /* 5: least time to refute, in intervals times log10 n */
    uint32_t suspicion_max; /* 6: longest, in least ones */
    uint32_t pause_ms;      /* 300: own steps further apart mean that this node did not run */
    uint32_t sync_ms;       /* 10000: between comparisons with some member */
    uint32_t retry_ms;      /* 1000: between attempts to meet one that is down again */
    uint32_t hold_ms;       /* 2000: longest that a small change of a count is held back */
    uint32_t hold_percent;  /* 3: a smaller change of users is a small one */
    unsigned without;       /* enum swim_without */
};
void swim_timing_default(struct swim_timing *t);
/* Another interval, with what hangs on it in proportion. */
void swim_timing_pace(struct swim_timing *t, uint32_t interval_ms);

enum swim_output_type {
    SWIM_OUT_SEND,     /* bytes to inc, reliable or not */
    SWIM_OUT_CHANGED,  /* inc's rank or entry changed: swim_look */
    SWIM_OUT_STRANGER, /* hearsay of an unknown inc: swim_learn it or not */
    SWIM_OUT_COMPARED  /* inc has told all whom it knows: what is new of it is swim_missing */
};

struct swim_output {
    struct list link;
    enum swim_output_type type;
    uint64_t inc;
    bool reliable;
    struct entry *entry; /* STRANGER: a reference that goes with the output */
    uint32_t life;       /* STRANGER */
    enum swim_rank rank; /* STRANGER; CHANGED: now */
    enum swim_rank was;  /* CHANGED: before; LEFT for one that is new */
    uint32_t age_ms;     /* STRANGER: for how long it has been down or left */
    size_t len;
    uint8_t bytes[];
};

struct swim_actions {
    struct list outputs;
    uint64_t deadline_ns;
    bool missed; /* there was no memory for a CHANGED: look at everybody */
};
void swim_actions_init(struct swim_actions *a);
void swim_actions_clear(struct swim_actions *a);
void swim_output_free(struct swim_output *o);

struct swim;
/* self is copied. NULL without memory. */
struct swim *swim_new(const struct swim_timing *t, uint64_t seed, const struct entry *self,
                      uint64_t now_ns) __attribute__((warn_unused_result));
void swim_free(struct swim *s);

/* What this node says of itself from now on; node, inc and boot stay, revision, shape and life are
 * set here. Small changes of counts are held back, and all changes are paced by the size of the
 * farm. */
void swim_set_self(struct swim *s, const struct entry *self, uint64_t now_ns,
                   struct swim_actions *out);
/* As told to others: with its revision, shape and life. Valid until the next call. */
const struct entry *swim_self(const struct swim *s);

/* How a peer came to be known. */
enum swim_source {
    SWIM_PROVEN, /* it has just proved to this node that it lives */
    SWIM_HEARSAY /* a STRANGER that the caller takes in */
};
/* Puts a peer into the table, or renews it; e is shared, a reference is taken. An entry of the same
 * revision takes the place of the one there (the same content, kept once). FULL, NOMEM, OK; INVAL
 * when it is this node itself. */
int swim_learn(struct swim *s, struct entry *e, uint32_t life, enum swim_rank rank,
               enum swim_source source, uint64_t now_ns, struct swim_actions *out);
/* One that is gone has been so for that long already. */
void swim_aged(struct swim *s, uint64_t inc, uint32_t age_ms, uint64_t now_ns);
/* For good: unknown from now on. */
void swim_forget(struct swim *s, uint64_t inc);

/* A message from a peer. Unknown senders are answered, and their news is taken. */
void swim_message(struct swim *s, uint64_t from, const uint8_t *bytes, size_t len, uint64_t now_ns,
                  struct swim_actions *out);
/* Fresh contact both ways by other means: as good as an acknowledgement. */
void swim_heard(struct swim *s, uint64_t inc, uint64_t now_ns);
/* `from` tells counts, its own or another's, by another way than news. */
void swim_counts(struct swim *s, uint64_t from, const struct entry_counts *c, uint64_t now_ns,
                 struct swim_actions *out);
/* Contact by other means broke off: inc is probed next. */
void swim_doubt(struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_actions *out);
/* inc itself says that its entry has this revision: asked for when that is news. */
void swim_hint(struct swim *s, uint64_t inc, uint64_t revision, uint64_t now_ns,
               struct swim_actions *out);
/* Compares tables with inc now. */
void swim_compare(struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_actions *out);
/* inc will not come back (it left, or its place is taken). */
void swim_gone(struct swim *s, uint64_t inc, enum swim_rank rank, uint64_t now_ns,
               struct swim_actions *out);
void swim_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out);
/* Tells some of them that this node leaves; nothing more is sent after it. */
void swim_leave(struct swim *s, uint64_t now_ns, struct swim_actions *out);

struct swim_view {
    struct entry *entry; /* not a reference: valid until the next call */
    uint32_t life;
    enum swim_rank rank;
    uint32_t since_ms; /* when gone: for how long; else since own contact, UINT32_MAX = never */
};
bool swim_look(const struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_view *out);
size_t swim_count(const struct swim *s); /* in the table */
size_t swim_alive(const struct swim *s); /* of these alive or suspect */
/* Whom others listed to this node while it was young, and whose entries have yet to come. */
size_t swim_missing(const struct swim *s);

struct swim_stats {
    uint64_t probes, probes_failed, probes_spared, asks, nacks_missed;
    uint64_t suspicions, refutations, downs, returns, pauses, syncs;
    uint64_t news_sent, news_dropped, messages_in, messages_out, bytes_out, malformed, dropped;
    uint64_t local_health; /* 0 = well; the factor on intervals is one more */
};
void swim_stats(const struct swim *s, struct swim_stats *out);

#endif
