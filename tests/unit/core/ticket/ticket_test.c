/* ticket_test.c - the keys of a farm's tickets over time and nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ticket/ticket.h"

#include <stdio.h>
#include <string.h>

#define NOON 1767268800u /* at a period's begin */

static const uint8_t secret[TICKET_SECRET_BYTES] = "a secret that the whole farm has";
static const uint8_t other_secret[TICKET_SECRET_BYTES] = "the secret of quite another farm";

static void ring_at(struct ticket_ring *r, const uint8_t *with, uint64_t node, uint64_t now_s)
{
    ticket_ring_init(r, with, node);
    assert_true(ticket_ring_turn(r, now_s));
}

static void every_node_opens_what_another_has_sealed(void **state)
{
    struct ticket_ring a, b;
    struct ticket_origin origin;
    uint8_t name[TICKET_NAME_BYTES];
    (void)state;
    ring_at(&a, secret, 1, NOON);
    ring_at(&b, secret, 2, NOON + TICKET_PERIOD_S - 1);
    const struct ticket_key *seals = ticket_ring_seal(&a, name);
    const struct ticket_key *opens = ticket_ring_open(&b, name, &origin);
    assert_non_null(seals);
    assert_non_null(opens);
    assert_memory_equal(seals, opens, sizeof *seals);
    assert_true(origin.current);
    assert_false(origin.own);
    assert_ptr_equal(ticket_ring_open(&a, name, &origin), seals);
    assert_true(origin.own);
    assert_memory_not_equal(seals->cipher, seals->mac, TICKET_KEY_BYTES);
}

static void another_farm_opens_nothing(void **state)
{
    struct ticket_ring a, b;
    struct ticket_origin origin;
    uint8_t name[TICKET_NAME_BYTES];
    (void)state;
    ring_at(&a, secret, 1, NOON);
    ring_at(&b, other_secret, 1, NOON);
    assert_non_null(ticket_ring_seal(&a, name));
    assert_null(ticket_ring_open(&b, name, &origin));
    name[TICKET_KEY_NAME_BYTES - 1] ^= 1;
    assert_null(ticket_ring_open(&a, name, &origin));
}

/* From a ticket's making at a period's last second to its end, and no longer than the ring says;
 * also by clocks that are a period away. */
static void keys_last_as_long_as_tickets_and_clocks_may_differ(void **state)
{
    struct ticket_ring a, b;
    struct ticket_origin origin;
    uint8_t name[TICKET_NAME_BYTES];
    const uint64_t sealed = NOON + TICKET_PERIOD_S - 1, skew = TICKET_PERIOD_S;
    (void)state;
    ring_at(&a, secret, 1, sealed);
    assert_non_null(ticket_ring_seal(&a, name));
    ring_at(&b, secret, 2, sealed - skew); /* its clock is behind */
    assert_non_null(ticket_ring_open(&b, name, &origin));
    assert_false(origin.current);
    for (uint64_t age = 0; age <= TICKET_LIFE_S + skew; age += 600) {
        assert_true(ticket_ring_turn(&b, sealed + age));
        assert_non_null(ticket_ring_open(&b, name, &origin));
        assert_int_equal(origin.current, age == 0);
    }
    assert_true(ticket_ring_turn(&b, sealed + (uint64_t)TICKET_PERIOD_S * (TICKET_PAST + 1)));
    assert_null(ticket_ring_open(&b, name, &origin));
    ring_at(&b, secret, 2, sealed - 2 * skew);
    assert_null(ticket_ring_open(&b, name, &origin));
}

static void each_period_has_keys_of_its_own(void **state)
{
    struct ticket_ring r;
    (void)state;
    ring_at(&r, secret, 1, 0); /* a clock that was never set */
    for (size_t i = 0; i < TICKET_KEYS; i++)
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(r.keys[i].name, r.keys[k].name, TICKET_KEY_NAME_BYTES);
            assert_memory_not_equal(r.keys[i].cipher, r.keys[k].cipher, TICKET_KEY_BYTES);
            assert_memory_not_equal(r.keys[i].mac, r.keys[k].mac, TICKET_KEY_BYTES);
        }
    struct ticket_key present = r.keys[1], next = r.keys[0];
    assert_true(ticket_ring_turn(&r, TICKET_PERIOD_S));
    assert_memory_equal(&r.keys[1], &next, sizeof next);
    assert_memory_equal(&r.keys[2], &present, sizeof present);
    assert_true(ticket_ring_turn(&r, 0)); /* a clock that was put back */
    assert_memory_equal(&r.keys[1], &present, sizeof present);
    assert_true(ticket_ring_turn(&r, UINT64_MAX));
}

static void two_rings_that_are_joined_open_what_either_seals(void **state)
{
    struct ticket_ring a, b, late;
    struct ticket_origin origin;
    uint8_t name[TICKET_NAME_BYTES], before[TICKET_NAME_BYTES];
    (void)state;
    ring_at(&late, other_secret, 2, NOON - TICKET_PERIOD_S);
    assert_non_null(ticket_ring_seal(&late, before));
    ring_at(&a, secret, 1, NOON);
    ring_at(&b, other_secret, 2, NOON);
    const struct ticket_key *seals = ticket_ring_seal(&b, name);
    ticket_ring_join(&a, &b);
    const struct ticket_key *opens = ticket_ring_open(&a, name, &origin);
    assert_non_null(opens);
    assert_memory_equal(opens, seals, sizeof *seals);
    assert_false(origin.current);
    assert_non_null(ticket_ring_open(&a, before, &origin));
    /* What seals is still its own, and opens one period on. */
    assert_non_null(ticket_ring_seal(&a, name));
    assert_null(ticket_ring_open(&b, name, &origin));
    assert_true(ticket_ring_turn(&a, NOON + TICKET_PERIOD_S));
    assert_true(ticket_ring_turn(&b, NOON + TICKET_PERIOD_S));
    ticket_ring_join(&a, &b);
    assert_non_null(ticket_ring_open(&a, name, &origin));
}

static void before_the_first_turn_and_after_its_end_there_is_nothing(void **state)
{
    struct ticket_ring r, zero;
    struct ticket_origin origin;
    uint8_t name[TICKET_NAME_BYTES] = {0};
    (void)state;
    ticket_ring_init(&r, secret, 1);
    assert_null(ticket_ring_seal(&r, name));
    assert_null(ticket_ring_open(&r, name, &origin));
    assert_true(ticket_ring_turn(&r, NOON));
    ticket_ring_deinit(&r);
    memset(&zero, 0, sizeof zero);
    assert_memory_equal(&r, &zero, sizeof zero);
}

static void ids_are_what_stands_in_front_of_tickets(void **state)
{
    struct ticket_ring r;
    uint8_t name[TICKET_NAME_BYTES];
    char seals[TICKET_ID_MAX], later[TICKET_ID_MAX], text[TICKET_ID_MAX];
    (void)state;
    ring_at(&r, secret, 1, NOON);
    assert_non_null(ticket_ring_seal(&r, name));
    ticket_ring_id(&r, 1, seals);
    snprintf(text, sizeof text, "%02x%02x%02x%02x", name[0], name[1], name[2], name[3]);
    assert_string_equal(seals, text);
    ticket_ring_id(&r, 0, later);
    assert_string_not_equal(seals, later);
    /* The next one becomes the one that seals. */
    assert_true(ticket_ring_turn(&r, NOON + TICKET_PERIOD_S));
    ticket_ring_id(&r, 1, text);
    assert_string_equal(text, later);
    ticket_ring_id(&r, 2, text);
    assert_string_equal(text, seals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_opens_what_another_has_sealed),
        cmocka_unit_test(another_farm_opens_nothing),
        cmocka_unit_test(keys_last_as_long_as_tickets_and_clocks_may_differ),
        cmocka_unit_test(each_period_has_keys_of_its_own),
        cmocka_unit_test(two_rings_that_are_joined_open_what_either_seals),
        cmocka_unit_test(before_the_first_turn_and_after_its_end_there_is_nothing),
        cmocka_unit_test(ids_are_what_stands_in_front_of_tickets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
