/* reply.h - inside libstead: the answer to an HTTP request, as it comes: the head, then pieces of
 * the body, by Content-Length, by chunks, or until the connection ends. Pure. */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include "core/http/http.h"

struct reply {
    char head[HTTP_HEAD_MAX];
    size_t have;
    bool has_head, chunked, has_length;
    int status;
    uint64_t left; /* of the body, with a length */
    struct http_chunked chunks;
    struct slice rest; /* what came behind the head */
    bool event_stream; /* Content-Type: text/event-stream */
};

/* Takes bytes from *in on. 1: *data is a piece of the body (in *in or in r; until the next call),
 * call again; 0: all is taken; 2: the body is complete. STEAD_E_PARSE, STEAD_E_TOO_LARGE (head). A
 * zeroed reply is ready for use. */
int reply_feed(struct reply *r, struct slice *in, struct slice *data);
/* The connection has ended: STEAD_OK where that is the body's end, else STEAD_E_CLOSED. */
int reply_end(const struct reply *r);
/* STEAD_OK for 200; STEAD_E_NOT_FOUND (404), STEAD_E_NO_SERVER (503), STEAD_E_DENIED (401, 403),
 * STEAD_E_UNSUPPORTED. */
int reply_status(const struct reply *r);

#endif
