/* tcp_setup.c - which listeners there are, and which services behind each. */
#include "node/tcp_setup.h"

#include <string.h>
#include <strings.h>

static const struct service_section *service_of(const struct config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return &c->services[i];
    return NULL;
}

static bool is_tcp(const struct config *c, const char *id)
{
    const struct service_section *s = service_of(c, id);
    return s && entry_url_is_tcp(s->url);
}

static size_t own_server(const struct config *c, const char *service)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (strcmp(c->servers[i].service, service) == 0)
            return i;
    return TCP_NOT_OWN;
}

static bool affinity_parse(const char *text, enum tcp_affinity *out)
{
    static const char *const words[] = {
        [TCP_ANYWHERE] = "none", [TCP_BY_SOURCE] = "source", [TCP_BY_NAME] = "sni"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (enum tcp_affinity)i;
            return true;
        }
    return false;
}

/* -- mistakes -- */

const char *tcp_setup_service_mistake(const struct service_section *s)
{
    enum tcp_affinity a;
    if (!affinity_parse(s->affinity, &a))
        return "affinity: of a tcp URL it is none, source or sni";
    if (s->handoff.count > 0 || s->answer_json)
        return "handoff and answer-json are for http and https URLs";
    return NULL;
}

static bool section_has(const struct tcp_section *t, const char *service)
{
    for (size_t i = 0; i < t->services.count; i++)
        if (strcmp(t->services.text[i], service) == 0)
            return true;
    return false;
}

static bool has_listener(const struct config *c, const char *service)
{
    for (size_t i = 0; i < c->tcp_count; i++)
        if (section_has(&c->tcp[i], service))
            return true;
    return false;
}

static const char *server_urls_mistake(const struct server_section *s, bool tcp)
{
    for (size_t u = 0; u < s->urls.count; u++)
        if (entry_url_is_tcp(s->urls.text[u]) != tcp)
            return "urls: a server's URLs are tcp:// when its service's is, and only then";
    return NULL;
}

static const char *server_mistake(const struct config *c, const struct server_section *s)
{
    bool tcp = is_tcp(c, s->service), in_line = s->tcp.address.family != 0;
    if (s->forward.family == 0 && !in_line)
        return "'forward' is required: where the real server is";
    if (in_line && !c->in_line.present)
        return "address: it needs a section inline { }";
    if (*s->tcp.takeover && !in_line)
        return "takeover: it is for a server in line, with an address";
    if (!tcp && s->tcp.listen.family)
        return "listen: only before a service whose URL is tcp://NAME:PORT; others are reached at "
               "public { listen = ... }";
    if (!tcp && s->tcp.proxy_out)
        return "proxy-protocol: only for a service whose URL is tcp://NAME:PORT";
    if (tcp && !in_line && !s->tcp.listen.family && !has_listener(c, s->service))
        return "listen: a tcp service needs one, or a section tcp { } that names it";
    if (!tcp && !in_line && c->public.listen.family == 0)
        return "it needs a public { listen = ... } for its secondary";
    return server_urls_mistake(s, tcp);
}

static const char *section_mistake(const struct config *c, const struct tcp_section *t)
{
    if (t->services.count == 0)
        return "services: which are behind it?";
    for (size_t i = 0; i < t->services.count; i++)
        if (!is_tcp(c, t->services.text[i]))
            return "services: each must be a service whose URL is tcp://NAME:PORT";
    for (const struct tcp_section *o = c->tcp; o < t; o++)
        if (addr_equal(&o->listen, &t->listen))
            return "listen: another section has the same address";
    return NULL;
}

static const char *takeover_mistake(const struct config *c, size_t server)
{
    static const struct addr any4 = {.family = 4}, any6 = {.family = 6};
    const struct addr *p = &c->public.listen, *a = &c->servers[server].tcp.address;
    /* Its own listener would pass for the server's as soon as the address is here. */
    if (p->family && (addr_same_ip(p, &any4) || addr_same_ip(p, &any6)) && p->port == a->port)
        return "takeover: public { listen } must be one address, not all of them";
    for (size_t j = 0; j < server; j++)
        if (*c->servers[j].tcp.takeover && addr_same_ip(&c->servers[j].tcp.address, a))
            return "takeover: of servers with the same address one has it";
    return NULL;
}

static const char *inline_mistake(const struct config *c)
{
    size_t servers = 0;
    for (size_t i = 0; i < c->server_count; i++) {
        const struct addr *a = &c->servers[i].tcp.address;
        servers += a->family != 0;
        const char *wrong = *c->servers[i].tcp.takeover ? takeover_mistake(c, i) : NULL;
        for (size_t j = 0; a->family && j < i; j++)
            if (addr_equal(a, &c->servers[j].tcp.address))
                wrong = "two servers have the same address";
        if (wrong)
            return wrong;
    }
    return servers ? NULL : "no server has an address: before whom does it stand?";
}

const char *tcp_setup_mistake(const struct config *c, const char **section, size_t *index)
{
    const char *wrong = NULL;
    *section = "server";
    for (*index = 0; !wrong && *index < c->server_count; ++*index)
        wrong = server_mistake(c, &c->servers[*index]);
    if (!wrong)
        *section = "tcp";
    for (*index = wrong ? *index : 0; !wrong && *index < c->tcp_count; ++*index)
        wrong = section_mistake(c, &c->tcp[*index]);
    if (wrong) {
        --*index;
        return wrong;
    }
    *section = "inline";
    *index = 0;
    return c->in_line.present ? inline_mistake(c) : NULL;
}

/* -- tables -- */

static void fill_own(struct tcp_service *to, const struct server_section *from, size_t own)
{
    to->rule.own = true;
    to->rule.backup = from->backup;
    to->own = own;
    to->to = from->tcp.address.family ? from->tcp.address : from->forward;
    to->out = (enum proxy_protocol)from->tcp.proxy_out;
    to->url_count = from->urls.count;
    for (size_t u = 0; u < from->urls.count; u++)
        to->urls[u] = from->urls.text[u];
}

static void add_service(struct tcp_listener *l, const struct config *c, const char *id)
{
    const struct service_section *from = service_of(c, id);
    size_t own = own_server(c, id);
    for (size_t i = 0; i < l->service_count; i++)
        if (strcmp(l->services[i].rule.service, id) == 0)
            return;
    if (!from || l->service_count == TCP_SERVICES_MAX)
        return;
    struct tcp_service *to = &l->services[l->service_count++];
    *to = (struct tcp_service){.rule = {.service = from->id,
                                        .policy = (enum policy)from->policy,
                                        .failback = (enum failback)from->failback},
                               .host = from->name,
                               .life_ms = from->affinity_life_ms,
                               .between = from->between,
                               .own = TCP_NOT_OWN,
                               .http = !entry_url_is_tcp(from->url),
                               .tls = strncasecmp(from->url, "https:", 6) == 0};
    (void)affinity_parse(from->affinity, &to->affinity);
    if (own != TCP_NOT_OWN)
        fill_own(to, &c->servers[own], own);
}

static struct tcp_listener *listener_at(struct tcp_setup *s, const struct addr *at)
{
    static const struct networks nobody = {0};
    for (size_t i = 0; i < s->count; i++)
        if (addr_equal(&s->listeners[i].at, at))
            return &s->listeners[i];
    struct tcp_listener *l = &s->listeners[s->count++];
    *l = (struct tcp_listener){
        .at = *at, .what = "server: listen", .idle_ms = 3600 * 1000, .proxies = &nobody};
    return l;
}

/* Servers of one host share what is known of its address. */
static struct takeover_mark *mark_of(struct tcp_setup *s, const struct addr *address)
{
    for (size_t i = 0; i < s->takeover_count; i++)
        if (addr_same_ip(&s->takeovers[i].address, address))
            return s->takeovers[i].mark;
    return NULL;
}

static void add_takeovers(struct tcp_setup *s, const struct config *c)
{
    s->takeover_count = 0;
    for (size_t i = 0; i < c->server_count; i++) {
        const struct server_section *v = &c->servers[i];
        const struct service_section *service = service_of(c, v->service);
        if (!*v->tcp.takeover || !service)
            continue;
        size_t n = s->takeover_count++;
        s->takeovers[n] = (struct takeover_server){.service = v->service,
                                                   .server = (unsigned)i,
                                                   .address = v->tcp.address,
                                                   .interface = v->tcp.takeover,
                                                   .failback = (enum failback)service->failback,
                                                   .mark = &s->marks[n]};
    }
}

static void add_inline(struct tcp_setup *s, const struct config *c, uint8_t family)
{
    struct addr any = {.family = family, .port = (uint16_t)c->in_line.port};
    struct tcp_listener *l = NULL;
    for (size_t i = 0; i < c->server_count; i++) {
        if (c->servers[i].tcp.address.family != family)
            continue;
        if (!l)
            l = listener_at(s, &any);
        add_service(l, c, c->servers[i].service);
    }
    if (!l)
        return;
    for (size_t i = 0; i < l->service_count; i++)
        l->services[i].mark = mark_of(s, &l->services[i].to);
    l->what = "inline: port";
    l->transparent = true;
    l->idle_ms = c->in_line.idle_ms;
}

void tcp_setup(struct tcp_setup *s, const struct config *c)
{
    s->count = 0;
    for (size_t i = 0; i < c->tcp_count; i++) {
        struct tcp_listener *l = listener_at(s, &c->tcp[i].listen);
        l->what = c->tcp[i].name;
        l->idle_ms = c->tcp[i].idle_ms;
        l->proxies = &c->tcp[i].proxies;
        for (size_t k = 0; k < c->tcp[i].services.count; k++)
            add_service(l, c, c->tcp[i].services.text[k]);
    }
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].tcp.listen.family)
            add_service(listener_at(s, &c->servers[i].tcp.listen), c, c->servers[i].service);
    if (c->in_line.present) {
        add_takeovers(s, c);
        add_inline(s, c, 4);
        add_inline(s, c, 6);
    }
}
