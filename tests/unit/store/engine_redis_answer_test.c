/* Answers within bounds: cut anywhere, too large, too deep, and without memory. */
#include "store/engine_redis_answer.h"

#include "base/mem.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char tree[] = "*5\r\n$3\r\na\nb\r\n:-7\r\n$-1\r\n*2\r\n+OK\r\n-ERR no\r\n*0\r\n";

static void check_tree(const struct redis_answer *a)
{
    assert_int_equal(a->type, REDIS_LIST);
    assert_int_equal(a->count, 5);
    assert_true(redis_answer_is(a->items[0], REDIS_TEXT, "a\nb"));
    assert_int_equal(a->items[1]->number, -7);
    assert_int_equal(a->items[2]->type, REDIS_NIL);
    assert_true(redis_answer_is(a->items[3]->items[0], REDIS_STATUS, "OK"));
    assert_true(redis_answer_begins(a->items[3]->items[1], "ERR"));
    assert_false(redis_answer_begins(a->items[3]->items[1], "ER"));
    assert_int_equal(a->items[4]->count, 0);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(tree) - 1; cut++) {
        struct redis_answers *in = redis_answers_new();
        struct redis_answer *a;
        assert_int_equal(redis_answers_feed(in, tree, cut), STEAD_OK);
        assert_int_equal(redis_answers_next(in, &a), STEAD_PENDING);
        assert_null(a);
        assert_int_equal(redis_answers_feed(in, tree + cut, sizeof(tree) - 1 - cut), STEAD_OK);
        assert_int_equal(redis_answers_next(in, &a), STEAD_OK);
        check_tree(a);
        redis_answer_free(a);
        assert_int_equal(redis_answers_next(in, &a), STEAD_PENDING);
        redis_answers_free(in);
    }
}

static int read_text(const char *text)
{
    struct redis_answers *in = redis_answers_new();
    struct redis_answer *a = NULL;
    int err = redis_answers_feed(in, text, strlen(text));
    if (!err)
        err = redis_answers_next(in, &a);
    redis_answer_free(a);
    redis_answers_free(in);
    return err;
}

static void test_what_is_none(void **state)
{
    (void)state;
    assert_int_equal(read_text("HTTP/1.1 200 OK\r\n"), STEAD_E_PARSE);
    assert_int_equal(read_text("$x\r\n"), STEAD_E_PARSE);
    assert_int_equal(read_text("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
                     STEAD_E_PARSE);
    assert_int_equal(read_text("*1\r\n@\r\n"), STEAD_E_PARSE);
    assert_true(read_text("*2000000000\r\n") < 0);
    assert_int_equal(read_text("*65537\r\n"), STEAD_E_TOO_LARGE);
    assert_int_equal(read_text("*2\r\n*65000\r\n"), STEAD_PENDING);
}

/* What is announced is counted, however little of it has come. */
static void test_lists_of_lists(void **state)
{
    char text[512] = "*20\r\n";
    (void)state;
    for (int i = 0; i < 2; i++)
        strcat(text, "*1\r\n*1\r\n:1\r\n");
    assert_int_equal(read_text(text), STEAD_PENDING);
    strcat(text, "*65520\r\n");
    assert_int_equal(read_text(text), STEAD_E_TOO_LARGE);
}

static void test_too_many_bytes(void **state)
{
    static char block[65536];
    struct redis_answers *in = redis_answers_new();
    struct redis_answer *a;
    int err = STEAD_OK;
    size_t fed = 0;
    (void)state;
    memset(block, 'x', sizeof(block));
    assert_int_equal(redis_answers_feed(in, "$500000000\r\n", 12), STEAD_OK);
    while (!err && fed < 64u << 20) {
        assert_int_equal(redis_answers_next(in, &a), STEAD_PENDING);
        err = redis_answers_feed(in, block, sizeof(block));
        fed += sizeof(block);
    }
    assert_int_equal(err, STEAD_E_TOO_LARGE);
    assert_true(fed <= REDIS_ANSWER_BYTES_MAX + 2 * sizeof(block));
    redis_answers_free(in);
}

/* Many texts, each of them small enough. */
static void test_too_many_bytes_in_a_list(void **state)
{
    static char block[100000 + 32];
    struct redis_answers *in = redis_answers_new();
    struct redis_answer *a = NULL;
    int err = STEAD_PENDING;
    (void)state;
    int head = snprintf(block, sizeof(block), "$100000\r\n");
    memset(block + head, 'x', 100000);
    memcpy(block + head + 100000, "\r\n", 2);
    assert_int_equal(redis_answers_feed(in, "*1000\r\n", 7), STEAD_OK);
    for (int i = 0; i < 1000 && err == STEAD_PENDING; i++) {
        assert_int_equal(redis_answers_feed(in, block, (size_t)head + 100002), STEAD_OK);
        err = redis_answers_next(in, &a);
    }
    assert_int_equal(err, STEAD_E_TOO_LARGE);
    redis_answers_free(in);
}

static void test_without_memory(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (unsigned n = 1;; n++) {
        mem_fail_after(n);
        struct redis_answers *in = redis_answers_new();
        struct redis_answer *a = NULL;
        int err = STEAD_E_NOMEM;
        if (in) {
            assert_int_equal(redis_answers_feed(in, tree, sizeof(tree) - 1), STEAD_OK);
            err = redis_answers_next(in, &a);
        }
        mem_fail_after(0);
        redis_answer_free(a);
        redis_answers_free(in);
        if (err == STEAD_OK)
            break;
        assert_int_equal(err, STEAD_E_NOMEM);
        failed++;
    }
    assert_true(failed >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_lists_of_lists),
        cmocka_unit_test(test_too_many_bytes),
        cmocka_unit_test(test_too_many_bytes_in_a_list),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
