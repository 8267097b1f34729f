/* private.h - fields whose values only the session API's doors open: sealed one by one when they
 * arrive, bound to their record's id and their own name. So what a node keeps, sends, stores or
 * shows to an operator has no clear value, and a value that is moved to another record does not
 * open there. */
#ifndef ROLE_GATE_PRIVATE_H
#define ROLE_GATE_PRIVATE_H

#include "base/slice.h"
#include "core/record/record.h"
#include "core/session/kind.h"
#include "core/token/box_ring.h"

#define PRIVATE_NAMES_MAX 4

/* Names of fields of each kind, with * for any text. Strings stay the caller's. */
struct private_rules {
    struct box_ring *keys; /* of the farm; NULL: no kind has private fields */
    struct {
        size_t count;
        struct slice names[PRIVATE_NAMES_MAX];
    } kind[KINDS_MAX];
};

/* Operations made ready for the store; frees with private_ops_deinit(). */
struct private_ops {
    const struct field_op *ops; /* the caller's own when nothing of them is private */
    size_t count;
    struct field_op *made;
    uint8_t *bytes;
    size_t bytes_len;
};

bool private_is(const struct private_rules *p, uint8_t kind, const void *name, size_t len);
/* Has any kind private fields? p may be NULL. */
bool private_any(const struct private_rules *p);
/* Seals what is private of the operations on that record. STEAD_E_NOMEM; STEAD_E_INVAL: numbers
 * cannot be added to what is sealed. */
int private_seal(const struct private_rules *p, const struct key *key, const struct field_op *ops,
                 size_t count, struct private_ops *out);
void private_ops_deinit(struct private_ops *o);
/* The field's value in clear, into out, which has room for f->value_len bytes; returns its length.
 * A value that is not sealed is as it is; -1: it does not open. */
int64_t private_open(const struct private_rules *p, const struct key *key, const struct field *f,
                     uint8_t *out);

#endif
