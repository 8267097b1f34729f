/* takeover.h - in line: the address of a server whose host is gone is taken by this node, so that
 * neighbours of the server reach its backup too, and given back by the failback rule.
 *
 * A host is gone when its server fails its checks and nobody on its link answers for its address.
 * While the address is held, the link is listened to: whoever else has it is the server that is
 * back. Until the address is given back, neighbours are told again and again that it is here. On
 * one loop of the node.
 */
#ifndef ROLE_DIRECTOR_TAKEOVER_H
#define ROLE_DIRECTOR_TAKEOVER_H

#include "base/addr.h"
#include "role/director/tcp_stick.h"
#include "store/store.h"

#include <stdatomic.h>
#include <uv.h>

#define TAKEOVER_TICK_MS 200
#define TAKEOVER_ASKS 6  /* in vain, before a host is gone */
#define TAKEOVER_TELLS 3 /* of an address that was taken */
#define TAKEOVER_PACE 5  /* ticks between asking, and telling, later on */

/* What tells a holder of the address and those who forward of each other. */
struct takeover_mark {
    atomic_bool held;
    atomic_uint guests; /* connections that were led to another server */
};

struct takeover_server {
    const char *service; /* for the log */
    unsigned server;     /* in the store */
    struct addr address; /* the port is not used */
    const char *interface;
    enum failback failback; /* session-end: when no connection is led to another server */
    struct takeover_mark *mark;
};

struct takeover_counters {
    atomic_uint_fast64_t taken, failed, held;
};

struct takeover_config {
    uv_loop_t *loop;
    struct store *store;
    const struct takeover_server *servers; /* copied; what they point to stays */
    size_t count;                          /* at most ENTRY_SERVERS_MAX */
    bool succeeds; /* a process of this node before this one may hold addresses: they are its */
    struct takeover_counters *counters;
};

struct takeover;

/* An address left over by a node that was killed is given up first; one that the process before
 * this one holds goes on being held. STEAD_E_NOMEM, and what
 * neighbour_open() says: then the interface is not there, or CAP_NET_RAW is missing. */
int takeover_open(const struct takeover_config *c, struct takeover **out);
/* Does nothing, for another process of this node does, until that one is gone: what it has taken
 * or given back then is seen. */
void takeover_rest(struct takeover *t, bool rests);
/* Gives all back; but what is left to another process stays. */
void takeover_close(struct takeover *t, bool left, void (*closed)(void *context), void *context);

/* One server's state, a step each tick: pure. */
struct takeover_state {
    bool held, back; /* back: another host was heard while it is held */
    unsigned ticks;  /* since it was taken */
    unsigned asked;  /* in vain */
};

struct takeover_seen {
    bool healthy; /* its server answers checks */
    bool heard;   /* another host has the address */
    bool guests;
    enum failback failback;
};

enum { TAKEOVER_ASK = 1, TAKEOVER_TAKE = 2, TAKEOVER_RELEASE = 4, TAKEOVER_TELL = 8 };

/* What to do now: some of the above. */
unsigned takeover_step(struct takeover_state *s, const struct takeover_seen *v);

#endif
