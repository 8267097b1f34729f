/* ask.c - from a URL to a roster: the name, its addresses in random order, and the name once again.
 */
#include "client/ask.h"

#include "base/mem.h"
#include "base/rng.h"
#include "client/fetch.h"
#include "client/net.h"
#include "client/resolve.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 2000
#define DEADLINE_MS 10000
#define ROUNDS 2
#define BACKOFF_MS 100 /* and as much again, at random */

void stead_options_init(struct stead_options *options, size_t size)
{
    const struct stead_options defaults = {.timeout_ms = TIMEOUT_MS, .deadline_ms = DEADLINE_MS};
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
    options->size = size;
}

/* A caller that was built with an older header has a shorter struct: the rest keeps its defaults.
 */
static bool take_options(struct ask *a, const struct stead_options *given)
{
    stead_options_init(&a->options, sizeof a->options);
    if (given) {
        if (given->size < sizeof given->size)
            return false;
        size_t size = given->size < sizeof a->options ? given->size : sizeof a->options;
        memcpy(&a->options, given, size);
        a->options.size = sizeof a->options;
    }
    const struct stead_options *o = &a->options;
    a->policy = POLICY_TWO_CHOICES;
    a->dns = (struct addr){0};
    return (!o->policy || policy_parse(o->policy, &a->policy)) &&
           (!o->dns || addr_parse(o->dns, 53, &a->dns)) &&
           (!o->service || entry_name_valid(o->service, strlen(o->service), false)) &&
           (o->exclude_count == 0 || o->exclude);
}

/* Only what needs no escape goes in as it is. */
static bool make_target(struct ask *a)
{
    size_t n = (size_t)snprintf(a->target, sizeof a->target, "/.well-known/stead/roster");
    const char *at = a->options.service;
    if (!at)
        return true;
    n += (size_t)snprintf(a->target + n, sizeof a->target - n, "?service=");
    for (; *at; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || *at == '-' || *at == '.' || *at == '_';
        if (n + 4 > sizeof a->target)
            return false;
        n += (size_t)snprintf(a->target + n, 4, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
    return true;
}

int ask_init(struct ask *a, const char *url, const struct stead_options *options)
{
    if (!url || !take_options(a, options) || !http_url_parse(url, strlen(url), &a->url))
        return STEAD_E_INVAL;
    if (a->url.tls)
        return STEAD_E_UNSUPPORTED;
    const struct http_url *u = &a->url;
    if (u->host.len >= sizeof a->host || u->authority.len >= sizeof a->authority || !make_target(a))
        return STEAD_E_INVAL;
    memcpy(a->host, u->host.at, u->host.len);
    a->host[u->host.len] = 0;
    memcpy(a->authority, u->authority.at, u->authority.len);
    a->authority[u->authority.len] = 0;
    a->deadline_ms = net_now_ms() + a->options.deadline_ms;
    return STEAD_OK;
}

static int fetch_roster(const struct ask *a, const struct addr *first, struct roster **out)
{
    char *body;
    size_t len;
    uint64_t until = net_now_ms() + a->options.timeout_ms;
    int err = fetch(first, a->authority, a->target, ROSTER_JSON_BYTES_MAX,
                    until < a->deadline_ms ? until : a->deadline_ms, &body, &len);
    if (err)
        return err;
    err = roster_parse_json(body ? body : "", len, out);
    mem_free(body);
    return err;
}

static void shuffle(struct addr *list, size_t count, struct rng *rng)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)rng_below(rng, i);
        struct addr swap = list[i - 1];
        list[i - 1] = list[other];
        list[other] = swap;
    }
}

/* Nothing that another first server could better. */
static bool is_final(int err)
{
    return err == STEAD_OK || err == STEAD_E_INVAL || err == STEAD_E_NOMEM;
}

int ask_run(const struct ask *a,
            int (*use)(const struct ask *a, struct roster *r, const struct addr *first,
                       void *context),
            void *context)
{
    struct addr list[RESOLVE_MAX];
    struct rng rng;
    uint64_t seed;
    int err = STEAD_E_NOT_FOUND;
    net_random(&seed, sizeof seed);
    rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = 0;
        if (round)
            net_sleep(BACKOFF_MS + (uint32_t)rng_below(&rng, BACKOFF_MS), a->deadline_ms);
        err = resolve(a->host, a->url.port, a->dns.family ? &a->dns : NULL, a->options.timeout_ms,
                      a->deadline_ms, list, &count);
        shuffle(list, count, &rng);
        for (size_t i = 0; i < count; i++) {
            struct roster *r;
            if (net_now_ms() >= a->deadline_ms)
                return STEAD_E_DEADLINE;
            err = fetch_roster(a, &list[i], &r);
            if (err == STEAD_OK) {
                err = use(a, r, &list[i], context);
                roster_unref(r);
            }
            if (is_final(err))
                return err;
        }
    }
    return err;
}
