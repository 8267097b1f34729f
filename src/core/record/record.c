/* record.c - a record's life: made, read, changed by its owner, deleted. Merge and bytes live in
 * record_merge.c and record_code.c. */
#include "core/record/record.h"

#include "base/mem.h"
#include "base/mutant.h"
#include "core/record/draft.h"
#include "core/record/field.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INTEGER_TEXT_MAX 21 /* "-9223372036854775808" and a NUL */

_Static_assert(FIELD_NAME_MAX <= UINT8_MAX && KEY_BYTES_MAX <= UINT8_MAX, "lengths fit a byte");

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int stamp_compare(const struct stamp *a, const struct stamp *b)
{
    int order = compare_u64(a->term, b->term);
    if (order == 0)
        order = compare_u64(a->version, b->version);
    if (order == 0)
        order = compare_u64(a->inc, b->inc);
    return order;
}

static bool number_is_near(uint64_t from, uint64_t to)
{
    return to <= from || to - from <= STAMP_JUMP_MAX;
}

bool stamp_is_near(const struct stamp *from, const struct stamp *to)
{
    if (!from)
        return to->term <= STAMP_FIRST_MAX && to->version <= STAMP_FIRST_MAX;
    return number_is_near(from->term, to->term) && number_is_near(from->version, to->version);
}

bool key_equal(const struct key *a, const struct key *b)
{
    return a->kind == b->kind && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool key_set(struct key *k, uint8_t kind, const void *bytes, size_t len)
{
    if (len == 0 || len > KEY_BYTES_MAX)
        return false;
    memset(k, 0, sizeof *k);
    k->kind = kind;
    k->len = (uint8_t)len;
    memcpy(k->bytes, bytes, len);
    return true;
}

struct record *record_new(const struct key *key)
{
    assert(key->len > 0 && key->len <= KEY_BYTES_MAX);
    struct record *r = mem_alloc(sizeof *r);
    if (!r)
        return NULL;
    r->key = *key;
    r->memory_bytes = RECORD_REST_BYTES + key->len;
    return r;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    record_settle(r);
    for (uint32_t i = 0; i < r->field_count; i++)
        field_free(r->fields[i]);
    if (r->fields != r->loan)
        mem_free(r->fields);
    if (!r->lent)
        mem_free(r);
}

struct record *record_clone(const struct record *r)
{
    struct record *copy = mem_dup(r, sizeof *r);
    if (!copy)
        return NULL;
    copy->field_count = copy->field_cap = 0;
    copy->fields = copy->loan = NULL;
    copy->mark = NULL;
    copy->lent = false;
    struct draft d;
    if (!draft_init(&d, copy, r->field_count))
        goto no_draft;
    for (uint32_t i = 0; i < r->field_count; i++) {
        struct field *f = field_clone(r->fields[i], r->fields[i]->born_s);
        if (!f)
            goto draft_begun;
        draft_append(&d, f);
    }
    draft_commit(&d);
    return copy;

draft_begun:
    draft_abort(&d);
no_draft:
    record_free(copy);
    return NULL;
}

const struct field *record_get(const struct record *r, const void *name, size_t name_len)
{
    struct draft d = {.fields = r->fields, .count = r->field_count};
    const struct field *f = draft_find(&d, name, name_len);
    return f && !f->removed ? f : NULL;
}

bool record_is_tombstone(const struct record *r)
{
    static const struct stamp never;
    if (r->ended)
        return true;
    if (stamp_compare(&r->died, &never) == 0)
        return false;
    for (uint32_t i = 0; i < r->field_count; i++)
        if (!r->fields[i]->removed)
            return false;
    return true;
}

/* A decimal integer and nothing else; an absent field (NULL) is 0. */
static bool parse_integer(const struct field *f, int64_t *out)
{
    *out = 0;
    if (!f || f->removed)
        return true;
    const uint8_t *text = field_value(f);
    size_t len = f->value_len, i = 0;
    bool negative = len > 0 && text[0] == '-';
    if (negative)
        i = 1;
    if (i == len)
        return false;
    for (; i < len; i++) {
        int64_t digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*out, (int64_t)10, out) ||
            __builtin_add_overflow(*out, negative ? -digit : digit, out))
            return false;
    }
    return true;
}

static int put_sum(struct draft *d, const struct field_op *op, const struct stamp *stamp)
{
    int64_t n;
    char text[INTEGER_TEXT_MAX];
    if (!parse_integer(draft_find(d, op->name, op->name_len), &n) ||
        __builtin_add_overflow(n, op->amount, &n))
        return STEAD_E_INVAL;
    int len = snprintf(text, sizeof text, "%" PRId64, n);
    struct field *f = field_new(op->name, op->name_len, text, (size_t)len, stamp);
    if (!f)
        return STEAD_E_NOMEM;
    draft_put(d, f);
    return STEAD_OK;
}

static int remove_field(struct draft *d, const struct field_op *op, const struct stamp *stamp,
                        uint32_t now_s)
{
    const struct field *old = draft_find(d, op->name, op->name_len);
    if (!old || old->removed)
        return STEAD_OK;
    if (MUTANT(FIELD_DELETE_FORGETS)) {
        draft_drop(d, op->name, op->name_len);
        return STEAD_OK;
    }
    struct field *f = field_new_removed(op->name, op->name_len, stamp, now_s);
    if (!f)
        return STEAD_E_NOMEM;
    draft_put(d, f);
    return STEAD_OK;
}

static int apply_op(struct draft *d, const struct field_op *op, const struct stamp *stamp,
                    uint32_t now_s)
{
    if (op->name_len > FIELD_NAME_MAX)
        return STEAD_E_TOO_LARGE;
    if (op->type == FIELD_ADD)
        return put_sum(d, op, stamp);
    if (op->type == FIELD_DELETE)
        return remove_field(d, op, stamp, now_s);
    /* A batch may pass the limit on its way, as when it sets before it deletes, but not by far. */
    if (op->value_len > RECORD_BYTES_MAX || d->live_bytes > 2u * RECORD_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    struct field *f = field_new(op->name, op->name_len, op->value, op->value_len, stamp);
    if (!f)
        return STEAD_E_NOMEM;
    draft_put(d, f);
    return STEAD_OK;
}

/* A record that a merge brought above its limits may still shrink. */
static bool too_large(const struct draft *d, const struct record *r, uint64_t bytes_before,
                      uint32_t bytes_max)
{
    bool bytes = (d->bytes > RECORD_BYTES_MAX && d->bytes > bytes_before) ||
                 (d->live_bytes > bytes_max && d->live_bytes > r->live_bytes);
    bool fields = d->count > RECORD_FIELDS_MAX && d->count > r->field_count;
    return bytes || fields;
}

int record_apply(struct record *r, const struct field_op *ops, size_t count,
                 const struct stamp *stamp, uint32_t now_s)
{
    return record_apply_within(r, ops, count, stamp, now_s, RECORD_BYTES_MAX);
}

int record_apply_within(struct record *r, const struct field_op *ops, size_t count,
                        const struct stamp *stamp, uint32_t now_s, uint32_t bytes_max)
{
    struct draft d;
    int err = STEAD_OK;
    if (r->ended)
        return STEAD_E_ENDED;
    assert(stamp_compare(stamp, &r->died) > 0 && stamp_compare(stamp, &r->stamp) >= 0);
    if (count > 0) {
        if (!draft_init_copy(&d, r, count))
            return STEAD_E_NOMEM;
        uint64_t bytes_before = d.bytes;
        for (size_t i = 0; i < count && err == STEAD_OK; i++)
            err = apply_op(&d, &ops[i], stamp, now_s);
        if (err == STEAD_OK && too_large(&d, r, bytes_before, bytes_max))
            err = STEAD_E_TOO_LARGE;
        if (err != STEAD_OK) {
            draft_abort(&d);
            return err;
        }
        draft_commit(&d);
    }
    r->stamp = *stamp;
    r->born_s = record_is_tombstone(r) ? now_s : 0;
    return STEAD_OK;
}

static void drop_fields(struct record *r)
{
    struct draft none = {.record = r};
    draft_commit(&none);
}

void record_end(struct record *r, const struct stamp *stamp, uint32_t now_s)
{
    drop_fields(r);
    r->ended = !MUTANT(NO_TOMBSTONE);
    r->died = (struct stamp){0};
    r->stamp = *stamp;
    r->born_s = now_s;
}

void record_die(struct record *r, const struct stamp *stamp, uint32_t now_s)
{
    if (r->ended)
        return;
    drop_fields(r);
    r->died = r->stamp = *stamp;
    r->born_s = now_s;
}

void record_purge(struct record *r, uint32_t horizon_s)
{
    uint32_t kept = 0;
    if (r->mark)
        return;
    for (uint32_t i = 0; i < r->field_count; i++) {
        struct field *f = r->fields[i];
        if (f->removed && f->born_s < horizon_s) {
            r->memory_bytes -= field_memory(f);
            field_free(f);
        } else {
            r->fields[kept++] = f;
        }
    }
    r->field_count = kept;
}
