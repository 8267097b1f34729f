/* burst.c - runs of datagrams that may share a segment buffer, and what is done when the kernel
 * does not take it. */
#include "io/burst.h"

#include "io/io.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define RUN_BYTES_MAX 64000u /* of one datagram's payload before it is cut: 65,507 at most */

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* older headers */
#endif

union control {
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr align;
};

/* What one call of sendmmsg needs. */
struct call {
    struct mmsghdr messages[BURST_MAX];
    struct iovec pieces[BURST_MAX];
    struct sockaddr_storage to[BURST_MAX];
    union control control[BURST_MAX];
    unsigned count;
};

void burst_init(struct burst *b, int fd)
{
    *b = (struct burst){.fd = fd};
}

/* So many of them, from the first on, can go as one: equal in length, but that the last may be
 * shorter. */
static size_t run_of(const struct burst_datagram d[], size_t n)
{
    size_t count = 1, bytes = d[0].len;
    while (count < n && addr_equal(&d[count].to, &d[0].to) && d[count].len > 0 &&
           d[count].len <= d[0].len && bytes + d[count].len <= RUN_BYTES_MAX) {
        bytes += d[count++].len;
        if (d[count - 1].len < d[0].len)
            break;
    }
    return count;
}

static void set_segment(struct msghdr *h, union control *c, uint16_t len)
{
    memset(c, 0, sizeof *c);
    h->msg_control = c->bytes;
    h->msg_controllen = sizeof c->bytes;
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    m->cmsg_level = IPPROTO_UDP;
    m->cmsg_type = UDP_SEGMENT;
    m->cmsg_len = CMSG_LEN(sizeof len);
    memcpy(CMSG_DATA(m), &len, sizeof len);
}

static void prepare(const struct burst_datagram d[], size_t n, bool single, struct call *c)
{
    c->count = 0;
    for (size_t i = 0; i < n;) {
        size_t run = single ? 1 : run_of(d + i, n - i);
        unsigned k = c->count++;
        struct msghdr *h = &c->messages[k].msg_hdr;
        *h = (struct msghdr){.msg_name = &c->to[k], .msg_iov = &c->pieces[i], .msg_iovlen = run};
        h->msg_namelen = io_sockaddr(&d[i].to, &c->to[k]);
        if (run > 1)
            set_segment(h, &c->control[k], (uint16_t)d[i].len);
        for (size_t end = i + run; i < end; i++)
            c->pieces[i] = (struct iovec){(void *)(uintptr_t)d[i].bytes, d[i].len};
    }
}

/* Would single ones do where segments did not? Not where there is no room, and not where the frame
 * is too large for the way. */
static bool refuses_segments(int err)
{
    return err == EINVAL || err == EIO || err == EOPNOTSUPP || err == ENOPROTOOPT ||
           err == EMSGSIZE;
}

/* Sends from the first on; returns how many went. *err: why not the next, *run: so many share its
 * fate. */
static size_t send_call(struct burst *b, const struct burst_datagram d[], size_t n, bool single,
                        int *err, size_t *run)
{
    struct call c;
    size_t went = 0;
    prepare(d, n, single, &c);
    for (unsigned done = 0; done < c.count;) {
        int sent = sendmmsg(b->fd, c.messages + done, c.count - done, MSG_DONTWAIT);
        b->calls++;
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            *err = errno;
            *run = c.messages[done].msg_hdr.msg_iovlen;
            break;
        }
        for (int i = 0; i < sent; i++) {
            size_t count = c.messages[done++].msg_hdr.msg_iovlen;
            b->segmented += count > 1 ? count : 0;
            went += count;
        }
    }
    b->datagrams += went;
    return went;
}

void burst_send(struct burst *b, const struct burst_datagram d[], size_t n)
{
    bool single = b->single;
    assert(n <= BURST_MAX);
    while (n > 0) {
        int err = 0;
        size_t run = 0, went = send_call(b, d, n, single, &err, &run);
        d += went;
        n -= went;
        if (n > 0 && run > 1 && refuses_segments(err)) {
            single = true; /* one that is too large is none of the others' fault */
            b->single = b->single || err != EMSGSIZE;
        } else if (n > 0) {
            bool full = err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS;
            size_t lost = full ? n : run;
            b->lost += lost;
            d += lost;
            n -= lost;
        }
    }
}
