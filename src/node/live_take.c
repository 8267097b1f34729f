/* live_take.c - which settings are taken up while the node runs, and how those of a file get into
 * the configuration that is in effect. */
#include "node/config_place.h"
#include "node/live.h"
#include "node/settings.h"

#include <string.h>

/* Of a server: what listeners are made from at the start. */
static const char *const fixed[] = {"listen", "address", "takeover", "proxy-protocol"};

/* setting NULL: all of the section. What is not here needs a restart: addresses that are bound,
 * memory that is divided, keys that are read once. */
static const struct {
    const char *section, *setting;
} taken[] = {
    {"", "log-level"},
    {"node", "groups"},
    {"node", "zone"},
    {"sessions.kind", "ttl"},
    {"sessions.kind", "sliding"},
    {"sessions.kind", "size"},
    {"server", NULL},
    {"external", NULL},
    {"server.check", NULL},
    {"server.agent-check", NULL},
    {"service", NULL},
    {"dns", "ttl"},
    {"dns", "name-servers"},
    {"dns", "addresses"},
    {"dns", "order"},
    {"dns", "when-none"},
    {"dns", "client-subnet"},
    {"dns", "cookies"},
    {"dns", "rate-exempt"},
    {"dns.site", NULL},
    {"tls.certificate", NULL},
    {"tls", "minimum"},
    {"tls", "ciphers"},
    {"tls", "groups"},
    {"tls", "client"},
    {"tls", "client-ca"},
    {"tls", "tickets"},
};

bool live_applies(const char *section, const char *setting)
{
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (strcmp(section, "server") == 0 && strcmp(setting, fixed[i]) == 0)
            return false;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcmp(taken[i].section, section) == 0 &&
            (!taken[i].setting || strcmp(taken[i].setting, setting) == 0))
            return true;
    return false;
}

static void take_section(const char *section, const void *from, void *to)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) == 0 && live_applies(section, s->name))
            memcpy((char *)to + s->offset, (const char *)from + s->offset, s->size);
    }
}

static const struct server_section *server_of(const struct config *c, const char *service)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (!c->servers[i].gone && strcmp(c->servers[i].service, service) == 0)
            return &c->servers[i];
    return NULL;
}

/* Its own place if it has or had one, else a new one, else that of one that is gone. */
static struct server_section *place_of(struct config *c, const char *service, unsigned busy)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (strcmp(c->servers[i].service, service) == 0)
            return &c->servers[i];
    if (c->server_count < ENTRY_SERVERS_MAX)
        return &c->servers[c->server_count++];
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].gone && !(busy >> i & 1))
            return &c->servers[i];
    return NULL;
}

/* Of one whose listeners were made at the start the rest stays as it was. */
static void take_server(const struct config *now, const struct server_section *from,
                        struct server_section *to)
{
    struct server_section was = *to;
    *to = *from;
    if (!config_server_fixed(now, &was))
        return;
    to->urls = was.urls;
    to->tcp = was.tcp;
    to->forward = was.forward;
    memcpy(to->backup, was.backup, sizeof(to->backup));
}

static bool has_public(const struct config *c)
{
    return c->public.listen.family || c->public.listen_tls.family;
}

static bool take_servers(const struct config *file, struct config *now, unsigned busy)
{
    bool all = true;
    for (size_t i = 0; i < now->server_count; i++)
        if (!config_server_fixed(now, &now->servers[i]))
            now->servers[i].gone = !server_of(file, now->servers[i].service);
    for (size_t i = 0; i < file->server_count; i++) {
        const struct server_section *from = &file->servers[i];
        bool there = server_of(now, from->service) != NULL;
        /* Without a public listener there is nothing before a new one. */
        if (from->gone || (!there && (config_server_fixed(file, from) || !has_public(now))))
            continue;
        struct server_section *place = place_of(now, from->service, busy);
        if (place)
            take_server(now, from, place);
        all &= place != NULL;
    }
    return all;
}

bool live_take(const struct config *file, struct config *now, unsigned busy)
{
    take_section("", &file->top, &now->top);
    take_section("node", &file->node, &now->node);
    if (file->sessions.present && now->sessions.present)
        (void)kinds_renew(&now->sessions.kinds, &file->sessions.kinds);
    if (file->dns.listen.count && now->dns.listen.count) {
        take_section("dns", &file->dns, &now->dns);
        now->dns.site_count = file->dns.site_count;
        memcpy(now->dns.sites, file->dns.sites, sizeof(now->dns.sites));
    }
    if (file->tls.certificate_count && now->tls.certificate_count) {
        take_section("tls", &file->tls, &now->tls);
        now->tls.certificate_count = file->tls.certificate_count;
        memcpy(now->tls.certificates, file->tls.certificates, sizeof(now->tls.certificates));
    }
    now->external_count = file->external_count;
    memcpy(now->externals, file->externals, sizeof(now->externals));
    now->service_count = file->service_count;
    memcpy(now->services, file->services, sizeof(now->services));
    return take_servers(file, now, busy);
}
