/* hook.c - commands, signals and sockets of other programs. */
#include "node/hook.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 20 /* so often, whether it is over */
#define PID_FILE_MAX 32

__attribute__((format(printf, 2, 3))) static bool fail(struct hook *h, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(h->why, sizeof h->why, format, args);
    va_end(args);
    return false;
}

static bool is_late(const struct hook *h, uint64_t until_ns)
{
    return atomic_load(h->stop) || io_now_ns() >= until_ns;
}

static uint64_t until(struct hook *h)
{
    h->why[0] = '\0';
    return io_now_ns() + h->deadline_ms * NS_PER_MS;
}

/* -- commands -- */

/* Words point into `copy`. Returns how many there are; 0: too many, or too long a line. */
static size_t divide(const char *line, char copy[HOOK_LINE_MAX], char *words[HOOK_WORDS_MAX + 1])
{
    size_t count = 0;
    char *at = copy, *word;
    if (strlen(line) >= HOOK_LINE_MAX)
        return 0;
    memcpy(copy, line, strlen(line) + 1);
    while ((word = strsep(&at, " \t"))) {
        if (*word && count == HOOK_WORDS_MAX)
            return 0;
        if (*word)
            words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

bool hook_line_valid(const char *line)
{
    char copy[HOOK_LINE_MAX], *words[HOOK_WORDS_MAX + 1];
    return line[strcspn(line, "\r\n")] == '\0' && divide(line, copy, words) > 0 &&
           words[0][0] == '/';
}

/* With a group of its own, and signals as any program expects them. */
static int spawn(char *const *words, pid_t *pid)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const environment[] = {path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    int err = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", 0, 0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    if (!err)
        err = posix_spawn(pid, words[0], &files, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return err;
}

bool hook_run(struct hook *h, const char *line)
{
    char copy[HOOK_LINE_MAX], *words[HOOK_WORDS_MAX + 1];
    pid_t pid, ended;
    int status = 0;
    uint64_t until_ns = until(h);
    if (divide(line, copy, words) == 0)
        return fail(h, "it is no command");
    int err = spawn(words, &pid);
    if (err)
        return fail(h, "%.100s: %s", words[0], io_error_text(err));
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
        if (atomic_load(h->stop))
            return fail(h, "%.100s: this node stops", words[0]);
        if (io_now_ns() >= until_ns) {
            kill(-pid, SIGKILL);
            waitpid(pid, &status, 0);
            return fail(h, "%.100s: not done within %u ms", words[0], h->deadline_ms);
        }
        poll(NULL, 0, LOOK_MS);
    }
    if (ended < 0)
        return fail(h, "%.100s: %s", words[0], io_error_text(errno));
    if (WIFSIGNALED(status))
        return fail(h, "%.100s: ended by signal %d", words[0], WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ||
           fail(h, "%.100s: ended with status %d", words[0], WEXITSTATUS(status));
}

/* -- signals -- */

bool hook_signal(struct hook *h, const char *pid_file, int number)
{
    char *text, *end;
    size_t len;
    h->why[0] = '\0';
    if (io_read_file(pid_file, PID_FILE_MAX, &text, &len) != STEAD_OK)
        return fail(h, "%.100s: %s", pid_file, io_error_text(errno));
    errno = 0;
    long pid = strtol(text, &end, 10);
    bool good =
        errno == 0 && end != text && (*end == '\n' || *end == '\0') && pid > 1 && pid <= INT32_MAX;
    mem_free(text);
    if (!good)
        return fail(h, "%.100s: there is no process number in it", pid_file);
    if (kill((pid_t)pid, number) != 0)
        return fail(h, "process %ld: %s", pid, io_error_text(errno));
    return true;
}

/* -- sockets -- */

/* Until the socket is ready for that. */
static bool wait_for(struct hook *h, int fd, short events, uint64_t until_ns)
{
    struct pollfd on = {.fd = fd, .events = events};
    while (!is_late(h, until_ns))
        if (poll(&on, 1, LOOK_MS) > 0)
            return true;
    return fail(h, "no answer within %u ms", h->deadline_ms);
}

static bool send_all(struct hook *h, int fd, const char *text, size_t len, uint64_t until_ns)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail(h, "%s", io_error_text(errno));
        if (n < 0 && !wait_for(h, fd, POLLOUT, until_ns))
            return false;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool receive_all(struct hook *h, int fd, char *reply, size_t cap, uint64_t until_ns)
{
    size_t len = 0;
    ssize_t n = 1;
    while (n != 0 && len + 1 < cap) {
        if (!wait_for(h, fd, POLLIN, until_ns))
            return false;
        n = recv(fd, reply + len, cap - 1 - len, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail(h, "%s", io_error_text(errno));
        len += n > 0 ? (size_t)n : 0;
    }
    reply[len] = '\0';
    return true;
}

bool hook_say(struct hook *h, const char *path, const char *text, size_t len, char *reply,
              size_t cap)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint64_t until_ns = until(h);
    reply[0] = '\0';
    if (strlen(path) >= sizeof to.sun_path)
        return fail(h, "the socket's path is too long");
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(h, "%s", io_error_text(errno));
    /* A unix socket connects at once, or not at all. */
    bool good = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ||
                fail(h, "%.100s: %s", path, io_error_text(errno));
    good = good && send_all(h, fd, text, len, until_ns) && receive_all(h, fd, reply, cap, until_ns);
    close(fd);
    return good;
}
