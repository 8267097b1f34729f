/* roster_query.c - parameters, percent-decoded, and the choice by Accept. */
#include "role/director/roster_query.h"

#include "stead/error.h"

#include <string.h>
#include <strings.h>

#define NUMBER_DIGITS_MAX 6

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The parameter's value as it stands; false: it is not there. */
static bool parameter(struct slice query, const char *key, struct slice *out)
{
    size_t key_len = strlen(key);
    while (query.at != NULL && query.len > 0) {
        const char *stop = memchr(query.at, '&', query.len);
        size_t len = stop != NULL ? (size_t)(stop - query.at) : query.len;
        if (len > key_len && query.at[key_len] == '=' && memcmp(query.at, key, key_len) == 0) {
            *out = (struct slice){query.at + key_len + 1, len - key_len - 1};
            return true;
        }
        size_t past = stop != NULL ? len + 1 : len;
        query = (struct slice){query.at + past, query.len - past};
    }
    return false;
}

/* Into out of NAME_MAX_BYTES + 1; false: no name is like that. */
static bool decode_name(struct slice text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.at[i];
        if (c == '%') {
            if (text.len - i < 3 || hex(text.at[i + 1]) < 0 || hex(text.at[i + 2]) < 0)
                return false;
            c = hex(text.at[i + 1]) * 16 + hex(text.at[i + 2]);
            i += 2;
        }
        if (len == NAME_MAX_BYTES)
            return false;
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return entry_name_valid(out, len, false);
}

static bool name_parameter(const struct http_head *h, const char *key, char *out)
{
    struct slice text;
    out[0] = '\0';
    return !parameter(h->query, key, &text) || decode_name(text, out);
}

static bool number_parameter(const struct http_head *h, const char *key, uint32_t *out)
{
    struct slice text;
    *out = 0;
    if (!parameter(h->query, key, &text))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(text.at[i] - '0');
    }
    return text.len > 0 && text.len <= NUMBER_DIGITS_MAX && *out > 0;
}

/* -- Accept -- */

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (*s.at == ' ' || *s.at == '\t'))
        s = (struct slice){s.at + 1, s.len - 1};
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Up to the divider, which is left out of what remains. */
static struct slice cut(struct slice *from, char divider)
{
    const char *stop = from->len > 0 ? memchr(from->at, divider, from->len) : NULL;
    struct slice piece = {from->at, stop != NULL ? (size_t)(stop - from->at) : from->len};
    size_t past = stop != NULL ? piece.len + 1 : piece.len;
    *from = (struct slice){from->at + past, from->len - past};
    return trimmed(piece);
}

static bool format_of(struct slice type, enum roster_format *out)
{
    static const struct {
        const char *type;
        enum roster_format format;
    } types[] = {{"application/json", ROSTER_JSON},
                 {"application/*", ROSTER_JSON},
                 {"*/*", ROSTER_JSON},
                 {"text/plain", ROSTER_TEXT},
                 {"text/*", ROSTER_TEXT},
                 {"text/event-stream", ROSTER_SSE}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (slice_is_nocase(type, types[i].type)) {
            *out = types[i].format;
            return true;
        }
    }
    return false;
}

/* The weight in thousandths: 1000 without one, and when it is not one. */
static unsigned quality(struct slice parameters)
{
    while (parameters.len > 0) {
        struct slice p = cut(&parameters, ';');
        if (p.len < 3 || strncasecmp(p.at, "q=", 2) != 0)
            continue;
        if (p.at[2] != '0')
            return 1000;
        unsigned q = 0, unit = 100;
        for (size_t i = 4; i < p.len && i < 7; i++, unit /= 10)
            if (p.at[i] >= '0' && p.at[i] <= '9')
                q += (unsigned)(p.at[i] - '0') * unit;
        return q;
    }
    return 1000;
}

/* The one that the client likes best; of equals the first. JSON when it names none of ours. */
static enum roster_format by_accept(const struct http_head *h)
{
    const struct http_header *accept = http_find(h->headers, h->header_count, "Accept");
    enum roster_format best = ROSTER_JSON, format;
    unsigned most = 0;
    struct slice left = accept != NULL ? accept->value : (struct slice){NULL, 0};
    while (left.len > 0) {
        struct slice range = cut(&left, ',');
        struct slice type = cut(&range, ';');
        if (!format_of(type, &format))
            continue;
        unsigned q = quality(range);
        if (q > most) {
            most = q;
            best = format;
        }
    }
    return best;
}

static bool format_parameter(const struct http_head *h, enum roster_format *out)
{
    static const char *const names[] = {
        [ROSTER_JSON] = "json", [ROSTER_TEXT] = "text", [ROSTER_SSE] = "sse"};
    struct slice text;
    if (!parameter(h->query, "format", &text)) {
        *out = by_accept(h);
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_is(text, names[i])) {
            *out = (enum roster_format)i;
            return true;
        }
    }
    return false;
}

int roster_query_parse(const struct http_head *h, struct roster_query *out, const char **why)
{
    if (!format_parameter(h, &out->format))
        *why = "format is json, text or sse";
    else if (!name_parameter(h, "service", out->service))
        *why = "the service parameter is not a name";
    else if (!name_parameter(h, "on", out->on))
        *why = "the on parameter is not a server's name";
    else if (!name_parameter(h, "after", out->after))
        *why = "the after parameter is not a server's name";
    else if (!number_parameter(h, "limit", &out->limit))
        *why = "the limit parameter is not a number from 1 to 999999";
    else
        return STEAD_OK;
    return STEAD_E_INVAL;
}
