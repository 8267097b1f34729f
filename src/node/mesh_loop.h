/* mesh_loop.h - the main thread's loop: the farm's datagrams, the session shards' messages, the
 * node's own entry and its way from joining to up and out again. */
#ifndef NODE_MESH_LOOP_H
#define NODE_MESH_LOOP_H

#include "core/farm/farm.h"
#include "io/burst.h"
#include "io/wake.h"
#include "node/command.h"
#include "node/config.h"
#include "node/external.h"
#include "node/keyring.h"
#include "node/mesh_relay.h"
#include "node/own_entry.h"
#include "node/state.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum mesh_phase {
    MESH_JOINING, /* finding the farm, waiting for its copies */
    MESH_UP,
    MESH_DRAINING, /* asked to, stays */
    MESH_LEAVING,  /* handing over before it stops */
    MESH_GONE
};

struct mesh_loop {
    uv_loop_t *loop;
    uv_poll_t socket, group;
    struct wake wake;
    uv_timer_t timer;
    int fd, group_fd;   /* group_fd: -1 = none */
    struct burst burst; /* sends by fd */
    struct farm *farm;
    struct store *store;
    const struct state *state;
    struct commands commands;
    struct keyring keys;
    struct entry self;
    struct entry shape; /* servers, groups and zone as the configuration has them */
    struct own_entry own;
    struct externals *externals;
    enum mesh_phase phase;
    bool stop_asked, refused;
    /* In an upgrade (node/upgrade.h). */
    struct mesh_relay relay;
    uint64_t twin;
    bool hold;      /* not up before it is told so */
    bool synced;    /* it could be */
    bool succeeded; /* another process is up in its place: it leaves */
    bool stay;      /* not before it is told so */
    uint64_t leave_wait_ms, leave_by_ns, left_ns;
    uint64_t saved_ns; /* when the farm's addresses were last looked at */
    bool saving;       /* then the three below are another thread's */
    size_t address_count;
    struct addr addresses[JOIN_ADDRESSES_MAX]; /* as saved */
    int save_error;
    uv_work_t save;
    void (*gone)(
        void *context); /* called once on the loop when the node has left, or must not join */
    void (*moved)(void *context, enum mesh_phase phase); /* on the loop; may be NULL */
    void *context;

    /* for the admin thread */
    pthread_mutex_t stats_lock;
    struct mesh_stats mesh;
    struct member_stats members;
    struct keyring_view key_view;
    atomic_uint_fast64_t turn_max_ns; /* the longest turn of this loop since the last reading */
    atomic_int phase_shown;
    atomic_bool alone_shown; /* went on although no other node was found */
    atomic_bool
        drained_shown; /* draining or leaving, and nothing is left here that others should have */
};

/* Takes fd (bound UDP, non-blocking). farm and store outlive it. */
int mesh_loop_open(struct mesh_loop *m, uv_loop_t *loop, int fd, struct farm *farm,
                   struct store *store, const struct state *state, const struct config *c);
/* After it: reads fd too, by which what is said to the multicast group comes in. */
int mesh_loop_open_group(struct mesh_loop *m, int fd);
/* The configuration has changed: the node says so of itself. On the loop's thread. */
void mesh_loop_renew(struct mesh_loop *m, const struct config *c);
void mesh_loop_close(struct mesh_loop *m); /* closes its handles; run the loop once more */
/* Leave the farm: hand over, say so, then `gone`. Asked a second time, it no longer waits for the
 * handover. On the loop's thread. */
void mesh_loop_stop(struct mesh_loop *m);
/* For node/upgrade.c. Who lives beside this process: told at once. */
void mesh_loop_name_twin(struct mesh_loop *m, uint64_t inc);
/* Another process is up in its place: it leaves, within so long; or (false) that one is gone, and
 * it goes on, if it has not left. */
void mesh_loop_succeeded(struct mesh_loop *m, bool is, uint64_t wait_ms);
void mesh_loop_read(struct mesh_loop *m, bool read); /* the socket of the nodes */
/* A datagram that the other process has read; then turn, when there is no other. */
void mesh_loop_relayed(struct mesh_loop *m, const struct addr *from, const uint8_t *bytes,
                       size_t len);
void mesh_loop_turn(struct mesh_loop *m);
/* From any thread: there is a command (node/command.h). */
void mesh_loop_wake(struct mesh_loop *m);
/* From any thread: what was last counted. */
void mesh_loop_stats(struct mesh_loop *m, struct mesh_stats *mesh, struct member_stats *members);
void mesh_loop_keys(struct mesh_loop *m, struct keyring_view *out);
const char *mesh_phase_name(enum mesh_phase p);

#endif
