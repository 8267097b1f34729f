/* wheel_test.c - the timing wheel against plain comparison of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "core/session/wheel.h"

#include <string.h>

#define TIMERS 400
#define HOUR (3600 * NS_PER_S)

struct fixture {
    struct wheel wheel;
    struct timer timers[TIMERS];
    uint64_t expected[TIMERS]; /* when each is to expire */
};

static void set_up(struct fixture *f, uint64_t now_ns)
{
    memset(f, 0, sizeof *f);
    wheel_init(&f->wheel, now_ns);
    for (unsigned i = 0; i < TIMERS; i++)
        f->timers[i].at_ns = f->expected[i] = TIME_NEVER;
}

static uint64_t first_expected(const struct fixture *f)
{
    uint64_t first = TIME_NEVER;
    for (unsigned i = 0; i < TIMERS; i++)
        if (f->expected[i] < first)
            first = f->expected[i];
    return first;
}

/* Takes all that is due and checks that it is exactly what should be. */
static unsigned drain(struct fixture *f, uint64_t now_ns)
{
    unsigned count = 0;
    struct timer *timer;
    while ((timer = wheel_expired(&f->wheel, now_ns))) {
        unsigned i = (unsigned)(timer - f->timers);
        assert_true(f->expected[i] <= now_ns);
        assert_true(timer->at_ns == TIME_NEVER);
        assert_false(list_linked(&timer->link));
        f->expected[i] = TIME_NEVER;
        count++;
    }
    uint64_t first = first_expected(f);
    assert_true(first > now_ns);
    assert_true(wheel_next(&f->wheel) <= first);
    assert_true(first != TIME_NEVER || wheel_next(&f->wheel) == TIME_NEVER);
    return count;
}

/* From a few ns to beyond the wheel's span, evenly by magnitude. */
static uint64_t random_span(struct rng *rng)
{
    uint64_t limit = 1ull << rng_below(rng, 49);
    return rng_below(rng, limit);
}

static void expiry_is_exact(void **state)
{
    (void)state;
    static struct fixture f;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        uint64_t now = rng_u64(&rng) >> 8;
        set_up(&f, now);
        for (unsigned step = 0; step < 1500; step++) {
            unsigned i = (unsigned)rng_below(&rng, TIMERS);
            uint64_t dice = rng_below(&rng, 10);
            if (dice < 6) {
                f.expected[i] = now + random_span(&rng);
                wheel_set(&f.wheel, &f.timers[i], f.expected[i]);
            } else if (dice == 6) {
                f.expected[i] = TIME_NEVER;
                wheel_cancel(&f.wheel, &f.timers[i]);
            } else if (dice == 7) { /* already over */
                f.expected[i] = now - rng_below(&rng, HOUR);
                wheel_set(&f.wheel, &f.timers[i], f.expected[i]);
                assert_true(wheel_next(&f.wheel) <= f.expected[i]);
            } else {
                now += random_span(&rng);
                drain(&f, now);
            }
        }
    }
}

static void sleeping_until_next_finds_each_in_few_steps(void **state)
{
    (void)state;
    static struct fixture f;
    uint64_t now = 123456789;
    set_up(&f, now);
    struct rng rng;
    rng_init(&rng, 77);
    for (unsigned i = 0; i < TIMERS; i++) {
        f.expected[i] = now + rng_below(&rng, 100 * HOUR);
        wheel_set(&f.wheel, &f.timers[i], f.expected[i]);
    }
    unsigned found = 0, steps = 0;
    while (wheel_next(&f.wheel) != TIME_NEVER) {
        uint64_t next = wheel_next(&f.wheel);
        assert_true(next > now); /* no spinning */
        now = next;
        found += drain(&f, now);
        steps++;
    }
    assert_int_equal(found, TIMERS);
    assert_true(steps <= 6 * TIMERS);
}

static void a_timer_is_not_early_within_a_tick(void **state)
{
    (void)state;
    static struct fixture f;
    set_up(&f, 1000);
    f.expected[0] = 5000;
    f.expected[1] = 6000;
    wheel_set(&f.wheel, &f.timers[1], 6000);
    wheel_set(&f.wheel, &f.timers[0], 5000);
    assert_true(wheel_next(&f.wheel) == 5000);
    assert_int_equal(drain(&f, 4999), 0);
    assert_int_equal(drain(&f, 5000), 1);
    assert_true(wheel_next(&f.wheel) == 6000);
    wheel_set(&f.wheel, &f.timers[1], TIME_NEVER);
    f.expected[1] = TIME_NEVER;
    assert_int_equal(drain(&f, HOUR), 0);
    f.expected[2] = 10; /* a clock that was read before does no harm */
    wheel_set(&f.wheel, &f.timers[2], 10);
    assert_int_equal(drain(&f, 20), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expiry_is_exact),
        cmocka_unit_test(sleeping_until_next_finds_each_in_few_steps),
        cmocka_unit_test(a_timer_is_not_early_within_a_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
