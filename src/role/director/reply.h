/* reply.h - a decision as an HTTP answer, for both ways it goes out: through the HTTP server, or on
 * a connection that was already taken from it. */
#ifndef ROLE_DIRECTOR_REPLY_H
#define ROLE_DIRECTOR_REPLY_H

#include "role/director/decide.h"

#define REPLY_HEADERS_MAX (DECIDE_LOCATION_MAX + 128)
#define REPLY_RAW_MAX (REPLY_HEADERS_MAX + 512)
#define REPLY_TYPE "text/plain; charset=utf-8"

struct reply {
    int status;
    const char *body; /* static text */
    char headers[REPLY_HEADERS_MAX];
};

/* Of every verdict but DECIDE_ROSTER and DECIDE_FORWARD. */
void reply_make(const struct decision *d, struct reply *out);
/* The whole response, closing the connection; now_s is the wall clock, for Date. Returns its
 * length. */
size_t reply_raw(const struct reply *r, bool head_only, int64_t now_s, char out[REPLY_RAW_MAX]);

#endif
