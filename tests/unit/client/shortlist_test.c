/* shortlist_test.c - where a client may go, by every policy and every wish; URLs that lead astray.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/shortlist.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define DRAWS 3000

static struct roster *roster;
static struct allow allow;
static struct penalty box;
static struct wish wish;

static struct server *server(size_t i)
{
    return &roster->nodes[i].entry->servers[0];
}

static int setup(void **state)
{
    (void)state;
    roster = roster_blank(4, 1);
    assert_non_null(roster);
    for (size_t i = 0; i < 4; i++) {
        struct entry *e = roster->nodes[i].entry;
        snprintf(e->name, sizeof e->name, "s%zu", i);
        strcpy(server(i)->service, "shop");
        snprintf(server(i)->urls[0], URL_MAX_BYTES, "http://s%zu.shop.test:8080", i);
        server(i)->url_count = e->server_count = 1;
        server(i)->weight = 10;
        server(i)->healthy = true;
        server(i)->load = LOAD_UNKNOWN;
        roster->nodes[i].status = STATUS_UP;
    }
    assert_true(allow_init(&allow, "www.shop.test", NULL, false));
    box = (struct penalty){0};
    wish = (struct wish){.service = "shop", .allow = &allow, .penalty = &box, .now_ms = 1000};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    roster_unref(roster);
    return 0;
}

static void draw(enum policy p, unsigned hits[4])
{
    struct pick_choice c;
    memset(hits, 0, 4 * sizeof *hits);
    wish.policy = p;
    for (uint64_t i = 0; i < DRAWS; i++) {
        assert_int_equal(shortlist_pick(&wish, roster, i, &c, NULL), STEAD_OK);
        assert_ptr_equal(&c.node->entry->servers[0], c.server);
        hits[c.node - roster->nodes]++;
    }
}

static void near(unsigned hits, unsigned expected)
{
    assert_in_range(hits, expected * 8 / 10, expected * 12 / 10);
}

static void test_policies(void **state)
{
    (void)state;
    unsigned hits[4];
    draw(POLICY_RANDOM, hits);
    near(hits[0], DRAWS / 4);
    near(hits[3], DRAWS / 4);
    server(0)->weight = 30;
    server(1)->weight = 0;
    draw(POLICY_WEIGHTED, hits);
    near(hits[0], DRAWS * 3 / 5);
    near(hits[2], DRAWS / 5);
    assert_int_equal(hits[1], 0);
    server(0)->users = 29; /* at weight 30 less than 10 at weight 10 */
    server(2)->users = server(3)->users = 10;
    draw(POLICY_LEAST_USERS, hits);
    assert_int_equal(hits[0], DRAWS);
    server(2)->users = 500; /* never less loaded than the other one that is drawn */
    draw(POLICY_TWO_CHOICES, hits);
    assert_int_equal(hits[2], 0);
    assert_true(hits[0] > 0 && hits[3] > 0);
}

/* A farm that tells no counts tells loads in steps. */
static void test_loads_without_counts(void **state)
{
    (void)state;
    unsigned hits[4];
    for (size_t i = 0; i < 4; i++)
        server(i)->load = i == 2 ? 250 : 750;
    draw(POLICY_LEAST_USERS, hits);
    assert_int_equal(hits[2], DRAWS);
    draw(POLICY_TWO_CHOICES, hits);
    near(hits[2], DRAWS / 2);
}

/* Each policy holds within the filters. */
static void test_wishes(void **state)
{
    (void)state;
    static const char *const not_s1[] = {"s1"};
    unsigned hits[4];
    strcpy(roster->nodes[0].entry->zone, "z1");
    strcpy(roster->nodes[1].entry->zone, "z1");
    strcpy(roster->nodes[1].entry->groups[0], "gold");
    strcpy(roster->nodes[2].entry->groups[0], "gold");
    roster->nodes[1].entry->group_count = roster->nodes[2].entry->group_count = 1;
    for (int p = POLICY_TWO_CHOICES; p <= POLICY_LEAST_USERS; p++) {
        wish = (struct wish){.service = "shop", .allow = &allow, .zone = "z1"};
        draw((enum policy)p, hits);
        assert_int_equal(hits[0] + hits[1], DRAWS);
        wish.group = "gold";
        draw((enum policy)p, hits);
        assert_int_equal(hits[1], DRAWS);
        wish.zone = NULL;
        wish.exclude = not_s1;
        wish.exclude_count = 1;
        draw((enum policy)p, hits);
        assert_int_equal(hits[2], DRAWS);
        roster->nodes[2].status = STATUS_DRAINING;
        struct pick_choice c;
        assert_int_equal(shortlist_pick(&wish, roster, 1, &c, NULL), STEAD_E_NO_SERVER);
        roster->nodes[2].status = STATUS_UP;
    }
}

static void test_verdicts(void **state)
{
    (void)state;
    const char to[1][NAME_MAX_BYTES + 1] = {"s0"};
    const struct roster_node *n = &roster->nodes[0];
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_CANDIDATE);
    wish.leave = "s0";
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_EXCLUDED);
    wish.leave = NULL;
    wish.only = to;
    wish.only_count = 1;
    assert_int_equal(shortlist_judge(&wish, &roster->nodes[1]), VERDICT_NOT_NAMED);
    penalty_add(&box, "s0", 2000);
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_PENALTY);
    wish.now_ms = 2000;
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_CANDIDATE);
    server(0)->healthy = false;
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_SUSPECT);
    roster->nodes[0].status = STATUS_MAINT;
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_STATUS);
    server(0)->weight = 0;
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_WEIGHT);
    server(0)->url_count = 0;
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_URL);
    wish.group = "gold";
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_GROUP);
    wish.service = "mail";
    assert_int_equal(shortlist_judge(&wish, n), VERDICT_SERVICE);
    server(1)->capacity = server(1)->users = 5;
    wish = (struct wish){.service = "shop", .allow = &allow};
    assert_int_equal(shortlist_judge(&wish, &roster->nodes[1]), VERDICT_FULL);
    assert_string_equal(verdict_text(VERDICT_FULL), "full");
    assert_string_equal(verdict_text((enum verdict)99), "unknown");
}

/* Up before suspect, suspect before what failed lately, and that before nobody. */
static void test_order(void **state)
{
    (void)state;
    struct pick_choice c;
    struct shortlist_why why;
    for (size_t i = 1; i < 4; i++)
        roster->nodes[i].status = STATUS_DOWN;
    roster->nodes[1].status = STATUS_SUSPECT;
    penalty_add(&box, "s0", 9000);
    assert_int_equal(shortlist_pick(&wish, roster, 1, &c, &why), STEAD_OK);
    assert_string_equal(c.node->entry->name, "s1");
    assert_int_equal(why.among, VERDICT_SUSPECT);
    roster->nodes[1].status = STATUS_DOWN;
    assert_int_equal(shortlist_pick(&wish, roster, 1, &c, &why), STEAD_OK);
    assert_string_equal(c.node->entry->name, "s0");
    mem_fail_after(1);
    assert_int_equal(shortlist_pick(&wish, roster, 1, &c, &why), STEAD_E_NOMEM);
    mem_fail_after(0);
}

/* What a choice says that it compared is what it compared. */
static void test_why(void **state)
{
    (void)state;
    struct pick_choice c;
    struct shortlist_why why;
    for (size_t i = 0; i < 4; i++)
        server(i)->users = (uint32_t)(i * 5);
    for (uint64_t chance = 0; chance < 300; chance++) {
        assert_int_equal(shortlist_pick(&wish, roster, chance, &c, &why), STEAD_OK);
        assert_int_equal(why.drawn_count, 2);
        const struct pick_choice *other = &why.drawn[why.drawn[0].node == c.node];
        assert_true(why.drawn[0].node == c.node || why.drawn[1].node == c.node);
        assert_true(c.server->users < other->server->users);
    }
}

static void test_penalty_box(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < PENALTY_SERVERS_MAX + 1; i++) {
        snprintf(name, sizeof name, "s%d", i);
        penalty_add(&box, name, (uint64_t)(100 + i));
    }
    assert_false(penalty_has(&box, "s0", 0)); /* ended soonest: made room */
    assert_true(penalty_has(&box, "s1", 0));
    assert_false(penalty_has(&box, "s1", 101));
    penalty_add(&box, "s1", 500);
    assert_true(penalty_has(&box, "s1", 101));
    assert_false(penalty_has(&box, "s1", 500));
}

static bool may_follow(const char *host, const char *suffix, bool tls, const char *url)
{
    struct allow a;
    struct http_url u;
    struct server s = {.url_count = 1};
    assert_true(allow_init(&a, host, suffix, tls));
    snprintf(s.urls[0], sizeof s.urls[0], "%s", url);
    return allow_url(&a, &s, tls, &u);
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host, *suffix;
        bool tls;
        const char *url;
        bool may;
    } cases[] = {
        {"www.shop.test", NULL, false, "http://s1.shop.test:8080", true},
        {"www.shop.test", NULL, false, "http://S1.EU.Shop.TEST", true},
        {"www.shop.test", NULL, false, "http://shop.test", true},
        {"www.shop.test", NULL, false, "http://evilshop.test", false},
        {"www.shop.test", NULL, false, "http://shop.test.evil.test", false},
        {"www.shop.test", NULL, false, "http://127.0.0.1:22", false},
        {"www.shop.test", NULL, false, "http://s1.shop.test.", true},
        {"shop.test", NULL, false, "http://other.test", false},
        {"shop.test", NULL, false, "http://s1.shop.test", false},
        {"localhost", NULL, false, "http://localhost:81", true},
        {"localhost", NULL, false, "http://s1.localhost", false},
        {"127.0.0.1", NULL, false, "http://127.0.0.1:81", true},
        {"127.0.0.1", NULL, false, "http://9.127.0.0.1.test", false},
        {"10.0.0.1", NULL, false, "http://99.0.0.1", false},
        {"127.0.0.1", ".shop.test", false, "http://s1.shop.test", true},
        {"www.shop.test", "other.test", false, "http://s1.shop.test", false},
        {"www.shop.test", "*", false, "http://anywhere.example", true},
        {"www.shop.test", NULL, true, "http://s1.shop.test", false},
        {"www.shop.test", NULL, true, "https://s1.shop.test", true},
        {"www.shop.test", NULL, false, "https://s1.shop.test", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (may_follow(cases[i].host, cases[i].suffix, cases[i].tls, cases[i].url) != cases[i].may)
            fail_msg("%s from %s", cases[i].url, cases[i].host);
    char long_suffix[300];
    memset(long_suffix, 'a', 299);
    long_suffix[299] = 0;
    assert_false(allow_init(&allow, "a", long_suffix, false));
    assert_false(allow_init(&allow, "a", ".", false));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_policies), test(test_loads_without_counts),
        test(test_wishes),   test(test_verdicts),
        test(test_order),    test(test_why),
        test(test_hosts),    test(test_penalty_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
