/* poller.c - the inner epoll and its turn in the loop. */
#include "io/poller.h"

#include "base/mem.h"
#include "stead/error.h"

#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 128
/* While events come by the batch they are asked for again without the loop's round; then the loop's
 * other work has its turn. */
#define TURNS_MAX 4
#define FULL_ENOUGH 4

struct poller {
    uv_poll_t outer;
    int fd;
    int at, count; /* of the batch: what is still to be called */
    struct epoll_event batch[BATCH];
    void (*closed)(void *context);
    void *closed_context;
};

static void on_events(uv_poll_t *outer, int status, int events)
{
    struct poller *p = outer->data;
    (void)status;
    (void)events;
    for (int turn = 0; turn < TURNS_MAX && p->fd >= 0; turn++) {
        int n = epoll_wait(p->fd, p->batch, BATCH, 0);
        p->count = n;
        for (p->at = 0; p->at < p->count;) {
            const struct epoll_event *e = &p->batch[p->at++];
            struct poller_item *item = e->data.ptr;
            if (item)
                item->ready(item, e->events);
        }
        if (n < FULL_ENOUGH)
            break;
    }
}

int poller_open(uv_loop_t *loop, struct poller **out)
{
    struct poller *p = mem_alloc(sizeof *p);
    if (!p)
        return STEAD_E_NOMEM;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0 || uv_poll_init(loop, &p->outer, p->fd) != 0) {
        if (p->fd >= 0)
            close(p->fd);
        mem_free(p);
        return STEAD_E_IO;
    }
    p->outer.data = p;
    uv_poll_start(&p->outer, UV_READABLE, on_events);
    *out = p;
    return STEAD_OK;
}

/* What is left of the batch may name the item. */
static void scrub(struct poller *p, const struct poller_item *item)
{
    for (int i = p->at; i < p->count; i++)
        if (p->batch[i].data.ptr == item)
            p->batch[i].data.ptr = NULL;
}

bool poller_watch(struct poller *p, struct poller_item *item, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = item};
    if (item->events == events)
        return true;
    int op = !item->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    bool done = epoll_ctl(p->fd, op, item->fd, &e) == 0;
    if (op == EPOLL_CTL_DEL)
        scrub(p, item);
    if (done || op == EPOLL_CTL_DEL)
        item->events = events;
    return done || op == EPOLL_CTL_DEL;
}

bool poller_again(struct poller *p, struct poller_item *item)
{
    struct epoll_event e = {.events = item->events, .data.ptr = item};
    return epoll_ctl(p->fd, EPOLL_CTL_MOD, item->fd, &e) == 0;
}

void poller_forget(struct poller *p, struct poller_item *item)
{
    if (item->events)
        poller_watch(p, item, 0);
}

static void on_closed(uv_handle_t *outer)
{
    struct poller *p = outer->data;
    void (*closed)(void *) = p->closed;
    void *context = p->closed_context;
    mem_free(p);
    if (closed)
        closed(context);
}

void poller_close(struct poller *p, void (*closed)(void *context), void *context)
{
    p->closed = closed;
    p->closed_context = context;
    p->at = p->count = 0;
    uv_close((uv_handle_t *)&p->outer, on_closed);
    close(p->fd);
    p->fd = -1;
}
