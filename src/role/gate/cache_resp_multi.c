/* cache_resp_multi.c - MULTI and EXEC. What a client says between them is kept as it came; EXEC
 * announces as many answers, and the connection then does what was kept before it goes on with its
 * input (cache_conn.c). Keys have owners of their own, on several nodes: no other client is held
 * off meanwhile, and WATCH is refused. */
#include "role/gate/cache_resp.h"

#include "base/mem.h"

#include <string.h>

#define ROOM_FIRST 1024

void cache_multi_drop(struct cache_conn *c)
{
    if (c->multi != NULL)
        mem_free(c->multi->bytes);
    mem_free(c->multi);
    c->multi = NULL;
}

static bool begin(struct cache_conn *c)
{
    if (c->multi != NULL)
        return cache_say_error(c, "ERR MULTI calls can not be nested");
    c->multi = mem_alloc(sizeof *c->multi);
    return c->multi != NULL ? cache_say_simple(c, "OK")
                            : cache_say_error(c, "OOM no memory for a transaction");
}

static bool discard(struct cache_conn *c)
{
    if (c->multi == NULL)
        return cache_say_error(c, "ERR DISCARD without MULTI");
    cache_multi_drop(c);
    return cache_say_simple(c, "OK");
}

static bool execute(struct cache_conn *c)
{
    if (c->multi == NULL)
        return cache_say_error(c, "ERR EXEC without MULTI");
    if (c->multi->failed) {
        cache_multi_drop(c);
        return cache_say_error(c, "EXECABORT Transaction discarded because of previous errors.");
    }
    cache_say_array(c, c->multi->count);
    c->multi->running = c->multi->count > 0;
    if (!c->multi->running)
        cache_multi_drop(c);
    return true;
}

static bool make_room(struct cache_multi *m, size_t need)
{
    size_t cap = m->cap > 0 ? m->cap : ROOM_FIRST;
    if (need <= m->cap)
        return true;
    while (cap < need)
        cap *= 2;
    char *larger = mem_realloc(m->bytes, cap);
    if (larger == NULL)
        return false;
    m->bytes = larger;
    m->cap = cap;
    return true;
}

static bool keep(struct cache_conn *c, struct slice command)
{
    struct cache_multi *m = c->multi;
    if (m->count >= CACHE_MULTI_MAX || command.len > CACHE_MULTI_BYTES_MAX - m->len) {
        m->failed = true;
        return cache_say_error(c, "ERR the transaction is too large");
    }
    if (!make_room(m, m->len + command.len)) {
        m->failed = true;
        return cache_say_error(c, "OOM no memory for a transaction");
    }
    memcpy(m->bytes + m->len, command.at, command.len);
    m->len += command.len;
    m->count++;
    return cache_say_simple(c, "QUEUED");
}

static bool refuse(struct cache_conn *c, const struct cache_call *call, bool known)
{
    c->multi->failed = true;
    return known ? cache_say_arity(c, call) : cache_say_unknown(c, call);
}

bool cache_resp_multi(struct cache_conn *c, struct cache_call *call, bool known, bool fits)
{
    const struct resp_command *q = &call->resp;
    if (c->multi != NULL && c->multi->running)
        return false;
    if (resp_is(q, 0, "MULTI"))
        return begin(c);
    if (resp_is(q, 0, "EXEC"))
        return execute(c);
    if (resp_is(q, 0, "DISCARD"))
        return discard(c);
    if (resp_is(q, 0, "WATCH"))
        return cache_say_error(c, "ERR WATCH is not supported: keys are not locked here");
    if (resp_is(q, 0, "UNWATCH"))
        return cache_say_simple(c, "OK");
    if (c->multi == NULL || resp_is(q, 0, "QUIT"))
        return false;
    if (!fits && !resp_is(q, 0, "PING") && !resp_is(q, 0, "ECHO"))
        return refuse(c, call, known);
    return keep(c, call->text);
}
