/* session_rules_test.c - who keeps copies by a kind's rules, and what a write waits for. */
#include "session_bus.h"

static bool has(struct bus *b, int i, const struct key *k)
{
    bool owned;
    return bus_peek(b, i, k, &owned) != NULL;
}

static struct key numbered(struct bus *b, const char *kind, int n)
{
    char name[16];
    snprintf(name, sizeof(name), "k%d", n);
    return bus_key(b, kind, name);
}

/* Two racks of two and three: no record has both of its copies in one. */
static void copies_go_to_another_zone(void **state)
{
    (void)state;
    struct bus b;
    unsigned used[5] = {0};
    bus_init(&b);
    bus_begin(&b, 5);
    for (int i = 0; i < 5; i++)
        b.nodes[i].zone = i < 2 ? 1 : 2;
    bus_run(&b, 200);
    for (int n = 0; n < 40; n++) {
        struct key k = numbered(&b, "purchase", n);
        int owner = n % 5;
        assert_int_equal(bus_create(&b, owner, &k, "one")->status, STEAD_OK);
        bus_assert_settled(&b, &k, 2);
        int holder = bus_find(&b, &k, true);
        assert_int_not_equal(b.nodes[holder].zone, b.nodes[owner].zone);
        used[holder]++;
    }
    for (int i = 0; i < 5; i++)
        assert_true(used[i] > 0);
    bus_deinit(&b);
}

static void three_copies_in_three_zones(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "purchase")->copies = 3;
    bus_begin(&b, 5);
    static const unsigned zones[] = {1, 1, 2, 2, 3};
    for (int i = 0; i < 5; i++)
        b.nodes[i].zone = zones[i];
    bus_run(&b, 200);
    for (int n = 0; n < 20; n++) {
        struct key k = numbered(&b, "purchase", n);
        assert_int_equal(bus_create(&b, 0, &k, "one")->copies, 3);
        assert_true(has(&b, 4, &k));
        assert_int_equal(has(&b, 2, &k) + has(&b, 3, &k), 1);
    }
    bus_deinit(&b);
}

static void a_group_keeps_its_own(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "purchase")->group = true;
    bus_kind(&b, "purchase")->copies = COPIES_ALL;
    bus_begin(&b, 5);
    for (int i = 0; i < 5; i++)
        b.nodes[i].group = i < 3;
    bus_run(&b, 200);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_create(&b, 1, &k, "one")->copies, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(has(&b, i, &k), i < 3);
    bus_assert_settled(&b, &k, 3);
    /* It is served elsewhere all the same, and lives on in its group. */
    assert_string_equal(bus_read(&b, 4, &k)->value, "one");
    bus_kill(&b, 1);
    bus_run(&b, 4000);
    assert_string_equal(bus_read(&b, 4, &k)->value, "one");
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void all_keep_what_is_for_all(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "purchase")->copies = COPIES_ALL;
    bus_begin(&b, 5);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_int_equal(bus_create(&b, 1, &k, "one")->copies, 5);
    bus_kill(&b, 3);
    bus_run(&b, 3000);
    assert_int_equal(bus_change(&b, 0, &k, "two")->copies, 4);
    bus_start(&b, 3, 60, 1, PEER_UP);
    bus_run(&b, 2000);
    bus_assert_settled(&b, &k, 5);
    /* With two of five away, absent is absent: the others have all that there is. */
    bus_kill(&b, 3);
    bus_kill(&b, 4);
    bus_run(&b, 3000);
    struct key none = bus_key(&b, "purchase", "none");
    assert_int_equal(bus_read(&b, 0, &none)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* The named backup holds all that is owned beside it, also what was there before it came or was
 * named, and it does not come on top. */
static void the_named_backup_always_holds(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    for (int n = 0; n < 10; n++) {
        struct key k = numbered(&b, "purchase", n);
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    }
    b.nodes[0].backup = b.nodes[2].inc;
    bus_run(&b, 1000);
    for (int n = 0; n < 20; n++) {
        struct key k = numbered(&b, "purchase", n);
        if (n >= 10)
            assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        assert_true(has(&b, 2, &k));
        bus_assert_settled(&b, &k, 2);
    }
    bus_kill(&b, 2);
    bus_run(&b, 4000);
    struct key first = numbered(&b, "purchase", 0);
    bus_assert_settled(&b, &first, 2);
    bus_start(&b, 2, 70, 1, PEER_UP);
    b.nodes[0].backup = 70;
    bus_run(&b, 2000);
    assert_true(has(&b, 2, &first));
    bus_assert_settled(&b, &first, 2);
    bus_deinit(&b);
}

/* A node with two servers may have two of them, and a kind room for one: they do not take turns. */
static void two_named_backups_come_to_rest(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    b.nodes[0].backup = b.nodes[2].inc;
    b.nodes[0].backup2 = b.nodes[3].inc;
    bus_run(&b, 1000);
    for (int n = 0; n < 20; n++) {
        struct key k = numbered(&b, "purchase", n);
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        assert_true(has(&b, 2, &k) || has(&b, 3, &k));
    }
    bus_deinit(&b);
}

/* One of two holders stands still. */
static void a_write_waits_for_as_many_as_its_kind_says(void **state)
{
    (void)state;
    for (int ack = 0; ack < 3; ack++) {
        struct bus b;
        bool owned;
        bus_init(&b);
        bus_kind(&b, "purchase")->copies = 3;
        bus_kind(&b, "purchase")->ack = (uint8_t)(ack == 2 ? ACK_ALL : ack);
        bus_begin(&b, 3);
        struct key k = bus_key(&b, "purchase", "cart");
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        bus_run(&b, 100);
        bus_pause(&b, 2);
        uint64_t asked = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "two");
        bus_run(&b, 300);
        struct bus_result *r = bus_result(&b, asked);
        if (ack == 2) {
            assert_null(r);
        } else {
            assert_non_null(r);
            assert_int_equal(r->status, STEAD_OK);
            assert_int_equal(r->copies, 1 + ack);
        }
        bus_resume(&b, 2);
        bus_run(&b, 2500);
        assert_int_equal(record_get(bus_peek(&b, 2, &k, &owned), "", 0)->value_len, 3);
        assert_string_equal(bus_read(&b, 2, &k)->value, "two");
        bus_assert_settled(&b, &k, 3);
        bus_deinit(&b);
    }
}

static void what_would_be_short_is_refused(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "purchase")->copies = 3;
    bus_kind(&b, "purchase")->short_refuse = true;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart"), other = bus_key(&b, "purchase", "other");
    assert_int_equal(bus_create(&b, 0, &k, "one")->copies, 3);
    bus_kill(&b, 2);
    bus_run(&b, 4000);
    assert_int_equal(bus_change(&b, 0, &k, "two")->status, STEAD_E_ALONE);
    assert_int_equal(bus_create(&b, 1, &other, "one")->status, STEAD_E_ALONE);
    assert_string_equal(bus_read(&b, 1, &k)->value, "one");
    bus_kind(&b, "auth")->copies = 3;
    bus_start(&b, 2, 60, 1, PEER_UP);
    bus_run(&b, 2000);
    assert_int_equal(bus_change(&b, 0, &k, "two")->copies, 3);
    bus_deinit(&b);
}

/* Whoever is asked, the owner decides: at a node alone, where values are replaced in their cells,
 * as in company. */
static void a_kind_has_its_size(void **state)
{
    (void)state;
    char text[202];
    memset(text, 'v', sizeof(text));
    for (int nodes = 1; nodes <= 3; nodes += 2) {
        struct bus b;
        bus_init(&b);
        bus_kind(&b, "app")->size_bytes = 200;
        bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
        bus_begin(&b, nodes);
        bus_run(&b, 200);
        struct key k = bus_key(&b, "app", "k"), other = bus_key(&b, "app", "other");
        int last = nodes - 1;
        text[200] = 'v';
        text[201] = '\0';
        assert_int_equal(bus_create(&b, 0, &k, text)->status, STEAD_E_TOO_LARGE);
        assert_int_equal(bus_set(&b, 0, SESSION_CREATE_IF_ABSENT, &other, text)->status,
                         STEAD_E_TOO_LARGE);
        assert_int_equal(bus_read(&b, last, &other)->status, STEAD_E_ABSENT);
        text[200] = '\0';
        assert_int_equal(bus_create(&b, 0, &k, text)->status, STEAD_OK);
        for (int i = 0; i < nodes; i++) {
            text[200] = 'v';
            text[201] = '\0';
            assert_int_equal(bus_change(&b, i, &k, text)->status, STEAD_E_TOO_LARGE);
            text[200] = '\0';
            assert_int_equal(bus_change(&b, i, &k, text)->status, STEAD_OK);
            /* Another field's name and value count, too. */
            struct bus_result *r = bus_field(&b, i, SESSION_CHANGE, &k, FIELD_SET, "a", "");
            assert_int_equal(r->status, STEAD_E_TOO_LARGE);
            assert_int_equal(bus_read(&b, i, &k)->value_len, 200);
        }
        assert_int_equal(bus_stats(&b, 0).full, 0);
        bus_deinit(&b);
    }
}

/* A smaller limit takes nothing away; what is above it may shrink. */
static void a_size_changes_while_it_runs(void **state)
{
    (void)state;
    struct bus b;
    char text[302];
    memset(text, 'v', sizeof(text));
    text[300] = '\0';
    bus_init(&b);
    bus_begin(&b, 2);
    bus_run(&b, 200);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, text)->status, STEAD_OK);
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_SET, "b", "beside")->status,
                     STEAD_OK);
    bus_kind(&b, "app")->size_bytes = 200;
    bus_kind(&b, "app")->ttl_ms = 1000;
    bus_kind(&b, "app")->copies = 1;
    for (int i = 0; i < 2; i++)
        for (unsigned shard = 0; shard < b.nodes[i].shard_count; shard++)
            session_renew_kinds(b.nodes[i].shards[shard], &b.kinds);
    assert_int_equal(bus_read(&b, 1, &k)->status, STEAD_OK);
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_SET, "b", "besides")->status,
                     STEAD_E_TOO_LARGE);
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_SET, "b", "b")->status, STEAD_OK);
    text[200] = '\0';
    assert_int_equal(bus_change(&b, 0, &k, text)->status, STEAD_OK); /* smaller than before */
    assert_int_equal(bus_field(&b, 0, SESSION_CHANGE, &k, FIELD_SET, "c", "")->status,
                     STEAD_E_TOO_LARGE);
    struct key late = bus_key(&b, "app", "late");
    struct bus_result *r = bus_create(&b, 0, &late, "x");
    assert_true(r->left_ms > 0 && r->left_ms <= 1000);
    assert_int_equal(r->copies, 2); /* that is no such rule */
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_go_to_another_zone),
        cmocka_unit_test(three_copies_in_three_zones),
        cmocka_unit_test(a_group_keeps_its_own),
        cmocka_unit_test(all_keep_what_is_for_all),
        cmocka_unit_test(the_named_backup_always_holds),
        cmocka_unit_test(two_named_backups_come_to_rest),
        cmocka_unit_test(a_write_waits_for_as_many_as_its_kind_says),
        cmocka_unit_test(what_would_be_short_is_refused),
        cmocka_unit_test(a_kind_has_its_size),
        cmocka_unit_test(a_size_changes_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
