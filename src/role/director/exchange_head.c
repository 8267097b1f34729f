/* exchange_head.c - what is said to the client of the server's answer, and the answers that the
 * server did not give. */
#include "role/director/exchange_head.h"

#include "core/http/http_hop.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define VERSION_CHARS 8 /* "HTTP/1.x" */

static bool has_no_body(int status)
{
    return status < 200 || status == 204;
}

static bool is_length(struct slice name)
{
    return name.len == 14 && slice_is_nocase(name, "content-length");
}

bool exchange_head_passes(const struct http_response_head *h, const char *bytes,
                          const struct exchange_way *way)
{
    if (way->old_client || way->closes || way->upgrades || way->lines.at ||
        bytes[VERSION_CHARS - 1] != '1' || has_no_body(h->status))
        return false;
    for (size_t i = 0; i < h->header_count; i++) {
        enum http_hop hop = http_hop_of(h->headers[i].name);
        if (hop != HTTP_HOP_END && !(hop == HTTP_HOP_CODING && h->chunked))
            return false;
    }
    return true;
}

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static const char *line_end(const char *at)
{
    while (*at != '\n') /* the parser saw to one */
        at++;
    return at + 1;
}

/* 204 and 1xx have no length, and must not claim one. */
static bool stays(const struct http_response_head *h, const struct http_header *x,
                  const struct http_hops *hops, const struct exchange_way *way)
{
    enum http_hop hop = http_hop_of(x->name);
    if (hop == HTTP_HOP_UPGRADE)
        return way->upgrades || h->status == 426;
    if (hop != HTTP_HOP_END || (has_no_body(h->status) && is_length(x->name)))
        return false;
    return hops->count == 0 || !http_hops_name(hops, x->name);
}

size_t exchange_head(const struct http_response_head *h, const char *bytes,
                     const struct exchange_way *way, char *out)
{
    struct http_hops hops;
    const char *first = bytes + VERSION_CHARS;
    if (!http_hops_collect(&hops, h->headers, h->header_count))
        return 0;
    char *at = PUT(out, "HTTP/1.1");
    at = put(at, first, (size_t)(line_end(first) - first));
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *x = &h->headers[i];
        if (stays(h, x, &hops, way))
            at = put(at, x->name.at, (size_t)(line_end(x->value.at + x->value.len) - x->name.at));
    }
    if (h->chunked && !way->old_client)
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    if (way->upgrades)
        at = PUT(at, "Connection: upgrade\r\n");
    else if (way->closes && !way->interim)
        at = PUT(at, "Connection: close\r\n");
    else if (way->old_client && !way->interim)
        at = PUT(at, "Connection: keep-alive\r\n");
    if (way->lines.at)
        at = put(at, way->lines.at, way->lines.len);
    at = PUT(at, "\r\n");
    return (size_t)(at - out);
}

static const char *error_text(int status)
{
    switch (status) {
    case 400:
        return "{\"error\": \"PARSE\", \"message\": \"malformed body\"}\n";
    case 408:
        return "{\"error\": \"DEADLINE\", \"message\": \"the request did not come in time\"}\n";
    case 502:
        return "{\"error\": \"UNREACHABLE\", \"message\": \"the server gave no usable answer\"}\n";
    case 504:
        return "{\"error\": \"DEADLINE\", \"message\": \"the server did not answer in time\"}\n";
    default:
        return "{\"error\": \"BUSY\", \"message\": \"not possible just now\"}\n";
    }
}

size_t exchange_error(int status, bool head_only, int64_t now_s, char out[EXCHANGE_ERROR_MAX])
{
    char date[64];
    struct tm tm;
    time_t now = (time_t)now_s;
    const char *body = error_text(status);
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int n = snprintf(out, EXCHANGE_ERROR_MAX,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: stead\r\nContent-Type: "
                     "application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     status, http_reason(status), date, strlen(body), head_only ? "" : body);
    return (size_t)n;
}
