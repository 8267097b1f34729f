/* view.h - what a session shard knows of the other nodes: a value, made by the farm (core/farm),
 * handed in as an event. A peer is an incarnation: a node that restarts is another peer, and the
 * old one is down for good.
 *
 * Contact. Two nodes that hear each other renew each other's lease by heartbeat, in relative time:
 * until lease_until_ns this node may rely on the peer not having counted it out. A peer that was
 * silent so long that its lease has surely run out is counted out: state DOWN, and `counted` grows.
 * `granted` is the same number at the peer's side, as it last told: when it grows, the peer had
 * counted us out, and nothing that was agreed with it before still holds.
 */
#ifndef CORE_SESSION_VIEW_H
#define CORE_SESSION_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_state {
    PEER_JOINING, /* heard; holds nothing yet, keeps no copies */
    PEER_UP,
    PEER_LEAVING, /* heard; hands over what it has, takes no new copies */
    PEER_DOWN,    /* counted out, killed, or replaced by a newer incarnation */
    PEER_LEFT     /* gone after handing over: nothing is missing with it */
};

#define QUORUM_VOTERS_MAX 15 /* a record names a majority of them */

struct peer_view {
    uint64_t inc;  /* incarnation: names the peer everywhere in the session protocol */
    uint64_t node; /* the node's lasting id: placement hashes over it */
    enum peer_state state;
    bool holds;      /* keeps session records (a pure director or name server does not) */
    bool mate;       /* shares a group with this node */
    bool wish;       /* a repository, or the named backup of a server of this node: it holds what is
                        owned here */
    bool repository; /* of anybody's */
    uint64_t zone;   /* a number for each rack, room or site; copies go to different ones */
    uint8_t voter;   /* which of the voters it is, from 1; 0 = none */
    uint64_t lease_until_ns;
    uint64_t counted;
    uint64_t granted;
};

struct session_view {
    uint64_t self_inc, self_node;
    enum peer_state self_state;
    bool self_holds;
    uint64_t self_zone;
    uint8_t voters, self_voter; /* how many are configured; which one this node is */
    size_t peer_count;
    const struct peer_view *peers; /* ordered by inc; valid during the call only */
};

/* Heard now: JOINING, UP or LEAVING. */
static inline bool peer_heard(const struct peer_view *p)
{
    return p->state <= PEER_LEAVING;
}

const struct peer_view *view_find(const struct session_view *v, uint64_t inc);

#endif
