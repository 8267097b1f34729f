/* name_udp.c - queries by datagram, a batch at a time. An answer leaves from the address that its
 * query came to. */
#include "role/name/name_socket.h"

#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BATCHES_A_TURN 8       /* then the loop's other work has its turn */
#define BUFFER_BYTES (4 << 20) /* a burst waits in the kernel */

static void prepare(struct name_batch *b, bool wildcard)
{
    for (int i = 0; i < NAME_UDP_BATCH; i++) {
        b->vectors[i] = (struct iovec){b->bytes[i], NAME_UDP_BYTES};
        b->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &b->peers[i],
            .msg_namelen = sizeof b->peers[i],
            .msg_iov = &b->vectors[i],
            .msg_iovlen = 1,
            .msg_control = wildcard ? b->control[i] : NULL,
            .msg_controllen = wildcard ? NAME_CONTROL_BYTES : 0,
        };
    }
}

/* Messages that were used are as before; which of them has which buffer does not matter. */
static void renew(struct name_batch *b, int used, bool wildcard)
{
    for (int i = 0; i < used; i++) {
        struct msghdr *m = &b->messages[i].msg_hdr;
        m->msg_namelen = sizeof b->peers[0];
        m->msg_iov->iov_len = NAME_UDP_BYTES;
        if (wildcard) {
            m->msg_control = b->control[m->msg_iov - b->vectors];
            m->msg_controllen = NAME_CONTROL_BYTES;
        }
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

static void set_from(struct addr *out, const void *peer)
{
    const struct sockaddr_in *four = peer;
    const struct sockaddr_in6 *six = peer;
    *out = (struct addr){0};
    if (four->sin_family == AF_INET) {
        out->family = 4;
        memcpy(out->ip, &four->sin_addr, 4);
    } else {
        out->family = 6;
        memcpy(out->ip, &six->sin6_addr, 16);
    }
}

/* Answers come to the front, by changing places with messages that get none. Returns how many there
 * are. */
static unsigned answer_batch(struct name_udp *u, unsigned received)
{
    struct name *n = u->name;
    const struct name_view *v = name_current(n);
    struct name_asker by = name_asker_now(n, false);
    unsigned count = 0;
    for (unsigned i = 0; i < received; i++) {
        struct mmsghdr *m = &n->batch.messages[i], swap;
        struct iovec *part = m->msg_hdr.msg_iov;
        size_t len = 0;
        if (!v || m->msg_hdr.msg_flags & MSG_TRUNC) {
            name_count(&n->stats->dropped);
        } else {
            set_from(&by.from, m->msg_hdr.msg_name);
            by.chance = n->chance++;
            len = name_answer(v, &by, part->iov_base, m->msg_len, DNS_UDP_MAX, n->stats);
        }
        if (len == 0)
            continue;
        part->iov_len = len;
        if (u->wildcard)
            turn_control(&m->msg_hdr);
        m->msg_hdr.msg_flags = 0;
        if (count != i) {
            swap = n->batch.messages[count];
            n->batch.messages[count] = *m;
            *m = swap;
        }
        count++;
    }
    return count;
}

/* What the socket does not take is dropped, as any network might: the client asks again. */
static void send_batch(struct name_udp *u, unsigned count)
{
    struct name *n = u->name;
    unsigned sent = 0;
    while (sent < count) {
        int r = sendmmsg(u->fd, n->batch.messages + sent, count - sent, MSG_DONTWAIT);
        if (r > 0) {
            sent += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        name_count(&n->stats->dropped);
        sent++; /* the first one is at fault */
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct name_udp *u = poll->data;
    struct name_batch *b = &u->name->batch;
    (void)status;
    (void)events;
    prepare(b, u->wildcard);
    for (int i = 0; i < BATCHES_A_TURN; i++) {
        int r = recvmmsg(u->fd, b->messages, NAME_UDP_BATCH, MSG_DONTWAIT, NULL);
        if (r <= 0)
            break;
        send_batch(u, answer_batch(u, (unsigned)r));
        if (r < NAME_UDP_BATCH)
            break;
        renew(b, r, u->wildcard);
    }
}

static bool is_wildcard(int fd)
{
    struct sockaddr_storage sa;
    struct addr a;
    socklen_t len = sizeof sa;
    static const uint8_t any[16];
    if (getsockname(fd, (struct sockaddr *)&sa, &len) ||
        !io_from_sockaddr((struct sockaddr *)&sa, &a))
        return true;
    return memcmp(a.ip, any, sizeof any) == 0;
}

int name_udp_open(struct name *n, struct name_udp *u, int fd)
{
    int on = 1, bytes = BUFFER_BYTES;
    u->name = n;
    u->wildcard = is_wildcard(fd);
    if (u->wildcard) {
        /* One of the two does not fit the socket's family, and fails. */
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    int r = uv_poll_init(n->loop, &u->poll, fd);
    if (r < 0) {
        close(fd);
        return io_error(-r);
    }
    u->poll.data = u;
    u->fd = fd;
    n->handles++;
    r = uv_poll_start(&u->poll, UV_READABLE, on_readable);
    return r < 0 ? io_error(-r) : STEAD_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct name_udp *u = handle->data;
    close(u->fd);
    name_handle_closed(u->name);
}

void name_udp_close(struct name_udp *u)
{
    if (u->fd >= 0)
        uv_close((uv_handle_t *)&u->poll, on_closed);
}
