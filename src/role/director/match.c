/* match.c - rules about a request. What a match leads to is decide.c's. */
#include "role/director/match.h"

#include <string.h>

#define TOKEN_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

static const char *behind(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 && text[len] != '\0' ? text + len : NULL;
}

static struct slice whole(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static bool parse_header(const char *text, struct match_rule *out)
{
    size_t name = strspn(text, TOKEN_CHARS);
    if (name == 0 || text[name] != '=' || text[name + 1] == '\0')
        return false;
    *out = (struct match_rule){MATCH_HEADER, {text, name}, whole(text + name + 1)};
    return true;
}

bool match_parse(const char *text, struct match_rule *out)
{
    const char *rest;
    *out = (struct match_rule){.by = MATCH_ALL};
    if (strcmp(text, "all") == 0)
        return true;
    if (strcmp(text, "upgrade") == 0) {
        out->by = MATCH_UPGRADE;
        return true;
    }
    if ((rest = behind(text, "method:"))) {
        *out = (struct match_rule){.by = MATCH_METHOD, .glob = whole(rest)};
        return strspn(rest, TOKEN_CHARS ",") == strlen(rest);
    }
    if ((rest = behind(text, "path:"))) {
        *out = (struct match_rule){.by = MATCH_PATH, .glob = whole(rest)};
        return *rest == '/' || *rest == '*';
    }
    if ((rest = behind(text, "user-agent:"))) {
        *out = (struct match_rule){MATCH_HEADER, whole("user-agent"), whole(rest)};
        return true;
    }
    rest = behind(text, "header:");
    return rest && parse_header(rest, out);
}

static bool in_list(struct slice list, struct slice word)
{
    struct slice element;
    while (http_list_next(&list, &element))
        if (element.len == word.len && memcmp(element.at, word.at, word.len) == 0)
            return true;
    return false;
}

static bool same_name(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++)
        if ((a.at[i] | 0x20) != (b.at[i] | 0x20))
            return false;
    return a.len == b.len;
}

static bool match_header(const struct match_rule *r, const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++)
        if (same_name(h->headers[i].name, r->name) && slice_fits(h->headers[i].value, r->glob))
            return true;
    return false;
}

bool match_request(const struct match_rule *r, const struct http_head *h)
{
    switch (r->by) {
    case MATCH_ALL:
        return true;
    case MATCH_UPGRADE:
        return h->upgrade;
    case MATCH_METHOD:
        return in_list(r->glob, h->method);
    case MATCH_PATH:
        return slice_fits(h->path, r->glob);
    case MATCH_HEADER:
        return match_header(r, h);
    }
    return false;
}
