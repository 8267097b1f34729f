/* name_host.c - servers' own names: each leads to its node, or while that does not serve, to its
 * backup. */
#include "role/name/name_farm.h"

#include "base/mem.h"

#include <string.h>

/* A name and whose it is. */
struct host {
    uint32_t entry;
    const struct roster_node *node;
    const struct server *server;
};

struct hosts {
    struct host *list;
    size_t count, first_entry;
};

/* After a rename both nodes are known for a while. Entries of hosts are made one after the other,
 * so an entry's number tells the host's. */
static void add_host(struct name_farm *f, struct hosts *h, const struct roster_node *n,
                     const struct server *s, const char *url)
{
    const char *host;
    size_t len;
    uint16_t port;
    struct dns_name name;
    if (!entry_url_host(url, &host, &len, &port) || !name_farm_name(host, len, &name))
        return;
    int zone = name_farm_zone(f, &name);
    if (zone < 0)
        return;
    uint32_t known = name_builder_find(&f->builder, &name);
    if (known != UINT32_MAX && known < h->first_entry)
        return; /* a service's */
    uint32_t entry = name_builder_name(&f->builder, &name);
    if (entry == UINT32_MAX)
        return;
    struct host *own = &h->list[entry - h->first_entry];
    if (known != UINT32_MAX && (name_node_serves(own->node) || !name_node_serves(n)))
        return;
    *own = (struct host){entry, n, s};
    f->builder.table->entries[entry].zone = (uint8_t)zone;
    h->count = f->builder.table->entry_count - h->first_entry;
}

static const struct name_service *find_service(const struct name_config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return &c->services[i];
    return NULL;
}

/* Who answers for a host: its node, its backup (also when it is held there), whoever serves, or in
 * the end its node all the same. */
static void find_targets(struct name_farm *f, const struct host *h)
{
    const struct name_config *c = f->config;
    const struct roster_node *backup;
    bool held =
        f->failback && name_failback_held(f->failback, h->node->entry->name, h->server->service);
    if (name_node_serves(h->node) && !held) {
        name_targets_one(&f->targets, h->node, h->server);
        return;
    }
    backup = roster_find(f->roster, h->server->backup);
    if (backup && name_node_serves(backup)) {
        name_targets_one(&f->targets, backup, NULL);
        return;
    }
    const struct name_service *s = find_service(c, h->server->service);
    f->targets.count = 0;
    if (s)
        name_targets_service(&f->targets, f->roster, s, c->nobody);
    if (f->targets.count == 0) {
        name_targets_one(&f->targets, h->node, h->server);
        f->targets.last_resort = true;
        f->targets.count = c->nobody == NAME_NOBODY_ALL;
    }
}

/* Does it matter where the client is? */
static bool have_networks(const struct name_targets *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->list[i].node->entry->address_count)
            return true;
    return false;
}

static void put_host(struct name_farm *f, const struct host *h)
{
    find_targets(f, h);
    unsigned networks = f->places > 1 && have_networks(&f->targets) ? 2 : 1;
    bool servfail = f->targets.count == 0 && f->config->nobody == NAME_NOBODY_SERVFAIL;
    name_builder_open(&f->builder, h->entry);
    for (unsigned i = 0; i < networks; i++) {
        name_farm_rows(f, &f->targets, i ? NETWORK_OUTSIDE : NETWORK_INSIDE);
        name_farm_put_addresses(f, f->targets.last_resort, servfail);
    }
    name_builder_close(&f->builder, h->entry, networks > 1 ? PLACED_NETWORK : PLACED_NOT, networks);
}

void name_farm_hosts(struct name_farm *f)
{
    struct hosts h = {.first_entry = f->builder.table->entry_count};
    size_t most = 0;
    for (size_t i = 0; i < f->roster->count; i++)
        for (size_t k = 0; k < f->roster->nodes[i].entry->server_count; k++)
            most += f->roster->nodes[i].entry->servers[k].url_count;
    h.list = mem_alloc(most * sizeof *h.list);
    if (!h.list) {
        f->builder.failed = true;
        return;
    }
    for (size_t i = 0; i < f->roster->count; i++) {
        const struct roster_node *n = &f->roster->nodes[i];
        for (size_t k = 0; k < n->entry->server_count; k++)
            for (size_t u = 0; u < n->entry->servers[k].url_count; u++)
                add_host(f, &h, n, &n->entry->servers[k], n->entry->servers[k].urls[u]);
    }
    for (size_t i = 0; i < h.count && !f->builder.failed; i++)
        put_host(f, &h.list[i]);
    mem_free(h.list);
}
