/* hop.c - the header of requests between nodes. What is believed of them is forwarded.c's. */
#include "role/director/hop.h"

#include "base/wire.h"

#include <string.h>

#define PURPOSE "hop"
#define CONTENT_BYTES 8
#define SKEW_S 30 /* by which nodes' clocks may differ */

size_t hop_make(const uint8_t *key, const char *node, int64_t now_s, char out[HOP_TEXT_MAX])
{
    uint8_t content[CONTENT_BYTES];
    char text[TOKEN_TEXT_MAX];
    struct wire_writer w;
    const struct token_scope scope = {key, PURPOSE, node};
    wire_writer_init(&w, content, sizeof(content));
    wire_put_u64(&w, (uint64_t)(now_s + HOP_LIFE_S));
    size_t len = token_sign(&scope, content, sizeof(content), text);
    if (len == 0 || len >= HOP_TEXT_MAX)
        return 0;
    memcpy(out, text, len + 1);
    return len;
}

bool hop_valid(const uint8_t *key, const char *self, const struct http_head *h, int64_t now_s)
{
    uint8_t content[TOKEN_CONTENT_MAX];
    size_t len;
    struct wire_reader r;
    const struct token_scope scope = {key, PURPOSE, self};
    const struct http_header *x = http_find(h->headers, h->header_count, HOP_HEADER);
    if (!x || !token_verify(&scope, x->value.at, x->value.len, content, &len) ||
        len != CONTENT_BYTES)
        return false;
    wire_reader_init(&r, content, len);
    uint64_t end_s = wire_u64(&r);
    return now_s >= 0 && end_s > (uint64_t)now_s && end_s <= (uint64_t)now_s + HOP_LIFE_S + SKEW_S;
}
