/* http_query.h - parameters of a query, and percent-encoding (RFC 3986, section 2.1). */
#ifndef CORE_HTTP_QUERY_H
#define CORE_HTTP_QUERY_H

#include "base/slice.h"

/* The first parameter of that name, with its escapes undone, into out as text. 1 there, 0 not
 * there, -1 malformed or longer than cap - 1. */
int http_query_find(struct slice query, const char *name, char *out, size_t cap);
/* Appends text to what is in buf, with all but letters, digits and -._~ as %XX. False, and nothing
 * is appended: no room for it and a final NUL. */
bool http_percent_encode(struct slice text, char *buf, size_t cap, size_t *len);

#endif
