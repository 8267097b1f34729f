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

enum item_role { ROLE_NONE, ROLE_OWNER, ROLE_HOLDER };

/* What an owner knows of one holder's copy. Confirmed: the holder had `version` of this term while
 * it granted `granted`. */
struct copy {
    uint64_t inc;
    uint64_t version;          /* 0: nothing confirmed yet */
    uint64_t granted, counted; /* of the contact in which it was confirmed */
};

/* An owned record's copies; hangs on the item while this shard owns it. */
struct session_state {
    size_t count;
    struct copy copies[RECORD_HOLDERS_MAX];
    bool doubtful; /* a holder had counted us out: claim again before serving */
};

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

struct waiter {
    struct list link; /* in a work's queue or round, or in s->passed */
    struct list all;  /* in s->waiters */
    uint64_t asker;   /* incarnation; 0 = this node */
    uint64_t token;   /* the asker's */
    struct session_op op;
    struct key key;
    uint8_t hops;
    bool searched;      /* LOCATE has been done for it */
    uint64_t passed_to; /* in s->passed: who does it, and our own token for it */
    uint64_t pass_token;
    uint64_t not_before_ns;
    struct field_op ops[]; /* then names and values */
};

enum work_phase {
    WORK_IDLE,
    WORK_LOCATE,  /* who has the key? */
    WORK_CLAIM,   /* who has which copy? */
    WORK_ROUND,   /* holders are getting this version */
    WORK_HANDOVER /* another node is to own it */
};

enum answer { ANSWER_WAITING, ANSWER_NONE, ANSWER_HAVE, ANSWER_KEPT, ANSWER_REFUSED };

struct target {
    uint64_t inc;
    enum answer answer;
    uint64_t granted, counted; /* as they were when we asked */
    struct stamp stamp;
    uint64_t owner;
};

struct work {
    struct list link; /* in its bucket */
    struct list all;
    bool serving, again; /* serve_key() is at work, and shall look once more */
    unsigned held;       /* by callers on the stack: it stays until they are done */
    struct key key;
    uint64_t hash;
    enum work_phase phase;
    uint64_t token;
    struct list queue;  /* waiters, in order */
    struct list round;  /* waiters that the round under way will answer */
    struct stamp stamp; /* ROUND: the version on its way */
    bool claiming;      /* ROUND: of a claim or handover */
    uint64_t handover_from,
        handover_token; /* ROUND: who handed over, told when it is kept; 0 = nobody */
    bool offer_taken;   /* ROUND: tell those in `offers` that it is kept */
    uint64_t again_ns;  /* IDLE: serve_key again then; 0 = on the next event */
    uint64_t since_ns;  /* when the phase began */
    size_t target_count, target_cap;
    struct target *targets;
    size_t drop_count;
    uint64_t drops[RECORD_HOLDERS_MAX * 2]; /* peers with a copy that are no holders any more */
    size_t offer_count;
    struct {
        uint64_t inc, token;
    } offers[8];
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
void send_message(struct session *s, struct message *m, const struct record *rec, uint64_t to);

/* -- waiters (waiter.c) -- */
struct waiter *waiter_new(struct session *s, const struct session_op *op, uint64_t asker,
                          uint64_t token, uint8_t hops, uint64_t deadline_ns);
/* Ends it: an answer to whoever asked. rec may be NULL. */
void waiter_finish(struct session *s, struct waiter *w, int status, const struct record *rec,
                   uint8_t copies, enum session_origin origin);
void waiter_pass(struct session *s, struct waiter *w, uint64_t to);
void waiters_tick(struct session *s);
void waiters_peer_gone(struct session *s, uint64_t inc);
void waiter_result(struct session *s, uint64_t from, const struct message *m);

/* -- works (work.c) -- */
struct work *work_find(struct session *s, const struct key *key);
struct work *work_get(struct session *s, const struct key *key); /* NULL without memory */
void work_release(struct session *s, struct work *w);            /* frees it when nothing is left */
void work_begin(struct session *s, struct work *w, enum work_phase phase);
void work_set_claiming(struct session *s, struct work *w, bool claiming);
struct target *work_add_target(struct work *w, const struct peer *p); /* NULL without memory */
void work_check(struct session *s, struct work *w); /* after an answer, or when peers changed */
void works_review(struct session *s);
void works_tick(struct session *s);
struct target *work_target(struct work *w, uint64_t inc);
bool work_waits(const struct work *w); /* is any answer missing? */
void work_fail(struct session *s, struct work *w, int status, bool queue_too);

/* -- serving (serve.c) -- */
void serve_key(struct session *s, struct work *w);
void serve_waiter(struct session *s, struct waiter *w);

/* -- owner's rounds (round.c) -- */
void item_unqueue(struct session *s, struct item *item);
bool owner_confident(struct session *s, struct item *item, bool *wait);
void round_start(struct session *s, struct work *w, struct item *item, bool claiming);
void round_again(struct session *s, struct work *w, struct item *item);
void round_answered(struct session *s, uint64_t from, const struct message *m);
void round_check(struct session *s, struct work *w);
void round_drop(struct work *w,
                uint64_t inc); /* tell it, when the round is done, that it is no holder */
bool holders_choose(struct session *s, struct item *item, struct work *w); /* did they change? */
bool item_own(struct session *s, struct item *item); /* becomes owner; false without memory */
void item_disown(struct session *s, struct item *item);
void item_remove(struct session *s, struct item *item);
bool item_needs_repair(struct session *s, struct item *item);

/* -- the other side (holder.c) -- */
void holder_replicate(struct session *s, uint64_t from, const struct message *m);
void holder_drop(struct session *s, uint64_t from, const struct message *m);
bool holder_may_serve(struct session *s, const struct item *item);
bool room_make(struct session *s, uint8_t kind, size_t bytes); /* false: the limit is reached */
struct item *item_insert(struct session *s, struct record *r, enum item_role role);
struct record *record_of(struct session *s,
                         const struct message *m); /* decoded and of this key; or NULL */
bool same_contact(struct session *s, uint64_t from, const struct message *m);
/* Merges a copy into an item; sides too large together: the greater stamp's stays. */
bool item_merge(struct session *s, struct item *item, const struct record *r, unsigned *lost);

/* -- claims and search (claim.c, locate.c) -- */
/* Who owns it, as far as this node knows; 0 = nobody it knows. */
uint64_t item_owner(struct session *s, const struct item *item);
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
void notice(struct session *s, enum notice_type type, const struct key *key, uint64_t peer,
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
