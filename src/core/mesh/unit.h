/* unit.h - what the body of a frame is made of, to and from bytes. All integers big-endian.
 *
 * A body is one contact unit (HELLO, WELCOME, PROOF, REFUSE), one BEACON, or a LINK followed by any
 * number of ACK, PART, FLEETING, PROBE, PROBED. Zero bytes at the end are padding.
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
    UNIT_BEACON
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

struct unit {
    enum unit_type type;
    union {
        struct unit_contact contact;
        struct unit_link link;
        struct unit_ack ack;
        struct unit_part part;
        struct unit_fleeting fleeting;
        struct unit_beacon beacon;
        uint16_t probe_size;
    };
};

/* Reads the next unit; what it points to lies in the reader's input. False at the end of the input
 * and on malformed bytes, which wire_ok tells apart. PAD takes all that is left. */
bool unit_next(struct wire_reader *r, struct unit *u);
/* True when the body is well-formed: one contact unit, one BEACON, or a LINK and what may follow
 * it. */
bool unit_check_body(const uint8_t *body, size_t len);
void unit_put(struct wire_writer *w, const struct unit *u);
/* The number of parts of a message, at least 1. */
uint32_t unit_parts(uint32_t total);
/* Whether seq is acknowledged. */
bool unit_acked(const struct unit_ack *a, uint64_t seq);

#endif
