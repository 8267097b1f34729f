/* member_message_fuzz.c - any bytes as a message from an admitted peer: whatever they say, the node
 * still makes sense to its readers. */
#include "base/clock.h"
#include "core/roster/member.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct entry entry_of(uint64_t i, const char *name)
{
    struct entry e = {.node = i,
                      .inc = i,
                      .boot = 1,
                      .revision = 1,
                      .status = STATUS_UP,
                      .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, (uint8_t)i}}};
    strcpy(e.name, name);
    return e;
}

static void check(struct membership *m, uint64_t now_ns)
{
    static struct member_contact contacts[MEMBERS_MAX];
    size_t count = membership_contacts(m, contacts, MEMBERS_MAX);
    CHECK(count >= 1 && count <= MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || contacts[i - 1].inc < contacts[i].inc);
        CHECK(contacts[i].status != STATUS_DOWN || contacts[i].counted > 0);
        CHECK(contacts[i].lease_until_ns <= now_ns + 1200 * NS_PER_MS);
    }
    struct roster *r = membership_roster(m, now_ns);
    CHECK(r != NULL && r->count >= 1);
    for (size_t i = 1; i < r->count; i++)
        CHECK(strcmp(r->nodes[i - 1].entry->name, r->nodes[i].entry->name) < 0);
    roster_unref(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct member_config c = {.farm = "f", .seed = 1};
    struct entry self = entry_of(1, "self"), peer = entry_of(2, "peer");
    struct member_actions a;
    uint8_t card[512];
    struct wire_writer w;
    uint64_t now_ns = NS_PER_S;
    member_timing_default(&c.timing);
    member_actions_init(&a);
    struct membership *m = membership_new(&c, &self, now_ns);
    CHECK(m != NULL);
    wire_writer_init(&w, card, sizeof card);
    entry_encode(&peer, &w);
    membership_proven(m, 2, 2, &peer.address, card, wire_written(&w), now_ns, &a);
    now_ns += 100 * NS_PER_MS;
    membership_message(m, 2, data, size, now_ns, &a);
    check(m, now_ns);
    now_ns += 2 * NS_PER_S;
    membership_tick(m, now_ns, &a);
    check(m, now_ns);
    member_actions_clear(&a);
    membership_free(m);
    return 0;
}
