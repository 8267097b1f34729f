/* multicast.c - joining a group, by the interface that has an address. */
#include "io/multicast.h"

#include "io/io.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool multicast_is_group(const struct addr *a)
{
    return (a->family == 4 && (a->ip[0] & 0xf0) == 0xe0) || (a->family == 6 && a->ip[0] == 0xff);
}

static bool same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

/* All of 127.0.0.0/8 is lo's, though lo names only one address. */
static bool has(const struct ifaddrs *i, const struct addr *own)
{
    struct addr a;
    bool loopback = (i->ifa_flags & IFF_LOOPBACK) != 0 && own->family == 4 && own->ip[0] == 127;
    return i->ifa_addr && io_from_sockaddr(i->ifa_addr, &a) && (loopback || same_ip(&a, own));
}

/* 0 when no interface has it. */
static unsigned interface_of(const struct addr *own)
{
    struct ifaddrs *all;
    unsigned index = 0;
    if (getifaddrs(&all))
        return 0;
    for (const struct ifaddrs *i = all; i && index == 0; i = i->ifa_next) {
        if (has(i, own))
            index = if_nametoindex(i->ifa_name);
    }
    freeifaddrs(all);
    return index;
}

static int set(int fd, int level, int option, const void *value, socklen_t len)
{
    return setsockopt(fd, level, option, value, len) ? io_error(errno) : STEAD_OK;
}

int multicast_send_by(int fd, const struct addr *own)
{
    int one = 1, err, index = (int)interface_of(own);
    if (index == 0)
        return STEAD_E_INVAL;
    if (own->family == 6) {
        err = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
        if (!err)
            err = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &one, sizeof one);
        return err ? err : set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &one, sizeof one);
    }
    struct ip_mreqn by = {.imr_ifindex = index};
    memcpy(&by.imr_address, own->ip, sizeof by.imr_address);
    err = set(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
    if (!err)
        err = set(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof one);
    return err ? err : set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof one);
}

static int join(int fd, const struct addr *group, unsigned index)
{
    int off = 0;
    if (group->family == 6) {
        struct ipv6_mreq to = {.ipv6mr_interface = index};
        memcpy(&to.ipv6mr_multiaddr, group->ip, sizeof to.ipv6mr_multiaddr);
        int err = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof off);
        return err ? err : set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &to, sizeof to);
    }
    struct ip_mreqn to = {.imr_ifindex = (int)index};
    memcpy(&to.imr_multiaddr, group->ip, sizeof to.imr_multiaddr);
    /* Only what came by the interface that was joined. */
    int err = set(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
    return err ? err : set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &to, sizeof to);
}

static int bind_group(int fd, const struct addr *group, unsigned index)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(group, &sa);
    int one = 1, err = set(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (group->family == 6)
        ((struct sockaddr_in6 *)&sa)->sin6_scope_id = index;
    if (!err && bind(fd, (struct sockaddr *)&sa, len))
        err = io_error(errno);
    return err ? err : join(fd, group, index);
}

int multicast_listen(const struct addr *group, const struct addr *own, int *out)
{
    unsigned index = interface_of(own);
    if (index == 0 || group->family != own->family || !multicast_is_group(group))
        return STEAD_E_INVAL;
    int fd = socket(group->family == 6 ? AF_INET6 : AF_INET,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(errno);
    int err = bind_group(fd, group, index);
    if (err) {
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}
