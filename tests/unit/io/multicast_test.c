/* multicast_test.c - what is sent to a group comes to each who listens, from the sender's own
 * address, in a network of this process's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"
#include "io/listen.h"
#include "io/multicast.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool own_network(void)
{
    struct ifreq lo = {.ifr_name = "lo"};
    if (unshare(CLONE_NEWNET))
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    lo.ifr_flags = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
    bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    close(fd);
    return up;
}

static struct addr parsed(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, 0, &a));
    return a;
}

static void sends(int fd, const struct addr *to)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(to, &sa);
    assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&sa, len), 5);
}

static void gets(int fd, const struct addr *from)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr a;
    char bytes[16];
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&sa, &len), 5);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &a));
    assert_true(addr_equal(&a, from));
    assert_int_equal(recv(fd, bytes, sizeof bytes, 0), -1); /* once */
}

static void all_get_it(const char *own1, const char *own2, const char *group_text)
{
    struct addr own[2] = {parsed(own1), parsed(own2)}, group = parsed(group_text);
    int unicast[2], listener[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(listen_udp(&own[i], false, &unicast[i]), STEAD_OK);
        assert_int_equal(multicast_send_by(unicast[i], &own[i]), STEAD_OK);
        assert_int_equal(multicast_listen(&group, &own[i], &listener[i]), STEAD_OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        sends(unicast[i], &group);
        gets(listener[0], &own[i]);
        gets(listener[1], &own[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        close(unicast[i]);
        close(listener[i]);
    }
}

static void everybody_gets_it(void **state)
{
    (void)state;
    if (!own_network())
        skip();
    all_get_it("127.0.0.2:7300", "127.0.0.3:7300", "239.1.2.3:7301");
}

/* lo has no route to groups of IPv6. */
static void everybody_gets_it_by_ipv6(void **state)
{
    (void)state;
    if (!own_network() || system("ip link add d0 type veth peer name d1 && ip link set d0 up && "
                                 "ip link set d1 up && ip addr add fd00::1/64 dev d0 nodad && "
                                 "ip addr add fd00::2/64 dev d0 nodad"))
        skip();
    all_get_it("[fd00::1]:7300", "[fd00::2]:7300", "[ff02::7:1]:7301");
}

static void what_cannot_be_is_said(void **state)
{
    struct addr nowhere = parsed("203.0.113.77:7300"), own = parsed("127.0.0.1:7300");
    struct addr group = parsed("239.1.2.3:7301"), group6 = parsed("[ff02::7:1]:7301");
    int fd = -1;
    (void)state;
    assert_int_equal(multicast_send_by(0, &nowhere), STEAD_E_INVAL);
    assert_int_equal(multicast_listen(&group, &nowhere, &fd), STEAD_E_INVAL);
    assert_int_equal(multicast_listen(&group6, &own, &fd), STEAD_E_INVAL);
    assert_int_equal(multicast_listen(&own, &own, &fd), STEAD_E_INVAL);
    assert_int_equal(fd, -1);
}

static void groups_are_known(void **state)
{
    struct addr yes[] = {parsed("224.0.0.1:1"), parsed("239.255.255.255:1"), parsed("[ff05::1]:1")};
    struct addr no[] = {parsed("223.255.255.255:1"), parsed("240.0.0.0:1"), parsed("[fe80::1]:1")};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(multicast_is_group(&yes[i]));
        assert_false(multicast_is_group(&no[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_known),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(everybody_gets_it),
        cmocka_unit_test(everybody_gets_it_by_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
