/* bulk_seal.c - keys of a connection and its frames, each way numbered from 0. */
#include "core/mesh/bulk_seal.h"

#include "base/mem.h"
#include "base/wire.h"

#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define BULK_MAGIC "steadb1\n"
#define KEY_BYTES 32
#define IV_BYTES 12
#define INFO_MAX 64

struct way {
    EVP_CIPHER_CTX *cipher;
    uint64_t count; /* of frames so far */
};

struct bulk_seal {
    struct way out, in;
};

void bulk_hello_put(const struct bulk_hello *h, uint8_t out[BULK_HELLO_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, out, BULK_HELLO_BYTES);
    wire_put_bytes(&w, BULK_MAGIC, strlen(BULK_MAGIC));
    wire_put_u64(&w, h->from);
    wire_put_u64(&w, h->to);
    wire_put_bytes(&w, h->nonce, sizeof h->nonce);
    assert(wire_put_ok(&w) && wire_written(&w) == BULK_HELLO_BYTES);
}

bool bulk_hello_get(struct bulk_hello *h, const uint8_t bytes[BULK_HELLO_BYTES])
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, BULK_HELLO_BYTES);
    bool ours = memcmp(wire_bytes(&r, strlen(BULK_MAGIC)), BULK_MAGIC, strlen(BULK_MAGIC)) == 0;
    h->from = wire_u64(&r);
    h->to = wire_u64(&r);
    memcpy(h->nonce, wire_bytes(&r, sizeof h->nonce), sizeof h->nonce);
    return ours && h->from != 0 && h->to != 0 && h->from != h->to;
}

/* HKDF-SHA256 (RFC 5869): salted by both nonces, named by direction and both incarnations. */
static bool derive(const uint8_t secret[BULK_SECRET_BYTES], const struct bulk_hello *h,
                   const uint8_t answer[BULK_NONCE_BYTES], bool of_asker, uint8_t out[KEY_BYTES])
{
    uint8_t info[INFO_MAX], salt[2 * BULK_NONCE_BYTES];
    struct wire_writer w;
    memcpy(salt, h->nonce, BULK_NONCE_BYTES);
    memcpy(salt + BULK_NONCE_BYTES, answer, BULK_NONCE_BYTES);
    wire_writer_init(&w, info, sizeof info);
    wire_put_bytes(&w, "stead bulk 1", 12);
    wire_put_u64(&w, h->from);
    wire_put_u64(&w, h->to);
    wire_put_u8(&w, of_asker);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
                                          BULK_SECRET_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, wire_written(&w)),
        OSSL_PARAM_construct_end(),
    };
    bool ok = ctx && wire_put_ok(&w) && EVP_KDF_derive(ctx, out, KEY_BYTES, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

static bool way_open(struct way *way, const uint8_t key[KEY_BYTES], bool seals)
{
    EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    way->cipher = aes ? EVP_CIPHER_CTX_new() : NULL;
    bool ok = way->cipher && EVP_CipherInit_ex2(way->cipher, aes, key, NULL, seals, NULL) == 1;
    EVP_CIPHER_free(aes);
    return ok;
}

struct bulk_seal *bulk_seal_new(const uint8_t secret[BULK_SECRET_BYTES],
                                const struct bulk_hello *hello,
                                const uint8_t answer[BULK_NONCE_BYTES], bool asked)
{
    uint8_t own[KEY_BYTES], other[KEY_BYTES];
    struct bulk_seal *s = mem_alloc(sizeof *s);
    if (!s)
        return NULL;
    bool ok = derive(secret, hello, answer, asked, own) &&
              derive(secret, hello, answer, !asked, other) && way_open(&s->out, own, true) &&
              way_open(&s->in, other, false);
    OPENSSL_cleanse(own, sizeof own);
    OPENSSL_cleanse(other, sizeof other);
    if (ok)
        return s;
    bulk_seal_free(s);
    return NULL;
}

void bulk_seal_free(struct bulk_seal *s)
{
    if (!s)
        return;
    EVP_CIPHER_CTX_free(s->out.cipher); /* which wipes its key */
    EVP_CIPHER_CTX_free(s->in.cipher);
    mem_free(s);
}

/* The next frame's nonce is its number; its head is authenticated too. */
static bool begin(struct way *way, const uint8_t head[BULK_HEAD_BYTES])
{
    uint8_t iv[IV_BYTES];
    int n;
    struct wire_writer w;
    wire_writer_init(&w, iv, sizeof iv);
    wire_put_u32(&w, 0);
    wire_put_u64(&w, way->count++);
    return EVP_CipherInit_ex2(way->cipher, NULL, NULL, iv, -1, NULL) == 1 &&
           EVP_CipherUpdate(way->cipher, NULL, &n, head, BULK_HEAD_BYTES) == 1;
}

size_t bulk_seal_put(struct bulk_seal *s, uint8_t *frame, size_t body_len)
{
    uint8_t *body = frame + BULK_HEAD_BYTES, *tag = body + body_len;
    struct wire_writer w;
    int n = 0, end = 0;
    assert(body_len <= BULK_BODY_MAX);
    wire_writer_init(&w, frame, BULK_HEAD_BYTES);
    wire_put_u32(&w, (uint32_t)(body_len + BULK_TAG_BYTES));
    bool ok =
        begin(&s->out, frame) &&
        (body_len == 0 || EVP_CipherUpdate(s->out.cipher, body, &n, body, (int)body_len) == 1) &&
        EVP_CipherFinal_ex(s->out.cipher, tag, &end) == 1 &&
        EVP_CIPHER_CTX_ctrl(s->out.cipher, EVP_CTRL_AEAD_GET_TAG, BULK_TAG_BYTES, tag) == 1;
    return ok ? BULK_HEAD_BYTES + body_len + BULK_TAG_BYTES : 0;
}

size_t bulk_frame_bytes(const uint8_t head[BULK_HEAD_BYTES])
{
    struct wire_reader r;
    wire_reader_init(&r, head, BULK_HEAD_BYTES);
    size_t len = wire_u32(&r);
    bool fits = len >= BULK_TAG_BYTES && len <= BULK_BODY_MAX + BULK_TAG_BYTES;
    return fits ? BULK_HEAD_BYTES + len : 0;
}

bool bulk_seal_get(struct bulk_seal *s, uint8_t *frame, size_t len, size_t *body_len)
{
    if (len < BULK_HEAD_BYTES + BULK_TAG_BYTES || bulk_frame_bytes(frame) != len)
        return false;
    uint8_t *body = frame + BULK_HEAD_BYTES;
    int n = 0, end = 0;
    *body_len = len - BULK_HEAD_BYTES - BULK_TAG_BYTES;
    return begin(&s->in, frame) &&
           (*body_len == 0 ||
            EVP_CipherUpdate(s->in.cipher, body, &n, body, (int)*body_len) == 1) &&
           EVP_CIPHER_CTX_ctrl(s->in.cipher, EVP_CTRL_AEAD_SET_TAG, BULK_TAG_BYTES,
                               body + *body_len) == 1 &&
           EVP_CipherFinal_ex(s->in.cipher, body, &end) == 1;
}
