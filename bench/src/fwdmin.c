/* fwdmin.c - the physical limit of a relay that copies through user space: epoll, one thread, recv
 * and send through one buffer; nothing parsed, a backend connection for each client's.
 * usage: fwdmin LISTEN BACKEND [BUFFER-BYTES] */
#include "util.h"

#include <stdbool.h>

#define BUFFER_MAX (1u << 20)
#define DEAD_MAX 1024

struct end {
    int fd;
    bool dead;
    struct end *other;
    size_t pending_len, pending_sent;
    char *pending; /* what this end would not take yet */
};

struct relay {
    int epoll, listener;
    struct target backend;
    size_t buffer_bytes, dead_count;
    struct end *dead[DEAD_MAX]; /* freed after the batch of events that may still name them */
    char buffer[BUFFER_MAX];
};

static void end_bury(struct relay *r, struct end *e)
{
    close(e->fd);
    free(e->pending);
    e->pending = NULL;
    e->dead = true;
    r->dead[r->dead_count++] = e;
}

static void pair_drop(struct relay *r, struct end *e)
{
    if (e->dead)
        return;
    end_bury(r, e->other);
    end_bury(r, e);
}

static struct end *end_new(struct relay *r, int fd)
{
    struct end *e = must_alloc(1, sizeof *e);
    e->fd = fd;
    no_delay(fd);
    watch(r->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, e);
    return e;
}

static void pairs_accept(struct relay *r)
{
    for (int i = 0; i < 64; i++) {
        int in = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (in < 0)
            return;
        int out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(out, &r->backend.addr.any, r->backend.len) && errno != EINPROGRESS)
            die("connect");
        struct end *a = end_new(r, in), *b = end_new(r, out);
        a->other = b;
        b->other = a;
    }
}

static void pending_send(struct relay *r, struct end *e)
{
    ssize_t n = send(e->fd, e->pending + e->pending_sent, e->pending_len - e->pending_sent, 0);
    if (n < 0) {
        if (errno != EAGAIN)
            pair_drop(r, e);
        return;
    }
    e->pending_sent += (size_t)n;
    if (e->pending_sent < e->pending_len)
        return;
    free(e->pending);
    e->pending = NULL;
    watch(r->epoll, EPOLL_CTL_MOD, e->fd, EPOLLIN, e);
    watch(r->epoll, EPOLL_CTL_MOD, e->other->fd, e->other->pending ? EPOLLOUT : EPOLLIN, e->other);
}

static void relay_once(struct relay *r, struct end *e)
{
    struct end *to = e->other;
    ssize_t got = recv(e->fd, r->buffer, r->buffer_bytes, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    ssize_t sent = got > 0 ? send(to->fd, r->buffer, (size_t)got, 0) : -1;
    if (got <= 0 || (sent < 0 && errno != EAGAIN)) {
        pair_drop(r, e);
        return;
    }
    if (sent == got)
        return;
    sent = sent < 0 ? 0 : sent;
    to->pending_len = (size_t)(got - sent);
    to->pending_sent = 0;
    to->pending = must_alloc(1, to->pending_len);
    memcpy(to->pending, r->buffer + sent, to->pending_len);
    watch(r->epoll, EPOLL_CTL_MOD, to->fd, EPOLLOUT, to);
    watch(r->epoll, EPOLL_CTL_MOD, e->fd, 0, e);
}

int main(int argc, char **argv)
{
    static struct relay r = {.buffer_bytes = 32u << 10};
    struct epoll_event events[256];
    if (argc < 3)
        usage("fwdmin LISTEN BACKEND [BUFFER-BYTES]");
    if (argc > 3)
        r.buffer_bytes = (size_t)number_parse(argv[3], 1, BUFFER_MAX);
    struct target listen_at = target_parse(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    files_max();
    r.backend = target_parse(argv[2]);
    r.listener = target_listen(&listen_at);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(r.epoll, EPOLL_CTL_ADD, r.listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(r.epoll, events, 256, -1); /* 256 events end at most 512 connections */
        for (int i = 0; i < n; i++) {
            struct end *e = events[i].data.ptr;
            if (!e)
                pairs_accept(&r);
            else if (!e->dead && events[i].events & EPOLLOUT)
                pending_send(&r, e);
            else if (!e->dead)
                relay_once(&r, e);
        }
        while (r.dead_count)
            free(r.dead[--r.dead_count]);
    }
}
