/* sse.h - inside libstead: a push parser of server-sent events (WHATWG HTML, section 9.2.6). Pure.
 * Comments are passed over without being kept; what is kept is bounded: an event of more than
 * SSE_EVENT_BYTES_MAX ends the stream. */
#ifndef CLIENT_SSE_H
#define CLIENT_SSE_H

#include "core/roster/roster.h"

#define SSE_NAME_MAX 31
#define SSE_ID_MAX 127
#define SSE_EVENT_BYTES_MAX ROSTER_JSON_BYTES_MAX

struct sse_buffer {
    char *bytes;
    size_t len, cap;
};

struct sse {
    struct sse_buffer line, data;
    char event[SSE_NAME_MAX + 1]; /* "" = "message" */
    char id[SSE_ID_MAX + 1];      /* the last one; stays from event to event */
    uint64_t lines;               /* whole lines so far, comments too: signs of life */
    bool has_data, comment, after_cr, ready;
};

/* A zeroed one is ready for use. */
void sse_deinit(struct sse *s);
/* Takes bytes from *in on. 1: an event is complete (event, data, id; until the next call), and *in
 * may have more; 0: all is taken; STEAD_E_TOO_LARGE, STEAD_E_NOMEM: the stream is of no more use.
 */
int sse_feed(struct sse *s, const char **in, size_t *len);

#endif
