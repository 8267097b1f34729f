/* mesh_net.h - a network of meshes for tests: scripted loss, delay, reordering, duplication and a
 * largest frame, in virtual time, from a seed. */
#ifndef TESTS_MESH_NET_H
#define TESTS_MESH_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/mesh/mesh.h"
#include "stead/error.h"

#include <string.h>

#ifndef NET_NODES
#define NET_NODES 3
#endif
#define NET_IDS_MAX 20000u

struct net_packet {
    struct list link;
    uint64_t at_ns;
    struct addr from;
    int to;
    size_t len;
    uint8_t bytes[];
};

struct net_node {
    struct seal *seal;
    struct mesh *mesh;
    struct addr addr;
    uint64_t inc;
    uint64_t deadline_ns;
    bool admits; /* says yes to whoever proves itself */
    unsigned proven, refused, moved, messages, corrupt, twice;
    unsigned reached, unreached;  /* so often told of a peer */
    unsigned group_loss_permille; /* of what comes to it by the group; 1000: it is deaf */
    unsigned group_skip;          /* so many frames of parts are lost next */
    uint8_t delivered[NET_IDS_MAX];
    size_t last_len;
    uint8_t last_reason;
};

struct net {
    struct rng rng;
    uint64_t now_ns;
    unsigned loss_permille, duplicate_permille;
    uint64_t delay_ns, jitter_ns;
    size_t largest;
    bool cut;
    uint64_t group_frames, group_bytes, unicast_bytes;
    struct list packets;
    struct net_node nodes[NET_NODES];
};

static const uint8_t net_key[FARM_KEY_BYTES] = {7, 7, 7};

static inline struct addr net_addr(int node)
{
    struct addr a = {.family = 4, .port = (uint16_t)(7000 + node), .ip = {127, 0, 0, 1}};
    return a;
}

/* A message says who it is: id, then bytes that follow from it. */
static inline void net_message(uint8_t *bytes, size_t len, uint32_t id)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(id * 31u + i * 7u + (i >> 8));
    bytes[0] = (uint8_t)(id >> 24);
    bytes[1] = (uint8_t)(id >> 16);
    bytes[2] = (uint8_t)(id >> 8);
    bytes[3] = (uint8_t)id;
}

static inline void net_take_message(struct net_node *n, const struct mesh_output *o)
{
    n->messages++;
    n->last_len = o->len;
    if (o->len < 4)
        return;
    uint32_t id = (uint32_t)o->bytes[0] << 24 | (uint32_t)o->bytes[1] << 16 |
                  (uint32_t)o->bytes[2] << 8 | o->bytes[3];
    uint8_t *want = mem_alloc(o->len);
    assert_non_null(want);
    net_message(want, o->len, id);
    if (id >= NET_IDS_MAX || memcmp(want, o->bytes, o->len) != 0)
        n->corrupt++;
    else if (n->delivered[id]++)
        n->twice++;
    mem_free(want);
}

static const struct addr net_group = {.family = 4, .port = 7900, .ip = {239, 1, 2, 3}};

static inline void net_post(struct net *net, const struct mesh_output *o);

/* Nobody gets its own: that it comes back is the beacons' matter. */
static inline void net_post_group(struct net *net, const struct mesh_output *o)
{
    bool parts = o->len > 500;
    net->group_frames++;
    net->group_bytes += o->len;
    for (int i = 0; i < NET_NODES; i++) {
        struct net_node *n = &net->nodes[i];
        struct mesh_output *copy;
        if (n->group_skip > 0 && parts) {
            n->group_skip--;
            continue;
        }
        if (rng_below(&net->rng, 1000) < n->group_loss_permille)
            continue;
        copy = mem_alloc(sizeof *copy + o->len);
        assert_non_null(copy);
        memcpy(copy, o, sizeof *copy + o->len);
        copy->addr = n->addr;
        net_post(net, copy);
        net->unicast_bytes -= o->len;
        mem_free(copy);
    }
}

static inline void net_post(struct net *net, const struct mesh_output *o)
{
    int to = (int)o->addr.port - 7000;
    if (addr_equal(&o->addr, &net_group)) {
        net_post_group(net, o);
        return;
    }
    net->unicast_bytes += o->len;
    if (net->cut || to < 0 || to >= NET_NODES || (net->largest && o->len > net->largest))
        return;
    if (rng_below(&net->rng, 1000) < net->loss_permille)
        return;
    int copies = 1 + (rng_below(&net->rng, 1000) < net->duplicate_permille);
    while (copies-- > 0) {
        struct net_packet *p = mem_alloc(sizeof *p + o->len);
        assert_non_null(p);
        p->at_ns = net->now_ns + net->delay_ns;
        if (net->jitter_ns)
            p->at_ns += rng_below(&net->rng, net->jitter_ns);
        p->to = to;
        p->len = o->len;
        memcpy(p->bytes, o->bytes, o->len);
        p->from.family = 0;
        list_append(&net->packets, &p->link);
    }
}

static inline void net_act(struct net *net, int node, struct mesh_actions *a)
{
    struct net_node *n = &net->nodes[node];
    struct list *link;
    while ((link = list_pop(&a->outputs))) {
        struct mesh_output *o = list_entry(link, struct mesh_output, link);
        if (o->type == MESH_OUT_DATAGRAM) {
            struct list *before = net->packets.prev;
            net_post(net, o);
            for (struct list *l = before->next; l != &net->packets; l = l->next)
                list_entry(l, struct net_packet, link)->from = n->addr;
        } else if (o->type == MESH_OUT_MESSAGE) {
            net_take_message(n, o);
        } else if (o->type == MESH_OUT_PROVEN) {
            n->proven++;
            if (n->admits)
                assert_int_equal(mesh_admit(n->mesh, o->inc, o->node, &o->addr, net->now_ns),
                                 STEAD_OK);
        } else if (o->type == MESH_OUT_REFUSED) {
            n->refused++;
            n->last_reason = o->bytes[0];
        } else if (o->type == MESH_OUT_REACH) {
            n->reached += o->bytes[0] == 1;
            n->unreached += o->bytes[0] == 0;
        } else if (o->type == MESH_OUT_MOVED) {
            n->moved++;
        }
        mesh_output_free(o);
    }
}

static inline void net_flush(struct net *net, int node)
{
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_flush(net->nodes[node].mesh, net->now_ns, &a);
    net->nodes[node].deadline_ns = a.deadline_ns;
    net_act(net, node, &a);
    mesh_actions_clear(&a);
}

static inline void net_deliver(struct net *net, struct net_packet *p)
{
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_datagram(net->nodes[p->to].mesh, &p->from, p->bytes, p->len, net->now_ns, &a);
    net_act(net, p->to, &a);
    mesh_actions_clear(&a);
    net_flush(net, p->to);
}

/* Lets time pass, up to until_ns; returns early when nothing is pending at all. */
static inline void net_run(struct net *net, uint64_t for_ns)
{
    uint64_t until_ns = net->now_ns + for_ns;
    for (int i = 0; i < NET_NODES; i++)
        net_flush(net, i);
    for (;;) {
        uint64_t next_ns = TIME_NEVER;
        struct net_packet *first = NULL;
        for (struct list *l = net->packets.next; l != &net->packets; l = l->next) {
            struct net_packet *p = list_entry(l, struct net_packet, link);
            if (p->at_ns < next_ns) {
                next_ns = p->at_ns;
                first = p;
            }
        }
        int due = -1;
        for (int i = 0; i < NET_NODES; i++) {
            if (net->nodes[i].deadline_ns < next_ns) {
                next_ns = net->nodes[i].deadline_ns;
                due = i;
            }
        }
        if (next_ns > until_ns)
            break;
        if (next_ns > net->now_ns)
            net->now_ns = next_ns;
        if (due >= 0) {
            net_flush(net, due);
            /* A deadline that is not in the future after it was served would spin. */
            assert_true(net->nodes[due].deadline_ns > net->now_ns);
        } else {
            list_remove(&first->link);
            net_deliver(net, first);
            mem_free(first);
        }
    }
    net->now_ns = until_ns;
}

static inline void net_hello(struct net *net, int from, int to)
{
    struct mesh_actions a;
    mesh_actions_init(&a);
    mesh_hello(net->nodes[from].mesh, &net->nodes[to].addr, net->now_ns, &a);
    net_act(net, from, &a);
    mesh_actions_clear(&a);
}

static inline struct net *net_new_with(uint64_t seed, const struct addr *group)
{
    struct net *net = mem_alloc(sizeof *net);
    assert_non_null(net);
    rng_init(&net->rng, seed);
    list_init(&net->packets);
    net->now_ns = 100 * NS_PER_S;
    net->delay_ns = 100 * NS_PER_US;
    for (int i = 0; i < NET_NODES; i++) {
        struct net_node *n = &net->nodes[i];
        n->inc = 0x1000 + (uint64_t)i;
        n->addr = net_addr(i);
        n->admits = true;
        n->deadline_ns = TIME_NEVER;
        n->seal = seal_new("farm", net_key, 100 + (uint64_t)i, n->inc);
        assert_non_null(n->seal);
        struct mesh_config c;
        mesh_config_default(&c);
        c.node = 100 + (uint64_t)i;
        c.inc = n->inc;
        c.seal = n->seal;
        c.seed = seed + (uint64_t)i;
        if (group)
            c.group = *group;
        n->mesh = mesh_new(&c);
        assert_non_null(n->mesh);
        mesh_set_card(n->mesh, (const uint8_t *)"card", 4);
    }
    return net;
}

static inline struct net *net_new(uint64_t seed)
{
    return net_new_with(seed, NULL);
}

static inline void net_free(struct net *net)
{
    struct list *link;
    while ((link = list_pop(&net->packets)))
        mem_free(list_entry(link, struct net_packet, link));
    for (int i = 0; i < NET_NODES; i++) {
        mesh_free(net->nodes[i].mesh);
        seal_free(net->nodes[i].seal);
    }
    mem_free(net);
}

/* Two nodes that know each other, on a clean network. */
static inline struct net *net_pair(uint64_t seed)
{
    struct net *net = net_new(seed);
    net_hello(net, 0, 1);
    net_run(net, 10 * NS_PER_MS);
    assert_int_equal(net->nodes[0].proven, 1);
    assert_int_equal(net->nodes[1].proven, 1);
    return net;
}

static inline int net_send(struct net *net, int from, int to, uint32_t id, size_t len,
                           bool reliable)
{
    uint8_t *bytes = mem_alloc(len);
    assert_non_null(bytes);
    if (len >= 4)
        net_message(bytes, len, id);
    int err = mesh_send(net->nodes[from].mesh, net->nodes[to].inc, CHANNEL_SESSION, reliable, bytes,
                        len, net->now_ns);
    mem_free(bytes);
    return err;
}

/* Every id in first .. first + count - 1 came exactly once, and nothing is left under way. */
static inline void net_expect_all(struct net *net, int from, int to, uint32_t first, uint32_t count)
{
    for (uint32_t id = first; id < first + count; id++)
        assert_int_equal(net->nodes[to].delivered[id], 1);
    assert_int_equal(net->nodes[to].twice, 0);
    assert_int_equal(net->nodes[to].corrupt, 0);
    struct mesh_stats s;
    mesh_stats(net->nodes[from].mesh, &s);
    assert_int_equal(s.queued_bytes, 0);
}

#endif
