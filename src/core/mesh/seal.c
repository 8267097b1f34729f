/* seal.c - sealing and opening of frames, and what is derived from the farm's key. A key that
 * opened a frame is kept with its cipher context, so a peer's frames cost no key schedule; one that
 * opened nothing is forgotten, so forged headers push no peer out of the cache. */
#include "core/mesh/seal.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/wire.h"
#include "core/mesh/incmap.h"
#include "stead/error.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#define FRAME_VERSION 1
#define KEY_GENERATION 1
#define KEY_BYTES 32
#define IV_BYTES 12
#define EPOCH_SHIFT 28  /* a key seals at most 2^28 frames */
#define INFO_MAX 64     /* purpose, farm, node, incarnation, key epoch */
#define KEYS_MAX 1024u  /* one per peer that may be admitted */
#define REUSE_AFTER 256 /* frames, with the planted bug */

struct key {
    struct incmap_node map;
    struct list lru;
    uint64_t node, inc, epoch;
    EVP_CIPHER_CTX *cipher;
};

struct seal {
    uint8_t farm_key[FARM_KEY_BYTES];
    uint8_t nonce_secret[KEY_BYTES];
    uint32_t farm;
    uint64_t node, inc, counter;
    uint64_t own_epoch;
    EVP_CIPHER_CTX *own; /* keyed for own_epoch */
    EVP_CIPHER *aes;
    EVP_KDF *hkdf;
    struct incmap keys;
    struct list keys_lru; /* least recently used first */
};

/* HKDF-SHA256 of the farm's key. */
static bool derive(const struct seal *s, const void *info, size_t info_len, uint8_t out[KEY_BYTES])
{
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(s->hkdf);
    if (!ctx)
        return false;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)s->farm_key,
                                          FARM_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
        OSSL_PARAM_construct_end(),
    };
    bool ok = EVP_KDF_derive(ctx, out, KEY_BYTES, params) == 1;
    EVP_KDF_CTX_free(ctx);
    return ok;
}

static bool derive_for(const struct seal *s, const char *purpose, uint64_t node, uint64_t inc,
                       uint64_t epoch, uint8_t out[KEY_BYTES])
{
    uint8_t info[INFO_MAX];
    struct wire_writer w;
    wire_writer_init(&w, info, sizeof info);
    wire_put_bytes(&w, purpose, strlen(purpose));
    wire_put_u32(&w, s->farm);
    wire_put_u64(&w, node);
    wire_put_u64(&w, inc);
    wire_put_u64(&w, epoch);
    assert(wire_put_ok(&w));
    return derive(s, info, wire_written(&w), out);
}

/* A context that has the key of (node, inc, epoch) and waits for a nonce; NULL without memory. */
static EVP_CIPHER_CTX *keyed(const struct seal *s, uint64_t node, uint64_t inc, uint64_t epoch,
                             int encrypt)
{
    uint8_t key[KEY_BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && (!derive_for(s, "stead frame 1", node, inc, epoch, key) ||
                EVP_CipherInit_ex2(ctx, s->aes, key, NULL, encrypt, NULL) != 1)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    OPENSSL_cleanse(key, sizeof key);
    return ctx;
}

static uint32_t farm_id(const char *farm_name)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)farm_name, strlen(farm_name), digest);
    struct wire_reader r;
    wire_reader_init(&r, digest, sizeof digest);
    return wire_u32(&r);
}

struct seal *seal_new(const char *farm_name, const uint8_t farm_key[FARM_KEY_BYTES], uint64_t node,
                      uint64_t inc)
{
    struct seal *s = mem_alloc(sizeof *s);
    if (!s)
        return NULL;
    list_init(&s->keys_lru);
    memcpy(s->farm_key, farm_key, FARM_KEY_BYTES);
    s->farm = farm_id(farm_name);
    s->node = node;
    s->inc = inc;
    s->aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    if (s->aes && s->hkdf && derive_for(s, "stead nonce 1", node, inc, 0, s->nonce_secret))
        s->own = keyed(s, node, inc, 0, 1);
    if (!s->own) {
        seal_free(s);
        return NULL;
    }
    return s;
}

static void key_free(struct key *k)
{
    EVP_CIPHER_CTX_free(k->cipher);
    mem_free(k);
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    struct list *link;
    while ((link = list_pop(&s->keys_lru)))
        key_free(list_entry(link, struct key, lru));
    incmap_deinit(&s->keys);
    EVP_CIPHER_CTX_free(s->own);
    EVP_KDF_free(s->hkdf);
    EVP_CIPHER_free(s->aes);
    OPENSSL_cleanse(s, sizeof *s);
    mem_free(s);
}

static void nonce_of(uint64_t counter, uint8_t iv[IV_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, iv, IV_BYTES);
    wire_put_u32(&w, 0);
    wire_put_u64(&w, counter);
}

static void header_put(const struct seal *s, uint64_t to, uint8_t out[FRAME_HEADER_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, out, FRAME_HEADER_BYTES);
    wire_put_u8(&w, FRAME_VERSION);
    wire_put_u8(&w, KEY_GENERATION);
    wire_put_u16(&w, 0);
    wire_put_u32(&w, s->farm);
    wire_put_u64(&w, s->node);
    wire_put_u64(&w, s->inc);
    wire_put_u64(&w, to);
    wire_put_u64(&w, s->counter);
    assert(wire_put_ok(&w) && wire_written(&w) == FRAME_HEADER_BYTES);
}

static int next_counter(struct seal *s)
{
    s->counter++;
    if (MUTANT(NONCE_REUSED) && s->counter > REUSE_AFTER)
        s->counter = 1;
    uint64_t epoch = s->counter >> EPOCH_SHIFT;
    if (epoch == s->own_epoch)
        return STEAD_OK;
    EVP_CIPHER_CTX *own = keyed(s, s->node, s->inc, epoch, 1);
    if (!own)
        return STEAD_E_NOMEM;
    EVP_CIPHER_CTX_free(s->own);
    s->own = own;
    s->own_epoch = epoch;
    return STEAD_OK;
}

int seal_frame(struct seal *s, uint64_t to, const uint8_t *body, size_t body_len, uint8_t *out,
               size_t *out_len)
{
    if (body_len > INT_MAX - FRAME_OVERHEAD)
        return STEAD_E_TOO_LARGE;
    int err = next_counter(s);
    if (err)
        return err;
    uint8_t iv[IV_BYTES];
    nonce_of(s->counter, iv);
    header_put(s, to, out);
    uint8_t *text = out + FRAME_HEADER_BYTES;
    int n = 0;
    if (EVP_EncryptInit_ex2(s->own, NULL, NULL, iv, NULL) != 1 ||
        EVP_EncryptUpdate(s->own, NULL, &n, out, FRAME_HEADER_BYTES) != 1 ||
        EVP_EncryptUpdate(s->own, text, &n, body, (int)body_len) != 1 ||
        EVP_EncryptFinal_ex(s->own, text + body_len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(s->own, EVP_CTRL_AEAD_GET_TAG, FRAME_TAG_BYTES, text + body_len) != 1)
        return STEAD_E_NOMEM;
    *out_len = body_len + FRAME_OVERHEAD;
    return STEAD_OK;
}

int seal_peek(const uint8_t *frame, size_t len, struct frame_header *h)
{
    *h = (struct frame_header){0};
    if (len == 0)
        return STEAD_E_TRUNCATED;
    if (frame[0] != FRAME_VERSION)
        return STEAD_E_VERSION;
    if (len < FRAME_OVERHEAD)
        return STEAD_E_TRUNCATED;
    struct wire_reader r;
    wire_reader_init(&r, frame, FRAME_HEADER_BYTES);
    wire_u8(&r);
    h->key_generation = wire_u8(&r);
    wire_u16(&r); /* flags: whatever they say, they are authenticated */
    h->farm = wire_u32(&r);
    h->node = wire_u64(&r);
    h->inc = wire_u64(&r);
    h->to = wire_u64(&r);
    h->counter = wire_u64(&r);
    return STEAD_OK;
}

static uint64_t key_hash(const struct frame_header *h)
{
    return h->inc ^ (h->counter >> EPOCH_SHIFT) * 0x9e3779b97f4a7c15ull;
}

static struct key *key_find(struct seal *s, const struct frame_header *h)
{
    struct incmap_node *n = incmap_find(&s->keys, key_hash(h));
    if (!n)
        return NULL;
    struct key *k = incmap_entry(n, struct key, map);
    bool same = k->node == h->node && k->inc == h->inc && k->epoch == h->counter >> EPOCH_SHIFT;
    return same ? k : NULL;
}

static struct key *key_new(const struct seal *s, const struct frame_header *h)
{
    struct key *k = mem_alloc(sizeof *k);
    if (!k)
        return NULL;
    k->node = h->node;
    k->inc = h->inc;
    k->epoch = h->counter >> EPOCH_SHIFT;
    k->cipher = keyed(s, k->node, k->inc, k->epoch, 0);
    if (!k->cipher) {
        mem_free(k);
        return NULL;
    }
    return k;
}

/* Keeps a key that has proved itself; the least recently used one makes room. */
static void key_keep(struct seal *s, struct key *k, const struct frame_header *h)
{
    if (list_linked(&k->lru)) {
        list_remove(&k->lru);
    } else {
        if (s->keys.count >= KEYS_MAX) {
            struct key *old = list_entry(list_pop(&s->keys_lru), struct key, lru);
            incmap_remove(&s->keys, &old->map);
            key_free(old);
        }
        if (!incmap_insert(&s->keys, &k->map, key_hash(h))) {
            key_free(k);
            return;
        }
    }
    list_append(&s->keys_lru, &k->lru);
}

static bool open_with(EVP_CIPHER_CTX *ctx, const uint8_t *frame, size_t body_len, uint64_t counter,
                      uint8_t *body)
{
    uint8_t iv[IV_BYTES], tag[FRAME_TAG_BYTES], last[FRAME_TAG_BYTES];
    nonce_of(counter, iv);
    memcpy(tag, frame + FRAME_HEADER_BYTES + body_len, sizeof tag);
    int n = 0;
    return EVP_DecryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, frame, FRAME_HEADER_BYTES) == 1 &&
           EVP_DecryptUpdate(ctx, body, &n, frame + FRAME_HEADER_BYTES, (int)body_len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, FRAME_TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, last, &n) == 1;
}

int seal_open(struct seal *s, const uint8_t *frame, size_t len, struct frame_header *h,
              uint8_t *body, size_t *body_len)
{
    int err = seal_peek(frame, len, h);
    if (err)
        return err;
    if (len > INT_MAX || h->farm != s->farm || h->key_generation != KEY_GENERATION)
        return STEAD_E_AUTH;
    struct key *k = key_find(s, h);
    bool known = k != NULL;
    if (!known && !(k = key_new(s, h)))
        return STEAD_E_NOMEM;
    size_t text_len = len - FRAME_OVERHEAD;
    if (!open_with(k->cipher, frame, text_len, h->counter, body)) {
        if (!known)
            key_free(k);
        return STEAD_E_AUTH;
    }
    key_keep(s, k, h);
    *body_len = text_len;
    return STEAD_OK;
}

uint64_t seal_nonce(const struct seal *s, const void *bytes, size_t len)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    unsigned digest_len = sizeof digest;
    const uint8_t *done =
        HMAC(EVP_sha256(), s->nonce_secret, KEY_BYTES, bytes, len, digest, &digest_len);
    assert(done && digest_len == sizeof digest); /* a guessable nonce would be worse than an end */
    struct wire_reader r;
    wire_reader_init(&r, digest, sizeof digest);
    return wire_u64(&r);
}

void seal_derive(const struct seal *s, const char *purpose, uint8_t out[32])
{
    uint8_t info[INFO_MAX * 2];
    struct wire_writer w;
    wire_writer_init(&w, info, sizeof info);
    wire_put_bytes(&w, "stead derive 1 ", 15);
    wire_put_u32(&w, s->farm);
    wire_put_bytes(&w, purpose, strlen(purpose));
    assert(wire_put_ok(&w));
    bool done = derive(s, info, wire_written(&w), out);
    assert(done); /* as in seal_nonce */
    (void)done;
}
