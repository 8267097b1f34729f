/* stream.c - the plain half of it. */
#include "io/stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t stream_read(struct stream *s, void *out, size_t max)
{
    return recv(s->fd, out, max, 0);
}

ssize_t stream_write(struct stream *s, const void *bytes, size_t len)
{
    return send(s->fd, bytes, len, MSG_NOSIGNAL);
}

ssize_t stream_writev(struct stream *s, const struct iovec *iov, size_t count)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    return sendmsg(s->fd, &m, MSG_NOSIGNAL);
}

uint32_t stream_events(const struct stream *s, bool want_read, bool want_write)
{
    (void)s;
    return (want_read ? (uint32_t)EPOLLIN : 0) | (want_write ? (uint32_t)EPOLLOUT : 0);
}

bool stream_pending(const struct stream *s)
{
    (void)s;
    return false;
}

int stream_shutdown(struct stream *s)
{
    return shutdown(s->fd, SHUT_WR);
}

void stream_close(struct stream *s, bool reset)
{
    if (s->fd >= 0 && reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){.fd = -1};
}
