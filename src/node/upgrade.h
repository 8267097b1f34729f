/* upgrade.h - a running node hands over to a new process on its host, and nobody notices: both
 * sides of it, on the main thread's loop. docs/upgrade.md tells the whole, docs/protocol.md
 * (Succession) what the other nodes see.
 *
 *   elder                          successor (a new incarnation of the node)
 *   starts it, HELLO ------------> joins the farm beside the elder; BORN, READY when it is synced
 *   GO --------------------------> is up, serves on the same sockets; TAKEN
 *   accepts no more; connections at rest and records pass over; leaves the farm: LEFT
 *   ends when the last connection has, or after upgrade-wait
 *
 * Whatever happens to the successor before the elder has left the farm, the elder goes on. */
#ifndef NODE_UPGRADE_H
#define NODE_UPGRADE_H

#include "node/mesh_loop.h"
#include "node/upgrade_wire.h"
#include "node/worker_hand.h"

#define UPGRADE_PATH_MAX CONFIG_PATH_MAX
#define UPGRADE_WHY_MAX 160
#define UPGRADE_JOIN_MS 60000 /* a successor that is not up by then is given up */

enum upgrade_phase {
    UPGRADE_IDLE,
    UPGRADE_JOINING, /* the successor starts, joins and is synced */
    UPGRADE_TAKING,  /* it was told to go */
    UPGRADE_HANDING, /* it serves; records and connections pass over */
    UPGRADE_PARTED,  /* the elder has left the farm, and may have connections still */
    UPGRADE_DONE,
    UPGRADE_FAILED
};

/* What is done at the other parts of the node; on the loop. */
struct upgrade_hooks {
    void *context;
    int (*serve)(void *context);                         /* successor: start the threads */
    void (*retire)(void *context, bool retired, int to); /* elder: doors rest, or not */
    void (*quiet)(void *context);                        /* elder: it has left the farm */
    uint64_t (*busy)(void *context, bool of_store);      /* elder: connections, or those that
                                                            need the store */
    bool (*room)(void *context);                         /* successor: for one connection more */
    void (*adopt)(void *context, const struct hand *h, struct upgrade_fds *fds);
    void (*end)(void *context); /* elder: nothing is left to do */
};

struct upgrade {
    uv_loop_t *loop;
    struct mesh_loop *mesh;
    const struct config *config;
    struct upgrade_hooks hooks;
    char self[UPGRADE_PATH_MAX]; /* the program's file, as it was at the start */
    bool successor;
    bool stopping;      /* SIGTERM came */
    bool gave;          /* it has handed all over */
    int control, relay; /* to the successor that this process started; -1 = none */
    int elder;          /* to the one that started this; may outlast its leaving the farm */
    int pid;            /* of the successor; 0 = none */
    uint64_t join_by_ns, wait_by_ns, began_ns;
    uv_poll_t poll, elder_poll;
    uv_timer_t timer;
    uv_async_t asked;
    bool polling, elder_polling, closing;
    struct upgrade_hello hello; /* successor: what its elder said */

    uv_mutex_t lock; /* of the rest, which the admin thread reads */
    enum upgrade_phase phase;
    bool pending;
    char binary[UPGRADE_PATH_MAX], file[UPGRADE_PATH_MAX], why[UPGRADE_WHY_MAX];
    atomic_uint_fast64_t begun, failed, adopted;
};

/* Before setup_open(): what this process was given by its elder, if it has one. False: what it was
 * given makes no sense, which was said. */
bool upgrade_inherit(struct upgrade *u, const struct config *c);
/* The mesh loop runs; a successor speaks up. */
int upgrade_open(struct upgrade *u, uv_loop_t *loop, struct mesh_loop *m,
                 const struct upgrade_hooks *hooks);
void upgrade_close(struct upgrade *u); /* its handles; run the loop once more */
void upgrade_deinit(struct upgrade *u);

/* The node has left the farm. True: as an elder, which ends later, by hooks.end. */
bool upgrade_left(struct upgrade *u);
/* Has a successor, which has the unix sockets' files too. */
bool upgrade_handed(const struct upgrade *u);
/* SIGTERM came: a successor that does not serve yet ends. */
void upgrade_stop(struct upgrade *u);

/* From any thread. STEAD_E_BUSY. */
int upgrade_ask(struct upgrade *u, const char *binary, const char *file);
char *upgrade_json(struct upgrade *u); /* freed with free() */
const char *upgrade_phase_name(enum upgrade_phase p);

#endif
