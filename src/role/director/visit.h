/* visit.h - return visits: how a client that already has a server is known again. Pure.
 *
 * By cookie: the redirect carries a signed cookie that names the server; it is believed until it
 * expires, for its service only. By key: something of the request itself (a header, a query
 * parameter, a part of the path) stands for the client, and the same key leads to the same server
 * as long as that one takes clients. */
#ifndef ROLE_DIRECTOR_VISIT_H
#define ROLE_DIRECTOR_VISIT_H

#include "core/http/http.h"
#include "core/roster/entry.h"
#include "core/token/token.h"

#define VISIT_NAME_MAX 63
#define VISIT_DOMAIN_MAX 253
#define VISIT_COOKIE_MAX 1024               /* a Set-Cookie line with its CRLF */
#define VISIT_LIFE_MAX_S (400u * 24 * 3600) /* what browsers keep at most (RFC 6265bis) */

enum visit_by { VISIT_NONE, VISIT_COOKIE, VISIT_HEADER, VISIT_QUERY, VISIT_PATH };

struct visit_rule {
    enum visit_by by;
    char name[VISIT_NAME_MAX + 1];     /* of the cookie, header or parameter */
    unsigned part;                     /* of the path, from 1 */
    char domain[VISIT_DOMAIN_MAX + 1]; /* of the cookie; "" = the host that answers */
    uint32_t life_s;                   /* of the cookie */
    bool secure;                       /* only over https */
};

/* "none", "cookie", "cookie:NAME", "header:NAME", "query:NAME", "path:N". Sets by, name and part.
 * False when it is none of these. */
bool visit_parse(const char *text, struct visit_rule *out);

/* The server's name that the client's cookie tells: true and a copy in name. False: there is none,
 * it has expired, or it is forged. now_s: wall clock. key: TOKEN_KEY_BYTES of the farm. */
bool visit_server(const struct visit_rule *r, const uint8_t *key, const char *service,
                  const struct http_head *h, int64_t now_s, char name[NAME_MAX_BYTES + 1]);
/* A Set-Cookie header line with its CRLF; 0 when it does not fit. */
size_t visit_cookie(const struct visit_rule *r, const uint8_t *key, const char *service,
                    const char *server, int64_t now_s, char out[VISIT_COOKIE_MAX]);
/* The request's key; at == NULL when it has none (or an empty one). */
struct slice visit_key(const struct visit_rule *r, const struct http_head *h);

#endif
