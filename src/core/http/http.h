/* http.h - HTTP/1.1 message heads (RFC 9110, RFC 9112): a strict parser and small builders.
 *
 * Strict against request smuggling: bare LF and bare CR, obs-fold, space before the colon, control characters,
 * several or malformed Content-Length, Content-Length together with Transfer-Encoding, an unknown or not final
 * transfer coding are refused. Nothing is copied: slices point into the caller's bytes.
 */
#ifndef CORE_HTTP_H
#define CORE_HTTP_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADERS_MAX 100
#define HTTP_HEAD_MAX 16384 /* bytes of a head: beyond it 431 */
#define HTTP_TARGET_MAX 8192

struct http_header {
    struct slice name, value; /* value trimmed */
};

struct http_head {
    struct slice method;
    struct slice target; /* as sent */
    struct slice path;   /* of origin-form or absolute-form, without the query, "/" when the latter has none; "*" for
                          * OPTIONS *; empty for CONNECT */
    struct slice query;  /* without '?'; at == NULL when there is none */
    struct slice host;   /* without port, brackets and final dot, from the target or the Host header */
    uint16_t port;       /* 0 when not given */
    uint8_t minor;       /* HTTP/1.minor: 0 or 1 */
    size_t head_bytes;   /* up to and with the empty line */
    bool chunked;        /* request: Transfer-Encoding: chunked */
    bool has_length;
    uint64_t length;     /* Content-Length */
    bool keep_alive;     /* by version and Connection */
    bool upgrade;        /* Connection: upgrade with an Upgrade header */
    bool expect_continue;
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX]; /* only the first header_count are set */
};

/* Parses a request head. Returns its bytes (> 0), 0 when more bytes are needed, or a negative HTTP status: -400,
 * -414 (target too long), -431 (head or header count), -501 (transfer coding), -505 (version), with a reason in
 * *why (static text). HTTP/1.1 without exactly one Host is -400, as is a Host that differs from the target's. One
 * empty line before the request is overlooked, and is part of head_bytes. On 0 and below *h is undefined. */
int http_parse_request(const char *bytes, size_t len, struct http_head *h, const char **why);

/* A response head, for clients: status and headers, framing as RFC 9112 section 6.3. Returns as above. */
struct http_response_head {
    int status; /* 100 to 599 */
    size_t head_bytes;
    bool chunked, has_length; /* neither: the body ends with the connection. 1xx, 204, 304: length 0 */
    bool keep_alive;          /* also false when the body ends with the connection */
    uint64_t length;          /* what a HEAD's answer says, too: only the caller knows its method */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
};
int http_parse_response(const char *bytes, size_t len, struct http_response_head *h,
                        const char **why);

/* First header of that name, or NULL. */
const struct http_header *http_find(const struct http_header *headers, size_t count,
                                    const char *name);

/* Chunked bodies: a push decoder. Feed input; it gives back slices of data in place. */
struct http_chunked {
    uint8_t state;
    uint64_t left;
    uint32_t trailer_bytes, size_digits;
};
void http_chunked_init(struct http_chunked *c);
/* Consumes from *in (advances at/len), sets *data to the next piece of body inside it (maybe empty). Returns 1 =
 * call again with what is left, 0 = needs more input, 2 = end of body reached, -400 = malformed (and stays so).
 * Trailer fields are checked and dropped. */
int http_chunked_step(struct http_chunked *c, struct slice *in, struct slice *data);

const char *http_reason(int status);

/* An http or https URL without user info: "http://host[:port][/path][?query]". Host is validated (name or IP literal). */
struct http_url {
    bool tls;
    struct slice host; /* without brackets and final dot */
    uint16_t port;     /* given or default */
    bool port_given;
    struct slice authority; /* host[:port] as written */
    struct slice path;      /* with the query; empty when none */
};
bool http_url_parse(const char *text, size_t len, struct http_url *out);

/* Is the path (with query) safe to put in a Location header after a scheme and an authority: starts with '/', no
 * control characters, no backslash. It may start with "//": behind an authority that is part of the path (RFC 3986
 * section 3.3); only alone would it name another host. */
bool http_path_safe(struct slice path);

/* Takes the next element of a comma list, trimmed, off the front of *list. False when there is
 * none. */
bool http_list_next(struct slice *list, struct slice *element);
/* The value of a cookie in a Cookie header's value; at == NULL if absent. */
struct slice http_cookie(struct slice header, const char *name);
/* The first of that name in all Cookie headers of a request. */
struct slice http_find_cookie(const struct http_head *h, const char *name);

#endif
