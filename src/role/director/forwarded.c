/* forwarded.c - the rewritten request head. */
#include "role/director/forwarded.h"

#include "base/mem.h"
#include "core/http/http_hop.h"
#include "role/director/hop.h"
#include "stead/error.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define HOST_TEXT_MAX 280 /* a host of 253 bytes or an IPv6 literal in brackets, with its port */

/* What becomes of a field. */
enum fate {
    FATE_KEEP,
    FATE_DROP,
    FATE_TOLD, /* said anew */
    FATE_IDENTITY,
    FATE_LIST, /* its values are said again in a line of ours */
    FATE_HOST,
    FATE_REQUEST_ID,
    FATE_TRACEPARENT,
    FATE_TRACESTATE,
    FATE_EXPECT
};

struct text {
    char *at;
    size_t len, cap;
};

/* What is known of a head before it is written. */
struct plan {
    const struct http_head *h;
    const struct forwarded *f;
    struct http_hops hops;
    bool exchange, upgrades, wants_trailers;
    bool has_request_id;
    unsigned ids, traces; /* X-Request-Id and traceparent fields */
    bool trace_valid;
    char host[HOST_TEXT_MAX], ip[ADDR_TEXT_MAX];
    size_t host_len, ip_len;
};

static void put(struct text *t, const char *bytes, size_t len)
{
    assert(len <= t->cap - t->len);
    if (len)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
}

#define PUT(t, literal) put(t, literal, sizeof(literal) - 1)

static void put_slice(struct text *t, struct slice s)
{
    put(t, s.at, s.len);
}

static void put_decimal(struct text *t, unsigned value)
{
    char digits[12];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put(t, digits + at, sizeof(digits) - at);
}

/* -- fields -- */

static enum fate if_is(struct slice name, const char *text, enum fate fate)
{
    return strncasecmp(name.at, text, name.len) == 0 ? fate : FATE_KEEP;
}

/* Servers that make variables of names (CGI) take one for the other. */
static enum fate if_spelt(struct slice name, const char *text, enum fate fate)
{
    for (size_t i = 0; i < name.len; i++)
        if ((name.at[i] == '_' ? '-' : tolower((unsigned char)name.at[i])) != text[i])
            return FATE_KEEP;
    return fate;
}

/* The length tells most names apart. */
static enum fate fate_of(struct slice name)
{
    switch (name.len) {
    case 4:
        return if_is(name, "host", FATE_HOST);
    case 6:
        return if_is(name, "expect", FATE_EXPECT);
    case 9:
        return strncasecmp(name.at, HOP_HEADER, 9) == 0 ? FATE_DROP
                                                        : if_is(name, "forwarded", FATE_LIST);
    case 10:
        return if_is(name, "tracestate", FATE_TRACESTATE);
    case 11:
        return if_is(name, "traceparent", FATE_TRACEPARENT);
    case 12:
        return if_is(name, "x-request-id", FATE_REQUEST_ID);
    case 15:
        return if_is(name, "x-forwarded-for", FATE_LIST);
    case 16:
        return if_is(name, "x-forwarded-host", FATE_TOLD);
    case 17:
        return if_is(name, "x-forwarded-proto", FATE_TOLD);
    case 20:
        return if_spelt(name, "x-ssl-client-subject", FATE_IDENTITY);
    case 24:
        return if_spelt(name, "x-ssl-client-fingerprint", FATE_IDENTITY);
    default:
        return FATE_KEEP;
    }
}

static bool stays(const struct plan *p, const struct http_header *x)
{
    bool one_hop = p->exchange && (http_hop_of(x->name) != HTTP_HOP_END ||
                                   (p->hops.count && http_hops_name(&p->hops, x->name)));
    switch (fate_of(x->name)) {
    case FATE_DROP:
        return false;
    case FATE_LIST:
    case FATE_TOLD:
        return p->f->between &&
               !(p->f->omits & (x->name.len == 9 ? FORWARDED_NO_RFC7239 : FORWARDED_NO_X));
    case FATE_IDENTITY:
        return p->f->between && p->exchange && !one_hop && !(p->f->omits & FORWARDED_NO_X);
    case FATE_HOST:
        return !p->f->host.at && (p->h->target.at[0] == '/' || p->h->target.at[0] == '*');
    case FATE_REQUEST_ID:
        return !p->exchange || (p->has_request_id && !p->f->id);
    case FATE_TRACEPARENT:
    case FATE_TRACESTATE:
        return !p->exchange || p->trace_valid;
    case FATE_EXPECT:
        return !one_hop && (!p->exchange || p->h->minor > 0);
    case FATE_KEEP:
        break;
    }
    return !one_hop;
}

/* Whole lines as they came, those side by side at once. */
static void put_kept(struct text *t, const struct plan *p)
{
    const struct http_head *h = p->h;
    const char *from = NULL, *to = NULL;
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *x = &h->headers[i];
        if (!stays(p, x)) {
            put(t, from, from ? (size_t)(to - from) : 0);
            from = NULL;
            continue;
        }
        const char *end = x->value.at + x->value.len;
        while (*end != '\n') /* spaces and the CR; the parser saw to the end */
            end++;
        from = from ? from : x->name.at;
        to = end + 1;
    }
    put(t, from, from ? (size_t)(to - from) : 0);
}

/* -- lines of ours -- */

/* "host[:port]" as the client asked for it. */
static void plan_host(struct plan *p)
{
    const struct http_head *h = p->h;
    bool v6 = h->host.len && memchr(h->host.at, ':', h->host.len);
    struct text t = {.at = p->host, .cap = sizeof(p->host)};
    if (v6)
        PUT(&t, "[");
    if (h->host.len < 256)
        put_slice(&t, h->host);
    if (v6)
        PUT(&t, "]");
    if (h->port) {
        PUT(&t, ":");
        put_decimal(&t, h->port);
    }
    p->host_len = t.len;
}

/* For every request: without the library's formatter. */
static void plan_ip(struct plan *p)
{
    const struct addr *a = p->f->client;
    struct text t = {.at = p->ip, .cap = sizeof(p->ip)};
    for (int i = 0; a->family == 4 && i < 4; i++) {
        if (i)
            PUT(&t, ".");
        put_decimal(&t, a->ip[i]);
    }
    p->ip_len = a->family == 6 ? strlen(addr_format_ip(a, p->ip)) : t.len;
}

static void put_request_line(struct text *t, const struct plan *p)
{
    const struct http_head *h = p->h;
    put_slice(t, h->method);
    PUT(t, " ");
    put_slice(t, h->path);
    if (h->query.at) {
        PUT(t, "?");
        put_slice(t, h->query);
    }
    if (h->minor || p->exchange)
        PUT(t, " HTTP/1.1\r\n");
    else
        PUT(t, " HTTP/1.0\r\n");
}

static void put_values(struct text *t, const struct http_head *h, const char *name, size_t name_len)
{
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *x = &h->headers[i];
        if (x->value.len == 0 || x->name.len != name_len ||
            strncasecmp(x->name.at, name, name_len) != 0)
            continue;
        put_slice(t, x->value);
        PUT(t, ", ");
    }
}

static void put_x_forwarded(struct text *t, const struct plan *p)
{
    if (p->ip_len) {
        PUT(t, "X-Forwarded-For: ");
        put_values(t, p->h, "x-forwarded-for", 15);
        put(t, p->ip, p->ip_len);
        PUT(t, "\r\n");
    }
    if (p->f->tls)
        PUT(t, "X-Forwarded-Proto: https\r\n");
    else
        PUT(t, "X-Forwarded-Proto: http\r\n");
    if (p->host_len) {
        PUT(t, "X-Forwarded-Host: ");
        put(t, p->host, p->host_len);
        PUT(t, "\r\n");
    }
}

/* What is in a certificate is its signer's matter; a line stays a line in any case. */
static void put_identity(struct text *t, const struct tls_identity *id)
{
    PUT(t, "X-SSL-Client-Subject: ");
    for (const char *at = id->subject; *at; at++)
        put(t, *at >= ' ' && *at <= '~' ? at : "?", 1);
    PUT(t, "\r\nX-SSL-Client-Fingerprint: ");
    put(t, id->fingerprint, strlen(id->fingerprint));
    PUT(t, "\r\n");
}

static void put_forwarded(struct text *t, const struct plan *p)
{
    PUT(t, "Forwarded: ");
    put_values(t, p->h, "forwarded", 9);
    if (p->ip_len && p->f->client->family == 6) {
        PUT(t, "for=\"[");
        put(t, p->ip, p->ip_len);
        PUT(t, "]\";");
    } else if (p->ip_len) {
        PUT(t, "for=");
        put(t, p->ip, p->ip_len);
        PUT(t, ";");
    }
    if (p->host_len) {
        PUT(t, "host=\"");
        put(t, p->host, p->host_len);
        PUT(t, "\";");
    }
    if (p->f->tls)
        PUT(t, "proto=https\r\n");
    else
        PUT(t, "proto=http\r\n");
}

static void put_id(struct text *t, const struct forwarded *f)
{
    char own[REQUEST_ID_CHARS_MAX + 1];
    if (f->id)
        put(t, f->id, strlen(f->id));
    else
        put(t, own, request_id_make(f->random[0], f->node, own));
}

static void put_upgrade(struct text *t, const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++) {
        if (http_hop_of(h->headers[i].name) != HTTP_HOP_UPGRADE)
            continue;
        PUT(t, "Upgrade: ");
        put_slice(t, h->headers[i].value);
        PUT(t, "\r\n");
    }
}

static void put_hop_lines(struct text *t, const struct plan *p)
{
    if (p->h->chunked)
        PUT(t, "Transfer-Encoding: chunked\r\n");
    if (p->upgrades && p->wants_trailers)
        PUT(t, "Connection: upgrade, TE\r\n");
    else if (p->upgrades)
        PUT(t, "Connection: upgrade\r\n");
    else if (p->wants_trailers)
        PUT(t, "Connection: TE\r\n");
    if (p->wants_trailers)
        PUT(t, "TE: trailers\r\n");
    if (p->upgrades)
        put_upgrade(t, p->h);
}

static void put_names(struct text *t, const struct plan *p)
{
    if (p->f->early)
        PUT(t, "Early-Data: 1\r\n");
    if (p->f->hop) {
        PUT(t, HOP_HEADER ": ");
        put(t, p->f->hop, strlen(p->f->hop));
        PUT(t, "\r\n");
    }
    if (p->h->minor)
        PUT(t, "Via: 1.1 stead\r\n");
    else
        PUT(t, "Via: 1.0 stead\r\n");
    if (p->f->id || !p->has_request_id) {
        PUT(t, "X-Request-Id: ");
        put_id(t, p->f);
        PUT(t, "\r\n");
    }
    if (p->f->make_trace && !p->trace_valid) {
        char text[TRACE_TEXT_MAX];
        struct trace trace;
        trace_begin(&trace, p->f->random);
        trace_format(&trace, text);
        PUT(t, "traceparent: ");
        put(t, text, TRACE_TEXT_MAX - 1);
        PUT(t, "\r\n");
    }
}

/* -- heads -- */

/* HTTP/2 and TLS in the clear would be spoken past all that looks at requests here. */
static bool is_protocol_for_ends(struct slice value)
{
    struct slice protocol;
    while (http_list_next(&value, &protocol)) {
        bool http2 = protocol.len >= 2 && strncasecmp(protocol.at, "h2", 2) == 0;
        bool http = protocol.len >= 4 && strncasecmp(protocol.at, "http", 4) == 0;
        bool tls = protocol.len >= 3 && strncasecmp(protocol.at, "tls", 3) == 0;
        if (protocol.len == 0 || http2 || http || tls)
            return false;
    }
    return true;
}

bool forwarded_upgrades(const struct http_head *h)
{
    if (!h->upgrade)
        return false;
    for (size_t i = 0; i < h->header_count; i++)
        if (http_hop_of(h->headers[i].name) == HTTP_HOP_UPGRADE &&
            !is_protocol_for_ends(h->headers[i].value))
            return false;
    return true;
}

static bool names_trailers(struct slice value)
{
    struct slice coding;
    while (http_list_next(&value, &coding))
        if (slice_is_nocase(coding, "trailers"))
            return true;
    return false;
}

static void plan_fields(struct plan *p)
{
    struct trace trace;
    for (size_t i = 0; i < p->h->header_count; i++) {
        const struct http_header *x = &p->h->headers[i];
        switch (fate_of(x->name)) {
        case FATE_REQUEST_ID:
            p->has_request_id = p->ids++ == 0 && request_id_valid(x->value);
            break;
        case FATE_TRACEPARENT:
            p->trace_valid = p->traces++ == 0 && trace_parse(x->value, &trace);
            break;
        default:
            if (http_hop_of(x->name) == HTTP_HOP_TE)
                p->wants_trailers = p->h->minor > 0 && names_trailers(x->value);
        }
    }
    p->upgrades = forwarded_upgrades(p->h);
}

static void plan_init(struct plan *p, const struct http_head *h, const struct forwarded *f,
                      bool exchange)
{
    p->h = h;
    p->f = f;
    p->exchange = exchange;
    p->hops.count = 0;
    p->upgrades = p->wants_trailers = p->has_request_id = p->trace_valid = false;
    p->ids = p->traces = 0;
    plan_host(p);
    plan_ip(p);
}

static void put_head(struct text *t, const struct plan *p)
{
    const struct http_head *h = p->h;
    put_request_line(t, p);
    put_kept(t, p);
    if (p->f->host.at) {
        PUT(t, "Host: ");
        put_slice(t, p->f->host);
        PUT(t, "\r\n");
    } else if (h->target.at[0] != '/' && h->target.at[0] != '*' && p->host_len) {
        PUT(t, "Host: ");
        put(t, p->host, p->host_len);
        PUT(t, "\r\n");
    }
    if (p->f->between)
        return;
    if (!(p->f->omits & FORWARDED_NO_X))
        put_x_forwarded(t, p);
    if (!(p->f->omits & FORWARDED_NO_X) && p->f->identity)
        put_identity(t, p->f->identity);
    if (!(p->f->omits & FORWARDED_NO_RFC7239))
        put_forwarded(t, p);
}

int forwarded_build(const struct http_head *h, const struct forwarded *f, struct slice rest,
                    char **out, size_t *len)
{
    struct plan p;
    struct text t = {.cap = h->head_bytes + FORWARDED_ADDED_MAX + rest.len};
    t.at = mem_alloc(t.cap);
    if (!t.at)
        return STEAD_E_NOMEM;
    plan_init(&p, h, f, false);
    put_head(&t, &p);
    PUT(&t, "\r\n");
    put_slice(&t, rest);
    *out = t.at;
    *len = t.len;
    return STEAD_OK;
}

size_t forwarded_head(const struct http_head *h, const struct forwarded *f, char *out)
{
    struct plan p;
    struct text t = {.at = out, .cap = h->head_bytes + FORWARDED_ADDED_MAX};
    plan_init(&p, h, f, true);
    if (!http_hops_collect(&p.hops, h->headers, h->header_count))
        return 0;
    plan_fields(&p);
    put_head(&t, &p);
    put_names(&t, &p);
    put_hop_lines(&t, &p);
    PUT(&t, "\r\n");
    return t.len;
}
