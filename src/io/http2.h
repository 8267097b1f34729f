/* http2.h - HTTP/2 (RFC 9113) at the HTTP server's door: a connection that begins with its preface
 * is translated, and the handlers do not notice.
 *
 * Each stream becomes a struct http_request with a head in HTTP/1.1's form, made from the pseudo
 * fields and read by the same strict parser. http_reply() answers the stream. http_take() gives one
 * end of a socket pair that speaks HTTP/1.1; this side pumps the other end, with flow control both
 * ways: what the client may send is what the taker has read.
 * A stream that the client resets closes the pair; a pair that is closed before its answer is whole
 * resets the stream (INTERNAL_ERROR). Trailers and 1xx pass.
 *
 * Framing and HPACK are libnghttp2's. Bounded here: streams at once, fields (HTTP_HEAD_MAX, beyond
 * it 431), frames that only cost (http2_calm.h; then GOAWAY with ENHANCE_YOUR_CALM), bodies
 * (held_max, flow control), slow heads, bodies and takers of answers, output that waits (one
 * batch). A taken stream counts as a connection. Not spoken: push, extended CONNECT (WebSocket
 * clients use HTTP/1.1), Upgrade: h2c.
 */
#ifndef IO_HTTP2_H
#define IO_HTTP2_H

#include "io/http_internal.h"

#define HTTP2_TICK_MS 1000u /* how often a connection with streams looks at their deadlines */

struct http2;
struct http2_stream;

/* Do the bytes begin with the client's preface? *more: they may, when more have come. */
bool http2_preface(const char *bytes, size_t len, bool *more);
/* The connection speaks HTTP/2 from now on; the preface is not consumed. STEAD_E_NOMEM. */
int http2_start(struct http_conn *c);
/* What was read. */
void http2_input(struct http_conn *c, const char *bytes, size_t len);
/* Its socket has something to read, or takes more. */
void http2_event(struct http_conn *c, uint32_t events);
/* Its phase's time is over. */
void http2_expire(struct http_conn *c);
/* The server accepts no more: says so (GOAWAY), and closes when the open streams are done. */
void http2_stop(struct http_conn *c);
/* The connection closes: its streams are dropped, and their requests are told. */
void http2_drop(struct http_conn *c);
/* Takes NULL; not within the session's own calls. */
void http2_free(struct http2 *h);

/* Of a request with a stream. The request is left without its stream, and the caller's to free. */
void http2_reply(struct http_request *r, int status, const char *content_type, const char *headers,
                 const void *body, size_t len);
/* As http_take, but the caller frees the request. */
int http2_take(struct http_request *r, struct stream *out, char **bytes, size_t *len);

#endif
