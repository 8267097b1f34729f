/* member_state.h - the inside of membership, shared by the member_*.c files: one for events and
 * time (member.c), for heartbeats, for who may join, for what SWIM says and wants said, for what is
 * shown, and for outputs. */
#ifndef CORE_ROSTER_MEMBER_STATE_H
#define CORE_ROSTER_MEMBER_STATE_H

#include "base/clock.h"
#include "base/rng.h"
#include "core/roster/contact.h"
#include "core/roster/member_message.h"

#define MEMBER_STEP_NS (100 * NS_PER_MS) /* it is stepped at least so often */
#define MEMBER_HELLO_NS (1 * NS_PER_S)   /* between hellos to an address */
#define MEMBER_HELLO_JOINING_NS (200 * NS_PER_MS)
#define MEMBER_EARLY_NS (20 * NS_PER_MS)  /* least time between heartbeats to a peer */
#define MEMBER_FRESH_NS (500 * NS_PER_MS) /* an echo no older is contact both ways */
#define MEMBER_PART_NS (2 * NS_PER_S)     /* that the mesh keeps one that left, to acknowledge */
#define MEMBER_FOREIGN_NS (5 * NS_PER_S)  /* a foreign key is believed so long */
#define MEMBER_REFUSED_NS (10 * NS_PER_S) /* between notices that somebody refuses this node */

struct join_address {
    struct addr addr;
    uint64_t hello_due_ns;
};

struct membership {
    char farm[NAME_MAX_BYTES + 1];
    struct member_timing timing;
    size_t join_count;
    struct join_address join[JOIN_ADDRESSES_MAX]; /* without this node's own */
    struct entry self; /* as it is; others are told what swim_self says */
    struct swim *swim;
    struct swim_actions swim_out;
    uint64_t swim_deadline_ns;
    struct contacts contacts;
    struct rng rng;
    uint64_t start_ns;
    uint64_t step_ns;   /* when it last ran */
    uint64_t listen_ns; /* nobody's silence began before */
    uint64_t refused_told_ns, deadline_ns;
    uint64_t foreign_ns,
        foreign_told_ns; /* when a foreign key was last seen, and said; 0 = never */
    uint64_t roster_revision, roster_told_ns, view_told_ns;
    bool roster_dirty, view_dirty;
    bool found, alone, left, group;
    struct member_stats stats;
};

static inline uint64_t member_ns(uint32_t ms)
{
    return (uint64_t)ms * NS_PER_MS;
}

/* Own clock as heartbeats carry it. */
static inline uint64_t member_stamp(const struct membership *m, uint64_t now_ns)
{
    return now_ns - m->start_ns + 1;
}

/* Since when c is silent; a pause of this node starts it anew. */
static inline uint64_t member_silent_since(const struct membership *m, const struct contact *c)
{
    return c->heard_ns > m->listen_ns ? c->heard_ns : m->listen_ns;
}

/* Do heartbeats go to and fro: both keep records. */
static inline bool member_paired(const struct membership *m, const struct contact *c)
{
    return m->self.holds && c->entry->holds;
}

/* Must the mesh have it: one of the two keeps records, and so they have session messages to send.
 */
static inline bool member_linked(const struct membership *m, const struct contact *c)
{
    return m->self.holds || c->entry->holds;
}

/* Be woken by then. */
static inline void member_wake(struct membership *m, uint64_t at_ns)
{
    if (at_ns < m->deadline_ns)
        m->deadline_ns = at_ns;
}

/* member.c: every event begins with a step, which notices pauses, and is finished by saying what
 * changed and when to come again. */
void member_step(struct membership *m, uint64_t now_ns, struct member_actions *out);
void member_finish(struct membership *m, uint64_t now_ns, struct member_actions *out);

/* member_output.c: each gives false when there is no memory for it. */
bool member_output_send(struct member_actions *a, const struct contact *c, bool reliable,
                        const uint8_t *bytes, size_t len);
bool member_output_hello(struct member_actions *a, const struct addr *to);
bool member_output_admit(struct member_actions *a, const struct contact *c);
void member_output_refuse(struct member_actions *a, uint64_t inc, uint64_t node,
                          const struct addr *to, int reason);
void member_output_remove(struct member_actions *a, const struct contact *c);
void member_output_notice(struct member_actions *a, enum member_notice what, uint64_t inc,
                          const struct addr *addr, const char *name, int reason);

/* member_beat.c: heartbeats. */
void member_beat_send(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out);
/* False when it is not believable. */
bool member_beat_take(struct membership *m, struct contact *c, const struct heartbeat *h,
                      uint64_t now_ns, struct member_actions *out);
/* The next heartbeat to c is sent as soon as it may. */
void member_beat_hurry(struct membership *m, struct contact *c, uint64_t now_ns);

/* member_admit.c: who may have a name. c is heard from now on. */
void member_admit_heard(struct membership *m, struct contact *c, uint64_t now_ns,
                        struct member_actions *out);
/* Replaces whoever stands for e's node, name or address unless one of them is alive: then it is
 * taken. Unproven: e calls itself the successor of one that has not said so, and asks again. */
enum claim { CLAIM_GRANTED, CLAIM_TAKEN, CLAIM_UNPROVEN };
enum claim member_admit_claim(struct membership *m, const struct entry *e, const struct addr *addr,
                              uint64_t now_ns, struct member_actions *out);
/* A silent c is replaced if the other process of its node, which is heard, names it no more: it
 * has seen c end. */
bool member_admit_outlived(struct membership *m, struct contact *c, uint64_t now_ns,
                           struct member_actions *out);
/* An incarnation answered a fresh nonce, with its card. */
void member_admit_proven(struct membership *m, uint64_t inc, uint64_t node, const struct addr *from,
                         const uint8_t *card, size_t len, uint64_t now_ns,
                         struct member_actions *out);
/* A place in the table, made free if there must be. */
struct contact *member_admit_add(struct membership *m, struct entry *e, const struct addr *addr,
                                 uint64_t now_ns, struct member_actions *out);
/* c has left for good. */
void member_admit_part(struct membership *m, struct contact *c, uint64_t now_ns,
                       struct member_actions *out);

/* Forgets c altogether. */
void member_forget(struct membership *m, struct contact *c);

/* member_swim.c: what SWIM puts out is done, after every call of it. */
void member_swim_drain(struct membership *m, uint64_t now_ns, struct member_actions *out);
/* The mesh has c: what waited for it goes out. */
void member_swim_admitted(struct contact *c, struct member_actions *out);
/* SWIM has it from now on, or is told again at the next step. */
void member_learn(struct membership *m, struct contact *c, struct entry *e, enum swim_source source,
                  uint64_t now_ns);
/* Numbers of own entry, as told. */
void member_swim_number(struct membership *m);

#endif
