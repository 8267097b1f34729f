/* request.c - forms, cookies and answers. */
#include "request.h"

#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char style[] = {
#include "style.inc"
};

static const char *header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool request_is_post(const struct request *r)
{
    return strcmp(r->method, "POST") == 0;
}

bool request_wants_json(const struct request *r)
{
    const char *accept = header(r, "Accept");
    size_t len = strlen(r->path);
    if (len > 5 && strcmp(r->path + len - 5, ".json") == 0)
        return true;
    if (accept && strstr(accept, "text/html"))
        return false;
    return request_is_post(r) || (accept && strstr(accept, "application/json"));
}

/* Is the origin's host the domain, or within it? */
static bool within(const char *origin, const char *domain)
{
    const char *host = strstr(origin, "://");
    if (!host)
        return false;
    host += 3;
    size_t len = strcspn(host, ":/"), domain_len = strlen(domain);
    if (len < domain_len || strncasecmp(host + len - domain_len, domain, domain_len) != 0)
        return false;
    return len == domain_len || host[len - domain_len - 1] == '.';
}

bool request_is_cross_site(const struct request *r)
{
    const char *site = header(r, "Sec-Fetch-Site"), *origin = header(r, "Origin");
    const char *host = header(r, "Host");
    if (site && strcmp(site, "cross-site") == 0)
        return true;
    /* "null" is what a browser sends after a redirect to another of our servers. */
    if (!origin || strcmp(origin, "null") == 0 || within(origin, r->domain))
        return false;
    const char *authority = strstr(origin, "://");
    return !authority || !host || strcasecmp(authority + 3, host) != 0;
}

/* -- forms -- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of the encoded text from *at on; -1 when it is malformed. */
static int next_byte(const char **at, const char *end)
{
    char c = *(*at)++;
    if (c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (end - *at < 2 || hex((*at)[0]) < 0 || hex((*at)[1]) < 0)
        return -1;
    int value = hex((*at)[0]) * 16 + hex((*at)[1]);
    *at += 2;
    return value;
}

static bool decode(const char *at, const char *end, char *out, size_t cap)
{
    size_t n = 0;
    while (at < end) {
        int c = next_byte(&at, end);
        if (c < ' ' || c == 0x7f || n + 1 >= cap) {
            out[0] = '\0';
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    json_t *text = json_string(out); /* NULL when it is no UTF-8 */
    json_decref(text);
    if (!text)
        out[0] = '\0';
    return text != NULL;
}

/* How often the name is there; the last one's value. */
static size_t find(const struct request *r, const char *name, const char **value, const char **end)
{
    size_t found = 0, len = strlen(name);
    const char *at = r->body, *stop = r->body + r->body_len;
    while (at < stop) {
        const char *next = memchr(at, '&', (size_t)(stop - at));
        next = next ? next : stop;
        if ((size_t)(next - at) > len && memcmp(at, name, len) == 0 && at[len] == '=') {
            found++;
            *value = at + len + 1;
            *end = next;
        }
        at = next + 1;
    }
    return found;
}

bool request_has_form(const struct request *r, const char *name)
{
    const char *at, *end;
    return find(r, name, &at, &end) > 0;
}

bool request_form(const struct request *r, const char *name, char *out, size_t cap)
{
    const char *at, *end;
    out[0] = '\0';
    return find(r, name, &at, &end) == 1 && decode(at, end, out, cap);
}

bool request_form_number(const struct request *r, const char *name, int *out)
{
    char text[5];
    if (!request_form(r, name, text, sizeof text) || text[0] == '\0' ||
        strspn(text, "0123456789") != strlen(text))
        return false;
    *out = (int)strtol(text, NULL, 10);
    return true;
}

/* -- cookie -- */

static void read_cookie(const struct request *r, const char *name, char *out, size_t cap)
{
    const char *id = MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, name);
    bool good = id && strlen(id) < cap && node_id_valid(id);
    snprintf(out, cap, "%s", good ? id : "");
}

static void write_cookie(const struct request *r, const char *name, const char *id, char *out,
                         size_t cap)
{
    snprintf(out, cap, "%s=%s; Domain=%s; Path=/; HttpOnly; SameSite=Lax%s", name, id, r->domain,
             id[0] ? "" : "; Max-Age=0");
}

void request_sid(const struct request *r, char *out, size_t cap)
{
    read_cookie(r, "sid", out, cap);
}

void request_login(const struct request *r, char *out, size_t cap)
{
    read_cookie(r, "login", out, cap);
}

void request_set_sid(struct request *r, const char *sid)
{
    write_cookie(r, "sid", sid, r->set_sid, sizeof r->set_sid);
}

void request_set_login(struct request *r, const char *id)
{
    write_cookie(r, "login", id, r->set_login, sizeof r->set_login);
}

/* -- answers -- */

static void send_answer(struct request *r, unsigned status, const char *type,
                        struct MHD_Response *answer)
{
    if (!answer) {
        r->result = MHD_NO;
        return;
    }
    char policy[512];
    /* A form may be redirected from one server to another: all of the domain is named. */
    snprintf(policy, sizeof policy,
             "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
             "frame-ancestors 'none'; form-action 'self' http://*.%s:* https://*.%s:*",
             r->domain, r->domain);
    MHD_add_response_header(answer, "Content-Type", type);
    MHD_add_response_header(answer, "Content-Security-Policy", policy);
    MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(answer, "Referrer-Policy", "same-origin");
    if (!MHD_get_response_header(answer, "Cache-Control"))
        MHD_add_response_header(answer, "Cache-Control", "no-store");
    if (status == 503)
        MHD_add_response_header(answer, "Retry-After", "1");
    if (status == 405 && r->allow)
        MHD_add_response_header(answer, "Allow", r->allow);
    if (r->set_sid[0])
        MHD_add_response_header(answer, "Set-Cookie", r->set_sid);
    if (r->set_login[0])
        MHD_add_response_header(answer, "Set-Cookie", r->set_login);
    r->result = MHD_queue_response(r->connection, status, answer);
    MHD_destroy_response(answer);
}

void request_reply_page(struct request *r, unsigned status, struct text *page)
{
    if (page->failed) {
        text_deinit(page);
        request_reply_plain(r, 500, "out of memory\n");
        return;
    }
    struct MHD_Response *answer =
        MHD_create_response_from_buffer(page->len, page->at, MHD_RESPMEM_MUST_FREE);
    if (answer)
        *page = (struct text){0};
    text_deinit(page);
    send_answer(r, status, "text/html; charset=utf-8", answer);
}

void request_reply_json(struct request *r, unsigned status, json_t *json)
{
    char *dumped = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    struct text t = {0};
    if (dumped)
        text_add(&t, dumped);
    text_add(&t, "\n");
    free(dumped);
    struct MHD_Response *answer =
        dumped && !t.failed ? MHD_create_response_from_buffer(t.len, t.at, MHD_RESPMEM_MUST_COPY)
                            : NULL;
    text_deinit(&t);
    send_answer(r, status, "application/json", answer);
}

void request_reply_plain(struct request *r, unsigned status, const char *text)
{
    send_answer(r, status, "text/plain; charset=utf-8",
                MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY));
}

void request_reply_see_other(struct request *r, const char *location)
{
    struct MHD_Response *answer = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (answer)
        MHD_add_response_header(answer, "Location", location);
    send_answer(r, 303, "text/plain; charset=utf-8", answer);
}

void request_reply_style(struct request *r)
{
    struct MHD_Response *answer =
        MHD_create_response_from_buffer(sizeof style, (void *)style, MHD_RESPMEM_PERSISTENT);
    if (answer)
        MHD_add_response_header(answer, "Cache-Control", "public, max-age=300");
    send_answer(r, 200, "text/css; charset=utf-8", answer);
}
