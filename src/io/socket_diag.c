/* socket_diag.c - one dump request a family, with a filter that runs in the kernel. */
#include "io/socket_diag.h"

#include "io/io.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define READ_BYTES 32768
#define ADDRESS_WORDS 4

/* The filter: one comparison of the local address and port. */
struct filter {
    struct inet_diag_bc_op op;
    struct inet_diag_hostcond cond;
    uint32_t address[ADDRESS_WORDS];
};

struct request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 diag;
    struct rtattr attribute;
    struct filter filter;
};

static size_t make_filter(const struct addr *at, struct filter *f)
{
    size_t address = at->family == 4 ? 4 : at->family == 6 ? 16 : 0;
    size_t len = sizeof(f->op) + sizeof(f->cond) + address;
    f->op = (struct inet_diag_bc_op){.code = INET_DIAG_BC_S_COND,
                                     .yes = (unsigned char)len,
                                     .no = (unsigned short)(len + 4)}; /* behind the end: refused */
    f->cond.family = at->family == 4 ? AF_INET : at->family == 6 ? AF_INET6 : AF_UNSPEC;
    f->cond.prefix_len = (uint8_t)(address * 8);
    f->cond.port = at->port;
    memcpy(f->address, at->ip, address);
    return len;
}

static int ask(int fd, const struct addr *at, int family)
{
    struct request q;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    memset(&q, 0, sizeof(q));
    size_t filter = make_filter(at, &q.filter);
    q.header = (struct nlmsghdr){
        .nlmsg_len = (uint32_t)(offsetof(struct request, filter) + NLMSG_ALIGN(filter)),
        .nlmsg_type = SOCK_DIAG_BY_FAMILY,
        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
        .nlmsg_seq = (uint32_t)family};
    q.diag.sdiag_family = (uint8_t)family;
    q.diag.sdiag_protocol = IPPROTO_TCP;
    q.diag.idiag_states = 1u << TCP_ESTABLISHED;
    q.attribute = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(filter),
                                  .rta_type = INET_DIAG_REQ_BYTECODE};
    ssize_t sent =
        sendto(fd, &q, q.header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    return sent == (ssize_t)q.header.nlmsg_len ? STEAD_OK : io_error(errno);
}

static int kernel_error(const struct nlmsghdr *h)
{
    const struct nlmsgerr *e = NLMSG_DATA(h);
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
        return STEAD_E_PARSE;
    if (e->error == -ENOENT || e->error == -EOPNOTSUPP)
        return STEAD_E_UNSUPPORTED;
    return io_error(-e->error);
}

/* Counts the messages in one datagram. STEAD_PENDING: more follow. */
static int count_messages(const void *bytes, size_t len, uint32_t sequence, uint32_t *count)
{
    const struct nlmsghdr *h = bytes;
    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_seq != sequence)
            return STEAD_E_PARSE;
        if (h->nlmsg_type == NLMSG_DONE)
            return STEAD_OK;
        if (h->nlmsg_type == NLMSG_ERROR)
            return kernel_error(h);
        if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY && ++*count >= SOCKET_DIAG_MAX)
            return STEAD_OK;
    }
    return STEAD_PENDING;
}

/* A socket for each dump: what was not read of one does not stand before the next. */
static int count_family(const struct addr *at, int family, uint32_t *count)
{
    _Alignas(struct nlmsghdr) char bytes[READ_BYTES];
    struct timeval wait = {.tv_sec = SOCKET_DIAG_WAIT_MS / 1000,
                           .tv_usec = SOCKET_DIAG_WAIT_MS % 1000 * 1000};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return errno == EPROTONOSUPPORT ? STEAD_E_UNSUPPORTED : io_error(errno);
    int err =
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ? io_error(errno) : STEAD_OK;
    if (!err)
        err = ask(fd, at, family);
    for (bool more = !err; more;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n < 0)
            err = errno == EAGAIN  ? STEAD_E_DEADLINE
                  : errno == EINTR ? STEAD_PENDING
                                   : io_error(errno);
        else
            err = count_messages(bytes, (size_t)n, (uint32_t)family, count);
        more = err == STEAD_PENDING;
    }
    close(fd);
    return err;
}

int socket_diag_count(const struct socket_diag *q, uint32_t *out)
{
    uint32_t count = 0;
    int err = STEAD_OK;
    /* IPv4 clients of a socket that listens for both are IPv6 sockets with mapped addresses. */
    if (q->at.family != 6)
        err = count_family(&q->at, AF_INET, &count);
    if (!err && count < SOCKET_DIAG_MAX)
        err = count_family(&q->at, AF_INET6, &count);
    *out = count;
    return err;
}
