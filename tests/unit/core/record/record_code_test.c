/* record_code_test.c - bytes of records: what goes out comes back, and nothing malformed comes in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "random_record.h"

struct bytes {
    uint8_t *at;
    size_t len;
};

static struct bytes encoded(const struct record *r, uint64_t since_version)
{
    struct bytes b = {.len = record_encoded_size(r, since_version)};
    b.at = mem_alloc(b.len);
    struct wire_writer w;
    wire_writer_init(&w, b.at, b.len);
    record_encode(r, since_version, &w);
    assert_true(wire_put_ok(&w));
    assert_int_equal(wire_written(&w), b.len); /* the size was told exactly */
    return b;
}

/* Either a record of sane shape and a reader that goes on, or NULL and a failed reader. */
static struct record *decoded(const uint8_t *bytes, size_t len, bool *whole)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    struct record *record = record_decode(&r, 5);
    assert_int_equal(record != NULL, wire_ok(&r));
    *whole = wire_done(&r);
    return record;
}

static void what_goes_out_comes_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11);
    for (unsigned i = 0; i < 3000; i++) {
        struct record *a = random_record(&rng), *b = random_record(&rng);
        assert_int_equal(record_merge(a, b, 1, NULL, NULL), STEAD_OK);
        struct bytes bytes = encoded(a, 0);
        bool whole;
        struct record *back = decoded(bytes.at, bytes.len, &whole);
        assert_non_null(back);
        assert_true(whole && record_same(a, back));
        if (record_is_tombstone(back))
            assert_int_equal(back->born_s, 5);
        mem_free(bytes.at);
        record_free(a);
        record_free(b);
        record_free(back);
    }
}

static void a_delta_brings_a_holder_up_to_date(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 12);
    for (unsigned i = 0; i < 2000; i++) {
        struct record *owner = random_record(&rng);
        if (owner->ended) {
            record_free(owner);
            continue;
        }
        struct record *holder = record_clone(owner);
        uint64_t since = owner->stamp.version;
        struct stamp stamp = owner->stamp;
        for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
            stamp.version++;
            if (rng_below(&rng, 10) == 0)
                record_die(owner, &stamp, 1);
            else
                random_change(owner, &rng, &stamp);
        }
        struct bytes delta = encoded(owner, since);
        bool whole;
        struct record *part = decoded(delta.at, delta.len, &whole);
        assert_true(part && whole);
        assert_true(since == 0 || part->field_count <= 9);
        assert_int_equal(record_merge(holder, part, 1, NULL, NULL), STEAD_OK);
        assert_true(record_same(holder, owner));
        mem_free(delta.at);
        record_free(owner);
        record_free(holder);
        record_free(part);
    }
}

static void a_delta_is_small(void **state)
{
    (void)state;
    struct key key;
    assert_true(key_set(&key, 0, "k", 1));
    struct record *r = record_new(&key);
    uint8_t big[4000] = {0};
    struct stamp one = {1, 1, 1}, two = {1, 2, 1}, claimed = {2, 3, 2};
    struct field_op a = op_set("a", big, sizeof big), b = op_text("b", "small");
    assert_int_equal(record_apply(r, &a, 1, &one, 1), STEAD_OK);
    assert_int_equal(record_apply(r, &b, 1, &two, 1), STEAD_OK);
    assert_true(record_encoded_size(r, 0) > sizeof big);
    assert_true(record_encoded_size(r, 1) < 100);
    assert_int_equal(record_apply(r, NULL, 0, &claimed, 1), STEAD_OK);
    assert_true(record_encoded_size(r, 2) < 100); /* nothing of term 2 yet */
    record_free(r);
}

static void cut_bytes_are_refused(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 13);
    for (unsigned i = 0; i < 200; i++) {
        struct record *a = random_record(&rng);
        struct bytes bytes = encoded(a, 0);
        for (size_t len = 0; len < bytes.len; len++) {
            uint8_t *cut = mem_dup(bytes.at, len); /* its own block, so that overreads are seen */
            bool whole;
            assert_null(decoded(cut, len, &whole));
            mem_free(cut);
        }
        mem_free(bytes.at);
        record_free(a);
    }
}

static void mutated_bytes_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 14);
    unsigned accepted = 0, refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct record *a = random_record(&rng);
        struct bytes bytes = encoded(a, 0);
        for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
            bytes.at[rng_below(&rng, bytes.len)] = (uint8_t)rng_u64(&rng);
        bool whole;
        struct record *r = decoded(bytes.at, bytes.len, &whole);
        accepted += r != NULL;
        refused += r == NULL;
        if (r) {
            struct bytes again = encoded(r, 0); /* what was accepted is a record like any other */
            struct record *back = decoded(again.at, again.len, &whole);
            assert_true(back && whole && record_same(r, back));
            if (key_equal(&a->key, &r->key))
                assert_int_equal(record_merge(a, r, 1, NULL, NULL), STEAD_OK);
            struct stamp next = {r->stamp.term + 1, r->stamp.version + 1, 1};
            int err = record_apply(r, NULL, 0, &next, 1);
            assert_int_equal(err, r->ended ? STEAD_E_ENDED : STEAD_OK);
            record_free(back);
            mem_free(again.at);
        }
        mem_free(bytes.at);
        record_free(a);
        record_free(r);
    }
    assert_true(accepted > 100 && refused > 100);
}

/* Writes a head with one holder list and leaves the fields to the test. */
static void put_head(struct wire_writer *w, uint8_t flags, uint8_t holders, uint16_t fields)
{
    wire_put_u8(w, 3);
    wire_put_str8(w, "key", 3);
    wire_put_u64(w, 5);
    wire_put_u64(w, 50);
    wire_put_u64(w, 500);
    wire_put_u8(w, flags);
    wire_put_u32(w, 1000);
    wire_put_u8(w, holders);
    for (unsigned i = 0; i < holders; i++)
        wire_put_u64(w, i);
    wire_put_u16(w, fields);
}

static void put_near(struct wire_writer *w, const char *name, uint64_t version)
{
    wire_put_u8(w, 2);
    wire_put_str8(w, name, strlen(name));
    wire_put_u64(w, version);
    wire_put_str32(w, "v", 1);
}

static bool accepts(const struct wire_writer *w)
{
    bool whole;
    struct record *r = decoded(w->start, wire_written(w), &whole);
    record_free(r);
    return r != NULL;
}

static void rules_of_the_format_hold(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct wire_writer w;
#define START() wire_writer_init(&w, buffer, sizeof buffer)
    START(), put_head(&w, 0, 2, 2), put_near(&w, "a", 50), put_near(&w, "b", 1);
    assert_true(accepts(&w));
    START(), put_head(&w, 0, 0, 2), put_near(&w, "b", 1), put_near(&w, "a", 1);
    assert_false(accepts(&w)); /* not sorted */
    START(), put_head(&w, 0, 0, 2), put_near(&w, "a", 1), put_near(&w, "a", 1);
    assert_false(accepts(&w)); /* the same name twice */
    START(), put_head(&w, 0, 0, 1), put_near(&w, "a", 51);
    assert_false(accepts(&w)); /* above the head */
    START(), put_head(&w, 0, RECORD_HOLDERS_MAX + 1, 0);
    assert_false(accepts(&w));
    START(), put_head(&w, 0, RECORD_HOLDERS_MAX, 0);
    assert_true(accepts(&w));
    START(), put_head(&w, 1, 0, 1), put_near(&w, "a", 1);
    assert_false(accepts(&w)); /* ended, and yet a field */
    START(), put_head(&w, 1, 0, 0);
    assert_true(accepts(&w));
    START(), put_head(&w, 4, 0, 0);
    assert_false(accepts(&w)); /* an unknown flag */
    START(), put_head(&w, 0, 0, UINT16_MAX);
    assert_false(accepts(&w)); /* a count that the input cannot hold */
#undef START
}

static void the_largest_record_goes_through(void **state)
{
    (void)state;
    struct key key;
    uint8_t text[KEY_BYTES_MAX] = {0}, *value = mem_alloc(RECORD_BYTES_MAX);
    assert_true(key_set(&key, 0, text, sizeof text));
    struct record *r = record_new(&key);
    uint64_t left = RECORD_BYTES_MAX;
    for (unsigned i = 0; i < RECORD_FIELDS_MAX; i++) {
        size_t rest = i + 1 < RECORD_FIELDS_MAX ? 500 : (size_t)left - FIELD_NAME_MAX;
        struct stamp stamp = {1 + i / 2, i + 1, i}; /* hardly one near the head's */
        struct field_op op = {.name = text, .name_len = FIELD_NAME_MAX, .value = value};
        op.value_len = rest;
        text[0] = (uint8_t)i;
        text[1] = (uint8_t)(i >> 8);
        assert_int_equal(record_apply(r, &op, 1, &stamp, 1), STEAD_OK);
        left -= FIELD_NAME_MAX + rest;
    }
    assert_int_equal(r->live_bytes, RECORD_BYTES_MAX);
    memset(r->holders, 1, sizeof r->holders);
    r->holder_count = RECORD_HOLDERS_MAX;
    struct bytes bytes = encoded(r, 0);
    assert_true(bytes.len <= RECORD_ENCODED_MAX);
    bool whole;
    struct record *back = decoded(bytes.at, bytes.len, &whole);
    assert_true(back && whole && record_same(r, back));
    mem_free(bytes.at);
    mem_free(value);
    record_free(r);
    record_free(back);
}

static void a_record_beyond_the_limit_is_malformed(void **state)
{
    (void)state;
    size_t len = RECORD_BYTES_MAX + 1000;
    uint8_t *bytes = mem_alloc(len);
    struct wire_writer w;
    for (uint32_t over = 0; over <= 1; over++) {
        wire_writer_init(&w, bytes, len);
        put_head(&w, 0, 0, 1);
        wire_put_u8(&w, 2);
        wire_put_str8(&w, "", 0);
        wire_put_u64(&w, 1);
        wire_put_u32(&w, RECORD_BYTES_MAX + over);
        w.at += RECORD_BYTES_MAX + over;
        assert_int_equal(accepts(&w), over == 0);
    }
    mem_free(bytes);
}

static void no_memory_is_not_malformed(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 15);
    struct record *a = random_record(&rng);
    while (a->field_count < 3) {
        record_free(a);
        a = random_record(&rng);
    }
    struct bytes bytes = encoded(a, 0);
    struct record *back = NULL;
    unsigned failures = 0;
    while (!back) {
        struct wire_reader r;
        wire_reader_init(&r, bytes.at, bytes.len);
        mem_fail_after(failures + 1);
        back = record_decode(&r, 1);
        mem_fail_after(0);
        assert_true(wire_ok(&r));
        failures += back == NULL;
    }
    assert_int_equal(failures, 2 + a->field_count);
    assert_true(record_same(a, back));
    mem_free(bytes.at);
    record_free(a);
    record_free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_out_comes_back),
        cmocka_unit_test(a_delta_brings_a_holder_up_to_date),
        cmocka_unit_test(a_delta_is_small),
        cmocka_unit_test(cut_bytes_are_refused),
        cmocka_unit_test(mutated_bytes_do_no_harm),
        cmocka_unit_test(rules_of_the_format_hold),
        cmocka_unit_test(no_memory_is_not_malformed),
        cmocka_unit_test(the_largest_record_goes_through),
        cmocka_unit_test(a_record_beyond_the_limit_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
