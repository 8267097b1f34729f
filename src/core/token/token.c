/* token.c - sealing and signing of short texts. What stands in them is their users' business. */
#include "core/token/token_internal.h"

#include "base/wire.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define FORMAT_SEALED 1
#define FORMAT_SIGNED 2
#define TAG_BYTES TOKEN_TAG_BYTES
#define DIGEST_BYTES 32
#define OVERHEAD_MAX (1 + TOKEN_SALT_BYTES + TAG_BYTES)
#define RAW_MAX (OVERHEAD_MAX + TOKEN_CONTENT_MAX + 2) /* and what a text may end in beyond */
#define MAC_INPUT_MAX (1 + TOKEN_BOUND_MAX + 2 + TOKEN_CONTENT_MAX)

_Static_assert((OVERHEAD_MAX + TOKEN_CONTENT_MAX + 2) / 3 * 4 + 1 <= TOKEN_TEXT_MAX,
               "the longest text fits");

/* HMAC over format, scope and content. */
static bool mac(const struct token_scope *s, uint8_t format, const void *content, size_t len,
                uint8_t out[DIGEST_BYTES])
{
    uint8_t input[MAC_INPUT_MAX];
    struct wire_writer w;
    unsigned out_len = DIGEST_BYTES;
    wire_writer_init(&w, input, sizeof input);
    wire_put_u8(&w, format);
    wire_put_bytes(&w, s->purpose, strlen(s->purpose) + 1);
    wire_put_bytes(&w, s->audience, strlen(s->audience) + 1);
    wire_put_bytes(&w, content, len);
    return wire_put_ok(&w) && HMAC(EVP_sha256(), s->key, TOKEN_KEY_BYTES, input, wire_written(&w),
                                   out, &out_len) != NULL;
}

/* -- base64url without padding -- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const uint8_t *raw, size_t len, char *text)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)text, raw, (int)len);
    while (n > 0 && text[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    text[n] = '\0';
    return n;
}

static int digit(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

/* Strict: one text for one content, so that nobody makes a second one that opens too. */
static bool decode(const char *text, size_t text_len, uint8_t *raw, size_t max, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    *len = 0;
    if (text_len % 4 == 1 || text_len / 4 * 3 + 2 > max)
        return false;
    for (size_t i = 0; i < text_len; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            raw[(*len)++] = (uint8_t)(bits >> have);
        }
    }
    return (bits & ((1u << have) - 1)) == 0;
}

/* -- the cipher -- */

bool token_cipher(const uint8_t key[TOKEN_KEY_BYTES], bool encrypt, const uint8_t *in, size_t len,
                  uint8_t *out, uint8_t tag[TOKEN_TAG_BYTES])
{
    static const uint8_t nonce[12];
    uint8_t last[16];
    int n = 0, n2 = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL &&
              EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
              EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 && (size_t)n == len;
    if (ok && !encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;
    ok = ok && EVP_CipherFinal_ex(ctx, last, &n2) == 1 && n2 == 0;
    if (ok && encrypt)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

size_t token_seal(const struct token_scope *s, const uint8_t *salt, const void *content, size_t len,
                  char text[TOKEN_TEXT_MAX])
{
    uint8_t raw[RAW_MAX], key[DIGEST_BYTES];
    if (len > TOKEN_CONTENT_MAX || !mac(s, FORMAT_SEALED, salt, TOKEN_SALT_BYTES, key))
        return 0;
    raw[0] = FORMAT_SEALED;
    memcpy(raw + 1, salt, TOKEN_SALT_BYTES);
    uint8_t *body = raw + 1 + TOKEN_SALT_BYTES;
    bool ok = token_cipher(key, true, content, len, body, body + len);
    OPENSSL_cleanse(key, sizeof key);
    return ok ? encode(raw, len + OVERHEAD_MAX, text) : 0;
}

bool token_open(const struct token_scope *s, const char *text, size_t text_len,
                uint8_t content[TOKEN_CONTENT_MAX], size_t *len)
{
    uint8_t raw[RAW_MAX], key[DIGEST_BYTES], tag[TAG_BYTES];
    size_t raw_len;
    if (!decode(text, text_len, raw, sizeof raw, &raw_len) || raw_len < OVERHEAD_MAX ||
        raw[0] != FORMAT_SEALED || !mac(s, FORMAT_SEALED, raw + 1, TOKEN_SALT_BYTES, key))
        return false;
    *len = raw_len - OVERHEAD_MAX;
    const uint8_t *body = raw + 1 + TOKEN_SALT_BYTES;
    memcpy(tag, body + *len, TAG_BYTES);
    bool ok = token_cipher(key, false, body, *len, content, tag);
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

size_t token_sign(const struct token_scope *s, const void *content, size_t len,
                  char text[TOKEN_TEXT_MAX])
{
    uint8_t raw[RAW_MAX], digest[DIGEST_BYTES];
    if (len > TOKEN_CONTENT_MAX || !mac(s, FORMAT_SIGNED, content, len, digest))
        return 0;
    raw[0] = FORMAT_SIGNED;
    memcpy(raw + 1, digest, TAG_BYTES);
    memcpy(raw + 1 + TAG_BYTES, content, len);
    return encode(raw, 1 + TAG_BYTES + len, text);
}

bool token_verify(const struct token_scope *s, const char *text, size_t text_len,
                  uint8_t content[TOKEN_CONTENT_MAX], size_t *len)
{
    uint8_t raw[RAW_MAX], digest[DIGEST_BYTES];
    size_t raw_len;
    if (!decode(text, text_len, raw, sizeof raw, &raw_len) || raw_len < 1 + TAG_BYTES ||
        raw[0] != FORMAT_SIGNED || raw_len - 1 - TAG_BYTES > TOKEN_CONTENT_MAX)
        return false;
    *len = raw_len - 1 - TAG_BYTES;
    if (!mac(s, FORMAT_SIGNED, raw + 1 + TAG_BYTES, *len, digest) ||
        CRYPTO_memcmp(digest, raw + 1, TAG_BYTES) != 0)
        return false;
    memcpy(content, raw + 1 + TAG_BYTES, *len);
    return true;
}
