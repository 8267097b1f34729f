/* Boxes under keys that change: what was sealed opens while its key is there, also in the midst of
 * a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/token/box_ring.h"

#include <pthread.h>
#include <string.h>

static const uint8_t salt[TOKEN_SALT_BYTES] = {5};
static const uint8_t keys[3][TOKEN_KEY_BYTES] = {{1}, {2}, {3}};

static void any_key_opens_and_the_first_seals(void **state)
{
    (void)state;
    struct box_ring r = {0};
    uint8_t box[6 + BOX_OVERHEAD], clear[6];
    assert_false(box_ring_seal(&r, "here", 4, salt, "secret", 6, box));
    box_ring_set(&r, keys, 1);
    assert_true(box_ring_seal(&r, "here", 4, salt, "secret", 6, box));
    const uint8_t turned[2][TOKEN_KEY_BYTES] = {{2}, {1}};
    box_ring_set(&r, turned, 2);
    assert_true(box_ring_open(&r, "here", 4, box, sizeof box, clear));
    assert_memory_equal(clear, "secret", 6);
    assert_true(r.used[1] == 1 && r.used[0] == 0);
    assert_false(box_ring_open(&r, "there", 5, box, sizeof box, clear));
    assert_true(box_ring_seal(&r, "here", 4, salt, "secret", 6, box));
    box_ring_set(&r, turned, 1);
    assert_true(box_ring_open(&r, "here", 4, box, sizeof box, clear));
    box_ring_set(&r, keys, 1);
    assert_false(box_ring_open(&r, "here", 4, box, sizeof box, clear));
}

static atomic_bool over;

static void *turn(void *ring)
{
    static const uint8_t a[3][TOKEN_KEY_BYTES] = {{1}, {2}, {3}};
    static const uint8_t b[3][TOKEN_KEY_BYTES] = {{3}, {1}, {2}};
    for (int i = 0; i < 20000; i++)
        box_ring_set(ring, i % 2 ? a : b, 3);
    over = true;
    return NULL;
}

static void a_change_is_seen_whole(void **state)
{
    (void)state;
    static struct box_ring r;
    uint8_t box[6 + BOX_OVERHEAD], clear[6], copy[BOX_RING_MAX][TOKEN_KEY_BYTES];
    pthread_t thread;
    over = false;
    box_ring_set(&r, keys, 3);
    assert_true(box_ring_seal(&r, "here", 4, salt, "secret", 6, box));
    assert_int_equal(pthread_create(&thread, NULL, turn, &r), 0);
    do {
        assert_int_equal(box_ring_get(&r, copy), 3);
        assert_int_equal(copy[0][0] + copy[1][0] + copy[2][0], 6);
        assert_true(copy[1][0] == copy[0][0] % 3 + 1);
        assert_true(box_ring_open(&r, "here", 4, box, sizeof box, clear));
    } while (!over);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_key_opens_and_the_first_seals),
        cmocka_unit_test(a_change_is_seen_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
