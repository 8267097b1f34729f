/* session_serve_test.c - what a client sees while nothing breaks: reads and writes at every node,
 * versions, deletion, limits and deadlines. */
#include "session_bus.h"

static void assert_answer(const struct bus_result *r, int status, const char *value)
{
    assert_int_equal(r->status, status);
    assert_string_equal(r->value, value);
}

/* A record made at node 0: its owner, its holder, and a node that has nothing. */
struct places {
    int owner, holder, stranger;
};

static struct places made(struct bus *b, const struct key *k)
{
    assert_answer(bus_create(b, 0, k, "one"), STEAD_OK, "one");
    struct places p = {bus_owner(b, k), bus_find(b, k, true), bus_find(b, k, false)};
    assert_int_equal(p.owner, 0);
    assert_int_not_equal(p.holder, NOBODY);
    assert_int_not_equal(p.stranger, NOBODY);
    return p;
}

static void made_once_read_everywhere(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 5);
    struct key k = bus_key(&b, "auth", "alice");
    struct bus_result *r = bus_create(&b, 2, &k, "one");
    assert_answer(r, STEAD_OK, "one");
    assert_int_equal(r->copies, 2);
    for (int i = 0; i < 5; i++)
        assert_answer(bus_read(&b, i, &k), STEAD_OK, "one");
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void a_write_at_any_node_is_read_at_any_other(void **state)
{
    (void)state;
    struct bus b;
    char text[32];
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_answer(bus_create(&b, 0, &k, "one"), STEAD_OK, "one");
    for (int at = 0; at < 4; at++) {
        snprintf(text, sizeof(text), "from %d", at);
        struct bus_result *w = bus_change(&b, at, &k, text);
        assert_answer(w, STEAD_OK, text);
        assert_int_equal(w->copies, 2);
        assert_int_equal(w->stamp.version, 2 + at);
        for (int i = 0; i < 4; i++)
            assert_answer(bus_read(&b, i, &k), STEAD_OK, text);
    }
    assert_int_equal(bus_owner(&b, &k), 0); /* a client that bounces moves nothing */
    bus_deinit(&b);
}

static void a_holder_serves_its_copy_unasked(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    struct places p = made(&b, &k);
    uint64_t before = b.delivered;
    struct bus_result *r = bus_read(&b, p.holder, &k);
    assert_answer(r, STEAD_OK, "one");
    assert_int_equal(r->origin, ORIGIN_LOCAL);
    assert_int_equal(b.delivered, before);
    r = bus_read(&b, p.stranger, &k);
    assert_int_equal(r->origin, ORIGIN_OWNER);
    bus_deinit(&b);
}

static void a_holder_asks_when_a_later_version_is_named(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "tls", "session"); /* answered before the copies are there */
    assert_answer(bus_create(&b, 0, &k, "one"), STEAD_OK, "one");
    bus_deliver(&b);
    int holder = bus_find(&b, &k, true);
    bus_cut(&b, 0, holder, true);
    struct bus_result *r = bus_change(&b, 0, &k, "two");
    assert_answer(r, STEAD_OK, "two");
    struct session_op op = bus_op(SESSION_READ, &k);
    op.min_term = r->stamp.term;
    op.min_version = r->stamp.version;
    assert_answer(bus_read(&b, holder, &k), STEAD_OK, "one");
    bus_results_free(&b);
    uint64_t asked = bus_ask(&b, holder, op);
    assert_null(bus_result(&b, asked));
    bus_cut(&b, 0, holder, false);
    assert_answer(bus_wait(&b, asked), STEAD_OK, "two");
    bus_deinit(&b);
}

static void a_version_that_nobody_has_is_a_conflict(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "purchase", "cart");
    assert_answer(bus_create(&b, 0, &k, "one"), STEAD_OK, "one");
    for (int at = 0; at < 3; at++) {
        struct session_op op = bus_op(SESSION_READ, &k);
        op.min_term = 1;
        op.min_version = 9;
        assert_int_equal(bus_do(&b, at, op)->status, STEAD_E_CONFLICT);
    }
    bus_deinit(&b);
}

static void a_version_that_is_not_there_any_more_is_a_conflict(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "k");
    struct places p = made(&b, &k);
    struct stamp first = bus_read(&b, p.owner, &k)->stamp;
    assert_int_equal(bus_change(&b, p.stranger, &k, "two")->status, STEAD_OK);
    for (int at = 0; at < 3; at++) {
        struct field_op set = {.type = FIELD_SET,
                               .name = (const uint8_t *)"",
                               .value = (const uint8_t *)"x",
                               .value_len = 1};
        struct session_op op = bus_op(SESSION_CHANGE, &k);
        op.has_match = true;
        op.match = first;
        op.ops = &set;
        op.op_count = 1;
        assert_int_equal(bus_do(&b, at, op)->status, STEAD_E_CONFLICT);
        op.type = SESSION_END;
        op.op_count = 0;
        assert_int_equal(bus_do(&b, at, op)->status, STEAD_E_CONFLICT);
    }
    assert_answer(bus_read(&b, p.stranger, &k), STEAD_OK, "two");
    struct session_op op = bus_op(SESSION_END, &k);
    op.has_match = true;
    op.match = bus_read(&b, p.holder, &k)->stamp;
    assert_int_equal(bus_do(&b, p.stranger, op)->status, STEAD_OK);
    bus_deinit(&b);
}

static void what_is_ended_for_good_is_never_made_again(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "alice");
    struct places p = made(&b, &k);
    assert_int_equal(bus_end(&b, p.stranger, &k)->status, STEAD_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ENDED);
        assert_int_equal(bus_change(&b, i, &k, "x")->status, STEAD_E_ENDED);
        assert_int_equal(bus_set(&b, i, SESSION_CREATE_IF_ABSENT, &k, "x")->status, STEAD_E_ENDED);
        assert_int_equal(bus_end(&b, i, &k)->status, STEAD_E_ENDED);
    }
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void deleted_by_version_and_made_anew(int maker)
{
    struct bus b;
    char text[32];
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, maker, &k, "zero")->status, STEAD_OK);
    for (int at = 0; at < 4; at++) {
        assert_int_equal(bus_end(&b, (at + 1) % 4, &k)->status, STEAD_OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(bus_read(&b, i, &k)->status, STEAD_E_ABSENT);
        assert_int_equal(bus_change(&b, at, &k, "x")->status, STEAD_E_ABSENT);
        snprintf(text, sizeof(text), "anew %d", at);
        assert_answer(bus_set(&b, at, SESSION_CREATE_IF_ABSENT, &k, text), STEAD_OK, text);
        for (int i = 0; i < 4; i++)
            assert_answer(bus_read(&b, i, &k), STEAD_OK, text);
    }
    bus_deinit(&b);
}

static void what_is_deleted_by_version_is_made_anew_from_any_node(void **state)
{
    (void)state;
    for (int maker = 0; maker < 4; maker++)
        deleted_by_version_and_made_anew(maker);
}

static void made_anew_though_the_home_is_a_newcomer(void **state)
{
    (void)state;
    struct bus b;
    char name[16];
    bus_init(&b);
    bus_begin(&b, 3);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "app", name);
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        assert_int_equal(bus_end(&b, 0, &k)->status, STEAD_OK);
    }
    bus_start(&b, 3, 4, 1, PEER_UP);
    bus_run(&b, 300);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "app", name);
        assert_int_equal(bus_set(&b, i % 4, SESSION_CREATE_IF_ABSENT, &k, "two")->status, STEAD_OK);
        assert_int_equal(bus_set(&b, i % 4, SESSION_CREATE_IF_ABSENT, &k, "x")->status,
                         STEAD_E_EXISTS);
        assert_answer(bus_read(&b, 3, &k), STEAD_OK, "two");
    }
    bus_deinit(&b);
}

static void of_many_that_create_if_absent_one_wins(void **state)
{
    (void)state;
    for (uint64_t shuffle = 1; shuffle <= 10; shuffle++) {
        struct bus b;
        uint64_t asked[4];
        int won = 0, winner = 0;
        char text[16];
        bus_init(&b);
        bus_begin(&b, 4);
        b.shuffle = shuffle;
        rng_init(&b.rng, shuffle);
        struct key k = bus_key(&b, "app", "lock");
        for (int i = 0; i < 4; i++) {
            snprintf(text, sizeof(text), "%d", i);
            asked[i] = bus_ask_set(&b, i, SESSION_CREATE_IF_ABSENT, &k, text);
        }
        for (int i = 0; i < 4; i++) {
            int status = bus_wait(&b, asked[i])->status;
            assert_true(status == STEAD_OK || status == STEAD_E_EXISTS);
            if (status == STEAD_OK) {
                won++;
                winner = i;
            }
        }
        assert_int_equal(won, 1);
        snprintf(text, sizeof(text), "%d", winner);
        for (int i = 0; i < 4; i++)
            assert_answer(bus_read(&b, i, &k), STEAD_OK, text);
        bus_deinit(&b);
    }
}

static void alone_it_refuses_or_accepts_and_says_so(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    struct key strict = bus_key(&b, "auth", "s"), easy = bus_key(&b, "app", "e");
    bus_deinit(&b);
    bus_init(&b);
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_begin(&b, 2);
    assert_int_equal(bus_create(&b, 0, &strict, "one")->status, STEAD_OK);
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    struct key fresh = bus_key(&b, "auth", "fresh");
    assert_int_equal(bus_create(&b, 0, &fresh, "x")->status, STEAD_E_ALONE);
    assert_int_equal(bus_copies(&b, &fresh), 0);
    assert_int_equal(bus_change(&b, 0, &strict, "two")->status, STEAD_E_ALONE);
    assert_int_equal(bus_end(&b, 0, &strict)->status, STEAD_E_ALONE);
    assert_answer(bus_read(&b, 0, &strict), STEAD_OK,
                  "one"); /* refused before anything was changed */
    struct bus_result *r = bus_create(&b, 0, &easy, "x");
    assert_answer(r, STEAD_OK, "x");
    assert_int_equal(r->copies, 1);
    /* Company: copies are made, and writes are taken again. */
    bus_start(&b, 1, 77, 1, PEER_UP);
    bus_run(&b, 500);
    bus_assert_settled(&b, &strict, 2);
    bus_assert_settled(&b, &easy, 2);
    assert_answer(bus_change(&b, 1, &strict, "two"), STEAD_OK, "two");
    bus_deinit(&b);
}

static void what_is_too_large_leaves_the_old(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "big");
    struct places p = made(&b, &k);
    char *huge = malloc(RECORD_BYTES_MAX + 2);
    assert_non_null(huge);
    memset(huge, 'h', RECORD_BYTES_MAX + 1);
    huge[RECORD_BYTES_MAX + 1] = 0;
    assert_int_equal(bus_change(&b, p.owner, &k, huge)->status, STEAD_E_TOO_LARGE);
    assert_answer(bus_read(&b, p.stranger, &k), STEAD_OK, "one");
    bus_assert_settled(&b, &k, 2);
    huge[200 * 1024] = 0;
    assert_int_equal(bus_change(&b, p.stranger, &k, huge)->status, STEAD_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bus_read(&b, i, &k)->value_len, 200 * 1024);
    bus_assert_settled(&b, &k, 2);
    free(huge);
    bus_deinit(&b);
}

static void a_kind_that_is_full_refuses(void **state)
{
    (void)state;
    struct bus b;
    char name[16], value[1001];
    int status = STEAD_OK, made_count = 0;
    memset(value, 'v', 1000);
    value[1000] = 0;
    bus_init(&b);
    bus_kind(&b, "auth")->memory_bytes = 20000;
    bus_begin(&b, 3);
    struct key tls = bus_key(&b, "tls", "beside");
    assert_int_equal(bus_create(&b, 0, &tls, "x")->status, STEAD_OK);
    while (status == STEAD_OK && made_count < 100) {
        snprintf(name, sizeof(name), "k%d", made_count);
        struct key k = bus_key(&b, "auth", name);
        status = bus_create(&b, 0, &k, value)->status;
        made_count += status == STEAD_OK;
    }
    assert_int_equal(status, STEAD_E_FULL);
    assert_in_range(made_count, 5, 20);
    assert_true(bus_stats(&b, 0).full > 0);
    assert_true(b.nodes[0].notices[NOTICE_FULL] > 0);
    for (int i = 0; i < made_count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "auth", name);
        assert_int_equal(bus_read(&b, i % 3, &k)->value_len, 1000);
    }
    /* Another kind's records were not thrown out in vain; and deleting makes room. */
    assert_int_equal(bus_read(&b, 0, &tls)->status, STEAD_OK);
    for (int i = 0; i < made_count; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "auth", name);
        assert_int_equal(bus_end(&b, 1, &k)->status, STEAD_OK);
    }
    struct key again = bus_key(&b, "auth", "again");
    assert_int_equal(bus_create(&b, 0, &again, value)->status, STEAD_OK);
    bus_deinit(&b);
}

/* Nobody knows the key of a record that its maker was refused: it must not take up room till its
 * life is over. */
static void what_a_full_holder_refuses_is_not_made(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 2);
    bus_kill(&b, 1);
    bus_kind(&b, "auth")->memory_bytes = 40; /* of the node that starts now */
    bus_start(&b, 1, 77, 1, PEER_UP);
    bus_run(&b, 3000);
    struct key k = bus_key(&b, "auth", "k");
    assert_int_equal(bus_create(&b, 0, &k, "value")->status, STEAD_E_FULL);
    bus_run(&b, 1000);
    for (int i = 0; i < 2; i++) {
        bool owned;
        assert_null(bus_peek(&b, i, &k, &owned));
    }
    assert_int_equal(bus_stats(&b, 0).below_copies, 0);
    bus_deinit(&b);
}

/* One node's memory is full: the others take its place, and nobody asks it over and over. */
static void a_full_holder_is_passed_over(void **state)
{
    (void)state;
    struct bus b;
    char name[16];
    bus_init(&b);
    bus_begin(&b, 3);
    bus_kill(&b, 1);
    bus_kind(&b, "auth")->memory_bytes = 40;
    bus_start(&b, 1, 77, 1, PEER_UP);
    bus_run(&b, 3000);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "auth", name);
        struct bus_result *r = bus_create(&b, 0, &k, "value");
        assert_int_equal(r->status, STEAD_OK);
        assert_int_equal(r->copies, 2);
        bus_assert_settled(&b, &k, 2);
    }
    bus_run(&b, 20000);
    assert_in_range(bus_stats(&b, 0).refused, 1, 10);
    assert_int_equal(bus_stats(&b, 0).below_copies, 0);
    bus_deinit(&b);
}

/* Whatever its rules say of a full memory: what may not be lost is not forgotten. */
static void what_is_not_losable_is_not_evicted(void **state)
{
    (void)state;
    struct bus b;
    char name[16], value[1001];
    int refused = 0;
    memset(value, 'v', 1000);
    value[1000] = 0;
    bus_init(&b);
    bus_kind(&b, "app")->memory_bytes = 20000;
    bus_kind(&b, "app")->when_full = FULL_EVICT;
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_begin(&b, 1);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "app", name);
        refused += bus_create(&b, 0, &k, value)->status == STEAD_E_FULL;
    }
    assert_true(refused > 10 && refused < 40);
    assert_int_equal(bus_stats(&b, 0).evicted, 0);
    struct key first = bus_key(&b, "app", "k0");
    assert_int_equal(bus_read(&b, 0, &first)->value_len, 1000);
    bus_deinit(&b);
}

static void a_kind_that_evicts_takes_the_new_and_keeps_tombstones(void **state)
{
    (void)state;
    struct bus b;
    char name[16], value[1001];
    memset(value, 'v', 1000);
    value[1000] = 0;
    bus_init(&b);
    bus_kind(&b, "tls")->memory_bytes = 20000;
    bus_begin(&b, 2);
    struct key ended = bus_key(&b, "tls", "ended");
    assert_int_equal(bus_create(&b, 0, &ended, "x")->status, STEAD_OK);
    assert_int_equal(bus_end(&b, 0, &ended)->status, STEAD_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        struct key k = bus_key(&b, "tls", name);
        assert_int_equal(bus_create(&b, 0, &k, value)->status, STEAD_OK);
        bus_deliver(&b);
    }
    assert_true(bus_stats(&b, 0).evicted > 50);
    assert_true(bus_stats(&b, 0).memory_of_kind[0] <= 20000);
    assert_true(bus_stats(&b, 1).memory_of_kind[0] <= 20000);
    assert_int_equal(bus_read(&b, 0, &ended)->status, STEAD_E_ENDED);
    struct key oldest = bus_key(&b, "tls", "k0"), newest = bus_key(&b, "tls", "k99");
    assert_int_equal(bus_read(&b, 0, &oldest)->status, STEAD_E_ABSENT);
    assert_int_equal(bus_read(&b, 0, &newest)->status, STEAD_OK);
    bus_deinit(&b);
}

static void a_deadline_is_kept_and_what_waits_is_bounded(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    b.config.waiting_max = 8;
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "auth", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    bus_pause(&b, 1);
    bus_results_free(&b);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)"x",
                           .value_len = 1};
    struct session_op op = bus_op(SESSION_CHANGE, &k);
    op.ops = &set;
    op.op_count = 1;
    op.deadline_ns = b.now_ns + 200 * NS_PER_MS;
    uint64_t asked[10];
    for (int i = 0; i < 10; i++)
        asked[i] = bus_ask(&b, 0, op);
    assert_int_equal(bus_result(&b, asked[8])->status, STEAD_E_BUSY);
    assert_int_equal(bus_result(&b, asked[9])->status, STEAD_E_BUSY);
    assert_null(bus_result(&b, asked[0]));
    bus_run(&b, 230);
    for (int i = 0; i < 8; i++)
        assert_int_equal(bus_result(&b, asked[i])->status, STEAD_E_DEADLINE);
    assert_int_equal(bus_stats(&b, 0).waiting, 0);
    assert_int_equal(bus_stats(&b, 0).busy, 2);
    bus_resume(&b, 1);
    bus_run(&b, 300);
    assert_int_equal(bus_change(&b, 1, &k, "two")->status, STEAD_OK);
    bus_assert_settled(&b, &k, 2);
    bus_deinit(&b);
}

static void absent_and_unreachable_are_two_answers(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key k = bus_key(&b, "auth", "k"), losable = bus_key(&b, "tls", "k"),
               never = bus_key(&b, "auth", "never");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(bus_create(&b, 0, &losable, "one")->status, STEAD_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(bus_read(&b, i, &never)->status, STEAD_E_ABSENT);
    bus_run(&b, 31000); /* long enough for a process to have nothing to do with an older one */
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    /* One is down, two copies were promised: none can be lost. */
    assert_int_equal(bus_read(&b, 2, &never)->status, STEAD_E_ABSENT);
    bus_kill(&b, 0);
    bus_run(&b, 2000);
    struct key other = bus_key(&b, "tls", "never");
    assert_int_equal(bus_read(&b, 2, &never)->status, STEAD_E_UNREACHABLE);
    assert_int_equal(bus_change(&b, 2, &never, "x")->status, STEAD_E_UNREACHABLE);
    assert_int_equal(bus_set(&b, 2, SESSION_CREATE_IF_ABSENT, &never, "x")->status,
                     STEAD_E_UNREACHABLE);
    assert_int_equal(bus_read(&b, 2, &other)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* A director that dies with a holder takes nothing along. */
static void who_keeps_nothing_is_not_missing(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    struct key never = bus_key(&b, "auth", "never");
    b.nodes[3].keeps_nothing = true;
    bus_run(&b, 31000);
    bus_kill(&b, 1);
    bus_kill(&b, 3);
    bus_run(&b, 2000);
    assert_int_equal(bus_read(&b, 2, &never)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* A newcomer has never heard of the node that has the only copy; others have. */
static void others_know_who_is_missing(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "auth")->copies = 1;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice"), none = bus_key(&b, "auth", "nobody");
    assert_int_equal(bus_create(&b, 2, &k, "one")->status, STEAD_OK);
    bus_pause(&b, 2);
    bus_kill(&b, 1);
    bus_run(&b, 2000);
    bus_start(&b, 1, 55, 1, PEER_UP);
    bus_run(&b, 300);
    assert_int_equal(bus_read(&b, 1, &k)->status, STEAD_E_UNREACHABLE);
    bus_resume(&b, 2);
    bus_run(&b, 300);
    assert_answer(bus_read(&b, 1, &k), STEAD_OK, "one");
    assert_int_equal(bus_read(&b, 1, &none)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

/* Who is heard again while others are asked is asked too, before anything is called absent. */
static void a_search_asks_those_who_come_back(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    struct places p = made(&b, &k);
    bus_cut(&b, p.stranger, p.holder, true);
    bus_run(&b, 1800);
    b.cut[p.owner][p.stranger] = true; /* what the owner answers does not come */
    bus_results_free(&b);
    uint64_t asked = bus_ask(&b, p.stranger, bus_op(SESSION_READ, &k));
    bus_cut(&b, p.stranger, p.holder, false);
    assert_answer(bus_wait(&b, asked), STEAD_OK, "one");
    bus_deinit(&b);
}

static void a_record_ends_with_its_life(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    b.config.grace_ms = 1000;
    bus_begin(&b, 3);
    bus_kind(&b, "auth");
    struct key k = bus_key(&b, "auth", "short");
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)"x",
                           .value_len = 1};
    struct session_op op = bus_op(SESSION_CREATE, &k);
    op.ops = &set;
    op.op_count = 1;
    op.ttl_ms = 1000;
    assert_int_equal(bus_do(&b, 0, op)->status, STEAD_OK);
    bus_run(&b, 900);
    assert_int_equal(bus_copies(&b, &k), 2);
    bus_run(&b, 200);
    assert_int_equal(bus_copies(&b, &k), 0); /* the owner said so to the holder */
    assert_int_equal(bus_read(&b, 1, &k)->status, STEAD_E_ABSENT);
    assert_int_equal(bus_stats(&b, 0).expired, 1);
    bus_deinit(&b);
}

static void an_answer_says_what_is_left_of_the_life(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "auth")->sliding = false;
    bus_kind(&b, "auth")->ttl_ms = 10000;
    bus_kind(&b, "app")->ttl_ms = 0;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice"), forever = bus_key(&b, "app", "conf");
    struct places p = made(&b, &k);
    bus_run(&b, 4000);
    const int places[] = {p.owner, p.holder, p.stranger};
    for (size_t i = 0; i < 3; i++) {
        struct bus_result *r = bus_read(&b, places[i], &k);
        assert_answer(r, STEAD_OK, "one");
        assert_in_range(r->left_ms, 5900, 6000);
    }
    /* A change that gives no life of its own leaves it; one that does begins it anew. */
    assert_in_range(bus_change(&b, p.stranger, &k, "two")->left_ms, 5900, 6000);
    struct session_op op = bus_op(SESSION_CHANGE, &k);
    op.ttl_ms = 20000;
    assert_in_range(bus_do(&b, p.owner, op)->left_ms, 19900, 20000);
    assert_int_equal(bus_create(&b, 0, &forever, "v")->left_ms, 0);
    assert_int_equal(bus_read(&b, 1, &forever)->left_ms, 0);
    bus_deinit(&b);
}

static void reading_a_copy_keeps_the_record_alive(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "kept");
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)"x",
                           .value_len = 1};
    struct session_op op = bus_op(SESSION_CREATE, &k);
    op.ops = &set;
    op.op_count = 1;
    op.ttl_ms = 1000;
    assert_int_equal(bus_do(&b, 0, op)->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    for (int i = 0; i < 10; i++) {
        bus_run(&b, 500);
        size_t before = b.delivered;
        assert_int_equal(bus_read(&b, holder, &k)->status, STEAD_OK);
        bus_deliver(&b);
        assert_in_range(b.delivered - before, 0, 2); /* not a write for each read */
    }
    bus_run(&b, 1200);
    assert_int_equal(bus_read(&b, holder, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

static void numbers_are_counted_at_the_owner(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "app", "counter");
    uint64_t asked[9];
    assert_int_equal(bus_create(&b, 0, &k, "text")->status, STEAD_OK);
    assert_int_equal(bus_field(&b, 1, SESSION_CHANGE, &k, FIELD_ADD, "", "")->status,
                     STEAD_E_INVAL);
    bus_results_free(&b);
    struct field_op add = {
        .type = FIELD_ADD, .name = (const uint8_t *)"n", .name_len = 1, .amount = 1};
    struct session_op op = bus_op(SESSION_CHANGE, &k);
    op.ops = &add;
    op.op_count = 1;
    for (int i = 0; i < 9; i++)
        asked[i] = bus_ask(&b, i % 3, op);
    for (int i = 0; i < 9; i++)
        assert_int_equal(bus_wait(&b, asked[i])->status, STEAD_OK);
    const struct record *r = bus_read(&b, 2, &k)->record;
    const struct field *n = record_get(r, "n", 1);
    assert_non_null(n);
    assert_int_equal(n->value_len, 1);
    assert_memory_equal(field_value(n), "9", 1);
    bus_deinit(&b);
}

/* An OK without a record, from a node that is sick: whoever asked would look into nothing. */
static void an_answer_without_its_record_is_no_ok(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "k");
    struct places p = made(&b, &k);
    assert_int_equal(bus_read(&b, p.stranger, &k)->status, STEAD_OK); /* it knows where to ask */
    bus_results_free(&b);
    bus_pause(&b, p.owner);
    uint64_t asked = bus_ask(&b, p.stranger, bus_op(SESSION_READ, &k));
    struct bus_message *wire = list_entry(b.wire.next, struct bus_message, link);
    struct message forward, lie = {.type = MESSAGE_RESULT, .key = k};
    assert_int_equal(message_decode(wire->msg->bytes, wire->msg->len, &forward), STEAD_OK);
    assert_int_equal(forward.type, MESSAGE_FORWARD);
    lie.token = forward.token;
    message_op_free(&forward);
    struct msg *m = message_encode(&lie, NULL, b.nodes[p.stranger].inc);
    assert_non_null(m);
    bus_hand(&b, p.owner, p.stranger, m);
    msg_free(m);
    struct bus_result *r = bus_result(&b, asked);
    assert_non_null(r);
    assert_int_equal(r->status, STEAD_E_PARSE);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_once_read_everywhere),
        cmocka_unit_test(a_write_at_any_node_is_read_at_any_other),
        cmocka_unit_test(a_holder_serves_its_copy_unasked),
        cmocka_unit_test(a_holder_asks_when_a_later_version_is_named),
        cmocka_unit_test(a_version_that_nobody_has_is_a_conflict),
        cmocka_unit_test(a_version_that_is_not_there_any_more_is_a_conflict),
        cmocka_unit_test(what_is_ended_for_good_is_never_made_again),
        cmocka_unit_test(what_is_deleted_by_version_is_made_anew_from_any_node),
        cmocka_unit_test(made_anew_though_the_home_is_a_newcomer),
        cmocka_unit_test(of_many_that_create_if_absent_one_wins),
        cmocka_unit_test(alone_it_refuses_or_accepts_and_says_so),
        cmocka_unit_test(what_is_too_large_leaves_the_old),
        cmocka_unit_test(a_kind_that_is_full_refuses),
        cmocka_unit_test(what_a_full_holder_refuses_is_not_made),
        cmocka_unit_test(a_full_holder_is_passed_over),
        cmocka_unit_test(what_is_not_losable_is_not_evicted),
        cmocka_unit_test(a_kind_that_evicts_takes_the_new_and_keeps_tombstones),
        cmocka_unit_test(a_deadline_is_kept_and_what_waits_is_bounded),
        cmocka_unit_test(absent_and_unreachable_are_two_answers),
        cmocka_unit_test(who_keeps_nothing_is_not_missing),
        cmocka_unit_test(others_know_who_is_missing),
        cmocka_unit_test(a_search_asks_those_who_come_back),
        cmocka_unit_test(a_record_ends_with_its_life),
        cmocka_unit_test(an_answer_says_what_is_left_of_the_life),
        cmocka_unit_test(reading_a_copy_keeps_the_record_alive),
        cmocka_unit_test(an_answer_without_its_record_is_no_ok),
        cmocka_unit_test(numbers_are_counted_at_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
