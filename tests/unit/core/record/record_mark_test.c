/* record_mark_test.c - a record goes back to what it was, whatever was done to it in between; or it
 * does not, and nothing is left of what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/record/record.h"

#include <stdio.h>
#include <string.h>

static struct record *made(void)
{
    struct key k;
    assert_true(key_set(&k, 1, "key", 3));
    struct record *r = record_new(&k);
    assert_non_null(r);
    r->ttl_ms = 60;
    r->holder_count = 1;
    r->holders[0] = 7;
    return r;
}

static int change(struct record *r, enum field_op_type type, const char *name, const char *value)
{
    struct field_op op = {.type = type,
                          .name = (const uint8_t *)name,
                          .name_len = strlen(name),
                          .value = (const uint8_t *)value,
                          .value_len = strlen(value),
                          .amount = 1};
    struct stamp next = {1, r->stamp.version + 1, 1};
    return record_apply(r, &op, 1, &next, 1);
}

static void shuffle(struct record *r, struct rng *rng)
{
    char name[8], value[16];
    snprintf(name, sizeof name, "f%u", (unsigned)rng_below(rng, 6));
    snprintf(value, sizeof value, "v%u", (unsigned)rng_below(rng, 1000));
    enum field_op_type type = rng_below(rng, 3) ? FIELD_SET : FIELD_DELETE;
    assert_int_equal(change(r, type, name, value), STEAD_OK);
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_int_equal(stamp_compare(&a->stamp, &b->stamp), 0);
    assert_int_equal(stamp_compare(&a->died, &b->died), 0);
    assert_int_equal(a->ended, b->ended);
    assert_int_equal(a->ttl_ms, b->ttl_ms);
    assert_int_equal(a->holder_count, b->holder_count);
    assert_memory_equal(a->holders, b->holders, sizeof a->holders);
    assert_int_equal(a->field_count, b->field_count);
    assert_int_equal(a->live_bytes, b->live_bytes);
    assert_true(record_digest(a) == record_digest(b));
}

/* Changes, merges, deletions, in any order, with tombstones purged before and tried to be between.
 */
static void it_goes_back_or_stays(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct record *r = made();
        for (unsigned i = 0; i < seed % 12; i++)
            shuffle(r, &rng);
        record_purge(r, (uint32_t)(seed % 2));
        struct record *before = record_clone(r), *other = record_clone(r);
        assert_non_null(before);
        assert_non_null(other);
        assert_true(record_mark(r));
        uint32_t memory = r->memory_bytes;
        for (unsigned i = 0; i < seed % 7; i++)
            shuffle(r, &rng);
        for (unsigned i = 0; i < seed % 5; i++)
            shuffle(other, &rng);
        struct stamp last = {1, r->stamp.version + 9, 1};
        if (seed % 3 == 0)
            assert_int_equal(record_merge(r, other, 1, NULL, NULL), STEAD_OK);
        if (seed % 11 == 0)
            record_die(r, &last, 1);
        if (seed % 13 == 0)
            record_end(r, &last, 1);
        record_purge(r, 100);
        r->ttl_ms = 1;
        r->holder_count = 0;
        struct record *after = record_clone(r);
        assert_non_null(after);
        assert_null(after->mark);
        if (seed % 4 == 0) {
            record_settle(r);
            assert_false(record_revert(r));
            assert_same(r, after);
        } else if (seed % 4 < 3) {
            assert_true(record_revert(r));
            assert_same(r, before);
            assert_int_equal(r->memory_bytes, memory);
            if (!r->ended)
                shuffle(r, &rng); /* it can be worked with */
        }
        record_free(after);
        record_free(other);
        record_free(before);
        record_free(r); /* with its mark, now and then */
    }
}

static void a_second_mark_takes_the_place_of_the_first(void **state)
{
    (void)state;
    struct record *r = made();
    assert_int_equal(change(r, FIELD_SET, "a", "1"), STEAD_OK);
    assert_true(record_mark(r));
    assert_int_equal(change(r, FIELD_SET, "a", "2"), STEAD_OK);
    assert_true(record_mark(r));
    assert_int_equal(change(r, FIELD_SET, "a", "3"), STEAD_OK);
    assert_true(record_revert(r));
    assert_memory_equal(field_value(record_get(r, "a", 1)), "2", 1);
    record_settle(r);
    record_free(r);
}

static void without_memory_there_is_no_mark(void **state)
{
    (void)state;
    struct record *r = made();
    assert_int_equal(change(r, FIELD_SET, "a", "1"), STEAD_OK);
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_false(record_mark(r));
        mem_fail_after(0);
        assert_null(r->mark);
        assert_false(record_revert(r));
    }
    assert_true(record_mark(r));
    record_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_back_or_stays),
        cmocka_unit_test(a_second_mark_takes_the_place_of_the_first),
        cmocka_unit_test(without_memory_there_is_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
