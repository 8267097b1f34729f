/* box_ring.c - keys that change while others use them: a reader that met a change begins anew. */
#include "core/token/box_ring.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

void box_ring_set(struct box_ring *r, const uint8_t (*keys)[TOKEN_KEY_BYTES], size_t count)
{
    assert(count <= BOX_RING_MAX);
    atomic_fetch_add(&r->serial, 1);
    for (size_t i = 0; i < BOX_RING_MAX; i++) {
        uint64_t words[BOX_RING_WORDS] = {0};
        if (i < count)
            memcpy(words, keys[i], sizeof words);
        for (size_t w = 0; w < BOX_RING_WORDS; w++)
            atomic_store(&r->words[i][w], words[w]);
        OPENSSL_cleanse(words, sizeof words);
        atomic_store(&r->used[i], 0);
    }
    atomic_store(&r->count, count);
    atomic_fetch_add(&r->serial, 1);
}

size_t box_ring_get(const struct box_ring *r, uint8_t out[BOX_RING_MAX][TOKEN_KEY_BYTES])
{
    for (;;) {
        uint64_t serial = atomic_load(&r->serial);
        size_t count = atomic_load(&r->count);
        for (size_t i = 0; i < count; i++) {
            for (size_t w = 0; w < BOX_RING_WORDS; w++) {
                uint64_t word = atomic_load(&r->words[i][w]);
                memcpy(out[i] + w * sizeof word, &word, sizeof word);
            }
        }
        if (serial % 2 == 0 && serial == atomic_load(&r->serial))
            return count;
    }
}

void box_ring_note(struct box_ring *r, size_t i)
{
    assert(i < BOX_RING_MAX);
    atomic_fetch_add_explicit(&r->used[i], 1, memory_order_relaxed);
}

bool box_ring_seal(struct box_ring *r, const void *place, size_t place_len, const uint8_t *salt,
                   const void *bytes, size_t len, uint8_t *out)
{
    uint8_t keys[BOX_RING_MAX][TOKEN_KEY_BYTES];
    bool ok =
        box_ring_get(r, keys) > 0 && box_seal(keys[0], place, place_len, salt, bytes, len, out);
    OPENSSL_cleanse(keys, sizeof keys);
    return ok;
}

bool box_ring_open(struct box_ring *r, const void *place, size_t place_len, const void *box,
                   size_t box_len, uint8_t *out)
{
    uint8_t keys[BOX_RING_MAX][TOKEN_KEY_BYTES];
    size_t count = box_ring_get(r, keys);
    bool ok = false;
    for (size_t i = 0; i < count && !ok; i++) {
        ok = box_open(keys[i], place, place_len, box, box_len, out);
        if (ok)
            box_ring_note(r, i);
    }
    OPENSSL_cleanse(keys, sizeof keys);
    return ok;
}
