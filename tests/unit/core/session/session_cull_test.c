/* session_cull_test.c - all sessions of a user end, wherever they are. */
#include "core/session/cull.h"
#include "session_bus.h"

static struct key numbered(struct bus *b, const char *kind, int n)
{
    char name[16];
    snprintf(name, sizeof(name), "k%d", n);
    return bus_key(b, kind, name);
}

static void log_in(struct bus *b, int at, const char *kind, int n, const char *user)
{
    struct key k = numbered(b, kind, n);
    assert_int_equal(bus_field(b, at, SESSION_CREATE, &k, FIELD_SET, "user", user)->status,
                     STEAD_OK);
}

static struct cull_wish wish(struct bus *b, const char *user)
{
    struct cull_wish w;
    int kind = kinds_find(&b->kinds, "auth");
    assert_true(cull_wish_set(&w, (uint8_t)kind, "user", 4, user, strlen(user)));
    return w;
}

/* Asked at a node of one shard. */
static struct cull_state cull(struct bus *b, int at, const char *user)
{
    struct cull_wish w = wish(b, user);
    struct session_actions a;
    struct cull_state st;
    struct list *l;
    struct session *s = b->nodes[at].shards[0];
    session_actions_init(&a);
    uint64_t number = session_cull(s, &w, true, b->now_ns, &a);
    assert_true(number != 0);
    while ((l = list_pop(&a.sends))) {
        struct bus_message *m = calloc(1, sizeof(*m));
        m->from = at;
        m->msg = list_entry(l, struct msg, link);
        list_append(&b->wire, &m->link);
    }
    b->nodes[at].deadline_ns[0] = 0;
    for (int i = 0; i < 4000; i++) {
        bus_tick(b);
        assert_true(session_cull_state(s, number, &st));
        if (!st.running)
            break;
    }
    assert_false(st.running);
    return st;
}

static int status_of(struct bus *b, int at, const char *kind, int n)
{
    struct key k = numbered(b, kind, n);
    return bus_read(b, at, &k)->status;
}

static void all_of_a_user_end_and_no_others(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    for (int n = 0; n < 60; n++)
        log_in(&b, n % 4, "auth", n, n % 3 == 0 ? "ann" : "annette");
    log_in(&b, 1, "app", 100, "ann");
    struct cull_state st = cull(&b, 2, "ann");
    assert_int_equal(st.ended, 20);
    assert_int_equal(st.failed + st.silent_count, 0);
    for (int n = 0; n < 60; n++)
        assert_int_equal(status_of(&b, (n + 1) % 4, "auth", n),
                         n % 3 == 0 ? STEAD_E_ENDED : STEAD_OK);
    assert_int_equal(status_of(&b, 0, "app", 100), STEAD_OK);
    assert_int_equal(cull(&b, 0, "ann").ended, 0);
    assert_int_equal(cull(&b, 0, "nobody").ended, 0);
    bus_deinit(&b);
}

/* Also those whose owner has just died, before anybody claims them. */
static void those_of_a_dead_owner_too(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 4);
    for (int n = 0; n < 30; n++)
        log_in(&b, 3, "auth", n, "ann");
    bus_kill(&b, 3);
    bus_run(&b, 1700);
    cull(&b, 0, "ann");
    bus_run(&b, 3000);
    cull(&b, 0, "ann");
    for (int n = 0; n < 30; n++)
        assert_int_equal(status_of(&b, 1, "auth", n), STEAD_E_ENDED);
    bus_deinit(&b);
}

/* Who asks is told who could not be asked. */
static void a_node_that_stands_still_is_named(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    bus_begin(&b, 3);
    for (int n = 0; n < 9; n++)
        log_in(&b, n % 3, "auth", n, "ann");
    bus_pause(&b, 2);
    struct cull_state st = cull(&b, 0, "ann");
    assert_int_equal(st.silent_count, 1);
    assert_int_equal(st.silent[0], b.nodes[2].inc);
    bus_deinit(&b);
}

static void what_is_too_long_is_no_wish(void **state)
{
    (void)state;
    struct cull_wish w;
    static char long_text[400];
    memset(long_text, 'x', sizeof(long_text));
    assert_false(cull_wish_set(&w, 0, "", 0, "v", 1));
    assert_false(cull_wish_set(&w, 0, long_text, FIELD_NAME_MAX + 1, "v", 1));
    assert_false(cull_wish_set(&w, 0, "user", 4, long_text, CULL_VALUE_MAX + 1));
    assert_true(cull_wish_set(&w, 0, "user", 4, long_text, CULL_VALUE_MAX));
    assert_true(cull_wish_set(&w, 0, "user", 4, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_user_end_and_no_others),
        cmocka_unit_test(those_of_a_dead_owner_too),
        cmocka_unit_test(a_node_that_stands_still_is_named),
        cmocka_unit_test(what_is_too_long_is_no_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
