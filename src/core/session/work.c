/* What is going on about a key: found by hash, made when needed, gone when nothing is left of it.
 */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>

#define LATE_AGAIN_NS (50 * NS_PER_MS)
#define ASK_AGAIN_NS NS_PER_S
#define ASK_AGAIN_MAX_NS (4 * NS_PER_S) /* the longest that one who is well again is left out */

static uint64_t hash_of(const struct session *s, const struct key *key)
{
    return table_hash(s->table, key) + key->kind;
}

struct work *work_find(struct session *s, const struct key *key)
{
    if (s->work_count == 0)
        return NULL;
    uint64_t hash = hash_of(s, key);
    struct list *bucket = &s->buckets[hash % WORK_BUCKETS];
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct work *w = list_entry(l, struct work, link);
        if (w->hash == hash && key_equal(&w->key, key))
            return w;
    }
    return NULL;
}

struct work *work_get(struct session *s, const struct key *key)
{
    struct work *w = work_find(s, key);
    if (w)
        return w;
    /* While there is a work its item stays awake, so that it is found for sure. */
    if (!table_wake(s->table, key))
        return NULL;
    w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->key = *key;
    w->hash = hash_of(s, key);
    list_init(&w->queue);
    list_init(&w->round);
    w->timer.at_ns = TIME_NEVER;
    list_append(&s->buckets[w->hash % WORK_BUCKETS], &w->link);
    list_append(&s->works, &w->all);
    s->work_count++;
    return w;
}

static void set_phase(struct session *s, struct work *w, enum work_phase phase)
{
    s->claim_count -= w->phase == WORK_CLAIM || (w->phase == WORK_ROUND && w->claiming);
    w->phase = phase;
    s->claim_count += phase == WORK_CLAIM || (phase == WORK_ROUND && w->claiming);
}

void work_begin(struct session *s, struct work *w, enum work_phase phase)
{
    if (phase == WORK_IDLE) {
        heal_rivals(s, w);
        pace_end(s, w);
        w->made = false;
        w->passed_count = 0;
    }
    set_phase(s, w, phase);
    w->token = ++s->next_token;
    w->since_ns = w->asked_ns = s->now_ns;
    w->again_ns = 0;
    w->refusal = 0;
    w->target_count = 0;
}

void work_set_claiming(struct session *s, struct work *w, bool claiming)
{
    enum work_phase phase = w->phase;
    set_phase(s, w, WORK_IDLE);
    w->claiming = claiming;
    set_phase(s, w, phase);
}

struct target *work_add_target(struct work *w, const struct peer *p)
{
    if (w->target_count == w->target_cap) {
        size_t cap = w->target_cap ? 2 * w->target_cap : 8;
        struct target *more = mem_realloc(w->targets, cap * sizeof(*more));
        if (!more)
            return NULL;
        w->targets = more;
        w->target_cap = cap;
    }
    struct target *t = &w->targets[w->target_count++];
    *t =
        (struct target){.inc = p->view.inc, .granted = p->view.granted, .counted = p->view.counted};
    return t;
}

bool work_target_heard(struct session *s, struct work *w)
{
    for (size_t i = 0; i < s->peer_count; i++)
        if (peer_heard(&s->peers[i].view) && s->peers[i].view.holds &&
            !work_add_target(w, &s->peers[i]))
            return false;
    return true;
}

bool work_target_late(struct session *s, struct work *w)
{
    bool any = false;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer *p = &s->peers[i];
        bool may_have = peer_heard(&p->view) && p->view.holds;
        struct target *t = may_have ? work_target(w, p->view.inc) : NULL;
        if (!may_have || (t && t->answer != ANSWER_SILENT))
            continue;
        if (t)
            t->answer = ANSWER_WAITING;
        else if (!work_add_target(w, p))
            w->again_ns = s->now_ns + LATE_AGAIN_NS;
        any = true;
    }
    return any;
}

struct target *work_target(struct work *w, uint64_t inc)
{
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].inc == inc)
            return &w->targets[i];
    return NULL;
}

static bool target_waits(const struct target *t)
{
    return t->answer == ANSWER_WAITING || t->answer == ANSWER_HEARSAY;
}

bool work_waits(const struct work *w)
{
    for (size_t i = 0; i < w->target_count; i++)
        if (target_waits(&w->targets[i]))
            return true;
    return false;
}

void work_fail(struct session *s, struct work *w, int status, bool queue_too)
{
    struct list *l;
    while ((l = list_pop(&w->round)))
        waiter_fail(s, list_entry(l, struct waiter, link), status);
    while (queue_too && (l = list_pop(&w->queue)))
        waiter_fail(s, list_entry(l, struct waiter, link), status);
}

/* A target that is heard no more will not answer. */
static void drop_silent_targets(struct session *s, struct work *w)
{
    for (size_t i = 0; i < w->target_count; i++) {
        struct target *t = &w->targets[i];
        if (!target_waits(t) || peer_is_heard(s, t->inc))
            continue;
        t->answer = ANSWER_SILENT;
        w->spread = true; /* it may have got what it was told, and come back */
    }
}

/* When those that have not answered are asked again. A question may have been lost where memory was
 * short, or a queue full; whoever gets it twice answers twice. The pause grows: many records that
 * wait for one sick node must not keep this one busy. */
static uint64_t ask_again_ns(const struct work *w)
{
    uint64_t pause_ns = w->asked_ns - w->since_ns;
    if (w->phase == WORK_IDLE || w->phase == WORK_HANDOVER)
        return TIME_NEVER;
    if (pause_ns < ASK_AGAIN_NS)
        pause_ns = ASK_AGAIN_NS;
    if (pause_ns > ASK_AGAIN_MAX_NS)
        pause_ns = ASK_AGAIN_MAX_NS;
    return w->asked_ns + pause_ns;
}

static void set_timer(struct session *s, struct work *w)
{
    uint64_t at_ns = ask_again_ns(w);
    if (w->again_ns != 0 && w->again_ns < at_ns)
        at_ns = w->again_ns;
    if (at_ns != w->timer.at_ns)
        wheel_set(&s->timers, &w->timer, at_ns);
}

void work_release(struct session *s, struct work *w)
{
    if (w->held > 0)
        return;
    if (w->phase != WORK_IDLE || w->again_ns > s->now_ns || !list_empty(&w->queue) ||
        !list_empty(&w->round)) {
        set_timer(s, w);
        return;
    }
    wheel_cancel(&s->timers, &w->timer);
    list_remove(&w->link);
    list_remove(&w->all);
    s->work_count--;
    table_stir(s->table, &w->key);
    mem_free(w->targets);
    mem_free(w);
}

/* Whoever is slow to answer does not hold up what goes on with others. */
static void ask_again(struct session *s, struct work *w)
{
    w->asked_ns = s->now_ns;
    pace_end(s, w);
    if (w->phase == WORK_LOCATE)
        locate_ask(s, w);
    else if (w->phase == WORK_CLAIM)
        claim_ask(s, w);
    else if (w->phase == WORK_ROUND)
        round_ask(s, w);
}

void work_check(struct session *s, struct work *w)
{
    w->held++;
    drop_silent_targets(s, w);
    if (ask_again_ns(w) <= s->now_ns)
        ask_again(s, w);
    switch (w->phase) {
    case WORK_IDLE:
        serve_key(s, w);
        break;
    case WORK_LOCATE:
        locate_check(s, w);
        break;
    case WORK_CLAIM:
        claim_check(s, w);
        break;
    case WORK_ROUND:
        round_check(s, w);
        break;
    case WORK_HANDOVER:
        leave_check(s, w);
        break;
    }
    w->held--;
    work_release(s, w);
}

/* Each work goes to the end of the line when it is looked at: so the walk survives works that go
 * away under it, and those that come. */
void works_review(struct session *s)
{
    for (size_t n = s->work_count; n > 0 && !list_empty(&s->works); n--) {
        struct work *w = list_entry(s->works.next, struct work, all);
        list_remove(&w->all);
        list_append(&s->works, &w->all);
        work_check(s, w);
    }
}

/* Works whose time has come. */
void works_tick(struct session *s)
{
    struct timer *timer;
    for (size_t n = s->work_count; n > 0; n--) {
        if (!(timer = wheel_expired(&s->timers, s->now_ns)))
            return;
        work_check(s, list_entry(timer, struct work, timer));
    }
}
