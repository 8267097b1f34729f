/* session_verify_test.c - copies that should be equal are compared; what differs is named and
 * mended. */
#include "core/session/verify.h"
#include "session_bus.h"

static void make(struct bus *b, int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(b, "purchase", name);
        assert_int_equal(bus_create(b, 0, &k, "one")->status, STEAD_OK);
    }
}

/* The holder forgets its copy, and the owner does not hear of it. */
static int lose_copy(struct bus *b, const struct key *k)
{
    int holder = bus_find(b, k, true);
    bool owned;
    struct message m = {.type = MESSAGE_EXPIRED, .key = *k};
    m.stamp = bus_peek(b, holder, k, &owned)->stamp;
    struct msg *forged = message_encode(&m, NULL, b->nodes[holder].inc);
    assert_non_null(forged);
    bus_hand(b, 0, holder, forged);
    msg_free(forged);
    assert_null(bus_peek(b, holder, k, &owned));
    return holder;
}

/* The same key in another state at the holder, with the same stamp. */
static int spoil_copy(struct bus *b, const struct key *k)
{
    int holder = bus_find(b, k, true);
    bool owned;
    const struct record *mine = bus_peek(b, 0, k, &owned);
    struct record *other = record_clone(mine);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)"bad",
                           .value_len = 3};
    lose_copy(b, k);
    assert_int_equal(record_apply(other, &set, 1, &mine->stamp, 1), STEAD_OK);
    struct message m = {.type = MESSAGE_REPLICATE, .key = *k, .digest = record_digest(other)};
    struct msg *forged = message_encode(&m, other, b->nodes[holder].inc);
    bus_hand(b, 0, holder, forged);
    msg_free(forged);
    record_free(other);
    bus_deliver(b);
    return holder;
}

static size_t verify(struct bus *b, int i, bool mends, struct divergence *out)
{
    struct session *s = b->nodes[i].shards[0];
    size_t count = 16;
    assert_true(session_verify(s, true, mends, out, &count));
    for (int n = 0; n < 1000 && session_verify(s, false, false, out, (count = 16, &count)); n++) {
        b->nodes[i].deadline_ns[0] = 0;
        bus_run(b, 10);
    }
    assert_false(session_verify(s, false, false, out, (count = 16, &count)));
    return count;
}

static void equal_copies_are_equal(void **state)
{
    (void)state;
    struct bus b;
    struct divergence found[16];
    bus_init(&b);
    bus_begin(&b, 3);
    make(&b, 100);
    assert_int_equal(verify(&b, 0, false, found), 0);
    assert_int_equal(bus_stats(&b, 0).verified, 100);
    assert_int_equal(bus_stats(&b, 0).diverged, 0);
    assert_int_equal(verify(&b, 1, false, found), 0);
    assert_true(bus_stats(&b, 1).verified > 10);
    bus_deinit(&b);
}

static void what_a_holder_lost_is_named_and_mended(void **state)
{
    (void)state;
    for (int spoilt = 0; spoilt < 2; spoilt++) {
        struct bus b;
        struct divergence found[16];
        bus_init(&b);
        bus_begin(&b, 3);
        make(&b, 100);
        struct key k = bus_key(&b, "purchase", "k42");
        int holder = spoilt ? spoil_copy(&b, &k) : lose_copy(&b, &k);
        assert_int_equal(verify(&b, 0, false, found), 1);
        assert_true(key_equal(&found[0].key, &k));
        assert_int_equal(found[0].peer, b.nodes[holder].inc);
        assert_int_equal(bus_stats(&b, 0).divergent, 1);
        assert_int_equal(b.nodes[0].notices[NOTICE_DIVERGED], 1);
        /* Only named so far. */
        assert_int_equal(verify(&b, 0, true, found), 0);
        bus_run(&b, 500);
        assert_int_equal(bus_stats(&b, 0).diverged, 2);
        assert_int_equal(bus_stats(&b, 0).divergent, 0);
        bus_assert_settled(&b, &k, 2);
        assert_int_equal(verify(&b, 0, false, found), 0);
        bus_deinit(&b);
    }
}

/* Without being asked it takes ten minutes at most. */
static void it_is_found_by_and_by(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "purchase")->ttl_ms = 0;
    b.config.compare_s = 600;
    bus_begin(&b, 3);
    make(&b, 30);
    struct key k = bus_key(&b, "purchase", "k7");
    lose_copy(&b, &k);
    bus_run(&b, 60000);
    bus_assert_settled(&b, &k, 2);
    assert_int_equal(bus_stats(&b, 0).diverged, 1);
    assert_int_equal(bus_stats(&b, 0).divergent, 0);
    bus_deinit(&b);
}

/* A copy whose owner counts on it no more. */
static void a_copy_too_many_is_found(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    b.config.compare_s = 600;
    bus_begin(&b, 3);
    make(&b, 10);
    struct key k = bus_key(&b, "purchase", "k3");
    int stranger = bus_find(&b, &k, false);
    const struct record *mine = bus_peek(&b, 0, &k, &owned);
    struct record *copy = record_clone(mine);
    copy->holders[0] = b.nodes[stranger].inc;
    struct message m = {.type = MESSAGE_REPLICATE, .key = k, .digest = record_digest(copy)};
    struct msg *forged = message_encode(&m, copy, b.nodes[stranger].inc);
    bus_hand(&b, 0, stranger, forged);
    msg_free(forged);
    record_free(copy);
    bus_deliver(&b);
    assert_int_equal(bus_copies(&b, &k), 3);
    bus_run(&b, 30000);
    bus_assert_settled(&b, &k, 2);
    assert_int_equal(bus_stats(&b, stranger).diverged, 1);
    bus_deinit(&b);
}

/* Under way is not different. */
static void writes_are_no_divergence(void **state)
{
    (void)state;
    struct bus b;
    struct divergence found[16];
    bus_init(&b);
    b.shuffle = 1;
    bus_begin(&b, 3);
    make(&b, 20);
    for (int n = 0; n < 400; n++) {
        char name[16];
        size_t count = 16;
        snprintf(name, sizeof(name), "k%d", n % 20);
        struct key k = bus_key(&b, "purchase", name);
        if (n % 20 == 0)
            session_verify(b.nodes[0].shards[0], true, true, found, &count);
        bus_ask_set(&b, n % 3, SESSION_CHANGE, &k, "two");
        b.nodes[0].deadline_ns[0] = 0;
        bus_tick(&b);
        bus_results_free(&b);
    }
    bus_run(&b, 2000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bus_stats(&b, i).diverged, 0);
    assert_true(bus_stats(&b, 0).verified > 100);
    bus_deinit(&b);
}

/* It is named no more when the two are found equal again, whoever brought that about. */
static void what_is_equal_again_is_not_named(void **state)
{
    (void)state;
    struct bus b;
    struct divergence found[16];
    size_t count = 16;
    bool owned;
    bus_init(&b);
    b.config.compare_s = 600;
    bus_begin(&b, 3);
    make(&b, 10);
    struct key k = bus_key(&b, "purchase", "k3");
    const struct record *mine = bus_peek(&b, 0, &k, &owned);
    struct record *copy = record_clone(mine);
    int holder = lose_copy(&b, &k);
    assert_int_equal(verify(&b, 0, false, found), 1);
    struct message m = {.type = MESSAGE_REPLICATE, .key = k, .digest = record_digest(copy)};
    struct msg *again = message_encode(&m, copy, b.nodes[holder].inc);
    bus_hand(&b, 0, holder, again);
    msg_free(again);
    record_free(copy);
    bus_run(&b, 30000);
    session_verify(b.nodes[0].shards[0], false, false, found, &count);
    assert_int_equal(count, 0);
    assert_int_equal(bus_stats(&b, 0).diverged, 1);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_copies_are_equal),
        cmocka_unit_test(what_a_holder_lost_is_named_and_mended),
        cmocka_unit_test(it_is_found_by_and_by),
        cmocka_unit_test(a_copy_too_many_is_found),
        cmocka_unit_test(writes_are_no_divergence),
        cmocka_unit_test(what_is_equal_again_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
