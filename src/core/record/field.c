/* field.c - a single field: one block of memory with its name and value behind it. */
#include "core/record/field.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

static struct field *new_field(const void *name, size_t name_len, const void *value,
                               size_t value_len, const struct stamp *stamp)
{
    assert(name_len <= FIELD_NAME_MAX && value_len <= UINT32_MAX / 2);
    struct field *f = mem_alloc(sizeof *f + name_len + value_len);
    if (!f)
        return NULL;
    f->stamp = *stamp;
    f->name_len = (uint8_t)name_len;
    f->value_len = (uint32_t)value_len;
    uint8_t *bytes = (uint8_t *)(f + 1);
    f->bytes = bytes;
    if (name_len)
        memcpy(bytes, name, name_len);
    if (value_len)
        memcpy(bytes + name_len, value, value_len);
    return f;
}

struct field *field_new(const void *name, size_t name_len, const void *value, size_t value_len,
                        const struct stamp *stamp)
{
    return new_field(name, name_len, value, value_len, stamp);
}

struct field *field_new_removed(const void *name, size_t name_len, const struct stamp *stamp,
                                uint32_t born_s)
{
    struct field *f = new_field(name, name_len, NULL, 0, stamp);
    if (f) {
        f->removed = true;
        f->born_s = born_s;
    }
    return f;
}

struct field *field_clone(const struct field *f, uint32_t born_s)
{
    if (f->removed)
        return field_new_removed(field_name(f), f->name_len, &f->stamp, born_s);
    return field_new(field_name(f), f->name_len, field_value(f), f->value_len, &f->stamp);
}

void field_free(struct field *f)
{
    if (f && !f->lent)
        mem_free(f);
}

int field_compare_name(const struct field *f, const void *name, size_t name_len)
{
    size_t common = f->name_len < name_len ? f->name_len : name_len;
    int order = common ? memcmp(field_name(f), name, common) : 0;
    if (order == 0 && f->name_len != name_len)
        order = f->name_len < name_len ? -1 : 1;
    return order;
}

int field_compare_content(const struct field *a, const struct field *b)
{
    if (a->removed != b->removed)
        return a->removed ? 1 : -1;
    if (a->value_len != b->value_len)
        return a->value_len < b->value_len ? -1 : 1;
    return a->value_len ? memcmp(field_value(a), field_value(b), a->value_len) : 0;
}

uint32_t field_live_bytes(const struct field *f)
{
    return f->removed ? 0 : f->name_len + f->value_len;
}

uint32_t field_memory(const struct field *f)
{
    return FIELD_REST_BYTES + f->name_len + f->value_len;
}
