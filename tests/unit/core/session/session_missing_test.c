/* session_missing_test.c - absent is told from unreachable: who is away, and with what. */
#include "session_bus.h"

static int look(struct bus *b, int i)
{
    struct key k = bus_key(b, "auth", "nobody");
    return bus_read(b, i, &k)->status;
}

static int add(struct bus *b, int i, const char *name)
{
    struct key k = bus_key(b, "app", name);
    return bus_set(b, i, SESSION_CREATE_IF_ABSENT, &k, "one")->status;
}

/* The next process of a node, until it is up. Membership says of the one before that it keeps
 * nothing. */
static void replace(struct bus *b, int old, int now)
{
    b->nodes[old].keeps_nothing = true;
    bus_start(b, now, (uint64_t)now + 50, 1, PEER_JOINING);
    b->nodes[now].id = b->nodes[old].id;
    for (int i = 0; i < 500 && !session_synced(b->nodes[now].shards[0]); i++)
        bus_run(b, 10);
    bus_run(b, 500);
    assert_true(session_synced(b->nodes[now].shards[0]));
    b->nodes[now].state = PEER_UP;
    bus_run(b, 200);
}

static void one_that_dies_in_a_young_farm_makes_nothing_unreachable(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    bus_run(&b, 1000);
    bus_kill(&b, 2);
    bus_run(&b, 3000);
    assert_int_equal(look(&b, 0), STEAD_E_ABSENT);
    assert_int_equal(add(&b, 1, "first"), STEAD_OK);
    bus_run(&b, 60000);
    assert_int_equal(look(&b, 1), STEAD_E_ABSENT);
    bus_deinit(&b);
}

static void one_that_dies_after_another_was_replaced_neither(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    bus_run(&b, 40000);
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    replace(&b, 1, 3);
    bus_run(&b, 5000);
    bus_kill(&b, 2);
    bus_run(&b, 3000);
    assert_int_equal(look(&b, 0), STEAD_E_ABSENT);
    assert_int_equal(look(&b, 3), STEAD_E_ABSENT);
    assert_int_equal(add(&b, 0, "first"), STEAD_OK);
    bus_deinit(&b);
}

static void two_that_die_together_do(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    bus_run(&b, 40000);
    bus_kill(&b, 1);
    bus_kill(&b, 2);
    bus_run(&b, 3000);
    assert_int_equal(look(&b, 0), STEAD_E_UNREACHABLE);
    assert_int_equal(add(&b, 0, "first"), STEAD_E_UNREACHABLE);
    bus_deinit(&b);
}

/* What the two held together is with the one that may come back; the other's next process knows
 * nothing of it. */
static void so_do_two_of_which_one_is_replaced(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    bus_run(&b, 40000);
    bus_kill(&b, 1);
    bus_kill(&b, 2);
    bus_run(&b, 2000);
    replace(&b, 1, 4);
    assert_int_equal(look(&b, 0), STEAD_E_UNREACHABLE);
    assert_int_equal(look(&b, 3), STEAD_E_UNREACHABLE);
    assert_int_equal(look(&b, 4), STEAD_E_UNREACHABLE);
    bus_deinit(&b);
}

/* A node that has been replaced before is as much away as any other. */
static void so_do_two_of_which_one_had_been_replaced(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    bus_run(&b, 40000);
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    replace(&b, 1, 3);
    bus_run(&b, 40000);
    bus_kill(&b, 3);
    bus_kill(&b, 2);
    bus_run(&b, 2000);
    replace(&b, 2, 4);
    assert_int_equal(look(&b, 0), STEAD_E_UNREACHABLE);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_dies_in_a_young_farm_makes_nothing_unreachable),
        cmocka_unit_test(one_that_dies_after_another_was_replaced_neither),
        cmocka_unit_test(two_that_die_together_do),
        cmocka_unit_test(so_do_two_of_which_one_is_replaced),
        cmocka_unit_test(so_do_two_of_which_one_had_been_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
