/* external_test.c - servers that the configuration tells, among those of the farm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/external.h"

#include <stdio.h>
#include <string.h>

struct rig {
    uv_loop_t loop;
    struct externals *externals;
    struct roster *shown;
    bool closed;
};

static struct config config; /* large */

static void show(void *context, struct roster *r)
{
    struct rig *rig = context;
    roster_unref(rig->shown);
    rig->shown = r;
}

static void set_closed(void *context)
{
    ((struct rig *)context)->closed = true;
}

static struct external_section *add(const char *name)
{
    struct external_section *x = &config.externals[config.external_count++];
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "%s", name);
    strcpy(x->service, "shop");
    x->urls.count = 1;
    snprintf(x->urls.text[0], sizeof x->urls.text[0], "http://%s.example", name);
    assert_true(addr_parse("127.0.0.1:9", 0, &x->address));
    x->weight = 50;
    strcpy(x->check.path, "/");
    return x;
}

static struct roster *farm_of_one(uint64_t revision, uint32_t users)
{
    struct roster *r = roster_blank(1, 1);
    struct entry *e = r->nodes[0].entry;
    strcpy(e->name, "s1");
    e->server_count = 1;
    strcpy(e->servers[0].service, "shop");
    e->servers[0].healthy = true;
    e->servers[0].weight = 100;
    e->servers[0].users = users;
    r->nodes[0].status = STATUS_UP;
    r->revision = revision;
    roster_settle(r);
    return r;
}

static void test_an_entry_of_a_section(void **state)
{
    (void)state;
    struct entry e;
    config.external_count = 0;
    struct external_section *x = add("w1");
    assert_true(external_entry(x, true, &e));
    assert_string_equal(e.servers[0].urls[0], "http://w1.example");
    assert_true(e.servers[0].healthy && !e.holds && e.server_count == 1);
    uint64_t id = e.node;
    assert_true(external_entry(add("w2"), false, &e) && e.node != id);
    strcpy(x->name, "w 1");
    assert_false(external_entry(x, true, &e));
}

static void test_they_are_shown_with_the_farm(void **state)
{
    (void)state;
    struct rig rig = {0};
    config.external_count = 0;
    add("w1");
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    const struct externals_config c = {.loop = &rig.loop, .show = show, .context = &rig};
    assert_int_equal(externals_open(&c, &rig.externals), STEAD_OK);
    externals_set(rig.externals, &config);
    assert_null(rig.shown); /* there is no farm yet */
    externals_roster(rig.externals, farm_of_one(5, 40));
    assert_int_equal(rig.shown->count, 2);
    uint64_t revision = rig.shown->revision;
    const struct roster_node *w1 = roster_find(rig.shown, "w1");
    assert_true(w1 && w1->external && w1->status == STATUS_UP);
    assert_int_equal(w1->entry->servers[0].users, 20); /* by its weight as many as the other */
    config.external_count = 0;
    externals_set(rig.externals, &config);
    assert_int_equal(rig.shown->count, 1);
    assert_true(rig.shown->revision > revision);
    externals_roster(rig.externals, farm_of_one(6, 0));
    assert_true(rig.shown->revision > revision + 1);
    externals_close(rig.externals, set_closed, &rig);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    assert_true(rig.closed);
    assert_int_equal(uv_loop_close(&rig.loop), 0);
    roster_unref(rig.shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_of_a_section),
        cmocka_unit_test(test_they_are_shown_with_the_farm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
