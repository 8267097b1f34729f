/* flow_test.c - one direction between two socket pairs, whose far ends are the test's. */
#include "role/director/flow.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)
#define PATIENCE 10000 /* turns of a millisecond */

struct rig {
    struct flow_means means;
    struct flow flow;
    struct stream from, to;
    int source, sink; /* the far ends */
    size_t sent, got;
};

/* A TCP connection over loopback, both ends non-blocking. */
static void tcp_pair(int fd[2])
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&sa, len), 0);
    fd[1] = accept(listener, NULL, NULL);
    assert_true(fd[1] >= 0);
    close(listener);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    fcntl(fd[1], F_SETFL, O_NONBLOCK);
}

static void rig_open(struct rig *r)
{
    int in[2], out[2];
    memset(r, 0, sizeof(*r));
    flow_means_init(&r->means, 4);
    tcp_pair(in);
    tcp_pair(out);
    r->source = in[0];
    r->sink = out[1];
    r->from.fd = in[1];
    r->to.fd = out[0];
    r->flow.from = &r->from;
    r->flow.to = &r->to;
}

static void rig_close(struct rig *r)
{
    flow_drop(&r->flow, &r->means);
    assert_int_equal(r->means.pipes_open, r->means.pipes_free);
    flow_means_deinit(&r->means);
    assert_int_equal(r->means.pipes_open, 0);
    int fds[] = {r->source, r->sink, r->from.fd, r->to.fd};
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9) * 7);
}

/* Sends up to `total` bytes in all, as far as the socket takes them. */
static void source_send(struct rig *r, size_t total)
{
    uint8_t chunk[32768];
    while (r->sent < total) {
        size_t len = total - r->sent < sizeof(chunk) ? total - r->sent : sizeof(chunk);
        for (size_t i = 0; i < len; i++)
            chunk[i] = pattern(r->sent + i);
        ssize_t n = send(r->source, chunk, len, MSG_NOSIGNAL);
        if (n < 0)
            return;
        r->sent += (size_t)n;
    }
}

/* Checks what comes; false at the end of it. */
static bool sink_receive(struct rig *r)
{
    uint8_t chunk[32768];
    ssize_t n;
    while ((n = recv(r->sink, chunk, sizeof(chunk), 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(chunk[i], pattern(r->got++));
    return n != 0;
}

static void pass_all(struct rig *r, size_t total)
{
    for (int still = 0; still < PATIENCE && r->got < total;) {
        size_t before = r->got;
        source_send(r, total);
        assert_true(flow_flush(&r->flow, &r->means));
        assert_int_equal(flow_pump(&r->flow, &r->means), FLOW_OPEN);
        sink_receive(r);
        still = r->got > before ? 0 : still + 1;
        if (still)
            usleep(1000);
    }
    assert_int_equal(r->got, total);
}

static void small_pieces_take_no_pipe(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    for (size_t i = 1; i < 50; i++)
        pass_all(&r, i * 100);
    assert_int_equal(r.means.pipes_open, 0);
    assert_false(flow_waits(&r.flow));
    rig_close(&r);
}

static void bulk_goes_through_a_pipe_that_is_given_back(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    pass_all(&r, 16 * MIB);
    assert_int_equal(r.means.pipes_open, 1);
    assert_int_equal(r.means.pipes_free, 1);
    assert_int_equal(r.flow.bytes, 16 * MIB);
    /* And back to copying. */
    pass_all(&r, 16 * MIB + 10);
    assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
    pass_all(&r, 16 * MIB + 20);
    assert_false(r.flow.bulk);
    rig_close(&r);
}

/* Nobody reads: what was taken waits in the pipe, and nothing more is read. */
static void a_full_receiver_stops_the_reading(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    for (int i = 0; i < PATIENCE && !flow_waits(&r.flow); i++) {
        usleep(200);
        source_send(&r, 64 * MIB);
        assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
    }
    assert_true(flow_waits(&r.flow));
    assert_true(r.flow.piped > 0);
    uint64_t before = r.flow.bytes;
    assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
    assert_true(flow_flush(&r.flow, &r.means));
    assert_int_equal(r.flow.bytes, before);
    pass_all(&r, 64 * MIB);
    rig_close(&r);
}

static void the_end_comes_behind_the_last_byte(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    size_t total = 8 * MIB;
    while (r.got < total) {
        source_send(&r, total);
        if (r.sent == total)
            shutdown(r.source, SHUT_WR);
        assert_true(flow_flush(&r.flow, &r.means));
        assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
        if (!sink_receive(&r))
            break;
    }
    for (int i = 0; i < PATIENCE && !r.flow.shut; i++) {
        usleep(1000);
        assert_true(flow_flush(&r.flow, &r.means));
        assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
    }
    assert_true(r.flow.eof && r.flow.shut);
    for (int i = 0; i < PATIENCE && sink_receive(&r); i++)
        usleep(1000);
    assert_false(sink_receive(&r));
    assert_int_equal(r.got, total);
    rig_close(&r);
}

static void reset(int *fd)
{
    struct linger now = {1, 0};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(*fd);
    *fd = -1;
}

static void a_receiver_that_breaks_off_is_told_with_bytes_in_the_pipe(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    for (int i = 0; i < PATIENCE && !flow_waits(&r.flow); i++) {
        usleep(200);
        source_send(&r, 64 * MIB);
        flow_pump(&r.flow, &r.means);
    }
    assert_true(r.flow.piped > 0);
    reset(&r.sink);
    bool open = true;
    for (int i = 0; i < PATIENCE && open; i++) {
        usleep(1000);
        open = flow_flush(&r.flow, &r.means);
    }
    assert_false(open);
    flow_drop(&r.flow, &r.means);
    /* A pipe with bytes in it is never another flow's. */
    assert_int_equal(r.means.pipes_open, 0);
    rig_close(&r);
}

static void a_sender_that_breaks_off_is_told_behind_its_bytes(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    pass_all(&r, 4 * MIB);
    reset(&r.source);
    enum flow_end end = FLOW_OPEN;
    for (int i = 0; i < PATIENCE && end == FLOW_OPEN; i++) {
        usleep(1000);
        end = flow_pump(&r.flow, &r.means);
    }
    assert_int_equal(end, FLOW_FROM_BROKE);
    assert_false(r.flow.eof);
    rig_close(&r);
}

static void without_descriptors_bulk_is_copied(void **state)
{
    struct rig r;
    struct rlimit before, none;
    (void)state;
    rig_open(&r);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pass_all(&r, 4 * MIB);
    assert_int_equal(r.means.pipes_open, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    pass_all(&r, 8 * MIB);
    assert_int_equal(r.means.pipes_open, 1);
    rig_close(&r);
}

static void no_more_pipes_than_allowed(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.means.pipes_max = 0;
    pass_all(&r, 4 * MIB);
    assert_int_equal(r.means.pipes_open, 0);
    rig_close(&r);
}

static void a_kernel_without_splice_is_copied_for(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.means.no_splice = true;
    pass_all(&r, 4 * MIB);
    assert_int_equal(r.means.pipes_open, 0);
    rig_close(&r);
}

static void no_memory_for_what_waits_breaks_the_flow(void **state)
{
    struct rig r;
    enum flow_end end = FLOW_OPEN;
    (void)state;
    rig_open(&r);
    r.means.no_splice = true;
    mem_fail_after(1);
    for (int i = 0; i < PATIENCE && end == FLOW_OPEN; i++) {
        usleep(200);
        source_send(&r, 64 * MIB);
        end = flow_pump(&r.flow, &r.means);
    }
    mem_fail_after(0);
    assert_int_equal(end, FLOW_TO_BROKE);
    assert_false(flow_waits(&r.flow));
    rig_close(&r);
}

/* What lies behind the bound stays in the socket, for its owner to read. */
static void a_bounded_flow_ends_at_its_bound(void **state)
{
    const size_t bounds[] = {3, FLOW_BUFFER_BYTES + 7, 5 * MIB + 1};
    (void)state;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        struct rig r;
        char rest[2];
        rig_open(&r);
        r.flow.bounded = r.flow.bulk = true;
        r.flow.left = bounds[i];
        for (int turn = 0; turn < PATIENCE && r.got < bounds[i]; turn++) {
            source_send(&r, bounds[i] + sizeof(rest));
            assert_true(flow_flush(&r.flow, &r.means));
            assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
            sink_receive(&r);
            usleep(200);
        }
        assert_int_equal(r.got, bounds[i]);
        assert_int_equal(r.flow.left, 0);
        assert_int_equal(r.flow.bytes, bounds[i]);
        for (int turn = 0; turn < PATIENCE && r.sent < bounds[i] + sizeof(rest); turn++)
            source_send(&r, bounds[i] + sizeof(rest));
        assert_int_equal(flow_pump(&r.flow, &r.means), FLOW_OPEN);
        usleep(1000);
        assert_int_equal(recv(r.from.fd, rest, sizeof(rest), 0), sizeof(rest));
        assert_true(sink_receive(&r));
        assert_int_equal(r.got, bounds[i]);
        rig_close(&r);
    }
}

/* What its owner made goes out in order, in any pieces, however slow the receiver is. */
static void what_is_given_goes_behind_what_waits(void **state)
{
    static uint8_t bytes[MIB];
    struct rig r;
    size_t given = 0;
    (void)state;
    rig_open(&r);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    while (given < sizeof(bytes)) {
        size_t left = sizeof(bytes) - given, first = left < 30011 ? left : 30011;
        size_t second = left - first < 1009 ? left - first : 1009;
        struct iovec iov[] = {{bytes + given, first}, {bytes + given + first, second}};
        assert_true(flow_give(&r.flow, iov, second ? 2 : 1));
        given += first + second;
        if (given % 3 == 0)
            assert_true(flow_flush(&r.flow, &r.means));
    }
    assert_true(flow_give(&r.flow, NULL, 0));
    for (int turn = 0; turn < PATIENCE && r.got < sizeof(bytes); turn++) {
        sink_receive(&r);
        assert_true(flow_flush(&r.flow, &r.means));
        usleep(100);
    }
    assert_int_equal(r.got, sizeof(bytes));
    assert_int_equal(r.flow.bytes, sizeof(bytes));
    assert_false(flow_waits(&r.flow));
    close(r.sink);
    r.sink = -1;
    struct iovec one = {bytes, 1};
    bool took = true;
    for (int turn = 0; turn < PATIENCE && took; turn++, usleep(100))
        took = flow_give(&r.flow, &one, 1);
    assert_false(took);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pieces_take_no_pipe),
        cmocka_unit_test(bulk_goes_through_a_pipe_that_is_given_back),
        cmocka_unit_test(a_full_receiver_stops_the_reading),
        cmocka_unit_test(the_end_comes_behind_the_last_byte),
        cmocka_unit_test(a_receiver_that_breaks_off_is_told_with_bytes_in_the_pipe),
        cmocka_unit_test(a_sender_that_breaks_off_is_told_behind_its_bytes),
        cmocka_unit_test(without_descriptors_bulk_is_copied),
        cmocka_unit_test(no_more_pipes_than_allowed),
        cmocka_unit_test(a_kernel_without_splice_is_copied_for),
        cmocka_unit_test(no_memory_for_what_waits_breaks_the_flow),
        cmocka_unit_test(a_bounded_flow_ends_at_its_bound),
        cmocka_unit_test(what_is_given_goes_behind_what_waits),
    };
    signal(SIGPIPE, SIG_IGN); /* as the node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
