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
    struct kinds kinds;
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
    p->shared.director.verdicts[DECIDE_REDIRECT] = 11;
    p->shared.director.verdicts[DECIDE_NO_SERVER] = 12;
    p->shared.director.forward.opened = 13;
    p->shared.director.http.accepted = 14;
    p->shared.gate_http.accepted = 15;
    p->shared.gate.unknown = 16;
    p->shared.name.nxdomain = 17;
    p->mesh.members.counted_out = 18;
    atomic_store(&p->mesh.turn_max_ns, 19);
    store_users_add(p->feed.store, 1, 5);
    store_set_healthy(p->feed.store, 1, true);
    tell(p, MESH_UP);
    assert_string_equal(p->out.node, "s1");
    assert_string_equal(p->out.farm, "shop");
    assert_int_equal(p->out.kinds.count, p->kinds.count);
    assert_int_equal(p->out.director.redirected, 11);
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

static void draining_reaches_the_store(void **state)
{
    struct parts *p = *state;
    struct admin_source source = admin_feed_source(&p->feed);
    source.drain(source.context, true);
    assert_true(store_draining(p->feed.store));
    source.drain(source.context, false);
    assert_false(store_draining(p->feed.store));
    assert_null(source.roster(source.context));
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
    p->entry.server_count = 2;
    pthread_mutex_init(&p->mesh.stats_lock, NULL);
    p->feed = (struct admin_feed){.config = &p->config,
                                  .entry = &p->entry,
                                  .store = store_new(&sc, 1),
                                  .mesh = &p->mesh,
                                  .shared = &p->shared};
    *state = p;
    return p->feed.store ? 0 : -1;
}

static int tear_down(void **state)
{
    struct parts *p = *state;
    store_free(p->feed.store);
    mem_free(p);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(phases_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(alone_ends_when_somebody_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_come_from_their_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(draining_reaches_the_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
