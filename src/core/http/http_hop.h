/* http_hop.h - the fields of a head that are meant for the next hop only (RFC 9110 section 7.6.1):
 * whoever passes a message on leaves them out and says his own.
 */
#ifndef CORE_HTTP_HOP_H
#define CORE_HTTP_HOP_H

#include "core/http/http.h"

#define HTTP_HOP_NAMES_MAX 16 /* that one message's Connection may name */

enum http_hop {
    HTTP_HOP_END, /* goes on to the end */
    HTTP_HOP_CONNECTION,
    HTTP_HOP_CODING, /* Transfer-Encoding */
    HTTP_HOP_UPGRADE,
    HTTP_HOP_TE,
    HTTP_HOP_OTHER /* Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization */
};

/* What the Connection fields of a message name besides the fields above. */
struct http_hops {
    size_t count;
    struct slice names[HTTP_HOP_NAMES_MAX];
};

enum http_hop http_hop_of(struct slice name);
/* False: more than HTTP_HOP_NAMES_MAX are named. Host, Content-Length and Transfer-Encoding are
 * never among them: who names those wants to be misread further on. */
bool http_hops_collect(struct http_hops *hops, const struct http_header *headers, size_t count);
/* Is the field one that Connection names? */
bool http_hops_name(const struct http_hops *hops, struct slice name);

#endif
