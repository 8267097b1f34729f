/* farm_test.c - small farms over a network in virtual time: joining, silence, identity, leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/farm/farm.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define NODES 6
#define DELAY_NS (1 * NS_PER_MS)

struct flight {
    struct list link;
    uint64_t at_ns;
    struct addr from, to;
    size_t len;
    uint8_t bytes[];
};

struct node {
    struct farm *farm; /* NULL: not running */
    struct addr addr;
    struct roster *roster;
    uint64_t deadline_ns, inc;
    bool paused, refused;
    unsigned notices[MEMBER_KEY_UNKNOWN + 1];
    unsigned delivered;
};

struct net {
    uint64_t now_ns;
    struct list flights; /* by arrival: the delay is the same for all */
    struct node nodes[NODES];
    bool cut[NODES][NODES]; /* from, to */
    struct rng rng;
    unsigned loss_percent;
    bool newer[NODES]; /* speaks a version of the protocol that the others do not */
    bool directors;    /* who starts keeps no records */
};

static struct addr addr_of(unsigned i)
{
    return (struct addr){.family = 4, .port = 7946, .ip = {10, 0, 0, (uint8_t)(i + 1)}};
}

static void net_init(struct net *n)
{
    memset(n, 0, sizeof *n);
    n->now_ns = 5 * NS_PER_S;
    list_init(&n->flights);
    rng_init(&n->rng, 1);
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

static int node_at(const struct net *n, const struct addr *a)
{
    for (int i = 0; i < NODES; i++) {
        if (n->nodes[i].farm != NULL && addr_equal(&n->nodes[i].addr, a))
            return i;
    }
    return -1;
}

/* Takes what a farm wants done. */
static void take(struct net *n, unsigned i, struct farm_actions *a)
{
    struct node *node = &n->nodes[i];
    struct list *link;
    while ((link = list_pop(&a->datagrams)) != NULL) {
        struct farm_datagram *d = list_entry(link, struct farm_datagram, link);
        struct flight *f = mem_alloc(sizeof *f + d->len);
        f->at_ns = n->now_ns + DELAY_NS;
        f->from = node->addr;
        f->to = d->to;
        f->len = d->len;
        memcpy(f->bytes, d->bytes, d->len);
        list_append(&n->flights, &f->link);
        mem_free(d);
    }
    for (struct list *l = a->deliveries.next; l != &a->deliveries; l = l->next)
        node->delivered++;
    for (uint32_t k = 0; k < a->notice_count; k++)
        node->notices[a->notices[k].what]++;
    node->refused = node->refused || a->refused;
    node->deadline_ns = a->deadline_ns;
    if (a->roster != NULL) {
        roster_unref(node->roster);
        node->roster = roster_ref(a->roster);
    }
    farm_actions_clear(a);
}

static void start_as(struct net *n, unsigned i, uint64_t id, uint64_t boot, const char *name,
                     const unsigned *join, size_t join_count, uint8_t key)
{
    static uint64_t incs = 1000;
    struct farm_config c = {.name = "shop", .join_count = join_count, .seed = incs};
    struct entry self = {.node = id,
                         .inc = ++incs * 0x9e3779b97f4a7c15u,
                         .boot = boot,
                         .revision = 1,
                         .status = STATUS_JOINING,
                         .address = addr_of(i),
                         .holds = !n->directors};
    struct node *node = &n->nodes[i];
    strcpy(self.name, name);
    memset(c.key, key, sizeof c.key);
    member_timing_default(&c.timing);
    for (size_t k = 0; k < join_count; k++)
        c.join[k] = addr_of(join[k]);
    *node = (struct node){.addr = addr_of(i), .inc = self.inc, .deadline_ns = n->now_ns};
    node->farm = farm_new(&c, &self, n->now_ns);
    assert_non_null(node->farm);
}

static void start(struct net *n, unsigned i, uint64_t boot, unsigned join)
{
    char name[8];
    snprintf(name, sizeof name, "n%u", i);
    start_as(n, i, 100 + i, boot, name, &join, join == i ? 0 : 1, 1);
}

static void set_status(struct net *n, unsigned i, enum status s)
{
    struct farm_actions a;
    struct entry self = *farm_self(n->nodes[i].farm);
    farm_actions_init(&a);
    self.status = s;
    farm_set_self(n->nodes[i].farm, &self, n->now_ns, &a);
    take(n, i, &a);
}

static void deliver(struct net *n, struct flight *f)
{
    struct farm_actions a;
    int to = node_at(n, &f->to), from = -1;
    for (int i = 0; i < NODES; i++) {
        struct addr addr = addr_of((unsigned)i);
        if (addr_equal(&addr, &f->from))
            from = i;
    }
    bool lost = rng_below(&n->rng, 100) < n->loss_percent;
    if (to < 0 || n->nodes[to].paused || n->cut[from][to] || lost)
        return;
    if (f->len > 0 && n->newer[from] != n->newer[to])
        f->bytes[0]++;
    farm_actions_init(&a);
    farm_datagram_in(n->nodes[to].farm, &f->from, f->bytes, f->len, n->now_ns, &a);
    take(n, (unsigned)to, &a);
}

/* Handles the earliest event up to until_ns; false when there is none. */
static bool run_one(struct net *n, uint64_t until_ns)
{
    int due = -1;
    uint64_t at = until_ns + 1;
    for (int i = 0; i < NODES; i++) {
        const struct node *node = &n->nodes[i];
        if (node->farm != NULL && !node->paused && node->deadline_ns < at) {
            at = node->deadline_ns;
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

/* What i's roster says of name; -1 when it does not know it. */
static int status_of(const struct net *n, unsigned i, const char *name)
{
    const struct roster_node *r =
        n->nodes[i].roster != NULL ? roster_find(n->nodes[i].roster, name) : NULL;
    return r != NULL ? (int)r->status : -1;
}

static const struct peer_view *peer_of(struct net *n, unsigned i, uint64_t inc)
{
    const struct session_view *v = farm_view(n->nodes[i].farm);
    for (size_t k = 0; k < v->peer_count; k++) {
        if (v->peers[k].inc == inc)
            return &v->peers[k];
    }
    return NULL;
}

static bool leased(struct net *n, unsigned i, uint64_t from)
{
    const struct peer_view *p = peer_of(n, i, from);
    return p != NULL && p->lease_until_ns > n->now_ns;
}

/* count nodes that all know only node 0 and are up. */
static void grow(struct net *n, unsigned count)
{
    net_init(n);
    for (unsigned i = 0; i < count; i++)
        start(n, i, 1, 0);
    run_ms(n, 1000);
    for (unsigned i = 0; i < count; i++) {
        bool alone;
        assert_true(farm_found(n->nodes[i].farm, &alone));
        assert_int_equal(alone, i == 0); /* it has nobody to look for */
        set_status(n, i, STATUS_UP);
    }
    run_ms(n, 100);
}

static void test_all_learn_of_all_by_one_address(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(n.nodes[i].roster->count, 5);
        assert_int_equal(farm_view(n.nodes[i].farm)->peer_count, 4);
        assert_int_equal(farm_view(n.nodes[i].farm)->self_state, PEER_UP);
        for (unsigned j = 0; j < 5; j++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", j);
            assert_int_equal(status_of(&n, i, name), STATUS_UP);
            assert_true(i == j || leased(&n, i, n.nodes[j].inc));
        }
        struct addr known[8];
        assert_int_equal(farm_addresses(n.nodes[i].farm, known, 8), 4);
        assert_int_equal(n.nodes[i].notices[MEMBER_JOINED], 4);
        assert_int_equal(n.nodes[i].notices[MEMBER_SUSPECT], 0);
    }
    run_ms(&n, 20000);
    for (unsigned i = 0; i < 5; i++) {
        struct mesh_stats mesh;
        struct member_stats members;
        farm_stats(n.nodes[i].farm, &mesh, &members);
        assert_int_equal(members.malformed + members.counted_out + members.pauses, 0);
        assert_int_equal(mesh.dropped_auth + mesh.dropped_malformed, 0);
        assert_int_equal(n.nodes[i].notices[MEMBER_SUSPECT], 0);
    }
    net_deinit(&n);
}

static void test_killed_is_suspect_then_down(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 3);
    uint64_t dead = n.nodes[2].inc;
    assert_int_equal(peer_of(&n, 0, dead)->counted, 0);
    stop(&n, 2);
    run_ms(&n, 100);
    assert_int_equal(status_of(&n, 0, "n2"), STATUS_UP);
    run_ms(&n, 650);
    assert_int_equal(status_of(&n, 0, "n2"), STATUS_SUSPECT);
    assert_int_equal(peer_of(&n, 0, dead)->state, PEER_UP); /* suspicion is for new clients only */
    run_ms(&n, 1250);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(status_of(&n, i, "n2"), STATUS_DOWN);
        assert_int_equal(peer_of(&n, i, dead)->state, PEER_DOWN);
        assert_int_equal(peer_of(&n, i, dead)->counted, 1);
        assert_int_equal(n.nodes[i].notices[MEMBER_DOWN], 1);
    }
    net_deinit(&n);
}

static void test_leaver_is_left_also_for_who_comes_later(void **state)
{
    (void)state;
    struct net n;
    struct farm_actions a;
    grow(&n, 3);
    uint64_t gone = n.nodes[2].inc;
    set_status(&n, 2, STATUS_DRAINING);
    run_ms(&n, 50);
    assert_int_equal(peer_of(&n, 0, gone)->state, PEER_LEAVING);
    farm_actions_init(&a);
    farm_leave(n.nodes[2].farm, n.now_ns, &a);
    take(&n, 2, &a);
    n.nodes[2].deadline_ns = n.now_ns;
    run_ms(&n, 50);
    assert_int_equal(status_of(&n, 0, "n2"), STATUS_LEFT);
    assert_int_equal(peer_of(&n, 1, gone)->state, PEER_LEFT);
    stop(&n, 2);
    start(&n, 3, 1, 1);
    run_ms(&n, 5000);
    assert_int_equal(status_of(&n, 3, "n2"), STATUS_LEFT);
    assert_int_equal(status_of(&n, 0, "n2"), STATUS_LEFT);
    assert_int_equal(n.nodes[0].notices[MEMBER_DOWN], 0);
    start(&n, 2, 2, 0); /* and it may come back */
    run_ms(&n, 500);
    set_status(&n, 2, STATUS_UP);
    run_ms(&n, 100);
    assert_int_equal(status_of(&n, 3, "n2"), STATUS_UP);
    assert_int_equal(peer_of(&n, 0, gone)->state, PEER_LEFT);
    net_deinit(&n);
}

static void test_restart_replaces_at_once(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 3);
    uint64_t old = n.nodes[2].inc;
    stop(&n, 2);
    start(&n, 2, 2, 0);
    run_ms(&n, 300);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(peer_of(&n, i, old)->state, PEER_DOWN);
        assert_int_equal(peer_of(&n, i, old)->counted, 1);
        assert_int_equal(peer_of(&n, i, n.nodes[2].inc)->state, PEER_JOINING);
        assert_int_equal(status_of(&n, i, "n2"), STATUS_JOINING);
        assert_int_equal(n.nodes[i].roster->count, 3);
        assert_int_equal(n.nodes[i].notices[MEMBER_REPLACED], 1);
    }
    bool alone = true;
    assert_true(farm_found(n.nodes[2].farm, &alone));
    assert_false(alone);
    net_deinit(&n);
}

static void test_clone_elsewhere_is_refused(void **state)
{
    (void)state;
    struct net n;
    unsigned join = 0;
    grow(&n, 3);
    start_as(&n, 3, 102, 2, "n2", &join, 1, 1); /* the same state directory, copied */
    run_ms(&n, 500);
    assert_true(n.nodes[3].refused);
    assert_true(n.nodes[0].notices[MEMBER_CLAIMANT_REFUSED] > 0);
    stop(&n, 3);
    start_as(&n, 3, 555, 1, "n2", &join, 1, 1); /* another node of that name */
    run_ms(&n, 500);
    assert_true(n.nodes[3].refused);
    stop(&n, 3);
    assert_int_equal(peer_of(&n, 0, n.nodes[2].inc)->state, PEER_UP);
    stop(&n, 2);
    run_ms(&n, 2000);
    start_as(&n, 3, 555, 1, "n2", &join, 1, 1); /* with the first one down it may */
    run_ms(&n, 500);
    assert_false(n.nodes[3].refused);
    assert_int_equal(peer_of(&n, 1, n.nodes[3].inc)->state, PEER_JOINING);
    net_deinit(&n);
}

static void test_replaced_one_that_returns_is_refused(void **state)
{
    (void)state;
    struct net n;
    unsigned join = 0;
    grow(&n, 3);
    n.nodes[2].paused = true;
    run_ms(&n, 2000);
    start_as(&n, 3, 102, 2, "n2", &join, 1, 1); /* its machine was started anew elsewhere */
    run_ms(&n, 1000);
    set_status(&n, 3, STATUS_UP);
    n.nodes[2].paused = false;
    run_ms(&n, 4000);
    assert_true(n.nodes[2].refused);
    assert_false(n.nodes[3].refused);
    assert_int_equal(peer_of(&n, 0, n.nodes[2].inc)->state, PEER_DOWN);
    assert_int_equal(peer_of(&n, 0, n.nodes[3].inc)->state, PEER_UP);
    net_deinit(&n);
}

static void test_pause_counts_nobody_out(void **state)
{
    (void)state;
    struct net n;
    struct member_stats members;
    struct mesh_stats mesh;
    grow(&n, 3);
    n.nodes[0].paused = true;
    run_ms(&n, 5000);
    assert_false(leased(&n, 0, n.nodes[1].inc)); /* it slept through its leases */
    n.nodes[0].paused = false;
    n.cut[1][0] = true;
    run_ms(&n, 1400); /* it listens anew, though 1 was silent for more than six seconds */
    assert_int_equal(peer_of(&n, 0, n.nodes[1].inc)->state, PEER_UP);
    assert_int_equal(peer_of(&n, 0, n.nodes[2].inc)->state, PEER_UP);
    farm_stats(n.nodes[0].farm, &mesh, &members);
    assert_int_equal(members.pauses, 1);
    assert_int_equal(members.counted_out, 0);
    /* The others counted it out meanwhile; it learns so. */
    assert_int_equal(peer_of(&n, 1, n.nodes[0].inc)->counted, 1);
    assert_int_equal(peer_of(&n, 0, n.nodes[2].inc)->granted, 1);
    assert_true(leased(&n, 0, n.nodes[2].inc));
    run_ms(&n, 500);
    assert_int_equal(peer_of(&n, 0, n.nodes[1].inc)->state, PEER_DOWN);
    net_deinit(&n);
}

static void test_one_way_partition(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 2);
    uint64_t zero = n.nodes[0].inc, one = n.nodes[1].inc;
    n.cut[1][0] = true; /* 0 does not hear 1, 1 hears 0 */
    for (unsigned ms = 0; ms < 4000; ms += 20) {
        run_ms(&n, 20);
        /* The promise: whoever is counted out holds no lease by then. */
        assert_false(peer_of(&n, 0, one)->state == PEER_DOWN && leased(&n, 1, zero));
    }
    assert_int_equal(peer_of(&n, 0, one)->state, PEER_DOWN);
    assert_int_equal(peer_of(&n, 1, zero)->state, PEER_UP); /* it hears it still */
    assert_false(leased(&n, 1, zero));
    assert_int_equal(peer_of(&n, 1, zero)->granted, 1); /* and was told */
    n.cut[1][0] = false;
    run_ms(&n, 1500);
    assert_int_equal(peer_of(&n, 0, one)->state, PEER_UP);
    assert_int_equal(peer_of(&n, 0, one)->counted, 1);
    assert_true(leased(&n, 1, zero));
    assert_true(leased(&n, 0, one));
    net_deinit(&n);
}

static void test_split_heals_with_greater_generations(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 3);
    for (unsigned round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < 2; i++)
            n.cut[2][i] = n.cut[i][2] = true;
        run_ms(&n, 3000);
        assert_int_equal(peer_of(&n, 2, n.nodes[0].inc)->state, PEER_DOWN);
        assert_int_equal(status_of(&n, 0, "n2"), STATUS_DOWN);
        assert_int_equal(status_of(&n, 2, "n0"), STATUS_SUSPECT); /* nobody there confirms it */
        run_ms(&n, 7000);
        assert_int_equal(status_of(&n, 2, "n0"), STATUS_DOWN);
        for (unsigned i = 0; i < 2; i++)
            n.cut[2][i] = n.cut[i][2] = false;
        run_ms(&n, 1500);
        for (unsigned i = 0; i < 2; i++) {
            const struct peer_view *p = peer_of(&n, i, n.nodes[2].inc);
            assert_int_equal(p->state, PEER_UP);
            assert_int_equal(p->counted, round);
            assert_int_equal(p->granted, round);
            assert_true(leased(&n, i, n.nodes[2].inc));
        }
    }
    assert_int_equal(peer_of(&n, 0, n.nodes[1].inc)->counted, 0);
    net_deinit(&n);
}

/* Its own words come through, nobody's reach it: it cannot confirm a copy, so nobody is to count on
 * it. What comes from it does not bring it back; that it hears again does. */
static void test_who_hears_nobody_is_counted_out(void **state)
{
    (void)state;
    struct net n;
    grow(&n, 3);
    uint64_t deaf = n.nodes[2].inc;
    n.cut[0][2] = n.cut[1][2] = true;
    run_ms(&n, 5500);
    for (int i = 0; i < 20; i++) {
        run_ms(&n, 100);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(peer_of(&n, k, deaf)->state, PEER_DOWN);
            assert_int_equal(peer_of(&n, k, deaf)->counted, 1);
            assert_false(leased(&n, 2, n.nodes[k].inc));
        }
    }
    assert_int_equal(peer_of(&n, 2, n.nodes[0].inc)->state, PEER_DOWN);
    n.cut[0][2] = n.cut[1][2] = false;
    run_ms(&n, 2500);
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(peer_of(&n, k, deaf)->state, PEER_UP);
        assert_int_equal(peer_of(&n, 2, n.nodes[k].inc)->state, PEER_UP);
        assert_int_equal(peer_of(&n, 2, n.nodes[k].inc)->granted, 1);
        assert_true(leased(&n, k, deaf) && leased(&n, 2, n.nodes[k].inc));
    }
    net_deinit(&n);
}

static void test_entry_change_spreads_fast(void **state)
{
    (void)state;
    struct net n;
    struct farm_actions a;
    grow(&n, 4);
    struct entry self = *farm_self(n.nodes[3].farm);
    for (uint32_t users = 1; users <= 3; users++) {
        self.server_count = ENTRY_SERVERS_MAX;
        for (size_t k = 0; k < ENTRY_SERVERS_MAX; k++) {
            struct server *s = &self.servers[k];
            snprintf(s->service, sizeof s->service, "service%zu", k);
            s->users = users;
            s->url_count = users > 1 ? SERVER_URLS_MAX : 1; /* at last larger than a frame */
            for (size_t u = 0; u < s->url_count; u++) {
                memset(s->urls[u], 'u', 200);
                memcpy(s->urls[u], "https://n3/", 11);
            }
        }
        farm_actions_init(&a);
        farm_set_self(n.nodes[3].farm, &self, n.now_ns, &a);
        take(&n, 3, &a);
        run_ms(&n, 300);
        for (unsigned i = 0; i < 4; i++) {
            const struct roster_node *r = roster_find(n.nodes[i].roster, "n3");
            assert_int_equal(r->entry->server_count, ENTRY_SERVERS_MAX);
            assert_int_equal(r->entry->servers[3].users, users);
        }
    }
    start(&n, 4, 1, 0); /* its card does not fit: the rest is asked for */
    run_ms(&n, 500);
    assert_int_equal(roster_find(n.nodes[4].roster, "n3")->entry->servers[3].users, 3);
    net_deinit(&n);
}

static void test_wrong_key_gets_nowhere(void **state)
{
    (void)state;
    struct net n;
    struct mesh_stats mesh;
    struct member_stats members;
    unsigned join = 0;
    bool alone = false;
    grow(&n, 2);
    start_as(&n, 2, 900, 1, "n9", &join, 1, 2);
    run_ms(&n, 4000);
    assert_true(farm_found(n.nodes[2].farm, &alone));
    assert_true(alone);
    assert_int_equal(n.nodes[2].notices[MEMBER_ALONE], 1);
    assert_int_equal(status_of(&n, 0, "n9"), -1);
    assert_int_equal(n.nodes[2].roster->count, 1);
    farm_stats(n.nodes[0].farm, &mesh, &members);
    assert_true(mesh.dropped_auth >= 3);
    net_deinit(&n);
}

/* The others ask for it, and it cannot read them: it is of no farm, and does not say it is ready.
 */
static void test_wrong_key_is_not_ready(void **state)
{
    (void)state;
    struct net n;
    unsigned join[2] = {0, 1}, stranger = 2;
    bool alone = false;
    net_init(&n);
    start_as(&n, 0, 100, 1, "n0", &stranger, 1, 1);
    start_as(&n, 1, 101, 1, "n1", join, 1, 1);
    start_as(&n, 2, 900, 1, "n9", join, 2, 2);
    run_ms(&n, 8000);
    assert_false(farm_found(n.nodes[2].farm, &alone));
    assert_int_equal(n.nodes[2].notices[MEMBER_ALONE], 0);
    assert_int_equal(n.nodes[2].notices[MEMBER_FOREIGN_KEY], 1);
    assert_true(farm_found(n.nodes[0].farm, &alone) && !alone);
    stop(&n, 0); /* nobody else is there any more who contradicts it */
    run_ms(&n, 8000);
    assert_true(farm_found(n.nodes[2].farm, &alone) && alone);
    net_deinit(&n);
}

/* Neither can read the other: both say so, and the newcomer is of no farm. */
static void test_another_version_is_told(void **state)
{
    (void)state;
    struct net n;
    unsigned join[2] = {0, 1}, newcomer = 2;
    struct mesh_stats mesh;
    struct member_stats members;
    bool alone = false;
    net_init(&n);
    n.newer[2] = true;
    start_as(&n, 0, 100, 1, "n0", &newcomer, 1, 1);
    start_as(&n, 1, 101, 1, "n1", join, 1, 1);
    start_as(&n, 2, 102, 1, "n2", join, 2, 1);
    run_ms(&n, 8000);
    assert_false(farm_found(n.nodes[2].farm, &alone));
    assert_int_equal(n.nodes[2].notices[MEMBER_FOREIGN_VERSION], 1);
    assert_int_equal(n.nodes[0].notices[MEMBER_FOREIGN_VERSION], 1);
    assert_int_equal(n.nodes[1].notices[MEMBER_FOREIGN_VERSION],
                     0); /* it shall not join that one */
    assert_int_equal(n.nodes[2].notices[MEMBER_FOREIGN_KEY], 0);
    assert_true(farm_found(n.nodes[0].farm, &alone) && !alone);
    assert_int_equal(status_of(&n, 0, "n2"), -1);
    farm_stats(n.nodes[0].farm, &mesh, &members);
    assert_true(mesh.dropped_version >= 3 && mesh.dropped_auth == 0);
    n.newer[2] = false; /* it is started again with the program that the others have */
    run_ms(&n, 3000);
    assert_true(farm_found(n.nodes[2].farm, &alone) && !alone);
    net_deinit(&n);
}

static void test_doubt_until_heard_after(void **state)
{
    (void)state;
    struct net n;
    struct farm_actions a;
    grow(&n, 2);
    farm_actions_init(&a);
    farm_doubt(n.nodes[0].farm, 101, n.now_ns, &a);
    take(&n, 0, &a);
    run_ms(&n, 11);
    assert_int_equal(status_of(&n, 0, "n1"), STATUS_SUSPECT);
    run_ms(&n, 600);
    assert_int_equal(status_of(&n, 0, "n1"), STATUS_UP);
    assert_int_equal(n.nodes[0].notices[MEMBER_SUSPECT], 0);
    n.cut[1][0] = true;
    farm_actions_init(&a);
    farm_doubt(n.nodes[0].farm, 101, n.now_ns, &a);
    take(&n, 0, &a);
    run_ms(&n, 650);
    assert_int_equal(status_of(&n, 0, "n1"), STATUS_SUSPECT);
    net_deinit(&n);
}

static void test_session_messages_pass(void **state)
{
    (void)state;
    struct net n;
    struct msg *m = msg_new(0, 3000);
    grow(&n, 2);
    m->peer = n.nodes[1].inc;
    assert_int_equal(farm_send(n.nodes[0].farm, m, n.now_ns), STEAD_OK);
    n.nodes[0].deadline_ns = n.now_ns;
    run_ms(&n, 50);
    assert_int_equal(n.nodes[1].delivered, 1);
    m->peer = 4711;
    assert_int_equal(farm_send(n.nodes[0].farm, m, n.now_ns), STEAD_E_NOT_FOUND);
    msg_free(m);
    net_deinit(&n);
}

static void test_nothing_waits_for_one_that_is_down(void **state)
{
    (void)state;
    struct net n;
    struct mesh_stats mesh;
    struct member_stats members;
    struct msg *m = msg_new(0, 1u << 20);
    grow(&n, 2);
    m->peer = n.nodes[1].inc;
    stop(&n, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(farm_send(n.nodes[0].farm, m, n.now_ns), STEAD_OK);
    msg_free(m);
    n.nodes[0].deadline_ns = n.now_ns;
    run_ms(&n, 3000);
    farm_stats(n.nodes[0].farm, &mesh, &members);
    assert_int_equal(members.counted_out, 1);
    assert_true(mesh.queued_bytes < 2u << 20);
    assert_in_range(mesh.unsent_void, 19, 25); /* and what the roster had to say */
    net_deinit(&n);
}

/* A whole farm goes down and comes back: a node that knows the others only from its disk finds
 * them. */
static void test_cold_start_in_any_order(void **state)
{
    (void)state;
    struct net n;
    bool alone;
    unsigned all[3] = {0, 1, 2};
    net_init(&n);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        start_as(&n, 2 - i, 100 + i, 7, name, all, 3, 1); /* own address among them */
        run_ms(&n, 300);
    }
    run_ms(&n, 1000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(farm_found(n.nodes[i].farm, &alone));
        assert_false(alone);
        assert_int_equal(n.nodes[i].roster->count, 3);
    }
    net_deinit(&n);
}

/* A newcomer is told of those that are down, and does not wait for them. */
static void test_newcomer_knows_the_dead(void **state)
{
    (void)state;
    struct net n;
    unsigned join[2] = {0, 2};
    bool alone;
    grow(&n, 3);
    uint64_t dead = n.nodes[2].inc;
    stop(&n, 2);
    run_ms(&n, 2000);
    start_as(&n, 3, 103, 1, "n3", join, 2, 1);
    run_ms(&n, 500);
    assert_true(farm_found(n.nodes[3].farm, &alone));
    assert_false(alone);
    assert_int_equal(status_of(&n, 3, "n2"), STATUS_DOWN);
    assert_int_equal(peer_of(&n, 3, dead)->state, PEER_DOWN);
    assert_int_equal(peer_of(&n, 3, dead)->counted, 1);
    net_deinit(&n);
}

static void test_loss_counts_nobody_out(void **state)
{
    (void)state;
    struct net n;
    struct mesh_stats mesh;
    struct member_stats members;
    net_init(&n);
    n.loss_percent = 20;
    for (unsigned i = 0; i < 4; i++)
        start(&n, i, 1, 0);
    run_ms(&n, 4000);
    for (unsigned i = 0; i < 4; i++)
        set_status(&n, i, STATUS_UP);
    run_ms(&n, 30000);
    for (unsigned i = 0; i < 4; i++) {
        farm_stats(n.nodes[i].farm, &mesh, &members);
        assert_int_equal(members.counted_out, 0);
        assert_int_equal(n.nodes[i].roster->count, 4);
        for (unsigned j = 0; j < 4; j++)
            assert_true(i == j || leased(&n, i, n.nodes[j].inc));
    }
    net_deinit(&n);
}

/* Nodes that keep no records are members like any other, without heartbeats. */
static void test_directors(void **state)
{
    (void)state;
    struct net n;
    struct mesh_stats mesh;
    struct member_stats before, after;
    grow(&n, 2);
    n.directors = true;
    for (unsigned i = 2; i < 5; i++)
        start(&n, i, 1, 0);
    run_ms(&n, 1000);
    for (unsigned i = 2; i < 5; i++) {
        bool alone;
        assert_true(farm_found(n.nodes[i].farm, &alone));
        set_status(&n, i, STATUS_UP);
    }
    run_ms(&n, 5000);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(n.nodes[i].roster->count, 5);
        for (unsigned k = 0; k < 5; k++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", k);
            assert_int_equal(status_of(&n, i, name), STATUS_UP);
        }
        assert_int_equal(n.nodes[i].notices[MEMBER_SUSPECT], 0);
    }
    assert_int_equal(peer_of(&n, 2, n.nodes[0].inc)->state, PEER_UP);
    assert_int_equal(peer_of(&n, 0, n.nodes[2].inc)->state, PEER_UP);
    assert_false(peer_of(&n, 0, n.nodes[2].inc)->holds);
    farm_stats(n.nodes[2].farm, &mesh, &before);
    assert_int_equal(before.heartbeats_in + before.heartbeats_out + before.malformed, 0);
    farm_stats(n.nodes[0].farm, &mesh, &before);
    run_ms(&n, 2000);
    farm_stats(n.nodes[0].farm, &mesh, &after);
    assert_in_range(after.heartbeats_out - before.heartbeats_out, 9, 12); /* to one of four */
    stop(&n, 4);
    stop(&n, 1);
    run_ms(&n, 2500);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        assert_int_equal(status_of(&n, i, "n4"), STATUS_DOWN);
        assert_int_equal(status_of(&n, i, "n1"), STATUS_DOWN);
    }
    start(&n, 4, 2, 0);
    run_ms(&n, 500);
    for (unsigned i = 0; i < 4; i++)
        assert_true(i == 1 || status_of(&n, i, "n4") == STATUS_JOINING);
    net_deinit(&n);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct farm_config c = {.name = "shop"};
    struct entry self = {.node = 1, .inc = 2, .boot = 1, .name = "a"};
    struct farm *f = NULL;
    member_timing_default(&c.timing);
    for (unsigned k = 1; f == NULL; k++) {
        assert_in_range(k, 1, 50);
        mem_fail_after(k);
        f = farm_new(&c, &self, 0);
    }
    mem_fail_after(0);
    farm_free(f);
    self.name[0] = '\0';
    assert_null(farm_new(&c, &self, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_learn_of_all_by_one_address),
        cmocka_unit_test(test_killed_is_suspect_then_down),
        cmocka_unit_test(test_leaver_is_left_also_for_who_comes_later),
        cmocka_unit_test(test_restart_replaces_at_once),
        cmocka_unit_test(test_clone_elsewhere_is_refused),
        cmocka_unit_test(test_replaced_one_that_returns_is_refused),
        cmocka_unit_test(test_pause_counts_nobody_out),
        cmocka_unit_test(test_one_way_partition),
        cmocka_unit_test(test_split_heals_with_greater_generations),
        cmocka_unit_test(test_who_hears_nobody_is_counted_out),
        cmocka_unit_test(test_entry_change_spreads_fast),
        cmocka_unit_test(test_wrong_key_gets_nowhere),
        cmocka_unit_test(test_wrong_key_is_not_ready),
        cmocka_unit_test(test_another_version_is_told),
        cmocka_unit_test(test_doubt_until_heard_after),
        cmocka_unit_test(test_session_messages_pass),
        cmocka_unit_test(test_nothing_waits_for_one_that_is_down),
        cmocka_unit_test(test_cold_start_in_any_order),
        cmocka_unit_test(test_newcomer_knows_the_dead),
        cmocka_unit_test(test_loss_counts_nobody_out),
        cmocka_unit_test(test_directors),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
