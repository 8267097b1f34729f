/* admin.c - the admin thread: its loop, its two servers, and who may ask for what. */
#include "role/admin/admin.h"
#include "core/http/http_query.h"
#include "role/admin/ask.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_STORE "Cache-Control: no-store\r\n"
#define ADMIN_ID_MAX 128

/* One listening descriptor. The request's server tells whether it may change anything. */
struct door {
    struct admin *admin;
    struct http_server *server;
    bool local; /* the unix socket: paths of this host may be named */
    bool tls;
    bool orders; /* may be given: by the unix socket, or by operators' certificates */
};

struct admin {
    struct admin_source source;
    uv_loop_t loop;
    uv_async_t stop, retire;
    atomic_bool retired;
    uv_thread_t thread;
    struct http_counters counters;
    /* Kept here until it is scraped: reading the node's number resets it, and probes read it too.
     */
    uint64_t loop_turn_max_ns;
    struct door doors[2];
    struct asks asks;
};

/* -- what is told -- */

static struct admin_http plain_counters(const struct http_counters *c)
{
    return (struct admin_http){.accepted = c->accepted,
                               .refused = c->refused,
                               .crowded = c->crowded,
                               .requests = c->requests,
                               .bad = c->bad,
                               .timeouts = c->timeouts,
                               .busy = c->busy,
                               .open = c->open};
}

static void take_snapshot(struct admin *a, struct admin_snapshot *s)
{
    memset(s, 0, sizeof *s);
    a->source.collect(a->source.context, s);
    s->admin_http = plain_counters(&a->counters);
    if (s->loop_turn_max_ns > a->loop_turn_max_ns)
        a->loop_turn_max_ns = s->loop_turn_max_ns;
    s->loop_turn_max_ns = a->loop_turn_max_ns;
    struct roster *r = a->source.roster(a->source.context);
    if (!r)
        return;
    s->roster_revision = r->revision;
    for (size_t i = 0; i < r->count; i++)
        s->nodes[r->nodes[i].status] += !r->nodes[i].external;
    roster_unref(r);
}

static void no_memory(struct http_request *r)
{
    http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
}

static void answer_livez(struct door *d, struct http_request *r)
{
    (void)d;
    http_reply(r, 200, "text/plain; charset=utf-8", NO_STORE, "ok\n", 3);
}

static void answer_readyz(struct door *d, struct http_request *r)
{
    struct admin_snapshot s;
    char text[ADMIN_REASON_MAX + 2];
    take_snapshot(d->admin, &s);
    int n = snprintf(text, sizeof text, "%s\n", s.ready ? "ready" : s.reason);
    http_reply(r, s.ready ? 200 : 503, "text/plain; charset=utf-8",
               s.ready ? NO_STORE : NO_STORE "Retry-After: 1\r\n", text, (size_t)n);
}

static void answer_metrics(struct door *d, struct http_request *r)
{
    struct admin_snapshot s;
    size_t len;
    take_snapshot(d->admin, &s);
    d->admin->loop_turn_max_ns = 0;
    char *text = admin_metrics(&s, &len);
    if (text)
        http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", NO_STORE, text, len);
    else
        no_memory(r);
    mem_free(text);
}

static void answer_status(struct door *d, struct http_request *r)
{
    struct admin_snapshot s;
    take_snapshot(d->admin, &s);
    char *text = admin_status_json(&s);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        no_memory(r);
    free(text);
}

static void answer_roster(struct door *d, struct http_request *r)
{
    struct roster *roster = d->admin->source.roster(d->admin->source.context);
    if (!roster) {
        http_reply_error(r, 503, "BUSY", "there is no roster yet");
        return;
    }
    char etag[32], headers[128];
    snprintf(etag, sizeof etag, "\"%" PRIu64 "\"", roster->revision);
    snprintf(headers, sizeof headers, "Cache-Control: no-cache\r\nETag: %s\r\n", etag);
    const struct http_head *h = http_request_head(r);
    const struct http_header *none = http_find(h->headers, h->header_count, "if-none-match");
    char *text = NULL;
    if (none && slice_is(none->value, etag))
        http_reply(r, 304, NULL, headers, NULL, 0);
    else if ((text = roster_json(roster, NULL)))
        http_reply(r, 200, "application/json", headers, text, strlen(text));
    else
        no_memory(r);
    free(text);
    roster_unref(roster);
}

/* Every node, those that only direct as well. */
static void answer_nodes(struct door *d, struct http_request *r)
{
    struct roster *roster = d->admin->source.roster(d->admin->source.context);
    json_t *list = json_array();
    for (size_t i = 0; roster && i < roster->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", roster->nodes[i].entry->name,
                                              "status", status_name(roster->nodes[i].status)));
    json_t *j = json_pack("{s:o}", "nodes", list);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        no_memory(r);
    free(text);
    json_decref(j);
    roster_unref(roster);
}

static void give_order(struct door *d, struct http_request *r, enum order_verb verb)
{
    if (d->orders || verb == ORDER_TELL)
        asks_take(&d->admin->asks, r, verb);
    else
        http_reply_error(r, 403, "DENIED",
                         "only by the unix socket, or with an operator's certificate");
}

static void answer_drain(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_DRAIN);
}

static void answer_undrain(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_UNDRAIN);
}

static void answer_maint(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_MAINT);
}

static void answer_unmaint(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_UNMAINT);
}

static void answer_progress(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_TELL);
}

static void answer_decision(struct door *d, struct http_request *r)
{
    char id[ADMIN_ID_MAX];
    const struct admin_source *source = &d->admin->source;
    if (http_query_find(http_request_head(r)->query, "id", id, sizeof id) != 1 || *id == '\0') {
        http_reply_error(r, 400, "INVAL", "id=ID, as in X-Request-Id and in the log");
        return;
    }
    char *text = source->decision(source->context, id);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        http_reply_error(r, 404, "NOT_FOUND", "this node does not remember that request");
    free(text);
}

static void answer_change(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_CHANGE);
}

static void answer_key(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_KEY);
}

static void answer_reload(struct door *d, struct http_request *r)
{
    give_order(d, r, ORDER_RELOAD);
}

/* Addresses and paths of the host stand in it: not for everybody who reaches the TCP port. */
static void answer_config(struct door *d, struct http_request *r)
{
    if (!d->orders || !d->admin->source.config) {
        http_reply_error(r, 403, "DENIED",
                         "only by the unix socket, or with an operator's certificate");
        return;
    }
    char *text = d->admin->source.config(d->admin->source.context);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        no_memory(r);
    free(text);
}

/* Keys of sessions are for the node's own users only. */
static void verify(struct door *d, struct http_request *r, bool begin)
{
    char repair[8] = "";
    const struct admin_source *source = &d->admin->source;
    if (!d->orders) {
        http_reply_error(r, 403, "DENIED",
                         "only by the unix socket, or with an operator's certificate");
        return;
    }
    http_query_find(http_request_head(r)->query, "repair", repair, sizeof repair);
    char *text = source->verify(source->context, begin, *repair == '1');
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        no_memory(r);
    free(text);
}

static void answer_session_end(struct door *d, struct http_request *r)
{
    char user[1024], kind[NAME_MAX_BYTES + 1], field[512];
    struct slice query = http_request_head(r)->query;
    const struct admin_source *source = &d->admin->source;
    bool begin = slice_is(http_request_head(r)->method, "POST");
    int error = STEAD_OK;
    if (!d->orders) {
        http_reply_error(r, 403, "DENIED",
                         "only by the unix socket, or with an operator's certificate");
        return;
    }
    int by_kind = http_query_find(query, "kind", kind, sizeof kind);
    int by_field = http_query_find(query, "field", field, sizeof field);
    if (begin &&
        (http_query_find(query, "user", user, sizeof user) != 1 || by_kind < 0 || by_field < 0)) {
        http_reply_error(r, 400, "INVAL", "user=NAME, and perhaps kind=KIND and field=FIELD");
        return;
    }
    char *text = source->cull(source->context, by_kind == 1 ? kind : "auth",
                              by_field == 1 ? field : "user", begin ? user : NULL, &error);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        http_reply_error(r,
                         error == STEAD_E_NOT_FOUND ? 404
                         : error == STEAD_E_INVAL   ? 400
                                                    : 503,
                         stead_error_name(error),
                         error == STEAD_E_NOT_FOUND ? "there is no such kind"
                                                    : stead_error_text(error));
    free(text);
}

static void answer_snapshot(struct door *d, struct http_request *r)
{
    char path[ADMIN_PATH_MAX], what[8];
    const struct admin_source *source = &d->admin->source;
    const struct http_head *h = http_request_head(r);
    bool begin = slice_is(h->method, "POST");
    int error = STEAD_OK;
    if (!d->local) {
        http_reply_error(r, 403, "DENIED", "only by the unix socket");
        return;
    }
    if (begin && (http_query_find(h->query, "file", path, sizeof path) != 1 ||
                  http_query_find(h->query, "what", what, sizeof what) != 1 ||
                  (strcmp(what, "save") != 0 && strcmp(what, "load") != 0))) {
        http_reply_error(r, 400, "INVAL", "what=save or load, and file=PATH");
        return;
    }
    char *text =
        source->snapshot(source->context, begin && what[0] == 'l', begin ? path : NULL, &error);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        http_reply_error(r,
                         error == STEAD_E_INVAL         ? 400
                         : error == STEAD_E_UNSUPPORTED ? 404
                         : error == STEAD_E_BUSY        ? 409
                                                        : 503,
                         stead_error_name(error),
                         error == STEAD_E_INVAL         ? "the path must be absolute, and of a file"
                         : error == STEAD_E_UNSUPPORTED ? "this node keeps no sessions"
                         : error == STEAD_E_BUSY        ? "another snapshot is under way"
                                                        : stead_error_text(error));
    free(text);
}

static void answer_verify(struct door *d, struct http_request *r)
{
    verify(d, r, slice_is(http_request_head(r)->method, "POST"));
}

static void tell_upgrade(struct door *d, struct http_request *r)
{
    const struct admin_source *source = &d->admin->source;
    char *text = source->upgraded(source->context);
    if (text)
        http_reply(r, 200, "application/json", NO_STORE, text, strlen(text));
    else
        no_memory(r);
    free(text);
}

static void answer_upgrade(struct door *d, struct http_request *r)
{
    char binary[ADMIN_PATH_MAX] = "", config[ADMIN_PATH_MAX] = "";
    const struct admin_source *source = &d->admin->source;
    const struct http_head *h = http_request_head(r);
    int err = STEAD_OK;
    if (!d->local) {
        http_reply_error(r, 403, "DENIED", "only by the unix socket");
        return;
    }
    if (http_query_find(h->query, "binary", binary, sizeof binary) < 0 ||
        http_query_find(h->query, "config", config, sizeof config) < 0) {
        http_reply_error(r, 400, "INVAL", "binary=PATH and config=FILE, if any");
        return;
    }
    if (slice_is(h->method, "POST"))
        err = source->upgrade(source->context, binary, config);
    if (err)
        http_reply_error(r, 409, stead_error_name(err), "an upgrade is under way");
    else
        tell_upgrade(d, r);
}

static const struct {
    const char *path, *method;
    void (*answer)(struct door *d, struct http_request *r);
} pages[] = {
    {"/livez", "GET", answer_livez},         {"/readyz", "GET", answer_readyz},
    {"/metrics", "GET", answer_metrics},     {"/v1/status", "GET", answer_status},
    {"/v1/roster", "GET", answer_roster},    {"/v1/drain", "POST", answer_drain},
    {"/v1/undrain", "POST", answer_undrain}, {"/v1/maint", "POST", answer_maint},
    {"/v1/unmaint", "POST", answer_unmaint}, {"/v1/progress", "GET", answer_progress},
    {"/v1/change", "POST", answer_change},   {"/v1/reload", "POST", answer_reload},
    {"/v1/key", "POST", answer_key},         {"/v1/config", "GET", answer_config},
    {"/v1/nodes", "GET", answer_nodes},      {"/v1/decision", "GET", answer_decision},
    {"/v1/verify", "*", answer_verify},      {"/v1/session-end", "*", answer_session_end},
    {"/v1/snapshot", "*", answer_snapshot},  {"/v1/upgrade", "*", answer_upgrade},
};

static void refuse_method(struct http_request *r, const char *method)
{
    static const char body[] = "{\"error\": \"UNSUPPORTED\", \"message\": \"another method\"}\n";
    http_reply(r, 405, "application/json",
               method[0] == 'G'   ? "Allow: GET, HEAD\r\n"
               : method[0] == '*' ? "Allow: GET, HEAD, POST\r\n"
                                  : "Allow: POST\r\n",
               body, sizeof body - 1);
}

/* A browser would lend an operator's certificate to the requests of any web page. */
static bool is_of_a_page(const struct http_head *h)
{
    const struct http_header *site = http_find(h->headers, h->header_count, "sec-fetch-site");
    return http_find(h->headers, h->header_count, "origin") ||
           (site && !slice_is(site->value, "none") && !slice_is(site->value, "same-origin"));
}

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct door *d = context;
    const struct http_head *h = http_request_head(r);
    (void)body;
    (void)len;
    if (!d->orders && !d->tls && !http_request_host_is_loopback(r)) {
        http_reply_error(r, 403, "DENIED", "the Host header must name localhost");
        return HTTP_ANSWERED;
    }
    if (d->tls && is_of_a_page(h)) {
        http_reply_error(r, 403, "DENIED", "not for web pages");
        return HTTP_ANSWERED;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (!slice_is(h->path, pages[i].path))
            continue;
        bool get = pages[i].method[0] != 'P';
        bool post = pages[i].method[0] == '*' && slice_is(h->method, "POST");
        if (post || slice_is(h->method, get ? "GET" : "POST") ||
            (get && slice_is(h->method, "HEAD")))
            pages[i].answer(d, r);
        else
            refuse_method(r, pages[i].method);
        return HTTP_ANSWERED;
    }
    http_reply_error(
        r, 404, "NOT_FOUND",
        "there are /livez, /readyz, /metrics, /v1/status, /v1/roster, /v1/progress, "
        "/v1/nodes, /v1/config, /v1/change, /v1/reload, /v1/key, /v1/verify, /v1/session-end, "
        "/v1/snapshot, "
        "/v1/decision, /v1/drain, /v1/undrain, /v1/maint, /v1/unmaint "
        "and /v1/upgrade");
    return HTTP_ANSWERED;
}

/* -- the thread -- */

static void stop_asked(uv_async_t *async)
{
    struct admin *a = async->data;
    asks_close(&a->asks);
    for (size_t i = 0; i < 2; i++)
        if (a->doors[i].server)
            http_server_close(a->doors[i].server, NULL, NULL);
    uv_close((uv_handle_t *)&a->stop, NULL);
    uv_close((uv_handle_t *)&a->retire, NULL);
}

static void retire_asked(uv_async_t *async)
{
    struct admin *a = async->data;
    for (size_t i = 0; i < 2; i++)
        if (a->doors[i].server)
            http_server_retire(a->doors[i].server, atomic_load(&a->retired));
}

void admin_retire(struct admin *a, bool retired)
{
    if (!a)
        return;
    atomic_store(&a->retired, retired);
    uv_async_send(&a->retire);
}

static void run(void *context)
{
    struct admin *a = context;
    uv_run(&a->loop, UV_RUN_DEFAULT);
}

static int open_door(struct admin *a, struct door *d, int fd, struct tls_door *tls, bool orders)
{
    if (fd < 0)
        return STEAD_OK;
    struct http_server_config http = {.loop = &a->loop,
                                      .fd = fd,
                                      .tls = tls,
                                      .counters = &a->counters,
                                      .door = "admin",
                                      .handle = handle,
                                      .context = d};
    http_limits_default(&http.limits);
    http.limits.connections_max = ADMIN_CONNECTIONS_MAX;
    http.limits.body_max = 0;
    d->admin = a;
    d->local = !tls && orders;
    d->tls = tls != NULL;
    d->orders = orders;
    int err = http_server_open(&http, &d->server);
    if (err)
        close(fd);
    return err;
}

int admin_start(const struct admin_config *c, struct admin **out)
{
    struct admin *a = mem_alloc(sizeof *a);
    int err = a ? io_error(-uv_loop_init(&a->loop)) : STEAD_E_NOMEM;
    if (err) {
        if (c->unix_fd >= 0)
            close(c->unix_fd);
        if (c->tcp_fd >= 0)
            close(c->tcp_fd);
        mem_free(a);
        return err;
    }
    a->source = c->source;
    uv_async_init(&a->loop, &a->stop, stop_asked);
    uv_async_init(&a->loop, &a->retire, retire_asked);
    a->stop.data = a->retire.data = a;
    asks_open(&a->asks, &a->loop, &a->source);
    err = open_door(a, &a->doors[0], c->unix_fd, NULL, true);
    int other = open_door(a, &a->doors[1], c->tcp_fd, c->tls, c->tls && c->operators);
    err = err ? err : other;
    if (!err)
        err = io_error(-uv_thread_create(&a->thread, run, a));
    if (!err) {
        *out = a;
        return STEAD_OK;
    }
    stop_asked(&a->stop);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    uv_loop_close(&a->loop);
    mem_free(a);
    return err;
}

void admin_stop(struct admin *a)
{
    if (!a)
        return;
    uv_async_send(&a->stop);
    uv_thread_join(&a->thread);
    int busy = uv_loop_close(&a->loop);
    assert(busy == 0);
    (void)busy;
    mem_free(a);
}
