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
#define KEY_BYTES 32
#define IV_BYTES 12
#define EPOCH_SHIFT 28   /* a key seals at most 2^28 frames */
#define INFO_MAX 64      /* purpose, farm, node, incarnation, key epoch */
#define CACHED_MAX 1024u /* one per peer that may be admitted */
#define REUSE_AFTER 256  /* frames, with the planted bug */

struct key {
    struct incmap_node map;
    struct list lru;
    uint64_t mark, node, inc, epoch;
    EVP_CIPHER_CTX *cipher;
};

/* What this node seals with, under one generation. */
struct own {
    uint64_t mark; /* 0: none */
    uint8_t number;
    uint64_t epoch;
    EVP_CIPHER_CTX *cipher; /* keyed for the epoch */
};

struct seal {
    struct keys generations;
    uint8_t nonce_secret[KEY_BYTES];
    uint32_t farm;
    uint64_t node, inc, counter;
    struct own own[KEYS_ACCEPTED_MAX];
    EVP_CIPHER *aes;
    EVP_KDF *hkdf;
    struct incmap keys;
    struct list keys_lru; /* least recently used first */
};

/* HKDF-SHA256 of a secret. */
static bool derive(const struct seal *s, const uint8_t from[KEY_SECRET_BYTES], const void *info,
                   size_t info_len, uint8_t out[KEY_BYTES])
{
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(s->hkdf);
    if (!ctx)
        return false;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from,
                                          KEY_SECRET_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
        OSSL_PARAM_construct_end(),
    };
    bool ok = EVP_KDF_derive(ctx, out, KEY_BYTES, params) == 1;
    EVP_KDF_CTX_free(ctx);
    return ok;
}

static bool derive_for(const struct seal *s, const uint8_t from[KEY_SECRET_BYTES],
                       const char *purpose, uint64_t node, uint64_t inc, uint64_t epoch,
                       uint8_t out[KEY_BYTES])
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
    return derive(s, from, info, wire_written(&w), out);
}

/* A context that has the key of (node, inc, epoch) and waits for a nonce; NULL without memory. */
static EVP_CIPHER_CTX *keyed(const struct seal *s, const struct key_generation *g, uint64_t node,
                             uint64_t inc, uint64_t epoch, int encrypt)
{
    uint8_t key[KEY_BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && (!derive_for(s, g->secret, "stead frame 1", node, inc, epoch, key) ||
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

static void key_free(struct key *k)
{
    EVP_CIPHER_CTX_free(k->cipher);
    mem_free(k);
}

static void own_free(struct own *o)
{
    for (size_t i = 0; i < KEYS_ACCEPTED_MAX; i++)
        EVP_CIPHER_CTX_free(o[i].cipher);
}

static bool own_make(const struct seal *s, const struct keys *k, struct own *out)
{
    size_t n = 0;
    bool good = true;
    for (size_t i = 0; good && i < k->count; i++) {
        const struct key_generation *g = &k->list[i];
        if (g->state != KEY_ACCEPTED)
            continue;
        assert(n < KEYS_ACCEPTED_MAX);
        uint64_t epoch = s->counter >> EPOCH_SHIFT;
        out[n] = (struct own){.mark = g->mark, .number = g->number, .epoch = epoch};
        out[n].cipher = keyed(s, g, s->node, s->inc, epoch, 1);
        good = out[n++].cipher != NULL;
    }
    if (!good)
        own_free(out);
    return good;
}

static void drop_key(struct seal *s, struct key *k)
{
    list_remove(&k->lru);
    incmap_remove(&s->keys, &k->map);
    key_free(k);
}

/* Keys of generations that are gone open nothing more. */
static void drop_gone(struct seal *s)
{
    for (struct list *l = s->keys_lru.next, *next; l != &s->keys_lru; l = next) {
        struct key *k = list_entry(l, struct key, lru);
        const struct key_generation *g = keys_find(&s->generations, k->mark);
        next = l->next;
        if (!g || g->state != KEY_ACCEPTED)
            drop_key(s, k);
    }
}

int seal_set_keys(struct seal *s, const struct keys *k)
{
    struct own fresh[KEYS_ACCEPTED_MAX] = {0};
    if (!own_make(s, k, fresh))
        return STEAD_E_NOMEM;
    own_free(s->own);
    memcpy(s->own, fresh, sizeof fresh);
    s->generations = *k;
    drop_gone(s);
    return STEAD_OK;
}

const struct keys *seal_keys(const struct seal *s)
{
    return &s->generations;
}

static void make_lasting(struct seal *s)
{
    static const char *const purposes[] = {[LASTING_PLACEMENT] = "placement",
                                           [LASTING_VISIT] = "visit",
                                           [LASTING_NAMES] = "repository names"};
    struct keys *k = &s->generations;
    for (int i = 0; i < LASTING_COUNT && !k->lasting_known; i++)
        seal_derive_from(s, k->list[0].secret, purposes[i], k->lasting[i]);
    k->lasting_known = true;
}

/* In the locked part of the heap, where the daemon has made one: it is in no core dump. */
struct seal *seal_new_keys(const char *farm_name, const struct keys *k, uint64_t node, uint64_t inc)
{
    struct seal *s = OPENSSL_secure_zalloc(sizeof *s);
    if (!s)
        return NULL;
    list_init(&s->keys_lru);
    s->generations = *k;
    s->farm = farm_id(farm_name);
    s->node = node;
    s->inc = inc;
    s->aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    if (!s->aes || !s->hkdf ||
        !derive_for(s, keys_active(k)->secret, "stead nonce 1", node, inc, 0, s->nonce_secret) ||
        !own_make(s, k, s->own)) {
        seal_free(s);
        return NULL;
    }
    make_lasting(s);
    return s;
}

struct seal *seal_new(const char *farm_name, const uint8_t farm_key[FARM_KEY_BYTES], uint64_t node,
                      uint64_t inc)
{
    struct keys k;
    keys_init(&k, farm_key);
    struct seal *s = seal_new_keys(farm_name, &k, node, inc);
    keys_wipe(&k);
    return s;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    struct list *link;
    while ((link = list_pop(&s->keys_lru)))
        key_free(list_entry(link, struct key, lru));
    incmap_deinit(&s->keys);
    own_free(s->own);
    EVP_KDF_free(s->hkdf);
    EVP_CIPHER_free(s->aes);
    OPENSSL_secure_clear_free(s, sizeof *s);
}

static void nonce_of(uint64_t counter, uint8_t iv[IV_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, iv, IV_BYTES);
    wire_put_u32(&w, 0);
    wire_put_u64(&w, counter);
}

static void header_put(const struct seal *s, uint8_t number, uint64_t to,
                       uint8_t out[FRAME_HEADER_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, out, FRAME_HEADER_BYTES);
    wire_put_u8(&w, FRAME_VERSION);
    wire_put_u8(&w, number);
    wire_put_u16(&w, 0);
    wire_put_u32(&w, s->farm);
    wire_put_u64(&w, s->node);
    wire_put_u64(&w, s->inc);
    wire_put_u64(&w, to);
    wire_put_u64(&w, s->counter);
    assert(wire_put_ok(&w) && wire_written(&w) == FRAME_HEADER_BYTES);
}

static struct own *own_of(struct seal *s, uint64_t mark)
{
    struct own *active = NULL;
    for (size_t i = 0; i < KEYS_ACCEPTED_MAX; i++) {
        if (mark != 0 && s->own[i].mark == mark)
            return &s->own[i];
        if (s->own[i].mark == s->generations.active)
            active = &s->own[i];
    }
    assert(active);
    return active;
}

static int next_counter(struct seal *s, struct own *o)
{
    s->counter++;
    if (MUTANT(NONCE_REUSED) && s->counter > REUSE_AFTER)
        s->counter = 1;
    uint64_t epoch = s->counter >> EPOCH_SHIFT;
    if (epoch == o->epoch)
        return STEAD_OK;
    EVP_CIPHER_CTX *fresh =
        keyed(s, keys_find(&s->generations, o->mark), s->node, s->inc, epoch, 1);
    if (!fresh)
        return STEAD_E_NOMEM;
    EVP_CIPHER_CTX_free(o->cipher);
    o->cipher = fresh;
    o->epoch = epoch;
    return STEAD_OK;
}

int seal_frame(struct seal *s, uint64_t to, const uint8_t *body, size_t body_len, uint8_t *out,
               size_t *out_len)
{
    return seal_frame_under(s, 0, to, body, body_len, out, out_len);
}

int seal_frame_under(struct seal *s, uint64_t mark, uint64_t to, const uint8_t *body,
                     size_t body_len, uint8_t *out, size_t *out_len)
{
    struct own *o = own_of(s, mark);
    if (body_len > INT_MAX - FRAME_OVERHEAD)
        return STEAD_E_TOO_LARGE;
    int err = next_counter(s, o);
    if (err)
        return err;
    uint8_t iv[IV_BYTES];
    nonce_of(s->counter, iv);
    header_put(s, o->number, to, out);
    uint8_t *text = out + FRAME_HEADER_BYTES;
    int n = 0;
    if (EVP_EncryptInit_ex2(o->cipher, NULL, NULL, iv, NULL) != 1 ||
        EVP_EncryptUpdate(o->cipher, NULL, &n, out, FRAME_HEADER_BYTES) != 1 ||
        EVP_EncryptUpdate(o->cipher, text, &n, body, (int)body_len) != 1 ||
        EVP_EncryptFinal_ex(o->cipher, text + body_len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_GET_TAG, FRAME_TAG_BYTES, text + body_len) !=
            1)
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

static uint64_t key_hash(const struct frame_header *h, uint64_t mark)
{
    return h->inc ^ mark ^ (h->counter >> EPOCH_SHIFT) * 0x9e3779b97f4a7c15ull;
}

static struct key *key_find(struct seal *s, const struct frame_header *h, uint64_t mark)
{
    struct incmap_node *n = incmap_find(&s->keys, key_hash(h, mark));
    if (!n)
        return NULL;
    struct key *k = incmap_entry(n, struct key, map);
    bool same = k->mark == mark && k->node == h->node && k->inc == h->inc &&
                k->epoch == h->counter >> EPOCH_SHIFT;
    return same ? k : NULL;
}

static struct key *key_new(const struct seal *s, const struct frame_header *h,
                           const struct key_generation *g)
{
    struct key *k = mem_alloc(sizeof *k);
    if (!k)
        return NULL;
    k->mark = g->mark;
    k->node = h->node;
    k->inc = h->inc;
    k->epoch = h->counter >> EPOCH_SHIFT;
    k->cipher = keyed(s, g, k->node, k->inc, k->epoch, 0);
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
        if (s->keys.count >= CACHED_MAX) {
            struct key *old = list_entry(list_pop(&s->keys_lru), struct key, lru);
            incmap_remove(&s->keys, &old->map);
            key_free(old);
        }
        if (!incmap_insert(&s->keys, &k->map, key_hash(h, k->mark))) {
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

static int open_under(struct seal *s, const struct key_generation *g, const uint8_t *frame,
                      size_t text_len, struct frame_header *h, uint8_t *body)
{
    struct key *k = key_find(s, h, g->mark);
    bool known = k != NULL;
    if (!known && !(k = key_new(s, h, g)))
        return STEAD_E_NOMEM;
    if (!open_with(k->cipher, frame, text_len, h->counter, body)) {
        if (!known)
            key_free(k);
        return STEAD_E_AUTH;
    }
    key_keep(s, k, h);
    h->mark = g->mark;
    return STEAD_OK;
}

int seal_open(struct seal *s, const uint8_t *frame, size_t len, struct frame_header *h,
              uint8_t *body, size_t *body_len)
{
    int err = seal_peek(frame, len, h);
    if (err)
        return err;
    if (len > INT_MAX || h->farm != s->farm)
        return STEAD_E_AUTH;
    *body_len = len - FRAME_OVERHEAD;
    err = STEAD_E_AUTH;
    for (size_t i = 0; i < s->generations.count && err == STEAD_E_AUTH; i++) {
        const struct key_generation *g = &s->generations.list[i];
        if (g->number == h->key_generation && g->state == KEY_ACCEPTED)
            err = open_under(s, g, frame, *body_len, h, body);
    }
    return err;
}

enum seal_unopened seal_why(const struct seal *s, const struct frame_header *h)
{
    if (h->farm != s->farm)
        return SEAL_OTHER_FARM;
    const struct key_generation *g = keys_numbered(&s->generations, h->key_generation);
    if (!g)
        return SEAL_UNKNOWN;
    return g->state == KEY_ACCEPTED ? SEAL_OTHER_KEY : SEAL_RETIRED;
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

void seal_derive_from(const struct seal *s, const uint8_t from[KEY_SECRET_BYTES],
                      const char *purpose, uint8_t out[32])
{
    uint8_t info[INFO_MAX * 2];
    struct wire_writer w;
    wire_writer_init(&w, info, sizeof info);
    wire_put_bytes(&w, "stead derive 1 ", 15);
    wire_put_u32(&w, s->farm);
    wire_put_bytes(&w, purpose, strlen(purpose));
    assert(wire_put_ok(&w));
    bool done = derive(s, from, info, wire_written(&w), out);
    assert(done); /* as in seal_nonce */
    (void)done;
}

void seal_derive(const struct seal *s, const char *purpose, uint8_t out[32])
{
    seal_derive_from(s, keys_active(&s->generations)->secret, purpose, out);
}
