/* session_leave_test.c - nodes leave and join on purpose: nothing is lost, and both know when they
 * are done. */
#include "session_bus.h"

static void make_many(struct bus *b, int at, int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "auth", name);
        assert_int_equal(bus_create(b, at, &k, name)->status, STEAD_OK);
    }
}

static void assert_many(struct bus *b, int at, int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "auth", name);
        struct bus_result *r = bus_read(b, at, &k);
        assert_int_equal(r->status, STEAD_OK);
        assert_string_equal(r->value, name);
    }
}

static bool drained(struct bus *b, int i)
{
    for (unsigned s = 0; s < b->nodes[i].shard_count; s++)
        if (!session_drained(b->nodes[i].shards[s]))
            return false;
    return true;
}

static bool synced(struct bus *b, int i)
{
    for (unsigned s = 0; s < b->nodes[i].shard_count; s++)
        if (!session_synced(b->nodes[i].shards[s]))
            return false;
    return true;
}

static void who_leaves_hands_over_and_is_drained(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    make_many(&b, 0, 100);
    assert_false(session_drained(b.nodes[0].shards[0]));
    b.nodes[0].state = PEER_LEAVING;
    for (int i = 0; i < 500 && !drained(&b, 0); i++) {
        struct key k = bus_key(&b, "auth", "k7");
        assert_string_equal(bus_change(&b, 0, &k, "k7")->value, "k7"); /* clients go on */
        bus_run(&b, 10);
    }
    assert_true(drained(&b, 0));
    assert_int_equal(bus_stats(&b, 0).records, 0);
    bus_kill(&b, 0);
    for (int i = 1; i < 4; i++)
        assert_many(&b, i, 100); /* at once: nothing has to be claimed */
    bus_deinit(&b);
}

static bool loses_drop(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b, (void)from, (void)to;
    return m->bytes[0] == MESSAGE_DROP;
}

/* Its place is taken before it is told: until then it asks the owner. */
static void who_leaves_serves_no_copy_unasked(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    b.loses = loses_drop;
    b.nodes[holder].state = PEER_LEAVING;
    bus_run(&b, 300);
    assert_string_equal(bus_change(&b, 0, &k, "two")->value, "two");
    assert_int_equal(bus_copies(&b, &k), 3); /* the old one is still there */
    assert_string_equal(bus_read(&b, holder, &k)->value, "two");
    bus_deinit(&b);
}

static void the_last_but_one_may_leave(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    make_many(&b, 0, 20);
    b.nodes[0].state = PEER_LEAVING;
    bus_run(&b, 2000);
    assert_true(drained(&b, 0));
    bus_kill(&b, 0);
    assert_many(&b, 1, 20);
    bus_deinit(&b);
}

/* It held copies for the one that stays. */
static void the_last_holder_may_leave(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    make_many(&b, 0, 20);
    b.nodes[1].state = PEER_LEAVING;
    bus_run(&b, 2000);
    assert_true(drained(&b, 1));
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    assert_many(&b, 0, 20);
    bus_deinit(&b);
}

static void all_but_one_leave_together(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    make_many(&b, 0, 20);
    for (int i = 0; i < 3; i++)
        b.nodes[i].state = PEER_LEAVING;
    bus_run(&b, 5000);
    for (int i = 0; i < 3; i++) {
        assert_true(drained(&b, i));
        bus_kill(&b, i);
    }
    assert_many(&b, 3, 20);
    bus_deinit(&b);
}

static void an_heir_that_dies_costs_nothing(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    make_many(&b, 0, 20);
    b.nodes[0].state = PEER_LEAVING;
    bus_tick(&b);
    bus_pause(&b, 1);
    bus_run(&b, 150);
    bus_kill(&b, 1);
    bus_run(&b, 6000);
    assert_true(drained(&b, 0));
    bus_kill(&b, 0);
    for (int i = 2; i < 4; i++)
        assert_many(&b, i, 20);
    bus_deinit(&b);
}

/* The view has come, and no answer. */
static void hear_without_answer(struct bus *b, int i)
{
    for (int j = 0; j < 5; j++)
        if (j != i && b->nodes[j].made)
            b->cut[j][i] = true;
    bus_run(b, 200);
    for (int j = 0; j < 5; j++)
        b->nodes[i].contacts[j] = (struct bus_contact){
            .heard = j != i && b->nodes[j].made, .heard_ns = b->now_ns, .lease_ns = b->now_ns};
    bus_view(b, i);
    for (int j = 0; j < 5; j++)
        b->cut[j][i] = false;
}

static bool both_keep_all(struct bus *b, int count)
{
    char name[16];
    bool owned;
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "auth", name);
        if (!bus_peek(b, 1, &k, &owned) || !bus_peek(b, 2, &k, &owned))
            return false;
    }
    return true;
}

static void sync_between(unsigned old_shards, unsigned new_shards)
{
    struct bus b;
    bus_init(&b);
    for (int i = 0; i < 3; i++)
        bus_start(&b, i, (uint64_t)i + 1, old_shards, PEER_UP);
    bus_run(&b, 300);
    make_many(&b, 0, 60);
    bus_kill(&b, 0);
    bus_start(&b, 0, 9, new_shards, PEER_JOINING);
    hear_without_answer(&b, 0);
    assert_false(synced(&b, 0)); /* nobody has answered yet */
    for (int i = 0; i < 600 && !synced(&b, 0); i++)
        bus_run(&b, 10);
    assert_true(synced(&b, 0));
    assert_true(both_keep_all(&b, 60));
    b.nodes[0].state = PEER_UP;
    bus_run(&b, 300);
    bus_kill(&b, 1); /* the next of a rolling restart */
    bus_run(&b, 100);
    assert_many(&b, 0, 60);
    assert_many(&b, 2, 60);
    bus_deinit(&b);
}

static void who_joins_waits_until_the_farm_has_its_copies(void **state)
{
    (void)state;
    sync_between(1, 1);
    sync_between(1, 16);
    sync_between(16, 1);
    sync_between(3, 5);
}

static void who_joins_an_empty_farm_waits_for_nobody(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_start(&b, 0, 1, 4, PEER_JOINING);
    bus_run(&b, 300);
    assert_true(synced(&b, 0));
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leaves_hands_over_and_is_drained),
        cmocka_unit_test(who_leaves_serves_no_copy_unasked),
        cmocka_unit_test(the_last_but_one_may_leave),
        cmocka_unit_test(the_last_holder_may_leave),
        cmocka_unit_test(all_but_one_leave_together),
        cmocka_unit_test(an_heir_that_dies_costs_nothing),
        cmocka_unit_test(who_joins_waits_until_the_farm_has_its_copies),
        cmocka_unit_test(who_joins_an_empty_farm_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
