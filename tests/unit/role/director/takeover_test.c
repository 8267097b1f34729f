/* takeover_test.c - when an address is taken, told, and given back: the steps. */
#include "role/director/takeover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct takeover_state state;
static struct takeover_seen seen;

static int set_up(void **s)
{
    (void)s;
    state = (struct takeover_state){0};
    seen = (struct takeover_seen){.failback = FAILBACK_SESSION_END};
    return 0;
}

static unsigned step(void)
{
    return takeover_step(&state, &seen);
}

static void take(void)
{
    for (int i = 0; i < TAKEOVER_ASKS; i++)
        assert_int_equal(step(), TAKEOVER_ASK);
    assert_int_equal(step(), TAKEOVER_TAKE | TAKEOVER_TELL);
    assert_true(state.held);
}

static void test_a_host_that_answers_is_not_gone(void **s)
{
    (void)s;
    for (int i = 0; i < 50; i++) {
        seen.healthy = true;
        assert_int_equal(step(), 0);
    }
    seen.healthy = false; /* its server fails, the host is there */
    for (int i = 0; i < 50; i++) {
        seen.heard = i % TAKEOVER_ASKS == 0;
        assert_int_equal(step(), TAKEOVER_ASK);
    }
}

static void test_taken_and_told(void **s)
{
    (void)s;
    take();
    unsigned told = 1, asked = 0;
    for (int i = 0; i < 10 * TAKEOVER_PACE; i++) {
        unsigned todo = step();
        told += (todo & TAKEOVER_TELL) != 0;
        asked += (todo & TAKEOVER_ASK) != 0;
        assert_false(todo & (TAKEOVER_TAKE | TAKEOVER_RELEASE));
    }
    assert_int_equal(told, TAKEOVER_TELLS);
    assert_int_equal(asked, 10);
}

static void test_back_when_sessions_end(void **s)
{
    (void)s;
    take();
    seen.guests = true;
    seen.heard = true;
    assert_false(step() & TAKEOVER_RELEASE);
    seen.heard = false;
    unsigned told = 0;
    for (int i = 0; i < 10 * TAKEOVER_PACE; i++) {
        unsigned todo = step();
        told += (todo & TAKEOVER_TELL) != 0;
        assert_false(todo & TAKEOVER_RELEASE);
    }
    assert_true(told >= 10); /* two have it now: the last word is ours */
    seen.guests = false;
    assert_int_equal(step(), TAKEOVER_RELEASE);
    assert_false(state.held);
    seen.heard = true; /* it may take a while until its server is well */
    for (int i = 0; i < 10; i++)
        assert_int_equal(step(), TAKEOVER_ASK);
}

static void test_at_once_and_never(void **s)
{
    (void)s;
    seen.failback = FAILBACK_AT_ONCE;
    take();
    seen.guests = seen.heard = true;
    assert_int_equal(step(), TAKEOVER_RELEASE);
    state = (struct takeover_state){0};
    seen = (struct takeover_seen){.failback = FAILBACK_NEVER};
    take();
    seen.heard = true;
    for (int i = 0; i < 50; i++)
        assert_false(step() & TAKEOVER_RELEASE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_a_host_that_answers_is_not_gone), TEST(test_taken_and_told),
        TEST(test_back_when_sessions_end), TEST(test_at_once_and_never)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
