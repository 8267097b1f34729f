/* http_fields.c - what header fields mean for framing and for the connection (RFC 9112 sections 6
 * and 9), and the small grammars inside their values. */
#include "core/http/http_scan.h"

#include <string.h>
#include <strings.h>

const struct http_header *http_find(const struct http_header *headers, size_t count,
                                    const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is_nocase(headers[i].name, name))
            return &headers[i];
    return NULL;
}

static struct slice trim(struct slice s)
{
    while (s.len && (*s.at == ' ' || *s.at == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes what stands before the separator off the front. */
static bool take(struct slice *list, char separator, struct slice *out)
{
    if (!list->at)
        return false;
    const char *stop = memchr(list->at, separator, list->len);
    size_t len = stop ? (size_t)(stop - list->at) : list->len;
    *out = trim((struct slice){list->at, len});
    if (stop)
        *list = (struct slice){stop + 1, list->len - len - 1};
    else
        *list = (struct slice){NULL, 0};
    return true;
}

bool http_list_next(struct slice *list, struct slice *element)
{
    return take(list, ',', element);
}

struct slice http_cookie(struct slice header, const char *name)
{
    struct slice pair;
    size_t name_len = strlen(name);
    while (take(&header, ';', &pair)) {
        if (pair.len > name_len && pair.at[name_len] == '=' && memcmp(pair.at, name, name_len) == 0)
            return (struct slice){pair.at + name_len + 1, pair.len - name_len - 1};
    }
    return (struct slice){NULL, 0};
}

struct slice http_find_cookie(const struct http_head *h, const char *name)
{
    struct slice none = {NULL, 0};
    for (size_t i = 0; i < h->header_count; i++) {
        if (!slice_is_nocase(h->headers[i].name, "cookie"))
            continue;
        struct slice value = http_cookie(h->headers[i].value, name);
        if (value.at)
            return value;
    }
    return none;
}

bool http_decimal(struct slice text, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!http_is_digit(text.at[i]))
            return false;
        unsigned digit = (unsigned)(text.at[i] - '0');
        /* The first 18 digits always fit. */
        if (i >= 18 && v > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return text.len > 0;
}

/* Only a sole "chunked" is understood. A list in which chunked is not last, or is there twice, has
 * no safe reading; any other coding is merely unknown. */
static int collect_coding(struct slice value, const char **why)
{
    struct slice coding;
    unsigned others = 0, chunked = 0;
    bool last_is_chunked = false;
    while (http_list_next(&value, &coding)) {
        if (coding.len == 0)
            return *why = "an empty transfer coding", -400;
        last_is_chunked = slice_is_nocase(coding, "chunked");
        chunked += last_is_chunked;
        others += !last_is_chunked;
    }
    if (chunked > 1 || (chunked && !last_is_chunked))
        return *why = "chunked is not the one last transfer coding", -400;
    if (others)
        return *why = "an unknown transfer coding", -501;
    return 1;
}

static void collect_connection(struct http_fields *f, struct slice value)
{
    struct slice option;
    while (http_list_next(&value, &option)) {
        f->close |= slice_is_nocase(option, "close");
        f->keep_alive |= slice_is_nocase(option, "keep-alive");
        f->wants_upgrade |= slice_is_nocase(option, "upgrade");
    }
}

static int collect_field(struct http_fields *f, const struct http_header *h, const char **why)
{
    if (slice_is_nocase(h->name, "host")) {
        f->hosts++;
        f->host = h->value;
    } else if (slice_is_nocase(h->name, "content-length")) {
        f->lengths++;
        if (!http_decimal(h->value, &f->length))
            return *why = "a malformed Content-Length", -400;
    } else if (slice_is_nocase(h->name, "transfer-encoding")) {
        f->codings++;
        return collect_coding(h->value, why);
    } else if (slice_is_nocase(h->name, "connection")) {
        collect_connection(f, h->value);
    } else if (slice_is_nocase(h->name, "upgrade")) {
        f->names_upgrade |= h->value.len > 0;
    } else if (slice_is_nocase(h->name, "expect")) {
        f->expect_continue |= slice_is_nocase(h->value, "100-continue");
    }
    return 1;
}

int http_fields_collect(struct http_fields *f, const struct http_header *headers, size_t count,
                        uint8_t minor, const char **why)
{
    *f = (struct http_fields){0};
    int unknown = 1;
    for (size_t i = 0; i < count; i++) {
        int r = collect_field(f, &headers[i], why);
        if (r == -501)
            unknown = r; /* an ambiguity further on is the graver fault */
        else if (r != 1)
            return r;
    }
    if (f->lengths > 1)
        return *why = "more than one Content-Length", -400;
    if (f->codings > 1)
        return *why = "more than one Transfer-Encoding", -400;
    if (f->codings && f->lengths)
        return *why = "both Content-Length and Transfer-Encoding", -400;
    if (f->codings && minor == 0)
        return *why = "Transfer-Encoding in HTTP/1.0", -400;
    if (minor == 0)
        f->wants_upgrade = f->expect_continue = false;
    return unknown;
}
