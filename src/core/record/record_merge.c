/* record_merge.c - two copies of a record become one, and the digest that tells whether copies are
 * equal.
 *
 * Fields are merged first into a draft, both sorted lists side by side; nothing of dst is touched
 * before all memory is there. Fields that `died` voids are left out, tombstones among them. */
#include "core/record/record.h"

#include "base/mutant.h"
#include "core/record/draft.h"
#include "core/record/field.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

struct merge {
    struct draft draft;
    const struct stamp *died;
    uint32_t now_s;
    bool changed;
    unsigned lost;
};

/* Is src's field to stand in the place of dst's? */
static bool src_wins(const struct field *dst, const struct field *src)
{
    if (MUTANT(MERGE_WITHOUT_TIEBREAK) && dst->stamp.term == src->stamp.term &&
        dst->stamp.version == src->stamp.version)
        return true;
    int order = stamp_compare(&src->stamp, &dst->stamp);
    if (order == 0)
        order = field_compare_content(src, dst);
    return order > 0;
}

static bool is_void(const struct merge *m, const struct field *f)
{
    return stamp_compare(&f->stamp, m->died) <= 0;
}

/* One name: dst's field, src's, or both. False without memory. */
static bool merge_name(struct merge *m, struct field *dst, const struct field *src)
{
    bool take_src = src && (!dst || src_wins(dst, src));
    const struct field *winner = take_src ? src : dst;
    if (is_void(m, winner)) {
        if (dst) {
            m->changed = true;
            m->lost += !dst->removed;
        }
        return true;
    }
    if (!take_src) {
        draft_append(&m->draft, dst);
        return true;
    }
    m->changed = true;
    if (dst && !dst->removed && field_compare_content(dst, src) != 0)
        m->lost++;
    struct field *copy = field_clone(src, m->now_s);
    if (copy)
        draft_append(&m->draft, copy);
    return copy != NULL;
}

static bool merge_fields(struct merge *m, const struct record *dst, const struct record *src)
{
    uint32_t i = 0, j = 0;
    while (i < dst->field_count || j < src->field_count) {
        struct field *a = i < dst->field_count ? dst->fields[i] : NULL;
        const struct field *b = j < src->field_count ? src->fields[j] : NULL;
        if (a && b) {
            int order = field_compare_name(a, field_name(b), b->name_len);
            if (order < 0)
                b = NULL;
            else if (order > 0)
                a = NULL;
        }
        if (!merge_name(m, a, b))
            return false;
        i += a != NULL;
        j += b != NULL;
    }
    return true;
}

/* Order of heads under equal stamps, only so that the same one is kept everywhere. */
static int compare_head(const struct record *a, const struct record *b)
{
    if (a->holder_count != b->holder_count)
        return a->holder_count < b->holder_count ? -1 : 1;
    for (unsigned i = 0; i < a->holder_count; i++)
        if (a->holders[i] != b->holders[i])
            return a->holders[i] < b->holders[i] ? -1 : 1;
    return (a->ttl_ms > b->ttl_ms) - (a->ttl_ms < b->ttl_ms);
}

static bool src_leads(const struct record *dst, const struct record *src)
{
    if (MUTANT(MERGE_WITHOUT_TIEBREAK) && dst->stamp.term == src->stamp.term &&
        dst->stamp.version == src->stamp.version)
        return true;
    int order = stamp_compare(&src->stamp, &dst->stamp);
    if (order == 0)
        order = compare_head(src, dst);
    return order > 0;
}

static void take_head(struct record *dst, const struct record *src)
{
    dst->stamp = src->stamp;
    dst->ttl_ms = src->ttl_ms;
    dst->holder_count = src->holder_count;
    memcpy(dst->holders, src->holders, sizeof dst->holders);
}

static unsigned count_live(const struct record *r)
{
    unsigned live = 0;
    for (uint32_t i = 0; i < r->field_count; i++)
        live += !r->fields[i]->removed;
    return live;
}

/* Either copy is ended: the result is, whatever else they hold. */
static void merge_ended(struct record *dst, const struct record *src, uint32_t now_s, bool *changed,
                        unsigned *lost)
{
    *changed = !dst->ended;
    *lost = count_live(dst);
    if (!dst->ended) {
        struct draft none = {.record = dst};
        draft_commit(&none);
        dst->ended = true;
        dst->died = (struct stamp){0};
        dst->born_s = now_s;
    }
    if (src_leads(dst, src))
        take_head(dst, src);
}

static int merge_living(struct record *dst, const struct record *src, struct merge *m)
{
    if (!draft_init(&m->draft, dst, (size_t)dst->field_count + src->field_count))
        return STEAD_E_NOMEM;
    if (!merge_fields(m, dst, src)) {
        draft_abort(&m->draft);
        return STEAD_E_NOMEM;
    }
    if (!draft_fits(&m->draft)) {
        draft_abort(&m->draft);
        return STEAD_E_TOO_LARGE;
    }
    draft_commit(&m->draft);
    return STEAD_OK;
}

int record_merge(struct record *dst, const struct record *src, uint32_t now_s, bool *changed,
                 unsigned *lost)
{
    struct merge m = {.now_s = now_s};
    assert(key_equal(&dst->key, &src->key));
    if (dst->ended || src->ended) {
        merge_ended(dst, src, now_s, &m.changed, &m.lost);
    } else {
        bool was_tombstone = record_is_tombstone(dst);
        bool dies = stamp_compare(&src->died, &dst->died) > 0;
        struct stamp died = dies ? src->died : dst->died;
        m.died = &died;
        int err = merge_living(dst, src, &m);
        if (err != STEAD_OK)
            return err;
        dst->died = died;
        m.changed |= dies;
        if (src_leads(dst, src))
            take_head(dst, src);
        if (!record_is_tombstone(dst))
            dst->born_s = 0;
        else if (!was_tombstone || dies)
            dst->born_s = now_s;
    }
    if (changed)
        *changed = m.changed;
    if (lost)
        *lost = m.lost;
    return STEAD_OK;
}

/* Folds v in: a bijection of h for every v, and not linear. */
static uint64_t digest_u64(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9fb21c651e98df25ull;
    h ^= h >> 35;
    h *= 0x9e3779b97f4a7c15ull;
    return h ^ h >> 28;
}

/* Words of one byte order, so that all nodes agree. */
static uint64_t digest_bytes(uint64_t h, const uint8_t *p, size_t len)
{
    h = digest_u64(h, len);
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        h = digest_u64(h, le64toh(v));
    }
    uint64_t rest = 0;
    for (unsigned i = 0; i < len; i++)
        rest |= (uint64_t)p[i] << (8 * i);
    return len ? digest_u64(h, rest) : h;
}

static uint64_t digest_stamp(uint64_t h, const struct stamp *s)
{
    return digest_u64(digest_u64(digest_u64(h, s->term), s->version), s->inc);
}

uint64_t record_digest(const struct record *r)
{
    uint64_t h = digest_stamp(digest_u64(0x5354454144ull, r->ended), &r->died);
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct field *f = r->fields[i];
        if (f->removed)
            continue;
        h = digest_stamp(h, &f->stamp);
        h = digest_bytes(h, field_name(f), f->name_len);
        h = digest_bytes(h, field_value(f), f->value_len);
    }
    return h;
}
