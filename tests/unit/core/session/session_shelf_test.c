/* session_shelf_test.c - what a repository had kept when it started: brought back when nobody else
 * has it, and never beside a copy that is one. */
#include "session_bus.h"

#include "core/session/ranges.h"
#include "core/session/shelf.h"

static struct record *kept(struct bus *b, const struct key *k, const char *value,
                           struct stamp stamp, uint32_t ttl_ms)
{
    struct record *r = record_new(k);
    struct field_op set = {
        .type = FIELD_SET, .value = (const uint8_t *)value, .value_len = strlen(value)};
    assert_non_null(r);
    assert_int_equal(record_apply(r, &set, 1, &stamp, 1), STEAD_OK);
    r->ttl_ms = ttl_ms;
    r->holder_count = 1;
    r->holders[0] = 4711;
    (void)b;
    return r;
}

/* Node i starts with that on its shelf. */
static void start_with(struct bus *b, int i, uint64_t inc, const struct key *k, const char *value,
                       struct stamp stamp, uint32_t left_ms)
{
    bool repository = b->config.repository;
    b->config.repository = true;
    bus_start(b, i, inc, 1, PEER_JOINING);
    b->config.repository = repository;
    struct record *r = kept(b, k, value, stamp, left_ms ? 3600000 : 0);
    assert_int_equal(session_shelve(b->nodes[i].shards[0], r, left_ms), STEAD_OK);
}

static void up(struct bus *b, int i)
{
    b->nodes[i].state = PEER_UP;
    bus_run(b, 3000);
}

static struct session_stats stats_of(struct bus *b, int i)
{
    struct session_stats st;
    session_stats(b->nodes[i].shards[0], &st);
    return st;
}

static void what_nobody_has_comes_back(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 4712}, 600000);
    bus_run(&b, 500);
    assert_null(session_peek(b.nodes[2].shards[0], &k, NULL)); /* it is nobody's copy yet */
    up(&b, 2);
    struct bus_result *r = bus_read(&b, 0, &k);
    assert_int_equal(r->status, STEAD_OK);
    assert_string_equal(r->value, "kept");
    assert_true(r->stamp.term > 5);
    assert_int_equal(stats_of(&b, 2).shelf_claimed, 1);
    assert_int_equal(stats_of(&b, 2).shelved, 0);
    bus_deinit(&b);
}

/* It is nobody's copy: no sum of copies has it. */
static void what_is_shelved_is_in_no_sum(void **state)
{
    (void)state;
    struct bus b;
    unsigned filled = 0;
    bus_init(&b);
    b.ranges = true;
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 4712}, 600000);
    bus_run(&b, 500);
    for (unsigned r = 0; r < RANGES; r++)
        filled += ranges_sum(b.nodes[2].ranges, 4712, r) != 0;
    assert_int_equal(filled, 0);
    bus_deinit(&b);
}

/* The clock by which it was kept was a day ahead, or this one is a day behind. */
static void no_life_is_longer_than_its_ttl(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 4712}, 600000 + 86400000);
    up(&b, 2);
    const struct record *r;
    uint32_t left_ms = 0;
    assert_int_equal(session_fetch(b.nodes[2].shards[0], &k, &r, &left_ms), STEAD_OK);
    assert_in_range(left_ms, 3000000, 3600000);
    bus_deinit(&b);
}

static void nothing_is_served_before_it_is_up(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 4712}, 600000);
    bus_run(&b, 500);
    assert_int_not_equal(bus_read(&b, 0, &k)->status, STEAD_OK);
    assert_int_equal(stats_of(&b, 2).shelf_claimed, 0);
    bus_deinit(&b);
}

/* However great its stamp is. */
static void a_copy_in_memory_is_right(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE, &k, "newer")->status, STEAD_OK);
    start_with(&b, 2, 30, &k, "kept", (struct stamp){9, 90, 4712}, 600000);
    up(&b, 2);
    for (int i = 0; i < 3; i++) {
        struct bus_result *r = bus_read(&b, i, &k);
        assert_int_equal(r->status, STEAD_OK);
        assert_string_equal(r->value, "newer");
    }
    assert_int_equal(stats_of(&b, 2).shelf_overruled, 1);
    assert_int_equal(stats_of(&b, 2).shelf_claimed, 0);
    bus_deinit(&b);
}

static void what_was_ended_stays_ended(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "auth", "login");
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE, &k, "one")->status, STEAD_OK);
    assert_int_equal(bus_end(&b, 1, &k)->status, STEAD_OK);
    start_with(&b, 2, 30, &k, "one", (struct stamp){1, 1, 1}, 600000);
    up(&b, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ENDED);
    bus_deinit(&b);
}

/* Its owner lives and knows nothing of it: it is over. */
static void what_its_owner_has_forgotten_is_over(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 1}, 600000);
    up(&b, 2);
    assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_ABSENT);
    assert_int_equal(bus_read(&b, 2, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* As long as so many are away that all copies of a later state may be with them. */
static void it_waits_for_those_that_may_come_back(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    bus_run(&b, 40000);
    struct key k = bus_key(&b, "purchase", "cart");
    bus_kill(&b, 1);
    bus_kill(&b, 2);
    bus_run(&b, 3000);
    start_with(&b, 4, 30, &k, "kept", (struct stamp){5, 7, 4712}, 600000);
    up(&b, 4);
    assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_UNREACHABLE);
    assert_int_equal(bus_read(&b, 4, &k)->status, STEAD_E_UNREACHABLE);
    assert_int_equal(stats_of(&b, 4).shelved, 1);
    /* Their successors have nothing. */
    bus_start(&b, 1, 51, 1, PEER_UP);
    b.nodes[1].id = 1002;
    bus_start(&b, 2, 52, 1, PEER_UP);
    b.nodes[2].id = 1003;
    bus_run(&b, 40000);
    assert_string_equal(bus_read(&b, 0, &k)->value, "kept");
    bus_deinit(&b);
}

static void two_shelves_are_merged(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 1);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 1, 30, &k, "older", (struct stamp){5, 7, 4712}, 600000);
    start_with(&b, 2, 40, &k, "newer", (struct stamp){5, 8, 4712}, 600000);
    bus_run(&b, 500);
    up(&b, 1);
    assert_string_equal(bus_read(&b, 0, &k)->value, "newer");
    up(&b, 2);
    assert_string_equal(bus_read(&b, 2, &k)->value, "newer");
    bus_deinit(&b);
}

static void what_is_nearly_over_is_not_brought_back(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    start_with(&b, 2, 30, &k, "kept", (struct stamp){5, 7, 4712}, 2000);
    up(&b, 2);
    assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* -- what changes -- */

static size_t noted(struct bus *b, int i, struct key *out, size_t max)
{
    bool lost;
    size_t n = session_noted(b->nodes[i].shards[0], out, max, &lost);
    assert_false(lost);
    return n;
}

static void changes_are_noted(void **state)
{
    (void)state;
    struct bus b;
    struct key keys[8];
    const struct record *r;
    uint32_t left;
    bus_init(&b);
    b.config.repository = true;
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "purchase", "cart");
    struct session *holder = b.nodes[1].shards[0];
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE, &k, "one")->status, STEAD_OK);
    assert_true(noted(&b, 1, keys, 8) > 0);
    assert_true(key_equal(&keys[0], &k));
    assert_int_equal(session_fetch(holder, &k, &r, &left), STEAD_OK);
    assert_memory_equal(field_value(record_get(r, "", 0)), "one", 3);
    bus_run(&b, 1000);
    assert_int_equal(noted(&b, 1, keys, 8), 0); /* and looking at it is no change */
    assert_int_equal(bus_set(&b, 0, SESSION_CHANGE, &k, "two")->status, STEAD_OK);
    assert_true(noted(&b, 1, keys, 8) > 0);
    struct key never = bus_key(&b, "purchase", "never");
    assert_int_equal(session_fetch(holder, &never, &r, &left), STEAD_E_ABSENT);
    bus_deinit(&b);
}

static void more_than_can_be_noted_is_said(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    b.config.repository = true;
    bus_kind(&b, "purchase")->when_alone = ALONE_ACCEPT;
    bus_begin(&b, 1);
    struct session *s = b.nodes[0].shards[0];
    for (unsigned i = 0; i < SHELF_NOTED_MAX + 1; i++) {
        char name[32];
        snprintf(name, sizeof(name), "cart %u", i);
        struct key k = bus_key(&b, "purchase", name);
        assert_int_equal(bus_set(&b, 0, SESSION_CREATE, &k, "x")->status, STEAD_OK);
        bus_results_free(&b);
    }
    struct key keys[64];
    bool lost = false;
    size_t count = 0, n;
    assert_true((count = session_noted(s, keys, 64, &lost)) > 0);
    assert_true(lost);
    while ((n = session_noted(s, keys, 64, &lost)) > 0)
        count += n;
    assert_int_equal(count, SHELF_NOTED_MAX);
    uint64_t cursor = 0;
    count = 0;
    do
        count += session_keys(s, &cursor, keys, 64);
    while (cursor != 0);
    assert_int_equal(count, SHELF_NOTED_MAX + 1);
    bus_deinit(&b);
}

/* What a leaving node drops others have; what it had kept stays kept. */
static void who_leaves_takes_nothing_out(void **state)
{
    (void)state;
    struct bus b;
    struct key keys[8];
    const struct record *r;
    uint32_t left;
    bus_init(&b);
    b.config.repository = true;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_set(&b, 0, SESSION_CREATE, &k, "one")->status, STEAD_OK);
    b.nodes[0].state = PEER_LEAVING;
    bus_run(&b, 3000);
    assert_true(session_drained(b.nodes[0].shards[0]));
    (void)noted(&b, 0, keys, 8);
    assert_int_equal(session_fetch(b.nodes[0].shards[0], &k, &r, &left), STEAD_E_CLOSED);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_has_comes_back),
        cmocka_unit_test(what_is_shelved_is_in_no_sum),
        cmocka_unit_test(no_life_is_longer_than_its_ttl),
        cmocka_unit_test(nothing_is_served_before_it_is_up),
        cmocka_unit_test(a_copy_in_memory_is_right),
        cmocka_unit_test(what_was_ended_stays_ended),
        cmocka_unit_test(what_its_owner_has_forgotten_is_over),
        cmocka_unit_test(it_waits_for_those_that_may_come_back),
        cmocka_unit_test(two_shelves_are_merged),
        cmocka_unit_test(what_is_nearly_over_is_not_brought_back),
        cmocka_unit_test(changes_are_noted),
        cmocka_unit_test(more_than_can_be_noted_is_said),
        cmocka_unit_test(who_leaves_takes_nothing_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
