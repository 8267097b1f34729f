/* session_bus.h - a farm of session shards for tests, in virtual time: contact and leases as
 * core/farm makes them, messages that arrive at once and in order unless a story says otherwise,
 * nodes that pause, die, leave, come, and are cut off from each other.
 *
 * A message to a node that is paused or cut off waits, and is lost when its sender counts the
 * receiver out, as the mesh does it. */
#ifndef TESTS_SESSION_BUS_H
#define TESTS_SESSION_BUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/session/message.h"
#include "core/session/session.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUS_NODES 5
#define BUS_SHARDS 16
#define BUS_RESULTS 64
#define BUS_STEP_NS (10 * NS_PER_MS)
#define BUS_BEAT_NS (100 * NS_PER_MS)
#define BUS_LEASE_NS (1200 * NS_PER_MS)
#define BUS_SILENCE_NS (1500 * NS_PER_MS)
#define NOBODY (-1)

/* What node a knows of node b. */
struct bus_contact {
    uint64_t heard_ns, lease_ns, counted, granted;
    bool heard;
};

struct bus_node {
    bool made, dead, paused;
    bool keeps_nothing; /* a director */
    unsigned zone, group;
    uint64_t backup, backup2; /* incarnations that are named backups of its servers */
    uint64_t inc, id;
    enum peer_state state;
    unsigned shard_count;
    struct session *shards[BUS_SHARDS];
    struct ranges *ranges;
    uint64_t deadline_ns[BUS_SHARDS];
    struct bus_contact contacts[BUS_NODES];
    unsigned notices[NOTICE_DIVERGED + 1];
};

struct bus_result {
    uint64_t request;
    int status;
    uint8_t copies;
    uint32_t left_ms;
    enum session_origin origin;
    struct stamp stamp;
    size_t value_len;
    char value[32]; /* of the field "", or the one that was asked for; "" when there is none */
    struct record *record;
};

struct bus_message {
    struct list link;
    int from;
    struct msg *msg;
};

struct bus {
    struct session_config config;
    struct kinds kinds;
    bool ranges;     /* nodes compare sums */
    bool bundles;    /* what goes in bulk comes out of shards in bundles, and is delivered so */
    unsigned voters; /* so many of the first nodes are */
    struct bus_node nodes[BUS_NODES];
    bool cut[BUS_NODES][BUS_NODES]; /* from, to */
    struct list wire;
    uint64_t now_ns, beat_ns, next_request, shuffle;
    struct rng rng;
    size_t result_count, delivered;
    struct bus_result results[BUS_RESULTS];
    /* Says which messages are lost, or NULL. */
    bool (*loses)(struct bus *b, int from, int to, const struct msg *m);
    unsigned lost;
};

static inline struct key bus_key(struct bus *b, const char *kind, const char *name)
{
    struct key k;
    int index = kinds_find(&b->kinds, kind);
    assert_true(index >= 0);
    assert_true(key_set(&k, (uint8_t)index, name, strlen(name)));
    return k;
}

static inline struct kind *bus_kind(struct bus *b, const char *name)
{
    int index = kinds_find(&b->kinds, name);
    assert_true(index >= 0);
    return &b->kinds.kind[index];
}

static inline int bus_index(struct bus *b, uint64_t inc)
{
    for (int i = 0; i < BUS_NODES; i++)
        if (b->nodes[i].made && b->nodes[i].inc == inc)
            return i;
    return NOBODY;
}

static inline bool bus_runs(const struct bus *b, int i)
{
    return b->nodes[i].made && !b->nodes[i].dead && !b->nodes[i].paused;
}

/* -- what shards want done -- */

static inline void bus_keep_result(struct bus *b, struct session_result *r)
{
    assert_true(b->result_count < BUS_RESULTS);
    struct bus_result *kept = &b->results[b->result_count++];
    *kept = (struct bus_result){.request = r->request,
                                .status = r->status,
                                .copies = r->copies,
                                .left_ms = r->left_ms,
                                .origin = r->origin,
                                .stamp = r->stamp,
                                .record = r->record};
    if (r->record) {
        const struct field *f = record_get(r->record, "", 0);
        assert_int_equal(stamp_compare(&r->stamp, &r->record->stamp), 0);
        kept->value_len = f ? f->value_len : 0;
        if (f)
            memcpy(kept->value, field_value(f), f->value_len < 31 ? f->value_len : 31);
    }
    r->record = NULL;
    session_result_free(r);
}

static inline void bus_post(struct bus *b, int from, struct msg *msg)
{
    struct bus_message *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->from = from;
    m->msg = msg;
    list_append(&b->wire, &m->link);
}

static inline void bus_step(struct bus *b, int i, unsigned shard, const struct session_event *ev)
{
    struct bus_node *n = &b->nodes[i];
    struct session_actions a;
    struct list *l;
    session_actions_init(&a);
    a.bundles = b->bundles;
    session_step(n->shards[shard], ev, b->now_ns, &a);
    n->deadline_ns[shard] = a.deadline_ns;
    for (uint32_t j = 0; j < a.notice_count; j++)
        n->notices[a.notices[j].type]++;
    while ((l = list_pop(&a.sends))) {
        struct msg *m = list_entry(l, struct msg, link);
        bus_post(b, i, m);
        for (unsigned j = 0; j < m->also_count; j++)
            bus_post(b, i, msg_of(m, j));
    }
    while ((l = list_pop(&a.results)))
        bus_keep_result(b, list_entry(l, struct session_result, link));
}

/* As the store delivers what a frame brings. */
static inline void bus_hand_bundle(struct bus *b, int from, int to, const struct msg *m)
{
    struct session_slice slices[256];
    struct buzhash hash;
    struct wire_reader r;
    size_t count = 0;
    buzhash_init(&hash, b->config.bucket_secret);
    wire_reader_init(&r, m->bytes, m->len);
    for (uint32_t i = 0; i < m->bundled && count < 256; i++, count++) {
        size_t len;
        const uint8_t *key;
        slices[count].bytes = wire_str32(&r, &slices[count].len);
        assert_true(
            message_place(slices[count].bytes, slices[count].len, &slices[count].kind, &key, &len));
        slices[count].hash = buzhash(&hash, key, len);
    }
    assert_true(wire_done(&r));
    struct session_event ev = {
        .type = SESSION_EV_BATCH,
        .batch = {.from = b->nodes[from].inc, .slices = slices, .count = count}};
    b->delivered += count;
    assert_int_equal(b->nodes[to].shard_count, 1);
    bus_step(b, to, 0, &ev);
}

static inline unsigned bus_shard(const struct bus_node *n, const struct key *k)
{
    unsigned h = 7;
    for (unsigned i = 0; i < k->len; i++)
        h = h * 31 + k->bytes[i];
    return h % n->shard_count;
}

/* -- delivery -- */

static inline void bus_message_free(struct bus_message *m)
{
    list_remove(&m->link);
    msg_free(m->msg);
    free(m);
}

static inline void bus_hand(struct bus *b, int from, int to, const struct msg *m)
{
    struct bus_node *n = &b->nodes[to];
    struct session_event ev = {
        .type = SESSION_EV_MESSAGE,
        .message = {.from = b->nodes[from].inc, .bytes = m->bytes, .len = m->len}};
    struct key key;
    if (m->bundled) {
        bus_hand_bundle(b, from, to, m);
        return;
    }
    assert_true(session_message_key(m->bytes, m->len, &key));
    b->delivered++;
    for (unsigned s = 0; s < n->shard_count; s++)
        if (key.len == 0 || bus_shard(n, &key) == s)
            bus_step(b, to, s, &ev);
}

static inline bool bus_passes(struct bus *b, const struct bus_message *m, int to)
{
    return bus_runs(b, to) && !b->cut[m->from][to] && !b->nodes[m->from].dead;
}

/* One message that can arrive: the first, or any when the story shuffles. */
static inline bool bus_deliver_one(struct bus *b)
{
    size_t ready = 0;
    for (struct list *l = b->wire.next, *next; l != &b->wire; l = next) {
        next = l->next;
        struct bus_message *m = list_entry(l, struct bus_message, link);
        int to = bus_index(b, m->msg->peer);
        if (to == NOBODY || b->nodes[to].dead || b->nodes[m->from].dead)
            bus_message_free(m);
        else
            ready += bus_passes(b, m, to);
    }
    if (ready == 0)
        return false;
    size_t chosen = b->shuffle ? rng_below(&b->rng, (uint32_t)ready) : 0;
    for (struct list *l = b->wire.next; l != &b->wire; l = l->next) {
        struct bus_message *m = list_entry(l, struct bus_message, link);
        int to = bus_index(b, m->msg->peer);
        if (!bus_passes(b, m, to) || chosen-- > 0)
            continue;
        list_remove(&m->link);
        if (b->loses && b->loses(b, m->from, to, m->msg))
            b->lost++;
        else
            bus_hand(b, m->from, to, m->msg);
        msg_free(m->msg);
        free(m);
        break;
    }
    return true;
}

static inline void bus_deliver(struct bus *b)
{
    unsigned limit = 20000;
    while (bus_deliver_one(b))
        assert_true(limit-- > 0);
}

/* -- contact -- */

static inline void bus_drop_wire(struct bus *b, int from, int to)
{
    for (struct list *l = b->wire.next, *next; l != &b->wire; l = next) {
        next = l->next;
        struct bus_message *m = list_entry(l, struct bus_message, link);
        if (m->from == from && bus_index(b, m->msg->peer) == to)
            bus_message_free(m);
    }
}

static inline void bus_beat_from(struct bus *b, int from, int to)
{
    struct bus_contact *c = &b->nodes[to].contacts[from];
    if (!bus_runs(b, from) || !bus_runs(b, to) || b->cut[from][to])
        return;
    c->heard = true;
    c->heard_ns = b->now_ns;
    c->granted = b->nodes[from].contacts[to].counted;
    if (!b->cut[to][from])
        c->lease_ns = b->now_ns + BUS_LEASE_NS;
}

static inline void bus_count_out(struct bus *b, int at, int of)
{
    struct bus_contact *c = &b->nodes[at].contacts[of];
    if (!bus_runs(b, at) || !c->heard || b->now_ns < c->heard_ns + BUS_SILENCE_NS)
        return;
    c->heard = false;
    c->counted++;
    bus_drop_wire(b, at, of);
}

static inline uint8_t bus_voter(const struct bus *b, int i)
{
    return (uint8_t)(i < (int)b->voters ? i + 1 : 0);
}

static inline void bus_view(struct bus *b, int i)
{
    struct bus_node *n = &b->nodes[i];
    struct peer_view peers[BUS_NODES];
    struct session_view v = {.self_inc = n->inc,
                             .self_node = n->id,
                             .self_state = n->state,
                             .self_holds = !n->keeps_nothing,
                             .self_zone = n->zone,
                             .voters = (uint8_t)b->voters,
                             .self_voter = bus_voter(b, i),
                             .peers = peers};
    for (int j = 0; j < BUS_NODES; j++) {
        const struct bus_node *p = &b->nodes[j];
        const struct bus_contact *c = &n->contacts[j];
        if (j == i || !p->made || (c->heard_ns == 0 && c->counted == 0))
            continue;
        struct peer_view view = {.inc = p->inc,
                                 .node = p->id,
                                 .state = c->heard ? p->state : PEER_DOWN,
                                 .holds = !p->keeps_nothing,
                                 .mate = p->group == n->group,
                                 .wish = p->inc == n->backup || p->inc == n->backup2,
                                 .zone = p->zone,
                                 .voter = bus_voter(b, j),
                                 .lease_until_ns = c->lease_ns,
                                 .counted = c->counted,
                                 .granted = c->granted};
        size_t at = v.peer_count++;
        for (; at > 0 && peers[at - 1].inc > view.inc; at--)
            peers[at] = peers[at - 1];
        peers[at] = view;
    }
    struct session_event ev = {.type = SESSION_EV_VIEW, .view = &v};
    for (unsigned s = 0; s < n->shard_count; s++)
        bus_step(b, i, s, &ev);
}

static inline void bus_beat(struct bus *b)
{
    for (int i = 0; i < BUS_NODES; i++)
        for (int j = 0; j < BUS_NODES; j++)
            if (i != j)
                bus_beat_from(b, i, j);
    for (int i = 0; i < BUS_NODES; i++)
        for (int j = 0; j < BUS_NODES; j++)
            if (i != j && b->nodes[j].made)
                bus_count_out(b, i, j);
    for (int i = 0; i < BUS_NODES; i++)
        if (bus_runs(b, i))
            bus_view(b, i);
}

/* -- time -- */

static inline void bus_tick(struct bus *b)
{
    struct session_event ev = {.type = SESSION_EV_TICK};
    b->now_ns += BUS_STEP_NS;
    if (b->now_ns >= b->beat_ns) {
        b->beat_ns = b->now_ns + BUS_BEAT_NS;
        bus_beat(b);
    }
    for (int i = 0; i < BUS_NODES; i++)
        for (unsigned s = 0; bus_runs(b, i) && s < b->nodes[i].shard_count; s++)
            if (b->nodes[i].deadline_ns[s] <= b->now_ns)
                bus_step(b, i, s, &ev);
    bus_deliver(b);
}

static inline void bus_run(struct bus *b, uint64_t ms)
{
    uint64_t until_ns = b->now_ns + ms * NS_PER_MS;
    while (b->now_ns < until_ns)
        bus_tick(b);
}

/* -- nodes -- */

static inline void bus_start(struct bus *b, int i, uint64_t inc, unsigned shards,
                             enum peer_state state)
{
    struct bus_node *n = &b->nodes[i];
    for (int j = 0; j < BUS_NODES; j++)
        b->nodes[j].contacts[i] = (struct bus_contact){0};
    *n = (struct bus_node){
        .made = true, .inc = inc, .id = 1000 + inc, .state = state, .shard_count = shards};
    if (b->ranges)
        n->ranges = ranges_new(&b->kinds, b->config.farm_secret);
    for (unsigned s = 0; s < shards; s++) {
        struct session_config c = b->config;
        c.ranges = n->ranges;
        c.kinds = &b->kinds;
        c.seed = inc * 100 + s;
        c.shard_index = (uint8_t)s;
        c.shard_count = (uint8_t)shards;
        n->shards[s] = session_new(&c, b->now_ns);
        assert_non_null(n->shards[s]);
        n->deadline_ns[s] = TIME_NEVER;
    }
}

/* Config and kinds are to be changed between bus_init and bus_begin. */
static inline void bus_init(struct bus *b)
{
    *b = (struct bus){.now_ns = 10 * NS_PER_S};
    session_config_default(&b->config);
    kinds_default(&b->kinds);
    b->config.memory_bytes = 64u << 20;
    b->config.compare_s = 0; /* what is told is told by what happens */
    memset(b->config.bucket_secret, 7, sizeof(b->config.bucket_secret));
    for (size_t i = 0; i < sizeof(b->config.farm_secret); i++)
        b->config.farm_secret[i] = (uint8_t)(i * 37 + 11);
    list_init(&b->wire);
    rng_init(&b->rng, 5);
}

static inline void bus_begin(struct bus *b, int nodes)
{
    for (int i = 0; i < nodes; i++)
        bus_start(b, i, (uint64_t)i + 1, 1, PEER_UP);
    bus_run(b, 300);
}

static inline void bus_results_free(struct bus *b)
{
    for (size_t i = 0; i < b->result_count; i++)
        record_free(b->results[i].record);
    b->result_count = 0;
}

static inline void bus_kill(struct bus *b, int i)
{
    struct bus_node *n = &b->nodes[i];
    n->dead = true;
    for (unsigned s = 0; s < n->shard_count; s++) {
        session_free(n->shards[s]);
        n->shards[s] = NULL;
    }
    ranges_free(n->ranges);
    n->ranges = NULL;
}

static inline void bus_deinit(struct bus *b)
{
    bus_results_free(b);
    while (!list_empty(&b->wire))
        bus_message_free(list_entry(b->wire.next, struct bus_message, link));
    for (int i = 0; i < BUS_NODES; i++)
        if (b->nodes[i].made && !b->nodes[i].dead)
            bus_kill(b, i);
}

static inline void bus_pause(struct bus *b, int i)
{
    b->nodes[i].paused = true;
}

/* It counts nobody out before it has listened anew. */
static inline void bus_resume(struct bus *b, int i)
{
    b->nodes[i].paused = false;
    for (int j = 0; j < BUS_NODES; j++)
        b->nodes[i].contacts[j].heard_ns = b->now_ns;
}

/* Nodes i and j do not hear each other any more, or do again. */
static inline void bus_cut(struct bus *b, int i, int j, bool cut)
{
    b->cut[i][j] = b->cut[j][i] = cut;
}

/* -- operations -- */

static inline struct session_op bus_op(enum session_op_type type, const struct key *key)
{
    return (struct session_op){.type = type, .key = key};
}

static inline uint64_t bus_ask(struct bus *b, int i, struct session_op op)
{
    struct bus_node *n = &b->nodes[i];
    op.request = ++b->next_request;
    if (op.deadline_ns == 0)
        op.deadline_ns = b->now_ns + 5 * NS_PER_S;
    struct session_event ev = {.type = SESSION_EV_OP, .op = op};
    bus_step(b, i, bus_shard(n, op.key), &ev);
    return op.request;
}

static inline uint64_t bus_ask_set(struct bus *b, int i, enum session_op_type type,
                                   const struct key *key, const char *value)
{
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = (const uint8_t *)value,
                           .value_len = strlen(value)};
    struct session_op op = bus_op(type, key);
    op.ops = &set;
    op.op_count = 1;
    return bus_ask(b, i, op);
}

static inline struct bus_result *bus_result(struct bus *b, uint64_t request)
{
    for (size_t i = 0; i < b->result_count; i++)
        if (b->results[i].request == request)
            return &b->results[i];
    return NULL;
}

/* Its answer, at the latest after its deadline. Valid until the next operation with bus_do. */
static inline struct bus_result *bus_wait(struct bus *b, uint64_t request)
{
    for (int i = 0; i < 1000 && !bus_result(b, request); i++) {
        bus_deliver(b);
        if (!bus_result(b, request))
            bus_tick(b);
    }
    struct bus_result *r = bus_result(b, request);
    assert_non_null(r);
    return r;
}

static inline struct bus_result *bus_do(struct bus *b, int i, struct session_op op)
{
    bus_results_free(b);
    return bus_wait(b, bus_ask(b, i, op));
}

static inline struct bus_result *bus_set(struct bus *b, int i, enum session_op_type type,
                                         const struct key *key, const char *value)
{
    bus_results_free(b);
    return bus_wait(b, bus_ask_set(b, i, type, key, value));
}

static inline struct bus_result *bus_create(struct bus *b, int i, const struct key *k,
                                            const char *v)
{
    return bus_set(b, i, SESSION_CREATE, k, v);
}

static inline struct bus_result *bus_change(struct bus *b, int i, const struct key *k,
                                            const char *v)
{
    return bus_set(b, i, SESSION_CHANGE, k, v);
}

static inline struct bus_result *bus_read(struct bus *b, int i, const struct key *k)
{
    return bus_do(b, i, bus_op(SESSION_READ, k));
}

static inline struct bus_result *bus_end(struct bus *b, int i, const struct key *k)
{
    return bus_do(b, i, bus_op(SESSION_END, k));
}

/* One field of a record with several. */
static inline struct bus_result *bus_field(struct bus *b, int i, enum session_op_type type,
                                           const struct key *k, enum field_op_type how,
                                           const char *name, const char *value)
{
    struct field_op f = {.type = how,
                         .name = (const uint8_t *)name,
                         .name_len = strlen(name),
                         .value = (const uint8_t *)value,
                         .value_len = strlen(value),
                         .amount = 1};
    struct session_op op = bus_op(type, k);
    op.ops = &f;
    op.op_count = 1;
    return bus_do(b, i, op);
}

/* -- what is where -- */

static inline const struct record *bus_peek(struct bus *b, int i, const struct key *k, bool *owned)
{
    struct bus_node *n = &b->nodes[i];
    *owned = false;
    return n->made && !n->dead ? session_peek(n->shards[bus_shard(n, k)], k, owned) : NULL;
}

static inline int bus_owners(struct bus *b, const struct key *k, int *owner)
{
    int count = 0;
    for (int i = 0; i < BUS_NODES; i++) {
        bool owned;
        bus_peek(b, i, k, &owned);
        if (owned && !b->nodes[i].paused) {
            *owner = i;
            count++;
        }
    }
    return count;
}

static inline int bus_owner(struct bus *b, const struct key *k)
{
    int owner = NOBODY;
    assert_true(bus_owners(b, k, &owner) <= 1);
    return owner;
}

static inline int bus_copies(struct bus *b, const struct key *k)
{
    int count = 0;
    for (int i = 0; i < BUS_NODES; i++) {
        bool owned;
        count += bus_peek(b, i, k, &owned) != NULL;
    }
    return count;
}

/* A node that lives and keeps a copy without owning it, or one that keeps nothing. */
static inline int bus_find(struct bus *b, const struct key *k, bool holder)
{
    for (int i = 0; i < BUS_NODES; i++) {
        bool owned;
        bool has = bus_peek(b, i, k, &owned) != NULL;
        if (bus_runs(b, i) && !owned && has == holder)
            return i;
    }
    return NOBODY;
}

static inline struct session_stats bus_stats(struct bus *b, int i)
{
    struct session_stats st;
    session_stats(b->nodes[i].shards[0], &st);
    return st;
}

/* All copies of a record are equal, one node owns it, and there are `copies` of them. */
static inline void bus_assert_settled(struct bus *b, const struct key *k, int copies)
{
    const struct record *first = NULL;
    assert_int_not_equal(bus_owner(b, k), NOBODY);
    assert_int_equal(bus_copies(b, k), copies);
    for (int i = 0; i < BUS_NODES; i++) {
        bool owned;
        const struct record *r = bus_peek(b, i, k, &owned);
        if (!r)
            continue;
        first = first ? first : r;
        assert_int_equal(stamp_compare(&first->stamp, &r->stamp), 0);
        assert_true(record_digest(first) == record_digest(r));
    }
}

#endif
