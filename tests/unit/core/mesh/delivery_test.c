/* Messages over networks that lose, reorder, repeat and cut: each arrives once, whole, in the end.
 */
#include "mesh_net.h"

static void few_messages_arrive_at_once(void **state)
{
    (void)state;
    struct net *net = net_pair(1);
    uint64_t start_ns = net->now_ns;
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(net_send(net, 0, 1, i, 4 + i * 10, true), STEAD_OK);
    assert_int_equal(net_send(net, 1, 0, 5, 60, true), STEAD_OK);
    struct mesh_stats before, after;
    mesh_stats(net->nodes[0].mesh, &before);
    net_run(net, NS_PER_MS);
    mesh_stats(net->nodes[0].mesh, &after);
    assert_true(net->now_ns - start_ns <= NS_PER_MS);
    net_expect_all(net, 0, 1, 0, 20);
    net_expect_all(net, 1, 0, 5, 1);
    assert_true(after.frames_out - before.frames_out <= 6); /* packed, not one frame each */
    assert_int_equal(after.retransmits, 0);
    uint64_t rtt_ns = mesh_rtt_ns(net->nodes[0].mesh, net->nodes[1].inc);
    assert_in_range(rtt_ns, 200 * NS_PER_US, 400 * NS_PER_US);
    assert_true(net->nodes[0].deadline_ns == TIME_NEVER);
    assert_true(net->nodes[1].deadline_ns == TIME_NEVER);
    net_free(net);
}

static void empty_and_largest_messages(void **state)
{
    (void)state;
    struct net *net = net_pair(2);
    assert_int_equal(net_send(net, 0, 1, 0, 0, true), STEAD_OK);
    net_run(net, 10 * NS_PER_MS);
    assert_int_equal(net->nodes[1].messages, 1);
    assert_int_equal(net->nodes[1].last_len, 0);
    assert_int_equal(net_send(net, 0, 1, 7, MESH_MESSAGE_MAX, true), STEAD_OK);
    assert_int_equal(net_send(net, 0, 1, 8, MESH_MESSAGE_MAX + 1, true), STEAD_E_TOO_LARGE);
    net_run(net, NS_PER_S);
    net_expect_all(net, 0, 1, 7, 1);
    assert_int_equal(net->nodes[1].last_len, MESH_MESSAGE_MAX);
    net_free(net);
}

static void storm(uint64_t seed, unsigned loss_permille, uint32_t count, size_t len_max,
                  uint64_t for_ns)
{
    struct net *net = net_pair(seed);
    net->loss_permille = loss_permille;
    net->duplicate_permille = 20;
    net->jitter_ns = 300 * NS_PER_US;
    for (uint32_t i = 0; i < count; i++) {
        size_t len = 4 + rng_below(&net->rng, len_max);
        assert_int_equal(net_send(net, 0, 1, i, len, true), STEAD_OK);
        assert_int_equal(net_send(net, 1, 0, i, 4 + rng_below(&net->rng, 100), true), STEAD_OK);
        if (i % 8 == 0)
            net_run(net, 200 * NS_PER_US);
    }
    net_run(net, for_ns);
    net_expect_all(net, 0, 1, 0, count);
    net_expect_all(net, 1, 0, 0, count);
    struct mesh_stats s;
    mesh_stats(net->nodes[1].mesh, &s);
    assert_true(s.dropped_replay > 0); /* the repeated frames */
    assert_int_equal(s.dropped_malformed, 0);
    net_free(net);
}

static void small_messages_under_loss(void **state)
{
    (void)state;
    static const unsigned losses[] = {0, 10, 50, 150, 300};
    for (unsigned i = 0; i < 5; i++)
        storm(100 + i, losses[i], 600, 400, 20 * NS_PER_S);
}

static void messages_of_200_kb_at_5_percent(void **state)
{
    (void)state;
    storm(200, 50, 12, 200u << 10, 20 * NS_PER_S);
}

static void messages_of_1_mib_at_5_percent(void **state)
{
    (void)state;
    struct net *net = net_pair(201);
    net->loss_permille = 50;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(net_send(net, 0, 1, i, 1u << 20, true), STEAD_OK);
    net_run(net, 20 * NS_PER_S);
    net_expect_all(net, 0, 1, 0, 4);
    net_free(net);
}

static void frame_size_rises_and_falls(void **state)
{
    (void)state;
    struct net *net = net_pair(3);
    assert_int_equal(mesh_frame_size(net->nodes[0].mesh, net->nodes[1].inc), MESH_FRAME_MIN);
    assert_int_equal(net_send(net, 0, 1, 0, 200u << 10, true), STEAD_OK);
    net_run(net, NS_PER_S);
    assert_int_equal(mesh_frame_size(net->nodes[0].mesh, net->nodes[1].inc), MESH_FRAME_MAX);
    net->largest = 1300; /* from now on, a link that eats the rest */
    uint64_t start_ns = net->now_ns;
    assert_int_equal(net_send(net, 0, 1, 1, 200u << 10, true), STEAD_OK);
    while (!net->nodes[1].delivered[1] && net->now_ns < start_ns + 5 * NS_PER_S)
        net_run(net, 10 * NS_PER_MS);
    assert_true(net->now_ns - start_ns < NS_PER_S);
    net_run(net, NS_PER_S);
    net_expect_all(net, 0, 1, 0, 2);
    assert_int_equal(mesh_frame_size(net->nodes[0].mesh, net->nodes[1].inc), MESH_FRAME_MIN);
    net_free(net);
}

static void small_link_from_the_start(void **state)
{
    (void)state;
    struct net *net = net_pair(4);
    net->largest = 1300;
    net->loss_permille = 20;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(net_send(net, 0, 1, i, 100u << 10, true), STEAD_OK);
    net_run(net, 10 * NS_PER_S);
    net_expect_all(net, 0, 1, 0, 5);
    assert_int_equal(mesh_frame_size(net->nodes[0].mesh, net->nodes[1].inc), MESH_FRAME_MIN);
    assert_true(net->nodes[0].deadline_ns == TIME_NEVER);
    net_free(net);
}

static void a_cut_delays_and_loses_nothing(void **state)
{
    (void)state;
    struct net *net = net_pair(5);
    net->cut = true;
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(net_send(net, 0, 1, i, 2000, true), STEAD_OK);
    net_run(net, 30 * NS_PER_S);
    assert_int_equal(net->nodes[1].messages, 0);
    net->cut = false;
    net_run(net, 3 * NS_PER_S); /* the longest pause is a second */
    net_expect_all(net, 0, 1, 0, 50);
    net_free(net);
}

static void the_first_sign_of_life_after_a_cut_ends_the_wait(void **state)
{
    (void)state;
    struct net *net = net_pair(10);
    net->cut = true;
    assert_int_equal(net_send(net, 0, 1, 1, 2000, true), STEAD_OK);
    net_run(net, 30 * NS_PER_S + 300 * NS_PER_MS);
    net->cut = false;
    assert_true(net->nodes[0].deadline_ns > net->now_ns + 50 * NS_PER_MS);
    assert_int_equal(net_send(net, 1, 0, 2, 50, false), STEAD_OK); /* a heartbeat */
    net_run(net, NS_PER_MS);
    net_expect_all(net, 0, 1, 1, 1);
    net_free(net);
}

static void single_messages_wait_little_under_heavy_loss(void **state)
{
    (void)state;
    struct net *net = net_pair(11);
    net->loss_permille = 300;
    uint64_t start_ns = net->now_ns;
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(net_send(net, 0, 1, i, 500, true), STEAD_OK);
        while (!net->nodes[1].delivered[i])
            net_run(net, 100 * NS_PER_US);
    }
    assert_true(net->now_ns - start_ns < 300 * 8 * NS_PER_MS); /* the mean */
    net_free(net);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct net *net = net_pair(6);
    net->cut = true;
    int err = STEAD_OK;
    uint32_t sent = 0;
    while (sent < 200 && (err = net_send(net, 0, 1, sent, 1u << 20, true)) == STEAD_OK)
        sent++;
    assert_int_equal(err, STEAD_E_BUSY);
    assert_in_range(sent, 60, 64);
    net->cut = false;
    net_run(net, 10 * NS_PER_S);
    net_expect_all(net, 0, 1, 0, sent);
    assert_int_equal(net_send(net, 0, 1, 300, 100, true), STEAD_OK);
    assert_int_equal(net_send(net, 0, 2, 300, 100, true), STEAD_E_NOT_FOUND);
    net_free(net);
}

static void what_waits_can_be_dropped(void **state)
{
    (void)state;
    struct net *net = net_pair(6);
    struct mesh_stats stats;
    net->cut = true;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(net_send(net, 0, 1, i, 1u << 20, true), STEAD_OK);
    net_run(net, 100 * NS_PER_MS);
    mesh_drop_waiting(net->nodes[0].mesh, net->nodes[1].inc);
    mesh_drop_waiting(net->nodes[0].mesh, 4711);
    mesh_stats(net->nodes[0].mesh, &stats);
    assert_int_equal(stats.unsent_void, 9); /* the first was begun */
    assert_true(stats.queued_bytes < 2u << 20);
    net->cut = false;
    assert_int_equal(net_send(net, 0, 1, 10, 3000, true), STEAD_OK);
    net_run(net, 10 * NS_PER_S);
    assert_int_equal(net->nodes[1].messages, 2);
    net_expect_all(net, 0, 1, 0, 1);
    net_expect_all(net, 0, 1, 10, 1);
    net_free(net);
}

static void fleeting_is_sent_once(void **state)
{
    (void)state;
    struct net *net = net_pair(7);
    assert_int_equal(net_send(net, 0, 1, 1, 100, false), STEAD_OK);
    assert_int_equal(net_send(net, 0, 1, 2, 1200, false), STEAD_E_TOO_LARGE);
    net_run(net, NS_PER_MS);
    net_expect_all(net, 0, 1, 1, 1);
    net->cut = true;
    assert_int_equal(net_send(net, 0, 1, 3, 100, false), STEAD_OK);
    net_run(net, NS_PER_MS);
    net->cut = false;
    net_run(net, 5 * NS_PER_S);
    assert_int_equal(net->nodes[1].delivered[3], 0);
    assert_int_equal(net->nodes[1].messages, 1);
    net_free(net);
}

static void without_memory_messages_only_come_later(void **state)
{
    (void)state;
    for (unsigned countdown = 1; countdown < 60; countdown++) {
        struct net *net = net_pair(8);
        uint8_t bytes[5000];
        net_message(bytes, sizeof bytes, 1);
        struct mesh_actions a;
        mesh_actions_init(&a);
        struct mesh *m = net->nodes[0].mesh;
        mem_fail_after(countdown);
        int err = mesh_send(m, net->nodes[1].inc, CHANNEL_SESSION, true, bytes, sizeof bytes,
                            net->now_ns);
        mesh_flush(m, net->now_ns, &a);
        mem_fail_after(0);
        net->nodes[0].deadline_ns = a.deadline_ns;
        net_act(net, 0, &a);
        assert_true(err == STEAD_OK || (err == STEAD_E_NOMEM && countdown == 1));
        net_run(net, 2 * NS_PER_S);
        if (err == STEAD_OK)
            net_expect_all(net, 0, 1, 1, 1);
        net_free(net);
    }
}

static void receiver_without_memory_gets_it_again(void **state)
{
    (void)state;
    for (unsigned countdown = 1; countdown < 12; countdown++) {
        struct net *net = net_pair(9);
        assert_int_equal(net_send(net, 0, 1, 1, 3000, true), STEAD_OK);
        assert_int_equal(net_send(net, 0, 1, 2, 30, true), STEAD_OK);
        net_flush(net, 0);
        while (!list_empty(&net->packets)) {
            struct net_packet *p = list_entry(list_pop(&net->packets), struct net_packet, link);
            struct mesh_actions a;
            mesh_actions_init(&a);
            mem_fail_after(countdown);
            mesh_datagram(net->nodes[1].mesh, &p->from, p->bytes, p->len, net->now_ns, &a);
            mem_fail_after(0);
            net_act(net, 1, &a);
            mem_free(p);
        }
        net_run(net, 2 * NS_PER_S);
        net_expect_all(net, 0, 1, 1, 2);
        net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_messages_arrive_at_once),
        cmocka_unit_test(empty_and_largest_messages),
        cmocka_unit_test(small_messages_under_loss),
        cmocka_unit_test(messages_of_200_kb_at_5_percent),
        cmocka_unit_test(messages_of_1_mib_at_5_percent),
        cmocka_unit_test(frame_size_rises_and_falls),
        cmocka_unit_test(small_link_from_the_start),
        cmocka_unit_test(a_cut_delays_and_loses_nothing),
        cmocka_unit_test(the_first_sign_of_life_after_a_cut_ends_the_wait),
        cmocka_unit_test(single_messages_wait_little_under_heavy_loss),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(what_waits_can_be_dropped),
        cmocka_unit_test(fleeting_is_sent_once),
        cmocka_unit_test(without_memory_messages_only_come_later),
        cmocka_unit_test(receiver_without_memory_gets_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
