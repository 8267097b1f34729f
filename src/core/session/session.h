/* session.h - one shard of the session store: ownership, copies, claims, misses, handover, expiry.
 *
 * A function of (state, event, now) -> (actions, next deadline). It knows no socket, clock or
 * thread; a whole farm of them runs in the simulator. docs/protocol.md is the protocol, and this
 * its only home.
 *
 * Records are routed to shards by key, the same number on one node only: another node may have
 * another number of shards, so every message carries its key. Memory of events is the caller's and
 * read during the call only; memory of actions is the caller's after the call.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "base/list.h"
#include "base/msg.h"
#include "core/record/record.h"
#include "core/session/kind.h"
#include "core/session/ranges.h"
#include "core/session/stats.h"
#include "core/session/ticks.h"
#include "core/session/view.h"

struct session;

struct session_config {
    const struct kinds *kinds; /* outlives the shard */
    struct ticks *ticks;       /* outlives it too: where changes are counted; NULL: nowhere */
    struct ranges *ranges; /* likewise: sums for comparing with others; NULL: record by record */
    uint8_t bucket_secret[32]; /* of this process */
    uint8_t farm_secret[32];   /* of the farm: placement agrees on all nodes */
    uint64_t memory_bytes;     /* hard limit of this shard */
    uint64_t split_max_ms;     /* longest split: tombstones live that long */
    uint64_t grace_ms;         /* holders keep a record so long beyond its ttl */
    uint32_t waiting_max;      /* operations that may wait at once */
    uint32_t flight_max;       /* claims, copies and handovers that no client waits for, at once */
    uint32_t compare_s;        /* all records are compared with others in so long; 0: never */
    uint64_t seed;             /* for jitter */
    uint8_t shard_index, shard_count; /* of this node's shards; default 0 of 1 */
    bool repository;                  /* shelf.h */
};

/* The defaults above; kinds, secrets, memory and seed stay the caller's to set. */
void session_config_default(struct session_config *c);

enum session_op_type {
    SESSION_CREATE, /* a key that its caller made from 128 random bits or more: this node owns it */
    SESSION_CREATE_IF_ABSENT, /* any key: decided by the key's home */
    SESSION_READ,
    SESSION_CHANGE,
    SESSION_END, /* by the kind's rule of deletion; succeeds as ABSENT when there is nothing */
    SESSION_PUSH /* the node `peer` keeps a copy too; nothing else changes */
};

struct session_op {
    enum session_op_type type;
    const struct key *key;
    uint32_t ttl_ms; /* 0: CREATE the kind's default, CHANGE leaves it */
    const struct field_op *ops;
    size_t op_count;
    bool has_match;
    struct stamp
        match; /* CHANGE, END: only if the record has this (term, version); else CONFLICT */
    uint64_t min_term, min_version; /* READ: a copy older than this is not good enough */
    uint64_t deadline_ns;
    uint64_t request; /* given back in the result */
    uint64_t peer;    /* PUSH: incarnation of who is to have a copy */
    uint64_t hash;    /* buzhash() of the key by the shard's bucket secret; 0: not known */
    bool peek;        /* READ: is no use of the record, and does not renew its life */
    bool bare;        /* the result needs no record: its stamp is enough */
    bool silent;      /* nobody waits for a result: there is none */
    bool gathers;     /* the caller says store_go() before it waits for events */
    uint64_t cull;    /* END: of which cull (cull.h); 0: none */
};

enum session_origin { ORIGIN_LOCAL, ORIGIN_OWNER, ORIGIN_CLAIM };

/* status: STEAD_OK, or ABSENT, ENDED, EXISTS, CONFLICT, TOO_LARGE, INVAL, FULL, ALONE, UNREACHABLE,
 * NO_QUORUM, DEADLINE (not done, or not known to be kept), UNKNOWN, BUSY, FENCED, NOMEM. */
struct session_result {
    struct list link;
    uint64_t request;
    int status;
    struct record
        *record;        /* a copy for the receiver, who frees it; NULL for END, bare and errors */
    struct stamp stamp; /* the record's; zero for END and errors */
    uint32_t left_ms;   /* of the record's life; 0: it has no end */
    uint8_t copies;     /* nodes that have this version, the owner's included; writes only */
    enum session_origin origin;
};

void session_result_free(struct session_result *r);

enum session_event_type {
    SESSION_EV_OP,      /* from a role on this node */
    SESSION_EV_MESSAGE, /* from another node's session shard, authenticated */
    SESSION_EV_BATCH,   /* several of them, of one node, in their order */
    SESSION_EV_VIEW,    /* the other nodes, when something changed, and every 100 ms */
    SESSION_EV_TICK     /* the deadline given before has come */
};

struct session_slice {
    const uint8_t *bytes;
    size_t len;
    uint64_t hash; /* buzhash() of its key by the shard's bucket secret; 0: not known */
    uint8_t kind;  /* of its key */
};

struct session_event {
    enum session_event_type type;
    union {
        struct session_op op;
        struct {
            uint64_t from;
            const uint8_t *bytes;
            size_t len;
        } message;
        struct {
            uint64_t from;
            const struct session_slice *slices;
            size_t count;
        } batch;
        const struct session_view *view;
    };
};

enum notice_type {
    NOTICE_CLAIMED,      /* this node took over a record of a dead owner */
    NOTICE_FENCED,       /* this node learned that it no longer owns a record */
    NOTICE_SPLIT_MERGED, /* two owners met; lost = values that were replaced */
    NOTICE_WIPED,        /* away longer than split_max: all records dropped */
    NOTICE_MALFORMED,    /* a message that no correct node sends */
    NOTICE_FULL,
    NOTICE_DIVERGED /* two copies that should be equal differ */
};

struct session_notice {
    enum notice_type type;
    uint64_t key_digest;
    uint64_t peer;
    uint32_t lost;
};

#define SESSION_NOTICES_MAX 16

/* What a step wants done. The caller empties the lists (sends: struct msg with peer = receiver;
 * results: struct session_result) and owns what it took. */
struct session_actions {
    struct list sends;
    struct list results;
    bool bundles;         /* the caller's wish: what goes in bulk comes in bundles (base/msg.h) */
    uint64_t deadline_ns; /* call with TICK no later than this; TIME_NEVER */
    uint32_t notice_count;
    struct session_notice notices[SESSION_NOTICES_MAX];
};

void session_actions_init(struct session_actions *a);
void session_actions_clear(struct session_actions *a); /* frees what was not taken */

struct session *session_new(const struct session_config *c, uint64_t now_ns)
    __attribute__((warn_unused_result));
void session_free(struct session *s);

void session_renew_kinds(struct session *s, const struct kinds *kinds); /* kinds_renew() */
void session_step(struct session *s, const struct session_event *ev, uint64_t now_ns,
                  struct session_actions *out);

/* What a read found; for use before the next call only. */
struct session_reading {
    const struct record *record;
    uint32_t left_ms; /* of its life; 0: it has no end */
};

/* A READ of what may be read here and now, which needs no operation and no copy: answers what the
 * operation would. STEAD_PENDING: nothing was done, and it takes the operation. `out` is as with
 * session_step, without results; the deadline given before holds too. */
int session_read(struct session *s, const struct session_op *op, uint64_t now_ns,
                 struct session_actions *out, struct session_reading *reading);

/* The same for a CHANGE of a record whose copies no other node is to keep: it is done at once. */
int session_write(struct session *s, const struct session_op *op, uint64_t now_ns,
                  struct session_actions *out, struct session_reading *reading);

/* An operation on the key of that kind and hash (session_op) comes soon: its memory is brought
 * near, the bucket before the record. */
void session_expect(const struct session *s, uint8_t kind, uint64_t hash, bool bucket_only);

/* The key that a message is about, so that the store can find its shard. False: malformed. A
 * message that is about no key in particular (SYNC) has key->len 0 and goes to every shard. */
bool session_message_key(const uint8_t *bytes, size_t len, struct key *key);

void session_stats(const struct session *s, struct session_stats *out);
/* Every peer that is up, if any, has said to this starting shard that it has its copies again. */
bool session_synced(const struct session *s);
bool session_drained(const struct session *s); /* leaving: nothing is left here for others */
/* For checkers: the stored record, or NULL, and whether this shard owns it (NULL: not asked): for
 * certain, neither claimed nor made just now. */
const struct record *session_peek(struct session *s, const struct key *key, bool *owned);

#endif
