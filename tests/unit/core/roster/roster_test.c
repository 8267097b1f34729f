/* roster_test.c - lookups in a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/roster/roster.h"

#include <string.h>

static void set_node(struct roster_node *n, const char *name, const char *url)
{
    strcpy(n->entry->name, name);
    n->status = STATUS_UP;
    if (url == NULL)
        return;
    n->entry->server_count = 1;
    struct server *s = &n->entry->servers[0];
    strcpy(s->service, "shop");
    s->url_count = 1;
    strcpy(s->urls[0], url);
    s->weight = 1;
    s->healthy = true;
}

static struct roster *three(void)
{
    struct roster *r = roster_blank(3, ENTRY_SERVERS_MAX);
    assert_non_null(r);
    set_node(&r->nodes[0], "a", "https://A.example/");
    set_node(&r->nodes[1], "b", "http://b.example:8080/");
    set_node(&r->nodes[2], "d", NULL);
    return r;
}

static void test_find(void **state)
{
    (void)state;
    struct roster *r = three();
    assert_ptr_equal(roster_find(r, "a"), &r->nodes[0]);
    assert_ptr_equal(roster_find(r, "d"), &r->nodes[2]);
    assert_null(roster_find(r, "c"));
    assert_null(roster_find(r, ""));
    assert_non_null(roster_server(&r->nodes[0], "shop"));
    assert_null(roster_server(&r->nodes[0], "sho"));
    assert_false(roster_is_director(&r->nodes[0]));
    assert_true(roster_is_director(&r->nodes[2]));
    roster_unref(r);
}

static bool by_host(const struct roster *r, const char *host, uint16_t port, const char *expected)
{
    const struct roster_node *n;
    const struct server *s;
    return roster_by_host(r, host, strlen(host), port, &n, &s) &&
           strcmp(n->entry->name, expected) == 0 && s == &n->entry->servers[0];
}

static void check_by_host(bool settled)
{
    struct roster *r = three();
    if (settled)
        roster_settle(r);
    assert_true(by_host(r, "a.EXAMPLE", 0, "a"));
    assert_true(by_host(r, "a.example", 443, "a"));
    assert_false(by_host(r, "a.example", 80, "a"));
    assert_true(by_host(r, "b.example", 8080, "b"));
    assert_false(by_host(r, "b.exampl", 0, "b"));
    assert_false(by_host(r, "b.example.org", 0, "b"));
    roster_unref(r);
    r = three();
    strcpy(r->nodes[1].entry->servers[0].urls[0], "http://[fe80::1]/");
    if (settled)
        roster_settle(r);
    assert_true(by_host(r, "[FE80::1]", 80, "b"));
    assert_true(by_host(r, "fe80::1", 0, "b"));
    roster_unref(r);
}

static void test_by_host(void **state)
{
    (void)state;
    check_by_host(false);
    check_by_host(true);
}

static void test_by_host_the_first_of_equals_is_found(void **state)
{
    const struct roster_node *n;
    const struct server *s;
    (void)state;
    struct roster *r = three();
    for (size_t i = 0; i < r->count; i++) {
        r->nodes[i].entry->servers[0].url_count = 1;
        strcpy(r->nodes[i].entry->servers[0].urls[0], "http://same.example/");
    }
    assert_true(roster_by_host(r, "same.example", 12, 0, &n, &s));
    assert_ptr_equal(n, &r->nodes[0]);
    roster_settle(r);
    assert_true(roster_by_host(r, "SAME.example", 12, 80, &n, &s));
    assert_ptr_equal(n, &r->nodes[0]);
    assert_false(roster_by_host(r, "same.example", 12, 81, &n, &s));
    roster_unref(r);
}

static void test_server_status(void **state)
{
    (void)state;
    struct roster *r = three();
    struct roster_node *n = &r->nodes[0];
    struct server *s = &n->entry->servers[0];
    assert_int_equal(roster_server_status(n, s), STATUS_UP);
    s->users = 10;
    s->capacity = 10;
    assert_int_equal(roster_server_status(n, s), STATUS_FULL);
    s->drain = true;
    assert_int_equal(roster_server_status(n, s), STATUS_DRAINING);
    s->healthy = false;
    assert_int_equal(roster_server_status(n, s), STATUS_SUSPECT);
    s->maint = true;
    assert_int_equal(roster_server_status(n, s), STATUS_MAINT);
    n->status = STATUS_DRAINING;
    assert_int_equal(roster_server_status(n, s), STATUS_DRAINING);
    roster_unref(r);
}

static void test_references(void **state)
{
    (void)state;
    struct roster *r = three();
    assert_ptr_equal(roster_ref(r), r);
    roster_unref(r);
    assert_non_null(roster_find(r, "a")); /* the second one keeps it */
    roster_unref(r);
    roster_unref(NULL);
    mem_fail_after(1);
    assert_null(roster_new(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_by_host),
        cmocka_unit_test(test_by_host_the_first_of_equals_is_found),
        cmocka_unit_test(test_server_status),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
