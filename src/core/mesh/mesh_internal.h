/* mesh_internal.h - the state of a mesh and its peers, shared by the files of this folder. */
#ifndef CORE_MESH_INTERNAL_H
#define CORE_MESH_INTERNAL_H

#include "base/clock.h"
#include "base/rng.h"
#include "core/mesh/beacon.h"
#include "core/mesh/cast.h"
#include "core/mesh/incmap.h"
#include "core/mesh/mesh.h"
#include "core/mesh/unit.h"
#include "stead/error.h"

#define MESH_BODY_MAX (MESH_FRAME_MAX - FRAME_OVERHEAD)
#define GONE_MAX 1024u     /* replay windows kept of removed incarnations */
#define PROVEN_MAX 32u     /* latest proofs, so that a refusal can echo their nonce */
#define STRANGERS_MAX 64u  /* slots of the rate limit for answers to strangers */
#define FLEETING_MAX 256u  /* waiting for the next flush */
#define FLEETING_STALE 16u /* of them, kept while the link is not up */

/* What must outlive a peer, so that no frame is accepted twice. */
struct seen {
    struct incmap_node map; /* in mesh.gone */
    struct list lru;
    uint64_t inc;
    struct replay replay;
};

/* Both sides draw an epoch when they admit each other. Content counts only between the present
 * epochs of both, so whoever forgot the other starts afresh, and nothing of before is delivered
 * again. */
struct link_state {
    uint32_t own, theirs;
    uint64_t theirs_top; /* greatest counter of that epoch: what is older cannot change it */
    bool confirmed;      /* the peer has named our epoch since it has its own */
    bool answer;         /* a LINK is due */
    uint64_t ask_ns, ask_delay_ns;
};

struct tx_message {
    struct list link;
    uint32_t len, next_index, parts_out;
    uint8_t channel;
    uint8_t bytes[];
};

struct tx_part {
    struct list link;
    struct tx_message *message;
    struct cast_item *item; /* it went by the group; NULL: to this peer alone */
    uint64_t seq;
    uint64_t number, sent_ns; /* of the last frame that carried it */
    uint16_t index;
    bool big;   /* that frame was larger than MESH_FRAME_MIN */
    bool again; /* by the group, not for the first time */
};

struct tx {
    struct list waiting;   /* messages with parts never sent; only the first may have begun */
    struct list in_flight; /* parts, by number */
    struct list grouped;   /* parts that went by the group, by sent_ns */
    struct list lost;      /* parts to be sent again */
    struct list fleeting;  /* messages */
    uint32_t fleeting_count;
    uint64_t queued_bytes, in_flight_bytes;
    uint64_t next_seq, acked_upto; /* seq starts at 1 */
    uint64_t number;               /* of the last frame that carried a part */
    uint64_t recovery_number;      /* losses up to this frame have reduced the window already */
    uint32_t window_bytes, slow_start_bytes;
    uint64_t srtt_ns, var_ns;
    uint64_t heard_ns;        /* the peer's last frame came */
    unsigned backoff;         /* timeouts since something was acknowledged */
    uint64_t memory_retry_ns; /* 0, or when a part is tried again that found no memory */
};

/* A message some parts of which are here; keyed by the seq of its first part. */
struct partial {
    struct incmap_node map;
    struct list link;
    uint32_t missing;
    struct mesh_output *output;
};

struct rx {
    uint64_t upto, newest;
    uint64_t bits[ACK_WORDS]; /* as in an ACK */
    bool ack_due;
    struct incmap partials;
    struct list partial_list;
    uint64_t held_bytes;
    struct partial *beyond_limit;
};

struct mtu {
    uint32_t size;
    uint8_t step, tries, losses;
    uint16_t answer; /* a probe of this size is to be answered; 0: none */
    bool probing;
    uint64_t next_ns, raise_delay_ns;
};

struct peer {
    struct incmap_node map;
    struct list link, active;
    uint64_t node, inc;
    uint64_t mark; /* of the key's generation that it is sealed to under; 0: the active one */
    struct addr addr;
    struct seen *seen;
    struct link_state state;
    struct tx tx;
    struct rx rx;
    struct mtu mtu;
    struct reach reach;
};

struct mesh {
    struct mesh_config config;
    struct rng rng;
    struct incmap peers, gone;
    struct list peer_list, active, gone_lru;
    size_t card_len;
    uint8_t card[MESH_CARD_MAX];
    struct {
        uint64_t inc, nonce, mark;
    } proven[PROVEN_MAX];
    unsigned proven_next;
    struct {
        uint64_t inc, next_ns;
    } strangers[STRANGERS_MAX];
    uint64_t stranger_next_ns;
    uint64_t foreign_next_ns;
    uint64_t used_mark; /* of the last frame that came under another generation than the active */
    struct beacon beacon;
    struct cast cast;
    uint64_t reached; /* peers that hear the group, as far as is known */
    struct mesh_stats stats;
};

/* mesh.c */
struct peer *mesh_peer(const struct mesh *m, uint64_t inc);
void mesh_wake(struct mesh *m, struct peer *p); /* the next flush looks at p */
struct mesh_output *mesh_output_new(enum mesh_output_type type, uint64_t inc, uint64_t node,
                                    size_t len);
void mesh_output_add(struct mesh_actions *out, struct mesh_output *o); /* takes o */
/* Seals body under the generation of that mark, and puts the datagram out. Without memory nothing
 * goes out: a lost frame, to the rest.
 */
void mesh_emit(struct mesh *m, uint64_t to, uint64_t mark, const struct addr *addr,
               const struct wire_writer *body, struct mesh_actions *out);

/* hello.c: proof of life */
void hello_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
              const struct unit *u, uint64_t now_ns, struct mesh_actions *out);
void hello_stranger(struct mesh *m, const struct addr *from, const struct frame_header *h,
                    uint64_t now_ns, struct mesh_actions *out);

/* link.c: epochs */
void link_init(struct link_state *s, struct rng *rng, uint64_t now_ns);
/* Takes the LINK of a frame. True when the frame's other units count. */
bool link_in(struct mesh *m, struct peer *p, const struct unit_link *l, uint64_t counter);
struct unit link_unit(const struct peer *p, uint64_t number);
/* Asks for the peer's epoch when it is time. */
void link_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out);

/* tx.c: out */
void tx_init(struct tx *t, const struct mesh_config *c);
void tx_deinit(struct tx *t);
/* A new epoch of the peer: what was sent is dropped, what was not is kept. */
void tx_restart(struct tx *t, const struct mesh_config *c);
bool tx_ack_valid(const struct tx *t, const struct unit_ack *a);
void tx_ack(struct mesh *m, struct peer *p, const struct unit_ack *a, uint64_t now_ns);
/* A frame came from the peer: after a silence, what waits long for its next try is tried at once.
 */
void tx_heard(struct tx *t, uint64_t now_ns);
void tx_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out);
/* All parts that went out in big frames count as lost. */
void tx_lose_big(struct tx *t);
uint64_t tx_rto_ns(const struct tx *t);
uint64_t tx_deadline_ns(const struct tx *t);

/* rx.c: in */
void rx_init(struct rx *x);
void rx_deinit(struct rx *x);
void rx_part(struct mesh *m, struct peer *p, const struct unit_part *part,
             struct mesh_actions *out);
void rx_fleeting(struct mesh *m, struct peer *p, const struct unit_fleeting *f,
                 struct mesh_actions *out);
void rx_ack_unit(const struct rx *x, struct unit *u);

/* mtu.c: frame size */
void mtu_init(struct mtu *u);
void mtu_want(struct mtu *u, uint64_t now_ns); /* there is more to send than fits a frame */
void mtu_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out);
void mtu_probed(struct mtu *u, uint16_t size, uint64_t now_ns);
void mtu_arrived(struct mtu *u); /* a big frame did */
void mtu_lost(struct peer *p, uint64_t now_ns);
uint64_t mtu_deadline_ns(const struct mtu *u);

#endif
