/* names.c - zones, services, networks and limits for the name server. */
#include "node/names.h"

#include "role/director/tcp_stick.h"
#include "role/name/name_failback.h"

#include <stdio.h>
#include <string.h>

static size_t add_zone(const char *zones[NAME_ZONES_MAX], size_t count, const char *zone)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(zones[i], zone) == 0)
            return count;
    if (count < NAME_ZONES_MAX)
        zones[count++] = zone;
    return count;
}

/* The zones that a configuration's names lie in. */
static size_t names_zones(const struct config *c, const char *zones[NAME_ZONES_MAX])
{
    size_t count = 0;
    if (*c->dns.zone)
        return add_zone(zones, 0, c->dns.zone);
    for (size_t i = 0; i < c->service_count; i++) {
        const char *dot = strchr(c->services[i].name, '.');
        count = add_zone(zones, count, dot ? dot + 1 : c->services[i].name);
    }
    return count;
}

static void copy_prefixes(struct name_prefixes *to, const struct networks *from)
{
    to->count = from->count;
    memcpy(to->list, from->network, sizeof(to->list));
}

static void init_networks(struct name_config *n, const struct config *c)
{
    static const char *const loopback[] = {"127.0.0.0/8", "::1/128"};
    const struct dns_section *d = &c->dns;
    copy_prefixes(&n->inside, &c->public.inside);
    copy_prefixes(&n->exempt, &d->rate_exempt);
    for (size_t i = 0; d->rate_exempt.count == 0 && i < 2; i++)
        n->exempt.count += prefix_parse(loopback[i], &n->exempt.list[i]);
    n->site_count = d->site_count;
    for (size_t i = 0; i < d->site_count; i++) {
        n->sites[i].zone = d->sites[i].zone;
        copy_prefixes(&n->sites[i].clients, &d->sites[i].clients);
    }
}

/* Redirects lead to servers' own names, so these must be their own as soon as they are up. */
static uint32_t failback_ms(const struct service_section *s)
{
    if (!entry_url_is_tcp(s->url) || s->failback == FAILBACK_AT_ONCE)
        return 0;
    return s->failback == FAILBACK_NEVER ? NAME_FAILBACK_NEVER : s->affinity_life_ms;
}

static void init_services(struct name_config *n, const struct config *c)
{
    static const enum name_mode modes[] = {[ANSWER_SERVERS] = NAME_SERVERS,
                                           [ANSWER_DIRECTORS] = NAME_DIRECTORS,
                                           [ANSWER_BOTH] = NAME_BOTH};
    n->service_count = c->service_count;
    for (size_t i = 0; i < c->service_count; i++) {
        const struct service_section *from = &c->services[i];
        n->services[i] = (struct name_service){.id = from->id,
                                               .name = from->name,
                                               .mode = modes[from->name_answers],
                                               .url = from->url,
                                               .group = from->name_group,
                                               .failback_ms = failback_ms(from)};
    }
}

void names_init(struct name_config *n, const struct config *c, size_t workers,
                const uint8_t cookie_key[DNS_COOKIE_KEY_BYTES])
{
    const struct dns_section *d = &c->dns;
    n->zone_count = names_zones(c, n->zones);
    n->server_count = d->servers.count;
    for (size_t i = 0; i < d->servers.count; i++)
        n->servers[i] = d->servers.text[i];
    n->ttl_s = d->ttl_s;
    n->addresses = d->addresses;
    n->order = (enum name_order)d->order;
    n->nobody = (enum name_nobody)d->when_none;
    n->subnet = d->client_subnet;
    n->cookies = d->cookies;
    memcpy(n->cookie_key, cookie_key, sizeof(n->cookie_key));
    /* The kernel spreads one network's queries over the workers' sockets. */
    n->rate = (uint32_t)((d->rate_limit + workers - 1) / workers);
    n->slip = d->rate_slip;
    init_services(n, c);
    init_networks(n, c);
}

bool names_check(const struct config *c, char *error, size_t cap)
{
    struct name_config n = {.ttl_s = c->dns.ttl_s};
    if (c->dns.listen.count == 0 || !*c->dns.records)
        return true;
    n.zone_count = names_zones(c, n.zones);
    return name_file_check(&n, c->dns.records, error, cap);
}
