/* worker_hand.h - connections that pass from one process to its successor: a worker's part in it.
 * The doors of a worker that is retired accept no more; whoever comes to rest there is sent on. A
 * worker of the successor takes such connections at the same doors. Tunnels are sent on as they
 * run, but not before their process has left the farm: until then it takes everything back if the
 * new one dies. */
#ifndef NODE_WORKER_HAND_H
#define NODE_WORKER_HAND_H

#include "base/list.h"
#include "base/wire.h"
#include "node/tcp_setup.h"
#include "node/upgrade_wire.h"
#include "role/director/passage.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct worker;

#define HAND_PERIOD_MS 5 /* between looks for those who have come to rest */
#define HAND_TUNNELS_A_TURN 64
#define HAND_WAITING_MAX 256 /* connections on their way into one worker */
#define HAND_BYTES_MAX (PASSAGE_BYTES_MAX + 64u)

enum hand_door {
    HAND_PUBLIC,
    HAND_GATE,
    HAND_CACHE, /* and so on: one a protocol */
    HAND_TUNNEL = 16,
    HAND_TCP /* and so on: one a listener */
};

/* One connection, and what it has agreed on so far. */
struct hand {
    uint8_t door;
    bool admitted, version3;
    struct addr peer;
    struct passage passage; /* of HAND_TUNNEL, and of HAND_TCP */
};

void hand_encode(const struct hand *h, struct wire_writer *w);
bool hand_decode(struct wire_reader *r, struct hand *h); /* false: malformed */
/* Are these as many descriptors as belong to it? */
bool hand_fits(const struct hand *h, unsigned descriptors);

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
/* From any thread. The descriptors are the worker's; false: it has too many now, and takes none. */
bool worker_adopt(struct worker *w, const struct hand *h, const struct upgrade_fds *fds);
bool worker_has_room(struct worker *w); /* for one more at least, if nobody else adopts */
/* Sends it to the successor. False: not now; the descriptors stay the caller's in any case. */
bool worker_hand_send(struct worker_hand *from, const struct hand *h,
                      const struct upgrade_fds *fds);

#endif
