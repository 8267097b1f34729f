/* Sealing: vectors made by another implementation of the page, round trips, tampering, the replay
 * window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mesh/seal.h"
#include "stead/error.h"

#include <string.h>

static const uint8_t key[FARM_KEY_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t other_key[FARM_KEY_BYTES] = {1};

#define BODY "a body of some bytes"
#define BODY_LEN (sizeof BODY - 1)
#define FRAME_LEN (BODY_LEN + FRAME_OVERHEAD)

static void sealed(struct seal *s, uint64_t to, uint8_t frame[FRAME_LEN])
{
    size_t len = 0;
    assert_int_equal(seal_frame(s, to, (const uint8_t *)BODY, BODY_LEN, frame, &len), STEAD_OK);
    assert_int_equal(len, FRAME_LEN);
}

static void first_frame_matches_the_page(void **state)
{
    (void)state;
    static const uint8_t want[] = {
        0x01, 0x01, 0x00, 0x00, 0x8d, 0x90, 0x01, 0xd3, 0x11, 0x22, 0x33, 0x44, 0x55,
        0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x01, 0x02,
        0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x01, 0x3f, 0x96, 0x00, 0xdf, 0xca, 0x56, 0x9e, 0xc3, 0x31, 0x6e, 0x9c, 0xd6,
        0x30, 0x53, 0xc0, 0xcf, 0x2b, 0x78, 0xdf, 0xca, 0xc3, 0xa3, 0x10, 0xb6, 0x04,
        0xa1, 0x7a, 0x93, 0xe1, 0xff, 0x11, 0xa6, 0xdb, 0x0f, 0x1a, 0x82,
    };
    struct seal *s = seal_new("shop", key, 0x1122334455667788ull, 0x99aabbccddeeff00ull);
    uint8_t frame[FRAME_LEN];
    sealed(s, 0x0102030405060708ull, frame);
    assert_int_equal(sizeof want, FRAME_LEN);
    assert_memory_equal(frame, want, sizeof want);
    seal_free(s);
}

static void round_trip_and_counters(void **state)
{
    (void)state;
    struct seal *a = seal_new("shop", key, 1, 10), *b = seal_new("shop", key, 2, 20);
    for (uint64_t i = 1; i <= 300; i++) {
        uint8_t frame[FRAME_LEN], body[FRAME_LEN];
        size_t len = 0;
        struct frame_header h;
        sealed(a, 20, frame);
        assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
        assert_int_equal(len, BODY_LEN);
        assert_memory_equal(body, BODY, BODY_LEN);
        assert_true(h.node == 1 && h.inc == 10 && h.to == 20 && h.counter == i);
    }
    seal_free(a);
    seal_free(b);
}

static void every_byte_is_protected(void **state)
{
    (void)state;
    struct seal *a = seal_new("shop", key, 1, 10), *b = seal_new("shop", key, 2, 20);
    uint8_t frame[FRAME_LEN], body[FRAME_LEN];
    size_t len;
    struct frame_header h;
    sealed(a, 20, frame);
    for (size_t i = 0; i < sizeof frame; i++) {
        frame[i] ^= 0x40;
        int want = i == 0 ? STEAD_E_VERSION : STEAD_E_AUTH;
        assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), want);
        frame[i] ^= 0x40;
    }
    for (size_t cut = 1; cut < sizeof frame; cut++) {
        int want = cut < FRAME_OVERHEAD ? STEAD_E_TRUNCATED : STEAD_E_AUTH;
        assert_int_equal(seal_open(b, frame, cut, &h, body, &len), want);
    }
    assert_int_equal(seal_open(b, frame, 0, &h, body, &len), STEAD_E_TRUNCATED);
    assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
    seal_free(a);
    seal_free(b);
}

static void other_keys_and_farms_do_not_open(void **state)
{
    (void)state;
    struct seal *a = seal_new("shop", key, 1, 10);
    struct seal *wrong_key = seal_new("shop", other_key, 2, 20);
    struct seal *wrong_farm = seal_new("ship", key, 2, 20);
    uint8_t frame[FRAME_LEN], body[FRAME_LEN];
    size_t len;
    struct frame_header h;
    sealed(a, 20, frame);
    assert_int_equal(seal_open(wrong_key, frame, sizeof frame, &h, body, &len), STEAD_E_AUTH);
    assert_int_equal(seal_open(wrong_farm, frame, sizeof frame, &h, body, &len), STEAD_E_AUTH);
    seal_free(a);
    seal_free(wrong_key);
    seal_free(wrong_farm);
}

static void more_senders_than_kept_keys(void **state)
{
    (void)state;
    struct seal *b = seal_new("shop", key, 2, 20);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 1200; i++) {
            struct seal *a = seal_new("shop", key, 1000 + i, 5000 + i);
            uint8_t frame[FRAME_LEN], body[FRAME_LEN];
            size_t len;
            struct frame_header h;
            sealed(a, 20, frame);
            assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
            seal_free(a);
        }
    }
    seal_free(b);
}

static void derived_values_depend_on_what_they_should(void **state)
{
    (void)state;
    struct seal *a = seal_new("shop", key, 1, 10), *b = seal_new("shop", key, 2, 20);
    struct seal *c = seal_new("shop", other_key, 1, 10);
    uint8_t a1[32], a2[32], b1[32], c1[32];
    seal_derive(a, "placement", a1);
    seal_derive(a, "token", a2);
    seal_derive(b, "placement", b1);
    seal_derive(c, "placement", c1);
    assert_memory_equal(a1, b1, 32); /* the farm's, not the node's */
    assert_memory_not_equal(a1, a2, 32);
    assert_memory_not_equal(a1, c1, 32);
    assert_true(seal_nonce(a, "x", 1) == seal_nonce(a, "x", 1));
    assert_true(seal_nonce(a, "x", 1) != seal_nonce(a, "y", 1));
    assert_true(seal_nonce(a, "x", 1) != seal_nonce(b, "x", 1));
    seal_free(a);
    seal_free(b);
    seal_free(c);
}

static void frames_name_their_generation(void **state)
{
    (void)state;
    struct keys k, old, fresh;
    uint8_t secret[KEY_SECRET_BYTES] = {9}, frame[FRAME_LEN], body[FRAME_LEN];
    uint64_t two;
    size_t len;
    struct frame_header h;
    keys_init(&k, key);
    old = k;
    assert_int_equal(keys_add(&k, secret, false, &two), STEAD_OK);
    struct seal *a = seal_new_keys("shop", &k, 1, 10), *b = seal_new_keys("shop", &old, 2, 20);
    assert_int_equal(seal_frame_under(a, two, 20, (const uint8_t *)BODY, BODY_LEN, frame, &len), 0);
    assert_int_equal(frame[1], 2);
    assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_E_AUTH);
    assert_int_equal(seal_why(b, &h), SEAL_UNKNOWN);
    assert_int_equal(seal_set_keys(b, &k), STEAD_OK);
    assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
    assert_true(h.mark == two && h.counter == 1);
    sealed(a, 20, frame); /* under the active one, with the next counter */
    assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
    assert_true(h.mark == old.active && h.counter == 2);
    fresh = k;
    assert_int_equal(keys_activate(&fresh, two), STEAD_OK);
    assert_int_equal(keys_retire(&fresh, old.active), STEAD_OK);
    assert_int_equal(seal_set_keys(b, &fresh), STEAD_OK);
    sealed(a, 20, frame);
    assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_E_AUTH);
    assert_int_equal(seal_why(b, &h), SEAL_RETIRED);
    seal_free(a);
    seal_free(b);
}

/* Two sides of a cut both made a generation 2. */
static void two_of_one_number_are_both_tried(void **state)
{
    (void)state;
    struct keys mine, both;
    uint8_t one[KEY_SECRET_BYTES] = {9}, other[KEY_SECRET_BYTES] = {8};
    uint8_t frame[FRAME_LEN], body[FRAME_LEN];
    uint64_t of_one, of_other;
    size_t len;
    struct frame_header h;
    for (int turn = 0; turn < 2; turn++) {
        keys_init(&mine, key);
        assert_int_equal(keys_add(&mine, turn ? one : other, false, &of_one), STEAD_OK);
        both = mine;
        assert_int_equal(keys_add(&both, turn ? other : one, false, &of_other), STEAD_OK);
        both.list[2].number = 2;
        struct seal *a = seal_new_keys("shop", &mine, 1, 10);
        struct seal *b = seal_new_keys("shop", &both, 2, 20);
        assert_int_equal(
            seal_frame_under(a, of_one, 20, (const uint8_t *)BODY, BODY_LEN, frame, &len), 0);
        assert_int_equal(seal_open(b, frame, sizeof frame, &h, body, &len), STEAD_OK);
        assert_true(h.mark == of_one);
        assert_int_equal(
            seal_frame_under(b, of_other, 10, (const uint8_t *)BODY, BODY_LEN, frame, &len), 0);
        assert_int_equal(seal_open(a, frame, sizeof frame, &h, body, &len), STEAD_E_AUTH);
        assert_int_equal(seal_why(a, &h), SEAL_OTHER_KEY);
        seal_free(a);
        seal_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_frame_matches_the_page),
        cmocka_unit_test(round_trip_and_counters),
        cmocka_unit_test(every_byte_is_protected),
        cmocka_unit_test(other_keys_and_farms_do_not_open),
        cmocka_unit_test(more_senders_than_kept_keys),
        cmocka_unit_test(derived_values_depend_on_what_they_should),
        cmocka_unit_test(frames_name_their_generation),
        cmocka_unit_test(two_of_one_number_are_both_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
