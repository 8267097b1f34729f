#include "io/wake.h"

#include "stead/error.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct wake *w = (struct wake *)poll; /* its first member */
    uint64_t count;
    (void)status;
    (void)events;
    (void)!read(w->fd, &count, sizeof count);
    /* Before the call: who sends from here on wakes again. */
    atomic_store(&w->pending, false);
    w->call(poll->data);
}

int wake_open(struct wake *w)
{
    atomic_init(&w->pending, false);
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w->fd < 0 ? STEAD_E_IO : STEAD_OK;
}

void wake_abandon(struct wake *w)
{
    close(w->fd);
}

void wake_start(struct wake *w, uv_loop_t *loop, void (*call)(void *context), void *context)
{
    int bad = uv_poll_init(loop, &w->poll, w->fd);
    assert(bad == 0); /* fails for files and for a descriptor that the loop has already */
    (void)bad;
    w->call = call;
    w->poll.data = context;
    uv_poll_start(&w->poll, UV_READABLE, on_readable);
}

void wake_send(struct wake *w)
{
    uint64_t one = 1;
    if (!atomic_exchange(&w->pending, true))
        (void)!write(w->fd, &one, sizeof one);
}

void wake_close(struct wake *w, uv_close_cb closed)
{
    uv_close((uv_handle_t *)&w->poll, closed);
    close(w->fd);
}
