/* The sections of a configuration, one by one, and what no single setting of a server or service
 * can tell of it. */
#include "node/config_place.h"
#include "core/roster/tally.h"
#include "node/decide_setup.h"
#include "node/external.h"
#include "node/tcp_setup.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* -- places -- */

static void add(struct config_place *out, size_t *count, const char *section, const char *title,
                const void *at)
{
    assert(*count < CONFIG_PLACES_MAX);
    out[(*count)++] = (struct config_place){section, title, at};
}

static void add_servers(const struct config *c, struct config_place *out, size_t *n)
{
    for (size_t i = 0; i < c->server_count; i++) {
        const struct server_section *s = &c->servers[i];
        if (s->gone)
            continue;
        add(out, n, "server", s->service, s);
        add(out, n, "server.check", s->service, &s->check);
        if (s->agent_check.address.family)
            add(out, n, "server.agent-check", s->service, &s->agent_check);
    }
    for (size_t i = 0; i < c->agent_count; i++)
        add(out, n, "agent", c->agents[i].service, &c->agents[i]);
}

size_t config_places(const struct config *c, struct config_place out[CONFIG_PLACES_MAX])
{
    size_t n = 0;
    add(out, &n, "", "", &c->top);
    add(out, &n, "node", c->node.name, &c->node);
    add_servers(c, out, &n);
    for (size_t i = 0; i < c->external_count; i++)
        add(out, &n, "external", c->externals[i].name, &c->externals[i]);
    if (c->sessions.present)
        add(out, &n, "sessions", "", &c->sessions);
    if (c->repository.present)
        add(out, &n, "repository", "", &c->repository);
    if (*c->memcached.listen)
        add(out, &n, "memcached", "", &c->memcached);
    if (*c->redis.listen)
        add(out, &n, "redis", "", &c->redis);
    if (c->sessiond.listen.family)
        add(out, &n, "sessiond", "", &c->sessiond);
    for (size_t i = 0; i < c->tcp_count; i++)
        add(out, &n, "tcp", c->tcp[i].name, &c->tcp[i]);
    if (c->in_line.present)
        add(out, &n, "inline", "", &c->in_line);
    if (c->tls.certificate_count)
        add(out, &n, "tls", "", &c->tls);
    for (size_t i = 0; i < c->tls.certificate_count; i++)
        add(out, &n, "tls.certificate", c->tls.certificates[i].name, &c->tls.certificates[i]);
    for (size_t i = 0; i < c->tickets_count; i++)
        add(out, &n, "tickets", c->tickets[i].name, &c->tickets[i]);
    if (c->public.listen.family || c->public.listen_tls.family)
        add(out, &n, "public", "", &c->public);
    if (c->dns.listen.count)
        add(out, &n, "dns", "", &c->dns);
    for (size_t i = 0; i < c->dns.site_count; i++)
        add(out, &n, "dns.site", c->dns.sites[i].zone, &c->dns.sites[i]);
    add(out, &n, "admin", "", &c->admin);
    for (size_t i = 0; i < c->service_count; i++)
        add(out, &n, "service", c->services[i].id, &c->services[i]);
    return n;
}

void config_kind_rules(const struct sessions_section *s, size_t index, struct kind_section *out)
{
    const struct kind *k = &s->kinds.kind[index];
    *out = (struct kind_section){.copies = k->group                  ? COUNT_WORD(1)
                                           : k->copies == COPIES_ALL ? COUNT_WORD(0)
                                                                     : k->copies,
                                 .ack = k->ack == ACK_ALL ? COUNT_WORD(0) : k->ack,
                                 .short_refuse = k->short_refuse,
                                 .losable = k->losable,
                                 .sliding = k->sliding,
                                 .when_alone = k->when_alone,
                                 .when_full = k->when_full,
                                 .deletion = k->deletion,
                                 .atomic = k->atomic,
                                 .ttl_ms = k->ttl_ms,
                                 .size_bytes = kind_size_max(k),
                                 .memory_bytes = k->memory_bytes,
                                 .private = s->private[index]};
}

/* -- mistakes -- */

__attribute__((format(printf, 3, 4))) static bool say(char *why, size_t cap, const char *format,
                                                      ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, cap, format, args);
    va_end(args);
    return true;
}

static bool users_mistake(const struct config *c, const struct server_section *s, char *why,
                          size_t cap)
{
    bool kernel = s->users_from == USERS_KERNEL;
    if (kernel && s->users_port == 0)
        return say(why, cap, "users-from = \"kernel\": it needs users-port");
    if (!kernel && (s->users_port || s->users_address.family))
        return say(why, cap, "users-port and users-address are for users-from = \"kernel\" only");
    if (s->users_address.family && s->users_address.port != 1)
        return say(why, cap, "users-address: the port is set by users-port");
    if (s->users_from == USERS_AGENT && s->agent_check.address.family == 0)
        return say(why, cap, "users-from = \"agent\": it needs agent-check { address = ... }");
    if (s->users_from == USERS_REPORT && !c->sessions.present)
        return say(why, cap,
                   "users-from = \"report\": reports come by the session API: it needs "
                   "sessions { }");
    return false;
}

static bool known_service(const struct config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return true;
    return false;
}

/* A client that asks for it must mean one server. */
static bool taken_url(const struct config *c, const struct server_section *mine, const char *url)
{
    for (size_t i = 0; i < c->server_count; i++) {
        const struct server_section *s = &c->servers[i];
        for (size_t u = 0; s != mine && !s->gone && u < s->urls.count; u++)
            if (strcmp(s->urls.text[u], url) == 0)
                return true;
    }
    return false;
}

bool config_server_mistake(const struct config *c, const struct server_section *s, char *why,
                           size_t cap)
{
    const char *path = s->check.path;
    if (!known_service(c, s->service))
        return say(why, cap, "server \"%s\": there is no service of that name", s->service);
    if (users_mistake(c, s, why, cap))
        return true;
    if (*path != '/' || strpbrk(path, " \t\r\n"))
        return say(why, cap, "check: path = \"%s\": it must begin with '/' and have no spaces",
                   path);
    int min, max;
    if (!health_status_parse(s->check.status, &min, &max))
        return say(why, cap, "check: status = \"%s\": it is no status, nor a range as 200-399",
                   s->check.status);
    if (strpbrk(s->check.host, " \t\r\n/"))
        return say(why, cap, "check: host = \"%s\": it is no host", s->check.host);
    if (strcmp(s->backup, c->node.name) == 0)
        return say(why, cap, "backup = \"%s\": a server is no backup of its own", s->backup);
    for (size_t u = 0; u < s->urls.count; u++)
        if (taken_url(c, s, s->urls.text[u]))
            return say(why, cap, "urls: %s is another server's", s->urls.text[u]);
    return false;
}

bool config_external_mistake(const struct config *c, const struct external_section *x, char *why,
                             size_t cap)
{
    struct entry entry;
    if (!known_service(c, x->service))
        return say(why, cap, "there is no service \"%s\"", x->service);
    if (strcmp(x->name, c->node.name) == 0)
        return say(why, cap, "it has the name of this node");
    for (const struct external_section *o = c->externals; o != x; o++)
        if (strcmp(o->name, x->name) == 0)
            return say(why, cap, "there is another one of that name");
    for (size_t i = 0; i < x->urls.count; i++)
        if (taken_url(c, NULL, x->urls.text[i]))
            return say(why, cap, "urls: %s is another server's", x->urls.text[i]);
    if (*x->check.path != '/' || strpbrk(x->check.path, " \t\r\n"))
        return say(why, cap, "check-path = \"%s\": it must begin with '/' and have no spaces",
                   x->check.path);
    if (!external_entry(x, true, &entry))
        return say(why, cap, "it has too much or too little for a server of the roster");
    return false;
}

bool config_service_mistake(const struct config *c, const struct service_section *s, char *why,
                            size_t cap)
{
    const char *wrong = entry_url_is_tcp(s->url) ? tcp_setup_service_mistake(s)
                                                 : decide_setup_mistake(s, &c->sessions.kinds);
    if (!wrong && s->early_data && c->tls.certificate_count > 0 &&
        c->tls.tickets != TLS_RESUMPTION_KEPT)
        wrong = "early-data = yes needs tls { tickets = single-use }";
    return wrong ? say(why, cap, "service \"%s\": %s", s->id, wrong) : false;
}

bool config_server_fixed(const struct config *c, const struct server_section *s)
{
    bool fixed = s->tcp.address.family || s->tcp.listen.family;
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, s->service) == 0)
            fixed |= entry_url_is_tcp(c->services[i].url);
    return fixed;
}

const char *config_listeners_mistake(const struct config *c, const char **section)
{
    const struct admin_section *a = &c->admin;
    *section = "admin";
    if (a->tls && c->tls.certificate_count == 0)
        return "tls = yes needs a section tls { certificate \"NAME\" { ... } }";
    if (*a->client_ca && !a->tls)
        return "client-ca needs tls = yes";
    if (a->listen.family && !addr_is_loopback(&a->listen) && !*a->client_ca)
        return "listen must be a loopback address, unless there are tls and client-ca";
    *section = "sessions";
    if (c->sessions.tls && strncmp(c->sessions.listen, "unix:", 5) == 0)
        return "tls = yes: on a unix socket there is none";
    if (c->sessions.tls && c->tls.certificate_count == 0)
        return "tls = yes needs a section tls { certificate \"NAME\" { ... } }";
    return NULL;
}
