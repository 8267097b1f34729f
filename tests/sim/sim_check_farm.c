/* sim_check_farm.c - the farm as a whole: equal stores, bounds, quiet, who may join. */
#include "sim_watch.h"

#include <inttypes.h>

#define RUNS_PER_S_MAX 60000
#define WAITING_MAX 4096
#define QUEUED_MAX (64u << 20)
#define JOIN_NS_MAX SEC(40)
#define SUMS_EXPIRING_MAX 2 /* whose records' end is on its way just now */
/* An idle pair of nodes: heartbeats, echoes, a path probe now and then. */
#define QUIET_BYTES_PER_PEER 2500
#define QUIET_FULL 3 /* those who are full are asked for room again, now and then */

/* -- equal stores -- */

struct equal_look {
    unsigned copies, owners, tombstones;
    uint64_t digest;
    const struct record *owned;
};

static void equal_copy(struct sim *s, const struct key *key, const struct sim_node *n,
                       const struct record *r, bool owned, struct equal_look *look)
{
    uint64_t digest = record_digest(r);
    if (look->copies > 0 && digest != look->digest && s->scenario != SCENARIO_FULL)
        sim_violation(s, check_equal.name, key, "%s differs from the others", n->name);
    look->digest = digest;
    look->copies++;
    look->owners += owned;
    look->tombstones += record_is_tombstone(r);
    if (owned)
        look->owned = r;
}

static bool equal_listed(const struct record *owned, uint64_t inc)
{
    for (uint8_t i = 0; i < owned->holder_count; i++)
        if (owned->holders[i] == inc)
            return true;
    return false;
}

static unsigned equal_holders(const struct sim *s)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->node_count; i++)
        count += sim_node_alive(&s->nodes[i]) && s->nodes[i].entry.holds;
    return count;
}

static void equal_key(struct sim *s, const struct key *key)
{
    struct equal_look look = {0};
    for (unsigned i = 0; i < SIM_SLOTS && !s->over; i++) {
        bool owned;
        const struct record *r = sim_node_peek(&s->nodes[i], key, &owned);
        if (r)
            equal_copy(s, key, &s->nodes[i], r, owned, &look);
    }
    if (s->over || look.copies == 0 || look.tombstones > 0)
        return;
    unsigned want = s->kinds.kind[key->kind].copies;
    if (want > equal_holders(s))
        want = equal_holders(s);
    if (look.owners != 1)
        sim_violation(s, check_equal.name, key, "it has %u owners, %u copies", look.owners,
                      look.copies);
    else if (look.copies < want && s->scenario != SCENARIO_FULL)
        sim_violation(s, check_equal.name, key, "it has %u copies, not %u", look.copies, want);
    for (unsigned i = 0; i < SIM_SLOTS && !s->over; i++) {
        bool owned;
        const struct record *r = sim_node_peek(&s->nodes[i], key, &owned);
        if (r && !owned && look.owned && !equal_listed(look.owned, s->nodes[i].inc))
            sim_violation(s, check_equal.name, key, "%s keeps a copy that the owner does not know",
                          s->nodes[i].name);
    }
}

/* The sums by which two nodes compare what they keep of each other are kept up to date. */
static void equal_sums(struct sim *s, const struct sim_node *a, const struct sim_node *b)
{
    unsigned differing = 0;
    for (unsigned r = 0; r < RANGES; r++)
        differing += ranges_sum(a->ranges, b->inc, r) != ranges_sum(b->ranges, a->inc, r);
    if (differing > SUMS_EXPIRING_MAX)
        sim_violation(s, check_equal.name, NULL, "%u sums of %s and %s differ", differing, a->name,
                      b->name);
}

static void equal_final(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS && s->scenario != SCENARIO_FULL; i++)
        for (unsigned j = 0; j < i && !s->over; j++)
            if (sim_node_alive(&s->nodes[i]) && sim_node_alive(&s->nodes[j]))
                equal_sums(s, &s->nodes[i], &s->nodes[j]);
    for (size_t i = 0; i < s->model->key_count && !s->over; i++)
        equal_key(s, &s->model->keys[i].key);
    for (unsigned i = 0; i < s->node_count && !s->over; i++) {
        struct session_stats st;
        sim_node_stats(&s->nodes[i], &st);
        if (s->scenario == SCENARIO_FULL)
            st.below_copies = 0;
        if (st.waiting || st.below_copies || st.orphans || st.doubtful)
            sim_violation(s, check_equal.name, NULL,
                          "%s is not at rest: waiting=%" PRIu64 " below=%" PRIu64
                          " orphans=%" PRIu64 " doubtful=%" PRIu64,
                          s->nodes[i].name, st.waiting, st.below_copies, st.orphans, st.doubtful);
    }
}

const struct sim_checker check_equal = {
    .name = "equal stores",
    .promise = "after faults end, all copies of a record are equal, and there are enough of them",
    .final = equal_final,
};

/* -- bounds -- */

static void bounds_node(struct sim *s, struct sim_node *n)
{
    struct session_stats st;
    struct mesh_stats mesh;
    struct member_stats members;
    sim_node_stats(n, &st);
    farm_stats(n->farm, &mesh, &members);
    if (st.waiting > WAITING_MAX)
        sim_violation(s, check_bounds.name, NULL, "%s lets %" PRIu64 " operations wait", n->name,
                      st.waiting);
    if (mesh.queued_bytes > QUEUED_MAX * (uint64_t)SIM_SLOTS)
        sim_violation(s, check_bounds.name, NULL, "%s queues %" PRIu64 " bytes", n->name,
                      mesh.queued_bytes);
    if (mesh.dropped_malformed || (mesh.dropped_auth && s->scenario != SCENARIO_KEYS) ||
        members.malformed || st.malformed)
        sim_violation(s, check_bounds.name, NULL, "%s met something malformed", n->name);
}

static void bounds_sweep(struct sim *s)
{
    struct sim_watch *w = s->watch;
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        struct sim_node *n = &s->nodes[i];
        if (!sim_node_alive(n))
            continue;
        bounds_node(s, n);
        if (w->runs_inc[i] == n->inc && n->runs > w->runs[i] + RUNS_PER_S_MAX / 25)
            sim_violation(s, check_bounds.name, NULL, "%s ran %" PRIu64 " times in 40 ms", n->name,
                          n->runs - w->runs[i]);
        w->runs[i] = n->runs;
        w->runs_inc[i] = n->inc;
    }
}

const struct sim_checker check_bounds = {
    .name = "bounds",
    .promise = "memory, queues and work are bounded, and nothing malformed is sent",
    .sweep = bounds_sweep,
};

/* -- quiet: a farm at rest says little -- */

static void quiet_sweep(struct sim *s)
{
    struct sim_watch *w = s->watch;
    if (s->stage != STAGE_SETTLE || s->now_ns < s->stage_ns + SEC(20) || w->quiet_from_ns)
        return;
    w->quiet_from_ns = s->now_ns;
    for (unsigned i = 0; i < s->node_count; i++)
        w->quiet_bytes[i] = s->nodes[i].bytes_out;
}

static void quiet_final(struct sim *s)
{
    struct sim_watch *w = s->watch;
    uint64_t seconds = (s->now_ns - w->quiet_from_ns) / NS_PER_S;
    uint64_t most = QUIET_BYTES_PER_PEER * (uint64_t)(s->node_count - 1);
    if (s->scenario == SCENARIO_FULL)
        most *= QUIET_FULL;
    for (unsigned i = 0; i < s->node_count && w->quiet_from_ns && seconds; i++) {
        uint64_t rate = (s->nodes[i].bytes_out - w->quiet_bytes[i]) / seconds;
        if (rate > most)
            sim_violation(s, check_quiet.name, NULL, "%s sends %" PRIu64 " bytes a second at rest",
                          s->nodes[i].name, rate);
    }
}

const struct sim_checker check_quiet = {
    .name = "quiet",
    .promise = "repair traffic is bounded: a farm at rest says little",
    .sweep = quiet_sweep,
    .final = quiet_final,
};

/* -- who may join -- */

static void clone_sweep(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (!n->clone || !sim_node_alive(n))
            continue;
        if (n->phase == PHASE_UP)
            sim_violation(s, check_clone.name, NULL, "the clone of %s is up", n->name);
        else if (s->now_ns > n->started_ns + JOIN_NS_MAX)
            sim_violation(s, check_clone.name, NULL, "the clone of %s is not refused", n->name);
    }
}

static void clone_refused(struct sim *s, const struct sim_node *n)
{
    if (n->phase != PHASE_JOINING)
        sim_violation(s, check_clone.name, NULL, "%s was up, and others refuse it now", n->name);
}

const struct sim_checker check_clone = {
    .name = "clone",
    .promise = "a live second claimant of a name or id is refused, and the first goes on",
    .refused = clone_refused,
    .sweep = clone_sweep,
};

static void joins_sweep(struct sim *s)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        uint64_t since =
            n->started_ns > s->faults->last_harm_ns ? n->started_ns : s->faults->last_harm_ns;
        if (n->phase == PHASE_JOINING && !n->paused && sim_net_whole(s) &&
            s->now_ns > since + JOIN_NS_MAX)
            sim_violation(s, check_joins.name, NULL, "%s is still joining", n->name);
    }
}

const struct sim_checker check_joins = {
    .name = "joins",
    .promise = "a node that starts is up in bounded time when the others can be reached",
    .sweep = joins_sweep,
};

/* -- leases: the ground of fencing -- */

/* b does not know yet that a has counted it out: then it must not rely on a any more. */
static void leases_pair(struct sim *s, struct sim_node *a, struct sim_node *b)
{
    const struct peer_view *of_b = view_find(farm_view(a->farm), b->inc);
    const struct peer_view *of_a = view_find(farm_view(b->farm), a->inc);
    if (of_a && of_b && of_b->counted > of_a->granted &&
        of_a->lease_until_ns > sim_node_clock(b, s->now_ns))
        sim_violation(s, check_leases.name, NULL,
                      "%s has counted %s out %" PRIu64 " times; that one knows of %" PRIu64
                      " and has a lease for %" PRIu64 " us more",
                      a->name, b->name, of_b->counted, of_a->granted,
                      (of_a->lease_until_ns - sim_node_clock(b, s->now_ns)) / 1000);
}

static void leases_sweep(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (unsigned j = 0; j < SIM_SLOTS; j++)
            if (i != j && sim_node_alive(&s->nodes[i]) && sim_node_alive(&s->nodes[j]))
                leases_pair(s, &s->nodes[i], &s->nodes[j]);
}

const struct sim_checker check_leases = {
    .name = "leases",
    .promise = "when a node counts another out, the lease that it gave has run out there",
    .sweep = leases_sweep,
};
