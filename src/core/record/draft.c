/* draft.c - building the next fields of a record beside the present ones. New and shared fields are
 * told apart by looking the name up in the record: same pointer, shared. */
#include "core/record/draft.h"

#include "base/mem.h"
#include "core/record/field.h"
#include "core/record/record_mark.h"

#include <assert.h>
#include <string.h>

#define SPARE_MAX 4        /* pointers that a record may keep unused */
#define FIELD_OVERHEAD 30u /* bytes that encoding adds to a field, and to a record: at most */
#define HEAD_BYTES_MAX 512u

bool draft_init(struct draft *d, struct record *r, size_t cap)
{
    *d = (struct draft){.record = r, .cap = (uint32_t)cap};
    if (cap > UINT32_MAX / sizeof *d->fields)
        return false;
    if (cap)
        d->fields = mem_alloc(cap * sizeof *d->fields);
    return cap == 0 || d->fields;
}

static void count_in(struct draft *d, const struct field *f)
{
    d->live_bytes += field_live_bytes(f);
    d->bytes += f->name_len + (uint64_t)f->value_len;
}

bool draft_init_copy(struct draft *d, struct record *r, size_t more)
{
    if (more > UINT32_MAX || !draft_init(d, r, r->field_count + more))
        return false;
    if (r->field_count)
        memcpy(d->fields, r->fields, r->field_count * sizeof *d->fields);
    d->count = r->field_count;
    for (uint32_t i = 0; i < d->count; i++)
        count_in(d, d->fields[i]);
    return true;
}

bool draft_fits(const struct draft *d)
{
    return d->count <= RECORD_MERGED_FIELDS_MAX && d->live_bytes <= RECORD_BYTES_MAX &&
           d->bytes + (uint64_t)d->count * FIELD_OVERHEAD + HEAD_BYTES_MAX <= RECORD_ENCODED_MAX;
}

/* The first place whose name is not before the given one; *found: it is the same name. */
static uint32_t lower_bound(struct field *const *fields, uint32_t count, const void *name,
                            size_t name_len, bool *found)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (field_compare_name(fields[middle], name, name_len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < count && field_compare_name(fields[low], name, name_len) == 0;
    return low;
}

const struct field *draft_find(const struct draft *d, const void *name, size_t name_len)
{
    bool found;
    uint32_t at = lower_bound(d->fields, d->count, name, name_len, &found);
    return found ? d->fields[at] : NULL;
}

/* Is f the field of its name among those? */
static bool is_among(struct field *const *fields, uint32_t count, const struct field *f)
{
    bool found;
    uint32_t at = lower_bound(fields, count, field_name(f), f->name_len, &found);
    return found && fields[at] == f;
}

static void forget(struct draft *d, struct field *f)
{
    d->live_bytes -= field_live_bytes(f);
    d->bytes -= f->name_len + (uint64_t)f->value_len;
    if (!is_among(d->record->fields, d->record->field_count, f))
        field_free(f);
}

void draft_put(struct draft *d, struct field *f)
{
    bool found;
    uint32_t at = lower_bound(d->fields, d->count, field_name(f), f->name_len, &found);
    if (found) {
        forget(d, d->fields[at]);
    } else {
        assert(d->count < d->cap);
        memmove(d->fields + at + 1, d->fields + at, (d->count - at) * sizeof *d->fields);
        d->count++;
    }
    d->fields[at] = f;
    count_in(d, f);
}

void draft_append(struct draft *d, struct field *f)
{
    assert(d->count < d->cap);
    d->fields[d->count++] = f;
    count_in(d, f);
}

void draft_drop(struct draft *d, const void *name, size_t name_len)
{
    bool found;
    uint32_t at = lower_bound(d->fields, d->count, name, name_len, &found);
    if (!found)
        return;
    forget(d, d->fields[at]);
    d->count--;
    memmove(d->fields + at, d->fields + at + 1, (d->count - at) * sizeof *d->fields);
}

void draft_free_missing(struct field *const *from, uint32_t count, struct field *const *kept,
                        uint32_t kept_count, const struct record_mark *kept_too)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (k < kept_count && kept[k] != from[i] &&
               field_compare_name(kept[k], field_name(from[i]), from[i]->name_len) < 0)
            k++;
        if (k < kept_count && kept[k] == from[i])
            continue;
        if (!kept_too || !is_among(kept_too->fields, kept_too->count, from[i]))
            field_free(from[i]);
    }
}

static void give_back_spare(struct draft *d)
{
    if (d->cap - d->count <= SPARE_MAX)
        return;
    if (d->count == 0) {
        mem_free(d->fields);
        d->fields = NULL;
    } else {
        struct field **smaller = mem_realloc(d->fields, d->count * sizeof *d->fields);
        if (!smaller)
            return; /* the larger array serves as well */
        d->fields = smaller;
    }
    d->cap = d->count;
}

void draft_commit(struct draft *d)
{
    struct record *r = d->record;
    draft_free_missing(r->fields, r->field_count, d->fields, d->count, r->mark);
    if (r->fields != r->loan)
        mem_free(r->fields);
    give_back_spare(d);

    size_t memory = RECORD_REST_BYTES + (size_t)r->key.len;
    for (uint32_t i = 0; i < d->count; i++)
        memory += field_memory(d->fields[i]);
    r->fields = d->fields;
    r->field_count = d->count;
    r->field_cap = d->cap;
    r->live_bytes = (uint32_t)d->live_bytes;
    r->memory_bytes = (uint32_t)memory;
    *d = (struct draft){0};
}

void draft_abort(struct draft *d)
{
    if (d->record)
        draft_free_missing(d->fields, d->count, d->record->fields, d->record->field_count, NULL);
    mem_free(d->fields);
    *d = (struct draft){0};
}
