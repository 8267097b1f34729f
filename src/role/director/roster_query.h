/* roster_query.h - what a request for the roster asks: its query and its Accept. Pure.
 *
 *     service=ID   only this service's servers
 *     format=json|text|sse, or by Accept
 *     on=NAME      the asker is a client of that server
 *     limit=N, after=NAME   a page
 *
 * Unknown parameters are passed over; of one that is given twice the first counts. */
#ifndef ROLE_DIRECTOR_ROSTER_QUERY_H
#define ROLE_DIRECTOR_ROSTER_QUERY_H

#include "core/http/http.h"
#include "core/roster/entry.h"

enum roster_format { ROSTER_JSON, ROSTER_TEXT, ROSTER_SSE };

struct roster_query {
    enum roster_format format;
    char service[NAME_MAX_BYTES + 1]; /* "" = all */
    char on[NAME_MAX_BYTES + 1];      /* "" = of none */
    char after[NAME_MAX_BYTES + 1];   /* "" = from the first */
    uint32_t limit;                   /* 0 = none */
};

/* STEAD_E_INVAL: a parameter cannot be what it says; *why names it (static text). */
int roster_query_parse(const struct http_head *h, struct roster_query *out, const char **why);

#endif
