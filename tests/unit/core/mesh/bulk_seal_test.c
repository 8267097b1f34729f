/* bulk_seal_test.c - both sides of a connection agree on keys; nothing forged, moved, left out or
 * of another connection is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/mesh/bulk_seal.h"

#include <string.h>

static const uint8_t secret[BULK_SECRET_BYTES] = {1, 2, 3}, answer[BULK_NONCE_BYTES] = {9};
static const struct bulk_hello hello = {.from = 11, .to = 22, .nonce = {7}};

struct ends {
    struct bulk_seal *asker, *other;
};

static int open_ends(void **state)
{
    static struct ends e;
    e.asker = bulk_seal_new(secret, &hello, answer, true);
    e.other = bulk_seal_new(secret, &hello, answer, false);
    *state = &e;
    return e.asker && e.other ? 0 : 1;
}

static int close_ends(void **state)
{
    struct ends *e = *state;
    bulk_seal_free(e->asker);
    bulk_seal_free(e->other);
    return 0;
}

static size_t put(struct bulk_seal *s, uint8_t *frame, const char *text)
{
    memcpy(frame + BULK_HEAD_BYTES, text, strlen(text));
    return bulk_seal_put(s, frame, strlen(text));
}

static void expect(struct bulk_seal *s, uint8_t *frame, size_t len, const char *text)
{
    size_t body;
    assert_int_equal(bulk_frame_bytes(frame), len);
    assert_true(bulk_seal_get(s, frame, len, &body));
    assert_int_equal(body, strlen(text));
    assert_memory_equal(frame + BULK_HEAD_BYTES, text, body);
}

static void what_is_sealed_is_opened_both_ways(void **state)
{
    struct ends *e = *state;
    static uint8_t frame[BULK_FRAME_MAX];
    size_t len = put(e->asker, frame, "");
    expect(e->other, frame, len, "");
    len = put(e->asker, frame, "many records");
    assert_null(memmem(frame, len, "records", 7));
    expect(e->other, frame, len, "many records");
    len = put(e->other, frame, "kept");
    expect(e->asker, frame, len, "kept");
}

static void the_largest_body_fits(void **state)
{
    struct ends *e = *state;
    static uint8_t frame[BULK_FRAME_MAX];
    size_t body, len;
    memset(frame, 'x', sizeof frame);
    len = bulk_seal_put(e->asker, frame, BULK_BODY_MAX);
    assert_int_equal(len, BULK_FRAME_MAX);
    assert_true(bulk_seal_get(e->other, frame, len, &body));
    assert_int_equal(body, BULK_BODY_MAX);
    assert_int_equal(frame[BULK_HEAD_BYTES + BULK_BODY_MAX - 1], 'x');
}

static void no_damaged_byte_is_taken(void **state)
{
    struct ends *e = *state;
    uint8_t frame[64];
    size_t body, len = put(e->asker, frame, "cart");
    for (size_t i = 0; i < len; i++) {
        uint8_t bad[64];
        struct bulk_seal *fresh = bulk_seal_new(secret, &hello, answer, false);
        memcpy(bad, frame, len);
        bad[i] ^= 1;
        assert_false(bulk_seal_get(fresh, bad, len, &body));
        bulk_seal_free(fresh);
    }
    assert_false(bulk_seal_get(e->other, frame, len - 1, &body));
}

static void a_frame_is_taken_in_its_place_only(void **state)
{
    struct ends *e = *state;
    uint8_t first[64], second[64], again[64];
    size_t body, len = put(e->asker, first, "one");
    assert_int_equal(put(e->asker, second, "two"), len);
    memcpy(again, first, len);
    expect(e->other, first, len, "one");
    assert_false(bulk_seal_get(e->other, again, len, &body)); /* a second time */
    struct bulk_seal *fresh = bulk_seal_new(secret, &hello, answer, false);
    assert_false(bulk_seal_get(fresh, second, len, &body)); /* the first was left out */
    bulk_seal_free(fresh);
}

static void frames_do_not_go_back_to_who_sent_them(void **state)
{
    struct ends *e = *state;
    uint8_t frame[64];
    size_t body, len = put(e->asker, frame, "mirror");
    assert_false(bulk_seal_get(e->asker, frame, len, &body));
}

static void another_secret_nonce_or_node_opens_nothing(void **state)
{
    struct ends *e = *state;
    uint8_t wrong[BULK_SECRET_BYTES] = {1, 2, 4}, nonce[BULK_NONCE_BYTES] = {8};
    struct bulk_hello other = hello, elder = hello;
    other.nonce[0]++;
    elder.to++;
    struct bulk_seal *s[] = {
        bulk_seal_new(wrong, &hello, answer, false), bulk_seal_new(secret, &hello, nonce, false),
        bulk_seal_new(secret, &other, answer, false), bulk_seal_new(secret, &elder, answer, false)};
    uint8_t frame[64], copy[64];
    size_t body, len = put(e->asker, frame, "secret");
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        memcpy(copy, frame, len);
        assert_false(bulk_seal_get(s[i], copy, len, &body));
        bulk_seal_free(s[i]);
    }
}

static void heads_that_are_too_small_or_large_are_malformed(void **state)
{
    (void)state;
    const uint8_t none[] = {0, 0, 0, 0}, small[] = {0, 0, 0, 15}, least[] = {0, 0, 0, 16};
    const uint8_t most[] = {0, 1, 0, 16}, large[] = {0, 1, 0, 17}, huge[] = {255, 255, 255, 255};
    assert_int_equal(bulk_frame_bytes(none), 0);
    assert_int_equal(bulk_frame_bytes(small), 0);
    assert_int_equal(bulk_frame_bytes(least), 20);
    assert_int_equal(bulk_frame_bytes(most), BULK_FRAME_MAX);
    assert_int_equal(bulk_frame_bytes(large), 0);
    assert_int_equal(bulk_frame_bytes(huge), 0);
}

static void a_hello_says_who_and_to_whom(void **state)
{
    (void)state;
    uint8_t bytes[BULK_HELLO_BYTES];
    struct bulk_hello h;
    bulk_hello_put(&hello, bytes);
    assert_true(bulk_hello_get(&h, bytes));
    assert_int_equal(h.from, 11);
    assert_int_equal(h.to, 22);
    assert_memory_equal(h.nonce, hello.nonce, sizeof h.nonce);
    for (size_t i = 0; i < 8; i++) {
        bytes[i] ^= 0x20;
        assert_false(bulk_hello_get(&h, bytes));
        bytes[i] ^= 0x20;
    }
    struct bulk_hello mirror = {.from = 11, .to = 11}, nobody = {.to = 11};
    bulk_hello_put(&mirror, bytes);
    assert_false(bulk_hello_get(&h, bytes));
    bulk_hello_put(&nobody, bytes);
    assert_false(bulk_hello_get(&h, bytes));
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    mem_fail_after(1);
    assert_null(bulk_seal_new(secret, &hello, answer, true));
    mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sealed_is_opened_both_ways, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(the_largest_body_fits, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(no_damaged_byte_is_taken, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(a_frame_is_taken_in_its_place_only, open_ends, close_ends),
        cmocka_unit_test_setup_teardown(frames_do_not_go_back_to_who_sent_them, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(another_secret_nonce_or_node_opens_nothing, open_ends,
                                        close_ends),
        cmocka_unit_test(heads_that_are_too_small_or_large_are_malformed),
        cmocka_unit_test(a_hello_says_who_and_to_whom),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
