/* mark.c - request ids and traces at the director. */
#include "role/director/mark.h"

#include <string.h>

void mark_make(const struct http_head *h, const char *node, uint64_t chance, struct mark *out)
{
    const struct http_header *id = http_find(h->headers, h->header_count, "x-request-id");
    const struct http_header *parent = http_find(h->headers, h->header_count, "traceparent");
    if (id && request_id_valid(id->value)) {
        memcpy(out->id, id->value.at, id->value.len);
        out->id[id->value.len] = '\0';
    } else {
        request_id_make(chance, node, out->id);
    }
    out->traced = parent && trace_parse(parent->value, &out->trace);
    if (out->traced)
        trace_step(&out->trace, chance);
}

size_t mark_lines(const struct mark *m, char out[MARK_LINES_MAX])
{
    char *at = stpcpy(stpcpy(stpcpy(out, "X-Request-Id: "), m->id), "\r\n");
    if (m->traced) {
        char text[TRACE_TEXT_MAX];
        trace_format(&m->trace, text);
        at = stpcpy(stpcpy(stpcpy(at, "traceparent: "), text), "\r\n");
    }
    return (size_t)(at - out);
}
