/* reply.h - a decision as an HTTP answer, for both ways it goes out: through the HTTP server, or on
 * a connection that was already taken from it. */
#ifndef ROLE_DIRECTOR_REPLY_H
#define ROLE_DIRECTOR_REPLY_H

#include "role/director/decide.h"
#include "role/director/mark.h"

#define REPLY_COOKIES_MAX                                                                          \
    (VISIT_COOKIE_MAX > HANDOFF_SET_COOKIES_MAX ? VISIT_COOKIE_MAX : HANDOFF_SET_COOKIES_MAX)
#define REPLY_LINES_MAX (REPLY_COOKIES_MAX + MARK_LINES_MAX)
#define REPLY_HEADERS_MAX (DECIDE_LOCATION_MAX + REPLY_LINES_MAX + 128)
#define REPLY_JSON_MAX (3 * DECIDE_LOCATION_MAX + 256)
#define REPLY_RAW_MAX (REPLY_HEADERS_MAX + REPLY_JSON_MAX + 512)

struct reply {
    int status;
    const char *type;
    const char *body; /* static text, or json */
    char json[REPLY_JSON_MAX];
    char headers[REPLY_HEADERS_MAX];
};

/* Of every verdict but DECIDE_ROSTER, DECIDE_FORWARD and DECIDE_RELAY. lines: more headers, each
 * with its CRLF, at most REPLY_LINES_MAX bytes; "" = none. */
void reply_make(const struct decision *d, const char *lines, struct reply *out);
/* The whole response, closing the connection; now_s is the wall clock, for Date. Returns its
 * length. */
size_t reply_raw(const struct reply *r, bool head_only, int64_t now_s, char out[REPLY_RAW_MAX]);

#endif
