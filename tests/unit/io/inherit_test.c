/* inherit_test.c - what a process finds that its elder has left it, and what it leaves itself. The
 * test plays both: it puts descriptors where a successor looks for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/inherit.h"
#include "io/io.h"
#include "io/listen.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct addr anywhere = {.family = 4, .ip = {127, 0, 0, 1}};

static struct addr bound(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr a = {0};
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &a));
    return a;
}

/* As the elder does: at its place, and not close-on-exec. */
static void leave(int fd, int at)
{
    assert_int_equal(dup2(fd, at), at);
    close(fd);
}

static void test_sockets_are_taken_and_the_rest_closed(void **state)
{
    (void)state;
    int tcp, udp, spare, got;
    assert_int_equal(listen_tcp(&anywhere, false, &tcp), 0);
    assert_int_equal(listen_udp(&anywhere, false, &udp), 0);
    assert_int_equal(listen_tcp(&anywhere, false, &spare), 0);
    struct addr at_tcp = bound(tcp), at_udp = bound(udp);
    tcp = fcntl(tcp, F_DUPFD, 100);
    udp = fcntl(udp, F_DUPFD, 100);
    spare = fcntl(spare, F_DUPFD, 100);
    leave(tcp, INHERIT_SOCKETS);
    leave(udp, INHERIT_SOCKETS + 1);
    leave(spare, INHERIT_SOCKETS + 2);
    setenv(INHERIT_VARIABLE, "3", 1);
    assert_true(inherit_any());
    assert_true(inherit_has(&at_tcp, SOCK_STREAM));
    assert_false(inherit_has(&at_tcp, SOCK_DGRAM));
    assert_int_equal(listen_probe_tcp(&at_tcp), 0); /* in use, but by whom it succeeds */
    assert_int_equal(listen_tcp(&at_tcp, true, &got), 0);
    assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
    struct addr is = bound(got);
    assert_true(addr_equal(&is, &at_tcp));
    assert_false(inherit_has(&at_tcp, SOCK_STREAM)); /* taken once */
    /* What is opened meanwhile at a number that has become free stays. */
    int own = fcntl(got, F_DUPFD_CLOEXEC, INHERIT_SOCKETS);
    inherit_end();
    assert_false(inherit_any());
    assert_true(fcntl(own, F_GETFD) >= 0);
    assert_int_equal(fcntl(INHERIT_SOCKETS + 2, F_GETFD), -1);
    assert_int_equal(inherit_socket(&at_udp, SOCK_DGRAM), -1);
    close(own);
    close(got);
}

static void test_nonsense_in_the_environment(void **state)
{
    static const char *const values[] = {"", "x", "-1", "3x", "99999999999999999999", "513"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        setenv(INHERIT_VARIABLE, values[i], 1);
        assert_false(inherit_any());
        assert_int_equal(inherit_take(INHERIT_CONTROL), -1);
    }
    inherit_end();
    assert_null(getenv(INHERIT_VARIABLE));
}

static bool among(int fd, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] == fd)
            return true;
    return false;
}

static void test_what_is_left_to_a_successor(void **state)
{
    (void)state;
    int tcp, udp, fds[64], pair[2];
    assert_int_equal(listen_tcp(&anywhere, false, &tcp), 0);
    assert_int_equal(listen_udp(&anywhere, false, &udp), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    size_t count = inherit_gather(fds, 64);
    assert_true(among(tcp, fds, count) && among(udp, fds, count));
    assert_false(among(pair[0], fds, count)); /* somebody's connection */
    assert_int_equal(inherit_gather(fds, 1), 1);
    close(tcp);
    close(udp);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_are_taken_and_the_rest_closed),
        cmocka_unit_test(test_nonsense_in_the_environment),
        cmocka_unit_test(test_what_is_left_to_a_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
