/* reply.c - statuses, headers and texts of the director's own answers. */
#include "role/director/reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *why_bad(const char *why)
{
    if (strcmp(why, "no-host") == 0)
        return "The request names no host.\n";
    if (strcmp(why, "connect") == 0)
        return "CONNECT is not done here.\n";
    return "The request's path is too long for a redirect, or may not stand in one.\n";
}

static const char *body_of(const struct decision *d)
{
    switch (d->verdict) {
    case DECIDE_REDIRECT:
        return "The server for you is the one in Location.\n";
    case DECIDE_NOT_FOUND:
        return "Nothing is here; try /.well-known/stead/roster.\n";
    case DECIDE_METHOD:
        return "Only GET, HEAD and OPTIONS.\n";
    case DECIDE_MISDIRECTED:
        return "This node does not answer for that host.\n";
    case DECIDE_NO_SERVER:
        return "No server can take you at this moment; try again soon.\n";
    case DECIDE_BAD:
        return why_bad(d->why);
    case DECIDE_ROSTER:
    case DECIDE_FORWARD:
        break;
    }
    assert(false && "a verdict without a text");
    return "";
}

void reply_make(const struct decision *d, struct reply *out)
{
    const char *more = "";
    out->status = decide_status(d->verdict);
    out->body = body_of(d);
    char retry[32];
    if (d->verdict == DECIDE_METHOD)
        more = "Allow: GET, HEAD, OPTIONS\r\n";
    if (d->verdict == DECIDE_NO_SERVER) {
        snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", DECIDE_RETRY_AFTER_S);
        more = retry;
    }
    char *at = out->headers;
    if (d->verdict == DECIDE_REDIRECT) {
        at = stpcpy(at, "Location: ");
        at = stpcpy(at, d->location);
        at = stpcpy(at, "\r\n");
    }
    at = stpcpy(at, more);
    at = stpcpy(at, "Cache-Control: no-store\r\n");
    assert(at < out->headers + sizeof(out->headers));
}

size_t reply_raw(const struct reply *r, bool head_only, int64_t now_s, char out[REPLY_RAW_MAX])
{
    char date[64];
    struct tm tm;
    time_t now = (time_t)now_s;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int n = snprintf(out, REPLY_RAW_MAX,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\n%sContent-Type: " REPLY_TYPE
                     "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     r->status, http_reason(r->status), date, r->headers, strlen(r->body),
                     head_only ? "" : r->body);
    assert(n > 0 && n < REPLY_RAW_MAX);
    return (size_t)n;
}
