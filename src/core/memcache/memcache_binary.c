/* memcache_binary.c - the binary protocol: a head of 24 bytes, extras, key, value. */
#include "core/memcache/memcache_internal.h"

#include "base/wire.h"

#include <string.h>

#define EXPIRY_NONE 0xffffffffu /* of INCR: do not make it */

struct head {
    uint8_t opcode, extras_len;
    uint16_t key_len;
    uint32_t body_len;
};

static const struct opcode {
    enum memcache_op op;
    bool quiet, with_key, touches;
    uint8_t extras; /* bytes that it has */
    bool key, value;
} opcodes[] = {
    [0x00] = {MEMCACHE_GET, false, false, false, 0, true, false},
    [0x01] = {MEMCACHE_SET, false, false, false, 8, true, true},
    [0x02] = {MEMCACHE_ADD, false, false, false, 8, true, true},
    [0x03] = {MEMCACHE_REPLACE, false, false, false, 8, true, true},
    [0x04] = {MEMCACHE_DELETE, false, false, false, 0, true, false},
    [0x05] = {MEMCACHE_INCR, false, false, false, 20, true, false},
    [0x06] = {MEMCACHE_DECR, false, false, false, 20, true, false},
    [0x07] = {MEMCACHE_QUIT, false, false, false, 0, false, false},
    [0x08] = {MEMCACHE_FLUSH, false, false, false, 0, false, false},
    [0x09] = {MEMCACHE_GET, true, false, false, 0, true, false},
    [0x0a] = {MEMCACHE_NOOP, false, false, false, 0, false, false},
    [0x0b] = {MEMCACHE_VERSION, false, false, false, 0, false, false},
    [0x0c] = {MEMCACHE_GET, false, true, false, 0, true, false},
    [0x0d] = {MEMCACHE_GET, true, true, false, 0, true, false},
    [0x0e] = {MEMCACHE_APPEND, false, false, false, 0, true, true},
    [0x0f] = {MEMCACHE_PREPEND, false, false, false, 0, true, true},
    [0x10] = {MEMCACHE_STATS, false, false, false, 0, false, false},
    [0x11] = {MEMCACHE_SET, true, false, false, 8, true, true},
    [0x12] = {MEMCACHE_ADD, true, false, false, 8, true, true},
    [0x13] = {MEMCACHE_REPLACE, true, false, false, 8, true, true},
    [0x14] = {MEMCACHE_DELETE, true, false, false, 0, true, false},
    [0x15] = {MEMCACHE_INCR, true, false, false, 20, true, false},
    [0x16] = {MEMCACHE_DECR, true, false, false, 20, true, false},
    [0x17] = {MEMCACHE_QUIT, true, false, false, 0, false, false},
    [0x18] = {MEMCACHE_FLUSH, true, false, false, 0, false, false},
    [0x19] = {MEMCACHE_APPEND, true, false, false, 0, true, true},
    [0x1a] = {MEMCACHE_PREPEND, true, false, false, 0, true, true},
    [0x1b] = {MEMCACHE_VERBOSITY, false, false, false, 4, false, false},
    [0x1c] = {MEMCACHE_TOUCH, false, false, false, 4, true, false},
    [0x1d] = {MEMCACHE_GET, false, false, true, 4, true, false},
    [0x1e] = {MEMCACHE_GET, true, false, true, 4, true, false},
    [0x1f] = {MEMCACHE_BAD, false, false, false, 0, false, false},
    [0x20] = {MEMCACHE_MECHANISMS, false, false, false, 0, false, false},
    [0x21] = {MEMCACHE_AUTH, false, false, false, 0, true, true},
    [0x22] = {MEMCACHE_BAD, false, false, false, 0, false, false},
    [0x23] = {MEMCACHE_GET, false, true, true, 4, true, false},
    [0x24] = {MEMCACHE_GET, true, true, true, 4, true, false},
};

static void read_extras(struct wire_reader *r, struct memcache_request *q)
{
    switch (q->op) {
    case MEMCACHE_SET:
    case MEMCACHE_ADD:
    case MEMCACHE_REPLACE:
        q->flags = wire_u32(r);
        q->expiry = wire_u32(r);
        q->has_expiry = true;
        break;
    case MEMCACHE_INCR:
    case MEMCACHE_DECR:
        q->delta = wire_u64(r);
        q->initial = wire_u64(r);
        q->expiry = wire_u32(r);
        q->has_initial = q->expiry != EXPIRY_NONE;
        q->has_expiry = q->has_initial;
        break;
    case MEMCACHE_GET:
    case MEMCACHE_TOUCH:
        if (q->op == MEMCACHE_TOUCH || q->touches) {
            q->expiry = wire_u32(r);
            q->has_expiry = true;
        }
        break;
    default:
        break;
    }
}

static void bad(struct memcache_request *q, enum memcache_status s)
{
    q->op = MEMCACHE_BAD;
    q->status = (uint16_t)s;
}

/* A flush may have a delay or not; the others are as the table says. */
static bool lengths_fit(const struct opcode *o, const struct head *h)
{
    uint32_t rest = h->body_len - h->extras_len - h->key_len;
    bool extras = h->extras_len == o->extras ||
                  (o->op == MEMCACHE_FLUSH && h->extras_len == sizeof(uint32_t));
    bool key = o->key ? h->key_len > 0 && h->key_len <= MEMCACHE_KEY_MAX
                      : h->key_len == 0 || o->op == MEMCACHE_STATS;
    return extras && key && (o->value || rest == 0);
}

static void read_body(struct wire_reader *r, const struct head *h, struct memcache_request *q)
{
    const struct opcode *o =
        h->opcode < sizeof opcodes / sizeof opcodes[0] ? &opcodes[h->opcode] : NULL;
    if (o == NULL || o->op == MEMCACHE_BAD) {
        bad(q, MEMCACHE_UNKNOWN);
        return;
    }
    q->quiet = o->quiet;
    if (!lengths_fit(o, h)) {
        bad(q, MEMCACHE_INVALID);
        return;
    }
    q->op = o->op;
    q->with_key = o->with_key;
    q->with_cas = true;
    q->touches = o->touches;
    q->has_cas = q->cas != 0;
    struct wire_reader extras;
    wire_reader_init(&extras, wire_bytes(r, h->extras_len), h->extras_len);
    read_extras(&extras, q);
    size_t value_len = h->body_len - h->extras_len - h->key_len;
    q->keys[0] = (struct slice){(const char *)wire_bytes(r, h->key_len), h->key_len};
    q->key_count = h->key_len > 0;
    q->value = (struct slice){(const char *)wire_bytes(r, value_len), value_len};
}

int memcache_parse_binary(const char *bytes, size_t len, struct memcache_request *q)
{
    struct wire_reader r;
    struct head h;
    if (len > 0 && (uint8_t)*bytes != MEMCACHE_REQUEST_MARK)
        return -1;
    if (len < MEMCACHE_BINARY_HEAD)
        return 0;
    wire_reader_init(&r, bytes, len);
    (void)wire_u8(&r);
    h.opcode = wire_u8(&r);
    h.key_len = wire_u16(&r);
    h.extras_len = wire_u8(&r);
    (void)wire_u8(&r);
    (void)wire_u16(&r);
    h.body_len = wire_u32(&r);
    q->opaque = wire_u32(&r);
    q->cas = wire_u64(&r);
    q->opcode = h.opcode;
    if ((uint32_t)h.extras_len + h.key_len > h.body_len)
        return -1;
    if (h.body_len > MEMCACHE_VALUE_MAX + MEMCACHE_KEY_MAX + UINT8_MAX) {
        bad(q, MEMCACHE_TOO_LARGE);
        q->skip = h.body_len;
        return MEMCACHE_BINARY_HEAD;
    }
    if (wire_left(&r) < h.body_len)
        return 0;
    read_body(&r, &h, q);
    if (q->value.len > MEMCACHE_VALUE_MAX)
        bad(q, MEMCACHE_TOO_LARGE);
    return (int)(MEMCACHE_BINARY_HEAD + h.body_len);
}

struct slice memcache_plain_password(const struct memcache_request *q)
{
    const char *at = q->value.at, *end = at + q->value.len;
    if (q->op != MEMCACHE_AUTH || !slice_is(q->keys[0], "PLAIN"))
        return (struct slice){NULL, 0};
    for (int i = 0; i < 2; i++) {
        at = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        if (at == NULL)
            return (struct slice){NULL, 0};
        at++;
    }
    return (struct slice){at, (size_t)(end - at)};
}

void memcache_binary_reply(struct memcache_out *o, const struct memcache_request *q,
                           const struct memcache_binary_reply *r)
{
    uint8_t head[MEMCACHE_BINARY_HEAD];
    struct wire_writer w;
    wire_writer_init(&w, head, sizeof head);
    wire_put_u8(&w, MEMCACHE_REPLY_MARK);
    wire_put_u8(&w, q->opcode);
    wire_put_u16(&w, (uint16_t)r->key.len);
    wire_put_u8(&w, (uint8_t)r->extras.len);
    wire_put_u8(&w, 0);
    wire_put_u16(&w, r->status);
    wire_put_u32(&w, (uint32_t)(r->extras.len + r->key.len + r->value.len));
    wire_put_u32(&w, q->opaque);
    wire_put_u64(&w, r->cas);
    memcache_put(o, head, sizeof head);
    memcache_put(o, r->extras.at, r->extras.len);
    memcache_put(o, r->key.at, r->key.len);
    memcache_put(o, r->value.at, r->value.len);
}
