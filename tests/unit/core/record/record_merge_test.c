/* record_merge_test.c - merge is commutative, associative and idempotent, and deletions stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "random_record.h"

#include <stdio.h>

#define TRIPLES 6000

static struct record *merged(const struct record *a, const struct record *b)
{
    struct record *r = record_clone(a);
    assert_non_null(r);
    assert_int_equal(record_merge(r, b, 7, NULL, NULL), STEAD_OK);
    return r;
}

static void assert_same(struct record *a, struct record *b)
{
    assert_true(record_same(a, b));
    record_free(a);
    record_free(b);
}

static void merge_is_a_join(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 20261121);
    for (unsigned i = 0; i < TRIPLES; i++) {
        struct record *a = random_record(&rng), *b = random_record(&rng), *c = random_record(&rng);
        struct record *ab = merged(a, b), *bc = merged(b, c);
        assert_same(merged(a, a), record_clone(a));
        assert_same(merged(b, a), record_clone(ab));
        assert_same(merged(ab, c), merged(a, bc));
        assert_same(merged(ab, b), record_clone(ab));
        assert_same(merged(ab, a), record_clone(ab));
        record_free(a);
        record_free(b);
        record_free(c);
        record_free(ab);
        record_free(bc);
    }
}

static void changed_and_lost_tell_the_truth(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    for (unsigned i = 0; i < TRIPLES; i++) {
        struct record *a = random_record(&rng), *b = random_record(&rng);
        struct record *r = record_clone(a);
        bool changed;
        unsigned lost, expected = 0;
        assert_int_equal(record_merge(r, b, 7, &changed, &lost), STEAD_OK);
        for (uint32_t f = 0; f < a->field_count; f++) {
            const struct field *was = a->fields[f];
            const struct field *is = record_get(r, field_name(was), was->name_len);
            if (!was->removed && (!is || is->value_len != was->value_len ||
                                  memcmp(field_value(is), field_value(was), is->value_len) != 0))
                expected++;
        }
        assert_int_equal(lost, expected);
        r->stamp = a->stamp; /* all but the head */
        r->ttl_ms = a->ttl_ms;
        r->holder_count = a->holder_count;
        memcpy(r->holders, a->holders, sizeof r->holders);
        assert_int_equal(changed, !record_same(r, a));
        record_free(a);
        record_free(b);
        record_free(r);
    }
}

static struct record *fresh(void)
{
    struct key key;
    assert_true(key_set(&key, 1, "k", 1));
    return record_new(&key);
}

static void change(struct record *r, struct field_op op, struct stamp stamp)
{
    assert_int_equal(record_apply(r, &op, 1, &stamp, 10), STEAD_OK);
}

static void a_removed_field_does_not_come_back(void **state)
{
    (void)state;
    struct record *a = fresh();
    change(a, op_text("x", "1"), (struct stamp){1, 1, 1});
    struct record *old = record_clone(a);
    change(a, op_delete("x"), (struct stamp){1, 2, 1});
    change(old, op_text("y", "2"), (struct stamp){1, 2, 2});
    unsigned lost;
    bool changed;
    assert_int_equal(record_merge(a, old, 20, &changed, &lost), STEAD_OK);
    assert_null(record_get(a, "x", 1));
    assert_non_null(record_get(a, "y", 1));
    assert_true(changed);
    assert_int_equal(lost, 0);
    assert_int_equal(a->fields[0]->born_s, 10); /* its own tombstone keeps its date */
    assert_int_equal(record_merge(old, a, 20, &changed, &lost), STEAD_OK);
    assert_null(record_get(old, "x", 1));
    assert_int_equal(lost, 1);
    assert_int_equal(old->fields[0]->born_s, 20); /* dated where it came in */
    record_free(a);
    record_free(old);
}

static void a_final_deletion_beats_every_version(void **state)
{
    (void)state;
    struct record *a = fresh();
    struct stamp end = {1, 2, 1};
    change(a, op_text("x", "1"), (struct stamp){1, 1, 1});
    struct record *newer = record_clone(a);
    record_end(a, &end, 10);
    change(newer, op_text("x", "2"), (struct stamp){5, 9, 2});
    assert_int_equal(record_merge(newer, a, 20, NULL, NULL), STEAD_OK);
    assert_true(newer->ended);
    assert_int_equal(newer->field_count, 0);
    assert_int_equal(newer->born_s, 20);
    assert_int_equal(newer->stamp.term, 5);
    record_free(a);
    record_free(newer);
}

static void a_versioned_deletion_voids_what_is_older(void **state)
{
    (void)state;
    struct record *a = fresh();
    struct stamp die = {1, 5, 1};
    change(a, op_text("old", "1"), (struct stamp){1, 1, 1});
    struct record *b = record_clone(a);
    record_die(a, &die, 10);
    change(b, op_text("new", "2"), (struct stamp){2, 6, 2});
    assert_int_equal(record_merge(b, a, 20, NULL, NULL), STEAD_OK);
    assert_null(record_get(b, "old", 3));
    assert_non_null(record_get(b, "new", 3));
    assert_false(record_is_tombstone(b));

    struct record *c = fresh();
    change(c, op_text("old", "1"), (struct stamp){1, 1, 1});
    assert_int_equal(record_merge(c, a, 30, NULL, NULL), STEAD_OK);
    assert_true(record_is_tombstone(c));
    assert_int_equal(c->born_s, 30);
    assert_int_equal(record_merge(c, a, 40, NULL, NULL), STEAD_OK);
    assert_int_equal(c->born_s, 30); /* hearing of it again does not make it younger */
    record_free(a);
    record_free(b);
    record_free(c);
}

static void digests_ignore_head_and_tombstones_only(void **state)
{
    (void)state;
    struct record *a = fresh();
    change(a, op_text("x", "12345678"), (struct stamp){1, 1, 1});
    struct record *b = record_clone(a);
    assert_true(record_digest(a) == record_digest(b));
    b->ttl_ms = 5;
    b->holder_count = 1;
    change(b, op_text("t", ""), (struct stamp){1, 2, 1});
    assert_false(record_digest(a) == record_digest(b));
    change(b, op_delete("t"), (struct stamp){1, 3, 1});
    assert_true(record_digest(a) == record_digest(b));
    change(b, op_text("x", "12345678"), (struct stamp){1, 4, 1});
    assert_false(record_digest(a) == record_digest(b));
    record_free(a);
    record_free(b);
}

/* One field of that size. */
static struct record *large_record(const char *name, uint64_t inc, size_t bytes)
{
    struct record *r = fresh();
    uint8_t *value = mem_alloc(bytes);
    change(r, op_set(name, value, bytes), (struct stamp){1, 1, inc});
    mem_free(value);
    return r;
}

static void two_sides_too_large_together_are_refused(void **state)
{
    (void)state;
    struct record *a = large_record("a", 1, RECORD_BYTES_MAX / 2 - 1);
    struct record *b = large_record("b", 2, RECORD_BYTES_MAX / 2 - 1);
    struct record *c = large_record("c", 3, 1);
    assert_int_equal(record_merge(a, b, 1, NULL, NULL), STEAD_OK);
    assert_int_equal(a->live_bytes, RECORD_BYTES_MAX);
    struct record *before = record_clone(a);
    assert_int_equal(record_merge(a, c, 1, NULL, NULL), STEAD_E_TOO_LARGE);
    assert_true(record_same(a, before));
    assert_int_equal(a->memory_bytes, before->memory_bytes);
    record_free(a);
    record_free(b);
    record_free(c);
    record_free(before);
}

/* The owner has purged and filled the room again; a holder that purges a second later keeps up. */
static void tombstones_that_the_owner_purged_do_no_harm(void **state)
{
    (void)state;
    struct record *owner = fresh();
    char name[16];
    for (unsigned i = 0; i < RECORD_FIELDS_MAX; i++) {
        snprintf(name, sizeof name, "old%u", i);
        change(owner, op_text(name, ""), (struct stamp){1, i + 1, 1});
    }
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "old%u", i);
        change(owner, op_delete(name), (struct stamp){1, 2000 + i, 1});
    }
    struct record *holder = record_clone(owner);
    record_purge(owner, 11);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "new%u", i);
        change(owner, op_text(name, ""), (struct stamp){1, 3000 + i, 1});
    }
    assert_int_equal(owner->field_count, RECORD_FIELDS_MAX);
    assert_int_equal(record_merge(holder, owner, 1, NULL, NULL), STEAD_OK);
    assert_true(record_digest(holder) == record_digest(owner));
    assert_int_equal(holder->field_count, RECORD_FIELDS_MAX + 300);
    assert_true(record_encoded_size(holder, 0) <= RECORD_ENCODED_MAX);

    struct field_op more = op_text("z", ""), fewer = op_delete("new7");
    struct stamp stamp = {2, 5000, 1};
    assert_int_equal(record_apply(holder, &more, 1, &stamp, 1), STEAD_E_TOO_LARGE);
    assert_int_equal(record_apply(holder, &fewer, 1, &stamp, 1), STEAD_OK);
    record_free(owner);
    record_free(holder);
}

static void without_memory_dst_is_unchanged(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 9);
    unsigned failures = 0;
    for (unsigned i = 0; i < 300; i++) {
        struct record *a = random_record(&rng), *b = random_record(&rng);
        struct record *before = record_clone(a), *expected = merged(a, b);
        int err = STEAD_E_NOMEM;
        for (unsigned n = 1; err != STEAD_OK; n++) {
            mem_fail_after(n);
            err = record_merge(a, b, 7, NULL, NULL);
            mem_fail_after(0);
            assert_true(err == STEAD_OK || record_same(a, before));
            failures += err == STEAD_E_NOMEM;
        }
        assert_true(record_same(a, expected));
        assert_int_equal(a->memory_bytes > 0, 1);
        record_free(a);
        record_free(b);
        record_free(before);
        record_free(expected);
    }
    assert_true(failures > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_is_a_join),
        cmocka_unit_test(changed_and_lost_tell_the_truth),
        cmocka_unit_test(a_removed_field_does_not_come_back),
        cmocka_unit_test(a_final_deletion_beats_every_version),
        cmocka_unit_test(a_versioned_deletion_voids_what_is_older),
        cmocka_unit_test(digests_ignore_head_and_tombstones_only),
        cmocka_unit_test(two_sides_too_large_together_are_refused),
        cmocka_unit_test(tombstones_that_the_owner_purged_do_no_harm),
        cmocka_unit_test(without_memory_dst_is_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
