/* io.c - the clock, random bytes, addresses and files. Sockets that listen are in listen.c. */
#include "io/io.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096

uint64_t io_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void io_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        at += n;
        len -= (size_t)n;
    }
}

int io_error(int errnum)
{
    switch (errnum) {
    case 0:
        return STEAD_OK;
    case ENOMEM:
    case ENOBUFS:
        return STEAD_E_NOMEM;
    case EINVAL:
        return STEAD_E_INVAL;
    case EADDRINUSE:
        return STEAD_E_IN_USE;
    case EACCES:
    case EPERM:
    case EROFS:
        return STEAD_E_DENIED;
    case ENOENT:
    case ENOTDIR:
        return STEAD_E_NOT_FOUND;
    case EEXIST:
        return STEAD_E_EXISTS;
    case EPIPE:
    case ECONNRESET:
        return STEAD_E_CLOSED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return STEAD_E_UNREACHABLE;
    case ENAMETOOLONG:
    case EFBIG:
        return STEAD_E_TOO_LARGE;
    default:
        return STEAD_E_IO;
    }
}

const char *io_error_text(int errnum)
{
    const char *text = strerrordesc_np(errnum);
    return text ? text : "unknown system error";
}

socklen_t io_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    if (a->family == 6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        memcpy(&v6.sin6_addr, a->ip, 16);
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    return 0;
}

bool io_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
    struct addr a = {0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof v4);
        a.family = 4;
        a.port = ntohs(v4.sin_port);
        memcpy(a.ip, &v4.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof v6);
        a.family = 6;
        a.port = ntohs(v6.sin6_port);
        memcpy(a.ip, &v6.sin6_addr, 16);
    } else {
        return false;
    }
    *out = a;
    return true;
}

/* Reads to the end of the file, which may grow or be of unknown size (/proc). */
static int read_all(int fd, size_t max, char **out, size_t *len)
{
    size_t cap = 4096, have = 0;
    char *bytes = mem_alloc(cap + 1);
    if (!bytes)
        return STEAD_E_NOMEM;
    for (;;) {
        if (have == cap) {
            char *more = mem_realloc(bytes, cap * 2 + 1);
            if (!more) {
                mem_free(bytes);
                return STEAD_E_NOMEM;
            }
            bytes = more;
            cap *= 2;
        }
        ssize_t n = read(fd, bytes + have, cap - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        have += n > 0 ? (size_t)n : 0;
        if (n < 0 || have > max) {
            int err = n < 0 ? io_error(errno) : STEAD_E_TOO_LARGE;
            mem_free(bytes);
            return err;
        }
    }
    bytes[have] = '\0';
    *out = bytes;
    *len = have;
    return STEAD_OK;
}

void io_undumped(const void *at, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at / page * page;
    uintptr_t to = ((uintptr_t)at + len + page - 1) / page * page;
    (void)madvise((void *)from, to - from, MADV_DONTDUMP);
}

int io_read_file(const char *path, size_t max, char **out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(errno);
    int err = read_all(fd, max, out, len);
    close(fd);
    return err;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(errno);
        bytes += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? STEAD_OK : io_error(errno);
}

/* The rename itself is only on disk once its directory is. */
static int sync_parent(const char *path)
{
    char dir[PATH_BYTES_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        snprintf(dir, sizeof dir, ".");
    else if (slash == dir)
        dir[1] = '\0';
    else
        *slash = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error(errno);
    int err = fsync(fd) == 0 ? STEAD_OK : io_error(errno);
    close(fd);
    return err;
}

int io_remove_file(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? STEAD_OK : io_error(errno);
}

int io_write_file(const char *path, const void *bytes, size_t len, unsigned mode)
{
    char temporary[PATH_BYTES_MAX];
    uint32_t suffix;
    io_random(&suffix, sizeof suffix);
    int n = snprintf(temporary, sizeof temporary, "%s.new-%08" PRIx32, path, suffix);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return STEAD_E_TOO_LARGE;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(errno);
    int err = fchmod(fd, (mode_t)mode) == 0 ? write_all(fd, bytes, len) : io_error(errno);
    if (close(fd) != 0 && !err)
        err = io_error(errno);
    if (!err && rename(temporary, path) != 0)
        err = io_error(errno);
    if (err) {
        unlink(temporary);
        return err;
    }
    return sync_parent(path);
}

int io_make_dirs(const char *path)
{
    char part[PATH_BYTES_MAX];
    int n = snprintf(part, sizeof part, "%s", path);
    if (n <= 0 || (size_t)n >= sizeof part)
        return n ? STEAD_E_TOO_LARGE : STEAD_E_INVAL;
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return io_error(errno);
        if (end == '\0')
            break;
        *at = end;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return io_error(errno);
    return S_ISDIR(st.st_mode) ? STEAD_OK : STEAD_E_EXISTS;
}

int io_lock_file(const char *path, int *out)
{
    if ((*out = inherit_lock(path)) >= 0)
        return STEAD_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno == EWOULDBLOCK ? STEAD_E_IN_USE : io_error(errno);
        close(fd);
        return err;
    }
    *out = fd;
    return STEAD_OK;
}
