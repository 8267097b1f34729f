/* member_twin_test.c - two incarnations of one node, as in an upgrade: both stand when each names
 * the other, and not otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/roster/member.h"
#include "stead/error.h"

#include <stdio.h>

#define START_NS (100 * NS_PER_S)
#define ELDER 1001u
#define HEIR 2001u

struct bench {
    struct membership *m;
    struct member_actions a;
    uint64_t now_ns;
    unsigned refusals, removes;
};

static struct addr at(unsigned i)
{
    return (struct addr){.family = 4, .port = 7946, .ip = {10, 0, 0, (uint8_t)i}};
}

static struct entry entry_of(unsigned i, uint64_t inc, uint64_t twin)
{
    struct entry e = {.node = 100 + i,
                      .inc = inc,
                      .boot = inc / 1000,
                      .twin = twin,
                      .revision = twin ? 2 : 1,
                      .status = STATUS_UP,
                      .address = at(i),
                      .holds = true};
    snprintf(e.name, sizeof e.name, "n%u", i);
    return e;
}

static void take(struct bench *b)
{
    for (struct list *l = b->a.outputs.next; l != &b->a.outputs; l = l->next) {
        const struct member_output *o = list_entry(l, struct member_output, link);
        b->refusals += o->type == MEMBER_OUT_REFUSE;
        b->removes += o->type == MEMBER_OUT_REMOVE;
    }
    member_actions_clear(&b->a);
}

static int setup(void **state)
{
    static struct bench b;
    struct member_config c = {.farm = "twins", .seed = 7};
    struct entry self = entry_of(9, 9001, 0);
    member_timing_default(&c.timing);
    b = (struct bench){.now_ns = START_NS};
    member_actions_init(&b.a);
    b.m = membership_new(&c, &self, b.now_ns);
    *state = &b;
    return b.m ? 0 : -1;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    membership_free(b->m);
    return 0;
}

static void prove(struct bench *b, const struct entry *e)
{
    uint8_t card[ENTRY_BYTES_MAX];
    struct wire_writer w;
    wire_writer_init(&w, card, sizeof card);
    entry_encode(e, &w);
    membership_proven(b->m, e->inc, e->node, &e->address, card, wire_written(&w), b->now_ns, &b->a);
    take(b);
}

static bool known(struct bench *b, uint64_t inc, enum status not )
{
    struct member_contact all[8];
    size_t n = membership_contacts(b->m, all, 8);
    for (size_t i = 0; i < n; i++)
        if (all[i].inc == inc)
            return all[i].status != not ;
    return false;
}

static void run_ms(struct bench *b, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 100) {
        b->now_ns += 100 * NS_PER_MS;
        membership_tick(b->m, b->now_ns, &b->a);
        take(b);
    }
}

static void test_both_stand_when_each_names_the_other(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, 0), heir = entry_of(1, HEIR, ELDER);
    prove(b, &elder);
    prove(b, &heir); /* the elder has not named it: neither admitted nor refused */
    assert_false(known(b, HEIR, STATUS_DOWN));
    assert_int_equal(b->refusals, 0);
    elder = entry_of(1, ELDER, HEIR);
    prove(b, &elder);
    prove(b, &heir);
    assert_true(known(b, ELDER, STATUS_DOWN));
    assert_true(known(b, HEIR, STATUS_DOWN));
    assert_int_equal(b->refusals + b->removes, 0);
}

static void test_a_stranger_is_no_twin(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, HEIR), other = entry_of(1, 3001, 0);
    other.address = at(5);
    prove(b, &elder);
    prove(b, &other); /* the same name elsewhere, as ever */
    assert_int_equal(b->refusals, 1);
    other.node = 555;
    other.twin = ELDER; /* of another node */
    prove(b, &other);
    assert_int_equal(b->refusals, 2);
    assert_false(known(b, 3001, STATUS_DOWN));
}

static void test_a_successor_that_was_given_up_makes_way(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, HEIR), heir = entry_of(1, HEIR, ELDER);
    prove(b, &elder);
    prove(b, &heir);
    assert_true(known(b, HEIR, STATUS_DOWN));
    elder.twin = 0;
    elder.revision = 3;
    prove(b, &elder);
    assert_false(known(b, HEIR, STATUS_DOWN));
    assert_true(known(b, ELDER, STATUS_DOWN));
    assert_int_equal(b->refusals, 0);
}

/* A card from before the naming arrives late: it denies nobody. */
static void test_a_late_card_denies_nobody(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, HEIR), heir = entry_of(1, HEIR, ELDER);
    prove(b, &elder);
    prove(b, &heir);
    elder = entry_of(1, ELDER, 0);
    prove(b, &elder);
    assert_true(known(b, HEIR, STATUS_DOWN));
}

static void test_the_elder_is_silent(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, 0), heir = entry_of(1, HEIR, ELDER);
    prove(b, &elder);
    run_ms(b, 2000); /* counted out */
    prove(b, &heir);
    assert_true(known(b, HEIR, STATUS_DOWN));
    assert_int_equal(b->removes, 0); /* it may come back */
    heir.twin = 0;                   /* and now it has ended, says who lives beside it */
    heir.revision = 3;
    prove(b, &heir);
    run_ms(b, 300);
    assert_false(known(b, ELDER, STATUS_DOWN));
    assert_int_equal(b->removes, 1);
}

static void test_the_roster_shows_one(void **state)
{
    struct bench *b = *state;
    struct entry elder = entry_of(1, ELDER, HEIR), heir = entry_of(1, HEIR, ELDER);
    heir.status = STATUS_JOINING;
    prove(b, &elder);
    prove(b, &heir);
    struct roster *r = membership_roster(b->m, b->now_ns);
    assert_int_equal(r->count, 2);
    assert_int_equal(roster_find(r, "n1")->entry->inc, ELDER);
    roster_unref(r);
    heir.status = STATUS_UP;
    heir.revision = 3;
    prove(b, &heir);
    r = membership_roster(b->m, b->now_ns);
    assert_int_equal(roster_find(r, "n1")->entry->inc, HEIR);
    roster_unref(r);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_both_stand_when_each_names_the_other),
        T(test_a_stranger_is_no_twin),
        T(test_a_successor_that_was_given_up_makes_way),
        T(test_a_late_card_denies_nobody),
        T(test_the_elder_is_silent),
        T(test_the_roster_shows_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
