/* unit.h - what the body of a frame is made of, to and from bytes. All integers big-endian.
 *
 * A body is one contact unit (HELLO, WELCOME, PROOF, REFUSE), one BEACON, a LINK followed by any
 * number of ACK, PART, FLEETING, PROBE, PROBED, MISSED, HEARS, or a FLOW followed by any number of
 * SHARED. Zero bytes at the end are padding.
 *
 *   1 HELLO     u64 nonce, str16 card
 *   2 WELCOME   u64 echo, u64 nonce, str16 card
 *   3 PROOF     u64 echo, u64 nonce, str16 card
 *   4 REFUSE    u64 echo, u8 reason
 *   5 LINK      u8 flags (1 = answer me), u32 own epoch, u32 the receiver's epoch or 0, u64 number
 *   6 ACK       u64 all up to here, u64 newest number seen, u8 n (<= 16), n x u64 bitmap
 *   7 PART      u64 seq, u32 total length, u16 index, u8 channel, str16 bytes
 *   8 FLEETING  u8 channel, str16 bytes
 *   9 PROBE     u16 size of the frame
 *  10 PROBED    u16 size of the frame
 *  11 BEACON    str16 counts: to the whole group, receiver 0
 *  12 FLOW      u8 n (1 to 64), n x (u32 own epoch, u32 the receiver's, u32 high, u32 upto)
 *  13 SHARED    u32 total length, u16 index, u8 channel, u16 own at, u8 n (1 to 8), n x (u8 place,
 *               u16 low bits of seq, [u16 mask, u8 ...]), str16 bytes
 *  14 MISSED    u64 high: what the ACK before it does not name up to there, by the group, again
 *  15 HEARS     u64 counter: of the receiver's latest frame that came by the group
 *
 * FLOW, to the group, names for each receiver the link it is of, the last number that went to it by
 * the group, and up to which all of its own numbers are here: low bits. SHARED is a PART for some
 * of them, by their places in that table. What is a receiver's own of it (own at is not 65535)
 * stands apart: a mask of which of these 16 bytes are not 0, and those.
 */
#ifndef CORE_MESH_UNIT_H
#define CORE_MESH_UNIT_H

#include "base/wire.h"
#include "core/mesh/mesh.h"

#include <stdbool.h>
#include <stdint.h>

#define UNIT_PART_MAX 1088u /* every part of a message but its last is this long */
#define UNIT_PART_OVERHEAD 18u
#define UNIT_FLEETING_OVERHEAD 4u
#define UNIT_LINK_BYTES 18u
#define UNIT_ACK_BYTES 18u /* and 8 for each word */
#define UNIT_PROBE_BYTES 3u
#define UNIT_MISSED_BYTES 9u
#define UNIT_HEARS_BYTES 9u
#define UNIT_FLOW_OVERHEAD 2u
#define UNIT_FLOW_ENTRY_BYTES 16u
#define UNIT_FLOW_MAX 64u  /* receivers that a frame to the group names */
#define UNIT_SHARES_MAX 8u /* of them, of one part */
#define UNIT_OWN_BYTES 16u
#define UNIT_OWN_NONE UINT16_MAX
#define UNIT_SHARED_OVERHEAD 13u
#define UNIT_SHARE_BYTES_MAX (3u + 2u + UNIT_OWN_BYTES)
#define ACK_WORDS 16u
#define SEQ_WINDOW (ACK_WORDS * 64u) /* sequence numbers in flight */

_Static_assert((MESH_MESSAGE_MAX + UNIT_PART_MAX - 1) / UNIT_PART_MAX <= SEQ_WINDOW,
               "a whole message fits into the window");
_Static_assert(FRAME_OVERHEAD + UNIT_LINK_BYTES + UNIT_ACK_BYTES + UNIT_PART_OVERHEAD +
                       UNIT_PART_MAX <=
                   MESH_FRAME_MIN,
               "the smallest frame carries any part, and an acknowledgement without gaps");

enum unit_type {
    UNIT_PAD,
    UNIT_HELLO,
    UNIT_WELCOME,
    UNIT_PROOF,
    UNIT_REFUSE,
    UNIT_LINK,
    UNIT_ACK,
    UNIT_PART,
    UNIT_FLEETING,
    UNIT_PROBE,
    UNIT_PROBED,
    UNIT_BEACON,
    UNIT_FLOW,
    UNIT_SHARED,
    UNIT_MISSED,
    UNIT_HEARS
};

#define LINK_ANSWER_ME 1u

struct unit_contact {
    uint64_t echo, nonce;
    uint8_t reason;
    const uint8_t *card;
    size_t card_len;
};

struct unit_link {
    uint8_t flags;
    uint32_t own, yours;
    uint64_t number; /* of this frame among those that want an acknowledgement; else 0 */
};

struct unit_ack {
    uint64_t upto, newest;
    uint8_t words;
    uint64_t bits[ACK_WORDS]; /* bit i of word w: upto + 1 + 64 w + i */
};

struct unit_part {
    uint64_t seq;
    uint32_t total;
    uint16_t index;
    uint8_t channel;
    const uint8_t *bytes;
    size_t len;
};

struct unit_fleeting {
    uint8_t channel;
    const uint8_t *bytes;
    size_t len;
};

struct unit_beacon {
    const uint8_t *counts;
    size_t len;
};

struct unit_flow {
    uint8_t count;
    const uint8_t *table; /* as it is sent: unit_flow_entry */
};

struct unit_flow_entry {
    uint32_t own, yours, high, upto;
};

struct unit_shared {
    uint32_t total;
    uint16_t index;
    uint16_t own_at; /* where the own bytes stand in the part; UNIT_OWN_NONE */
    uint8_t channel;
    uint8_t count;
    struct unit_share {
        uint8_t place;
        uint16_t low;
        uint8_t own[UNIT_OWN_BYTES];
    } to[UNIT_SHARES_MAX];
    const uint8_t *bytes; /* the part's, but for the own ones */
    size_t len;
};

struct unit {
    enum unit_type type;
    union {
        struct unit_contact contact;
        struct unit_link link;
        struct unit_ack ack;
        struct unit_part part;
        struct unit_fleeting fleeting;
        struct unit_beacon beacon;
        struct unit_flow flow;
        struct unit_shared shared;
        uint64_t high;    /* MISSED */
        uint64_t counter; /* HEARS */
        uint16_t probe_size;
    };
};

/* Reads the next unit; what it points to lies in the reader's input. False at the end of the input
 * and on malformed bytes, which wire_ok tells apart. PAD takes all that is left. */
bool unit_next(struct wire_reader *r, struct unit *u);
/* True when the body is well-formed: one contact unit, one BEACON, a LINK or a FLOW and what may
 * follow it; and places in a SHARED are in the table of its FLOW. */
bool unit_check_body(const uint8_t *body, size_t len);
void unit_put(struct wire_writer *w, const struct unit *u);
void unit_flow_entry(const struct unit_flow *f, unsigned i, struct unit_flow_entry *e);
void unit_put_flow_entry(struct wire_writer *w, const struct unit_flow_entry *e);
/* The number of bytes of part `index` of a message. */
uint32_t unit_part_len(uint32_t total, uint16_t index);
/* The part as the share's receiver gets it: unit_part_len bytes. */
void unit_shared_part(const struct unit_shared *s, unsigned share, uint8_t out[UNIT_PART_MAX]);
/* The number of parts of a message, at least 1. */
uint32_t unit_parts(uint32_t total);
/* Whether seq is acknowledged. */
bool unit_acked(const struct unit_ack *a, uint64_t seq);

#endif
