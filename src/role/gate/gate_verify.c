/* gate_verify.c - /v1/auth: a web server asks for each of its requests who sends it (nginx's
 * auth_request, Traefik's forwardAuth, Envoy's ext_authz), and applications log somebody in. */
#include "role/gate/gate_internal.h"

#include "base/clock.h"
#include "core/http/http_query.h"
#include "io/io.h"
#include "role/gate/gate_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PATH "/v1/auth"
#define LOGIN_MAX 1024
#define LOCATION_MAX (LOGIN_MAX + 3 * HTTP_TARGET_MAX + 1024)
#define NO_STORE "Cache-Control: no-store\r\n"

/* What is asked for; a query counts only behind the bare path, as behind a longer one it is the
 * client's. */
struct question {
    char cookie[GATE_COOKIE_MAX + 1], login[LOGIN_MAX];
    struct identity_need need;
};

static const char *read_question(const struct gate *g, const struct http_head *h,
                                 struct question *q)
{
    *q = (struct question){0};
    snprintf(q->cookie, sizeof q->cookie, "%s", g->config.auth_cookie);
    snprintf(q->login, sizeof q->login, "%s", g->config.auth_login);
    if (!slice_is(h->path, PATH))
        return NULL;
    char text[LOGIN_MAX];
    int found = http_query_find(h->query, "cookie", text, sizeof q->cookie);
    if (found < 0)
        return "cookie is a name of at most 63 characters";
    if (found)
        memcpy(q->cookie, text, strlen(text) + 1);
    found = http_query_find(h->query, "login", text, sizeof text);
    if (found < 0 || (found && !gate_login_valid(text)))
        return "login is an http or https URL";
    if (found)
        memcpy(q->login, text, strlen(text) + 1);
    if (http_query_find(h->query, "user", q->need.user, sizeof q->need.user) < 0 ||
        http_query_find(h->query, "claim", q->need.claim, sizeof q->need.claim) < 0 ||
        (q->need.claim[0] && !strchr(q->need.claim, ':')))
        return "user=NAME, claim=NAME:WORD";
    return NULL;
}

bool gate_login_valid(const char *url)
{
    struct http_url u;
    return strlen(url) < LOGIN_MAX && http_url_parse(url, strlen(url), &u);
}

/* -- who comes -- */

static struct slice header(const struct http_head *h, const char *name)
{
    const struct http_header *found = http_find(h->headers, h->header_count, name);
    return found ? found->value : (struct slice){NULL, 0};
}

/* The id in the Authorization header, where that is not for the gate's own token, or else in the
 * cookie. */
static struct slice find_id(const struct gate *g, const struct http_head *h, const char *cookie)
{
    static const char scheme[] = "Bearer ";
    struct slice bearer = header(h, "authorization");
    size_t skip = sizeof scheme - 1;
    if (!g->token && bearer.len > skip && strncasecmp(bearer.at, scheme, skip) == 0)
        return (struct slice){bearer.at + skip, bearer.len - skip};
    return http_find_cookie(h, cookie);
}

/* -- answers -- */

/* The URL that the client wanted, as the web server in front says; "" when it does not. */
static void put_return(const struct http_head *h, char *to, size_t cap, size_t *len)
{
    struct slice url = header(h, "x-original-url"), uri = header(h, "x-forwarded-uri");
    struct slice proto = header(h, "x-forwarded-proto"), host = header(h, "x-forwarded-host");
    if (url.at) {
        (void)http_percent_encode(url, to, cap, len);
        return;
    }
    if (!proto.at || !host.at)
        return;
    (void)(http_percent_encode(proto, to, cap, len) &&
           http_percent_encode((struct slice){"://", 3}, to, cap, len) &&
           http_percent_encode(host, to, cap, len) && http_percent_encode(uri, to, cap, len));
}

static void answer_stranger(struct gate *g, struct http_request *r, const struct question *q)
{
    const struct http_head *h = http_request_head(r);
    char headers[LOCATION_MAX + 256];
    static const char body[] = "{\"error\": \"DENIED\", \"message\": \"nobody is logged in\"}\n";
    gate_count(&g->config.counters->strangers);
    if (!q->login[0]) {
        snprintf(headers, sizeof headers, NO_STORE "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
                 g->farm);
        http_reply(r, 401, "application/json", headers, body, sizeof body - 1);
        return;
    }
    char location[LOCATION_MAX];
    int n = snprintf(location, sizeof location, "%s%creturn=", q->login,
                     strchr(q->login, '?') ? '&' : '?');
    size_t len = (size_t)n;
    put_return(h, location, sizeof location, &len);
    snprintf(headers, sizeof headers, NO_STORE "Location: %s\r\n", location);
    http_reply(r, 302, "application/json", headers, body, sizeof body - 1);
}

static void answer_known(struct gate *g, struct http_request *r, const struct record *record)
{
    char headers[IDENTITY_HEADERS_MAX + sizeof NO_STORE] = NO_STORE;
    if (identity_headers(record, headers + strlen(headers)) > 0)
        gate_count(&g->config.counters->claims_left_out);
    gate_count(&g->config.counters->known);
    http_reply(r, 200, NULL, headers, NULL, 0);
}

void gate_verify_result(struct gate_call *call, const struct session_result *result)
{
    struct gate *g = call->gate;
    struct question q;
    bool absent = result->status == STEAD_E_ABSENT || result->status == STEAD_E_ENDED;
    if (result->status != STEAD_OK && !absent) {
        gate_reply_status(call, result->status);
        return;
    }
    (void)read_question(g, http_request_head(call->request), &q); /* checked before */
    int status =
        absent || !result->record ? 401 : identity_check(result->record, &q.need, time(NULL));
    if (status == 200)
        answer_known(g, call->request, result->record);
    else if (status == 401)
        answer_stranger(g, call->request, &q);
    else
        gate_refuse(g, call->request, 403, STEAD_E_DENIED, "the login is not one that may do this");
    gate_call_free(call);
}

/* -- questions -- */

static void ask_store(struct gate *g, struct http_request *r, int kind, struct slice id)
{
    struct gate_call *call = gate_call_new(g, r);
    if (!call)
        return;
    call->verb = GATE_VERIFY;
    key_set(&call->key, (uint8_t)kind, id.at, id.len);
    call->deadline_ms = GATE_DEADLINE_MS;
    call->last_ns = io_now_ns() + GATE_DEADLINE_MS * NS_PER_MS;
    struct session_op op = {.type = SESSION_READ, .key = &call->key};
    gate_call_submit(call, &op);
}

void gate_verify_request(struct gate *g, struct http_request *r)
{
    struct question q;
    const struct http_head *h = http_request_head(r);
    int kind = kinds_find(store_kinds(g->config.store), "auth");
    const char *wrong = read_question(g, h, &q);
    if (kind < 0) {
        gate_refuse(g, r, 404, STEAD_E_NOT_FOUND, "the farm has no kind auth");
        return;
    }
    if (wrong) {
        gate_refuse(g, r, 400, STEAD_E_INVAL, wrong);
        return;
    }
    struct slice id = find_id(g, h, q.cookie);
    if (gate_id_is_plain(id))
        ask_store(g, r, kind, id);
    else
        answer_stranger(g, r, &q);
}
