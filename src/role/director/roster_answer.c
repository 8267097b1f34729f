/* roster_answer.c - the roster's JSON, kept per service, and its ETag. */
#include "role/director/roster_answer.h"

#include "base/mem.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    char *json; /* of roster_json(): free() */
    size_t len;
};

struct roster_answers {
    const struct decide_config *config;
    const char *self_name;
    uint64_t revision;  /* that is kept */
    struct kept kept[]; /* the configured services, then the whole */
};

int roster_answers_new(const struct decide_config *c, const char *self_name,
                       struct roster_answers **out)
{
    struct roster_answers *a = mem_alloc(sizeof(*a) + (c->service_count + 1) * sizeof(struct kept));
    if (!a)
        return STEAD_E_NOMEM;
    a->config = c;
    a->self_name = self_name;
    *out = a;
    return STEAD_OK;
}

static void forget(struct roster_answers *a)
{
    for (size_t i = 0; i <= a->config->service_count; i++) {
        free(a->kept[i].json);
        a->kept[i] = (struct kept){NULL, 0};
    }
}

void roster_answers_free(struct roster_answers *a)
{
    if (!a)
        return;
    forget(a);
    mem_free(a);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The parameter's value, percent-decoded. False: no name is like that. *given says whether it is
 * there. */
static bool service_parameter(struct slice query, char name[NAME_MAX_BYTES + 1], bool *given)
{
    static const char key[] = "service=";
    const size_t key_len = sizeof(key) - 1;
    const char *at = query.at, *end = at ? at + query.len : NULL;
    *given = false;
    while (at && (size_t)(end - at) >= key_len && memcmp(at, key, key_len) != 0) {
        at = memchr(at, '&', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    if (!at || (size_t)(end - at) < key_len)
        return true;
    *given = true;
    size_t len = 0;
    for (at += key_len; at < end && *at != '&'; at++) {
        int c = (unsigned char)*at;
        if (c == '%') {
            if (end - at < 3 || hex(at[1]) < 0 || hex(at[2]) < 0)
                return false;
            c = hex(at[1]) * 16 + hex(at[2]);
            at += 2;
        }
        if (c <= ' ' || c >= 0x7f || len == NAME_MAX_BYTES)
            return false;
        name[len++] = (char)c;
    }
    name[len] = '\0';
    return len > 0;
}

static bool matches(const struct http_head *h, const char *etag)
{
    const struct http_header *x = http_find(h->headers, h->header_count, "If-None-Match");
    if (!x)
        return false;
    return slice_is(x->value, "*") ||
           (x->value.len && memmem(x->value.at, x->value.len, etag, strlen(etag)));
}

static struct kept *place_for(struct roster_answers *a, const char *service)
{
    if (!service)
        return &a->kept[a->config->service_count];
    for (size_t i = 0; i < a->config->service_count; i++)
        if (strcmp(a->config->services[i].name, service) == 0)
            return &a->kept[i];
    return NULL;
}

static int find_json(struct roster_answers *a, const struct roster *r, const char *service,
                     struct roster_answer *out)
{
    if (a->revision != r->revision) {
        forget(a);
        a->revision = r->revision;
    }
    struct kept *k = place_for(a, service);
    if (!k || !k->json) {
        char *json = roster_json(r, service);
        if (!json)
            return STEAD_E_NOMEM;
        if (!k) {
            out->json = out->own = json;
            out->len = strlen(json);
            return STEAD_OK;
        }
        *k = (struct kept){json, strlen(json)};
    }
    out->json = k->json;
    out->len = k->len;
    return STEAD_OK;
}

int roster_answers_get(struct roster_answers *a, const struct roster *r, const struct http_head *h,
                       struct roster_answer *out)
{
    char name[NAME_MAX_BYTES + 1], etag[48];
    bool given;
    memset(out, 0, sizeof(*out));
    if (!service_parameter(h->query, name, &given))
        return STEAD_E_INVAL;
    const struct roster_node *self = roster_find(r, a->self_name);
    snprintf(etag, sizeof(etag), "\"%llx-%llu\"",
             self ? (unsigned long long)self->entry->inc : 0ull, (unsigned long long)r->revision);
    snprintf(out->headers, sizeof(out->headers), "ETag: %s\r\nCache-Control: no-cache\r\n", etag);
    out->not_modified = matches(h, etag);
    return out->not_modified ? STEAD_OK : find_json(a, r, given ? name : NULL, out);
}

void roster_answer_deinit(struct roster_answer *answer)
{
    free(answer->own);
    answer->own = NULL;
}
