/* ranges_test.c - sums of ranges are the same at both nodes of a pair, whatever was done to their
 * records; what differs in silence is found by them and mended, and equal records cost nothing. */
#include "core/session/ranges.h"

#include "core/session/item.h"

#include "core/session/verify.h"
#include "session_bus.h"

#define MANY 200
#define SECONDS 1000

static void begin(struct bus *b)
{
    bus_init(b);
    b->ranges = true;
    b->config.compare_s = 600;
    bus_kind(b, "purchase")->ttl_ms = 0;
    bus_begin(b, 3);
}

static void make(struct bus *b, int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "purchase", name);
        assert_int_equal(bus_create(b, i % 3, &k, "one")->status, STEAD_OK);
        bus_results_free(b);
    }
}

static unsigned filled(struct bus *b, int i, int j)
{
    unsigned count = 0;
    for (unsigned r = 0; r < RANGES; r++)
        count += ranges_sum(b->nodes[i].ranges, b->nodes[j].inc, r) != 0;
    return count;
}

static unsigned differing(struct bus *b, int i, int j)
{
    unsigned count = 0;
    for (unsigned r = 0; r < RANGES; r++)
        count += ranges_sum(b->nodes[i].ranges, b->nodes[j].inc, r) !=
                 ranges_sum(b->nodes[j].ranges, b->nodes[i].inc, r);
    return count;
}

static void all_agree(struct bus *b)
{
    bus_run(b, 200);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < i; j++)
            if (bus_runs(b, i) && bus_runs(b, j))
                assert_int_equal(differing(b, i, j), 0);
}

static void sums_agree_whatever_is_done(void **state)
{
    (void)state;
    struct bus b;
    char name[16];
    begin(&b);
    make(&b, MANY);
    all_agree(&b);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            assert_true(i == j || filled(&b, i, j) > MANY / 10);
    for (int i = 0; i < MANY; i += 2) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "purchase", name);
        assert_int_equal(bus_change(&b, (i + 1) % 3, &k, "two")->status, STEAD_OK);
        bus_results_free(&b);
    }
    all_agree(&b);
    for (int i = 0; i < MANY; i += 3) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "purchase", name);
        bus_ask(&b, 0, bus_op(SESSION_END, &k));
        bus_run(&b, 10);
        bus_results_free(&b);
    }
    all_agree(&b);
    bus_kill(&b, 1); /* its records are claimed, and copied anew */
    bus_run(&b, 6000);
    all_agree(&b);
    assert_true(filled(&b, 0, 2) > MANY / 2);
    bus_deinit(&b);
}

static void nodes_of_other_numbers_of_shards_agree(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    b.ranges = true;
    b.config.compare_s = 600;
    for (int i = 0; i < 3; i++)
        bus_start(&b, i, (uint64_t)i + 1, (unsigned)(1 + 3 * i), PEER_UP);
    bus_run(&b, 300);
    make(&b, MANY);
    all_agree(&b);
    assert_true(filled(&b, 1, 2) > 0);
    bus_run(&b, 70 * SECONDS);
    assert_true(bus_stats(&b, 2).ranges_compared >= 2 * RANGES);
    assert_int_equal(bus_stats(&b, 2).ranges_differing, 0);
    bus_deinit(&b);
}

static void equal_records_cost_nothing(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    make(&b, MANY);
    assert_true(bus_stats(&b, 0).ranges_age_s == 0);
    bus_run(&b, 140 * SECONDS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bus_stats(&b, i).verified, 0);
        assert_int_equal(bus_stats(&b, i).ranges_differing, 0);
        assert_in_range(bus_stats(&b, i).ranges_compared, 2 * RANGES, 6 * RANGES);
        assert_in_range(bus_stats(&b, i).ranges_age_s, 0, 70);
    }
    bus_deinit(&b);
}

/* The holder has lost its copy, or, spoilt, another content of the same stamp. */
static void lose(struct bus *b, const struct key *k, bool spoilt)
{
    int holder = bus_find(b, k, true), owner = bus_owner(b, k);
    bool owned;
    struct record *r = record_clone(bus_peek(b, holder, k, &owned));
    struct message m = {.type = MESSAGE_EXPIRED, .key = *k, .stamp = r->stamp};
    struct msg *forged = message_encode(&m, NULL, b->nodes[holder].inc);
    bus_hand(b, owner, holder, forged);
    msg_free(forged);
    assert_null(bus_peek(b, holder, k, &owned));
    struct field_op set = {.type = FIELD_SET, .value = (const uint8_t *)"bad", .value_len = 3};
    assert_int_equal(record_apply(r, &set, 1, &r->stamp, 1), STEAD_OK);
    m = (struct message){.type = MESSAGE_REPLICATE, .key = *k, .digest = record_digest(r)};
    if (spoilt) {
        forged = message_encode(&m, r, b->nodes[holder].inc);
        bus_hand(b, owner, holder, forged);
        msg_free(forged);
    }
    record_free(r);
    bus_deliver(b);
}

static void what_differs_in_silence_is_found_and_mended(void **state)
{
    (void)state;
    for (int spoilt = 0; spoilt < 2; spoilt++) {
        struct bus b;
        begin(&b);
        make(&b, MANY);
        bus_run(&b, 3 * SECONDS);
        struct key k = bus_key(&b, "purchase", "k42");
        lose(&b, &k, spoilt);
        unsigned differs = 0;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < i; j++)
                differs += differing(&b, i, j);
        assert_int_equal(differs, 1);
        bus_run(&b, 80 * SECONDS);
        all_agree(&b);
        bus_assert_settled(&b, &k, 2);
        uint64_t verified = 0, diverged = 0;
        for (int i = 0; i < 3; i++) {
            verified += bus_stats(&b, i).verified;
            diverged += bus_stats(&b, i).diverged;
            assert_int_equal(bus_stats(&b, i).divergent, 0);
            assert_int_equal(bus_stats(&b, i).ranges_differing, 0);
        }
        assert_true(diverged >= 1);
        assert_in_range(verified, 1, 20); /* and not all */
        bus_deinit(&b);
    }
}

/* What a sick node says is no reason to look all the time, or to fall over. */
static void questions_without_sense_are_passed_over(void **state)
{
    (void)state;
    struct bus b;
    uint8_t sums[RANGES_BLOCK * sizeof(uint64_t)] = {1};
    const struct message bad[] = {
        {.type = MESSAGE_RANGES, .index = RANGES_BLOCKS, .count = RANGES_BLOCKS, .sums = sums},
        {.type = MESSAGE_RANGES, .index = 1, .count = 3, .sums = sums},
        {.type = MESSAGE_RANGED, .index = 255, .count = RANGES_BLOCKS, .digest = UINT64_MAX},
        {.type = MESSAGE_RANGED, .index = 0, .count = 0, .digest = UINT64_MAX}};
    begin(&b);
    uint64_t before = bus_stats(&b, 0).ranges_compared;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct msg *m = message_encode(&bad[i], NULL, b.nodes[0].inc);
        bus_hand(&b, 1, 0, m);
        msg_free(m);
    }
    bus_deliver(&b);
    assert_int_equal(bus_stats(&b, 0).ranges_compared, before);
    assert_int_equal(bus_stats(&b, 0).malformed, 0);
    bus_deinit(&b);
}

static void more_incarnations_than_places_are_left_out(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    struct ranges *g = ranges_new(&b.kinds, b.config.farm_secret);
    struct key k = bus_key(&b, "purchase", "cart");
    struct record *r = record_new(&k);
    for (uint64_t inc = 1; inc <= RANGES_PEERS_MAX + 5; inc++) {
        struct item item = {.record = r, .role = ROLE_HOLDER, .kind = k.kind};
        r->stamp = (struct stamp){1, 1, inc};
        ranges_toggle(g, &item);
        unsigned range = ranges_of(g, k.kind, k.bytes, k.len);
        assert_int_equal(ranges_sum(g, inc, range) != 0, inc <= RANGES_PEERS_MAX);
        if (inc == 7) {
            ranges_toggle(g, &item);
            assert_int_equal(ranges_sum(g, inc, range), 0);
            ranges_toggle(g, &item);
        }
    }
    assert_true(g->full);
    record_free(r);
    ranges_free(g);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_agree_whatever_is_done),
        cmocka_unit_test(nodes_of_other_numbers_of_shards_agree),
        cmocka_unit_test(equal_records_cost_nothing),
        cmocka_unit_test(what_differs_in_silence_is_found_and_mended),
        cmocka_unit_test(questions_without_sense_are_passed_over),
        cmocka_unit_test(more_incarnations_than_places_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
