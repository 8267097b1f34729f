/* gate_auth.c - who may come in by TCP: the token, and a Host that is loopback. A web page can make
 * a browser send requests to a loopback port under a name of its own; it cannot make that name
 * "localhost". Under TLS the name is the certificate's. */
#include "role/gate/gate_internal.h"

#include <string.h>
#include <strings.h>

/* In time that depends on the client's length alone. */
static bool token_equal(const char *token, const char *given, size_t len)
{
    size_t own = strlen(token);
    unsigned differs = own != len;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)given[i] ^ (unsigned char)token[own ? i % own : 0];
    return !differs && own > 0;
}

int gate_auth(const struct gate *g, const struct http_request *r, const char **why)
{
    const struct http_head *h = http_request_head(r);
    static const char scheme[] = "Bearer ";
    if (!g->token)
        return 0;
    if (!g->config.tls && !http_request_host_is_loopback(r)) {
        *why = "the Host header must name localhost or a loopback address";
        return 403;
    }
    const struct http_header *auth = http_find(h->headers, h->header_count, "authorization");
    size_t skip = sizeof scheme - 1;
    if (auth && auth->value.len > skip && strncasecmp(auth->value.at, scheme, skip) == 0 &&
        token_equal(g->token, auth->value.at + skip, auth->value.len - skip))
        return 0;
    *why = "send the gate's token as \"Authorization: Bearer ...\"";
    return 401;
}
