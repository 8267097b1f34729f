/* keys_wire.c - the message by which nodes tell each other the generations of the farm's key. It
 * travels in sealed frames only. docs/protocol.md, Keys. */
#include "core/mesh/keys.h"

#include <string.h>

#include <openssl/crypto.h>

enum { TYPE_KEYS = 1 };
enum { FLAG_USES = 1, FLAG_GIVEN = 2, FLAGS_ALL = 3 };

#define ONE_MAX (1 + 1 + 1 + 8 + KEY_SECRET_BYTES)
#define HEAD_BYTES (1 + 4 + 8 + LASTING_COUNT * KEY_SECRET_BYTES + 1)

_Static_assert(HEAD_BYTES + KEYS_MAX * ONE_MAX <= KEYS_MESSAGE_MAX, "the longest message fits");

const struct key_said *keys_said_find(const struct keys_said *s, uint64_t mark)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].mark == mark)
            return &s->list[i];
    return NULL;
}

void keys_encode(const struct keys *k, unsigned uses, const struct keys_said *to,
                 struct wire_writer *w)
{
    wire_put_u8(w, TYPE_KEYS);
    wire_put_u32(w, k->turn);
    wire_put_u64(w, k->active);
    for (int i = 0; i < LASTING_COUNT; i++)
        wire_put_bytes(w, k->lasting[i], KEY_SECRET_BYTES);
    wire_put_u8(w, (uint8_t)k->count);
    for (size_t i = 0; i < k->count; i++) {
        const struct key_generation *g = &k->list[i];
        bool given = to && g->state == KEY_ACCEPTED && !g->quiet && !keys_said_find(to, g->mark);
        wire_put_u8(w, g->number);
        wire_put_u8(w, (uint8_t)g->state);
        wire_put_u8(w, (uint8_t)((uses >> i & 1 ? FLAG_USES : 0) | (given ? FLAG_GIVEN : 0)));
        wire_put_u64(w, g->mark);
        if (given)
            wire_put_bytes(w, g->secret, KEY_SECRET_BYTES);
    }
}

static void take_one(struct wire_reader *r, struct key_said *out)
{
    out->number = wire_u8(r);
    uint8_t state = wire_u8(r), flags = wire_u8(r);
    out->mark = wire_u64(r);
    out->state = (enum key_state)state;
    out->uses = flags & FLAG_USES;
    out->given = flags & FLAG_GIVEN;
    if (out->number == 0 || state > KEY_FORGOTTEN || flags > FLAGS_ALL ||
        (out->given && state != KEY_ACCEPTED))
        wire_fail(r);
    const uint8_t *secret = out->given ? wire_bytes(r, KEY_SECRET_BYTES) : NULL;
    if (!secret || !wire_ok(r))
        return;
    memcpy(out->secret, secret, KEY_SECRET_BYTES);
    if (keys_mark(out->secret) != out->mark)
        wire_fail(r);
}

/* Each once, in order, and what is active among the accepted. */
static bool list_valid(const struct keys_said *s)
{
    const struct key_said *active = keys_said_find(s, s->active);
    for (size_t i = 1; i < s->count; i++) {
        const struct key_said *a = &s->list[i - 1], *b = &s->list[i];
        if (a->number > b->number || (a->number == b->number && a->mark >= b->mark))
            return false;
        for (size_t j = 0; j < i; j++)
            if (s->list[j].mark == b->mark)
                return false;
    }
    return active && active->state == KEY_ACCEPTED;
}

bool keys_decode(const uint8_t *bytes, size_t len, struct keys_said *out)
{
    struct wire_reader r;
    *out = (struct keys_said){0};
    wire_reader_init(&r, bytes, len);
    if (wire_u8(&r) != TYPE_KEYS)
        wire_fail(&r);
    out->turn = wire_u32(&r);
    out->active = wire_u64(&r);
    for (int i = 0; i < LASTING_COUNT; i++) {
        const uint8_t *lasting = wire_bytes(&r, KEY_SECRET_BYTES);
        if (wire_ok(&r))
            memcpy(out->lasting[i], lasting, KEY_SECRET_BYTES);
    }
    uint8_t count = wire_u8(&r);
    if (count > KEYS_MAX || out->turn > KEYS_TURN_MAX)
        wire_fail(&r);
    for (; wire_ok(&r) && out->count < count; out->count++)
        take_one(&r, &out->list[out->count]);
    bool good = wire_done(&r) && list_valid(out);
    if (!good)
        OPENSSL_cleanse(out, sizeof *out);
    return good;
}
