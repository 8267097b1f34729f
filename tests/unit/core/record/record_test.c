/* record_test.c - what an owner does to a record: changes, limits, deletions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "random_record.h"

#include <stdio.h>

static struct record *fresh(void)
{
    struct key key;
    assert_true(key_set(&key, 1, "session", 7));
    struct record *r = record_new(&key);
    assert_non_null(r);
    return r;
}

static int apply1(struct record *r, struct field_op op, uint64_t version)
{
    struct stamp stamp = {1, version, 77};
    return record_apply(r, &op, 1, &stamp, 100);
}

static void assert_value(const struct record *r, const char *name, const char *value)
{
    const struct field *f = record_get(r, name, strlen(name));
    if (!value) {
        assert_null(f);
        return;
    }
    assert_non_null(f);
    assert_int_equal(f->value_len, strlen(value));
    assert_memory_equal(field_value(f), value, f->value_len);
}

static void keys_have_limits(void **state)
{
    (void)state;
    struct key a, b;
    uint8_t bytes[KEY_BYTES_MAX + 1] = {0};
    assert_false(key_set(&a, 0, bytes, 0));
    assert_false(key_set(&a, 0, bytes, sizeof bytes));
    assert_true(key_set(&a, 0, bytes, KEY_BYTES_MAX));
    assert_true(key_set(&b, 0, bytes, KEY_BYTES_MAX));
    assert_true(key_equal(&a, &b));
    b.kind = 1;
    assert_false(key_equal(&a, &b));
    assert_true(key_set(&b, 0, bytes, KEY_BYTES_MAX - 1));
    assert_false(key_equal(&a, &b));
}

static void stamps_order_by_term_then_version_then_incarnation(void **state)
{
    (void)state;
    struct stamp a = {1, 9, 9}, b = {2, 1, 1}, c = {2, 2, 1}, d = {2, 2, 2};
    assert_true(stamp_compare(&a, &b) < 0);
    assert_true(stamp_compare(&b, &c) < 0);
    assert_true(stamp_compare(&c, &d) < 0);
    assert_true(stamp_compare(&d, &a) > 0);
    assert_int_equal(stamp_compare(&d, &d), 0);
}

static void a_change_is_read_back(void **state)
{
    (void)state;
    struct record *r = fresh();
    assert_int_equal(apply1(r, op_text("cart", "3 pears"), 1), STEAD_OK);
    assert_int_equal(apply1(r, op_text("", "blob"), 2), STEAD_OK);
    assert_value(r, "cart", "3 pears");
    assert_value(r, "", "blob");
    assert_value(r, "car", NULL);
    assert_int_equal(r->stamp.version, 2);
    assert_int_equal(r->live_bytes, 4 + 7 + 4);
    assert_int_equal(apply1(r, op_text("cart", ""), 3), STEAD_OK);
    assert_value(r, "cart", "");
    assert_int_equal(r->live_bytes, 4 + 4);
    record_free(r);
}

static void later_operations_see_earlier_ones(void **state)
{
    (void)state;
    struct record *r = fresh();
    struct stamp stamp = {1, 1, 1};
    struct field_op ops[] = {op_text("n", "40"), op_add("n", 2),      op_text("x", "gone"),
                             op_delete("x"),     op_delete("absent"), op_add("new", -5)};
    assert_int_equal(record_apply(r, ops, 6, &stamp, 1), STEAD_OK);
    assert_value(r, "n", "42");
    assert_value(r, "x", NULL);
    assert_value(r, "new", "-5");
    assert_int_equal(r->field_count, 3); /* the tombstone of x, none for what never was */
    record_free(r);
}

static void add_refuses_what_is_no_integer(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "-",   "1 ",  " 1",
                                      "+1", "0x1", "1.0", "9223372036854775808"};
    struct record *r = fresh();
    uint64_t version = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(apply1(r, op_text("n", bad[i]), version++), STEAD_OK);
        assert_int_equal(apply1(r, op_add("n", 1), version), STEAD_E_INVAL);
        assert_value(r, "n", bad[i]);
        assert_int_equal(r->stamp.version, version - 1);
    }
    assert_int_equal(apply1(r, op_text("n", "9223372036854775807"), version++), STEAD_OK);
    assert_int_equal(apply1(r, op_add("n", 1), version), STEAD_E_INVAL);
    assert_int_equal(apply1(r, op_add("n", -1), version++), STEAD_OK);
    assert_value(r, "n", "9223372036854775806");
    assert_int_equal(apply1(r, op_text("n", "-9223372036854775808"), version++), STEAD_OK);
    assert_int_equal(apply1(r, op_add("n", 0), version++), STEAD_OK);
    assert_value(r, "n", "-9223372036854775808");
    assert_int_equal(apply1(r, op_add("n", -1), version), STEAD_E_INVAL);
    record_free(r);
}

static void a_batch_applies_whole_or_not_at_all(void **state)
{
    (void)state;
    struct record *r = fresh();
    assert_int_equal(apply1(r, op_text("a", "1"), 1), STEAD_OK);
    struct record *before = record_clone(r);
    struct stamp stamp = {1, 2, 77};
    struct field_op ops[] = {op_text("a", "2"), op_text("b", "x"), op_delete("a"), op_add("b", 1)};
    assert_int_equal(record_apply(r, ops, 4, &stamp, 1), STEAD_E_INVAL);
    assert_true(record_same(r, before));
    assert_int_equal(r->memory_bytes, before->memory_bytes);
    record_free(before);
    record_free(r);
}

static void bytes_are_limited(void **state)
{
    (void)state;
    struct record *r = fresh();
    uint8_t *big = mem_alloc(RECORD_BYTES_MAX + 1);
    assert_int_equal(apply1(r, op_set("", big, RECORD_BYTES_MAX + 1), 1), STEAD_E_TOO_LARGE);
    assert_int_equal(apply1(r, op_set("x", big, RECORD_BYTES_MAX), 1), STEAD_E_TOO_LARGE);
    assert_int_equal(apply1(r, op_set("", big, RECORD_BYTES_MAX), 1), STEAD_OK);
    assert_int_equal(apply1(r, op_text("y", ""), 2), STEAD_E_TOO_LARGE);
    struct stamp stamp = {1, 2, 77};
    struct field_op swap[] = {op_set("b", big, RECORD_BYTES_MAX - 1), op_delete("")};
    assert_int_equal(record_apply(r, swap, 2, &stamp, 1), STEAD_OK);
    assert_value(r, "", NULL);

    /* A name that only a tombstone keeps counts too: the room that a delete leaves is smaller by
     * it. */
    assert_int_equal(apply1(r, op_delete("b"), 3), STEAD_OK);
    assert_int_equal(apply1(r, op_set("c", big, RECORD_BYTES_MAX - 1), 4), STEAD_E_TOO_LARGE);
    assert_int_equal(apply1(r, op_set("c", big, RECORD_BYTES_MAX - 2), 4), STEAD_OK);

    struct field_op long_name = op_text("", "");
    long_name.name = big;
    long_name.name_len = FIELD_NAME_MAX + 1;
    assert_int_equal(apply1(r, long_name, 5), STEAD_E_TOO_LARGE);
    mem_free(big);
    record_free(r);
}

static void fields_are_limited_tombstones_included(void **state)
{
    (void)state;
    struct record *r = fresh();
    char name[16];
    for (unsigned i = 0; i < RECORD_FIELDS_MAX; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_int_equal(apply1(r, op_text(name, "v"), i + 1), STEAD_OK);
    }
    assert_int_equal(apply1(r, op_text("more", ""), 5000), STEAD_E_TOO_LARGE);
    assert_int_equal(apply1(r, op_delete("7"), 5000), STEAD_OK);
    assert_int_equal(apply1(r, op_text("more", ""), 5001), STEAD_E_TOO_LARGE);
    assert_int_equal(apply1(r, op_text("7", "again"), 5001), STEAD_OK);
    assert_int_equal(apply1(r, op_delete("8"), 5002), STEAD_OK);
    record_purge(r, 100);
    assert_int_equal(r->field_count, RECORD_FIELDS_MAX); /* born at 100: not before the horizon */
    uint32_t memory = r->memory_bytes;
    record_purge(r, 101);
    assert_int_equal(r->field_count, RECORD_FIELDS_MAX - 1);
    assert_true(r->memory_bytes < memory);
    assert_int_equal(apply1(r, op_text("more", ""), 5003), STEAD_OK);
    record_free(r);
}

static void an_ended_record_stays_ended(void **state)
{
    (void)state;
    struct record *r = fresh();
    struct stamp end = {1, 2, 3}, later = {9, 9, 9};
    assert_int_equal(apply1(r, op_text("a", "1"), 1), STEAD_OK);
    assert_false(record_is_tombstone(r));
    record_end(r, &end, 50);
    assert_true(record_is_tombstone(r));
    assert_int_equal(r->born_s, 50);
    assert_int_equal(r->field_count, 0);
    assert_int_equal(r->live_bytes, 0);
    struct field_op op = op_text("a", "2");
    assert_int_equal(record_apply(r, &op, 1, &later, 60), STEAD_E_ENDED);
    record_die(r, &later, 60);
    assert_true(r->ended);
    assert_int_equal(stamp_compare(&r->stamp, &end), 0);
    record_free(r);
}

static void a_dead_record_can_be_made_anew(void **state)
{
    (void)state;
    struct record *r = fresh();
    struct stamp die = {1, 2, 77};
    assert_int_equal(apply1(r, op_text("a", "1"), 1), STEAD_OK);
    record_die(r, &die, 50);
    assert_true(record_is_tombstone(r));
    assert_int_equal(r->born_s, 50);
    assert_int_equal(apply1(r, op_text("", ""), 3), STEAD_OK);
    assert_false(record_is_tombstone(r)); /* an empty blob is something to read */
    assert_int_equal(r->born_s, 0);
    assert_value(r, "a", NULL);
    record_free(r);
}

static void memory_is_counted_and_returns(void **state)
{
    (void)state;
    struct record *r = fresh();
    uint32_t bare = r->memory_bytes;
    uint8_t value[1000] = {0};
    assert_int_equal(apply1(r, op_set("a", value, sizeof value), 1), STEAD_OK);
    assert_true(r->memory_bytes >= bare + 1000);
    struct stamp stamp = {1, 2, 77};
    record_die(r, &stamp, 1);
    assert_int_equal(r->memory_bytes, bare);
    record_free(r);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    struct record *r = random_record(&rng);
    while (r->ended || r->field_count < 3) {
        record_free(r);
        r = random_record(&rng);
    }
    struct record *before = record_clone(r);
    struct stamp stamp = {1000, 1000, 1};
    struct field_op ops[] = {op_text("a", "2"), op_text("new", "x"), op_delete("a"),
                             op_add("i", 1)};
    int err = STEAD_E_NOMEM;
    for (unsigned n = 1; err == STEAD_E_NOMEM; n++) {
        assert_true(n < 20);
        mem_fail_after(n);
        err = record_apply(r, ops, 4, &stamp, 1);
        mem_fail_after(0);
        assert_true(err == STEAD_OK ? n > 4 : record_same(r, before));
    }
    assert_int_equal(err, STEAD_OK);

    struct record *copy = NULL;
    unsigned failures = 0;
    while (!copy) {
        mem_fail_after(failures + 1);
        copy = record_clone(r);
        mem_fail_after(0);
        failures += copy == NULL;
    }
    assert_int_equal(failures, 2 + r->field_count);
    assert_true(record_same(copy, r));
    record_free(copy);
    record_free(before);
    record_free(r);
    record_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_limits),
        cmocka_unit_test(stamps_order_by_term_then_version_then_incarnation),
        cmocka_unit_test(a_change_is_read_back),
        cmocka_unit_test(later_operations_see_earlier_ones),
        cmocka_unit_test(add_refuses_what_is_no_integer),
        cmocka_unit_test(a_batch_applies_whole_or_not_at_all),
        cmocka_unit_test(bytes_are_limited),
        cmocka_unit_test(fields_are_limited_tombstones_included),
        cmocka_unit_test(an_ended_record_stays_ended),
        cmocka_unit_test(a_dead_record_can_be_made_anew),
        cmocka_unit_test(memory_is_counted_and_returns),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
