/* cache_run.c - operations into the store, for a connection. */
#include "role/gate/cache_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

uint8_t cache_kind(const struct cache *d, struct slice text)
{
    for (size_t i = 0; i < d->config.prefix_count; i++) {
        const struct cache_prefix *p = &d->config.prefixes[i];
        size_t len = strlen(p->text);
        if (text.len >= len && memcmp(text.at, p->text, len) == 0)
            return p->kind;
    }
    return d->config.kind;
}

bool cache_key(const struct cache *d, struct slice text, struct key *out)
{
    if (text.len == 0 || text.len > KEY_BYTES_MAX)
        return false;
    /* As key_set(), which zeroes what follows. */
    out->kind = cache_kind(d, text);
    out->len = (uint8_t)text.len;
    memcpy(out->bytes, text.at, text.len);
    return true;
}

static uint64_t deadline_ms(const struct cache *d, const struct cache_op *op)
{
    const struct kind *k = &store_kinds(d->config.store)->kind[op->key.kind];
    return k->losable && op->verb == CACHE_GET ? CACHE_LOSABLE_DEADLINE_MS : CACHE_DEADLINE_MS;
}

/* Steps until one has to wait. */
static bool run(struct cache_conn *c, struct cache_call *call, struct session_op *step)
{
    struct cache *d = c->door;
    for (;;) {
        uint64_t now_ns = d->now_ns;
        struct session_result *r = NULL;
        step->deadline_ns = now_ns + deadline_ms(d, &call->op) * NS_PER_MS;
        step->request = (uint64_t)d->slots[c->slot].generation << 32 | c->slot;
        step->gathers = true;
        int status = store_submit(d->config.store, d->config.mailbox, step, now_ns, &r);
        if (status == STEAD_PENDING)
            return false;
        struct session_result error = {.status = status};
        bool over = cache_op_result(&call->op, r != NULL ? r : &error, step);
        if (r != NULL)
            session_result_free(r);
        if (over)
            return true;
    }
}

/* -- reads of what is here -- */

struct reader {
    struct cache *door;
    struct cache_op *op;
};

static bool value_room(struct cache *d, size_t len)
{
    if (len <= d->value_cap)
        return true;
    char *larger = mem_realloc(d->value, len); /* RECORD_BYTES_MAX at most */
    if (larger == NULL)
        return false;
    d->value = larger;
    d->value_cap = len;
    return true;
}

static void take(void *context, const struct session_reading *r)
{
    struct reader *reader = context;
    struct cache *d = reader->door;
    struct cache_seen *seen = &reader->op->seen;
    cache_op_see(reader->op, r->record, r->left_ms);
    if (!value_room(d, seen->value.len)) {
        *seen = (struct cache_seen){0};
        return;
    }
    if (seen->value.len > 0)
        memcpy(d->value, seen->value.at, seen->value.len);
    seen->value.at = d->value;
}

/* True: it is over. False: the read has to be submitted. */
static bool read_here(struct cache *d, struct cache_op *op, struct session_op *step)
{
    struct reader reader = {d, op};
    int status = store_read(d->config.store, step, d->now_ns, take, &reader);
    if (status == STEAD_OK && op->seen.there) {
        op->outcome = CACHE_DONE;
        return true;
    }
    if (status == STEAD_OK || status == STEAD_PENDING)
        return false;
    struct session_result without = {.status = status};
    return cache_op_result(op, &without, step);
}

/* A write that no other node has to hear of. The same. */
static bool write_here(struct cache *d, struct cache_op *op, struct session_op *step)
{
    struct session_result r = {0};
    r.status = store_write(d->config.store, step, d->now_ns, &r.stamp, &r.left_ms);
    return r.status != STEAD_PENDING && cache_op_result(op, &r, step);
}

bool cache_run(struct cache_conn *c, struct cache_call *call)
{
    struct session_op step;
    cache_op_start(&call->op, &step);
    step.hash = call->index == 0 ? call->hash : 0;
    step.gathers = true;
    if (call->op.verb == CACHE_GET && read_here(c->door, &call->op, &step))
        return true;
    if (step.type == SESSION_CHANGE && step.bare && write_here(c->door, &call->op, &step))
        return true;
    return run(c, call, &step);
}

bool cache_run_on(struct cache_conn *c, struct cache_call *call, struct session_result *r)
{
    struct session_op step;
    return cache_op_result(&call->op, r, &step) || run(c, call, &step);
}
