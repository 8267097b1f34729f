/* burst_test.c - datagrams in bursts come in their order and whole, with segments and without, and
 * one that cannot go keeps no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/burst.h"
#include "io/io.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SINKS 2

struct sockets {
    int from, sink[SINKS];
    struct addr to[SINKS];
    struct burst burst;
    uint8_t bytes[BURST_MAX][1500];
};

static int bound(struct addr *out)
{
    struct addr any;
    struct sockaddr_storage sa;
    socklen_t len;
    assert_true(addr_parse("127.0.0.1:0", 0, &any) || addr_parse("127.0.0.1:1", 0, &any));
    any.port = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    len = io_sockaddr(&any, &sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    len = sizeof sa;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, out));
    return fd;
}

static void setup(struct sockets *s)
{
    struct addr own;
    s->from = bound(&own);
    for (unsigned i = 0; i < SINKS; i++)
        s->sink[i] = bound(&s->to[i]);
    burst_init(&s->burst, s->from);
    for (unsigned i = 0; i < BURST_MAX; i++)
        memset(s->bytes[i], (int)i + 1, sizeof s->bytes[i]);
}

static void teardown(struct sockets *s)
{
    close(s->from);
    for (unsigned i = 0; i < SINKS; i++)
        close(s->sink[i]);
}

static struct burst_datagram datagram(const struct sockets *s, unsigned i, unsigned sink,
                                      size_t len)
{
    return (struct burst_datagram){.to = s->to[sink], .bytes = s->bytes[i], .len = len};
}

/* The next one at the sink is the i-th, of that length. */
static void gets(const struct sockets *s, unsigned sink, unsigned i, size_t len)
{
    uint8_t got[2000];
    struct pollfd p = {.fd = s->sink[sink], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(recv(s->sink[sink], got, sizeof got, 0), (ssize_t)len);
    assert_memory_equal(got, s->bytes[i], len);
}

static void gets_nothing_more(const struct sockets *s)
{
    uint8_t got[1];
    for (unsigned i = 0; i < SINKS; i++)
        assert_int_equal(recv(s->sink[i], got, sizeof got, 0), -1);
}

static void send_mixed(struct sockets *s)
{
    static const struct {
        unsigned sink;
        size_t len;
    } rows[] = {{0, 1200}, {0, 1200}, {0, 1200}, {0, 300}, {0, 1200}, {1, 50},
                {1, 1400}, {0, 1200}, {0, 1200}, {1, 80},  {1, 80},   {1, 0}};
    const unsigned count = sizeof rows / sizeof *rows;
    struct burst_datagram d[sizeof rows / sizeof *rows];
    for (unsigned i = 0; i < count; i++)
        d[i] = datagram(s, i, rows[i].sink, rows[i].len);
    burst_send(&s->burst, d, count);
    for (unsigned i = 0; i < count; i++)
        gets(s, rows[i].sink, i, rows[i].len);
    gets_nothing_more(s);
    assert_int_equal(s->burst.datagrams, count);
    assert_int_equal(s->burst.lost, 0);
}

static void all_come_in_order(void **state)
{
    static struct sockets s;
    (void)state;
    setup(&s);
    send_mixed(&s);
    assert_int_equal(s.burst.calls, 1);
    assert_true(s.burst.single || s.burst.segmented == 8);
    teardown(&s);
}

static void without_segments_as_well(void **state)
{
    static struct sockets s;
    (void)state;
    setup(&s);
    s.burst.single = true;
    send_mixed(&s);
    assert_int_equal(s.burst.segmented, 0);
    teardown(&s);
}

/* Nobody can be reached at port 0: a run to it is refused as one, then one by one. */
static void who_cannot_be_reached_keeps_nobody(void **state)
{
    static struct sockets s;
    (void)state;
    setup(&s);
    struct burst_datagram d[6];
    for (unsigned i = 0; i < 6; i++)
        d[i] = datagram(&s, i, 0, 100);
    d[2].to.port = d[3].to.port = 0;
    burst_send(&s.burst, d, 6);
    gets(&s, 0, 0, 100);
    gets(&s, 0, 1, 100);
    gets(&s, 0, 4, 100);
    gets(&s, 0, 5, 100);
    gets_nothing_more(&s);
    assert_int_equal(s.burst.lost, 2);
    assert_int_equal(s.burst.datagrams, 4);
    teardown(&s);
}

static void as_many_as_there_may_be(void **state)
{
    static struct sockets s;
    (void)state;
    setup(&s);
    struct burst_datagram d[BURST_MAX];
    for (unsigned i = 0; i < BURST_MAX; i++)
        d[i] = datagram(&s, i, 0, 1400); /* more than one segment buffer takes */
    burst_send(&s.burst, d, BURST_MAX);
    for (unsigned i = 0; i < BURST_MAX; i++)
        gets(&s, 0, i, 1400);
    gets_nothing_more(&s);
    burst_send(&s.burst, d, 0);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_come_in_order),
        cmocka_unit_test(without_segments_as_well),
        cmocka_unit_test(who_cannot_be_reached_keeps_nobody),
        cmocka_unit_test(as_many_as_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
