/* command_test.c - orders to this node itself, and what becomes of others. */
#include "node/command.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PEER 77

struct bench {
    uv_loop_t loop;
    char dir[64];
    struct state state;
    struct farm *farm;
    struct kinds kinds;
    struct store *store;
    struct commands commands;
    uint64_t now_ns;
};

static void fill_entry(struct entry *e, uint64_t node, const char *name)
{
    *e = (struct entry){.node = node, .inc = node, .boot = 1, .revision = 1, .status = STATUS_UP};
    snprintf(e->name, sizeof e->name, "%s", name);
    e->address = (struct addr){.family = 4, .ip = {127, 0, 0, 1}, .port = 7300};
    e->server_count = 1;
    snprintf(e->servers[0].service, sizeof e->servers[0].service, "shop");
    e->servers[0].weight = 100;
    e->servers[0].healthy = true;
}

/* s1 is this node; s2 as it is said. */
static void set_roster(struct bench *b, enum status s2)
{
    struct roster *r = roster_new(2);
    for (size_t i = 0; i < 2; i++) {
        struct entry e;
        fill_entry(&e, i ? PEER : 1, i ? "s2" : "s1");
        r->nodes[i].entry = entry_new(&e);
        r->nodes[i].self = i == 0;
        r->nodes[i].status = i ? s2 : STATUS_UP;
    }
    store_set_roster(b->store, r);
}

static int set_up(void **state)
{
    struct bench *b = mem_alloc(sizeof *b);
    struct farm_config fc = {.name = "shop"};
    struct store_config sc = {.shards = 1, .mailboxes = 1};
    struct entry e;
    b->now_ns = 5 * NS_PER_S;
    uv_loop_init(&b->loop);
    snprintf(b->dir, sizeof b->dir, "/tmp/stead-command-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(state_open(b->dir, &b->state), STEAD_OK);
    member_timing_default(&fc.timing);
    fill_entry(&e, 1, "s1");
    b->farm = farm_new(&fc, &e, b->now_ns);
    kinds_default(&b->kinds);
    session_config_default(&sc.session);
    sc.session.kinds = &b->kinds;
    sc.session.memory_bytes = 8u << 20;
    b->store = store_new(&sc, b->now_ns);
    commands_init(&b->commands, &b->loop, b->farm, b->store, &b->state);
    set_roster(b, STATUS_UP);
    *state = b;
    return b->farm && b->store ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    char file[96];
    uv_run(&b->loop, UV_RUN_DEFAULT);
    commands_deinit(&b->commands);
    uv_loop_close(&b->loop);
    store_free(b->store);
    farm_free(b->farm);
    state_close(&b->state);
    static const char *const files[] = {"node", "lock", "maint"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s/%s", b->dir, files[i]);
        unlink(file);
    }
    rmdir(b->dir);
    mem_free(b);
    return 0;
}

static struct ordered tell(struct bench *b, const char *server, enum order_verb verb, bool force)
{
    struct ordered out = {.error = STEAD_PENDING};
    uint64_t id = commands_ask(&b->commands, server, verb, force, "");
    assert_int_not_equal(id, 0);
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (commands_fetch(&b->commands, id, &out))
        assert_false(commands_fetch(&b->commands, id, &out));
    return out;
}

static void this_node_drains_and_goes_back(void **state)
{
    struct bench *b = *state;
    struct ordered a = tell(b, "", ORDER_DRAIN, false);
    assert_int_equal(a.error, STEAD_OK);
    assert_true(a.draining);
    assert_true(store_draining(b->store));
    store_users_add(b->store, 0, 3);
    a = tell(b, "s1", ORDER_TELL, false);
    assert_true(a.draining && a.users == 3 && !a.drained);
    commands_turn(&b->commands, STATUS_DRAINING, true, b->now_ns);
    a = tell(b, "s1", ORDER_UNDRAIN, false);
    assert_false(a.draining || a.drained || store_draining(b->store));
}

static void the_last_one_stays_unless_it_is_forced(void **state)
{
    struct bench *b = *state;
    set_roster(b, STATUS_DRAINING);
    struct ordered a = tell(b, "", ORDER_DRAIN, false);
    assert_int_equal(a.error, STEAD_E_NO_SERVER);
    assert_false(a.draining || store_draining(b->store));
    assert_int_equal(tell(b, "", ORDER_MAINT, false).error, STEAD_E_NO_SERVER);
    assert_false(store_maint(b->store));
    assert_int_equal(tell(b, "", ORDER_DRAIN, true).error, STEAD_OK);
    assert_true(store_draining(b->store));
    assert_int_equal(tell(b, "", ORDER_DRAIN, false).error, STEAD_OK); /* it does already */
}

static void maintenance_is_remembered(void **state)
{
    struct bench *b = *state;
    assert_false(state_load_maint(&b->state));
    struct ordered a = tell(b, "", ORDER_MAINT, false);
    assert_true(a.error == STEAD_OK && a.maint && store_maint(b->store));
    assert_true(state_load_maint(&b->state));
    commands_deinit(&b->commands);
    store_set_maint(b->store, false);
    commands_init(&b->commands, &b->loop, b->farm, b->store, &b->state); /* as after a restart */
    assert_true(store_maint(b->store));
    a = tell(b, "", ORDER_UNMAINT, false);
    assert_false(a.maint || store_maint(b->store) || state_load_maint(&b->state));
    assert_int_equal(tell(b, "", ORDER_UNMAINT, false).error, STEAD_OK);
}

/* Nobody is answered before the folder says what he was told. */
static void orders_that_cross_a_save_end_as_the_last_one(void **state)
{
    struct bench *b = *state;
    struct ordered a;
    uint64_t on = commands_ask(&b->commands, "", ORDER_MAINT, false, "");
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns);
    uint64_t off = commands_ask(&b->commands, "", ORDER_UNMAINT, false, "");
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns);
    assert_false(commands_fetch(&b->commands, on, &a));
    assert_false(commands_fetch(&b->commands, off, &a));
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(commands_fetch(&b->commands, on, &a));
    assert_true(commands_fetch(&b->commands, off, &a));
    assert_false(a.maint || state_load_maint(&b->state));
}

static void a_folder_that_is_gone_is_said(void **state)
{
    struct bench *b = *state;
    char path[sizeof b->state.path];
    memcpy(path, b->state.path, sizeof path);
    snprintf(b->state.path, sizeof b->state.path, "/nonexistent/folder");
    assert_int_equal(tell(b, "", ORDER_MAINT, false).error, STEAD_E_IO);
    memcpy(b->state.path, path, sizeof path);
}

static void who_is_not_there_is_not_asked(void **state)
{
    struct bench *b = *state;
    assert_int_equal(tell(b, "nobody", ORDER_TELL, false).error, STEAD_E_NOT_FOUND);
    set_roster(b, STATUS_DOWN);
    assert_int_equal(tell(b, "s2", ORDER_TELL, false).error, STEAD_E_UNREACHABLE);
}

static void patience_ends(void **state)
{
    struct bench *b = *state;
    struct ordered a;
    uint64_t id = commands_ask(&b->commands, "s2", ORDER_DRAIN, false, "");
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns);
    assert_false(commands_fetch(&b->commands, id, &a));
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns + ORDER_PATIENCE_MS * NS_PER_MS);
    assert_true(commands_fetch(&b->commands, id, &a));
    assert_int_equal(a.error, STEAD_E_DEADLINE);
}

static struct msg *message(uint64_t from, const struct order *o, const struct ordered *a)
{
    struct wire_writer w;
    struct msg *m = msg_new(from, ORDER_BYTES_MAX);
    wire_writer_init(&w, m->bytes, ORDER_BYTES_MAX);
    if (o)
        order_encode(o, &w);
    else
        ordered_encode(a, &w);
    m->len = wire_written(&w);
    return m;
}

static void a_peers_order_and_answer_are_taken(void **state)
{
    struct bench *b = *state;
    struct ordered a = {.token = 1, .status = STATUS_DRAINING, .draining = true, .users = 4};
    uint64_t id = commands_ask(&b->commands, "s2", ORDER_DRAIN, false, "");
    commands_turn(&b->commands, STATUS_UP, false, b->now_ns);
    struct msg *m = message(PEER + 1, NULL, &a); /* not from whom it was asked */
    commands_message(&b->commands, m, b->now_ns);
    assert_false(commands_fetch(&b->commands, id, &a));
    m->peer = PEER;
    commands_message(&b->commands, m, b->now_ns);
    msg_free(m);
    assert_true(commands_fetch(&b->commands, id, &a));
    assert_true(a.draining && a.users == 4);

    m = message(PEER, &(struct order){.token = 9, .verb = ORDER_DRAIN}, NULL);
    commands_message(&b->commands, m, b->now_ns);
    assert_true(store_draining(b->store));
    m->len--;
    commands_message(&b->commands, m, b->now_ns);
    assert_int_equal(b->commands.malformed, 1);
    msg_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(this_node_drains_and_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_one_stays_unless_it_is_forced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(maintenance_is_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_that_cross_a_save_end_as_the_last_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_is_gone_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_not_there_is_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patience_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peers_order_and_answer_are_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
