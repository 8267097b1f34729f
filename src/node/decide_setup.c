/* decide_setup.c - the director's tables. */
#include "node/decide_setup.h"

#include <assert.h>
#include <string.h>

static const int redirects[] = {302, 303, 307, 308}; /* in the order of the setting's words */

static bool domain_valid(const char *text)
{
    return strlen(text) <= VISIT_DOMAIN_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
               strlen(text);
}

static bool cookie_name_valid(const char *text)
{
    char rule[CONFIG_TEXT_MAX + 8] = "cookie:";
    struct visit_rule r;
    strncat(rule, text, CONFIG_TEXT_MAX);
    return visit_parse(rule, &r);
}

static bool globs_valid(const struct strings *globs)
{
    for (size_t i = 0; i < globs->count; i++)
        if (globs->text[i][0] != '/' && globs->text[i][0] != '*')
            return false;
    return true;
}

const char *decide_setup_mistake(const struct service_section *s, const struct kinds *kinds)
{
    struct visit_rule r;
    if (!visit_parse(s->affinity, &r))
        return "affinity: it is not none, cookie, cookie:NAME, header:NAME, query:NAME or path:N";
    if (!domain_valid(s->affinity_domain))
        return "affinity-domain: it is no domain";
    for (size_t i = 0; i < s->handoff.count; i++)
        if (!cookie_name_valid(s->handoff.text[i]))
            return "handoff: it is a list of names of cookies";
    struct match_rule m;
    for (size_t i = 0; i < s->forward_when.count; i++)
        if (!match_parse(s->forward_when.text[i], &m))
            return "forward-when: it is all, upgrade, method:A,B, path:GLOB, header:NAME=GLOB or "
                   "user-agent:GLOB";
    struct warm_rule w;
    for (size_t i = 0; i < s->warm.count; i++)
        if (!warm_parse(s->warm.text[i], kinds, &w))
            return "warm: it is a list of COOKIE=KIND or COOKIE=KIND:PREFIX";
    if (s->early_data && s->mode == 1)
        return "early-data: there is none with mode = tunnel";
    if (!globs_valid(&s->https_paths))
        return "https-paths: each begins with / or *";
    if (!globs_valid(&s->http_paths))
        return "http-paths: each begins with / or *";
    return NULL;
}

bool decide_setup_hands_over(const struct config *c)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (c->services[i].handoff.count > 0)
            return true;
    return false;
}

static size_t set_globs(struct slice *to, const struct strings *from)
{
    for (size_t i = 0; i < from->count; i++)
        to[i] = (struct slice){from->text[i], strlen(from->text[i])};
    return from->count;
}

static void set_rules(struct decide_setup *s, size_t i, const struct service_section *from,
                      const struct kinds *kinds)
{
    struct decide_service *to = &s->services[i];
    for (size_t k = 0; k < from->forward_when.count; k++)
        (void)match_parse(from->forward_when.text[k], &s->forwards[i][k]);
    to->forward = s->forwards[i];
    to->forward_count = from->forward_when.count;
    for (size_t k = 0; k < from->warm.count; k++)
        (void)warm_parse(from->warm.text[k], kinds, &s->warms[i][k]);
    to->warm = s->warms[i];
    to->warm_count = from->warm.count;
    to->https_paths = s->https_paths[i];
    to->https_count = set_globs(s->https_paths[i], &from->https_paths);
    to->http_paths = s->http_paths[i];
    to->http_count = set_globs(s->http_paths[i], &from->http_paths);
}

static void set_service(struct decide_setup *s, size_t i, const struct service_section *from,
                        const struct kinds *kinds)
{
    struct visit_rule *v = &s->visits[i];
    *v = (struct visit_rule){.life_s = from->affinity_life_ms / 1000,
                             .secure = strncmp(from->url, "https:", 6) == 0};
    (void)visit_parse(from->affinity, v);
    memcpy(v->domain, from->affinity_domain, strlen(from->affinity_domain) + 1);
    for (size_t k = 0; k < from->handoff.count; k++)
        s->handoffs[i][k] = from->handoff.text[k];
    s->services[i] = (struct decide_service){.name = from->id,
                                             .url = from->url,
                                             .policy = (enum policy)from->policy,
                                             .status = redirects[from->redirect],
                                             .early = from->early_data,
                                             .json = from->answer_json,
                                             .visit = v->by != VISIT_NONE ? v : NULL,
                                             .handoff_count = from->handoff.count,
                                             .handoff = s->handoffs[i]};
    set_rules(s, i, from, kinds);
}

static void set_server(struct decide_server *to, const struct server_section *from)
{
    to->service = from->service;
    to->backup = from->backup;
    to->url_count = 0;
    for (size_t u = 0; u < from->urls.count; u++)
        if (!entry_url_is_tcp(from->urls.text[u]))
            to->urls[to->url_count++] = from->urls.text[u];
}

void decide_setup(struct decide_setup *s, const struct config *c,
                  const uint8_t token_key[TOKEN_KEY_BYTES], const uint8_t visit_key[32])
{
    bool needed = decide_setup_hands_over(c);
    memcpy(s->secret, token_key, sizeof(s->secret));
    buzhash_init(&s->keys, visit_key);
    size_t n = 0;
    for (size_t i = 0; i < c->service_count; i++) {
        if (entry_url_is_tcp(c->services[i].url))
            continue; /* role/director/tcp.h */
        set_service(s, n, &c->services[i], &c->sessions.kinds);
        needed |= s->services[n].visit != NULL || s->services[n].forward_count > 0;
        n++;
    }
    for (size_t i = 0; i < c->server_count; i++)
        set_server(&s->servers[i], &c->servers[i]);
    s->config = (struct decide_config){.services = s->services,
                                       .service_count = n,
                                       .servers = s->servers,
                                       .server_count = c->server_count,
                                       .port = c->public.listen.port,
                                       .unknown_status = c->public.unknown_host == 0 ? 421 : 404,
                                       .secret = needed ? s->secret : NULL,
                                       .keys = needed ? &s->keys : NULL};
    s->secure = s->config;
    s->secure.port = c->public.listen_tls.port;
    s->secure.tls = true;
}

void decide_setup_older(struct decide_setup *s, const uint8_t (*keys)[TOKEN_KEY_BYTES],
                        size_t count)
{
    assert(count <= DECIDE_OLDER_MAX);
    memcpy(s->older, keys, count * sizeof(s->older[0]));
    s->config.older = s->secure.older = (const uint8_t(*)[TOKEN_KEY_BYTES])s->older;
    s->config.older_count = s->secure.older_count = s->config.secret ? count : 0;
}
