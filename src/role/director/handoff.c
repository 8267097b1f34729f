/* handoff.c - the token of a handoff, and its way through a URL. That it is taken once only is
 * handoff_once.c's. */
#include "role/director/handoff.h"

#include "base/wire.h"

#include <stdio.h>
#include <string.h>

#define PURPOSE "handoff"
#define AUDIENCE_MAX 160

/* Server and service, in a form in which neither can pass for a part of the other. */
static void audience_of(const char *service, const char *server, char out[AUDIENCE_MAX])
{
    snprintf(out, AUDIENCE_MAX, "%s/%s", server, service);
}

/* A cookie-octet string (RFC 6265, section 4.1.1), so that what is set again is one cookie. */
static bool value_valid(struct slice v)
{
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.at[i];
        if (c <= ' ' || c >= 127 || c == '"' || c == ',' || c == ';' || c == '\\')
            return false;
    }
    return true;
}

size_t handoff_make(const uint8_t *key, const char *service, const char *server,
                    const char *const *cookies, size_t cookie_count, const struct http_head *h,
                    const uint8_t *salt, int64_t now_s, char text[TOKEN_TEXT_MAX])
{
    char audience[AUDIENCE_MAX];
    uint8_t content[TOKEN_CONTENT_MAX];
    struct wire_writer w;
    audience_of(service, server, audience);
    const struct token_scope scope = {key, PURPOSE, audience};
    wire_writer_init(&w, content, sizeof content);
    wire_put_bytes(&w, salt, HANDOFF_ID_BYTES);
    wire_put_u64(&w, (uint64_t)now_s + HANDOFF_LIFE_S);
    size_t bare = wire_written(&w);
    for (size_t i = 0; i < cookie_count && i < HANDOFF_COOKIES_MAX; i++) {
        struct slice v = http_find_cookie(h, cookies[i]);
        if (v.at == NULL || !value_valid(v))
            continue;
        wire_put_str8(&w, cookies[i], strlen(cookies[i]));
        wire_put_u16(&w, (uint16_t)v.len);
        wire_put_bytes(&w, v.at, v.len);
    }
    if (!wire_put_ok(&w) || wire_written(&w) == bare)
        return 0;
    return token_seal(&scope, salt, content, wire_written(&w), text);
}

/* The part of the query that is the token's parameter, with its name; len 0 = none. */
static struct slice parameter(const struct http_head *h)
{
    static const char name[] = HANDOFF_PARAMETER "=";
    struct slice left = h->query;
    while (left.at != NULL && left.len > 0) {
        const char *stop = memchr(left.at, '&', left.len);
        size_t len = stop != NULL ? (size_t)(stop - left.at) : left.len;
        if (len >= sizeof name - 1 && memcmp(left.at, name, sizeof name - 1) == 0)
            return (struct slice){left.at, len};
        size_t past = stop != NULL ? len + 1 : len;
        left = (struct slice){left.at + past, left.len - past};
    }
    return (struct slice){NULL, 0};
}

struct slice handoff_find(const struct http_head *h)
{
    struct slice p = parameter(h);
    if (p.at == NULL)
        return p;
    return (struct slice){p.at + sizeof HANDOFF_PARAMETER, p.len - sizeof HANDOFF_PARAMETER};
}

/* What stands behind the id and the end. */
static bool cookies_read(struct wire_reader *r, struct handoff *out)
{
    out->cookie_count = 0;
    while (wire_ok(r) && wire_left(r) > 0) {
        size_t name_len;
        const uint8_t *name = wire_str8(r, &name_len);
        size_t len = wire_u16(r);
        const uint8_t *value = wire_bytes(r, len);
        if (!wire_ok(r) || out->cookie_count == HANDOFF_COOKIES_MAX)
            return false;
        out->names[out->cookie_count] = (struct slice){(const char *)name, name_len};
        out->values[out->cookie_count++] = (struct slice){(const char *)value, len};
    }
    return wire_done(r);
}

bool handoff_read(const uint8_t *key, const char *service, const char *server, struct slice text,
                  int64_t now_s, struct handoff *out)
{
    char audience[AUDIENCE_MAX];
    struct wire_reader r;
    size_t len;
    audience_of(service, server, audience);
    const struct token_scope scope = {key, PURPOSE, audience};
    if (!token_open(&scope, text.at, text.len, out->content, &len))
        return false;
    wire_reader_init(&r, out->content, len);
    const uint8_t *id = wire_bytes(&r, HANDOFF_ID_BYTES);
    uint64_t end_s = wire_u64(&r);
    if (!wire_ok(&r) || end_s > INT64_MAX || (int64_t)end_s <= now_s)
        return false;
    memcpy(out->id, id, HANDOFF_ID_BYTES);
    out->end_s = (int64_t)end_s;
    return cookies_read(&r, out);
}

static bool append(char *out, size_t max, size_t *len, const char *text, size_t text_len)
{
    if (text_len >= max - *len)
        return false;
    memcpy(out + *len, text, text_len);
    *len += text_len;
    out[*len] = '\0';
    return true;
}

size_t handoff_strip(const struct http_head *h, char *out, size_t max)
{
    struct slice p = parameter(h);
    size_t len = 0;
    bool ok = append(out, max, &len, h->path.at, h->path.len);
    if (!ok || p.at == NULL || p.len == h->query.len)
        return ok ? len : 0;
    size_t before = (size_t)(p.at - h->query.at), after = h->query.len - before - p.len;
    const char *rest = p.at + p.len;
    if (before == 0) { /* the '&' behind it goes with it */
        rest++;
        after--;
    } else {
        before--; /* the one before it */
    }
    ok = append(out, max, &len, "?", 1) && append(out, max, &len, h->query.at, before) &&
         append(out, max, &len, rest, after);
    return ok ? len : 0;
}

size_t handoff_cookies(const struct handoff *h, bool secure, char out[HANDOFF_SET_COOKIES_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < h->cookie_count; i++) {
        int n = snprintf(out + len, HANDOFF_SET_COOKIES_MAX - len,
                         "Set-Cookie: %.*s=%.*s; Path=/; HttpOnly; SameSite=Lax%s\r\n",
                         (int)h->names[i].len, h->names[i].at, (int)h->values[i].len,
                         h->values[i].at, secure ? "; Secure" : "");
        if (n < 0 || (size_t)n >= HANDOFF_SET_COOKIES_MAX - len)
            return 0;
        len += (size_t)n;
    }
    return len;
}
