/* Generations of a farm's key: what may follow on what, the file, the message, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mesh/keys.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

static void secret_of(uint8_t seed, uint8_t out[KEY_SECRET_BYTES])
{
    memset(out, seed, KEY_SECRET_BYTES);
}

static struct keys first(uint8_t seed)
{
    struct keys k;
    uint8_t secret[KEY_SECRET_BYTES];
    secret_of(seed, secret);
    keys_init(&k, secret);
    memset(k.lasting, 0x5a, sizeof k.lasting);
    k.lasting_known = true;
    return k;
}

static uint64_t added(struct keys *k, uint8_t seed)
{
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t mark;
    secret_of(seed, secret);
    assert_int_equal(keys_add(k, secret, false, &mark), STEAD_OK);
    return mark;
}

/* What `from` says to somebody who has said what `to` says. */
static void tell(const struct keys *from, struct keys *to)
{
    uint8_t bytes[KEYS_MESSAGE_MAX];
    struct wire_writer w;
    struct keys_said said, known;
    wire_writer_init(&w, bytes, sizeof bytes);
    keys_encode(to, 0, NULL, &w);
    assert_true(keys_decode(bytes, wire_written(&w), &known));
    wire_writer_init(&w, bytes, sizeof bytes);
    keys_encode(from, 0, &known, &w);
    assert_true(wire_put_ok(&w));
    assert_true(keys_decode(bytes, wire_written(&w), &said));
    keys_merge(to, &said);
    assert_false(keys_merge(to, &said)); /* told twice is told once */
}

static void a_generation_lives_its_life(void **state)
{
    (void)state;
    struct keys k = first(1);
    uint64_t one = k.active, two = added(&k, 2);
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t mark;
    secret_of(2, secret);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_E_EXISTS);
    assert_int_equal(keys_find(&k, two)->number, 2);
    assert_int_equal(keys_retire(&k, one), STEAD_E_IN_USE);
    assert_int_equal(keys_activate(&k, one), STEAD_E_EXISTS);
    assert_int_equal(keys_activate(&k, 77), STEAD_E_NOT_FOUND);
    assert_int_equal(keys_activate(&k, two), STEAD_OK);
    assert_true(k.active == two && k.turn == 1);
    assert_int_equal(keys_forget(&k, one), STEAD_E_NOT_FOUND);
    assert_int_equal(keys_retire(&k, one), STEAD_OK);
    assert_int_equal(keys_retire(&k, one), STEAD_E_NOT_FOUND);
    assert_int_equal(keys_activate(&k, one), STEAD_E_NOT_FOUND);
    const struct key_generation *g = keys_find(&k, one);
    static const uint8_t zeros[KEY_SECRET_BYTES];
    assert_memory_equal(g->secret, zeros, sizeof zeros); /* nothing opens frames of it any more */
    assert_true(g->has_data);
    assert_memory_not_equal(g->data, zeros, sizeof zeros);
    assert_int_equal(keys_forget(&k, one), STEAD_OK);
    assert_memory_equal(keys_find(&k, one)->data, zeros, sizeof zeros);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_E_EXISTS);
    secret_of(1, secret);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_E_EXISTS); /* never again */
}

static void there_is_a_limit(void **state)
{
    (void)state;
    struct keys k = first(1);
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t mark, active = k.active;
    added(&k, 2);
    added(&k, 3);
    struct keys before = k;
    secret_of(4, secret);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_E_FULL);
    assert_true(keys_equal(&k, &before));
    assert_int_equal(keys_retire(&k, before.list[1].mark), STEAD_OK);
    assert_int_equal(keys_retire(&k, before.list[2].mark), STEAD_OK);
    for (uint8_t i = 4; i < 9; i++)
        assert_int_equal(keys_retire(&k, added(&k, i)), STEAD_OK);
    secret_of(9, secret);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_E_FULL);
    assert_int_equal(keys_forget(&k, before.list[1].mark), STEAD_OK);
    assert_int_equal(keys_add(&k, secret, false, &mark),
                     STEAD_OK); /* what is forgotten gives way */
    assert_null(keys_find(&k, before.list[1].mark));
    assert_int_equal(keys_find(&k, mark)->number, 9);
    assert_true(k.active == active && k.count == KEYS_MAX);
}

static void what_is_told_arrives(void **state)
{
    (void)state;
    struct keys a = first(1), b = first(1);
    uint64_t one = a.active, two = added(&a, 2);
    tell(&a, &b);
    assert_true(keys_equal(&a, &b));
    assert_int_equal(keys_activate(&b, two), STEAD_OK);
    tell(&b, &a);
    assert_true(a.active == two);
    assert_int_equal(keys_retire(&a, one), STEAD_OK);
    tell(&a, &b);
    assert_int_equal(keys_find(&b, one)->state, KEY_RETIRED);
    assert_true(keys_find(&b, one)->has_data); /* values that lie are still read */
    tell(&b, &a);
    assert_true(keys_equal(&a, &b));
}

static void both_sides_of_a_cut_may_rotate(void **state)
{
    (void)state;
    struct keys a = first(1), b = first(1);
    uint64_t of_a = added(&a, 2), of_b = added(&b, 3);
    assert_int_equal(keys_find(&a, of_a)->number, keys_find(&b, of_b)->number);
    assert_int_equal(keys_activate(&a, of_a), STEAD_OK);
    assert_int_equal(keys_activate(&b, of_b), STEAD_OK);
    tell(&a, &b);
    tell(&b, &a);
    tell(&a, &b);
    assert_true(keys_equal(&a, &b));
    assert_true(a.active == (of_a > of_b ? of_a : of_b));
    assert_int_equal(a.count, 3);
}

static void the_retired_are_not_brought_back(void **state)
{
    (void)state;
    struct keys a = first(1);
    uint64_t one = a.active, two = added(&a, 2);
    struct keys away = a, late = a;
    assert_int_equal(keys_activate(&a, two), STEAD_OK);
    assert_int_equal(keys_retire(&a, one), STEAD_OK);
    tell(&away, &a);
    assert_int_equal(keys_find(&a, one)->state, KEY_RETIRED);
    tell(&a, &away);
    assert_int_equal(keys_find(&away, one)->state, KEY_RETIRED);
    /* Whoever never had it learns that it is over. */
    late.count = 1;
    late.list[0] = *keys_find(&a, two);
    late.active = two;
    late.turn = 1;
    tell(&a, &late);
    assert_int_equal(keys_find(&late, one)->state, KEY_RETIRED);
    assert_false(keys_find(&late, one)->has_data);
}

/* On one side of a cut a generation became active that the other side retired. */
static void what_is_retired_is_active_nowhere(void **state)
{
    (void)state;
    struct keys a = first(1);
    uint64_t one = a.active, two = added(&a, 2);
    struct keys b = a;
    assert_int_equal(keys_activate(&a, two), STEAD_OK);
    assert_int_equal(keys_activate(&a, one), STEAD_OK);
    assert_int_equal(keys_activate(&a, two), STEAD_OK);
    assert_int_equal(keys_retire(&b, two), STEAD_OK);
    tell(&a, &b);
    assert_true(b.active == one);
    tell(&b, &a);
    assert_true(a.active == one && keys_find(&a, two)->state == KEY_RETIRED);
    tell(&a, &b);
    assert_true(keys_equal(&a, &b));
}

static void what_is_quiet_is_not_told(void **state)
{
    (void)state;
    struct keys a = first(1), b = first(1);
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t mark;
    secret_of(2, secret);
    assert_int_equal(keys_add(&a, secret, true, &mark), STEAD_OK);
    tell(&a, &b);
    assert_null(keys_find(&b, mark));
}

static void same_text(const struct keys *k)
{
    char text[KEYS_TEXT_MAX], again[KEYS_TEXT_MAX];
    struct keys back;
    size_t len = keys_write(k, text);
    assert_in_range(len, 1, KEYS_TEXT_MAX - 1);
    assert_int_equal(keys_read(&back, text, len), STEAD_OK);
    assert_int_equal(keys_write(&back, again), len);
    assert_memory_equal(text, again, len);
    if (back.lasting_known)
        assert_true(keys_equal(k, &back));
    for (size_t i = 0; i < k->count; i++) {
        assert_memory_equal(k->list[i].secret, back.list[i].secret, KEY_SECRET_BYTES);
        assert_memory_equal(k->list[i].data, back.list[i].data, KEY_SECRET_BYTES);
    }
}

static void the_file_keeps_all(void **state)
{
    (void)state;
    struct keys k = first(1);
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t mark, one = k.active;
    char text[KEYS_TEXT_MAX];
    same_text(&k);
    assert_int_equal(keys_write(&k, text), 65); /* as older versions have it */
    uint64_t two = added(&k, 2);
    same_text(&k);
    assert_int_equal(keys_activate(&k, two), STEAD_OK);
    assert_int_equal(keys_retire(&k, one), STEAD_OK);
    secret_of(3, secret);
    assert_int_equal(keys_add(&k, secret, true, &mark), STEAD_OK);
    same_text(&k);
    assert_int_equal(keys_forget(&k, one), STEAD_OK);
    same_text(&k);
    for (uint8_t i = 4; i < 9; i++)
        assert_int_equal(keys_retire(&k, added(&k, i)), STEAD_OK);
    assert_int_equal(k.count, KEYS_MAX);
    same_text(&k);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    struct keys k = first(1), back;
    char text[KEYS_TEXT_MAX], bad[KEYS_TEXT_MAX];
    added(&k, 2);
    size_t len = keys_write(&k, text);
    size_t digits = (size_t)(strstr(text, "active") - text);
    for (size_t i = digits; i < len; i++) {
        memcpy(bad, text, len);
        bad[i] = bad[i] == 'x' ? 'y' : 'x';
        assert_int_equal(keys_read(&back, bad, len), STEAD_E_PARSE);
    }
    for (size_t cut = 1; cut + 1 < len; cut++)
        assert_int_equal(keys_read(&back, text, cut), STEAD_E_PARSE);
    static const char *const others[] = {
        "", "\n", "generation 1 accepted", "active 0000000000000000 0\n",
        "0101010101010101010101010101010101010101010101010101010101010101x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(keys_read(&back, others[i], strlen(others[i])), STEAD_E_PARSE);
}

static void a_damaged_message_changes_nothing(void **state)
{
    (void)state;
    struct keys a = first(1), b = first(1);
    uint8_t bytes[KEYS_MESSAGE_MAX];
    struct wire_writer w;
    struct keys_said said, known = {0};
    added(&a, 2);
    wire_writer_init(&w, bytes, sizeof bytes);
    keys_encode(&a, 3, &known, &w);
    size_t len = wire_written(&w);
    assert_true(keys_decode(bytes, len, &said));
    assert_true(said.count == 2 && said.list[0].uses && said.list[1].given);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(keys_decode(bytes, cut, &said));
    /* Another secret than its mark says. */
    bytes[len - 1] ^= 1;
    assert_false(keys_decode(bytes, len, &said));
    bytes[len - 1] ^= 1;
    bytes[0] = 9;
    assert_false(keys_decode(bytes, len, &said));
    bytes[0] = 1;
    bytes[1] = 0xff; /* turns that nobody reaches */
    assert_false(keys_decode(bytes, len, &said));
    bytes[1] = 0;
    bytes[5] ^= 1; /* an active one that is not listed */
    assert_false(keys_decode(bytes, len, &said));
    bytes[5] ^= 1;
    assert_true(keys_decode(bytes, len, &said));
    assert_true(keys_merge(&b, &said));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_lives_its_life),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(what_is_told_arrives),
        cmocka_unit_test(both_sides_of_a_cut_may_rotate),
        cmocka_unit_test(the_retired_are_not_brought_back),
        cmocka_unit_test(what_is_retired_is_active_nowhere),
        cmocka_unit_test(what_is_quiet_is_not_told),
        cmocka_unit_test(the_file_keeps_all),
        cmocka_unit_test(a_damaged_file_is_refused),
        cmocka_unit_test(a_damaged_message_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
