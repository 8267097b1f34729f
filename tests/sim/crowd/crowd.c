/* crowd.c - virtual time: a heap of events. */
#include "crowd.h"

#include "base/mem.h"

#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void crowd_event(struct crowd *c, uint64_t at_ms, const struct event *e)
{
    if (c->heap_count == c->heap_cap) {
        c->heap_cap = c->heap_cap ? 2 * c->heap_cap : 1024;
        c->heap = mem_realloc(c->heap, c->heap_cap * sizeof *c->heap);
        if (!c->heap)
            abort();
    }
    struct event new = *e;
    new.at_ms = at_ms;
    new.order = c->event_order++;
    size_t at = c->heap_count++;
    for (; at > 0 && before(&new, &c->heap[(at - 1) / 2]); at = (at - 1) / 2)
        c->heap[at] = c->heap[(at - 1) / 2];
    c->heap[at] = new;
}

static struct event take(struct crowd *c)
{
    struct event first = c->heap[0], last = c->heap[--c->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->heap_count)
            break;
        if (child + 1 < c->heap_count && before(&c->heap[child + 1], &c->heap[child]))
            child++;
        if (!before(&c->heap[child], &last))
            break;
        c->heap[at] = c->heap[child];
        at = child;
    }
    if (c->heap_count > 0)
        c->heap[at] = last;
    return first;
}

uint64_t crowd_delay(struct crowd *c)
{
    return 1 + rng_below(&c->rng, DELAY_MAX_MS);
}

void crowd_run(struct crowd *c, uint64_t ms)
{
    uint64_t until_ms = c->now_ms + ms;
    while (c->heap_count > 0 && c->heap[0].at_ms <= until_ms) {
        struct event e = take(c);
        c->now_ms = e.at_ms;
        if (e.kind >= EVENT_TELL)
            node_event(c, &e);
        else
            client_event(c, &e);
    }
    c->now_ms = until_ms;
}

struct crowd *crowd_new(const struct crowd_rules *r)
{
    struct crowd *c = mem_alloc(sizeof *c);
    if (!c)
        abort();
    c->rules = *r;
    c->now_ms = 1;
    rng_init(&c->rng, r->seed);
    c->client = mem_alloc(r->clients * sizeof *c->client);
    if (!c->client)
        abort();
    for (uint32_t i = 0; i < r->clients; i++)
        c->client[i].conn = c->client[i].watch = -1;
    for (unsigned n = 0; n < r->nodes; n++)
        node_start(c, n);
    return c;
}

void crowd_free(struct crowd *c)
{
    for (uint32_t i = 0; i < c->rules.clients; i++)
        ladder_deinit(&c->client[i].ladder);
    for (unsigned n = 0; n < c->rules.nodes; n++) {
        roster_unref(c->node[n].roster);
        roster_unref(c->node[n].pushed);
    }
    mem_free(c->client);
    mem_free(c->heap);
    mem_free(c);
}
