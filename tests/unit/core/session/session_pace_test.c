/* session_pace_test.c - what a shard does by itself goes as fast as the others acknowledge, with a
 * bounded number under way; and many that wait cost nothing while they wait. */
#include "session_bus.h"

#define MANY 3000
#define FLIGHT 100

static void make_many(struct bus *b, int at)
{
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "auth", name);
        assert_int_equal(bus_create(b, at, &k, name)->status, STEAD_OK);
    }
}

static size_t on_the_wire(struct bus *b, int from, enum message_type type)
{
    size_t count = 0;
    for (struct list *l = b->wire.next; l != &b->wire; l = l->next) {
        struct bus_message *m = list_entry(l, struct bus_message, link);
        count += m->from == from && m->msg->bytes[0] == type;
    }
    return count;
}

static void begin(struct bus *b, int nodes)
{
    bus_init(b);
    b->config.flight_max = FLIGHT;
    bus_begin(b, nodes);
    make_many(b, 0);
}

/* Answered at once, all is done within a few ticks; a fixed pace of some tens a tick would need a
 * hundred times as long. */
static void who_leaves_goes_as_fast_as_others_take(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 3);
    b.nodes[0].state = PEER_LEAVING;
    uint64_t began = b.now_ns;
    for (int i = 0; i < 100 && !session_drained(b.nodes[0].shards[0]); i++)
        bus_tick(&b);
    assert_true(session_drained(b.nodes[0].shards[0]));
    assert_true(b.now_ns - began <= 20 * BUS_STEP_NS);
    for (int i = 1; i < 3; i++)
        assert_true(bus_stats(&b, i).owned > 0);
    assert_int_equal(bus_stats(&b, 1).owned + bus_stats(&b, 2).owned, MANY);
    bus_deinit(&b);
}

static void copies_are_made_anew_as_fast_as_others_take(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 4);
    uint64_t lost = bus_stats(&b, 1).records;
    assert_true(lost > MANY / 5);
    bus_kill(&b, 1);
    bus_run(&b, 1700); /* it is counted out */
    assert_int_equal(bus_stats(&b, 0).below_copies, 0);
    assert_int_equal(bus_stats(&b, 2).records + bus_stats(&b, 3).records, MANY);
    bus_deinit(&b);
}

/* Nobody answers: so much is under way, and no more. */
static void what_is_under_way_is_bounded(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 3);
    b.nodes[0].state = PEER_LEAVING;
    bus_beat(&b);
    bus_pause(&b, 1);
    bus_pause(&b, 2);
    for (int i = 0; i < 50; i++)
        bus_tick(&b);
    assert_int_equal(on_the_wire(&b, 0, MESSAGE_HANDOVER), FLIGHT);
    bus_resume(&b, 1);
    bus_resume(&b, 2);
    bus_deliver(&b); /* each answer makes room for more, whatever the clock says */
    assert_int_equal(bus_stats(&b, 0).owned, 0);
    bus_run(&b, 100);
    assert_true(session_drained(b.nodes[0].shards[0]));
    bus_deinit(&b);
}

static bool loses_heard(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b, (void)from, (void)to;
    return m->bytes[0] == MESSAGE_HEARD;
}

/* Two that were apart: announcements go on when they are answered; when none is, a second later. */
static void announcements_wait_for_an_answer(void **state)
{
    (void)state;
    for (int lossy = 0; lossy < 2; lossy++) {
        struct bus b;
        begin(&b, 3);
        bus_cut(&b, 0, 1, true);
        bus_run(&b, 2000);
        b.loses = lossy ? loses_heard : NULL;
        bus_cut(&b, 0, 1, false);
        bus_run(&b, 120);
        bus_pause(&b, 1);
        size_t owned = bus_stats(&b, 0).owned;
        for (int i = 0; i < 20; i++)
            bus_tick(&b);
        assert_in_range(on_the_wire(&b, 0, MESSAGE_ANNOUNCE), 0, 16 * 64);
        bus_resume(&b, 1);
        bus_run(&b, lossy ? 6000 : 200);
        assert_int_equal(bus_stats(&b, 0).owned + bus_stats(&b, 1).owned + bus_stats(&b, 2).owned,
                         MANY);
        assert_true(owned > MANY / 4);
        assert_int_equal(bus_stats(&b, 1).orphans, 0);
        bus_deinit(&b);
    }
}

static uint64_t wait_ns(unsigned i)
{
    return (100 + i * 37 % 50 * 10) * NS_PER_MS;
}

/* Deadlines that lie apart are met each at its time, whatever the order in which they came. */
static void each_waits_until_its_own_deadline(void **state)
{
    (void)state;
    struct bus b;
    uint64_t asked[50];
    bus_init(&b);
    bus_begin(&b, 2);
    bus_cut(&b, 0, 1, true); /* heard for now: whoever asks waits for an answer */
    for (unsigned i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "k%u", i);
        struct key k = bus_key(&b, "auth", name);
        struct session_op op = bus_op(SESSION_READ, &k);
        op.deadline_ns = b.now_ns + wait_ns(i);
        asked[i] = bus_ask(&b, 0, op);
    }
    uint64_t began = b.now_ns;
    while (b.now_ns < began + 700 * NS_PER_MS) {
        bus_tick(&b);
        for (unsigned i = 0; i < 50; i++) {
            uint64_t at_ns = began + wait_ns(i);
            const struct bus_result *r = bus_result(&b, asked[i]);
            assert_true(b.now_ns < at_ns ? !r : b.now_ns < at_ns + 2 * BUS_STEP_NS || r);
            assert_true(!r || r->status == STEAD_E_DEADLINE);
        }
    }
    assert_int_equal(bus_stats(&b, 0).waiting, 0);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leaves_goes_as_fast_as_others_take),
        cmocka_unit_test(copies_are_made_anew_as_fast_as_others_take),
        cmocka_unit_test(what_is_under_way_is_bounded),
        cmocka_unit_test(announcements_wait_for_an_answer),
        cmocka_unit_test(each_waits_until_its_own_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
