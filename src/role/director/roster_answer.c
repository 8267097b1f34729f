/* roster_answer.c - from a request for the roster to its reply, or to a watcher. */
#include "role/director/roster_answer.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/director/cors.h"
#include "role/director/roster_query.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ETAG_MAX 48
#define HEADERS_MAX (CORS_HEADERS_MAX + ETAG_MAX + 96)
#define VARY "Vary: Accept, Origin\r\n"
#define FORMS 2 /* JSON and text, for each network */
#define NETWORKS 2
#define BUSY_RETRY_S_MIN 2

struct kept {
    char *text; /* mem_free; NULL: not made yet */
    size_t len;
};

struct roster_answers {
    const struct decide_config *config;
    struct roster_rules rules;
    const char *self_name;
    struct roster_counters *counters;
    struct watch *watch;
    void (*closed)(void *context);
    void *closed_context;
    uint64_t revision;                    /* that is kept */
    struct kept kept[][NETWORKS * FORMS]; /* the configured services, then the whole: room for
                                             DECIDE_SERVICES_MAX + 1 */
};

/* -- texts that are kept -- */

static void forget(struct roster_answers *a)
{
    for (size_t i = 0; i <= DECIDE_SERVICES_MAX; i++)
        for (size_t j = 0; j < NETWORKS * FORMS; j++) {
            mem_free(a->kept[i][j].text);
            a->kept[i][j] = (struct kept){NULL, 0};
        }
}

/* NULL: of a service that this node does not know, which is not kept. */
static struct kept *place_for(struct roster_answers *a, const struct roster_query *q,
                              enum network network)
{
    size_t i = 0, count = a->config->service_count;
    while (i < count && strcmp(a->config->services[i].name, q->service) != 0)
        i++;
    if ((i == count && *q->service != '\0') || *q->after != '\0' || q->limit > 0)
        return NULL;
    return &a->kept[i][(size_t)network * FORMS + (q->format == ROSTER_TEXT)];
}

static char *render(struct roster_answers *a, const struct roster *r, const struct roster_query *q,
                    enum network network, size_t *len)
{
    const char *service = *q->service != '\0' ? q->service : NULL;
    const struct roster_show show = {.service = service,
                                     .network = network,
                                     .coarse = a->rules.exposure == ROSTER_COARSE,
                                     .retry_window_ms = retry_window(r, service, &a->rules.retry),
                                     .after = *q->after != '\0' ? q->after : NULL,
                                     .limit = q->limit};
    a->counters->rendered++;
    return q->format == ROSTER_TEXT ? roster_show_text(r, &show, len)
                                    : roster_show_json(r, &show, len);
}

/* -- who asks -- */

static enum network network_of(const struct roster_rules *rules, const struct addr *peer)
{
    for (size_t i = 0; i < rules->inside_count; i++)
        if (prefix_has(&rules->inside[i], peer))
            return NETWORK_INSIDE;
    return NETWORK_OUTSIDE;
}

/* In time that depends on the client's length alone. */
static bool token_equal(const char *token, struct slice given)
{
    size_t own = strlen(token);
    unsigned differs = own != given.len;
    for (size_t i = 0; i < given.len; i++)
        differs |= (unsigned char)given.at[i] ^ (unsigned char)token[own ? i % own : 0];
    return !differs && own > 0;
}

static bool may_ask(const struct roster_rules *rules, const struct http_head *h)
{
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof scheme - 1;
    if (rules->exposure != ROSTER_AUTHENTICATED)
        return true;
    const struct http_header *auth = http_find(h->headers, h->header_count, "Authorization");
    return rules->token != NULL && auth != NULL && auth->value.len > skip &&
           strncasecmp(auth->value.at, scheme, skip) == 0 &&
           token_equal(rules->token, (struct slice){auth->value.at + skip, auth->value.len - skip});
}

/* -- watchers -- */

static uint32_t busy_retry_s(const struct roster_answers *a, const struct roster *r)
{
    uint32_t s = (retry_window(r, NULL, &a->rules.retry) + 999) / 1000;
    return s < BUSY_RETRY_S_MIN ? BUSY_RETRY_S_MIN : s;
}

/* A copy that ends with NUL; "" when it is too long to be one of ours. */
static const char *last_event_id(const struct http_head *h, char out[ETAG_MAX])
{
    const struct http_header *id = http_find(h->headers, h->header_count, "Last-Event-ID");
    out[0] = '\0';
    if (id != NULL && id->value.len < ETAG_MAX) {
        memcpy(out, id->value.at, id->value.len);
        out[id->value.len] = '\0';
    }
    return out;
}

static void reply_busy(struct roster_answers *a, struct http_request *r,
                       const struct roster *roster, const char *more)
{
    static const char body[] = "{\"error\": \"BUSY\", \"message\": \"as many watch as may\"}\n";
    char headers[HEADERS_MAX + 32];
    snprintf(headers, sizeof headers, "Retry-After: %u\r\n%s", busy_retry_s(a, roster), more);
    http_reply(r, 503, "application/json", headers, body, sizeof body - 1);
}

/* A topic for whatever a stranger names would use up their number. */
static bool known_service(const struct roster_answers *a, const struct roster *r,
                          const char *service)
{
    if (*service == '\0')
        return true;
    for (size_t i = 0; i < a->config->service_count; i++)
        if (strcmp(a->config->services[i].name, service) == 0)
            return true;
    for (size_t i = 0; i < r->count; i++)
        if (roster_server(&r->nodes[i], service) != NULL)
            return true;
    return false;
}

static void start_watch(struct roster_answers *a, struct http_request *r,
                        const struct roster *roster, const struct roster_query *q,
                        const char *headers)
{
    char id[ETAG_MAX], *bytes;
    size_t len;
    struct watch_ask ask = {.service = q->service,
                            .network = network_of(&a->rules, http_request_peer(r)),
                            .coarse = a->rules.exposure == ROSTER_COARSE,
                            .on = q->on,
                            .last_id = last_event_id(http_request_head(r), id),
                            .headers = headers};
    if (!known_service(a, roster, q->service)) {
        http_reply_error(r, 404, "NOT_FOUND", "the farm has no such service");
        return;
    }
    if (!watch_admits(a->watch)) {
        reply_busy(a, r, roster, headers);
        return;
    }
    struct stream client;
    int e = http_take(r, &client, &bytes, &len);
    if (e != STEAD_OK) {
        http_reply_error(r, 503, stead_error_name(e), stead_error_text(e));
        return;
    }
    mem_free(bytes);
    watch_add(a->watch, client, &ask);
}

/* -- replies -- */

static bool matches(const struct http_head *h, const char *etag)
{
    const struct http_header *x = http_find(h->headers, h->header_count, "If-None-Match");
    return x != NULL && (slice_is(x->value, "*") ||
                         (x->value.len && memmem(x->value.at, x->value.len, etag, strlen(etag))));
}

static void reply_text(struct roster_answers *a, struct http_request *r,
                       const struct roster *roster, const struct roster_query *q,
                       const char *headers)
{
    enum network network = network_of(&a->rules, http_request_peer(r));
    if (a->revision != roster->revision) {
        forget(a);
        a->revision = roster->revision;
    }
    struct kept own = {NULL, 0}, *k = place_for(a, q, network);
    if (k == NULL)
        k = &own;
    if (k->text == NULL)
        k->text = render(a, roster, q, network, &k->len);
    if (k->text == NULL)
        http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
    else
        http_reply(r, 200,
                   q->format == ROSTER_TEXT ? "text/plain; charset=utf-8" : "application/json",
                   headers, k->text, k->len);
    mem_free(own.text);
}

static void reply_roster(struct roster_answers *a, struct http_request *r,
                         const struct roster *roster, const struct roster_query *q,
                         const char *cors)
{
    char etag[ETAG_MAX], headers[HEADERS_MAX];
    const struct http_head *h = http_request_head(r);
    const struct roster_node *self = roster_find(roster, a->self_name);
    snprintf(etag, sizeof etag, "\"%llx-%llu\"", self ? (unsigned long long)self->entry->inc : 0ull,
             (unsigned long long)roster->revision);
    snprintf(headers, sizeof headers, "ETag: %s\r\nCache-Control: no-cache\r\n" VARY "%s", etag,
             cors);
    if (matches(h, etag)) {
        a->counters->not_modified++;
        http_reply(r, 304, NULL, headers, NULL, 0);
        return;
    }
    reply_text(a, r, roster, q, headers);
}

static void reply_preflight(struct roster_answers *a, struct http_request *r)
{
    char headers[CORS_HEADERS_MAX];
    if (a->rules.cors != NULL && cors_preflight(a->rules.cors, http_request_head(r), headers))
        http_reply(r, 204, NULL, headers, NULL, 0);
    else
        http_reply(r, 204, NULL, "Allow: GET, HEAD, OPTIONS\r\n" VARY, NULL, 0);
}

void roster_answer(struct roster_answers *a, struct http_request *r, const struct roster *roster)
{
    const struct http_head *h = http_request_head(r);
    char cors[CORS_HEADERS_MAX] = "", headers[HEADERS_MAX];
    struct roster_query q;
    const char *why;
    if (slice_is(h->method, "OPTIONS")) {
        reply_preflight(a, r);
        return;
    }
    if (a->rules.cors != NULL)
        cors_headers(a->rules.cors, h, cors);
    snprintf(headers, sizeof headers, "Cache-Control: no-store\r\n" VARY "%s", cors);
    if (!may_ask(&a->rules, h)) {
        static const char body[] =
            "{\"error\": \"DENIED\", \"message\": \"send the token as Authorization: Bearer\"}\n";
        a->counters->denied++;
        snprintf(headers, sizeof headers, "WWW-Authenticate: Bearer\r\n" VARY "%s", cors);
        http_reply(r, 401, "application/json", headers, body, sizeof body - 1);
    } else if (roster_query_parse(h, &q, &why) != STEAD_OK) {
        http_reply_error(r, 400, "INVAL", why);
    } else if (q.format != ROSTER_SSE) {
        reply_roster(a, r, roster, &q, cors);
    } else if (slice_is(h->method, "HEAD")) {
        http_reply(r, 200, "text/event-stream", headers, NULL, 0);
    } else {
        start_watch(a, r, roster, &q, headers);
    }
}

/* -- lifetime -- */

static struct roster *newest(void *context)
{
    return store_roster(context);
}

int roster_answers_open(const struct roster_answers_config *c, struct roster_answers **out)
{
    uint64_t seed;
    struct roster_answers *a = mem_alloc(sizeof *a + (DECIDE_SERVICES_MAX + 1) * sizeof a->kept[0]);
    if (a == NULL)
        return STEAD_E_NOMEM;
    a->config = c->decide;
    a->rules = c->rules;
    a->self_name = c->self_name;
    a->counters = c->counters;
    io_random(&seed, sizeof seed);
    const struct watch_config w = {.loop = c->loop,
                                   .roster = newest,
                                   .context = c->store,
                                   .feed = c->rules.feed,
                                   .self_name = c->self_name,
                                   .retry = c->rules.retry,
                                   .watchers_max = c->rules.watchers_max,
                                   .here_max = c->rules.watchers_here,
                                   .counters = &c->counters->watch,
                                   .seed = seed};
    int err = watch_open(&w, &a->watch);
    if (err != STEAD_OK) {
        mem_free(a);
        return err;
    }
    *out = a;
    return STEAD_OK;
}

void roster_answers_forget(struct roster_answers *a)
{
    forget(a);
}

struct watch *roster_answers_watch(struct roster_answers *a)
{
    return a->watch;
}

static void on_watch_closed(void *context)
{
    struct roster_answers *a = context;
    void (*closed)(void *) = a->closed;
    void *closed_context = a->closed_context;
    forget(a);
    mem_free(a);
    closed(closed_context);
}

void roster_answers_close(struct roster_answers *a, void (*closed)(void *context), void *context)
{
    a->closed = closed;
    a->closed_context = context;
    watch_close(a->watch, on_watch_closed, a);
}
