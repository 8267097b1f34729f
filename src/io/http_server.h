/* http_server.h - HTTP/1.1 and HTTP/2 connections on a libuv loop: heads in, answers out, and a way
 * to take a connection over.
 *
 * Used by gate, admin and director alike. One server is one listening descriptor on one loop (one
 * thread). For every request head it asks its handler, which
 *   - answers (http_reply), at once or later; or
 *   - reads the body first (returns HTTP_WANT_BODY; the handler is called again with the whole
 * body, at most body_max bytes, else 413 is sent by the server); or
 *   - takes the connection and what was read of it over (http_take), e.g. to forward it. Pipelined
 * requests are answered in order, one at a time. Slow heads and bodies, idle connections, the
 * number of connections and the bytes of heads are bounded; what the peer sends wrongly is answered
 * by the book (400, 408, 413, 431, 501, 505) and counted. A request stays valid until it is
 * answered; if the client goes away first, the reply goes nowhere and the request is freed by it
 * all the same: so every request gets exactly one reply.
 */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "base/addr.h"
#include "core/http/http.h"
#include "io/stream.h"
#include "io/tls_door.h"
#include "io/tls_keeper.h"

#include <stdatomic.h>
#include <uv.h>

struct http_server;
struct http_request;

enum http_verdict {
    HTTP_ANSWERED, /* replied, will reply later, or has taken the connection */
    HTTP_WANT_BODY
};

struct http_limits {
    uint32_t connections_max; /* beyond it who has waited long for its client gives way, or new ones
                                 are closed at once; both are counted; default 10,000 */
    uint32_t head_ms;         /* a head must come within; default 10 s */
    uint32_t body_ms;         /* a body, and a client's taking of an answer; default 30 s */
    uint32_t idle_ms;         /* between requests; default 60 s */
    uint32_t handshake_ms;    /* of TLS, as a whole; default 10 s */
    uint32_t handshakes_max;  /* at once; beyond it the one that has waited longest for its client
                                 gives way; default 1000 */
    uint64_t body_max;        /* bytes; default 2 MiB */
    uint32_t streams_max; /* HTTP/2: of one connection at once; 0 = it is not spoken; default 0 */
    uint32_t resets_max;  /* HTTP/2: streams reset by one client within 10 s; default 200 */
    uint64_t held_max; /* bytes of bodies, and of answers that are not taken, of all clients; beyond
                          it 503, and answers are broken off; default 64 MiB */
};

struct http_counters {
    atomic_uint_fast64_t accepted, refused, crowded, requests, bad, timeouts, busy, open;
    /* HTTP/2: connections, requests on them, streams that clients reset, connections that were
     * ended for frames that only cost. */
    atomic_uint_fast64_t h2_connections, h2_streams, h2_resets, h2_calmed;
};

struct http_server_config {
    uv_loop_t *loop;
    int fd;               /* listening; owned by the server from now on */
    struct tls_door *tls; /* NULL: plain. With it every connection begins with a handshake */
    const struct tls_keeper *keeper; /* of TLS sessions; NULL: none */
    /* May such a request be handled as early data (RFC 8470)? It is GET, HEAD or OPTIONS without a
     * body. NULL: none may. What may not waits for the handshake's end. */
    bool (*early)(void *context, const struct http_head *h);
    struct http_limits limits;
    struct http_counters *counters; /* may be shared by several servers */
    const char *server_name;        /* for the Server header; NULL = none */
    const char *door;               /* a word for the log: which listener is full */
    bool wipes; /* nothing of bodies and answers stays in memory when they are done; HTTP/1 */
    /* body == NULL on the first call; when HTTP_WANT_BODY was returned, called again with it (never
     * NULL then), which stays valid until the reply. The second call may not come, when the client
     * goes away: until it comes the request belongs to the server, and its data must own nothing.
     */
    enum http_verdict (*handle)(void *context, struct http_request *r, const char *body,
                                size_t body_len);
    void *context;
};

void http_limits_default(struct http_limits *l);
int http_server_open(const struct http_server_config *c, struct http_server **out);
/* A connection that was accepted elsewhere, by somebody who had to look at it before a handshake or
 * a request: like one of the listener. The descriptor is the server's, also when it has no room. */
void http_server_accepted(struct http_server *s, int fd, const struct addr *peer);
/* Stops accepting; open connections finish their present request, then close. */
void http_server_stop_accepting(struct http_server *s);
/* Accepts no more, for another process does that on the same socket; until it is taken back
 * (retired false). Plain HTTP/1 connections stay open, to be given away; of others the client is
 * told to end them. http_retire.c */
void http_server_retire(struct http_server *s, bool retired);
/* Gives every connection that is between two requests, in turn, until `give` returns false; what it
 * took is closed here. To be called again, as more come to rest. */
typedef bool http_give(void *context, int fd, const struct addr *peer);
void http_server_give(struct http_server *s, http_give *give, void *context);
/* Closes everything; `closed` is called on the loop when nothing is left, then the server is freed.
 */
void http_server_close(struct http_server *s, void (*closed)(void *context), void *context);

const struct http_head *http_request_head(const struct http_request *r);
const struct addr *http_request_peer(const struct http_request *r); /* family 0 on unix sockets */
const struct addr *http_request_local(const struct http_request *r);
/* The connection's TLS, for who asks for the client's identity or the version; NULL: plain, or the
 * client is gone. */
const struct tls *http_request_tls(const struct http_request *r);
/* It came as early data, and its client has still to prove that it is no copy. */
bool http_request_is_early(const struct http_request *r);
/* Has its client gone away, or ended its half, though no answer was sent? For those that take long:
 * a closed connection is not looked at before. */
bool http_request_is_left(const struct http_request *r);
/* Does its Host name this machine: localhost, or a loopback address? A web page can make a browser
 * send requests to a loopback port under a name of its own that points here, but not under these.
 */
bool http_request_host_is_loopback(const struct http_request *r);

/* Answers. `headers` is text of whole lines each ended by CRLF, or NULL; Date, Content-Length and
 * Connection are added. HEAD, 204 and 304 get no body. Values put into headers must be free of
 * control characters: see http_path_safe. */
void http_reply(struct http_request *r, int status, const char *content_type, const char *headers,
                const void *body, size_t len);
/* {"error": NAME, "message": text} */
void http_reply_error(struct http_request *r, int status, const char *name, const char *message);

/* Takes the connection over: the stream (no longer watched) is the caller's, and *bytes (head
 * included, and whatever came after it) freed with mem_free. The request is freed.
 * STEAD_E_CLOSED (the client or the server is gone), INVAL (its body was read), BUSY (answers to
 * earlier requests are not taken yet) and NOMEM leave the request, which must be replied to. */
int http_take(struct http_request *r, struct stream *out, char **bytes, size_t *len);
/* Gives a connection (back) to a server, between two requests: `bytes` (from mem_alloc; NULL when
 * len is 0) were read of it already. Both are the server's from now on, whatever is returned; on an
 * error the connection is closed: STEAD_E_BUSY (connections_max), CLOSED (the server is closing, or
 * accepts no more and there is no request), NOMEM. Its handler is called later, on the loop. peer
 * NULL: unknown (family 0). */
int http_server_adopt(struct http_server *s, struct stream stream, char *bytes, size_t len,
                      const struct addr *peer);

#endif
