/* sim_node.c - a process of the farm: its steps, and what the supervisor does to it. */
#include "sim_node.h"

#include "base/mem.h"
#include "core/mesh/seal.h"
#include "core/session/message.h"
#include "sim_check.h"
#include "sim_fault.h"
#include "sim_keys.h"

#include <stdlib.h>
#include <string.h>

#define RESTART_AFTER_REFUSAL SEC(2)
#define STEP_ROUNDS_MAX 1000
#define SHORT_WAY                                                                                  \
    500 /* of 1000 reads and changes: by the call without an operation, if it may be */
#define SLOW_MIN_MS 20
#define STARVED_CALLS 12 /* the first so many allocations of a step: one of them fails */
#define PUSHES 120       /* of 1000 operations: their record is pushed to some node first */

struct sim_inbound {
    struct list link;
    struct sim_frame *frame;
};

/* -- clocks and wakes -- */

uint64_t sim_node_clock(const struct sim_node *n, uint64_t now_ns)
{
    return n->clock_offset_ns + now_ns + (uint64_t)((int64_t)(now_ns / 1000) * n->clock_ppm / 1000);
}

/* The first moment at which the node's clock shows at least local_ns. */
static uint64_t node_moment(const struct sim_node *n, uint64_t local_ns)
{
    if (local_ns <= n->clock_offset_ns)
        return 0;
    uint64_t us = (local_ns - n->clock_offset_ns) / 1000 + 1;
    return us * 1000000 / (uint64_t)(1000000 + n->clock_ppm) * 1000 + 1000;
}

static void node_wake(struct sim *s, struct sim_node *n, uint64_t at_ns)
{
    if (at_ns >= n->wake_ns)
        return;
    n->wake_ns = at_ns;
    sim_post(s, at_ns, SIM_EV_WAKE, n->slot, 0, NULL);
}

static uint64_t node_late_ns(struct sim_node *n)
{
    return n->slow_ms ? MS(sim_between(&n->rng, SLOW_MIN_MS, n->slow_ms)) : 0;
}

/* When a process gets to run: soon, and now and then late. */
void sim_node_wake_soon(struct sim *s, struct sim_node *n)
{
    uint64_t us = sim_between(&n->rng, 2, 60);
    if (sim_chance(&n->rng, 5))
        us = sim_between(&n->rng, 1000, 8000);
    node_wake(s, n, s->now_ns + us * NS_PER_US + node_late_ns(n));
}

static void node_sleep(struct sim *s, struct sim_node *n)
{
    uint64_t next = n->farm_deadline_ns;
    for (unsigned i = 0; i < n->shard_count; i++)
        if (n->shard_deadline_ns[i] < next)
            next = n->shard_deadline_ns[i];
    if (next == TIME_NEVER)
        return;
    uint64_t at = node_moment(n, next);
    at = at > s->now_ns + NS_PER_US ? at : s->now_ns + NS_PER_US;
    node_wake(s, n, at + node_late_ns(n));
}

/* -- the shards -- */

struct session *sim_node_shard(struct sim_node *n, const struct key *key)
{
    uint64_t h = sim_digest(key->bytes, key->len) ^ key->kind;
    return n->shards[h % n->shard_count];
}

static unsigned node_shard_index(const struct sim_node *n, const struct session *shard)
{
    unsigned i = 0;
    while (n->shards[i] != shard)
        i++;
    return i;
}

static void node_notices(struct sim *s, struct sim_node *n, const struct session_actions *a)
{
    for (uint32_t i = 0; i < a->notice_count; i++) {
        const struct session_notice *notice = &a->notices[i];
        static const char *const names[] = {"claimed",   "fenced", "split merged", "wiped",
                                            "malformed", "full",   "diverged"};
        sim_trace(s, "%s %s key=%016llx peer=%016llx lost=%u", n->name, names[notice->type],
                  (unsigned long long)notice->key_digest, (unsigned long long)notice->peer,
                  notice->lost);
        s->sum.claims += notice->type == NOTICE_CLAIMED;
        s->sum.merges += notice->type == NOTICE_SPLIT_MERGED;
        s->sum.values_lost += notice->lost;
        if (notice->type == NOTICE_MALFORMED)
            sim_violation(s, "nothing malformed", NULL, "%s met a malformed message of %016llx",
                          n->name, (unsigned long long)notice->peer);
    }
}

static void node_shard_step(struct sim *s, struct sim_node *n, struct session *shard,
                            const struct session_event *ev, const struct key *key)
{
    struct session_actions a;
    struct stamp before = {0};
    bool owned;
    const struct record *r = key ? session_peek(shard, key, &owned) : NULL;
    if (r)
        before = r->stamp;
    session_actions_init(&a);
    if (n->starves_of_1000 && sim_chance(&n->rng, n->starves_of_1000))
        mem_fail_after((unsigned)sim_between(&n->rng, 1, STARVED_CALLS));
    session_step(shard, ev, sim_node_clock(n, s->now_ns), &a);
    mem_fail_after(0);
    list_splice(&n->outgoing, &a.sends);
    n->shard_deadline_ns[node_shard_index(n, shard)] = a.deadline_ns;
    node_notices(s, n, &a);
    if (key) {
        CHECK_ALL(s, stepped, s, n, key, r ? &before : NULL);
        sim_tell_copy(s, n, key, r ? &before : NULL);
    }
    struct list *link;
    while ((link = list_pop(&a.results))) {
        struct session_result *result = list_entry(link, struct session_result, link);
        sim_client_result(s, n->slot, result);
        session_result_free(result);
    }
    session_actions_clear(&a);
}

static void node_hand_view(struct sim *s, struct sim_node *n)
{
    for (unsigned i = 0; i < n->shard_count; i++) {
        struct session_event ev = {.type = SESSION_EV_VIEW, .view = farm_view(n->farm)};
        node_shard_step(s, n, n->shards[i], &ev, NULL);
    }
}

static void node_deliver(struct sim *s, struct sim_node *n, const struct msg *m)
{
    CHECK_ALL(s, message_taken, s, n, m);
    sim_tell_message(s, n, m);
    struct key key;
    if (!session_message_key(m->bytes, m->len, &key)) {
        sim_violation(s, "nothing malformed", NULL, "%s was sent a message without a key", n->name);
        return;
    }
    struct session_event ev = {.type = SESSION_EV_MESSAGE,
                               .message = {.from = m->peer, .bytes = m->bytes, .len = m->len}};
    struct session_slice slice = {.bytes = m->bytes, .len = m->len};
    /* As what comes in bulk is delivered. */
    if (sim_digest(m->bytes, m->len) & 1) {
        ev.type = SESSION_EV_BATCH;
        ev.batch.slices = &slice;
        ev.batch.count = 1;
    }
    if (key.len == 0) {
        for (unsigned i = 0; i < n->shard_count; i++)
            node_shard_step(s, n, n->shards[i], &ev, NULL);
        return;
    }
    node_shard_step(s, n, sim_node_shard(n, &key), &ev, &key);
}

/* -- the farm core -- */

static void node_send_datagrams(struct sim *s, struct sim_node *n, struct farm_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->datagrams))) {
        struct farm_datagram *d = list_entry(link, struct farm_datagram, link);
        n->bytes_out += d->len;
        if (n->stalls) {
            list_append(&n->held, &d->link);
            continue;
        }
        sim_net_send(s, n->home, &d->to, d->bytes, d->len, n->step_ns);
        mem_free(d);
    }
}

static void node_farm_notices(struct sim *s, const struct sim_node *n, const struct farm_actions *a)
{
    static const char *const names[] = {
        [MEMBER_JOINED] = "joined",
        [MEMBER_SUSPECT] = "suspect",
        [MEMBER_HEARD_AGAIN] = "heard again",
        [MEMBER_DOWN] = "down",
        [MEMBER_LEFT] = "left",
        [MEMBER_REPLACED] = "replaced",
        [MEMBER_CLAIMANT_REFUSED] = "claimant refused",
        [MEMBER_SELF_PAUSED] = "self paused",
        [MEMBER_ALONE] = "alone",
        [MEMBER_REFUSED_HERE] = "refused here",
        [MEMBER_CONTACT_LOST] = "contact lost",
        [MEMBER_CONTACT_AGAIN] = "contact again",
        [MEMBER_FOREIGN_KEY] = "foreign key",
        [MEMBER_FOREIGN_VERSION] = "foreign version",
        [MEMBER_GROUP_SILENT] = "group silent",
        [MEMBER_GROUP_HEARD] = "group heard",
        [MEMBER_KEY_RETIRED] = "retired key",
        [MEMBER_KEY_UNKNOWN] = "unknown key",
        [MEMBER_GROUP_UNREACHED] = "not reached by the group",
        [MEMBER_GROUP_REACHED] = "reached by the group again",
    };
    for (uint32_t i = 0; i < a->notice_count; i++)
        sim_trace(s, "%s sees %s: %s (%016llx)", n->name, a->notices[i].name,
                  names[a->notices[i].what], (unsigned long long)a->notices[i].inc);
}

/* Does what the farm core wants done, in the daemon's order: the view before what depends on it. */
static void node_obey(struct sim *s, struct sim_node *n, struct farm_actions *a)
{
    if (a->view_changed)
        node_hand_view(s, n);
    node_send_datagrams(s, n, a);
    node_farm_notices(s, n, a);
    n->farm_deadline_ns = a->deadline_ns;
    n->refused |= a->refused;
    roster_unref(a->roster);
    a->roster = NULL;
    struct list *link;
    while ((link = list_pop(&a->deliveries))) {
        struct msg *m = list_entry(link, struct msg, link);
        if (!s->over)
            node_deliver(s, n, m);
        msg_free(m);
    }
    farm_actions_clear(a);
}

/* A message to several is one to each of them. */
static void node_sent(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    CHECK_ALL(s, message_sent, s, n, m);
    for (unsigned i = 0; i < m->also_count; i++) {
        struct msg *one = msg_of(m, i);
        CHECK_ALL(s, message_sent, s, n, one);
        msg_free(one);
    }
}

/* False: the queue to its receiver is full, and it is lost. */
static bool node_has_room(struct sim *s, struct sim_node *n, const struct msg *m)
{
    const struct sim_node *to = n->full_of_1000 ? sim_node_by_inc(s, m->peer) : NULL;
    bool full = to && to->home == n->full_to && sim_chance(&n->rng, n->full_of_1000);
    if (full)
        sim_trace(s, "%s's queue to %s is full", n->name, to->name);
    return !full;
}

static void node_send(struct sim *s, struct sim_node *n, const struct msg *m)
{
    if (!node_has_room(s, n, m))
        return;
    int err = farm_send(n->farm, m, sim_node_clock(n, s->now_ns));
    if (err == STEAD_OK)
        node_sent(s, n, m);
    else
        sim_trace(s, "%s: a message to %016llx is not sent: %s", n->name,
                  (unsigned long long)m->peer, stead_error_name(err));
}

/* Where a queue is full, each receiver of a message gets it by itself. */
static void node_send_any(struct sim *s, struct sim_node *n, struct msg *m)
{
    for (unsigned i = 0; n->full_of_1000 && i < m->also_count; i++) {
        struct msg *one = msg_of(m, i);
        node_send(s, n, one);
        msg_free(one);
    }
    if (n->full_of_1000)
        m->also_count = 0;
    node_send(s, n, m);
}

/* Sends what the shards want sent until nobody wants anything. */
static void node_flush(struct sim *s, struct sim_node *n)
{
    uint64_t now = sim_node_clock(n, s->now_ns);
    for (unsigned round = 0; round < STEP_ROUNDS_MAX; round++) {
        struct list *link;
        while ((link = list_pop(&n->outgoing))) {
            struct msg *m = list_entry(link, struct msg, link);
            n->writes |= m->bytes[0] == MESSAGE_REPLICATE;
            node_send_any(s, n, m);
            msg_free(m);
        }
        struct farm_actions a;
        farm_actions_init(&a);
        farm_tick(n->farm, now, &a);
        node_obey(s, n, &a);
        if (list_empty(&n->outgoing) || s->over)
            return;
    }
    sim_violation(s, "bounded work", NULL, "%s does not come to rest within a step", n->name);
}

/* -- a step of the process -- */

static void node_read_frame(struct sim *s, struct sim_node *n, struct sim_frame *f)
{
    struct mesh_stats before, after;
    struct member_stats members;
    struct farm_actions a;
    struct addr from = sim_net_addr(f->from);
    farm_stats(n->farm, &before, &members);
    farm_actions_init(&a);
    farm_datagram_in(n->farm, &from, f->bytes, f->len, sim_node_clock(n, s->now_ns), &a);
    farm_stats(n->farm, &after, &members);
    CHECK_ALL(s, frame_taken, s, n, f, after.messages_in > before.messages_in);
    node_obey(s, n, &a);
}

static void node_read(struct sim *s, struct sim_node *n)
{
    struct list *link;
    while (!s->over && (link = list_pop(&n->inbox))) {
        struct sim_inbound *in = list_entry(link, struct sim_inbound, link);
        n->inbox_bytes -= in->frame->len;
        node_read_frame(s, n, in->frame);
        sim_frame_unref(in->frame);
        free(in);
    }
}

/* What is here is read, or written where nobody else is, without an operation. False: it takes one.
 */
static bool node_short_way(struct sim *s, struct sim_node *n, const struct session_op *op)
{
    struct session *shard = sim_node_shard(n, op->key);
    struct session_reading reading = {0};
    struct session_actions a;
    uint64_t now = sim_node_clock(n, s->now_ns);
    session_actions_init(&a);
    int status = op->type == SESSION_READ ? session_read(shard, op, now, &a, &reading)
                                          : session_write(shard, op, now, &a, &reading);
    list_splice(&n->outgoing, &a.sends);
    uint64_t *deadline = &n->shard_deadline_ns[node_shard_index(n, shard)];
    *deadline = a.deadline_ns < *deadline ? a.deadline_ns : *deadline;
    node_notices(s, n, &a);
    session_actions_clear(&a);
    if (status == STEAD_PENDING)
        return false;
    struct session_result r = {.request = op->request, .status = status, .copies = 1};
    r.record = status == STEAD_OK ? record_clone(reading.record) : NULL;
    sim_client_result(s, n->slot, &r);
    record_free(r.record);
    return true;
}

/* The client will ask that node next. */
static void node_push(struct sim *s, struct sim_node *n, const struct key *key, uint64_t deadline)
{
    const struct sim_node *to = &s->nodes[rng_below(&n->rng, s->node_count)];
    struct session_event ev = {.type = SESSION_EV_OP,
                               .op = {.type = SESSION_PUSH,
                                      .key = key,
                                      .peer = to->inc,
                                      .deadline_ns = deadline,
                                      .silent = true}};
    node_shard_step(s, n, sim_node_shard(n, key), &ev, key);
}

static void node_take_calls(struct sim *s, struct sim_node *n)
{
    struct list *link;
    while (!s->over && (link = list_pop(&n->calls))) {
        struct sim_call *call = list_entry(link, struct sim_call, link);
        struct session_event ev = {.type = SESSION_EV_OP};
        sim_client_operation(s, call->op, sim_node_clock(n, s->now_ns), &ev.op);
        struct key key = *ev.op.key;
        if (s->scenario == SCENARIO_WARM && sim_chance(&n->rng, PUSHES))
            node_push(s, n, &key, ev.op.deadline_ns);
        bool plain = ev.op.type == SESSION_READ || ev.op.type == SESSION_CHANGE;
        if (!plain || !sim_chance(&n->rng, SHORT_WAY) || !node_short_way(s, n, &ev.op))
            node_shard_step(s, n, sim_node_shard(n, &key), &ev, &key);
        free(call);
    }
}

static void node_ticks(struct sim *s, struct sim_node *n)
{
    uint64_t now = sim_node_clock(n, s->now_ns);
    for (unsigned i = 0; i < n->shard_count && !s->over; i++) {
        if (n->shard_deadline_ns[i] > now)
            continue;
        struct session_event ev = {.type = SESSION_EV_TICK};
        node_shard_step(s, n, n->shards[i], &ev, NULL);
    }
}

void sim_node_tell(struct sim *s, struct sim_node *n, enum status status)
{
    struct farm_actions a;
    n->entry.status = status;
    farm_actions_init(&a);
    farm_set_self(n->farm, &n->entry, sim_node_clock(n, s->now_ns), &a);
    node_obey(s, n, &a);
    node_flush(s, n);
}

static bool node_all(const struct sim_node *n, bool (*is)(const struct session *s))
{
    for (unsigned i = 0; i < n->shard_count; i++)
        if (!is(n->shards[i]))
            return false;
    return true;
}

bool sim_node_synced(struct sim_node *n)
{
    bool alone;
    return farm_found(n->farm, &alone) && node_all(n, session_synced);
}

static void node_sum(struct sim *s, const struct sim_node *n)
{
    struct mesh_stats mesh;
    struct member_stats members;
    farm_stats(n->farm, &mesh, &members);
    s->sum.group_copies += mesh.group_copies;
    s->sum.group_repairs += mesh.repairs_group + mesh.repairs_unicast;
    s->sum.group_late += mesh.group_late;
}

void sim_nodes_sum(struct sim *s)
{
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        if (sim_node_alive(&s->nodes[i]))
            node_sum(s, &s->nodes[i]);
}

/* The process is gone; its memory too. */
static void node_end(struct sim *s, struct sim_node *n)
{
    struct list *link;
    node_sum(s, n);
    while ((link = list_pop(&n->inbox))) {
        struct sim_inbound *in = list_entry(link, struct sim_inbound, link);
        sim_frame_unref(in->frame);
        free(in);
    }
    while ((link = list_pop(&n->calls)))
        free(list_entry(link, struct sim_call, link));
    while ((link = list_pop(&n->held)))
        mem_free(list_entry(link, struct farm_datagram, link));
    msg_list_free(&n->outgoing);
    for (unsigned i = 0; i < n->shard_count; i++) {
        session_free(n->shards[i]);
        n->shards[i] = NULL;
    }
    ranges_free(n->ranges);
    n->ranges = NULL;
    farm_free(n->farm);
    n->farm = NULL;
    n->phase = PHASE_OFF;
    n->paused = n->refused = n->stalls = false;
    n->wake_ns = TIME_NEVER;
    n->inbox_bytes = 0;
    n->gone_ns = s->now_ns;
}

static void node_leave(struct sim *s, struct sim_node *n)
{
    struct farm_actions a;
    n->left_unclean = !node_all(n, session_drained);
    sim_trace(s, "%s leaves%s", n->name, n->left_unclean ? " with records left" : "");
    farm_actions_init(&a);
    sim_shelf_flush(s, n, true);
    farm_leave(n->farm, sim_node_clock(n, s->now_ns), &a);
    node_send_datagrams(s, n, &a);
    farm_actions_clear(&a);
    node_end(s, n);
    if (n->twin_inc != 0 && !n->left_unclean)
        n->gone_ns = 0; /* nothing went with it */
}

static void node_save(struct sim *s, struct sim_node *n)
{
    if (n->clone || s->now_ns < n->saved_ns + SEC(1))
        return;
    n->saved_ns = s->now_ns;
    n->disk.address_count = farm_addresses(n->farm, n->disk.addresses, SIM_SLOTS);
}

/* What the daemon adds to the cores. */
static void node_daemon(struct sim *s, struct sim_node *n)
{
    if (n->refused) {
        sim_trace(s, "%s is refused and stops", n->name);
        CHECK_ALL(s, refused, s, n);
        bool again = !n->clone && n->slot == n->home;
        node_end(s, n);
        if (again)
            sim_post(s, s->now_ns + RESTART_AFTER_REFUSAL, SIM_EV_START, n->slot, 0, NULL);
        return;
    }
    sim_upgrade_step(s, n);
    if (n->phase == PHASE_JOINING && n->twin_inc == 0 && sim_node_synced(n)) {
        sim_trace(s, "%s is up", n->name);
        n->phase = PHASE_UP;
        n->up_ns = s->now_ns;
        sim_node_tell(s, n, STATUS_UP);
    }
    if (n->phase == PHASE_UP)
        node_save(s, n);
    if (n->phase == PHASE_LEAVING && (node_all(n, session_drained) || s->now_ns >= n->leave_by_ns))
        node_leave(s, n);
}

static void node_send_held(struct sim *s, struct sim_node *n)
{
    struct list *link;
    while ((link = list_pop(&n->held))) {
        struct farm_datagram *d = list_entry(link, struct farm_datagram, link);
        sim_net_send(s, n->home, &d->to, d->bytes, d->len, 0);
        mem_free(d);
    }
}

void sim_node_run(struct sim *s, unsigned slot)
{
    struct sim_node *n = &s->nodes[slot];
    n->wake_ns = TIME_NEVER;
    if (!sim_node_alive(n) || n->paused)
        return;
    n->runs++;
    n->writes = false;
    n->step_ns = sim_between(&n->rng, 5, 80) * NS_PER_US;
    node_read(s, n);
    node_take_calls(s, n);
    node_ticks(s, n);
    if (s->over)
        return;
    node_flush(s, n);
    if (s->over)
        return;
    sim_keys_step(s, n);
    node_daemon(s, n);
    if (!sim_node_alive(n))
        return;
    sim_shelf_flush(s, n, false);
    sim_shelf_snapshot(s, n);
    if (n->stalls && n->stalls_writing && !n->writes)
        node_send_held(s, n);
    else if (n->stalls) {
        n->paused = true;
        sim_trace(s, "%s stands still within a step", n->name);
        return;
    }
    node_sleep(s, n);
}

/* -- the supervisor, the network and the clients -- */

/* Three zones; each node is the named backup of the one before it. */
static void node_place(const struct sim *s, struct sim_node *n)
{
    struct server *server = &n->entry.servers[0];
    snprintf(n->entry.zone, sizeof n->entry.zone, "z%u", n->slot % 3);
    n->entry.server_count = 1;
    *server = (struct server){.url_count = 1, .load = LOAD_UNKNOWN};
    snprintf(server->service, sizeof server->service, "shop");
    snprintf(server->urls[0], sizeof server->urls[0], "http://%s", n->name);
    snprintf(server->backup, sizeof server->backup, "%s",
             s->nodes[(n->slot + 1) % s->node_count].name);
}

static void node_make_entry(struct sim_node *n)
{
    n->entry = (struct entry){.node = n->disk.node,
                              .inc = n->inc,
                              .boot = n->disk.boot,
                              .status = STATUS_JOINING,
                              .address = n->addr,
                              .twin = n->slot == n->home ? 0 : n->twin_inc,
                              .holds = n->entry.holds,
                              .repository = n->shelf.on};
    snprintf(n->entry.name, sizeof n->entry.name, "%.*s", (int)strcspn(n->name, "'"), n->name);
    snprintf(n->entry.version, sizeof n->entry.version, "1");
}

static void node_make_farm(struct sim *s, struct sim_node *n)
{
    struct farm_config c = {.name = "sim", .seed = rng_u64(&n->rng)};
    memcpy(c.key, s->farm_key, sizeof c.key);
    member_timing_default(&c.timing);
    for (unsigned i = 0; i < n->join_count; i++)
        c.join[c.join_count++] = sim_net_addr(n->join[i]);
    for (size_t i = 0; i < n->disk.address_count && c.join_count < JOIN_ADDRESSES_MAX; i++)
        c.join[c.join_count++] = n->disk.addresses[i];
    for (; c.voter_count < s->voters; c.voter_count++)
        snprintf(c.voters[c.voter_count], sizeof c.voters[0], "%s", s->nodes[c.voter_count].name);
    if (s->grouped)
        c.group = sim_net_group();
    c.keys = n->has_key_file ? &n->key_file : NULL;
    n->keys_pending = false;
    n->farm = farm_new(&c, &n->entry, sim_node_clock(n, s->now_ns));
    n->farm_deadline_ns = 0;
}

static void node_make_shards(struct sim *s, struct sim_node *n)
{
    struct session_config c;
    session_config_default(&c);
    c.kinds = &s->kinds;
    c.memory_bytes = n->memory_bytes / n->shard_count;
    c.grace_ms = BRIEF_GRACE_MS;
    c.repository = n->shelf.on;
    farm_lasting(n->farm, LASTING_PLACEMENT, c.farm_secret);
    c.ranges = n->ranges = ranges_new(&s->kinds, c.farm_secret);
    for (unsigned i = 0; i < n->shard_count; i++) {
        for (size_t b = 0; b < sizeof c.bucket_secret; b++)
            c.bucket_secret[b] = (uint8_t)rng_u64(&n->rng);
        c.seed = rng_u64(&n->rng);
        c.shard_index = (uint8_t)i;
        c.shard_count = (uint8_t)n->shard_count;
        n->shards[i] = session_new(&c, sim_node_clock(n, s->now_ns));
        n->shard_deadline_ns[i] = 0;
    }
    sim_shelf_load(s, n);
}

void sim_node_start(struct sim *s, unsigned slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (sim_node_alive(n))
        return;
    if (!n->disk.valid)
        n->disk = (struct sim_disk){.valid = true, .node = rng_u64(&n->rng)};
    n->disk.boot++;
    if (n->slot == n->home)
        n->twin_inc = n->entry.twin = 0;
    n->inc = rng_u64(&n->rng);
    n->shard_count = (unsigned)sim_between(&n->rng, 1, SIM_SHARDS_MAX);
    node_make_entry(n);
    if (s->scenario == SCENARIO_WARM)
        node_place(s, n);
    node_make_farm(s, n);
    node_make_shards(s, n);
    n->phase = PHASE_JOINING;
    n->started_ns = s->now_ns;
    n->up_ns = n->runs = n->bytes_out = 0;
    s->sum.starts++;
    sim_trace(s, "%s starts: node=%016llx inc=%016llx boot=%llu shards=%u%s", n->name,
              (unsigned long long)n->disk.node, (unsigned long long)n->inc,
              (unsigned long long)n->disk.boot, n->shard_count, n->clone ? " (a clone)" : "");
    node_hand_view(s, n);
    node_wake(s, n, s->now_ns + NS_PER_US);
}

void sim_node_kill(struct sim *s, unsigned slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!sim_node_alive(n))
        return;
    sim_trace(s, "%s is killed", n->name);
    node_end(s, n);
}

void sim_node_term(struct sim *s, unsigned slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (n->phase != PHASE_UP)
        return;
    sim_trace(s, "%s gets SIGTERM", n->name);
    if (sim_upgrade_running(s, slot))
        sim_node_kill(s, n->twin_slot);
    n->twin_inc = n->entry.twin = 0;
    n->phase = PHASE_LEAVING;
    n->leave_by_ns = s->now_ns + SIM_DRAIN_NS;
    n->step_ns = 0;
    sim_node_tell(s, n, STATUS_DRAINING);
    sim_node_wake_soon(s, n);
}

void sim_node_pause(struct sim *s, unsigned slot, enum sim_pause how)
{
    struct sim_node *n = &s->nodes[slot];
    if (!sim_node_alive(n) || n->paused)
        return;
    n->stalls = how != PAUSE_NOW;
    n->stalls_writing = how == PAUSE_IN_WRITE;
    n->paused = how == PAUSE_NOW;
    if (n->paused)
        sim_trace(s, "%s stands still", n->name);
}

void sim_node_resume(struct sim *s, unsigned slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!sim_node_alive(n) || !(n->paused || n->stalls))
        return;
    sim_trace(s, "%s runs again", n->name);
    n->paused = n->stalls = false;
    node_send_held(s, n);
    sim_node_wake_soon(s, n);
}

static void node_frame(struct sim *s, struct sim_node *n, struct sim_frame *f)
{
    if (!sim_node_alive(n) || n->inbox_bytes + f->len > SIM_INBOX_BYTES)
        return;
    struct sim_inbound *in = calloc(1, sizeof *in);
    in->frame = f;
    f->refs++;
    n->inbox_bytes += f->len;
    list_append(&n->inbox, &in->link);
    if (!n->paused)
        sim_node_wake_soon(s, n);
}

/* Whoever of an address's processes reads a frame gives it to the one that it is for; one that is
 * for nobody yet concerns all. The one that is there alone takes everything. */
void sim_node_frame(struct sim *s, unsigned slot, struct sim_frame *f)
{
    struct frame_header h;
    bool known = seal_peek(f->bytes, f->len, &h) == STEAD_OK;
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        struct sim_node *n = &s->nodes[i];
        bool other = known && ((h.to != 0 && h.to != n->inc) || h.inc == n->inc);
        if (n->home == slot && (i == slot ? !other || !sim_upgrade_running(s, i) : !other))
            node_frame(s, n, f);
    }
}

void sim_node_call(struct sim *s, unsigned slot, uint64_t op)
{
    struct sim_node *n = &s->nodes[slot];
    struct sim_call *call = calloc(1, sizeof *call);
    call->op = op;
    list_append(&n->calls, &call->link);
    if (!n->paused)
        sim_node_wake_soon(s, n);
}
