/* keys_talk.h - how the generations of the farm's key get to all of its nodes: what each peer has
 * said of them, who is told what next, and what is to be written to the key file before it counts.
 * Pure. docs/protocol.md, Keys.
 *
 * What is learned is *wanted* first. It is *in effect* (opened with, told, sealed under) once the
 * caller has stored it: no node says that it has what a crash would take from it. */
#ifndef CORE_MESH_KEYS_TALK_H
#define CORE_MESH_KEYS_TALK_H

#include "core/mesh/keys.h"

#define KEYS_TALK_AGAIN_NS 2000000000ull  /* between two messages of the same to one peer */
#define KEYS_STORE_AGAIN_NS 5000000000ull /* after a file that could not be written */
#define KEYS_USE_NS 10000000000ull        /* so long after its last use a generation is in use */

struct keys_talk;

/* NULL: no memory. lasting must be known. */
struct keys_talk *keys_talk_new(const struct keys *k) __attribute__((warn_unused_result));
void keys_talk_free(struct keys_talk *t); /* wipes */

const struct keys *keys_talk_now(const struct keys_talk *t); /* in effect */

/* A peer was admitted: it is told what is known here. Opened under `mark`, it proved itself. */
void keys_talk_met(struct keys_talk *t, uint64_t inc, uint64_t mark);
void keys_talk_gone(struct keys_talk *t, uint64_t inc);
/* False: malformed, nothing changed. */
bool keys_talk_message(struct keys_talk *t, uint64_t inc, const uint8_t *bytes, size_t len);
/* The next message to send, until false. deadline: when there may be one again. */
bool keys_talk_next(struct keys_talk *t, uint64_t now_ns, uint64_t *inc,
                    uint8_t bytes[KEYS_MESSAGE_MAX], size_t *len);
/* It could not be sent: again later. */
void keys_talk_unsent(struct keys_talk *t, uint64_t inc, uint64_t now_ns);
uint64_t keys_talk_deadline_ns(const struct keys_talk *t);

/* An operator's change, of a copy of what is wanted: from now on it is wanted. */
void keys_talk_wanted(const struct keys_talk *t, struct keys *out);
void keys_talk_want(struct keys_talk *t, const struct keys *k);
/* What is to be stored now: true, and a copy, which is to be wiped. Until keys_talk_stored() has
 * told how that went nothing else is. */
bool keys_talk_store(struct keys_talk *t, uint64_t now_ns, struct keys *out);
/* True when other keys are in effect from here on. */
bool keys_talk_stored(struct keys_talk *t, bool good, uint64_t now_ns);

/* Something of that generation was opened here. */
void keys_talk_used(struct keys_talk *t, uint64_t mark, uint64_t now_ns);
bool keys_talk_uses(const struct keys_talk *t, uint64_t mark);

/* The generation to seal under for a peer: the active one, if it has it; else one that both have.
 * Of a stranger: the active one. */
uint64_t keys_talk_mark(const struct keys_talk *t, uint64_t inc);

/* What a peer last said of one generation. */
struct keys_peer {
    bool told; /* it has said something at all; else the rest is not known */
    bool has;  /* it accepts it */
    bool active, uses;
    uint8_t active_number; /* of what it seals under; 0: of what is not known here */
};
void keys_talk_peer(const struct keys_talk *t, uint64_t inc, uint64_t mark, struct keys_peer *out);

struct keys_stats {
    uint64_t in, out, malformed, changes, store_failed;
};
void keys_talk_stats(const struct keys_talk *t, struct keys_stats *out);

#endif
