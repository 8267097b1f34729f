/* farm_group_test.c - farms that find each other by a multicast group, over a network in virtual
 * time: nobody is configured to join anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/farm/farm.h"

#include <stdio.h>
#include <string.h>

#define NODES 5
#define DELAY_NS (1 * NS_PER_MS)
#define JOIN_WAIT_MS 3000

struct flight {
    struct list link;
    uint64_t at_ns;
    struct addr from;
    unsigned to;
    size_t len;
    uint8_t bytes[];
};

struct node {
    struct farm *farm; /* NULL: not running */
    struct addr addr;
    struct roster *roster;
    struct entry self;
    uint64_t deadline_ns;
    unsigned notices[MEMBER_GROUP_REACHED + 1];
};

struct net {
    uint64_t now_ns;
    struct list flights; /* by arrival: the delay is the same for all */
    struct node nodes[NODES];
    bool group_cut;           /* nothing comes by the group */
    bool unicast_cut[NODES];  /* to the node, but by the group */
    unsigned unicasts[NODES]; /* from the node */
    size_t group_bytes, group_count;
};

static const struct addr group = {.family = 4, .port = 7301, .ip = {239, 1, 2, 3}};

static struct addr addr_of(unsigned i)
{
    return (struct addr){.family = 4, .port = 7300, .ip = {10, 0, 0, (uint8_t)(i + 1)}};
}

static void net_init(struct net *n)
{
    memset(n, 0, sizeof *n);
    n->now_ns = 5 * NS_PER_S;
    list_init(&n->flights);
}

static void stop(struct net *n, unsigned i)
{
    farm_free(n->nodes[i].farm);
    roster_unref(n->nodes[i].roster);
    n->nodes[i] = (struct node){0};
}

static void net_deinit(struct net *n)
{
    struct list *link;
    for (unsigned i = 0; i < NODES; i++)
        stop(n, i);
    while ((link = list_pop(&n->flights)) != NULL)
        mem_free(list_entry(link, struct flight, link));
}

static void fly(struct net *n, unsigned from, unsigned to, const struct farm_datagram *d)
{
    struct flight *f = mem_alloc(sizeof *f + d->len);
    assert_non_null(f);
    f->at_ns = n->now_ns + DELAY_NS;
    f->from = n->nodes[from].addr;
    f->to = to;
    f->len = d->len;
    memcpy(f->bytes, d->bytes, d->len);
    list_append(&n->flights, &f->link);
}

/* To the group: to everybody, the sender too. */
static void post(struct net *n, unsigned from, const struct farm_datagram *d)
{
    bool all = addr_equal(&d->to, &group);
    n->group_count += all;
    n->group_bytes += all ? d->len : 0;
    n->unicasts[from] += !all;
    for (unsigned to = 0; to < NODES; to++) {
        struct addr addr = addr_of(to);
        if (all ? !n->group_cut : addr_equal(&d->to, &addr) && !n->unicast_cut[to])
            fly(n, from, to, d);
    }
}

static void take(struct net *n, unsigned i, struct farm_actions *a)
{
    struct node *node = &n->nodes[i];
    struct list *link;
    while ((link = list_pop(&a->datagrams)) != NULL) {
        struct farm_datagram *d = list_entry(link, struct farm_datagram, link);
        post(n, i, d);
        mem_free(d);
    }
    for (uint32_t k = 0; k < a->notice_count; k++)
        node->notices[a->notices[k].what]++;
    node->deadline_ns = a->deadline_ns;
    if (a->roster != NULL) {
        roster_unref(node->roster);
        node->roster = roster_ref(a->roster);
    }
    farm_actions_clear(a);
}

static void start(struct net *n, unsigned i, uint8_t key)
{
    static uint64_t incs = 1000;
    struct farm_config c = {.name = "shop", .group = group, .seed = incs};
    struct node *node = &n->nodes[i];
    *node = (struct node){.addr = addr_of(i), .deadline_ns = n->now_ns};
    node->self = (struct entry){.node = 100 + i,
                                .inc = ++incs * 0x9e3779b97f4a7c15u,
                                .boot = 1,
                                .revision = 1,
                                .status = STATUS_JOINING,
                                .address = addr_of(i),
                                .holds = true,
                                .server_count = 1};
    snprintf(node->self.name, sizeof node->self.name, "n%u", i);
    strcpy(node->self.servers[0].service, "shop");
    node->self.servers[0].url_count = 1;
    strcpy(node->self.servers[0].urls[0], "http://www.shop.test");
    node->self.servers[0].healthy = true;
    memset(c.key, key, sizeof c.key);
    member_timing_default(&c.timing);
    c.timing.join_wait_ms = JOIN_WAIT_MS;
    node->farm = farm_new(&c, &node->self, n->now_ns);
    assert_non_null(node->farm);
}

static void deliver(struct net *n, const struct flight *f)
{
    struct farm_actions a;
    if (n->nodes[f->to].farm == NULL)
        return;
    farm_actions_init(&a);
    farm_datagram_in(n->nodes[f->to].farm, &f->from, f->bytes, f->len, n->now_ns, &a);
    take(n, f->to, &a);
}

/* The earliest event up to until_ns; false when there is none. */
static bool run_one(struct net *n, uint64_t until_ns)
{
    int due = -1;
    uint64_t at = until_ns + 1;
    for (int i = 0; i < NODES; i++) {
        if (n->nodes[i].farm != NULL && n->nodes[i].deadline_ns < at) {
            at = n->nodes[i].deadline_ns;
            due = i;
        }
    }
    struct list *link = n->flights.next;
    if (link != &n->flights && list_entry(link, struct flight, link)->at_ns < at) {
        struct flight *f = list_entry(link, struct flight, link);
        n->now_ns = f->at_ns;
        list_remove(link);
        deliver(n, f);
        mem_free(f);
        return true;
    }
    if (due < 0)
        return false;
    struct farm_actions a;
    if (at > n->now_ns)
        n->now_ns = at;
    farm_actions_init(&a);
    farm_tick(n->nodes[due].farm, n->now_ns, &a);
    take(n, (unsigned)due, &a);
    return true;
}

static void run_ms(struct net *n, uint64_t ms)
{
    uint64_t until = n->now_ns + ms * NS_PER_MS;
    while (run_one(n, until))
        ;
    n->now_ns = until;
}

static void set(struct net *n, unsigned i, enum status s, uint32_t users)
{
    struct farm_actions a;
    farm_actions_init(&a);
    n->nodes[i].self.status = s;
    n->nodes[i].self.servers[0].users = users;
    farm_set_self(n->nodes[i].farm, &n->nodes[i].self, n->now_ns, &a);
    take(n, i, &a);
}

static const struct roster_node *seen(const struct net *n, unsigned by, unsigned whom)
{
    char name[8];
    snprintf(name, sizeof name, "n%u", whom);
    return n->nodes[by].roster != NULL ? roster_find(n->nodes[by].roster, name) : NULL;
}

static void assert_all_up(struct net *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < count; k++) {
            const struct roster_node *r = seen(n, i, k);
            assert_non_null(r);
            assert_int_equal(r->status, STATUS_UP);
        }
    }
}

static void grow(struct net *n, unsigned count)
{
    net_init(n);
    for (unsigned i = 0; i < count; i++)
        start(n, i, 1);
    run_ms(n, JOIN_WAIT_MS);
    for (unsigned i = 0; i < count; i++)
        set(n, i, STATUS_UP, 0);
    run_ms(n, 300);
}

static void they_find_each_other(void **state)
{
    struct net n;
    bool alone = true;
    (void)state;
    grow(&n, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(farm_found(n.nodes[i].farm, &alone));
        assert_false(alone);
    }
    assert_all_up(&n, 4);
    start(&n, 4, 1); /* and one that comes later, at once: it has two seconds left to wait */
    run_ms(&n, 1000);
    assert_true(farm_found(n.nodes[4].farm, &alone));
    assert_false(alone);
    set(&n, 4, STATUS_UP, 0);
    run_ms(&n, 300);
    assert_all_up(&n, 5);
    net_deinit(&n);
}

static void a_first_one_waits_and_goes_on_alone(void **state)
{
    struct net n;
    bool alone = false;
    (void)state;
    net_init(&n);
    start(&n, 0, 1);
    run_ms(&n, JOIN_WAIT_MS - 100);
    assert_false(farm_found(n.nodes[0].farm, &alone));
    run_ms(&n, 300);
    assert_true(farm_found(n.nodes[0].farm, &alone));
    assert_true(alone);
    net_deinit(&n);
}

static void another_key_gets_nowhere(void **state)
{
    struct net n;
    bool alone;
    (void)state;
    grow(&n, 2);
    start(&n, 2, 2);
    run_ms(&n, 3 * JOIN_WAIT_MS);
    assert_false(farm_found(n.nodes[2].farm, &alone));
    assert_in_range(n.nodes[2].notices[MEMBER_FOREIGN_KEY], 1, 3);
    assert_null(seen(&n, 0, 2));
    assert_null(seen(&n, 2, 0));
    net_deinit(&n);
}

static void one_datagram_tells_a_change(void **state)
{
    struct net n;
    (void)state;
    grow(&n, 4);
    run_ms(&n, 5000);
    /* What would be said to each of them does not arrive. */
    for (unsigned i = 1; i < 4; i++)
        n.unicast_cut[i] = true;
    set(&n, 0, STATUS_UP, 5000);
    run_ms(&n, 100);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(seen(&n, i, 0)->entry->servers[0].users, 5000);
    set(&n, 0, STATUS_DRAINING, 5000);
    run_ms(&n, 100);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(seen(&n, i, 0)->entry->status, STATUS_DRAINING);
    net_deinit(&n);
}

/* One that is heard but cannot be reached, or does not answer, is down: beacons renew nothing. */
static void beacons_keep_nobody_alive(void **state)
{
    struct net n;
    (void)state;
    grow(&n, 3);
    n.unicast_cut[2] = true; /* it hears beacons only; others hear all it says */
    run_ms(&n, 30000);
    const struct session_view *v = farm_view(n.nodes[2].farm);
    assert_int_equal(v->peer_count, 2);
    for (size_t i = 0; i < v->peer_count; i++) {
        assert_int_equal(v->peers[i].state, PEER_DOWN);
        assert_true(v->peers[i].lease_until_ns < n.now_ns);
        assert_true(v->peers[i].counted > 0);
    }
    n.unicast_cut[2] = false;
    run_ms(&n, 5000);
    assert_all_up(&n, 3);
    net_deinit(&n);
}

static void without_the_group_all_goes_on(void **state)
{
    struct net n;
    struct mesh_stats mesh;
    struct member_stats members;
    (void)state;
    grow(&n, 3);
    n.group_cut = true;
    run_ms(&n, 20000);
    set(&n, 0, STATUS_UP, 7000);
    run_ms(&n, 3000);
    assert_all_up(&n, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(n.nodes[i].notices[MEMBER_GROUP_SILENT], 1);
        assert_int_equal(n.nodes[i].notices[MEMBER_GROUP_HEARD], 0);
        assert_int_equal(n.nodes[i].notices[MEMBER_SUSPECT], 0);
        assert_int_equal(seen(&n, i, 0)->entry->servers[0].users, 7000);
        farm_stats(n.nodes[i].farm, &mesh, &members);
        assert_int_equal(mesh.group_silent, 1);
    }
    n.group_cut = false;
    run_ms(&n, 2000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(n.nodes[i].notices[MEMBER_GROUP_HEARD], 1);
        farm_stats(n.nodes[i].farm, &mesh, &members);
        assert_int_equal(mesh.group_silent, 0);
        assert_in_range(mesh.beacons_in, 10, 60);
    }
    net_deinit(&n);
}

/* Whoever is told of by a beacon alone gets a hello a second, and no place. */
static void an_unknown_one_gets_a_hello_only(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    start(&n, 0, 1);
    run_ms(&n, JOIN_WAIT_MS + 500);
    start(&n, 1, 1);
    n.unicast_cut[0] = n.unicast_cut[1] = true;
    unsigned before = n.unicasts[0];
    run_ms(&n, 10000);
    assert_null(seen(&n, 0, 1));
    assert_null(seen(&n, 1, 0));
    assert_int_equal(farm_view(n.nodes[0].farm)->peer_count, 0);
    assert_in_range(n.unicasts[0] - before, 8, 11);
    net_deinit(&n);
}

static void one_that_left_is_silent(void **state)
{
    struct net n;
    struct farm_actions a;
    (void)state;
    grow(&n, 2);
    farm_actions_init(&a);
    farm_leave(n.nodes[1].farm, n.now_ns, &a);
    take(&n, 1, &a);
    run_ms(&n, 100);
    assert_int_equal(seen(&n, 0, 1)->status, STATUS_LEFT);
    stop(&n, 0);
    n.group_count = 0;
    run_ms(&n, 10000);
    assert_int_equal(n.group_count, 0);
    net_deinit(&n);
}

static void beacons_are_few_and_small(void **state)
{
    struct net n;
    (void)state;
    grow(&n, 2);
    n.group_count = n.group_bytes = 0;
    run_ms(&n, 10000);
    assert_in_range(n.group_count, 18, 22);
    assert_true(n.group_bytes <= n.group_count * (FRAME_OVERHEAD + 3 + MESH_BEACON_MAX));
    n.group_count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        set(&n, 0, STATUS_UP, 1000 * i);
        run_ms(&n, 1);
    }
    assert_in_range(n.group_count, 5, 54); /* every 20 ms at most, and the beats */
    net_deinit(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_find_each_other),
        cmocka_unit_test(a_first_one_waits_and_goes_on_alone),
        cmocka_unit_test(another_key_gets_nowhere),
        cmocka_unit_test(one_datagram_tells_a_change),
        cmocka_unit_test(beacons_keep_nobody_alive),
        cmocka_unit_test(without_the_group_all_goes_on),
        cmocka_unit_test(an_unknown_one_gets_a_hello_only),
        cmocka_unit_test(one_that_left_is_silent),
        cmocka_unit_test(beacons_are_few_and_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
