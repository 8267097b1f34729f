/* work.h - what is going on about a key.
 *
 * A *waiter* is one operation and who asked for it. A *work* exists while anything goes on about a
 * key: waiters in order, and at most one round of questions to other nodes. serve_key() is the one
 * place that decides what happens next for a key; everything else feeds it.
 *
 * Trap: work_release() frees a work that nothing is left of, and so does every call that may end
 * one; a caller that goes on with it raises `held` first.
 */
#ifndef CORE_SESSION_WORK_H
#define CORE_SESSION_WORK_H

#include "core/session/item.h"
#include "core/session/message.h"
#include "core/session/session.h"
#include "core/session/wheel.h"

#define HOPS_MAX 4
#define BATCH_MAX 64 /* writes of one key that go into one round */

struct item;
struct peer;

struct waiter {
    struct list link; /* in a work's queue or round, in s->passed or in s->later */
    struct list all;  /* in s->waiters */
    struct timer deadline;
    uint64_t asker; /* incarnation; 0 = this node */
    uint64_t token; /* the asker's */
    struct session_op op;
    struct key key;
    uint8_t hops;
    bool searched;      /* LOCATE has been done for it */
    uint64_t passed_to; /* in s->passed: who does it, and our own token for it */
    uint64_t pass_token;
    uint64_t not_before_ns;
    uint64_t queued_ns;    /* when it came to its work's queue */
    struct field_op ops[]; /* then names and values */
};

/* What became of an operation. */
struct outcome {
    int status;
    const struct record *record; /* NULL: an error, or nothing to show */
    uint32_t left_ms;            /* of the record's life; 0: it has no end */
    uint8_t copies;
    enum session_origin origin;
};

enum work_phase {
    WORK_IDLE,
    WORK_LOCATE,  /* who has the key? */
    WORK_CLAIM,   /* who has which copy? */
    WORK_ROUND,   /* holders are getting this version */
    WORK_HANDOVER /* another node is to own it */
};

/* SILENT: it is heard no more, or was not for a while. HEARSAY, CLAIM: it named an owner that has
 * not answered yet. */
enum answer {
    ANSWER_WAITING,
    ANSWER_HEARSAY,
    ANSWER_SILENT,
    ANSWER_NONE,
    ANSWER_HAVE,
    ANSWER_KEPT,
    ANSWER_REFUSED
};

struct target {
    uint64_t inc;
    enum answer answer;
    uint64_t granted, counted; /* as they were when we asked */
    struct stamp stamp;
    uint64_t owner;
    bool votes; /* its answer counts, where a majority decides */
};

struct work {
    struct list link; /* in its bucket */
    struct list all;
    struct timer timer;  /* when works_tick() is to look at it */
    bool serving, again; /* serve_key() is at work, and shall look once more */
    bool in_flight;      /* the next two are pace.c's */
    uint32_t flight_bytes;
    uint64_t flight_token;
    unsigned held; /* by callers on the stack: it stays until they are done */
    struct key key;
    uint64_t hash;
    enum work_phase phase;
    uint64_t token;
    struct list queue;  /* waiters, in order */
    struct list round;  /* waiters that the round under way will answer */
    struct stamp stamp; /* ROUND: the version on its way; CLAIM: what is claimed */
    bool claiming;      /* ROUND: of a claim or handover */
    int refusal;        /* ROUND: somebody refused: FULL, NOMEM; 0: nobody, or for another reason */
    bool spread;        /* ROUND: somebody may have got what its waiters wrote */
    bool made;          /* ROUND: they made the record */
    struct session_state undo_state; /* ROUND: of the item before the writes; and the end of its
                                        life then. The record has a mark */
    uint64_t undo_life_ns;
    uint64_t handover_from,
        handover_token; /* ROUND: who handed over, told when it is kept; 0 = nobody */
    bool offer_taken;   /* ROUND: tell those in `offers` that it is kept */
    uint64_t again_ns;  /* IDLE: serve_key again then; 0 = on the next event */
    uint64_t since_ns;  /* when the phase began */
    uint64_t asked_ns;  /* when those that have not answered were asked last */
    size_t target_count, target_cap;
    struct target *targets;
    size_t drop_count;
    uint64_t drops[RECORD_HOLDERS_MAX * 2]; /* peers with a copy that are no holders any more */
    uint64_t ballot; /* where a majority decides: of who is to make the record, 0 = nobody is */
    struct stamp outlived; /* the greatest that others still have of what was over here; 0: none */
    bool outbid;           /* LOCATE: somebody has promised a greater one to another */
    struct stamp seen;     /* likewise, ROUND of a claim: the greatest that was merged */
    size_t missing; /* LOCATE, CLAIM: nodes that may come back with copies, by those who answered */
    size_t passed_count;
    struct copy passed[RECORD_HOLDERS_MAX]; /* ROUND: holders without room, and what they have */
    size_t rival_count;
    uint64_t rivals[8]; /* peers that say that they own it too; answered when the phase is over */
    size_t offer_count;
    struct {
        uint64_t inc, token;
    } offers[8];
};

/* -- waiters (waiter.c) -- */
struct waiter *waiter_new(struct session *s, const struct session_op *op, uint64_t asker,
                          uint64_t token, uint8_t hops, uint64_t deadline_ns);
/* Ends it: an answer to whoever asked. */
void waiter_finish(struct session *s, struct waiter *w, const struct outcome *o);
void waiter_fail(struct session *s, struct waiter *w, int status);
/* Done here, and the record is as it is now. */
void waiter_done(struct session *s, struct waiter *w, const struct item *item, uint8_t copies,
                 enum session_origin origin);
void waiter_pass(struct session *s, struct waiter *w, uint64_t to);
/* The nodes do not agree at the moment who may do it: nothing was done, and the node that the
 * caller spoke to tries again, until the deadline. */
void waiter_retry(struct session *s, struct waiter *w);
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
bool work_target_heard(struct session *s,
                       struct work *w); /* who may have it; false without memory */
/* Those that are heard by now and have not been asked, or fell silent since, are to be asked too:
 * are there any? Without memory they are looked for again later. */
bool work_target_late(struct session *s, struct work *w);
void work_check(struct session *s, struct work *w); /* after an answer, or when peers changed */
void works_review(struct session *s);
void works_tick(struct session *s);
struct target *work_target(struct work *w, uint64_t inc);
bool work_waits(const struct work *w); /* is any answer missing? */
void work_fail(struct session *s, struct work *w, int status, bool queue_too);

/* -- serving (serve.c) -- */
void serve_key(struct session *s, struct work *w);
void serve_waiter(struct session *s, struct waiter *w);
/* A read by the same rules without a waiter: its status and *out, or STEAD_PENDING when it is to
 * become a waiter. */
int serve_read(struct session *s, const struct session_op *op, struct item **out);
/* The same for a write of a record that no other node is to hold. */
int serve_write(struct session *s, const struct session_op *op, struct item **out);
/* The same of a plain record (table.h), without waking it. */
int serve_plain_read(struct session *s, const struct session_op *op, struct session_reading *out);
int serve_plain_write(struct session *s, const struct session_op *op, struct session_reading *out);

#endif
