/* gate_request.c - a request's headers and body made into a call and its first operation. */
#include "role/gate/gate_internal.h"

#include "base/base64.h"
#include "base/clock.h"
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- parts of a request -- */

bool gate_id_is_plain(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-_.~", c))))
            return false;
    }
    return id.len > 0 && id.len <= KEY_BYTES_MAX;
}

static int find_kind(const struct gate *g, struct slice name)
{
    char text[KIND_NAME_MAX];
    if (name.len == 0 || name.len >= sizeof text)
        return -1;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    return kinds_find(store_kinds(g->config.store), text);
}

uint32_t gate_deadline(const struct http_head *h)
{
    const struct http_header *header = http_find(h->headers, h->header_count, "stead-deadline-ms");
    if (!header)
        return GATE_DEADLINE_MS;
    uint32_t ms = 0;
    for (size_t i = 0; i < header->value.len; i++) {
        char c = header->value.at[i];
        if (c < '0' || c > '9' || i >= 9)
            return 0;
        ms = ms * 10 + (uint32_t)(c - '0');
    }
    return ms < GATE_DEADLINE_MS ? ms : GATE_DEADLINE_MS;
}

/* If-Match: one strong ETag, or "*". False: malformed. */
static bool read_match(const struct http_head *h, bool *has, struct stamp *match)
{
    const struct http_header *m = http_find(h->headers, h->header_count, "if-match");
    *has = false;
    if (!m || slice_is(m->value, "*"))
        return true;
    struct slice v = m->value;
    if (v.len < 2 || v.at[0] != '"' || v.at[v.len - 1] != '"')
        return false;
    *has = gate_version_parse(v.at + 1, v.len - 2, &match->term, &match->version);
    return *has;
}

static bool read_seconds(struct slice text, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || *out > GATE_WAIT_MAX_S)
            return false;
        *out = *out * 10 + (uint32_t)(text.at[i] - '0');
    }
    return text.len > 0 && *out <= GATE_WAIT_MAX_S;
}

/* at_least=T.V or wait=SECONDS. False: neither, or malformed. */
static bool read_parameter(struct slice p, struct session_op *op, uint32_t *wait_s)
{
    static const char least[] = "at_least=", wait[] = "wait=";
    if (p.len >= sizeof least && memcmp(p.at, least, sizeof least - 1) == 0)
        return gate_version_parse(p.at + sizeof least - 1, p.len - (sizeof least - 1),
                                  &op->min_term, &op->min_version);
    if (p.len >= sizeof wait && memcmp(p.at, wait, sizeof wait - 1) == 0)
        return read_seconds((struct slice){p.at + sizeof wait - 1, p.len - (sizeof wait - 1)},
                            wait_s);
    return false;
}

/* Of a read. False: a parameter is not known, or malformed. */
static bool read_query(const struct http_head *h, struct session_op *op, uint32_t *wait_s)
{
    *wait_s = 0;
    const char *at = h->query.at, *end = at ? at + h->query.len : NULL;
    while (at < end) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *to = amp ? amp : end;
        if (!read_parameter((struct slice){at, (size_t)(to - at)}, op, wait_s))
            return false;
        at = amp ? amp + 1 : end;
    }
    return true;
}

/* -- the operations -- */

static void start_create(struct gate_call *call, const struct gate_change *change)
{
    uint8_t random[GATE_ID_BYTES];
    char id[GATE_ID_CHARS];
    io_random(random, sizeof random);
    base64_encode_url(random, sizeof random, id);
    key_set(&call->key, call->key.kind, id, sizeof id);
    struct session_op op = {.type = SESSION_CREATE,
                            .key = &call->key,
                            .ttl_ms = change->ttl_ms,
                            .ops = change->ops,
                            .op_count = change->count};
    gate_call_submit(call, &op);
}

static void start_change(struct gate_call *call, const struct gate_change *change)
{
    struct session_op op = {.type = SESSION_CHANGE,
                            .key = &call->key,
                            .ttl_ms = change->ttl_ms,
                            .ops = change->ops,
                            .op_count = change->count,
                            .has_match = call->has_match,
                            .match = call->match};
    gate_call_submit(call, &op);
}

/* Any read renews a sliding life; else, or for another life, the record is written anew. */
static void start_touch(struct gate_call *call, const struct gate_change *change)
{
    struct kinds kinds;
    struct session_op op = {.type = SESSION_READ, .key = &call->key};
    store_kinds_now(call->gate->config.store, &kinds);
    const struct kind *kind = &kinds.kind[call->key.kind];
    if (change->ttl_ms || !kind->sliding) {
        op.type = SESSION_CHANGE;
        op.ttl_ms = change->ttl_ms ? change->ttl_ms : kind->ttl_ms;
    }
    gate_call_submit(call, &op);
}

static void start_read(struct gate_call *call, const struct http_head *h)
{
    struct session_op op = {.type = SESSION_READ, .key = &call->key};
    read_query(h, &op, &call->wait_s); /* checked before */
    call->changes = store_changes(call->gate->config.store, &call->key);
    gate_call_submit(call, &op);
}

static void start_end(struct gate_call *call)
{
    struct session_op op = {
        .type = SESSION_END, .key = &call->key, .has_match = call->has_match, .match = call->match};
    gate_call_submit(call, &op);
}

static void start_call(struct gate_call *call, const struct gate_change *change)
{
    switch (call->verb) {
    case GATE_CREATE:
    case GATE_LOGIN:
        start_create(call, change);
        break;
    case GATE_CHANGE:
        start_change(call, change);
        break;
    case GATE_TOUCH:
        start_touch(call, change);
        break;
    case GATE_RENEW:
        gate_renew_start(call);
        break;
    case GATE_END:
        start_end(call);
        break;
    default:
        start_read(call, http_request_head(call->request));
    }
}

/* -- requests -- */

/* What can be said of the headers alone. 0, or a status with its error and sentence. */
static int check_session_request(const struct gate *g, const struct http_head *h,
                                 const struct gate_route *route, int *err, const char **why)
{
    struct session_op op = {0};
    struct stamp match;
    bool has;
    *err = STEAD_E_INVAL;
    if (find_kind(g, route->kind) < 0) {
        *err = STEAD_E_NOT_FOUND;
        return 404;
    }
    if (route->id.at && !gate_id_is_plain(route->id)) {
        *why = "an id is 1 to 250 letters, digits, '-', '_', '.' or '~'";
        return 400;
    }
    if (!gate_deadline(h)) {
        *why = "Stead-Deadline-Ms is a number of milliseconds from 1 on";
        return 400;
    }
    if (!read_match(h, &has, &match)) {
        *why = "If-Match takes one ETag as this server gave it";
        return 400;
    }
    uint32_t wait_s;
    if (route->verb == GATE_READ && !read_query(h, &op, &wait_s)) {
        *why = "the parameters are at_least=TERM.VERSION and wait=SECONDS, at most 300";
        return 400;
    }
    return 0;
}

static void unknown_kind(struct gate *g, struct http_request *r)
{
    char why[64 + KINDS_MAX * (KIND_NAME_MAX + 2)] = "the kinds of this farm are:";
    const struct kinds *kinds = store_kinds(g->config.store);
    size_t n = strlen(why);
    for (size_t i = 0; i < kinds->count; i++)
        n += (size_t)snprintf(why + n, sizeof why - n, "%s %s", i ? "," : "", kinds->kind[i].name);
    gate_refuse(g, r, 404, STEAD_E_NOT_FOUND, why);
}

static void begin_call(struct gate *g, struct http_request *r, const struct gate_route *route,
                       const struct gate_change *change)
{
    const struct http_head *h = http_request_head(r);
    struct gate_call *call = gate_call_new(g, r);
    if (!call)
        return;
    call->verb = route->verb;
    call->key.kind = (uint8_t)find_kind(g, route->kind);
    if (route->id.at)
        key_set(&call->key, call->key.kind, route->id.at, route->id.len);
    call->deadline_ms = gate_deadline(h);
    call->last_ns = io_now_ns() + 2 * call->deadline_ms * NS_PER_MS;
    read_match(h, &call->has_match, &call->match);
    start_call(call, change);
}

static void session_request(struct gate *g, struct http_request *r, const struct gate_route *route,
                            const char *body, size_t len)
{
    static const enum gate_form forms[] = {[GATE_CREATE] = GATE_FORM_CREATE,
                                           [GATE_LOGIN] = GATE_FORM_CREATE,
                                           [GATE_CHANGE] = GATE_FORM_CHANGE,
                                           [GATE_RENEW] = GATE_FORM_LIFE,
                                           [GATE_TOUCH] = GATE_FORM_LIFE};
    struct gate_change change = {0};
    const char *why = "";
    char *login = NULL;
    int err = STEAD_OK;
    if (route->verb == GATE_LOGIN) {
        login = gate_login_form(body, len, time(NULL), &why);
        err = login ? STEAD_OK : STEAD_E_INVAL;
        body = login;
        len = login ? strlen(login) : 0;
    }
    if (!err && route->takes_body)
        err = gate_change_parse(&change, forms[route->verb], body, len, &why);
    if (!err && route->verb == GATE_RENEW && change.ttl_ms) {
        err = STEAD_E_INVAL;
        why = "a renewal keeps the session's life: it takes no ttl";
    }
    if (err)
        gate_refuse(g, r,
                    err == STEAD_E_TOO_LARGE ? 413
                    : err == STEAD_E_NOMEM   ? 503
                                             : 400,
                    err, why);
    else
        begin_call(g, r, route, &change);
    gate_change_deinit(&change);
    gate_text_free(login);
}

enum http_verdict gate_request(void *context, struct http_request *r, const char *body, size_t len)
{
    struct gate *g = context;
    const struct http_head *h = http_request_head(r);
    struct gate_route route;
    const char *why = "";
    int err, status = gate_auth(g, r, &why);
    if (status) {
        gate_count(&g->config.counters->denied);
        gate_refuse(g, r, status, STEAD_E_DENIED, why);
        return HTTP_ANSWERED;
    }
    status = gate_route(h, &route);
    if (status == 405) {
        gate_refuse_method(g, r, route.allow);
    } else if (status) {
        gate_refuse(g, r, 404, STEAD_E_NOT_FOUND, "the paths begin with /v1/sessions/KIND");
    } else if (route.verb == GATE_KINDS) {
        gate_reply_kinds(g, r);
    } else if (route.verb == GATE_WHOAMI) {
        gate_reply_whoami(g, r);
    } else if (route.verb == GATE_VERIFY) {
        gate_verify_request(g, r);
    } else if (gate_is_tls(route.verb)) {
        return gate_tls_request(g, r, &route, body, len);
    } else if (route.verb >= GATE_REPORT_SHOW) {
        return gate_report_request(g, r, &route, body, len);
    } else if ((status = check_session_request(g, h, &route, &err, &why)) == 404) {
        unknown_kind(g, r);
    } else if (status) {
        gate_refuse(g, r, status, err, why);
    } else if (route.takes_body && !body) {
        return HTTP_WANT_BODY;
    } else {
        session_request(g, r, &route, body, len);
    }
    return HTTP_ANSWERED;
}
