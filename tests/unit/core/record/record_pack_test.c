/* record_pack_test.c - what is packed comes back the same, however odd its numbers; fields that are
 * lent are changed and freed as others; short numbers of incarnations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/record/record_pack.h"
#include "random_record.h"

#define FIELDS 16

static struct incs incs;

struct packed {
    uint8_t *bytes;
    size_t len;
    struct field fields[FIELDS], *loan[FIELDS];
};

static void pack(struct packed *p, const struct record *r)
{
    struct pen pen = {0};
    record_pack_head(r, &incs, &pen);
    record_pack_fields(r, &incs, &pen);
    p->bytes = mem_alloc(pen.len);
    p->len = pen.len;
    pen = (struct pen){p->bytes, 0};
    record_pack_head(r, &incs, &pen);
    record_pack_fields(r, &incs, &pen);
    assert_int_equal(pen.len, p->len);
}

static struct record unpack(struct packed *p, const struct key *key)
{
    struct record r = {.key = *key, .lent = true};
    const uint8_t *at = p->bytes;
    record_unpack_head(&r, &incs, &at);
    assert_in_range(record_packed_fields(at), 0, FIELDS);
    record_unpack_fields(&r, &incs, &at, p->fields, p->loan);
    assert_ptr_equal(at, p->bytes + p->len);
    return r;
}

static void what_is_packed_comes_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    for (unsigned i = 0; i < 3000; i++) {
        struct packed p;
        struct record *r = random_record(&rng);
        pack(&p, r);
        struct record back = unpack(&p, &r->key);
        assert_true(record_same(r, &back));
        assert_int_equal(back.born_s, r->born_s);
        assert_int_equal(back.memory_bytes, r->memory_bytes);
        assert_true(record_fields_as_read(&back, back.field_count));
        for (uint32_t f = 0; f < r->field_count; f++)
            assert_int_equal(back.fields[f]->born_s, r->fields[f]->born_s);
        record_free(&back);
        record_free(r);
        mem_free(p.bytes);
    }
}

static void the_greatest_numbers_come_back(void **state)
{
    (void)state;
    struct packed p;
    struct key key;
    uint8_t name[FIELD_NAME_MAX] = {0};
    assert_true(key_set(&key, 3, "k", 1));
    struct record *r = record_new(&key);
    uint64_t top = UINT64_MAX >> 1;
    struct stamp first = {1, 1, UINT64_MAX}, last = {top, top, 0};
    struct field_op ops[] = {op_text("", ""), op_text("v", "1")};
    ops[0].name = name;
    ops[0].name_len = sizeof name;
    assert_int_equal(record_apply(r, ops, 1, &first, UINT32_MAX), STEAD_OK);
    assert_int_equal(record_apply(r, ops + 1, 1, &last, UINT32_MAX), STEAD_OK);
    r->ttl_ms = UINT32_MAX;
    r->died = (struct stamp){1, 0, UINT64_MAX};
    r->holder_count = RECORD_HOLDERS_MAX;
    for (uint64_t i = 0; i < RECORD_HOLDERS_MAX; i++)
        r->holders[i] = UINT64_MAX - i;
    pack(&p, r);
    struct record back = unpack(&p, &key);
    assert_true(record_same(r, &back));
    record_free(r);
    mem_free(p.bytes);
}

/* Changes of an unpacked record are those of any other. */
static void lent_fields_are_changed_as_others(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    for (unsigned i = 0; i < 3000; i++) {
        struct packed p;
        struct record *r = random_record(&rng), *other = random_record(&rng);
        pack(&p, r);
        struct record back = unpack(&p, &r->key);
        uint32_t count = back.field_count;
        struct stamp next = {r->stamp.term, r->stamp.version + 1, 2};
        struct field_op op = op_text("cart", "new");
        bool marked = rng_below(&rng, 2) && record_mark(&back);
        switch (r->ended ? 3 : rng_below(&rng, 5)) {
        case 0:
            assert_int_equal(record_apply(r, &op, 1, &next, 9), STEAD_OK);
            assert_int_equal(record_apply(&back, &op, 1, &next, 9), STEAD_OK);
            assert_false(record_fields_as_read(&back, count));
            break;
        case 1:
            record_die(r, &next, 9);
            record_die(&back, &next, 9);
            break;
        case 2:
            record_purge(r, UINT32_MAX);
            if (marked)
                record_settle(&back);
            record_purge(&back, UINT32_MAX);
            break;
        default:
            assert_int_equal(record_merge(r, other, 9, NULL, NULL), STEAD_OK);
            assert_int_equal(record_merge(&back, other, 9, NULL, NULL), STEAD_OK);
        }
        assert_true(record_same(r, &back));
        assert_int_equal(back.memory_bytes, r->memory_bytes);
        if (rng_below(&rng, 2) && record_revert(&back))
            assert_true(record_fields_as_read(&back, count));
        record_free(&back);
        record_free(r);
        record_free(other);
        mem_free(p.bytes);
    }
}

static void fields_follow_bytes_that_move(void **state)
{
    (void)state;
    struct packed p;
    struct key key;
    assert_true(key_set(&key, 3, "k", 1));
    struct record *r = record_new(&key);
    struct field_op ops[] = {op_text("a", "one"), op_text("b", "two"), op_text("b", "three")};
    struct stamp first = {1, 1, 1}, second = {1, 2, 1};
    assert_int_equal(record_apply(r, ops, 2, &first, 1), STEAD_OK);
    pack(&p, r);
    struct record back = unpack(&p, &key);
    assert_true(record_mark(&back));
    assert_int_equal(record_apply(&back, ops + 2, 1, &second, 1), STEAD_OK);
    uint8_t *moved = mem_dup(p.bytes, p.len);
    record_fields_moved(&back, p.bytes, p.len, moved);
    mem_free(p.bytes);
    assert_memory_equal(field_value(record_get(&back, "a", 1)), "one", 3);
    assert_memory_equal(field_value(record_get(&back, "b", 1)), "three", 5);
    assert_true(record_revert(&back));
    assert_memory_equal(field_value(record_get(&back, "b", 1)), "two", 3);
    record_free(&back);
    record_free(r);
    mem_free(moved);
}

/* The last: there are no numbers left. */
static void numbers_run_out_without_harm(void **state)
{
    (void)state;
    struct packed p;
    struct key key;
    incs = (struct incs){0};
    for (uint64_t i = 0; i < INCS_MAX; i++)
        assert_int_equal(incs_number(&incs, i * 64), i + 1);
    assert_int_equal(incs_number(&incs, 640), 11);
    assert_int_equal(incs_number(&incs, 1), 0);
    assert_true(incs_at(&incs, 11) == 640);
    assert_true(key_set(&key, 3, "k", 1));
    struct record *r = record_new(&key);
    r->stamp = (struct stamp){1, 1, 12345};
    r->holder_count = 2;
    r->holders[0] = 640;
    r->holders[1] = UINT64_MAX;
    pack(&p, r);
    struct record back = unpack(&p, &key);
    assert_true(record_same(r, &back));
    record_free(r);
    mem_free(p.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back),
        cmocka_unit_test(the_greatest_numbers_come_back),
        cmocka_unit_test(lent_fields_are_changed_as_others),
        cmocka_unit_test(fields_follow_bytes_that_move),
        cmocka_unit_test(numbers_run_out_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
