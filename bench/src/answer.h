/* answer.h - the head of an HTTP answer, as far as a loader has to know it. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    int status;
    size_t head_len; /* with the empty line */
    size_t body_len;
};

/* False while the head is incomplete. `text` must be terminated behind `len`. An answer without
 * Content-Length counts as one without body: none of the servers measured here sends such. */
static inline bool answer_parse(const char *text, size_t len, struct answer *out)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    if (!end || len < 12)
        return false;
    out->status = (int)strtol(text + 9, NULL, 10);
    out->head_len = (size_t)(end - text) + 4;
    out->body_len = 0;
    for (const char *line = text; line < end; line = (const char *)memchr(line, '\n', len) + 1) {
        if ((line[0] | 32) == 'c' && strncasecmp(line, "content-length:", 15) == 0) {
            out->body_len = strtoul(line + 15, NULL, 10);
            break;
        }
    }
    return true;
}

#endif
