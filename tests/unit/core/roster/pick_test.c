/* pick_test.c - who is picked how often, and who never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/roster/pick.h"

#include <stdio.h>
#include <string.h>

#define DRAWS 4000

static struct roster *farm_of(size_t count)
{
    struct roster *r = roster_blank(count, ENTRY_SERVERS_MAX);
    assert_non_null(r);
    for (size_t i = 0; i < count; i++) {
        struct roster_node *n = &r->nodes[i];
        snprintf(n->entry->name, sizeof n->entry->name, "s%zu", i);
        n->status = STATUS_UP;
        n->entry->server_count = 1;
        strcpy(n->entry->servers[0].service, "shop");
        n->entry->servers[0].weight = 10;
        n->entry->servers[0].healthy = true;
    }
    return r;
}

static void draw(const struct roster *r, enum policy p, const struct pick_filter *f, bool last,
                 unsigned *hits)
{
    struct pick_choice c;
    memset(hits, 0, r->count * sizeof *hits);
    for (uint64_t i = 0; i < DRAWS; i++) {
        if (pick(r, f, p, last, i, &c))
            hits[c.node - r->nodes]++;
    }
}

static void near(unsigned got, double share)
{
    assert_true(got > DRAWS * share * 0.85 && got < DRAWS * share * 1.15);
}

static const struct pick_filter shop = {.service = "shop"};

static void test_names(void **state)
{
    (void)state;
    enum policy p;
    for (int i = POLICY_TWO_CHOICES; i <= POLICY_LEAST_USERS; i++) {
        assert_true(policy_parse(policy_name((enum policy)i), &p));
        assert_int_equal(p, i);
    }
    assert_false(policy_parse("fastest", &p));
}

static void test_weights(void **state)
{
    (void)state;
    unsigned hits[3];
    struct roster *r = farm_of(3);
    r->nodes[0].entry->servers[0].weight = 60;
    r->nodes[1].entry->servers[0].weight = 30;
    draw(r, POLICY_WEIGHTED, &shop, false, hits);
    near(hits[0], 0.6);
    near(hits[1], 0.3);
    near(hits[2], 0.1);
    draw(r, POLICY_RANDOM, &shop, false, hits);
    for (size_t i = 0; i < 3; i++)
        near(hits[i], 1.0 / 3);
    roster_unref(r);
}

static void test_two_choices_prefer_less_load(void **state)
{
    (void)state;
    unsigned hits[3];
    struct roster *r = farm_of(3);
    r->nodes[0].entry->servers[0].users = 30;
    r->nodes[1].entry->servers[0].users = 20;
    r->nodes[2].entry->servers[0].users = 10;
    draw(r, POLICY_TWO_CHOICES, &shop, false, hits);
    /* Of three pairs the least loaded is in two, the most loaded never wins. */
    assert_int_equal(hits[0], 0);
    near(hits[1], 1.0 / 3);
    near(hits[2], 2.0 / 3);
    r->nodes[0].entry->servers[0].weight = 100; /* 30 users on 100 are few */
    draw(r, POLICY_TWO_CHOICES, &shop, false, hits);
    assert_true(hits[0] > hits[1] && hits[0] > hits[2]);
    roster_unref(r);
}

/* All that choose by the same old counts would else choose the same one. */
static void test_two_choices_draw_between_level_servers(void **state)
{
    (void)state;
    unsigned hits[2];
    struct roster *r = farm_of(2);
    r->nodes[0].entry->servers[0].users = 509;
    r->nodes[1].entry->servers[0].users = 491;
    draw(r, POLICY_TWO_CHOICES, &shop, false, hits);
    near(hits[0], 1.0 / 2);
    near(hits[1], 1.0 / 2);
    r->nodes[1].entry->servers[0].users = 450;
    draw(r, POLICY_TWO_CHOICES, &shop, false, hits);
    assert_int_equal(hits[0], 0);
    roster_unref(r);
}

static void test_least_users(void **state)
{
    (void)state;
    unsigned hits[4];
    struct roster *r = farm_of(4);
    for (size_t i = 0; i < 4; i++)
        r->nodes[i].entry->servers[0].users = 8;
    r->nodes[1].entry->servers[0].users = 6;
    draw(r, POLICY_LEAST_USERS, &shop, false, hits);
    assert_int_equal(hits[1], DRAWS);
    r->nodes[3].entry->servers[0].users = 60;
    r->nodes[3].entry->servers[0].weight = 100;
    draw(r, POLICY_LEAST_USERS, &shop, false, hits);
    near(hits[1], 0.5);
    near(hits[3], 0.5);
    roster_unref(r);
}

static void test_who_is_left_out(void **state)
{
    (void)state;
    static const char *const names[] = {"s6"};
    struct pick_filter f = {.service = "shop", .exclude = names, .exclude_count = 1};
    struct pick_choice out[9], c;
    struct roster *r = farm_of(9);
    r->nodes[0].status = STATUS_DOWN;
    r->nodes[1].status = STATUS_DRAINING;
    r->nodes[2].status = STATUS_JOINING;
    r->nodes[3].entry->servers[0].weight = 0;
    r->nodes[4].entry->servers[0].capacity = r->nodes[4].entry->servers[0].users = 5;
    strcpy(r->nodes[5].entry->servers[0].service, "chat");
    /* s6 is excluded by name */
    r->nodes[7].entry->servers[0].healthy = false;
    assert_int_equal(pick_candidates(r, &f, true, out, 9), 1);
    assert_ptr_equal(out[0].node, &r->nodes[8]);
    for (int p = POLICY_TWO_CHOICES; p <= POLICY_LEAST_USERS; p++) {
        for (uint64_t i = 0; i < 50; i++) {
            assert_true(pick(r, &f, (enum policy)p, true, i, &c));
            assert_ptr_equal(c.node, &r->nodes[8]);
        }
    }
    r->nodes[8].status = STATUS_LEFT;
    assert_false(pick(r, &f, POLICY_TWO_CHOICES, false, 1, &c));
    assert_int_equal(pick_candidates(r, &f, false, out, 9), 0);
    /* The last resort: better one that may be down than none. */
    assert_true(pick(r, &f, POLICY_TWO_CHOICES, true, 1, &c));
    assert_ptr_equal(c.node, &r->nodes[7]);
    roster_unref(r);
}

static void test_group_and_zone(void **state)
{
    (void)state;
    struct pick_choice c, out[2];
    struct roster *r = farm_of(3);
    strcpy(r->nodes[1].entry->groups[0], "blue");
    r->nodes[1].entry->group_count = 1;
    strcpy(r->nodes[2].entry->zone, "north");
    struct pick_filter blue = {.service = "shop", .group = "blue"};
    struct pick_filter north = {.service = "shop", .zone = "north"};
    struct pick_filter both = {.service = "shop", .group = "blue", .zone = "north"};
    assert_true(pick(r, &blue, POLICY_RANDOM, false, 5, &c));
    assert_ptr_equal(c.node, &r->nodes[1]);
    assert_true(pick(r, &north, POLICY_RANDOM, false, 5, &c));
    assert_ptr_equal(c.node, &r->nodes[2]);
    assert_false(pick(r, &both, POLICY_RANDOM, true, 5, &c));
    assert_int_equal(pick_candidates(r, &shop, false, out, 2), 2); /* no more than there is room */
    roster_unref(r);
}

/* Every policy, over farms of many shapes: what is prepared draws what a walk draws. */
static void test_a_settled_snapshot_draws_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"s03", "s00", "nobody", "s12"};
    uint32_t seed = 1;
    for (size_t count = 1; count < 40; count += 3) {
        struct roster *r = farm_of(count), *settled = roster_new(count);
        assert_non_null(settled);
        for (size_t i = 0; i < count; i++) {
            struct entry *e = r->nodes[i].entry;
            seed = seed * 1664525 + 1013904223;
            snprintf(e->name, sizeof e->name, "s%02zu", i);
            e->servers[0].weight = seed >> 28;
            e->servers[0].users = (seed >> 20) % 50;
            e->servers[0].healthy = (seed >> 16) % 4 != 0;
            if (i % 7 == 0) {
                e->servers[e->server_count] = e->servers[0];
                strcpy(e->servers[e->server_count++].service, "chat");
            }
        }
        for (size_t i = 0; i < count; i++)
            settled->nodes[i] = (struct roster_node){.entry = entry_ref(r->nodes[i].entry),
                                                     .status = r->nodes[i].status};
        roster_settle(settled);
        for (size_t excluded = 0; excluded <= 4; excluded++) {
            struct pick_filter f = {.service = excluded % 2 ? "chat" : "shop",
                                    .exclude = names,
                                    .exclude_count = excluded};
            for (int p = POLICY_TWO_CHOICES; p < POLICY_LEAST_USERS; p++) {
                for (uint64_t chance = 0; chance < 60; chance++) {
                    struct pick_choice a, b;
                    bool some = pick(r, &f, (enum policy)p, true, chance, &a);
                    assert_int_equal(pick(settled, &f, (enum policy)p, true, chance, &b), some);
                    if (some) {
                        assert_ptr_equal(a.node->entry, b.node->entry);
                        assert_int_equal(a.server - a.node->entry->servers,
                                         b.server - b.node->entry->servers);
                    }
                }
            }
        }
        roster_unref(r);
        roster_unref(settled);
    }
}

static void test_a_settled_snapshot_spreads_over_the_least(void **state)
{
    (void)state;
    unsigned hits[4];
    static const char *const names[] = {"s1", "s3"};
    struct roster *r = farm_of(4);
    for (size_t i = 0; i < 4; i++)
        r->nodes[i].entry->servers[0].users = 8;
    r->nodes[1].entry->servers[0].users = r->nodes[3].entry->servers[0].users = 6;
    roster_settle(r);
    draw(r, POLICY_LEAST_USERS, &shop, false, hits);
    near(hits[1], 0.5);
    near(hits[3], 0.5);
    struct pick_filter f = {.service = "shop", .exclude = names, .exclude_count = 1};
    draw(r, POLICY_LEAST_USERS, &f, false, hits);
    assert_int_equal(hits[3], DRAWS);
    f.exclude_count = 2; /* all of the least: the others are looked through */
    draw(r, POLICY_LEAST_USERS, &f, false, hits);
    near(hits[0], 0.5);
    near(hits[2], 0.5);
    roster_unref(r);
}

static void test_without_memory_it_walks(void **state)
{
    (void)state;
    struct pick_choice c;
    for (unsigned n = 1; n < 12; n++) {
        struct roster *r = farm_of(5);
        roster_settle(r);
        mem_fail_after(n);
        assert_true(pick(r, &shop, POLICY_WEIGHTED, false, n, &c));
        mem_fail_after(0);
        assert_true(pick(r, &shop, POLICY_WEIGHTED, false, n, &c));
        roster_unref(r);
    }
}

/* Keys stay where they are when others come and go, and are shared by weight. */
static void test_by_key(void **state)
{
    (void)state;
    enum { KEYS = 6000 };
    struct roster *r = farm_of(4);
    const struct pick_filter f = {.service = "shop"};
    static const struct roster_node *before[KEYS];
    struct pick_choice c;
    unsigned hits[4] = {0}, moved = 0;
    for (size_t i = 0; i < 4; i++)
        r->nodes[i].entry->node = 1000 + i;
    r->nodes[3].entry->servers[0].weight = 30;
    for (uint64_t k = 0; k < KEYS; k++) {
        assert_true(pick_by_key(r, &f, k, &c));
        before[k] = c.node;
        hits[c.node - r->nodes]++;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(hits[i], KEYS / 6 - 150, KEYS / 6 + 150);
    assert_in_range(hits[3], KEYS / 2 - 150, KEYS / 2 + 150);
    r->nodes[1].status = STATUS_DOWN;
    for (uint64_t k = 0; k < KEYS; k++) {
        assert_true(pick_by_key(r, &f, k, &c));
        assert_ptr_not_equal(c.node, &r->nodes[1]);
        if (before[k] != &r->nodes[1])
            assert_ptr_equal(c.node, before[k]);
        moved += c.node != before[k];
    }
    assert_int_equal(moved, hits[1]);
    for (size_t i = 0; i < 4; i++)
        r->nodes[i].status = STATUS_DRAINING;
    assert_false(pick_by_key(r, &f, 1, &c));
    roster_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_key),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_two_choices_prefer_less_load),
        cmocka_unit_test(test_two_choices_draw_between_level_servers),
        cmocka_unit_test(test_least_users),
        cmocka_unit_test(test_who_is_left_out),
        cmocka_unit_test(test_group_and_zone),
        cmocka_unit_test(test_a_settled_snapshot_draws_the_same),
        cmocka_unit_test(test_a_settled_snapshot_spreads_over_the_least),
        cmocka_unit_test(test_without_memory_it_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
