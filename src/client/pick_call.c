/* pick_call.c - stead_pick() and the choice that it gives. */
#include "base/mem.h"
#include "client/ask.h"
#include "client/net.h"

#include <string.h>

struct stead_choice {
    struct roster *roster;
    struct pick_choice chosen;
    char *url;
    char first[ADDR_TEXT_MAX];
    size_t count;
    const char **names;
};

static const char *only_service(const struct roster *r)
{
    const char *service = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const char *own = r->nodes[i].entry->servers[0].service;
        if (service && strcmp(service, own) != 0)
            return NULL;
        service = own;
    }
    return service;
}

/* The server's scheme, host and port, the caller's path: as the director does. */
static char *make_url(const struct ask *a, const struct server *s)
{
    struct http_url u = {0}, candidate;
    bool found = false;
    for (size_t i = 0; i < s->url_count; i++) {
        if (!http_url_parse(s->urls[i], strlen(s->urls[i]), &candidate))
            continue;
        if (!found || (u.tls != a->url.tls && candidate.tls == a->url.tls))
            u = candidate;
        found = true;
    }
    if (!found)
        return NULL;
    const char *scheme = u.tls ? "https://" : "http://";
    size_t scheme_len = strlen(scheme);
    char *url = mem_alloc(scheme_len + u.authority.len + a->url.path.len + 1);
    if (!url)
        return NULL;
    memcpy(url, scheme, scheme_len);
    memcpy(url + scheme_len, u.authority.at, u.authority.len);
    memcpy(url + scheme_len + u.authority.len, a->url.path.at, a->url.path.len);
    return url;
}

static int list_candidates(struct stead_choice *c, const struct pick_filter *f)
{
    struct pick_choice *list = mem_alloc(c->roster->count * sizeof *list);
    if (!list)
        return STEAD_E_NOMEM;
    c->count = pick_candidates(c->roster, f, true, list, c->roster->count);
    c->names = mem_alloc(c->count * sizeof *c->names);
    for (size_t i = 0; c->names && i < c->count; i++)
        c->names[i] = list[i].node->entry->name;
    mem_free(list);
    return c->names ? STEAD_OK : STEAD_E_NOMEM;
}

static int choose(const struct ask *a, struct roster *r, const struct addr *first, void *context)
{
    struct stead_choice *c, **out = context;
    const struct stead_options *o = &a->options;
    struct pick_filter f = {.service = o->service ? o->service : only_service(r),
                            .group = o->group,
                            .zone = o->zone,
                            .exclude = o->exclude,
                            .exclude_count = o->exclude_count};
    struct pick_choice chosen;
    uint64_t chance;
    if (r->count == 0)
        return STEAD_E_NO_SERVER;
    if (!f.service)
        return STEAD_E_INVAL;
    net_random(&chance, sizeof chance);
    if (!pick(r, &f, a->policy, true, chance, &chosen) || chosen.server->url_count == 0)
        return STEAD_E_NO_SERVER;
    c = mem_alloc(sizeof *c);
    if (!c)
        return STEAD_E_NOMEM;
    c->roster = roster_ref(r);
    c->chosen = chosen;
    addr_format(first, c->first);
    c->url = make_url(a, chosen.server);
    int err = c->url ? list_candidates(c, &f) : STEAD_E_NOMEM;
    if (err) {
        stead_choice_free(c);
        return err;
    }
    *out = c;
    return STEAD_OK;
}

int stead_pick(const char *url, const struct stead_options *options, struct stead_choice **choice)
{
    struct ask a;
    *choice = NULL;
    int err = ask_init(&a, url, options);
    return err ? err : ask_run(&a, choose, choice);
}

const char *stead_choice_url(const struct stead_choice *choice)
{
    return choice->url;
}

const char *stead_choice_server(const struct stead_choice *choice)
{
    return choice->chosen.node->entry->name;
}

const char *stead_choice_first(const struct stead_choice *choice)
{
    return choice->first;
}

size_t stead_choice_candidates(const struct stead_choice *choice)
{
    return choice->count;
}

const char *stead_choice_candidate(const struct stead_choice *choice, size_t index)
{
    return index < choice->count ? choice->names[index] : NULL;
}

void stead_choice_free(struct stead_choice *choice)
{
    if (!choice)
        return;
    roster_unref(choice->roster);
    mem_free(choice->url);
    mem_free(choice->names);
    mem_free(choice);
}
