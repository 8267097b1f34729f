/* cors.h - which web pages may read the roster (the Fetch standard, section 3.2): header lines for
 * answers and for preflights. Pure. */
#ifndef ROLE_DIRECTOR_CORS_H
#define ROLE_DIRECTOR_CORS_H

#include "core/http/http.h"

#define CORS_HEADERS_MAX 768
#define CORS_ORIGIN_MAX 300

/* Is every word of the list an origin (http or https, without a path) or "*"? */
bool cors_list_valid(const char *origins);
/* Header lines for a request from a page; "" when its Origin may not read (or it has none).
 * origins: divided by spaces, "*" = any, "" = none. */
void cors_headers(const char *origins, const struct http_head *h, char out[CORS_HEADERS_MAX]);
/* The same for a preflight (OPTIONS). False: it is none that is allowed. */
bool cors_preflight(const char *origins, const struct http_head *h, char out[CORS_HEADERS_MAX]);

#endif
