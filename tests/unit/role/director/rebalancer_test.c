/* rebalancer_test.c - how what a node gives is divided among its workers, and that a closed one
 * asks nobody. The asking itself is tests/farm/rolling's. */
#include "role/director/rebalancer.h"

#include "base/rng.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t all_parts(const struct rebalancer_shared *s, uint32_t count)
{
    uint32_t sum = 0;
    for (unsigned w = 0; w < REBALANCER_WORKERS_MAX; w++)
        sum += rebalancer_part(s, 3, w, count);
    return sum;
}

static void parts_add_up(void **state)
{
    static struct rebalancer_shared s;
    struct rng rng;
    (void)state;
    rng_init(&rng, 1);
    assert_int_equal(all_parts(&s, 100), 0); /* nobody to ask */
    s.clients[3][1] = 7;
    assert_int_equal(rebalancer_part(&s, 3, 1, 100), 100);
    assert_int_equal(rebalancer_part(&s, 3, 0, 100), 0);
    assert_int_equal(rebalancer_part(&s, 2, 1, 100), 0); /* another service */
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t clients = 0;
        for (unsigned w = 0; w < REBALANCER_WORKERS_MAX; w++)
            clients += s.clients[3][w] = rng_below(&rng, 1000);
        uint32_t count = (uint32_t)rng_below(&rng, 5000);
        assert_int_equal(all_parts(&s, count), count);
        for (unsigned w = 0; w < REBALANCER_WORKERS_MAX; w++) {
            uint64_t exact = count * s.clients[3][w] / clients;
            assert_in_range(rebalancer_part(&s, 3, w, count), exact, exact + 1);
        }
    }
}

static void the_largest_counts_are_divided(void **state)
{
    static struct rebalancer_shared s;
    (void)state;
    for (unsigned w = 0; w < REBALANCER_WORKERS_MAX; w++)
        s.clients[3][w] = 10000000;
    assert_int_equal(all_parts(&s, UINT32_MAX), UINT32_MAX);
}

static void count_closed(void *context)
{
    ++*(int *)context;
}

static void it_closes_before_it_ever_stepped(void **state)
{
    static struct rebalancer_shared s;
    uv_loop_t loop;
    struct rebalancer *r;
    int closed = 0;
    (void)state;
    uv_loop_init(&loop);
    struct rebalancer_config c = {.loop = &loop, .self_name = "s1", .shared = &s};
    assert_int_equal(rebalancer_open(&c, &r), STEAD_OK);
    rebalancer_close(r, count_closed, &closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(the_largest_counts_are_divided),
        cmocka_unit_test(it_closes_before_it_ever_stepped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
