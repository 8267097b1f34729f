/* handoff.h - a client is handed to a server whose name shares no cookie domain with the primary's:
 * the redirect's URL carries a sealed token in its query, the chosen server's secondary takes it,
 * once, sets the cookies that stand in it as its own, and leads the client on to the URL without
 * it.
 *
 * The token opens for one server of one service only, until it ends, and once: whoever reads the
 * URL later (a log, a Referer, a backup) gets nothing by it. A token that is not taken is no error
 * of the client's: it is sent to the primary. */
#ifndef ROLE_DIRECTOR_HANDOFF_H
#define ROLE_DIRECTOR_HANDOFF_H

#include "core/http/http.h"
#include "core/token/token.h"

#define HANDOFF_PARAMETER "stead-handoff"
#define HANDOFF_COOKIES_MAX 4
#define HANDOFF_LIFE_S 30
#define HANDOFF_ID_BYTES 16
#define HANDOFF_SET_COOKIES_MAX 2048 /* the Set-Cookie lines of a handoff */

struct handoff {
    uint8_t id[HANDOFF_ID_BYTES];
    int64_t end_s; /* wall clock */
    size_t cookie_count;
    struct slice names[HANDOFF_COOKIES_MAX], values[HANDOFF_COOKIES_MAX]; /* into content */
    uint8_t content[TOKEN_CONTENT_MAX];
};

/* A token for server (its node's name) of service, with those of the request's cookies that are
 * named. salt: TOKEN_SALT_BYTES random bytes, which also are its id. Returns its length; 0 when
 * there are none of them, or they are too long to be carried. */
size_t handoff_make(const uint8_t *key, const char *service, const char *server,
                    const char *const *cookies, size_t cookie_count, const struct http_head *h,
                    const uint8_t *salt, int64_t now_s, char text[TOKEN_TEXT_MAX]);
/* The request's token; at == NULL when it has none. */
struct slice handoff_find(const struct http_head *h);
/* Opens a token for this server. False: forged, for another server, or past its end. out's slices
 * point into itself: do not copy it. */
bool handoff_read(const uint8_t *key, const char *service, const char *server, struct slice text,
                  int64_t now_s, struct handoff *out);
/* Path and query without the token. Returns the length; 0 when it does not fit. */
size_t handoff_strip(const struct http_head *h, char *out, size_t max);
/* Set-Cookie lines, each with its CRLF, for the host that answers. Returns the length; 0 when they
 * do not fit or there are none. */
size_t handoff_cookies(const struct handoff *h, bool secure, char out[HANDOFF_SET_COOKIES_MAX]);

#endif
