/* session_internal.h - the inside of a shard: its state, its peers, and the calls of its parts.
 *
 * item.h has records at rest, work.h what is going on about a key. Everything that a peer says
 * comes in through session.c's table of handlers, already decoded and authenticated, and may be a
 * lie of an old or sick node: no byte of it reaches an assert.
 */
#ifndef CORE_SESSION_INTERNAL_H
#define CORE_SESSION_INTERNAL_H

#include "base/buzhash.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "core/session/bulk.h"
#include "core/session/cull.h"
#include "core/session/hint.h"
#include "core/session/item.h"
#include "core/session/message.h"
#include "core/session/pace.h"
#include "core/session/peer.h"
#include "core/session/quorum.h"
#include "core/session/session.h"
#include "core/session/shelf.h"
#include "core/session/sync.h"
#include "core/session/table.h"
#include "core/session/verify.h"
#include "core/session/work.h"

#define PEERS_MAX 1024
#define WORK_BUCKETS 1024
#define PASSED_BUCKETS 1024
#define OFFER_BUDGET 64 /* a tick */

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
    bool self_holds, wished; /* wished: there is a peer that somebody named as a backup */
    uint64_t self_zone;
    size_t holder_nodes; /* that keep records, down ones too, this one included */
    size_t peer_count;
    struct peer *peers; /* ordered by inc */
    size_t missing;     /* nodes that are down and may come back with copies */

    struct list works, buckets[WORK_BUCKETS];
    struct wheel timers; /* of works */
    size_t work_count, claim_count;
    struct list waiters, later;
    struct list passed[PASSED_BUCKETS]; /* by our token */
    struct wheel deadlines;             /* of waiters */
    size_t waiter_count;
    uint64_t next_token;
    struct hints hints;
    struct quorum quorum;

    struct list repair;  /* owned items: short of copies, or doubtful */
    struct list orphans; /* copies whose owner is down */
    size_t repair_count, orphan_count;
    bool scanning, scan_again;
    uint64_t scan_cursor, handover_cursor, next_tick_ns;

    size_t flight_count; /* works that pace.c counts */
    uint64_t flight_bytes, flight_begun;
    bool flight_rests;
    unsigned offer_budget; /* copies that may still be offered by mending, until the next tick */

    uint64_t asked_ns; /* when another node last passed an operation on to this one */
    struct verify verify;
    struct looking looking;
    struct cull culls[CULLS_MAX];
    uint64_t cull_ns; /* when they are to go on; TIME_NEVER */
    uint64_t sync_nonce;
    struct shelf shelf;
    struct session_stats stats;
};

/* -- the other nodes (view.c, peer.h) -- */
void view_update(struct session *s, const struct session_view *v);

/* -- who is away with copies (missing.c) -- */
size_t missing_room_bytes(size_t peers);
/* Counts anew; room: so many bytes. */
void missing_count(struct session *s, void *room);
/* The count, as messages have it. */
uint8_t missing_told(const struct session *s);
/* Is that peer to say whether its copies are complete, though this node is up? */
bool missing_asks(const struct session *s, const struct peer *p);

/* -- placement (placement.c) -- */
uint64_t placement_score(const struct session *s, const struct key *key, uint64_t node);
/* Fills `out` with peers that may hold a copy, best first (up, then joining); returns how many. */
size_t placement_order(struct session *s, const struct key *key, uint64_t *out, size_t max);
/* The same without those that are full: who gets new copies of a record of so many bytes. */
size_t placement_roomy(struct session *s, const struct key *key, size_t bytes, uint64_t *out,
                       size_t max);
/* Who is to keep copies of a record that is owned here, by its kind's rules: the backups that were
 * named, then nodes of other zones, each of another, then the rest; no full ones. At most `copies`
 * - 1. */
size_t placement_holders(struct session *s, const struct key *key, size_t bytes,
                         uint64_t out[RECORD_HOLDERS_MAX]);
/* The same without a limit by `copies`: whoever can take the place of one of them. */
size_t placement_candidates(struct session *s, const struct key *key, size_t bytes,
                            uint64_t out[RECORD_HOLDERS_MAX]);
/* Without so many holders nothing of the key is written. */
size_t placement_least(const struct session *s, const struct key *key);
/* Is this node the first in order among itself and the incarnations given that are heard? */
uint64_t placement_first(struct session *s, const struct key *key, const uint64_t *incs,
                         size_t count, bool with_self);

/* -- the shard itself (session.c) -- */
/* NULL without memory: it is as good as lost, and who waits for its answer asks again. */
struct msg *session_send(struct session *s, struct message *m, const struct record *r, uint64_t to);

/* The record of a message, of its key; NULL: malformed, false or no memory. The caller's. */
struct record *session_record(struct session *s, uint64_t from, const struct message *m);
/* Of two stamps of a record that lie too far apart the greater is false: a copy here goes that is
 * so by what was told. */
void session_drop_false(struct session *s, const struct key *key, const struct stamp *told);
void session_wipe(struct session *s);
/* Items that nothing is going on about are put to rest: no pointer to any is good any more. */
void session_rest(struct session *s);
void session_tell(struct session *s, enum notice_type type, const struct key *key, uint64_t peer,
                  uint32_t lost);

/* -- owner's rounds (round.c) -- */
void round_start(struct session *s, struct work *w, struct item *item, bool claiming);
/* Before the writes of a round are applied: what it goes back to if all is refused. */
void round_mark(struct session *s, struct work *w, struct item *item);
void round_again(struct session *s, struct work *w, struct item *item);
void round_answered(struct session *s, uint64_t from, const struct message *m);
/* Those that have not answered yet are told again. */
void round_ask(struct session *s, struct work *w);
void round_check(struct session *s, struct work *w);
/* It is told, when the round is done, that it is no holder. */
void round_drop(struct work *w, uint64_t inc);

/* -- the other side (holder.c) -- */
void holder_replicate(struct session *s, uint64_t from, const struct message *m);
void holder_disowned(struct session *s, uint64_t from, const struct message *m);
void holder_drop(struct session *s, uint64_t from, const struct message *m);
bool holder_may_serve(struct session *s, const struct item *item);

/* -- claims and search (claim.c, locate.c) -- */
void claim_start(struct session *s, struct work *w, struct item *item);
void claim_ask(struct session *s, struct work *w);
void claim_asked(struct session *s, uint64_t from, const struct message *m);
void claim_answered(struct session *s, uint64_t from, const struct message *m);
void claim_check(struct session *s, struct work *w);
void locate_start(struct session *s, struct work *w);
void locate_ask(struct session *s, struct work *w);
void locate_asked(struct session *s, uint64_t from, const struct message *m);
void locate_answered(struct session *s, uint64_t from, const struct message *m);
void locate_check(struct session *s, struct work *w);

/* -- meeting again (heal.c), leaving (leave.c), background (repair.c), time
 * (expiry.c) -- */
void heal_announce(struct session *s);
/* Answers those who announced themselves while something else was going on about the key. */
void heal_rivals(struct session *s, struct work *w);
void heal_announced(struct session *s, uint64_t from, const struct message *m);
void heal_heard(struct session *s, uint64_t from, const struct message *m);
void heal_offered(struct session *s, uint64_t from, const struct message *m);
void heal_taken(struct session *s, uint64_t from, const struct message *m);
void heal_offer(struct session *s, struct item *item, uint64_t to);
void leave_go(struct session *s);
void leave_handed(struct session *s, uint64_t from, const struct message *m);
void leave_start(struct session *s, struct work *w, struct item *item);
void leave_check(struct session *s, struct work *w);
void leave_taken(struct session *s, struct work *w, uint64_t from, int status);
bool repair_idle(const struct session *s);
/* Goes on with a scan, by so many records at most. */
void repair_scan(struct session *s, size_t looks);
void repair_go(struct session *s);
void repair_note(struct session *s, struct item *item);
void expiry_set(struct session *s, struct item *item, uint32_t left_ms);
void expiry_touch(struct session *s, struct item *item);
/* Is a renewal of such a life told to others, when the last one told was then? */
bool expiry_tells(const struct session *s, uint64_t touched_ns, uint32_t ttl_ms);
void expiry_tick(struct session *s);
void expiry_touched(struct session *s, uint64_t from, const struct message *m);
void expiry_expired(struct session *s, uint64_t from, const struct message *m);

static inline uint32_t now_s(const struct session *s)
{
    return (uint32_t)((s->now_ns - s->start_ns) / NS_PER_S) + 1;
}
static inline const struct kind *kind_of(const struct session *s, const struct key *key)
{
    return &s->kinds.kind[key->kind];
}

#endif
