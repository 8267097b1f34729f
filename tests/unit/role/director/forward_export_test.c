/* forward_export_test.c - a tunnel goes on at another forwarder, as in another process: its ends,
 * in the test's hands, get every byte once and in order. */
#include "role/director/forward.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 8000

struct rig {
    uv_loop_t loop;
    struct forward_counters counters[2];
    struct forwarder *forwarder[2];
    int client, backend; /* the test's ends */
    int inner[2];        /* the others, when the tunnel began */
    int ended[2];
    struct forward_result result[2];
    int closed;
    int refuse_after; /* this many are taken; -1: all */
    int taken;
    int error; /* of the import */
    struct forward_share shared;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

#define SPIN_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        uint64_t give_up_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition)) {                                                                     \
            assert_true(now_ms() < give_up_);                                                      \
            uv_run(&(r)->loop, UV_RUN_NOWAIT);                                                     \
            usleep(100);                                                                           \
        }                                                                                          \
    } while (0)

static void on_ended(void *context, const struct forward_result *result)
{
    struct rig *r = context;
    r->ended[0]++;
    r->result[0] = *result;
}

static void on_ended_there(void *context, const struct forward_result *result)
{
    struct rig *r = context;
    r->ended[1]++;
    r->result[1] = *result;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed++;
}

/* Two connected sockets of TCP: a tunnel's side, and the end of whoever is there. */
static void connect_pair(int *inside, int *outside)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    *outside = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(*outside, (struct sockaddr *)&sa, len), 0);
    *inside = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*inside >= 0);
    close(listener);
}

static void join(struct rig *r, char *up)
{
    connect_pair(&r->inner[0], &r->client);
    connect_pair(&r->inner[1], &r->backend);
    struct forward_join j = {.client = {.fd = r->inner[0]},
                             .server = {.fd = r->inner[1]},
                             .up = up,
                             .up_len = up ? strlen(up) : 0,
                             .ended = on_ended,
                             .context = r};
    assert_int_equal(forward_join(r->forwarder[0], &j), STEAD_OK);
}

static void rig_open(struct rig *r, uint32_t idle_ms)
{
    memset(r, 0, sizeof(*r));
    r->refuse_after = -1;
    assert_int_equal(uv_loop_init(&r->loop), 0);
    for (int i = 0; i < 2; i++) {
        struct forwarder_config c = {.loop = &r->loop, .counters = &r->counters[i]};
        forward_limits_default(&c.limits);
        c.limits.idle_ms = idle_ms;
        assert_int_equal(forwarder_open(&c, &r->forwarder[i]), STEAD_OK);
    }
}

static void rig_close(struct rig *r)
{
    for (int i = 0; i < 2; i++)
        forwarder_close(r->forwarder[i], on_closed, r);
    SPIN_UNTIL(r, r->closed == 2);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_int_equal(r->counters[0].open + r->counters[1].open, 0);
    close(r->client);
    close(r->backend);
}

static char *copy_of(const struct forward_half *h)
{
    return h->len ? mem_dup(h->pending, h->len) : NULL;
}

/* As SCM_RIGHTS does: the other has descriptors of its own to the same sockets. */
static bool give(void *context, const struct forward_share *s, void *of)
{
    struct rig *r = context;
    assert_ptr_equal(of, r);
    if (r->taken == r->refuse_after)
        return false;
    struct forward_share there = *s;
    r->shared = *s;
    there.client = dup(s->client);
    there.server = dup(s->server);
    there.up.pending = copy_of(&s->up);
    there.down.pending = copy_of(&s->down);
    r->error = forwarder_import(r->forwarder[1], &there, on_ended_there, r);
    if (r->error) {
        close(there.client);
        close(there.server);
        mem_free(there.up.pending);
        mem_free(there.down.pending);
        return false;
    }
    r->taken++;
    return true;
}

static void pass(struct rig *r)
{
    forwarder_export(r->forwarder[0], 100, give, r);
    assert_int_equal(r->ended[0], 1);
    assert_int_equal(r->result[0].end, FORWARD_PASSED);
    assert_int_equal(r->result[0].client.fd, -1);
    assert_int_equal(r->ended[1], 0);
    assert_int_equal(forwarder_tunnels(r->forwarder[0]), 0);
    assert_int_equal(forwarder_tunnels(r->forwarder[1]), 1);
    assert_int_equal(r->counters[0].passed, 1);
}

static void expect(struct rig *r, int fd, const char *text)
{
    char buf[64];
    size_t got = 0, want = strlen(text);
    while (got < want) {
        ssize_t n = -1;
        SPIN_UNTIL(r, (n = recv(fd, buf + got, want - got, MSG_DONTWAIT)) >= 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(buf, text, want);
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool is_end(struct rig *r, int fd)
{
    char byte;
    ssize_t n = -1;
    SPIN_UNTIL(r, (n = recv(fd, &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
    return n == 0;
}

static void test_it_goes_on(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 60000);
    join(&r, NULL);
    put(r.client, "before");
    expect(&r, r.backend, "before");
    put(r.client, "unread"); /* what the kernel has is the other's */
    pass(&r);
    expect(&r, r.backend, "unread");
    put(r.backend, "answer");
    expect(&r, r.client, "answer");
    shutdown(r.client, SHUT_WR);
    assert_true(is_end(&r, r.backend));
    shutdown(r.backend, SHUT_WR);
    assert_true(is_end(&r, r.client));
    SPIN_UNTIL(&r, r.ended[1]);
    assert_int_equal(r.result[1].end, FORWARD_CLOSED);
    assert_int_equal(r.result[1].up, 12);
    assert_int_equal(r.counters[0].up_bytes, 6); /* no byte is counted twice */
    assert_int_equal(r.counters[1].up_bytes, 6);
    rig_close(&r);
}

static void test_what_was_read_and_not_passed_on(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 60000);
    join(&r, mem_strdup("first of all"));
    pass(&r); /* nothing of it was sent yet */
    assert_int_equal(r.shared.up.len, 12);
    assert_int_equal(r.shared.down.len, 0);
    expect(&r, r.backend, "first of all");
    rig_close(&r);
}

static void test_half_closed(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 60000);
    join(&r, NULL);
    put(r.client, "request");
    shutdown(r.client, SHUT_WR);
    expect(&r, r.backend, "request");
    assert_true(is_end(&r, r.backend));
    pass(&r);
    assert_true(r.shared.up.eof && r.shared.up.shut && !r.shared.down.eof);
    put(r.backend, "answer");
    shutdown(r.backend, SHUT_WR);
    expect(&r, r.client, "answer");
    assert_true(is_end(&r, r.client));
    SPIN_UNTIL(&r, r.ended[1]);
    assert_int_equal(r.result[1].end, FORWARD_CLOSED);
    rig_close(&r);
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

/* A client that does not read: pipes and buffers are full when it passes. */
static void test_a_flood_in_the_middle(void **state)
{
    static uint8_t block[16384];
    struct rig r;
    size_t sent = 0, got = 0, stuck = 0;
    (void)state;
    rig_open(&r, 60000);
    join(&r, NULL);
    while (stuck < 50) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = byte_at(sent + i);
        ssize_t n = send(r.backend, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
        stuck = n > 0 ? 0 : stuck + 1;
        sent += n > 0 ? (size_t)n : 0;
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    pass(&r);
    assert_true(r.shared.down.len > 0);
    shutdown(r.backend, SHUT_WR);
    uint64_t give_up = now_ms() + PATIENCE_MS;
    while (got < sent) {
        ssize_t n = recv(r.client, block, sizeof block, MSG_DONTWAIT);
        assert_true(n != 0 && now_ms() < give_up);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(block[i], byte_at(got + (size_t)i));
        got += n > 0 ? (size_t)n : 0;
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    assert_true(is_end(&r, r.client));
    rig_close(&r);
}

/* Nothing changes for a tunnel that the other has no room for. */
static void test_who_is_not_taken_stays(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 60000);
    join(&r, NULL);
    r.refuse_after = 0;
    forwarder_export(r.forwarder[0], 100, give, &r);
    r.refuse_after = -1;
    mem_fail_after(1);
    forwarder_export(r.forwarder[0], 100, give, &r);
    mem_fail_after(0);
    assert_int_equal(r.error, STEAD_E_NOMEM);
    forwarder_export(r.forwarder[0], 0, give, &r);
    assert_int_equal(r.ended[0], 0);
    put(r.client, "here");
    expect(&r, r.backend, "here");
    pass(&r);
    put(r.client, "there");
    expect(&r, r.backend, "there");
    rig_close(&r);
}

/* The rest of an answer goes to a client, whose next request is not for the server. */
static void answer(struct rig *r, uint64_t left)
{
    struct forward_share s = {.up = {.eof = true, .shut = true},
                              .down = {.shut = true, .bounded = true, .left = left}};
    rig_open(r, 60000);
    connect_pair(&s.client, &r->client);
    connect_pair(&s.server, &r->backend);
    s.down.pending = mem_strdup("begun ");
    s.down.len = 6;
    assert_int_equal(forwarder_import(r->forwarder[1], &s, on_ended_there, r), STEAD_OK);
    put(r->client, "next");
}

static void test_the_rest_of_an_answer(void **state)
{
    struct rig r;
    char bytes[8];
    (void)state;
    answer(&r, 5);
    put(r.backend, "whole, and what nobody asked for");
    expect(&r, r.client, "begun whole");
    SPIN_UNTIL(&r, r.ended[1]);
    assert_int_equal(r.result[1].end, FORWARD_ANSWERED);
    assert_true(r.result[1].client.fd >= 0);
    assert_int_equal(recv(r.result[1].client.fd, bytes, sizeof bytes, 0), 4);
    assert_int_equal(recv(r.client, bytes, sizeof bytes, MSG_DONTWAIT), -1); /* nothing more */
    close(r.result[1].client.fd);
    rig_close(&r);
}

static void test_an_answer_that_breaks_off(void **state)
{
    struct rig r;
    (void)state;
    answer(&r, 500);
    put(r.backend, "half");
    expect(&r, r.client, "begun half");
    shutdown(r.backend, SHUT_WR);
    SPIN_UNTIL(&r, r.ended[1]);
    assert_int_equal(r.result[1].end, FORWARD_RESET);
    assert_false(is_end(&r, r.client)); /* it must not look whole */
    rig_close(&r);
}

static void test_idle_since_before(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, 600);
    join(&r, NULL);
    uint64_t began = now_ms();
    while (now_ms() < began + 300)
        uv_run(&r.loop, UV_RUN_NOWAIT);
    pass(&r);
    assert_true(r.shared.idle_ms >= 250);
    SPIN_UNTIL(&r, r.ended[1]);
    assert_int_equal(r.result[1].end, FORWARD_IDLE);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_on),
        cmocka_unit_test(test_what_was_read_and_not_passed_on),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_a_flood_in_the_middle),
        cmocka_unit_test(test_who_is_not_taken_stays),
        cmocka_unit_test(test_the_rest_of_an_answer),
        cmocka_unit_test(test_an_answer_that_breaks_off),
        cmocka_unit_test(test_idle_since_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
