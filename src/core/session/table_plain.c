/* table_plain.c - records at rest that are as simple as a cache's: read, renewed and replaced in
 * their cells, without waking them. What is not that simple is left to table_find(). */
#include "core/record/field.h"
#include "core/record/record_pack.h"
#include "core/session/table_cell.h"

#include <assert.h>

#define PLAIN_HEAD_MAX 64u /* bytes before the fields, at most */
#define NOT_PLAIN (FLAG_TOMBSTONE | FLAG_BASE | FLAG_GENERATION | FLAG_OFFERED)

/* Numbers of seven bits a byte: two stamps' worth, a ttl and a time. */
_Static_assert(PLAIN_HEAD_MAX >= 1 + 3 * 10 + 8 + 5 + 1 + TOUCHED_BYTES, "a plain head fits");

/* The scratch record, zero but for what each plain record sets. */
static bool read_plain(struct table *t, const uint8_t *packed, unsigned flags)
{
    const uint8_t *at = packed;
    struct plain *p = &t->plain;
    struct record *r = &p->record;
    if (!record_is_packed_plain(at))
        return false;
    r->ttl_ms = 0;
    r->live_bytes = 0;
    record_unpack_head(r, &t->incs, &at);
    if (*at++ != 0)
        return false; /* its life ends at another time than it expires */
    p->touched_ns = flags & FLAG_TOUCHED ? read_time(&at) : 0;
    uint32_t count = record_packed_fields(at);
    if (count == 0 || count > PLAIN_FIELDS)
        return false;
    record_unpack_fields(r, &t->incs, &at, p->fields, p->loan);
    p->packed_bytes = (uint32_t)(at - packed);
    for (uint32_t i = 0; i < count; i++)
        if (p->fields[i].removed)
            return false;
    return true;
}

void table_expect(const struct table *t, uint8_t kind, uint64_t hash, bool bucket_only)
{
    index_expect(t, kind, hash, bucket_only);
}

struct plain *table_plain(struct table *t, const struct key *key, uint64_t hash)
{
    struct plain *p = &t->plain;
    uint32_t ref = hash ? index_find_hashed(t, key, hash) : index_find(t, key);
    struct cell *c = ref ? cell_at(t, ref) : NULL;
    if (!c || !(c->word & WORD_REST))
        return NULL;
    unsigned flags = (unsigned)(c->word >> WORD_FLAGS_SHIFT & WORD_FLAGS_MASK);
    if ((flags & NOT_PLAIN) || (flags & (FLAG_STATE | FLAG_SAME)) != (FLAG_STATE | FLAG_SAME))
        return NULL;
    p->ref = ref;
    p->role = flags & FLAG_ROLE;
    p->expires_ns = word_time(c->word);
    p->record.key.kind = key->kind;
    p->record.key.len = key->len;
    memcpy(p->record.key.bytes, key->bytes, key->len);
    return read_plain(t, packed_of(c), flags) ? p : NULL;
}

void table_plain_expire_at(struct table *t, struct plain *p, uint64_t expires_ns)
{
    uint64_t time = steps(expires_ns), old_ns = p->expires_ns;
    struct cell *c = cell_at(t, p->ref);
    if (time == c->word >> WORD_TIME_SHIFT)
        return;
    c->word = (c->word & ((1ull << WORD_TIME_SHIFT) - 1)) | time << WORD_TIME_SHIFT;
    p->expires_ns = word_time(c->word);
    due_set(t, p->ref, old_ns, p->expires_ns);
}

static void recount(struct table *t, const struct plain *p, uint32_t was)
{
    uint64_t more = p->record.memory_bytes - (uint64_t)was;
    t->kinds[p->record.key.kind].memory += more;
    t->item_memory += more;
}

/* The record has changed: its head, then its fields. */
static void pack_plain_head(struct table *t, const struct plain *p, struct pen *head)
{
    record_pack_head(&p->record, &t->incs, head);
    pen_u8(head, 0);
    if (p->touched_ns)
        pen_time(head, p->touched_ns);
    assert(head->len <= PLAIN_HEAD_MAX);
}

/* What is set: the unnamed field and, perhaps, one more. */
static bool take_values(struct plain *p, const struct plain_value *v, size_t count)
{
    struct record *r = &p->record;
    if (count < r->field_count || count > PLAIN_FIELDS)
        return false;
    for (uint32_t i = 0; i < r->field_count; i++)
        if (field_compare_name(&p->fields[i], v[i].bytes, v[i].name_len) != 0)
            return false;
    r->memory_bytes = RECORD_REST_BYTES + r->key.len;
    r->field_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        p->fields[i] = (struct field){.stamp = r->stamp,
                                      .lent = true,
                                      .name_len = v[i].name_len,
                                      .value_len = v[i].value_len,
                                      .bytes = v[i].bytes};
        p->loan[i] = &p->fields[i];
        r->memory_bytes += field_memory(&p->fields[i]);
    }
    return true;
}

bool table_plain_replace(struct table *t, struct plain *p, const struct plain_value *v,
                         size_t count)
{
    struct record *r = &p->record;
    struct cell *c = cell_at(t, p->ref);
    uint8_t buffer[PLAIN_HEAD_MAX];
    struct pen head = {buffer, 0}, fields = {NULL, 0};
    uint32_t was = r->memory_bytes;
    if ((c->word & WORD_OUTSIDE) || !take_values(p, v, count))
        return false;
    pack_plain_head(t, p, &head);
    record_pack_fields(r, &t->incs, &fields);
    size_t kept = sizeof *c + key_bytes(c), len = head.len + fields.len;
    /* Its cell has the size that what is there takes. */
    if (len > CELL_INLINE_MAX ||
        slab_cell_bytes(kept + len) != slab_cell_bytes(kept + p->packed_bytes))
        return false;
    uint8_t *at = packed_of(c);
    memcpy(at, buffer, head.len);
    fields = (struct pen){at + head.len, 0};
    record_pack_fields(r, &t->incs, &fields);
    recount(t, p, was);
    return true;
}
