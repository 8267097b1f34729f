/* name_test.c - a name server on a loop, asked over real sockets on loopback addresses. The store
 * is this file's own: it has a roster and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/dns/dns.h"
#include "io/io.h"
#include "io/listen.h"
#include "role/name/name.h"
#include "store/store.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct store {
    pthread_mutex_t lock;
    struct roster *roster;
};

struct roster *store_roster(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct roster *r = s->roster ? roster_ref(s->roster) : NULL;
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Takes the reference, and drops that of the roster before. */
static void set_roster(struct store *s, struct roster *r)
{
    pthread_mutex_lock(&s->lock);
    struct roster *old = s->roster;
    s->roster = r;
    pthread_mutex_unlock(&s->lock);
    roster_unref(old);
}

static const struct name_config config = {
    .zone_count = 1,
    .zones = {"shop.test"},
    .service_count = 1,
    .services = {{.id = "shop", .name = "www.shop.test"}},
    .ttl_s = 5,
    .addresses = 8,
};

struct fixture {
    uv_loop_t loop;
    struct store store;
    struct name_stats stats[NAME_STATS]; /* of the IPv4 listener, and the last of TCP */
    struct name_book *book;
    struct name *name;
    struct addr udp, tcp, udp6;
    bool closed;
};

static struct addr bound(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &a));
    return a;
}

/* One server, 192.0.2.N, in the Nth revision. */
static struct roster *make_roster(uint8_t n)
{
    struct roster *r = roster_blank(1, 1);
    assert_non_null(r);
    struct entry *e = r->nodes[0].entry;
    r->revision = n;
    r->nodes[0].status = STATUS_UP;
    strcpy(e->name, "s1");
    assert_true(addr_parse("192.0.2.0:80", 0, &e->public));
    e->public.ip[3] = n;
    e->server_count = 1;
    e->servers[0] = (struct server){.service = "shop", .weight = 1, .healthy = true};
    return r;
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    struct addr any;
    int udp[2], tcp[2];
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    pthread_mutex_init(&f->store.lock, NULL);
    set_roster(&f->store, make_roster(1));
    assert_true(addr_parse("0.0.0.0:0", 0, &any));
    assert_int_equal(listen_udp(&any, false, &udp[0]), 0);
    assert_int_equal(listen_tcp(&any, false, &tcp[0]), 0);
    f->udp = bound(udp[0]);
    f->tcp = bound(tcp[0]);
    assert_true(addr_parse("[::1]:0", 0, &any));
    assert_int_equal(listen_udp(&any, false, &udp[1]), 0);
    f->udp6 = bound(udp[1]);
    tcp[1] = -1;
    f->book = name_book_new(&config, &f->store);
    assert_non_null(f->book);
    assert_int_equal(name_open(&f->loop, &config, f->book, udp, tcp, 2, f->stats, &f->name), 0);
    *state = f;
    return 0;
}

static void note_closed(void *context)
{
    ((struct fixture *)context)->closed = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    name_close(f->name, note_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    name_book_free(f->book);
    set_roster(&f->store, NULL);
    pthread_mutex_destroy(&f->store.lock);
    mem_free(f);
    return 0;
}

static int connect_to(int type, const struct addr *server, const char *ip)
{
    struct addr to;
    struct sockaddr_storage sa;
    assert_true(addr_parse(ip, server->port, &to));
    socklen_t len = io_sockaddr(&to, &sa);
    int fd = socket(sa.ss_family, type, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

static void run_loop(struct fixture *f, int turns)
{
    for (int i = 0; i < turns; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Runs the loop until the descriptor is readable (or at its end), for two seconds at most. */
static bool wait_readable(struct fixture *f, int fd)
{
    for (int i = 0; i < 2000; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        run_loop(f, 1);
        if (poll(&p, 1, 1) > 0)
            return true;
    }
    return false;
}

static size_t receive(struct fixture *f, int fd, uint8_t *bytes, size_t want)
{
    size_t got = 0;
    while (got < want && wait_readable(f, fd)) {
        ssize_t r = recv(fd, bytes + got, want - got, 0);
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    return got;
}

static bool is_closed(struct fixture *f, int fd)
{
    uint8_t byte;
    return wait_readable(f, fd) && recv(fd, &byte, 1, 0) <= 0;
}

static size_t build(uint8_t *bytes, size_t cap, uint16_t id)
{
    size_t len = dns_build_query(bytes + 2, cap - 2, id, "www.shop.test", DNS_A);
    bytes[0] = (uint8_t)(len >> 8);
    bytes[1] = (uint8_t)len;
    return len + 2;
}

static void assert_answer(const uint8_t *bytes, size_t len, uint16_t id)
{
    struct addr found[2];
    size_t count;
    assert_int_equal(dns_parse_addresses(bytes, len, id, "www.shop.test", DNS_A, found, 2, &count),
                     0);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].ip[3], 1);
}

static void test_udp(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512], answer[2048];
    static const char *const ips[] = {"127.0.0.1", "127.0.0.2"};
    for (uint16_t i = 0; i < 2; i++) {
        /* connected: an answer from another address than the one asked would not arrive */
        int fd = connect_to(SOCK_DGRAM, &f->udp, ips[i]);
        size_t len = build(query, sizeof query, i);
        assert_int_equal(send(fd, query + 2, len - 2, 0), len - 2);
        assert_true(wait_readable(f, fd));
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        assert_true(got > 0);
        assert_answer(answer, (size_t)got, i);
        close(fd);
    }
    assert_int_equal(f->stats[0].udp, 2);
    assert_int_equal(f->stats[0].answered, 2);
}

static void test_udp_by_ipv6(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512], answer[2048];
    int fd = connect_to(SOCK_DGRAM, &f->udp6, "::1");
    size_t len = build(query, sizeof query, 5);
    assert_int_equal(send(fd, query + 2, len - 2, 0), len - 2);
    assert_true(wait_readable(f, fd));
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    assert_true(got > 0);
    assert_answer(answer, (size_t)got, 5);
    close(fd);
}

/* The answers follow the roster, though they are made beforehand. */
static void test_a_new_roster_is_answered_from(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512], answer[2048];
    struct addr found[2];
    size_t count = 0, len = build(query, sizeof query, 6);
    int fd = connect_to(SOCK_DGRAM, &f->udp, "127.0.0.1");
    for (int i = 0; i < 200 && !(count == 1 && found[0].ip[3] == 9); i++) {
        if (i == 1)
            set_roster(&f->store, make_roster(9));
        assert_int_equal(send(fd, query + 2, len - 2, 0), len - 2);
        assert_true(wait_readable(f, fd));
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        assert_int_equal(
            dns_parse_addresses(answer, (size_t)got, 6, "www.shop.test", DNS_A, found, 2, &count),
            0);
        assert_true(i > 0 || found[0].ip[3] == 1);
        usleep(1000);
    }
    assert_int_equal(found[0].ip[3], 9);
    assert_int_equal(f->stats[0].views, 2);
    close(fd);
}

static void test_no_roster_no_answer(void **state)
{
    struct fixture *f = *state;
    uint8_t query[512];
    set_roster(&f->store, NULL);
    int fd = connect_to(SOCK_DGRAM, &f->udp, "127.0.0.1");
    size_t len = build(query, sizeof query, 5);
    assert_int_equal(send(fd, query + 2, len - 2, 0), len - 2);
    for (int i = 0; i < 2000 && f->stats[0].dropped == 0; i++)
        usleep(1000);
    assert_int_equal(f->stats[0].dropped, 1);
    close(fd);
}

static void test_udp_many_and_odd(void **state)
{
    struct fixture *f = *state;
    static uint8_t large[4000];
    uint8_t query[512], answer[2048];
    int fd = connect_to(SOCK_DGRAM, &f->udp, "127.0.0.1");
    assert_true(send(fd, large, sizeof large, 0) > 0);
    assert_true(send(fd, "x", 1, 0) > 0);
    assert_true(send(fd, "", 0, 0) == 0);
    for (uint16_t i = 0; i < 100; i++) {
        size_t len = build(query, sizeof query, i);
        assert_true(send(fd, query + 2, len - 2, 0) > 0);
    }
    for (uint16_t i = 0; i < 100; i++) {
        assert_true(wait_readable(f, fd));
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        assert_true(got > 0);
        assert_answer(answer, (size_t)got, i);
    }
    assert_int_equal(f->stats[0].dropped, 3);
    close(fd);
}

static void test_tcp_in_pieces_and_pipelined(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[4096], one[512];
    int fd = connect_to(SOCK_STREAM, &f->tcp, "127.0.0.1");
    size_t len = build(one, sizeof one, 1);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(send(fd, one + i, 1, 0), 1);
        run_loop(f, 2);
    }
    size_t answer_len = len - 2 + 16; /* one A record more */
    assert_int_equal(receive(f, fd, bytes, 2 + answer_len), 2 + answer_len);
    assert_answer(bytes + 2, answer_len, 1);
    for (uint16_t i = 0; i < 50; i++)
        build(bytes + i * len, sizeof one, i);
    assert_int_equal(send(fd, bytes, 50 * len, 0), 50 * len);
    for (uint16_t i = 0; i < 50; i++) {
        assert_int_equal(receive(f, fd, bytes, 2 + answer_len), 2 + answer_len);
        assert_int_equal(bytes[0] << 8 | bytes[1], answer_len);
        assert_answer(bytes + 2, answer_len, i);
    }
    assert_int_equal(f->stats[NAME_STATS - 1].tcp, 51);
    shutdown(fd, SHUT_WR);
    assert_true(is_closed(f, fd));
    close(fd);
}

static void test_tcp_of_no_sense(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"\xff\xff", "\0\1x", "GET / HTTP/1.1\r\n"};
    static const size_t lens[] = {2, 3, 16};
    for (size_t i = 0; i < 3; i++) {
        int fd = connect_to(SOCK_STREAM, &f->tcp, "127.0.0.1");
        assert_int_equal(send(fd, bad[i], lens[i], 0), lens[i]);
        assert_true(is_closed(f, fd));
        close(fd);
    }
    assert_int_equal(f->stats[NAME_STATS - 1].oversized, 2);
    assert_int_equal(f->stats[NAME_STATS - 1].dropped, 1);
    assert_int_equal(f->stats[NAME_STATS - 1].connections, 3);
}

/* It must not hold more than so many answers for somebody who takes none; when he does, none is
 * missing. */
static void test_tcp_slow_reader(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[1 << 20];
    uint8_t answer[512];
    int fd = connect_to(SOCK_STREAM, &f->tcp, "127.0.0.1");
    size_t len = build(answer, sizeof answer, 3), have = 0, sent = 0, asked = 0;
    while (have + len <= sizeof bytes)
        have += build(bytes + have, len, 3);
    for (int idle = 0; idle < 50;) { /* until nothing more is taken */
        ssize_t r = send(fd, bytes + sent % have, have - sent % have, MSG_DONTWAIT);
        idle = r > 0 ? 0 : idle + 1;
        sent += r > 0 ? (size_t)r : 0;
        run_loop(f, 2);
    }
    asked = sent / len;
    assert_true(f->stats[NAME_STATS - 1].tcp < asked); /* it has stopped reading */
    for (size_t i = 0; i < asked; i++) {
        assert_int_equal(receive(f, fd, answer, len + 16), len + 16);
        assert_answer(answer + 2, len + 14, 3);
    }
    close(fd);
}

static void test_tcp_oldest_makes_room(void **state)
{
    struct fixture *f = *state;
    int fds[NAME_TCP_CONNECTIONS_MAX + 1];
    for (int i = 0; i <= NAME_TCP_CONNECTIONS_MAX; i++) {
        fds[i] = connect_to(SOCK_STREAM, &f->tcp, "127.0.0.1");
        run_loop(f, 2);
    }
    assert_true(is_closed(f, fds[0]));
    assert_int_equal(f->stats[NAME_STATS - 1].evicted, 1);
    uint8_t query[512];
    for (int i = 1; i <= NAME_TCP_CONNECTIONS_MAX; i += NAME_TCP_CONNECTIONS_MAX - 1) {
        size_t len = build(query, sizeof query, 9);
        assert_int_equal(send(fds[i], query, len, 0), len);
        assert_int_equal(receive(f, fds[i], query, len + 16), len + 16);
    }
    for (int i = 0; i <= NAME_TCP_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

static void test_failed_open_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct addr any;
    int udp, tcp;
    struct name *n = NULL;
    assert_true(addr_parse("127.0.0.1:0", 0, &any));
    assert_int_equal(listen_udp(&any, false, &udp), 0);
    assert_int_equal(listen_tcp(&any, false, &tcp), 0);
    mem_fail_after(1);
    assert_int_equal(name_open(&f->loop, &config, f->book, &udp, &tcp, 1, f->stats, &n),
                     STEAD_E_NOMEM);
    assert_null(n);
    assert_int_equal(close(udp), -1);
    assert_int_equal(close(tcp), -1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_udp),
        test(test_udp_by_ipv6),
        test(test_a_new_roster_is_answered_from),
        test(test_no_roster_no_answer),
        test(test_udp_many_and_odd),
        test(test_tcp_in_pieces_and_pipelined),
        test(test_tcp_of_no_sense),
        test(test_tcp_slow_reader),
        test(test_tcp_oldest_makes_room),
        test(test_failed_open_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
