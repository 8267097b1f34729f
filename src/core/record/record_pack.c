/* record_pack.c - the bytes of a record at rest.
 *
 *   head  = u8 flags and count of holders | stamp | [stamp died] | [number born_s] | [number
 * ttl_ms] | inc of each holder stamp = number term | number version | inc field = number (name's
 * length, removed, near) | number, distance from the head's version | [number term | inc] | [number
 * born_s] or [number value's length] | name | value
 *
 * near: term and incarnation are the head's, as with nearly all. */
#include "core/record/record_pack.h"

#include "core/record/field.h"
#include "core/record/record_mark.h"

#define FLAG_ENDED 1u
#define FLAG_DIED 2u
#define FLAG_BORN 4u
#define FLAG_TTL 8u
#define HOLDERS_SHIFT 4
#define FIELD_REMOVED 1u
#define FIELD_NEAR 2u
#define NAME_SHIFT 2

_Static_assert(RECORD_HOLDERS_MAX < 16, "the count of holders fits half a byte");

static void pack_stamp(const struct stamp *s, struct incs *incs, struct pen *p)
{
    pen_number(p, s->term);
    pen_number(p, s->version);
    pen_inc(p, incs, s->inc);
}

static struct stamp unpack_stamp(const struct incs *incs, const uint8_t **at)
{
    struct stamp s;
    s.term = read_number(at);
    s.version = read_number(at);
    s.inc = read_inc(at, incs);
    return s;
}

static bool is_never(const struct stamp *s)
{
    static const struct stamp never;
    return stamp_compare(s, &never) == 0;
}

void record_pack_head(const struct record *r, struct incs *incs, struct pen *p)
{
    unsigned flags = (r->ended ? FLAG_ENDED : 0) | (is_never(&r->died) ? 0 : FLAG_DIED) |
                     (r->born_s ? FLAG_BORN : 0) | (r->ttl_ms ? FLAG_TTL : 0);
    pen_u8(p, (uint8_t)(flags | (unsigned)r->holder_count << HOLDERS_SHIFT));
    pack_stamp(&r->stamp, incs, p);
    if (flags & FLAG_DIED)
        pack_stamp(&r->died, incs, p);
    if (flags & FLAG_BORN)
        pen_number(p, r->born_s);
    if (flags & FLAG_TTL)
        pen_number(p, r->ttl_ms);
    for (unsigned i = 0; i < r->holder_count; i++)
        pen_inc(p, incs, r->holders[i]);
}

bool record_is_packed_plain(const uint8_t *at)
{
    return (*at & ~FLAG_TTL) == 0;
}

void record_unpack_head(struct record *r, const struct incs *incs, const uint8_t **at)
{
    unsigned flags = *(*at)++;
    r->ended = flags & FLAG_ENDED;
    r->holder_count = (uint8_t)(flags >> HOLDERS_SHIFT);
    r->stamp = unpack_stamp(incs, at);
    if (flags & FLAG_DIED)
        r->died = unpack_stamp(incs, at);
    if (flags & FLAG_BORN)
        r->born_s = (uint32_t)read_number(at);
    if (flags & FLAG_TTL)
        r->ttl_ms = (uint32_t)read_number(at);
    for (unsigned i = 0; i < r->holder_count; i++)
        r->holders[i] = read_inc(at, incs);
    r->memory_bytes = RECORD_REST_BYTES + r->key.len;
}

static void pack_field(const struct record *r, const struct field *f, struct incs *incs,
                       struct pen *p)
{
    bool near = f->stamp.term == r->stamp.term && f->stamp.inc == r->stamp.inc;
    unsigned flags = (f->removed ? FIELD_REMOVED : 0) | (near ? FIELD_NEAR : 0);
    pen_number(p, (uint64_t)f->name_len << NAME_SHIFT | flags);
    pen_distance(p, r->stamp.version, f->stamp.version);
    if (!near) {
        pen_number(p, f->stamp.term);
        pen_inc(p, incs, f->stamp.inc);
    }
    pen_number(p, f->removed ? f->born_s : f->value_len);
    pen_bytes(p, f->bytes, (size_t)f->name_len + f->value_len);
}

void record_pack_fields(const struct record *r, struct incs *incs, struct pen *p)
{
    pen_number(p, r->field_count);
    for (uint32_t i = 0; i < r->field_count; i++)
        pack_field(r, r->fields[i], incs, p);
}

static void unpack_field(const struct record *r, struct field *f, const struct incs *incs,
                         const uint8_t **at)
{
    uint64_t head = read_number(at);
    *f = (struct field){.lent = true,
                        .removed = head & FIELD_REMOVED,
                        .name_len = (uint8_t)(head >> NAME_SHIFT),
                        .stamp = r->stamp};
    f->stamp.version = read_distance(at, r->stamp.version);
    if (!(head & FIELD_NEAR)) {
        f->stamp.term = read_number(at);
        f->stamp.inc = read_inc(at, incs);
    }
    uint32_t number = (uint32_t)read_number(at);
    if (f->removed)
        f->born_s = number;
    else
        f->value_len = number;
    f->bytes = *at;
    *at += f->name_len + (size_t)f->value_len;
}

uint32_t record_packed_fields(const uint8_t *at)
{
    return (uint32_t)read_number(&at);
}

void record_unpack_fields(struct record *r, const struct incs *incs, const uint8_t **at,
                          struct field *fields, struct field **loan)
{
    uint32_t count = (uint32_t)read_number(at);
    for (uint32_t i = 0; i < count; i++) {
        struct field *f = &fields[i];
        unpack_field(r, f, incs, at);
        loan[i] = f;
        r->live_bytes += field_live_bytes(f);
        r->memory_bytes += field_memory(f);
    }
    r->fields = r->loan = loan;
    r->field_count = r->field_cap = count;
}

bool record_fields_as_read(const struct record *r, uint32_t count)
{
    if (r->field_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!r->fields[i]->lent)
            return false;
    return true;
}

static void fields_moved(struct field **fields, uint32_t count, const uint8_t *from, size_t len,
                         const uint8_t *to)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t offset = (size_t)((uintptr_t)fields[i]->bytes - (uintptr_t)from);
        if (fields[i]->lent && offset <= len)
            fields[i]->bytes = to + offset;
    }
}

/* What the mark shares with the record is moved once: it is not in `from` any more after. */
void record_fields_moved(struct record *r, const uint8_t *from, size_t len, const uint8_t *to)
{
    fields_moved(r->fields, r->field_count, from, len, to);
    if (r->mark)
        fields_moved(r->mark->fields, r->mark->count, from, len, to);
}
