/* stream_test.c - plain streams over socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct stream pair_of(int *other)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    *other = fd[1];
    return (struct stream){.fd = fd[0]};
}

static void plain_bytes_pass_as_they_are(void **state)
{
    int other;
    char got[16];
    struct stream s = pair_of(&other);
    struct iovec iov[] = {{(char[]){"one"}, 3}, {(char[]){"two"}, 3}};
    (void)state;
    assert_int_equal(stream_read(&s, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(stream_writev(&s, iov, 2), 6);
    assert_int_equal(stream_write(&s, "!", 1), 1);
    assert_int_equal(recv(other, got, sizeof got, 0), 7);
    assert_memory_equal(got, "onetwo!", 7);
    assert_int_equal(send(other, "back", 4, 0), 4);
    assert_int_equal(stream_read(&s, got, 2), 2);
    assert_false(stream_pending(&s)); /* the kernel tells of the rest */
    assert_int_equal(stream_read(&s, got, sizeof got), 2);
    assert_int_equal(stream_shutdown(&s), 0);
    assert_int_equal(recv(other, got, sizeof got, 0), 0);
    close(other);
    assert_int_equal(stream_read(&s, got, sizeof got), 0);
    assert_int_equal(stream_write(&s, "x", 1), -1); /* and no signal */
    assert_int_equal(errno, EPIPE);
    stream_close(&s, false);
    assert_int_equal(s.fd, -1);
    stream_close(&s, true);
}

static void plain_events_are_what_is_wanted(void **state)
{
    struct stream s = {.fd = 0};
    (void)state;
    assert_int_equal(stream_events(&s, true, false), EPOLLIN);
    assert_int_equal(stream_events(&s, false, true), EPOLLOUT);
    assert_int_equal(stream_events(&s, true, true), EPOLLIN | EPOLLOUT);
    assert_int_equal(stream_events(&s, false, false), 0);
}

static void a_reset_is_heard_as_one(void **state)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    char byte;
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&sa, len), 0);
    struct stream s = {.fd = accept(listener, NULL, NULL)};
    assert_true(s.fd >= 0);
    stream_close(&s, true);
    assert_int_equal(recv(peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(peer);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_pass_as_they_are),
        cmocka_unit_test(plain_events_are_what_is_wanted),
        cmocka_unit_test(a_reset_is_heard_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
