/* http2_internal.h - the inside of http2: a connection's session and its streams.
 *
 * http2.c has the session: input, output, frames, deadlines. http2_request.c makes heads and
 * gathers bodies; http2_reply.c answers; http2_pump.c carries a taken stream. Nothing is written
 * while a session's callbacks run: `running`. Within io only.
 */
#ifndef IO_HTTP2_INTERNAL_H
#define IO_HTTP2_INTERNAL_H

#include "io/http2.h"
#include "io/http2_calm.h"

#include <nghttp2/nghttp2.h>

#define HTTP2_STREAM_WINDOW (256u << 10)      /* bytes that a client may send ahead of a taker */
#define HTTP2_CONNECTION_WINDOW (1024u << 10) /* all its streams together */
#define HTTP2_BATCH_BYTES 32768u              /* written at once */
#define HTTP2_BATCHES_A_TURN 16u              /* then the loop's other work has its turn */
#define HTTP2_FRAME_MAX (16384u + 9u)
#define HTTP2_FIELDS_BYTES_MAX (4u * HTTP_HEAD_MAX) /* decoded; beyond it the connection ends */
#define HTTP2_FIELDS_MAX (4u * HTTP_HEADERS_MAX)
#define HTTP2_LANES_MAX 4u        /* pairs kept between requests, of one connection */
#define HTTP2_LANE_IDLE_MS 30000u /* less than what takers keep an idle client */
#define HTTP2_SAID_MS 1000u       /* for a client to stop by itself when it has its answer */
#define HTTP2_INTERIM_MAX 16u     /* 1xx answers passed on of one stream */

enum http2_phase {
    HTTP2_HEAD,  /* its fields come */
    HTTP2_HELD,  /* it came as early data, and waits for the handshake's end */
    HTTP2_BODY,  /* the handler wants the body */
    HTTP2_WAIT,  /* the handler's turn; a body that comes is kept, it may be taken */
    HTTP2_REPLY, /* http_reply() has spoken */
    HTTP2_TAKEN, /* http_take() has */
    HTTP2_SAID   /* the answer is whole, and the client has not said all */
};

/* A response body that http_reply() gave. */
struct http2_text {
    char *at;
    size_t len, cap;
};

struct http2_pump;

struct http2_stream {
    struct http2 *h2;
    struct list link;
    int32_t id;
    uint8_t phase;
    bool ended;                   /* the client has said all */
    struct http_request *request; /* until it is answered; BODY: still the server's */
    struct http2_pump *pump;      /* TAKEN */
    uint64_t due_ms;              /* TIME_NEVER: somebody else's matter */
    struct http2_text up; /* HELD, WAIT: body, not read by anyone. TAKEN: bytes that the pair did
                             not take yet, from up_at on. Counted as held */
    size_t up_at;
    size_t unconsumed; /* body bytes for which the client has no new window yet */
    char *out;         /* REPLY: the answer's body; counted as held */
    size_t out_at, out_len;
};

/* The fields of one block, which come one by one. */
struct http2_fields {
    struct http2_text pseudo, lines, cookie; /* "name: value\r\n" in lines */
    struct {
        size_t at, len;
        bool given;
    } method, scheme, authority, path, host; /* in pseudo */
    size_t count, bytes;                     /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    bool has_length, too_large, no_memory, twice;
};

struct http2 {
    struct http_conn *conn;
    nghttp2_session *session;
    struct list streams;
    struct list lanes; /* pairs whose exchange is done, for the next ones */
    uint32_t stream_count, lane_count;
    struct http2_fields fields;
    struct http2_stream *heading; /* whose field block is not whole */
    struct http2_calm calm;
    char *out; /* what the socket did not take; counted as held */
    size_t out_at, out_len;
    uint64_t taken_ms; /* when the socket last took something, while bytes wait */
    uint32_t doom;     /* error with which the connection must end; 0 = none */
    bool running;      /* nghttp2's callbacks are on the stack, or will be: nothing is written */
    bool stopping;     /* GOAWAY is said */
    bool held;         /* a stream is */
};

/* http2.c */
/* Writes what there is to write, and looks at what follows from it: the connection may be closed
 * after. Does nothing while running. */
void http2_flush(struct http2 *h);
void http2_reset(struct http2_stream *t, uint32_t error);
/* The client may send so many bytes of body more. */
void http2_consume(struct http2_stream *t, size_t bytes);
uint64_t http2_now_ms(const struct http2 *h);

/* http2_request.c */
int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context);
int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                    void *context);
int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                  size_t len, void *context);
/* The block is whole: a request, or trailers. */
void http2_head_done(struct http2 *h, struct http2_stream *t);
/* The client has said all of its request. */
void http2_request_done(struct http2_stream *t);
/* The handshake is done: what was held goes on. */
void http2_held_begin(struct http2 *h);
/* Drops what was kept of a body. */
void http2_up_drop(struct http2_stream *t);
bool http2_up_keep(struct http2_stream *t, const void *bytes, size_t len);
void http2_fields_free(struct http2_fields *f);
bool http2_text_put(struct http2_text *t, const void *bytes, size_t len);

/* http2_reply.c */
void http2_fail(struct http2_stream *t, int status, const char *why);
void http2_reply_drop(struct http2_stream *t);

/* http2_pump.c */
/* Body bytes from the client. */
void http2_pump_up(struct http2_stream *t, const char *bytes, size_t len);
/* The client's end; trailers are in the session's fields. */
void http2_pump_end(struct http2_stream *t);
/* The stream is over (`whole`: in order). Its pair is closed, or kept for the next. */
void http2_pump_over(struct http2_stream *t, bool whole);
/* Gives the request to a pair that is kept for its host. False: there is none, or it is not for
 * one. True: the caller frees the request. */
bool http2_lane_take(struct http2_stream *t, struct http_request *r);
/* Closes those that are kept. */
void http2_lanes_close(struct http2 *h);

#endif
