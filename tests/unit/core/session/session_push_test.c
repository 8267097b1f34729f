/* session_push_test.c - a record is sent to a node of the caller's choice, which serves it from
 * then on. */
#include "session_bus.h"

static struct session_op push_to(struct bus *b, const struct key *k, int to)
{
    struct session_op op = bus_op(SESSION_PUSH, k);
    op.peer = b->nodes[to].inc;
    return op;
}

static bool has(struct bus *b, int i, const struct key *k)
{
    bool owned;
    return bus_peek(b, i, k, &owned) != NULL;
}

static void begin(struct bus *b, int nodes)
{
    bus_init(b);
    bus_begin(b, nodes);
}

/* Asked at the owner, at a holder and at a stranger alike. */
static void pushed_record_is_served_where_it_went(void **state)
{
    (void)state;
    for (int asked = 0; asked < 3; asked++) {
        struct bus b;
        begin(&b, 5);
        struct key k = bus_key(&b, "purchase", "cart");
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        int holder = bus_find(&b, &k, true), to = bus_find(&b, &k, false);
        int stranger = to;
        for (int i = 0; i < 5; i++)
            if (i != to && !has(&b, i, &k))
                stranger = i;
        int at[] = {0, holder, stranger};
        assert_int_equal(bus_do(&b, at[asked], push_to(&b, &k, to))->status, STEAD_OK);
        assert_true(has(&b, to, &k));
        assert_true(has(&b, holder, &k));
        assert_int_equal(bus_stats(&b, at[asked]).pushes, 1);
        uint64_t before = bus_stats(&b, to).reads_local;
        assert_string_equal(bus_read(&b, to, &k)->value, "one");
        assert_int_equal(bus_stats(&b, to).reads_local, before + 1);
        assert_string_equal(bus_change(&b, 0, &k, "two")->value, "two");
        assert_string_equal(bus_read(&b, to, &k)->value, "two");
        assert_int_equal(bus_owner(&b, &k), 0);
        bus_assert_settled(&b, &k, 3);
        bus_deinit(&b);
    }
}

static void another_guest_takes_the_place_of_the_first(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 5);
    struct key k = bus_key(&b, "purchase", "cart");
    bus_create(&b, 0, &k, "one");
    for (int round = 0; round < 4; round++) {
        int to = bus_find(&b, &k, false);
        assert_int_equal(bus_do(&b, 0, push_to(&b, &k, to))->status, STEAD_OK);
        bus_run(&b, 50);
        assert_true(has(&b, to, &k));
        bus_assert_settled(&b, &k, 3);
    }
    bus_deinit(&b);
}

static void pushing_to_who_has_it_changes_nothing(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart");
    struct stamp made = bus_create(&b, 0, &k, "one")->stamp;
    int holder = bus_find(&b, &k, true);
    assert_int_equal(bus_do(&b, 0, push_to(&b, &k, holder))->status, STEAD_OK);
    assert_int_equal(bus_do(&b, 0, push_to(&b, &k, 0))->status, STEAD_OK);
    struct stamp now = bus_read(&b, 0, &k)->stamp;
    assert_int_equal(stamp_compare(&made, &now), 0);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void nobody_gets_what_is_not_there_or_who_is_not(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 4);
    struct key k = bus_key(&b, "purchase", "cart"), none = bus_key(&b, "purchase", "none");
    bus_create(&b, 0, &k, "one");
    struct session_op stranger = bus_op(SESSION_PUSH, &k);
    stranger.peer = 4711;
    assert_int_equal(bus_do(&b, 0, stranger)->status, STEAD_E_UNREACHABLE);
    assert_int_equal(bus_do(&b, 0, push_to(&b, &none, 1))->status, STEAD_E_ABSENT);
    assert_int_equal(bus_end(&b, 0, &k)->status, STEAD_OK);
    assert_int_equal(bus_do(&b, 0, push_to(&b, &k, bus_find(&b, &k, false)))->status,
                     STEAD_E_ENDED);
    assert_int_equal(bus_stats(&b, 0).pushes_failed, 3);
    bus_deinit(&b);
}

/* Nothing of the promise to the usual holders depends on the guest. */
static void a_guest_without_room_is_left_out(void **state)
{
    (void)state;
    struct bus b;
    char big[4000] = {0};
    begin(&b, 3);
    memset(big, 'x', sizeof(big) - 1);
    struct key k = bus_key(&b, "purchase", "cart");
    bus_create(&b, 0, &k, "one");
    int to = bus_find(&b, &k, false);
    b.config.memory_bytes = 1; /* of the next process there */
    bus_kill(&b, to);
    bus_run(&b, 2000);
    bus_start(&b, to, 50, 1, PEER_UP);
    bus_run(&b, 300);
    assert_int_not_equal(bus_do(&b, 0, push_to(&b, &k, to))->status, STEAD_OK);
    assert_int_equal(bus_change(&b, 0, &k, big)->status, STEAD_OK);
    assert_false(has(&b, to, &k));
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void silent_push_has_no_result(void **state)
{
    (void)state;
    struct bus b;
    begin(&b, 4);
    struct key k = bus_key(&b, "purchase", "cart");
    bus_create(&b, 0, &k, "one");
    int to = bus_find(&b, &k, false);
    struct session_op op = push_to(&b, &k, to);
    op.silent = true;
    uint64_t request = bus_ask(&b, 0, op);
    bus_run(&b, 500);
    assert_null(bus_result(&b, request));
    assert_true(has(&b, to, &k));
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_record_is_served_where_it_went),
        cmocka_unit_test(another_guest_takes_the_place_of_the_first),
        cmocka_unit_test(pushing_to_who_has_it_changes_nothing),
        cmocka_unit_test(nobody_gets_what_is_not_there_or_who_is_not),
        cmocka_unit_test(a_guest_without_room_is_left_out),
        cmocka_unit_test(silent_push_has_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
