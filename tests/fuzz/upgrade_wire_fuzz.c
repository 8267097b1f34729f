/* upgrade_wire_fuzz.c - what a process believes of the one that started it: a message hangs only on
 * its own bytes, and a connection that is decoded is made again alike. */
#include "fuzz_check.h"
#include "node/upgrade_wire.h"
#include "node/worker_hand.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hand(struct wire_reader rest)
{
    struct hand h = {0}, again = {0};
    uint8_t bytes[HAND_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    if (!hand_decode(&rest, &h))
        return;
    const struct forward_share *t = &h.passage.tunnel;
    CHECK(h.door < HAND_TUNNEL || (t->client == -1 && t->server == -1 && !t->up.pending &&
                                   t->up.len <= PASSAGE_PENDING_MAX));
    CHECK(!hand_fits(&h, 0) && !hand_fits(&h, UPGRADE_FDS_MAX + 1));
    CHECK(hand_fits(&h, 1) + hand_fits(&h, 2) + hand_fits(&h, 3) == 1);
    wire_writer_init(&w, bytes, sizeof bytes);
    hand_encode(&h, &w);
    CHECK(wire_put_ok(&w));
    wire_reader_init(&r, bytes, wire_written(&w));
    CHECK(hand_decode(&r, &again));
    CHECK(again.door == h.door && again.admitted == h.admitted && again.version3 == h.version3);
    CHECK(h.door < HAND_TUNNEL || strcmp(again.passage.service, h.passage.service) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct upgrade_message m;
    if (!upgrade_decode(data, size, &m))
        return 0;
    CHECK(m.type >= UPGRADE_HELLO && m.type <= UPGRADE_LEFT);
    if (m.type == UPGRADE_HELLO)
        CHECK(entry_valid(&m.hello.entry));
    if (m.type == UPGRADE_CONNECTION)
        check_hand(m.rest);
    return 0;
}
