/* match.h - rules about a request that an operator writes as text: which requests are forwarded
 * although others are redirected. Pure.
 *
 *   all                     every request
 *   upgrade                 asks for another protocol (WebSocket)
 *   method:PUT,PROPFIND     one of these methods
 *   path:GLOB               the path, without the query
 *   header:NAME=GLOB        a header of that name has that value
 *   user-agent:GLOB         the same as header:User-Agent=GLOB
 *
 * A GLOB is what slice_fits() takes; upper and lower case differ. */
#ifndef ROLE_DIRECTOR_MATCH_H
#define ROLE_DIRECTOR_MATCH_H

#include "core/http/http.h"

enum match_by { MATCH_ALL, MATCH_UPGRADE, MATCH_METHOD, MATCH_PATH, MATCH_HEADER };

struct match_rule {
    enum match_by by;
    struct slice name; /* of the header */
    struct slice glob; /* or the list of methods */
};

/* The rule points into text. False: it is none. */
bool match_parse(const char *text, struct match_rule *out);
bool match_request(const struct match_rule *r, const struct http_head *h);

#endif
