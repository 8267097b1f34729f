/* roster.c - lookups in a snapshot. Making one is member_snapshot.c's business, its JSON
 * roster_json.c's. */
#include "core/roster/roster.h"

#include "core/roster/roster_index.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

struct roster *roster_new(size_t count)
{
    struct roster *r = mem_alloc(sizeof *r + count * sizeof r->nodes[0]);
    if (r == NULL)
        return NULL;
    atomic_init(&r->refs, 1);
    r->count = count;
    return r;
}

struct roster *roster_blank(size_t count, size_t servers)
{
    struct roster *r = roster_new(count);
    for (size_t i = 0; r != NULL && i < count; i++) {
        r->nodes[i].entry = entry_blank(servers);
        if (r->nodes[i].entry == NULL) {
            roster_unref(r);
            r = NULL;
        }
    }
    return r;
}

struct roster *roster_ref(struct roster *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return r;
}

void roster_unref(struct roster *r)
{
    if (r == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1)
        return;
    for (size_t i = 0; i < r->count; i++)
        entry_unref(r->nodes[i].entry);
    roster_index_free(atomic_load(&r->index));
    mem_free(r);
}

void roster_settle(struct roster *r)
{
    r->settled = true;
}

const struct roster_node *roster_find(const struct roster *r, const char *name)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(r->nodes[mid].entry->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < r->count && strcmp(r->nodes[low].entry->name, name) == 0)
        return &r->nodes[low];
    return NULL;
}

const struct server *roster_server(const struct roster_node *n, const char *service)
{
    for (size_t i = 0; i < n->entry->server_count; i++) {
        if (strcmp(n->entry->servers[i].service, service) == 0)
            return &n->entry->servers[i];
    }
    return NULL;
}

enum status roster_server_status(const struct roster_node *n, const struct server *s)
{
    if (n->status != STATUS_UP)
        return n->status;
    if (s->maint)
        return STATUS_MAINT;
    if (!s->healthy)
        return STATUS_SUSPECT;
    if (s->drain)
        return STATUS_DRAINING;
    if (s->capacity != 0 && s->users >= s->capacity)
        return STATUS_FULL;
    return STATUS_UP;
}

static bool server_has_host(const struct server *s, const char *host, size_t host_len,
                            uint16_t port)
{
    for (size_t i = 0; i < s->url_count; i++) {
        const char *own;
        size_t own_len;
        uint16_t own_port;
        if (entry_url_is_tcp(s->urls[i]) || !entry_url_host(s->urls[i], &own, &own_len, &own_port))
            continue;
        if (own_len == host_len && strncasecmp(own, host, host_len) == 0 &&
            (port == 0 || port == own_port))
            return true;
    }
    return false;
}

bool roster_by_host(const struct roster *r, const char *host, size_t host_len, uint16_t port,
                    const struct roster_node **node, const struct server **server)
{
    if (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    }
    const struct roster_index *index = roster_index_of(r);
    if (index != NULL)
        return roster_index_host(index, host, host_len, port, node, server);
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        for (size_t j = 0; j < n->entry->server_count; j++) {
            if (!server_has_host(&n->entry->servers[j], host, host_len, port))
                continue;
            *node = n;
            *server = &n->entry->servers[j];
            return true;
        }
    }
    return false;
}

bool roster_is_director(const struct roster_node *n)
{
    return n->entry->server_count == 0;
}
