/* name_failback.c - from "out" to "back, but held" to forgotten. */
#include "role/name/name_failback.h"

#include "base/clock.h"
#include "role/name/name_target.h"

#include <string.h>

static struct name_failback_pair *find(const struct name_failback *f, const char *node,
                                       const char *service)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->pairs[i].node, node) == 0 && strcmp(f->pairs[i].service, service) == 0)
            return (struct name_failback_pair *)&f->pairs[i];
    return NULL;
}

static uint32_t held_ms(const struct name_config *c, const char *service)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, service) == 0)
            return c->services[i].failback_ms;
    return 0;
}

static bool backup_serves(const struct roster *r, const struct server *s)
{
    const struct roster_node *n = roster_find(r, s->backup);
    return n && name_node_serves(n) && roster_server(n, s->service);
}

static void see(struct name_failback *f, const struct roster_node *n, const struct server *s,
                uint32_t ms, uint64_t now_ns)
{
    struct name_failback_pair *p = find(f, n->entry->name, s->service);
    bool serves = name_node_serves(n);
    if (!p && !serves && f->count < NAME_FAILBACK_MAX) {
        p = &f->pairs[f->count++];
        memcpy(p->node, n->entry->name, sizeof(p->node));
        memcpy(p->service, s->service, sizeof(p->service));
    }
    if (!p)
        return;
    if (serves && p->out)
        p->until_ns = ms == NAME_FAILBACK_NEVER ? UINT64_MAX : now_ns + ms * NS_PER_MS;
    p->out = !serves;
}

/* No longer held: its time is over, or its backup, or the server itself, is gone. */
static bool over(const struct name_failback_pair *p, const struct roster *r, uint64_t now_ns)
{
    const struct roster_node *n = roster_find(r, p->node);
    const struct server *s = n ? roster_server(n, p->service) : NULL;
    return !s || (!p->out && (p->until_ns <= now_ns || !backup_serves(r, s)));
}

void name_failback_see(struct name_failback *f, const struct name_config *c, const struct roster *r,
                       uint64_t now_ns)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < r->nodes[i].entry->server_count; k++) {
            const struct server *s = &r->nodes[i].entry->servers[k];
            uint32_t ms = held_ms(c, s->service);
            if (ms > 0)
                see(f, &r->nodes[i], s, ms, now_ns);
        }
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++)
        if (!over(&f->pairs[i], r, now_ns))
            f->pairs[kept++] = f->pairs[i];
    f->count = kept;
}

bool name_failback_held(const struct name_failback *f, const char *node, const char *service)
{
    const struct name_failback_pair *p = find(f, node, service);
    return p && !p->out;
}

uint64_t name_failback_next(const struct name_failback *f)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < f->count; i++)
        if (!f->pairs[i].out && f->pairs[i].until_ns < next)
            next = f->pairs[i].until_ns;
    return next;
}
