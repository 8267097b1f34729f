/* store.h - what the threads of a node share: the session shards behind their locks, the roster
 * snapshot, the state of this node's own servers, and mailboxes between workers and the mesh
 * thread.
 *
 * A shard is a single-threaded core object (core/session) behind a lock. Whoever steps it leaves
 * what it wants sent in the outbox, which the mesh thread drains, and results in the mailbox of the
 * worker that asked. Results are copies; no pointer into a shard leaves its lock. Every queue is
 * bounded; a full one is STEAD_E_BUSY and counted. Lock order: a shard's lock, then a mailbox's or
 * the outbox's.
 */
#ifndef STORE_H
#define STORE_H

#include "core/roster/roster.h"
#include "core/session/cull.h"
#include "core/session/session.h"
#include "core/session/verify.h"

#include <stdatomic.h>

#define STORE_SHARDS_MAX 64
#define STORE_MAILBOXES_MAX 160
#define STORE_OUTBOX_MAX 65536 /* messages that wait for the mesh thread */
#define STORE_OUTBOX_BYTES_MAX (256u << 20)
#define STORE_BULK_MAX 65536 /* those that wait for the bulk thread */
#define STORE_BULK_BYTES_MAX (256u << 20)
#define STORE_BATCH_MAX 256
#define STORE_PUSH_MAX 32 /* records of one client that go to another node at once */

struct store;

/* Called from any thread to wake the thread that owns a mailbox or the mesh; must not block. */
struct store_wake {
    void (*call)(void *context);
    void *context;
};

struct store_config {
    struct session_config session; /* memory_bytes is the whole node's; the shards share it */
    unsigned shards;
    unsigned mailboxes;
};

struct store *store_new(const struct store_config *c, uint64_t now_ns)
    __attribute__((warn_unused_result));
void store_free(struct store *s);
void store_set_wake(struct store *s, unsigned mailbox, struct store_wake wake);
void store_set_mesh_wake(struct store *s, struct store_wake wake);
/* As they were at the start: names, and all that does not change while the node runs. */
const struct kinds *store_kinds(const struct store *s);
/* As they are now. */
void store_kinds_now(struct store *s, struct kinds *out);
/* From now on: kinds_renew(). */
void store_renew_kinds(struct store *s, const struct kinds *kinds);

/* -- any thread -- */

/* One operation. STEAD_OK: *out is its result, at once. STEAD_PENDING: the result comes to the
 * mailbox. STEAD_E_BUSY, STEAD_E_NOMEM: nothing was done. op->request is the caller's own token. */
int store_submit(struct store *s, unsigned mailbox, const struct session_op *op, uint64_t now_ns,
                 struct session_result **out);
/* A READ of what is here and may be read without asking another node: its status as of the
 * operation, and for STEAD_OK `take` was called with the record, under the shard's lock: it copies
 * what it wants, and calls nothing of the store. Notes the key's hash in *op. STEAD_PENDING: the
 * read has to be submitted. */
int store_read(struct store *s, struct session_op *op, uint64_t now_ns,
               void (*take)(void *context, const struct session_reading *r), void *context);
/* The same for a CHANGE that no other node has to hear of; *stamp and *left_ms are then those of
 * the record. */
int store_write(struct store *s, struct session_op *op, uint64_t now_ns, struct stamp *stamp,
                uint32_t *left_ms);
/* The hash of a key's bytes, for session_op and store_expect. */
uint64_t store_hash(const struct store *s, const void *key, size_t len);
struct store_place {
    uint64_t hash;
    uint8_t kind;
};
/* Reads and writes of these keys come soon: their memory is brought near, all at once, which takes
 * no longer than one of them would alone. */
void store_expect(struct store *s, const struct store_place *places, size_t count);
/* A count that moves when that record comes to this node, changes or goes from it, and when others
 * do that share its slot. Takes no lock. */
uint32_t store_changes(const struct store *s, const struct key *key);
/* The node of that name is to have copies of these records too, soon: whoever owns one sends it
 * there and keeps it up to date until another node is named. Nobody is told what became of it; see
 * session_stats.pushes. STEAD_E_NOT_FOUND: no such node is up; STEAD_E_INVAL: more keys than
 * STORE_PUSH_MAX; STEAD_E_BUSY: nothing was done. */
int store_push(struct store *s, const struct key *keys, size_t count, const char *node_name,
               uint64_t now_ns);
/* session_verify() of all shards; *count is the room in `out`, and then how many were found. */
bool store_verify(struct store *s, bool begin, bool mends, struct divergence *out, size_t *count);
/* session_cull() of the whole farm: all sessions of a user end. STEAD_OK, or STEAD_E_BUSY: too many
 * are under way; what was begun goes on. The one asked for before is no longer known. */
struct store_cull {
    uint64_t numbers[STORE_SHARDS_MAX];
};
int store_cull(struct store *s, const struct cull_wish *w, uint64_t now_ns, struct store_cull *out);
void store_cull_state(struct store *s, const struct store_cull *c, struct cull_state *out);
/* Wakes the mesh's thread for operations that gather (session_op.gathers). From any thread. */
void store_go(struct store *s);
/* The next result that waits in a mailbox; NULL: none. The caller frees it. */
struct session_result *store_collect(struct store *s, unsigned mailbox);

/* The newest snapshot with a reference for the caller; never NULL once the node runs. */
struct roster *store_roster(struct store *s);
/* The same for a caller that keeps one: `have` (or NULL) itself, without a lock, as long as it is
 * the newest; else its reference is dropped. */
struct roster *store_roster_renew(struct store *s, struct roster *have);

/* This node's own servers, in the order of its entry: users now connected through the secondary,
 * and whether the real server answers and does not say that it is down or in maintenance
 * (store_own.h). The mesh thread carries changes into the roster. */
void store_users_add(struct store *s, unsigned server, int delta);
/* Who is still there: what is forwarded, or more when the server's source of users tells more. */
uint32_t store_users(const struct store *s, unsigned server);
void store_set_healthy(struct store *s, unsigned server, bool healthy);
bool store_healthy(const struct store *s, unsigned server);
/* Forwarding to a node failed: it is suspect from now on. Bounded, drops repeats. */
void store_doubt(struct store *s, uint64_t node);
/* Asks the node to drain (status draining, no new clients) or to end that. */
void store_set_draining(struct store *s, bool draining);
bool store_draining(const struct store *s);
/* An operator takes the node's servers out (status maint), or puts them back. */
void store_set_maint(struct store *s, bool maint);
bool store_maint(const struct store *s);

/* -- the mesh thread -- */

void store_set_roster(struct store *s, struct roster *r); /* takes the reference */
void store_set_view(struct store *s, const struct session_view *v, uint64_t now_ns);
/* One session message from a peer; store_tick() tells workers what it brought. */
void store_deliver(struct store *s, const struct msg *m, uint64_t now_ns);
/* Steps what is due and wakes the workers for whom there is something; returns the next deadline.
 */
uint64_t store_tick(struct store *s, uint64_t now_ns);
/* Moves the messages that wait to be sent to `out` (struct msg). */
void store_take_sends(struct store *s, struct list *out);
bool store_sends_wait(const struct store *s);
/* Nodes that were doubted since: returns how many, at most max. */
size_t store_take_doubts(struct store *s, uint64_t *nodes, size_t max);
/* Notices of the shards since, for the log: at most max. */
size_t store_take_notices(struct store *s, struct session_notice *out, size_t max);

/* -- the bulk thread (node/bulk.h) -- */

/* Whom to wake when there is something to take. From then on what is sent in bulk waits apart; as
 * long as there is none, it goes with the rest. */
void store_set_bulk_wake(struct store *s, struct store_wake wake);
/* Moves the bulk messages that wait to be sent to `out` (struct msg, bundles too). */
void store_take_bulk(struct store *s, struct list *out);
/* Those that find no way in bulk go with the rest. Empties the list. */
void store_return_bulk(struct store *s, struct list *messages);
/* Session messages from a peer, STORE_BATCH_MAX at most, whose bytes stay the caller's: those of a
 * shard in their order, under one lock. Only bytes and len of the slices are read. */
void store_deliver_batch(struct store *s, uint64_t from, const struct session_slice *slices,
                         size_t count, uint64_t now_ns);

bool store_synced(struct store *s);
bool store_drained(struct store *s);

struct store_stats {
    struct session_stats sessions; /* summed over the shards */
    uint64_t outbox, outbox_bytes, outbox_full, notices_dropped;
    uint64_t bulk_waiting; /* bulk messages that wait to be sent */
};
void store_stats(struct store *s, struct store_stats *out);

#endif
