/* http_request_fuzz.c - request heads and chunked bodies: what is accepted lies inside the input,
 * does not depend on how it came in pieces, and carries no character that could start another line.
 */
#include "core/http/http.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct slice s, const char *bytes, size_t len)
{
    return s.len == 0 || (s.at >= bytes && s.at + s.len <= bytes + len);
}

static bool plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t')
            return false;
    return true;
}

/* The body's bytes, summed, by pieces of `step`; -1 when malformed. */
static long chunked_sum(const char *bytes, size_t len, size_t step, size_t *taken)
{
    struct http_chunked c;
    long sum = 0;
    int r = 0;
    size_t from = 0;
    http_chunked_init(&c);
    while (from < len && r == 0) {
        struct slice in = {bytes + from, len - from < step ? len - from : step}, data;
        while ((r = http_chunked_step(&c, &in, &data)) == 1)
            for (size_t i = 0; i < data.len; i++)
                sum = sum * 31 % 1000003 + (unsigned char)data.at[i];
        from = (size_t)(in.at - bytes);
    }
    *taken = from;
    return r < 0 ? -1 : sum;
}

static void check_accepted(const struct http_head *h, const char *bytes, size_t len)
{
    size_t taken, taken_by_one;
    CHECK(h->head_bytes <= len && h->head_bytes <= HTTP_HEAD_MAX);
    CHECK(h->header_count <= HTTP_HEADERS_MAX && h->minor <= 1);
    CHECK(memcmp(bytes + h->head_bytes - 4, "\r\n\r\n", 4) == 0);
    CHECK(inside(h->method, bytes, len) && inside(h->target, bytes, len));
    CHECK(inside(h->path, bytes, len) && inside(h->query, bytes, len) &&
          inside(h->host, bytes, len));
    CHECK(plain(h->target) && plain(h->path) && plain(h->host) && plain(h->method));
    CHECK(h->minor == 0 || h->host.len > 0);
    CHECK(!(h->chunked && h->has_length));
    for (size_t i = 0; i < h->header_count; i++) {
        CHECK(inside(h->headers[i].name, bytes, len) && inside(h->headers[i].value, bytes, len));
        CHECK(h->headers[i].name.len > 0 && plain(h->headers[i].value));
    }
    if (!h->chunked)
        return;
    const char *body = bytes + h->head_bytes;
    long sum = chunked_sum(body, len - h->head_bytes, SIZE_MAX, &taken);
    CHECK(sum == chunked_sum(body, len - h->head_bytes, 1, &taken_by_one));
    CHECK(sum < 0 || taken == taken_by_one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head, again;
    const char *bytes = (const char *)data, *why = NULL;
    int r = http_parse_request(bytes, size, &head, &why);
    if (r > 0) {
        CHECK((size_t)r == head.head_bytes);
        check_accepted(&head, bytes, size);
        CHECK(http_parse_request(bytes, (size_t)r, &again, &why) == r);
        CHECK(http_parse_request(bytes, (size_t)r - 1, &again, &why) == 0);
        CHECK(http_parse_request(bytes, data[0] % (size_t)r, &again, &why) == 0);
    } else if (r < 0) {
        CHECK(why && http_reason(-r) && strcmp(http_reason(-r), "Unknown") != 0);
    } else {
        CHECK(size < HTTP_HEAD_MAX);
    }
    return 0;
}
