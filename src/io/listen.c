/* listen.c - sockets that listen or receive: TCP, UDP and unix. */
#include "io/listen.h"

#include "io/inherit.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static bool set_flag(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

/* A socket bound to the address. reuse_addr lets TCP bind over connections in TIME_WAIT; for UDP it
 * would let two processes share a port. */
static int bind_socket(const struct addr *a, int type, bool reuseport, bool transparent, int *out)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(a, &sa);
    if (!len)
        return STEAD_E_INVAL;
    int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(errno);
    if ((a->family == 6 && !set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        (type == SOCK_STREAM && !set_flag(fd, SOL_SOCKET, SO_REUSEADDR)) ||
        (reuseport && !set_flag(fd, SOL_SOCKET, SO_REUSEPORT)) ||
        (transparent && !(a->family == 6 ? set_flag(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)
                                         : set_flag(fd, IPPROTO_IP, IP_TRANSPARENT))) ||
        bind(fd, (struct sockaddr *)&sa, len) != 0) {
        int err = io_error(errno);
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}

static int open_listener(const struct addr *a, bool reuseport, bool transparent, int *out)
{
    if ((*out = inherit_socket(a, SOCK_STREAM)) >= 0)
        return STEAD_OK;
    int fd, err = bind_socket(a, SOCK_STREAM, reuseport, transparent, &fd);
    if (err)
        return err;
    /* Two sockets with SO_REUSEADDR may be bound to one port; it is listen() that tells. */
    if (listen(fd, BACKLOG) != 0) {
        err = io_error(errno);
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}

int listen_tcp(const struct addr *a, bool reuseport, int *out)
{
    return open_listener(a, reuseport, false, out);
}

int listen_tcp_transparent(const struct addr *a, bool reuseport, int *out)
{
    return open_listener(a, reuseport, true, out);
}

int listen_udp(const struct addr *a, bool reuseport, int *out)
{
    *out = inherit_socket(a, SOCK_DGRAM);
    return *out >= 0 ? STEAD_OK : bind_socket(a, SOCK_DGRAM, reuseport, false, out);
}

int listen_probe_tcp(const struct addr *a)
{
    if (inherit_has(a, SOCK_STREAM))
        return STEAD_OK;
    int fd = -1, err = listen_tcp(a, false, &fd);
    if (!err)
        close(fd);
    return err;
}

int listen_probe_udp(const struct addr *a)
{
    if (inherit_has(a, SOCK_DGRAM))
        return STEAD_OK;
    int fd = -1, err = listen_udp(a, false, &fd);
    if (!err)
        close(fd);
    return err;
}

/* Takes a file away that is a socket nobody accepts on. */
static int remove_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) != 0)
        return errno == ENOENT ? STEAD_OK : io_error(errno);
    if (!S_ISSOCK(st.st_mode))
        return STEAD_E_EXISTS;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(errno);
    bool refused =
        connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return STEAD_E_IN_USE;
    return unlink(sa->sun_path) == 0 || errno == ENOENT ? STEAD_OK : io_error(errno);
}

int listen_unix(const char *path, mode_t mode, int *out)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof sa.sun_path)
        return len ? STEAD_E_TOO_LARGE : STEAD_E_INVAL;
    memcpy(sa.sun_path, path, len);
    if ((*out = inherit_unix(path)) >= 0)
        return STEAD_OK;
    int err = remove_stale(&sa);
    if (err)
        return err;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(errno);
    /* Before bind(), so that the file is never more open than asked; after it, as the umask may
     * have taken away from it. */
    if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        err = io_error(errno);
        close(fd);
        return err;
    }
    if (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0) {
        err = io_error(errno);
        unlink(path);
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}
