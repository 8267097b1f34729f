/* tcp_socket.c - a connected socket's state, as the kernel tells it to who may repair it. */
#include "core/tcp/tcp_state.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TRIES_MAX 4

/* Where the queues end, and how much is in them. */
struct queues {
    uint32_t snd_end, rcv_nxt;
    int unacked_unsent, unsent, unread;
};

static int code(int error)
{
    switch (error) {
    case EPERM:
        return STEAD_E_DENIED;
    case EBADF:
    case ENOTSOCK:
    case EOPNOTSUPP:
    case ENOPROTOOPT:
    case ENOTCONN:
    case EINVAL:
        return STEAD_E_INVAL;
    default:
        return STEAD_E_IO;
    }
}

static int get(int fd, int option, void *to, socklen_t len)
{
    return getsockopt(fd, IPPROTO_TCP, option, to, &len) == 0 ? STEAD_OK : code(errno);
}

static int set(int fd, int option, int value)
{
    return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) == 0 ? STEAD_OK : code(errno);
}

static bool read_name(const struct sockaddr_storage *from, uint8_t *family, uint8_t ip[16],
                      uint16_t *port)
{
    memset(ip, 0, 16);
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        *family = 4;
        memcpy(ip, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
        *family = 6;
        memcpy(ip, &in->sin6_addr, 16);
        *port = ntohs(in->sin6_port);
    }
    return from->ss_family == AF_INET || from->ss_family == AF_INET6;
}

static int read_names(int fd, struct stead_tcp *t)
{
    struct sockaddr_storage local = {0}, remote = {0};
    socklen_t len = sizeof local, remote_len = sizeof remote;
    if (getsockname(fd, (struct sockaddr *)&local, &len) != 0 ||
        getpeername(fd, (struct sockaddr *)&remote, &remote_len) != 0)
        return code(errno);
    return read_name(&local, &t->family, t->local_ip, &t->local_port) &&
                   read_name(&remote, &t->family, t->remote_ip, &t->remote_port)
               ? STEAD_OK
               : STEAD_E_INVAL;
}

static int read_info(int fd, struct stead_tcp *t)
{
    struct tcp_info info = {0};
    int err = get(fd, TCP_INFO, &info, sizeof info);
    if (err)
        return err;
    if (info.tcpi_state == TCP_ESTABLISHED)
        t->state = STEAD_TCP_ESTABLISHED;
    else if (info.tcpi_state == TCP_CLOSE_WAIT)
        t->state = STEAD_TCP_CLOSE_WAIT;
    else
        return STEAD_E_INVAL;
    if (info.tcpi_options & TCPI_OPT_WSCALE) {
        t->options |= STEAD_TCP_WSCALE;
        t->snd_wscale = info.tcpi_snd_wscale;
        t->rcv_wscale = info.tcpi_rcv_wscale;
    }
    t->options |= info.tcpi_options & TCPI_OPT_SACK ? STEAD_TCP_SACK : 0;
    t->options |= info.tcpi_options & TCPI_OPT_TIMESTAMPS ? STEAD_TCP_TIMESTAMPS : 0;
    t->options |= info.tcpi_options & TCPI_OPT_ECN ? STEAD_TCP_ECN : 0;
    return STEAD_OK;
}

/* -- while it is under repair -- */

static int read_numbers(int fd, struct stead_tcp *t)
{
    struct tcp_repair_window w = {0};
    int mss = 0, err = get(fd, TCP_REPAIR_WINDOW, &w, sizeof w);
    if (!err)
        err = get(fd, TCP_MAXSEG, &mss, sizeof mss); /* the peer's own, while under repair */
    if (!err && t->options & STEAD_TCP_TIMESTAMPS)
        err = get(fd, TCP_TIMESTAMP, &t->ts_val, sizeof t->ts_val);
    t->snd_wl1 = w.snd_wl1;
    t->snd_wnd = w.snd_wnd;
    t->max_wnd = w.max_window;
    t->rcv_wnd = w.rcv_wnd;
    t->rcv_wup = w.rcv_wup;
    t->mss = mss > 0 && mss <= UINT16_MAX ? (uint16_t)mss : 1;
    return err;
}

static int read_queues(int fd, struct queues *q)
{
    int err = set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
    if (!err)
        err = get(fd, TCP_QUEUE_SEQ, &q->snd_end, sizeof q->snd_end);
    if (!err)
        err = set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
    if (!err)
        err = get(fd, TCP_QUEUE_SEQ, &q->rcv_nxt, sizeof q->rcv_nxt);
    if (!err && (ioctl(fd, SIOCOUTQ, &q->unacked_unsent) != 0 ||
                 ioctl(fd, SIOCOUTQNSD, &q->unsent) != 0 || ioctl(fd, SIOCINQ, &q->unread) != 0))
        err = code(errno);
    return err;
}

/* STEAD_E_BUSY: there is another number of bytes by now. */
static int peek(int fd, int queue, void *to, size_t len)
{
    int err = set(fd, TCP_REPAIR_QUEUE, queue);
    size_t have = 0;
    if (!err && len > 0) {
        ssize_t n = recv(fd, to, len, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return code(errno);
        have = n > 0 ? (size_t)n : 0;
    }
    return err || have == len ? err : STEAD_E_BUSY;
}

static int read_once(int fd, struct stead_tcp *t, char *room, size_t room_bytes)
{
    struct queues q = {0}, again = {0};
    int err = read_queues(fd, &q);
    if (err)
        return err;
    size_t out = (size_t)q.unacked_unsent, unsent = (size_t)q.unsent, in = (size_t)q.unread;
    if (out + in > room_bytes || out + in > STEAD_TCP_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    if (unsent > out)
        return STEAD_E_BUSY;
    if ((err = peek(fd, TCP_SEND_QUEUE, room, out)) ||
        (err = peek(fd, TCP_RECV_QUEUE, room + out, in)) || (err = read_numbers(fd, t)) ||
        (err = read_queues(fd, &again)))
        return err;
    if (memcmp(&q, &again, sizeof q) != 0)
        return STEAD_E_BUSY;
    t->snd_una = q.snd_end - (uint32_t)out;
    t->snd_nxt = q.snd_end - (uint32_t)unsent;
    t->rcv_nxt = q.rcv_nxt;
    t->unacked = room;
    t->unacked_len = out - unsent;
    t->unsent = room + t->unacked_len;
    t->unsent_len = unsent;
    t->unread = room + out;
    t->unread_len = in;
    return STEAD_OK;
}

int stead_tcp_read(int fd, struct stead_tcp *t, void *room, size_t room_bytes)
{
    struct stead_tcp found = {.size = sizeof found};
    int err = read_names(fd, &found);
    if (!err)
        err = read_info(fd, &found);
    if (!err)
        err = set(fd, TCP_REPAIR, TCP_REPAIR_ON);
    if (err)
        return err;
    err = STEAD_E_BUSY;
    for (int i = 0; i < TRIES_MAX && err == STEAD_E_BUSY; i++)
        err = read_once(fd, &found, room, room_bytes);
    int off = set(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP); /* nothing is said to the peer */
    err = err ? err : off;
    if (!err && !tcp_state_is_sound(&found))
        err = STEAD_E_BUSY;
    if (!err)
        *t = found;
    return err;
}
