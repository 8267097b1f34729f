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
    case DECIDE_HANDOFF:
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
    case DECIDE_RELAY:
        break;
    }
    assert(false && "a verdict without a text");
    return "";
}

/* A quote cannot stand in a URL, though a client may send one in its path. */
static char *put_escaped(char *at, const char *text)
{
    for (; *text; text++) {
        if (*text == '"')
            at = stpcpy(at, "%22");
        else
            *at++ = *text;
    }
    *at = '\0';
    return at;
}

static void put_json(const struct decision *d, struct reply *out)
{
    char *at = stpcpy(out->json, "{\"url\":\"");
    at = put_escaped(at, d->location);
    at = stpcpy(at, "\",\"server\":\"");
    if (d->chosen.node)
        at = stpcpy(at, d->chosen.node->entry->name);
    stpcpy(at, "\"}\n");
    out->body = out->json;
    out->type = "application/json";
}

void reply_make(const struct decision *d, const char *lines, struct reply *out)
{
    const char *more = "";
    out->status = decide_status(d);
    out->type = "text/plain; charset=utf-8";
    out->body = body_of(d);
    if (d->verdict == DECIDE_REDIRECT && d->json)
        put_json(d, out);
    char retry[32];
    if (d->verdict == DECIDE_METHOD)
        more = "Allow: GET, HEAD, OPTIONS\r\n";
    if (d->verdict == DECIDE_NO_SERVER) {
        snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", DECIDE_RETRY_AFTER_S);
        more = retry;
    }
    char *at = out->headers;
    bool away = (d->verdict == DECIDE_REDIRECT && !d->json) || d->verdict == DECIDE_HANDOFF;
    if (away) {
        at = stpcpy(at, "Location: ");
        at = stpcpy(at, d->location);
        at = stpcpy(at, "\r\n");
    }
    at = stpcpy(at, lines);
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
                     "HTTP/1.1 %d %s\r\nDate: %s\r\n%sContent-Type: %s\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     r->status, http_reason(r->status), date, r->headers, r->type, strlen(r->body),
                     head_only ? "" : r->body);
    assert(n > 0 && n < REPLY_RAW_MAX);
    return (size_t)n;
}
