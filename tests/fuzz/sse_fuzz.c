/* sse_fuzz.c - a stream of events means the same in one piece and byte by byte, and what it tells
 * of the roster is believed only when it is one. */
#include "client/news.h"
#include "client/sse.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t sum, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    return sum * 31 + len;
}

/* What the events were, as a number; news keeps the roster as a client does. */
static uint64_t read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct sse s = {0};
    struct roster *roster = NULL;
    uint64_t sum = 1;
    int got = 0;
    for (size_t at = 0; at < size && got >= 0; at += piece) {
        const char *in = (const char *)data + at;
        size_t len = size - at < piece ? size - at : piece;
        while ((got = sse_feed(&s, &in, &len)) > 0) {
            struct news n;
            const char *text = s.data.bytes ? s.data.bytes : "";
            sum =
                mix(mix(mix(sum, s.event, strlen(s.event)), s.id, strlen(s.id)), text, s.data.len);
            int err = news_event(s.event, text, s.data.len, roster, &n);
            CHECK((n.roster != NULL) == (err == 0 && n.kind == NEWS_ROSTER));
            CHECK(n.to_count <= NEWS_TARGETS_MAX);
            if (!n.roster)
                continue;
            for (size_t i = 0; i + 1 < n.roster->count; i++)
                CHECK(strcmp(n.roster->nodes[i].entry->name, n.roster->nodes[i + 1].entry->name) <=
                      0);
            roster_unref(roster);
            roster = n.roster;
            sum = sum * 31 + roster->count;
        }
        CHECK(got < 0 || len == 0);
    }
    roster_unref(roster);
    sse_deinit(&s);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CHECK(read_in_pieces(data, size, size) == read_in_pieces(data, size, 1));
    return 0;
}
