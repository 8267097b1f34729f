/* http_body.h - where a message's body ends (RFC 9112 section 6.3), for whoever passes it on in
 * pieces: the bytes are counted and checked as they go by, and not changed.
 */
#ifndef CORE_HTTP_BODY_H
#define CORE_HTTP_BODY_H

#include "core/http/http.h"

enum http_body_kind {
    HTTP_BODY_LENGTH, /* `left` bytes; also when there is none */
    HTTP_BODY_CHUNKED,
    HTTP_BODY_CLOSE /* ends with the connection */
};

struct http_body {
    uint8_t kind;
    bool done; /* never by itself with HTTP_BODY_CLOSE */
    uint64_t left;
    struct http_chunked chunked;
};

void http_body_of_request(struct http_body *b, const struct http_head *h);
/* head_only: it answers a HEAD. */
void http_body_of_response(struct http_body *b, const struct http_response_head *h, bool head_only);
/* How many of the bytes are the body's: all, unless it is done with fewer. Chunks are counted with
 * their sizes and trailers, which are checked. -1: malformed, from then on always. */
ptrdiff_t http_body_take(struct http_body *b, const char *bytes, size_t len);
/* As http_body_take() of a chunked body, and what it carries is moved to the front of the bytes:
 * *data of them. */
ptrdiff_t http_body_unchunk(struct http_body *b, char *bytes, size_t len, size_t *data);

#endif
