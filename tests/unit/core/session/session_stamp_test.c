/* session_stamp_test.c - a sick node says terms and versions that cannot be: nobody follows it, and
 * the record can be claimed and written as before. */
#include "session_bus.h"

#define SICK 3
#define NUMBER_MAX (UINT64_MAX >> 1)

static const enum message_type types[] = {MESSAGE_REPLICATE, MESSAGE_OFFER,  MESSAGE_HANDOVER,
                                          MESSAGE_ANNOUNCE,  MESSAGE_CLAIM,  MESSAGE_CLAIMED,
                                          MESSAGE_LOCATED,   MESSAGE_DROP,   MESSAGE_REPLICATED,
                                          MESSAGE_EXPIRED,   MESSAGE_DISOWN, MESSAGE_TAKEN};
#define TYPES (sizeof types / sizeof *types)

/* The sick node tells `to` of the record by a stamp of its own. */
static void say(struct bus *b, int to, const struct key *k, enum message_type type,
                struct stamp stamp)
{
    static const struct field_op set = {.type = FIELD_SET,
                                        .name = (const uint8_t *)"",
                                        .value = (const uint8_t *)"false",
                                        .value_len = 5};
    struct record *r = record_new(k);
    assert_non_null(r);
    assert_int_equal(record_apply(r, &set, 1, &stamp, 1), STEAD_OK);
    struct message m = {.type = type,
                        .key = *k,
                        .stamp = stamp,
                        .token = 1,
                        .peer = b->nodes[SICK].inc,
                        .digest = record_digest(r)};
    struct msg *out = message_encode(&m, r, b->nodes[to].inc);
    assert_non_null(out);
    bus_hand(b, SICK, to, out);
    bus_deliver(b);
    msg_free(out);
    record_free(r);
}

static void assert_serves(struct bus *b, int nodes, const struct key *k, const char *value)
{
    for (int i = 0; i < nodes; i++) {
        if (b->nodes[i].dead)
            continue;
        struct bus_result *r = bus_read(b, i, k);
        assert_int_equal(r->status, STEAD_OK);
        assert_string_equal(r->value, value);
    }
}

/* Whatever the message, wherever it goes: the owner stays, and so does what others know of it; when
 * it dies, its record is claimed. */
static void a_term_that_cannot_be_is_not_followed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * TYPES; i++) {
        struct bus b;
        bus_init(&b);
        bus_begin(&b, 4);
        struct stamp stamp = {1, 1, b.nodes[SICK].inc};
        *(i % 2 ? &stamp.version : &stamp.term) = NUMBER_MAX;
        struct key k = bus_key(&b, "auth", "alice");
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        int holder = bus_find(&b, &k, true);
        for (int to = 0; to < SICK; to++)
            say(&b, to, &k, types[i / 2], stamp);
        assert_true(bus_stats(&b, 0).malformed > 0);
        assert_serves(&b, 4, &k, "one");
        assert_int_equal(bus_change(&b, 1, &k, "two")->status, STEAD_OK);
        bus_kill(&b, 0);
        bus_run(&b, 3000);
        assert_serves(&b, 4, &k, "two");
        assert_int_equal(bus_change(&b, holder, &k, "three")->status, STEAD_OK);
        assert_serves(&b, 4, &k, "three");
        bus_assert_settled(&b, &k, 2);
        bus_deinit(&b);
    }
}

/* A copy that a stranger took because it knew nothing goes when it hears of the record. */
static void a_false_copy_goes(void **state)
{
    (void)state;
    for (int claim = 0; claim < 2; claim++) {
        struct bus b;
        bool owned;
        bus_init(&b);
        bus_begin(&b, 4);
        struct key k = bus_key(&b, "auth", "alice");
        struct stamp stamp = {STAMP_FIRST_MAX, 1, b.nodes[SICK].inc};
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        int stranger = bus_find(&b, &k, false);
        assert_in_range(stranger, 1, SICK - 1);
        say(&b, stranger, &k, MESSAGE_REPLICATE, stamp);
        assert_non_null(bus_peek(&b, stranger, &k, &owned));
        bus_kill(&b, claim ? 0 : SICK);
        bus_run(&b, 8000);
        assert_serves(&b, 4, &k, "one");
        bus_assert_settled(&b, &k, 2);
        assert_in_range(bus_peek(&b, bus_owner(&b, &k), &k, &owned)->stamp.term, 1, 100);
        bus_deinit(&b);
    }
}

/* What nobody knows may begin high, but not at the end of all numbers. */
static void what_begins_high_is_taken_within_bounds(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    bool owned;
    struct stamp over = {STAMP_FIRST_MAX + 1, 1, b.nodes[SICK].inc};
    struct stamp stamp = {STAMP_FIRST_MAX - 9, STAMP_FIRST_MAX - 9, b.nodes[SICK].inc};
    say(&b, 0, &k, MESSAGE_REPLICATE, over);
    assert_null(bus_peek(&b, 0, &k, &owned));
    say(&b, 0, &k, MESSAGE_REPLICATE, stamp);
    bus_kill(&b, SICK);
    bus_run(&b, 4000);
    assert_serves(&b, 3, &k, "false");
    assert_int_equal(bus_change(&b, 1, &k, "two")->status, STEAD_OK);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_term_that_cannot_be_is_not_followed),
        cmocka_unit_test(a_false_copy_goes),
        cmocka_unit_test(what_begins_high_is_taken_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
