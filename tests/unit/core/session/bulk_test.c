/* bulk_test.c - copies of many records at once: a joiner gets its portion without a round for each,
 * whatever is lost or changed on the way, with a bounded number under way. */
#include "core/session/bulk.h"

#include "session_bus.h"

#define MANY 3000
#define FLIGHT 512 /* of bulk.c */

static void name_of(char name[16], int i)
{
    snprintf(name, 16, "k%d", i);
}

/* Node 0 has many records and nobody to keep their copies. */
static void begin_alone(struct bus *b)
{
    char name[16];
    bus_init(b);
    bus_begin(b, 2);
    for (int i = 0; i < MANY; i++) {
        name_of(name, i);
        struct key k = bus_key(b, "auth", name);
        assert_int_equal(bus_create(b, 0, &k, name)->status, STEAD_OK);
    }
    bus_kill(b, 1);
    bus_run(b, 1700);
}

static void join(struct bus *b)
{
    bus_start(b, 1, 22, 1, PEER_JOINING);
    bus_beat(b);
}

static bool synced(struct bus *b)
{
    return session_synced(b->nodes[1].shards[0]);
}

static void all_is_there(struct bus *b)
{
    char name[16];
    assert_int_equal(bus_stats(b, 0).below_copies, 0);
    assert_int_equal(bus_stats(b, 1).records, MANY);
    for (int i = 0; i < MANY; i += 37) {
        name_of(name, i);
        struct key k = bus_key(b, "auth", name);
        const struct record *mine = session_peek(b->nodes[0].shards[0], &k, NULL);
        const struct record *copy = session_peek(b->nodes[1].shards[0], &k, NULL);
        assert_true(mine && copy && record_digest(mine) == record_digest(copy));
        assert_int_equal(stamp_compare(&mine->stamp, &copy->stamp), 0);
    }
}

static bool is_bulk(const struct msg *m, enum message_type type)
{
    return m->bulk && m->bytes[0] == type;
}

static size_t in_bulk(struct bus *b, enum message_type type)
{
    size_t count = 0;
    for (struct list *l = b->wire.next; l != &b->wire; l = l->next)
        count += is_bulk(list_entry(l, struct bus_message, link)->msg, type);
    return count;
}

static void a_joiner_gets_its_portion_without_rounds(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    join(&b);
    uint64_t began = b.now_ns;
    for (int i = 0; i < 200 && !synced(&b); i++)
        bus_tick(&b);
    assert_true(synced(&b));
    assert_true(b.now_ns - began < NS_PER_S);
    all_is_there(&b);
    assert_int_equal(bus_stats(&b, 0).bulk_sent, MANY);
    assert_int_equal(bus_stats(&b, 0).bulk_kept, MANY);
    assert_int_equal(bus_stats(&b, 1).bulk_taken, MANY);
    assert_int_equal(bus_stats(&b, 0).bulk_lost, 0);
    /* And what is there is a copy as any other: a write waits for it. */
    b.nodes[1].state = PEER_UP;
    bus_run(&b, 200);
    struct key k = bus_key(&b, "auth", "k5");
    assert_int_equal(bus_change(&b, 0, &k, "later")->copies, 2);
    assert_string_equal(bus_read(&b, 1, &k)->value, "later");
    bus_deinit(&b);
}

static void in_bundles_it_is_the_same(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    b.bundles = true;
    join(&b);
    for (int i = 0; i < 200 && !synced(&b); i++)
        bus_tick(&b);
    assert_true(synced(&b));
    all_is_there(&b);
    assert_int_equal(bus_stats(&b, 0).bulk_sent, MANY);
    assert_int_equal(bus_stats(&b, 0).bulk_kept, MANY);
    assert_int_equal(bus_stats(&b, 1).bulk_taken, MANY);
    assert_true(b.delivered > 2 * MANY);
    bus_deinit(&b);
}

static void a_bundle_takes_what_fits(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    struct key k = bus_key(&b, "auth", "cart");
    struct message m = {.type = MESSAGE_REPLICATED, .key = k, .token = BULK_TOKEN};
    struct msg *small = msg_bundle(7, 64), *large = msg_bundle(7, 1024);
    assert_false(message_bundle(small, &m, NULL));
    assert_int_equal(small->len, 0);
    while (message_bundle(large, &m, NULL))
        assert_in_range(large->len, 1, 1024);
    assert_in_range(large->bundled, 2, 1024 / 30);
    msg_free(small);
    msg_free(large);
    bus_deinit(&b);
}

static bool every_third(struct bus *b, int from, int to, const struct msg *m)
{
    (void)from;
    (void)to;
    return m->bulk && rng_below(&b->rng, 3) == 0;
}

static void what_is_lost_is_sent_again(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    b.loses = every_third;
    join(&b);
    bus_run(&b, 40 * 1000);
    assert_true(synced(&b));
    assert_true(bus_stats(&b, 0).bulk_lost > MANY / 10);
    all_is_there(&b);
    bus_deinit(&b);
}

static bool all_in_bulk(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b;
    (void)from;
    (void)to;
    return m->bulk;
}

static void where_nothing_passes_in_bulk_rounds_do_it(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    b.loses = all_in_bulk;
    join(&b);
    bus_run(&b, 10 * 1000);
    assert_true(synced(&b));
    all_is_there(&b);
    assert_int_equal(bus_stats(&b, 0).bulk_kept, 0);
    bus_deinit(&b);
}

static void what_is_under_way_is_bounded(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    join(&b);
    bus_pause(&b, 1);
    for (int i = 0; i < 50; i++)
        bus_tick(&b);
    assert_in_range(in_bulk(&b, MESSAGE_REPLICATE), 1, FLIGHT);
    assert_in_range(bus_stats(&b, 0).below_copies, 1, FLIGHT);
    bus_resume(&b, 1);
    bus_run(&b, 10 * 1000);
    all_is_there(&b);
    bus_deinit(&b);
}

static void what_is_changed_on_the_way_is_what_arrives(void **state)
{
    (void)state;
    struct bus b;
    char name[16];
    begin_alone(&b);
    join(&b);
    bus_pause(&b, 1);
    bus_tick(&b);
    bus_tick(&b);
    for (int i = 3; i < MANY; i += 100) {
        name_of(name, i);
        struct key k = bus_key(&b, "auth", name);
        bus_ask_set(&b, 0, SESSION_CHANGE, &k, "new");
    }
    bus_resume(&b, 1);
    bus_results_free(&b);
    bus_run(&b, 5 * 1000);
    assert_true(synced(&b));
    bus_results_free(&b);
    struct key k = bus_key(&b, "auth", "k3");
    const struct record *copy = session_peek(b.nodes[1].shards[0], &k, NULL);
    assert_memory_equal(field_value(record_get(copy, "", 0)), "new", 3);
    all_is_there(&b);
    bus_deinit(&b);
}

static void hand(struct bus *b, int to, struct message *m, const struct record *r)
{
    struct msg *msg = message_encode(m, r, b->nodes[to].inc);
    struct session_event ev = {
        .type = SESSION_EV_MESSAGE,
        .message = {.from = b->nodes[0].inc, .bytes = msg->bytes, .len = msg->len}};
    bus_step(b, to, 0, &ev);
    msg_free(msg);
}

/* What comes in bulk may come behind the DROP that was sent after it. */
static void what_was_dropped_is_not_brought_back(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "auth", "cart");
    assert_int_equal(bus_create(&b, 0, &k, "x")->status, STEAD_OK);
    struct record *r = record_clone(session_peek(b.nodes[0].shards[0], &k, NULL));
    const struct bus_contact *c = &b.nodes[0].contacts[1];
    struct message drop = {
        .type = MESSAGE_DROP, .key = k, .stamp = r->stamp, .digest = record_digest(r)};
    struct message late = {.type = MESSAGE_REPLICATE,
                           .key = k,
                           .token = BULK_TOKEN,
                           .counted = c->counted,
                           .granted = c->granted,
                           .digest = record_digest(r)};
    hand(&b, 1, &drop, NULL);
    assert_int_equal(bus_stats(&b, 1).records, 0);
    hand(&b, 1, &late, r);
    assert_int_equal(bus_stats(&b, 1).records, 0);
    late.token = 1; /* the owner's round, which knows what it does */
    hand(&b, 1, &late, r);
    assert_int_equal(bus_stats(&b, 1).records, 1);
    record_free(r);
    bus_deinit(&b);
}

/* An answer that an earlier contact gave confirms nothing. */
static void an_answer_of_another_contact_counts_for_nothing(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    b.loses = all_in_bulk;
    join(&b);
    bus_tick(&b);
    struct key k = bus_key(&b, "auth", "k1");
    const struct record *mine = session_peek(b.nodes[0].shards[0], &k, NULL);
    struct message m = {
        .type = MESSAGE_REPLICATED, .key = k, .token = BULK_TOKEN | 77u << 3, .stamp = mine->stamp};
    struct msg *msg = message_encode(&m, NULL, b.nodes[0].inc);
    struct session_event ev = {
        .type = SESSION_EV_MESSAGE,
        .message = {.from = b.nodes[1].inc, .bytes = msg->bytes, .len = msg->len}};
    bus_step(&b, 0, 0, &ev);
    msg_free(msg);
    assert_int_equal(bus_stats(&b, 0).bulk_kept, 0);
    bus_deinit(&b);
}

static bool answers_in_bulk(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b;
    (void)from;
    (void)to;
    return is_bulk(m, MESSAGE_REPLICATED);
}

static void a_joiner_hears_how_far_the_others_are(void **state)
{
    (void)state;
    struct bus b;
    begin_alone(&b);
    b.loses = answers_in_bulk;
    join(&b);
    bus_run(&b, 700);
    struct session_stats s = bus_stats(&b, 1);
    assert_int_equal(s.sync_parts, 1);
    assert_in_range(s.sync_percent, 1, 99);
    assert_false(synced(&b));
    b.loses = NULL;
    bus_run(&b, 20 * 1000);
    assert_true(synced(&b));
    assert_int_equal(bus_stats(&b, 1).sync_percent, 100);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_joiner_gets_its_portion_without_rounds),
        cmocka_unit_test(in_bundles_it_is_the_same),
        cmocka_unit_test(a_bundle_takes_what_fits),
        cmocka_unit_test(what_is_lost_is_sent_again),
        cmocka_unit_test(where_nothing_passes_in_bulk_rounds_do_it),
        cmocka_unit_test(what_is_under_way_is_bounded),
        cmocka_unit_test(what_is_changed_on_the_way_is_what_arrives),
        cmocka_unit_test(what_was_dropped_is_not_brought_back),
        cmocka_unit_test(an_answer_of_another_contact_counts_for_nothing),
        cmocka_unit_test(a_joiner_hears_how_far_the_others_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
