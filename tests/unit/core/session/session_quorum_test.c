/* session_quorum_test.c - kinds that a majority of the voters decides about: one winner, and a
 * clear refusal for who is without a majority. Nodes 0 to 2 are the voters, 3 is none. */
#include "session_bus.h"

static void begin(struct bus *b)
{
    bus_init(b);
    b->voters = 3;
    bus_kind(b, "app")->atomic = ATOMIC_QUORUM;
    bus_begin(b, 4);
    bus_run(b, 1000);
}

/* Node i is alone, or not any more. */
static void isolate(struct bus *b, int i, bool cut)
{
    for (int j = 0; j < 4; j++)
        if (j != i)
            bus_cut(b, i, j, cut);
}

static int make(struct bus *b, int i, const struct key *k, const char *value)
{
    uint64_t request = bus_ask_set(b, i, SESSION_CREATE_IF_ABSENT, k, value);
    return bus_wait(b, request)->status;
}

static int owner_of(struct bus *b, const struct key *k)
{
    int owner = 0;
    assert_int_equal(bus_owners(b, k, &owner), 1);
    return owner;
}

static void one_wins_wherever_it_is_asked_for(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        struct bus b;
        uint64_t requests[4];
        unsigned won = 0;
        begin(&b);
        b.shuffle = (uint64_t)round;
        rng_init(&b.rng, (uint64_t)round + 1);
        struct key k = bus_key(&b, "app", "lock");
        for (int i = 0; i < 4; i++)
            requests[i] = bus_ask_set(&b, i, SESSION_CREATE_IF_ABSENT, &k, "x");
        for (int i = 0; i < 4; i++)
            won += bus_wait(&b, requests[i])->status == STEAD_OK;
        assert_int_equal(won, 1);
        assert_in_range(owner_of(&b, &k), 0, 2);
        bus_deinit(&b);
    }
}

static void who_is_alone_is_refused_and_the_majority_goes_on(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    struct key k = bus_key(&b, "app", "lock"), other = bus_key(&b, "app", "other");
    assert_int_equal(make(&b, 3, &k, "first"), STEAD_OK);
    int owner = owner_of(&b, &k), next = (owner + 1) % 3;
    isolate(&b, owner, true);
    bus_run(&b, 4000);
    assert_int_equal(bus_read(&b, owner, &k)->status, STEAD_E_NO_QUORUM);
    assert_int_equal(bus_change(&b, owner, &k, "lost")->status, STEAD_E_NO_QUORUM);
    assert_int_equal(make(&b, owner, &other, "lost"), STEAD_E_NO_QUORUM);
    assert_true(bus_stats(&b, owner).no_quorum >= 3);
    assert_int_equal(make(&b, next, &k, "second"), STEAD_E_EXISTS);
    assert_int_equal(bus_change(&b, next, &k, "changed")->status, STEAD_OK);
    assert_int_equal(make(&b, 3, &other, "theirs"), STEAD_OK);
    isolate(&b, owner, false);
    bus_run(&b, 5000);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(bus_read(&b, i, &k)->value, "changed");
        assert_string_equal(bus_read(&b, i, &other)->value, "theirs");
    }
    bus_deinit(&b);
}

/* One is down, and counts: with another one cut off, nobody is a majority. */
static void a_voter_that_is_down_counts(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    struct key k = bus_key(&b, "app", "lock"), other = bus_key(&b, "app", "other");
    assert_int_equal(make(&b, 0, &k, "x"), STEAD_OK);
    bus_kill(&b, 2);
    bus_run(&b, 4000);
    assert_string_equal(bus_read(&b, 1, &k)->value, "x");
    isolate(&b, 1, true);
    bus_run(&b, 4000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_NO_QUORUM);
        assert_int_equal(make(&b, i, &other, "y"), STEAD_E_NO_QUORUM);
    }
    bus_deinit(&b);
}

/* It has forgotten what it kept: it does not make up a majority with one that never knew. */
static void a_voter_that_starts_anew_does_not_vote_before_it_was_told(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    assert_int_equal(bus_stats(&b, 1).votes, 1);
    struct key k = bus_key(&b, "app", "lock");
    isolate(&b, 2, true);
    bus_run(&b, 3000);
    assert_int_equal(make(&b, 0, &k, "x"), STEAD_OK);
    int owner = owner_of(&b, &k), other = 1 - owner;
    bus_kill(&b, other);
    isolate(&b, 2, false);
    isolate(&b, owner, true);
    bus_start(&b, other, 17, 1, PEER_UP);
    bus_run(&b, 4000);
    assert_int_equal(bus_stats(&b, other).votes, 0);
    assert_int_not_equal(make(&b, 2, &k, "again"), STEAD_OK);
    isolate(&b, owner, false);
    bus_run(&b, 5000);
    assert_int_equal(bus_stats(&b, other).votes, 1);
    assert_string_equal(bus_read(&b, 2, &k)->value, "x");
    bus_deinit(&b);
}

static void without_voters_nothing_is_served(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "app")->atomic = ATOMIC_QUORUM;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "lock");
    assert_int_equal(make(&b, 0, &k, "x"), STEAD_E_NO_QUORUM);
    assert_int_equal(bus_read(&b, 1, &k)->status, STEAD_E_NO_QUORUM);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_wins_wherever_it_is_asked_for),
        cmocka_unit_test(who_is_alone_is_refused_and_the_majority_goes_on),
        cmocka_unit_test(a_voter_that_is_down_counts),
        cmocka_unit_test(a_voter_that_starts_anew_does_not_vote_before_it_was_told),
        cmocka_unit_test(without_voters_nothing_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
