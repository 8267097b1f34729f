/* tcp_target_test.c - who gets which server, in a roster of three. */
#include "role/director/tcp_target.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NODES 3

static struct roster *roster;
static struct tcp_target_rule rule;
static struct tcp_target_view view;
static struct tcp_target got;

static struct server *server_of(size_t node)
{
    return &roster->nodes[node].entry->servers[0];
}

/* s1, which is this node, s2 and s3, each with a server of the service. */
static int set_up(void **state)
{
    (void)state;
    roster = roster_blank(NODES, 1);
    assert_non_null(roster);
    for (size_t i = 0; i < NODES; i++) {
        struct roster_node *n = &roster->nodes[i];
        n->entry->node = i + 1;
        memcpy(n->entry->name, (char[]){'s', (char)('1' + i), 0}, 3);
        n->entry->address = (struct addr){4, 7300, {127, 0, 0, (uint8_t)(i + 1)}};
        n->entry->server_count = 1;
        n->status = STATUS_UP;
        n->self = i == 0;
        struct server *s = server_of(i);
        memcpy(s->service, "db", 3);
        s->weight = 100;
        s->healthy = true;
        s->url_count = 1;
        strncpy(s->urls[0], "tcp://s1.db.test:5432", URL_MAX_BYTES);
        s->urls[0][7] = (char)('1' + i);
    }
    rule = (struct tcp_target_rule){.service = "db", .backup = "s3", .own = true};
    view = (struct tcp_target_view){.roster = roster, .self_name = "s1", .own_good = true};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    roster_unref(roster);
    return 0;
}

static void expect(enum tcp_verdict verdict, const char *why, const char *node)
{
    tcp_target(&rule, &view, &got);
    assert_string_equal(got.why, why);
    assert_int_equal(got.verdict, verdict);
    if (node)
        assert_string_equal(got.chosen.node->entry->name, node);
    else
        assert_null(got.chosen.node);
    assert_int_equal(got.backup, node && rule.own);
}

static void test_own_server_is_the_only_one(void **state)
{
    (void)state;
    expect(TCP_OWN, "own", NULL);
    view.hop = true;
    expect(TCP_OWN, "own", NULL);
}

static void test_backup_while_it_is_out(void **state)
{
    (void)state;
    view.own_good = false;
    expect(TCP_NODE, "backup", "s3");
    server_of(2)->healthy = false; /* the backup is out too */
    expect(TCP_NODE, "balanced", "s2");
    rule.backup = "primary";
    expect(TCP_NODE, "balanced", "s2");
    view.tried[view.tried_count++] = "s2";
    expect(TCP_NODE, "balanced", "s3"); /* the last resort */
    view.tried[view.tried_count++] = "s3";
    expect(TCP_NOBODY, "no-server", NULL);
}

static void test_full_and_draining_backups_serve(void **state)
{
    (void)state;
    view.own_good = false;
    server_of(2)->drain = true;
    expect(TCP_NODE, "backup", "s3");
    server_of(2)->drain = false;
    server_of(2)->capacity = server_of(2)->users = 1;
    expect(TCP_NODE, "backup", "s3");
    roster->nodes[2].status = STATUS_MAINT;
    expect(TCP_NODE, "balanced", "s2");
}

static void test_who_was_led_away_stays(void **state)
{
    (void)state;
    view.stuck = "s2";
    expect(TCP_NODE, "stays", "s2");
    rule.failback = FAILBACK_NEVER;
    expect(TCP_NODE, "stays", "s2");
    rule.failback = FAILBACK_AT_ONCE;
    expect(TCP_OWN, "own", NULL);
    view.own_good = false; /* still out: the same again */
    expect(TCP_NODE, "stays", "s2");
    roster->nodes[1].status = STATUS_DOWN;
    expect(TCP_NODE, "backup", "s3");
    view.stuck = "s9";
    expect(TCP_NODE, "backup", "s3");
}

static void test_a_forwarded_one_is_not_forwarded_again(void **state)
{
    (void)state;
    view.own_good = false;
    view.hop = true;
    view.stuck = "s2";
    expect(TCP_NOBODY, "hop", NULL);
}

static void test_a_primary_picks(void **state)
{
    (void)state;
    rule.own = false;
    rule.backup = NULL;
    view.by_key = true;
    bool met[NODES] = {false};
    for (uint64_t key = 0; key < 64; key++) {
        view.key = key * 0x9e3779b97f4a7c15u;
        tcp_target(&rule, &view, &got);
        assert_int_equal(got.verdict, TCP_NODE);
        const struct roster_node *first = got.chosen.node;
        tcp_target(&rule, &view, &got);
        assert_ptr_equal(got.chosen.node, first);
        met[first - roster->nodes] = true;
    }
    assert_true(!met[0] && met[1] && met[2]); /* itself it has none */
    server_of(1)->healthy = server_of(2)->healthy = false;
    view.by_key = false;
    tcp_target(&rule, &view, &got);
    assert_int_equal(got.verdict, TCP_NODE);
    roster->nodes[1].status = roster->nodes[2].status = STATUS_DOWN;
    expect(TCP_NOBODY, "no-server", NULL);
}

static void test_addresses(void **state)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];
    struct pick_choice c = {&roster->nodes[1], server_of(1)};
    struct entry *e = roster->nodes[1].entry;
    (void)state;
    assert_true(tcp_target_addr(&c, &a));
    assert_string_equal(addr_format(&a, text), "127.0.0.2:5432");
    e->public = (struct addr){4, 8080, {192, 0, 2, 9}};
    assert_true(tcp_target_addr(&c, &a));
    assert_string_equal(addr_format(&a, text), "192.0.2.9:5432");
    strncpy(server_of(1)->urls[0], "tcp://[2001:db8::7]:99", URL_MAX_BYTES);
    assert_true(tcp_target_addr(&c, &a));
    assert_string_equal(addr_format(&a, text), "[2001:db8::7]:99");
    strncpy(server_of(1)->urls[0], "http://s2.db.test:80", URL_MAX_BYTES);
    assert_false(tcp_target_addr(&c, &a));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_own_server_is_the_only_one),
        TEST(test_backup_while_it_is_out),
        TEST(test_full_and_draining_backups_serve),
        TEST(test_who_was_led_away_stays),
        TEST(test_a_forwarded_one_is_not_forwarded_again),
        TEST(test_a_primary_picks),
        TEST(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
