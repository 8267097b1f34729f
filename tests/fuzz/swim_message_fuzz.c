/* swim_message_fuzz.c - any bytes as a message from a member: whatever they say, the table stays
 * one, what is put out is well-formed and bounded, and this node lives on. */
#include "base/clock.h"
#include "core/roster/swim_message.h"
#include "fuzz_check.h"
#include "stead/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SELF 1u
#define PEERS 6u

static struct entry entry_of(uint64_t i)
{
    struct entry e = {.node = i,
                      .inc = i,
                      .boot = 1,
                      .revision = 1,
                      .shape = 1,
                      .status = STATUS_UP,
                      .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, (uint8_t)i}}};
    e.name[0] = (char)('a' + i);
    return e;
}

static void take(struct swim *s, struct swim_actions *a, uint64_t now_ns)
{
    static struct swim_message m;
    struct list *link;
    unsigned outputs = 0;
    while ((link = list_pop(&a->outputs)) != NULL) {
        struct swim_output *o = list_entry(link, struct swim_output, link);
        CHECK(++outputs < 4096);
        if (o->type == SWIM_OUT_SEND) {
            CHECK(o->inc != SELF);
            CHECK(o->reliable || o->len <= SWIM_FLEETING_BYTES);
            CHECK(swim_message_decode(o->bytes, o->len, &m));
        } else if (o->type == SWIM_OUT_STRANGER) {
            CHECK(entry_valid(o->entry) && o->inc == o->entry->inc && o->inc != SELF);
            (void)swim_learn(s, o->entry, o->life, o->rank, SWIM_HEARSAY, now_ns, a);
        }
        swim_output_free(o);
    }
    CHECK(a->deadline_ns >= now_ns);
    swim_actions_clear(a);
}

static void check(struct swim *s, uint64_t now_ns)
{
    struct swim_view v;
    size_t alive = 0;
    CHECK(swim_look(s, SELF, now_ns, &v) && v.rank == SWIM_ALIVE && v.entry == swim_self(s));
    CHECK(v.life == v.entry->life && strcmp(v.entry->name, "b") == 0);
    for (uint64_t i = 2; i < 2 + PEERS; i++) {
        CHECK(swim_look(s, i, now_ns, &v) && v.entry->inc == i && v.entry->node == i);
        alive += v.rank <= SWIM_SUSPECT;
    }
    CHECK(swim_alive(s) >= alive && swim_alive(s) <= swim_count(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct swim_timing t;
    struct swim_actions a;
    struct entry self = entry_of(SELF);
    uint64_t now_ns = NS_PER_S;
    swim_timing_default(&t);
    swim_actions_init(&a);
    struct swim *s = swim_new(&t, 1, &self, now_ns);
    CHECK(s != NULL);
    for (uint64_t i = 2; i < 2 + PEERS; i++) {
        struct entry e = entry_of(i), *shared = entry_new(&e);
        CHECK(shared != NULL);
        CHECK(swim_learn(s, shared, 0, SWIM_ALIVE, SWIM_HEARSAY, now_ns, &a) == STEAD_OK);
        entry_unref(shared);
    }
    take(s, &a, now_ns);
    for (unsigned i = 0; i < 3; i++) {
        now_ns += 40 * NS_PER_MS;
        swim_message(s, 2 + i, data, size, now_ns, &a);
        take(s, &a, now_ns);
        check(s, now_ns);
    }
    for (unsigned i = 0; i < 40; i++) {
        now_ns += 60 * NS_PER_MS;
        swim_tick(s, now_ns, &a);
        take(s, &a, now_ns);
    }
    check(s, now_ns);
    swim_free(s);
    return 0;
}
