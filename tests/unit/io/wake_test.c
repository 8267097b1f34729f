/* wake_test.c - no wake is lost: after the last of many from several threads the loop sees all that
 * they did before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/wake.h"
#include "stead/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>

#define SENDERS 3u
#define SENDS 20000u
#define PATIENCE_MS 20000

struct run {
    uv_loop_t loop;
    uv_timer_t guard;
    struct wake wake;
    atomic_uint done;
    unsigned calls;
    bool late;
};

static void finish(struct run *r)
{
    uv_close((uv_handle_t *)&r->guard, NULL);
    wake_close(&r->wake, NULL);
}

static void on_call(void *context)
{
    struct run *r = context;
    r->calls++;
    if (atomic_load_explicit(&r->done, memory_order_relaxed) == SENDERS * SENDS)
        uv_stop(&r->loop);
}

static void on_late(uv_timer_t *timer)
{
    struct run *r = timer->data;
    r->late = true;
    uv_stop(&r->loop);
}

static void *sender(void *context)
{
    struct run *r = context;
    for (unsigned i = 0; i < SENDS; i++) {
        atomic_fetch_add_explicit(&r->done, 1, memory_order_relaxed);
        wake_send(&r->wake);
    }
    return NULL;
}

static void no_wake_is_lost(void **state)
{
    struct run r = {.calls = 0};
    pthread_t threads[SENDERS];
    (void)state;
    assert_int_equal(uv_loop_init(&r.loop), 0);
    assert_int_equal(wake_open(&r.wake), STEAD_OK);
    wake_start(&r.wake, &r.loop, on_call, &r);
    uv_timer_init(&r.loop, &r.guard);
    r.guard.data = &r;
    uv_timer_start(&r.guard, on_late, PATIENCE_MS, 0);
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sender, &r), 0);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    finish(&r);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_false(r.late);
    assert_in_range(r.calls, 1, SENDERS * SENDS);
    assert_int_equal(uv_loop_close(&r.loop), 0);
}

static void no_descriptor_is_an_error(void **state)
{
    struct rlimit old, none;
    struct wake w;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    assert_int_equal(wake_open(&w), STEAD_E_IO);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(wake_open(&w), STEAD_OK);
    wake_abandon(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(no_descriptor_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
