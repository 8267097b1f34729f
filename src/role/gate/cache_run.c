/* cache_run.c - operations into the store, for a connection. */
#include "role/gate/cache_internal.h"

#include "base/clock.h"
#include "io/io.h"

#include <string.h>

bool cache_key(const struct cache *d, struct slice text, struct key *out)
{
    uint8_t kind = d->config.kind;
    for (size_t i = 0; i < d->config.prefix_count; i++) {
        const struct cache_prefix *p = &d->config.prefixes[i];
        size_t len = strlen(p->text);
        if (text.len >= len && memcmp(text.at, p->text, len) == 0) {
            kind = p->kind;
            break;
        }
    }
    return key_set(out, kind, text.at, text.len);
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
        uint64_t now_ns = io_now_ns();
        struct session_result *r = NULL;
        step->deadline_ns = now_ns + deadline_ms(d, &call->op) * NS_PER_MS;
        step->request = (uint64_t)d->slots[c->slot].generation << 32 | c->slot;
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

bool cache_run(struct cache_conn *c, struct cache_call *call)
{
    struct session_op step;
    cache_op_start(&call->op, &step);
    return run(c, call, &step);
}

bool cache_run_on(struct cache_conn *c, struct cache_call *call, struct session_result *r)
{
    struct session_op step;
    return cache_op_result(&call->op, r, &step) || run(c, call, &step);
}
