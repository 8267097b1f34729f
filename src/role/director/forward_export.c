/* forward_export.c - tunnels that go on in another process. */
#include "base/mem.h"
#include "role/director/forward_internal.h"
#include "stead/error.h"

struct forward_half forward_half_of(const struct flow *w)
{
    bool waits = w->pending != NULL;
    return (struct forward_half){.pending = waits ? w->pending + w->off : NULL,
                                 .len = waits ? w->len - w->off : 0,
                                 .bytes = w->bytes,
                                 .eof = w->eof,
                                 .shut = w->shut,
                                 .bounded = w->bounded,
                                 .left = w->left};
}

/* Bytes in a pipe cannot pass as they are. */
static bool ready(struct tunnel *t)
{
    struct flow_means *m = &t->forwarder->means;
    return !t->client.stream.tls && !t->server.stream.tls && flow_gather(&t->up, m) &&
           flow_gather(&t->down, m);
}

void forwarder_export(struct forwarder *f, unsigned max, forward_give *give, void *context)
{
    struct list *before;
    uint64_t now = uv_now(f->loop);
    for (struct list *at = f->active.prev; max > 0 && at != &f->active; at = before) {
        struct tunnel *t = list_entry(at, struct tunnel, link);
        before = at->prev;
        if (!ready(t))
            continue;
        const struct forward_share s = {.client = t->client.stream.fd,
                                        .server = t->server.stream.fd,
                                        .idle_ms = (uint32_t)(now - t->since_ms),
                                        .up = forward_half_of(&t->up),
                                        .down = forward_half_of(&t->down)};
        if (!give(context, &s, t->context))
            return;
        forward_end_tunnel(t, FORWARD_PASSED);
        max--;
    }
}

static void set_half(struct flow *w, const struct forward_half *h)
{
    w->pending = h->pending;
    w->len = h->len;
    w->bytes = h->bytes;
    w->eof = h->eof;
    w->shut = h->shut;
    w->bounded = h->bounded;
    w->left = h->left;
}

/* The place by since_ms. They come newest first, and so before those that came already. */
static struct list *place(struct forwarder *f, uint64_t since_ms)
{
    struct list *at = &f->active;
    while (at->next != &f->active && list_entry(at->next, struct tunnel, link)->since_ms < since_ms)
        at = at->next;
    return at;
}

int forwarder_import(struct forwarder *f, const struct forward_share *s,
                     void (*ended)(void *context, const struct forward_result *result),
                     void *context)
{
    uint64_t now = uv_now(f->loop);
    struct tunnel *t;
    int err = forward_room(f, &t);
    if (err)
        return err;
    forward_init_sides(t, f, (struct stream){.fd = s->client}, (struct stream){.fd = s->server});
    set_half(&t->up, &s->up);
    set_half(&t->down, &s->down);
    t->up_before = s->up.bytes;
    t->down_before = s->down.bytes;
    t->ended = ended;
    t->context = context;
    t->since_ms = now > s->idle_ms ? now - s->idle_ms : 0;
    err = forward_run(t, place(f, t->since_ms));
    if (err)
        mem_free(t);
    return err;
}
