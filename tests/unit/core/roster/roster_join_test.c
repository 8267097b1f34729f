/* roster_join_test.c - servers from the configuration among those of the farm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/roster/roster_join.h"

#include <stdio.h>
#include <string.h>

static struct roster *farm_of(const char *const *names, size_t count)
{
    struct roster *r = roster_blank(count, 1);
    assert_non_null(r);
    r->revision = 9;
    strcpy(r->farm, "farm");
    for (size_t i = 0; i < count; i++) {
        snprintf(r->nodes[i].entry->name, sizeof r->nodes[i].entry->name, "%s", names[i]);
        r->nodes[i].status = STATUS_UP;
        r->nodes[i].entry->server_count = 1;
        strcpy(r->nodes[i].entry->servers[0].service, "shop");
        r->nodes[i].entry->servers[0].healthy = true;
        r->nodes[i].entry->servers[0].weight = 1;
    }
    roster_settle(r);
    return r;
}

static void test_they_stand_among_the_others_by_name(void **state)
{
    (void)state;
    struct roster *r = farm_of((const char *const[]){"a", "c"}, 2);
    struct roster *fixed = farm_of((const char *const[]){"b", "c", "d"}, 3);
    fixed->nodes[1].status = STATUS_DOWN;
    r = roster_join(r, fixed->nodes, 3, 4);
    assert_int_equal(r->count, 4);
    assert_int_equal(r->revision, 13);
    assert_string_equal(r->farm, "farm");
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(r->nodes[i].entry->name, names[i]);
        assert_ptr_equal(roster_find(r, names[i]), &r->nodes[i]);
    }
    assert_int_equal(roster_find(r, "c")->status, STATUS_UP); /* the farm's own word */
    roster_unref(fixed);
    assert_non_null(roster_server(roster_find(r, "d"), "shop")); /* its own reference */
    roster_unref(r);
}

static void test_without_memory_the_farm_stays(void **state)
{
    (void)state;
    struct roster *r = farm_of((const char *const[]){"a"}, 1);
    struct roster *fixed = farm_of((const char *const[]){"b"}, 1);
    mem_fail_after(1);
    struct roster *same = roster_join(r, fixed->nodes, 1, 1);
    mem_fail_after(0);
    assert_ptr_equal(same, r);
    assert_ptr_equal(roster_join(r, NULL, 0, 0), r);
    roster_unref(fixed);
    roster_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_stand_among_the_others_by_name),
        cmocka_unit_test(test_without_memory_the_farm_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
