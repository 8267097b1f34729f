/* exchange_head.h - the head of an answer as it goes back to the client: the real server's own, as
 * HTTP/1.1, with the fields for one hop left out or said anew. Pure.
 */
#ifndef ROLE_DIRECTOR_EXCHANGE_HEAD_H
#define ROLE_DIRECTOR_EXCHANGE_HEAD_H

#include "core/http/http.h"

/* More than the server's head has, at most. */
#define EXCHANGE_HEAD_ADDED_MAX 128
#define EXCHANGE_ERROR_MAX 512

struct exchange_way {
    bool old_client;    /* it speaks HTTP/1.0: no chunks, and it is told of a kept connection */
    bool closes;        /* the connection ends with this answer */
    bool interim;       /* 1xx: another answer follows */
    bool upgrades;      /* 101: the connection is another protocol's from here on */
    struct slice lines; /* ours, each with its CRLF; at NULL: none */
};

/* May the head pass as it is? bytes: it, as it came. */
bool exchange_head_passes(const struct http_response_head *h, const char *bytes,
                          const struct exchange_way *way);
/* Writes the new head, at most h->head_bytes + EXCHANGE_HEAD_ADDED_MAX and the lines of way;
 * returns its length. 0: the server's Connection names more fields than anybody does. */
size_t exchange_head(const struct http_response_head *h, const char *bytes,
                     const struct exchange_way *way, char *out);
/* A whole answer of the node's own that ends the connection; now_s is the wall clock, for Date. */
size_t exchange_error(int status, bool head_only, int64_t now_s, char out[EXCHANGE_ERROR_MAX]);

#endif
