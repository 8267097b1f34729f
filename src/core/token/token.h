/* token.h - short texts that a node hands to a client and that come back to some node of the farm:
 * readable by the farm only, and not to be forged. Their characters are those of base64url (RFC
 * 4648, section 5), so they fit in a cookie, a URL and a header as they are.
 *
 * Each has a purpose and an audience, which are not in the text but bound into it: what was made
 * for one use or one server opens for no other. Nothing here knows the time or who used what:
 * expiry and single use are what the content says and the reader checks.
 *
 * A sealed token is 1 byte of format, a salt of 16 random bytes, AES-256-GCM ciphertext and tag.
 * Its key is HMAC-SHA256(key, format | purpose | 0 | audience | 0 | salt), used once, with a nonce
 * of zeros. A signed one is its content in clear (though encoded), behind format and a tag: the
 * first 16 bytes of HMAC-SHA256(key, format | purpose | 0 | audience | 0 | content). */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_KEY_BYTES 32
#define TOKEN_SALT_BYTES 16
#define TOKEN_CONTENT_MAX 1024
#define TOKEN_TEXT_MAX 1424 /* a sealed token of the longest content, and its final NUL */
#define TOKEN_BOUND_MAX 320 /* purpose and audience together */

struct token_scope {
    const uint8_t *key; /* TOKEN_KEY_BYTES, of the whole farm */
    const char *purpose;
    const char *audience; /* "" = whoever has the key */
};

/* Both write a text with its final NUL into text, and return its length; 0 when the content or the
 * scope is too long, or the crypto library has no memory. salt: TOKEN_SALT_BYTES random bytes, new
 * for each token. */
size_t token_seal(const struct token_scope *s, const uint8_t *salt, const void *content, size_t len,
                  char text[TOKEN_TEXT_MAX]);
size_t token_sign(const struct token_scope *s, const void *content, size_t len,
                  char text[TOKEN_TEXT_MAX]);
/* False: malformed, forged, of another scope or of the other sort. */
bool token_open(const struct token_scope *s, const char *text, size_t text_len,
                uint8_t content[TOKEN_CONTENT_MAX], size_t *len);
bool token_verify(const struct token_scope *s, const char *text, size_t text_len,
                  uint8_t content[TOKEN_CONTENT_MAX], size_t *len);

#endif
