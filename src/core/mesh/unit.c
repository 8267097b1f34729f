/* unit.c - one decoder and one encoder for each type of unit. */
#include "core/mesh/unit.h"

#include <assert.h>
#include <string.h>

#define REASON_MAX 127 /* a stead_error, made positive */

uint32_t unit_parts(uint32_t total)
{
    return total == 0 ? 1 : (total + UNIT_PART_MAX - 1) / UNIT_PART_MAX;
}

uint32_t unit_part_len(uint32_t total, uint16_t index)
{
    uint32_t left = total - index * UNIT_PART_MAX;
    return left < UNIT_PART_MAX ? left : UNIT_PART_MAX;
}

bool unit_acked(const struct unit_ack *a, uint64_t seq)
{
    if (seq <= a->upto)
        return true;
    uint64_t bit = seq - a->upto - 1;
    return bit < a->words * 64u && (a->bits[bit / 64] >> bit % 64 & 1);
}

static void get_contact(struct wire_reader *r, struct unit *u)
{
    struct unit_contact *c = &u->contact;
    if (u->type != UNIT_HELLO)
        c->echo = wire_u64(r);
    if (u->type == UNIT_REFUSE) {
        c->reason = wire_u8(r);
        if (c->reason == 0 || c->reason > REASON_MAX)
            wire_fail(r);
        return;
    }
    c->nonce = wire_u64(r);
    c->card = wire_str16(r, &c->card_len);
    if (c->card_len > MESH_CARD_MAX)
        wire_fail(r);
}

static void get_link(struct wire_reader *r, struct unit_link *l)
{
    l->flags = wire_u8(r);
    l->own = wire_u32(r);
    l->yours = wire_u32(r);
    l->number = wire_u64(r);
    if (l->own == 0)
        wire_fail(r);
}

static void get_ack(struct wire_reader *r, struct unit_ack *a)
{
    a->upto = wire_u64(r);
    a->newest = wire_u64(r);
    a->words = wire_u8(r);
    if (a->words > ACK_WORDS || a->upto > UINT64_MAX - SEQ_WINDOW) {
        wire_fail(r);
        return;
    }
    for (uint8_t i = 0; i < a->words; i++)
        a->bits[i] = wire_u64(r);
}

static void get_part(struct wire_reader *r, struct unit_part *p)
{
    p->seq = wire_u64(r);
    p->total = wire_u32(r);
    p->index = wire_u16(r);
    p->channel = wire_u8(r);
    p->bytes = wire_str16(r, &p->len);
    if (!wire_ok(r))
        return;
    if (p->total > MESH_MESSAGE_MAX || p->index >= unit_parts(p->total) || p->seq <= p->index ||
        p->seq > UINT64_MAX - SEQ_WINDOW) {
        wire_fail(r);
        return;
    }
    if (p->len != unit_part_len(p->total, p->index))
        wire_fail(r);
}

static void get_fleeting(struct wire_reader *r, struct unit_fleeting *f)
{
    f->channel = wire_u8(r);
    f->bytes = wire_str16(r, &f->len);
    if (f->len > MESH_FLEETING_BYTES_MAX)
        wire_fail(r);
}

static void get_beacon(struct wire_reader *r, struct unit_beacon *b)
{
    b->counts = wire_str16(r, &b->len);
    if (b->len > MESH_BEACON_MAX)
        wire_fail(r);
}

static void get_flow(struct wire_reader *r, struct unit_flow *f)
{
    f->count = wire_u8(r);
    f->table = wire_bytes(r, f->count * UNIT_FLOW_ENTRY_BYTES);
    if (f->count == 0 || f->count > UNIT_FLOW_MAX)
        wire_fail(r);
}

static void get_share(struct wire_reader *r, bool own, struct unit_share *s)
{
    s->place = wire_u8(r);
    s->low = wire_u16(r);
    uint16_t mask = own ? wire_u16(r) : 0;
    for (unsigned i = 0; i < UNIT_OWN_BYTES; i++)
        s->own[i] = mask >> i & 1 ? wire_u8(r) : 0;
}

static void get_shared(struct wire_reader *r, struct unit_shared *s)
{
    s->total = wire_u32(r);
    s->index = wire_u16(r);
    s->channel = wire_u8(r);
    s->own_at = wire_u16(r);
    s->count = wire_u8(r);
    bool own = s->own_at != UNIT_OWN_NONE;
    if (s->total > MESH_MESSAGE_MAX || s->index >= unit_parts(s->total) || s->count == 0 ||
        s->count > UNIT_SHARES_MAX) {
        wire_fail(r);
        return;
    }
    for (unsigned i = 0; i < s->count; i++)
        get_share(r, own, &s->to[i]);
    s->bytes = wire_str16(r, &s->len);
    size_t own_len = own ? UNIT_OWN_BYTES : 0;
    if (s->len + own_len != unit_part_len(s->total, s->index) || (own && s->own_at > s->len))
        wire_fail(r);
}

static void get_padding(struct wire_reader *r)
{
    size_t left = wire_left(r);
    const uint8_t *zeros = wire_bytes(r, left);
    for (size_t i = 0; i < left; i++) {
        if (zeros[i] != 0)
            wire_fail(r);
    }
}

bool unit_next(struct wire_reader *r, struct unit *u)
{
    if (!wire_ok(r) || wire_left(r) == 0)
        return false;
    uint8_t type = wire_u8(r);
    *u = (struct unit){.type = (enum unit_type)type};
    switch (type) {
    case UNIT_PAD:
        get_padding(r);
        break;
    case UNIT_HELLO:
    case UNIT_WELCOME:
    case UNIT_PROOF:
    case UNIT_REFUSE:
        get_contact(r, u);
        break;
    case UNIT_LINK:
        get_link(r, &u->link);
        break;
    case UNIT_ACK:
        get_ack(r, &u->ack);
        break;
    case UNIT_PART:
        get_part(r, &u->part);
        break;
    case UNIT_FLEETING:
        get_fleeting(r, &u->fleeting);
        break;
    case UNIT_PROBE:
    case UNIT_PROBED:
        u->probe_size = wire_u16(r);
        break;
    case UNIT_BEACON:
        get_beacon(r, &u->beacon);
        break;
    case UNIT_FLOW:
        get_flow(r, &u->flow);
        break;
    case UNIT_SHARED:
        get_shared(r, &u->shared);
        break;
    case UNIT_MISSED:
        u->high = wire_u64(r);
        break;
    case UNIT_HEARS:
        u->counter = wire_u64(r);
        break;
    default:
        wire_fail(r);
    }
    return wire_ok(r);
}

static bool check_shared(struct wire_reader *r, unsigned receivers)
{
    struct unit u;
    while (unit_next(r, &u)) {
        if (u.type != UNIT_SHARED && u.type != UNIT_PAD)
            return false;
        for (unsigned i = 0; u.type == UNIT_SHARED && i < u.shared.count; i++)
            if (u.shared.to[i].place >= receivers)
                return false;
    }
    return wire_done(r);
}

static bool check_link(struct wire_reader *r)
{
    struct unit u;
    while (unit_next(r, &u)) {
        bool follows = u.type == UNIT_PAD || (u.type >= UNIT_ACK && u.type <= UNIT_PROBED) ||
                       u.type == UNIT_MISSED || u.type == UNIT_HEARS;
        if (!follows)
            return false;
    }
    return wire_done(r);
}

bool unit_check_body(const uint8_t *body, size_t len)
{
    struct wire_reader r;
    struct unit u;
    wire_reader_init(&r, body, len);
    if (!unit_next(&r, &u))
        return false;
    if ((u.type >= UNIT_HELLO && u.type <= UNIT_REFUSE) || u.type == UNIT_BEACON)
        return wire_done(&r);
    if (u.type == UNIT_FLOW)
        return check_shared(&r, u.flow.count);
    return u.type == UNIT_LINK && check_link(&r);
}

static void put_contact(struct wire_writer *w, const struct unit *u)
{
    const struct unit_contact *c = &u->contact;
    if (u->type != UNIT_HELLO)
        wire_put_u64(w, c->echo);
    if (u->type == UNIT_REFUSE) {
        wire_put_u8(w, c->reason);
        return;
    }
    wire_put_u64(w, c->nonce);
    wire_put_str16(w, c->card, c->card_len);
}

static void put_link(struct wire_writer *w, const struct unit_link *l)
{
    wire_put_u8(w, l->flags);
    wire_put_u32(w, l->own);
    wire_put_u32(w, l->yours);
    wire_put_u64(w, l->number);
}

static void put_ack(struct wire_writer *w, const struct unit_ack *a)
{
    wire_put_u64(w, a->upto);
    wire_put_u64(w, a->newest);
    wire_put_u8(w, a->words);
    for (uint8_t i = 0; i < a->words; i++)
        wire_put_u64(w, a->bits[i]);
}

static void put_part(struct wire_writer *w, const struct unit_part *p)
{
    wire_put_u64(w, p->seq);
    wire_put_u32(w, p->total);
    wire_put_u16(w, p->index);
    wire_put_u8(w, p->channel);
    wire_put_str16(w, p->bytes, p->len);
}

static void put_shared(struct wire_writer *w, const struct unit_shared *s)
{
    wire_put_u32(w, s->total);
    wire_put_u16(w, s->index);
    wire_put_u8(w, s->channel);
    wire_put_u16(w, s->own_at);
    wire_put_u8(w, s->count);
    for (unsigned i = 0; i < s->count; i++) {
        const uint8_t *own = s->to[i].own;
        uint16_t mask = 0;
        wire_put_u8(w, s->to[i].place);
        wire_put_u16(w, s->to[i].low);
        if (s->own_at == UNIT_OWN_NONE)
            continue;
        for (unsigned b = 0; b < UNIT_OWN_BYTES; b++)
            mask = (uint16_t)(mask | (own[b] != 0) << b);
        wire_put_u16(w, mask);
        for (unsigned b = 0; b < UNIT_OWN_BYTES; b++)
            if (own[b] != 0)
                wire_put_u8(w, own[b]);
    }
    wire_put_str16(w, s->bytes, s->len);
}

void unit_flow_entry(const struct unit_flow *f, unsigned i, struct unit_flow_entry *e)
{
    struct wire_reader r;
    assert(i < f->count);
    wire_reader_init(&r, f->table + (size_t)i * UNIT_FLOW_ENTRY_BYTES, UNIT_FLOW_ENTRY_BYTES);
    e->own = wire_u32(&r);
    e->yours = wire_u32(&r);
    e->high = wire_u32(&r);
    e->upto = wire_u32(&r);
}

void unit_put_flow_entry(struct wire_writer *w, const struct unit_flow_entry *e)
{
    wire_put_u32(w, e->own);
    wire_put_u32(w, e->yours);
    wire_put_u32(w, e->high);
    wire_put_u32(w, e->upto);
}

void unit_shared_part(const struct unit_shared *s, unsigned share, uint8_t out[UNIT_PART_MAX])
{
    size_t before = s->own_at == UNIT_OWN_NONE ? s->len : s->own_at;
    if (before)
        memcpy(out, s->bytes, before);
    if (s->own_at == UNIT_OWN_NONE)
        return;
    memcpy(out + before, s->to[share].own, UNIT_OWN_BYTES);
    if (s->len > before)
        memcpy(out + before + UNIT_OWN_BYTES, s->bytes + before, s->len - before);
}

void unit_put(struct wire_writer *w, const struct unit *u)
{
    wire_put_u8(w, (uint8_t)u->type);
    switch (u->type) {
    case UNIT_PAD:
        break;
    case UNIT_HELLO:
    case UNIT_WELCOME:
    case UNIT_PROOF:
    case UNIT_REFUSE:
        put_contact(w, u);
        break;
    case UNIT_LINK:
        put_link(w, &u->link);
        break;
    case UNIT_ACK:
        put_ack(w, &u->ack);
        break;
    case UNIT_PART:
        put_part(w, &u->part);
        break;
    case UNIT_FLEETING:
        wire_put_u8(w, u->fleeting.channel);
        wire_put_str16(w, u->fleeting.bytes, u->fleeting.len);
        break;
    case UNIT_PROBE:
    case UNIT_PROBED:
        wire_put_u16(w, u->probe_size);
        break;
    case UNIT_BEACON:
        wire_put_str16(w, u->beacon.counts, u->beacon.len);
        break;
    case UNIT_FLOW:
        wire_put_u8(w, u->flow.count);
        wire_put_bytes(w, u->flow.table, u->flow.count * UNIT_FLOW_ENTRY_BYTES);
        break;
    case UNIT_SHARED:
        put_shared(w, &u->shared);
        break;
    case UNIT_MISSED:
        wire_put_u64(w, u->high);
        break;
    case UNIT_HEARS:
        wire_put_u64(w, u->counter);
        break;
    }
}
