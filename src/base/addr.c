/* addr.c - addresses to and from text. The C library's inet_pton and inet_ntop do the work: they
 * look at nothing but their arguments. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned v = 0;
    size_t digits = 0;
    for (; text[digits]; digits++) {
        if (text[digits] < '0' || text[digits] > '9' || digits == 5)
            return false;
        v = v * 10 + (unsigned)(text[digits] - '0');
    }
    if (digits == 0 || v > UINT16_MAX)
        return false;
    *port = (uint16_t)v;
    return true;
}

static bool parse_ip(const char *text, size_t len, uint8_t family, struct addr *out)
{
    char ip[INET6_ADDRSTRLEN];
    if (len >= sizeof ip)
        return false;
    memcpy(ip, text, len);
    ip[len] = 0;
    out->family = family;
    return inet_pton(family == 4 ? AF_INET : AF_INET6, ip, out->ip) == 1;
}

bool addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
    struct addr a = {.port = default_port};
    const char *ip = text, *colon = strchr(text, ':'), *rest;
    size_t len;
    uint8_t family = 4;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close)
            return false;
        ip = text + 1;
        len = (size_t)(close - ip);
        rest = close + 1;
        family = 6;
    } else if (colon && strchr(colon + 1, ':')) {
        len = strlen(text);
        rest = text + len;
        family = 6;
    } else {
        len = colon ? (size_t)(colon - text) : strlen(text);
        rest = text + len;
    }
    if (!parse_ip(ip, len, family, &a))
        return false;
    bool has_port = *rest != 0;
    if (has_port ? *rest != ':' || !parse_port(rest + 1, &a.port) : default_port == 0)
        return false;
    *out = a;
    return true;
}

const char *addr_format_ip(const struct addr *a, char buf[ADDR_TEXT_MAX])
{
    int family = a->family == 4 ? AF_INET : AF_INET6;
    if (a->family == 0 || !inet_ntop(family, a->ip, buf, ADDR_TEXT_MAX))
        memcpy(buf, "-", 2);
    return buf;
}

const char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN];
    if (a->family == 0 || !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip))
        memcpy(buf, "-", 2);
    else
        snprintf(buf, ADDR_TEXT_MAX, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
    return buf;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6[16] = {[15] = 1};
    if (a->family == 4)
        return a->ip[0] == 127;
    return a->family == 6 && memcmp(a->ip, v6, sizeof v6) == 0;
}
