/* worker_hand.h - connections that pass from one process to its successor, between two requests: a
 * worker's part in it. The doors of a worker that is retired accept no more; whoever comes to rest
 * there is sent on. A worker of the successor takes such connections at the same doors. */
#ifndef NODE_WORKER_HAND_H
#define NODE_WORKER_HAND_H

#include "base/addr.h"
#include "base/list.h"
#include "base/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct worker;

#define HAND_PERIOD_MS 5     /* between looks for those who have come to rest */
#define HAND_WAITING_MAX 256 /* connections on their way into one worker */
#define HAND_BYTES_MAX 64

enum hand_door { HAND_PUBLIC, HAND_GATE, HAND_CACHE /* and so on: one a protocol */ };

/* One connection, and what it has agreed on so far. */
struct hand {
    uint8_t door;
    bool admitted, version3;
    struct addr peer;
};

void hand_encode(const struct hand *h, struct wire_writer *w);
bool hand_decode(struct wire_reader *r, struct hand *h); /* false: malformed */

struct worker_hand {
    uv_async_t async;
    uv_timer_t timer;
    uv_mutex_t lock; /* of what waits */
    struct list waiting;
    unsigned waiting_count;
    atomic_bool retire; /* as ordered */
    bool retired;       /* as done */
    atomic_bool quiet;  /* as ordered */
    bool quieted;
    atomic_int to; /* the socket to the successor */
};

int worker_hand_open(struct worker *w);
void worker_hand_close(struct worker *w); /* on its loop */
void worker_hand_deinit(struct worker *w);

/* From any thread. Doors rest, and connections are sent to `to`; or (false) they accept again. */
void worker_retire(struct worker *w, bool retire, int to);
/* From any thread: worker_quiet() is called on its loop. */
void worker_be_quiet(struct worker *w);
/* From any thread. The descriptor is the worker's; false: it has too many, and closes it. */
bool worker_adopt(struct worker *w, const struct hand *h, int fd);

#endif
