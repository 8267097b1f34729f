/* One side forgets the other, or both do, in the middle of everything: they meet again, and no
 * message is delivered twice or damaged. What is sent after they met arrives. */
#include "mesh_net.h"

static void send_some(struct net *net, uint32_t *id, uint32_t count, size_t len)
{
    for (uint32_t i = 0; i < count; i++, (*id)++) {
        /* NOT_FOUND while the peer is forgotten */
        (void)net_send(net, 0, 1, *id, len, true);
        (void)net_send(net, 1, 0, *id, len, true);
    }
}

static void expect_never_twice(const struct net *net)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(net->nodes[i].twice, 0);
        assert_int_equal(net->nodes[i].corrupt, 0);
    }
}

static void forgets(uint64_t seed, bool zero, bool one, unsigned loss_permille)
{
    struct net *net = net_pair(seed);
    uint32_t id = 0;
    net->loss_permille = loss_permille;
    net->duplicate_permille = 50;
    net->jitter_ns = NS_PER_MS;
    for (int round = 0; round < 6; round++) {
        send_some(net, &id, 30, 3000);
        net_run(net, rng_below(&net->rng, 3 * NS_PER_MS));
        if (zero)
            mesh_remove(net->nodes[0].mesh, net->nodes[1].inc);
        if (one)
            mesh_remove(net->nodes[1].mesh, net->nodes[0].inc);
        send_some(net, &id, 5, 200);
        for (int i = 0; i < 4; i++) { /* the farm's joining goes on */
            net_hello(net, 0, 1);
            net_run(net, 700 * NS_PER_MS);
        }
        expect_never_twice(net);
    }
    net_run(net, 5 * NS_PER_S);
    uint32_t first = id;
    send_some(net, &id, 50, 2500);
    net_run(net, 5 * NS_PER_S);
    net_expect_all(net, 0, 1, first, 50);
    net_expect_all(net, 1, 0, first, 50);
    net_free(net);
}

static void one_side_forgets(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        forgets(10 + seed, true, false, 0);
        forgets(20 + seed, false, true, 100);
    }
}

static void both_sides_forget(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++)
        forgets(30 + seed, true, true, 50 * (unsigned)seed);
}

static void the_forgotten_side_is_met_again_by_what_it_sends(void **state)
{
    (void)state;
    struct net *net = net_pair(40);
    mesh_remove(net->nodes[1].mesh, net->nodes[0].inc);
    assert_int_equal(net_send(net, 0, 1, 1, 100, true), STEAD_OK);
    net_run(net, NS_PER_S); /* no HELLO but the one that 1 says to the stranger */
    assert_int_equal(net->nodes[1].proven, 2);
    assert_int_equal(net->nodes[0].proven, 1);
    assert_true(net->nodes[1].delivered[1] <= 1);
    assert_int_equal(net_send(net, 0, 1, 2, 100, true), STEAD_OK);
    assert_int_equal(net_send(net, 1, 0, 3, 100, true), STEAD_OK);
    net_run(net, NS_PER_S);
    net_expect_all(net, 0, 1, 2, 1);
    net_expect_all(net, 1, 0, 3, 1);
    net_free(net);
}

static void what_was_not_begun_survives(void **state)
{
    (void)state;
    struct net *net = net_pair(41);
    net->cut = true;
    for (uint32_t i = 0; i < 10; i++) /* far more than the window */
        assert_int_equal(net_send(net, 0, 1, i, 100u << 10, true), STEAD_OK);
    net_run(net, NS_PER_S);
    mesh_remove(net->nodes[1].mesh, net->nodes[0].inc);
    net->cut = false;
    net_run(net, 5 * NS_PER_S);
    assert_int_equal(net->nodes[1].delivered[0], 0); /* begun: lost, and said so in the header */
    net_expect_all(net, 0, 1, 5, 5);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_forgets),
        cmocka_unit_test(both_sides_forget),
        cmocka_unit_test(the_forgotten_side_is_met_again_by_what_it_sends),
        cmocka_unit_test(what_was_not_begun_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
