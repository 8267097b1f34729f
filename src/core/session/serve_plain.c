/* serve_plain.c - reads and writes of plain records (table.h), done in their cells: what a node
 * alone, or the only one with copies of a kind, does for a cache's clients. Whatever takes more
 * thought, serve.c does. */
#include "core/session/session_internal.h"

#include <string.h>

#define SHORT_BYTES 32 /* name and value of what is set beside the unnamed field, at most */

/* The record, if it is owned here and nothing goes on about it. It has no copies, so no contact
 * that was broken makes it doubtful. */
static struct plain *plain_of(struct session *s, const struct session_op *op)
{
    if (quorum_rules(s, op->key) || (s->work_count > 0 && work_find(s, op->key)))
        return NULL;
    struct plain *p = table_plain(s->table, op->key, op->hash);
    return p && p->role == ROLE_OWNER ? p : NULL;
}

static uint32_t left_ms(const struct session *s, const struct plain *p)
{
    if (p->expires_ns == TIME_NEVER)
        return 0;
    uint64_t left = p->expires_ns > s->now_ns ? (p->expires_ns - s->now_ns) / NS_PER_MS : 0;
    return left == 0 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static void done(const struct session *s, const struct plain *p, struct session_reading *out)
{
    *out = (struct session_reading){&p->record, left_ms(s, p)};
    s->out->deadline_ns = p->expires_ns;
}

static void renew(struct session *s, struct plain *p)
{
    uint32_t ttl_ms = p->record.ttl_ms;
    table_plain_expire_at(s->table, p, ttl_ms ? s->now_ns + ttl_ms * NS_PER_MS : TIME_NEVER);
}

int serve_plain_read(struct session *s, const struct session_op *op, struct session_reading *out)
{
    const struct kind *k = kind_of(s, op->key);
    if (k->when_full == FULL_EVICT)
        return STEAD_PENDING; /* the order of use is kept */
    struct plain *p = plain_of(s, op);
    if (!p || op->min_term > p->record.stamp.term)
        return STEAD_PENDING;
    if (op->min_term == p->record.stamp.term && op->min_version > p->record.stamp.version)
        return STEAD_PENDING;
    if (k->sliding && p->record.ttl_ms != 0 && !op->peek) {
        if (expiry_tells(s, p->touched_ns, p->record.ttl_ms))
            return STEAD_PENDING;
        renew(s, p);
    }
    s->stats.reads_local++;
    done(s, p, out);
    return STEAD_OK;
}

/* The operations as fields: the unnamed one is set, and perhaps one more; or that is removed, which
 * is nothing to do where it is not. 0: they are others. */
static size_t values_of(const struct session_op *op, const struct record *r, uint8_t *bytes,
                        struct plain_value *v)
{
    const struct field_op *first = op->ops, *second = op->ops + 1;
    if (op->op_count == 0 || op->op_count > PLAIN_FIELDS || first->type != FIELD_SET ||
        first->name_len != 0 || first->value_len > RECORD_BYTES_MAX)
        return 0;
    v[0] = (struct plain_value){.bytes = first->value, .value_len = (uint32_t)first->value_len};
    if (op->op_count == 1)
        return 1;
    if (second->type == FIELD_DELETE && second->name_len > 0)
        return r->field_count == 1 && r->fields[0]->name_len == 0 ? 1 : 0;
    if (second->type != FIELD_SET || second->name_len == 0 || second->name_len > SHORT_BYTES ||
        second->value_len > SHORT_BYTES - second->name_len)
        return 0;
    memcpy(bytes, second->name, second->name_len);
    if (second->value_len > 0)
        memcpy(bytes + second->name_len, second->value, second->value_len);
    v[1] = (struct plain_value){.bytes = bytes,
                                .value_len = (uint32_t)second->value_len,
                                .name_len = (uint8_t)second->name_len};
    return 2;
}

static bool is_within(const struct kind *k, const struct plain_value *v, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += v[i].name_len + (size_t)v[i].value_len;
    return sum <= kind_size_max(k);
}

static size_t bytes_of(const struct plain_value *v, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += v[i].name_len + (size_t)v[i].value_len + sizeof(struct field);
    return sum;
}

int serve_plain_write(struct session *s, const struct session_op *op, struct session_reading *out)
{
    uint8_t bytes[SHORT_BYTES];
    struct plain_value v[PLAIN_FIELDS];
    const struct kind *k = kind_of(s, op->key);
    if (s->peer_count > 0 || s->self_state != PEER_UP || kind_least(k) > 0)
        return STEAD_PENDING;
    struct plain *p = plain_of(s, op);
    size_t count = p ? values_of(op, &p->record, bytes, v) : 0;
    if (count == 0 || !is_within(k, v, count) ||
        !item_has_room(s, op->key->kind, bytes_of(v, count)))
        return STEAD_PENDING;
    struct record *r = &p->record;
    if (op->has_match && (op->match.term != r->stamp.term || op->match.version != r->stamp.version))
        return STEAD_E_CONFLICT;
    r->stamp.version++;
    r->stamp.inc = s->self_inc;
    r->ttl_ms = op->ttl_ms ? op->ttl_ms : r->ttl_ms;
    if (!table_plain_replace(s->table, p, v, count))
        return STEAD_PENDING;
    shelf_note(s, op->key);
    if (op->ttl_ms || k->sliding)
        renew(s, p);
    done(s, p, out);
    return STEAD_OK;
}
