/* session_failover_test.c - nodes die, pause and come back: claims, fencing, and that nothing
 * acknowledged is lost and nothing deleted returns. */
#include "session_bus.h"

static void assert_answer(const struct bus_result *r, int status, const char *value)
{
    assert_int_equal(r->status, status);
    assert_string_equal(r->value, value);
}

static struct key made(struct bus *b, const char *kind, const char *name)
{
    struct key k = bus_key(b, kind, name);
    assert_answer(bus_create(b, 0, &k, "one"), STEAD_OK, "one");
    return k;
}

static void the_record_outlives_its_owner(void **state)
{
    (void)state;
    for (int asked = 1; asked < 4; asked++) {
        struct bus b;
        bus_init(&b);
        bus_begin(&b, 4);
        struct key k = made(&b, "auth", "alice");
        assert_int_equal(bus_change(&b, asked, &k, "two")->status, STEAD_OK);
        uint64_t term = bus_read(&b, 0, &k)->stamp.term;
        bus_kill(&b, 0);
        struct bus_result *r = bus_read(&b, asked, &k); /* at once: it waits for the count-out */
        assert_answer(r, STEAD_OK, "two");
        bus_run(&b, 2000);
        r = bus_read(&b, asked, &k);
        assert_answer(r, STEAD_OK, "two");
        assert_int_equal(r->stamp.term, term + 1);
        bus_assert_settled(&b, &k, 2);
        assert_answer(bus_change(&b, asked, &k, "three"), STEAD_OK, "three");
        for (int i = 1; i < 4; i++)
            assert_answer(bus_read(&b, i, &k), STEAD_OK, "three");
        bus_deinit(&b);
    }
}

static void it_outlives_one_server_after_another(void **state)
{
    (void)state;
    struct bus b;
    char text[16];
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "purchase", "cart");
    for (int round = 0; round < 6; round++) {
        int victim = round % 3, other = (round + 1) % 3;
        snprintf(text, sizeof(text), "round %d", round);
        assert_answer(bus_change(&b, victim, &k, text), STEAD_OK, text);
        bus_kill(&b, victim);
        bus_run(&b, 100);
        bus_start(&b, victim, 100 + (uint64_t)round, 1, PEER_JOINING);
        for (int i = 0; i < 1000 && !session_synced(b.nodes[victim].shards[0]); i++)
            bus_run(&b, 10);
        assert_true(session_synced(b.nodes[victim].shards[0]));
        b.nodes[victim].state = PEER_UP;
        bus_run(&b, 200);
        assert_answer(bus_read(&b, other, &k), STEAD_OK, text);
        assert_answer(bus_read(&b, victim, &k), STEAD_OK, text);
        assert_int_equal(bus_copies(&b, &k), 2);
    }
    bus_deinit(&b);
}

static void copies_lost_with_a_holder_are_made_anew(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made(&b, "auth", "alice");
    bus_kill(&b, bus_find(&b, &k, true));
    bus_run(&b, 2500);
    bus_assert_settled(&b, &k, 2);
    assert_int_equal(bus_owner(&b, &k), 0);
    assert_int_equal(bus_stats(&b, 0).below_copies, 0);
    bus_deinit(&b);
}

static void a_write_waits_for_a_holder_that_dies_and_goes_to_the_next(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made(&b, "auth", "alice");
    bus_kill(&b, bus_find(&b, &k, true));
    struct bus_result *r = bus_change(&b, 0, &k, "two");
    assert_answer(r, STEAD_OK, "two");
    assert_int_equal(r->copies, 2);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void an_owner_that_was_paused_is_fenced(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "auth", "alice");
    bus_pause(&b, 0);
    bus_run(&b, 3000);
    int other = bus_find(&b, &k, true) == NOBODY ? 1 : bus_find(&b, &k, false);
    other = other == NOBODY ? 1 : other;
    assert_answer(bus_change(&b, other, &k, "two"), STEAD_OK, "two");
    bus_results_free(&b);
    /* Its clients ask it before it has heard anything. */
    b.nodes[0].paused = false;
    for (int j = 0; j < BUS_NODES; j++)
        b.nodes[0].contacts[j].heard_ns = b.now_ns;
    uint64_t read = bus_ask(&b, 0, bus_op(SESSION_READ, &k));
    uint64_t write = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "stale");
    assert_null(bus_result(&b, read)); /* its leases have run out: it may not answer */
    assert_null(bus_result(&b, write));
    assert_answer(bus_wait(&b, read), STEAD_OK, "two");
    int status = bus_wait(&b, write)->status;
    bus_run(&b, 2000);
    for (int i = 0; i < 3; i++)
        assert_answer(bus_read(&b, i, &k), STEAD_OK, status == STEAD_OK ? "stale" : "two");
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

/* The write was on its way to the holders when the owner was stopped. */
static void a_write_under_way_at_a_paused_owner_is_no_ok(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "auth", "alice");
    int holder = bus_find(&b, &k, true), stranger = bus_find(&b, &k, false);
    bus_results_free(&b);
    b.cut[0][holder] = true;
    uint64_t write = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "stale");
    bus_pause(&b, 0);
    bus_run(&b, 2500);
    assert_null(bus_result(&b, write));
    assert_answer(bus_change(&b, stranger, &k, "two"), STEAD_OK, "two");
    b.cut[0][holder] = false;
    b.nodes[0].paused = false;
    for (int j = 0; j < BUS_NODES; j++)
        b.nodes[0].contacts[j].heard_ns = b.now_ns;
    bus_results_free(&b);
    bus_deliver(&b);
    bus_run(&b, 2000);
    struct bus_result *r = bus_result(&b, write);
    assert_non_null(r);
    assert_int_not_equal(r->status, STEAD_OK);
    bus_assert_settled(&b, &k, 2);
    for (int i = 0; i < 3; i++)
        assert_answer(bus_read(&b, i, &k), STEAD_OK, "two");
    bus_deinit(&b);
}

static void a_final_deletion_stays(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made(&b, "auth", "alice");
    int holder = bus_find(&b, &k, true);
    /* The holder misses the deletion, and comes back with its living copy. */
    bus_pause(&b, holder);
    bus_run(&b, 2000);
    assert_int_equal(bus_end(&b, 0, &k)->status, STEAD_OK);
    bus_kill(&b, 0);
    bus_resume(&b, holder);
    bus_run(&b, 4000);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ENDED);
        assert_int_equal(bus_set(&b, i, SESSION_CREATE_IF_ABSENT, &k, "x")->status, STEAD_E_ENDED);
    }
    bus_deinit(&b);
}

static void a_field_deleted_stays_deleted_after_the_owner(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made(&b, "app", "doc");
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_SET, "f", "x")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    bus_pause(&b, holder);
    bus_run(&b, 2000);
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_DELETE, "f", "")->status, STEAD_OK);
    bus_kill(&b, 0);
    bus_resume(&b, holder);
    bus_run(&b, 4000);
    for (int i = 1; i < 4; i++) {
        struct bus_result *r = bus_read(&b, i, &k);
        assert_answer(r, STEAD_OK, "one");
        assert_null(record_get(r->record, "f", 1));
    }
    bus_deinit(&b);
}

static void two_claim_at_once_and_one_owns(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct bus b;
        bus_init(&b);
        bus_kind(&b, "auth")->copies = 3;
        bus_begin(&b, 5);
        struct key k = made(&b, "auth", "alice");
        bus_kill(&b, 0);
        bus_run(&b, 1400);
        b.shuffle = seed;
        rng_init(&b.rng, seed);
        bus_results_free(&b);
        uint64_t asked[5];
        for (int i = 1; i < 5; i++)
            asked[i] = bus_ask_set(&b, i, SESSION_CHANGE, &k, "two");
        for (int i = 1; i < 5; i++)
            bus_wait(&b, asked[i]);
        bus_run(&b, 4000);
        bus_assert_settled(&b, &k, 3);
        struct bus_result *r = bus_change(&b, 4, &k, "three");
        assert_answer(r, STEAD_OK, "three");
        for (int i = 1; i < 5; i++)
            assert_answer(bus_read(&b, i, &k), STEAD_OK, "three");
        bus_deinit(&b);
    }
}

static void records_without_clients_are_claimed_and_copied(void **state)
{
    (void)state;
    struct bus b;
    char name[16];
    bus_init(&b);
    bus_begin(&b, 4);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        made(&b, "auth", name);
    }
    bus_kill(&b, 0);
    bus_run(&b, 4000);
    uint64_t owned = 0;
    for (int i = 1; i < 4; i++) {
        struct session_stats st = bus_stats(&b, i);
        owned += st.owned;
        assert_int_equal(st.orphans, 0);
        assert_int_equal(st.doubtful, 0);
        assert_int_equal(st.below_copies, 0);
    }
    assert_int_equal(owned, 100);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "auth", name);
        bus_assert_settled(&b, &k, 2);
    }
    bus_deinit(&b);
}

static bool loses_some(struct bus *b, int from, int to, const struct msg *m)
{
    (void)from;
    (void)to;
    (void)m;
    return b->lost < 12 && rng_below(&b->rng, 4) == 0;
}

static bool loses_all_of_one(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b;
    (void)m;
    return from == 1 || to == 1;
}

/* It is heard and takes nothing: with many records that wait for it, whoever asks it again and
 * again would do nothing else. */
static void a_sick_holder_is_asked_ever_more_seldom(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = made(&b, "auth", "alice");
    b.loses = loses_all_of_one;
    bus_ask_set(&b, 0, SESSION_CHANGE, &k, "two");
    bus_run(&b, 60000);
    assert_in_range(b.lost, 10, 20);
    b.loses = NULL;
    bus_run(&b, 4000);
    assert_answer(bus_change(&b, 0, &k, "three"), STEAD_OK, "three");
    assert_answer(bus_read(&b, 1, &k), STEAD_OK, "three");
    bus_deinit(&b);
}

/* What a sender had no memory for, or the mesh gave up. */
static unsigned claims_seen;

static bool counts_claims(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b, (void)from, (void)to;
    claims_seen += m->bytes[0] == MESSAGE_CLAIM;
    return false;
}

/* What they tell each other of records is lost, while they hear each other. */
static int deaf_one, deaf_other;

static bool loses_between(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b, (void)m;
    return (from == deaf_one && to == deaf_other) || (from == deaf_other && to == deaf_one);
}

/* An owner stood still, the record was claimed and written elsewhere. It comes back and claims in
 * its turn; the third node says that the new owner lives. That one goes on writing and dies, before
 * it says a word: then the third is to be asked again, for what it has. */
static void what_a_living_owner_wrote_before_it_died_is_claimed(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "auth", "alice");
    bus_pause(&b, 0);
    bus_run(&b, 2000);
    assert_answer(bus_change(&b, 1, &k, "two"), STEAD_OK, "two");
    (void)bus_peek(&b, 1, &k, &owned);
    int owner = owned ? 1 : 2, third = 3 - owner;
    deaf_one = 0, deaf_other = owner;
    b.loses = loses_between;
    bus_resume(&b, 0);
    bus_run(&b, 300);
    uint64_t asked = bus_ask(&b, 0, bus_op(SESSION_READ, &k));
    bus_run(&b, 300);
    assert_answer(bus_change(&b, third, &k, "three"), STEAD_OK, "three");
    bus_kill(&b, owner);
    assert_answer(bus_wait(&b, asked), STEAD_OK, "three");
    bus_run(&b, 3000);
    assert_answer(bus_read(&b, 0, &k), STEAD_OK, "three");
    assert_answer(bus_read(&b, third, &k), STEAD_OK, "three");
    bus_deinit(&b);
}

/* A holder that stood still is replaced by another that gets nothing: it keeps its copy until that
 * one has it, or the record would be with its owner alone. */
static void a_copy_is_kept_until_another_is_made(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "auth", "alice");
    int holder = bus_find(&b, &k, true), other = 3 - holder;
    bus_pause(&b, holder);
    deaf_one = 0, deaf_other = other;
    b.loses = loses_between;
    bus_run(&b, 2000);
    bus_resume(&b, holder);
    bus_run(&b, 2000);
    bus_pause(&b, 0);
    assert_answer(bus_read(&b, other, &k), STEAD_OK, "one");
    bus_deinit(&b);
}

/* The link between a holder and its owner is down, and a third node hears both. */
static void an_owner_that_others_hear_is_claimed_ever_more_seldom(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = made(&b, "auth", "alice");
    int holder = bus_find(&b, &k, true);
    bus_cut(&b, 0, holder, true);
    claims_seen = 0;
    b.loses = counts_claims;
    bus_run(&b, 30000);
    assert_in_range(claims_seen, 2, 40);
    assert_int_equal(bus_owner(&b, &k), 0);
    assert_answer(bus_change(&b, 0, &k, "two"), STEAD_OK, "two");
    assert_answer(bus_read(&b, holder, &k), STEAD_OK, "two"); /* by way of the third */
    bus_cut(&b, 0, holder, false);
    bus_run(&b, 5000);
    bus_assert_settled(&b, &k, 2);
    assert_true(bus_peek(&b, 0, &k, &owned) && owned);
    bus_deinit(&b);
}

static void a_lost_message_holds_nobody_up_for_long(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bus b;
        bus_init(&b);
        bus_begin(&b, 4);
        struct key k = made(&b, "auth", "alice");
        rng_init(&b.rng, seed);
        b.loses = loses_some;
        for (int i = 0; i < 6; i++) {
            bus_change(&b, i % 4, &k, "two");
            bus_read(&b, (i + 1) % 4, &k);
        }
        bus_kill(&b, 0);
        bus_run(&b, 5000);
        b.lost = 12;
        bus_run(&b, 10000);
        assert_answer(bus_change(&b, 1, &k, "three"), STEAD_OK, "three");
        for (int i = 1; i < 4; i++) {
            assert_answer(bus_read(&b, i, &k), STEAD_OK, "three");
            assert_int_equal(bus_stats(&b, i).waiting, 0);
        }
        bus_assert_settled(&b, &k, 2);
        bus_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_outlives_its_owner),
        cmocka_unit_test(it_outlives_one_server_after_another),
        cmocka_unit_test(copies_lost_with_a_holder_are_made_anew),
        cmocka_unit_test(a_write_waits_for_a_holder_that_dies_and_goes_to_the_next),
        cmocka_unit_test(an_owner_that_was_paused_is_fenced),
        cmocka_unit_test(a_write_under_way_at_a_paused_owner_is_no_ok),
        cmocka_unit_test(a_final_deletion_stays),
        cmocka_unit_test(a_field_deleted_stays_deleted_after_the_owner),
        cmocka_unit_test(two_claim_at_once_and_one_owns),
        cmocka_unit_test(records_without_clients_are_claimed_and_copied),
        cmocka_unit_test(a_sick_holder_is_asked_ever_more_seldom),
        cmocka_unit_test(what_a_living_owner_wrote_before_it_died_is_claimed),
        cmocka_unit_test(a_copy_is_kept_until_another_is_made),
        cmocka_unit_test(an_owner_that_others_hear_is_claimed_ever_more_seldom),
        cmocka_unit_test(a_lost_message_holds_nobody_up_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
