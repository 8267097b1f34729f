/* order.c - the bytes of orders, who waits for answers, and when a node must not go. Carrying them
 * out is node/command.c's. */
#include "core/roster/order.h"

#include "stead/error.h"

#include <string.h>

enum { TYPE_ORDER = 1, TYPE_ORDERED = 2 };
enum { FLAG_FORCE = 1 };
enum { FLAG_DRAINING = 1, FLAG_MAINT = 2, FLAG_DRAINED = 4, FLAGS_ALL = 7 };

static void put_text(struct wire_writer *w, const char *text)
{
    size_t len = strnlen(text, ORDER_TEXT_MAX);
    if (len > 0)
        wire_put_str16(w, text, len);
}

/* Printable, so that it may be logged and shown as it is. */
static void take_text(struct wire_reader *r, char out[ORDER_TEXT_MAX + 1])
{
    size_t len = 0;
    out[0] = '\0';
    if (wire_left(r) == 0)
        return;
    const uint8_t *bytes = wire_str16(r, &len);
    if (!wire_ok(r) || len == 0 || len > ORDER_TEXT_MAX) {
        wire_fail(r);
        return;
    }
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < ' ' || bytes[i] >= 127)
            wire_fail(r);
    memcpy(out, bytes, len);
    out[len] = '\0';
}

void order_encode(const struct order *o, struct wire_writer *w)
{
    wire_put_u8(w, TYPE_ORDER);
    wire_put_u64(w, o->token);
    wire_put_u8(w, (uint8_t)o->verb);
    wire_put_u8(w, o->force ? FLAG_FORCE : 0);
    put_text(w, o->text);
}

void ordered_encode(const struct ordered *o, struct wire_writer *w)
{
    wire_put_u8(w, TYPE_ORDERED);
    wire_put_u64(w, o->token);
    wire_put_u8(w, (uint8_t)-o->error);
    wire_put_u8(w, (uint8_t)o->status);
    wire_put_u8(w, (uint8_t)((o->draining ? FLAG_DRAINING : 0) | (o->maint ? FLAG_MAINT : 0) |
                             (o->drained ? FLAG_DRAINED : 0)));
    wire_put_u32(w, o->users);
    wire_put_u64(w, o->records);
    put_text(w, o->text);
}

static void decode_order(struct wire_reader *r, struct order *out)
{
    *out = (struct order){.token = wire_u64(r)};
    uint8_t verb = wire_u8(r), flags = wire_u8(r);
    if (out->token == 0 || verb > ORDER_KEY || flags > FLAG_FORCE)
        wire_fail(r);
    take_text(r, out->text);
    if ((*out->text != '\0') != (verb == ORDER_CHANGE || verb == ORDER_KEY))
        wire_fail(r);
    out->verb = (enum order_verb)verb;
    out->force = flags & FLAG_FORCE;
}

static void decode_ordered(struct wire_reader *r, struct ordered *out)
{
    *out = (struct ordered){.token = wire_u64(r)};
    uint8_t error = wire_u8(r), status = wire_u8(r), flags = wire_u8(r);
    out->users = wire_u32(r);
    out->records = wire_u64(r);
    if (out->token == 0 || error > INT8_MAX || status > STATUS_LEFT || flags > FLAGS_ALL)
        wire_fail(r);
    take_text(r, out->text);
    out->error = -(int)error;
    out->status = (enum status)status;
    out->draining = flags & FLAG_DRAINING;
    out->maint = flags & FLAG_MAINT;
    out->drained = flags & FLAG_DRAINED;
}

enum order_message order_decode(const uint8_t *bytes, size_t len, struct order *order,
                                struct ordered *ordered)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    uint8_t type = wire_u8(&r);
    if (type == TYPE_ORDER)
        decode_order(&r, order);
    else if (type == TYPE_ORDERED)
        decode_ordered(&r, ordered);
    else
        wire_fail(&r);
    if (!wire_done(&r))
        return ORDER_MALFORMED;
    return type == TYPE_ORDER ? ORDER_ASKED : ORDER_ANSWERED;
}

/* A full one still serves those who are there. */
static bool serves(const struct roster_node *n, const struct server *s)
{
    enum status status = roster_server_status(n, s);
    return s->weight > 0 && (status == STATUS_UP || status == STATUS_FULL);
}

static bool another_serves(const struct roster *r, const char *service)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = n->self ? NULL : roster_server(n, service);
        if (s != NULL && serves(n, s))
            return true;
    }
    return false;
}

const char *order_last(const struct roster *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        for (size_t j = 0; n->self && j < n->entry->server_count; j++) {
            const struct server *s = &n->entry->servers[j];
            if (serves(n, s) && !another_serves(r, s->service))
                return s->service;
        }
    }
    return NULL;
}

bool order_last_of(const struct roster *r, const char *service)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = n->self ? roster_server(n, service) : NULL;
        if (s != NULL && serves(n, s))
            return !another_serves(r, service);
    }
    return false;
}

uint64_t orders_open(struct orders *o, uint64_t inc, uint64_t now_ms)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        if (o->waits[i].token != 0)
            continue;
        o->waits[i].token = ++o->serial;
        o->waits[i].inc = inc;
        o->waits[i].until_ms = now_ms + ORDER_PATIENCE_MS;
        return o->waits[i].token;
    }
    return 0;
}

bool orders_close(struct orders *o, uint64_t inc, uint64_t token)
{
    for (size_t i = 0; token != 0 && i < ORDERS_MAX; i++) {
        if (o->waits[i].token != token || o->waits[i].inc != inc)
            continue;
        o->waits[i].token = 0;
        return true;
    }
    return false;
}

uint64_t orders_expire(struct orders *o, uint64_t now_ms)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        uint64_t token = o->waits[i].token;
        if (token == 0 || now_ms < o->waits[i].until_ms)
            continue;
        o->waits[i].token = 0;
        return token;
    }
    return 0;
}
