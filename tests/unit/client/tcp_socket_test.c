/* tcp_socket_test.c - the state of real connections, as the kernel has it at both ends. Root only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/tcp/tcp_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SENT_BYTES 300000
#define ROOM_BYTES 900000

static int ends[2];
static char sent[SENT_BYTES], *rooms[2];

static void connect_both(int family)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    struct sockaddr *to = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t len = family == AF_INET ? sizeof four : sizeof six;
    int small = 8192, listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(bind(listener, to, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, to, &len), 0);
    ends[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ends[0], to, len), 0);
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(ends[1] >= 0);
    close(listener);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < SENT_BYTES; i++)
        sent[i] = (char)(i * 7 + (i >> 8));
    rooms[0] = malloc(ROOM_BYTES);
    rooms[1] = malloc(ROOM_BYTES);
    return rooms[0] && rooms[1] ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(rooms[0]);
    free(rooms[1]);
    return 0;
}

static void close_both(void)
{
    close(ends[0]);
    close(ends[1]);
}

/* False: this process may not. */
static bool read_both(struct stead_tcp t[2])
{
    for (int i = 0; i < 2; i++) {
        int err = STEAD_E_BUSY;
        for (int n = 0; n < 200 && err == STEAD_E_BUSY; n++)
            err = stead_tcp_read(ends[i], &t[i], rooms[i], ROOM_BYTES);
        if (err == STEAD_E_DENIED)
            return false;
        assert_int_equal(err, STEAD_OK);
    }
    return true;
}

static void round_trip(const struct stead_tcp *t)
{
    struct tcp_state_form f;
    struct stead_tcp again;
    assert_int_equal(tcp_state_write(t, &f), STEAD_OK);
    assert_int_equal(tcp_state_read(f.fields, TCP_STATE_FIELDS, &again), STEAD_OK);
    assert_memory_equal(&again, t, offsetof(struct stead_tcp, unacked));
    assert_int_equal(again.unsent_len, t->unsent_len);
}

/* What was sent and not read lies at the two ends, each byte once or, while it is under way, twice.
 */
static void bytes_and_numbers_agree(int family)
{
    struct stead_tcp t[2];
    size_t have = 0;
    connect_both(family);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (ssize_t n;
         have < SENT_BYTES && (n = send(ends[0], sent + have, SENT_BYTES - have, 0)) > 0;)
        have += (size_t)n;
    assert_true(have > 20000);
    assert_int_equal(send(ends[1], "back", 4, 0), 4);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    if (!read_both(t)) {
        close_both();
        skip();
    }
    assert_int_equal(t[0].family, family == AF_INET ? 4 : 6);
    assert_memory_equal(t[0].local_ip, t[1].remote_ip, 16);
    assert_int_equal(t[0].local_port, t[1].remote_port);
    assert_int_equal(t[0].remote_port, t[1].local_port);
    size_t start = t[1].unread_len; /* how far the peer has got */
    assert_memory_equal(t[1].unread, sent, start);
    uint32_t first = t[1].rcv_nxt - (uint32_t)start;
    size_t at = t[0].snd_una - first;
    assert_true(at <= start);
    assert_int_equal(at + t[0].unacked_len + t[0].unsent_len, have);
    assert_true(t[0].unsent_len > 0);
    assert_memory_equal(t[0].unacked, sent + at, t[0].unacked_len);
    assert_memory_equal(t[0].unsent, sent + at + t[0].unacked_len, t[0].unsent_len);
    assert_int_equal(t[0].rcv_nxt, t[1].snd_nxt);
    assert_int_equal(t[0].unread_len, 4);
    assert_memory_equal(t[0].unread, "back", 4);
    assert_int_equal(t[0].snd_wscale, t[1].rcv_wscale);
    assert_int_equal(t[0].options, t[1].options);
    round_trip(&t[0]);
    round_trip(&t[1]);
    /* Looking has changed nothing. */
    fcntl(ends[0], F_SETFL, 0);
    for (size_t got = 0; got < have;) {
        ssize_t n = recv(ends[1], rooms[1], ROOM_BYTES, 0);
        assert_true(n > 0 && memcmp(rooms[1], sent + got, (size_t)n) == 0);
        got += (size_t)n;
    }
    close_both();
}

static void over_ipv4(void **state)
{
    (void)state;
    bytes_and_numbers_agree(AF_INET);
}

static void over_ipv6(void **state)
{
    (void)state;
    bytes_and_numbers_agree(AF_INET6);
}

static void half_closed_and_no_room(void **state)
{
    (void)state;
    struct stead_tcp t[2];
    connect_both(AF_INET);
    assert_int_equal(send(ends[0], "12345", 5, 0), 5);
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    int err = stead_tcp_read(ends[1], &t[1], rooms[1], 4);
    if (err == STEAD_E_DENIED) {
        close_both();
        skip();
    }
    assert_int_equal(err, STEAD_E_TOO_LARGE);
    assert_int_equal(stead_tcp_read(ends[1], &t[1], rooms[1], ROOM_BYTES), STEAD_OK);
    assert_int_equal(t[1].state, STEAD_TCP_CLOSE_WAIT);
    assert_memory_equal(t[1].unread, "12345", 5);
    assert_int_equal(stead_tcp_read(ends[0], &t[0], rooms[0], ROOM_BYTES), STEAD_E_INVAL);
    close_both();
    assert_int_equal(stead_tcp_read(-1, &t[0], rooms[0], ROOM_BYTES), STEAD_E_INVAL);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(stead_tcp_read(pair[0], &t[0], rooms[0], ROOM_BYTES), STEAD_E_INVAL);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(over_ipv4), cmocka_unit_test(over_ipv6),
                                       cmocka_unit_test(half_closed_and_no_room)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
