/* forward_internal.h - what a tunnel is, for forward.c and forward_export.c. */
#ifndef ROLE_DIRECTOR_FORWARD_INTERNAL_H
#define ROLE_DIRECTOR_FORWARD_INTERNAL_H

#include "base/list.h"
#include "io/poller.h"
#include "role/director/flow.h"
#include "role/director/forward.h"

struct tunnel;

struct side {
    struct poller_item item;
    struct stream stream;
    struct tunnel *tunnel;
};

struct tunnel {
    struct list link; /* in one of the forwarder's lists */
    struct forwarder *forwarder;
    struct side client, server;
    struct flow up, down;
    uint64_t since_ms; /* of the start of connecting, the last byte, or the reset */
    struct flow *last; /* after a reset: the direction whose bytes are still to be delivered */
    uint64_t up_before, down_before; /* passed in the process before this one */
    bool connected;
    void (*ended)(void *context, const struct forward_result *result);
    void *context;
};

struct forwarder {
    uv_loop_t *loop;
    struct forward_limits limits;
    struct forward_counters *counters;
    struct poller *poller;
    uv_timer_t sweep;
    /* Each in the order of since_ms: only heads can be overdue. */
    struct list connecting, active, lingering;
    size_t tunnels;          /* not ended */
    unsigned parts;          /* not closed: the poller and the timer */
    uint64_t complain_at_ms; /* not before, of missing descriptors */
    void (*closed)(void *context);
    void *closed_context;
    bool closing;
    struct flow_means means;
};

/* What another process needs of a flow without a pipe (flow_gather). */
struct forward_half forward_half_of(const struct flow *w);
void forward_end_tunnel(struct tunnel *t, enum forward_end end);
/* A new tunnel, zeroed; not counted before it runs. STEAD_E_BUSY (there are as many as may be, or
 * the forwarder closes), NOMEM. */
int forward_room(struct forwarder *f, struct tunnel **out);
/* Sides and empty flows. */
void forward_init_sides(struct tunnel *t, struct forwarder *f, struct stream client,
                        struct stream server);
/* A tunnel between two connections takes its place behind that one of the active. STEAD_E_IO: it is
 * unwatched again, and still the caller's. */
int forward_run(struct tunnel *t, struct list *behind);

#endif
