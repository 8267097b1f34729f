/* Who is told of the farm's keys, when what is learned counts, and under what peers are sealed to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/mesh/keys_talk.h"
#include "stead/error.h"

#include <string.h>

#define NODES 3

struct kit {
    struct keys_talk *talk[NODES];
    bool stores[NODES]; /* its disk works */
    bool cut[NODES];
    unsigned messages;
    uint64_t now_ns;
};

static struct kit kit;

static uint64_t inc_of(int i)
{
    return 100 + (uint64_t)i;
}

static void meet(int a, int b)
{
    keys_talk_met(kit.talk[a], inc_of(b), keys_talk_now(kit.talk[a])->active);
    keys_talk_met(kit.talk[b], inc_of(a), keys_talk_now(kit.talk[b])->active);
}

static int set_up(void **state)
{
    (void)state;
    uint8_t secret[KEY_SECRET_BYTES] = {1};
    struct keys k;
    keys_init(&k, secret);
    k.lasting_known = true;
    kit = (struct kit){.now_ns = 1};
    for (int i = 0; i < NODES; i++) {
        kit.talk[i] = keys_talk_new(&k);
        kit.stores[i] = true;
    }
    meet(0, 1);
    meet(1, 2);
    meet(0, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        keys_talk_free(kit.talk[i]);
    return 0;
}

static bool step(int i)
{
    uint8_t bytes[KEYS_MESSAGE_MAX];
    struct keys k;
    uint64_t to;
    size_t len;
    bool did = false;
    while (keys_talk_next(kit.talk[i], kit.now_ns, &to, bytes, &len)) {
        int j = (int)(to - 100);
        kit.messages++;
        did = true;
        if (!kit.cut[i] && !kit.cut[j])
            assert_true(keys_talk_message(kit.talk[j], inc_of(i), bytes, len));
    }
    while (keys_talk_store(kit.talk[i], kit.now_ns, &k)) {
        keys_talk_stored(kit.talk[i], kit.stores[i], kit.now_ns);
        did = true;
    }
    return did;
}

/* Until all are quiet, for so long. */
static void run(uint64_t for_ns)
{
    for (uint64_t until_ns = kit.now_ns + for_ns; kit.now_ns < until_ns;
         kit.now_ns += 100 * NS_PER_MS)
        for (int rounds = 0; (step(0) | step(1) | step(2)) && rounds < 100; rounds++)
            assert_in_range(rounds, 0, 50);
}

static uint64_t add(int i, uint8_t seed)
{
    uint8_t secret[KEY_SECRET_BYTES] = {seed, seed};
    struct keys k;
    uint64_t mark;
    keys_talk_wanted(kit.talk[i], &k);
    assert_int_equal(keys_add(&k, secret, false, &mark), STEAD_OK);
    keys_talk_want(kit.talk[i], &k);
    return mark;
}

static const struct key_generation *has(int i, uint64_t mark)
{
    return keys_find(keys_talk_now(kit.talk[i]), mark);
}

static void all_learn_and_fall_silent(void **state)
{
    (void)state;
    run(NS_PER_S);
    uint64_t two = add(0, 2);
    assert_null(has(0, two)); /* not before it is stored */
    run(NS_PER_S);
    for (int i = 0; i < NODES; i++)
        assert_non_null(has(i, two));
    run(5 * NS_PER_S);
    unsigned before = kit.messages;
    run(60 * NS_PER_S);
    assert_int_equal(kit.messages, before);
}

static void who_cannot_store_does_not_say_that_it_has(void **state)
{
    (void)state;
    struct keys_peer p;
    struct keys_stats stats;
    run(NS_PER_S);
    kit.stores[2] = false;
    uint64_t two = add(0, 2);
    run(20 * NS_PER_S);
    assert_null(has(2, two));
    keys_talk_peer(kit.talk[0], inc_of(2), two, &p);
    assert_true(p.told && !p.has);
    keys_talk_peer(kit.talk[0], inc_of(1), two, &p);
    assert_true(p.told && p.has && !p.active && p.active_number == 1);
    keys_talk_stats(kit.talk[2], &stats);
    assert_in_range(stats.store_failed, 2, 6); /* paced */
    kit.stores[2] = true;
    run(10 * NS_PER_S);
    assert_non_null(has(2, two));
}

static void one_that_was_away_gets_it_when_it_is_met(void **state)
{
    (void)state;
    run(NS_PER_S);
    kit.cut[2] = true;
    keys_talk_gone(kit.talk[0], inc_of(2));
    keys_talk_gone(kit.talk[1], inc_of(2));
    uint64_t one = keys_talk_now(kit.talk[0])->active, two = add(0, 2);
    run(NS_PER_S);
    struct keys k;
    keys_talk_wanted(kit.talk[1], &k);
    assert_int_equal(keys_activate(&k, two), STEAD_OK);
    keys_talk_want(kit.talk[1], &k);
    run(NS_PER_S);
    assert_true(keys_talk_now(kit.talk[0])->active == two);
    /* It proves itself under the old one: so it is spoken to under that, until it has the other. */
    kit.cut[2] = false;
    keys_talk_met(kit.talk[0], inc_of(2), one);
    assert_true(keys_talk_mark(kit.talk[0], inc_of(2)) == one);
    assert_true(keys_talk_mark(kit.talk[0], inc_of(1)) == two);
    run(5 * NS_PER_S);
    assert_true(keys_talk_now(kit.talk[2])->active == two);
    assert_true(keys_talk_mark(kit.talk[0], inc_of(2)) == two);
    assert_true(keys_talk_mark(kit.talk[2], inc_of(0)) == two);
}

static void uses_are_told_and_end(void **state)
{
    (void)state;
    struct keys_peer p;
    run(NS_PER_S);
    uint64_t one = keys_talk_now(kit.talk[0])->active;
    keys_talk_used(kit.talk[2], one, kit.now_ns);
    assert_true(keys_talk_uses(kit.talk[2], one));
    run(3 * NS_PER_S);
    keys_talk_peer(kit.talk[0], inc_of(2), one, &p);
    assert_true(p.uses);
    run(KEYS_USE_NS + 3 * NS_PER_S);
    assert_false(keys_talk_uses(kit.talk[2], one));
    keys_talk_peer(kit.talk[0], inc_of(2), one, &p);
    assert_false(p.uses);
}

static void strangers_and_rubbish(void **state)
{
    (void)state;
    struct keys_stats stats;
    struct keys_peer p;
    static const uint8_t rubbish[] = {1, 2, 3};
    assert_false(keys_talk_message(kit.talk[0], inc_of(1), rubbish, sizeof rubbish));
    keys_talk_stats(kit.talk[0], &stats);
    assert_int_equal(stats.malformed, 1);
    keys_talk_peer(kit.talk[0], 999, 1, &p);
    assert_false(p.told);
    assert_true(keys_talk_mark(kit.talk[0], 999) == keys_talk_now(kit.talk[0])->active);
    keys_talk_gone(kit.talk[0], 999);
    /* Without memory for a peer it is still spoken to. */
    mem_fail_after(1);
    keys_talk_met(kit.talk[0], 999, 1);
    mem_fail_after(0);
    assert_true(keys_talk_mark(kit.talk[0], 999) == keys_talk_now(kit.talk[0])->active);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_learn_and_fall_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_cannot_store_does_not_say_that_it_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_away_gets_it_when_it_is_met, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(uses_are_told_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_and_rubbish, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
