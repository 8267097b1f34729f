/* cast_test.c - messages to several receivers by a multicast group: sent once, asked for when they
 * are missed, repaired for one or for all, and brought by unicast where the group does not reach.
 */
#define NET_NODES 5

#include "mesh_net.h"

#include "core/mesh/unit.h"

#define OWN_AT 8u /* behind the number that a message says who it is by */

/* Five nodes that know each other, and have heard each other's beacons. */
static struct net *group_new(uint64_t seed)
{
    struct net *net = net_new_with(seed, &net_group);
    for (int i = 0; i < NET_NODES; i++) {
        mesh_set_beacon(net->nodes[i].mesh, (const uint8_t *)"counts", 6);
        for (int k = i + 1; k < NET_NODES; k++)
            net_hello(net, i, k);
    }
    net_run(net, 1500 * NS_PER_MS);
    for (int i = 0; i < NET_NODES; i++) {
        struct mesh_stats s;
        mesh_stats(net->nodes[i].mesh, &s);
        assert_int_equal(s.peers, NET_NODES - 1);
        assert_int_equal(s.group_reached, NET_NODES - 1);
        assert_int_equal(net->nodes[i].unreached, 0);
    }
    return net;
}

static struct mesh_stats stats_of(const struct net *net, int node)
{
    struct mesh_stats s;
    mesh_stats(net->nodes[node].mesh, &s);
    return s;
}

/* The receivers' own bytes are what the whole message says there: net_take_message looks. */
static unsigned send_many(struct net *net, int from, uint32_t receivers, uint32_t id, size_t len)
{
    struct mesh_to to[MESH_RECEIVERS_MAX];
    size_t count = 0;
    uint8_t *bytes = mem_alloc(len);
    assert_non_null(bytes);
    net_message(bytes, len, id);
    for (int i = 0; i < NET_NODES; i++) {
        if (!(receivers >> i & 1))
            continue;
        to[count].inc = net->nodes[i].inc;
        memcpy(to[count++].own, bytes + OWN_AT, MESH_OWN_BYTES);
    }
    memset(bytes + OWN_AT, 0xee, MESH_OWN_BYTES);
    unsigned took = mesh_send_many(net->nodes[from].mesh, to, count, CHANNEL_SESSION, OWN_AT, bytes,
                                   len, net->now_ns);
    mem_free(bytes);
    return took;
}

static void expect(struct net *net, uint32_t receivers, uint32_t first, uint32_t count)
{
    for (int i = 1; i < NET_NODES; i++) {
        assert_int_equal(net->nodes[i].corrupt, 0);
        assert_int_equal(net->nodes[i].twice, 0);
        for (uint32_t id = first; id < first + count; id++)
            assert_int_equal(net->nodes[i].delivered[id], receivers >> i & 1);
    }
    assert_int_equal(stats_of(net, 0).queued_bytes, 0);
}

static void one_datagram_for_all(void **state)
{
    (void)state;
    struct net *net = group_new(1);
    net->group_frames = net->unicast_bytes = 0;
    assert_int_equal(send_many(net, 0, 0x1e, 1, 600), 0xf);
    net_flush(net, 0);
    assert_int_equal(net->group_frames, 1);
    assert_int_equal(net->unicast_bytes, 0);
    net_run(net, 100 * NS_PER_MS);
    expect(net, 0x1e, 1, 1);
    struct mesh_stats s = stats_of(net, 0);
    assert_int_equal(s.group_messages_out, 1);
    assert_int_equal(s.group_copies, 4);
    assert_int_equal(s.unicast_copies, 0);
    assert_int_equal(s.retransmits, 0);
    assert_int_equal(s.asks_in, 0);
    net_free(net);
}

static void only_those_who_are_named_get_it(void **state)
{
    (void)state;
    struct net *net = group_new(2);
    send_many(net, 0, 0x06, 1, 200);
    send_many(net, 0, 0x18, 2, 200);
    net_flush(net, 0);
    net_run(net, 100 * NS_PER_MS);
    expect(net, 0x06, 1, 1);
    expect(net, 0x18, 2, 1);
    assert_int_equal(stats_of(net, 3).asks_out, 0); /* what is for others is no gap */
    net_free(net);
}

static void small_ones_share_a_frame(void **state)
{
    (void)state;
    struct net *net = group_new(3);
    net->group_frames = 0;
    for (uint32_t id = 1; id <= 9; id++)
        send_many(net, 0, 0x0e, id, 60);
    net_flush(net, 0);
    assert_int_equal(net->group_frames, 1);
    net_run(net, 100 * NS_PER_MS);
    expect(net, 0x0e, 1, 9);
    net_free(net);
}

/* The one who missed it asks; what it missed comes by its link, and nobody else hears of it. */
static void one_gap_is_asked_for(void **state)
{
    (void)state;
    struct net *net = group_new(4);
    net->nodes[2].group_skip = 1;
    send_many(net, 0, 0x1e, 1, 600);
    net_run(net, 50 * NS_PER_US); /* its own frame */
    send_many(net, 0, 0x1e, 2, 600);
    uint64_t began_ns = net->now_ns;
    net_run(net, 3 * NS_PER_MS);
    assert_int_equal(net->nodes[2].delivered[1], 1);
    assert_true(net->now_ns - began_ns < 20 * NS_PER_MS); /* before anybody would lose patience */
    struct mesh_stats s = stats_of(net, 0);
    assert_int_equal(s.repairs_unicast, 1);
    assert_int_equal(s.repairs_group, 0);
    net_run(net, 100 * NS_PER_MS);
    expect(net, 0x1e, 1, 2);
    assert_int_equal(stats_of(net, 0).group_late, 0);
    net_free(net);
}

static void several_gaps_are_repaired_at_once(void **state)
{
    (void)state;
    struct net *net = group_new(5);
    for (int i = 1; i < NET_NODES; i++)
        net->nodes[i].group_skip = 1;
    send_many(net, 0, 0x1e, 1, 600); /* nobody gets it, and nothing follows: a beat tells */
    net->group_frames = 0;
    net_run(net, 20 * NS_PER_MS);
    struct mesh_stats s = stats_of(net, 0);
    assert_true(s.repairs_group >= 2);
    assert_int_equal(s.group_late, 0);
    assert_true(s.group_beats > 0);
    assert_true(net->group_frames <= 6); /* the message, a beat or two, a repair or two */
    expect(net, 0x1e, 1, 1);
    net_free(net);
}

static void nothing_is_said_when_all_have_it(void **state)
{
    (void)state;
    struct net *net = group_new(6);
    send_many(net, 0, 0x1e, 1, 600);
    net_run(net, 100 * NS_PER_MS);
    struct mesh_stats before = stats_of(net, 0);
    net_run(net, 800 * NS_PER_MS);
    assert_int_equal(stats_of(net, 0).group_beats, before.group_beats);
    net_free(net);
}

static void a_deaf_one_gets_it_by_unicast(void **state)
{
    (void)state;
    struct net *net = group_new(7);
    net->nodes[3].group_loss_permille = 1000;
    uint32_t id = 0;
    for (; id < 50; id++) {
        send_many(net, 0, 0x1e, id, 300);
        net_run(net, 100 * NS_PER_MS);
    }
    struct mesh_stats s = stats_of(net, 0);
    assert_int_equal(net->nodes[0].unreached, 1);
    assert_int_equal(s.group_reached, NET_NODES - 2);
    assert_true(s.unicast_copies > 0);
    expect(net, 0x1e, 0, id);
    assert_int_equal(stats_of(net, 1).group_late, 0);
    net->nodes[3].group_loss_permille = 0; /* it comes back by itself */
    net_run(net, 4 * NS_PER_S);
    assert_int_equal(net->nodes[0].reached, 1);
    assert_int_equal(stats_of(net, 0).group_reached, NET_NODES - 1);
    uint64_t copies = stats_of(net, 0).group_copies;
    send_many(net, 0, 0x1e, id, 300);
    net_run(net, 100 * NS_PER_MS);
    assert_int_equal(stats_of(net, 0).group_copies, copies + 4);
    expect(net, 0x1e, 0, id + 1);
    net_free(net);
}

/* One that does not run holds nobody up, and gets what it missed when it runs again. */
static void a_stalled_one_slows_nobody(void **state)
{
    (void)state;
    struct net *net = group_new(8);
    const uint32_t count = 2000;
    struct addr away = {.family = 4, .port = 6999, .ip = {127, 0, 0, 1}};
    struct addr home = net->nodes[4].addr;
    net->nodes[4].group_loss_permille = 1000;
    mesh_admit(net->nodes[0].mesh, net->nodes[4].inc, 104, &away, net->now_ns);
    for (uint32_t id = 0; id < count; id++) {
        send_many(net, 0, 0x1e, id, 500);
        if (id % 4 == 0)
            net_run(net, NS_PER_MS);
    }
    net_run(net, 5 * NS_PER_MS);
    for (uint32_t id = 0; id < count; id++)
        assert_int_equal(net->nodes[1].delivered[id] & net->nodes[2].delivered[id], 1);
    mesh_admit(net->nodes[0].mesh, net->nodes[4].inc, 104, &home, net->now_ns);
    net->nodes[4].group_loss_permille = 0;
    net_run(net, 10 * NS_PER_S);
    expect(net, 0x1e, 0, count);
    net_free(net);
}

static void storm(uint64_t seed, unsigned loss_permille, size_t len_max)
{
    struct net *net = group_new(seed);
    const uint32_t count = 1500;
    net->duplicate_permille = 20;
    net->jitter_ns = 400 * NS_PER_US;
    net->loss_permille = loss_permille / 2;
    for (int i = 1; i < NET_NODES; i++)
        net->nodes[i].group_loss_permille = loss_permille;
    for (uint32_t id = 0; id < count; id++) {
        send_many(net, 0, 0x1e, id, 40 + rng_below(&net->rng, len_max));
        net_send(net, 1, 0, id, 40, true);
        if (id % 5 == 0)
            net_run(net, 700 * NS_PER_US);
    }
    net_run(net, 20 * NS_PER_S);
    expect(net, 0x1e, 0, count);
    net_expect_all(net, 1, 0, 0, count);
    for (int i = 0; i < NET_NODES; i++)
        assert_int_equal(stats_of(net, i).dropped_malformed, 0);
    net_free(net);
}

static void storms_of_small_messages(void **state)
{
    (void)state;
    static const unsigned losses[] = {0, 10, 50, 200};
    for (unsigned i = 0; i < 4; i++)
        storm(20 + i, losses[i], 500);
}

static void storms_of_messages_in_parts(void **state)
{
    (void)state;
    storm(30, 10, 6000);
    storm(31, 50, 30000);
}

/* A sender that was forgotten, and one that comes back as another incarnation, begin anew. */
static void a_forgotten_link_begins_anew(void **state)
{
    (void)state;
    struct net *net = group_new(9);
    for (uint32_t id = 0; id < 50; id++) {
        send_many(net, 0, 0x1e, id, 300);
        net_run(net, 200 * NS_PER_US);
    }
    net_run(net, 200 * NS_PER_MS);
    expect(net, 0x1e, 0, 50);
    mesh_remove(net->nodes[2].mesh, net->nodes[0].inc);
    assert_int_equal(
        mesh_admit(net->nodes[2].mesh, net->nodes[0].inc, 100, &net->nodes[0].addr, net->now_ns),
        STEAD_OK);
    net_run(net, 2 * NS_PER_S);
    for (uint32_t id = 50; id < 60; id++)
        send_many(net, 0, 0x1e, id, 300);
    net_run(net, 2 * NS_PER_S);
    expect(net, 0x1e, 0, 60);
    net_free(net);
}

static void who_is_removed_takes_nothing_along(void **state)
{
    (void)state;
    struct net *net = group_new(10);
    send_many(net, 0, 0x1e, 1, 300);
    mesh_drop_waiting(net->nodes[0].mesh, net->nodes[1].inc);
    mesh_remove(net->nodes[0].mesh, net->nodes[2].inc);
    net_flush(net, 0);
    send_many(net, 0, 0x1e, 2, 300); /* one receiver is unknown */
    mesh_remove(net->nodes[0].mesh, net->nodes[3].inc);
    net_run(net, 50 * NS_PER_US);
    mesh_remove(net->nodes[0].mesh, net->nodes[4].inc); /* under way to it */
    net_run(net, NS_PER_S);
    assert_int_equal(net->nodes[1].delivered[1], 0);
    assert_int_equal(net->nodes[1].delivered[2], 1);
    assert_int_equal(net->nodes[4].delivered[1], 1);
    assert_int_equal(stats_of(net, 0).queued_bytes, 0);
    net_free(net);
}

static void without_a_group_it_is_copies(void **state)
{
    (void)state;
    struct net *net = net_new(11);
    for (int k = 1; k < NET_NODES; k++)
        net_hello(net, 0, k);
    net_run(net, 50 * NS_PER_MS);
    assert_int_equal(send_many(net, 0, 0x1e, 1, 300), 0xf);
    net_run(net, 50 * NS_PER_MS);
    expect(net, 0x1e, 1, 1);
    assert_int_equal(stats_of(net, 0).unicast_copies, 4);
    assert_int_equal(net->group_frames, 0);
    net_free(net);
}

static void a_full_queue_refuses_one_receiver(void **state)
{
    (void)state;
    struct net *net = group_new(12);
    net->cut = true;
    while (net_send(net, 0, 2, 1, 1u << 20, true) == STEAD_OK)
        ;
    net->cut = false;
    assert_int_equal(send_many(net, 0, 0x0e, 5, 1u << 20), 0x5); /* the second has no room */
    net_free(net);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    struct net *net = group_new(13);
    for (uint32_t id = 0; id < 60; id++) {
        mem_fail_after(id % 12 + 1);
        unsigned took = 0;
        struct mesh_to to[2] = {{.inc = net->nodes[1].inc}, {.inc = net->nodes[2].inc}};
        uint8_t bytes[300];
        net_message(bytes, sizeof bytes, id);
        memcpy(to[0].own, bytes + OWN_AT, MESH_OWN_BYTES);
        memcpy(to[1].own, bytes + OWN_AT, MESH_OWN_BYTES);
        took = mesh_send_many(net->nodes[0].mesh, to, 2, CHANNEL_SESSION, OWN_AT, bytes,
                              sizeof bytes, net->now_ns);
        struct mesh_actions a;
        mesh_actions_init(&a);
        mesh_flush(net->nodes[0].mesh, net->now_ns, &a);
        mem_fail_after(0);
        net_act(net, 0, &a);
        net_run(net, 500 * NS_PER_MS);
        assert_int_equal(net->nodes[1].delivered[id], took & 1);
        assert_int_equal(net->nodes[2].delivered[id], took >> 1);
    }
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_datagram_for_all),
        cmocka_unit_test(only_those_who_are_named_get_it),
        cmocka_unit_test(small_ones_share_a_frame),
        cmocka_unit_test(one_gap_is_asked_for),
        cmocka_unit_test(several_gaps_are_repaired_at_once),
        cmocka_unit_test(nothing_is_said_when_all_have_it),
        cmocka_unit_test(a_deaf_one_gets_it_by_unicast),
        cmocka_unit_test(a_stalled_one_slows_nobody),
        cmocka_unit_test(storms_of_small_messages),
        cmocka_unit_test(storms_of_messages_in_parts),
        cmocka_unit_test(a_forgotten_link_begins_anew),
        cmocka_unit_test(who_is_removed_takes_nothing_along),
        cmocka_unit_test(without_a_group_it_is_copies),
        cmocka_unit_test(a_full_queue_refuses_one_receiver),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
