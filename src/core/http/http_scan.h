/* http_scan.h - inside core/http: a cursor over a message head that may still be growing, and the
 * grammar's character classes. Every scan returns 1 = read, 0 = needs more bytes, or a negative
 * HTTP status with a reason in `why`. */
#ifndef CORE_HTTP_SCAN_H
#define CORE_HTTP_SCAN_H

#include "core/http/http.h"

struct http_scan {
    const char *at, *end;
    bool capped; /* `end` is the limit of a head, not the end of what has come */
    const char *why;
};

/* What a character may stand in; one table, since heads are read byte by byte. */
enum http_class {
    HTTP_TOKEN = 1,
    HTTP_VALUE = 2, /* of a field: visible, space, tab, or above ASCII */
    HTTP_PATH = 4,
    HTTP_QUERY = 8,
    HTTP_DIGIT = 16,
    HTTP_ALNUM = 32
};
extern const uint8_t http_classes[256];

static inline bool http_is_token(char c)
{
    return http_classes[(unsigned char)c] & HTTP_TOKEN;
}

static inline bool http_is_value(char c)
{
    return http_classes[(unsigned char)c] & HTTP_VALUE;
}

static inline bool http_is_path(char c)
{
    return http_classes[(unsigned char)c] & HTTP_PATH;
}

static inline bool http_is_query(char c)
{
    return http_classes[(unsigned char)c] & HTTP_QUERY;
}

static inline bool http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool http_is_alnum(char c)
{
    return http_classes[(unsigned char)c] & HTTP_ALNUM;
}

/* The end of the bytes was met: 0, or -431 at the limit. */
int http_scan_more(struct http_scan *s);
int http_scan_refuse(struct http_scan *s, int status, const char *why);
int http_scan_char(struct http_scan *s, char wanted, const char *why);
int http_scan_crlf(struct http_scan *s);
/* "HTTP/1.0" or "HTTP/1.1": -505 for other digits. */
int http_scan_version(struct http_scan *s, uint8_t *minor);
/* Field lines and the empty line after them. */
int http_scan_headers(struct http_scan *s, struct http_header *headers, size_t *count);

/* What the fields say about framing and the connection, for requests and responses alike. */
struct http_fields {
    unsigned hosts, lengths, codings;
    struct slice host;
    uint64_t length;
    bool close, keep_alive, wants_upgrade, names_upgrade, expect_continue;
};
int http_fields_collect(struct http_fields *f, const struct http_header *headers, size_t count,
                        uint8_t minor, const char **why);

/* "name", "name:port", "1.2.3.4", "[::1]:port". The host comes out without brackets and without a
 * final dot; the port is 0 when not given. False on anything else. */
bool http_authority(struct slice text, struct slice *host, uint16_t *port);
/* Decimal digits only; false on none, on more, or above INT64_MAX. */
bool http_decimal(struct slice text, uint64_t *out);

#endif
