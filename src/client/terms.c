/* terms.c - the options of a call. */
#include "client/terms.h"

#include "core/http/http_query.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const struct stead_options defaults = {.timeout_ms = 2000,
                                              .deadline_ms = 10000,
                                              .retries = 1,
                                              .retry_base_ms = 200,
                                              .retry_max_ms = 30000,
                                              .penalty_ms = 30000};

void stead_options_init(struct stead_options *options, size_t size)
{
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
    options->size = size;
}

/* It goes into a header: nothing that could end it. */
static bool token_valid(const char *token)
{
    size_t len = token ? strlen(token) : 1;
    for (size_t i = 0; token && i < len; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return len > 0 && len <= TERMS_TOKEN_MAX;
}

/* A caller that was built with an older header has a shorter struct: the rest keeps its defaults.
 */
static bool take_options(struct terms *t, const struct stead_options *given)
{
    stead_options_init(&t->options, sizeof t->options);
    if (given) {
        if (given->size < sizeof given->size)
            return false;
        size_t size = given->size < sizeof t->options ? given->size : sizeof t->options;
        memcpy(&t->options, given, size);
        t->options.size = sizeof t->options;
    }
    const struct stead_options *o = &t->options;
    t->policy = POLICY_TWO_CHOICES;
    return o->timeout_ms > 0 && (!o->secure || o->secure->size >= sizeof *o->secure) &&
           token_valid(o->token) && (!o->policy || policy_parse(o->policy, &t->policy)) &&
           (!o->dns || addr_parse(o->dns, 53, &t->dns)) &&
           (!o->service || entry_name_valid(o->service, strlen(o->service), false)) &&
           o->exclude_count <= TERMS_EXCLUDE_MAX && (o->exclude_count == 0 || o->exclude);
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *keep(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = *at;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static int copy_texts(struct terms *t, const char *url)
{
    struct stead_options *o = &t->options;
    size_t size = size_of(url) + size_of(o->service) + size_of(o->group) + size_of(o->zone) +
                  size_of(o->allow) + size_of(o->token);
    for (size_t i = 0; i < o->exclude_count; i++)
        size += size_of(o->exclude[i]);
    char *at = t->text = mem_alloc(size);
    t->exclude = mem_alloc(o->exclude_count * sizeof *t->exclude);
    if (!t->text || !t->exclude)
        return STEAD_E_NOMEM;
    keep(&at, url);
    o->service = keep(&at, o->service);
    o->group = keep(&at, o->group);
    o->zone = keep(&at, o->zone);
    o->allow = keep(&at, o->allow);
    o->token = keep(&at, o->token);
    for (size_t i = 0; i < o->exclude_count; i++)
        t->exclude[i] = o->exclude[i] ? keep(&at, o->exclude[i]) : "";
    o->exclude = t->exclude;
    o->policy = o->dns = NULL;
    return STEAD_OK;
}

static int take_url(struct terms *t)
{
    if (!http_url_parse(t->text, strlen(t->text), &t->url))
        return STEAD_E_INVAL;
    const struct http_url *u = &t->url;
    if (u->host.len >= sizeof t->host || u->authority.len >= sizeof t->authority)
        return STEAD_E_INVAL;
    memcpy(t->host, u->host.at, u->host.len);
    memcpy(t->authority, u->authority.at, u->authority.len);
    if (!allow_init(&t->allow, t->host, t->options.allow, u->tls))
        return STEAD_E_INVAL;
    return u->tls && !t->options.secure ? STEAD_E_UNSUPPORTED : STEAD_OK;
}

int terms_init(struct terms *t, const char *url, const struct stead_options *options)
{
    *t = (struct terms){0};
    if (!url || !take_options(t, options))
        return STEAD_E_INVAL;
    int err = copy_texts(t, url);
    if (!err)
        err = take_url(t);
    if (err)
        terms_deinit(t);
    return err;
}

void terms_deinit(struct terms *t)
{
    mem_free(t->text);
    mem_free(t->exclude);
    *t = (struct terms){0};
}

static size_t add_parameter(char *out, size_t n, char mark, const char *key, const char *value)
{
    if (!value || !*value)
        return n;
    n += (size_t)snprintf(out + n, TERMS_TARGET_MAX - n, "%c%s=", mark, key);
    (void)http_percent_encode((struct slice){value, strlen(value)}, out, TERMS_TARGET_MAX, &n);
    return n;
}

void terms_target(const char *service, const char *on, char out[TERMS_TARGET_MAX])
{
    /* Names have 63 bytes at most: two of them fit three times over. */
    size_t n = (size_t)snprintf(out, TERMS_TARGET_MAX, "/.well-known/stead/roster");
    size_t first = n;
    n = add_parameter(out, n, '?', "service", service);
    add_parameter(out, n, n == first ? '?' : '&', "on", on);
}
