/* session_ticks_test.c - what is counted for those who watch, and reads that are no use. */
#include "base/buzhash.h"
#include "session_bus.h"

#define NODES 3

static struct ticks ticks[NODES];

static void begin(struct bus *b)
{
    memset(ticks, 0, sizeof ticks);
    bus_init(b);
    bus_kind(b, "auth")->ttl_ms = 2000;
    for (int i = 0; i < NODES; i++) {
        b->config.ticks = &ticks[i];
        bus_start(b, i, 1000 + (uint64_t)i, i == 0 ? 4 : 1, PEER_UP);
    }
    bus_run(b, 300);
}

/* Has it moved at that node since it was asked for last? */
static bool moved(struct bus *b, int node, const struct key *k)
{
    static uint32_t last[NODES];
    struct buzhash h;
    buzhash_init(&h, b->config.bucket_secret);
    uint32_t before = last[node];
    last[node] = ticks_of(&ticks[node], buzhash(&h, k->bytes, k->len), k->kind);
    return last[node] != before;
}

static int peek(struct bus *b, int node, const struct key *k)
{
    struct session_op op = bus_op(SESSION_READ, k);
    op.peek = true;
    return bus_do(b, node, op)->status;
}

static void changes_are_counted_wherever_the_record_is(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    struct key k = bus_key(&b, "auth", "alice");
    for (int i = 0; i < NODES; i++)
        (void)moved(&b, i, &k);
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true), stranger = bus_find(&b, &k, false);
    assert_true(moved(&b, 0, &k));
    assert_true(moved(&b, holder, &k));
    assert_int_equal(bus_change(&b, stranger, &k, "two")->status, STEAD_OK);
    assert_true(moved(&b, 0, &k));
    assert_true(moved(&b, holder, &k));
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(bus_read(&b, i, &k)->status, STEAD_OK);
        assert_int_equal(peek(&b, i, &k), STEAD_OK);
    }
    bus_run(&b, 500);
    assert_false(moved(&b, 0, &k));
    assert_false(moved(&b, holder, &k));
    assert_int_equal(bus_end(&b, holder, &k)->status, STEAD_OK);
    assert_true(moved(&b, 0, &k));
    assert_true(moved(&b, holder, &k));
    assert_false(moved(&b, stranger, &k));
    bus_deinit(&b);
}

static void an_expiry_is_counted(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    struct key k = bus_key(&b, "auth", "bob");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    (void)moved(&b, 0, &k);
    (void)moved(&b, holder, &k);
    bus_run(&b, 2500);
    assert_true(moved(&b, 0, &k));
    assert_true(moved(&b, holder, &k));
    bus_deinit(&b);
}

/* Others than a look: they keep it alive (session_read_test.c). */
static void who_only_looks_keeps_nothing_alive(void **state)
{
    (void)state;
    struct bus b;
    begin(&b);
    for (int from = 0; from < NODES; from++) {
        char name[] = "carol0";
        name[5] = (char)('0' + from);
        struct key k = bus_key(&b, "auth", name);
        assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
        bus_run(&b, 1200);
        assert_int_equal(peek(&b, from, &k), STEAD_OK);
        bus_run(&b, 1200);
        assert_int_equal(peek(&b, from, &k), STEAD_E_ABSENT);
        bus_results_free(&b);
    }
    bus_deinit(&b);
}

static void a_write_that_is_done_at_once_is_counted(void **state)
{
    (void)state;
    struct bus b;
    memset(ticks, 0, sizeof ticks);
    bus_init(&b);
    bus_kind(&b, "tls")->copies = 1;
    b.config.ticks = &ticks[0];
    bus_start(&b, 0, 1000, 1, PEER_UP);
    bus_run(&b, 300);
    struct key k = bus_key(&b, "tls", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    (void)moved(&b, 0, &k);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)"two",
                           .value_len = 3};
    struct session_op op = bus_op(SESSION_CHANGE, &k);
    op.ops = &set;
    op.op_count = 1;
    struct session_actions a;
    struct session_reading reading;
    session_actions_init(&a);
    assert_int_equal(session_write(b.nodes[0].shards[0], &op, b.now_ns, &a, &reading), STEAD_OK);
    session_actions_clear(&a);
    assert_true(moved(&b, 0, &k));
    bus_deinit(&b);
}

/* The same for records that are read in their cells. */
static void who_looks_at_a_node_alone_keeps_nothing_alive(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "app")->copies = 1;
    bus_kind(&b, "app")->ttl_ms = 2000;
    bus_start(&b, 0, 1000, 1, PEER_UP);
    bus_run(&b, 300);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int status = STEAD_OK;
    for (int i = 0; i < 2; i++) {
        struct session_op op = bus_op(SESSION_READ, &k);
        struct session_actions a;
        struct session_reading reading;
        bus_run(&b, 1200);
        op.peek = true;
        session_actions_init(&a);
        status = session_read(b.nodes[0].shards[0], &op, b.now_ns, &a, &reading);
        session_actions_clear(&a);
        assert_true(i > 0 || status == STEAD_OK);
    }
    assert_int_not_equal(status, STEAD_OK);
    assert_int_equal(peek(&b, 0, &k), STEAD_E_ABSENT);
    bus_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_counted_wherever_the_record_is),
        cmocka_unit_test(an_expiry_is_counted),
        cmocka_unit_test(who_only_looks_keeps_nothing_alive),
        cmocka_unit_test(who_looks_at_a_node_alone_keeps_nothing_alive),
        cmocka_unit_test(a_write_that_is_done_at_once_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
