/* The bytes of session messages: one table of types and their parts, one encoder and one decoder
 * that walk it. */
#include "core/session/message.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define NUMBER_MAX (UINT64_MAX >> 1)
#define SUMS_BYTES (RANGES_BLOCK * sizeof(uint64_t))

enum op_flag { OP_MATCH = 1 << 0, OP_PEEK = 1 << 1 };

enum part {
    PART_TOKEN = 1 << 0,
    PART_STAMP = 1 << 1,
    PART_PEER = 1 << 2,
    PART_CONTACT = 1 << 3, /* counted, granted */
    PART_BASE = 1 << 4,
    PART_DIGEST = 1 << 5,
    PART_LIFE = 1 << 6, /* left_ms */
    PART_STATUS = 1 << 7,
    PART_HOPS = 1 << 8,
    PART_OUTCOME = 1 << 9, /* copies, origin */
    PART_SHARD = 1 << 10,  /* index, count */
    PART_OP = 1 << 11,
    PART_MISSING = 1 << 12,
    PART_VOTES = 1 << 14,
    PART_BALLOT = 1 << 15, /* base */
    PART_NEWS = 1 << 16,   /* votes; if not 0 seen, peer */
    PART_SHELVED = 1 << 17,
    PART_SUMS = 1 << 18,  /* of a block of ranges */
    PART_RECORD = 1 << 13 /* one byte, then the record if it is 1 */
};

static const unsigned parts_of[] = {
    [MESSAGE_FORWARD] = PART_TOKEN | PART_CONTACT | PART_HOPS | PART_OP,
    [MESSAGE_RESULT] = PART_TOKEN | PART_LIFE | PART_STATUS | PART_OUTCOME | PART_RECORD,
    [MESSAGE_LOCATE] = PART_TOKEN | PART_BALLOT,
    [MESSAGE_LOCATED] =
        PART_TOKEN | PART_STATUS | PART_STAMP | PART_PEER | PART_MISSING | PART_VOTES | PART_BALLOT,
    [MESSAGE_CLAIM] = PART_TOKEN | PART_STAMP | PART_PEER | PART_DIGEST | PART_SHELVED,
    [MESSAGE_CLAIMED] = PART_TOKEN | PART_STATUS | PART_STAMP | PART_PEER | PART_MISSING |
                        PART_VOTES | PART_SHELVED | PART_RECORD,
    [MESSAGE_REPLICATE] =
        PART_TOKEN | PART_CONTACT | PART_BASE | PART_LIFE | PART_DIGEST | PART_NEWS | PART_RECORD,
    [MESSAGE_REPLICATED] = PART_TOKEN | PART_STATUS | PART_STAMP,
    [MESSAGE_DROP] = PART_STAMP | PART_DIGEST,
    /* index 1: you hold a copy, 2: you do not, and keep yours yet; count 1: say HEARD */
    [MESSAGE_ANNOUNCE] = PART_STAMP | PART_DIGEST | PART_SHARD,
    [MESSAGE_OFFER] = PART_TOKEN | PART_LIFE | PART_RECORD,
    [MESSAGE_TAKEN] = PART_TOKEN | PART_STATUS | PART_STAMP | PART_PEER,
    [MESSAGE_HANDOVER] = PART_TOKEN | PART_CONTACT | PART_LIFE | PART_RECORD,
    [MESSAGE_EXPIRED] = PART_STAMP,
    [MESSAGE_TOUCH] = 0,
    [MESSAGE_DISOWN] = PART_STAMP,
    [MESSAGE_SYNC] = PART_TOKEN,
    [MESSAGE_SYNCED] = PART_TOKEN | PART_SHARD,
    [MESSAGE_HEARD] = 0,
    /* token 1: what differs is mended; index 1: the asker owns it, and you hold a copy */
    [MESSAGE_VERIFY] = PART_TOKEN | PART_STAMP | PART_DIGEST | PART_SHARD,
    [MESSAGE_CULL] = PART_TOKEN | PART_SHARD | PART_OP,
    [MESSAGE_CULLED] = PART_TOKEN | PART_CONTACT | PART_SHARD, /* contact: ended, failed */
    [MESSAGE_VERIFIED] = PART_TOKEN | PART_STATUS | PART_STAMP,
    [MESSAGE_ENROL] = PART_TOKEN,
    [MESSAGE_ENROLLED] = PART_TOKEN | PART_SHARD,
    [MESSAGE_RANGES] = PART_SHARD | PART_SUMS, /* which block, of how many */
    [MESSAGE_RANGED] = PART_SHARD | PART_DIGEST,
    [MESSAGE_SYNCING] = PART_TOKEN | PART_SHARD | PART_STATUS, /* a percentage */
};
#define TYPE_COUNT (sizeof(parts_of) / sizeof(parts_of[0]))

static bool has_key(enum message_type t)
{
    return t != MESSAGE_SYNC && t != MESSAGE_SYNCED && t != MESSAGE_CULL && t != MESSAGE_CULLED &&
           t != MESSAGE_ENROL && t != MESSAGE_ENROLLED && t != MESSAGE_SYNCING &&
           t != MESSAGE_RANGES && t != MESSAGE_RANGED;
}

static void put_stamp(struct wire_writer *w, const struct stamp *s)
{
    wire_put_u64(w, s->term);
    wire_put_u64(w, s->version);
    wire_put_u64(w, s->inc);
}

/* As in records: an owner can always count on from it. */
static struct stamp get_stamp(struct wire_reader *r)
{
    struct stamp s;
    s.term = wire_u64(r);
    s.version = wire_u64(r);
    s.inc = wire_u64(r);
    if (s.term > NUMBER_MAX || s.version > NUMBER_MAX)
        wire_fail(r);
    return s;
}

static size_t op_size(const struct session_op *op)
{
    size_t size = 1 + 4 + 1 + 16 + 16 + 4;
    for (size_t i = 0; i < op->op_count; i++)
        size += 1 + 1 + op->ops[i].name_len + 4 + op->ops[i].value_len + 8;
    return size + (op->type == SESSION_PUSH ? sizeof(op->peer) : 0);
}

static void put_op(struct wire_writer *w, const struct session_op *op)
{
    wire_put_u8(w, (uint8_t)op->type);
    wire_put_u32(w, op->ttl_ms);
    wire_put_u8(w, (uint8_t)((op->has_match ? OP_MATCH : 0) | (op->peek ? OP_PEEK : 0)));
    wire_put_u64(w, op->match.term);
    wire_put_u64(w, op->match.version);
    wire_put_u64(w, op->min_term);
    wire_put_u64(w, op->min_version);
    if (op->type == SESSION_PUSH)
        wire_put_u64(w, op->peer);
    wire_put_u32(w, (uint32_t)op->op_count);
    for (size_t i = 0; i < op->op_count; i++) {
        const struct field_op *f = &op->ops[i];
        wire_put_u8(w, (uint8_t)f->type);
        wire_put_str8(w, f->name, f->name_len);
        wire_put_str32(w, f->value, f->type == FIELD_SET ? f->value_len : 0);
        wire_put_u64(w, (uint64_t)f->amount);
    }
}

static void get_field_op(struct wire_reader *r, struct field_op *f)
{
    uint8_t type = wire_u8(r);
    f->type = (enum field_op_type)type;
    f->name = wire_str8(r, &f->name_len);
    f->value = wire_str32(r, &f->value_len);
    f->amount = (int64_t)wire_u64(r);
    if (type > FIELD_ADD || f->name_len > FIELD_NAME_MAX || f->value_len > RECORD_BYTES_MAX)
        wire_fail(r);
}

static int get_op(struct wire_reader *r, struct session_op *op)
{
    uint8_t type = wire_u8(r);
    op->type = (enum session_op_type)type;
    op->ttl_ms = wire_u32(r);
    uint8_t flags = wire_u8(r);
    op->has_match = flags & OP_MATCH;
    op->peek = flags & OP_PEEK;
    op->match.term = wire_u64(r);
    op->match.version = wire_u64(r);
    op->min_term = wire_u64(r);
    op->min_version = wire_u64(r);
    if (type == SESSION_PUSH)
        op->peer = wire_u64(r);
    uint32_t count = wire_u32(r);
    if (type > SESSION_PUSH || count > RECORD_FIELDS_MAX || !wire_ok(r))
        return STEAD_E_PARSE;
    if (count == 0)
        return STEAD_OK;
    struct field_op *ops = mem_alloc(count * sizeof(*ops));
    if (!ops)
        return STEAD_E_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        get_field_op(r, &ops[i]);
    op->ops = ops;
    op->op_count = count;
    return wire_ok(r) ? STEAD_OK : STEAD_E_PARSE;
}

/* What only kinds with voters need. */
static void put_quorum_parts(struct wire_writer *w, const struct message *m)
{
    unsigned parts = parts_of[m->type];
    if (parts & (PART_VOTES | PART_NEWS))
        wire_put_u8(w, m->votes);
    if (parts & PART_BALLOT)
        wire_put_u64(w, m->base);
    if ((parts & PART_NEWS) && m->votes) {
        put_stamp(w, &m->seen);
        wire_put_u64(w, m->peer);
    }
}

static void get_quorum_parts(struct wire_reader *r, struct message *m)
{
    unsigned parts = parts_of[m->type];
    if (parts & (PART_VOTES | PART_NEWS))
        m->votes = wire_u8(r);
    if (parts & PART_BALLOT)
        m->base = wire_u64(r);
    if ((parts & PART_BALLOT) && m->base > NUMBER_MAX)
        wire_fail(r);
    if ((parts & PART_NEWS) && m->votes) {
        m->seen = get_stamp(r);
        m->peer = wire_u64(r);
    }
}

static void put_parts(struct wire_writer *w, const struct message *m, const struct record *rec)
{
    unsigned parts = parts_of[m->type];
    if (parts & PART_TOKEN)
        wire_put_u64(w, m->token);
    if (parts & PART_STAMP)
        put_stamp(w, &m->stamp);
    if (parts & PART_PEER)
        wire_put_u64(w, m->peer);
    if (parts & PART_CONTACT) {
        wire_put_u64(w, m->counted);
        wire_put_u64(w, m->granted);
    }
    if (parts & PART_BASE)
        wire_put_u64(w, m->base);
    if (parts & PART_DIGEST)
        wire_put_u64(w, m->digest);
    if (parts & PART_LIFE)
        wire_put_u32(w, m->left_ms);
    if (parts & PART_STATUS)
        wire_put_u8(w, m->status);
    if (parts & PART_HOPS)
        wire_put_u8(w, m->hops);
    if (parts & PART_OUTCOME) {
        wire_put_u8(w, m->copies);
        wire_put_u8(w, m->origin);
    }
    if (parts & PART_SHARD) {
        wire_put_u8(w, m->index);
        wire_put_u8(w, m->count);
    }
    if (parts & PART_MISSING)
        wire_put_u8(w, m->missing);
    put_quorum_parts(w, m);
    if (parts & PART_SUMS)
        wire_put_bytes(w, m->sums, SUMS_BYTES);
    if (parts & PART_SHELVED)
        wire_put_u8(w, m->shelved);
    if (parts & PART_OP)
        put_op(w, &m->op);
    if (parts & PART_RECORD) {
        wire_put_u8(w, rec != NULL);
        if (rec)
            record_encode(rec, m->base, w);
    }
}

/* As many bytes as it takes at most. */
static size_t room_of(const struct message *m, const struct record *rec)
{
    assert(m->type > 0 && m->type < TYPE_COUNT);
    size_t room = 3 + m->key.len + 208u;
    if (parts_of[m->type] & PART_OP)
        room += op_size(&m->op);
    if (parts_of[m->type] & PART_SUMS)
        room += SUMS_BYTES;
    if (rec)
        room += record_encoded_size(rec, m->base);
    return room;
}

static size_t put_message(uint8_t *bytes, size_t room, const struct message *m,
                          const struct record *rec)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, room);
    wire_put_u8(&w, (uint8_t)m->type);
    if (has_key(m->type)) {
        wire_put_u8(&w, m->key.kind);
        wire_put_str8(&w, m->key.bytes, m->key.len);
    }
    put_parts(&w, m, rec);
    assert(wire_put_ok(&w));
    return wire_written(&w);
}

struct msg *message_encode(const struct message *m, const struct record *rec, uint64_t to)
{
    size_t room = room_of(m, rec);
    struct msg *out = msg_new(to, room);
    if (out)
        out->len = put_message(out->bytes, room, m, rec);
    return out;
}

bool message_bundle(struct msg *bundle, const struct message *m, const struct record *rec)
{
    size_t room = room_of(m, rec), at = bundle->len + sizeof(uint32_t);
    struct wire_writer w;
    if (at + room > bundle->room)
        return false;
    size_t len = put_message(bundle->bytes + at, room, m, rec);
    wire_writer_init(&w, bundle->bytes + bundle->len, sizeof(uint32_t));
    wire_put_u32(&w, (uint32_t)len);
    bundle->len = at + len;
    bundle->bundled++;
    return true;
}

int message_also(struct msg *out, const struct message *m, uint64_t to)
{
    uint8_t own[MSG_OWN_BYTES];
    struct wire_writer w;
    assert((parts_of[m->type] & (PART_TOKEN | PART_CONTACT | PART_STAMP | PART_PEER)) ==
           (PART_TOKEN | PART_CONTACT));
    wire_writer_init(&w, own, sizeof own);
    wire_put_u64(&w, m->counted);
    wire_put_u64(&w, m->granted);
    assert(wire_put_ok(&w));
    out->own_at = 3u + m->key.len + 8u; /* type, kind, length and bytes of the key, token */
    return msg_add(out, to, own);
}

static bool get_key(struct wire_reader *r, struct key *key)
{
    uint8_t kind = wire_u8(r);
    size_t len;
    const uint8_t *bytes = wire_str8(r, &len);
    return wire_ok(r) && key_set(key, kind, bytes, len);
}

static int get_parts(struct wire_reader *r, struct message *m)
{
    unsigned parts = parts_of[m->type];
    if (parts & PART_TOKEN)
        m->token = wire_u64(r);
    if (parts & PART_STAMP)
        m->stamp = get_stamp(r);
    if (parts & PART_PEER)
        m->peer = wire_u64(r);
    if (parts & PART_CONTACT) {
        m->counted = wire_u64(r);
        m->granted = wire_u64(r);
    }
    if (parts & PART_BASE)
        m->base = wire_u64(r);
    if (parts & PART_DIGEST)
        m->digest = wire_u64(r);
    if (parts & PART_LIFE)
        m->left_ms = wire_u32(r);
    if (parts & PART_STATUS)
        m->status = wire_u8(r);
    if (parts & PART_HOPS)
        m->hops = wire_u8(r);
    if (parts & PART_OUTCOME) {
        m->copies = wire_u8(r);
        m->origin = wire_u8(r);
    }
    if (parts & PART_SHARD) {
        m->index = wire_u8(r);
        m->count = wire_u8(r);
    }
    if (parts & PART_MISSING)
        m->missing = wire_u8(r);
    get_quorum_parts(r, m);
    if (parts & PART_SUMS)
        m->sums = wire_bytes(r, SUMS_BYTES);
    if (parts & PART_SHELVED)
        m->shelved = wire_u8(r) != 0;
    if (parts & PART_OP) {
        int err = get_op(r, &m->op);
        if (err)
            return err;
    }
    if ((parts & PART_RECORD) && wire_u8(r)) {
        m->record_len = wire_left(r);
        m->record = wire_bytes(r, m->record_len);
    }
    return wire_done(r) ? STEAD_OK : STEAD_E_PARSE;
}

int message_decode(const uint8_t *bytes, size_t len, struct message *m)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    *m = (struct message){0};
    uint8_t type = wire_u8(&r);
    if (!wire_ok(&r) || type == 0 || type >= TYPE_COUNT)
        return STEAD_E_PARSE;
    m->type = (enum message_type)type;
    if (has_key(m->type) && !get_key(&r, &m->key))
        return STEAD_E_PARSE;
    int err = get_parts(&r, m);
    if (err) {
        message_op_free(m);
        return err;
    }
    m->op.key = &m->key;
    return STEAD_OK;
}

void message_op_free(struct message *m)
{
    mem_free((void *)(uintptr_t)m->op.ops);
    m->op.ops = NULL;
}

struct record *message_record(const struct message *m, uint32_t now_s, int *err)
{
    struct wire_reader r;
    wire_reader_init(&r, m->record, m->record_len);
    struct record *rec = m->record ? record_decode(&r, now_s) : NULL;
    bool whole = rec && wire_done(&r) && key_equal(&rec->key, &m->key);
    *err = whole ? STEAD_OK : rec || !m->record || !wire_ok(&r) ? STEAD_E_PARSE : STEAD_E_NOMEM;
    if (whole)
        return rec;
    record_free(rec);
    return NULL;
}

bool session_message_key(const uint8_t *bytes, size_t len, struct key *key)
{
    uint8_t kind;
    const uint8_t *at;
    size_t key_len;
    *key = (struct key){0};
    return message_place(bytes, len, &kind, &at, &key_len) &&
           (key_len == 0 || key_set(key, kind, at, key_len));
}

bool message_place(const uint8_t *message, size_t len, uint8_t *kind, const uint8_t **bytes,
                   size_t *key_len)
{
    struct wire_reader r;
    wire_reader_init(&r, message, len);
    *key_len = 0;
    uint8_t type = wire_u8(&r);
    if (!wire_ok(&r) || type == 0 || type >= TYPE_COUNT)
        return false;
    if (!has_key((enum message_type)type))
        return true;
    *kind = wire_u8(&r);
    *bytes = wire_str8(&r, key_len);
    return wire_ok(&r) && *key_len > 0 && *key_len <= KEY_BYTES_MAX;
}
