/* http_body_fuzz.c - a response with its body, or a chunked body alone: whatever the pieces, it
 * ends at the same byte, and carries the same. */
#include "core/http/http_body.h"
#include "fuzz_check.h"

#include <string.h>

#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char carried[BYTES_MAX], piece[BYTES_MAX];

/* In pieces of `step` bytes; -1: malformed. */
static ptrdiff_t take_in_pieces(struct http_body b, const char *bytes, size_t len, size_t step)
{
    size_t at = 0;
    while (at < len && !b.done) {
        size_t n = len - at < step ? len - at : step;
        ptrdiff_t taken = http_body_take(&b, bytes + at, n);
        if (taken < 0) {
            CHECK(http_body_take(&b, bytes, len) < 0 || b.kind != HTTP_BODY_CHUNKED);
            return -1;
        }
        CHECK((size_t)taken <= n && ((size_t)taken == n || b.done));
        at += (size_t)taken;
    }
    return (ptrdiff_t)at;
}

/* The bytes that it carries; SIZE_MAX: malformed. */
static size_t unchunk_in_pieces(struct http_body b, const char *bytes, size_t len, size_t step,
                                ptrdiff_t *end)
{
    size_t at = 0, all = 0;
    while (at < len && !b.done) {
        size_t n = len - at < step ? len - at : step, got;
        memcpy(piece, bytes + at, n);
        ptrdiff_t taken = http_body_unchunk(&b, piece, n, &got);
        if (taken < 0) {
            *end = -1;
            return SIZE_MAX;
        }
        CHECK(got <= n && (size_t)taken <= n);
        if (step >= BYTES_MAX)
            memcpy(carried, piece, got);
        else
            CHECK(memcmp(carried + all, piece, got) == 0);
        all += got;
        at += (size_t)taken;
    }
    *end = (ptrdiff_t)at;
    return all;
}

static void check_body(const struct http_body *b, const char *bytes, size_t len)
{
    ptrdiff_t whole = take_in_pieces(*b, bytes, len, BYTES_MAX), end;
    CHECK(take_in_pieces(*b, bytes, len, 1) == whole);
    CHECK(take_in_pieces(*b, bytes, len, 7) == whole);
    if (b->kind != HTTP_BODY_CHUNKED)
        return;
    size_t all = unchunk_in_pieces(*b, bytes, len, BYTES_MAX, &end);
    CHECK(end == whole);
    CHECK(whole < 0 || unchunk_in_pieces(*b, bytes, len, 1, &end) == all);
    CHECK(whole < 0 || unchunk_in_pieces(*b, bytes, len, 5, &end) == all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_response_head head;
    const char *bytes = (const char *)data, *why;
    struct http_body b = {.kind = HTTP_BODY_CHUNKED};
    if (size > BYTES_MAX)
        return 0;
    http_chunked_init(&b.chunked);
    check_body(&b, bytes, size);
    int n = http_parse_response(bytes, size, &head, &why);
    if (n <= 0)
        return 0;
    for (int head_only = 0; head_only < 2; head_only++) {
        http_body_of_response(&b, &head, head_only);
        CHECK(!head_only || b.done);
        check_body(&b, bytes + n, size - (size_t)n);
    }
    return 0;
}
