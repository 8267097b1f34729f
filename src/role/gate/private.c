/* private.c - private fields at the session API's door. */
#include "role/gate/private.h"

#include "base/mem.h"
#include "io/io.h"

#include <openssl/crypto.h>
#include <string.h>

bool private_is(const struct private_rules *p, uint8_t kind, const void *name, size_t len)
{
    if (!p->keys || kind >= KINDS_MAX)
        return false;
    for (size_t i = 0; i < p->kind[kind].count; i++)
        if (slice_fits((struct slice){name, len}, p->kind[kind].names[i]))
            return true;
    return false;
}

/* Kind, id and name, each with its length before it. */
static size_t place_of(const struct key *key, const void *name, size_t name_len,
                       uint8_t out[BOX_PLACE_MAX])
{
    size_t n = 0;
    out[n++] = key->kind;
    out[n++] = key->len;
    memcpy(out + n, key->bytes, key->len);
    n += key->len;
    out[n++] = (uint8_t)name_len;
    memcpy(out + n, name, name_len);
    return n + name_len;
}

bool private_any(const struct private_rules *p)
{
    size_t count = 0;
    for (size_t k = 0; p && k < KINDS_MAX; k++)
        count += p->kind[k].count;
    return count > 0;
}

static bool seal_one(const struct private_rules *p, const struct key *key, struct field_op *op,
                     uint8_t *to)
{
    uint8_t place[BOX_PLACE_MAX], salt[TOKEN_SALT_BYTES];
    size_t place_len = place_of(key, op->name, op->name_len, place);
    io_random(salt, sizeof salt);
    if (!box_ring_seal(p->keys, place, place_len, salt, op->value, op->value_len, to))
        return false;
    op->value = to;
    op->value_len += BOX_OVERHEAD;
    return true;
}

static bool is_private_op(const struct private_rules *p, const struct key *key,
                          const struct field_op *op)
{
    return op->type != FIELD_DELETE && private_is(p, key->kind, op->name, op->name_len);
}

int private_seal(const struct private_rules *p, const struct key *key, const struct field_op *ops,
                 size_t count, struct private_ops *out)
{
    *out = (struct private_ops){.ops = ops, .count = count};
    size_t sealed = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_private_op(p, key, &ops[i]))
            continue;
        if (ops[i].type == FIELD_ADD)
            return STEAD_E_INVAL;
        sealed++;
        out->bytes_len += ops[i].value_len + BOX_OVERHEAD;
    }
    if (sealed == 0)
        return STEAD_OK;
    out->made = mem_alloc(count * sizeof *out->made);
    out->bytes = mem_alloc(out->bytes_len);
    bool ok = out->made && out->bytes;
    uint8_t *to = out->bytes;
    for (size_t i = 0; i < count && ok; i++) {
        struct field_op *op = &out->made[i];
        *op = ops[i];
        if (!is_private_op(p, key, op))
            continue;
        ok = seal_one(p, key, op, to);
        to += op->value_len;
    }
    out->ops = out->made;
    if (!ok)
        private_ops_deinit(out);
    return ok ? STEAD_OK : STEAD_E_NOMEM;
}

void private_ops_deinit(struct private_ops *o)
{
    mem_free(o->made);
    mem_free(o->bytes);
    *o = (struct private_ops){0};
}

int64_t private_open(const struct private_rules *p, const struct key *key, const struct field *f,
                     uint8_t *out)
{
    if (!box_is(field_value(f), f->value_len) ||
        !private_is(p, key->kind, field_name(f), f->name_len)) {
        memcpy(out, field_value(f), f->value_len);
        return f->value_len;
    }
    uint8_t place[BOX_PLACE_MAX];
    size_t place_len = place_of(key, field_name(f), f->name_len, place);
    if (box_ring_open(p->keys, place, place_len, field_value(f), f->value_len, out))
        return (int64_t)f->value_len - BOX_OVERHEAD;
    return -1;
}
