/* decide_url.h - what decide.c knows of URLs: does a request ask for one, and the Location that
 * leads to another. URLs of the configuration and of entries were validated when they came, so
 * they are not parsed anew for each request. A URL stands for its scheme, host and port: a path in
 * it is not used. Within the director only. */
#ifndef ROLE_DIRECTOR_DECIDE_URL_H
#define ROLE_DIRECTOR_DECIDE_URL_H

#include "core/http/http.h"
#include "role/director/decide.h"

bool url_is_https(const char *url);
/* Does the URL name this host, and with which port? */
bool url_names(const char *url, struct slice host, uint16_t *port);
/* The URL's scheme and authority, and behind them the request's own path and query, byte by byte,
 * into out. False, and out empty: too long, or unsafe in a header. */
bool url_lead(const char *url, const struct http_head *h, char out[DECIDE_LOCATION_MAX]);
/* Appends text to what is in buf. False, and nothing is appended: no room. */
bool url_append(char *buf, size_t cap, size_t *len, const char *text, size_t text_len);

#endif
