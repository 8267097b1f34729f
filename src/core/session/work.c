/* What is going on about a key: found by hash, made when needed, gone when nothing is left of it.
 */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>

static uint64_t hash_of(const struct session *s, const struct key *key)
{
    return buzhash(&s->bucket_hash, key->bytes, key->len) + key->kind;
}

struct work *work_find(struct session *s, const struct key *key)
{
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
    w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->key = *key;
    w->hash = hash_of(s, key);
    list_init(&w->queue);
    list_init(&w->round);
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

void work_release(struct session *s, struct work *w)
{
    if (w->held > 0 || w->phase != WORK_IDLE || !list_empty(&w->queue) || !list_empty(&w->round))
        return;
    list_remove(&w->link);
    list_remove(&w->all);
    s->work_count--;
    mem_free(w->targets);
    mem_free(w);
}

void work_begin(struct session *s, struct work *w, enum work_phase phase)
{
    if (phase == WORK_IDLE)
        heal_rivals(s, w);
    set_phase(s, w, phase);
    w->token = ++s->next_token;
    w->since_ns = s->now_ns;
    w->again_ns = 0;
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

struct target *work_target(struct work *w, uint64_t inc)
{
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].inc == inc)
            return &w->targets[i];
    return NULL;
}

bool work_waits(const struct work *w)
{
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING)
            return true;
    return false;
}

void work_fail(struct session *s, struct work *w, int status, bool queue_too)
{
    struct list *l;
    while ((l = list_pop(&w->round)))
        waiter_finish(s, list_entry(l, struct waiter, link), status, NULL, 0, ORIGIN_LOCAL);
    while (queue_too && (l = list_pop(&w->queue)))
        waiter_finish(s, list_entry(l, struct waiter, link), status, NULL, 0, ORIGIN_LOCAL);
}

/* A target that is heard no more will not answer. */
static void drop_silent_targets(struct session *s, struct work *w)
{
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING && !peer_is_heard(s, w->targets[i].inc))
            w->targets[i].answer = ANSWER_NONE;
}

void work_check(struct session *s, struct work *w)
{
    w->held++;
    drop_silent_targets(s, w);
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

/* The walk survives works that go away under it: the next one is looked up after each step by its
 * key. */
void works_review(struct session *s)
{
    size_t n = 0;
    struct key *keys = mem_alloc((s->work_count + 1) * sizeof(*keys));
    if (!keys)
        return;
    for (struct list *l = s->works.next; l != &s->works; l = l->next)
        keys[n++] = list_entry(l, struct work, all)->key;
    for (size_t i = 0; i < n; i++) {
        struct work *w = work_find(s, &keys[i]);
        if (w)
            work_check(s, w);
    }
    mem_free(keys);
}

/* Works whose time has come, and rounds that have waited long enough for a look. */
void works_tick(struct session *s)
{
    bool due = false;
    for (struct list *l = s->works.next; l != &s->works && !due; l = l->next) {
        struct work *w = list_entry(l, struct work, all);
        due = w->again_ns != 0 && w->again_ns <= s->now_ns;
    }
    if (due)
        works_review(s);
}
