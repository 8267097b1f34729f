/* decide.c - the decision of the public listener. What a decision looks like on the wire is
 * director.c's. */
#include "role/director/decide.h"

#include "role/director/decide_url.h"

#include <string.h>

#define OWN_PREFIX "/.well-known/stead/"

int decide_status(const struct decision *d)
{
    static const int status[] = {
        [DECIDE_ROSTER] = 200,   [DECIDE_NOT_FOUND] = 404, [DECIDE_METHOD] = 405,
        [DECIDE_REDIRECT] = 307, [DECIDE_FORWARD] = 0,     [DECIDE_MISDIRECTED] = 421,
        [DECIDE_HANDOFF] = 307,  [DECIDE_NO_SERVER] = 503, [DECIDE_BAD] = 400,
        [DECIDE_RELAY] = 0,
    };
    if (d->verdict == DECIDE_REDIRECT && d->json)
        return 200;
    return d->status != 0 ? d->status : status[d->verdict];
}

static void settle(struct decision *out, enum decide_verdict v, const char *why)
{
    out->verdict = v;
    out->why = why;
}

static uint16_t asked_port(const struct decide_config *c, const struct http_head *h)
{
    if (h->port)
        return h->port;
    return c->tls ? 443 : 80;
}

/* Does the request ask for this URL's host? Exactly: with its port. Else the port may be left out
 * or be the listener's: who reaches this listener through a mapped port still means it. */
static bool asks_for(const struct decide_config *c, const struct http_head *h, const char *url,
                     bool exactly)
{
    uint16_t port;
    if (!url_names(url, h->host, &port))
        return false;
    if (exactly)
        return asked_port(c, h) == port;
    return h->port == 0 || h->port == c->port;
}

static const struct decide_service *asked_service(const struct decide_config *c,
                                                  const struct http_head *h, bool exactly)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (asks_for(c, h, c->services[i].url, exactly))
            return &c->services[i];
    return NULL;
}

static bool asked_server(const struct decide_config *c, const struct http_head *h, bool exactly,
                         size_t *server)
{
    for (size_t i = 0; i < c->server_count; i++)
        for (size_t u = 0; u < c->servers[i].url_count; u++)
            if (asks_for(c, h, c->servers[i].urls[u], exactly)) {
                *server = i;
                return true;
            }
    return false;
}

static const struct decide_service *service_named(const struct decide_config *c, const char *name)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].name, name) == 0)
            return &c->services[i];
    return NULL;
}

static bool own_server(const struct decide_config *c, const char *service, size_t *server)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (strcmp(c->servers[i].service, service) == 0) {
            *server = i;
            return true;
        }
    return false;
}

static void redirect(const struct http_head *h, const char *url, const char *why,
                     struct decision *out)
{
    if (url_lead(url, h, out->location)) {
        settle(out, DECIDE_REDIRECT, why);
        return;
    }
    settle(out, DECIDE_BAD, "unsafe-path");
    out->chosen = (struct pick_choice){NULL, NULL};
    out->policy = NULL;
    out->visit = NULL;
    out->warm = NULL;
    out->status = 0;
}

/* A server's first URL of a scheme, else its first; NULL when it has none. */
static const char *server_url(const struct server *s, bool tls)
{
    for (size_t i = 0; i < s->url_count; i++)
        if (url_is_https(s->urls[i]) == tls)
            return s->urls[i];
    return s->url_count ? s->urls[0] : NULL;
}

static bool any_glob(const struct slice *globs, size_t count, struct slice path)
{
    for (size_t i = 0; i < count; i++)
        if (slice_fits(path, globs[i]))
            return true;
    return false;
}

/* The scheme that the service wants for this path; without a wish, the listener's. */
static bool wanted_tls(const struct decide_config *c, const struct decide_service *s,
                       const struct http_head *h)
{
    if (!c->tls)
        return any_glob(s->https_paths, s->https_count, h->path);
    return any_glob(s->https_paths, s->https_count, h->path) ||
           !any_glob(s->http_paths, s->http_count, h->path);
}

/* Shall the client, who cannot follow a redirect, be forwarded? */
static bool wants_forward(const struct decide_service *s, const struct http_head *h)
{
    for (size_t i = 0; i < s->forward_count; i++)
        if (match_request(&s->forward[i], h))
            return true;
    return false;
}

/* Does the client ask for JSON before all else? */
static bool wants_json(const struct http_head *h)
{
    const struct http_header *accept = http_find(h->headers, h->header_count, "accept");
    struct slice list = accept ? accept->value : (struct slice){NULL, 0}, first;
    if (!http_list_next(&list, &first))
        return false;
    const char *end = memchr(first.at, ';', first.len);
    return slice_is_nocase((struct slice){first.at, end ? (size_t)(end - first.at) : first.len},
                           "application/json");
}

/* The token stands behind what the query has already. Cookies too long for one are not handed over.
 */
static void add_handoff(const struct decide_config *c, const struct decide_view *v,
                        const struct http_head *h, const struct decide_service *s,
                        struct decision *out)
{
    char token[TOKEN_TEXT_MAX];
    size_t len = strlen(out->location);
    if (s->handoff_count == 0 || out->verdict != DECIDE_REDIRECT || !c->secret || !v->salt)
        return;
    size_t token_len = handoff_make(c->secret, s->name, out->chosen.node->entry->name, s->handoff,
                                    s->handoff_count, h, v->salt, v->now_s, token);
    const char *joint = h->query.at ? "&" HANDOFF_PARAMETER "=" : "?" HANDOFF_PARAMETER "=";
    if (token_len > 0 && len + strlen(joint) + token_len < sizeof(out->location) &&
        url_append(out->location, sizeof(out->location), &len, joint, strlen(joint)))
        (void)url_append(out->location, sizeof(out->location), &len, token, token_len);
}

/* A pick for the service. This node's own pair is left out as soon as the store knows it is out. */
static void filter_for(const struct decide_config *c, const struct decide_view *v,
                       const char *service, struct pick_filter *f)
{
    size_t own;
    bool out_of_it = own_server(c, service, &own) && (v->draining || !v->healthy[own]);
    *f = (struct pick_filter){.service = service,
                              .exclude = &v->self_name,
                              .exclude_count = out_of_it ? 1 : 0,
                              .reserve = v->reserve};
}

static bool known_by_cookie(const struct decide_config *c, const struct decide_view *v,
                            const struct http_head *h, const struct decide_service *s,
                            char name[NAME_MAX_BYTES + 1])
{
    bool known = visit_server(s->visit, c->secret, s->name, h, v->now_s, name);
    for (size_t i = 0; !known && i < c->older_count; i++)
        known = visit_server(s->visit, c->older[i], s->name, h, v->now_s, name);
    return known;
}

/* The server that the client's cookie names, while it lives and is not to be emptied; being full
 * keeps nobody out who is in. */
static bool choose_known(const struct decide_config *c, const struct decide_view *v,
                         const struct http_head *h, const struct decide_service *s,
                         struct pick_choice *out)
{
    char name[NAME_MAX_BYTES + 1];
    size_t own;
    if (!known_by_cookie(c, v, h, s, name))
        return false;
    out->node = roster_find(v->roster, name);
    out->server = out->node ? roster_server(out->node, s->name) : NULL;
    if (!out->server)
        return false;
    if (out->node->self && own_server(c, s->name, &own) && (v->draining || !v->healthy[own]))
        return false;
    enum status status = roster_server_status(out->node, out->server);
    return status == STATUS_UP || status == STATUS_FULL;
}

/* Who was here goes back; who has a key goes where it leads; all others by policy. */
static const char *choose_for(const struct decide_config *c, const struct decide_view *v,
                              const struct http_head *h, const struct decide_service *s,
                              struct pick_choice *out)
{
    struct pick_filter f;
    if (s->visit && c->secret && choose_known(c, v, h, s, out))
        return "returned";
    struct slice key = s->visit && c->keys ? visit_key(s->visit, h) : (struct slice){NULL, 0};
    filter_for(c, v, s->name, &f);
    if (key.at && pick_by_key(v->roster, &f, buzhash(c->keys, key.at, key.len), out))
        return "by-key";
    return pick(v->roster, &f, s->policy, false, v->chance, out) ? "balanced" : NULL;
}

/* The servers share the common name: a redirect would come back here. */
static void decide_shared_name(const struct decide_config *c, const struct decide_view *v,
                               const struct decide_service *s, struct decision *out)
{
    size_t own;
    if (own_server(c, s->name, &own) && v->healthy[own]) {
        out->server = own;
        settle(out, DECIDE_FORWARD, "shared-name");
    } else {
        settle(out, DECIDE_NO_SERVER, "shared-name");
    }
}

static void forward_to_chosen(const struct decide_config *c, const struct decide_service *s,
                              const char *url, const char *why, struct decision *out)
{
    out->url = url;
    if (out->chosen.node->self && own_server(c, s->name, &out->server))
        settle(out, DECIDE_FORWARD, why);
    else
        settle(out, DECIDE_RELAY, why);
}

/* because: why the client is led elsewhere in the midst of things, with method and body; NULL: he
 * came for it. */
static void decide_primary(const struct decide_config *c, const struct decide_view *v,
                           const struct http_head *h, const struct decide_service *s,
                           const char *because, struct decision *out)
{
    out->service = s->name;
    struct pick_choice choice;
    bool tls = wanted_tls(c, s, h);
    const char *how = choose_for(c, v, h, s, &choice);
    if (!how) {
        settle(out, DECIDE_NO_SERVER, "nobody-up");
        return;
    }
    const char *url = server_url(choice.server, tls), *why = because ? because : how;
    if (!url) {
        settle(out, DECIDE_NO_SERVER, "no-url");
        return;
    }
    if (asks_for(c, h, url, true)) {
        decide_shared_name(c, v, s, out);
        return;
    }
    out->chosen = choice;
    out->policy = strcmp(how, "balanced") == 0 ? policy_name(s->policy) : NULL;
    out->warm = s->warm_count ? s : NULL;
    if (s->visit && s->visit->by == VISIT_COOKIE && c->secret)
        out->visit = s->visit;
    if (tls == c->tls && wants_forward(s, h)) {
        forward_to_chosen(c, s, url, why, out);
        return;
    }
    out->status = because ? 0 : s->status;
    out->json = !because && s->json && wants_json(h);
    redirect(h, url, why, out);
    add_handoff(c, v, h, s, out);
}

/* Who brings cookies in a token for a server that is out has them at the common name only. */
static void to_common_name(const struct decide_config *c, const struct decide_view *v,
                           const struct http_head *h, const struct decide_service *s,
                           const char *why, struct decision *out)
{
    struct pick_choice somebody;
    if (choose_for(c, v, h, s, &somebody))
        redirect(h, s->url, why, out);
    else
        settle(out, DECIDE_NO_SERVER, "nobody-up");
}

/* The server that was asked for is out. This node is a primary as any other, and the one who knows:
 * another could lead the client straight back here until it has heard. */
static void choose_anew(const struct decide_config *c, const struct decide_view *v,
                        const struct http_head *h, const char *service, const char *why,
                        struct decision *out)
{
    const struct decide_service *s = service_named(c, service);
    out->service = service;
    if (!s)
        settle(out, DECIDE_MISDIRECTED, "unknown-service");
    else if (s->handoff_count > 0 && handoff_find(h).at)
        to_common_name(c, v, h, s, why, out);
    else
        decide_primary(c, v, h, s, why, out);
}

static void to_backup(const struct decide_config *c, const struct decide_view *v,
                      const struct http_head *h, const struct decide_server *own,
                      struct decision *out)
{
    const char *backup = own->backup;
    if (backup && backup[0] && strcmp(backup, "primary") != 0 &&
        strcmp(backup, v->self_name) != 0) {
        const struct roster_node *n = roster_find(v->roster, backup);
        const struct server *s = n ? roster_server(n, own->service) : NULL;
        const char *url = s ? server_url(s, c->tls) : NULL;
        if (url && roster_server_status(n, s) == STATUS_UP && !asks_for(c, h, url, true)) {
            out->service = own->service;
            out->chosen = (struct pick_choice){n, s};
            redirect(h, url, "backup", out);
            return;
        }
    }
    choose_anew(c, v, h, own->service, "own-server-out", out);
}

/* The own URL that was asked for: by its port, else of the listener's scheme. */
static const char *asked_url(const struct decide_config *c, const struct http_head *h,
                             const struct decide_server *own)
{
    const char *found = NULL;
    for (size_t u = 0; u < own->url_count; u++) {
        const char *url = own->urls[u];
        if (asks_for(c, h, url, true))
            return url;
        if (asks_for(c, h, url, false) && (!found || url_is_https(url) == c->tls))
            found = url;
    }
    return found;
}

/* Whatever becomes of the token, the URL loses it: a reload shall not send it again. */
static bool take_handoff(const struct decide_config *c, const struct http_head *h, size_t server,
                         struct decision *out)
{
    char target[HTTP_TARGET_MAX + 1];
    struct http_head stripped = *h;
    const char *url = asked_url(c, h, &c->servers[server]);
    size_t len = handoff_strip(h, target, sizeof(target));
    if (len == 0 || !url)
        return false;
    const char *mark = memchr(target, '?', len);
    size_t path = mark ? (size_t)(mark - target) : len;
    stripped.path = (struct slice){target, path};
    stripped.query = mark ? (struct slice){mark + 1, len - path - 1} : (struct slice){NULL, 0};
    redirect(&stripped, url, "handoff", out);
    if (out->verdict == DECIDE_REDIRECT)
        out->verdict = DECIDE_HANDOFF;
    return true;
}

/* The page is wanted by the other scheme: it has that of the same server, if there is one. */
static bool other_scheme(const struct decide_config *c, const struct http_head *h,
                         const struct decide_service *s, const struct decide_server *own,
                         struct decision *out)
{
    bool tls = wanted_tls(c, s, h);
    if (tls == c->tls)
        return false;
    for (size_t u = 0; u < own->url_count; u++)
        if (url_is_https(own->urls[u]) == tls) {
            out->status = s->status;
            redirect(h, own->urls[u], tls ? "to-https" : "to-http", out);
            return true;
        }
    return false;
}

static void decide_secondary(const struct decide_config *c, const struct decide_view *v,
                             const struct http_head *h, size_t server, struct decision *out)
{
    out->service = c->servers[server].service;
    out->server = server;
    const struct decide_service *s = service_named(c, out->service);
    bool handed = s && s->handoff_count > 0 && c->secret && handoff_find(h).at;
    if (handed && v->healthy[server] && take_handoff(c, h, server, out))
        return;
    if (!v->healthy[server])
        to_backup(c, v, h, &c->servers[server], out);
    else if (!s || !other_scheme(c, h, s, &c->servers[server], out))
        settle(out, DECIDE_FORWARD, "own-server");
}

/* A server of another node: if it is gone any node stands in, else the client is at the wrong door.
 */
static void decide_other(const struct decide_config *c, const struct decide_view *v,
                         const struct http_head *h, const struct roster_node *n,
                         const struct server *s, struct decision *out)
{
    out->service = s->service;
    switch (roster_server_status(n, s)) {
    case STATUS_MAINT:
    case STATUS_SUSPECT:
    case STATUS_DOWN:
    case STATUS_LEFT:
        choose_anew(c, v, h, s->service, "server-gone", out);
        return;
    case STATUS_JOINING:
    case STATUS_UP:
    case STATUS_FULL:
    case STATUS_DRAINING:
        break;
    }
    if (n->external && n->entry->public.family) {
        /* It has no node to answer for it: whoever is asked does. */
        out->chosen = (struct pick_choice){n, s};
        out->url = server_url(s, c->tls);
        settle(out, DECIDE_RELAY, "external");
        return;
    }
    settle(out, DECIDE_MISDIRECTED, "other-server");
}

static bool decide_by_host(const struct decide_config *c, const struct decide_view *v,
                           const struct http_head *h, bool exactly, struct decision *out)
{
    const struct decide_service *service = asked_service(c, h, exactly);
    if (service) {
        decide_primary(c, v, h, service, NULL, out);
        return true;
    }
    size_t own;
    if (asked_server(c, h, exactly, &own)) {
        decide_secondary(c, v, h, own, out);
        return true;
    }
    const struct roster_node *n;
    const struct server *s;
    uint16_t port = exactly ? asked_port(c, h) : 0;
    if (!exactly && h->port != 0 && h->port != c->port)
        return false;
    if (!roster_by_host(v->roster, h->host.at, h->host.len, port, &n, &s) || n->self)
        return false;
    decide_other(c, v, h, n, s, out);
    return true;
}

static bool starts_with(struct slice s, const char *text)
{
    size_t len = strlen(text);
    return s.len >= len && memcmp(s.at, text, len) == 0;
}

static void decide_own_path(const struct http_head *h, struct decision *out)
{
    if (!slice_is(h->path, OWN_PREFIX "roster"))
        settle(out, DECIDE_NOT_FOUND, "no-such-path");
    else if (!slice_is(h->method, "GET") && !slice_is(h->method, "HEAD") &&
             !slice_is(h->method, "OPTIONS"))
        settle(out, DECIDE_METHOD, "only-get");
    else
        settle(out, DECIDE_ROSTER, "roster");
}

void decide(const struct decide_config *c, const struct decide_view *v, const struct http_head *h,
            struct decision *out)
{
    out->service = out->policy = NULL;
    out->chosen = (struct pick_choice){NULL, NULL};
    out->server = 0;
    out->status = 0;
    out->json = false;
    out->visit = NULL;
    out->url = NULL;
    out->warm = NULL;
    out->location[0] = '\0';
    if (starts_with(h->path, OWN_PREFIX))
        decide_own_path(h, out);
    else if (h->host.len == 0)
        settle(out, DECIDE_BAD, "no-host");
    else if (slice_is(h->method, "CONNECT"))
        settle(out, DECIDE_BAD, "connect");
    else if (!decide_by_host(c, v, h, true, out) && !decide_by_host(c, v, h, false, out)) {
        settle(out, DECIDE_MISDIRECTED, "unknown-host");
        out->status = c->unknown_status;
    }
}
