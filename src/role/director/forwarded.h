/* forwarded.h - the head of a request as it goes to the real server: the client's own, with who
 * asked and for what added (RFC 7239 and the X-Forwarded family).
 *
 * X-Forwarded-For and Forwarded are appended to, each as one line; X-Forwarded-Proto and
 * X-Forwarded-Host are said anew, so a client cannot claim them. An absolute-form target becomes
 * origin-form, with its host as Host. All else passes unchanged, Connection too: the tunnel behind
 * keeps alive what the two ends keep alive.
 */
#ifndef ROLE_DIRECTOR_FORWARDED_H
#define ROLE_DIRECTOR_FORWARDED_H

#include "base/addr.h"
#include "core/http/http.h"

struct forwarded {
    const struct addr *client; /* family 0: not known, then nothing is said of it */
    bool tls;
};

/* Makes the new head and `rest` behind it. *out is the caller's, mem_free. STEAD_E_NOMEM. */
int forwarded_build(const struct http_head *h, const struct forwarded *f, struct slice rest,
                    char **out, size_t *len);

#endif
