/* cache_op.h - one operation of a cache's client on one key, as steps of the session store. A small
 * machine: cache_op_next says what to submit, cache_op_result takes what came of it. No socket, no
 * memory of its own but the record that is read.
 *
 * What needs to know the value before it writes (append, compare and delete) reads, and then writes
 * on condition that nothing changed; when something did, it begins again, a bounded number of
 * times. Counting is done by the record's owner in one step, but where memcached counts otherwise
 * than with 64 bits and a sign. */
#ifndef ROLE_GATE_CACHE_OP_H
#define ROLE_GATE_CACHE_OP_H

#include "base/slice.h"
#include "core/session/session.h"

#define CACHE_OP_TRIES 64
#define CACHE_NUMBER_MAX 24
#define CACHE_FLAGS_FIELD "#" /* the client's flags, four bytes; there is none when they are 0 */

enum cache_verb {
    CACHE_GET,
    CACHE_TOUCH, /* the value too: gat, GETEX */
    CACHE_SET,
    CACHE_ADD,
    CACHE_REPLACE,
    CACHE_APPEND,
    CACHE_PREPEND,
    CACHE_COUNT,
    CACHE_DELETE,
    CACHE_TAKE,        /* the value, and delete it */
    CACHE_DELETE_EQUAL /* only if the value is this one */
};

enum cache_outcome {
    CACHE_DONE,
    CACHE_ABSENT,
    CACHE_EXISTS,     /* ADD: there is one; with a cas: it is another by now */
    CACHE_UNEQUAL,    /* DELETE_EQUAL */
    CACHE_NOT_NUMBER, /* COUNT, and one that leaves the range */
    CACHE_FAILED      /* `error` says why */
};

/* What is told of a record. Zero: there is none. */
struct cache_seen {
    bool there;
    struct slice value; /* of op->record, of what was asked, or of the door until its next read */
    uint32_t flags;
    uint64_t cas; /* changes with every change of the record */
};

struct cache_op {
    /* What is wanted; all bytes stay the caller's until the end. */
    enum cache_verb verb;
    struct slice value;
    uint32_t flags;
    uint32_t ttl_ms; /* 0 = leaves it, or for a new record the kind's */
    bool has_cas;
    uint64_t cas;
    bool want_old;    /* SET: `seen` is the value that was there */
    bool is_signed;   /* COUNT: Redis's 64 bits with a sign; else memcached's, which wrap */
    bool down;        /* COUNT: memcached's decr, which ends at 0 */
    int64_t amount;   /* COUNT, signed */
    uint64_t delta;   /* COUNT, not signed */
    bool has_initial; /* COUNT: makes it with `initial` when it is absent */
    uint64_t initial;

    /* What came of it. */
    enum cache_outcome outcome;
    int error;
    struct cache_seen seen; /* GET, TOUCH, TAKE, SET with want_old, COUNT, stores: may be none */
    uint32_t left_ms;       /* of its life; 0 = for ever */
    uint64_t number;        /* COUNT */

    /* Its own. */
    unsigned step, tries;
    bool matching, by_reading;
    bool doubt; /* it was tried, and nobody knows what became of it */
    struct stamp match;
    struct record *record; /* what was read, or written where that has to be known */
    uint8_t *joined;       /* APPEND, PREPEND: what is written */

    /* From here on nothing is zeroed by cache_op_init(). */
    struct key key; /* what is wanted, too */
    char text[CACHE_NUMBER_MAX];
    uint8_t flag_bytes[4];
    struct field_op fields[2];
};

void cache_op_init(struct cache_op *op);
/* Initialise it, fill in what is wanted, start it; then submit what `out` says. out->deadline_ns
 * and request are the caller's to set. */
void cache_op_start(struct cache_op *op, struct session_op *out);
/* True: it is over, see outcome. False: submit the next. r->record is taken when it is wanted. */
bool cache_op_result(struct cache_op *op, struct session_result *r, struct session_op *out);
void cache_op_deinit(struct cache_op *op);
/* Sees a record that stays the caller's, with its value. */
void cache_op_see(struct cache_op *op, const struct record *r, uint32_t left_ms);

#endif
