/* box.c - sealing of bytes for their place. Which bytes, and where they are, is its users'. */
#include "core/token/box.h"

#include "core/token/token_internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MARK "\0sb1"
#define MARK_BYTES 4
#define ID_BYTES 4
#define SALT_AT (MARK_BYTES + ID_BYTES)
#define BODY_AT (SALT_AT + TOKEN_SALT_BYTES)
#define PREFIX "box"
#define DIGEST_BYTES 32

static bool key_id(const uint8_t key[TOKEN_KEY_BYTES], uint8_t id[ID_BYTES])
{
    static const uint8_t text[] = "box id";
    uint8_t digest[DIGEST_BYTES];
    unsigned len = DIGEST_BYTES;
    if (!HMAC(EVP_sha256(), key, TOKEN_KEY_BYTES, text, sizeof text - 1, digest, &len))
        return false;
    memcpy(id, digest, ID_BYTES);
    return true;
}

static bool derive(const uint8_t key[TOKEN_KEY_BYTES], const void *place, size_t place_len,
                   const uint8_t *salt, uint8_t out[DIGEST_BYTES])
{
    uint8_t input[sizeof PREFIX - 1 + BOX_PLACE_MAX + TOKEN_SALT_BYTES];
    unsigned out_len = DIGEST_BYTES;
    size_t len = sizeof PREFIX - 1;
    if (place_len > BOX_PLACE_MAX)
        return false;
    memcpy(input, PREFIX, len);
    memcpy(input + len, place, place_len);
    len += place_len;
    memcpy(input + len, salt, TOKEN_SALT_BYTES);
    len += TOKEN_SALT_BYTES;
    return HMAC(EVP_sha256(), key, TOKEN_KEY_BYTES, input, len, out, &out_len) != NULL;
}

bool box_is(const void *bytes, size_t len)
{
    return len >= BOX_OVERHEAD && memcmp(bytes, MARK, MARK_BYTES) == 0;
}

bool box_seal(const uint8_t key[TOKEN_KEY_BYTES], const void *place, size_t place_len,
              const uint8_t *salt, const void *bytes, size_t len, uint8_t *out)
{
    uint8_t own[DIGEST_BYTES];
    memcpy(out, MARK, MARK_BYTES);
    if (!key_id(key, out + MARK_BYTES) || !derive(key, place, place_len, salt, own))
        return false;
    memcpy(out + SALT_AT, salt, TOKEN_SALT_BYTES);
    bool ok = token_cipher(own, true, bytes, len, out + BODY_AT, out + BODY_AT + len);
    OPENSSL_cleanse(own, sizeof own);
    return ok;
}

bool box_open(const uint8_t key[TOKEN_KEY_BYTES], const void *place, size_t place_len,
              const void *box, size_t box_len, uint8_t *out)
{
    uint8_t own[DIGEST_BYTES], id[ID_BYTES], tag[TOKEN_TAG_BYTES];
    const uint8_t *at = box;
    if (!box_is(box, box_len) || !key_id(key, id) || memcmp(id, at + MARK_BYTES, ID_BYTES) != 0 ||
        !derive(key, place, place_len, at + SALT_AT, own))
        return false;
    size_t len = box_len - BOX_OVERHEAD;
    memcpy(tag, at + BODY_AT + len, sizeof tag);
    bool ok = token_cipher(own, false, at + BODY_AT, len, out, tag);
    OPENSSL_cleanse(own, sizeof own);
    return ok;
}
