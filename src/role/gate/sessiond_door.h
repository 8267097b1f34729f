/* sessiond_door.h - the door for stunnel, which keeps its TLS sessions by datagrams
 * (core/sessiond): what one server's stunnel stored, another's resumes. docs/tickets.md is its
 * manual.
 *
 * One door a node, on a thread of its own: whoever asks stands still for 3 ms at most, so a busy
 * loop must not come between. What is here is answered at once; what another node has is asked for,
 * and told if it comes in time. A session is a record of one kind, made here: its id is random. The
 * socket must be loopback's, for nobody is asked who he is. */
#ifndef ROLE_GATE_SESSIOND_DOOR_H
#define ROLE_GATE_SESSIOND_DOOR_H

#include "store/store.h"

#include <stdatomic.h>

#define SESSIOND_WAITING_MAX                                                                       \
    1024                      /* questions that other nodes are asked at once; beyond: a miss      \
                               */
#define SESSIOND_GET_MS 3u    /* after that, stunnel listens no more */
#define SESSIOND_PUT_MS 2500u /* longer than it takes to count a dead node out */

struct sessiond_counters {
    atomic_uint_fast64_t requests, hits, misses, stores, removals;
    atomic_uint_fast64_t elsewhere; /* of the hits: another node's */
    atomic_uint_fast64_t late;      /* of the misses: nobody told in time */
    atomic_uint_fast64_t failed;    /* stores and removals that came to nothing */
    atomic_uint_fast64_t malformed; /* datagrams that are no requests */
    atomic_uint_fast64_t full;      /* of the misses: SESSIOND_WAITING_MAX was reached */
    atomic_uint_fast64_t unsent;    /* answers that the socket did not take */
    atomic_uint_fast64_t dropped;   /* datagrams that its queue had no room for */
};

struct sessiond_door_config {
    int fd; /* a UDP socket, non-blocking; the door's own from now on */
    struct store *store;
    unsigned mailbox; /* of the store, this door's alone */
    uint8_t kind;
    struct sessiond_counters *counters;
};

struct sessiond_door;

/* STEAD_E_NOMEM, STEAD_E_IO; the descriptor then stays the caller's. Sets the mailbox's wake. */
int sessiond_door_open(const struct sessiond_door_config *c, struct sessiond_door **out)
    __attribute__((warn_unused_result));
/* Reads no more, for another process does that on the same socket; until it is taken back. */
void sessiond_door_retire(struct sessiond_door *d, bool retired);
/* Ends the thread, and frees the door. Takes NULL. */
void sessiond_door_close(struct sessiond_door *d);

#endif
