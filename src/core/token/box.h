/* box.h - bytes of any length sealed for one place: a value of a record that only the farm's doors
 * open. Where a box belongs is bound into it: in another place it does not open.
 *
 * A box is 4 bytes of mark, the key's id (4 bytes), a salt of 16 random bytes, AES-256-GCM
 * ciphertext and tag. Its key is HMAC-SHA256(key, "box" | place | salt), used once, with a nonce of
 * zeros; the id is the first bytes of HMAC-SHA256(key, "box id"). */
#ifndef CORE_TOKEN_BOX_H
#define CORE_TOKEN_BOX_H

#include "core/token/token.h"

#define BOX_OVERHEAD (4 + 4 + TOKEN_SALT_BYTES + 16)
#define BOX_PLACE_MAX 640

/* Looks like one. */
bool box_is(const void *bytes, size_t len);
/* out: len + BOX_OVERHEAD bytes. place: at most BOX_PLACE_MAX bytes. salt: TOKEN_SALT_BYTES random
 * bytes, new for each box. False: the crypto library has no memory, or the place is too long. */
bool box_seal(const uint8_t key[TOKEN_KEY_BYTES], const void *place, size_t place_len,
              const uint8_t *salt, const void *bytes, size_t len, uint8_t *out);
/* out: box_len - BOX_OVERHEAD bytes. False: it is none, forged, of another key or place. */
bool box_open(const uint8_t key[TOKEN_KEY_BYTES], const void *place, size_t place_len,
              const void *box, size_t box_len, uint8_t *out);

#endif
