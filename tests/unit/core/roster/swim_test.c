/* swim_test.c - one SWIM, event by event: whom it asks, what it believes, what it tells on. Whole
 * farms are in tests/swarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/roster/swim_message.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define START_NS (100 * NS_PER_S)
#define SELF 1000u

/* What it put out since the last look. */
struct bench {
    struct swim *s;
    struct swim_actions a;
    uint64_t now_ns;
    unsigned sent, pings, acks, asks, nacks, news, digests, lists, wants, pages;
    unsigned changed, strangers, compared;
    uint64_t pinged, acked, asked_of, wanted;
    uint32_t ping_seq, ack_seq, nack_seq, life;
    bool told; /* something of `about` was said: its latest */
    uint64_t about;
    struct swim_record last;
};

static struct entry entry_of(uint64_t inc)
{
    struct entry e = {.node = inc + 5000,
                      .inc = inc,
                      .boot = 1,
                      .revision = 1,
                      .shape = 1,
                      .status = STATUS_UP,
                      .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, (uint8_t)inc}},
                      .server_count = 1,
                      .servers = {{.service = "www.test",
                                   .weight = 1,
                                   .capacity = 1000,
                                   .load = LOAD_UNKNOWN,
                                   .healthy = true}}};
    snprintf(e.name, sizeof e.name, "n%u", (unsigned)inc);
    return e;
}

static void take_send(struct bench *b, const struct swim_output *o)
{
    static struct swim_message m;
    static struct swim_record r;
    assert_true(swim_message_decode(o->bytes, o->len, &m));
    assert_true(o->reliable || o->len <= SWIM_FLEETING_BYTES);
    assert_int_equal(o->reliable, m.type >= SWIM_DIGEST);
    b->sent++;
    b->life = m.life;
    b->pings += m.type == SWIM_PING;
    b->acks += m.type == SWIM_ACK;
    b->asks += m.type == SWIM_ASK;
    b->nacks += m.type == SWIM_NACK;
    b->news += m.type == SWIM_NEWS;
    b->digests += m.type == SWIM_DIGEST;
    b->lists += m.type == SWIM_LIST;
    b->wants += m.type == SWIM_WANT;
    b->pages += m.type == SWIM_ENTRIES;
    if (m.type == SWIM_PING) {
        b->pinged = o->inc;
        b->ping_seq = m.seq;
    } else if (m.type == SWIM_ACK) {
        b->acked = o->inc;
        b->ack_seq = m.seq;
    } else if (m.type == SWIM_NACK) {
        b->nack_seq = m.seq;
    } else if (m.type == SWIM_ASK) {
        b->asked_of = m.target;
    } else if (m.type == SWIM_WANT) {
        b->wanted = wire_u64(&m.records);
    }
    while (m.type < SWIM_DIGEST && wire_left(&m.records) > 0) {
        assert_true(swim_get_record(&m.records, &r));
        if (r.inc == b->about) {
            b->told = true;
            b->last = r;
        }
    }
}

static void look(struct bench *b)
{
    for (struct list *l = b->a.outputs.next; l != &b->a.outputs; l = l->next) {
        const struct swim_output *o = list_entry(l, struct swim_output, link);
        if (o->type == SWIM_OUT_SEND)
            take_send(b, o);
        b->changed += o->type == SWIM_OUT_CHANGED;
        b->strangers += o->type == SWIM_OUT_STRANGER;
        b->compared += o->type == SWIM_OUT_COMPARED;
    }
    swim_actions_clear(&b->a);
}

static void forget(struct bench *b)
{
    struct bench fresh = {.s = b->s, .now_ns = b->now_ns, .about = b->about};
    swim_actions_clear(&b->a);
    *b = fresh;
    swim_actions_init(&b->a);
}

static void learn(struct bench *b, uint64_t inc)
{
    struct entry e = entry_of(inc), *shared = entry_new(&e);
    assert_int_equal(swim_learn(b->s, shared, 0, SWIM_ALIVE, SWIM_HEARSAY, b->now_ns, &b->a),
                     STEAD_OK);
    entry_unref(shared);
}

static void bench_init(struct bench *b, unsigned peers)
{
    struct swim_timing t;
    struct entry self = entry_of(SELF);
    swim_timing_default(&t);
    *b = (struct bench){.now_ns = START_NS};
    swim_actions_init(&b->a);
    b->s = swim_new(&t, 1, &self, b->now_ns);
    assert_non_null(b->s);
    for (unsigned i = 1; i <= peers; i++)
        learn(b, i);
    look(b);
    forget(b);
}

static void bench_free(struct bench *b)
{
    swim_actions_clear(&b->a);
    swim_free(b->s);
}

static void step(struct bench *b, unsigned ms)
{
    b->now_ns += ms * NS_PER_MS;
    swim_tick(b->s, b->now_ns, &b->a);
    look(b);
}

static void run_ms(struct bench *b, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 10)
        step(b, 10);
}

static void hand(struct bench *b, uint64_t from, const struct wire_writer *w)
{
    swim_message(b->s, from, w->start, wire_written(w), b->now_ns, &b->a);
    look(b);
}

static uint8_t bytes[4096];

static struct wire_writer begin(enum swim_type type, uint32_t life, uint32_t seq)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, type, life, seq, 0);
    return w;
}

static void say(struct bench *b, uint64_t from, uint64_t inc, uint32_t life, enum swim_rank rank,
                uint64_t accuser)
{
    struct wire_writer w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_state(&w, inc, life, rank, &accuser, accuser != 0));
    hand(b, from, &w);
}

static enum swim_rank rank_of(struct bench *b, uint64_t inc)
{
    struct swim_view v;
    assert_true(swim_look(b->s, inc, b->now_ns, &v));
    return v.rank;
}

static uint32_t life_of(struct bench *b, uint64_t inc)
{
    struct swim_view v;
    assert_true(swim_look(b->s, inc, b->now_ns, &v));
    return v.life;
}

/* Runs until somebody is pinged, and answers for all others. */
static void until_ping(struct bench *b, uint64_t inc)
{
    for (unsigned i = 0; i < 1000; i++) {
        forget(b);
        step(b, 10);
        if (b->pings == 0)
            continue;
        if (b->pinged == inc)
            return;
        struct wire_writer w = begin(SWIM_ACK, 0, b->ping_seq);
        hand(b, b->pinged, &w);
    }
    fail();
}

static void test_every_member_is_asked_in_turn(void **state)
{
    struct bench b;
    unsigned asked[9] = {0};
    (void)state;
    bench_init(&b, 8);
    for (unsigned i = 0; i < 320; i++) { /* 4 rounds of 8 at 10 a second */
        forget(&b);
        step(&b, 10);
        if (b.pings == 0)
            continue;
        asked[b.pinged]++;
        struct wire_writer w = begin(SWIM_ACK, 0, b.ping_seq);
        hand(&b, b.pinged, &w);
    }
    for (unsigned i = 1; i <= 8; i++)
        assert_in_range(asked[i], 3, 5);
    bench_free(&b);
}

static void test_ping_is_answered(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 3);
    struct wire_writer w = begin(SWIM_PING, 0, 99);
    hand(&b, 2, &w);
    assert_int_equal(b.acks, 1);
    assert_int_equal(b.acked, 2);
    assert_int_equal(b.ack_seq, 99);
    hand(&b, 77, &w); /* a stranger is answered too */
    assert_int_equal(b.acked, 77);
    bench_free(&b);
}

static void test_silent_member_is_asked_through_others(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 6);
    until_ping(&b, 4);
    uint32_t seq = b.ping_seq;
    forget(&b);
    for (unsigned i = 0; i < 11; i++)
        step(&b, 10);
    assert_int_equal(b.asks, 3);
    assert_int_equal(b.asked_of, 4);
    assert_int_equal(rank_of(&b, 4), SWIM_ALIVE);
    struct wire_writer w = begin(SWIM_ACK, 0, seq);
    hand(&b, 5, &w); /* a helper got through */
    run_ms(&b, 200);
    assert_int_equal(rank_of(&b, 4), SWIM_ALIVE);
    bench_free(&b);
}

static void test_suspect_then_down(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 1);
    until_ping(&b, 1);
    run_ms(&b, 220);
    assert_int_equal(rank_of(&b, 1), SWIM_SUSPECT);
    assert_int_equal(swim_alive(b.s), 1);
    run_ms(&b, 700);
    assert_int_equal(rank_of(&b, 1), SWIM_SUSPECT);
    run_ms(&b, 400);
    assert_int_equal(rank_of(&b, 1), SWIM_DOWN);
    assert_int_equal(swim_alive(b.s), 0);
    forget(&b);
    run_ms(&b, 1100); /* it is tried again, and told what is thought of it */
    assert_true(b.pings >= 1);
    bench_free(&b);
}

/* A probe goes on over several ticks; the answer to another one does not count for it. */
static void test_wrong_ack(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 1);
    until_ping(&b, 1);
    struct wire_writer w = begin(SWIM_ACK, 0, b.ping_seq + 1);
    hand(&b, 1, &w);
    run_ms(&b, 220);
    assert_int_equal(rank_of(&b, 1), SWIM_SUSPECT);
    bench_free(&b);
}

static void test_heard_counts_as_ack(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 1);
    until_ping(&b, 1);
    swim_heard(b.s, 1, b.now_ns);
    run_ms(&b, 90);
    assert_int_equal(rank_of(&b, 1), SWIM_ALIVE);
    bench_free(&b);
}

static void test_helps(void **state)
{
    struct bench b;
    struct wire_writer w;
    (void)state;
    bench_init(&b, 5);
    run_ms(&b, 20);
    forget(&b);
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, SWIM_ASK, 0, 55, 4);
    hand(&b, 2, &w);
    assert_int_equal(b.pings, 1);
    assert_int_equal(b.pinged, 4);
    w = begin(SWIM_ACK, 0, b.ping_seq);
    hand(&b, 4, &w);
    assert_int_equal(b.acks, 1);
    assert_int_equal(b.acked, 2);
    assert_int_equal(b.ack_seq, 55);
    forget(&b);
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, SWIM_ASK, 0, 56, 4);
    hand(&b, 2, &w);
    run_ms(&b, 90); /* no answer: it says so before the asker gives up */
    assert_int_equal(b.nacks, 1);
    assert_int_equal(b.nack_seq, 56);
    bench_free(&b);
}

static void test_relays_are_bounded(void **state)
{
    struct bench b;
    struct swim_stats stats;
    struct wire_writer w;
    (void)state;
    bench_init(&b, 5);
    for (unsigned i = 0; i < 100; i++) {
        wire_writer_init(&w, bytes, sizeof bytes);
        swim_put_head(&w, SWIM_ASK, 0, i, 4);
        hand(&b, 2, &w);
    }
    swim_stats(b.s, &stats);
    assert_int_equal(b.pings, 64);
    assert_int_equal(stats.dropped, 36);
    bench_free(&b);
}

static void test_confirmations_shorten(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 9);
    say(&b, 1, 4, 0, SWIM_SUSPECT, 1);
    run_ms(&b, 1500);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT); /* one accuser: up to six seconds */
    say(&b, 1, 4, 0, SWIM_SUSPECT, 1);
    run_ms(&b, 20);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT); /* the same one again says nothing more */
    say(&b, 2, 4, 0, SWIM_SUSPECT, 2);
    say(&b, 3, 4, 0, SWIM_SUSPECT, 3);
    say(&b, 5, 4, 0, SWIM_SUSPECT, 5);
    run_ms(&b, 20);
    assert_int_equal(rank_of(&b, 4), SWIM_DOWN);
    bench_free(&b);
}

static void test_refuted_by_the_suspect(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 9);
    say(&b, 1, 4, 0, SWIM_SUSPECT, 1);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT);
    say(&b, 2, 4, 0, SWIM_ALIVE, 0); /* old news */
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT);
    say(&b, 2, 4, 1, SWIM_ALIVE, 0);
    assert_int_equal(rank_of(&b, 4), SWIM_ALIVE);
    assert_int_equal(life_of(&b, 4), 1);
    say(&b, 1, 4, 0, SWIM_DOWN, 0); /* of a life that is over */
    assert_int_equal(rank_of(&b, 4), SWIM_ALIVE);
    bench_free(&b);
}

/* Any message says what life its sender lives. */
static void test_head_refutes(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 9);
    say(&b, 1, 4, 2, SWIM_DOWN, 0);
    assert_int_equal(rank_of(&b, 4), SWIM_DOWN);
    struct wire_writer w = begin(SWIM_PING, 3, 1);
    hand(&b, 4, &w);
    assert_int_equal(rank_of(&b, 4), SWIM_ALIVE);
    assert_true(b.digests >= 1); /* there was a split, perhaps */
    bench_free(&b);
}

static void test_refutes(void **state)
{
    struct bench b;
    struct swim_stats stats;
    (void)state;
    bench_init(&b, 5);
    b.about = SELF;
    say(&b, 1, SELF, 0, SWIM_SUSPECT, 1);
    step(&b, 1);
    assert_true(b.told);
    assert_int_equal(b.last.rank, SWIM_ALIVE);
    assert_int_equal(b.last.life, 1);
    say(&b, 1, SELF, 0, SWIM_DOWN, 0); /* answered already */
    assert_int_equal(swim_self(b.s)->life, 1);
    say(&b, 1, SELF, 7, SWIM_DOWN, 0);
    assert_int_equal(swim_self(b.s)->life, 8);
    say(&b, 1, SELF, UINT32_MAX, SWIM_DOWN, 0);
    assert_int_equal(swim_self(b.s)->life, 8);
    swim_stats(b.s, &stats);
    assert_true(stats.local_health > 0); /* who must refute is not well */
    bench_free(&b);
}

static void test_down_of_one_just_met(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 9);
    swim_heard(b.s, 4, b.now_ns);
    say(&b, 1, 4, 0, SWIM_DOWN, 0);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT);
    assert_true(b.pings >= 1); /* and it is told at once */
    assert_int_equal(b.pinged, 4);
    run_ms(&b, 1300);
    assert_int_equal(rank_of(&b, 4), SWIM_DOWN);
    bench_free(&b);
}

static void test_left_is_final(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 3);
    say(&b, 1, 2, 0, SWIM_LEFT, 0);
    assert_int_equal(rank_of(&b, 2), SWIM_LEFT);
    say(&b, 1, 2, 9, SWIM_ALIVE, 0);
    assert_int_equal(rank_of(&b, 2), SWIM_LEFT);
    assert_int_equal(swim_alive(b.s), 2);
    bench_free(&b);
}

static void test_leaving(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 3);
    b.about = SELF;
    swim_leave(b.s, b.now_ns, &b.a);
    assert_int_equal(b.a.deadline_ns, TIME_NEVER);
    look(&b);
    assert_int_equal(b.news, 3);
    assert_true(b.told);
    assert_int_equal(b.last.rank, SWIM_LEFT);
    forget(&b);
    struct wire_writer w = begin(SWIM_PING, 0, 1);
    hand(&b, 1, &w);
    step(&b, 500);
    assert_int_equal(b.sent, 0);
    bench_free(&b);
}

/* A node that did not run believes nobody's silence. */
static void test_pause(void **state)
{
    struct bench b;
    struct swim_stats stats;
    (void)state;
    bench_init(&b, 9);
    say(&b, 1, 4, 0, SWIM_SUSPECT, 1);
    say(&b, 2, 4, 0, SWIM_SUSPECT, 2);
    say(&b, 3, 4, 0, SWIM_SUSPECT, 3);
    say(&b, 5, 4, 0, SWIM_SUSPECT, 5);
    until_ping(&b, 6);
    step(&b, 5000);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT);
    assert_int_equal(rank_of(&b, 6), SWIM_ALIVE);
    swim_stats(b.s, &stats);
    assert_int_equal(stats.pauses, 1);
    run_ms(&b, 1100);
    assert_int_equal(rank_of(&b, 4), SWIM_DOWN);
    bench_free(&b);
}

static void test_health(void **state)
{
    struct bench b;
    struct swim_stats stats;
    (void)state;
    bench_init(&b, 6);
    until_ping(&b, 4); /* neither it nor any helper says a word: it may well be this node */
    run_ms(&b, 210);
    swim_stats(b.s, &stats);
    assert_true(stats.local_health >= 3);
    assert_true(stats.nacks_missed >= 3);
    bench_free(&b);
    bench_init(&b, 6);
    until_ping(&b, 4);
    uint32_t seq = b.ping_seq;
    for (unsigned i = 0; i < 11; i++)
        step(&b, 10);
    for (uint64_t helper = 1; helper <= 3; helper++) {
        struct wire_writer w = begin(SWIM_NACK, 0, seq);
        hand(&b, helper, &w);
    }
    for (unsigned i = 0; i < 10; i++)
        step(&b, 10);
    assert_int_equal(rank_of(&b, 4), SWIM_SUSPECT);
    swim_stats(b.s, &stats);
    assert_int_equal(stats.nacks_missed, 0);
    bench_free(&b);
}

static void set_users(struct bench *b, uint32_t users)
{
    struct entry e;
    entry_copy(swim_self(b->s), &e);
    e.servers[0].users = users;
    swim_set_self(b->s, &e, b->now_ns, &b->a);
    look(b);
}

static void test_counts_are_told(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 5);
    run_ms(&b, 2000);
    forget(&b);
    b.about = SELF;
    set_users(&b, 100);
    step(&b, 1);
    assert_true(b.told);
    assert_int_equal(b.last.tag, SWIM_TAG_COUNTS);
    assert_int_equal(swim_self(b.s)->revision, 2);
    assert_int_equal(swim_self(b.s)->shape, 1);
    bench_free(&b);
}

static void test_small_changes_wait(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 5);
    run_ms(&b, 2000);
    set_users(&b, 500);
    run_ms(&b, 1000);
    uint64_t revision = swim_self(b.s)->revision;
    set_users(&b, 501);
    run_ms(&b, 1500);
    set_users(&b, 502); /* does not put it off further */
    assert_int_equal(swim_self(b.s)->revision, revision);
    run_ms(&b, 600);
    assert_int_equal(swim_self(b.s)->revision, revision + 1);
    assert_int_equal(swim_self(b.s)->servers[0].users, 502);
    set_users(&b, 503);
    set_users(&b, 502); /* back to what was told: nothing to say */
    run_ms(&b, 3000);
    assert_int_equal(swim_self(b.s)->revision, revision + 1);
    set_users(&b, 1000); /* full */
    assert_int_equal(swim_self(b.s)->revision, revision + 2);
    bench_free(&b);
}

static void test_shape(void **state)
{
    struct bench b;
    struct entry e;
    (void)state;
    bench_init(&b, 5);
    b.about = SELF;
    entry_copy(swim_self(b.s), &e);
    strcpy(e.zone, "north");
    swim_set_self(b.s, &e, b.now_ns, &b.a);
    step(&b, 60);
    assert_int_equal(swim_self(b.s)->shape, 2);
    assert_true(b.told);
    assert_int_equal(b.last.tag, SWIM_TAG_ENTRY);
    bench_free(&b);
}

/* An entry that no message has room for is told of, and fetched. */
static void test_large_entry(void **state)
{
    struct bench b;
    struct entry e;
    (void)state;
    bench_init(&b, 5);
    b.about = SELF;
    entry_copy(swim_self(b.s), &e);
    for (unsigned i = 0; i < SERVER_URLS_MAX; i++) {
        e.servers[0].url_count++;
        snprintf(e.servers[0].urls[i], sizeof e.servers[0].urls[i], "http://%0240u.test/%u", 1u, i);
    }
    for (unsigned i = 1; i < ENTRY_SERVERS_MAX; i++)
        e.servers[i] = e.servers[0];
    e.server_count = ENTRY_SERVERS_MAX;
    swim_set_self(b.s, &e, b.now_ns, &b.a);
    step(&b, 60);
    assert_true(b.told);
    assert_int_equal(b.last.tag, SWIM_TAG_NOTICE);
    assert_int_equal(b.last.revision, 2);
    forget(&b);
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_page(&w, SWIM_WANT, 0);
    wire_put_u64(&w, SELF);
    swim_finish_page(&w, 1);
    hand(&b, 2, &w);
    assert_int_equal(b.pages, 1);
    forget(&b);
    w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_notice(&w, 3, 9));
    hand(&b, 3, &w);
    hand(&b, 3, &w);
    assert_int_equal(b.wants, 1); /* once in a while */
    assert_int_equal(b.wanted, 3);
    bench_free(&b);
}

static void test_counts_of_another_shape_are_fetched(void **state)
{
    struct bench b;
    struct entry e = entry_of(3);
    (void)state;
    bench_init(&b, 5);
    e.revision = 6;
    e.shape = 6;
    struct wire_writer w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_counts(&w, &e));
    hand(&b, 2, &w);
    assert_int_equal(b.wanted, 3);
    forget(&b);
    e.shape = 1;
    e.servers[0].users = 9;
    w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_counts(&w, &e));
    hand(&b, 2, &w);
    struct swim_view v;
    assert_true(swim_look(b.s, 3, b.now_ns, &v));
    assert_int_equal(v.entry->revision, 6);
    assert_int_equal(v.entry->servers[0].users, 9);
    assert_int_equal(b.changed, 1);
    hand(&b, 4, &w); /* once more says nothing new */
    assert_int_equal(b.changed, 1);
    bench_free(&b);
}

static void test_stranger(void **state)
{
    struct bench b;
    struct entry e = entry_of(42);
    (void)state;
    bench_init(&b, 5);
    struct wire_writer w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_entry(&w, &e, 2, SWIM_ALIVE));
    hand(&b, 2, &w);
    assert_int_equal(b.strangers, 1);
    assert_int_equal(swim_count(b.s), 5); /* who may join is the caller's business */
    say(&b, 2, 43, 1, SWIM_DOWN, 0);
    assert_int_equal(swim_count(b.s), 5);
    bench_free(&b);
}

/* An entry under a known incarnation, but of somebody else, is not taken. */
static void test_stolen_incarnation(void **state)
{
    struct bench b;
    struct entry e = entry_of(3);
    (void)state;
    bench_init(&b, 5);
    e.revision = 9;
    strcpy(e.name, "other");
    struct wire_writer w = begin(SWIM_NEWS, 0, 0);
    assert_true(swim_put_entry(&w, &e, 0, SWIM_ALIVE));
    hand(&b, 2, &w);
    assert_int_equal(b.changed, 0);
    struct swim_view v;
    assert_true(swim_look(b.s, 3, b.now_ns, &v));
    assert_string_equal(v.entry->name, "n3");
    bench_free(&b);
}

/* Hands to `to` all that `from` put out. */
static void pass(struct bench *from, struct bench *to)
{
    struct list *link;
    while ((link = list_pop(&from->a.outputs)) != NULL) {
        struct swim_output *o = list_entry(link, struct swim_output, link);
        if (o->type == SWIM_OUT_SEND)
            swim_message(to->s, swim_self(from->s)->inc, o->bytes, o->len, to->now_ns, &to->a);
        else if (o->type == SWIM_OUT_STRANGER)
            assert_int_equal(swim_learn(from->s, o->entry, o->life, o->rank, SWIM_HEARSAY,
                                        from->now_ns, &from->a),
                             STEAD_OK);
        swim_output_free(o);
    }
}

static void test_tables_are_compared(void **state)
{
    struct bench a, b;
    struct swim_timing t;
    struct entry other = entry_of(2000);
    (void)state;
    bench_init(&a, 40);
    swim_timing_default(&t);
    b = (struct bench){.now_ns = START_NS, .s = swim_new(&t, 2, &other, START_NS)};
    swim_actions_init(&b.a);
    for (unsigned i = 35; i <= 60; i++)
        learn(&b, i);
    struct entry *of_a = entry_ref((struct entry *)(uintptr_t)swim_self(a.s));
    struct entry *of_b = entry_ref((struct entry *)(uintptr_t)swim_self(b.s));
    swim_actions_clear(&b.a);
    assert_int_equal(swim_learn(a.s, of_b, 0, SWIM_ALIVE, SWIM_HEARSAY, a.now_ns, &a.a), STEAD_OK);
    swim_actions_clear(&a.a);
    assert_int_equal(swim_learn(b.s, of_a, 0, SWIM_ALIVE, SWIM_PROVEN, b.now_ns, &b.a), STEAD_OK);
    for (unsigned i = 0; i < 10; i++) {
        pass(&b, &a);
        pass(&a, &b);
    }
    assert_int_equal(swim_alive(a.s), 61);
    assert_int_equal(swim_alive(b.s), 61);
    entry_unref(of_a);
    entry_unref(of_b);
    bench_free(&a);
    bench_free(&b);
}

/* In a comparison, `down` is a suspicion; of those unknown the entries are asked for, of gone ones
 * too, and waited for while this node is young. */
static void test_compared_down_is_suspect(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 5);
    struct wire_writer w;
    struct swim_line line = {.inc = 2, .revision = 1, .life = 0, .rank = SWIM_DOWN};
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_list(&w, 0);
    assert_true(swim_put_line(&w, &line));
    line.inc = 99;
    assert_true(swim_put_line(&w, &line));
    swim_finish_list(&w, 1, 2);
    hand(&b, 1, &w);
    assert_int_equal(rank_of(&b, 2), SWIM_SUSPECT);
    assert_int_equal(b.wants, 1);
    assert_int_equal(b.wanted, 99);
    assert_int_equal(b.compared, 1);
    assert_int_equal(swim_missing(b.s), 1);
    hand(&b, 1, &w);
    assert_int_equal(swim_missing(b.s), 1);
    struct entry e = entry_of(99);
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_page(&w, SWIM_ENTRIES, 0);
    assert_true(swim_put_page_entry(&w, &e, 0, SWIM_DOWN, 5000));
    swim_finish_page(&w, 1);
    hand(&b, 1, &w);
    assert_int_equal(b.strangers, 1);
    assert_int_equal(swim_missing(b.s), 0);
    bench_free(&b);
}

static void test_gone_and_forgotten(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 5);
    swim_gone(b.s, 3, SWIM_LEFT, b.now_ns, &b.a);
    assert_int_equal(rank_of(&b, 3), SWIM_LEFT);
    swim_forget(b.s, 3);
    swim_forget(b.s, 3);
    struct swim_view v;
    assert_false(swim_look(b.s, 3, b.now_ns, &v));
    assert_int_equal(swim_count(b.s), 4);
    run_ms(&b, 500);
    bench_free(&b);
}

static void test_hint(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 5);
    swim_hint(b.s, 3, 1, b.now_ns, &b.a);
    look(&b);
    assert_int_equal(b.wants, 0);
    swim_hint(b.s, 3, 2, b.now_ns, &b.a);
    look(&b);
    assert_int_equal(b.wanted, 3);
    bench_free(&b);
}

static void test_age(void **state)
{
    struct bench b;
    struct swim_view v;
    (void)state;
    bench_init(&b, 5);
    swim_gone(b.s, 3, SWIM_DOWN, b.now_ns, &b.a);
    swim_aged(b.s, 3, 70000, b.now_ns);
    b.now_ns += 1000 * NS_PER_MS;
    assert_true(swim_look(b.s, 3, b.now_ns, &v));
    assert_in_range(v.since_ms, 70990, 71010);
    bench_free(&b);
}

static void test_doubt(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 9);
    swim_heard(b.s, 7, b.now_ns);
    swim_doubt(b.s, 7, b.now_ns, &b.a);
    look(&b);
    assert_int_equal(b.pinged, 7);
    bench_free(&b);
}

static void test_malformed(void **state)
{
    struct bench b;
    struct swim_stats stats;
    (void)state;
    bench_init(&b, 3);
    swim_message(b.s, 1, (const uint8_t *)"\x10", 1, b.now_ns, &b.a);
    swim_message(b.s, 1, NULL, 0, b.now_ns, &b.a);
    swim_stats(b.s, &stats);
    assert_int_equal(stats.malformed, 2);
    bench_free(&b);
}

static struct swim_fact fact(struct rng *r)
{
    return (struct swim_fact){
        .boot = rng_below(r, 2),
        .inc = 1 + rng_below(r, 2),
        .revision = rng_below(r, 3),
        .life = (uint32_t)rng_below(r, 3),
        .rank = (enum swim_rank)rng_below(r, 4),
    };
}

static void assert_same(const struct swim_fact *a, const struct swim_fact *b)
{
    assert_int_equal(a->boot, b->boot);
    assert_int_equal(a->inc, b->inc);
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->life, b->life);
    assert_int_equal(a->rank, b->rank);
}

static void test_merge_is_a_semilattice(void **state)
{
    struct rng r;
    (void)state;
    rng_init(&r, 7);
    for (unsigned i = 0; i < 20000; i++) {
        struct swim_fact a = fact(&r), b = fact(&r), c = fact(&r);
        struct swim_fact ab = swim_fact_merge(&a, &b), ba = swim_fact_merge(&b, &a);
        struct swim_fact bc = swim_fact_merge(&b, &c);
        struct swim_fact left = swim_fact_merge(&ab, &c), right = swim_fact_merge(&a, &bc);
        struct swim_fact twice = swim_fact_merge(&ab, &b);
        assert_same(&ab, &ba);
        assert_same(&left, &right);
        assert_same(&twice, &ab);
    }
}

/* In whatever order and how often states of one peer are heard, the same is believed: what the
 * merge says. Suspicion ends by time only, of which none passes. */
static void test_order_of_news_does_not_matter(void **state)
{
    struct rng r;
    (void)state;
    rng_init(&r, 11);
    for (unsigned i = 0; i < 300; i++) {
        struct bench b[2];
        struct swim_fact said[5], all = {.boot = 1, .inc = 3, .revision = 1};
        for (unsigned k = 0; k < 5; k++) {
            said[k] = fact(&r);
            said[k].boot = 1;
            said[k].inc = 3;
            said[k].revision = 1;
            all = swim_fact_merge(&all, &said[k]);
        }
        for (unsigned k = 0; k < 2; k++) {
            bench_init(&b[k], 4);
            for (unsigned j = 0; j < 12; j++) {
                unsigned at = j < 5 ? (k == 0 ? j : 4 - j) : (unsigned)rng_below(&r, 5);
                say(&b[k], 1, 3, said[at].life, said[at].rank, 1);
            }
            assert_int_equal(rank_of(&b[k], 3), all.rank);
            if (all.rank != SWIM_LEFT)
                assert_int_equal(life_of(&b[k], 3), all.life);
            bench_free(&b[k]);
        }
    }
}

static void without_memory(unsigned countdown)
{
    struct bench b;
    struct entry e = entry_of(3);
    bench_init(&b, 9);
    struct wire_writer w = begin(SWIM_PING, 0, 5);
    e.revision = 2;
    e.servers[0].users = 5;
    assert_true(swim_put_counts(&w, &e));
    assert_true(swim_put_state(&w, 5, 0, SWIM_SUSPECT, NULL, 0));
    assert_true(swim_put_state(&w, SELF, 0, SWIM_SUSPECT, NULL, 0));
    mem_fail_after(countdown);
    swim_message(b.s, 2, w.start, wire_written(&w), b.now_ns, &b.a);
    swim_actions_clear(&b.a);
    struct entry self;
    entry_copy(swim_self(b.s), &self);
    self.servers[0].users = 700;
    swim_set_self(b.s, &self, b.now_ns, &b.a);
    swim_actions_clear(&b.a);
    for (unsigned i = 0; i < 60; i++) {
        b.now_ns += 50 * NS_PER_MS;
        swim_tick(b.s, b.now_ns, &b.a);
        swim_actions_clear(&b.a);
    }
    struct entry *more = entry_new(&(struct entry){.node = 9, .inc = 90, .boot = 1, .name = "x"});
    if (more != NULL)
        (void)swim_learn(b.s, more, 0, SWIM_ALIVE, SWIM_PROVEN, b.now_ns, &b.a);
    entry_unref(more);
    mem_fail_after(0);
    bench_free(&b);
}

static void test_without_memory(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 120; i++)
        without_memory(i);
    struct swim_timing t;
    struct entry self = entry_of(SELF);
    swim_timing_default(&t);
    for (unsigned i = 1; i < 4; i++) {
        mem_fail_after(i);
        assert_null(swim_new(&t, 1, &self, START_NS));
    }
    mem_fail_after(0);
}

static void test_full_table(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 0);
    struct entry e = entry_of(5);
    int rc = STEAD_OK;
    for (uint64_t inc = 2000; inc < 2000 + SWIM_PEERS_MAX; inc++) {
        e.inc = inc;
        struct entry *shared = entry_new(&e);
        rc = swim_learn(b.s, shared, 0, SWIM_ALIVE, SWIM_HEARSAY, b.now_ns, &b.a);
        entry_unref(shared);
        swim_actions_clear(&b.a);
    }
    assert_int_equal(rc, STEAD_E_FULL);
    assert_int_equal(swim_count(b.s), SWIM_PEERS_MAX - 1);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_is_asked_in_turn),
        cmocka_unit_test(test_ping_is_answered),
        cmocka_unit_test(test_silent_member_is_asked_through_others),
        cmocka_unit_test(test_suspect_then_down),
        cmocka_unit_test(test_wrong_ack),
        cmocka_unit_test(test_heard_counts_as_ack),
        cmocka_unit_test(test_helps),
        cmocka_unit_test(test_relays_are_bounded),
        cmocka_unit_test(test_confirmations_shorten),
        cmocka_unit_test(test_refuted_by_the_suspect),
        cmocka_unit_test(test_head_refutes),
        cmocka_unit_test(test_refutes),
        cmocka_unit_test(test_down_of_one_just_met),
        cmocka_unit_test(test_left_is_final),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_counts_are_told),
        cmocka_unit_test(test_small_changes_wait),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_large_entry),
        cmocka_unit_test(test_counts_of_another_shape_are_fetched),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_stolen_incarnation),
        cmocka_unit_test(test_tables_are_compared),
        cmocka_unit_test(test_compared_down_is_suspect),
        cmocka_unit_test(test_gone_and_forgotten),
        cmocka_unit_test(test_hint),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_merge_is_a_semilattice),
        cmocka_unit_test(test_order_of_news_does_not_matter),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_full_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
