/* store_internal.h - the store's inside: shards, mailboxes, and the state shared by threads. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/buzhash.h"
#include "core/roster/tally.h"
#include "store/mailbox.h"
#include "store/store.h"

#include <pthread.h>

#define STORE_DOUBTS_MAX 64
#define STORE_NOTICES_MAX 256

/* A local operation under way: whose it is. Free ones are chained by next_free. */
struct token {
    uint64_t request;
    unsigned mailbox;
    unsigned next_free;
};

/* What is told of an own real server. */
struct own_server {
    char service[NAME_MAX_BYTES + 1];
    struct tally tally;
};

/* Padded: locks of neighbours do not share a cache line. */
struct shard {
    pthread_mutex_t lock;
    struct session *session;
    _Atomic uint64_t deadline_ns;
    struct token *tokens;
    unsigned token_count, token_free;
    uint64_t token_serial;
    char pad[64];
};

struct store {
    unsigned shard_count, mailbox_count;
    struct kinds kinds;       /* of the node, at its start */
    struct kinds shard_kinds; /* with a shard's part of each memory limit */
    struct buzhash route;
    struct ticks ticks;
    struct ranges *ranges;
    struct shard shards[STORE_SHARDS_MAX];
    struct mailbox mailboxes[STORE_MAILBOXES_MAX];
    atomic_uint_fast64_t busy, malformed;
    atomic_bool mail;        /* results came whose workers are not told yet */
    atomic_bool gathered;    /* the mesh thread has something to do and is not told yet */
    _Atomic uint64_t now_ns; /* of the last tick */

    /* store_state.c */
    pthread_mutex_t state_lock;
    struct kinds kinds_now;
    struct store_wake mesh_wake;
    struct roster *_Atomic roster; /* changed under the lock, compared without */
    struct list outbox;
    atomic_size_t outbox_count, outbox_bytes; /* changed under state_lock, read without it */
    struct list bulk;                         /* messages in bulk */
    size_t bulk_count, bulk_bytes;
    struct store_wake bulk_wake;
    atomic_bool bulk_apart; /* there is one */
    uint64_t outbox_full, notices_dropped;
    size_t doubt_count;
    uint64_t doubts[STORE_DOUBTS_MAX];
    size_t notice_count;
    struct session_notice notices[STORE_NOTICES_MAX];
    atomic_uint users[ENTRY_SERVERS_MAX];
    atomic_bool healthy[ENTRY_SERVERS_MAX];
    atomic_bool draining, maint;

    /* store_own.c */
    pthread_mutex_t own_lock; /* nothing is locked while it is held */
    struct own_server own[ENTRY_SERVERS_MAX];
    atomic_bool out[ENTRY_SERVERS_MAX]; /* down or in maintenance by its own word */
    const char *_Atomic why[ENTRY_SERVERS_MAX];
    atomic_uint_fast64_t answers[ENTRY_SERVERS_MAX], errors[ENTRY_SERVERS_MAX];
    atomic_uint told_users[ENTRY_SERVERS_MAX]; /* by another source than forwarding; stale: 0 */
};

struct shard *store_shard(struct store *s, const struct key *key);
void store_own_init(struct store *s);
void store_own_deinit(struct store *s);
void store_state_init(struct store *s);
void store_state_deinit(struct store *s);
void store_state_stats(struct store *s, struct store_stats *out);
void store_wake_mesh(struct store *s);
/* Is more than half of it taken? */
bool store_outbox_fills(struct store *s);
/* Moves a step's sends to the outbox and its notices to the log's queue, with the shard's lock
 * held. True when there were any: then the mesh's thread is to be woken, without the lock, if this
 * is not that thread. */
bool store_outbox_put(struct store *s, struct session_actions *a);

#endif
