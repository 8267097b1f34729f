/* msg_test.c - messages wait in lists in order and are freed with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/msg.h"
#include "stead/error.h"

#include <string.h>

static void messages_keep_their_order(void **state)
{
    (void)state;
    struct list a, b;
    list_init(&a);
    list_init(&b);
    for (uint64_t i = 0; i < 4; i++) {
        struct msg *m = msg_new(i, 3);
        assert_non_null(m);
        assert_int_equal(m->len, 3);
        assert_int_equal(m->bytes[2], 0);
        list_append(i < 2 ? &a : &b, &m->link);
    }
    struct msg *urgent = msg_new(99, 0);
    list_prepend(&a, &urgent->link);
    list_splice(&a, &b);
    assert_true(list_empty(&b));
    list_splice(&a, &b);
    static const uint64_t order[] = {99, 0, 1};
    for (unsigned i = 0; i < 3; i++) {
        struct msg *m = list_entry(list_pop(&a), struct msg, link);
        assert_int_equal(m->peer, order[i]);
        assert_false(list_linked(&m->link));
        msg_free(m);
    }
    msg_list_free(&a); /* two are left */
    assert_true(list_empty(&a));
    assert_null(list_pop(&a));
    msg_free(NULL);
}

static void no_memory_gives_null(void **state)
{
    (void)state;
    assert_null(msg_new(1, SIZE_MAX));
    mem_fail_after(1);
    assert_null(msg_new(1, 10));
    mem_fail_after(0);
}

static void several_get_the_same_but_their_own(void **state)
{
    (void)state;
    uint8_t own[MSG_OWN_BYTES];
    struct msg *m = msg_new(7, 40);
    memset(m->bytes, 1, 40);
    m->own_at = 20;
    for (uint8_t i = 0; i < MSG_ALSO_MAX; i++) {
        memset(own, 100 + i, sizeof own);
        if (i == 0) {
            mem_fail_after(1);
            assert_int_equal(msg_add(m, i, own), STEAD_E_NOMEM);
            assert_int_equal(m->also_count, 0);
        }
        assert_int_equal(msg_add(m, i, own), STEAD_OK);
    }
    assert_int_equal(msg_add(m, 99, own), STEAD_E_FULL);
    assert_int_equal(m->also_count, MSG_ALSO_MAX);
    struct msg *one = msg_of(m, 3);
    assert_non_null(one);
    assert_int_equal(one->peer, 3);
    assert_int_equal(one->len, 40);
    assert_int_equal(one->also_count, 0);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(one->bytes[i], i >= 20 && i < 20 + MSG_OWN_BYTES ? 103 : 1);
    msg_free(one);
    mem_fail_after(1);
    assert_null(msg_of(m, 0));
    msg_free(m);
}

static void bundle_two(struct msg *m)
{
    static const uint8_t two[] = {0, 0, 0, 1, 'a', 0, 0, 0, 2, 'b', 'c'};
    assert_non_null(m);
    assert_int_equal(msg_count(m), 1);
    memcpy(m->bytes, two, sizeof two);
    m->len = sizeof two;
    m->bundled = 2;
    assert_int_equal(msg_count(m), 2);
}

static void a_bundle_comes_apart_in_order(void **state)
{
    (void)state;
    struct list out;
    list_init(&out);
    struct msg *m = msg_bundle(5, 64);
    bundle_two(m);
    assert_true(msg_unbundle(m, &out));
    for (size_t i = 1; i <= 2; i++) {
        struct msg *one = list_entry(list_pop(&out), struct msg, link);
        assert_int_equal(one->peer, 5);
        assert_int_equal(one->len, i);
        assert_int_equal(one->bytes[0], i == 1 ? 'a' : 'b');
        assert_int_equal(one->bundled, 0);
        assert_true(one->bulk);
        msg_free(one);
    }
    assert_true(list_empty(&out));
}

static void a_bundle_without_memory_says_what_is_missing(void **state)
{
    (void)state;
    struct list out;
    list_init(&out);
    mem_fail_after(1);
    assert_null(msg_bundle(5, 64));
    mem_fail_after(0);
    struct msg *m = msg_bundle(5, 64);
    bundle_two(m);
    mem_fail_after(1);
    assert_false(msg_unbundle(m, &out));
    mem_fail_after(0);
    struct msg *one = list_entry(list_pop(&out), struct msg, link);
    assert_int_equal(one->len, 2);
    msg_free(one);
    assert_true(list_empty(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_order),
        cmocka_unit_test(no_memory_gives_null),
        cmocka_unit_test(several_get_the_same_but_their_own),
        cmocka_unit_test(a_bundle_comes_apart_in_order),
        cmocka_unit_test(a_bundle_without_memory_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
