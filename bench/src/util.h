/* util.h - what the small loaders and limits share: time, sockets, a latency histogram.
 *
 * Addresses are 127.0.9.1:8080 or unix:/path. A failure of set-up ends the tool with a sentence:
 * these are measuring programs, nobody could go on. */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static inline void __attribute__((noreturn)) die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void __attribute__((noreturn)) usage(const char *text)
{
    fprintf(stderr, "usage: %s\n", text);
    exit(2);
}

/* An argument that is a number from min to max. */
static inline double number_parse(const char *text, double min, double max)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= min && n <= max)) {
        fprintf(stderr, "'%s' is not a number from %g to %g\n", text, min, max);
        exit(2);
    }
    return n;
}

struct target {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } addr;
    socklen_t len;
};

static inline struct target target_parse(const char *text)
{
    struct target t = {0};
    const char *colon = strrchr(text, ':');
    char host[64];
    if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof t.addr.un.sun_path) {
        t.addr.un.sun_family = AF_UNIX;
        memcpy(t.addr.un.sun_path, text + 5, strlen(text + 5));
        t.len = sizeof t.addr.un;
        return t;
    }
    if (!colon || (size_t)(colon - text) >= sizeof host)
        usage("ADDRESS is IP:PORT or unix:PATH");
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    t.addr.in.sin_family = AF_INET;
    t.addr.in.sin_port = htons((uint16_t)number_parse(colon + 1, 1, 65535));
    t.len = sizeof t.addr.in;
    if (inet_pton(AF_INET, host, &t.addr.in.sin_addr) != 1)
        usage("ADDRESS is IP:PORT or unix:PATH");
    return t;
}

static inline void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

/* Nagle's delay would be measured otherwise. Nothing on a unix socket. */
static inline void no_delay(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static inline int target_listen(const struct target *t)
{
    int fd = socket(t->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (t->addr.any.sa_family == AF_UNIX)
        unlink(t->addr.un.sun_path);
    if (bind(fd, &t->addr.any, t->len) || listen(fd, 4096))
        die("listen");
    return fd;
}

/* Blocking; local connects take no time. Spreads over source addresses, 127.0.9.101 and on, since
 * one has only 28,000 ports a minute. */
static inline int target_connect(const struct target *t, unsigned source)
{
    int fd = socket(t->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (t->addr.any.sa_family == AF_INET) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000965u + source % 100);
        set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, (struct sockaddr *)&from, sizeof from))
            die("bind");
        no_delay(fd);
    }
    if (connect(fd, &t->addr.any, t->len))
        die("connect");
    return fd;
}

static inline void watch(int epoll, int op, int fd, uint32_t events, void *what)
{
    struct epoll_event e = {.events = events, .data.ptr = what};
    if (epoll_ctl(epoll, op, fd, &e))
        die("epoll_ctl");
}

static inline void *must_alloc(size_t count, size_t bytes)
{
    void *p = calloc(count, bytes);
    if (!p)
        die("calloc");
    return p;
}

static inline void files_max(void)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

/* Log-linear, 64 steps a power of two: less than 1.6 % wrong. */
#define HIST_STEPS 64u
#define HIST_SLOTS (60u * HIST_STEPS)

struct hist {
    uint64_t count, sum_ns, slot[HIST_SLOTS];
};

static inline void hist_add(struct hist *h, uint64_t ns)
{
    unsigned i = (unsigned)ns;
    if (ns >= HIST_STEPS) {
        unsigned bits = 63u - (unsigned)__builtin_clzll(ns);
        i = (bits - 5) * HIST_STEPS + (unsigned)((ns >> (bits - 6)) & (HIST_STEPS - 1));
    }
    h->slot[i < HIST_SLOTS ? i : HIST_SLOTS - 1]++;
    h->count++;
    h->sum_ns += ns;
}

static inline double hist_us(const struct hist *h, double percent)
{
    uint64_t rank = (uint64_t)(percent / 100 * (double)h->count), seen = 0;
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        seen += h->slot[i];
        if (seen <= rank)
            continue;
        if (i < HIST_STEPS)
            return i / 1e3;
        unsigned bits = i / HIST_STEPS + 5;
        uint64_t low = (1ull << bits) + ((uint64_t)(i % HIST_STEPS) << (bits - 6));
        return (double)(low + (1ull << (bits - 6)) / 2) / 1e3;
    }
    return 0;
}

static inline void hist_print(const struct hist *h)
{
    printf("p50_us %.1f\np99_us %.1f\n", hist_us(h, 50), hist_us(h, 99));
}

#endif
