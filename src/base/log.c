/* log.c - formatting, escaping and rate limiting of log lines. The one module with global state,
 * and with a lock, because a line may come from any thread. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODE_TEXT_MAX 96

static _Atomic(enum log_level) level_now = LOG_INFO;
static atomic_int fd_now = STDERR_FILENO;
static char node_text[NODE_TEXT_MAX];
static atomic_bool stamps_now;
static pthread_mutex_t sites_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_ulong lost_now, lost_told;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, level);
}

bool log_wants(enum log_level level)
{
    return level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_node(const char *name)
{
    if (name)
        log_quote(name, strlen(name), node_text, sizeof node_text);
    else
        node_text[0] = 0;
}

void log_set_fd(int fd)
{
    atomic_store(&fd_now, fd);
}

void log_set_stamps(bool stamps)
{
    atomic_store(&stamps_now, stamps);
}

/* "2026-11-21T11:34:07.123Z ", or nothing. */
static size_t put_stamp(char *line, size_t room)
{
    struct timespec now;
    struct tm utc;
    if (!atomic_load(&stamps_now))
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    return len + (size_t)snprintf(line + len, room - len, ".%03dZ ", (int)(now.tv_nsec / 1000000));
}

/* One byte as it stands inside quotes; its length. */
static size_t escape(unsigned char c, char out[4])
{
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    switch (c) {
    case '"':
    case '\\':
        out[1] = (char)c;
        return 2;
    case '\n':
        out[1] = 'n';
        return 2;
    case '\r':
        out[1] = 'r';
        return 2;
    case '\t':
        out[1] = 't';
        return 2;
    default:
        break;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

static bool needs_quotes(const char *text, size_t len)
{
    char unit[4];
    for (size_t i = 0; i < len; i++)
        if (text[i] == ' ' || text[i] == '=' || escape((unsigned char)text[i], unit) != 1)
            return true;
    return len == 0;
}

const char *log_quote(const char *text, unsigned long len, char *buf, unsigned long cap)
{
    char unit[4];
    if (cap == 0)
        return buf;
    buf[0] = 0;
    if (cap < sizeof "\"...\"")
        return buf;
    size_t quote = needs_quotes(text, len) ? 1 : 0;
    size_t room = cap - 1 - 2 * quote, whole = 0;
    for (size_t i = 0; i < len && whole <= room; i++)
        whole += escape((unsigned char)text[i], unit);
    bool cut = whole > room;
    if (cut)
        room -= 3;

    char *to = buf;
    size_t used = 0;
    if (quote)
        *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        size_t n = escape((unsigned char)text[i], unit);
        if (used + n > room)
            break;
        memcpy(to, unit, n);
        to += n;
        used += n;
    }
    if (cut) {
        memcpy(to, "...", 3);
        to += 3;
    }
    if (quote)
        *to++ = '"';
    *to = 0;
    return buf;
}

/* False when the site has said enough in this second. *hushed: lines that were silenced before. */
static bool may_speak(struct log_site *site, unsigned *hushed)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    pthread_mutex_lock(&sites_lock);
    if (site->second != now.tv_sec) {
        site->second = now.tv_sec;
        site->said = 0;
    }
    bool speak = site->said < LOG_BURST;
    *hushed = 0;
    if (speak) {
        site->said++;
        *hushed = site->hushed;
        site->hushed = 0;
    } else {
        site->hushed++;
    }
    pthread_mutex_unlock(&sites_lock);
    return speak;
}

/* No byte of a value may start another line or move a terminal's cursor, whoever forgot
 * log_quote(). */
static void blank_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

static size_t at_most(int wanted, size_t room)
{
    if (wanted < 0)
        return 0;
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody is left to be told */
        bytes += n;
        len -= (size_t)n;
    }
}

/* Not taken at once: whoever reads the log stands still. A pipe or socket that can be written has
 * room for more than a line. */
static bool would_block(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 0;
}

/* In front of the first line that is taken again. */
static void tell_lost(int fd)
{
    char line[128 + NODE_TEXT_MAX];
    unsigned long lost = atomic_load(&lost_now), told = atomic_exchange(&lost_told, lost);
    if (lost == told)
        return;
    size_t len = put_stamp(line, sizeof line);
    len += at_most(snprintf(line + len, sizeof line - len, "%s log-lost%s%s lines=%lu\n",
                            level_names[LOG_WARN], node_text[0] ? " node=" : "", node_text,
                            lost - told),
                   sizeof line - len);
    write_all(fd, line, len);
}

static void write_line(const char *line, size_t len)
{
    int fd = atomic_load(&fd_now);
    pthread_mutex_lock(&write_lock);
    if (would_block(fd)) {
        atomic_fetch_add(&lost_now, 1);
    } else {
        tell_lost(fd);
        write_all(fd, line, len);
    }
    pthread_mutex_unlock(&write_lock);
}

unsigned long log_lost(void)
{
    return atomic_load(&lost_now);
}

void log_write(struct log_site *site, const char *format, ...)
{
    char line[LOG_LINE_MAX + 1], tail[32] = "";
    unsigned hushed;
    if (site->level > atomic_load(&level_now) || !may_speak(site, &hushed))
        return;
    if (hushed)
        snprintf(tail, sizeof tail, " hushed=%u", hushed);

    const char *separator = node_text[0] ? " node=" : "";
    size_t room = LOG_LINE_MAX - strlen(tail); /* leaves the newline's place free */
    size_t len = put_stamp(line, room);
    len += at_most(snprintf(line + len, room - len, "%s %s%s%s ", level_names[site->level],
                            site->event, separator, node_text),
                   room - len);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + len, room - len, format, args);
    va_end(args);
    bool cut = wanted >= 0 && (size_t)wanted >= room - len;
    len += at_most(wanted, room - len);
    if (len > 0 && line[len - 1] == ' ')
        len--; /* an event without pairs */
    if (cut)
        memcpy(line + len - 3, "...", 3);
    memcpy(line + len, tail, strlen(tail));
    len += strlen(tail);
    blank_controls(line, len);
    line[len++] = '\n';
    write_line(line, len);
}
