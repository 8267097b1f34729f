/* retry_window.c - the formula. */
#include "core/roster/retry_window.h"

#include <string.h>

static uint32_t fullest(const struct roster *r, const char *service)
{
    uint32_t most = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        if (n->status == STATUS_DOWN || n->status == STATUS_LEFT)
            continue;
        for (size_t j = 0; j < n->entry->server_count; j++) {
            const struct server *s = &n->entry->servers[j];
            if ((service == NULL || strcmp(s->service, service) == 0) && s->users > most)
                most = s->users;
        }
    }
    return most;
}

/* Up to the next number of three binary digits and zeros. */
static uint64_t round_up(uint64_t n)
{
    unsigned shift = 0;
    while ((n - 1) >> shift >= 8)
        shift++;
    return n == 0 ? 0 : (((n - 1) >> shift) + 1) << shift;
}

uint32_t retry_window(const struct roster *r, const char *service, const struct retry_limits *l)
{
    uint64_t ms = 0;
    if (l->joins_per_s > 0)
        ms = round_up((uint64_t)fullest(r, service) * 1000 / l->joins_per_s);
    if (ms < l->min_ms)
        ms = l->min_ms;
    return ms > l->max_ms ? l->max_ms : (uint32_t)ms;
}
