/* neighbour.c - ARP by a packet socket, neighbour discovery by a raw one, addresses by netlink. */
#include "io/neighbour.h"

#include "io/io.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX 1500
#define FRAMES_A_TURN 64 /* what more comes is dropped by the kernel: one is enough */

/* -- opening -- */

static int find_interface(const char *name, struct neighbour *n)
{
    struct ifreq q = {0};
    if (strlen(name) >= sizeof(q.ifr_name))
        return STEAD_E_NOT_FOUND;
    memcpy(q.ifr_name, name, strlen(name));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(errno);
    bool found = ioctl(fd, SIOCGIFHWADDR, &q) == 0 && q.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    if (found)
        memcpy(n->mac, q.ifr_hwaddr.sa_data, sizeof(n->mac));
    close(fd);
    n->index = (int)if_nametoindex(name);
    return found && n->index > 0 ? STEAD_OK : STEAD_E_NOT_FOUND;
}

static int open_arp(struct neighbour *n)
{
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = n->index};
    n->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ARP));
    if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        return io_error(errno);
    return STEAD_OK;
}

/* Hops of 255: what came through a router is no neighbour's. */
static int open_discovery(struct neighbour *n)
{
    int hops = 255, off = 0, on = 1, index = n->index;
    struct icmp6_filter f;
    ICMP6_FILTER_SETBLOCKALL(&f);
    ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &f);
    n->fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (n->fd < 0)
        return io_error(errno);
    struct ipv6_mreq all = {.ipv6mr_interface = (unsigned)n->index};
    memcpy(&all.ipv6mr_multiaddr, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    if (setsockopt(n->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)) ||
        setsockopt(n->fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &all, sizeof(all)))
        return io_error(errno);
    return STEAD_OK;
}

int neighbour_open(const char *interface, const struct addr *a, struct neighbour *out)
{
    *out = (struct neighbour){.fd = -1, .addr = *a};
    int err = find_interface(interface, out);
    if (!err)
        err = a->family == 6 ? open_discovery(out) : open_arp(out);
    if (err)
        neighbour_close(out);
    return err;
}

void neighbour_close(struct neighbour *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

/* -- ARP -- */

static void send_arp(struct neighbour *n, const uint8_t mac[6], const uint8_t sender[4])
{
    struct ether_arp a = {.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                                     .ar_pro = htons(ETH_P_IP),
                                     .ar_hln = 6,
                                     .ar_pln = 4,
                                     .ar_op = htons(ARPOP_REQUEST)}};
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = n->index,
                             .sll_halen = 6};
    memset(to.sll_addr, 0xff, 6);
    memcpy(a.arp_sha, mac, 6);
    memcpy(a.arp_spa, sender, 4);
    memcpy(a.arp_tpa, n->addr.ip, 4);
    (void)!sendto(n->fd, &a, sizeof(a), 0, (struct sockaddr *)&to, sizeof(to));
}

static bool arp_heard(struct neighbour *n, const uint8_t *frame, size_t len)
{
    struct ether_arp a;
    if (len < sizeof(a))
        return false;
    memcpy(&a, frame, sizeof(a));
    bool other = a.ea_hdr.ar_hrd == htons(ARPHRD_ETHER) && a.ea_hdr.ar_pro == htons(ETH_P_IP) &&
                 a.ea_hdr.ar_hln == 6 && a.ea_hdr.ar_pln == 4 &&
                 memcmp(a.arp_spa, n->addr.ip, 4) == 0 && memcmp(a.arp_sha, n->mac, 6) != 0;
    if (other)
        memcpy(n->other, a.arp_sha, 6);
    return other;
}

/* -- neighbour discovery -- */

struct discovery {
    uint8_t type, code;
    uint16_t checksum; /* the kernel's */
    uint32_t flags;
    uint8_t target[16];
    uint8_t option, option_length, mac[6];
};

static void send_discovery(struct neighbour *n, const uint8_t mac[6], bool advert)
{
    struct discovery d = {.type = advert ? ND_NEIGHBOR_ADVERT : ND_NEIGHBOR_SOLICIT,
                          .flags = advert ? ND_NA_FLAG_OVERRIDE : 0,
                          .option = advert ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR,
                          .option_length = 1};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)n->index};
    memcpy(&to.sin6_addr, "\xff\x02\0\0\0\0\0\0\0\0\0\1\xff\0\0\0", 16);
    memcpy(to.sin6_addr.s6_addr + 13, n->addr.ip + 13, 3);
    if (advert)
        memcpy(&to.sin6_addr, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    memcpy(d.target, n->addr.ip, 16);
    memcpy(d.mac, mac, 6);
    (void)!sendto(n->fd, &d, sizeof(d), 0, (struct sockaddr *)&to, sizeof(to));
}

static bool discovery_heard(struct neighbour *n, const uint8_t *frame, size_t len)
{
    struct discovery d;
    if (len < sizeof(d))
        return false;
    memcpy(&d, frame, sizeof(d));
    bool other = d.type == ND_NEIGHBOR_ADVERT && memcmp(d.target, n->addr.ip, 16) == 0 &&
                 d.option == ND_OPT_TARGET_LINKADDR && d.option_length == 1 &&
                 memcmp(d.mac, n->mac, 6) != 0;
    if (other)
        memcpy(n->other, d.mac, 6);
    return other;
}

/* -- both -- */

void neighbour_ask(struct neighbour *n)
{
    static const uint8_t nobody[4] = {0};
    if (n->addr.family == 6)
        send_discovery(n, n->mac, false);
    else
        send_arp(n, n->mac, nobody); /* a probe: no neighbour learns anything by it */
}

static void tell(struct neighbour *n, const uint8_t mac[6])
{
    if (n->addr.family == 6)
        send_discovery(n, mac, true);
    else
        send_arp(n, mac, n->addr.ip);
}

void neighbour_tell(struct neighbour *n)
{
    tell(n, n->mac);
}

void neighbour_tell_other(struct neighbour *n)
{
    static const uint8_t none[6] = {0};
    if (memcmp(n->other, none, sizeof(none)) != 0)
        tell(n, n->other);
}

static bool hops_are_255(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
            int hops;
            memcpy(&hops, CMSG_DATA(c), sizeof(hops));
            return hops == 255;
        }
    return false;
}

bool neighbour_heard(struct neighbour *n)
{
    bool heard = false;
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        uint8_t frame[FRAME_MAX], control[64];
        struct iovec iov = {frame, sizeof(frame)};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t len = recvmsg(n->fd, &m, 0);
        if (len < 0)
            break;
        heard |= n->addr.family == 6 ? hops_are_255(&m) && discovery_heard(n, frame, (size_t)len)
                                     : arp_heard(n, frame, (size_t)len);
    }
    return heard;
}

/* -- the address -- */

struct address_request {
    struct nlmsghdr head;
    struct ifaddrmsg address;
    struct rtattr attribute;
    uint8_t ip[16];
};

static int ask_kernel(const struct address_request *q)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        char rest[1024];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return io_error(errno);
    ssize_t n = send(fd, q, q->head.nlmsg_len, 0);
    if (n > 0)
        n = recv(fd, &answer, sizeof(answer), 0);
    int why = n < 0 ? errno : EIO;
    close(fd);
    if (n < (ssize_t)(sizeof(answer.head) + sizeof(answer.error)) ||
        answer.head.nlmsg_type != NLMSG_ERROR)
        return io_error(why);
    switch (-answer.error.error) {
    case 0:
    case EEXIST:
    case EADDRNOTAVAIL:
        return STEAD_OK;
    default:
        return io_error(-answer.error.error);
    }
}

static int change_address(const struct neighbour *n, bool take)
{
    size_t ip = n->addr.family == 6 ? 16 : 4;
    struct address_request q = {
        .head = {.nlmsg_type = take ? RTM_NEWADDR : RTM_DELADDR,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (take ? NLM_F_CREATE | NLM_F_EXCL : 0)},
        /* No prefix: no route of the link may change. No duplicate is looked for: it was. */
        .address = {.ifa_family = n->addr.family == 6 ? AF_INET6 : AF_INET,
                    .ifa_prefixlen = (uint8_t)(8 * ip),
                    .ifa_flags = n->addr.family == 6 ? IFA_F_NODAD : 0,
                    .ifa_index = (uint32_t)n->index},
        .attribute = {.rta_type = IFA_LOCAL, .rta_len = (uint16_t)(RTA_LENGTH(0) + ip)}};
    memcpy(q.ip, n->addr.ip, ip);
    q.head.nlmsg_len = (uint32_t)(offsetof(struct address_request, ip) + ip);
    return ask_kernel(&q);
}

int neighbour_take(const struct neighbour *n)
{
    return change_address(n, true);
}

int neighbour_release(const struct neighbour *n)
{
    return change_address(n, false);
}

static bool ip_of(const struct sockaddr *sa, struct addr *out)
{
    return sa && io_from_sockaddr(sa, out);
}

/* Of no prefix: an address that the interface has of its own has one. */
static bool alone(const struct sockaddr *mask)
{
    static const uint8_t all[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct addr a;
    return ip_of(mask, &a) && memcmp(a.ip, all, a.family == 6 ? 16 : 4) == 0;
}

bool neighbour_held(const struct neighbour *n)
{
    struct ifaddrs *all, *at;
    bool held = false;
    if (getifaddrs(&all))
        return false;
    for (at = all; at && !held; at = at->ifa_next) {
        struct addr a;
        held = ip_of(at->ifa_addr, &a) && addr_same_ip(&a, &n->addr) && alone(at->ifa_netmask) &&
               if_nametoindex(at->ifa_name) == (unsigned)n->index;
    }
    freeifaddrs(all);
    return held;
}
