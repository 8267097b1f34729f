/* cache_tls.c - a connection under TLS before its first byte: bounded in number and time. */
#include "role/gate/cache_internal.h"

#include "base/mem.h"

int cache_tls_begin(struct cache_conn *c)
{
    struct cache *d = c->door;
    if (d->handshakes >= d->config.handshakes_max)
        return STEAD_E_FULL;
    /* Of this size a read leaves nothing behind for which no event comes. */
    if (d->plain == NULL && (d->plain = mem_alloc(STREAM_READ_WHOLE)) == NULL)
        return STEAD_E_NOMEM;
    c->stream.tls = tls_door_accept(d->config.tls, c->stream.fd);
    if (c->stream.tls == NULL)
        return STEAD_E_NOMEM;
    c->shaking = true;
    d->handshakes++;
    return STEAD_OK;
}

static void ended(struct cache_conn *c)
{
    c->shaking = false;
    c->door->handshakes--;
}

bool cache_tls_shake(struct cache_conn *c)
{
    switch (tls_handshake(c->stream.tls)) {
    case TLS_DONE:
        ended(c);
        return true;
    case TLS_WAITS:
        return false;
    case TLS_FAILED:
        break;
    }
    ended(c);
    cache_conn_close(c);
    return false;
}

void cache_tls_give_up(struct cache_conn *c, enum tls_failure why)
{
    if (!c->shaking)
        return;
    tls_gave_up(c->stream.tls, why);
    ended(c);
}

void cache_tls_tick(struct cache *d)
{
    uint64_t now_ms = uv_now(d->config.loop);
    struct list *next;
    for (struct list *at = d->conns.next; d->handshakes > 0 && at != &d->conns; at = next) {
        struct cache_conn *c = list_entry(at, struct cache_conn, link);
        next = at->next;
        if (!c->shaking || now_ms - c->active_ms < d->config.handshake_ms)
            continue;
        cache_tls_give_up(c, TLS_FAIL_TIMEOUT);
        cache_conn_close(c);
    }
}
