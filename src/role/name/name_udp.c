/* name_udp.c - queries by datagram, a batch at a time. An answer leaves from the address that its
 * query came to. */
#include "role/name/name_socket.h"

#include "io/io.h"
#include "store/store.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BATCHES_A_TURN 8 /* then the loop's other work has its turn */

static void prepare(struct name_udp *u)
{
    for (int i = 0; i < NAME_UDP_BATCH; i++) {
        u->vectors[i] = (struct iovec){u->queries[i], NAME_UDP_QUERY_MAX};
        u->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &u->peers[i],
            .msg_namelen = sizeof u->peers[i],
            .msg_iov = &u->vectors[i],
            .msg_iovlen = 1,
            .msg_control = u->control[i],
            .msg_controllen = NAME_CONTROL_BYTES,
        };
    }
}

/* What was said of the way in is what is asked for the way out; but the interface is the routing's
 * choice. */
static void turn_control(struct msghdr *m)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    } else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        m->msg_controllen = CMSG_SPACE(sizeof(struct in6_pktinfo));
    } else {
        m->msg_control = NULL;
        m->msg_controllen = 0;
    }
}

/* Answers are moved to the front. Returns how many there are. */
static unsigned answer_batch(struct name *n, unsigned received)
{
    struct name_udp *u = &n->udp;
    struct roster *r = store_roster(n->store);
    unsigned count = 0;
    for (unsigned i = 0; i < received; i++) {
        struct mmsghdr *m = &u->messages[i];
        size_t len = 0;
        if (m->msg_hdr.msg_flags & MSG_TRUNC)
            atomic_fetch_add_explicit(&n->stats->dropped, 1, memory_order_relaxed);
        else
            len = name_answer(n->config, r, u->queries[i], m->msg_len, false, n->chance++,
                              u->answers[i], DNS_UDP_MAX, n->stats);
        if (len == 0)
            continue;
        u->vectors[i] = (struct iovec){u->answers[i], len};
        turn_control(&m->msg_hdr);
        m->msg_hdr.msg_flags = 0;
        u->messages[count++] = *m;
    }
    roster_unref(r);
    return count;
}

/* What the socket does not take is dropped, as any network might: the client asks again. */
static void send_batch(struct name *n, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        int r = sendmmsg(n->udp.fd, n->udp.messages + sent, count - sent, MSG_DONTWAIT);
        if (r > 0) {
            sent += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        atomic_fetch_add_explicit(&n->stats->dropped, 1, memory_order_relaxed);
        sent++; /* the first one is at fault */
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct name *n = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < BATCHES_A_TURN; i++) {
        prepare(&n->udp);
        int r = recvmmsg(n->udp.fd, n->udp.messages, NAME_UDP_BATCH, MSG_DONTWAIT, NULL);
        if (r <= 0)
            break;
        send_batch(n, answer_batch(n, (unsigned)r));
        if (r < NAME_UDP_BATCH)
            break;
    }
}

int name_udp_open(struct name *n, int fd)
{
    int on = 1;
    /* One of the two does not fit the socket's family, and fails. */
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    int r = uv_poll_init(n->loop, &n->udp.poll, fd);
    if (r < 0) {
        close(fd);
        return io_error(-r);
    }
    n->udp.poll.data = n;
    n->udp.fd = fd;
    n->handles++;
    r = uv_poll_start(&n->udp.poll, UV_READABLE, on_readable);
    return r < 0 ? io_error(-r) : STEAD_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct name *n = handle->data;
    close(n->udp.fd);
    name_handle_closed(n);
}

void name_udp_close(struct name *n)
{
    if (n->udp.fd >= 0)
        uv_close((uv_handle_t *)&n->udp.poll, on_closed);
}
