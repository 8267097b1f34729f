/* record_code.c - a record to bytes and back.
 *
 *   u8 kind | str8 key | stamp | u8 flags (1 ended, 2 died follows) | [stamp died] | u32 ttl_ms
 *   u8 holders | u64 holder ... | u16 fields | field ...
 *   stamp = u64 term | u64 version | u64 inc
 *   field = u8 flags (1 removed, 2 term and inc are the head's) | str8 name | u64 version or stamp
 * | [str32 value]
 *
 * Nearly all fields of a record were set by its present owner in its present term, hence flag 2. */
#include "core/record/record.h"

#include "base/mem.h"
#include "core/record/draft.h"
#include "core/record/field.h"

#include <string.h>

#define FLAG_ENDED 1u
#define FLAG_DIED 2u
#define FIELD_FLAG_REMOVED 1u
#define FIELD_FLAG_NEAR 2u
#define STAMP_BYTES 24u
#define NUMBER_MAX                                                                                 \
    (UINT64_MAX >> 1)       /* of a term or version: an owner can always count on from it */
#define FIELD_BYTES_MIN 10u /* a near tombstone with an empty name */

_Static_assert(RECORD_MERGED_FIELDS_MAX <= UINT16_MAX, "the count of fields fits");

static bool is_never(const struct stamp *s)
{
    static const struct stamp never;
    return stamp_compare(s, &never) == 0;
}

static bool is_near(const struct record *r, const struct field *f)
{
    return f->stamp.term == r->stamp.term && f->stamp.inc == r->stamp.inc;
}

static bool is_included(const struct record *r, uint64_t since_version, const struct field *f)
{
    if (since_version == 0)
        return true;
    return f->stamp.term == r->stamp.term && f->stamp.version > since_version;
}

size_t record_encoded_size(const struct record *r, uint64_t since_version)
{
    size_t size = 1 + 1 + (size_t)r->key.len + STAMP_BYTES + 1 + 4 + 1 + 8u * r->holder_count + 2;
    if (!is_never(&r->died))
        size += STAMP_BYTES;
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct field *f = r->fields[i];
        if (!is_included(r, since_version, f))
            continue;
        size += 1 + 1 + (size_t)f->name_len + (is_near(r, f) ? 8 : STAMP_BYTES);
        if (!f->removed)
            size += 4 + (size_t)f->value_len;
    }
    return size;
}

static void put_stamp(struct wire_writer *w, const struct stamp *s)
{
    wire_put_u64(w, s->term);
    wire_put_u64(w, s->version);
    wire_put_u64(w, s->inc);
}

static void put_field(struct wire_writer *w, const struct record *r, const struct field *f)
{
    bool near = is_near(r, f);
    wire_put_u8(w, (uint8_t)((f->removed ? FIELD_FLAG_REMOVED : 0) | (near ? FIELD_FLAG_NEAR : 0)));
    wire_put_str8(w, field_name(f), f->name_len);
    if (near)
        wire_put_u64(w, f->stamp.version);
    else
        put_stamp(w, &f->stamp);
    if (!f->removed)
        wire_put_str32(w, field_value(f), f->value_len);
}

void record_encode(const struct record *r, uint64_t since_version, struct wire_writer *w)
{
    bool died = !is_never(&r->died);
    wire_put_u8(w, r->key.kind);
    wire_put_str8(w, r->key.bytes, r->key.len);
    put_stamp(w, &r->stamp);
    wire_put_u8(w, (uint8_t)((r->ended ? FLAG_ENDED : 0) | (died ? FLAG_DIED : 0)));
    if (died)
        put_stamp(w, &r->died);
    wire_put_u32(w, r->ttl_ms);
    wire_put_u8(w, r->holder_count);
    for (unsigned i = 0; i < r->holder_count; i++)
        wire_put_u64(w, r->holders[i]);
    uint16_t included = 0;
    for (uint32_t i = 0; i < r->field_count; i++)
        included += is_included(r, since_version, r->fields[i]);
    wire_put_u16(w, included);
    for (uint32_t i = 0; i < r->field_count; i++)
        if (is_included(r, since_version, r->fields[i]))
            put_field(w, r, r->fields[i]);
}

static struct stamp read_stamp(struct wire_reader *r)
{
    struct stamp s;
    s.term = wire_u64(r);
    s.version = wire_u64(r);
    s.inc = wire_u64(r);
    return s;
}

/* By (term, version) only: after a merge a field of another incarnation may have the head's
 * version. */
static bool is_above_head(const struct stamp *s, const struct stamp *head)
{
    return s->term > head->term || (s->term == head->term && s->version > head->version);
}

/* Everything before the fields, into a record on the stack. *fields: their number, which may still
 * lie. */
static void read_head(struct wire_reader *r, struct record *head, uint16_t *fields)
{
    size_t len;
    uint8_t kind = wire_u8(r);
    const uint8_t *key = wire_str8(r, &len);
    head->stamp = read_stamp(r);
    uint8_t flags = wire_u8(r);
    head->ended = flags & FLAG_ENDED;
    if (flags & FLAG_DIED)
        head->died = read_stamp(r);
    head->ttl_ms = wire_u32(r);
    head->holder_count = wire_u8(r);
    if (head->holder_count > RECORD_HOLDERS_MAX) {
        wire_fail(r);
        return;
    }
    for (unsigned i = 0; i < head->holder_count; i++)
        head->holders[i] = wire_u64(r);
    *fields = wire_u16(r);
    bool valid =
        key && key_set(&head->key, kind, key, len) && flags <= (FLAG_ENDED | FLAG_DIED) &&
        ((flags & FLAG_DIED) != 0) == !is_never(&head->died) && head->stamp.term <= NUMBER_MAX &&
        head->stamp.version <= NUMBER_MAX && !is_above_head(&head->died, &head->stamp) &&
        !(head->ended && (*fields > 0 || flags & FLAG_DIED)) &&
        *fields <= RECORD_MERGED_FIELDS_MAX && wire_left(r) >= *fields * (size_t)FIELD_BYTES_MIN;
    if (!valid)
        wire_fail(r);
}

/* One field to the end of the draft. False: malformed (the reader has failed) or no memory. */
static bool read_field(struct wire_reader *r, struct draft *d, uint32_t now_s)
{
    const struct record *head = d->record;
    size_t name_len, value_len = 0;
    uint8_t flags = wire_u8(r);
    const uint8_t *name = wire_str8(r, &name_len), *value = NULL;
    struct stamp stamp = head->stamp;
    if (flags & FIELD_FLAG_NEAR)
        stamp.version = wire_u64(r);
    else
        stamp = read_stamp(r);
    bool removed = flags & FIELD_FLAG_REMOVED;
    if (!removed)
        value = wire_str32(r, &value_len);
    if (!wire_ok(r))
        return false;

    const struct field *last = d->count ? d->fields[d->count - 1] : NULL;
    bool valid = flags <= (FIELD_FLAG_REMOVED | FIELD_FLAG_NEAR) && name_len <= FIELD_NAME_MAX &&
                 !is_above_head(&stamp, &head->stamp) && stamp_compare(&stamp, &head->died) > 0 &&
                 (!last || field_compare_name(last, name, name_len) < 0);
    if (!valid) {
        wire_fail(r);
        return false;
    }
    struct field *f = removed ? field_new_removed(name, name_len, &stamp, now_s)
                              : field_new(name, name_len, value, value_len, &stamp);
    if (f)
        draft_append(d, f);
    return f != NULL;
}

struct record *record_decode(struct wire_reader *r, uint32_t now_s)
{
    struct record head = {0};
    struct draft d;
    uint16_t fields = 0;
    read_head(r, &head, &fields);
    if (!wire_ok(r))
        return NULL;
    struct record *record = record_new(&head.key);
    if (!record)
        return NULL;
    head.memory_bytes = record->memory_bytes;
    *record = head;
    if (!draft_init(&d, record, fields))
        goto no_draft;
    for (unsigned i = 0; i < fields; i++)
        if (!read_field(r, &d, now_s))
            goto draft_begun;
    if (!draft_fits(&d)) {
        wire_fail(r);
        goto draft_begun;
    }
    draft_commit(&d);
    if (record_is_tombstone(record))
        record->born_s = now_s;
    return record;

draft_begun:
    draft_abort(&d);
no_draft:
    record_free(record);
    return NULL;
}
