/* command.h - where operators' commands meet the farm: an order is asked on the admin thread, goes
 * to the node it is for by the mesh (core/roster/order.h), and its answer is fetched by whoever
 * asked. On the other side it is carried out. All but asking and fetching is done on the mesh
 * thread. */
#ifndef NODE_COMMAND_H
#define NODE_COMMAND_H

#include "core/farm/farm.h"
#include "core/roster/order.h"
#include "node/state.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define COMMANDS_MAX 16 /* that were asked and not fetched yet */

struct command {
    uint64_t id;                    /* 0: free */
    char server[URL_MAX_BYTES + 1]; /* a node's name, or a URL of one of its servers */
    struct order order;
    bool sent, answered;
    struct ordered answer;
};

/* An order that is answered once what it changed is on disk, or the file is read. */
struct command_reply {
    uint64_t inc; /* 0: free */
    struct order order;
    uint64_t serial; /* of the configuration that it made */
};

struct changes;
struct keyring;

struct commands {
    uv_loop_t *loop;
    struct farm *farm;
    struct store *store;
    const struct state *state;
    pthread_mutex_t lock; /* of commands and serial */
    uint64_t serial;
    struct command commands[COMMANDS_MAX];
    /* the mesh thread's */
    struct orders orders;
    enum status status; /* of this node, as last told */
    bool drained;
    struct command_reply replies[ORDERS_MAX];
    size_t reply_count;
    struct command_reply waiting[ORDERS_MAX]; /* CHANGE, RELOAD and KEY */
    struct changes *changes;                  /* NULL: the configuration does not change */
    struct keyring *keys;                     /* NULL: neither do the keys */
    bool saving, saving_as, saved;            /* saved: what the folder says */
    int save_error;
    uv_work_t save;
    atomic_uint_fast64_t carried_out, refused, malformed; /* read by any thread */
};

/* What the pointers stand for outlives it. Takes up the maintenance that the folder remembers. */
void commands_init(struct commands *c, uv_loop_t *loop, struct farm *farm, struct store *store,
                   const struct state *state);
void commands_deinit(struct commands *c);

/* -- the thread that asks; the mesh thread must be woken after it -- */

/* server: a node's name, a URL of one of its servers, "" = this one. text: of ORDER_CHANGE. An id,
 * or 0: too many wait. Within ORDER_PATIENCE_MS there is an answer. */
uint64_t commands_ask(struct commands *c, const char *server, enum order_verb verb, bool force,
                      const char *text);
/* True when the answer has come, and then once. Its error: NOT_FOUND no such node, UNREACHABLE it
 * is down, DEADLINE no answer came, NO_SERVER it is the last one that is up, BUSY, IO. */
bool commands_fetch(struct commands *c, uint64_t id, struct ordered *out);

/* -- the mesh thread -- */

/* Changes up to that serial are on disk, or cannot be written. */
void commands_changed(struct commands *c, uint64_t serial, int error);
/* The file was read again: what became of it. */
void commands_reloaded(struct commands *c, int error, const char *text);

/* The key file was written, or cannot be. */
void commands_keys_stored(struct commands *c, int error);

/* Sends what was asked, and gives up what has waited too long. status, drained: of this node. True
 * when something was sent. */
bool commands_turn(struct commands *c, enum status status, bool drained, uint64_t now_ns);
/* A message of the order channel. True when something was sent. */
bool commands_message(struct commands *c, const struct msg *m, uint64_t now_ns);

#endif
