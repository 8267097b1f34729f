/* stream.c - which half of it: the socket itself, or TLS. */
#include "io/stream.h"

#include "io/tls.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t stream_read(struct stream *s, void *out, size_t max)
{
    if (s->tls)
        return tls_read(s->tls, out, max);
    return recv(s->fd, out, max, 0);
}

ssize_t stream_write(struct stream *s, const void *bytes, size_t len)
{
    if (s->tls)
        return tls_write(s->tls, bytes, len);
    return send(s->fd, bytes, len, MSG_NOSIGNAL);
}

ssize_t stream_writev(struct stream *s, const struct iovec *iov, size_t count)
{
    if (s->tls)
        return tls_writev(s->tls, iov, count);
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    return sendmsg(s->fd, &m, MSG_NOSIGNAL);
}

uint32_t stream_events(const struct stream *s, bool want_read, bool want_write)
{
    if (s->tls)
        return tls_events(s->tls, want_read, want_write);
    return (want_read ? (uint32_t)EPOLLIN : 0) | (want_write ? (uint32_t)EPOLLOUT : 0);
}

bool stream_pending(const struct stream *s)
{
    return s->tls && tls_pending(s->tls);
}

int stream_shutdown(struct stream *s)
{
    if (s->tls)
        return tls_shutdown(s->tls);
    return shutdown(s->fd, SHUT_WR);
}

void stream_close(struct stream *s, bool reset)
{
    if (s->fd >= 0 && reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (s->tls && !reset)
        (void)tls_shutdown(s->tls); /* said if it can be at once */
    tls_free(s->tls);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){.fd = -1};
}
