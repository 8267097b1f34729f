/* session_internal.h - the inside of a shard.
 *
 * An *item* is a record at rest (table.h). A *work* exists while something is going on about a key:
 * operations that wait in order, and at most one round of questions to other nodes. A *waiter* is
 * one operation and who asked for it. serve_key() is the one place that decides what happens next
 * for a key; everything else feeds it.
 */
#ifndef CORE_SESSION_INTERNAL_H
#define CORE_SESSION_INTERNAL_H

#include "base/buzhash.h"
#include "base/clock.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "core/session/message.h"
#include "core/session/session.h"
#include "core/session/table.h"

#define PEERS_MAX 1024
#define HINTS 4096
#define WORK_BUCKETS 1024
#define HOPS_MAX 4
#define SYNC_OWED_MAX 64 /* shards of a joining node */
#define BATCH_MAX 64     /* writes of one key that go into one round */

struct peer {
    struct peer_view view;
    uint64_t down_ns; /* when it stopped being heard */
    bool long_away;   /* it is heard again just now, after longer than deletions are remembered */
    bool announcing;  /* it is heard again: told what is owned here, from `cursor` on */
    uint64_t cursor;
    uint64_t sync_shards; /* joining: shards of it that have said they are complete */
    bool sync_done;
    uint64_t sync_asked_ns;
    uint64_t sync_owed[SYNC_OWED_MAX]; /* nonces that it waits for an answer to */
    uint8_t sync_owed_count;
};

struct hint {
    uint64_t hash, inc;
};

struct session {
    struct session_config config;
    struct kinds kinds;
    struct table *table;
    struct buzhash bucket_hash, place_hash;
    struct rng rng;
    uint64_t now_ns, start_ns;
    struct session_actions *out;

    uint64_t self_inc, self_node;
    enum peer_state self_state;
    bool self_holds;
    size_t peer_count;
    struct peer *peers; /* ordered by inc */

    struct list works, buckets[WORK_BUCKETS];
    size_t work_count, claim_count;
    struct list waiters, passed;
    size_t waiter_count;
    uint64_t next_token;
    struct hint hints[HINTS];

    struct list repair;  /* owned items: short of copies, or doubtful */
    struct list orphans; /* copies whose owner is down */
    size_t repair_count, orphan_count;
    bool scanning, scan_again;
    uint64_t scan_cursor, next_tick_ns;

    uint64_t handover_cursor;
    uint64_t sync_nonce;
    struct session_stats stats;
};

/* -- peers (view.c) -- */
struct peer *peer_find(struct session *s, uint64_t inc);
bool peer_is_heard(struct session *s, uint64_t inc);
void view_update(struct session *s, const struct session_view *v);
/* Distinct nodes that are down and may come back with copies. */
size_t peers_missing(const struct session *s);

/* -- placement (placement.c) -- */
uint64_t placement_score(const struct session *s, const struct key *key, uint64_t node);
/* Fills `out` with peers that may hold a copy, best first (up, then joining); returns how many. */
size_t placement_order(struct session *s, const struct key *key, uint64_t *out, size_t max);
/* Is this node the first in order among itself and the incarnations given that are heard? */
uint64_t placement_first(struct session *s, const struct key *key, const uint64_t *incs,
                         size_t count, bool with_self);

/* -- messages -- */
void session_send(struct session *s, struct message *m, const struct record *rec, uint64_t to);

/* -- claims and search (claim.c, locate.c) -- */
void claim_start(struct session *s, struct work *w, struct item *item);
void claim_asked(struct session *s, uint64_t from, const struct message *m);
void claim_answered(struct session *s, uint64_t from, const struct message *m);
void claim_check(struct session *s, struct work *w);
void locate_start(struct session *s, struct work *w);
void locate_asked(struct session *s, uint64_t from, const struct message *m);
void locate_answered(struct session *s, uint64_t from, const struct message *m);
void locate_check(struct session *s, struct work *w);
uint64_t hint_get(struct session *s, const struct key *key);
void hint_set(struct session *s, const struct key *key, uint64_t inc);

/* -- meeting again (heal.c), leaving and joining (leave.c), background (repair.c), time (expiry.c)
 * -- */
void heal_announce(struct session *s);
void heal_announced(struct session *s, uint64_t from, const struct message *m);
void heal_offered(struct session *s, uint64_t from, const struct message *m);
void heal_taken(struct session *s, uint64_t from, const struct message *m);
void heal_offer(struct session *s, struct item *item, uint64_t to);
void leave_tick(struct session *s);
void leave_handed(struct session *s, uint64_t from, const struct message *m);
void leave_start(struct session *s, struct work *w, struct item *item);
void leave_check(struct session *s, struct work *w);
void leave_taken(struct session *s, struct work *w, uint64_t from, int status);
void sync_tick(struct session *s);
void sync_asked(struct session *s, uint64_t from, const struct message *m);
void sync_answered(struct session *s, uint64_t from, const struct message *m);
bool repair_idle(const struct session *s);
void repair_scan(struct session *s);
void repair_tick(struct session *s);
void repair_note(struct session *s, struct item *item);
void expiry_set(struct session *s, struct item *item, uint32_t left_ms);
void expiry_touch(struct session *s, struct item *item);
void expiry_tick(struct session *s);
void expiry_touched(struct session *s, uint64_t from, const struct message *m);
void expiry_expired(struct session *s, uint64_t from, const struct message *m);

void session_wipe(struct session *s);
void session_tell(struct session *s, enum notice_type type, const struct key *key, uint64_t peer,
            uint32_t lost);
static inline uint32_t now_s(const struct session *s)
{
    return (uint32_t)((s->now_ns - s->start_ns) / NS_PER_S) + 1;
}
static inline const struct kind *kind_of(const struct session *s, const struct key *key)
{
    return &s->kinds.kind[key->kind];
}

#endif
