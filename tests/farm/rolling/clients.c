/* clients.c - many clients with libstead in one process: each keeps its connection through whatever
 * the farm does, asks its server who it is now and then, and counts what it would have noticed.
 * usage: rolling_clients COUNT URL DNS
 * Prints a line of JSON each second until its standard input ends. */
#include "stead/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 5000
#define PORT "8080"
#define BETWEEN_MS 2000 /* requests of one client */
#define TURN_MS 20
#define EVENTS 256

struct client {
    struct stead_client *stead;
    uint64_t begins_ms, asks_ms;
    int fd;
    bool waits; /* for an answer */
    char server[64], answer[512];
    size_t len;
};

struct counts {
    unsigned connected, moved, trouble, lost, wrong, answers, ended;
};

static struct client clients[COUNT_MAX];
static struct counts counts;
static int poller;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* As the nodes' logs have it. */
static const char *clock_text(void)
{
    static char text[32];
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(text, sizeof text, "%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03ld", t.tv_nsec / 1000000);
    return text;
}

static uint64_t in_a_while(uint64_t now)
{
    return now + 1 + (uint64_t)random() % BETWEEN_MS;
}

static void lose(struct client *c)
{
    counts.lost++;
    c->fd = -1;
    c->waits = false;
    stead_client_hold(c->stead, 0);
    stead_client_lost(c->stead);
}

static void ask(struct client *c)
{
    char text[256];
    int n = snprintf(text, sizeof text, "GET /who HTTP/1.1\r\nHost: %s.shop.test:" PORT "\r\n\r\n",
                     c->server);
    /* In the midst of a request it is not to be moved. */
    stead_client_hold(c->stead, 1);
    c->waits = true;
    c->len = 0;
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        lose(c);
}

/* The body is the server's name. */
static void hear(struct client *c, uint64_t now)
{
    ssize_t n = recv(c->fd, c->answer + c->len, sizeof c->answer - 1 - c->len, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        lose(c);
        return;
    }
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    const char *body = strstr(c->answer, "\r\n\r\n");
    if (!body || strlen(body + 4) < 2)
        return;
    counts.answers++;
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0 || strcmp(body + 4, c->server) != 0)
        counts.wrong++;
    c->waits = false;
    c->asks_ms = in_a_while(now);
    stead_client_hold(c->stead, 0);
}

static void take_event(struct client *c, const struct stead_event *e)
{
    size_t i = (size_t)(c - clients);
    if (e->kind == STEAD_TROUBLE) {
        counts.trouble++;
        fprintf(stderr, "%s: client %zu on %s, to %s: %s\n", clock_text(), i,
                *c->server ? c->server : "-", *e->server ? e->server : "-",
                stead_error_name(e->error));
    }
    if (e->kind != STEAD_CONNECTED && e->kind != STEAD_MOVED)
        return;
    counts.connected += e->kind == STEAD_CONNECTED;
    counts.moved += e->kind == STEAD_MOVED;
    snprintf(c->server, sizeof c->server, "%s", e->server);
    c->fd = e->fd;
    struct epoll_event watch = {.events = EPOLLIN, .data.u64 = 2 * i + 1};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &watch) != 0)
        abort();
    ask(c);
}

static void step(struct client *c)
{
    struct stead_event e = {.size = sizeof e};
    int got;
    while ((got = stead_client_step(c->stead, &e)) > 0)
        take_event(c, &e);
    counts.ended += got < 0;
}

static void begin(struct client *c, const char *url, const char *dns)
{
    struct stead_options o;
    stead_options_init(&o, sizeof o);
    o.dns = dns;
    o.deadline_ms = 0;
    if (stead_client_new(url, &o, &c->stead))
        abort();
    struct epoll_event watch = {.events = EPOLLIN, .data.u64 = 2 * (uint64_t)(c - clients)};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, stead_client_fd(c->stead), &watch) != 0)
        abort();
}

static void tell(size_t count)
{
    unsigned up = 0;
    for (size_t i = 0; i < count; i++)
        up += clients[i].fd >= 0;
    printf("{\"up\": %u, \"connected\": %u, \"moved\": %u, \"trouble\": %u, \"lost\": %u, "
           "\"wrong\": %u, \"answers\": %u, \"ended\": %u}\n",
           up, counts.connected, counts.moved, counts.trouble, counts.lost, counts.wrong,
           counts.answers, counts.ended);
    fflush(stdout);
}

static void turn(size_t count, const char *url, const char *dns)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, TURN_MS);
    uint64_t now = now_ms();
    for (int i = 0; i < n; i++) {
        struct client *c = &clients[events[i].data.u64 / 2];
        if (events[i].data.u64 % 2 == 0)
            step(c);
        else if (c->fd >= 0)
            hear(c, now);
    }
    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        if (!c->stead && now >= c->begins_ms)
            begin(c, url, dns);
        if (c->stead && stead_client_timeout_ms(c->stead) == 0)
            step(c);
        if (c->stead && c->fd >= 0 && !c->waits && now >= c->asks_ms)
            ask(c);
    }
}

int main(int argc, char **argv)
{
    size_t count = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    if (count == 0 || count > COUNT_MAX)
        return 2;
    poller = epoll_create1(EPOLL_CLOEXEC);
    uint64_t start = now_ms(), told = start;
    /* 100 a second. */
    for (size_t i = 0; i < count; i++)
        clients[i] = (struct client){.fd = -1, .begins_ms = start + i * 10};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 0) == 0) {
        turn(count, argv[2], argv[3]);
        if (now_ms() >= told + 1000) {
            tell(count);
            told = now_ms();
        }
    }
    for (size_t i = 0; i < count; i++)
        stead_client_free(clients[i].stead);
    return 0;
}
