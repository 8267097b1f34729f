/* decide_url.c - URLs in a decision. */
#include "role/director/decide_url.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "https:", not "http:". */
bool url_is_https(const char *url)
{
    return lower(url[4]) == 's';
}

/* The place behind the scheme. */
static const char *authority_of(const char *url)
{
    return url + (url_is_https(url) ? 8 : 7);
}

bool url_names(const char *url, struct slice host, uint16_t *port)
{
    const char *at = authority_of(url);
    bool literal = *at == '[';
    at += literal;
    for (size_t i = 0; i < host.len; i++, at++)
        if (*at == '\0' || lower(*at) != lower(host.at[i]))
            return false;
    at += literal ? *at == ']' : *at == '.';
    if (*at != ':' && *at != '/' && *at != '?' && *at != '\0')
        return false;
    unsigned given = 0;
    if (*at == ':')
        for (at++; *at >= '0' && *at <= '9'; at++)
            given = given * 10 + (unsigned)(*at - '0');
    *port = given ? (uint16_t)given : url_is_https(url) ? 443 : 80;
    return true;
}

bool url_append(char *buf, size_t cap, size_t *len, const char *text, size_t text_len)
{
    if (text_len >= cap - *len)
        return false;
    memcpy(buf + *len, text, text_len);
    *len += text_len;
    buf[*len] = '\0';
    return true;
}

bool url_lead(const char *url, const struct http_head *h, char out[DECIDE_LOCATION_MAX])
{
    const char *scheme = url_is_https(url) ? "https://" : "http://", *authority = authority_of(url);
    size_t cap = DECIDE_LOCATION_MAX, len = 0;
    bool fits = url_append(out, cap, &len, scheme, strlen(scheme)) &&
                url_append(out, cap, &len, authority, strcspn(authority, "/?"));
    size_t start = len;
    struct slice path = h->path.len ? h->path : (struct slice){"/", 1};
    fits = fits && url_append(out, cap, &len, path.at, path.len);
    if (h->query.at)
        fits = fits && url_append(out, cap, &len, "?", 1) &&
               url_append(out, cap, &len, h->query.at, h->query.len);
    if (fits && http_path_safe((struct slice){out + start, len - start}))
        return true;
    out[0] = '\0';
    return false;
}
