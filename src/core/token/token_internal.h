/* token_internal.h - the cipher that tokens and boxes share. Within core/token only. */
#ifndef CORE_TOKEN_INTERNAL_H
#define CORE_TOKEN_INTERNAL_H

#include "core/token/token.h"

#define TOKEN_TAG_BYTES 16

/* AES-256-GCM under a key that is used once, with a nonce of zeros. False: the tag does not fit, or
 * the crypto library has no memory. */
bool token_cipher(const uint8_t key[TOKEN_KEY_BYTES], bool encrypt, const uint8_t *in, size_t len,
                  uint8_t *out, uint8_t tag[TOKEN_TAG_BYTES]);

#endif
