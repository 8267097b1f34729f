/* Reads a configuration file: libConfuse for its form, the table of settings for what may be in it.
 * Every mistake is said with file and line; nothing is opened or bound here. */
#include "node/config.h"
#include "node/config_place.h"

#include "base/mem.h"
#include "core/http/http.h"
#include "io/io.h"
#include "io/multicast.h"
#include "node/settings.h"
#include "node/tcp_setup.h"
#include "node/tickets.h"
#include "role/director/cors.h"
#include "role/gate/cache.h"
#include "role/gate/gate.h"
#include "store/engine_redis.h"

#include <confuse.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 64
#define SEEN_MAX 4096
#define FILE_BYTES_MAX (1u << 20)

/* libConfuse gives its callbacks no pointer of ours, so the load under way on this thread is found
 * here. */
struct load {
    FILE *errors;
    unsigned error_count;
    char base[PATH_MAX];
    size_t seen_count;
    struct {
        const cfg_t *section;
        const char *name;
    } seen[SEEN_MAX];
};
static _Thread_local struct load *loading;

/* "root" is libConfuse's word for the top; nested sections are named by their path in the table. */
static const char *section_name(const cfg_t *cfg)
{
    if (strcmp(cfg->name, "root") == 0)
        return "";
    if (strcmp(cfg->name, "check") == 0)
        return "server.check";
    if (strcmp(cfg->name, "site") == 0)
        return "dns.site";
    if (strcmp(cfg->name, "certificate") == 0)
        return "tls.certificate";
    if (strcmp(cfg->name, "agent-check") == 0)
        return "server.agent-check";
    return strcmp(cfg->name, "kind") == 0 ? "sessions.kind" : cfg->name;
}

static void complain(cfg_t *cfg, const char *format, va_list args)
{
    char text[512];
    struct load *l = loading;
    vsnprintf(text, sizeof(text), format, args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 127) /* it goes to a terminal */
            *c = '?';
    l->error_count++;
    fprintf(l->errors, "%s:%d: %s", cfg->filename ? cfg->filename : "config", cfg->line, text);
    char *name = strstr(text, "no such option '");
    if (name) {
        name += strlen("no such option '");
        name[strcspn(name, "'")] = '\0';
        const char *nearest = setting_nearest(section_name(cfg), name);
        if (nearest)
            fprintf(l->errors, "; did you mean '%s'?", nearest);
    }
    fputc('\n', l->errors);
}

__attribute__((format(printf, 2, 3))) static void mistake(cfg_t *cfg, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(cfg, format, args);
    va_end(args);
}

/* A list's further elements come with nvalues above 1; anything else seen before stands there
 * twice. */
static bool set_twice(const cfg_t *cfg, const cfg_opt_t *opt)
{
    struct load *l = loading;
    for (size_t i = 0; i < l->seen_count; i++)
        if (l->seen[i].section == cfg && strcmp(l->seen[i].name, opt->name) == 0)
            return opt->nvalues <= 1;
    if (l->seen_count < SEEN_MAX) {
        l->seen[l->seen_count].section = cfg;
        l->seen[l->seen_count++].name = opt->name;
    }
    return false;
}

static const char *unit_of(enum setting_type type)
{
    if (type == SETTING_SIZE)
        return " bytes";
    return type == SETTING_DURATION ? " ms" : "";
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    const struct setting *s = setting_find(section_name(cfg), opt->name);
    const char *why;
    size_t index = opt->nvalues > 0 ? opt->nvalues - 1 : 0;
    *(const char **)result = value;
    if (set_twice(cfg, opt))
        mistake(cfg, "'%s' is set twice", opt->name);
    else if (setting_parse(s, value, index, loading->base, NULL, &why))
        return 0;
    else if (s->type == SETTING_COUNT)
        mistake(cfg, "%s = \"%s\": %s (%llu to %llu, or %s)", opt->name, value, why,
                (unsigned long long)s->min, (unsigned long long)s->max, s->choices);
    else if (s->choices)
        mistake(cfg, "%s = \"%s\": it is not one of %s", opt->name, value, s->choices);
    else if (s->type == SETTING_NUMBER || s->type == SETTING_SIZE || s->type == SETTING_DURATION)
        mistake(cfg, "%s = \"%s\": %s (%llu to %llu%s)", opt->name, value, why,
                (unsigned long long)s->min, (unsigned long long)s->max, unit_of(s->type));
    else
        mistake(cfg, "%s = \"%s\": %s", opt->name, value, why);
    return 0; /* go on, so that all mistakes are said at once */
}

/* libConfuse would put the environment's value in place of ${NAME}; what a file means must stand in
 * it. */
static bool scan_for_environment(const char *path)
{
    char *text;
    size_t len;
    int err = io_read_file(path, FILE_BYTES_MAX, &text, &len);
    if (err) {
        loading->error_count++;
        fprintf(loading->errors, "%s: cannot be read: %s\n", path, stead_error_text(err));
        return false;
    }
    unsigned line = 1;
    bool clean = true;
    for (size_t i = 0; i + 1 < len; i++) {
        line += text[i] == '\n';
        if (text[i] != '$' || text[i + 1] != '{')
            continue;
        fprintf(loading->errors, "%s:%u: ${...} is not expanded here: write the value\n", path,
                line);
        loading->error_count++;
        clean = false;
    }
    mem_free(text);
    return clean;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    if (argc != 1) {
        mistake(cfg, "include takes one file name");
        return 0;
    }
    char path[PATH_MAX];
    bool relative = argv[0][0] != '/';
    int n = snprintf(path, sizeof(path), "%s%s%s", relative ? loading->base : "",
                     relative ? "/" : "", argv[0]);
    if (n < 0 || (size_t)n >= sizeof(path) || !scan_for_environment(path))
        return 1;
    const char *name = path;
    return cfg_include(cfg, opt, 1, &name);
}

static cfg_opt_t *make_options(const char *section);

static void add_sections(const char *parent, cfg_opt_t *opts, size_t *count)
{
    size_t plen = strlen(parent);
    for (size_t i = 1; i < sections_count; i++) {
        const struct section *s = &sections[i];
        const char *name = s->name;
        bool nested = plen > 0 && strncmp(name, parent, plen) == 0 && name[plen] == '.';
        if (!nested && (plen > 0 || strchr(name, '.')))
            continue;
        cfg_flag_t flags = CFGF_MULTI | (s->title ? CFGF_TITLE | CFGF_NO_TITLE_DUPES : 0);
        cfg_opt_t opt =
            CFG_SEC((char *)(nested ? name + plen + 1 : name), make_options(name), flags);
        opts[(*count)++] = opt;
    }
}

/* The options of a section, for libConfuse, which copies them. Freed by free_options. */
static cfg_opt_t *make_options(const char *section)
{
    cfg_opt_t *opts = mem_alloc(OPTIONS_MAX * sizeof(*opts));
    size_t n = 0;
    if (!opts)
        abort();
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) != 0)
            continue;
        bool list = s->type >= SETTING_NAMES;
        cfg_opt_t one = CFG_STR_CB((char *)s->name, NULL, CFGF_NODEFAULT, on_value);
        if (list)
            one.flags = CFGF_LIST | CFGF_NODEFAULT;
        opts[n++] = one;
    }
    add_sections(section, opts, &n);
    if (*section == '\0') {
        cfg_opt_t include = CFG_FUNC("include", on_include);
        opts[n++] = include;
    }
    cfg_opt_t end = CFG_END();
    opts[n] = end;
    return opts;
}

static void free_options(cfg_opt_t *opts)
{
    for (cfg_opt_t *o = opts; o->name; o++)
        if (o->subopts)
            free_options(o->subopts);
    mem_free(opts);
}

/* Brings a section's values into its struct: what the file says, else the table's default. */
static void extract(cfg_t *sec, const char *section, void *out)
{
    const char *why;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) != 0)
            continue;
        void *to = (char *)out + s->offset;
        unsigned given = cfg_size(sec, s->name);
        for (unsigned v = 0; v < given; v++)
            setting_parse(s, cfg_getnstr(sec, s->name, v), v, loading->base, to, &why);
        if (given == 0 && !s->fallback)
            mistake(sec, "%s%s'%s' is required", *section ? section : "", *section ? ": " : "",
                    s->name);
        else if (given == 0 && *s->fallback)
            setting_parse(s, s->fallback, 0, loading->base, to, &why);
    }
}

static void set_title(cfg_t *sec, const char *what, char *out, size_t size)
{
    const struct setting name = {.type = SETTING_NAME, .size = size};
    const char *why;
    if (!setting_parse(&name, cfg_title(sec), 0, NULL, out, &why))
        mistake(sec, "%s \"%s\": %s", what, cfg_title(sec), why);
}

/* A kind of the farm's own, with the rules of another one. -1: a mistake. */
static int add_kind(cfg_t *sec, struct kinds *kinds)
{
    const char *title = cfg_title(sec);
    char name[KIND_NAME_MAX];
    const char *like = cfg_size(sec, "like") ? cfg_getnstr(sec, "like", 0) : "";
    int model = kinds_find(kinds, like);
    if (!*like)
        mistake(sec,
                "kind \"%s\": there is no such kind; there are tls, auth, purchase, tcp, "
                "stream and app; another one says which it is like",
                title);
    else if (model < 0)
        mistake(sec, "kind \"%s\": like = \"%s\": there is no such kind before it", title, like);
    else if (kinds->count == KINDS_MAX)
        mistake(sec, "kind \"%s\": there are %d kinds already", title, KINDS_MAX);
    if (!*like || model < 0 || kinds->count == KINDS_MAX)
        return -1;
    set_title(sec, "kind", name, sizeof name);
    struct kind *k = &kinds->kind[kinds->count];
    *k = kinds->kind[model];
    memset(k->name, 0, sizeof k->name);
    snprintf(k->name, sizeof k->name, "%.*s", KIND_NAME_MAX - 1, title);
    return (int)kinds->count++;
}

static int find_kind(cfg_t *sec, struct kinds *kinds)
{
    int index = kinds_find(kinds, cfg_title(sec));
    if (index < 0)
        return add_kind(sec, kinds);
    if (cfg_size(sec, "like"))
        mistake(sec, "kind \"%s\": it is there already, and like itself only", cfg_title(sec));
    return index;
}

static void extract_kind(cfg_t *sec, struct sessions_section *s)
{
    struct kinds *kinds = &s->kinds;
    int index = find_kind(sec, kinds);
    if (index < 0)
        return;
    struct kind *k = &kinds->kind[index];
    struct kind_section rules;
    config_kind_rules(s, (size_t)index, &rules);
    extract(sec, "sessions.kind", &rules);
    k->group = rules.copies == COUNT_WORD(1);
    k->copies = (uint8_t)(rules.copies >= COUNT_WORD(1) ? COPIES_ALL : rules.copies);
    k->ack = (uint8_t)(rules.ack >= COUNT_WORD(1)   ? ACK_ALL
                       : rules.ack == COUNT_WORD(2) ? 0
                                                    : rules.ack);
    k->short_refuse = rules.short_refuse;
    k->losable = rules.losable;
    k->sliding = rules.sliding;
    k->when_alone = rules.when_alone;
    k->when_full = rules.when_full;
    k->deletion = rules.deletion;
    k->atomic = rules.atomic;
    if (k->atomic == ATOMIC_QUORUM && (k->losable || k->when_full == FULL_EVICT))
        mistake(sec, "kind \"%s\": atomic = quorum needs losable = no and when-full = refuse",
                k->name);
    if (k->when_full == FULL_EVICT && !k->losable)
        mistake(sec, "kind \"%s\": when-full = evict needs losable = yes: it is forgotten",
                k->name);
    k->ttl_ms = rules.ttl_ms;
    k->size_bytes = (uint32_t)rules.size_bytes;
    k->memory_bytes = rules.memory_bytes;
    s->private[index] = rules.private;
}

/* The only section of that name, or NULL; a second one is a mistake. */
static cfg_t *only_section(cfg_t *cfg, const char *name)
{
    if (cfg_size(cfg, name) > 1)
        mistake(cfg_getnsec(cfg, name, 1), "section '%s' stands here twice", name);
    return cfg_size(cfg, name) ? cfg_getnsec(cfg, name, 0) : NULL;
}

static void extract_server(cfg_t *sec, struct server_section *s)
{
    set_title(sec, "server", s->service, sizeof(s->service));
    extract(sec, "server", s);
    if (s->forward.family == 0)
        s->forward = s->tcp.address;
    cfg_t *check = only_section(sec, "check"), *agent = only_section(sec, "agent-check");
    if (agent)
        extract(agent, "server.agent-check", &s->agent_check);
    s->check.type = CHECK_TCP;
    if (check) {
        extract(check, "server.check", &s->check);
        return;
    }
    setting_defaults("server.check", &s->check);
}

static void extract_sessions(cfg_t *sec, struct sessions_section *s)
{
    kinds_default(&s->kinds);
    if (!sec)
        return;
    s->present = true;
    extract(sec, "sessions", s);
    for (unsigned i = 0; i < cfg_size(sec, "kind"); i++)
        extract_kind(cfg_getnsec(sec, "kind", i), s);
    if (strncmp(s->listen, "unix:", 5) != 0 && !*s->token_file)
        mistake(sec, "listen = \"%s\": a TCP listener needs a token-file", s->listen);
    if (!*s->auth_cookie || strlen(s->auth_cookie) > GATE_COOKIE_MAX)
        mistake(sec, "auth-cookie = \"%s\": it is no name of a cookie", s->auth_cookie);
    if (*s->auth_login && !gate_login_valid(s->auth_login))
        mistake(sec, "auth-login = \"%s\": it is no http or https URL", s->auth_login);
}

static void check_redis(cfg_t *sec, struct config *c)
{
    struct repository_section *s = &c->repository;
    if (!*s->prefix)
        memcpy(s->prefix, c->node.name, sizeof(s->prefix));
    if (s->engine == 0 && (*s->address || *s->user || *s->password_file))
        mistake(sec, "repository: address, user and password-file are for engine = \"redis\"");
    if (s->engine != 0 && !engine_redis_addresses(s->address))
        mistake(sec, "repository: address = \"%s\": it is not \"HOST:PORT, ...\", at most %d",
                s->address, REDIS_SEEDS_MAX);
    if (!s->tls && (*s->ca_file || *s->certificate || *s->key))
        mistake(sec, "repository: ca-file, certificate and key are for tls = yes");
    if (!*s->certificate != !*s->key)
        mistake(sec, "repository: certificate and key go together");
    if (*s->user && !*s->password_file)
        mistake(sec, "repository: user needs a password-file");
}

static void extract_repository(cfg_t *sec, struct config *c)
{
    struct repository_section *s = &c->repository;
    if (!sec)
        return;
    s->present = true;
    extract(sec, "repository", s);
    if (!c->sessions.present)
        mistake(sec, "repository: it needs a section sessions { ... }");
    for (size_t i = 0; i < s->of.count; i++)
        if (strcmp(s->of.text[i], c->node.name) == 0)
            mistake(sec, "repository: of names this node itself");
    if (!*s->path)
        snprintf(s->path, sizeof(s->path), "%.*s/repository", (int)sizeof(s->path) - 16,
                 c->top.state);
    check_redis(sec, c);
}

static void check_prefixes(cfg_t *sec, const struct cache_section *s, const struct kinds *kinds)
{
    for (size_t i = 0; i < s->prefixes.count; i++) {
        const char *equals = strrchr(s->prefixes.text[i], '=');
        if (!equals || equals == s->prefixes.text[i] ||
            (size_t)(equals - s->prefixes.text[i]) >= CACHE_PREFIX_MAX)
            mistake(sec, "prefixes: \"%s\": it must be PREFIX=KIND", s->prefixes.text[i]);
        else if (kinds_find(kinds, equals + 1) < 0)
            mistake(sec, "prefixes: \"%s\": there is no such kind", s->prefixes.text[i]);
    }
}

/* A door for clients of another protocol; it leads into the session store. */
static void extract_cache(cfg_t *cfg, const char *name, struct cache_section *s, struct config *c)
{
    struct addr a;
    cfg_t *sec = only_section(cfg, name);
    if (!sec)
        return;
    extract(sec, name, s);
    if (!c->sessions.present)
        mistake(sec, "%s: it needs a section sessions { ... }", name);
    if (kinds_find(&c->sessions.kinds, s->kind) < 0)
        mistake(sec, "kind = \"%s\": there is no such kind", s->kind);
    check_prefixes(sec, s, &c->sessions.kinds);
    if (s->tls && strncmp(s->listen, "unix:", 5) == 0)
        mistake(sec, "tls = yes: on a unix socket there is none");
    if (strncmp(s->listen, "unix:", 5) != 0 && addr_parse(s->listen, 0, &a) &&
        !addr_is_loopback(&a) && !*s->password_file)
        mistake(sec, "listen = \"%s\": it is not loopback, so it needs a password-file", s->listen);
}

static void check_cache_tls(cfg_t *cfg, const char *name, const struct cache_section *s,
                            const struct tls_section *tls)
{
    if (s->tls && tls->certificate_count == 0)
        mistake(cfg_getnsec(cfg, name, 0),
                "%s: tls = yes needs a section tls { certificate "
                "\"NAME\" { chain = ... key = ... } }",
                name);
}

static void extract_sessiond(cfg_t *sec, struct config *c)
{
    struct sessiond_section *s = &c->sessiond;
    extract(sec, "sessiond", s);
    if (!c->sessions.present)
        mistake(sec, "sessiond: it needs a section sessions { ... }");
    if (kinds_find(&c->sessions.kinds, s->kind) < 0)
        mistake(sec, "kind = \"%s\": there is no such kind", s->kind);
    if (!addr_is_loopback(&s->listen))
        mistake(sec, "listen: it must be a loopback address, for nobody is asked who he is");
}

/* Where addresses are told that mean nothing elsewhere: RFC 1918, 6598, 4193, 3927, 4291. */
static void default_inside(struct networks *n)
{
    static const char *const private[] = {"10.0.0.0/8",    "172.16.0.0/12",  "192.168.0.0/16",
                                          "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
                                          "fc00::/7",      "fe80::/10",      "::1"};
    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
        if (prefix_parse(private[i], &n -> network[n->count]))
            n->count++;
}

static bool is_private(const struct addr *a)
{
    struct networks n = {0};
    default_inside(&n);
    for (size_t i = 0; i < n.count; i++)
        if (prefix_has(&n.network[i], a))
            return true;
    return false;
}

static void extract_public(cfg_t *sec, struct public_section *p)
{
    extract(sec, "public", p);
    if (p->exposure == EXPOSURE_AUTO)
        p->exposure = is_private(&p->listen) ? EXPOSURE_OPEN : EXPOSURE_COARSE;
    if (p->exposure == EXPOSURE_AUTHENTICATED && !*p->token_file)
        mistake(sec, "exposure = authenticated needs a token-file");
    if (!cors_list_valid(p->cors))
        mistake(sec, "cors = \"%s\": origins such as https://www.example.org, or *", p->cors);
    if (p->outside.count > ENTRY_ADDRESSES_MAX)
        mistake(sec, "outside: there are more than %d addresses", ENTRY_ADDRESSES_MAX);
    if (p->retry_min_ms > p->retry_max_ms)
        mistake(sec, "retry-min is more than retry-max");
}

static void extract_tls(cfg_t *sec, struct tls_section *t)
{
    if (!sec)
        return;
    extract(sec, "tls", t);
    for (unsigned i = 0; i < cfg_size(sec, "certificate"); i++) {
        cfg_t *one = cfg_getnsec(sec, "certificate", i);
        if (t->certificate_count == TLS_CERTIFICATES_MAX) {
            mistake(one, "there are more than %d certificates", TLS_CERTIFICATES_MAX);
            return;
        }
        struct tls_certificate_section *c = &t->certificates[t->certificate_count++];
        set_title(one, "certificate", c->name, sizeof(c->name));
        extract(one, "tls.certificate", c);
    }
    if (t->certificate_count == 0)
        mistake(sec, "tls: it needs certificate \"NAME\" { chain = ... key = ... }");
    if (t->client != TLS_CLIENTS_NONE && !*t->client_ca)
        mistake(sec, "tls: client = optional or required needs client-ca");
}

static void extract_dns(cfg_t *sec, struct dns_section *d)
{
    if (!sec)
        return;
    extract(sec, "dns", d);
    if (d->listen.count > NAME_LISTENERS_MAX)
        mistake(sec, "dns: listen: there are more than %d addresses", NAME_LISTENERS_MAX);
    for (unsigned i = 0; i < cfg_size(sec, "site"); i++) {
        cfg_t *site = cfg_getnsec(sec, "site", i);
        if (d->site_count == NAME_SITES_MAX) {
            mistake(site, "there are more than %d sites", NAME_SITES_MAX);
            return;
        }
        struct dns_site *s = &d->sites[d->site_count++];
        set_title(site, "site", s->zone, sizeof(s->zone));
        extract(site, "dns.site", s);
    }
}

static void extract_tcp(cfg_t *cfg, struct config *c)
{
    for (unsigned i = 0; i < cfg_size(cfg, "tcp"); i++) {
        cfg_t *sec = cfg_getnsec(cfg, "tcp", i);
        if (c->tcp_count == TCP_SECTIONS_MAX) {
            mistake(sec, "there are more than %d sections 'tcp'", TCP_SECTIONS_MAX);
            break;
        }
        struct tcp_section *t = &c->tcp[c->tcp_count++];
        set_title(sec, "tcp", t->name, sizeof(t->name));
        extract(sec, "tcp", t);
    }
    cfg_t *sec = only_section(cfg, "inline");
    if (!sec)
        return;
    c->in_line.present = true;
    extract(sec, "inline", &c->in_line);
}

static void extract_tickets(cfg_t *cfg, struct config *c)
{
    for (unsigned i = 0; i < cfg_size(cfg, "tickets"); i++) {
        cfg_t *sec = cfg_getnsec(cfg, "tickets", i);
        if (c->tickets_count == TICKETS_SECTIONS_MAX) {
            mistake(sec, "there are more than %d sections 'tickets'", TICKETS_SECTIONS_MAX);
            return;
        }
        struct tickets_section *t = &c->tickets[c->tickets_count];
        const char *why;
        set_title(sec, "tickets", t->name, sizeof(t->name));
        extract(sec, "tickets", t);
        if (tickets_mistake(t, &why))
            mistake(sec, "tickets \"%s\": %s", t->name, why);
        for (size_t k = 0; k < c->tickets_count; k++)
            if (strcmp(c->tickets[k].file, t->file) == 0)
                mistake(sec, "tickets \"%s\": another section has that file", t->name);
        c->tickets_count++;
    }
}

static void extract_externals(cfg_t *cfg, struct config *c)
{
    for (unsigned i = 0; i < cfg_size(cfg, "external"); i++) {
        cfg_t *sec = cfg_getnsec(cfg, "external", i);
        if (c->external_count == EXTERNALS_MAX) {
            mistake(sec, "there are more than %d sections 'external'", EXTERNALS_MAX);
            return;
        }
        struct external_section *x = &c->externals[c->external_count++];
        char why[2 * CONFIG_TEXT_MAX];
        set_title(sec, "external", x->name, sizeof(x->name));
        extract(sec, "external", x);
        if (config_external_mistake(c, x, why, sizeof(why)))
            mistake(sec, "external \"%s\": %s", x->name, why);
    }
}

static bool is_voter(const struct config *c, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(c->node.voters.text[i], name) == 0)
            return true;
    return false;
}

/* Who is to decide, and can he? */
static void check_voters(cfg_t *cfg, const struct config *c)
{
    const struct kinds *kinds = &c->sessions.kinds;
    for (size_t i = 0; i < kinds->count; i++)
        if (kinds->kind[i].atomic == ATOMIC_QUORUM && c->node.voters.count == 0)
            mistake(cfg, "kind \"%s\": atomic = quorum needs node { voters = {...} }",
                    kinds->kind[i].name);
    for (size_t i = 0; i < c->node.voters.count; i++)
        if (is_voter(c, i, c->node.voters.text[i]))
            mistake(cfg, "voters: \"%s\" is there twice", c->node.voters.text[i]);
    if (!c->sessions.present && is_voter(c, c->node.voters.count, c->node.name))
        mistake(cfg, "voters: this node is one, so it needs a section sessions { ... }");
}

static void extract_all(cfg_t *cfg, struct config *c)
{
    extract(cfg, "", &c->top);
    cfg_t *sec = only_section(cfg, "node");
    if (sec) {
        set_title(sec, "node", c->node.name, sizeof(c->node.name));
        extract(sec, "node", &c->node);
    } else {
        mistake(cfg, "the section node \"NAME\" { ... } is required");
    }
    for (unsigned i = 0; i < cfg_size(cfg, "server"); i++) {
        sec = cfg_getnsec(cfg, "server", i);
        if (c->server_count == ENTRY_SERVERS_MAX)
            mistake(sec, "there are more than %d servers", ENTRY_SERVERS_MAX);
        else
            extract_server(sec, &c->servers[c->server_count++]);
    }
    extract_sessions(only_section(cfg, "sessions"), &c->sessions);
    check_voters(cfg, c);
    extract_tls(only_section(cfg, "tls"), &c->tls);
    for (unsigned i = 0; i < cfg_size(cfg, "service"); i++) {
        sec = cfg_getnsec(cfg, "service", i);
        if (c->service_count == CONFIG_SERVICES_MAX) {
            mistake(sec, "there are more than %d services", CONFIG_SERVICES_MAX);
            continue;
        }
        struct service_section *s = &c->services[c->service_count++];
        set_title(sec, "service", s->id, sizeof(s->id));
        extract(sec, "service", s);
        char why[2 * CONFIG_TEXT_MAX];
        if (config_service_mistake(c, s, why, sizeof(why)))
            mistake(sec, "%s", why);
    }
    extract_externals(cfg, c);
    for (unsigned i = 0; i < cfg_size(cfg, "agent"); i++) {
        sec = cfg_getnsec(cfg, "agent", i);
        if (c->agent_count == ENTRY_SERVERS_MAX)
            mistake(sec, "there are more than %d sections 'agent'", ENTRY_SERVERS_MAX);
        else
            extract(sec, "agent", &c->agents[c->agent_count++]);
    }
    extract_repository(only_section(cfg, "repository"), c);
    extract_cache(cfg, "memcached", &c->memcached, c);
    extract_cache(cfg, "redis", &c->redis, c);
    if ((sec = only_section(cfg, "sessiond")))
        extract_sessiond(sec, c);
    if ((sec = only_section(cfg, "public")))
        extract_public(sec, &c->public);
    if (c->public.inside.count == 0)
        default_inside(&c->public.inside);
    extract_tickets(cfg, c);
    extract_dns(only_section(cfg, "dns"), &c->dns);
    extract_tcp(cfg, c);
    if ((sec = only_section(cfg, "admin")))
        extract(sec, "admin", &c->admin);
    if (!*c->admin.socket)
        snprintf(c->admin.socket, sizeof(c->admin.socket), "%.*s/admin.sock",
                 (int)sizeof(c->admin.socket) - 16, c->top.state);
}

static void check_agents(cfg_t *cfg, const struct config *c)
{
    for (size_t i = 0; i < c->agent_count; i++) {
        cfg_t *sec = cfg_getnsec(cfg, "agent", (unsigned)i);
        bool known = c->server_count > 0 && !*c->agents[i].service;
        for (size_t j = 0; j < c->server_count; j++)
            known |= strcmp(c->servers[j].service, c->agents[i].service) == 0;
        if (!known)
            mistake(sec, "agent: there is no such own server to speak for");
    }
}

static void check_multicast(cfg_t *sec, const struct node_section *n)
{
    if (n->multicast.family == 0)
        return;
    if (!multicast_is_group(&n->multicast))
        mistake(sec, "multicast: it must be a group: 239.0.0.0 to 239.255.255.255, or ff02::...");
    else if (n->multicast.family != n->address.family)
        mistake(sec, "multicast: address and group must both be IPv4, or both IPv6");
}

/* What no single setting can tell. */
static void check_whole(cfg_t *cfg, struct config *c)
{
    for (size_t i = 0; i < c->server_count; i++) {
        cfg_t *sec = cfg_getnsec(cfg, "server", (unsigned)i);
        char why[2 * CONFIG_TEXT_MAX];
        if (config_server_mistake(c, &c->servers[i], why, sizeof(why)))
            mistake(sec, "%s", why);
    }
    const char *section;
    size_t index;
    const char *wrong = tcp_setup_mistake(c, &section, &index);
    if (wrong)
        mistake(cfg_getnsec(cfg, section, (unsigned)index), "%s: %s", section, wrong);
    if (c->public.listen_tls.family && c->tls.certificate_count == 0)
        mistake(cfg_getnsec(cfg, "public", 0), "listen-tls needs a section tls { certificate "
                                               "\"NAME\" { chain = ... key = ... } }");
    check_cache_tls(cfg, "memcached", &c->memcached, &c->tls);
    check_cache_tls(cfg, "redis", &c->redis, &c->tls);
    check_multicast(cfg_getnsec(cfg, "node", 0), &c->node);
    check_agents(cfg, c);
    if ((wrong = config_listeners_mistake(c, &section)))
        mistake(cfg_getnsec(cfg, section, 0), "%s: %s", section, wrong);
}

static void load_file(cfg_t *cfg, const char *path, struct config *out)
{
    if (!scan_for_environment(path))
        return;
    int parsed = cfg_parse(cfg, path);
    if (parsed == CFG_FILE_ERROR)
        mistake(cfg, "%s cannot be read", path);
    if (parsed != CFG_SUCCESS && loading->error_count == 0)
        mistake(cfg, "it cannot be parsed");
    if (parsed != CFG_SUCCESS)
        return;
    extract_all(cfg, out);
    if (loading->error_count == 0)
        check_whole(cfg, out);
}

int config_load(const char *path, struct config *out, FILE *errors)
{
    struct load *l = mem_alloc(sizeof(*l));
    if (!l)
        return STEAD_E_NOMEM;
    l->errors = errors;
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    if (!realpath(dirname(copy), l->base))
        snprintf(l->base, sizeof(l->base), ".");
    loading = l;
    *out = (struct config){0};
    if (!realpath(path, out->path))
        snprintf(out->path, sizeof(out->path), "%s", path);
    cfg_opt_t *opts = make_options("");
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    cfg_set_error_function(cfg, complain);
    load_file(cfg, path, out);
    cfg_free(cfg);
    free_options(opts);
    int status = l->error_count ? STEAD_E_CONFIG : STEAD_OK;
    loading = NULL;
    mem_free(l);
    return status;
}
