/* allow.h - inside libstead: which URLs of a roster may be followed. A first server may be hostile,
 * or its name forged: what it says leads only to hosts under a suffix, and never from TLS to plain.
 * Pure. */
#ifndef CLIENT_ALLOW_H
#define CLIENT_ALLOW_H

#include "core/http/http.h"
#include "core/roster/entry.h"

struct allow {
    char suffix[256]; /* lower case, without a dot before it; "*" = any host */
    bool exact;       /* the host itself only */
    bool tls;         /* https only */
};

/* suffix NULL: the parent domain of the host when that has two labels or more, else the host alone;
 * so a farm at www.shop.test leads to hosts under shop.test. False: not a suffix. */
bool allow_init(struct allow *a, const char *host, const char *suffix, bool tls)
    __attribute__((warn_unused_result));
bool allow_host(const struct allow *a, const char *host, size_t len);
/* Of the server's URLs the first that may be followed: of those with the scheme that is preferred
 * (tls) before the others. False: none may. */
bool allow_url(const struct allow *a, const struct server *s, bool tls, struct http_url *out);

#endif
