/* A shard's life, and where events go. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define TICK_NS (10 * NS_PER_MS)
#define SCAN_LOOKS 4096 /* a tick */
#define BUNDLE_BYTES 8192
#define BUNDLES_OPEN 4   /* of several nodes that get copies of the same records */
#define EXPECT_BUCKETS 8 /* messages ahead */
#define EXPECT_CELLS 4
#define FORWARD_WAIT_NS                                                                            \
    (5 * NS_PER_S) /* an operation passed on to this node ends by then; its asker has its own */

void session_config_default(struct session_config *c)
{
    *c = (struct session_config){.split_max_ms = 3600 * 1000,
                                 .grace_ms = 60 * 1000,
                                 .waiting_max = 16384,
                                 .flight_max = 512,
                                 .compare_s = 600,
                                 .shard_count = 1};
}

void session_actions_init(struct session_actions *a)
{
    a->deadline_ns = TIME_NEVER;
    a->bundles = false;
    a->notice_count = 0;
    list_init(&a->sends);
    list_init(&a->results);
}

void session_actions_clear(struct session_actions *a)
{
    struct list *l;
    msg_list_free(&a->sends);
    while ((l = list_pop(&a->results)))
        session_result_free(list_entry(l, struct session_result, link));
}

void session_result_free(struct session_result *r)
{
    if (!r)
        return;
    record_free(r->record);
    mem_free(r);
}

static void on_change(void *context, const struct key *key)
{
    shelf_note(context, key);
}

struct session *session_new(const struct session_config *c, uint64_t now_ns)
{
    struct session *s = mem_alloc(sizeof(*s));
    if (!s)
        return NULL;
    s->config = *c;
    s->kinds = *c->kinds;
    s->start_ns = s->now_ns = now_ns;
    s->next_tick_ns = s->cull_ns = TIME_NEVER;
    s->verify.mends = true;
    s->verify.next_ns = now_ns + NS_PER_S;
    buzhash_init(&s->bucket_hash, c->bucket_secret);
    buzhash_init(&s->place_hash, c->farm_secret);
    rng_init(&s->rng, c->seed);
    s->sync_nonce = rng_u64(&s->rng) | 1;
    s->quorum.nonce = s->sync_nonce ^ 2;
    list_init(&s->works);
    wheel_init(&s->timers, now_ns);
    list_init(&s->waiters);
    wheel_init(&s->deadlines, now_ns);
    for (size_t i = 0; i < PASSED_BUCKETS; i++)
        list_init(&s->passed[i]);
    list_init(&s->later);
    list_init(&s->repair);
    list_init(&s->orphans);
    for (size_t i = 0; i < WORK_BUCKETS; i++)
        list_init(&s->buckets[i]);
    s->table = table_new(&s->bucket_hash, now_ns);
    if (!s->table || !shelf_init(s)) {
        table_free(s->table);
        mem_free(s);
        return NULL;
    }
    table_tell(s->table, c->ticks);
    table_sum(s->table, c->ranges);
    if (c->repository)
        table_watch(s->table, on_change, s);
    return s;
}

static bool is_busy(void *context, const struct item *item)
{
    struct session *s = context;
    return s->work_count > 0 && work_find(s, &item->record->key);
}

void session_rest(struct session *s)
{
    table_rest(s->table, is_busy, s);
}

static void free_lists(struct session *s)
{
    for (struct list *l = s->waiters.next, *next; l != &s->waiters; l = next) {
        next = l->next;
        mem_free(list_entry(l, struct waiter, all));
    }
    for (struct list *l = s->works.next, *next; l != &s->works; l = next) {
        next = l->next;
        struct work *w = list_entry(l, struct work, all);
        mem_free(w->targets);
        mem_free(w);
    }
}

void session_free(struct session *s)
{
    if (!s)
        return;
    free_lists(s);
    for (size_t i = 0; i < CULLS_MAX; i++)
        cull_free(&s->culls[i]);
    table_free(s->table);
    shelf_deinit(s);
    mem_free(s->peers);
    mem_free(s);
}

void session_wipe(struct session *s)
{
    uint64_t cursor = 0;
    struct item *items[TABLE_WALK_MAX];
    size_t n;
    while ((n = table_walk(s->table, &cursor, items, TABLE_WALK_MAX)) > 0)
        for (size_t i = 0; i < n; i++)
            item_remove(s, items[i]);
    quorum_forget(s);
    works_review(s);
}

void session_tell(struct session *s, enum notice_type type, const struct key *key, uint64_t peer,
                  uint32_t lost)
{
    struct session_actions *out = s->out;
    if (!out || out->notice_count >= SESSION_NOTICES_MAX)
        return;
    out->notices[out->notice_count++] = (struct session_notice){
        .type = type,
        .key_digest = key ? buzhash(&s->bucket_hash, key->bytes, key->len) : 0,
        .peer = peer,
        .lost = lost};
}

/* The bundle of this step that it was added to; NULL: none, and it goes by itself. */
static struct msg *add_to_bundle(struct session *s, const struct message *m,
                                 const struct record *rec, uint64_t to)
{
    struct list *l = s->out->sends.prev;
    for (unsigned i = 0; i < BUNDLES_OPEN && l != &s->out->sends; i++, l = l->prev) {
        struct msg *b = list_entry(l, struct msg, link);
        if (b->peer == to && b->room > 0 && message_bundle(b, m, rec))
            return b;
    }
    struct msg *b = msg_bundle(to, BUNDLE_BYTES);
    if (b && message_bundle(b, m, rec)) {
        list_append(&s->out->sends, &b->link);
        return b;
    }
    msg_free(b);
    return NULL;
}

struct msg *session_send(struct session *s, struct message *m, const struct record *rec,
                         uint64_t to)
{
    bool bulk =
        (m->token & BULK_TOKEN) && (m->type == MESSAGE_REPLICATE || m->type == MESSAGE_REPLICATED);
    struct msg *out = bulk && s->out->bundles ? add_to_bundle(s, m, rec, to) : NULL;
    if (out)
        return out;
    out = message_encode(m, rec, to);
    if (!out)
        return NULL;
    out->bulk = bulk;
    list_append(&s->out->sends, &out->link);
    return out;
}

static void count_malformed(struct session *s, uint64_t from)
{
    s->stats.malformed++;
    session_tell(s, NOTICE_MALFORMED, NULL, from, 0);
}

/* Is what a peer says of a record false? Then it is told what is known here, so that its copy goes
 * (session_drop_false). */
static bool is_false(struct session *s, uint64_t from, const struct key *key,
                     const struct stamp *told)
{
    struct item *item = table_find(s->table, key);
    if (stamp_is_near(item ? &item->record->stamp : NULL, told))
        return false;
    count_malformed(s, from);
    if (item) {
        struct message m = {.type = MESSAGE_LOCATED,
                            .key = *key,
                            .stamp = item->record->stamp,
                            .peer = item->record->stamp.inc};
        session_send(s, &m, NULL, from);
    }
    return true;
}

void session_drop_false(struct session *s, const struct key *key, const struct stamp *told)
{
    struct item *item = table_find(s->table, key);
    if (!item || stamp_is_near(told, &item->record->stamp))
        return;
    item_remove(s, item);
    struct work *w = work_find(s, key);
    if (w)
        work_check(s, w);
}

struct record *session_record(struct session *s, uint64_t from, const struct message *m)
{
    int err;
    struct record *r = message_record(m, now_s(s), &err);
    if (err == STEAD_E_PARSE)
        count_malformed(s, from);
    if (!r || !is_false(s, from, &m->key, &r->stamp))
        return r;
    record_free(r);
    return NULL;
}

static void on_op(struct session *s, const struct session_op *op)
{
    assert(op->key->kind < s->kinds.count);
    struct waiter *w = waiter_new(s, op, 0, op->request, 0, op->deadline_ns);
    if (w) {
        /* A majority that has to be asked anyhow is asked for the key, too. */
        if (op->type == SESSION_CREATE && quorum_rules(s, op->key))
            w->op.type = SESSION_CREATE_IF_ABSENT;
        serve_waiter(s, w);
        return;
    }
    s->stats.busy++;
    s->stats.pushes_failed += op->type == SESSION_PUSH;
    struct session_result *r = op->silent ? NULL : mem_alloc(sizeof(*r));
    if (!r)
        return;
    r->request = op->request;
    r->status = STEAD_E_BUSY;
    list_append(&s->out->results, &r->link);
}

static void answer_forward(struct session *s, uint64_t from, const struct message *m, int status)
{
    struct message reply = {
        .type = MESSAGE_RESULT, .key = m->key, .token = m->token, .status = (uint8_t)-status};
    session_send(s, &reply, NULL, from);
}

static void on_forward(struct session *s, uint64_t from, const struct message *m)
{
    s->asked_ns = s->now_ns;
    if (!peer_is_current(s, from, m)) {
        /* Its asker may have been told UNKNOWN, and gone on: it is not done behind his back. */
        answer_forward(s, from, m, STEAD_E_NOT_FOUND);
        return;
    }
    struct waiter *w = waiter_new(s, &m->op, from, m->token, m->hops, s->now_ns + FORWARD_WAIT_NS);
    if (w) {
        serve_waiter(s, w);
        return;
    }
    s->stats.busy++;
    answer_forward(s, from, m, STEAD_E_BUSY);
}

typedef void message_handler(struct session *, uint64_t, const struct message *);

static message_handler *const handlers[] = {
    [MESSAGE_FORWARD] = on_forward,         [MESSAGE_RESULT] = waiter_result,
    [MESSAGE_LOCATE] = locate_asked,        [MESSAGE_LOCATED] = locate_answered,
    [MESSAGE_CLAIM] = claim_asked,          [MESSAGE_CLAIMED] = claim_answered,
    [MESSAGE_REPLICATE] = holder_replicate, [MESSAGE_REPLICATED] = round_answered,
    [MESSAGE_DROP] = holder_drop,           [MESSAGE_ANNOUNCE] = heal_announced,
    [MESSAGE_OFFER] = heal_offered,         [MESSAGE_TAKEN] = heal_taken,
    [MESSAGE_HANDOVER] = leave_handed,      [MESSAGE_EXPIRED] = expiry_expired,
    [MESSAGE_TOUCH] = expiry_touched,       [MESSAGE_SYNC] = sync_asked,
    [MESSAGE_DISOWN] = holder_disowned,     [MESSAGE_SYNCED] = sync_answered,
    [MESSAGE_HEARD] = heal_heard,           [MESSAGE_VERIFY] = verify_asked,
    [MESSAGE_VERIFIED] = verify_answered,   [MESSAGE_CULL] = cull_asked,
    [MESSAGE_CULLED] = cull_answered,       [MESSAGE_ENROL] = quorum_enrol_asked,
    [MESSAGE_ENROLLED] = quorum_enrolled,   [MESSAGE_SYNCING] = sync_heard,
    [MESSAGE_RANGES] = ranges_asked,        [MESSAGE_RANGED] = ranges_answered,
};

static void hand(struct session *s, uint64_t from, const struct message *m)
{
    if (m->stamp.term != 0) {
        session_drop_false(s, &m->key, &m->stamp);
        if (is_false(s, from, &m->key, &m->stamp))
            return;
    }
    handlers[m->type](s, from, m);
}

/* hash: of its key; 0: not known. */
static void on_message(struct session *s, uint64_t from, const uint8_t *bytes, size_t len,
                       uint64_t hash)
{
    struct message m;
    int err = message_decode(bytes, len, &m);
    bool keyed = !err && m.key.len > 0;
    if (keyed && hash)
        table_hashed(s->table, &m.key, hash);
    if (err == STEAD_E_NOMEM)
        return;
    if (err || (keyed && m.key.kind >= s->kinds.count))
        count_malformed(s, from);
    else if (m.type == MESSAGE_REPLICATED && bulk_confirmed(s, from, &m))
        return;
    else if (!keyed || table_wake(s->table, &m.key)) /* else it is as good as lost */
        hand(s, from, &m);
    if (!err)
        message_op_free(&m);
}

/* What those to come will look at is brought near meanwhile. */
static void on_batch(struct session *s, uint64_t from, const struct session_slice *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i + EXPECT_BUCKETS < count)
            table_expect(s->table, m[i + EXPECT_BUCKETS].kind, m[i + EXPECT_BUCKETS].hash, true);
        if (i + EXPECT_CELLS < count)
            table_expect(s->table, m[i + EXPECT_CELLS].kind, m[i + EXPECT_CELLS].hash, false);
        on_message(s, from, m[i].bytes, m[i].len, m[i].hash);
        session_rest(s);
    }
}

/* Is there anything that time alone moves on? */
static bool busy(const struct session *s)
{
    bool announcing = false;
    for (size_t i = 0; i < s->peer_count; i++)
        announcing |= s->peers[i].announcing || s->peers[i].sync_owed_count > 0 ||
                      missing_asks(s, &s->peers[i]);
    return announcing || quorum_busy(s) || !bulk_idle(s) || s->scanning || s->shelf.open ||
           s->scan_again || s->repair_count > 0 || s->orphan_count > 0 || s->waiter_count > 0 ||
           s->work_count > 0 || (s->self_state == PEER_LEAVING && table_count(s->table) > 0) ||
           (s->self_state == PEER_JOINING && s->peer_count > 0);
}

static void tick(struct session *s)
{
    expiry_tick(s);
    ranges_tick(s);
    verify_tick(s);
    cull_tick(s);
    if (s->now_ns < s->next_tick_ns)
        return;
    s->next_tick_ns = TIME_NEVER;
    waiters_tick(s);
    works_tick(s);
    bulk_tick(s);
    repair_scan(s, SCAN_LOOKS);
    shelf_tick(s);
    pace_tick(s);
    heal_announce(s);
    sync_tick(s);
    quorum_tick(s);
}

void session_step(struct session *s, const struct session_event *ev, uint64_t now_ns,
                  struct session_actions *out)
{
    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
    s->out = out;
    switch (ev->type) {
    case SESSION_EV_OP:
        on_op(s, &ev->op);
        break;
    case SESSION_EV_MESSAGE:
        on_message(s, ev->message.from, ev->message.bytes, ev->message.len, 0);
        pace_step(s);
        bulk_step(s);
        break;
    case SESSION_EV_BATCH:
        on_batch(s, ev->batch.from, ev->batch.slices, ev->batch.count);
        pace_step(s);
        bulk_step(s);
        break;
    case SESSION_EV_VIEW:
        view_update(s, ev->view);
        break;
    case SESSION_EV_TICK:
        tick(s);
        break;
    }
    if (s->next_tick_ns == TIME_NEVER && busy(s))
        s->next_tick_ns = s->now_ns + TICK_NS;
    session_rest(s);
    uint64_t expiry = table_next_expiry(s->table);
    out->deadline_ns = expiry < s->next_tick_ns ? expiry : s->next_tick_ns;
    if (s->cull_ns < out->deadline_ns)
        out->deadline_ns = s->cull_ns;
    if (s->verify.next_ns < out->deadline_ns)
        out->deadline_ns = s->verify.next_ns;
    s->out = NULL;
}

int session_read(struct session *s, const struct session_op *op, uint64_t now_ns,
                 struct session_actions *out, struct session_reading *reading)
{
    struct item *item;
    assert(op->type == SESSION_READ && op->key->kind < s->kinds.count);
    session_rest(s); /* what was read before */
    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
    s->out = out;
    int status = serve_plain_read(s, op, reading);
    if (status != STEAD_PENDING) {
        s->out = NULL;
        return status;
    }
    status = serve_read(s, op, &item);
    if (status == STEAD_OK) {
        /* What else a read finds out, of broken contacts, the next one finds out too. */
        item->only_read = !list_linked(&item->queue);
        *reading = (struct session_reading){item->record, item_left_ms(s, item)};
        out->deadline_ns = item->expires_ns; /* nothing else has got another time */
    }
    s->out = NULL;
    return status;
}

/* What is written without a step is not counted by the table, or only when it rests. */
static void count_change(struct session *s, const struct session_op *op)
{
    const struct key *key = op->key;
    if (s->config.ticks)
        ticks_add(s->config.ticks,
                  op->hash ? op->hash : buzhash(&s->bucket_hash, key->bytes, key->len), key->kind);
}

int session_write(struct session *s, const struct session_op *op, uint64_t now_ns,
                  struct session_actions *out, struct session_reading *reading)
{
    struct item *item;
    assert(op->type == SESSION_CHANGE && op->key->kind < s->kinds.count);
    session_rest(s);
    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
    s->out = out;
    int status = serve_plain_write(s, op, reading);
    if (status == STEAD_OK)
        count_change(s, op);
    if (status != STEAD_PENDING) {
        s->out = NULL;
        return status;
    }
    status = serve_write(s, op, &item);
    if (status == STEAD_OK) {
        count_change(s, op);
        *reading = (struct session_reading){item->record, item_left_ms(s, item)};
        out->deadline_ns = item->expires_ns;
    }
    s->out = NULL;
    return status;
}

void session_renew_kinds(struct session *s, const struct kinds *kinds)
{
    (void)kinds_renew(&s->kinds, kinds);
}

void session_expect(const struct session *s, uint8_t kind, uint64_t hash, bool bucket_only)
{
    table_expect(s->table, kind, hash, bucket_only);
}

static void count_records(struct session *s, struct session_stats *out)
{
    out->records = table_count(s->table);
    out->memory_bytes = table_memory(s->table);
    out->copies = out->records - out->owned;
    for (uint8_t k = 0; k < s->kinds.count; k++) {
        out->records_of_kind[k] = table_kind_count(s->table, k);
        out->memory_of_kind[k] = table_kind_memory(s->table, k);
    }
}

void session_stats(const struct session *s, struct session_stats *out)
{
    struct session *mine = (struct session *)(uintptr_t)s;
    *out = s->stats;
    count_records(mine, out);
    out->waiting = s->waiter_count;
    out->divergent = s->verify.count;
    out->orphans = s->orphan_count;
    out->votes = s->quorum.votes;
    for (struct list *l = s->repair.next; l != &s->repair; l = l->next) {
        const struct item *item = list_entry(l, struct item, queue);
        bool doubtful = item->state ? item->state->doubtful : item->doubtful;
        out->doubtful += doubtful;
        out->below_copies += !doubtful;
    }
    for (size_t i = 0; i < s->peer_count; i++)
        out->below_copies += s->peers[i].bulk_flight;
    out->handover_left = s->self_state == PEER_LEAVING ? out->records : 0;
    sync_stats(s, out);
    ranges_stats(s, out);
}

/* A claimant owns nothing before its claim is settled, nor does who makes a record before it is
 * kept elsewhere: two may be at it at once, and one of them yields. */
static bool owns(struct session *s, const struct item *item)
{
    const struct work *w = work_find(s, &item->record->key);
    bool unsettled = w && w->phase == WORK_ROUND && (w->claiming || w->made);
    return item->role == ROLE_OWNER && !unsettled && !(w && w->phase == WORK_CLAIM);
}

const struct record *session_peek(struct session *s, const struct key *key, bool *owned)
{
    struct item *item = table_find(s->table, key);
    if (item && item_is_shelved(item))
        item = NULL;
    if (owned)
        *owned = item && owns(s, item);
    return item ? item->record : NULL;
}
