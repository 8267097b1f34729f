/* poller.h - many sockets behind one handle of a libuv loop: an epoll of their own.
 *
 * For connections that come and go by the thousand: a socket costs one system call when it is first
 * watched and none when it is closed, the owner's object may be freed at once, and a socket has 24
 * bytes here (a uv_poll_t: five calls, 160 bytes, freed by the loop later). Level-triggered. One
 * loop, one thread.
 */
#ifndef IO_POLLER_H
#define IO_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct poller;

/* The owner's; zeroed, then fd and ready set. */
struct poller_item {
    int fd;
    uint32_t events; /* what is watched, EPOLLIN and so on; 0 = nothing, not even errors */
    /* EPOLLERR and EPOLLHUP may come unasked, as epoll(7) says. May forget any item, close the
     * poller, or free the item's memory after poller_forget(). */
    void (*ready)(struct poller_item *item, uint32_t events);
};

/* STEAD_E_NOMEM, STEAD_E_IO (no descriptors). */
int poller_open(uv_loop_t *loop, struct poller **out);
/* False: the kernel has no room for it (ENOSPC, ENOMEM); then nothing is watched. */
bool poller_watch(struct poller *p, struct poller_item *item, uint32_t events);
/* With EPOLLET among the events: what is ready is told again, once. False: as above. */
bool poller_again(struct poller *p, struct poller_item *item);
/* No more calls for it. To be said before the descriptor is closed, too: closing ends the watching
 * only when no other process has it, as one has that is just being started. */
void poller_forget(struct poller *p, struct poller_item *item);
/* Items are not called any more; `closed` is called on the loop, then the poller is freed. */
void poller_close(struct poller *p, void (*closed)(void *context), void *context);

#endif
