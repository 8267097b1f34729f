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
#include "core/roster/swim_message.h"
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
    unsigned beats, swims, notices[MEMBER_KEY_UNKNOWN + 1];
    uint64_t pinged;
    uint32_t ping_seq;
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
        if (o->type == MEMBER_OUT_NOTICE)
            b->notices[o->notice]++;
        if (o->type == MEMBER_OUT_SEND && o->bytes[0] >= SWIM_TYPE_FIRST) {
            static struct swim_message s;
            assert_true(swim_message_decode(o->bytes, o->len, &s));
            b->swims++;
            if (s.type == SWIM_PING) {
                b->pinged = o->inc;
                b->ping_seq = s.seq;
            }
        } else if (o->type == MEMBER_OUT_SEND) {
            assert_true(member_message_decode(o->bytes, o->len, &m));
            if (m.type == MESSAGE_HEARTBEAT) {
                b->last = m.heartbeat;
                b->beats++;
            }
        }
    }
    b->roster_changed = b->roster_changed || b->a.roster_changed;
    b->view_changed = b->view_changed || b->a.view_changed;
    b->refused = b->refused || b->a.refused;
    member_actions_clear(&b->a);
}

static void bench_init_as(struct bench *b, unsigned join_count, bool holds)
{
    struct member_config c = {.farm = "shop", .join_count = join_count, .seed = 1};
    struct entry self = entry_of(0);
    self.holds = holds;
    member_timing_default(&c.timing);
    for (unsigned i = 0; i < join_count; i++)
        c.join[i] = at(i + 1);
    *b = (struct bench){.now_ns = START_NS};
    member_actions_init(&b->a);
    b->m = membership_new(&c, &self, b->now_ns);
    assert_non_null(b->m);
}

static void bench_init(struct bench *b, unsigned join_count)
{
    bench_init_as(b, join_count, true);
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
    uint8_t bytes[HEARTBEAT_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_put_heartbeat(h, &w);
    membership_message(b->m, from, bytes, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

/* What peer 1 tells of another node, entry and all. */
struct hearsay {
    unsigned about;
    enum swim_rank rank;
    uint32_t age_ms;
};

static void tell(struct bench *b, const struct hearsay *all, uint16_t count)
{
    static uint8_t bytes[SWIM_PAGE_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_page(&w, SWIM_ENTRIES, 0);
    for (uint16_t i = 0; i < count; i++) {
        struct entry e = entry_of(all[i].about);
        assert_true(swim_put_page_entry(&w, &e, 0, all[i].rank, all[i].age_ms));
    }
    swim_finish_page(&w, count);
    membership_message(b->m, 1001, bytes, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

static void say(struct bench *b, uint64_t from, uint64_t inc, uint32_t life, enum swim_rank rank)
{
    uint8_t bytes[64];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, SWIM_NEWS, 0, 0, 0);
    assert_true(swim_put_state(&w, inc, life, rank, NULL, 0));
    membership_message(b->m, from, bytes, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

static int shown(struct bench *b, const char *name)
{
    struct roster *r = membership_roster(b->m, b->now_ns);
    const struct roster_node *n = roster_find(r, name);
    int status = n != NULL ? (int)n->status : -1;
    roster_unref(r);
    return status;
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
    wire_writer_init(&w, bytes + 1, sizeof bytes - 1);
    other.revision = 9;
    entry_encode(&other, &w);
    bytes[0] = SWIM_NEWS; /* and no news in it that could be read */
    membership_message(b.m, 1001, bytes, 1 + wire_written(&w), b.now_ns, &b.a);
    take(&b);
    /* A card that names another incarnation than the frame did. */
    membership_proven(b.m, 4711, other.node, &other.address, bytes + 1, wire_written(&w), b.now_ns,
                      &b.a);
    take(&b);
    assert_int_equal(stats(&b).malformed, 3);
    assert_int_equal(b.admits, 1);
    assert_int_equal(contact(&b, 1002).inc, 0);
    membership_free(b.m);
}

static void test_hearsay(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1});
    const struct hearsay said[4] = {{2, SWIM_ALIVE, 0},
                                    {3, SWIM_DOWN, 1000},
                                    {4, SWIM_LEFT, 1000},
                                    {5, SWIM_DOWN, 3600 * 1000}};
    tell(&b, said, 4);
    assert_int_equal(shown(&b, "n2"), STATUS_UP); /* others vouch for it, */
    assert_int_equal(contact(&b, 1002).inc, 0);   /* but it is not heard by us */
    assert_int_equal(contact(&b, 1003).status, STATUS_DOWN);
    assert_int_equal(contact(&b, 1003).counted, 1);
    assert_int_equal(contact(&b, 1004).status, STATUS_LEFT);
    assert_int_equal(contact(&b, 1005).inc, 0); /* over long ago */
    assert_int_equal(shown(&b, "n5"), -1);
    b.hellos = 0;
    run_ms(&b, 10);
    assert_in_range(b.hellos, 2, 3); /* n2 and n3 are greeted; n4 is gone */
    /* Nobody whom this node meets goes down by hearsay. */
    beat(&b, 1001, &(struct heartbeat){.stamp = 2, .echo = stamp(&b), .revision = 1});
    const struct hearsay lie = {1, SWIM_DOWN, 0};
    tell(&b, &lie, 1);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    assert_int_equal(shown(&b, "n1"), STATUS_SUSPECT);
    run_ms(&b, 1600);
    assert_int_equal(contact(&b, 1002).status, STATUS_DOWN); /* told of, never met */
    struct roster *snapshot = membership_roster(b.m, b.now_ns);
    assert_int_equal(snapshot->count, 5);
    assert_int_equal(roster_find(snapshot, "n4")->status, STATUS_LEFT);
    assert_true(roster_find(snapshot, "n0")->self);
    roster_unref(snapshot);
    membership_free(b.m);
}

/* Who stands where another is told of stays; proof decides between them. */
static void test_hearsay_takes_no_place(void **state)
{
    (void)state;
    struct bench b;
    static uint8_t bytes[2048];
    struct wire_writer w;
    struct entry e = entry_of(2);
    bench_init(&b, 0);
    admit(&b, 1);
    admit(&b, 2);
    e.inc = 7777;
    e.boot = 9;
    e.address = at(5);
    b.hellos = 0;
    for (unsigned i = 0; i < 2; i++) {
        wire_writer_init(&w, bytes, sizeof bytes);
        swim_start_page(&w, SWIM_ENTRIES, 0);
        assert_true(swim_put_page_entry(&w, &e, 0, SWIM_ALIVE, 0));
        swim_finish_page(&w, 1);
        membership_message(b.m, 1001, bytes, wire_written(&w), b.now_ns, &b.a);
        take(&b);
        assert_int_equal(b.hellos, i + 1);
        assert_true(addr_equal(&b.greeted, &e.address));
        e = entry_of(0); /* and nobody takes this node's own name */
        e.inc = 7778;
        e.address = at(6);
    }
    assert_int_equal(contact(&b, 7777).inc, 0);
    assert_int_equal(contact(&b, 1002).status, STATUS_JOINING);
    membership_free(b.m);
}

static void test_no_heartbeats_where_one_keeps_no_records(void **state)
{
    (void)state;
    struct bench b;
    struct entry e = entry_of(1);
    struct addr from = at(1);
    bench_init(&b, 0);
    e.holds = false;
    prove(&b, &e, &from);
    assert_int_equal(b.notices[MEMBER_JOINED], 1);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP); /* nothing to wait for */
    run_ms(&b, 100);
    assert_int_equal(b.beats, 0);
    assert_true(b.swims > 0);
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 1});
    assert_int_equal(stats(&b).malformed, 1);
    run_ms(&b, 1000);
    assert_int_equal(shown(&b, "n1"), STATUS_SUSPECT);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    run_ms(&b, 1000); /* SWIM's verdict ends the contact */
    assert_int_equal(shown(&b, "n1"), STATUS_DOWN);
    assert_int_equal(contact(&b, 1001).status, STATUS_DOWN);
    assert_int_equal(contact(&b, 1001).counted, 1);
    assert_int_equal(b.notices[MEMBER_DOWN], 1);
    say(&b, 1001, 1001, 0, SWIM_ALIVE); /* a late message is no sign of life */
    assert_int_equal(contact(&b, 1001).status, STATUS_DOWN);
    say(&b, 1001, 1001, 1, SWIM_ALIVE);
    assert_int_equal(contact(&b, 1001).status, STATUS_UP);
    assert_int_equal(shown(&b, "n1"), STATUS_UP);
    assert_int_equal(b.notices[MEMBER_HEARD_AGAIN], 1);
    membership_free(b.m);
}

/* Two that keep no records have nothing to say to each other before SWIM does. */
static void test_unlinked_are_greeted_when_spoken_to(void **state)
{
    (void)state;
    struct bench b;
    struct entry e = entry_of(1);
    struct addr from = at(1);
    static uint8_t bytes[2048];
    struct wire_writer w;
    bench_init_as(&b, 0, false);
    e.holds = false;
    prove(&b, &e, &from);
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_page(&w, SWIM_ENTRIES, 0);
    for (unsigned i = 2; i < 8; i++) {
        e = entry_of(i);
        e.holds = false;
        assert_true(swim_put_page_entry(&w, &e, 0, SWIM_ALIVE, 0));
    }
    swim_finish_page(&w, 6);
    b.hellos = 0;
    membership_message(b.m, 1001, bytes, wire_written(&w), b.now_ns, &b.a);
    take(&b);
    assert_int_equal(b.hellos, 0);
    assert_int_equal(b.notices[MEMBER_JOINED], 7);
    assert_int_equal(shown(&b, "n7"), STATUS_UP);
    run_ms(&b, 120); /* a probe, or news */
    assert_true(b.hellos >= 1);
    unsigned greeted = b.greeted.ip[3];
    e = entry_of(greeted);
    e.holds = false;
    b.swims = 0;
    prove(&b, &e, &e.address);
    assert_true(b.swims >= 1); /* what waited for it goes out */
    assert_int_equal(b.notices[MEMBER_JOINED], 7);
    membership_free(b.m);
}

static void test_leaves(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    admit(&b, 2);
    beat(&b, 1002, &(struct heartbeat){.stamp = 1, .revision = 1});
    say(&b, 1001, 1002, 0, SWIM_LEFT); /* only the one that leaves says so first */
    assert_int_equal(contact(&b, 1002).status, STATUS_LEFT);
    assert_int_equal(shown(&b, "n2"), STATUS_LEFT);
    assert_int_equal(b.notices[MEMBER_LEFT], 1);
    membership_free(b.m);
}

/* What a heartbeat says of the sender's entry is asked for when gossip does not bring it. */
static void test_revision_by_heartbeat(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    admit(&b, 1);
    run_ms(&b, 200);
    b.swims = 0;
    beat(&b, 1001, &(struct heartbeat){.stamp = 1, .revision = 7});
    assert_int_equal(b.swims, 0);
    beat(&b, 1001, &(struct heartbeat){.stamp = 2, .revision = 7});
    assert_int_equal(b.swims, 1);
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

static void test_short_card_is_made_whole(void **state)
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
    const struct hearsay r = {3, SWIM_DOWN, 0};
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
    for (unsigned k = 1; k < 40; k++) {
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
        cmocka_unit_test(test_hearsay_takes_no_place),
        cmocka_unit_test(test_no_heartbeats_where_one_keeps_no_records),
        cmocka_unit_test(test_unlinked_are_greeted_when_spoken_to),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_revision_by_heartbeat),
        cmocka_unit_test(test_address_has_one_process),
        cmocka_unit_test(test_short_card_is_made_whole),
        cmocka_unit_test(test_forgotten_counts_never_start_lower),
        cmocka_unit_test(test_configured_address_nobody_at),
        cmocka_unit_test(test_refusal_is_fatal_only_without_company),
        cmocka_unit_test(test_no_more_than_the_limit),
        cmocka_unit_test(test_no_memory_loses_only_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
