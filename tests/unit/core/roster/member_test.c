/* member_test.c - one membership, event by event: what it believes, what it refuses, what it
 * forgets. Whole farms are in tests/unit/core/farm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/roster/member.h"
#include "core/roster/member_message.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define START_NS (100 * NS_PER_S)

struct bench {
    struct membership *m;
    struct member_actions a;
    uint64_t now_ns;
    unsigned hellos, admits, removes, sends, refusals;
    int reason;
    struct addr greeted;
    bool roster_changed, view_changed, refused;
    struct heartbeat last; /* the last one sent */
};

static struct addr at(unsigned i)
{
    return (struct addr){.family = 4, .port = 7946, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
}

static struct entry entry_of(unsigned i)
{
    struct entry e = {.node = 100 + i,
                      .inc = 1000 + i,
                      .boot = 1,
                      .revision = 1,
                      .status = STATUS_UP,
                      .address = at(i),
                      .holds = true};
    snprintf(e.name, sizeof e.name, "n%u", i);
    return e;
}

static void take(struct bench *b)
{
    for (struct list *l = b->a.outputs.next; l != &b->a.outputs; l = l->next) {
        const struct member_output *o = list_entry(l, struct member_output, link);
        struct member_message m;
        b->hellos += o->type == MEMBER_OUT_HELLO;
        b->admits += o->type == MEMBER_OUT_ADMIT;
        b->removes += o->type == MEMBER_OUT_REMOVE;
        b->sends += o->type == MEMBER_OUT_SEND;
        if (o->type == MEMBER_OUT_HELLO)
            b->greeted = o->addr;
        if (o->type == MEMBER_OUT_REFUSE) {
            b->refusals++;
            b->reason = o->reason;
        }
        if (o->type == MEMBER_OUT_SEND) {
            assert_true(member_message_decode(o->bytes, o->len, &m));
            if (m.type == MESSAGE_HEARTBEAT)
                b->last = m.heartbeat;
        }
    }
    b->roster_changed = b->roster_changed || b->a.roster_changed;
    b->view_changed = b->view_changed || b->a.view_changed;
    b->refused = b->refused || b->a.refused;
    member_actions_clear(&b->a);
}

static void bench_init(struct bench *b, unsigned join_count)
{
    struct member_config c = {.farm = "shop", .join_count = join_count, .seed = 1};
    struct entry self = entry_of(0);
    member_timing_default(&c.timing);
    for (unsigned i = 0; i < join_count; i++)
        c.join[i] = at(i + 1);
    *b = (struct bench){.now_ns = START_NS};
    member_actions_init(&b->a);
    b->m = membership_new(&c, &self, b->now_ns);
    assert_non_null(b->m);
}

static void run_ms(struct bench *b, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 10) {
        b->now_ns += 10 * NS_PER_MS;
        membership_tick(b->m, b->now_ns, &b->a);
        take(b);
    }
}

static void prove(struct bench *b, const struct entry *e, const struct addr *from)
{
    uint8_t card[ENTRY_BYTES_MAX];
    struct wire_writer w;
    wire_writer_init(&w, card, sizeof card);
    entry_encode(e, &w);
    membership_proven(b->m, e->inc, e->node, from, card, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

static void admit(struct bench *b, unsigned i)
{
    struct entry e = entry_of(i);
    struct addr from = at(i);
    prove(b, &e, &from);
}

static void beat(struct bench *b, uint64_t from, const struct heartbeat *h)
{
    uint8_t bytes[128];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_put_heartbeat(h, NULL, 0, &w);
    membership_message(b->m, from, bytes, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

/* A list with these records, from peer 1. */
static void tell(struct bench *b, const struct list_record *records, uint16_t count)
{
    static uint8_t bytes[LIST_PAGE_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_list_start(&w);
    for (uint16_t i = 0; i < count; i++)
        assert_true(member_message_put_record(&records[i], &w));
    member_message_list_finish(&w, count, true);
    membership_message(b->m, 1001, bytes, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

static struct member_contact contact(const struct bench *b, uint64_t inc)
{
    static struct member_contact all[MEMBERS_MAX];
    size_t n = membership_contacts(b->m, all, MEMBERS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (all[i].inc == inc)
            return all[i];
    }
    return (struct member_contact){.inc = 0};
}

static struct member_stats stats(const struct bench *b)
{
    struct member_stats s;
    membership_stats(b->m, &s);
    return s;
}

static uint64_t stamp(const struct bench *b)
{
    return b->now_ns - START_NS + 1;
}

static void test_lease_is_by_own_clock(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    assert_int_equal(b.admits, 1);
    assert_int_equal(contact(&b, 1001).lease_until_ns, 0);
    run_ms(&b, 50);
    uint64_t sent = b.last.stamp;
    assert_true(sent > 0 && sent <= stamp(&b));
    /* The peer's own stamp may be anything; the lease counts from our stamp that it echoes. */
    beat(&b, 1001, &(struct heartbeat){.stamp = UINT64_MAX / 2, .echo = sent, .revision = 1});
    uint64_t until = START_NS + sent - 1 + 1200 * NS_PER_MS;
    assert_int_equal(contact(&b, 1001).lease_until_ns, until);
    /* An older echo that comes late shortens nothing; a forged one from the future is not believed.
     */
    beat(&b, 1001, &(struct heartbeat){.stamp = 7, .echo = 1, .revision = 1});
    assert_int_equal(contact(&b, 1001).lease_until_ns, until);
    beat(&b, 1001, &(struct heartbeat){.stamp = 9, .echo = stamp(&b) + 1, .revision = 1});
    assert_int_equal(contact(&b, 1001).lease_until_ns, until);
    assert_int_equal(stats(&b).malformed, 1);
    run_ms(&b, 200);
    assert_int_equal(b.last.echo, UINT64_MAX / 2);
    membership_free(b.m);
}

static void test_generations_only_grow(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .counted = 3, .revision = 1});
    assert_int_equal(contact(&b, 1001).granted, 3);
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .counted = 2, .revision = 1});
    assert_int_equal(contact(&b, 1001).granted, 3);
    run_ms(&b, 1800);
    assert_int_equal(contact(&b, 1001).status, STATUS_DOWN);
    assert_int_equal(contact(&b, 1001).counted, 1);
    assert_int_equal(b.last.echo, 0); /* no lease for one that is counted out */
    assert_int_equal(b.last.counted, 1);
    beat(&b, 1001, &(struct heartbeat){.stamp = 5, .counted = 3, .revision = 1});
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    run_ms(&b, 200);
    assert_int_equal(b.last.echo, 5);
    assert_int_equal(b.last.counted, 1);
    membership_free(b.m);
}

static void test_down_is_shown_no_earlier_than_out(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    assert_int_equal(contact(&b, 1001).status, STATUS_JOINING); /* its counted is not known yet */
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1});
    run_ms(&b, 1490);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    run_ms(&b, 10);
    assert_int_equal(contact(&b, 1001).status, STATUS_DOWN);
    assert_int_equal(stats(&b).counted_out, 1);
    membership_free(b.m);
}

static void test_malformed_changes_nothing(void **state)
{
    (void)state;
    struct bench b;
    static const uint8_t junk[] = {MESSAGE_HEARTBEAT, 1, 2, 3};
    struct entry other = entry_of(2);
    uint8_t bytes[512];
    struct wire_writer w;
    bench_init(&b, 0);
    membership_message(b.m, 1001, junk, sizeof junk, b.now_ns, &b.a); /* of a stranger */
    take(&b);
    assert_int_equal(stats(&b).malformed, 0);
    admit(&b, 1);
    membership_message(b.m, 1001, junk, sizeof junk, b.now_ns, &b.a);
    take(&b);
    bytes[0] = MESSAGE_ENTRY; /* an entry that is another's */
    wire_writer_init(&w, bytes + 1, sizeof bytes - 1);
    other.revision = 9;
    entry_encode(&other, &w);
    membership_message(b.m, 1001, bytes, 1 + wire_written(&w), b.now_ns, &b.a);
    take(&b);
    /* A card that names another incarnation than the frame did. */
    membership_proven(b.m, 4711, other.node, &other.address, bytes + 1, wire_written(&w), b.now_ns,
                      &b.a);
    take(&b);
    assert_int_equal(stats(&b).malformed, 3);
    assert_int_equal(b.admits, 1);
    assert_int_equal(contact(&b, 1002).inc, 0);
    /* A heartbeat that confirms a revision that never was. */
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1, .confirmed = 99});
    assert_int_equal(stats(&b).malformed, 4);
    membership_free(b.m);
}

static void test_hearsay(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1});
    struct list_record r[4] = {
        {.status = STATUS_UP, .addr = at(2), .entry = entry_of(2)},
        {.status = STATUS_DOWN, .age_ms = 1000, .addr = at(3), .entry = entry_of(3)},
        {.status = STATUS_LEFT, .age_ms = 1000, .addr = at(4), .entry = entry_of(4)},
        {.status = STATUS_DOWN, .age_ms = 3600 * 1000, .addr = at(5), .entry = entry_of(5)},
    };
    tell(&b, r, 4);
    assert_int_equal(contact(&b, 1002).inc, 0); /* not heard by us */
    assert_int_equal(contact(&b, 1003).status, STATUS_DOWN);
    assert_int_equal(contact(&b, 1003).counted, 1);
    assert_int_equal(contact(&b, 1004).status, STATUS_LEFT);
    assert_int_equal(contact(&b, 1005).inc, 0); /* over long ago */
    b.hellos = 0;
    run_ms(&b, 10);
    assert_int_equal(b.hellos, 2); /* n2 and n3 are greeted; n4 is gone */
    /* Nobody who is heard goes down or moves by hearsay. */
    struct list_record lie = {.status = STATUS_DOWN, .addr = at(9), .entry = entry_of(1)};
    tell(&b, &lie, 1);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    beat(&b, 1001, &(struct heartbeat){.stamp = 2, .revision = 1});
    run_ms(&b, 1400);
    assert_int_equal(contact(&b, 1002).inc, 0);
    run_ms(&b, 100);
    assert_int_equal(contact(&b, 1002).status, STATUS_DOWN); /* told of, never met */
    struct roster *snapshot = membership_roster(b.m, b.now_ns);
    assert_int_equal(snapshot->count, 5);
    assert_int_equal(roster_find(snapshot, "n4")->status, STATUS_LEFT);
    assert_true(roster_find(snapshot, "n0")->self);
    roster_unref(snapshot);
    membership_free(b.m);
}

static void test_address_has_one_process(void **state)
{
    (void)state;
    struct bench b;
    struct addr first = at(1), second = at(2);
    bench_init(&b, 0);
    admit(&b, 1);
    struct entry same_boot = entry_of(1);
    same_boot.inc = 2001;
    prove(&b, &same_boot, &first); /* a copied state directory, or an older one */
    assert_int_equal(b.refusals, 1);
    assert_int_equal(b.reason, STEAD_E_NAME_TAKEN);
    struct entry elsewhere = same_boot;
    elsewhere.boot = 9;
    prove(&b, &elsewhere, &second);
    assert_int_equal(b.refusals, 2);
    prove(&b, &elsewhere, &first);
    assert_int_equal(b.refusals, 2);
    assert_int_equal(b.removes, 1);
    assert_int_equal(contact(&b, 1001).status, STATUS_DOWN);
    struct entry reinstalled = entry_of(7); /* a new id and name where n1 was */
    prove(&b, &reinstalled, &first);
    assert_int_equal(contact(&b, 2001).status, STATUS_DOWN);
    assert_int_equal(contact(&b, 1007).status, STATUS_JOINING);
    struct entry me = entry_of(0);
    me.inc = 3000;
    me.boot = 99;
    prove(&b, &me, &second);
    assert_int_equal(b.refusals, 3);
    membership_free(b.m);
}

static void test_short_card_is_made_whole_by_heartbeats(void **state)
{
    (void)state;
    struct bench b;
    uint8_t card[1024];
    struct wire_reader r;
    struct entry e;
    bench_init(&b, 0);
    struct entry self = entry_of(0);
    self.server_count = 2;
    for (size_t i = 0; i < 2; i++) {
        strcpy(self.servers[i].service, "shop");
        self.servers[i].url_count = 3;
        for (size_t u = 0; u < 3; u++) {
            memset(self.servers[i].urls[u], 'x', 200);
            memcpy(self.servers[i].urls[u], "http://", 7);
        }
    }
    wire_reader_init(&r, card, membership_card(b.m, card, sizeof card));
    assert_true(entry_decode(&r, &e));
    assert_int_equal(e.revision, 1);
    membership_set_self(b.m, &self, b.now_ns, &b.a);
    take(&b);
    assert_int_equal(membership_self(b.m)->revision, 2);
    wire_reader_init(&r, card, membership_card(b.m, card, sizeof card));
    assert_true(entry_decode(&r, &e));
    assert_int_equal(e.revision, 0); /* whatever comes is newer */
    assert_int_equal(e.server_count, 0);
    assert_string_equal(e.name, "n0");
    membership_set_self(b.m, &self, b.now_ns, &b.a); /* no change, no revision */
    take(&b);
    assert_int_equal(membership_self(b.m)->revision, 2);
    membership_free(b.m);
}

static void test_forgotten_counts_never_start_lower(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    struct list_record r = {.status = STATUS_DOWN, .addr = at(3), .entry = entry_of(3)};
    tell(&b, &r, 1);
    run_ms(&b, 1600);
    b.now_ns += 3599 * NS_PER_S; /* a long sleep, then it listens anew */
    run_ms(&b, 1600);
    assert_int_equal(contact(&b, 1003).inc, 0);
    assert_int_equal(contact(&b, 1001).inc, 0); /* not shown, */
    b.hellos = 0;
    run_ms(&b, 1000);
    assert_int_equal(b.hellos, 1); /* but greeted: a split may last longer than that */
    admit(&b, 3);
    assert_int_equal(contact(&b, 1003).counted, 1);
    membership_free(b.m);
}

static void test_configured_address_nobody_at(void **state)
{
    (void)state;
    struct bench b;
    bool alone;
    bench_init(&b, 1);
    run_ms(&b, 2900);
    assert_false(membership_found(b.m, &alone));
    assert_int_equal(b.hellos, 3);
    struct addr expected = at(1);
    assert_true(addr_equal(&b.greeted, &expected));
    run_ms(&b, 200);
    assert_true(membership_found(b.m, &alone));
    assert_true(alone);
    run_ms(&b, 2000);
    assert_int_equal(b.hellos, 6); /* it goes on asking */
    membership_free(b.m);
}

static void test_refusal_is_fatal_only_without_company(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    membership_refused(b.m, 4711, STEAD_E_NAME_TAKEN, b.now_ns, &b.a);
    take(&b);
    assert_false(b.refused);
    run_ms(&b, 1600);
    membership_refused(b.m, 4711, STEAD_E_FULL, b.now_ns, &b.a);
    take(&b);
    assert_false(b.refused);
    membership_refused(b.m, 4711, STEAD_E_NAME_TAKEN, b.now_ns, &b.a);
    take(&b);
    assert_true(b.refused);
    membership_free(b.m);
}

static void test_no_more_than_the_limit(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    for (unsigned i = 1; i <= MEMBERS_MAX; i++)
        admit(&b, i);
    assert_int_equal(b.admits, MEMBERS_MAX);
    admit(&b, MEMBERS_MAX + 1);
    assert_int_equal(b.admits, MEMBERS_MAX);
    assert_int_equal(b.reason, STEAD_E_FULL);
    struct entry again = entry_of(5); /* restarted: the one that was replaced makes room */
    struct addr from = at(5);
    again.inc = 99999;
    again.boot = 2;
    prove(&b, &again, &from);
    assert_int_equal(b.admits, MEMBERS_MAX + 1);
    assert_int_equal(contact(&b, 99999).status, STATUS_JOINING);
    assert_int_equal(contact(&b, 1005).inc, 0);
    membership_free(b.m);
}

static void test_no_memory_loses_only_time(void **state)
{
    (void)state;
    for (unsigned k = 1; k < 12; k++) {
        struct bench b;
        bench_init(&b, 0);
        mem_fail_after(k);
        admit(&b, 1);
        run_ms(&b, 20);
        beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1});
        mem_fail_after(0);
        admit(&b, 1); /* its hello is repeated */
        beat(&b, 1001, &(struct heartbeat){.stamp = 2, .revision = 1});
        run_ms(&b, 250);
        assert_int_equal(contact(&b, 1001).status, STATUS_UP);
        assert_int_equal(b.last.echo, 2);
        membership_free(b.m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_is_by_own_clock),
        cmocka_unit_test(test_generations_only_grow),
        cmocka_unit_test(test_down_is_shown_no_earlier_than_out),
        cmocka_unit_test(test_malformed_changes_nothing),
        cmocka_unit_test(test_hearsay),
        cmocka_unit_test(test_address_has_one_process),
        cmocka_unit_test(test_short_card_is_made_whole_by_heartbeats),
        cmocka_unit_test(test_forgotten_counts_never_start_lower),
        cmocka_unit_test(test_configured_address_nobody_at),
        cmocka_unit_test(test_refusal_is_fatal_only_without_company),
        cmocka_unit_test(test_no_more_than_the_limit),
        cmocka_unit_test(test_no_memory_loses_only_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
