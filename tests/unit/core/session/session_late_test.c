/* session_late_test.c - what comes late, after a pause or after the farm has gone on, undoes
 * nothing. */
#include "session_bus.h"

/* The first message of a type that waits on the wire, as a copy. */
static struct msg *overheard(struct bus *b, enum message_type type, int *from, int *to)
{
    for (struct list *l = b->wire.next; l != &b->wire; l = l->next) {
        struct bus_message *m = list_entry(l, struct bus_message, link);
        if (m->msg->bytes[0] != type)
            continue;
        struct msg *copy = msg_new(m->msg->peer, m->msg->len);
        assert_non_null(copy);
        memcpy(copy->bytes, m->msg->bytes, m->msg->len);
        copy->len = m->msg->len;
        *from = m->from;
        *to = bus_index(b, m->msg->peer);
        return copy;
    }
    fail_msg("no such message");
    return NULL;
}

/* A holder stands still while the record lives and ends; then it finds the first REPLICATE in its
 * socket. The owner dies: the record does not come back. */
static void a_copy_that_waited_longer_than_it_lives_is_not_taken(void **state)
{
    (void)state;
    struct bus b;
    int owner, holder;
    bool owned;
    bus_init(&b);
    bus_kind(&b, "auth")->ttl_ms = 4000;
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    for (int i = 1; i < 4; i++)
        bus_pause(&b, i);
    uint64_t asked = bus_ask_set(&b, 0, SESSION_CREATE, &k, "one");
    struct msg *late = overheard(&b, MESSAGE_REPLICATE, &owner, &holder);
    for (int i = 1; i < 4; i++)
        if (i != holder)
            bus_resume(&b, i);
    assert_int_equal(bus_wait(&b, asked)->status, STEAD_OK);
    assert_int_equal(bus_change(&b, 0, &k, "two")->status, STEAD_OK);
    bus_run(&b, 6000);
    assert_int_equal(bus_copies(&b, &k), 0);
    bus_resume(&b, holder);
    bus_hand(&b, owner, holder, late);
    assert_null(bus_peek(&b, holder, &k, &owned));
    bus_kill(&b, owner);
    bus_run(&b, 4000);
    assert_int_equal(bus_copies(&b, &k), 0);
    msg_free(late);
    bus_deinit(&b);
}

/* The same, but the pause was not seen: the copy is taken, its owner knows nothing of it when it is
 * asked, and then dies. */
static void a_copy_that_its_owner_has_forgotten_does_not_come_back(void **state)
{
    (void)state;
    struct bus b;
    int owner, holder;
    bool owned;
    bus_init(&b);
    bus_kind(&b, "auth")->ttl_ms = 8000;
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    for (int i = 1; i < 4; i++)
        bus_pause(&b, i);
    uint64_t asked = bus_ask_set(&b, 0, SESSION_CREATE, &k, "one");
    struct msg *late = overheard(&b, MESSAGE_REPLICATE, &owner, &holder);
    for (int i = 1; i < 4; i++)
        if (i != holder)
            bus_resume(&b, i);
    assert_int_equal(bus_wait(&b, asked)->status, STEAD_OK);
    bus_run(&b, 10000);
    assert_int_equal(bus_copies(&b, &k), 0);
    struct message m;
    assert_int_equal(message_decode(late->bytes, late->len, &m), STEAD_OK);
    bus_resume(&b, holder);
    b.nodes[holder].contacts[owner].lease_ns = b.now_ns + BUS_LEASE_NS;
    b.nodes[holder].contacts[owner].granted = 0; /* it is told in the next beat */
    bus_view(&b, holder);
    bus_hand(&b, owner, holder, late);
    assert_non_null(bus_peek(&b, holder, &k, &owned));
    bus_run(&b, 3150); /* it has asked the owner */
    assert_non_null(bus_peek(&b, holder, &k, &owned));
    bus_kill(&b, owner);
    bus_run(&b, 4000);
    assert_int_equal(bus_copies(&b, &k), 0);
    msg_free(late);
    bus_deinit(&b);
}

/* An owner that was overruled drops its holders' copies; one of them keeps the record for the next
 * owner by now. */
static void a_drop_of_an_owner_that_was_is_passed_over(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(bus_change(&b, 0, &k, "two")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true), other = bus_find(&b, &k, false);
    const struct record *r = bus_peek(&b, holder, &k, &owned);
    struct message m = {.type = MESSAGE_DROP,
                        .key = k,
                        .stamp = {1, 1, b.nodes[other].inc},
                        .digest = record_digest(r)};
    struct msg *drop = message_encode(&m, NULL, b.nodes[holder].inc);
    assert_non_null(drop);
    bus_hand(&b, other, holder, drop);
    msg_free(drop);
    bus_assert_settled(&b, &k, 2);
    /* Of an owner that is ahead it is obeyed. */
    m.stamp.term = 3;
    drop = message_encode(&m, NULL, b.nodes[holder].inc);
    assert_non_null(drop);
    bus_hand(&b, other, holder, drop);
    msg_free(drop);
    assert_null(bus_peek(&b, holder, &k, &owned));
    bus_deinit(&b);
}

static bool loses_claims(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b;
    (void)from;
    (void)to;
    return m->bytes[0] == MESSAGE_CLAIM;
}

/* What an owner that was has said long ago comes when the next owner has just died: the only
 * copy that is left stays. */
static void word_of_an_owner_that_was_takes_no_last_copy(void **state)
{
    (void)state;
    static const enum message_type types[] = {MESSAGE_ANNOUNCE, MESSAGE_DROP};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct bus b;
        bool owned;
        bus_init(&b);
        bus_begin(&b, 3);
        struct key k = bus_key(&b, "auth", "alice");
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        assert_int_equal(bus_change(&b, 0, &k, "two")->status, STEAD_OK);
        int holder = bus_find(&b, &k, true), other = bus_find(&b, &k, false);
        bus_kill(&b, 0);
        b.loses = loses_claims;
        bus_run(&b, 2000);
        struct message m = {.type = types[i],
                            .key = k,
                            .stamp = {1, 1, b.nodes[other].inc},
                            .digest = record_digest(bus_peek(&b, holder, &k, &owned))};
        struct msg *late = message_encode(&m, NULL, b.nodes[holder].inc);
        assert_non_null(late);
        bus_hand(&b, other, holder, late);
        msg_free(late);
        b.loses = NULL;
        bus_run(&b, 3000);
        bus_assert_settled(&b, &k, 2);
        assert_string_equal(bus_read(&b, other, &k)->value, "two");
        bus_deinit(&b);
    }
}

/* The owner stood still for less than it takes to be counted out: what is used elsewhere lives on,
 * though its own lease has run out by then. */
static void a_use_that_is_told_after_a_pause_counts(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "auth")->ttl_ms = 4000;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    bus_run(&b, 2000);
    bus_pause(&b, 0);
    bus_run(&b, 1000);
    b.nodes[0].contacts[holder].lease_ns = b.now_ns - NS_PER_MS; /* as seen when it runs again */
    assert_int_equal(bus_read(&b, holder, &k)->status, STEAD_OK);
    bus_view(&b, 0);
    b.nodes[0].paused = false;
    bus_deliver(&b);
    bus_run(&b, 2500);
    assert_int_equal(bus_read(&b, holder, &k)->status, STEAD_OK);
    bus_deinit(&b);
}

/* The caller was told UNKNOWN when the farm was cut, and has gone on: what it asked for then is not
 * done behind its back when the two meet again. */
static void an_operation_of_an_earlier_contact_is_not_done(void **state)
{
    (void)state;
    struct bus b;
    int from, to;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int stranger = bus_find(&b, &k, false);
    bus_read(&b, stranger, &k); /* it knows now where to ask */
    bus_cut(&b, stranger, 0, true);
    uint64_t asked = bus_ask_set(&b, stranger, SESSION_CHANGE, &k, "late");
    struct msg *late = overheard(&b, MESSAGE_FORWARD, &from, &to);
    assert_int_equal(to, 0);
    assert_int_equal(bus_wait(&b, asked)->status, STEAD_E_UNKNOWN);
    bus_cut(&b, stranger, 0, false);
    bus_run(&b, 2000);
    bus_hand(&b, from, to, late);
    bus_run(&b, 500);
    assert_string_equal(bus_read(&b, 0, &k)->value, "one");
    assert_string_equal(bus_change(&b, stranger, &k, "two")->value, "two");
    msg_free(late);
    bus_deinit(&b);
}

/* This node has not run since its asker counted it out, and cannot know that yet. */
static void an_operation_is_not_done_after_a_pause(void **state)
{
    (void)state;
    struct bus b;
    int from, to;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int stranger = bus_find(&b, &k, false);
    bus_read(&b, stranger, &k);
    bus_pause(&b, 0);
    uint64_t asked = bus_ask_set(&b, stranger, SESSION_CHANGE, &k, "late");
    struct msg *late = overheard(&b, MESSAGE_FORWARD, &from, &to);
    assert_int_equal(bus_wait(&b, asked)->status, STEAD_E_UNKNOWN);
    bus_change(&b, stranger, &k, "two");
    b.nodes[0].paused = false;
    bus_hand(&b, from, to, late);
    bus_resume(&b, 0);
    bus_run(&b, 6000);
    for (int i = 0; i < 3; i++)
        assert_string_equal(bus_read(&b, i, &k)->value, "two");
    msg_free(late);
    bus_deinit(&b);
}

/* Its owner stands still until the record has gone on elsewhere and ended; the word of a use waited
 * in its socket meanwhile. */
static void a_use_that_waited_brings_nothing_back(void **state)
{
    (void)state;
    struct bus b;
    int from, to;
    bool owned;
    bus_init(&b);
    bus_kind(&b, "auth")->ttl_ms = 4000;
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    bus_run(&b, 1000);
    bus_pause(&b, 0);
    assert_int_equal(bus_read(&b, holder, &k)->status, STEAD_OK);
    struct msg *late = overheard(&b, MESSAGE_TOUCH, &from, &to);
    bus_run(&b, 2000);
    assert_string_equal(bus_change(&b, holder, &k, "two")->value, "two");
    bus_run(&b, 6000);
    b.nodes[0].paused = false;
    bus_view(&b, 0);
    bus_hand(&b, from, 0, late);
    bus_resume(&b, 0);
    bus_run(&b, 3000);
    assert_null(bus_peek(&b, 0, &k, &owned));
    assert_int_equal(bus_copies(&b, &k), 0);
    msg_free(late);
    bus_deinit(&b);
}

static struct msg *kept_back;
static int kept_from, kept_to;

static bool keeps_back_expired(struct bus *b, int from, int to, const struct msg *m)
{
    (void)b;
    if (m->bytes[0] != MESSAGE_EXPIRED || kept_back)
        return false;
    kept_back = msg_new(m->peer, m->len);
    assert_non_null(kept_back);
    memcpy(kept_back->bytes, m->bytes, m->len);
    kept_back->len = m->len;
    kept_from = from;
    kept_to = to;
    return true;
}

/* A key whose record is over is made anew by the same owner at once; its holder is told of the end
 * only after that. */
static void the_end_of_a_life_does_not_touch_the_next(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    bus_kind(&b, "app")->ttl_ms = 2000;
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "app", "limit");
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE_IF_ABSENT, &k, "old")->status, STEAD_OK);
    int owner = bus_owner(&b, &k), holder = 1 - owner;
    bus_field(&b, owner, SESSION_CHANGE, &k, FIELD_SET, "left", "over");
    for (int i = 0; i < 5; i++)
        assert_int_equal(bus_change(&b, owner, &k, "older")->status, STEAD_OK);
    kept_back = NULL;
    b.loses = keeps_back_expired;
    bus_run(&b, 2100);
    assert_non_null(kept_back);
    assert_int_equal(bus_set(&b, owner, SESSION_CREATE_IF_ABSENT, &k, "new")->status, STEAD_OK);
    assert_string_equal(bus_read(&b, holder, &k)->value, "new");
    bus_hand(&b, kept_from, kept_to, kept_back);
    msg_free(kept_back);
    bus_assert_settled(&b, &k, 2);
    assert_null(record_get(bus_peek(&b, holder, &k, &owned), "left", 4));
    bus_pause(&b, owner);
    assert_string_equal(bus_read(&b, holder, &k)->value, "new");
    bus_deinit(&b);
}

/* An owner stands still until its record is over elsewhere and the key was made anew, with a lesser
 * stamp: nothing of the old life comes into the new one. */
static void an_owner_that_was_away_does_not_touch_the_next_life(void **state)
{
    (void)state;
    struct bus b;
    bool owned;
    bus_init(&b);
    bus_kind(&b, "app")->ttl_ms = 3000;
    bus_kind(&b, "app")->sliding = false;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "limit");
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE_IF_ABSENT, &k, "old")->status, STEAD_OK);
    int owner = bus_owner(&b, &k), other = (owner + 1) % 3;
    bus_field(&b, owner, SESSION_CHANGE, &k, FIELD_SET, "left", "over");
    for (int i = 0; i < 5; i++)
        assert_int_equal(bus_change(&b, owner, &k, "older")->status, STEAD_OK);
    bus_pause(&b, owner);
    bus_run(&b, 7000);
    assert_int_equal(bus_set(&b, other, SESSION_CREATE_IF_ABSENT, &k, "new")->status, STEAD_OK);
    bus_resume(&b, owner);
    for (int i = 0; i < 10; i++) {
        bus_run(&b, 100);
        assert_string_equal(bus_read(&b, i % 3, &k)->value, "new");
    }
    bus_assert_settled(&b, &k, 2);
    assert_null(record_get(bus_peek(&b, bus_owner(&b, &k), &k, &owned), "left", 4));
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_that_waited_longer_than_it_lives_is_not_taken),
        cmocka_unit_test(a_copy_that_its_owner_has_forgotten_does_not_come_back),
        cmocka_unit_test(a_drop_of_an_owner_that_was_is_passed_over),
        cmocka_unit_test(word_of_an_owner_that_was_takes_no_last_copy),
        cmocka_unit_test(the_end_of_a_life_does_not_touch_the_next),
        cmocka_unit_test(an_owner_that_was_away_does_not_touch_the_next_life),
        cmocka_unit_test(a_use_that_is_told_after_a_pause_counts),
        cmocka_unit_test(a_use_that_waited_brings_nothing_back),
        cmocka_unit_test(an_operation_of_an_earlier_contact_is_not_done),
        cmocka_unit_test(an_operation_is_not_done_after_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
