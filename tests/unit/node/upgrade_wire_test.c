/* upgrade_wire_test.c - what a process and its successor say to each other: whole, cut short, and
 * with a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/upgrade_wire.h"
#include "node/worker_hand.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t hello(uint8_t *bytes, size_t cap)
{
    struct upgrade_hello h = {
        .draining = true,
        .rules = 77,
        .entry = {.node = 1,
                  .inc = 2,
                  .boot = 3,
                  .twin = 9,
                  .revision = 1,
                  .status = STATUS_UP,
                  .name = "s1",
                  .address = {.family = 4, .port = 7300, .ip = {127, 0, 0, 1}},
                  .holds = true}};
    struct wire_writer w;
    wire_writer_init(&w, bytes, cap);
    upgrade_encode_hello(&h, &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static void test_hello(void **state)
{
    (void)state;
    static struct upgrade_message m;
    uint8_t bytes[UPGRADE_MESSAGE_MAX];
    size_t len = hello(bytes, sizeof bytes);
    assert_true(upgrade_decode(bytes, len, &m));
    assert_int_equal(m.type, UPGRADE_HELLO);
    assert_true(m.hello.draining);
    assert_int_equal(m.hello.rules, 77);
    assert_string_equal(m.hello.entry.name, "s1");
    assert_int_equal(m.hello.entry.twin, 9);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(upgrade_decode(bytes, cut, &m));
    assert_false(upgrade_decode(bytes, len + 1, &m)); /* what is behind it belongs to nothing */
    bytes[1]++;                                       /* another version */
    assert_false(upgrade_decode(bytes, len, &m));
}

static void test_small_ones(void **state)
{
    (void)state;
    static struct upgrade_message m;
    uint8_t born[9];
    struct wire_writer w;
    wire_writer_init(&w, born, sizeof born);
    upgrade_encode_born(0x1234, &w);
    assert_true(upgrade_decode(born, sizeof born, &m));
    assert_int_equal(m.inc, 0x1234);
    memset(born + 1, 0, 8);
    assert_false(upgrade_decode(born, sizeof born, &m)); /* nobody has that one */
    for (unsigned type = 0; type < 256; type++) {
        uint8_t byte = (uint8_t)type;
        bool alone = type == UPGRADE_READY || type == UPGRADE_GO || type == UPGRADE_TAKEN ||
                     type == UPGRADE_LEFT || type == UPGRADE_CONNECTION;
        assert_int_equal(upgrade_decode(&byte, 1, &m), alone);
    }
}

static void test_hand(void **state)
{
    (void)state;
    struct hand was = {.door = HAND_CACHE,
                       .admitted = true,
                       .version3 = true,
                       .peer = {.family = 4, .port = 99, .ip = {10, 1, 2, 3}}},
                is;
    uint8_t bytes[HAND_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    wire_writer_init(&w, bytes, sizeof bytes);
    hand_encode(&was, &w);
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_true(hand_decode(&r, &is));
    assert_true(is.door == was.door && is.admitted && is.version3);
    assert_true(addr_equal(&is.peer, &was.peer));
    bytes[0] = 200; /* no such door */
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_false(hand_decode(&r, &is));
    bytes[0] = 0;
    bytes[1] = 128; /* no such flag */
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_false(hand_decode(&r, &is));
}

static struct hand tunnel(void)
{
    struct hand h = {.door = HAND_TCP + 1};
    h.passage = (struct passage){.service = "db",
                                 .led = "s2",
                                 .key = 7,
                                 .counted = true,
                                 .peer = {.family = 4, .port = 99, .ip = {10, 1, 2, 3}}};
    h.passage.tunnel.up = (struct forward_half){.len = 5, .bytes = 1000};
    h.passage.tunnel.down = (struct forward_half){.bytes = 2, .eof = true, .shut = true};
    h.passage.tunnel.idle_ms = 12345;
    return h;
}

static void test_hand_of_a_tunnel(void **state)
{
    (void)state;
    struct hand was = tunnel(), is;
    uint8_t bytes[HAND_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    wire_writer_init(&w, bytes, sizeof bytes);
    hand_encode(&was, &w);
    assert_true(wire_put_ok(&w));
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_true(hand_decode(&r, &is));
    assert_int_equal(is.door, HAND_TCP + 1);
    assert_int_equal(is.passage.tunnel.up.bytes, 1000);
    assert_true(is.passage.tunnel.down.shut && !is.passage.tunnel.up.eof);
    assert_string_equal(is.passage.led, "s2");
    assert_true(hand_fits(&is, 3));
    assert_false(hand_fits(&is, 2) || hand_fits(&is, 1) || hand_fits(&is, 0));
    is.passage.tunnel.up.len = 0; /* nothing waits: two sockets, and no file */
    assert_true(hand_fits(&is, 2) && !hand_fits(&is, 3));
    is.door = HAND_GATE;
    assert_true(hand_fits(&is, 1) && !hand_fits(&is, 2) && !hand_fits(&is, 0));
    bytes[1] = HAND_PUBLIC + 1; /* flags are of other doors */
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_false(hand_decode(&r, &is));
    bytes[1] = 0;
    bytes[0] = HAND_TCP + TCP_LISTENERS_MAX;
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_false(hand_decode(&r, &is));
}

static void make_pair(int pair[2], int pipe_fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(pipe_fds), 0);
}

static void close_all(int a[2], int b[2])
{
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

static void test_descriptors_pass(void **state)
{
    (void)state;
    int pair[2], pipe_fds[2];
    char text[8] = "";
    struct upgrade_fds fds;
    make_pair(pair, pipe_fds);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fds), -1);
    struct upgrade_fds three = {3, {pipe_fds[1], pipe_fds[0], pipe_fds[1]}};
    assert_true(upgrade_send(pair[0], "one", 3, &three));
    assert_true(upgrade_send(pair[0], "two", 3, NULL));
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fds), 3);
    assert_int_equal(fds.count, 3);
    assert_int_equal(write(fds.fd[2], "x", 1), 1);
    assert_int_equal(read(fds.fd[1], text, 1), 1);
    upgrade_fds_close(&fds);
    assert_int_equal(fds.count, 0);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fds), 3);
    assert_int_equal(fds.count, 0);
    close(pair[0]);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fds), 0);
    assert_false(upgrade_send(pair[1], "late", 4, NULL));
    pair[0] = dup(pair[1]);
    close_all(pair, pipe_fds);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* More than a packet may have: what there is no room for must not stay open for ever. */
static void test_too_many_descriptors_leak_none(void **state)
{
    (void)state;
    int pair[2], pipe_fds[2];
    union {
        char bytes[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char text[8] = "x";
    struct iovec part = {text, 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct upgrade_fds fds;
    make_pair(pair, pipe_fds);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(8 * sizeof(int));
    for (size_t i = 0; i < 8; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &pipe_fds[1], sizeof(int));
    assert_int_equal(sendmsg(pair[0], &m, 0), 1);
    int before = open_descriptors();
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fds), 1);
    assert_int_equal(fds.count, 0);
    assert_int_equal(open_descriptors(), before);
    close_all(pair, pipe_fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_hand),
        cmocka_unit_test(test_hand_of_a_tunnel),
        cmocka_unit_test(test_descriptors_pass),
        cmocka_unit_test(test_too_many_descriptors_leak_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
