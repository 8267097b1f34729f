/* session_full_test.c - holders without room: what is refused as FULL was not done, anywhere; what
 * may have been done is not called refused. */
#include "session_bus.h"

#define ROOM 2500 /* of the nodes that are small */
#define LARGE 4000

static char large[LARGE + 1];

/* Node 0 is large, the others have room for a small record of the kind. */
static void begin(struct bus *b, int nodes, const char *kind, unsigned copies)
{
    memset(large, 'x', LARGE);
    bus_init(b);
    bus_kind(b, kind)->copies = (uint8_t)copies;
    bus_start(b, 0, 1, 1, PEER_UP);
    bus_kind(b, kind)->memory_bytes = ROOM;
    for (int i = 1; i < nodes; i++)
        bus_start(b, i, (uint64_t)i + 1, 1, PEER_UP);
    bus_run(b, 300);
}

static void assert_value(struct bus *b, int nodes, const struct key *k, const char *value)
{
    for (int i = 0; i < nodes; i++) {
        struct bus_result *r = bus_read(b, i, k);
        assert_int_equal(r->status, STEAD_OK);
        assert_string_equal(r->value, value);
    }
}

static void a_change_that_no_holder_has_room_for_is_undone(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 2);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    uint64_t memory = bus_stats(&b, 0).memory_bytes;
    for (int at = 0; at < 2; at++) {
        assert_int_equal(bus_change(&b, at, &k, large)->status, STEAD_E_FULL);
        assert_value(&b, 2, &k, "one");
        assert_int_equal(bus_stats(&b, 0).memory_bytes, memory);
        assert_int_equal(bus_stats(&b, 0).below_copies, 0);
    }
    bus_run(&b, 6000);
    bus_assert_settled(&b, &k, 2);
    assert_int_equal(bus_change(&b, 1, &k, "two")->status, STEAD_OK);
    assert_value(&b, 2, &k, "two");
    bus_kill(&b, 0);
    bus_run(&b, 2000);
    assert_string_equal(bus_read(&b, 1, &k)->value, "two");
    bus_deinit(&b);
}

static void writes_of_one_round_are_undone_together(void **state)
{
    (void)state;
    struct bus b;
    uint64_t asked[3];
    begin(&b, 2, "auth", 2);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    bus_results_free(&b);
    bus_pause(&b, 1); /* so that they go in one round, behind this one */
    uint64_t first = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "two");
    asked[0] = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "three");
    asked[1] = bus_ask_set(&b, 0, SESSION_CHANGE, &k, large);
    asked[2] = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "four");
    struct field_op add = {
        .type = FIELD_SET, .name = (const uint8_t *)"b", .name_len = 1, .value_len = LARGE};
    add.value = (const uint8_t *)large;
    struct session_op op = bus_op(SESSION_CHANGE, &k);
    op.ops = &add;
    op.op_count = 1;
    uint64_t last = bus_ask(&b, 0, op);
    bus_resume(&b, 1);
    assert_int_equal(bus_wait(&b, first)->status, STEAD_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bus_wait(&b, asked[i])->status, STEAD_E_FULL);
    assert_int_equal(bus_wait(&b, last)->status, STEAD_E_FULL);
    assert_value(&b, 2, &k, "two");
    bus_run(&b, 6000);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void the_life_is_as_before(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 2);
    struct key k = bus_key(&b, "auth", "alice");
    struct session_op op = bus_op(SESSION_CREATE, &k);
    op.ttl_ms = 3000;
    assert_int_equal(bus_do(&b, 0, op)->status, STEAD_OK);
    bus_run(&b, 1000);
    struct field_op set = {.type = FIELD_SET, .name = (const uint8_t *)"", .value_len = LARGE};
    set.value = (const uint8_t *)large;
    op = bus_op(SESSION_CHANGE, &k);
    op.ttl_ms = 60000;
    op.ops = &set;
    op.op_count = 1;
    assert_int_equal(bus_do(&b, 0, op)->status, STEAD_E_FULL);
    bus_run(&b, 2500);
    assert_int_equal(bus_copies(&b, &k), 0);
    bus_deinit(&b);
}

/* The record is as it was before it was ended by version, after its creation anew is refused. */
static void nothing_made_anew_is_left(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    begin(&b, 2, "app", 2);
    struct key k = bus_key(&b, "app", "conf");
    /* New, where it is made: */
    for (int at = 0; at < 2; at++) {
        struct bus_result *r = bus_set(&b, at, SESSION_CREATE_IF_ABSENT, &k, large);
        assert_int_equal(r->status, STEAD_E_FULL);
        bus_run(&b, 6000);
        assert_int_equal(bus_copies(&b, &k), 0);
    }
    /* Where it was deleted: */
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(bus_end(&b, 0, &k)->status, STEAD_OK);
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE_IF_ABSENT, &k, large)->status, STEAD_E_FULL);
    assert_true(record_is_tombstone(bus_peek(&b, 0, &k, &owned)));
    assert_int_equal(bus_read(&b, 1, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* One holder has it, another has no room: it is neither refused nor kept as promised. */
static void what_one_holder_has_is_not_called_refused(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 3);
    bus_kind(&b, "auth")->memory_bytes = 0;
    bus_start(&b, 2, 3, 1, PEER_UP);
    bus_run(&b, 300);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->copies, 3);
    assert_int_equal(bus_change(&b, 0, &k, large)->status, STEAD_E_UNKNOWN);
    bus_deinit(&b);
}

static bool loses_first(struct bus *b, int from, int to, const struct msg *m)
{
    (void)from, (void)to;
    return m->bytes[0] == MESSAGE_REPLICATE && b->lost == 0;
}

/* The first question may still come when there is room again. */
static void what_was_asked_twice_is_not_called_refused(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 2);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    b.loses = loses_first;
    assert_int_equal(bus_change(&b, 0, &k, large)->status, STEAD_E_UNKNOWN);
    assert_int_equal(b.lost, 1);
    bus_deinit(&b);
}

static void an_end_needs_no_room(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 2);
    struct key k[99];
    char name[16];
    int made = 0;
    for (; made < 99; made++) {
        snprintf(name, sizeof(name), "k%d", made);
        k[made] = bus_key(&b, "auth", name);
        if (bus_create(&b, 0, &k[made], "one")->status != STEAD_OK)
            break;
    }
    assert_in_range(made, 1, 98);
    for (int i = 0; i < made; i++)
        assert_int_equal(bus_end(&b, 1, &k[i])->status, STEAD_OK);
    bus_deinit(&b);
}

static bool loses_drop(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b, (void)from, (void)to;
    return m->bytes[0] == MESSAGE_DROP;
}

/* Node 1 is small and has a copy; nodes 2 and 3 are large. */
static struct key held_by_the_small(struct bus *b)
{
    struct key k;
    char name[16];
    begin(b, 2, "auth", 2);
    bus_kind(b, "auth")->memory_bytes = 0;
    bus_start(b, 2, 3, 1, PEER_UP);
    bus_start(b, 3, 4, 1, PEER_UP);
    bus_run(b, 300);
    for (int i = 0; i < 20; i++) {
        bool owned;
        snprintf(name, sizeof(name), "k%d", i);
        k = bus_key(b, "auth", name);
        assert_int_equal(bus_create(b, 0, &k, "one")->status, STEAD_OK);
        if (bus_peek(b, 1, &k, &owned))
            return k;
    }
    fail_msg("nothing is held by node 1");
    return k;
}

/* It is told by a DROP, which may take its time. */
static void who_was_passed_over_serves_nothing_old(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    struct key k = held_by_the_small(&b);
    b.loses = loses_drop;
    struct bus_result *r = bus_change(&b, 0, &k, large);
    assert_int_equal(r->status, STEAD_OK);
    assert_int_equal(r->copies, 2);
    assert_non_null(bus_peek(&b, 1, &k, &owned)); /* the old one */
    assert_int_equal(bus_read(&b, 1, &k)->value_len, LARGE);
    b.loses = NULL;
    bus_run(&b, 8000);
    assert_null(bus_peek(&b, 1, &k, &owned));
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

/* Nobody has room for the new version: those who have the old one keep it, and the new one. */
static void the_old_copies_stay_when_nobody_takes_their_place(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    begin(&b, 4, "auth", 2);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    b.loses = loses_first; /* so that it cannot be undone */
    assert_int_equal(bus_change(&b, 0, &k, large)->status, STEAD_E_UNKNOWN);
    bus_run(&b, 30000);
    assert_non_null(bus_peek(&b, holder, &k, &owned));
    assert_int_equal(bus_copies(&b, &k), 2);
    assert_int_equal(bus_read(&b, holder, &k)->value_len, LARGE);
    bus_deinit(&b);
}

/* What was said about the first list of holders and comes late takes no copy from the second. */
static void another_list_is_another_version(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    held_by_the_small(&b);
    for (int i = 20; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "auth", name);
        struct bus_result *r = bus_create(&b, 0, &k, large);
        assert_int_equal(r->status, STEAD_OK);
        if (r->stamp.version == 1)
            continue; /* nobody was passed over */
        int holder = bus_find(&b, &k, true);
        struct message m = {.type = MESSAGE_ANNOUNCE, .key = k, .stamp = {1, 1, b.nodes[0].inc}};
        struct msg *late = message_encode(&m, NULL, b.nodes[holder].inc);
        assert_non_null(late);
        bus_hand(&b, 0, holder, late);
        msg_free(late);
        assert_non_null(bus_peek(&b, holder, &k, &owned));
        bus_deinit(&b);
        return;
    }
    fail_msg("nobody was passed over");
}

/* One large record that was refused does not keep small ones away. */
static void who_has_no_room_for_much_may_have_some_for_little(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 2, "auth", 2);
    struct key big = bus_key(&b, "auth", "big"), small = bus_key(&b, "auth", "small");
    assert_int_equal(bus_create(&b, 0, &big, large)->status, STEAD_E_FULL);
    uint64_t refused = bus_stats(&b, 0).refused;
    assert_int_equal(bus_create(&b, 0, &big, large)->status, STEAD_E_FULL);
    assert_int_equal(bus_stats(&b, 0).refused, refused); /* it is not asked again */
    struct bus_result *r = bus_create(&b, 0, &small, "one");
    assert_int_equal(r->status, STEAD_OK);
    assert_int_equal(r->copies, 2);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_no_holder_has_room_for_is_undone),
        cmocka_unit_test(writes_of_one_round_are_undone_together),
        cmocka_unit_test(the_life_is_as_before),
        cmocka_unit_test(nothing_made_anew_is_left),
        cmocka_unit_test(what_one_holder_has_is_not_called_refused),
        cmocka_unit_test(what_was_asked_twice_is_not_called_refused),
        cmocka_unit_test(an_end_needs_no_room),
        cmocka_unit_test(who_was_passed_over_serves_nothing_old),
        cmocka_unit_test(the_old_copies_stay_when_nobody_takes_their_place),
        cmocka_unit_test(another_list_is_another_version),
        cmocka_unit_test(who_has_no_room_for_much_may_have_some_for_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
