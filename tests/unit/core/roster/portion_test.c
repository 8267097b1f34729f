/* portion_test.c - whose records a repository keeps: of named nodes and groups, of other
 * repositories, in tiers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/portion.h"

#include <stdio.h>
#include <string.h>

#define MANY 12

struct rig {
    struct entry entries[MANY];
    const struct entry *list[MANY];
    size_t count;
    bool keeps[MANY];
};

static struct entry *add(struct rig *rig, const char *name, const char *group, bool repository)
{
    struct entry *e = &rig->entries[rig->count];
    *e = (struct entry){.repository = repository, .group_count = *group != 0};
    snprintf(e->name, sizeof(e->name), "%s", name);
    snprintf(e->groups[0], sizeof(e->groups[0]), "%s", group);
    rig->list[rig->count++] = e;
    return e;
}

static void of(struct entry *e, const char *name)
{
    snprintf(e->of[e->of_count], sizeof(e->of[0]), "%s", name);
    e->of_count++;
}

/* "abc": the entries of these names keep what `name` owns. */
static void expect(struct rig *rig, const char *name, const char *keepers)
{
    char got[MANY + 1] = "";
    struct entry *owner = NULL;
    for (size_t i = 0; i < rig->count; i++)
        if (strcmp(rig->entries[i].name, name) == 0)
            owner = &rig->entries[i];
    assert_non_null(owner);
    portion_keepers(owner, rig->list, rig->count, rig->keeps);
    for (size_t i = 0, n = 0; i < rig->count; i++)
        if (rig->keeps[i] && &rig->entries[i] != owner)
            got[n++] = rig->entries[i].name[0];
    assert_string_equal(got, keepers);
}

static void test_four_tiers(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    add(&rig, "1", "", false);
    add(&rig, "2", "", false);
    struct entry *third = add(&rig, "3", "", true), *fourth = add(&rig, "4", "", true);
    add(&rig, "5", "", false); /* is nobody's */
    of(third, "1");
    of(third, "2");
    of(fourth, "3");
    expect(&rig, "1", "34");
    expect(&rig, "2", "34");
    expect(&rig, "3", "4");
    expect(&rig, "4", "");
    expect(&rig, "5", "");
}

static void test_groups(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    add(&rig, "a", "east", false);
    add(&rig, "b", "west", false);
    struct entry *east = add(&rig, "e", "keepers", true), *all = add(&rig, "k", "", true);
    of(east, "east");
    of(all, "keepers");
    expect(&rig, "a", "ek");
    expect(&rig, "b", "");
}

static void test_all_and_none(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    add(&rig, "a", "", false);
    struct entry *r = add(&rig, "r", "", true), *no = add(&rig, "n", "", false);
    expect(&rig, "a", "r");
    of(no, "a"); /* is no repository */
    expect(&rig, "a", "r");
    of(r, "somebody");
    expect(&rig, "a", "");
}

static void test_rings_end(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    add(&rig, "a", "", false);
    struct entry *x = add(&rig, "x", "", true), *y = add(&rig, "y", "", true);
    of(x, "y");
    of(y, "x");
    expect(&rig, "a", "");
    expect(&rig, "x", "y");
    of(y, "a");
    expect(&rig, "a", "xy");
}

/* In the order in which each sweep finds one more. */
static void test_so_many_tiers(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    char want[PORTION_TIERS + 1] = "";
    for (char c = 'a' + MANY - 2; c >= 'a'; c--) {
        char name[2] = {c, 0}, below[2] = {(char)(c - 1), 0};
        of(add(&rig, name, "", true), below);
    }
    struct entry *first = add(&rig, "0", "", false);
    of(&rig.entries[MANY - 2], first->name); /* "a" keeps what "0" has */
    for (size_t i = 0; i < PORTION_TIERS; i++)
        want[i] = (char)('a' + PORTION_TIERS - 1 - i);
    expect(&rig, "0", want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_tiers),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_all_and_none),  cmocka_unit_test(test_rings_end),
        cmocka_unit_test(test_so_many_tiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
