/* cache_ahead.c - the requests of a pipeline are parsed some at a time before the first is done, so
 * that the store hears which keys come: reading one record's memory then takes no longer than
 * reading all. They are begun one after another, as if parsed just then. */
#include "role/gate/cache_internal.h"

#include "base/mem.h"

bool cache_is_running(const struct cache_conn *c)
{
    return c->multi != NULL && c->multi->running;
}

static struct cache_call *take_call(struct cache *d)
{
    struct list *link = list_pop(&d->calls);
    if (link != NULL)
        return list_entry(link, struct cache_call, pooled);
    return mem_alloc(sizeof(struct cache_call));
}

/* Where it is parsed into; NULL without memory. */
static struct cache_call *call_at(struct cache *d, unsigned i)
{
    if (d->ahead.calls[i] == NULL)
        d->ahead.calls[i] = take_call(d);
    return d->ahead.calls[i];
}

void cache_ahead_drop(struct cache *d)
{
    d->ahead.from = d->ahead.end = 0;
}

void cache_ahead_deinit(struct cache *d)
{
    for (unsigned i = 0; i < CACHE_AHEAD_MAX; i++) {
        mem_free(d->ahead.calls[i]);
        mem_free(d->ready.calls[i]);
    }
}

static bool is_resp(const struct cache_conn *c)
{
    return c->door->config.protocol == CACHE_RESP;
}

static int parse(struct cache_conn *c, struct cache_call *call, struct slice bytes, bool ahead)
{
    int n = is_resp(c) ? cache_resp_parse(c, call, bytes, ahead)
                       : cache_memcache_parse(c, call, bytes, ahead);
    call->text = (struct slice){bytes.at, n > 0 ? (size_t)n : 0};
    call->hash = 0;
    return n;
}

/* What is most likely its key. */
static struct slice key_of(const struct cache_conn *c, const struct cache_call *call)
{
    if (is_resp(c))
        return call->resp.argc > 1 ? call->resp.argv[1] : (struct slice){NULL, 0};
    return call->memcache.key_count > 0 ? call->memcache.keys[0] : (struct slice){NULL, 0};
}

static void hash(struct cache_conn *c, struct cache_call *call, struct store_place *places,
                 size_t *count)
{
    struct cache *d = c->door;
    struct slice key = key_of(c, call);
    if (key.len == 0 || key.len > KEY_BYTES_MAX)
        return;
    call->hash = store_hash(d->config.store, key.at, key.len);
    places[(*count)++] = (struct store_place){call->hash, cache_kind(d, key)};
}

static void expect(struct cache_conn *c)
{
    struct cache *d = c->door;
    struct store_place places[CACHE_AHEAD_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < d->ahead.end; i++)
        hash(c, d->ahead.calls[i], places, &count);
    store_expect(d->config.store, places, count);
}

/* What follows the first request. */
static void look_ahead(struct cache_conn *c, size_t at)
{
    struct cache *d = c->door;
    struct cache_ahead *a = &d->ahead;
    while (a->end < CACHE_AHEAD_MAX && at < c->in_len) {
        /* Bytes that belong to a memcached request and are thrown away come in between. */
        if (!is_resp(c) && a->calls[a->end - 1]->memcache.skip > 0)
            break;
        struct cache_call *call = call_at(d, a->end);
        int n = call != NULL ? parse(c, call, (struct slice){c->in + at, c->in_len - at}, true) : 0;
        if (n <= 0)
            break;
        a->end++;
        at += (size_t)n;
    }
    if (a->end > 1)
        expect(c);
}

int cache_ahead_next(struct cache_conn *c, struct cache_call **out)
{
    struct cache_ahead *a = &c->door->ahead;
    struct slice bytes = {c->in + c->in_from, c->in_len - c->in_from};
    bool running = cache_is_running(c);
    if (running)
        cache_ahead_drop(c->door); /* what comes after a transaction waits */
    if (a->from < a->end) {
        *out = a->calls[a->from++];
        return (int)(*out)->text.len;
    }
    cache_ahead_drop(c->door);
    if ((*out = call_at(c->door, 0)) == NULL)
        return -1;
    if (running)
        bytes = (struct slice){c->multi->bytes + c->multi->from, c->multi->len - c->multi->from};
    int n = parse(c, *out, bytes, false);
    if (n <= 0)
        return n;
    a->from = a->end = 1;
    if (!running)
        look_ahead(c, c->in_from + (size_t)n);
    return n;
}

void cache_ahead_park(struct cache_conn *c, struct cache_call *call)
{
    struct cache_ahead *a = &c->door->ahead;
    a->calls[a->from - 1] = NULL;
    c->call = call;
    cache_ahead_drop(c->door);
}

/* -- one request each, of several connections -- */

bool cache_ready_put(struct cache_conn *c)
{
    struct cache *d = c->door;
    struct cache_ready *r = &d->ready;
    struct slice bytes = {c->in + c->in_from, c->in_len - c->in_from};
    if (r->count == CACHE_AHEAD_MAX)
        cache_ready_go(d);
    if (c->call != NULL || c->multi != NULL || c->skip > 0 || c->broken)
        return false;
    struct cache_call **call = &r->calls[r->count];
    if (*call == NULL && (*call = take_call(d)) == NULL)
        return false;
    if (parse(c, *call, bytes, true) != (int)bytes.len)
        return false;
    r->conns[r->count++] = c;
    c->ready = true;
    return true;
}

void cache_ready_forget(struct cache_conn *c)
{
    struct cache_ready *r = &c->door->ready;
    for (unsigned i = 0; c->ready && i < r->count; i++)
        if (r->conns[i] == c)
            r->conns[i] = NULL;
    c->ready = false;
}

void cache_ready_go(struct cache *d)
{
    struct cache_ready *r = &d->ready;
    struct store_place places[CACHE_AHEAD_MAX];
    size_t count = 0;
    for (unsigned i = 0; r->count > 1 && i < r->count; i++)
        if (r->conns[i] != NULL)
            hash(r->conns[i], r->calls[i], places, &count);
    if (count > 0)
        store_expect(d->config.store, places, count);
    for (unsigned i = 0; i < r->count; i++) {
        struct cache_conn *c = r->conns[i];
        if (c == NULL)
            continue;
        struct cache_call *call = r->calls[i];
        r->calls[i] = d->ahead.calls[0];
        d->ahead.calls[0] = call;
        d->ahead.from = 0;
        d->ahead.end = 1;
        c->ready = false;
        cache_conn_serve(c);
    }
    r->count = 0;
}
