/* What operators are told: the phase in their words, and numbers from the part that counts them. */
#include "node/admin_feed.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct parts {
    struct config config;
    struct entry entry;
    struct mesh_loop mesh;
    struct shared shared;
    struct tls_setup tls;
    struct kinds kinds;
    struct upgrade upgrade;
    struct bulk_counters bulk;
    struct admin_feed feed;
    struct admin_snapshot out;
};

static void tell(struct parts *p, enum mesh_phase phase)
{
    struct admin_source source = admin_feed_source(&p->feed);
    atomic_store(&p->mesh.phase_shown, (int)phase);
    p->out = (struct admin_snapshot){0};
    source.collect(source.context, &p->out);
}

static void phases_are_told(void **state)
{
    struct parts *p = *state;
    tell(p, MESH_JOINING);
    assert_int_equal(p->out.status, STATUS_JOINING);
    assert_false(p->out.ready);
    assert_string_equal(p->out.reason, "joining: no other node has answered yet");
    p->mesh.mesh.peers = 2;
    tell(p, MESH_JOINING);
    assert_string_equal(p->out.reason, "joining: copies are on their way");
    tell(p, MESH_UP);
    assert_int_equal(p->out.status, STATUS_UP);
    assert_true(p->out.ready);
    tell(p, MESH_DRAINING);
    assert_int_equal(p->out.status, STATUS_DRAINING);
    assert_false(p->out.ready);
    assert_false(p->out.drained);
    assert_string_equal(p->out.reason, "draining: records are being handed over");
    atomic_store(&p->mesh.drained_shown, true);
    tell(p, MESH_LEAVING);
    assert_true(p->out.drained);
    assert_string_equal(p->out.reason, "leaving: nothing is left here");
    tell(p, MESH_GONE);
    assert_int_equal(p->out.status, STATUS_LEFT);
    assert_false(p->out.ready);
}

static void alone_ends_when_somebody_comes(void **state)
{
    struct parts *p = *state;
    atomic_store(&p->mesh.alone_shown, true);
    p->mesh.mesh.peers = 0;
    tell(p, MESH_UP);
    assert_true(p->out.alone && p->out.ready);
    p->mesh.mesh.peers = 1;
    tell(p, MESH_UP);
    assert_false(p->out.alone);
}

static void numbers_come_from_their_parts(void **state)
{
    struct parts *p = *state;
    p->tls.counters.handshakes = 21;
    p->tls.counters.failures[TLS_FAIL_ALERT] = 22;
    p->shared.director.verdicts[DECIDE_REDIRECT] = 11;
    p->shared.director.verdicts[DECIDE_NO_SERVER] = 12;
    p->shared.director.forward.opened = 13;
    p->shared.director.http.accepted = 14;
    p->shared.gate_http.accepted = 15;
    p->shared.gate.unknown = 16;
    p->shared.name[0][0].nxdomain = 7;
    p->shared.name[1][NAME_STATS - 1].nxdomain = 10;
    p->mesh.members.counted_out = 18;
    atomic_store(&p->mesh.turn_max_ns, 19);
    store_users_add(p->feed.store, 1, 5);
    store_set_healthy(p->feed.store, 1, true);
    tell(p, MESH_UP);
    assert_string_equal(p->out.node, "s1");
    assert_string_equal(p->out.farm, "shop");
    assert_int_equal(p->out.kinds.count, p->kinds.count);
    assert_int_equal(p->out.director.redirected, 11);
    assert_int_equal(p->out.tls.handshakes, 21);
    assert_int_equal(p->out.tls.failures[TLS_FAIL_ALERT], 22);
    assert_int_equal(p->out.director.no_server, 12);
    assert_int_equal(p->out.director.tunnels_opened, 13);
    assert_int_equal(p->out.public_http.accepted, 14);
    assert_int_equal(p->out.gate_http.accepted, 15);
    assert_int_equal(p->out.gate.unknown, 16);
    assert_int_equal(p->out.dns.nxdomain, 17);
    assert_int_equal(p->out.members.counted_out, 18);
    assert_int_equal(p->out.server_count, 2);
    assert_int_equal(p->out.servers[0].users, 0);
    assert_false(p->out.servers[0].healthy);
    assert_int_equal(p->out.servers[1].users, 5);
    assert_true(p->out.servers[1].healthy);
    assert_int_equal(p->out.loop_turn_max_ns, 19);
    tell(p, MESH_UP); /* a new window */
    assert_int_equal(p->out.loop_turn_max_ns, 0);
}

static void woken(void *context)
{
    *(bool *)context = true;
}

static void an_order_waits_for_the_mesh_thread(void **state)
{
    struct parts *p = *state;
    struct admin_source source = admin_feed_source(&p->feed);
    struct ordered o;
    bool woke = false;
    uv_loop_t loop;
    uv_loop_init(&loop);
    assert_int_equal(wake_open(&p->mesh.wake), STEAD_OK);
    wake_start(&p->mesh.wake, &loop, woken, &woke);
    uint64_t id = source.order(source.context, "s2", ORDER_DRAIN, true, "");
    assert_int_not_equal(id, 0);
    assert_false(source.ordered(source.context, id, &o));
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(woke);
    assert_string_equal(p->mesh.commands.commands[0].server, "s2");
    for (int i = 1; i < COMMANDS_MAX; i++)
        assert_int_not_equal(source.order(source.context, "", ORDER_TELL, false, ""), 0);
    assert_int_equal(source.order(source.context, "", ORDER_TELL, false, ""), 0);
    assert_null(source.roster(source.context));
    wake_close(&p->mesh.wake, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

static void maintenance_is_not_ready(void **state)
{
    struct parts *p = *state;
    store_set_maint(p->feed.store, true);
    tell(p, MESH_UP);
    assert_int_equal(p->out.status, STATUS_MAINT);
    assert_true(p->out.maint);
    assert_false(p->out.ready);
    assert_string_equal(p->out.reason, "maint: an operator took it out");
    tell(p, MESH_DRAINING);
    assert_int_equal(p->out.status, STATUS_DRAINING);
    assert_true(p->out.maint);
}

static int set_up(void **state)
{
    struct parts *p = mem_alloc(sizeof(*p));
    struct store_config sc = {.shards = 2, .mailboxes = 1};
    kinds_default(&p->kinds);
    session_config_default(&sc.session);
    sc.session.kinds = &p->kinds;
    sc.session.memory_bytes = 4u << 20;
    snprintf(p->config.node.name, sizeof(p->config.node.name), "s1");
    snprintf(p->config.top.farm, sizeof(p->config.top.farm), "shop");
    p->shared.tls = &p->tls;
    p->config.server_count = 2;
    static const struct shared_keys keys;
    struct live *first = live_new(&p->config, &p->config, 1, &keys, 1);
    if (!first)
        return -1;
    live_now_init(&p->shared.now, first);
    pthread_mutex_init(&p->mesh.stats_lock, NULL);
    p->feed = (struct admin_feed){.config = &p->config,
                                  .entry = &p->entry,
                                  .store = store_new(&sc, 1),
                                  .mesh = &p->mesh,
                                  .shared = &p->shared,
                                  .upgrade = &p->upgrade,
                                  .bulk = &p->bulk};
    *state = p;
    return p->feed.store ? 0 : -1;
}

static int tear_down(void **state)
{
    struct parts *p = *state;
    store_free(p->feed.store);
    live_now_deinit(&p->shared.now);
    mem_free(p);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(phases_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(alone_ends_when_somebody_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_come_from_their_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_waits_for_the_mesh_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(maintenance_is_not_ready, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
