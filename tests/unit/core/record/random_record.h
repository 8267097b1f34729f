/* random_record.h - records out of a seed for the tests here, and full comparison of two. Terms,
 * versions, incarnations and names come from small sets, so that ties and overlaps are frequent. */
#ifndef TESTS_CORE_RECORD_RANDOM_RECORD_H
#define TESTS_CORE_RECORD_RANDOM_RECORD_H

#include "base/rng.h"
#include "core/record/record.h"

#include <string.h>

static inline struct field_op op_set(const char *name, const void *value, size_t len)
{
    return (struct field_op){.type = FIELD_SET,
                             .name = (const uint8_t *)name,
                             .name_len = strlen(name),
                             .value = value,
                             .value_len = len};
}

static inline struct field_op op_text(const char *name, const char *value)
{
    return op_set(name, value, strlen(value));
}

static inline struct field_op op_delete(const char *name)
{
    return (struct field_op){
        .type = FIELD_DELETE, .name = (const uint8_t *)name, .name_len = strlen(name)};
}

static inline struct field_op op_add(const char *name, int64_t amount)
{
    return (struct field_op){.type = FIELD_ADD,
                             .name = (const uint8_t *)name,
                             .name_len = strlen(name),
                             .amount = amount};
}

static inline void random_change(struct record *r, struct rng *rng, const struct stamp *stamp)
{
    static const char *const names[] = {"", "a", "ab", "abc", "b", "cart", "user"};
    struct field_op ops[3];
    uint8_t values[3][4];
    size_t count = 1 + rng_below(rng, 3);
    for (size_t i = 0; i < count; i++) {
        const char *name = names[rng_below(rng, sizeof names / sizeof *names)];
        uint64_t bits = rng_u64(rng);
        memcpy(values[i], &bits, sizeof values[i]);
        if (rng_below(rng, 4) == 0)
            ops[i] = op_delete(name);
        else
            ops[i] = op_set(name, values[i], rng_below(rng, 4));
    }
    if (record_apply(r, ops, count, stamp, 1) != STEAD_OK)
        __builtin_trap();
}

/* A history of changes with rising stamps; now and then a deletion. */
static inline struct record *random_record(struct rng *rng)
{
    struct key key;
    if (!key_set(&key, 2, "key", 3))
        __builtin_trap();
    struct record *r = record_new(&key);
    struct stamp stamp = {1, 0, 1};
    for (uint64_t left = rng_below(rng, 7); left > 0; left--) {
        if (rng_below(rng, 4) == 0)
            stamp.term++;
        stamp.version += 1 + rng_below(rng, 2);
        stamp.inc = 1 + rng_below(rng, 3);
        uint64_t dice = rng_below(rng, 40);
        if (dice == 0)
            record_end(r, &stamp, 1);
        else if (dice < 4)
            record_die(r, &stamp, 1);
        else if (!r->ended)
            random_change(r, rng, &stamp);
        r->ttl_ms = (uint32_t)rng_below(rng, 3);
        r->holder_count = (uint8_t)rng_below(rng, 3);
        for (unsigned i = 0; i < RECORD_HOLDERS_MAX; i++)
            r->holders[i] = i < r->holder_count ? 1 + rng_below(rng, 3) : 0;
    }
    return r;
}

static inline bool field_same(const struct field *a, const struct field *b)
{
    return a->removed == b->removed && a->name_len == b->name_len && a->value_len == b->value_len &&
           stamp_compare(&a->stamp, &b->stamp) == 0 &&
           memcmp(a->bytes, b->bytes, (size_t)a->name_len + a->value_len) == 0;
}

/* Everything but local dates and memory: content, tombstones and head. */
static inline bool record_same(const struct record *a, const struct record *b)
{
    if (!key_equal(&a->key, &b->key) || a->ended != b->ended || a->field_count != b->field_count ||
        stamp_compare(&a->stamp, &b->stamp) || stamp_compare(&a->died, &b->died) ||
        a->ttl_ms != b->ttl_ms || a->holder_count != b->holder_count ||
        memcmp(a->holders, b->holders, a->holder_count * sizeof *a->holders) != 0 ||
        a->live_bytes != b->live_bytes || record_digest(a) != record_digest(b))
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!field_same(a->fields[i], b->fields[i]))
            return false;
    return true;
}

#endif
