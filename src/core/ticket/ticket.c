/* ticket.c - the ring of a farm's ticket keys. Sealing itself is its users'. */
#include "core/ticket/ticket.h"

#include "base/wire.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

#define LABEL "stead ticket 1"
#define INPUT_MAX 64
#define DIGEST_BYTES 32
#define PRESENT 1 /* its place; the next one's is before it */

_Static_assert(TICKET_KEY_BYTES == DIGEST_BYTES, "a digest is a key");
_Static_assert(TICKET_KEYS == PRESENT + 4, "two of another ring, and the one before the present");

/* The first `len` bytes of HMAC-SHA256(secret, label | use | number). */
static bool derive(const struct ticket_ring *r, const char *use, uint64_t number, uint8_t *out,
                   size_t len)
{
    uint8_t input[INPUT_MAX], digest[DIGEST_BYTES];
    unsigned digest_len = DIGEST_BYTES;
    struct wire_writer w;
    wire_writer_init(&w, input, sizeof input);
    wire_put_bytes(&w, LABEL, sizeof LABEL);
    wire_put_str8(&w, use, strlen(use));
    wire_put_u64(&w, number);
    bool good = wire_put_ok(&w) && HMAC(EVP_sha256(), r->secret, TICKET_SECRET_BYTES, input,
                                        wire_written(&w), digest, &digest_len) != NULL;
    if (good)
        memcpy(out, digest, len);
    OPENSSL_cleanse(digest, sizeof digest);
    return good;
}

static bool make(const struct ticket_ring *r, uint64_t period, struct ticket_key *out)
{
    return derive(r, "name", period, out->name, sizeof out->name) &&
           derive(r, "cipher", period, out->cipher, sizeof out->cipher) &&
           derive(r, "mac", period, out->mac, sizeof out->mac);
}

void ticket_ring_init(struct ticket_ring *r, const uint8_t secret[TICKET_SECRET_BYTES],
                      uint64_t node)
{
    memset(r, 0, sizeof *r);
    memcpy(r->secret, secret, sizeof r->secret);
    /* Without memory it stays 0, and no ticket is known as the own one. */
    (void)derive(r, "node", node, r->node, sizeof r->node);
}

void ticket_ring_deinit(struct ticket_ring *r)
{
    OPENSSL_cleanse(r, sizeof *r);
}

bool ticket_ring_turn(struct ticket_ring *r, uint64_t now_s)
{
    /* There are TICKET_PAST periods before each, whatever the clock says. */
    uint64_t period = now_s / TICKET_PERIOD_S + TICKET_PAST;
    if (r->made && r->period == period)
        return true;
    r->made = true;
    r->is_joined = false;
    r->period = period;
    for (uint64_t i = 0; i < TICKET_KEYS && r->made; i++)
        r->made = make(r, period + PRESENT - i, &r->keys[i]);
    return r->made;
}

static bool is_joined(const struct ticket_ring *r, size_t index)
{
    return r->is_joined && (index == PRESENT + 1 || index == PRESENT + 3);
}

void ticket_ring_join(struct ticket_ring *r, const struct ticket_ring *other)
{
    if (r->is_joined)
        return;
    r->keys[PRESENT + 2] = r->keys[PRESENT + 1];
    r->keys[PRESENT + 1] = other->keys[PRESENT];
    r->keys[PRESENT + 3] = other->keys[PRESENT + 1];
    memcpy(r->joined, other->node, sizeof r->joined);
    r->is_joined = true;
}

void ticket_ring_name(const struct ticket_ring *r, size_t index, uint8_t out[TICKET_NAME_BYTES])
{
    memcpy(out, r->keys[index].name, TICKET_KEY_NAME_BYTES);
    memcpy(out + TICKET_KEY_NAME_BYTES, is_joined(r, index) ? r->joined : r->node,
           TICKET_NODE_BYTES);
}

const struct ticket_key *ticket_ring_seal(const struct ticket_ring *r,
                                          uint8_t name[TICKET_NAME_BYTES])
{
    const struct ticket_key *k = r->made ? &r->keys[PRESENT] : NULL;
    if (!k)
        return NULL;
    ticket_ring_name(r, PRESENT, name);
    return k;
}

const struct ticket_key *ticket_ring_open(const struct ticket_ring *r,
                                          const uint8_t name[TICKET_NAME_BYTES],
                                          struct ticket_origin *origin)
{
    for (size_t i = 0; r->made && i < TICKET_KEYS; i++) {
        if (memcmp(name, r->keys[i].name, TICKET_KEY_NAME_BYTES) != 0)
            continue;
        origin->current = i == PRESENT;
        origin->own = memcmp(name + TICKET_KEY_NAME_BYTES, r->node, TICKET_NODE_BYTES) == 0;
        return &r->keys[i];
    }
    return NULL;
}

void ticket_ring_id(const struct ticket_ring *r, size_t index, char out[TICKET_ID_MAX])
{
    const uint8_t *name = r->keys[index].name;
    for (size_t i = 0; i < (TICKET_ID_MAX - 1) / 2; i++) {
        out[2 * i] = "0123456789abcdef"[name[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[name[i] & 15];
    }
    out[TICKET_ID_MAX - 1] = '\0';
}
