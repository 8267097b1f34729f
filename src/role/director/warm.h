/* warm.h - warm redirects: which records a request's session has, so that they are at the chosen
 * server before its client is. Pure.
 *
 * A rule is COOKIE=KIND or COOKIE=KIND:PREFIX: the record of that kind whose key is the prefix and
 * behind it the cookie's value, as it was sent. */
#ifndef ROLE_DIRECTOR_WARM_H
#define ROLE_DIRECTOR_WARM_H

#include "core/http/http.h"
#include "core/record/record.h"
#include "core/session/kind.h"

#define WARM_COOKIE_MAX 63
#define WARM_PREFIX_MAX 127

struct warm_rule {
    char cookie[WARM_COOKIE_MAX + 1];
    uint8_t kind;
    char prefix[WARM_PREFIX_MAX + 1];
};

/* False: it is no rule, or no such kind. */
bool warm_parse(const char *text, const struct kinds *kinds, struct warm_rule *out);
/* The keys of the records that the request's cookies name: at most count. */
size_t warm_keys(const struct warm_rule *rules, size_t count, const struct http_head *h,
                 struct key *out);

#endif
