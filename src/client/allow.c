/* allow.c - host names against a suffix, label by label. */
#include "client/allow.h"

#include "base/addr.h"

#include <string.h>
#include <strings.h>

/* "www.shop.test" -> "shop.test"; what has no such parent, and an address, stands for itself. */
static const char *parent_of(const char *host)
{
    struct addr address;
    const char *dot = addr_parse(host, 1, &address) ? NULL : strchr(host, '.');
    return dot && strchr(dot + 1, '.') ? dot + 1 : NULL;
}

bool allow_init(struct allow *a, const char *host, const char *suffix, bool tls)
{
    *a = (struct allow){.tls = tls};
    if (!suffix)
        suffix = parent_of(host);
    a->exact = !suffix;
    if (!suffix)
        suffix = host;
    if (*suffix == '.')
        suffix++;
    size_t len = strlen(suffix);
    if (len == 0 || len >= sizeof a->suffix)
        return false;
    memcpy(a->suffix, suffix, len + 1);
    return true;
}

bool allow_host(const struct allow *a, const char *host, size_t len)
{
    size_t own = strlen(a->suffix);
    if (strcmp(a->suffix, "*") == 0)
        return true;
    if (len < own || strncasecmp(host + len - own, a->suffix, own) != 0)
        return false;
    return len == own || (!a->exact && host[len - own - 1] == '.');
}

bool allow_url(const struct allow *a, const struct server *s, bool tls, struct http_url *out)
{
    struct http_url u;
    bool found = false;
    for (size_t i = 0; i < s->url_count; i++) {
        if (!http_url_parse(s->urls[i], strlen(s->urls[i]), &u) || (a->tls && !u.tls) ||
            !allow_host(a, u.host.at, u.host.len))
            continue;
        if (!found || (out->tls != tls && u.tls == tls))
            *out = u;
        found = true;
    }
    return found;
}
