/* message.h - what session shards say to each other. A message is a type and the parts that the
 * table in message.c gives that type; all of it is checked before any state changes. */
#ifndef CORE_SESSION_MESSAGE_H
#define CORE_SESSION_MESSAGE_H

#include "base/msg.h"
#include "core/session/session.h"

enum message_type {
    MESSAGE_FORWARD = 1, /* an operation, to who may do it */
    MESSAGE_RESULT,      /* and what became of it */
    MESSAGE_LOCATE,      /* who has this key? */
    MESSAGE_LOCATED,
    MESSAGE_CLAIM,   /* I take this key over from an owner that is down: what do you have? */
    MESSAGE_CLAIMED, /* status: OK with a record or the same digest, ABSENT, or EXISTS: peer owns it
                        and lives */
    MESSAGE_REPLICATE,
    MESSAGE_REPLICATED, /* status OK: kept. Anything else is a refusal */
    MESSAGE_DROP,       /* you are no holder of it any more */
    MESSAGE_ANNOUNCE,   /* I own it, in this state */
    MESSAGE_OFFER,      /* this may be news to its owner */
    MESSAGE_TAKEN,      /* merged and kept, with its holders */
    MESSAGE_HANDOVER,   /* own it from now on */
    MESSAGE_EXPIRED,
    MESSAGE_TOUCH,
    MESSAGE_DISOWN, /* I own it no more; ask around if nobody tells you who does */
    MESSAGE_SYNC,   /* are your copies complete? */
    MESSAGE_SYNCED,
    MESSAGE_HEARD,  /* your announcements up to this one's key, about: go on */
    MESSAGE_VERIFY, /* this is what I have: do you have the same? */
    MESSAGE_VERIFIED,
    MESSAGE_CULL, /* end all records of the kind `index` whose field has that value */
    MESSAGE_CULLED,
    MESSAGE_ENROL, /* voters: have your records their majority without what I have lost? */
    MESSAGE_ENROLLED,
    MESSAGE_SYNCING, /* not complete yet: so far */
    MESSAGE_RANGES,  /* these are my sums of a block of ranges (ranges.h) */
    MESSAGE_RANGED   /* digest: bits of those that are others here */
};

#define VOTES_YES 1     /* the sender votes (quorum.h) */
#define VOTES_ANOTHER 2 /* it has promised a greater ballot to another: `base` of LOCATED */
#define NEWS_CLAIM 1    /* settled by a majority only: `seen`, and `peer` who handed it over */
#define NEWS_MADE 2     /* the same of a record that is being made */

/* Only the parts of its type mean anything. */
struct message {
    enum message_type type;
    struct key key;
    uint64_t token;
    struct stamp stamp;
    uint64_t peer;    /* CLAIM: the owner that is down; LOCATED, CLAIMED: the owner, 0 = none */
    uint64_t counted; /* how often the sender has counted the receiver out */
    uint64_t granted; /* and the receiver the sender, as the sender knows */
    uint64_t base;    /* REPLICATE: version that a delta is against; 0 = whole.
                         LOCATE: the ballot of who is to make it; 0 = nobody */
    uint64_t digest;
    uint32_t left_ms; /* of its life; 0 = no expiry */
    uint8_t status;   /* a stead_error with its sign turned */
    uint8_t hops, copies, origin, index, count;
    bool shelved;         /* what the sender has was kept by a process that is gone (shelf.h) */
    uint8_t missing;      /* nodes that may come back with copies, as the sender sees it */
    uint8_t votes;        /* LOCATED, CLAIMED: VOTES_*. REPLICATE: NEWS_* */
    struct stamp seen;    /* REPLICATE with NEWS_CLAIM: the greatest that the claimant merged */
    struct session_op op; /* FORWARD; key, ops are set by the decoder, see message_op_free */
    const uint8_t *sums;  /* RANGES: RANGES_BLOCK of 64 bits; the decoder: in the message's bytes */
    const uint8_t *record; /* an encoded record, in the message's bytes; NULL = none */
    size_t record_len;
};

/* The encoded message to a peer; rec (may be NULL) is encoded as its record, as a delta when
 * m->base is not 0. NULL without memory. */
struct msg *message_encode(const struct message *m, const struct record *rec, uint64_t to);
/* Adds it to a bundle (base/msg.h). False, with nothing done: it may not fit. */
bool message_bundle(struct msg *bundle, const struct message *m, const struct record *rec);
/* Another node gets the encoded message too, with its own generations. For types with no other
 * part between key and generations than a token. FULL, NOMEM. */
int message_also(struct msg *out, const struct message *m, uint64_t to)
    __attribute__((warn_unused_result));
/* As session_message_key(), without a copy: *bytes points into the message, and *key_len is 0 for
 * no key. */
bool message_place(const uint8_t *message, size_t len, uint8_t *kind, const uint8_t **bytes,
                   size_t *key_len);
/* OK, STEAD_E_PARSE, STEAD_E_NOMEM. m->op.ops is allocated for FORWARD: message_op_free. Slices
 * point into bytes. */
int message_decode(const uint8_t *bytes, size_t len, struct message *m);
void message_op_free(struct message *m);
/* Its record, decoded and of its key; the caller's. NULL: *err is STEAD_E_PARSE or STEAD_E_NOMEM.
 */
struct record *message_record(const struct message *m, uint32_t now_s, int *err);

#endif
