/* watch.h - those who watch the roster: server-sent events (WHATWG HTML, section 9.2) on
 * connections that were taken from the HTTP server, on one worker's loop.
 *
 * What all watchers of one service, network and coarseness are told is one *topic*: the difference
 * to the next snapshot of the feed (watch_feed.h) becomes one frame that all of them share. A topic
 * remembers its last frames, so that who was slow for a moment gets what he missed; who comes back
 * with a Last-Event-ID gets the difference to its snapshot; who is further behind is skipped ahead
 * to a whole roster. Who takes nothing for WATCH_STALL_MS is
 * dropped, and so are those who have taken nothing for longest when the frames together exceed
 * WATCH_HELD_BYTES_MAX. A watcher costs about 500 bytes and at most WATCH_SOCKET_BYTES of the
 * kernel's (doubled by it), whether it reads or not.
 *
 * The events are told in docs/roster-api.md. Not thread-safe: all calls on the loop's thread. */
#ifndef ROLE_DIRECTOR_WATCH_H
#define ROLE_DIRECTOR_WATCH_H

#include "core/roster/retry_window.h"
#include "core/roster/roster_show.h"
#include "io/stream.h"
#include "role/director/watch_feed.h"

#include <stdatomic.h>
#include <uv.h>

#define WATCH_KEEPALIVE_MS 15000
#define WATCH_STALL_MS 20000
#define WATCH_AGAIN_MS 60000      /* a client is not asked to move twice within */
#define WATCH_RESUME_MS 60000     /* what nobody watches any more is remembered so long */
#define WATCH_TOPICS_MAX 64       /* beyond it: STEAD_E_BUSY */
#define WATCH_TOPIC_FRAMES_MAX 64 /* that a topic remembers */
#define WATCH_TOPIC_BYTES_MAX (1u << 20)
#define WATCH_HELD_BYTES_MAX (64u << 20) /* of frames, of one worker */
#define WATCH_SOCKET_BYTES 65536
#define WATCH_A_TURN                                                                               \
    256 /* watchers that are written to before the loop's other work has its turn */
#define WATCH_TARGETS_MAX 16

/* May be shared by the watches of all workers. */
struct watch_counters {
    atomic_uint_fast64_t open, opened, refused;
    atomic_uint_fast64_t resumed; /* by their Last-Event-ID */
    atomic_uint_fast64_t skipped; /* ahead to a whole roster */
    atomic_uint_fast64_t dropped; /* too slow */
    atomic_uint_fast64_t events;  /* that were made, however many heard them */
    atomic_uint_fast64_t moves;   /* clients that were asked to move */
};

struct watch_config {
    uv_loop_t *loop;
    /* The newest snapshot with a reference; NULL before there is one. */
    struct roster *(*roster)(void *context);
    void *context;
    struct watch_feed *feed; /* shared by all workers; stays the caller's. NULL: one of its own */
    const char *self_name;   /* event ids bear its incarnation */
    struct retry_limits retry;
    uint32_t watchers_max; /* of all workers that share the counters */
    uint32_t here_max;     /* of this one */
    struct watch_counters *counters;
    uint64_t seed;
};

struct watch;

/* What a new watcher wants. Copied. */
struct watch_ask {
    const char *service; /* "" = all */
    enum network network;
    bool coarse;
    const char *on;      /* the server whose client it is; "" = none */
    const char *last_id; /* its Last-Event-ID; "" = none */
    const char *headers; /* further header lines of the answer */
};

/* STEAD_E_NOMEM. */
int watch_open(const struct watch_config *c, struct watch **out);
/* Is there room for one more? If not, it is counted as refused. */
bool watch_admits(struct watch *w);
/* Takes the connection (of a request that was read), answers 200 and goes on with
 * events until it ends. Closes it when there is no memory, no room or no roster. */
void watch_add(struct watch *w, struct stream client, const struct watch_ask *a);
/* A last change, if there is one, then all connections end. `closed` is called on the loop when
 * nothing is left; w is freed then. */
void watch_close(struct watch *w, void (*closed)(void *context), void *context);

/* How many watchers of this worker said that they are clients of that server (on=). */
uint32_t watch_clients(const struct watch *w, const char *service, const char *server);

struct watch_wish {
    const char *service, *server; /* clients of that server ... */
    uint32_t count;               /* ... so many of them at most ... */
    const char *const *targets;   /* ... are asked to go to one of these, 1 to WATCH_TARGETS_MAX, */
    size_t target_count;
    uint32_t within_ms; /* each at a random moment within this time */
};
/* Asks those that were not asked within WATCH_AGAIN_MS and are not behind. Returns how many were
 * asked. */
uint32_t watch_move(struct watch *w, const struct watch_wish *m);

#endif
