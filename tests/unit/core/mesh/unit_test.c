/* What a body may be made of: round trips, every truncation, and members that send nonsense under
 * the right key. */
#include "core/mesh/unit.h"
#include "mesh_net.h"

/* Node 0's bodies, sealed by its key, into node 1. */
struct liar {
    struct net *net;
    uint32_t epoch; /* node 1's, for node 0 */
};

static void feed(struct liar *l, const uint8_t *body, size_t len)
{
    uint8_t frame[MESH_FRAME_MAX + FRAME_OVERHEAD];
    size_t frame_len = 0;
    struct mesh_actions a;
    mesh_actions_init(&a);
    assert_int_equal(
        seal_frame(l->net->nodes[0].seal, l->net->nodes[1].inc, body, len, frame, &frame_len),
        STEAD_OK);
    mesh_datagram(l->net->nodes[1].mesh, &l->net->nodes[0].addr, frame, frame_len, l->net->now_ns,
                  &a);
    net_act(l->net, 1, &a);
    mesh_actions_clear(&a);
}

static struct wire_writer body_begin(const struct liar *l, uint8_t *bytes, size_t len)
{
    struct wire_writer w;
    struct unit u = {.type = UNIT_LINK, .link = {.own = 4711, .yours = l->epoch, .number = 1}};
    wire_writer_init(&w, bytes, len);
    unit_put(&w, &u);
    return w;
}

/* A pair in which node 0 is played by the test, under an epoch of its choice. */
static struct liar liar_new(uint64_t seed)
{
    struct liar l = {.net = net_pair(seed)};
    uint8_t body[64], opened[MESH_FRAME_MAX];
    struct wire_writer w = body_begin(&l, body, sizeof body);
    feed(&l, body, wire_written(&w));
    net_flush(l.net, 1);
    while (!list_empty(&l.net->packets)) {
        struct net_packet *p = list_entry(list_pop(&l.net->packets), struct net_packet, link);
        struct frame_header h;
        struct wire_reader r;
        struct unit u;
        size_t len = 0;
        assert_int_equal(seal_open(l.net->nodes[0].seal, p->bytes, p->len, &h, opened, &len),
                         STEAD_OK);
        wire_reader_init(&r, opened, len);
        if (unit_next(&r, &u) && u.type == UNIT_LINK)
            l.epoch = u.link.own;
        mem_free(p);
    }
    assert_int_not_equal(l.epoch, 0);
    return l;
}

static void feed_part(struct liar *l, uint64_t seq, uint32_t total, uint16_t index)
{
    static const uint8_t zeros[UNIT_PART_MAX];
    uint8_t body[MESH_FRAME_MIN];
    struct wire_writer w = body_begin(l, body, sizeof body);
    uint32_t left = total - index * UNIT_PART_MAX;
    struct unit u = {.type = UNIT_PART,
                     .part = {.seq = seq,
                              .total = total,
                              .index = index,
                              .channel = CHANNEL_SESSION,
                              .bytes = zeros,
                              .len = left < UNIT_PART_MAX ? left : UNIT_PART_MAX}};
    unit_put(&w, &u);
    feed(l, body, wire_written(&w));
}

static struct mesh_stats stats_of(const struct liar *l)
{
    struct mesh_stats s;
    mesh_stats(l->net->nodes[1].mesh, &s);
    return s;
}

static void units_round_trip_and_do_not_survive_a_cut(void **state)
{
    (void)state;
    static const uint8_t bytes[UNIT_PART_MAX] = {1, 2, 3};
    const struct unit units[] = {
        {.type = UNIT_LINK, .link = {.flags = 1, .own = 2, .yours = 3, .number = 4}},
        {.type = UNIT_ACK, .ack = {.upto = 9, .newest = 8, .words = 2, .bits = {5, 6}}},
        {.type = UNIT_PART,
         .part = {.seq = 7, .total = 2000, .index = 1, .channel = 2, .bytes = bytes, .len = 912}},
        {.type = UNIT_FLEETING, .fleeting = {.channel = 1, .bytes = bytes, .len = 3}},
        {.type = UNIT_PROBE, .probe_size = 1452},
        {.type = UNIT_PROBED, .probe_size = 1452},
    };
    uint8_t body[4000];
    struct wire_writer w;
    size_t ends[8], n = sizeof units / sizeof *units;
    wire_writer_init(&w, body, sizeof body);
    for (size_t i = 0; i < n; i++) {
        unit_put(&w, &units[i]);
        ends[i] = wire_written(&w);
    }
    assert_true(wire_put_ok(&w));
    struct wire_reader r;
    struct unit u;
    wire_reader_init(&r, body, ends[n - 1]);
    for (size_t i = 0; i < n; i++) {
        assert_true(unit_next(&r, &u));
        uint8_t again[4000];
        struct wire_writer w2;
        wire_writer_init(&w2, again, sizeof again);
        unit_put(&w2, &u);
        size_t from = i ? ends[i - 1] : 0;
        assert_int_equal(wire_written(&w2), ends[i] - from);
        assert_memory_equal(again, body + from, ends[i] - from);
    }
    assert_false(unit_next(&r, &u));
    assert_true(wire_done(&r));
    for (size_t cut = 0, next = 0; cut <= ends[n - 1]; cut++) {
        bool at_border = cut == ends[next];
        assert_int_equal(unit_check_body(body, cut), at_border);
        next += at_border && next + 1 < n;
    }
}

static void a_beacon_stands_alone(void **state)
{
    (void)state;
    uint8_t body[MESH_BEACON_MAX + 64] = {0};
    static const uint8_t counts[160] = {7};
    const struct unit beacon = {.type = UNIT_BEACON, .beacon = {.counts = counts, .len = 160}};
    const struct unit link = {.type = UNIT_LINK, .link = {.own = 2}};
    const uint8_t large[3 + MESH_BEACON_MAX + 1] = {UNIT_BEACON, 0, MESH_BEACON_MAX + 1};
    struct wire_writer w;
    struct unit u;
    wire_writer_init(&w, body, sizeof body);
    unit_put(&w, &beacon);
    size_t len = wire_written(&w);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(unit_check_body(body, cut));
    assert_true(unit_check_body(body, len));
    struct wire_reader r;
    wire_reader_init(&r, body, len);
    assert_true(unit_next(&r, &u));
    assert_int_equal(u.beacon.len, 160);
    assert_ptr_equal(u.beacon.counts, body + 3);
    assert_false(unit_check_body(large, sizeof large));
    wire_writer_init(&w, body, sizeof body);
    unit_put(&w, &link);
    unit_put(&w, &beacon);
    assert_false(unit_check_body(body, wire_written(&w)));
}

static void bodies_that_are_none(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint8_t bytes[40];
    } bad[] = {
        {0, {0}},
        {1, {0}},                                          /* padding alone */
        {1, {99}},                                         /* no such unit */
        {3, {9, 4, 0}},                                    /* no LINK before */
        {18, {5, 0, 0, 0, 0, 0}},                          /* epoch 0 */
        {19, {5, 0, 0, 0, 0, 1, [18] = 99}},               /* no such unit after it */
        {21, {5, 0, 0, 0, 0, 1, [18] = 0, 0, 1}},          /* padding that is not zero */
        {36, {5, 0, 0, 0, 0, 1, [18] = 5, 0, 0, 0, 0, 1}}, /* two LINKs */
        {12, {1, [9] = 0, 0, 7}},                          /* HELLO and one more byte */
        {10, {4, [9] = 0}},                                /* refused for no reason */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(unit_check_body(bad[i].bytes, bad[i].len));
    uint8_t card_too_long[11 + MESH_CARD_MAX + 1] = {1, [9] = 4, 1};
    assert_false(unit_check_body(card_too_long, sizeof card_too_long));
}

static void a_liar_cannot_take_more_than_the_limit(void **state)
{
    (void)state;
    struct liar l = liar_new(50);
    for (uint64_t i = 0; i < 500; i++) /* each the first of a megabyte */
        feed_part(&l, 1 + i * 2, 1u << 20, 0);
    assert_in_range(stats_of(&l).dropped_limit, 490, 494); /* 8 MiB of 1 MiB each, upto + 1 too */
    for (uint64_t i = 0; i < 500; i++) /* each its own message, each the one that holds all back */
        feed_part(&l, 2 + i * 2, 1u << 20, 1);
    feed_part(&l, UINT64_MAX - 5000, 10, 0);
    feed_part(&l, 5000, 10, 0); /* beyond the window */
    assert_int_equal(l.net->nodes[1].messages, 0);
    net_free(l.net);
}

static void half_messages_do_not_block_whole_ones(void **state)
{
    (void)state;
    struct liar l = liar_new(51);
    for (uint64_t i = 0; i < 8; i++) /* all room is taken by last parts */
        feed_part(&l, 1024 - 7 * i, 1u << 20, 963);
    uint64_t refused_before = stats_of(&l).dropped_limit;
    feed_part(&l, 2, 2000, 1); /* no room, and not the one that holds all back */
    assert_int_equal(stats_of(&l).dropped_limit, refused_before + 1);
    feed_part(&l, 1, 2000, 0); /* this one is */
    feed_part(&l, 2, 2000, 1);
    assert_int_equal(l.net->nodes[1].messages, 1);
    assert_int_equal(l.net->nodes[1].last_len, 2000);
    net_free(l.net);
}

static void an_impossible_ack_drops_its_frame_whole(void **state)
{
    (void)state;
    struct liar l = liar_new(52);
    uint8_t body[200];
    struct wire_writer w = body_begin(&l, body, sizeof body);
    struct unit message = {
        .type = UNIT_PART,
        .part = {.seq = 1, .total = 3, .channel = 2, .bytes = (const uint8_t *)"abc", .len = 3}};
    struct unit ack = {.type = UNIT_ACK, .ack = {.upto = 77}};
    unit_put(&w, &message);
    unit_put(&w, &ack);
    feed(&l, body, wire_written(&w));
    assert_int_equal(l.net->nodes[1].messages, 0);
    assert_int_equal(stats_of(&l).dropped_malformed, 1);
    feed_part(&l, 1, 3, 0);
    assert_int_equal(l.net->nodes[1].messages, 1);
    net_free(l.net);
}

static void random_bodies_under_the_right_key(void **state)
{
    (void)state;
    struct liar l = liar_new(53);
    struct rng *rng = &l.net->rng;
    for (int i = 0; i < 5000; i++) {
        uint8_t body[600];
        struct wire_writer w = body_begin(&l, body, sizeof body);
        if (rng_below(rng, 4) == 0)
            w.at = w.start;
        size_t len = wire_written(&w) + rng_below(rng, 300);
        for (size_t at = wire_written(&w); at < len; at++)
            body[at] = (uint8_t)(rng_below(rng, 3) ? rng_below(rng, 16) : rng_u64(rng));
        feed(&l, body, len);
        if (i % 16 == 0) {
            net_send(l.net, 1, 0, (uint32_t)i, 50, true);
            net_flush(l.net, 1);
            l.net->now_ns += NS_PER_MS;
            struct list *link;
            while ((link = list_pop(&l.net->packets)))
                mem_free(list_entry(link, struct net_packet, link));
        }
    }
    struct mesh_stats s = stats_of(&l);
    assert_true(s.dropped_malformed > 1000 && s.dropped_malformed < 5000);
    net_free(l.net);
}

static void flow_begin(struct wire_writer *w, uint8_t *bytes, size_t len, uint8_t receivers,
                       const struct unit_flow_entry *first)
{
    static uint8_t table[UNIT_FLOW_MAX * UNIT_FLOW_ENTRY_BYTES];
    struct wire_writer t;
    wire_writer_init(&t, table, sizeof table);
    for (uint8_t i = 0; i < receivers; i++) {
        struct unit_flow_entry e = {first->own + i, first->yours, first->high, first->upto};
        unit_put_flow_entry(&t, &e);
    }
    struct unit u = {.type = UNIT_FLOW, .flow = {.count = receivers, .table = table}};
    wire_writer_init(w, bytes, len);
    unit_put(w, &u);
}

static void shared_parts_round_trip(void **state)
{
    (void)state;
    uint8_t body[MESH_FRAME_MIN], data[100], part[UNIT_PART_MAX];
    struct unit_flow_entry e = {5, 6, 70000, 80000}, got;
    struct wire_writer w;
    net_message(data, sizeof data, 9);
    struct unit u = {.type = UNIT_SHARED,
                     .shared = {.total = sizeof data + UNIT_OWN_BYTES,
                                .own_at = 30,
                                .channel = 2,
                                .count = 2,
                                .to = {{.place = 2, .low = 4, .own = {0, 1, [15] = 9}},
                                       {.place = 0, .low = 65535}},
                                .bytes = data,
                                .len = sizeof data}};
    flow_begin(&w, body, sizeof body, 3, &e);
    unit_put(&w, &u);
    size_t len = wire_written(&w);
    assert_true(unit_check_body(body, len));
    /* Where a body may end: behind the FLOW, and behind a whole SHARED. */
    for (size_t cut = 1; cut < len; cut++)
        assert_int_equal(unit_check_body(body, cut), cut == UNIT_FLOW_OVERHEAD + 48);
    struct wire_reader r;
    struct unit flow, shared;
    wire_reader_init(&r, body, len);
    assert_true(unit_next(&r, &flow) && unit_next(&r, &shared) && wire_done(&r));
    unit_flow_entry(&flow.flow, 2, &got);
    assert_int_equal(got.own, 7);
    assert_int_equal(got.high, 70000);
    assert_int_equal(got.upto, 80000);
    unit_shared_part(&shared.shared, 0, part);
    assert_memory_equal(part, data, 30);
    assert_int_equal(part[31], 1);
    assert_int_equal(part[45], 9);
    assert_memory_equal(part + 46, data + 30, 70);
    assert_int_equal(shared.shared.to[1].low, 65535);
}

static bool shared_ok(uint32_t total, uint16_t index, uint16_t own_at, uint8_t place, uint8_t count,
                      size_t len)
{
    uint8_t body[MESH_FRAME_MAX] = {0}, data[UNIT_PART_MAX + 1] = {0};
    struct unit_flow_entry e = {1, 2, 3, 4};
    struct wire_writer w;
    flow_begin(&w, body, sizeof body, 2, &e);
    wire_put_u8(&w, UNIT_SHARED);
    wire_put_u32(&w, total);
    wire_put_u16(&w, index);
    wire_put_u8(&w, 2);
    wire_put_u16(&w, own_at);
    wire_put_u8(&w, count);
    for (uint8_t i = 0; i < count; i++) {
        wire_put_u8(&w, place);
        wire_put_u16(&w, 9);
        if (own_at != UNIT_OWN_NONE)
            wire_put_u16(&w, 0);
    }
    wire_put_str16(&w, data, len);
    return unit_check_body(body, wire_written(&w));
}

static void shared_parts_that_are_none(void **state)
{
    (void)state;
    assert_true(shared_ok(50, 0, UNIT_OWN_NONE, 1, 1, 50));
    assert_true(shared_ok(50, 0, 34, 0, 8, 34));
    assert_false(shared_ok(50, 0, 35, 0, 1, 34)); /* the own bytes would end beyond the part */
    assert_false(shared_ok(50, 0, 10, 0, 1, 50));
    assert_false(shared_ok(10, 0, 0, 0, 1, 10));             /* no room for them at all */
    assert_false(shared_ok(50, 0, UNIT_OWN_NONE, 2, 1, 50)); /* not in the table */
    assert_false(shared_ok(50, 0, UNIT_OWN_NONE, 0, 0, 50)); /* for nobody */
    assert_false(shared_ok(50, 0, UNIT_OWN_NONE, 0, 9, 50));
    assert_false(shared_ok(50, 1, UNIT_OWN_NONE, 0, 1, 50)); /* it has one part */
    assert_false(shared_ok(MESH_MESSAGE_MAX + 1, 0, UNIT_OWN_NONE, 0, 1, UNIT_PART_MAX));
    assert_false(shared_ok(2000, 0, UNIT_OWN_NONE, 0, 1, UNIT_PART_MAX - 1));
    static const uint8_t none[] = {UNIT_FLOW, 0}, alone[] = {UNIT_SHARED};
    assert_false(unit_check_body(none, sizeof none));
    assert_false(unit_check_body(alone, sizeof alone));
}

/* Of numbers that were never sent: the frame is dropped whole. */
static void an_impossible_miss(void **state)
{
    (void)state;
    struct liar l = liar_new(54);
    uint8_t body[200];
    struct wire_writer w = body_begin(&l, body, sizeof body);
    struct unit message = {
        .type = UNIT_PART,
        .part = {.seq = 1, .total = 3, .channel = 2, .bytes = (const uint8_t *)"abc", .len = 3}};
    struct unit missed = {.type = UNIT_MISSED, .high = 1};
    unit_put(&w, &message);
    unit_put(&w, &missed);
    feed(&l, body, wire_written(&w));
    assert_int_equal(l.net->nodes[1].messages, 0);
    assert_int_equal(stats_of(&l).dropped_malformed, 1);
    net_free(l.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_round_trip_and_do_not_survive_a_cut),
        cmocka_unit_test(a_beacon_stands_alone),
        cmocka_unit_test(bodies_that_are_none),
        cmocka_unit_test(a_liar_cannot_take_more_than_the_limit),
        cmocka_unit_test(half_messages_do_not_block_whole_ones),
        cmocka_unit_test(an_impossible_ack_drops_its_frame_whole),
        cmocka_unit_test(shared_parts_round_trip),
        cmocka_unit_test(shared_parts_that_are_none),
        cmocka_unit_test(an_impossible_miss),
        cmocka_unit_test(random_bodies_under_the_right_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
