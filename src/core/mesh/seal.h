/* seal.h - the envelope of every frame: AES-256-GCM under keys derived from the farm's key (RFC
 * 5869), and the replay window. docs/protocol.md, Frames. Pure but for OpenSSL's arithmetic.
 *
 * Trap: the farm's key proves that a sender is a member, not which one (SECURITY.md). */
#ifndef CORE_MESH_SEAL_H
#define CORE_MESH_SEAL_H

#include "core/mesh/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 40
#define FRAME_TAG_BYTES 16
#define FRAME_OVERHEAD (FRAME_HEADER_BYTES + FRAME_TAG_BYTES)
#define FARM_KEY_BYTES KEY_SECRET_BYTES

struct frame_header {
    uint8_t key_generation; /* its number */
    uint64_t mark;          /* of the generation that opened it */
    uint32_t farm;
    uint64_t node, inc, to, counter;
};

struct seal; /* the keys of one farm as one node uses them, with a bounded cache of derived keys */

/* Of one generation, the first. */
struct seal *seal_new(const char *farm_name, const uint8_t farm_key[FARM_KEY_BYTES], uint64_t node,
                      uint64_t inc);
/* Of all of them. Lasting values that are not known are made of the first. */
struct seal *seal_new_keys(const char *farm_name, const struct keys *k, uint64_t node,
                           uint64_t inc);
void seal_free(struct seal *s);
/* Other generations from here on: frames of those that are not accepted open no more. NOMEM: all is
 * as it was. */
int seal_set_keys(struct seal *s, const struct keys *k);
const struct keys *seal_keys(const struct seal *s);
/* Seals body into out (room for body_len + FRAME_OVERHEAD), under the generation of that mark; 0,
 * or one that is not accepted: the active one. Gives each frame the next counter. */
int seal_frame_under(struct seal *s, uint64_t mark, uint64_t to, const uint8_t *body,
                     size_t body_len, uint8_t *out, size_t *out_len);
int seal_frame(struct seal *s, uint64_t to, const uint8_t *body, size_t body_len, uint8_t *out,
               size_t *out_len);
/* Reads the clear header only: VERSION, TRUNCATED, or OK. */
int seal_peek(const uint8_t *frame, size_t len, struct frame_header *h);
/* Opens a frame into body (room for len). The header names the generation by its number; of several
 * accepted ones of that number (at most KEYS_ACCEPTED_MAX) each is tried. STEAD_E_TRUNCATED,
 * VERSION, AUTH. No replay check here. */
int seal_open(struct seal *s, const uint8_t *frame, size_t len, struct frame_header *h,
              uint8_t *body, size_t *body_len);
/* A keyed 64-bit value under this process's own secret, for stateless nonces. */
uint64_t seal_nonce(const struct seal *s, const void *bytes, size_t len);
/* Of a frame that did not open: what is known of the generation that its header names. */
enum seal_unopened {
    SEAL_OTHER_FARM,
    SEAL_OTHER_KEY, /* a number that is accepted, but another secret, or a forgery */
    SEAL_RETIRED,
    SEAL_UNKNOWN,      /* a number that was never here */
    SEAL_OTHER_VERSION /* of the frame: nothing in it can be read */
};
enum seal_unopened seal_why(const struct seal *s, const struct frame_header *h);
/* 32 bytes derived from the active generation for another use, named by its purpose ("token"). */
void seal_derive(const struct seal *s, const char *purpose, uint8_t out[32]);
/* From other bytes of the farm, in the same way: from a generation's secret or data. */
void seal_derive_from(const struct seal *s, const uint8_t from[KEY_SECRET_BYTES],
                      const char *purpose, uint8_t out[32]);

#define REPLAY_WINDOW 1024

struct replay {
    uint64_t top;
    uint64_t bits[REPLAY_WINDOW / 64];
};

/* True when the counter is new, and marks it; false: seen before, or too old to know. */
bool replay_accept(struct replay *r, uint64_t counter);

#endif
