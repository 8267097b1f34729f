/* draft.h - the next fields of a record while they are being worked out: all or nothing.
 *
 * A draft shares the fields of its record that stay and owns those that are new. Until
 * draft_commit() the record is untouched; draft_abort() frees what is new. The record must not
 * change in between. Within core/record only. */
#ifndef CORE_RECORD_DRAFT_H
#define CORE_RECORD_DRAFT_H

#include "core/record/record.h"

struct draft {
    struct record *record;
    struct field **fields; /* sorted by name */
    uint32_t count, cap;
    uint64_t live_bytes; /* names and values of live fields */
    uint64_t bytes;      /* and the names of tombstones */
};

/* An empty draft with room for cap fields. False without memory. */
bool draft_init(struct draft *d, struct record *r, size_t cap) __attribute__((warn_unused_result));
/* As draft_init, starting with the record's fields, with room for `more`. */
bool draft_init_copy(struct draft *d, struct record *r, size_t more)
    __attribute__((warn_unused_result));
/* Within what any record may be, decoded or merged (record.h). */
bool draft_fits(const struct draft *d);
/* The field of that name, a tombstone too, or NULL. */
const struct field *draft_find(const struct draft *d, const void *name, size_t name_len);
/* Takes f over, in place of the field of the same name if there is one. */
void draft_put(struct draft *d, struct field *f);
/* Adds f, whose name comes after all others: a new field, or one of the record's. */
void draft_append(struct draft *d, struct field *f);
/* Leaves the field of that name out; nothing if there is none. */
void draft_drop(struct draft *d, const void *name, size_t name_len);
/* The draft's fields become the record's; its counts of bytes are made anew. */
void draft_commit(struct draft *d);
void draft_abort(struct draft *d);
/* Frees the fields of `from` that are not in `kept`, nor in `kept_too`; all sorted by name. */
void draft_free_missing(struct field *const *from, uint32_t count, struct field *const *kept,
                        uint32_t kept_count, const struct record_mark *kept_too);

#endif
