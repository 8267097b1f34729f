/* cast.h - messages to several receivers by one datagram to a multicast group. Inside of this
 * folder; mesh.h has what others may ask for. docs/protocol.md, Delivery to many.
 *
 * A part that goes by the group is a part of each receiver's link, under the number that it has
 * there: what comes is told from what came, whichever way it took, and what the group does not
 * bring goes by unicast. It differs in who speaks when: a receiver that sees a gap asks (MISSED);
 * one that has all acknowledges late, or with what it sends anyway. */
#ifndef CORE_MESH_CAST_H
#define CORE_MESH_CAST_H

#include "base/list.h"
#include "core/mesh/mesh.h"
#include "core/mesh/unit.h"

struct peer;
struct tx;
struct tx_part;
struct tx_message;

#define CAST_QUEUE_MAX 4096u /* messages of one turn; more go by unicast */

/* Between this node and a peer, by the group. */
struct reach {
    /* to it */
    uint64_t told;     /* the counter of ours that it last said it heard */
    uint64_t until_ns; /* it counts as reached until then; 0: it does not */
    uint64_t high;     /* the last number that went to it by the group; 0: none in this epoch */
    uint8_t misses;    /* in a row: what the group should have brought, and unicast had to */
    bool lost;         /* it was reached, and is no more: said aloud */
    /* from it */
    uint64_t heard;    /* the counter of its latest frame */
    uint64_t said;     /* as it was told */
    uint64_t said_ns;  /* and when */
    uint64_t wanted;   /* up to this number something should be here */
    uint64_t ask_ns;   /* 0: nothing is asked for */
    uint64_t ask_from; /* all was here up to there when it was first asked */
    uint64_t ask_delay_ns;
    uint8_t asks;     /* in a row, without anything that came */
    bool ask;         /* MISSED goes out with the next frame */
    uint64_t late_ns; /* an acknowledgement is due by then; 0: none is */
    uint32_t late_count;
};

/* A part that went out once for several links. */
struct cast_item {
    struct list link;
    uint64_t due_ns;
    uint16_t own_at;
    uint8_t count, asked;
    struct cast_share {
        struct peer *peer;
        struct tx_part *part; /* NULL: acknowledged, or it goes by unicast now */
        bool asked;
    } to[UNIT_SHARES_MAX];
};

/* A message that waits for the flush of this turn. */
struct cast_send {
    struct list link;
    uint16_t own_at;
    uint8_t count;
    struct {
        uint64_t inc;
        struct tx_message *message; /* NULL: dropped */
    } to[UNIT_SHARES_MAX];
};

struct cast {
    struct list queue; /* struct cast_send */
    size_t queued;
    struct list repairs; /* struct cast_item that receivers asked for, by due_ns */
    uint64_t beat_ns, beat_delay_ns;
};

void cast_init(struct cast *f);
void cast_deinit(struct cast *f);
/* Drops what waits for inc and was not begun. */
void cast_drop_queued(struct mesh *m, uint64_t inc);
/* The part is acknowledged, or goes another way. */
void cast_forget(struct tx_part *part);
/* A receiver asks for what it did not get of the numbers up to high. */
void cast_asked(struct mesh *m, struct peer *p, uint64_t high, uint64_t now_ns);
/* Sends what waits and what was asked for, and says what went out last. Before the links' own. */
void cast_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out);

/* tx.c: a message that is in no list yet, counted as queued; BUSY, NOMEM. */
int tx_message_new(struct mesh *m, struct tx *t, enum mesh_channel channel, const uint8_t *bytes,
                   size_t len, struct tx_message **out);
void tx_message_free(struct tx *t, struct tx_message *message);
/* Its parts, n of them, take their numbers now. False: no room in the window, no memory. */
bool tx_share(struct tx *t, struct tx_message *message, struct tx_part *parts[], uint32_t n);
uint32_t tx_part_cost(const struct tx_part *part);
/* The part goes out by unicast next. */
void tx_part_lose(struct tx *t, struct tx_part *part);

/* cast_in.c: a frame from the group, whose seal and counter hold. */
void cast_in(struct mesh *m, struct peer *p, const struct frame_header *h, const uint8_t *body,
             size_t body_len, uint64_t now_ns, struct mesh_actions *out);
/* What is due to the peer goes out with the next frame to it. */
void cast_in_flush(struct mesh *m, struct peer *p, uint64_t now_ns);
/* The ACK went out; or up to where all is here, which is as good where there is no gap. */
void cast_in_acked(struct peer *p);
void cast_in_told(struct peer *p);
/* Parts came by unicast from a peer that hears the group: it is told so with what goes there. */
void cast_in_unicast(struct peer *p, uint64_t now_ns);
/* A new epoch of the link. */
void cast_in_restart(struct peer *p);
uint64_t cast_in_deadline_ns(const struct peer *p);

/* reach.c: who hears the group. */
bool reach_is(const struct peer *p, uint64_t now_ns);
/* The peer says what it heard. */
void reach_told(struct mesh *m, struct peer *p, uint64_t counter, uint64_t now_ns,
                struct mesh_actions *out);
/* A frame of the peer came by the group. */
void reach_heard(struct peer *p, uint64_t counter);
/* Something that went by the group was not acknowledged in time. */
void reach_missed(struct mesh *m, struct peer *p);
/* At each beat: who has not said anything for long is reached no more. */
void reach_beat(struct mesh *m, uint64_t now_ns, struct mesh_actions *out);
/* Tells the peer what was heard of it, when that is due. */
void reach_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out);
uint64_t reach_deadline_ns(const struct peer *p);

#endif
