/* net.c - sockets of libstead. It lives in other people's programs: no signals, no descriptors left
 * to children. */
#include "client/net.h"

#include "stead/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

uint64_t net_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void net_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0)
            continue; /* a signal; 256 bytes at most are asked for, so nothing else */
        at += n;
        len -= (size_t)n;
    }
}

void net_sleep(uint32_t ms, uint64_t deadline_ms)
{
    uint64_t now = net_now_ms();
    uint64_t left = now < deadline_ms ? deadline_ms - now : 0;
    poll(NULL, 0, (int)(left < ms ? left : ms));
}

static int fold_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
    case ENOBUFS:
        return STEAD_E_NOMEM;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return STEAD_E_UNREACHABLE;
    case ECONNRESET:
    case EPIPE:
        return STEAD_E_CLOSED;
    default:
        return STEAD_E_IO;
    }
}

static socklen_t to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&v6.sin6_addr, a->ip, 16);
    memcpy(out, &v6, sizeof v6);
    return sizeof v6;
}

bool net_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
    *out = (struct addr){0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof v4);
        out->family = 4;
        out->port = ntohs(v4.sin_port);
        memcpy(out->ip, &v4.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof v6);
        out->family = 6;
        out->port = ntohs(v6.sin6_port);
        memcpy(out->ip, &v6.sin6_addr, 16);
    }
    return out->family != 0;
}

static int wait_for(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = net_now_ms();
        if (now >= deadline_ms)
            return STEAD_E_DEADLINE;
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t left = deadline_ms - now;
        int r = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (r > 0)
            return STEAD_OK;
        if (r < 0 && errno != EINTR)
            return fold_errno(errno);
    }
}

static int socket_error(int fd)
{
    int failure = 0;
    socklen_t len = sizeof failure;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
        return fold_errno(errno);
    return failure ? fold_errno(failure) : STEAD_OK;
}

static int begin(int type, const struct addr *to, int *out)
{
    struct sockaddr_storage sa;
    socklen_t len = to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fold_errno(errno);
    int err = STEAD_OK;
    if (connect(fd, (struct sockaddr *)&sa, len) != 0)
        err = errno == EINPROGRESS ? STEAD_PENDING : fold_errno(errno);
    if (err < 0)
        close(fd);
    else
        *out = fd;
    return err;
}

int net_connect(int type, const struct addr *to, uint64_t deadline_ms, int *out)
{
    int fd, err = begin(type, to, &fd);
    if (err < 0)
        return err;
    if (err == STEAD_PENDING)
        err = wait_for(fd, POLLOUT, deadline_ms);
    if (err == STEAD_OK)
        err = socket_error(fd);
    if (err) {
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}

int net_begin_connect(const struct addr *to, int *fd)
{
    return begin(SOCK_STREAM, to, fd);
}

int net_finish_connect(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int r = poll(&p, 1, 0);
    if (r < 0)
        return errno == EINTR ? STEAD_PENDING : fold_errno(errno);
    return r == 0 ? STEAD_PENDING : socket_error(fd);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

int net_try_send(int fd, const void *bytes, size_t len, size_t *sent)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    *sent = n > 0 ? (size_t)n : 0;
    return n >= 0 ? STEAD_OK : would_block() ? STEAD_PENDING : fold_errno(errno);
}

int net_try_receive(int fd, void *bytes, size_t cap, size_t *got)
{
    ssize_t n = recv(fd, bytes, cap, 0);
    *got = n > 0 ? (size_t)n : 0;
    return n >= 0 ? STEAD_OK : would_block() ? STEAD_PENDING : fold_errno(errno);
}

int net_send(int fd, const void *bytes, size_t len, uint64_t deadline_ms)
{
    const uint8_t *at = bytes;
    while (len) {
        int err = wait_for(fd, POLLOUT, deadline_ms);
        if (err)
            return err;
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fold_errno(errno);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return STEAD_OK;
}

int net_receive(int fd, void *bytes, size_t cap, uint64_t deadline_ms, size_t *got)
{
    for (;;) {
        int err = wait_for(fd, POLLIN, deadline_ms);
        if (err)
            return err;
        ssize_t n = recv(fd, bytes, cap, 0);
        if (n >= 0) {
            *got = (size_t)n;
            return STEAD_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return fold_errno(errno);
    }
}
