/* bulk_link.h - one connection over which very many messages pass to or from another node:
 * greeting, sealed frames (core/mesh/bulk_seal.h), and what waits to be sent. Non-blocking; the
 * thread of bulk.h asks what each wants and calls it when its socket is ready.
 *
 * Memory: a buffer each way of a frame, and what waits, LINK_PENDING_MAX at most.
 */
#ifndef NODE_BULK_LINK_H
#define NODE_BULK_LINK_H

#include "base/addr.h"
#include "base/msg.h"
#include "core/mesh/bulk_seal.h"
#include "store/store.h"

#define LINK_PENDING_MAX (16u << 20)       /* bytes that wait */
#define LINK_GREETING_NS (900 * NS_PER_MS) /* what waits is asked for again after a second */

enum link_state {
    LINK_CLOSED,
    LINK_CONNECTING,
    LINK_ASKED,    /* hello sent */
    LINK_ACCEPTED, /* no hello yet */
    LINK_UNPROVEN, /* keys are there; the other side has not shown them yet */
    LINK_OPEN
};

/* What all connections of a node share. */
struct link_own {
    uint64_t inc;
    const uint8_t *secret;
};

struct bulk_link {
    enum link_state state;
    int fd;
    uint64_t peer, began_ns;
    struct bulk_hello hello;
    struct bulk_seal *seal;
    struct list pending; /* struct msg */
    size_t pending_bytes;
    uint8_t *in, *out; /* BULK_FRAME_MAX each */
    size_t in_len, out_len, out_done;
};

/* What a frame brings, in the order in which it was sent, STORE_BATCH_MAX at most a call; the bytes
 * are good during the call. */
typedef void link_take(void *context, uint64_t from, const struct session_slice *slices,
                       size_t count);

/* Begins to connect. STEAD_E_IO, STEAD_E_NOMEM. */
int bulk_link_connect(struct bulk_link *l, const struct link_own *own, uint64_t peer,
                      const struct addr *to, uint64_t now_ns);
/* Takes a connection that came. */
int bulk_link_accept(struct bulk_link *l, int fd, uint64_t now_ns);
/* Frees all but what waits, which stays in l->pending. */
void bulk_link_close(struct bulk_link *l);

short bulk_link_events(const struct bulk_link *l); /* POLLIN, POLLOUT */
/* Takes the message, unless there is no room. */
bool bulk_link_queue(struct bulk_link *l, struct msg *m);
/* The socket is ready: goes on. At most LINK_FRAMES frames are taken in. False: it is to be
 * closed. */
bool bulk_link_go(struct bulk_link *l, const struct link_own *own, short events, link_take *take,
                  void *context);

#endif
