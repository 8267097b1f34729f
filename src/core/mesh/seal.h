/* seal.h - the envelope of every frame: AES-256-GCM under keys derived from the farm's key (RFC
 * 5869), and the replay window. docs/protocol.md, Frames. Pure but for OpenSSL's arithmetic.
 *
 * Trap: the farm's key proves that a sender is a member, not which one (SECURITY.md). */
#ifndef CORE_MESH_SEAL_H
#define CORE_MESH_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 40
#define FRAME_TAG_BYTES 16
#define FRAME_OVERHEAD (FRAME_HEADER_BYTES + FRAME_TAG_BYTES)
#define FARM_KEY_BYTES 32

struct frame_header {
    uint8_t key_generation;
    uint32_t farm;
    uint64_t node, inc, to, counter;
};

struct seal; /* the keys of one farm as one node uses them, with a bounded cache of derived keys */

struct seal *seal_new(const char *farm_name, const uint8_t farm_key[FARM_KEY_BYTES], uint64_t node,
                      uint64_t inc);
void seal_free(struct seal *s);
/* Seals body into out (room for body_len + FRAME_OVERHEAD). Gives each frame the next counter. */
int seal_frame(struct seal *s, uint64_t to, const uint8_t *body, size_t body_len, uint8_t *out,
               size_t *out_len);
/* Reads the clear header only: VERSION, TRUNCATED, or OK. */
int seal_peek(const uint8_t *frame, size_t len, struct frame_header *h);
/* Opens a frame into body (room for len). STEAD_E_TRUNCATED, VERSION, AUTH. No replay check here.
 */
int seal_open(struct seal *s, const uint8_t *frame, size_t len, struct frame_header *h,
              uint8_t *body, size_t *body_len);
/* A keyed 64-bit value under this process's own secret, for stateless nonces. */
uint64_t seal_nonce(const struct seal *s, const void *bytes, size_t len);
/* 32 bytes derived from the farm's key for another use, named by its purpose ("placement",
 * "token"). */
void seal_derive(const struct seal *s, const char *purpose, uint8_t out[32]);

#define REPLAY_WINDOW 1024

struct replay {
    uint64_t top;
    uint64_t bits[REPLAY_WINDOW / 64];
};

/* True when the counter is new, and marks it; false: seen before, or too old to know. */
bool replay_accept(struct replay *r, uint64_t counter);

#endif
