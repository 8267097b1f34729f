/* entry_fuzz.c - an entry that is accepted is valid, and is the same after it was written and read
 * again. */
#include "core/roster/entry.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Counts that a stranger sends, on an entry that they may or may not fit. */
static void apply_counts(const uint8_t *data, size_t size, struct entry *e)
{
    struct entry_counts counts;
    struct wire_reader r;
    wire_reader_init(&r, data, size);
    if (!entry_decode_counts(&r, &counts))
        return;
    counts.inc = e->inc;
    counts.shape = e->shape;
    if (entry_apply_counts(e, &counts))
        CHECK(entry_valid(e) && e->revision == counts.revision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct entry e, back;
    static uint8_t bytes[ENTRY_BYTES_MAX];
    struct wire_reader r;
    struct wire_writer w;
    wire_reader_init(&r, data, size);
    if (!entry_decode(&r, &e)) {
        e = (struct entry){.node = 1, .inc = 1, .name = "a", .group_count = 1, .server_count = 1};
        strcpy(e.groups[0], "g");
        strcpy(e.servers[0].service, "s");
        apply_counts(data, size, &e);
        return 0;
    }
    CHECK(entry_valid(&e));
    wire_writer_init(&w, bytes, sizeof bytes);
    entry_encode(&e, &w);
    CHECK(wire_put_ok(&w) && wire_written(&w) == size - wire_left(&r));
    CHECK(memcmp(bytes, data, wire_written(&w)) == 0);
    wire_reader_init(&r, bytes, wire_written(&w));
    CHECK(entry_decode(&r, &back) && wire_done(&r) && entry_compare(&e, &back) == 0);
    return 0;
}
