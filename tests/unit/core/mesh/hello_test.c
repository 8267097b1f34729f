/* Who gets in: proof of life, refusals, strangers, replays, moves. */
#include "mesh_net.h"

static struct mesh_stats stats_of(struct net *net, int node)
{
    struct mesh_stats s;
    mesh_stats(net->nodes[node].mesh, &s);
    return s;
}

/* Takes everything that is under way out of the network, so that a test can play it again. */
static void capture(struct net *net, struct list *into)
{
    list_splice(into, &net->packets);
}

static void replay_all(struct net *net, struct list *captured)
{
    for (struct list *l = captured->next; l != captured; l = l->next)
        net_deliver(net, list_entry(l, struct net_packet, link));
}

static void captured_free(struct list *captured)
{
    struct list *link;
    while ((link = list_pop(captured)))
        mem_free(list_entry(link, struct net_packet, link));
}

static void both_sides_prove_themselves(void **state)
{
    (void)state;
    struct net *net = net_pair(1);
    assert_int_equal(stats_of(net, 0).peers, 1);
    assert_int_equal(stats_of(net, 1).peers, 1);
    net_hello(net, 0, 1); /* again, with both admitted: answered, but nobody is new */
    uint64_t before = stats_of(net, 1).frames_out;
    net_run(net, NS_PER_S);
    assert_true(stats_of(net, 1).frames_out > before);
    assert_int_equal(net->nodes[0].proven, 1);
    assert_int_equal(net->nodes[1].proven, 1);
    net_free(net);
}

static void old_proofs_prove_nothing(void **state)
{
    (void)state;
    struct net *net = net_new(2);
    struct list captured;
    list_init(&captured);
    net->nodes[0].admits = net->nodes[1].admits = false;
    net_hello(net, 0, 1);
    capture(net, &captured); /* the HELLO */
    replay_all(net, &captured);
    struct list welcome;
    list_init(&welcome);
    capture(net, &welcome);
    net->now_ns += 11 * NS_PER_S; /* more than two slots of nonces */
    replay_all(net, &welcome);
    assert_int_equal(net->nodes[0].proven, 0);
    assert_true(list_empty(&net->packets)); /* no PROOF either */
    captured_free(&captured);
    captured_free(&welcome);
    net_free(net);
}

static void a_refusal_reaches_the_refused_and_only_once_meant(void **state)
{
    (void)state;
    struct net *net = net_new(3);
    net->nodes[1].admits = false;
    net_hello(net, 0, 1);
    net_run(net, NS_PER_MS);
    assert_int_equal(net->nodes[1].proven >= 1, 1);
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_refuse(net->nodes[1].mesh, net->nodes[0].inc, &net->nodes[0].addr, STEAD_E_NAME_TAKEN,
                net->now_ns, &a);
    mesh_refuse(net->nodes[1].mesh, net->nodes[2].inc, &net->nodes[2].addr, STEAD_E_NAME_TAKEN,
                net->now_ns, &a); /* has proved nothing: must not be believed */
    net_act(net, 1, &a);
    net_run(net, NS_PER_MS);
    assert_int_equal(net->nodes[0].refused, 1);
    assert_int_equal(net->nodes[0].last_reason, -STEAD_E_NAME_TAKEN);
    assert_int_equal(net->nodes[2].refused, 0);
    net_free(net);
}

static void nothing_counts_from_strangers(void **state)
{
    (void)state;
    struct net *net = net_new(4);
    net->nodes[1].admits = false; /* 0 takes 1 in, 1 does not take 0 */
    net_hello(net, 0, 1);
    net_run(net, 10 * NS_PER_MS);
    assert_int_equal(net_send(net, 0, 1, 1, 100, true), STEAD_OK);
    assert_int_equal(net_send(net, 0, 1, 2, 100, false), STEAD_OK);
    uint64_t out = stats_of(net, 1).frames_out;
    net_run(net, 2 * NS_PER_S);
    assert_int_equal(net->nodes[1].messages, 0);
    assert_true(stats_of(net, 1).dropped_stranger > 0);
    /* It asks who that is, and answers HELLOs: no more than a few times a second. */
    assert_in_range(stats_of(net, 1).frames_out - out, 1, 40);
    net->nodes[1].admits = true;
    net_run(net, 3 * NS_PER_S);
    net_expect_all(net, 0, 1, 1, 1);
    net_free(net);
}

static void garbage_is_counted_and_not_answered(void **state)
{
    (void)state;
    struct net *net = net_pair(5);
    struct mesh_actions a;
    mesh_actions_init(&a);
    uint8_t bytes[MESH_FRAME_MAX + 1];
    memset(bytes, 1, sizeof bytes);
    struct addr from = net_addr(2);
    struct mesh *m = net->nodes[1].mesh;
    mesh_datagram(m, &from, bytes, 0, net->now_ns, &a);
    mesh_datagram(m, &from, bytes, 30, net->now_ns, &a);
    mesh_datagram(m, &from, bytes, 300, net->now_ns, &a);
    mesh_datagram(m, &from, bytes, sizeof bytes, net->now_ns, &a);
    mesh_datagram(m, &from, bytes, 300, net->now_ns, &a);
    bytes[0] = 9;
    mesh_datagram(m, &from, bytes, 300, net->now_ns, &a);
    struct list *link = list_pop(&a.outputs);
    assert_non_null(link); /* said to whoever knows what it means, and not every time */
    assert_int_equal(list_entry(link, struct mesh_output, link)->type, MESH_OUT_FOREIGN);
    mesh_output_free(list_entry(link, struct mesh_output, link));
    assert_true(list_empty(&a.outputs));
    assert_int_equal(stats_of(net, 1).dropped_malformed, 3);
    assert_int_equal(stats_of(net, 1).dropped_auth, 2);
    assert_int_equal(stats_of(net, 1).dropped_version, 1);
    net_free(net);
}

static void frames_for_another_incarnation_are_dropped(void **state)
{
    (void)state;
    struct net *net = net_pair(6);
    uint8_t frame[FRAME_OVERHEAD + 18];
    uint8_t body[18] = {5, 1, 0, 0, 0, 9};
    size_t len;
    assert_int_equal(seal_frame(net->nodes[0].seal, 0xdead, body, sizeof body, frame, &len),
                     STEAD_OK);
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_datagram(net->nodes[1].mesh, &net->nodes[0].addr, frame, len, net->now_ns, &a);
    assert_true(list_empty(&a.outputs));
    assert_int_equal(stats_of(net, 1).dropped_stranger, 1);
    net_free(net);
}

static void replayed_frames_are_dropped_even_after_removal(void **state)
{
    (void)state;
    struct net *net = net_pair(7);
    struct list captured;
    list_init(&captured);
    net_send(net, 0, 1, 1, 100, false);
    net_flush(net, 0);
    capture(net, &captured);
    replay_all(net, &captured);
    assert_int_equal(net->nodes[1].delivered[1], 1);
    replay_all(net, &captured);
    assert_int_equal(stats_of(net, 1).dropped_replay, 1);
    mesh_remove(net->nodes[1].mesh, net->nodes[0].inc);
    replay_all(net, &captured);
    net_hello(net, 0, 1);
    net_run(net, NS_PER_S);
    assert_int_equal(net->nodes[1].proven, 2);
    replay_all(net, &captured);
    assert_int_equal(net->nodes[1].messages, 1);
    assert_int_equal(stats_of(net, 1).dropped_replay, 3);
    captured_free(&captured);
    net_free(net);
}

static void a_peer_may_move(void **state)
{
    (void)state;
    struct net *net = net_pair(8);
    net->nodes[0].addr = net_addr(2); /* its frames come from there now */
    net_send(net, 0, 1, 1, 100, true);
    net_flush(net, 0);
    net_deliver(net, list_entry(net->packets.next, struct net_packet, link));
    assert_int_equal(net->nodes[1].moved, 1);
    const struct net_packet *answer = list_entry(net->packets.prev, struct net_packet, link);
    assert_int_equal(answer->to, 2);
    net_free(net);
}

static void admission_has_limits(void **state)
{
    (void)state;
    struct net *net = net_new(9);
    struct mesh *m = net->nodes[0].mesh;
    struct addr addr = net_addr(1);
    assert_int_equal(mesh_admit(m, 0, 1, &addr, 0), STEAD_E_INVAL);
    assert_int_equal(mesh_admit(m, net->nodes[0].inc, 1, &addr, 0), STEAD_E_INVAL);
    for (unsigned countdown = 1; countdown <= 3; countdown++) {
        mem_fail_after(countdown);
        assert_int_equal(mesh_admit(m, 77, 1, &addr, 0), STEAD_E_NOMEM);
        mem_fail_after(0);
    }
    for (uint64_t i = 0; i < MESH_PEERS_MAX; i++)
        assert_int_equal(mesh_admit(m, 5000 + i, i, &addr, 0), STEAD_OK);
    assert_int_equal(mesh_admit(m, 4000, 1, &addr, 0), STEAD_E_FULL);
    assert_int_equal(mesh_admit(m, 5000, 0, &addr, 0), STEAD_OK);
    for (uint64_t i = 0; i < 3000; i++) { /* more than windows are kept for */
        mesh_remove(m, 5000 + i);
        assert_int_equal(mesh_admit(m, 5000 + i + MESH_PEERS_MAX, i, &addr, 0), STEAD_OK);
    }
    assert_int_equal(stats_of(net, 0).peers, MESH_PEERS_MAX);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_prove_themselves),
        cmocka_unit_test(old_proofs_prove_nothing),
        cmocka_unit_test(a_refusal_reaches_the_refused_and_only_once_meant),
        cmocka_unit_test(nothing_counts_from_strangers),
        cmocka_unit_test(garbage_is_counted_and_not_answered),
        cmocka_unit_test(frames_for_another_incarnation_are_dropped),
        cmocka_unit_test(replayed_frames_are_dropped_even_after_removal),
        cmocka_unit_test(a_peer_may_move),
        cmocka_unit_test(admission_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
