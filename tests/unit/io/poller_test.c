/* poller_test.c - what is forgotten amid a batch is not called, and closing ends all calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/poller.h"
#include "stead/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS 40

struct pair {
    struct poller_item item;
    struct bench *bench;
    int other;
    unsigned calls;
    uint32_t events;
};

struct bench {
    uv_loop_t loop;
    struct poller *poller;
    struct pair *pairs[PAIRS];
    bool frees_all, closes; /* in the first call */
    bool closed;
};

static void pair_free(struct bench *b, int i)
{
    struct pair *p = b->pairs[i];
    if (!p)
        return;
    b->pairs[i] = NULL;
    poller_forget(b->poller, &p->item);
    close(p->item.fd);
    close(p->other);
    free(p);
}

static void on_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static void on_ready(struct poller_item *item, uint32_t events)
{
    struct pair *p = (struct pair *)(void *)item;
    struct bench *b = p->bench;
    char byte;
    p->calls++;
    p->events = events;
    assert_false(b->closed);
    if (b->closes) {
        b->closes = false;
        poller_close(b->poller, on_closed, b);
    } else if (b->frees_all) {
        for (int i = 0; i < PAIRS; i++)
            if (b->pairs[i] != p)
                pair_free(b, i);
    }
    (void)!recv(item->fd, &byte, 1, MSG_DONTWAIT);
}

static void open_bench(struct bench *b)
{
    memset(b, 0, sizeof *b);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(poller_open(&b->loop, &b->poller), STEAD_OK);
    for (int i = 0; i < PAIRS; i++) {
        int fd[2];
        struct pair *p = b->pairs[i] = calloc(1, sizeof *p);
        assert_non_null(p);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        p->item.fd = fd[0];
        p->item.ready = on_ready;
        p->other = fd[1];
        p->bench = b;
        assert_true(poller_watch(b->poller, &p->item, EPOLLIN));
    }
}

static void say_all(struct bench *b)
{
    for (int i = 0; i < PAIRS; i++)
        assert_int_equal(send(b->pairs[i]->other, "x", 1, MSG_NOSIGNAL), 1);
}

static void close_bench(struct bench *b, bool open)
{
    for (int i = 0; i < PAIRS; i++) {
        if (b->pairs[i] && !open)
            b->pairs[i]->item.events = 0;
        pair_free(b, i);
    }
    if (open)
        poller_close(b->poller, on_closed, b);
    while (uv_run(&b->loop, UV_RUN_DEFAULT))
        ;
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

static void each_is_called_for_what_it_watches(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    say_all(&b);
    assert_true(poller_watch(b.poller, &b.pairs[0]->item, 0));
    assert_true(poller_watch(b.poller, &b.pairs[1]->item, EPOLLOUT));
    uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.pairs[0]->calls, 0);
    assert_int_equal(b.pairs[1]->events, EPOLLOUT);
    for (int i = 2; i < PAIRS; i++) {
        assert_int_equal(b.pairs[i]->calls, 1);
        assert_int_equal(b.pairs[i]->events, EPOLLIN);
    }
    close_bench(&b, true);
}

static void the_dead_of_a_batch_are_not_called(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    say_all(&b);
    b.frees_all = true;
    uv_run(&b.loop, UV_RUN_ONCE);
    int left = 0;
    for (int i = 0; i < PAIRS; i++)
        left += b.pairs[i] != NULL;
    assert_int_equal(left, 1);
    close_bench(&b, true);
}

static void a_descriptor_may_be_given_away(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    poller_forget(b.poller, &b.pairs[3]->item);
    say_all(&b);
    uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.pairs[3]->calls, 0);
    assert_int_equal(b.pairs[4]->calls, 1);
    close_bench(&b, true);
}

static void closing_amid_a_batch_ends_all_calls(void **state)
{
    struct bench b;
    unsigned calls = 0;
    (void)state;
    open_bench(&b);
    say_all(&b);
    b.closes = true;
    uv_run(&b.loop, UV_RUN_ONCE);
    for (int i = 0; i < PAIRS; i++)
        calls += b.pairs[i]->calls;
    assert_int_equal(calls, 1);
    close_bench(&b, false);
}

static void opening_without_memory_is_told(void **state)
{
    uv_loop_t loop;
    struct poller *p;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    mem_fail_after(1);
    assert_int_equal(poller_open(&loop, &p), STEAD_E_NOMEM);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_called_for_what_it_watches),
        cmocka_unit_test(the_dead_of_a_batch_are_not_called),
        cmocka_unit_test(a_descriptor_may_be_given_away),
        cmocka_unit_test(closing_amid_a_batch_ends_all_calls),
        cmocka_unit_test(opening_without_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
