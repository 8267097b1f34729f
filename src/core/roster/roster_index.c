/* roster_index.c - making the index, and its look-ups. */
#include "core/roster/roster_index.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

struct place {
    const struct roster_node *node; /* NULL: empty */
    const struct server *server;
    const char *host;
    size_t host_len;
    uint16_t port;
};

struct roster_index {
    size_t service_count, mask;
    struct roster_candidates *services; /* few: looked through */
    struct place *places;               /* a hash table, probed one by one */
    struct roster_candidates none;
    struct roster_candidate end; /* of none */
};

static size_t host_hash(const char *host, size_t len)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: the hosts are the farm's own */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];
        h = (h ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * 1099511628211u;
    }
    return (size_t)(h ^ h >> 32);
}

bool roster_index_host(const struct roster_index *index, const char *host, size_t host_len,
                       uint16_t port, const struct roster_node **node, const struct server **server)
{
    for (size_t i = host_hash(host, host_len);; i++) {
        const struct place *p = &index->places[i & index->mask];
        if (p->node == NULL)
            return false;
        if (p->host_len != host_len || strncasecmp(p->host, host, host_len) != 0 ||
            (port != 0 && port != p->port))
            continue;
        *node = p->node;
        *server = p->server;
        return true;
    }
}

const struct roster_candidates *roster_index_service(const struct roster_index *index,
                                                     const char *service)
{
    for (size_t i = 0; i < index->service_count; i++) {
        if (strcmp(index->services[i].service, service) == 0)
            return &index->services[i];
    }
    return &index->none;
}

size_t roster_candidates_of(const struct roster_candidates *c, const struct roster_node *node)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->at[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->count && c->at[low].node == node ? low : c->count;
}

/* -- making it -- */

static bool add_hosts(struct roster_index *index, const struct roster *r)
{
    size_t urls = 0, room = 2;
    for (size_t i = 0; i < r->count; i++)
        for (size_t j = 0; j < r->nodes[i].entry->server_count; j++)
            urls += r->nodes[i].entry->servers[j].url_count;
    while (room < urls * 2)
        room *= 2;
    index->places = mem_alloc(room * sizeof index->places[0]);
    index->mask = room - 1;
    return index->places != NULL;
}

/* The first of equal hosts is found first, as in a walk. */
static void add_urls(struct roster_index *index, const struct roster_node *n,
                     const struct server *s)
{
    struct place p = {.node = n, .server = s};
    for (size_t i = 0; i < s->url_count; i++) {
        if (entry_url_is_tcp(s->urls[i]) ||
            !entry_url_host(s->urls[i], &p.host, &p.host_len, &p.port))
            continue;
        size_t at = host_hash(p.host, p.host_len);
        while (index->places[at & index->mask].node != NULL)
            at++;
        index->places[at & index->mask] = p;
    }
}

static struct roster_candidates *service_of(struct roster_index *index, const char *service)
{
    for (size_t i = 0; i < index->service_count; i++) {
        if (strcmp(index->services[i].service, service) == 0)
            return &index->services[i];
    }
    size_t n = index->service_count;
    /* Grows by doubling: at 1, 2, 4 ... */
    if ((n & (n - 1)) == 0) {
        size_t room = (n == 0 ? 1 : n * 2) * sizeof index->services[0];
        struct roster_candidates *more = mem_realloc(index->services, room);
        if (more == NULL)
            return NULL;
        index->services = more;
    }
    index->services[n] = (struct roster_candidates){.service = service};
    index->service_count++;
    return &index->services[n];
}

/* Room for a candidate more than there are, for the sum. */
static bool add_candidate(struct roster_candidates *c, const struct roster_node *n,
                          const struct server *s)
{
    if ((c->count & (c->count - 1)) == 0) {
        size_t room = c->count == 0 ? 2 : c->count * 2 + 1;
        struct roster_candidate *more = mem_realloc(c->at, room * sizeof c->at[0]);
        if (more == NULL)
            return false;
        c->at = more;
        if (c->count == 0)
            c->at[0].weight_before = 0;
    }
    struct roster_candidate *mine = &c->at[c->count++];
    mine->node = n;
    mine->server = s;
    mine[1] = (struct roster_candidate){.weight_before = mine->weight_before + s->weight};
    return true;
}

static bool add_least(struct roster_candidates *c)
{
    c->least = mem_alloc(c->count * sizeof c->least[0]);
    if (c->least == NULL)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        int order = i == 0 ? -1 : pick_compare_load(c->at[i].server, c->at[c->least[0]].server);
        if (order > 0)
            continue;
        if (order < 0)
            c->least_count = 0;
        c->least[c->least_count++] = i;
    }
    return true;
}

static struct roster_index *index_new(const struct roster *r)
{
    struct roster_index *index = mem_alloc(sizeof *index);
    if (index == NULL)
        return NULL;
    index->none.at = &index->end;
    if (!add_hosts(index, r))
        goto fail;
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        for (size_t j = 0; j < n->entry->server_count; j++) {
            const struct server *s = &n->entry->servers[j];
            add_urls(index, n, s);
            if (!pick_eligible(n, s, STATUS_UP))
                continue;
            struct roster_candidates *c = service_of(index, s->service);
            if (c == NULL || !add_candidate(c, n, s))
                goto fail;
        }
    }
    for (size_t i = 0; i < index->service_count; i++)
        if (!add_least(&index->services[i]))
            goto fail;
    return index;
fail:
    roster_index_free(index);
    return NULL;
}

void roster_index_free(struct roster_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0; i < index->service_count; i++) {
        mem_free(index->services[i].at);
        mem_free(index->services[i].least);
    }
    mem_free(index->services);
    mem_free(index->places);
    mem_free(index);
}

const struct roster_index *roster_index_of(const struct roster *r)
{
    /* A cache: what readers see of the snapshot does not change. */
    struct roster *cached = (struct roster *)(uintptr_t)r;
    if (!r->settled)
        return NULL;
    struct roster_index *index = atomic_load_explicit(&cached->index, memory_order_acquire);
    if (index != NULL)
        return index;
    struct roster_index *mine = index_new(r);
    if (mine == NULL || atomic_compare_exchange_strong(&cached->index, &index, mine))
        return mine;
    roster_index_free(mine);
    return index;
}
