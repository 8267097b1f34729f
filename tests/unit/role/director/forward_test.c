/* forward_test.c - tunnels between real loopback sockets; both ends are in the test's hands. */
#include "role/director/forward.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/director/self_connect.h"

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
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)
#define PATIENCE_MS 4000

struct rig {
    uv_loop_t loop;
    struct forward_counters counters;
    struct forwarder *forwarder;
    int listener; /* of the backend */
    struct addr to;
    int client, backend; /* the test's ends */
    int ended;
    struct forward_result result;
    bool closed;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

static void spin(struct rig *r)
{
    uv_run(&r->loop, UV_RUN_NOWAIT);
    usleep(100);
}

#define SPIN_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        uint64_t give_up_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition)) {                                                                     \
            assert_true(now_ms() < give_up_);                                                      \
            spin(r);                                                                               \
        }                                                                                          \
    } while (0)

static int listen_loopback(int backlog, struct addr *at)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, at));
    return fd;
}

static int connect_loopback(const struct addr *to)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(to, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    int e = connect(fd, (struct sockaddr *)&sa, len);
    assert_true(e == 0 || errno == EINPROGRESS);
    return fd;
}

static void on_ended(void *context, const struct forward_result *result)
{
    struct rig *r = context;
    r->ended++;
    r->result = *result;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static struct forward_limits test_limits(void)
{
    struct forward_limits l;
    forward_limits_default(&l);
    return l;
}

static void rig_open(struct rig *r, struct forward_limits limits)
{
    memset(r, 0, sizeof(*r));
    r->client = r->backend = -1;
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->listener = listen_loopback(16, &r->to);
    struct forwarder_config c = {&r->loop, limits, &r->counters};
    assert_int_equal(forwarder_open(&c, &r->forwarder), STEAD_OK);
}

static void rig_close(struct rig *r)
{
    forwarder_close(r->forwarder, on_closed, r);
    SPIN_UNTIL(r, r->closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_int_equal(r->counters.open, 0);
    int fds[] = {r->listener, r->client, r->backend};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* A client's connection as http_take() gives it; the client's end is r->client. */
static int accepted_client(struct rig *r)
{
    struct addr at;
    int listener = listen_loopback(1, &at), fd = -1;
    r->client = connect_loopback(&at);
    SPIN_UNTIL(r, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    close(listener);
    return fd;
}

static int start(struct rig *r, const char *bytes, int *client)
{
    size_t len = strlen(bytes);
    struct forward_request q = {.client = {.fd = accepted_client(r)},
                                .bytes = mem_dup(bytes, len),
                                .len = len,
                                .to = r->to,
                                .ended = on_ended,
                                .context = r};
    *client = q.client.fd;
    int e = forward_start(r->forwarder, &q);
    if (e != STEAD_OK)
        mem_free(q.bytes);
    return e;
}

static void open_tunnel(struct rig *r, const char *bytes)
{
    int client;
    assert_int_equal(start(r, bytes, &client), STEAD_OK);
    SPIN_UNTIL(r, (r->backend = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static void expect(struct rig *r, int fd, const char *text)
{
    char buf[256];
    size_t got = 0, want = strlen(text);
    while (got < want) {
        ssize_t n = -1;
        SPIN_UNTIL(r, (n = recv(fd, buf + got, want - got, 0)) >= 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(buf, text, want);
}

/* 0 at an orderly end, else errno. */
static int end_of(struct rig *r, int fd)
{
    char byte;
    ssize_t n = -1;
    SPIN_UNTIL(r, (n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
    assert_true(n <= 0);
    return n == 0 ? 0 : errno;
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void reset(int *fd)
{
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(*fd);
    *fd = -1;
}

static void test_bytes_pass_both_ways_until_both_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "GET / HTTP/1.1\r\n\r\n");
    expect(&r, r.backend, "GET / HTTP/1.1\r\n\r\n");
    put(r.backend, "HTTP/1.1 204 x\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 204 x\r\n\r\n");
    put(r.client, "second");
    expect(&r, r.backend, "second");
    assert_int_equal(forwarder_tunnels(r.forwarder), 1);
    shutdown(r.client, SHUT_WR);
    assert_int_equal(end_of(&r, r.backend), 0);
    assert_int_equal(r.ended, 0);
    put(r.backend, "late");
    shutdown(r.backend, SHUT_WR);
    expect(&r, r.client, "late");
    assert_int_equal(end_of(&r, r.client), 0);
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_CLOSED);
    assert_int_equal(r.result.client.fd, -1);
    assert_int_equal(r.result.up, 18 + 6);
    assert_int_equal(r.result.down, 18 + 4);
    assert_int_equal(r.counters.up_bytes, 24);
    assert_int_equal(forwarder_tunnels(r.forwarder), 0);
    rig_close(&r);
    assert_int_equal(r.ended, 1);
}

static void test_backend_may_end_its_half_first(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    put(r.backend, "bye");
    shutdown(r.backend, SHUT_WR);
    expect(&r, r.client, "bye");
    assert_int_equal(end_of(&r, r.client), 0);
    put(r.client, "upload");
    expect(&r, r.backend, "upload");
    close(r.client);
    r.client = -1;
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_CLOSED);
    assert_int_equal(end_of(&r, r.backend), 0);
    rig_close(&r);
}

static uint8_t pattern(size_t at, unsigned seed)
{
    return (uint8_t)((at * 131 + (at >> 9) * 7 + seed) & 0xff);
}

struct load {
    int fd;
    unsigned seed;
    size_t sent, got;
};

static void load_send(struct load *s, size_t total)
{
    uint8_t chunk[16384];
    size_t len = total - s->sent < sizeof(chunk) ? total - s->sent : sizeof(chunk);
    for (size_t i = 0; i < len; i++)
        chunk[i] = pattern(s->sent + i, s->seed);
    ssize_t n = len ? send(s->fd, chunk, len, MSG_NOSIGNAL) : 0;
    assert_true(n >= 0 || errno == EAGAIN);
    if (n > 0)
        s->sent += (size_t)n;
}

static void load_receive(struct load *s, unsigned seed, size_t most)
{
    uint8_t chunk[16384];
    ssize_t n = recv(s->fd, chunk, most < sizeof(chunk) ? most : sizeof(chunk), 0);
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(chunk[i], pattern(s->got + (size_t)i, seed));
    if (n > 0)
        s->got += (size_t)n;
}

static void test_a_mebibyte_each_way_at_once(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "!");
    expect(&r, r.backend, "!");
    int small = 65536;
    setsockopt(r.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    struct load c = {r.client, 1, 0, 0}, b = {r.backend, 2, 0, 0};
    uint64_t give_up = now_ms() + 10000;
    /* Nobody reads at first: buffers fill up, and the tunnel has to stop reading and go on later.
     */
    for (int i = 0; i < 300; i++) {
        load_send(&c, MIB);
        load_send(&b, MIB);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    while (c.got < MIB || b.got < MIB) {
        assert_true(now_ms() < give_up);
        load_send(&c, MIB);
        load_send(&b, MIB);
        load_receive(&c, 2, 16384);
        load_receive(&b, 1, 16384);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    shutdown(r.client, SHUT_WR);
    shutdown(r.backend, SHUT_WR);
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_CLOSED);
    assert_int_equal(r.result.up, MIB + 1);
    assert_int_equal(r.result.down, MIB);
    rig_close(&r);
}

/* Fills the way until nobody takes more; returns how many bytes went in. */
static size_t fill(struct rig *r, struct load *s, size_t total)
{
    size_t before;
    do {
        before = s->sent;
        for (int i = 0; i < 50; i++) {
            load_send(s, total);
            spin(r);
        }
    } while (s->sent < total && s->sent > before);
    return s->sent;
}

static void test_the_end_waits_for_what_was_sent_before_it(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "!");
    expect(&r, r.backend, "!");
    struct load b = {r.backend, 5, 0, 0}, c = {r.client, 6, 0, 0};
    size_t total = fill(&r, &b, 64 * MIB);
    close(r.backend);
    r.backend = -1;
    while (c.got < total) {
        load_receive(&c, 5, 16384);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);
}

static void test_backend_reset_becomes_a_reset_after_its_last_words(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "upload that the backend does not read");
    SPIN_UNTIL(&r, r.counters.opened == 1);
    for (int i = 0; i < 20; i++)
        spin(&r);
    put(r.backend, "HTTP/1.1 413 x\r\n\r\n");
    close(r.backend); /* with unread bytes: the kernel sends a reset */
    r.backend = -1;
    expect(&r, r.client, "HTTP/1.1 413 x\r\n\r\n");
    assert_int_equal(end_of(&r, r.client), ECONNRESET);
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_RESET);
    assert_int_equal(r.counters.resets, 1);
    rig_close(&r);
}

/* The reset is met by sending, which leaves an end of file to be read: the client must not be told
 * of that. */
static void test_a_reset_never_looks_like_an_orderly_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    put(r.client, "more");
    usleep(20000);
    reset(&r.backend);
    assert_int_equal(end_of(&r, r.client), ECONNRESET);
    rig_close(&r);
}

static void test_client_reset_becomes_a_reset(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    reset(&r.client);
    assert_int_equal(end_of(&r, r.backend), ECONNRESET);
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_RESET);
    rig_close(&r);
}

static void test_client_that_leaves_a_full_pipe_ends_it(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    struct load b = {r.backend, 9, 0, 0};
    fill(&r, &b, 64 * MIB);
    close(r.client);
    r.client = -1;
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_RESET);
    assert_true(end_of(&r, r.backend) != 0);
    rig_close(&r);
}

/* However the refusal comes, the client's connection and the bytes are there to be answered. */
static void test_refused_gives_everything_back(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    close(r.listener);
    r.listener = -1;
    int client;
    int e = start(&r, "request", &client);
    if (e == STEAD_OK) {
        assert_int_equal(r.ended, 0);
        SPIN_UNTIL(&r, r.ended);
        assert_int_equal(r.result.end, FORWARD_REFUSED);
        assert_int_equal(r.result.client.fd, client);
        assert_int_equal(r.result.len, 7);
        assert_memory_equal(r.result.bytes, "request", 7);
        mem_free(r.result.bytes);
    } else {
        assert_int_equal(e, STEAD_E_UNREACHABLE);
    }
    assert_int_equal(r.counters.refused, 1);
    put(client, "503");
    expect(&r, r.client, "503");
    close(client);
    rig_close(&r);
}

static void test_a_socket_connected_to_itself_is_told(void **state)
{
    struct rig r;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(self_connected(fd));
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    assert_true(self_connected(fd));
    close(fd);
    rig_open(&r, test_limits());
    int accepted = accepted_client(&r);
    assert_false(self_connected(accepted));
    close(accepted);
    rig_close(&r);
}

static void test_connecting_takes_a_limited_time(void **state)
{
    struct rig r;
    struct forward_limits l = test_limits();
    int client, fillers[8];
    (void)state;
    l.connect_ms = 300;
    rig_open(&r, l);
    close(r.listener);
    r.listener = listen_loopback(0, &r.to);
    for (int i = 0; i < 8; i++) /* a full backlog drops what comes */
        fillers[i] = connect_loopback(&r.to);
    uint64_t before = now_ms();
    assert_int_equal(start(&r, "request", &client), STEAD_OK);
    SPIN_UNTIL(&r, r.ended);
    assert_true(now_ms() - before >= 250);
    assert_int_equal(r.result.end, FORWARD_REFUSED);
    assert_int_equal(r.result.client.fd, client);
    mem_free(r.result.bytes);
    close(client);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    rig_close(&r);
}

static void test_idle_tunnels_end(void **state)
{
    struct rig r;
    struct forward_limits l = test_limits();
    (void)state;
    l.idle_ms = 400;
    rig_open(&r, l);
    open_tunnel(&r, "x");
    uint64_t last = now_ms();
    for (int i = 0; i < 6; i++) { /* bytes either way keep it */
        usleep(100000);
        put(i & 1 ? r.backend : r.client, "y");
        last = now_ms();
        spin(&r);
        spin(&r);
    }
    assert_int_equal(r.ended, 0);
    SPIN_UNTIL(&r, r.ended);
    assert_true(now_ms() - last >= 350);
    assert_int_equal(r.result.end, FORWARD_IDLE);
    assert_int_equal(r.counters.timeouts, 1);
    rig_close(&r);
}

static void test_limits_and_lack_of_memory_take_nothing(void **state)
{
    struct rig r;
    struct forward_limits l = test_limits();
    (void)state;
    l.tunnels_max = 1;
    rig_open(&r, l);
    struct forward_request q = {.client = {.fd = accepted_client(&r)},
                                .bytes = mem_dup("x", 1),
                                .len = 1,
                                .to = r.to,
                                .ended = on_ended,
                                .context = &r};
    mem_fail_after(1);
    assert_int_equal(forward_start(r.forwarder, &q), STEAD_E_NOMEM);
    mem_fail_after(0);
    int first = r.client;
    open_tunnel(&r, "y");
    assert_int_equal(forward_start(r.forwarder, &q), STEAD_E_BUSY);
    assert_int_equal(r.counters.busy, 1);
    put(q.client.fd, "busy");
    expect(&r, first, "busy");
    close(first);
    close(q.client.fd);
    mem_free(q.bytes);
    assert_int_equal(r.ended, 0);
    rig_close(&r);
}

static void test_big_transfers_pass_whole_and_leave_nothing_held(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "!");
    expect(&r, r.backend, "!");
    struct load b = {r.backend, 3, 0, 0}, c = {r.client, 4, 0, 0};
    size_t total = 24 * MIB;
    uint64_t give_up = now_ms() + 20000;
    while (c.got < total) {
        assert_true(now_ms() < give_up);
        for (int i = 0; i < 40; i++)
            load_send(&b, total);
        for (int i = 0; i < 3; i++)
            uv_run(&r.loop, UV_RUN_NOWAIT);
        for (int i = 0; i < 40; i++)
            load_receive(&c, 3, 16384);
    }
    /* And after it, as before: small pieces, then half closes. */
    put(r.client, "thanks");
    expect(&r, r.backend, "thanks");
    put(r.backend, "bye");
    shutdown(r.backend, SHUT_WR);
    expect(&r, r.client, "bye");
    assert_int_equal(end_of(&r, r.client), 0);
    shutdown(r.client, SHUT_WR);
    SPIN_UNTIL(&r, r.ended);
    assert_int_equal(r.result.end, FORWARD_CLOSED);
    assert_int_equal(r.result.down, total + 3);
    rig_close(&r);
}

static void test_without_descriptors_nothing_is_taken_and_others_go_on(void **state)
{
    struct rig r;
    struct rlimit before, none;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    int mine = r.client, client = accepted_client(&r), other = r.client;
    r.client = mine;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct forward_request q = {.client = {.fd = client},
                                .bytes = mem_dup("y", 1),
                                .len = 1,
                                .to = r.to,
                                .ended = on_ended,
                                .context = &r};
    int e = forward_start(r.forwarder, &q);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(e, STEAD_E_IO);
    assert_int_equal(r.counters.failed, 1);
    assert_int_equal(r.counters.refused, 0);
    put(r.client, "still");
    expect(&r, r.backend, "still");
    /* With descriptors again the same request is taken. */
    assert_int_equal(forward_start(r.forwarder, &q), STEAD_OK);
    SPIN_UNTIL(&r, r.counters.opened == 2);
    close(other);
    rig_close(&r);
}

static void test_closing_ends_all(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_limits());
    open_tunnel(&r, "x");
    expect(&r, r.backend, "x");
    int client, first = r.client;
    assert_int_equal(start(&r, "connecting", &client), STEAD_OK);
    rig_close(&r);
    assert_int_equal(r.ended, 2);
    assert_int_equal(r.result.end, FORWARD_STOPPED);
    close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_both_ways_until_both_end),
        cmocka_unit_test(test_backend_may_end_its_half_first),
        cmocka_unit_test(test_a_mebibyte_each_way_at_once),
        cmocka_unit_test(test_the_end_waits_for_what_was_sent_before_it),
        cmocka_unit_test(test_backend_reset_becomes_a_reset_after_its_last_words),
        cmocka_unit_test(test_a_reset_never_looks_like_an_orderly_end),
        cmocka_unit_test(test_client_reset_becomes_a_reset),
        cmocka_unit_test(test_client_that_leaves_a_full_pipe_ends_it),
        cmocka_unit_test(test_refused_gives_everything_back),
        cmocka_unit_test(test_a_socket_connected_to_itself_is_told),
        cmocka_unit_test(test_connecting_takes_a_limited_time),
        cmocka_unit_test(test_idle_tunnels_end),
        cmocka_unit_test(test_limits_and_lack_of_memory_take_nothing),
        cmocka_unit_test(test_big_transfers_pass_whole_and_leave_nothing_held),
        cmocka_unit_test(test_without_descriptors_nothing_is_taken_and_others_go_on),
        cmocka_unit_test(test_closing_ends_all),
    };
    signal(SIGPIPE, SIG_IGN); /* as the node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
