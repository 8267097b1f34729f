/* warm.c - from cookies to keys. Sending the records is the store's. */
#include "role/director/warm.h"

#include <string.h>

bool warm_parse(const char *text, const struct kinds *kinds, struct warm_rule *out)
{
    char kind[KIND_NAME_MAX];
    size_t cookie = strcspn(text, "=");
    if (cookie == 0 || cookie > WARM_COOKIE_MAX || text[cookie] != '=' ||
        strcspn(text, " ;,\"\\\t") < cookie)
        return false;
    const char *name = text + cookie + 1;
    size_t len = strcspn(name, ":");
    const char *prefix = name[len] == ':' ? name + len + 1 : "";
    if (len == 0 || len >= sizeof(kind) || strlen(prefix) > WARM_PREFIX_MAX)
        return false;
    memcpy(kind, name, len);
    kind[len] = '\0';
    int found = kinds_find(kinds, kind);
    if (found < 0)
        return false;
    *out = (struct warm_rule){.kind = (uint8_t)found};
    memcpy(out->cookie, text, cookie);
    memcpy(out->prefix, prefix, strlen(prefix));
    return true;
}

size_t warm_keys(const struct warm_rule *rules, size_t count, const struct http_head *h,
                 struct key *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        char bytes[KEY_BYTES_MAX];
        struct slice value = http_find_cookie(h, rules[i].cookie);
        size_t prefix = strlen(rules[i].prefix);
        if (value.len == 0 || prefix + value.len > sizeof(bytes))
            continue;
        memcpy(bytes, rules[i].prefix, prefix);
        memcpy(bytes + prefix, value.at, value.len);
        found += key_set(&out[found], rules[i].kind, bytes, prefix + value.len);
    }
    return found;
}
