/* bulk_seal.h - the envelope of a stream between two nodes that carries very many messages:
 * AES-256-GCM under keys of the connection, derived from a secret of the farm and fresh bytes of
 * both sides. docs/protocol.md, Bulk. Pure but for OpenSSL's arithmetic.
 *
 *   hello = 8 bytes BULK_MAGIC | u64 sender | u64 receiver | 16 bytes nonce    (incarnations)
 *   answer = 16 bytes nonce
 *   frame = u32 bytes of what follows | sealed body | 16 bytes tag
 *   body = any number of: u32 length, a message
 *
 * Each side's first frame proves that it has the secret; before it nothing that came counts. A
 * connection's frames are numbered, so none is taken twice, left out or moved.
 *
 * Trap: as with datagrams, the secret proves a member, not which one.
 */
#ifndef CORE_MESH_BULK_SEAL_H
#define CORE_MESH_BULK_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BULK_SECRET_BYTES 32
#define BULK_NONCE_BYTES 16
#define BULK_HELLO_BYTES 40
#define BULK_HEAD_BYTES 4
#define BULK_TAG_BYTES 16
#define BULK_BODY_MAX (64u << 10)
#define BULK_FRAME_MAX (BULK_HEAD_BYTES + BULK_BODY_MAX + BULK_TAG_BYTES)

struct bulk_hello {
    uint64_t from, to;
    uint8_t nonce[BULK_NONCE_BYTES];
};

void bulk_hello_put(const struct bulk_hello *h, uint8_t out[BULK_HELLO_BYTES]);
bool bulk_hello_get(struct bulk_hello *h, const uint8_t bytes[BULK_HELLO_BYTES]);

struct bulk_seal;

/* Of a connection; `asked`: this side sent the hello. NULL without memory. */
struct bulk_seal *bulk_seal_new(const uint8_t secret[BULK_SECRET_BYTES],
                                const struct bulk_hello *hello,
                                const uint8_t answer[BULK_NONCE_BYTES], bool asked)
    __attribute__((warn_unused_result));
void bulk_seal_free(struct bulk_seal *s); /* takes NULL; wipes the keys */

/* The body lies behind BULK_HEAD_BYTES, with room for the tag behind it: sealed in place, head and
 * tag are put around it. Returns the frame's bytes; 0: it could not be sealed, and nothing more
 * may be sent. */
size_t bulk_seal_put(struct bulk_seal *s, uint8_t *frame, size_t body_len);
/* So many bytes has the frame that begins with this head; 0: malformed. */
size_t bulk_frame_bytes(const uint8_t head[BULK_HEAD_BYTES]);
/* Opens a whole frame in place; the body lies behind the head. False: forged or damaged. */
bool bulk_seal_get(struct bulk_seal *s, uint8_t *frame, size_t len, size_t *body_len);

#endif
