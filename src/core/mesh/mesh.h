/* mesh.h - delivery between nodes: proof of life, reliable and fleeting messages, parts. A function
 * of (state, event, now) -> (actions, next deadline). docs/protocol.md, Frames and Delivery.
 *
 * The mesh has no membership of its own: it proves that an incarnation is alive and hands its
 * roster entry up; the farm then admits it (mesh_admit) or refuses it (mesh_refuse), and removes it
 * when the roster has counted it out for good. Until it is admitted nothing else from it is
 * delivered.
 */
#ifndef CORE_MESH_H
#define CORE_MESH_H

#include "base/addr.h"
#include "base/list.h"
#include "base/msg.h"
#include "core/mesh/seal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESH_MESSAGE_MAX ((1u << 20) + (64u << 10)) /* a whole record and what surrounds it */
#define MESH_FRAME_MIN 1200u
#define MESH_FRAME_MAX 8952u /* a jumbo frame's payload */
#define MESH_CARD_MAX 1024u  /* the entry that HELLO, WELCOME and PROOF carry */
#define MESH_PEERS_MAX 4096u
#define MESH_BEACON_MAX 160u          /* the counts that a beacon carries */
#define MESH_RECEIVERS_MAX 8u         /* of one message */
#define MESH_OWN_BYTES 16u            /* what of such a message is each receiver's own */
#define MESH_FLEETING_BYTES_MAX 1088u /* a fleeting message is never cut into parts */

struct mesh;

struct mesh_config {
    uint64_t node, inc;
    struct seal *seal;         /* outlives the mesh */
    uint32_t window_bytes;     /* unacknowledged bytes in flight to a peer; default 256 KiB */
    uint64_t queue_bytes;      /* queued to a peer before mesh_send says BUSY; default 64 MiB */
    uint64_t reassembly_bytes; /* of one peer; default 8 MiB */
    uint64_t seed;
    struct addr group; /* where beacons go; family 0: there are none */
};

void mesh_config_default(struct mesh_config *c);

enum mesh_output_type {
    MESH_OUT_DATAGRAM, /* send bytes to addr */
    MESH_OUT_MESSAGE,  /* from an admitted peer: channel and bytes */
    MESH_OUT_PROVEN, /* an incarnation unknown so far is alive: bytes = its card; admit or refuse it
                      */
    MESH_OUT_REFUSED, /* a peer refuses this node: bytes = one byte reason (positive stead_error) */
    MESH_OUT_FOREIGN, /* addr sends frames of another farm, key or version; told once a second;
                         bytes = enum seal_unopened, and the number of the key's generation */
    MESH_OUT_MOVED,   /* an admitted peer now sends from addr (proved by its seal) */
    MESH_OUT_BEACON,  /* inc, at addr, says its counts (bytes) to the group: it need not be a peer,
                         and no lease or answer follows from it */
    MESH_OUT_GROUP,   /* bytes = one byte: 0, the group is heard again; 1, it is silent */
    MESH_OUT_REACH    /* a peer: bytes = one byte: 0, it no longer hears what this node says to the
                         group and gets all by unicast; 1, it hears it again */
};

enum mesh_channel { CHANNEL_ROSTER = 1, CHANNEL_SESSION = 2, CHANNEL_ORDER = 3, CHANNEL_KEYS = 4 };

/* One thing to do, in order. bytes belong to the output and go with mesh_outputs_clear. */
struct mesh_output {
    struct list link;
    enum mesh_output_type type;
    uint64_t inc, node;
    struct addr addr;
    uint8_t channel;
    size_t len;
    uint8_t bytes[];
};

struct mesh_actions {
    struct list outputs;
    uint64_t deadline_ns;
};

void mesh_actions_init(struct mesh_actions *a);
void mesh_actions_clear(struct mesh_actions *a);
void mesh_output_free(struct mesh_output *o);

struct mesh *mesh_new(const struct mesh_config *c) __attribute__((warn_unused_result));
void mesh_free(struct mesh *m);

/* This node's card, as HELLO carries it from now on. len <= MESH_CARD_MAX. */
void mesh_set_card(struct mesh *m, const uint8_t *card, size_t len);
/* Events. A datagram came in: */
void mesh_datagram(struct mesh *m, const struct addr *from, const uint8_t *bytes, size_t len,
                   uint64_t now_ns, struct mesh_actions *out);
/* Say HELLO to whoever listens at addr (retried by the caller). */
void mesh_hello(struct mesh *m, const struct addr *to, uint64_t now_ns, struct mesh_actions *out);
/* What this node's beacons say from now on (len <= MESH_BEACON_MAX; 0: no more beacons). The flush
 * sends one every second, and at once after a change, but at most every 20 ms. */
void mesh_set_beacon(struct mesh *m, const uint8_t *counts, size_t len);
/* A beacon came from one who is not known: says HELLO to it, at most once a second to an address.
 * Where there are many peers only some of them do. */
void mesh_greet(struct mesh *m, const struct addr *to, uint64_t now_ns, struct mesh_actions *out);
/* Decisions about a PROVEN incarnation. Admitting one that is admitted already sets its address.
 * INVAL (0, or this node itself), FULL (MESH_PEERS_MAX), NOMEM. A refusal (reason: a stead_error,
 * not 0) is believed only if it follows a proof: it echoes the nonce that came with it. */
int mesh_admit(struct mesh *m, uint64_t inc, uint64_t node, const struct addr *addr,
               uint64_t now_ns);
void mesh_refuse(struct mesh *m, uint64_t inc, const struct addr *addr, int reason, uint64_t now_ns,
                 struct mesh_actions *out);
/* The generation of the farm's key under which a peer is sealed to: at first the one under which it
 * proved itself. 0: the active one, or no such peer. */
uint64_t mesh_mark(const struct mesh *m, uint64_t inc);
void mesh_set_mark(struct mesh *m, uint64_t inc, uint64_t mark);
/* The mark of a generation that is not the active one and under which a frame came since the last
 * call; 0: none did. */
uint64_t mesh_take_used(struct mesh *m);
/* Forgets the peer and all that is queued for it; its incarnation must prove itself again. Whether
 * one side or both forgot: when they have met again, no message of before is delivered a second
 * time, what was sent and not acknowledged by then is lost, and what the other side had not begun
 * to send still comes. */
void mesh_remove(struct mesh *m, uint64_t inc);
/* Drops what waits for the peer and was not begun: it was counted out, and nothing that was said to
 * it before holds. What was begun goes on, so that numbers have no gap. */
void mesh_drop_waiting(struct mesh *m, uint64_t inc);
/* Queues a message; it is packed and sent at once as far as the window allows. STEAD_E_NOT_FOUND
 * (no such peer), BUSY (queue full), TOO_LARGE (MESH_MESSAGE_MAX, MESH_FLEETING_BYTES_MAX), NOMEM.
 * A fleeting message is sent once, by the next flush at which the link is up. */
int mesh_send(struct mesh *m, uint64_t to, enum mesh_channel channel, bool reliable,
              const uint8_t *bytes, size_t len, uint64_t now_ns);
/* Where a message goes beside its bytes: at own_at, MESH_OWN_BYTES of each receiver's own. */
struct mesh_to {
    uint64_t inc;
    uint8_t own[MESH_OWN_BYTES];
};

/* The same, reliably, to several, at most MESH_RECEIVERS_MAX: one datagram for those that hear the
 * group, where it can be; else copies. own_at + MESH_OWN_BYTES <= len, and within the first
 * UNIT_PART_MAX bytes. Bit i of the result: the queue to to[i] took it. */
unsigned mesh_send_many(struct mesh *m, const struct mesh_to to[], size_t count,
                        enum mesh_channel channel, size_t own_at, const uint8_t *bytes, size_t len,
                        uint64_t now_ns);
/* Packs and sends what was queued since, and does what the time demands. Call after events and
 * sends, and at the deadline. */
void mesh_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out);

struct mesh_stats {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t dropped_auth, dropped_replay, dropped_malformed, dropped_stranger, dropped_version,
        dropped_limit;
    uint64_t unsent_full, unsent_void; /* messages: the queue was full; the peer was counted out */
    uint64_t retransmits, messages_in, messages_out, queued_bytes, peers;
    uint64_t beacons_in, beacons_out; /* in: of others */
    uint64_t group_silent;            /* 1: nothing is heard from the group, own beacons included */
    /* Messages to several. */
    uint64_t group_reached; /* peers that hear the group, as they say */
    uint64_t group_lost;    /* times that one ceased to */
    uint64_t group_frames_out, group_bytes_out, group_parts_in;
    uint64_t group_messages_out;             /* that went by the group, to two receivers or more */
    uint64_t group_copies;                   /* receivers that they were for */
    uint64_t unicast_copies;                 /* of messages to several: what went by unicast */
    uint64_t group_beats;                    /* frames that only say what went before */
    uint64_t asks_in, asks_out;              /* for what the group did not bring */
    uint64_t repairs_group, repairs_unicast; /* parts sent again since they were asked for */
    uint64_t group_late;   /* parts sent again by unicast, acknowledged by nobody in time */
    uint64_t group_missed; /* times that a peer had any of these */
};

void mesh_stats(const struct mesh *m, struct mesh_stats *out);
/* Smoothed round trip to a peer in ns, 0 when unknown; its frame size in bytes. */
uint64_t mesh_rtt_ns(const struct mesh *m, uint64_t inc);
uint32_t mesh_frame_size(const struct mesh *m, uint64_t inc);

#endif
