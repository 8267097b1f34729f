/* exchange_export.c - answers whose rest goes on in another process, as the rest of a tunnel. */
#include "role/director/exchange_internal.h"
#include "role/director/forward_internal.h"

/* Nothing is left but to carry bytes, of which all are known to belong to this answer; and nothing
 * of the client's next request was read. */
static bool is_carriage(const struct client *c)
{
    const struct exchange *x = c->exchange;
    return x && x->status >= 200 && x->answered.kind == HTTP_BODY_LENGTH && !x->answered.done &&
           x->asked.done && !x->send_lost && !flow_waits(&x->send) && x->keep_alive && !x->closes &&
           !c->in_len && !c->stream.tls && x->upstream && !x->upstream->stream.tls;
}

static void passed(struct client *c)
{
    struct exchange_result r = {.end = EXCHANGE_PASSED};
    r.server = upstream_release(c->exchange->upstream);
    c->exchange->upstream = NULL;
    client_give(c, &r);
}

/* False: no more are taken now. */
static bool export_list(struct exchanger *e, struct waiting *w, unsigned *max, forward_give *give,
                        void *context)
{
    struct list *next;
    for (struct list *at = w->clients.next; *max > 0 && at != &w->clients; at = next) {
        struct client *c = list_entry(at, struct client, link);
        next = at->next;
        if (!is_carriage(c) || !flow_gather(&c->exchange->back, &e->means))
            continue;
        struct forward_share s = {.client = c->stream.fd,
                                  .server = c->exchange->upstream->stream.fd,
                                  .idle_ms = (uint32_t)(uv_now(e->config.loop) - c->since_ms),
                                  .up = {.eof = true, .shut = true},
                                  .down = forward_half_of(&c->exchange->back)};
        s.down.eof = false;
        s.down.shut = s.down.bounded = true;
        s.down.left = c->exchange->answered.left;
        if (!give(context, &s, c->context))
            return false;
        passed(c);
        (*max)--;
    }
    return *max > 0;
}

void exchanger_export(struct exchanger *e, unsigned max, forward_give *give, void *context)
{
    bool more = export_list(e, &e->own[WAIT_TAKE], &max, give, context);
    for (size_t s = 0; more && s < UPSTREAM_SLOTS; s++)
        more = export_list(e, &e->of_server[s][WAIT_STREAM], &max, give, context);
}
