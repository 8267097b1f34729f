/* http.c - request and response heads. The lines come from http_scan.c, the fields' meaning from
 * http_fields.c; here are the start lines, the target and what follows for the message as a whole.
 */
#include "core/http/http_scan.h"

#include <string.h>
#include <strings.h>

#define METHOD_MAX 32

static void scan_init(struct http_scan *s, const char *bytes, size_t len)
{
    s->capped = len >= HTTP_HEAD_MAX;
    s->at = bytes;
    s->end = bytes + (s->capped ? HTTP_HEAD_MAX : len);
    s->why = NULL;
}

static int scan_method(struct http_scan *s, struct slice *method)
{
    method->at = s->at;
    while (s->at < s->end && http_is_token(*s->at) && s->at - method->at <= METHOD_MAX)
        s->at++;
    method->len = (size_t)(s->at - method->at);
    if (method->len > METHOD_MAX)
        return http_scan_refuse(s, -400, "the method is too long");
    if (s->at < s->end && method->len == 0)
        return http_scan_refuse(s, -400, "no method where one belongs");
    return http_scan_char(s, ' ', "no single space after the method");
}

static int scan_target(struct http_scan *s, struct slice *target)
{
    bool query = false;
    target->at = s->at;
    while (s->at < s->end &&
           (query ? http_is_query(*s->at) : http_is_path(*s->at) || *s->at == '?')) {
        query |= *s->at == '?';
        if (++s->at - target->at > HTTP_TARGET_MAX)
            return http_scan_refuse(s, -414, "the target is too long");
    }
    target->len = (size_t)(s->at - target->at);
    if (s->at < s->end && target->len == 0)
        return http_scan_refuse(s, -400, "no target where one belongs");
    return http_scan_char(s, ' ', "a character that may not stand in a target");
}

static int scan_request_line(struct http_scan *s, struct http_head *h)
{
    int r;
    /* RFC 9112 2.2: one empty line before the request is overlooked. */
    if (s->at < s->end && *s->at == '\r' && (r = http_scan_crlf(s)) != 1)
        return r;
    if ((r = scan_method(s, &h->method)) != 1 || (r = scan_target(s, &h->target)) != 1 ||
        (r = http_scan_version(s, &h->minor)) != 1)
        return r;
    return http_scan_crlf(s);
}

static void split_path(struct http_head *h, struct slice path)
{
    const char *mark = path.len ? memchr(path.at, '?', path.len) : NULL;
    h->path = path;
    if (mark) {
        h->path.len = (size_t)(mark - path.at);
        h->query = (struct slice){mark + 1, path.len - h->path.len - 1};
    }
}

/* The four forms of RFC 9112 3.2. `authority` is given back when the target has one. */
static bool parse_target(struct http_head *h, bool *has_authority)
{
    struct http_url url;
    *has_authority = false;
    if (slice_is(h->method, "CONNECT")) {
        *has_authority = true;
        h->path = (struct slice){h->target.at, 0};
        return http_authority(h->target, &h->host, &h->port) && h->port != 0;
    }
    if (h->target.at[0] == '/') {
        split_path(h, h->target);
        return true;
    }
    if (slice_is(h->target, "*")) {
        h->path = h->target;
        return slice_is(h->method, "OPTIONS");
    }
    if (!http_url_parse(h->target.at, h->target.len, &url))
        return false;
    *has_authority = true;
    h->host = url.host;
    h->port = url.port_given ? url.port : 0;
    split_path(h, url.path);
    /* The slash before the authority stands for a path that is not there: like all that a head
     * refers to it lies in the message, and can be moved with it. */
    if (h->path.len == 0)
        h->path = (struct slice){url.authority.at - 1, 1};
    return true;
}

/* Where the target names a host too, both must agree: whoever stands behind this parser may read
 * the other one. */
static const char *parse_host(struct http_head *h, const struct http_fields *f, bool has_authority)
{
    struct slice host;
    uint16_t port;
    if (f->hosts > 1)
        return "more than one Host";
    if (f->hosts == 0)
        return h->minor == 1 ? "HTTP/1.1 without Host" : NULL;
    if (!http_authority(f->host, &host, &port))
        return "a malformed Host";
    if (has_authority &&
        (host.len != h->host.len || strncasecmp(host.at, h->host.at, host.len) != 0 ||
         (port != h->port && port && h->port)))
        return "Host and target name different hosts";
    if (!has_authority) {
        h->host = host;
        h->port = port;
    }
    return NULL;
}

static int refuse(const char **why, int status, const char *reason)
{
    *why = reason;
    return status;
}

int http_parse_request(const char *bytes, size_t len, struct http_head *h, const char **why)
{
    struct http_scan s;
    struct http_fields f;
    bool has_authority;
    /* The array of headers is left as it is: clearing 3 KB would cost more than parsing. */
    memset(h, 0, offsetof(struct http_head, headers));
    scan_init(&s, bytes, len);
    int r = scan_request_line(&s, h);
    if (r == 1)
        r = http_scan_headers(&s, h->headers, &h->header_count);
    if (r != 1)
        return refuse(why, r, s.why);
    if (!parse_target(h, &has_authority))
        return refuse(why, -400, "a malformed target");
    if ((r = http_fields_collect(&f, h->headers, h->header_count, h->minor, why)) != 1)
        return r;
    const char *fault = parse_host(h, &f, has_authority);
    if (fault)
        return refuse(why, -400, fault);
    h->head_bytes = (size_t)(s.at - bytes);
    h->chunked = f.codings > 0;
    h->has_length = f.lengths > 0;
    h->length = f.length;
    h->keep_alive = !f.close && (h->minor == 1 || f.keep_alive);
    h->upgrade = f.wants_upgrade && f.names_upgrade;
    h->expect_continue = f.expect_continue;
    return (int)h->head_bytes;
}

static int scan_status_line(struct http_scan *s, int *status, uint8_t *minor)
{
    int r = http_scan_version(s, minor);
    if (r != 1 || (r = http_scan_char(s, ' ', "no single space after the version")) != 1)
        return r;
    *status = 0;
    for (int i = 0; i < 3; i++, s->at++) {
        if (s->at == s->end)
            return http_scan_more(s);
        if (!http_is_digit(*s->at))
            return http_scan_refuse(s, -400, "the status is not three digits");
        *status = *status * 10 + (*s->at - '0');
    }
    if (*status < 100 || *status > 599)
        return http_scan_refuse(s, -400, "no such class of status");
    /* Servers that have no reason to give also leave out its space. */
    if (s->at < s->end && *s->at != '\r' &&
        (r = http_scan_char(s, ' ', "no space after the status")) != 1)
        return r;
    while (s->at < s->end && http_is_value(*s->at))
        s->at++;
    return http_scan_crlf(s);
}

int http_parse_response(const char *bytes, size_t len, struct http_response_head *h,
                        const char **why)
{
    struct http_scan s;
    struct http_fields f;
    uint8_t minor;
    memset(h, 0, offsetof(struct http_response_head, headers));
    scan_init(&s, bytes, len);
    int r = scan_status_line(&s, &h->status, &minor);
    if (r == 1)
        r = http_scan_headers(&s, h->headers, &h->header_count);
    if (r != 1)
        return refuse(why, r, s.why);
    if ((r = http_fields_collect(&f, h->headers, h->header_count, minor, why)) != 1)
        return r;
    h->head_bytes = (size_t)(s.at - bytes);
    if (h->status < 200 || h->status == 204 || h->status == 304) {
        h->has_length = true; /* never a body, whatever the fields say */
    } else {
        h->chunked = f.codings > 0;
        h->has_length = f.lengths > 0;
        h->length = f.length;
    }
    h->keep_alive = !f.close && (minor == 1 || f.keep_alive) && (h->chunked || h->has_length);
    return (int)h->head_bytes;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
