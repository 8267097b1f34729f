/* http_oracle_fuzz.c - two parsers, one opinion: every request head that stead accepts, http_parser
 * in its strict mode accepts too, and reads the same method, length, coding and end from it. What
 * http_parser alone accepts is of no concern. It knows a fixed list of methods, and misreads some
 * odd fields; there it is not asked. */
#include "core/http/http.h"
#include "fuzz_check.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct opinion {
    bool complete, chunked;
    uint64_t length;
};

static int on_headers_complete(http_parser *p)
{
    struct opinion *o = p->data;
    o->complete = true;
    o->chunked = (p->flags & F_CHUNKED) != 0;
    o->length = p->content_length;
    http_parser_pause(p, 1);
    return 0;
}

static bool is_known_method(struct slice method)
{
#define X(number, name, text)                                                                      \
    if (slice_is(method, #text))                                                                   \
        return true;
    HTTP_METHOD_MAP(X)
#undef X
    return false;
}

/* It takes a tab for a part of a framing value, and any name that begins so for Transfer-Encoding
 * itself. */
static bool is_misread(const struct http_header *h)
{
    static const char coding[] = "Transfer-Encoding";
    size_t bytes = (size_t)(h->value.at - h->name.at) + h->value.len + 1;
    return memchr(h->name.at, '\t', bytes) ||
           (h->name.len >= sizeof coding &&
            strncasecmp(h->name.at, coding, sizeof coding - 1) == 0);
}

static bool can_be_asked(const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++)
        if (is_misread(&h->headers[i]))
            return false;
    return is_known_method(h->method);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head;
    const char *bytes = (const char *)data, *why = NULL;
    struct opinion o = {0};
    http_parser p;
    http_parser_settings settings;
    int r = http_parse_request(bytes, size, &head, &why);
    if (r <= 0 || !can_be_asked(&head))
        return 0;
    http_parser_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    http_parser_init(&p, HTTP_REQUEST);
    p.data = &o;
    size_t parsed = http_parser_execute(&p, &settings, bytes, size);
    if (!o.complete)
        fprintf(stderr, "%s: %.*s\n", http_errno_description(HTTP_PARSER_ERRNO(&p)), r, bytes);
    CHECK(o.complete);
    CHECK(parsed + 1 >= (size_t)r && parsed <= (size_t)r);
    CHECK(slice_is(head.method, http_method_str((enum http_method)p.method)));
    CHECK(p.http_major == 1 && p.http_minor == head.minor);
    CHECK(o.chunked == head.chunked);
    CHECK(o.length == (head.has_length ? head.length : UINT64_MAX) ||
          (!head.has_length && o.length == 0));
    return 0;
}
