/* cors.c - origins and their header lines. */
#include "role/director/cors.h"

#include <stdio.h>
#include <string.h>

#define PREFLIGHT_AGE_S 600

/* The next word of a list divided by spaces; empty at its end. */
static struct slice next_word(const char **at)
{
    *at += strspn(*at, " ");
    struct slice word = {*at, strcspn(*at, " ")};
    *at += word.len;
    return word;
}

bool cors_list_valid(const char *origins)
{
    struct http_url u;
    for (;;) {
        struct slice word = next_word(&origins);
        if (word.len == 0)
            return true;
        if (!slice_is(word, "*") && (!http_url_parse(word.at, word.len, &u) || u.path.len > 0))
            return false;
    }
}

/* "*" or the origin itself, as it goes into the answer; false: it may not read. */
static bool allowed(const char *origins, const struct http_head *h, struct slice *out)
{
    const struct http_header *origin = http_find(h->headers, h->header_count, "Origin");
    if (origin == NULL || origin->value.len == 0 || origin->value.len > CORS_ORIGIN_MAX)
        return false;
    for (;;) {
        struct slice word = next_word(&origins);
        if (word.len == 0)
            return false;
        if (slice_is(word, "*") ||
            (word.len == origin->value.len && memcmp(word.at, origin->value.at, word.len) == 0)) {
            *out = word;
            return true;
        }
    }
}

void cors_headers(const char *origins, const struct http_head *h, char out[CORS_HEADERS_MAX])
{
    struct slice origin;
    out[0] = '\0';
    if (allowed(origins, h, &origin))
        snprintf(out, CORS_HEADERS_MAX,
                 "Access-Control-Allow-Origin: %.*s\r\nAccess-Control-Expose-Headers: ETag\r\n",
                 (int)origin.len, origin.at);
}

bool cors_preflight(const char *origins, const struct http_head *h, char out[CORS_HEADERS_MAX])
{
    struct slice origin;
    out[0] = '\0';
    if (http_find(h->headers, h->header_count, "Access-Control-Request-Method") == NULL ||
        !allowed(origins, h, &origin))
        return false;
    snprintf(out, CORS_HEADERS_MAX,
             "Access-Control-Allow-Origin: %.*s\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n"
             "Access-Control-Allow-Headers: Authorization, Cache-Control, If-None-Match, "
             "Last-Event-ID\r\nAccess-Control-Max-Age: %d\r\nVary: Origin\r\n",
             (int)origin.len, origin.at, PREFLIGHT_AGE_S);
    return true;
}
