/* visit.c - the cookie and the key of a return visit. Where a known client is then led is
 * decide.c's. */
#include "role/director/visit.h"

#include "base/wire.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COOKIE_NAME "stead"
#define PURPOSE "visit"
#define CONTENT_MAX (NAME_MAX_BYTES + 9)
#define PARTS_MAX 16

/* A token of RFC 9110: what a header's or a cookie's name is made of. */
static bool token_valid(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > VISIT_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)
            return false;
    return true;
}

static bool named(const char *text, const char *prefix, enum visit_by by, struct visit_rule *out)
{
    size_t len = strlen(prefix);
    if (strncmp(text, prefix, len) != 0 || !token_valid(text + len))
        return false;
    out->by = by;
    memcpy(out->name, text + len, strlen(text + len) + 1);
    return true;
}

static bool path_part(const char *text, struct visit_rule *out)
{
    if (strncmp(text, "path:", 5) != 0 || !isdigit((unsigned char)text[5]))
        return false;
    unsigned part = (unsigned)(text[5] - '0');
    if (isdigit((unsigned char)text[6]))
        part = part * 10 + (unsigned)(text[6] - '0');
    if (text[part > 9 ? 7 : 6] != '\0' || text[5] == '0' || part > PARTS_MAX)
        return false;
    out->by = VISIT_PATH;
    out->part = part;
    return true;
}

bool visit_parse(const char *text, struct visit_rule *out)
{
    if (strcmp(text, "none") == 0) {
        out->by = VISIT_NONE;
        return true;
    }
    if (strcmp(text, "cookie") == 0)
        text = "cookie:" COOKIE_NAME;
    return named(text, "cookie:", VISIT_COOKIE, out) || named(text, "header:", VISIT_HEADER, out) ||
           named(text, "query:", VISIT_QUERY, out) || path_part(text, out);
}

/* -- the cookie: server's name and the second at which it ends -- */

static bool content_read(const uint8_t *content, size_t len, int64_t now_s,
                         char name[NAME_MAX_BYTES + 1])
{
    struct wire_reader r;
    size_t name_len;
    wire_reader_init(&r, content, len);
    uint64_t end_s = wire_u64(&r);
    const uint8_t *text = wire_str8(&r, &name_len);
    if (!wire_done(&r) || !entry_name_valid((const char *)text, name_len, false) || now_s < 0 ||
        end_s <= (uint64_t)now_s)
        return false;
    memcpy(name, text, name_len);
    name[name_len] = '\0';
    return true;
}

bool visit_server(const struct visit_rule *r, const uint8_t *key, const char *service,
                  const struct http_head *h, int64_t now_s, char name[NAME_MAX_BYTES + 1])
{
    const struct token_scope scope = {key, PURPOSE, service};
    uint8_t content[TOKEN_CONTENT_MAX];
    size_t len;
    if (r->by != VISIT_COOKIE)
        return false;
    for (size_t i = 0; i < h->header_count; i++) {
        if (!slice_is_nocase(h->headers[i].name, "cookie"))
            continue;
        struct slice text = http_cookie(h->headers[i].value, r->name);
        if (text.at != NULL && token_verify(&scope, text.at, text.len, content, &len) &&
            content_read(content, len, now_s, name))
            return true;
    }
    return false;
}

size_t visit_cookie(const struct visit_rule *r, const uint8_t *key, const char *service,
                    const char *server, int64_t now_s, char out[VISIT_COOKIE_MAX])
{
    const struct token_scope scope = {key, PURPOSE, service};
    uint8_t content[CONTENT_MAX];
    char text[TOKEN_TEXT_MAX];
    struct wire_writer w;
    wire_writer_init(&w, content, sizeof content);
    wire_put_u64(&w, (uint64_t)now_s + r->life_s);
    wire_put_str8(&w, server, strlen(server));
    if (!wire_put_ok(&w) || token_sign(&scope, content, wire_written(&w), text) == 0)
        return 0;
    bool domain = r->domain[0] != '\0';
    int n = snprintf(out, VISIT_COOKIE_MAX,
                     "Set-Cookie: %s=%s; Path=/; Max-Age=%" PRIu32 "; HttpOnly; SameSite=Lax%s%s%s"
                     "\r\n",
                     r->name, text, r->life_s, domain ? "; Domain=" : "", r->domain,
                     r->secure ? "; Secure" : "");
    return n > 0 && n < VISIT_COOKIE_MAX ? (size_t)n : 0;
}

/* -- the key -- */

static struct slice header_key(const struct visit_rule *r, const struct http_head *h)
{
    const struct http_header *found = http_find(h->headers, h->header_count, r->name);
    return found != NULL ? found->value : (struct slice){NULL, 0};
}

/* As it stands, not decoded: the same client writes it the same way. */
static struct slice query_key(const struct visit_rule *r, const struct http_head *h)
{
    size_t name_len = strlen(r->name);
    struct slice left = h->query;
    while (left.at != NULL && left.len > 0) {
        const char *stop = memchr(left.at, '&', left.len);
        size_t len = stop != NULL ? (size_t)(stop - left.at) : left.len;
        if (len > name_len && left.at[name_len] == '=' && memcmp(left.at, r->name, name_len) == 0)
            return (struct slice){left.at + name_len + 1, len - name_len - 1};
        size_t past = stop != NULL ? len + 1 : len;
        left = (struct slice){left.at + past, left.len - past};
    }
    return (struct slice){NULL, 0};
}

static struct slice path_key(const struct visit_rule *r, const struct http_head *h)
{
    struct slice left = h->path;
    for (unsigned part = 1; left.len > 0 && *left.at == '/'; part++) {
        struct slice rest = {left.at + 1, left.len - 1};
        const char *stop = rest.len > 0 ? memchr(rest.at, '/', rest.len) : NULL;
        size_t len = stop != NULL ? (size_t)(stop - rest.at) : rest.len;
        if (part == r->part)
            return (struct slice){rest.at, len};
        left = (struct slice){rest.at + len, rest.len - len};
    }
    return (struct slice){NULL, 0};
}

struct slice visit_key(const struct visit_rule *r, const struct http_head *h)
{
    struct slice key = {NULL, 0};
    switch (r->by) {
    case VISIT_HEADER:
        key = header_key(r, h);
        break;
    case VISIT_QUERY:
        key = query_key(r, h);
        break;
    case VISIT_PATH:
        key = path_key(r, h);
        break;
    case VISIT_NONE:
    case VISIT_COOKIE:
        break;
    }
    return key.len > 0 ? key : (struct slice){NULL, 0};
}
