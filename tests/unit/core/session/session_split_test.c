/* session_split_test.c - the farm falls apart and meets again: both sides go on, and afterwards
 * there is one owner, equal copies, and the later of two values. */
#include "session_bus.h"

/* Nodes 0 and 1 on one side, 2 and 3 on the other. */
static void split(struct bus *b, bool cut)
{
    for (int i = 0; i < 2; i++)
        for (int j = 2; j < 4; j++)
            bus_cut(b, i, j, cut);
}

static struct key made_on_both_sides(struct bus *b, const char *kind)
{
    struct key k;
    char name[16];
    /* One whose owner is on one side and whose holder is on the other. */
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        k = bus_key(b, kind, name);
        assert_int_equal(bus_create(b, 0, &k, "one")->status, STEAD_OK);
        if (bus_find(b, &k, true) >= 2)
            return k;
    }
    fail_msg("no key is held on both sides");
    return k;
}

static void assert_field(struct bus *b, int i, const struct key *k, const char *name,
                         const char *value)
{
    struct bus_result *r = bus_read(b, i, k);
    assert_int_equal(r->status, STEAD_OK);
    const struct field *f = record_get(r->record, name, strlen(name));
    assert_non_null(f);
    assert_int_equal(f->value_len, strlen(value));
    assert_memory_equal(field_value(f), value, f->value_len);
}

static void both_sides_go_on_and_meet(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct bus b;
        unsigned merged = 0;
        uint64_t lost = 0;
        bus_init(&b);
        bus_begin(&b, 4);
        struct key k = made_on_both_sides(&b, "auth");
        split(&b, true);
        bus_run(&b, 2500);
        b.shuffle = seed;
        rng_init(&b.rng, seed + 1);
        assert_int_equal(bus_field(&b, 1, SESSION_CHANGE, &k, FIELD_SET, "left", "L")->status,
                         STEAD_OK);
        assert_int_equal(bus_field(&b, 3, SESSION_CHANGE, &k, FIELD_SET, "right", "R")->status,
                         STEAD_OK);
        assert_int_equal(bus_field(&b, 1, SESSION_CHANGE, &k, FIELD_SET, "both", "L")->status,
                         STEAD_OK);
        assert_int_equal(bus_field(&b, 3, SESSION_CHANGE, &k, FIELD_SET, "both", "R")->status,
                         STEAD_OK);
        int owner;
        assert_int_equal(bus_owners(&b, &k, &owner), 2);
        split(&b, false);
        bus_run(&b, 3000);
        for (int i = 0; i < 4; i++) {
            assert_field(&b, i, &k, "left", "L");
            assert_field(&b, i, &k, "right", "R");
            merged += b.nodes[i].notices[NOTICE_SPLIT_MERGED];
            lost += bus_stats(&b, i).values_lost;
        }
        bus_assert_settled(&b, &k, 2);
        assert_true(merged > 0);
        assert_true(lost > 0); /* one of "both", and it is said */
        bus_deinit(&b);
    }
}

/* A copy that missed a write has nothing that its owner does not know. */
static void a_stale_copy_is_no_loss(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    bus_pause(&b, bus_find(&b, &k, true));
    bus_run(&b, 2500);
    assert_int_equal(bus_change(&b, 0, &k, "two")->status, STEAD_OK);
    for (int i = 1; i < 3; i++)
        if (b.nodes[i].paused)
            bus_resume(&b, i);
    bus_run(&b, 5000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bus_stats(&b, i).values_lost, 0);
        assert_string_equal(bus_read(&b, i, &k)->value, "two");
    }
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void writes_go_on_while_they_meet(void **state)
{
    (void)state;
    struct bus b;
    char text[16] = "";
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made_on_both_sides(&b, "auth");
    split(&b, true);
    bus_run(&b, 2500);
    assert_int_equal(bus_change(&b, 0, &k, "left")->status, STEAD_OK);
    assert_int_equal(bus_change(&b, 2, &k, "right")->status, STEAD_OK);
    split(&b, false);
    /* Never idle on either side. */
    for (int i = 0; i < 100; i++) {
        bus_results_free(&b);
        snprintf(text, sizeof(text), "%d", i);
        for (int at = 0; at < 4; at++)
            bus_ask_set(&b, at, SESSION_CHANGE, &k, text);
        bus_run(&b, 30);
    }
    bus_run(&b, 2000);
    bus_assert_settled(&b, &k, 2);
    assert_int_equal(bus_change(&b, 3, &k, "last")->status, STEAD_OK);
    for (int i = 0; i < 4; i++)
        assert_string_equal(bus_read(&b, i, &k)->value, "last");
    bus_deinit(&b);
}

static void an_end_on_one_side_is_the_end(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made_on_both_sides(&b, "auth");
    split(&b, true);
    bus_run(&b, 2500);
    assert_int_equal(bus_end(&b, 1, &k)->status, STEAD_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(bus_change(&b, 3, &k, "on")->status, STEAD_OK);
    split(&b, false);
    bus_run(&b, 3000);
    for (int i = 0; i < 4; i++)
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ENDED);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void a_short_cut_changes_no_owner(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made_on_both_sides(&b, "auth");
    split(&b, true);
    bus_run(&b, 800);
    split(&b, false);
    bus_run(&b, 1000);
    assert_int_equal(bus_owner(&b, &k), 0);
    assert_int_equal(bus_read(&b, 3, &k)->stamp.term, 1);
    bus_deinit(&b);
}

/* One node hears nobody, but is heard. */
static void a_node_that_is_deaf_serves_nothing_stale(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made_on_both_sides(&b, "auth");
    int deaf = bus_find(&b, &k, true);
    for (int i = 0; i < 4; i++)
        b.cut[i][deaf] = i != deaf;
    bus_run(&b, 2500);
    bus_results_free(&b);
    uint64_t write = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "two");
    bus_run(&b, 1000);
    struct bus_result *w = bus_result(&b, write);
    uint64_t read = bus_ask(&b, deaf, bus_op(SESSION_READ, &k));
    bus_run(&b, 1000);
    struct bus_result *r = bus_result(&b, read);
    if (w && w->status == STEAD_OK && r && r->status == STEAD_OK)
        assert_string_equal(r->value, "two");
    for (int i = 0; i < 4; i++)
        b.cut[i][deaf] = false;
    bus_run(&b, 3000);
    assert_int_equal(bus_change(&b, deaf, &k, "three")->status, STEAD_OK);
    for (int i = 0; i < 4; i++)
        assert_string_equal(bus_read(&b, i, &k)->value, "three");
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void who_was_away_longer_than_deletions_live_is_wiped(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    b.config.split_max_ms = 5000;
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "app", "k"), other = bus_key(&b, "app", "other");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(bus_create(&b, 1, &other, "kept")->status, STEAD_OK);
    for (int i = 1; i < 4; i++)
        bus_cut(&b, 0, i, true);
    bus_run(&b, 2500);
    assert_int_equal(bus_end(&b, 1, &k)->status, STEAD_OK);
    bus_run(&b, 6000); /* nobody remembers the deletion any more */
    bool owned;
    for (int i = 1; i < 4; i++)
        assert_null(bus_peek(&b, i, &k, &owned));
    assert_non_null(bus_peek(&b, 0, &k, &owned));
    for (int i = 1; i < 4; i++)
        bus_cut(&b, 0, i, false);
    bus_run(&b, 2000);
    assert_int_equal(b.nodes[0].notices[NOTICE_WIPED], 1);
    assert_int_equal(b.nodes[1].notices[NOTICE_WIPED], 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ABSENT);
        assert_string_equal(bus_read(&b, i, &other)->value, "kept");
    }
    bus_deinit(&b);
}

static void sides_too_large_together_keep_one(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = made_on_both_sides(&b, "app");
    char *large = malloc(700 * 1024 + 1);
    assert_non_null(large);
    memset(large, 'x', 700 * 1024);
    large[700 * 1024] = 0;
    split(&b, true);
    bus_run(&b, 2500);
    assert_int_equal(bus_field(&b, 1, SESSION_CHANGE, &k, FIELD_SET, "left", large)->status,
                     STEAD_OK);
    assert_int_equal(bus_field(&b, 3, SESSION_CHANGE, &k, FIELD_SET, "right", large)->status,
                     STEAD_OK);
    split(&b, false);
    bus_run(&b, 3000);
    bus_assert_settled(&b, &k, 2);
    struct bus_result *r = bus_read(&b, 2, &k);
    assert_int_equal(r->status, STEAD_OK);
    assert_true(!record_get(r->record, "left", 4) != !record_get(r->record, "right", 5));
    free(large);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_go_on_and_meet),
        cmocka_unit_test(a_stale_copy_is_no_loss),
        cmocka_unit_test(writes_go_on_while_they_meet),
        cmocka_unit_test(an_end_on_one_side_is_the_end),
        cmocka_unit_test(a_short_cut_changes_no_owner),
        cmocka_unit_test(a_node_that_is_deaf_serves_nothing_stale),
        cmocka_unit_test(who_was_away_longer_than_deletions_live_is_wiped),
        cmocka_unit_test(sides_too_large_together_keep_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
