/* gate_reply.c - answers: the status of every error, and the JSON of records, kinds and failures.
 */
#include "role/gate/gate_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define COMMON_HEADERS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define ERROR_BODY_MAX 1024

static const struct {
    int err, status;
} statuses[] = {
    {STEAD_E_ABSENT, 404},      {STEAD_E_ENDED, 404},     {STEAD_E_NOT_FOUND, 404},
    {STEAD_E_EXISTS, 409},      {STEAD_E_CONFLICT, 412},  {STEAD_E_TOO_LARGE, 413},
    {STEAD_E_INVAL, 400},       {STEAD_E_FULL, 507},      {STEAD_E_ALONE, 503},
    {STEAD_E_UNREACHABLE, 503}, {STEAD_E_BUSY, 503},      {STEAD_E_FENCED, 503},
    {STEAD_E_UNKNOWN, 503},     {STEAD_E_NO_QUORUM, 503}, {STEAD_E_DEADLINE, 503},
    {STEAD_E_NOMEM, 503},
};

static int status_of(int err)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].err == err)
            return statuses[i].status;
    return 500;
}

/* `extra` is more JSON members, or "". All texts are our own: nothing to escape. */
static void reply_error(struct http_request *r, int status, int err, const char *message,
                        const char *extra, const char *headers)
{
    char body[ERROR_BODY_MAX], all[GATE_HEADERS_MAX];
    int n = snprintf(body, sizeof body, "{\"error\": \"%s\", \"message\": \"%s\"%s}\n",
                     stead_error_name(err), message, extra);
    snprintf(all, sizeof all, COMMON_HEADERS "%s%s", status == 503 ? "Retry-After: 1\r\n" : "",
             headers);
    size_t len = (size_t)n < sizeof body ? (size_t)n : sizeof body - 1;
    http_reply(r, status, JSON_TYPE, all, body, len);
}

/* Quotes in our own sentences. */
static void escape(const char *text, char *out, size_t cap)
{
    size_t n = 0;
    for (; *text && n + 3 < cap; text++) {
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
}

void gate_refuse(struct gate *g, struct http_request *r, int status, int err, const char *why)
{
    char message[ERROR_BODY_MAX - 128];
    escape(why, message, sizeof message);
    if (status < 500 && status != 401 && status != 403)
        gate_count(&g->config.counters->invalid);
    reply_error(r, status, err, message, "", status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
}

void gate_refuse_method(struct gate *g, struct http_request *r, const char *allow)
{
    char header[128];
    snprintf(header, sizeof header, "Allow: %s\r\n", allow);
    gate_count(&g->config.counters->invalid);
    reply_error(r, 405, STEAD_E_UNSUPPORTED, "the resource does not have this method", "", header);
}

/* A failure of the store, counted. */
static void reply_failure(struct gate_call *call, int err, const char *extra)
{
    struct gate_counters *counters = call->gate->config.counters;
    int status = status_of(err);
    const char *message = stead_error_text(err);
    if (err == STEAD_E_INVAL && call->verb == GATE_CHANGE) {
        status = 422;
        message = "add: a field is no whole number, or would go beyond 64 bits";
    }
    if (status >= 500)
        gate_count(&counters->failed);
    if (extra[0])
        gate_count(&counters->unknown);
    reply_error(call->request, status, err, message, extra, "");
    gate_call_free(call);
}

void gate_reply_status(struct gate_call *call, int err)
{
    /* A renewal that fails here has left the old record as it was. */
    bool writes = call->verb != GATE_READ && call->verb != GATE_VERIFY &&
                  call->verb != GATE_RENEW && call->verb != GATE_TLS_GET;
    bool open =
        writes && (err == STEAD_E_UNKNOWN || err == STEAD_E_DEADLINE || err == STEAD_E_FENCED);
    reply_failure(call, err, open ? ", \"outcome\": \"unknown\"" : "");
}

void gate_reply_unknown_renewal(struct gate_call *call, int err)
{
    char extra[128];
    snprintf(extra, sizeof extra, ", \"outcome\": \"unknown\", \"new_id\": \"%.*s\"",
             (int)call->new_key.len, (const char *)call->new_key.bytes);
    reply_failure(call, err, extra);
}

void gate_reply_empty(struct gate_call *call, int status)
{
    http_reply(call->request, status, NULL, COMMON_HEADERS, NULL, 0);
    gate_call_free(call);
}

void gate_reply_record(struct gate_call *call, int status, const struct record *r, unsigned copies,
                       const char *origin)
{
    const char *kind = store_kinds(call->gate->config.store)->kind[r->key.kind].name;
    char headers[GATE_HEADERS_MAX], version[GATE_VERSION_MAX];
    gate_version_text(r, version);
    int n = snprintf(headers, sizeof headers, COMMON_HEADERS "ETag: \"%s\"\r\n", version);
    size_t have = (size_t)n;
    if (origin)
        have +=
            (size_t)snprintf(headers + have, sizeof headers - have, "Stead-Origin: %s\r\n", origin);
    if (status == 201 || call->verb == GATE_RENEW)
        snprintf(headers + have, sizeof headers - have, "Location: /v1/sessions/%s/%.*s\r\n", kind,
                 (int)r->key.len, (const char *)r->key.bytes);
    char *body = status == 304
                     ? NULL
                     : gate_record_json(r, call->gate->config.private, call->left_ms, kind, copies);
    if (!body && status != 304) {
        gate_reply_status(call, STEAD_E_NOMEM);
        return;
    }
    http_reply(call->request, status, body ? JSON_TYPE : NULL, headers, body,
               body ? strlen(body) : 0);
    gate_text_free(body);
    gate_call_free(call);
}

void gate_reply_json(struct http_request *r, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    size_t len = text ? strlen(text) : 0;
    json_decref(j);
    if (text)
        http_reply(r, 200, JSON_TYPE, COMMON_HEADERS, text, len);
    else
        http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
    if (text)
        explicit_bzero(text, len); /* of some it is a key */
    free(text);
}

static json_t *names_json(const struct gate *g, size_t kind)
{
    const struct private_rules *p = g->config.private;
    json_t *names = json_array();
    for (size_t i = 0; p && i < p->kind[kind].count; i++)
        json_array_append_new(names, json_stringn((const char *)p->kind[kind].names[i].at,
                                                  p->kind[kind].names[i].len));
    return names;
}

static json_t *kind_json(const struct kind *k, json_t *private)
{
    json_t *copies = k->group                  ? json_string("group")
                     : k->copies == COPIES_ALL ? json_string("all")
                                               : json_integer(k->copies);
    json_t *ack = k->ack == ACK_ALL ? json_string("all") : json_integer(k->ack);
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:b, s:b, s:s, s:s, s:s, s:s, s:f, s:I, s:o}", "name", k->name,
        "copies", copies, "ack", ack, "short", k->short_refuse ? "refuse" : "accept", "losable",
        (int)k->losable, "sliding", (int)k->sliding, "when_alone",
        k->when_alone == ALONE_ACCEPT ? "accept" : "refuse", "when_full",
        k->when_full == FULL_EVICT ? "evict" : "refuse", "deletion",
        k->deletion == DELETE_FINAL ? "final" : "versioned", "atomic",
        k->atomic == ATOMIC_QUORUM ? "quorum" : "available", "ttl", (double)k->ttl_ms / 1000.0,
        "size", (json_int_t)kind_size_max(k), "private", private);
}

void gate_reply_kinds(struct gate *g, struct http_request *r)
{
    struct kinds kinds;
    store_kinds_now(g->config.store, &kinds);
    json_t *list = json_array();
    for (size_t i = 0; i < kinds.count; i++)
        json_array_append_new(list, kind_json(&kinds.kind[i], names_json(g, i)));
    gate_reply_json(r, json_pack("{s:o}", "kinds", list));
}

void gate_reply_whoami(struct gate *g, struct http_request *r)
{
    gate_reply_json(r, json_pack("{s:s, s:s}", "node", g->node, "farm", g->farm));
}
