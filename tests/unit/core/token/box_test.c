/* box_test.c - a box opens in its place, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/token/box.h"

#include <string.h>

static const uint8_t key[TOKEN_KEY_BYTES] = {1}, other[TOKEN_KEY_BYTES] = {2};
static const uint8_t salt[TOKEN_SALT_BYTES] = {9, 8, 7};

static void test_it_opens_in_its_place(void **state)
{
    (void)state;
    uint8_t box[64 + BOX_OVERHEAD], clear[64];
    assert_true(box_seal(key, "here", 4, salt, "secret", 6, box));
    assert_null(memmem(box, sizeof box, "secret", 6));
    assert_true(box_is(box, 6 + BOX_OVERHEAD));
    assert_true(box_open(key, "here", 4, box, 6 + BOX_OVERHEAD, clear));
    assert_memory_equal(clear, "secret", 6);
    assert_false(box_open(key, "her", 3, box, 6 + BOX_OVERHEAD, clear));
    assert_false(box_open(other, "here", 4, box, 6 + BOX_OVERHEAD, clear));
    assert_true(box_seal(key, "", 0, salt, "", 0, box));
    assert_true(box_open(key, "", 0, box, BOX_OVERHEAD, clear));
}

static void test_every_byte_of_it_counts(void **state)
{
    (void)state;
    uint8_t box[6 + BOX_OVERHEAD], clear[6];
    for (size_t i = 0; i < sizeof box; i++) {
        assert_true(box_seal(key, "here", 4, salt, "secret", 6, box));
        box[i] ^= 1;
        assert_false(box_open(key, "here", 4, box, sizeof box, clear));
    }
    assert_true(box_seal(key, "here", 4, salt, "secret", 6, box));
    for (size_t len = 0; len < sizeof box; len++)
        assert_false(box_open(key, "here", 4, box, len, clear));
}

static void test_a_place_too_long(void **state)
{
    (void)state;
    static const uint8_t place[BOX_PLACE_MAX + 1];
    uint8_t box[BOX_OVERHEAD];
    assert_true(box_seal(key, place, BOX_PLACE_MAX, salt, "", 0, box));
    assert_false(box_seal(key, place, BOX_PLACE_MAX + 1, salt, "", 0, box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_opens_in_its_place),
        cmocka_unit_test(test_every_byte_of_it_counts),
        cmocka_unit_test(test_a_place_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
