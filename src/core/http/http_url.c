/* http_url.c - http and https URLs, authorities, and what may stand in a Location header. */
#include "core/http/http_scan.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 253
#define LABEL_MAX 63

static bool parse_port(struct slice text, uint16_t *port)
{
    uint64_t v;
    if (text.len > 5 || !http_decimal(text, &v) || v == 0 || v > UINT16_MAX)
        return false;
    *port = (uint16_t)v;
    return true;
}

/* Labels of letters, digits, - and _; the underscore is not a host name's, but in use. */
static bool is_name(struct slice s)
{
    size_t label = 0;
    if (s.len == 0 || s.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if ((!http_is_alnum(c) && c != '-' && c != '_') || ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

static bool is_ipv6(struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    if (s.len >= sizeof text || memchr(s.at, 0, s.len))
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = 0;
    return inet_pton(AF_INET6, text, &ip) == 1;
}

bool http_authority(struct slice text, struct slice *host, uint16_t *port)
{
    struct slice h = text, rest = {NULL, 0};
    const char *stop;
    bool literal = text.len && text.at[0] == '[';
    if (literal) {
        stop = memchr(text.at, ']', text.len);
        if (!stop)
            return false;
        h = (struct slice){text.at + 1, (size_t)(stop - text.at - 1)};
        rest = (struct slice){stop + 1, text.len - h.len - 2};
    } else if (text.len && (stop = memchr(text.at, ':', text.len))) {
        h.len = (size_t)(stop - text.at);
        rest = (struct slice){stop, text.len - h.len};
    }
    if (!literal && h.len > 1 && h.at[h.len - 1] == '.')
        h.len--;
    if (!(literal ? is_ipv6(h) : is_name(h)))
        return false;
    uint16_t p = 0;
    if (rest.len &&
        (rest.at[0] != ':' || !parse_port((struct slice){rest.at + 1, rest.len - 1}, &p)))
        return false;
    *host = h;
    *port = p;
    return true;
}

static bool path_is_valid(struct slice s)
{
    bool query = false;
    for (size_t i = 0; i < s.len; i++) {
        if (!query && s.at[i] == '?')
            query = true;
        else if (!(query ? http_is_query(s.at[i]) : http_is_path(s.at[i])))
            return false;
    }
    return true;
}

bool http_url_parse(const char *text, size_t len, struct http_url *out)
{
    struct http_url u = {0};
    size_t scheme = 0;
    if (len > 8 && strncasecmp(text, "https://", 8) == 0) {
        scheme = 8;
        u.tls = true;
    } else if (len > 7 && strncasecmp(text, "http://", 7) == 0) {
        scheme = 7;
    } else {
        return false;
    }
    size_t end = scheme;
    while (end < len && text[end] != '/' && text[end] != '?')
        end++;
    u.authority = (struct slice){text + scheme, end - scheme};
    u.path = (struct slice){text + end, len - end};
    if (!http_authority(u.authority, &u.host, &u.port) || !path_is_valid(u.path))
        return false;
    u.port_given = u.port != 0;
    if (!u.port_given)
        u.port = u.tls ? 443 : 80;
    *out = u;
    return true;
}

bool http_path_safe(struct slice path)
{
    return path.len > 0 && path.at[0] == '/' && path_is_valid(path);
}
