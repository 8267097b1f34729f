/* swim_table.h - the table of peers: what is kept of each, and ways to pick from it. */
#ifndef CORE_ROSTER_SWIM_TABLE_H
#define CORE_ROSTER_SWIM_TABLE_H

#include "core/roster/swim_message.h"

struct swim;

/* Pieces of news of a peer. */
enum swim_kind { SWIM_NEWS_STATE, SWIM_NEWS_CONTENT, SWIM_NEWS_KINDS };
enum swim_flag {
    SWIM_SELF = 1,
    SWIM_ROUND = 2, /* the round in which it was last probed, modulo 2 */
    SWIM_WHOLE = 4  /* its content changed in more than counts: the whole entry is news */
};

/* One node in a table: 24 bytes, since a farm of n keeps n tables of n. */
struct swim_peer {
    struct entry *entry; /* shared */
    uint32_t life;
    uint32_t mark_ms; /* swim_mark: last own contact; when gone, since when. 0 = none */
    uint16_t news[SWIM_NEWS_KINDS]; /* places in the pool + 1 */
    uint16_t suspicion;             /* place + 1 */
    uint8_t rank, flags;
};
_Static_assert(sizeof(struct swim_peer) == 24, "a table's element");

struct swim_table {
    struct swim_peer *items; /* ordered by entry->inc; this node itself among them */
    uint32_t count, capacity;
    uint32_t alive;                /* alive or suspect, without this node */
    uint64_t digest[SWIM_BUCKETS]; /* over those, and this node */
};

/* A way through all of a table in a random order, without memory for it. */
struct swim_walk {
    uint32_t size, at, step, left;
};

static inline uint64_t swim_inc(const struct swim_peer *p)
{
    return p->entry->inc;
}

/* May it be spoken to: a peer that is alive or suspect. */
static inline bool swim_member(const struct swim_peer *p)
{
    return p->rank <= SWIM_SUSPECT && !(p->flags & SWIM_SELF);
}

/* Pointers to peers hold until the table grows or shrinks. */
uint32_t swim_place(const struct swim_table *t, uint64_t inc); /* where it stands or would */
struct swim_peer *swim_find(struct swim *s, uint64_t inc);
/* A new one, alive with life 0. NULL: FULL or NOMEM in *error. */
struct swim_peer *swim_add(struct swim *s, struct entry *e, int *error);
void swim_drop(struct swim *s, struct swim_peer *p);
/* Content and liveness, with what depends on them kept right. The reference to e is taken. */
void swim_set_entry(struct swim *s, struct swim_peer *p, struct entry *e);
void swim_set_state(struct swim *s, struct swim_peer *p, uint32_t life, enum swim_rank rank,
                    uint64_t now_ns);
/* A random member, `not` excepted; NULL when there is none. */
struct swim_peer *swim_random(struct swim *s, uint64_t not );
/* The next of a walk over the table, any of it; NULL at its end, when it is to be begun anew. */
struct swim_peer *swim_walk_next(struct swim *s, struct swim_walk *w);
uint32_t swim_log10_milli(uint32_t n); /* 1000 x log10 n, within 30 */

#endif
