/* The shards behind their locks: routing by key, and where a step's actions go. The state that is
 * no session (roster, own servers, doubts) is in store_state.c. */
#include "store/store.h"

#include "base/buzhash.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/session/message.h"
#include "store/store_internal.h"

#include <assert.h>
#include <string.h>

/* A local request's token carries its mailbox, so that a result that a later step brings finds its
 * way. */
#define TOKEN_SLOTS 65536u
#define PUSH_WAIT_NS (2 * NS_PER_S) /* by then the client is where its records were sent */

static struct shard *shard_of_hash(struct store *s, uint8_t kind, uint64_t hash)
{
    return &s->shards[((hash + kind) >> 32) % s->shard_count];
}

uint64_t store_hash(const struct store *s, const void *key, size_t len)
{
    return buzhash(&s->route, key, len);
}

struct shard *store_shard(struct store *s, const struct key *key)
{
    return shard_of_hash(s, key->kind, buzhash(&s->route, key->bytes, key->len));
}

/* The shard's table hashes by the same secret: a key is hashed once. */
static struct shard *shard_of_op(struct store *s, struct session_op *op)
{
    if (op->hash == 0)
        op->hash = store_hash(s, op->key->bytes, op->key->len);
    return shard_of_hash(s, op->key->kind, op->hash);
}

static void put_mail(struct store *s, unsigned mailbox, struct session_result *r)
{
    mailbox_put(&s->mailboxes[mailbox], r);
    atomic_store(&s->mail, true);
}

/* Wakes the workers that have mail. Without a lock held. */
static void tell_workers(struct store *s)
{
    if (!atomic_load(&s->mail) || !atomic_exchange(&s->mail, false))
        return;
    for (unsigned i = 0; i < s->mailbox_count; i++)
        mailbox_tell(&s->mailboxes[i]);
}

/* Called with the shard's lock held; empties the actions. `own` and its request get their result
 * directly. True: the mesh's thread has something to do. */
static bool take_actions(struct store *s, struct shard *shard, struct session_actions *a,
                         uint64_t own_token, struct session_result **own)
{
    struct list *link;
    while ((link = list_pop(&a->results))) {
        struct session_result *r = list_entry(link, struct session_result, link);
        uint64_t token = r->request;
        unsigned slot = (unsigned)(token & (TOKEN_SLOTS - 1));
        assert(slot < shard->token_count);
        struct token *t = &shard->tokens[slot];
        r->request = t->request;
        unsigned mailbox = t->mailbox;
        t->next_free = shard->token_free;
        shard->token_free = slot;
        if (own && token == own_token)
            *own = r;
        else
            put_mail(s, mailbox, r);
    }
    atomic_store_explicit(&shard->deadline_ns, a->deadline_ns, memory_order_relaxed);
    bool sends = store_outbox_put(s, a);
    session_actions_clear(a);
    return sends;
}

/* True: the mesh thread has something to do, or its deadline is nearer. */
static bool step(struct store *s, struct shard *shard, const struct session_event *ev,
                 uint64_t now_ns)
{
    struct session_actions a;
    uint64_t before = atomic_load_explicit(&shard->deadline_ns, memory_order_relaxed);
    session_actions_init(&a);
    a.bundles = atomic_load_explicit(&s->bulk_apart, memory_order_relaxed);
    session_step(shard->session, ev, now_ns, &a);
    bool sooner = a.deadline_ns < before;
    return take_actions(s, shard, &a, 0, NULL) || sooner;
}

static void shard_deinit(struct shard *shard)
{
    session_free(shard->session);
    mem_free(shard->tokens);
    pthread_mutex_destroy(&shard->lock);
}

static int shard_init(struct store *s, unsigned index, const struct session_config *c,
                      uint64_t now_ns)
{
    struct shard *shard = &s->shards[index];
    pthread_mutex_init(&shard->lock, NULL);
    atomic_init(&shard->deadline_ns, now_ns);
    struct session_config own = *c;
    own.memory_bytes = c->memory_bytes / s->shard_count;
    own.kinds = &s->shard_kinds;
    own.ticks = &s->ticks;
    own.ranges = s->ranges;
    own.seed = c->seed + index;
    own.shard_index = (uint8_t)index;
    own.shard_count = (uint8_t)s->shard_count;
    own.waiting_max = c->waiting_max / s->shard_count + 1;
    shard->session = session_new(&own, now_ns);
    shard->token_count = own.waiting_max + 1;
    shard->tokens = mem_alloc(shard->token_count * sizeof(*shard->tokens));
    if (!shard->session || !shard->tokens || shard->token_count > TOKEN_SLOTS)
        return STEAD_E_NOMEM;
    for (unsigned i = 0; i < shard->token_count; i++)
        shard->tokens[i].next_free = i + 1;
    return STEAD_OK;
}

struct store *store_new(const struct store_config *c, uint64_t now_ns)
{
    assert(c->shards >= 1 && c->shards <= STORE_SHARDS_MAX);
    assert(c->mailboxes >= 1 && c->mailboxes <= STORE_MAILBOXES_MAX);
    struct store *s = mem_alloc(sizeof(*s));
    if (!s)
        return NULL;
    s->shard_count = c->shards;
    s->mailbox_count = c->mailboxes;
    s->kinds = *c->session.kinds;
    s->kinds_now = s->shard_kinds = s->kinds;
    for (size_t i = 0; i < s->kinds.count; i++)
        s->shard_kinds.kind[i].memory_bytes /= c->shards;
    buzhash_init(&s->route, c->session.bucket_secret);
    s->ranges = ranges_new(&s->shard_kinds, c->session.farm_secret);
    store_state_init(s);
    for (unsigned i = 0; i < c->mailboxes; i++)
        mailbox_init(&s->mailboxes[i]);
    int status = s->ranges ? STEAD_OK : STEAD_E_NOMEM;
    for (unsigned i = 0; i < c->shards; i++)
        if (shard_init(s, i, &c->session, now_ns) != STEAD_OK)
            status = STEAD_E_NOMEM;
    if (status != STEAD_OK) {
        store_free(s);
        return NULL;
    }
    return s;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->shard_count; i++)
        shard_deinit(&s->shards[i]);
    for (unsigned i = 0; i < s->mailbox_count; i++)
        mailbox_deinit(&s->mailboxes[i]);
    store_state_deinit(s);
    ranges_free(s->ranges);
    mem_free(s);
}

void store_set_wake(struct store *s, unsigned mailbox, struct store_wake wake)
{
    assert(mailbox < s->mailbox_count);
    mailbox_set_wake(&s->mailboxes[mailbox], wake);
}

const struct kinds *store_kinds(const struct store *s)
{
    return &s->kinds;
}

void store_kinds_now(struct store *s, struct kinds *out)
{
    pthread_mutex_lock(&s->state_lock);
    *out = s->kinds_now;
    pthread_mutex_unlock(&s->state_lock);
}

void store_renew_kinds(struct store *s, const struct kinds *kinds)
{
    pthread_mutex_lock(&s->state_lock);
    bool changed = kinds_renew(&s->kinds_now, kinds);
    pthread_mutex_unlock(&s->state_lock);
    for (unsigned i = 0; changed && i < s->shard_count; i++) {
        pthread_mutex_lock(&s->shards[i].lock);
        session_renew_kinds(s->shards[i].session, kinds);
        pthread_mutex_unlock(&s->shards[i].lock);
    }
}

/* Woken at once, the mesh's thread would run before the caller has answered its client. */
static void wake_or_gather(struct store *s, const struct session_op *op)
{
    if (op && op->gathers)
        atomic_store(&s->gathered, true);
    else
        store_wake_mesh(s);
}

void store_go(struct store *s)
{
    if (atomic_load(&s->gathered) && atomic_exchange(&s->gathered, false))
        store_wake_mesh(s);
}

int store_submit(struct store *s, unsigned mailbox, const struct session_op *op, uint64_t now_ns,
                 struct session_result **out)
{
    assert(mailbox < s->mailbox_count);
    *out = NULL;
    /* The other half of the outbox is left to what other nodes ask of this one. */
    if (store_outbox_fills(s)) {
        atomic_fetch_add(&s->busy, 1);
        return STEAD_E_BUSY;
    }
    struct shard *shard = store_shard(s, op->key);
    struct session_actions a;
    session_actions_init(&a);
    pthread_mutex_lock(&shard->lock);
    unsigned slot = shard->token_free;
    if (slot >= shard->token_count) {
        pthread_mutex_unlock(&shard->lock);
        atomic_fetch_add(&s->busy, 1);
        return STEAD_E_BUSY;
    }
    struct token *t = &shard->tokens[slot];
    shard->token_free = t->next_free;
    t->request = op->request;
    t->mailbox = mailbox;
    uint64_t before = atomic_load_explicit(&shard->deadline_ns, memory_order_relaxed);
    struct session_event ev = {.type = SESSION_EV_OP, .op = *op};
    ev.op.request = (++shard->token_serial * TOKEN_SLOTS) | slot;
    session_step(shard->session, &ev, now_ns, &a);
    bool wakes = a.deadline_ns < before;
    wakes |= take_actions(s, shard, &a, ev.op.request, out);
    pthread_mutex_unlock(&shard->lock);
    tell_workers(s);
    if (wakes)
        wake_or_gather(s, op);
    return *out ? STEAD_OK : STEAD_PENDING;
}

/* After a step without an operation; with the shard's lock held, which it gives back. */
static void take_short(struct store *s, struct shard *shard, const struct session_op *op,
                       struct session_actions *a)
{
    bool wakes = a->deadline_ns < atomic_load_explicit(&shard->deadline_ns, memory_order_relaxed);
    if (wakes)
        atomic_store_explicit(&shard->deadline_ns, a->deadline_ns, memory_order_relaxed);
    wakes |= store_outbox_put(s, a);
    session_actions_clear(a);
    pthread_mutex_unlock(&shard->lock);
    if (wakes)
        wake_or_gather(s, op);
}

int store_read(struct store *s, struct session_op *op, uint64_t now_ns,
               void (*take)(void *context, const struct session_reading *r), void *context)
{
    struct shard *shard = shard_of_op(s, op);
    struct session_actions a;
    struct session_reading reading;
    session_actions_init(&a);
    pthread_mutex_lock(&shard->lock);
    int status = session_read(shard->session, op, now_ns, &a, &reading);
    if (status == STEAD_OK)
        take(context, &reading);
    take_short(s, shard, op, &a);
    return status;
}

int store_write(struct store *s, struct session_op *op, uint64_t now_ns, struct stamp *stamp,
                uint32_t *left_ms)
{
    struct shard *shard = shard_of_op(s, op);
    struct session_actions a;
    struct session_reading reading;
    session_actions_init(&a);
    pthread_mutex_lock(&shard->lock);
    int status = session_write(shard->session, op, now_ns, &a, &reading);
    if (status == STEAD_OK) {
        *stamp = reading.record->stamp;
        *left_ms = reading.left_ms;
    }
    take_short(s, shard, op, &a);
    return status;
}

static void expect(struct store *s, const struct store_place *places, size_t count,
                   bool bucket_only)
{
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = shard_of_hash(s, places[i].kind, places[i].hash);
        pthread_mutex_lock(&shard->lock);
        session_expect(shard->session, places[i].kind, places[i].hash, bucket_only);
        pthread_mutex_unlock(&shard->lock);
    }
}

void store_expect(struct store *s, const struct store_place *places, size_t count)
{
    expect(s, places, count, true);
    expect(s, places, count, false);
}

uint32_t store_changes(const struct store *s, const struct key *key)
{
    return ticks_of(&s->ticks, buzhash(&s->route, key->bytes, key->len), key->kind);
}

/* 0: no node of that name can take copies. */
static uint64_t push_target(struct store *s, const char *node_name)
{
    struct roster *r = store_roster(s);
    const struct roster_node *n = r ? roster_find(r, node_name) : NULL;
    bool up = n && (n->status == STATUS_UP || n->status == STATUS_FULL);
    uint64_t inc = up && n->entry->holds ? n->entry->inc : 0;
    roster_unref(r);
    return inc;
}

int store_push(struct store *s, const struct key *keys, size_t count, const char *node_name,
               uint64_t now_ns)
{
    uint64_t inc = push_target(s, node_name);
    if (inc == 0)
        return STEAD_E_NOT_FOUND;
    if (count > STORE_PUSH_MAX)
        return STEAD_E_INVAL;
    if (store_outbox_fills(s)) {
        atomic_fetch_add(&s->busy, 1);
        return STEAD_E_BUSY;
    }
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = store_shard(s, &keys[i]);
        struct session_event ev = {.type = SESSION_EV_OP,
                                   .op = {.type = SESSION_PUSH,
                                          .key = &keys[i],
                                          .peer = inc,
                                          .silent = true,
                                          .deadline_ns = now_ns + PUSH_WAIT_NS}};
        pthread_mutex_lock(&shard->lock);
        step(s, shard, &ev, now_ns);
        pthread_mutex_unlock(&shard->lock);
    }
    tell_workers(s);
    store_wake_mesh(s);
    return STEAD_OK;
}

bool store_verify(struct store *s, bool begin, bool mends, struct divergence *out, size_t *count)
{
    size_t found = 0;
    bool running = false;
    for (unsigned i = 0; i < s->shard_count; i++) {
        struct shard *shard = &s->shards[i];
        size_t n = *count - found;
        pthread_mutex_lock(&shard->lock);
        running |= session_verify(shard->session, begin, mends, out + found, &n);
        if (begin)
            atomic_store_explicit(&shard->deadline_ns, 0, memory_order_relaxed);
        pthread_mutex_unlock(&shard->lock);
        found += n;
    }
    *count = found;
    if (begin)
        store_wake_mesh(s);
    return running;
}

int store_cull(struct store *s, const struct cull_wish *w, uint64_t now_ns, struct store_cull *out)
{
    int status = STEAD_OK;
    for (unsigned i = 0; i < s->shard_count; i++) {
        struct shard *shard = &s->shards[i];
        struct session_actions a;
        session_actions_init(&a);
        pthread_mutex_lock(&shard->lock);
        out->numbers[i] = session_cull(shard->session, w, i == 0, now_ns, &a);
        if (out->numbers[i] == 0)
            status = STEAD_E_BUSY;
        take_short(s, shard, NULL, &a);
    }
    return status;
}

void store_cull_state(struct store *s, const struct store_cull *c, struct cull_state *out)
{
    *out = (struct cull_state){0};
    for (unsigned i = 0; i < s->shard_count; i++) {
        struct cull_state one;
        pthread_mutex_lock(&s->shards[i].lock);
        session_cull_state(s->shards[i].session, c->numbers[i], &one);
        pthread_mutex_unlock(&s->shards[i].lock);
        one.running |= out->running;
        one.ended += out->ended;
        one.failed += out->failed;
        if (i > 0) { /* only the first asks others */
            one.silent_count = out->silent_count;
            memcpy(one.silent, out->silent, sizeof(one.silent));
        }
        *out = one;
    }
}

struct session_result *store_collect(struct store *s, unsigned mailbox)
{
    assert(mailbox < s->mailbox_count);
    return mailbox_take(&s->mailboxes[mailbox]);
}

static bool step_locked(struct store *s, struct shard *shard, const struct session_event *ev,
                        uint64_t now_ns)
{
    pthread_mutex_lock(&shard->lock);
    bool wakes = step(s, shard, ev, now_ns);
    pthread_mutex_unlock(&shard->lock);
    return wakes;
}

void store_set_view(struct store *s, const struct session_view *v, uint64_t now_ns)
{
    struct session_event ev = {.type = SESSION_EV_VIEW, .view = v};
    for (unsigned i = 0; i < s->shard_count; i++)
        step_locked(s, &s->shards[i], &ev, now_ns);
}

static bool deliver(struct store *s, uint64_t from, const uint8_t *bytes, size_t len,
                    uint64_t now_ns)
{
    struct key key;
    bool wakes = false;
    struct session_event ev = {.type = SESSION_EV_MESSAGE,
                               .message = {.from = from, .bytes = bytes, .len = len}};
    if (!session_message_key(bytes, len, &key)) {
        atomic_fetch_add(&s->malformed, 1);
        return false;
    }
    if (key.len > 0)
        return step_locked(s, store_shard(s, &key), &ev, now_ns);
    for (unsigned i = 0; i < s->shard_count; i++)
        wakes |= step_locked(s, &s->shards[i], &ev, now_ns);
    return wakes;
}

void store_deliver(struct store *s, const struct msg *m, uint64_t now_ns)
{
    (void)deliver(s, m->peer, m->bytes, m->len, now_ns);
}

#define NO_SHARD STORE_SHARDS_MAX

/* The shard of one of a batch, whose hash it fills in. NO_SHARD: malformed, or it is about no key.
 */
static unsigned shard_of_slice(const struct store *s, struct session_slice *m)
{
    const uint8_t *key;
    size_t len;
    if (!message_place(m->bytes, m->len, &m->kind, &key, &len) || len == 0)
        return NO_SHARD;
    m->hash = store_hash(s, key, len);
    return (unsigned)(((m->hash + m->kind) >> 32) % s->shard_count);
}

void store_deliver_batch(struct store *s, uint64_t from, const struct session_slice *slices,
                         size_t count, uint64_t now_ns)
{
    struct session_slice sorted[STORE_BATCH_MAX], known[STORE_BATCH_MAX];
    unsigned shards[STORE_BATCH_MAX], begin[NO_SHARD + 2] = {0};
    bool wakes = false;
    assert(count <= STORE_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        known[i] = slices[i];
        shards[i] = shard_of_slice(s, &known[i]);
        begin[shards[i] + 1]++;
        if (shards[i] == NO_SHARD)
            wakes |= deliver(s, from, known[i].bytes, known[i].len, now_ns);
    }
    for (unsigned i = 1; i <= NO_SHARD; i++)
        begin[i] += begin[i - 1];
    for (size_t i = 0; i < count; i++)
        sorted[begin[shards[i]]++] = known[i];
    for (unsigned i = 0, at = 0; i < s->shard_count; at = begin[i++]) {
        struct session_event ev = {
            .type = SESSION_EV_BATCH,
            .batch = {.from = from, .slices = sorted + at, .count = begin[i] - at}};
        if (begin[i] > at)
            wakes |= step_locked(s, &s->shards[i], &ev, now_ns);
    }
    if (wakes)
        store_wake_mesh(s);
}

uint64_t store_tick(struct store *s, uint64_t now_ns)
{
    atomic_store_explicit(&s->now_ns, now_ns, memory_order_relaxed);
    uint64_t next = TIME_NEVER;
    struct session_event ev = {.type = SESSION_EV_TICK};
    for (unsigned i = 0; i < s->shard_count; i++) {
        struct shard *shard = &s->shards[i];
        if (atomic_load_explicit(&shard->deadline_ns, memory_order_relaxed) <= now_ns)
            step_locked(s, shard, &ev, now_ns);
        uint64_t at = atomic_load_explicit(&shard->deadline_ns, memory_order_relaxed);
        next = at < next ? at : next;
    }
    tell_workers(s);
    return next;
}

bool store_synced(struct store *s)
{
    bool all = true;
    for (unsigned i = 0; i < s->shard_count && all; i++) {
        pthread_mutex_lock(&s->shards[i].lock);
        all = session_synced(s->shards[i].session);
        pthread_mutex_unlock(&s->shards[i].lock);
    }
    return all;
}

bool store_drained(struct store *s)
{
    bool all = true;
    for (unsigned i = 0; i < s->shard_count && all; i++) {
        pthread_mutex_lock(&s->shards[i].lock);
        all = session_drained(s->shards[i].session);
        pthread_mutex_unlock(&s->shards[i].lock);
    }
    return all;
}

/* All of session_stats are counts, so shards add up word by word. */
static void add_stats(struct session_stats *sum, const struct session_stats *one)
{
    _Static_assert(sizeof(*sum) % sizeof(uint64_t) == 0, "session_stats is made of uint64_t");
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)one;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

void store_stats(struct store *s, struct store_stats *out)
{
    *out = (struct store_stats){0};
    for (unsigned i = 0; i < s->shard_count; i++) {
        struct session_stats one;
        pthread_mutex_lock(&s->shards[i].lock);
        session_stats(s->shards[i].session, &one);
        pthread_mutex_unlock(&s->shards[i].lock);
        add_stats(&out->sessions, &one);
    }
    out->sessions.busy += atomic_load(&s->busy);
    out->sessions.malformed += atomic_load(&s->malformed);
    store_state_stats(s, out);
}
