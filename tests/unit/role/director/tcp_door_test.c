/* tcp_door_test.c - connections are looked at, in one piece and in many, and not for ever. */
#include "role/director/tcp_door.h"

#include "base/mem.h"
#include "io/io.h"
#include "io/listen.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE 40000
#define V1 "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n"

struct rig {
    uv_loop_t loop;
    struct addr at;
    struct prefix loopback;
    struct tcp_door_counters counters;
    struct tcp_door *door;
    int client, arrived;
    struct tcp_arrival last;
    char name[CLIENT_HELLO_NAME_MAX + 1];
    bool closed;
};

static void on_arrived(void *context, const struct tcp_arrival *a)
{
    struct rig *r = context;
    r->arrived++;
    r->last = *a;
    strncpy(r->name, a->name ? a->name : "(none)", sizeof(r->name) - 1);
}

static void on_closed(void *context)
{
    ((struct rig *)context)->closed = true;
}

static bool always(void *context, const struct addr *peer)
{
    (void)context;
    (void)peer;
    return true;
}

static void rig_open(struct rig *r, struct tcp_door_config c)
{
    struct addr any = {4, 0, {127, 0, 0, 1}};
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    memset(r, 0, sizeof(*r));
    r->client = -1;
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(listen_tcp(&any, false, &c.fd), STEAD_OK);
    assert_int_equal(getsockname(c.fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &r->at));
    assert_true(prefix_parse("127.0.0.0/8", &r->loopback));
    if (c.proxy_count)
        c.proxies = &r->loopback;
    c.loop = &r->loop;
    c.what = "test";
    c.connections_max = c.connections_max ? c.connections_max : 8;
    c.counters = &r->counters;
    c.arrived = on_arrived;
    c.context = r;
    assert_int_equal(tcp_door_open(&c, &r->door), STEAD_OK);
}

static void rig_close(struct rig *r)
{
    tcp_door_close(r->door, on_closed, r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_true(r->closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    if (r->client >= 0)
        close(r->client);
    if (r->arrived)
        close(r->last.fd);
    mem_free(r->last.bytes);
}

static void connect_with(struct rig *r, const char *bytes, size_t len)
{
    struct sockaddr_storage sa;
    socklen_t sa_len = io_sockaddr(&r->at, &sa);
    if (r->client >= 0)
        close(r->client);
    r->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(r->client, (struct sockaddr *)&sa, sa_len), 0);
    if (len)
        assert_int_equal(send(r->client, bytes, len, 0), len);
}

#define UNTIL(r, condition)                                                                        \
    do {                                                                                           \
        for (int n_ = 0; !(condition); n_++) {                                                     \
            assert_true(n_ < PATIENCE);                                                            \
            uv_run(&(r)->loop, UV_RUN_NOWAIT);                                                     \
            usleep(100);                                                                           \
        }                                                                                          \
    } while (0)

static void test_nothing_is_waited_for(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, (struct tcp_door_config){0});
    connect_with(&r, NULL, 0);
    UNTIL(&r, r.arrived == 1);
    assert_null(r.last.bytes);
    assert_null(r.last.name);
    assert_true(addr_equal(&r.last.at, &r.at) && addr_equal(&r.last.client, &r.last.peer));
    rig_close(&r);
}

static void test_header_byte_by_byte(void **state)
{
    struct rig r;
    const char text[] = V1 "hello";
    (void)state;
    rig_open(&r, (struct tcp_door_config){.proxy_count = 1});
    connect_with(&r, NULL, 0);
    UNTIL(&r, r.counters.accepted == 1);
    for (size_t i = 0; i < strlen(V1); i++) {
        assert_int_equal(r.arrived, 0);
        assert_int_equal(send(r.client, text + i, 1, 0), 1);
        for (int k = 0; k < 3; k++)
            uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    UNTIL(&r, r.arrived == 1);
    assert_int_equal(r.last.client.port, 5);
    assert_int_equal(r.last.at.port, 6);
    assert_int_equal(r.last.len, 0);
    rig_close(&r);
}

static void test_what_follows_a_header_is_left_there(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, (struct tcp_door_config){.expects = always});
    connect_with(&r, V1 "hello", strlen(V1) + 5);
    UNTIL(&r, r.arrived == 1);
    char bytes[8];
    assert_int_equal(r.last.len, 0);
    assert_int_equal(recv(r.last.fd, bytes, sizeof(bytes), 0), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(r.counters.proxied, 1);
    rig_close(&r);
}

static void test_bogus_headers(void **state)
{
    static const char *const bogus[] = {"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 x\r\n"};
    struct rig r;
    char byte;
    (void)state;
    rig_open(&r, (struct tcp_door_config){.proxy_count = 1});
    for (unsigned i = 0; i < 2; i++) {
        connect_with(&r, bogus[i], strlen(bogus[i]));
        UNTIL(&r, r.counters.malformed == i + 1);
        assert_true(recv(r.client, &byte, 1, 0) <= 0);
    }
    connect_with(&r, "PROXY TCP4", 10);
    shutdown(r.client, SHUT_WR); /* ends before its header does */
    UNTIL(&r, r.counters.malformed == 3);
    assert_int_equal(r.arrived, 0);
    rig_close(&r);
}

static void test_strangers(void **state)
{
    struct rig r;
    struct prefix elsewhere;
    (void)state;
    assert_true(prefix_parse("10.0.0.0/8", &elsewhere));
    rig_open(&r, (struct tcp_door_config){.proxy_count = 1});
    r.loopback = elsewhere;
    connect_with(&r, V1, strlen(V1));
    UNTIL(&r, r.counters.untrusted == 1);
    assert_int_equal(r.arrived, 0);
    rig_close(&r);
}

static void test_slow_ones_and_many(void **state)
{
    struct rig r;
    int first;
    (void)state;
    rig_open(&r, (struct tcp_door_config){.hello = true, .wait_ms = 150, .connections_max = 1});
    connect_with(&r, "\x16\x03\x01", 3);
    UNTIL(&r, r.counters.accepted == 1);
    first = r.client;
    r.client = -1;
    connect_with(&r, "\x16\x03\x01", 3);
    UNTIL(&r, r.counters.full == 1);
    UNTIL(&r, r.counters.slow == 1);
    close(first);
    connect_with(&r, "no TLS", 6);
    UNTIL(&r, r.arrived == 1);
    assert_string_equal(r.name, "");
    assert_memory_equal(r.last.bytes, "no TLS", 6);
    rig_close(&r);
}

static void test_out_of_descriptors(void **state)
{
    struct rig r;
    struct rlimit before, none;
    (void)state;
    rig_open(&r, (struct tcp_door_config){0});
    connect_with(&r, NULL, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)r.client + 1; /* the client's end was made last */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    UNTIL(&r, r.counters.starved >= 2); /* it waits, and looks again */
    assert_int_equal(r.arrived, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    UNTIL(&r, r.arrived == 1); /* nobody was lost */
    rig_close(&r);
}

static void test_closing_while_some_wait(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, (struct tcp_door_config){.hello = true});
    connect_with(&r, "\x16", 1);
    UNTIL(&r, r.counters.accepted == 1);
    rig_close(&r);
    assert_int_equal(r.arrived, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_waited_for),
        cmocka_unit_test(test_header_byte_by_byte),
        cmocka_unit_test(test_what_follows_a_header_is_left_there),
        cmocka_unit_test(test_bogus_headers),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_slow_ones_and_many),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_closing_while_some_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
