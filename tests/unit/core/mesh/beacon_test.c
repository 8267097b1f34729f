/* beacon_test.c - beacons: when they go out, what comes of those that come in, and when the group
 * counts as silent. */
#include "mesh_net.h"

#include "core/mesh/unit.h"

#define GROUP_PORT 7009u

struct pair {
    struct seal *seals[2];
    struct mesh *meshes[2];
    struct addr addr[2];
};

static const struct addr group = {.family = 4, .port = GROUP_PORT, .ip = {239, 1, 2, 3}};

static void setup(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        struct mesh_config c;
        p->seals[i] = seal_new("shop", net_key, i + 1, i + 11);
        mesh_config_default(&c);
        c.node = i + 1;
        c.inc = i + 11;
        c.seal = p->seals[i];
        c.group = group;
        c.seed = i;
        p->meshes[i] = mesh_new(&c);
        assert_non_null(p->meshes[i]);
        p->addr[i] = net_addr((int)i);
    }
}

static void teardown(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        mesh_free(p->meshes[i]);
        seal_free(p->seals[i]);
    }
}

/* What an event put out, by kind; the last datagram is kept. */
struct seen_outputs {
    unsigned datagrams, beacons, silent, heard, others;
    uint64_t deadline_ns;
    size_t len;
    struct addr to;
    uint8_t bytes[MESH_FRAME_MAX];
    uint8_t counts[MESH_BEACON_MAX];
    size_t counts_len;
};

static void look(struct mesh_actions *a, struct seen_outputs *s)
{
    struct list *link;
    s->deadline_ns = a->deadline_ns;
    while ((link = list_pop(&a->outputs))) {
        struct mesh_output *o = list_entry(link, struct mesh_output, link);
        if (o->type == MESH_OUT_DATAGRAM) {
            s->datagrams++;
            s->len = o->len;
            s->to = o->addr;
            memcpy(s->bytes, o->bytes, o->len);
        } else if (o->type == MESH_OUT_BEACON) {
            s->beacons++;
            s->counts_len = o->len;
            memcpy(s->counts, o->bytes, o->len);
        } else if (o->type == MESH_OUT_GROUP) {
            s->silent += o->bytes[0] == 1;
            s->heard += o->bytes[0] == 0;
        } else {
            s->others++;
        }
        mesh_output_free(o);
    }
}

static struct seen_outputs flush(struct mesh *m, uint64_t now_ns)
{
    struct seen_outputs s = {0};
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_flush(m, now_ns, &a);
    look(&a, &s);
    return s;
}

static struct seen_outputs receive(struct mesh *m, const struct addr *from, const uint8_t *bytes,
                                   size_t len, uint64_t now_ns)
{
    struct seen_outputs s = {0};
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_datagram(m, from, bytes, len, now_ns, &a);
    look(&a, &s);
    return s;
}

#define T0 (100 * NS_PER_S)

static void goes_out_each_second_and_at_changes(void **state)
{
    struct pair p;
    (void)state;
    setup(&p);
    assert_int_equal(flush(p.meshes[0], T0).datagrams, 0); /* nothing to say yet */
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"one", 3);
    struct seen_outputs s = flush(p.meshes[0], T0);
    assert_int_equal(s.datagrams, 1);
    assert_true(addr_equal(&s.to, &group));
    assert_int_equal(s.deadline_ns, T0 + NS_PER_S);
    assert_int_equal(flush(p.meshes[0], T0 + NS_PER_S - 1).datagrams, 0);
    assert_int_equal(flush(p.meshes[0], T0 + NS_PER_S).datagrams, 1);
    uint64_t t = T0 + NS_PER_S + 5 * NS_PER_MS;
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"two", 3);
    s = flush(p.meshes[0], t);
    assert_int_equal(s.datagrams, 0); /* too soon after the last one */
    assert_int_equal(s.deadline_ns, T0 + NS_PER_S + 20 * NS_PER_MS);
    s = flush(p.meshes[0], s.deadline_ns);
    assert_int_equal(s.datagrams, 1);
    assert_int_equal(s.deadline_ns, T0 + 2 * NS_PER_S); /* the beat goes on */
    mesh_set_beacon(p.meshes[0], NULL, 0);
    assert_int_equal(flush(p.meshes[0], T0 + 9 * NS_PER_S).datagrams, 0);
    teardown(&p);
}

static void says_its_counts_and_proves_nothing(void **state)
{
    struct pair p;
    struct mesh_stats stats;
    (void)state;
    setup(&p);
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"counts", 6);
    struct seen_outputs s = flush(p.meshes[0], T0);
    struct seen_outputs got = receive(p.meshes[1], &p.addr[0], s.bytes, s.len, T0);
    assert_int_equal(got.beacons, 1);
    assert_int_equal(got.datagrams, 0); /* whether it is greeted is not decided here */
    assert_int_equal(got.others, 0);
    assert_int_equal(got.counts_len, 6);
    assert_memory_equal(got.counts, "counts", 6);
    /* A peer's counts once, and not its address. */
    assert_int_equal(mesh_admit(p.meshes[1], 11, 1, &p.addr[0], T0), STEAD_OK);
    struct addr elsewhere = net_addr(2);
    s = flush(p.meshes[0], T0 + NS_PER_S);
    got = receive(p.meshes[1], &elsewhere, s.bytes, s.len, T0 + NS_PER_S);
    assert_int_equal(got.beacons, 1);
    assert_int_equal(got.others, 0);
    got = receive(p.meshes[1], &p.addr[0], s.bytes, s.len, T0 + NS_PER_S);
    assert_int_equal(got.beacons, 0);
    mesh_stats(p.meshes[1], &stats);
    assert_int_equal(stats.dropped_replay, 1);
    assert_int_equal(stats.beacons_in, 2);
    assert_int_equal(stats.messages_in, 0);
    teardown(&p);
}

static void silence_is_said_once_and_ends(void **state)
{
    struct pair p;
    struct mesh_stats stats;
    unsigned silent = 0;
    (void)state;
    setup(&p);
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"x", 1);
    struct seen_outputs first = flush(p.meshes[0], T0), s = first;
    assert_int_equal(receive(p.meshes[0], &p.addr[0], s.bytes, s.len, T0).others, 0);
    for (unsigned i = 1; i <= 5; i++)
        silent += flush(p.meshes[0], T0 + i * NS_PER_S).silent;
    assert_int_equal(silent, 0);
    for (unsigned i = 6; i <= 20; i++) {
        s = flush(p.meshes[0], T0 + i * NS_PER_S);
        silent += s.silent;
    }
    assert_int_equal(silent, 1);
    mesh_stats(p.meshes[0], &stats);
    assert_int_equal(stats.group_silent, 1);
    assert_int_equal(stats.dropped_stranger, 0);
    /* An old own one that somebody sends again is no sign of the group. */
    assert_int_equal(receive(p.meshes[0], &p.addr[0], first.bytes, first.len, T0).heard, 0);
    assert_int_equal(receive(p.meshes[0], &p.addr[0], s.bytes, s.len, T0).heard, 1);
    mesh_stats(p.meshes[0], &stats);
    assert_int_equal(stats.group_silent, 0);
    assert_int_equal(stats.beacons_in, 0);
    teardown(&p);
}

static void a_pause_is_no_silence(void **state)
{
    struct pair p;
    (void)state;
    setup(&p);
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"x", 1);
    (void)flush(p.meshes[0], T0);
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(flush(p.meshes[0], T0 + i * 60 * NS_PER_S).silent, 0);
    teardown(&p);
}

static struct seen_outputs greet(struct mesh *m, const struct addr *to, uint64_t now_ns)
{
    struct seen_outputs s = {0};
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_greet(m, to, now_ns, &a);
    look(&a, &s);
    return s;
}

static void greetings_are_rare(void **state)
{
    struct pair p;
    struct addr other = net_addr(2);
    (void)state;
    setup(&p);
    assert_int_equal(greet(p.meshes[0], &p.addr[1], T0).datagrams, 1);
    assert_int_equal(greet(p.meshes[0], &p.addr[1], T0 + NS_PER_S - 1).datagrams, 0);
    assert_int_equal(greet(p.meshes[0], &other, T0 + 1).datagrams, 1);
    assert_int_equal(greet(p.meshes[0], &p.addr[1], T0 + 2 * NS_PER_S).datagrams, 1);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(mesh_admit(p.meshes[0], 100 + i, 100 + i, &other, T0), STEAD_OK);
    unsigned greeted = 0;
    for (uint64_t i = 0; i < 400; i++)
        greeted += greet(p.meshes[0], &p.addr[1], T0 + (10 + 2 * i) * NS_PER_S).datagrams;
    assert_in_range(greeted, 1, 40); /* 8 of 400 members, as a mean */
    teardown(&p);
}

static void only_to_all_and_with_a_group(void **state)
{
    struct pair p;
    struct mesh_stats stats;
    uint8_t frame[MESH_FRAME_MAX];
    const uint8_t body[] = {UNIT_BEACON, 0, 1, 'x'};
    size_t len = 0;
    (void)state;
    setup(&p);
    assert_int_equal(seal_frame(p.seals[0], 12, body, sizeof body, frame, &len), STEAD_OK);
    assert_int_equal(receive(p.meshes[1], &p.addr[0], frame, len, T0).beacons, 0);
    mesh_stats(p.meshes[1], &stats);
    assert_int_equal(stats.dropped_malformed, 1);
    struct mesh_config c;
    mesh_config_default(&c);
    c.node = 2;
    c.inc = 12;
    c.seal = p.seals[1];
    struct mesh *plain = mesh_new(&c);
    assert_non_null(plain);
    mesh_set_beacon(plain, body, 1);
    assert_int_equal(flush(plain, T0).datagrams, 0);
    assert_int_equal(seal_frame(p.seals[0], 0, body, sizeof body, frame, &len), STEAD_OK);
    assert_int_equal(receive(plain, &p.addr[0], frame, len, T0).beacons, 0);
    mesh_free(plain);
    teardown(&p);
}

static void without_memory_it_is_as_if_lost(void **state)
{
    struct pair p;
    (void)state;
    setup(&p);
    mesh_set_beacon(p.meshes[0], (const uint8_t *)"x", 1);
    struct seen_outputs s = flush(p.meshes[0], T0);
    mem_fail_after(1);
    assert_int_equal(receive(p.meshes[1], &p.addr[0], s.bytes, s.len, T0).beacons, 0);
    mem_fail_after(1);
    assert_int_equal(flush(p.meshes[0], T0 + NS_PER_S).datagrams, 0);
    mem_fail_after(0);
    s = flush(p.meshes[0], T0 + 2 * NS_PER_S);
    assert_int_equal(s.datagrams, 1);
    assert_int_equal(receive(p.meshes[1], &p.addr[0], s.bytes, s.len, T0).beacons, 1);
    teardown(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_out_each_second_and_at_changes),
        cmocka_unit_test(says_its_counts_and_proves_nothing),
        cmocka_unit_test(silence_is_said_once_and_ends),
        cmocka_unit_test(a_pause_is_no_silence),
        cmocka_unit_test(greetings_are_rare),
        cmocka_unit_test(only_to_all_and_with_a_group),
        cmocka_unit_test(without_memory_it_is_as_if_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
