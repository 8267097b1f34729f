/* tls_setup.c - rules from settings, and what is said of certificates. */
#include "node/tls_setup.h"

#include "base/log.h"
#include "stead/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_S (24 * 3600)
#define EXPIRES_SOON_S (14 * DAY_S)

static bool takes_early(const struct config *c)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (c->services[i].early_data)
            return true;
    return false;
}

static void make_rules(const struct config *c, struct tls_files files[TLS_CERTIFICATES_MAX],
                       struct tls_rules *out)
{
    const struct tls_section *t = &c->tls;
    for (size_t i = 0; i < t->certificate_count; i++)
        files[i] = (struct tls_files){t->certificates[i].name, t->certificates[i].chain,
                                      t->certificates[i].key, t->certificates[i].ocsp};
    *out = (struct tls_rules){.count = t->certificate_count,
                              .certificates = files,
                              .clients = (enum tls_clients)t->client,
                              .client_ca = t->client_ca,
                              .resumption = (enum tls_resumption)t->tickets,
                              .early = takes_early(c),
                              .only_13 = t->minimum == TLS_MINIMUM_13,
                              .ciphers = t->ciphers,
                              .groups = t->groups,
                              .protocols = c->public.http2 ? "h2,http/1.1" : "http/1.1"};
}

/* Operators come with certificates of an authority of their own, and resume nothing: who is one is
 * seen at every connection. */
static void make_admin_rules(const struct config *c, const char *ca,
                             struct tls_files files[TLS_CERTIFICATES_MAX], struct tls_rules *out)
{
    make_rules(c, files, out);
    out->clients = *ca ? TLS_CLIENTS_REQUIRED : TLS_CLIENTS_NONE;
    out->client_ca = ca;
    out->resumption = TLS_RESUMPTION_OFF;
    out->early = false;
    out->protocols = "http/1.1";
}

static void say_one(const struct tls_certificate *x)
{
    int64_t left_s = (int64_t)x->not_after - (int64_t)time(NULL);
    log_info("tls-certificate", "name=%s subject=\"%s\" days_left=%" PRId64 " stapled=%s", x->name,
             x->subject, left_s / DAY_S, x->ocsp_until ? "yes" : "no");
    if (left_s < 0)
        log_warn("tls-certificate-expired", "name=%s", x->name);
    else if (left_s < EXPIRES_SOON_S)
        log_warn("tls-certificate-expires", "name=%s days_left=%" PRId64, x->name, left_s / DAY_S);
    if (x->ocsp_mistake)
        log_warn("tls-ocsp", "name=%s stapled=no why=\"%s\"", x->name, x->ocsp_mistake);
}

static void say_all(struct tls_door *d)
{
    struct tls_context *c = tls_door_context(d);
    for (size_t i = 0; c && i < tls_context_count(c); i++)
        say_one(tls_context_certificate(c, i));
    tls_context_unref(c);
}

static bool has_admin(const struct config *c)
{
    return c->admin.tls && c->admin.listen.family != 0;
}

static bool is_wanted(const struct config *c)
{
    return c->public.listen_tls.family != 0 || c->memcached.tls || c->redis.tls ||
           c->sessions.tls || has_admin(c);
}

bool tls_setup_check(const struct config *c, char error[TLS_ERROR_MAX])
{
    struct tls_files files[TLS_CERTIFICATES_MAX];
    struct tls_rules rules;
    struct tls_context *made = NULL;
    if (!is_wanted(c))
        return true;
    make_rules(c, files, &rules);
    bool good = tls_context_new(&rules, &made, error) == STEAD_OK;
    tls_context_unref(made);
    made = NULL;
    if (good && has_admin(c)) {
        make_admin_rules(c, c->admin.client_ca, files, &rules);
        good = tls_context_new(&rules, &made, error) == STEAD_OK;
        tls_context_unref(made);
    }
    return good;
}

/* What a listener was opened to demand of operators stays, whatever the file says by now. True also
 * without such a listener. */
static bool load_admin(struct tls_setup *s, const struct config *c, char error[TLS_ERROR_MAX])
{
    struct tls_files files[TLS_CERTIFICATES_MAX];
    struct tls_rules rules;
    if (!s->admin)
        return true;
    make_admin_rules(c, s->admin_ca, files, &rules);
    return tls_door_load(s->admin, &rules, true, error) == TLS_LOADED;
}

int tls_setup_open(struct tls_setup *s, const struct config *c)
{
    struct tls_files files[TLS_CERTIFICATES_MAX];
    struct tls_rules rules;
    char error[TLS_ERROR_MAX];
    if (!is_wanted(c))
        return STEAD_OK;
    s->door = tls_door_new(&s->counters);
    if (has_admin(c))
        s->admin = tls_door_new(&s->counters);
    if (!s->door || (has_admin(c) && !s->admin)) {
        tls_setup_close(s);
        return STEAD_E_NOMEM;
    }
    snprintf(s->admin_ca, sizeof(s->admin_ca), "%s", c->admin.client_ca);
    make_rules(c, files, &rules);
    const char *ca = *c->tls.servers_ca ? c->tls.servers_ca : NULL;
    if (tls_door_load(s->door, &rules, true, error) == TLS_LOADED && load_admin(s, c, error) &&
        tls_context_client(ca, &s->relays, error) == STEAD_OK) {
        say_all(s->door);
        return STEAD_OK;
    }
    fprintf(stderr, "stead: tls: %s\n", error);
    tls_setup_close(s);
    return STEAD_E_CONFIG;
}

bool tls_setup_differs(const struct config *a, const struct config *b)
{
    return memcmp(&a->tls, &b->tls, sizeof(a->tls)) != 0 || takes_early(a) != takes_early(b);
}

void tls_setup_share(struct tls_setup *s, const uint8_t (*secrets)[TICKET_SECRET_BYTES],
                     size_t count, uint64_t node)
{
    if (s->door)
        tls_door_share(s->door, secrets, count, node);
}

void tls_setup_close(struct tls_setup *s)
{
    tls_door_free(s->door);
    tls_door_free(s->admin);
    s->door = s->admin = NULL;
    tls_context_unref(s->relays);
    s->relays = NULL;
}

void tls_setup_reload(struct tls_setup *s, const struct config *c, bool force)
{
    struct tls_files files[TLS_CERTIFICATES_MAX];
    struct tls_rules rules;
    char error[TLS_ERROR_MAX];
    if (!s->door)
        return;
    if (!load_admin(s, c, error))
        log_error("tls-certificates", "door=admin kept=old why=\"%s\"", error);
    make_rules(c, files, &rules);
    switch (tls_door_load(s->door, &rules, force, error)) {
    case TLS_LOADED:
        s->reloads++;
        say_all(s->door);
        return;
    case TLS_UNCHANGED:
        log_info("tls-certificates", "reload=unchanged");
        return;
    case TLS_KEPT:
        s->reloads_failed++;
        log_error("tls-certificates", "kept=old why=\"%s\"", error);
        return;
    }
}
