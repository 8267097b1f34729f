/* gate_route.c - paths and methods to verbs. */
#include "role/gate/gate_internal.h"

#define PARTS_MAX 6

enum resource {
    KINDS,
    WHOAMI,
    COLLECTION,
    RECORD,
    RENEW,
    TOUCH,
    REPORT,
    TLS_KEYS,
    TLS_VALUE,
    TLS_TAKE,
    RESOURCES
};

static const struct {
    enum resource resource;
    const char *method;
    enum gate_verb verb;
    bool takes_body;
} routes[] = {
    {KINDS, "GET", GATE_KINDS, false},          {WHOAMI, "GET", GATE_WHOAMI, false},
    {COLLECTION, "POST", GATE_CREATE, true},    {RECORD, "GET", GATE_READ, false},
    {RECORD, "PATCH", GATE_CHANGE, true},       {RECORD, "DELETE", GATE_END, false},
    {RENEW, "POST", GATE_RENEW, true},          {TOUCH, "POST", GATE_TOUCH, true},
    {REPORT, "GET", GATE_REPORT_SHOW, false},   {REPORT, "PUT", GATE_REPORT, true},
    {REPORT, "DELETE", GATE_REPORT_END, false}, {TLS_KEYS, "GET", GATE_TLS_KEYS, false},
    {TLS_VALUE, "GET", GATE_TLS_GET, false},    {TLS_VALUE, "PUT", GATE_TLS_PUT, true},
    {TLS_VALUE, "DELETE", GATE_TLS_END, false}, {TLS_TAKE, "POST", GATE_TLS_TAKE, false},
};

static const char *const allowed[RESOURCES] = {
    [KINDS] = "GET, HEAD",
    [WHOAMI] = "GET, HEAD",
    [COLLECTION] = "POST",
    [RECORD] = "GET, HEAD, PATCH, DELETE",
    [RENEW] = "POST",
    [TOUCH] = "POST",
    [REPORT] = "GET, HEAD, PUT, DELETE",
    [TLS_KEYS] = "GET, HEAD",
    [TLS_VALUE] = "GET, HEAD, PUT, DELETE",
    [TLS_TAKE] = "POST",
};

/* The path's parts between slashes; PARTS_MAX when there are that many or more. */
static size_t split(struct slice path, struct slice parts[PARTS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < path.len && count < PARTS_MAX; count++) {
        size_t start = ++i; /* behind a slash */
        while (i < path.len && path.at[i] != '/')
            i++;
        parts[count] = (struct slice){path.at + start, i - start};
    }
    return count;
}

/* /v1/tls/SET/... */
static bool find_tls(const struct slice *parts, size_t count, enum resource *out)
{
    if (count == 4)
        *out = slice_is(parts[3], "keys") ? TLS_KEYS : TLS_VALUE;
    else if (count == 5 && slice_is(parts[4], "take"))
        *out = TLS_TAKE;
    else
        return false;
    return true;
}

static bool find_resource(const struct slice *parts, size_t count, enum resource *out)
{
    if (count < 2 || !slice_is(parts[0], "v1"))
        return false;
    if (slice_is(parts[1], "tls"))
        return find_tls(parts, count, out);
    bool sessions = slice_is(parts[1], "sessions");
    if (count == 2 && slice_is(parts[1], "kinds"))
        *out = KINDS;
    else if (count == 2 && slice_is(parts[1], "whoami"))
        *out = WHOAMI;
    else if (sessions && count == 3)
        *out = COLLECTION;
    else if (sessions && count == 4)
        *out = RECORD;
    else if (sessions && count == 5 && slice_is(parts[4], "renew"))
        *out = RENEW;
    else if (sessions && count == 5 && slice_is(parts[4], "touch"))
        *out = TOUCH;
    else if (count == 4 && slice_is(parts[1], "server") && slice_is(parts[3], "report"))
        *out = REPORT;
    else
        return false;
    return true;
}

int gate_route(const struct http_head *h, struct gate_route *out)
{
    static const struct slice auth_kind = {"auth", 4};
    struct slice parts[PARTS_MAX];
    enum resource resource;
    *out = (struct gate_route){0};
    if (h->path.len == 0 || h->path.at[0] != '/')
        return 404;
    size_t count = split(h->path, parts);
    /* Who asks about a request may put its method and path behind. */
    if (count >= 2 && slice_is(parts[0], "v1") && slice_is(parts[1], "auth")) {
        bool login = count == 2 && slice_is(h->method, "POST");
        out->verb = login ? GATE_LOGIN : GATE_VERIFY;
        out->takes_body = login;
        out->kind = auth_kind;
        return 0;
    }
    if (!find_resource(parts, count, &resource))
        return 404;
    if (count >= 3)
        out->kind = parts[2];
    if (count >= 4)
        out->id = parts[3];
    out->allow = allowed[resource];
    bool head = slice_is(h->method, "HEAD");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const char *method = routes[i].method;
        if (routes[i].resource != resource ||
            !(slice_is(h->method, method) || (head && method[0] == 'G')))
            continue;
        out->verb = routes[i].verb;
        out->takes_body = routes[i].takes_body;
        return 0;
    }
    return 405;
}
