/* http_body.c - counting a body as it passes. The chunked coding itself is http_chunked.c's. */
#include "core/http/http_body.h"

#include <string.h>

static void body_init(struct http_body *b, bool chunked, bool has_length, uint64_t length)
{
    *b = (struct http_body){.kind = HTTP_BODY_CLOSE};
    if (chunked) {
        b->kind = HTTP_BODY_CHUNKED;
        http_chunked_init(&b->chunked);
    } else if (has_length) {
        b->kind = HTTP_BODY_LENGTH;
        b->left = length;
        b->done = length == 0;
    }
}

void http_body_of_request(struct http_body *b, const struct http_head *h)
{
    body_init(b, h->chunked, true, h->has_length ? h->length : 0);
}

void http_body_of_response(struct http_body *b, const struct http_response_head *h, bool head_only)
{
    if (head_only)
        body_init(b, false, true, 0);
    else
        body_init(b, h->chunked, h->has_length, h->length);
}

ptrdiff_t http_body_unchunk(struct http_body *b, char *bytes, size_t len, size_t *data)
{
    struct slice in = {bytes, len}, piece;
    int step;
    *data = 0;
    do {
        step = http_chunked_step(&b->chunked, &in, &piece);
        if (step < 0)
            return -1;
        if (piece.len)
            memmove(bytes + *data, piece.at, piece.len);
        *data += piece.len;
    } while (step == 1);
    b->done = step == 2;
    return (ptrdiff_t)(len - in.len);
}

ptrdiff_t http_body_take(struct http_body *b, const char *bytes, size_t len)
{
    struct slice in = {bytes, len}, piece;
    int step = 1;
    if (b->done)
        return 0;
    if (b->kind == HTTP_BODY_CLOSE)
        return (ptrdiff_t)len;
    if (b->kind == HTTP_BODY_LENGTH) {
        size_t taken = len < b->left ? len : (size_t)b->left;
        b->left -= taken;
        b->done = b->left == 0;
        return (ptrdiff_t)taken;
    }
    while (step == 1)
        step = http_chunked_step(&b->chunked, &in, &piece);
    if (step < 0)
        return -1;
    b->done = step == 2;
    return (ptrdiff_t)(len - in.len);
}
