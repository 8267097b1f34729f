/* http_trace.h - W3C Trace Context (the traceparent header) and request ids: names by which one
 * request is found again in the logs of all who had it in hand. Pure: randomness comes in. */
#ifndef CORE_HTTP_TRACE_H
#define CORE_HTTP_TRACE_H

#include "base/slice.h"

#include <stdint.h>

#define TRACE_TEXT_MAX 56       /* a traceparent of version 00, and its final NUL */
#define TRACE_ID_CHARS 32       /* of the trace id in it, lower-case hex */
#define REQUEST_ID_CHARS_MAX 64 /* of a foreign X-Request-Id that is believed */

struct trace {
    uint64_t id[2];  /* never both 0 */
    uint64_t parent; /* never 0 */
    uint8_t flags;
};

/* False: it is no traceparent, and the trace begins here. Of a later version, what version 00 knows
 * of it is taken. */
bool trace_parse(struct slice value, struct trace *out);
/* A new trace, not sampled; random: 128 bits. */
void trace_begin(struct trace *t, const uint64_t random[2]);
/* The next one's parent is this hop; random: 64 bits. */
void trace_step(struct trace *t, uint64_t random);
/* "00-TRACEID-PARENTID-FLAGS", 55 characters. */
void trace_format(const struct trace *t, char out[TRACE_TEXT_MAX]);

/* An id of one's own: 16 hexadecimal digits of chance, '@', and the node's name, cut to what an id
 * may have; so it is known whom to ask. Returns its length; a NUL stands behind. */
size_t request_id_make(uint64_t chance, const char *node, char out[REQUEST_ID_CHARS_MAX + 1]);
/* May it stand in a header and in a log as it is: 1 to REQUEST_ID_CHARS_MAX letters, digits and
 * -._~+/=:@ ? */
bool request_id_valid(struct slice id);

#endif
