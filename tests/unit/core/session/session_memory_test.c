/* session_memory_test.c - each allocation of a whole story fails in turn, once: nothing leaks,
 * nothing is acknowledged that is not kept, and the farm works on. */
#include "session_bus.h"

#define PHASES 9
#define COUNTDOWNS 150

struct story {
    struct bus b;
    struct key k, second;
    int fail_in; /* the phase whose n-th allocation fails */
    unsigned countdown;
    int tried, acked; /* values written: numbers that grow */
    unsigned unanswered;
};

static void phase(struct story *t, int number)
{
    mem_fail_after(number == t->fail_in ? t->countdown : 0);
}

/* The answer, or NULL: its own memory was what was missing. */
static struct bus_result *answer(struct story *t, uint64_t request)
{
    for (int i = 0; i < 700 && !bus_result(&t->b, request); i++) {
        bus_deliver(&t->b);
        if (!bus_result(&t->b, request))
            bus_tick(&t->b);
    }
    struct bus_result *r = bus_result(&t->b, request);
    t->unanswered += r == NULL;
    return r;
}

static bool is_error(int status)
{
    return status == STEAD_E_NOMEM || status == STEAD_E_DEADLINE || status == STEAD_E_FENCED ||
           status == STEAD_E_BUSY || status == STEAD_E_UNKNOWN || status == STEAD_E_EXISTS;
}

/* An answer that speaks of copies: there are as many. */
static void check_copies(struct story *t, const struct bus_result *r)
{
    int kept = 0;
    for (int i = 0; i < BUS_NODES; i++) {
        bool owned;
        const struct record *here = bus_peek(&t->b, i, &t->k, &owned);
        kept += here && stamp_compare(&here->stamp, &r->stamp) >= 0;
    }
    assert_in_range(r->copies, 2, 3);
    assert_in_range(kept, r->copies, BUS_NODES);
}

static void write_at(struct story *t, int i, enum session_op_type type)
{
    char text[16];
    bus_results_free(&t->b);
    snprintf(text, sizeof(text), "%d", ++t->tried);
    struct bus_result *r = answer(t, bus_ask_set(&t->b, i, type, &t->k, text));
    if (r && r->status == STEAD_OK) {
        t->acked = t->tried;
        check_copies(t, r);
    } else
        assert_true(!r || is_error(r->status) || t->acked == 0);
}

static void read_at(struct story *t, int i)
{
    bus_results_free(&t->b);
    struct bus_result *r = answer(t, bus_ask(&t->b, i, bus_op(SESSION_READ, &t->k)));
    if (r && r->status == STEAD_OK)
        assert_in_range(atoi(r->value), t->acked, t->tried);
    else
        assert_true(!r || is_error(r->status) || t->acked == 0);
}

static int living(const struct bus *b, int from)
{
    while (b->nodes[from].dead)
        from++;
    return from;
}

static void play(struct story *t)
{
    struct bus *b = &t->b;
    phase(t, 0);
    write_at(t, 0, SESSION_CREATE);
    phase(t, 1);
    write_at(t, 1, SESSION_CHANGE);
    write_at(t, 2, SESSION_CHANGE);
    read_at(t, 2);
    phase(t, 2);
    write_at(t, 0, SESSION_CREATE_IF_ABSENT);
    read_at(t, 1);
    phase(t, 3);
    bus_cut(b, 0, 1, true);
    bus_cut(b, 0, 2, true);
    bus_run(b, 2200);
    read_at(t, 2);
    write_at(t, 1, SESSION_CHANGE);
    phase(t, 4);
    bus_cut(b, 0, 1, false);
    bus_cut(b, 0, 2, false);
    bus_run(b, 1000);
    phase(t, 5);
    read_at(t, 0);
    b->nodes[1].state = PEER_LEAVING;
    bus_run(b, 1000);
    read_at(t, 2);
    phase(t, 6);
    b->nodes[1].state = PEER_UP;
    bus_run(b, 500);
    write_at(t, 1, SESSION_CHANGE);
    phase(t, 7);
    bus_kill(b, bus_owners(b, &t->k, &(int){0}) == 1 ? bus_owner(b, &t->k) : 0);
    bus_run(b, 3000);
    phase(t, 8);
    int alive = living(b, 0);
    write_at(t, alive, SESSION_CHANGE);
    read_at(t, alive);
    phase(t, PHASES);
}

static void tell_story(int fail_in, unsigned countdown)
{
    struct story t = {.fail_in = fail_in, .countdown = countdown};
    bus_init(&t.b);
    bus_begin(&t.b, 3);
    t.k = bus_key(&t.b, "app", "k");
    play(&t);
    assert_in_range(t.unanswered, 0, 1);
    /* Memory is back: so is the farm. */
    bus_run(&t.b, 4000);
    int alive = living(&t.b, 0), other = living(&t.b, alive + 1);
    if (t.acked > 0) {
        write_at(&t, alive, SESSION_CHANGE);
        assert_int_equal(t.acked, t.tried);
        bus_assert_settled(&t.b, &t.k, 2);
        read_at(&t, other);
        assert_int_equal(bus_end(&t.b, other, &t.k)->status, STEAD_OK);
    }
    bus_deinit(&t.b);
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    for (int fail_in = 0; fail_in < PHASES; fail_in++)
        for (unsigned n = 1; n <= COUNTDOWNS; n++) {
            if (getenv("VERBOSE"))
                fprintf(stderr, "phase %d allocation %u\n", fail_in, n);
            tell_story(fail_in, n);
        }
}

/* A stale copy and a good one meet in a claim, which must not go on without the good one. */
static void what_a_claim_had_no_memory_for_is_not_lost(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 150; n++) {
        struct story t = {.fail_in = 1, .countdown = n};
        bus_init(&t.b);
        bus_begin(&t.b, 3);
        t.k = bus_key(&t.b, "app", "k");
        write_at(&t, 0, SESSION_CREATE);
        int stale = bus_find(&t.b, &t.k, true), good = bus_find(&t.b, &t.k, false);
        bus_cut(&t.b, stale, 0, true);
        bus_cut(&t.b, stale, good, true);
        bus_run(&t.b, 2000);
        write_at(&t, 0, SESSION_CHANGE);
        bus_kill(&t.b, 0);
        bus_run(&t.b, n % 2 ? 0 : 1600);
        bus_cut(&t.b, stale, good, false);
        phase(&t, 1);
        bus_run(&t.b, 3000);
        mem_fail_after(0);
        bus_run(&t.b, 2000);
        assert_int_equal(t.acked, 2);
        bus_assert_settled(&t.b, &t.k, 2);
        for (int i = 1; i < 3; i++) {
            bus_results_free(&t.b);
            assert_string_equal(bus_read(&t.b, i, &t.k)->value, "2");
        }
        bus_deinit(&t.b);
    }
}

static void a_shard_is_not_made_without_memory(void **state)
{
    (void)state;
    struct bus b;
    bus_init(&b);
    struct session_config c = b.config;
    c.kinds = &b.kinds;
    for (unsigned n = 1; n <= 3; n++) {
        mem_fail_after(n);
        assert_null(session_new(&c, b.now_ns));
    }
    mem_fail_after(0);
    session_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(what_a_claim_had_no_memory_for_is_not_lost),
        cmocka_unit_test(a_shard_is_not_made_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
