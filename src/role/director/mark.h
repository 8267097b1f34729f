/* mark.h - the names by which one request is found again: its id (X-Request-Id, the client's or one
 * made here) and the trace it belongs to, if it brought one (traceparent). Pure. */
#ifndef ROLE_DIRECTOR_MARK_H
#define ROLE_DIRECTOR_MARK_H

#include "core/http/http.h"
#include "core/http/http_trace.h"
#include "core/roster/entry.h"

#define MARK_ID_MAX (REQUEST_ID_CHARS_MAX + 1)
/* X-Request-Id and traceparent lines, with their CRLF. */
#define MARK_LINES_MAX (REQUEST_ID_CHARS_MAX + TRACE_TEXT_MAX + 40)

struct mark {
    char id[MARK_ID_MAX];
    bool traced;
    struct trace trace; /* this hop is its parent already */
};

/* node: this one's name; an id that is made here ends in "@NODE", so that it is known whom to ask.
 * chance: 64 random bits. */
void mark_make(const struct http_head *h, const char *node, uint64_t chance, struct mark *out);
/* Header lines for an answer, after which the client goes on. Returns their length. */
size_t mark_lines(const struct mark *m, char out[MARK_LINES_MAX]);

#endif
