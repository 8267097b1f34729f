/* wake.h - a loop is woken by other threads. As uv_async_t, but a sender never waits for the loop
 * and the loop never for a sender: libuv's turns round in sched_yield() until a sender that was
 * interrupted in the middle has gone on, which costs a tenth of a core where sender and loop share
 * one. */
#ifndef IO_WAKE_H
#define IO_WAKE_H

#include <stdatomic.h>
#include <uv.h>

struct wake {
    uv_poll_t poll; /* data: the context */
    int fd;
    atomic_bool pending;
    void (*call)(void *context);
};

/* What can fail, so that it may come before what is hard to undo. IO: no descriptor is left. */
int wake_open(struct wake *w);
/* Instead of wake_start(). */
void wake_abandon(struct wake *w);
/* call comes on the loop's thread, after each wake_send() or once for several, with all in sight
 * that their senders did before. */
void wake_start(struct wake *w, uv_loop_t *loop, void (*call)(void *context), void *context);
/* From any thread, between wake_open() and wake_close(). */
void wake_send(struct wake *w);
/* closed may be NULL; it gets the poll handle, whose data is the context. */
void wake_close(struct wake *w, uv_close_cb closed);

#endif
