/* reply_fuzz.c - an answer means the same in one piece and byte by byte: status, body, and how it
 * ends. */
#include "client/reply.h"
#include "fuzz_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct read {
    int result; /* of the last call; 0 turned into what the connection's end means */
    int status;
    size_t len;
    uint64_t sum;
};

static struct read read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct reply *r = calloc(1, sizeof *r);
    struct read out = {0};
    CHECK(r != NULL);
    for (size_t at = 0; at < size && out.result >= 0 && out.result != 2; at += piece) {
        struct slice in = {(const char *)data + at, size - at < piece ? size - at : piece}, body;
        do {
            size_t left = in.len + r->rest.len;
            out.result = reply_feed(r, &in, &body);
            CHECK(out.result <= 2);
            CHECK(out.result != 1 || body.len > 0 || in.len + r->rest.len < left || !left);
            for (size_t i = 0; out.result > 0 && i < body.len; i++)
                out.sum = (out.sum ^ (uint8_t)body.at[i]) * 0x100000001b3u;
            out.len += out.result > 0 ? body.len : 0;
        } while (out.result == 1);
        CHECK(out.result != 0 || in.len == 0);
    }
    if (out.result == 0)
        out.result = reply_end(r);
    else if (out.result == 2)
        CHECK(reply_end(r) == 0 || r->chunked);
    out.status = r->has_head ? reply_status(r) : 0;
    free(r);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct read whole = read_in_pieces(data, size, size), bytes = read_in_pieces(data, size, 1);
    CHECK((whole.result < 0) == (bytes.result < 0));
    if (whole.result < 0)
        return 0;
    CHECK(whole.status == bytes.status && whole.len == bytes.len && whole.sum == bytes.sum);
    return 0;
}
