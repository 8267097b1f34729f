/* forwarded.c - the rewritten request head. */
#include "role/director/forwarded.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HOST_TEXT_MAX 280 /* a host of 253 bytes or an IPv6 literal in brackets, with its port */
/* Names and fixed parts of the added lines, three hosts, two addresses; a space after each colon.
 */
#define ADDED_MAX (1200 + HTTP_HEADERS_MAX)

/* Lines that are written anew. */
static const char *const replaced[] = {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
                                       "Forwarded"};

struct text {
    char *at;
    size_t len, cap;
};

static void put(struct text *t, const char *bytes, size_t len)
{
    assert(len <= t->cap - t->len);
    if (len)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
}

static void puts_(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

static bool is_replaced(const struct http_head *h, struct slice name)
{
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
        if (slice_is_nocase(name, replaced[i]))
            return true;
    return h->target.at[0] != '/' && slice_is_nocase(name, "Host");
}

/* "host[:port]" as the client asked for it. */
static void host_text(const struct http_head *h, char buf[HOST_TEXT_MAX])
{
    bool v6 = h->host.len && memchr(h->host.at, ':', h->host.len);
    int host_len = h->host.len < 256 ? (int)h->host.len : 0;
    int n = snprintf(buf, HOST_TEXT_MAX, "%s%.*s%s", v6 ? "[" : "", host_len,
                     host_len ? h->host.at : "", v6 ? "]" : "");
    if (h->port)
        snprintf(buf + n, HOST_TEXT_MAX - (size_t)n, ":%u", h->port);
}

static void put_request_line(struct text *t, const struct http_head *h)
{
    put(t, h->method.at, h->method.len);
    puts_(t, " ");
    put(t, h->path.at, h->path.len);
    if (h->query.at) {
        puts_(t, "?");
        put(t, h->query.at, h->query.len);
    }
    puts_(t, h->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
}

static void put_line(struct text *t, const char *name, const char *value)
{
    puts_(t, name);
    puts_(t, ": ");
    puts_(t, value);
    puts_(t, "\r\n");
}

/* All the values that the client sent, then ours, in one line. */
static void put_list(struct text *t, const struct http_head *h, const char *name, const char *ours)
{
    puts_(t, name);
    puts_(t, ": ");
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *x = &h->headers[i];
        if (x->value.len == 0 || !slice_is_nocase(x->name, name))
            continue;
        put(t, x->value.at, x->value.len);
        puts_(t, ", ");
    }
    puts_(t, ours);
    puts_(t, "\r\n");
}

static void put_added(struct text *t, const struct http_head *h, const struct forwarded *f)
{
    char host[HOST_TEXT_MAX], ip[ADDR_TEXT_MAX], element[HOST_TEXT_MAX + ADDR_TEXT_MAX + 64];
    const char *proto = f->tls ? "https" : "http";
    host_text(h, host);
    if (h->target.at[0] != '/' && host[0])
        put_line(t, "Host", host);
    int n = 0;
    if (f->client->family) {
        addr_format_ip(f->client, ip);
        put_list(t, h, "X-Forwarded-For", ip);
        n = snprintf(element, sizeof(element), f->client->family == 6 ? "for=\"[%s]\";" : "for=%s;",
                     ip);
    }
    put_line(t, "X-Forwarded-Proto", proto);
    if (host[0]) {
        put_line(t, "X-Forwarded-Host", host);
        n += snprintf(element + n, sizeof(element) - (size_t)n, "host=\"%s\";", host);
    }
    snprintf(element + n, sizeof(element) - (size_t)n, "proto=%s", proto);
    put_list(t, h, "Forwarded", element);
}

int forwarded_build(const struct http_head *h, const struct forwarded *f, struct slice rest,
                    char **out, size_t *len)
{
    /* A list's values are joined by ", ", which is shorter than the name and line end that they
     * had. */
    struct text t = {.cap = h->head_bytes + ADDED_MAX + rest.len};
    t.at = mem_alloc(t.cap);
    if (!t.at)
        return STEAD_E_NOMEM;
    put_request_line(&t, h);
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *x = &h->headers[i];
        if (is_replaced(h, x->name))
            continue;
        put(&t, x->name.at, x->name.len);
        puts_(&t, ": ");
        put(&t, x->value.at, x->value.len);
        puts_(&t, "\r\n");
    }
    put_added(&t, h, f);
    puts_(&t, "\r\n");
    put(&t, rest.at, rest.len);
    *out = t.at;
    *len = t.len;
    return STEAD_OK;
}
