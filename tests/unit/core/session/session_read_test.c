/* session_read_test.c - reads that need no operation: they answer what the operation would, and
 * leave to it what they may not answer. */
#include "session_bus.h"

/* What a read at node i gives without an operation; *value is the field "" then. */
static int read_from(struct bus *b, int i, const struct key *k, uint64_t min_version,
                     struct session_reading *reading, const char **value)
{
    static char text[64];
    struct bus_node *n = &b->nodes[i];
    unsigned shard = bus_shard(n, k);
    struct session_op op = bus_op(SESSION_READ, k);
    struct session_actions a;
    struct list *l;
    op.min_term = min_version > 0;
    op.min_version = min_version;
    session_actions_init(&a);
    int status = session_read(n->shards[shard], &op, b->now_ns, &a, reading);
    assert_true(list_empty(&a.results));
    if (a.deadline_ns < n->deadline_ns[shard])
        n->deadline_ns[shard] = a.deadline_ns;
    while ((l = list_pop(&a.sends))) {
        struct bus_message *m = calloc(1, sizeof(*m));
        assert_non_null(m);
        m->from = i;
        m->msg = list_entry(l, struct msg, link);
        list_append(&b->wire, &m->link);
    }
    *value = "";
    if (status == STEAD_OK) {
        const struct field *f = record_get(reading->record, "", 0);
        snprintf(text, sizeof(text), "%.*s", (int)f->value_len, (const char *)field_value(f));
        *value = text;
    }
    return status;
}

static void assert_reads(struct bus *b, int i, const struct key *k, int status, const char *value)
{
    struct session_reading reading;
    const char *got;
    assert_int_equal(read_from(b, i, k, 0, &reading, &got), status);
    assert_string_equal(got, value);
}

static void it_answers_what_the_operation_would(void **state)
{
    (void)state;
    struct bus b;
    struct session_reading reading;
    const char *value;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true), stranger = bus_find(&b, &k, false);
    uint64_t before = b.delivered, reads = bus_stats(&b, 0).reads_local;
    assert_int_equal(read_from(&b, 0, &k, 0, &reading, &value), STEAD_OK);
    assert_string_equal(value, "one");
    assert_int_equal(bus_stats(&b, 0).reads_local, reads + 1);
    assert_int_equal(reading.left_ms, bus_read(&b, 0, &k)->left_ms);
    assert_reads(&b, holder, &k, STEAD_OK, "one");
    assert_reads(&b, stranger, &k, STEAD_PENDING, "");
    assert_int_equal(b.delivered, before);
    bus_deinit(&b);
}

static void it_does_not_overtake_a_write(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    bus_cut(&b, 0, holder, true);
    bus_results_free(&b);
    uint64_t asked = bus_ask_set(&b, 0, SESSION_CHANGE, &k, "two");
    assert_null(bus_result(&b, asked));
    assert_reads(&b, 0, &k, STEAD_PENDING, "");
    bus_cut(&b, 0, holder, false);
    assert_int_equal(bus_wait(&b, asked)->status, STEAD_OK);
    assert_reads(&b, 0, &k, STEAD_OK, "two");
    assert_reads(&b, holder, &k, STEAD_OK, "two");
    bus_deinit(&b);
}

static void a_holder_without_a_lease_leaves_it(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    bus_cut(&b, 0, holder, true);
    assert_reads(&b, holder, &k, STEAD_OK, "one");
    b.now_ns += BUS_LEASE_NS;
    assert_reads(&b, holder, &k, STEAD_PENDING, "");
    assert_reads(&b, 0, &k, STEAD_PENDING, ""); /* the owner waits for contact too */
    bus_deinit(&b);
}

static void versions_and_ends_are_as_of_the_operation(void **state)
{
    (void)state;
    struct bus b;
    struct session_reading reading;
    const char *value;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key final = bus_key(&b, "auth", "alice"), versioned = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &final, "one")->status, STEAD_OK);
    assert_int_equal(bus_create(&b, 0, &versioned, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &final, true);
    assert_int_equal(read_from(&b, 0, &final, 1, &reading, &value), STEAD_OK);
    assert_int_equal(read_from(&b, 0, &final, 9, &reading, &value), STEAD_E_CONFLICT);
    assert_int_equal(read_from(&b, holder, &final, 9, &reading, &value), STEAD_PENDING);
    assert_int_equal(bus_end(&b, 0, &final)->status, STEAD_OK);
    assert_int_equal(bus_end(&b, 0, &versioned)->status, STEAD_OK);
    assert_reads(&b, 0, &final, STEAD_E_ENDED, "");
    assert_reads(&b, 0, &versioned, STEAD_E_ABSENT, "");
    bus_deinit(&b);
}

static void it_keeps_a_record_alive(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_kind(&b, "auth")->ttl_ms = 2000;
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    int holder = bus_find(&b, &k, true);
    for (int i = 0; i < 6; i++) {
        bus_run(&b, 1200);
        assert_reads(&b, i % 2 ? holder : 0, &k, STEAD_OK, "one");
    }
    bus_run(&b, 2100);
    assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

static void a_bare_write_says_its_stamp_alone(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    struct key k = bus_key(&b, "auth", "alice");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    for (int i = 0; i < 3; i++) { /* at its owner, or passed on to it */
        struct field_op set = {.type = FIELD_SET,
                               .name = (const uint8_t *)"",
                               .value = (const uint8_t *)"x",
                               .value_len = 1};
        struct session_op op = bus_op(SESSION_CHANGE, &k);
        op.ops = &set;
        op.op_count = 1;
        op.bare = true;
        struct bus_result *r = bus_do(&b, i, op);
        assert_int_equal(r->status, STEAD_OK);
        assert_null(r->record);
        assert_int_equal(r->stamp.term, 1);
        assert_int_equal(r->stamp.version, 2 + i);
        assert_true(r->left_ms > 0);
    }
    bus_deinit(&b);
}

/* -- writes that need no operation -- */

static int write_from(struct bus *b, int i, const struct key *k, const char *text, size_t len,
                      struct session_reading *reading)
{
    struct bus_node *n = &b->nodes[i];
    unsigned shard = bus_shard(n, k);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)text,
                           .value_len = len};
    struct session_op op = bus_op(SESSION_CHANGE, k);
    struct session_actions a;
    op.ops = &set;
    op.op_count = 1;
    session_actions_init(&a);
    int status = session_write(n->shards[shard], &op, b->now_ns, &a, reading);
    assert_true(list_empty(&a.results) && list_empty(&a.sends));
    if (a.deadline_ns < n->deadline_ns[shard])
        n->deadline_ns[shard] = a.deadline_ns;
    return status;
}

static void alone_a_write_is_done_at_once(void **state)
{
    (void)state;
    struct bus b;
    struct session_reading reading;
    bus_init(&b);
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_kind(&b, "app")->ttl_ms = 2000;
    bus_kind(&b, "auth")->when_alone = ALONE_REFUSE;
    bus_begin(&b, 1);
    struct key k = bus_key(&b, "app", "k"), refused = bus_key(&b, "auth", "alice");
    assert_int_equal(write_from(&b, 0, &k, "zero", 4, &reading), STEAD_PENDING);
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, "two", 3, &reading), STEAD_OK);
    assert_int_equal(reading.record->stamp.version, 2);
    assert_int_equal(reading.left_ms, 2000);
    struct bus_result *r = bus_read(&b, 0, &k);
    assert_string_equal(r->value, "two");
    assert_int_equal(r->stamp.version, 2);
    assert_int_equal(bus_change(&b, 0, &k, "three")->stamp.version, 3);
    assert_int_equal(write_from(&b, 0, &refused, "x", 1, &reading), STEAD_PENDING);
    bus_run(&b, 2100); /* its life ends as any other's */
    assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_ABSENT);
    bus_deinit(&b);
}

static int write_pair(struct bus *b, const struct key *k, const char *text, const char *flags,
                      struct session_reading *reading)
{
    struct bus_node *n = &b->nodes[0];
    struct field_op ops[] = {{.type = FIELD_SET,
                              .name = (const uint8_t *)"",
                              .value = (const uint8_t *)text,
                              .value_len = strlen(text)},
                             {.type = flags ? FIELD_SET : FIELD_DELETE,
                              .name = (const uint8_t *)"#",
                              .name_len = 1,
                              .value = (const uint8_t *)flags,
                              .value_len = flags ? strlen(flags) : 0}};
    struct session_op op = bus_op(SESSION_CHANGE, k);
    struct session_actions a;
    op.ops = ops;
    op.op_count = 2;
    session_actions_init(&a);
    return session_write(n->shards[bus_shard(n, k)], &op, b->now_ns, &a, reading);
}

static void check_pair(struct bus *b, const struct key *k, const char *text, const char *flags,
                       uint64_t version)
{
    struct session_reading reading;
    const char *value;
    assert_int_equal(read_from(b, 0, k, 0, &reading, &value), STEAD_OK);
    const struct field *f = record_get(reading.record, "", 0);
    assert_int_equal(reading.record->stamp.version, version);
    assert_int_equal(f->value_len, strlen(text));
    assert_memory_equal(field_value(f), text, f->value_len);
    f = record_get(reading.record, "#", 1);
    assert_true(!f == !flags);
    if (flags)
        assert_memory_equal(field_value(f), flags, f->value_len);
}

/* With a second field, as a cache's client has it that says flags: in its cell, or woken where a
 * tombstone is left. */
static void alone_a_second_field_comes_and_goes(void **state)
{
    (void)state;
    struct bus b;
    struct session_reading reading;
    bus_init(&b);
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_begin(&b, 1);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    const char *const flags[] = {NULL, "abcd", "efgh", NULL, "ijkl", NULL};
    char text[] = "0: a value";
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        text[0] = (char)('0' + i);
        assert_int_equal(write_pair(&b, &k, text, flags[i], &reading), STEAD_OK);
        check_pair(&b, &k, text, flags[i], i + 2);
    }
    bus_deinit(&b);
}

static void a_write_that_others_are_to_keep_takes_a_round(void **state)
{
    (void)state;
    struct bus b;
    struct session_reading reading;
    bus_init(&b);
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_begin(&b, 2);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, "two", 3, &reading), STEAD_PENDING);
    assert_int_equal(write_from(&b, 1, &k, "two", 3, &reading), STEAD_PENDING);
    bus_kill(&b, 1);
    bus_run(&b, 3000); /* it is known, and may return */
    assert_int_equal(write_from(&b, 0, &k, "two", 3, &reading), STEAD_PENDING);
    assert_string_equal(bus_read(&b, 0, &k)->value, "one");
    bus_deinit(&b);
}

/* Where room has to be made, the record itself might go. */
static void where_it_is_full_an_operation_makes_room(void **state)
{
    (void)state;
    static char large[20000];
    struct bus b;
    struct session_reading reading;
    bus_init(&b);
    memset(large, 'x', sizeof(large));
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_kind(&b, "app")->when_full = FULL_EVICT;
    bus_kind(&b, "app")->losable = true;
    bus_kind(&b, "app")->memory_bytes = 32768;
    bus_begin(&b, 1);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, large, sizeof(large), &reading), STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, large, sizeof(large), &reading), STEAD_PENDING);
    assert_int_equal(bus_read(&b, 0, &k)->value_len, sizeof(large));
    bus_deinit(&b);
}

/* In its cell as by an operation. */
static void what_is_too_large_is_not_done_at_once(void **state)
{
    (void)state;
    static char large[101];
    struct bus b;
    struct session_reading reading;
    bus_init(&b);
    memset(large, 'x', sizeof(large));
    bus_kind(&b, "app")->when_alone = ALONE_ACCEPT;
    bus_kind(&b, "app")->size_bytes = 100;
    bus_begin(&b, 1);
    struct key k = bus_key(&b, "app", "k");
    assert_int_equal(bus_create(&b, 0, &k, "one")->status, STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, large, 101, &reading), STEAD_E_TOO_LARGE);
    assert_string_equal(bus_read(&b, 0, &k)->value, "one");
    assert_int_equal(write_from(&b, 0, &k, large, 100, &reading), STEAD_OK);
    assert_int_equal(write_from(&b, 0, &k, large, 101, &reading), STEAD_E_TOO_LARGE);
    assert_int_equal(bus_read(&b, 0, &k)->value_len, 100);
    bus_deinit(&b);
}

/* A hundred who miss one key at once ask the farm twice at most; and where one may be lost, not
 * again for a moment. */
static void misses_share_a_question(void **state)
{
    (void)state;
    for (int losable = 0; losable < 2; losable++) {
        struct bus b;
        bus_init(&b);
        bus_begin(&b, 3);
        struct key k = bus_key(&b, losable ? "tls" : "auth", "nobody");
        uint64_t asked[60];
        for (int i = 0; i < 60; i++)
            asked[i] = bus_ask(&b, 0, bus_op(SESSION_READ, &k));
        for (int i = 0; i < 60; i++)
            assert_int_equal(bus_wait(&b, asked[i])->status, STEAD_E_ABSENT);
        assert_in_range(bus_stats(&b, 0).reads_missed, 1, 2);
        uint64_t before = bus_stats(&b, 0).reads_missed;
        for (int i = 0; i < 5; i++)
            assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_E_ABSENT);
        assert_int_equal(bus_stats(&b, 0).reads_missed - before, losable ? 0 : 5);
        assert_int_equal(bus_stats(&b, 0).reads_missed_again, losable ? 5 : 0);
        assert_int_equal(bus_create(&b, 1, &k, "one")->status, STEAD_OK);
        bus_run(&b, 300);
        assert_int_equal(bus_read(&b, 0, &k)->status, STEAD_OK);
        bus_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misses_share_a_question),
        cmocka_unit_test(it_answers_what_the_operation_would),
        cmocka_unit_test(it_does_not_overtake_a_write),
        cmocka_unit_test(a_holder_without_a_lease_leaves_it),
        cmocka_unit_test(versions_and_ends_are_as_of_the_operation),
        cmocka_unit_test(it_keeps_a_record_alive),
        cmocka_unit_test(a_bare_write_says_its_stamp_alone),
        cmocka_unit_test(alone_a_write_is_done_at_once),
        cmocka_unit_test(alone_a_second_field_comes_and_goes),
        cmocka_unit_test(a_write_that_others_are_to_keep_takes_a_round),
        cmocka_unit_test(where_it_is_full_an_operation_makes_room),
        cmocka_unit_test(what_is_too_large_is_not_done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
