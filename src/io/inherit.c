/* inherit.c - handing descriptors down: at numbers that both know. */
#include "io/inherit.h"

#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LEAST_FREE (INHERIT_SOCKETS + INHERIT_SOCKETS_MAX) /* above what a successor gets */

extern char **environ;

/* -- the successor -- */

/* How many sockets; -1: this is none. */
static int inherited(void)
{
    const char *text = getenv(INHERIT_VARIABLE);
    char *end;
    if (!text || !*text)
        return -1;
    long n = strtol(text, &end, 10);
    return *end == '\0' && n >= 0 && n <= INHERIT_SOCKETS_MAX ? (int)n : -1;
}

bool inherit_any(void)
{
    return inherited() >= 0;
}

/* What this process has opened itself, maybe at a number that has become free, is close-on-exec. */
static bool untaken(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

/* Away from its number, which shows that it is taken. */
static int move(int fd)
{
    int mine = fcntl(fd, F_DUPFD_CLOEXEC, LEAST_FREE);
    if (mine < 0)
        mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (mine >= 0)
        close(fd);
    return mine;
}

int inherit_take(enum inherit_place at)
{
    return inherit_any() && at < INHERIT_SOCKETS && untaken(at) ? move(at) : -1;
}

static bool is_type(int fd, int type)
{
    int is = 0, listens = 0;
    socklen_t len = sizeof is;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &is, &len) || is != type)
        return false;
    len = sizeof listens;
    return type == SOCK_DGRAM ||
           (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens);
}

static int find(const struct addr *a, int type)
{
    for (int i = 0; i < inherited(); i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        struct addr at;
        int fd = INHERIT_SOCKETS + i;
        if (untaken(fd) && is_type(fd, type) &&
            getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
            io_from_sockaddr((struct sockaddr *)&sa, &at) && addr_equal(&at, a))
            return fd;
    }
    return -1;
}

bool inherit_has(const struct addr *a, int type)
{
    return find(a, type) >= 0;
}

int inherit_socket(const struct addr *a, int type)
{
    int fd = find(a, type);
    return fd >= 0 ? move(fd) : -1;
}

int inherit_unix(const char *path)
{
    for (int i = 0; i < inherited(); i++) {
        struct sockaddr_un sa = {0};
        socklen_t len = sizeof sa;
        int fd = INHERIT_SOCKETS + i;
        if (untaken(fd) && is_type(fd, SOCK_STREAM) &&
            getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.sun_family == AF_UNIX &&
            strncmp(sa.sun_path, path, sizeof sa.sun_path) == 0)
            return move(fd);
    }
    return -1;
}

int inherit_lock(const char *path)
{
    struct stat here, there;
    if (!inherit_any() || !untaken(INHERIT_LOCK) || stat(path, &here) ||
        fstat(INHERIT_LOCK, &there) || here.st_dev != there.st_dev || here.st_ino != there.st_ino)
        return -1;
    return move(INHERIT_LOCK);
}

void inherit_end(void)
{
    int count = inherited();
    for (int fd = INHERIT_CONTROL; count >= 0 && fd < INHERIT_SOCKETS + count; fd++)
        if (untaken(fd))
            close(fd);
    unsetenv(INHERIT_VARIABLE);
}

/* -- the elder -- */

static bool shared(int fd)
{
    struct sockaddr_storage sa, peer;
    socklen_t len = sizeof sa, peer_len = sizeof peer;
    struct addr at;
    if (is_type(fd, SOCK_STREAM))
        return true;
    return is_type(fd, SOCK_DGRAM) && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
           io_from_sockaddr((struct sockaddr *)&sa, &at) && at.port != 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0;
}

size_t inherit_gather(int *fds, size_t max)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    struct dirent *one;
    while (all && count < max && (one = readdir(all))) {
        int fd = (int)strtol(one->d_name, NULL, 10); /* "." and ".." give 0 */
        if (fd > 2 && shared(fd))
            fds[count++] = fd;
    }
    if (all)
        closedir(all);
    return count;
}

/* From above all numbers that are given away, since one may be another's place. */
static int add(posix_spawn_file_actions_t *actions, int *copies, size_t *count, int fd, int at)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, LEAST_FREE);
    if (copy < 0)
        return io_error(errno);
    copies[(*count)++] = copy;
    return io_error(posix_spawn_file_actions_adddup2(actions, copy, at));
}

/* The successor is who systemd's watchdog means from now on. */
#define WATCHDOG "WATCHDOG_PID="

static char **environment(size_t sockets)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **out = mem_alloc((n + 2) * sizeof *out);
    char *own = out ? mem_alloc(sizeof INHERIT_VARIABLE + 16) : NULL;
    if (!own) {
        mem_free(out);
        return NULL;
    }
    snprintf(own, sizeof INHERIT_VARIABLE + 16, "%s=%zu", INHERIT_VARIABLE, sockets);
    out[kept++] = own;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], INHERIT_VARIABLE "=", sizeof INHERIT_VARIABLE) != 0 &&
            strncmp(environ[i], WATCHDOG, sizeof WATCHDOG - 1) != 0)
            out[kept++] = environ[i];
    out[kept] = NULL;
    return out;
}

/* Threads block signals of their own; the new process shall not begin with that. */
static int plain_signals(posix_spawnattr_t *a)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigemptyset(&all);
    sigaddset(&all, SIGPIPE);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &all);
    return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int inherit_spawn(const char *binary, char *const *argv, int control, int relay, int lock, int *pid)
{
    int sockets[INHERIT_SOCKETS_MAX], copies[INHERIT_SOCKETS_MAX + 3];
    size_t count = inherit_gather(sockets, INHERIT_SOCKETS_MAX), copied = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **env = environment(count);
    if (!env)
        return STEAD_E_NOMEM;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int err = io_error(plain_signals(&attributes));
    if (!err)
        err = add(&actions, copies, &copied, control, INHERIT_CONTROL);
    if (!err)
        err = add(&actions, copies, &copied, relay, INHERIT_RELAY);
    if (!err)
        err = add(&actions, copies, &copied, lock, INHERIT_LOCK);
    for (size_t i = 0; i < count && !err; i++)
        err = add(&actions, copies, &copied, sockets[i], INHERIT_SOCKETS + (int)i);
    pid_t child = 0;
    if (!err)
        err = io_error(posix_spawn(&child, binary, &actions, &attributes, argv, env));
    while (copied > 0)
        close(copies[--copied]);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    mem_free(env[0]);
    mem_free(env);
    *pid = (int)child;
    return err;
}
