/* socket_diag_test.c - the kernel's count of established connections, held against real ones. */
#include "io/socket_diag.h"

#include "io/io.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 20

static int listen_on(const char *ip, bool both, struct addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int off = 0;
    assert_true(addr_parse(ip, 0, at));
    len = io_sockaddr(at, &ss);
    int fd = socket(at->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    if (both)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
    if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, CLIENTS)) {
        close(fd);
        return -1;
    }
    len = sizeof(ss);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&ss, at));
    return fd;
}

static void meet(int listener, const struct addr *at, int client[2])
{
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(at, &ss);
    client[0] = socket(ss.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(client[0], (struct sockaddr *)&ss, len), 0);
    client[1] = accept(listener, NULL, NULL);
    assert_true(client[1] >= 0);
}

static uint32_t count(const struct addr *at)
{
    uint32_t n = 12345;
    struct socket_diag q = {*at};
    int err = socket_diag_count(&q, &n);
    if (err == STEAD_E_UNSUPPORTED) {
        print_message("this kernel has no tcp_diag\n");
        skip();
    }
    assert_int_equal(err, STEAD_OK);
    return n;
}

static void counts_what_is_established(void **state)
{
    struct addr at, any, other;
    int clients[CLIENTS][2];
    (void)state;
    int listener = listen_on("127.0.0.1:0", false, &at);
    assert_true(listener >= 0);
    assert_int_equal(count(&at), 0); /* a listener is nobody */
    for (int i = 0; i < CLIENTS; i++)
        meet(listener, &at, clients[i]);
    assert_int_equal(count(&at), CLIENTS); /* one end of each */
    any = (struct addr){.port = at.port};
    assert_int_equal(count(&any), CLIENTS);
    assert_true(addr_parse("127.0.0.2:1", 0, &other));
    other.port = at.port;
    assert_int_equal(count(&other), 0);
    for (int i = 0; i < CLIENTS / 2; i++) {
        close(clients[i][0]); /* the server has not closed yet: CLOSE_WAIT */
        close(clients[i][1]);
    }
    assert_int_equal(count(&at), CLIENTS / 2);
    for (int i = CLIENTS / 2; i < CLIENTS; i++) {
        close(clients[i][0]);
        close(clients[i][1]);
    }
    assert_int_equal(count(&at), 0);
    close(listener);
}

static void counts_both_families_once(void **state)
{
    struct addr at, v4, any;
    int a[2], b[2];
    (void)state;
    int listener = listen_on("[::]:0", true, &at);
    if (listener < 0) {
        print_message("no IPv6 here\n");
        skip();
    }
    assert_true(addr_parse("127.0.0.1:1", 0, &v4));
    v4.port = at.port;
    assert_true(addr_parse("[::1]:1", 0, &at));
    at.port = v4.port;
    any = (struct addr){.port = at.port};
    meet(listener, &v4, a); /* a mapped one at the server */
    meet(listener, &at, b);
    assert_int_equal(count(&any), 2);
    assert_int_equal(count(&v4), 1);
    assert_int_equal(count(&at), 1);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_established),
        cmocka_unit_test(counts_both_families_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
