/* upgrade_wire_test.c - what a process and its successor say to each other: whole, cut short, and
 * with a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/upgrade_wire.h"
#include "node/worker_hand.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t hello(uint8_t *bytes, size_t cap)
{
    struct upgrade_hello h = {
        .draining = true,
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

static void test_a_descriptor_passes(void **state)
{
    (void)state;
    int pair[2], pipe_fds[2], fd;
    char text[8] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fd), -1);
    assert_true(upgrade_send(pair[0], "one", 3, pipe_fds[1]));
    assert_true(upgrade_send(pair[0], "two", 3, -1));
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fd), 3);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], text, 1), 1);
    close(fd);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fd), 3);
    assert_int_equal(fd, -1);
    close(pair[0]);
    assert_int_equal(upgrade_receive(pair[1], text, sizeof text, &fd), 0);
    assert_false(upgrade_send(pair[1], "late", 4, -1));
    close(pair[1]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_hand),
        cmocka_unit_test(test_a_descriptor_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
