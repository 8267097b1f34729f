/* swim.c - SWIM's events: every one begins with a step, which notices that this node did not run,
 * and ends with the next deadline. */
#include "core/roster/swim.h"

#include "base/mem.h"
#include "core/roster/swim_state.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

void swim_timing_default(struct swim_timing *t)
{
    *t = (struct swim_timing){
        .interval_ms = 200,
        .timeout_ms = 100,
        .probes = 2,
        .helpers = 3,
        .gossip_ms = 50,
        .fanout = 3,
        .spread = 4,
        .suspicion = 5,
        .suspicion_max = 6,
        .pause_ms = 300,
        .sync_ms = 10000,
        .retry_ms = 1000,
        .hold_ms = 2000,
        .hold_percent = 3,
    };
}

void swim_timing_pace(struct swim_timing *t, uint32_t interval_ms)
{
    t->interval_ms = interval_ms;
    t->timeout_ms = interval_ms / 2;
    t->gossip_ms = interval_ms / 4;
}

static bool add_self(struct swim *s, const struct entry *self)
{
    struct entry e = *self;
    int error;
    if (e.revision == 0)
        e.revision = 1; /* 0 marks a card that was cut short */
    e.shape = e.revision;
    s->self = entry_new(&e);
    if (s->self == NULL)
        return false;
    struct swim_peer *p = swim_add(s, s->self, &error);
    if (p == NULL)
        return false;
    p->flags |= SWIM_SELF;
    swim_set_state(s, p, e.life, SWIM_ALIVE, s->start_ns);
    return true;
}

struct swim *swim_new(const struct swim_timing *t, uint64_t seed, const struct entry *self,
                      uint64_t now_ns)
{
    assert(t->interval_ms > t->timeout_ms && t->timeout_ms > 0 && t->probes > 0 &&
           t->suspicion > 0 && t->suspicion_max > 0 && t->sync_ms > 0 &&
           t->helpers <= SWIM_ACCUSERS_MAX * 2);
    struct swim *s = mem_alloc(sizeof *s);
    if (s == NULL)
        return NULL;
    s->timing = *t;
    rng_init(&s->rng, seed);
    s->start_ns = s->step_ns = s->deadline_ns = now_ns;
    s->suspicion_ns = TIME_NEVER;
    s->sync_ns = now_ns + rng_below(&s->rng, swim_ns(t->sync_ms)) + 1;
    s->probe_ns = now_ns + rng_below(&s->rng, swim_ns(t->interval_ms));
    s->seq = (uint32_t)rng_u64(&s->rng);
    if (!add_self(s, self)) {
        swim_free(s);
        return NULL;
    }
    return s;
}

void swim_free(struct swim *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->table.count; i++)
        entry_unref(s->table.items[i].entry);
    entry_unref(s->self);
    entry_unref(s->coming);
    mem_free(s->table.items);
    mem_free(s->suspicions);
    mem_free(s->downs);
    mem_free(s->missing);
    mem_free(s->board.items);
    mem_free(s->relays);
    mem_free(s);
}

/* Time in which this node did not run says nothing about the others: what they sent lies unread.
 * After a long stop all that was waited for is void. */
static void step(struct swim *s, uint64_t now_ns)
{
    uint64_t gap = now_ns > s->step_ns ? now_ns - s->step_ns : 0;
    uint64_t late = now_ns > s->deadline_ns ? now_ns - s->deadline_ns : 0;
    if (swim_with(s, SWIM_WITHOUT_PAUSE) && !MUTANT(SWIM_NO_LOCAL_HEALTH)) {
        if (gap > swim_ns(s->timing.pause_ms)) {
            s->stats.pauses++;
            swim_probe_void(s);
            swim_suspicions_restart(s, now_ns);
        } else if (late > SWIM_LATE_NS) {
            swim_probe_put_off(s, late);
            swim_suspicions_put_off(s, late);
        }
    }
    /* What is late is so once. */
    if (s->deadline_ns < now_ns)
        s->deadline_ns = now_ns;
    if (now_ns > s->step_ns)
        s->step_ns = now_ns;
}

/* A deadline that is past already begins now: this node is not late for it. */
static void finish(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (s->deadline_ns < now_ns)
        s->deadline_ns = now_ns;
    if (s->left)
        s->deadline_ns = TIME_NEVER;
    out->deadline_ns = s->deadline_ns;
}

/* All that is waited for decides anew when to come again. */
void swim_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (s->left) {
        finish(s, now_ns, out);
        return;
    }
    step(s, now_ns);
    s->deadline_ns = now_ns + SWIM_STEP_NS;
    swim_suspicions_tick(s, now_ns, out);
    if (s->suspicion_ns < s->deadline_ns)
        s->deadline_ns = s->suspicion_ns;
    swim_self_tick(s, now_ns, out);
    swim_probe_tick(s, now_ns, out);
    swim_sync_tick(s, now_ns, out);
    swim_gossip_tick(s, now_ns, out);
    if (s->board.count > 0 && s->gossip_ns < s->deadline_ns)
        s->deadline_ns = s->gossip_ns > now_ns ? s->gossip_ns : now_ns + SWIM_STEP_NS;
    finish(s, now_ns, out);
}

/* A message says what life its sender lives: a greater one refutes what is thought of it. */
static void hear_sender(struct swim *s, uint64_t from, const struct swim_message *m,
                        uint64_t now_ns, struct swim_actions *out)
{
    struct swim_saying said = {.inc = from, .life = m->life, .rank = SWIM_ALIVE};
    const struct swim_peer *p = swim_find(s, from);
    bool was_down = p != NULL && p->rank == SWIM_DOWN;
    (void)swim_say(s, &said, now_ns, out);
    p = swim_find(s, from);
    if (was_down && p->rank == SWIM_ALIVE && now_ns - s->synced_ns >= SWIM_MEET_NS)
        swim_sync_with(s, from, now_ns, out); /* there was a split: much may differ */
}

void swim_message(struct swim *s, uint64_t from, const uint8_t *bytes, size_t len, uint64_t now_ns,
                  struct swim_actions *out)
{
    struct swim_message *m = s->left ? NULL : mem_alloc(sizeof *m);
    step(s, now_ns);
    if (m != NULL && from != s->self->inc && swim_message_decode(bytes, len, m)) {
        s->stats.messages_in++;
        hear_sender(s, from, m, now_ns, out);
        if (m->type >= SWIM_DIGEST)
            swim_take_page(s, from, m, now_ns, out);
        else
            swim_take_news(s, from, m, now_ns, out);
        if (m->type == SWIM_PING)
            swim_take_ping(s, from, m, out);
        else if (m->type == SWIM_ACK)
            swim_take_ack(s, from, m, now_ns, out);
        else if (m->type == SWIM_ASK)
            swim_take_ask(s, from, m, now_ns, out);
        else if (m->type == SWIM_NACK)
            swim_take_nack(s, m);
    } else if (m != NULL) {
        s->stats.malformed++;
    }
    mem_free(m);
    if (s->suspicion_ns < s->deadline_ns)
        s->deadline_ns = s->suspicion_ns;
    finish(s, now_ns, out);
}

/* A peer that was unknown, or known by hearsay as gone. */
static int learn_new(struct swim *s, struct entry *e, uint32_t life, enum swim_rank rank,
                     enum swim_source source, uint64_t now_ns, struct swim_actions *out)
{
    int error;
    struct swim_peer *p = swim_add(s, e, &error);
    if (p == NULL)
        return error;
    swim_found(s, e->inc);
    swim_set_state(s, p, life, rank == SWIM_SUSPECT ? SWIM_ALIVE : rank, now_ns);
    p->flags |= SWIM_WHOLE;
    /* What a node learns while it takes in the farm that it joins is news to nobody but it. */
    if ((s->joined || source == SWIM_PROVEN) && rank <= SWIM_SUSPECT)
        swim_tell(s, p, SWIM_NEWS_CONTENT, now_ns);
    swim_changed(s, p, SWIM_LEFT, out);
    return STEAD_OK;
}

static void learn_known(struct swim *s, struct swim_peer *p, struct entry *e, uint32_t life,
                        enum swim_rank rank, uint64_t now_ns, struct swim_actions *out)
{
    struct swim_saying said = {.inc = e->inc, .life = life, .rank = rank};
    if (e->revision >= p->entry->revision) {
        bool newer = e->revision > p->entry->revision;
        bool whole = e->shape != p->entry->shape;
        swim_set_entry(s, p, entry_ref(e));
        if (newer) {
            if (whole)
                p->flags |= SWIM_WHOLE;
            swim_tell(s, p, SWIM_NEWS_CONTENT, now_ns);
            swim_changed(s, p, (enum swim_rank)p->rank, out);
        }
    }
    (void)swim_say(s, &said, now_ns, out);
}

/* The first company there is hears who this node is. */
static void introduce(struct swim *s, uint64_t now_ns)
{
    struct swim_peer *p = swim_find(s, s->self->inc);
    p->flags |= SWIM_WHOLE;
    swim_tell(s, p, SWIM_NEWS_CONTENT, now_ns);
}

int swim_learn(struct swim *s, struct entry *e, uint32_t life, enum swim_rank rank,
               enum swim_source source, uint64_t now_ns, struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, e->inc);
    if (e->inc == s->self->inc)
        return STEAD_E_INVAL;
    bool met = source == SWIM_PROVEN && (p == NULL || p->rank > SWIM_SUSPECT);
    bool alone = s->table.alive == 0;
    if (life < e->life)
        life = e->life;
    if (p == NULL) {
        int error = learn_new(s, e, life, rank, source, now_ns, out);
        if (error != STEAD_OK)
            return error;
    } else {
        learn_known(s, p, e, life, rank, now_ns, out);
    }
    if (alone)
        introduce(s, now_ns);
    p = swim_find(s, e->inc);
    if (source == SWIM_PROVEN)
        swim_contact(s, p, now_ns);
    if (met && (!s->joined || alone || p->rank > SWIM_SUSPECT))
        swim_sync_with(s, e->inc, now_ns, out);
    if (source == SWIM_PROVEN && e->revision == 0)
        swim_want(s, e->inc, e->inc, now_ns, out); /* its card had no room for all */
    if (source == SWIM_PROVEN && p->rank == SWIM_DOWN)
        swim_ping(s, e->inc, 0, out);
    finish(s, now_ns, out);
    return STEAD_OK;
}

void swim_aged(struct swim *s, uint64_t inc, uint32_t age_ms, uint64_t now_ns)
{
    struct swim_peer *p = swim_find(s, inc);
    if (p == NULL || p->rank <= SWIM_SUSPECT)
        return;
    p->mark_ms = swim_mark(s, now_ns) - age_ms;
    if (p->mark_ms == 0)
        p->mark_ms--;
}

void swim_forget(struct swim *s, uint64_t inc)
{
    struct swim_peer *p = swim_find(s, inc);
    if (p != NULL && !(p->flags & SWIM_SELF))
        swim_drop(s, p);
}

void swim_heard(struct swim *s, uint64_t inc, uint64_t now_ns)
{
    struct swim_peer *p = swim_find(s, inc);
    if (p != NULL)
        swim_contact(s, p, now_ns);
}

void swim_doubt(struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, inc);
    step(s, now_ns);
    if (p != NULL && !s->left) {
        p->mark_ms = swim_member(p) ? 0 : p->mark_ms;
        swim_probe_next(s, p, now_ns, out);
        if (s->deadline_ns > now_ns + swim_ns(s->timing.timeout_ms))
            s->deadline_ns = now_ns + swim_ns(s->timing.timeout_ms);
    }
    finish(s, now_ns, out);
}

void swim_hint(struct swim *s, uint64_t inc, uint64_t revision, uint64_t now_ns,
               struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, inc);
    if (p != NULL && swim_member(p) && revision > p->entry->revision && !s->left)
        swim_want(s, inc, inc, now_ns, out);
    finish(s, now_ns, out);
}

void swim_compare(struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_actions *out)
{
    if (!s->left)
        swim_sync_with(s, inc, now_ns, out);
    finish(s, now_ns, out);
}

void swim_gone(struct swim *s, uint64_t inc, enum swim_rank rank, uint64_t now_ns,
               struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, inc);
    assert(rank > SWIM_SUSPECT);
    if (p != NULL && !(p->flags & SWIM_SELF) && p->rank < (uint8_t)rank) {
        enum swim_rank was = (enum swim_rank)p->rank;
        swim_set_state(s, p, p->life, rank, now_ns);
        swim_tell(s, p, SWIM_NEWS_STATE, now_ns);
        swim_changed(s, p, was, out);
    }
    finish(s, now_ns, out);
}

void swim_leave(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    uint8_t bytes[64];
    struct swim_walk walk = {0};
    unsigned told = 0;
    step(s, now_ns);
    for (uint32_t i = 0; !s->left && i < s->table.count && told < SWIM_FAREWELLS; i++) {
        const struct swim_peer *p = swim_walk_next(s, &walk);
        struct wire_writer w;
        if (p == NULL || !swim_member(p))
            continue;
        wire_writer_init(&w, bytes, sizeof bytes);
        swim_put_head(&w, SWIM_NEWS, s->self->life, 0, 0);
        (void)swim_put_state(&w, s->self->inc, s->self->life, SWIM_LEFT, NULL, 0);
        (void)swim_send(s, swim_inc(p), false, &w, out);
        told++;
    }
    s->left = true;
    finish(s, now_ns, out);
}

const struct entry *swim_self(const struct swim *s)
{
    return s->self;
}

bool swim_look(const struct swim *s, uint64_t inc, uint64_t now_ns, struct swim_view *out)
{
    uint32_t at = swim_place(&s->table, inc);
    if (at >= s->table.count || swim_inc(&s->table.items[at]) != inc)
        return false;
    const struct swim_peer *p = &s->table.items[at];
    *out = (struct swim_view){
        .entry = p->entry,
        .life = p->life,
        .rank = (enum swim_rank)p->rank,
        .since_ms = p->mark_ms == 0 ? UINT32_MAX : swim_mark(s, now_ns) - p->mark_ms,
    };
    return true;
}

size_t swim_count(const struct swim *s)
{
    return s->table.count - 1;
}

size_t swim_alive(const struct swim *s)
{
    return s->table.alive;
}

size_t swim_missing(const struct swim *s)
{
    return s->missing_count;
}

void swim_stats(const struct swim *s, struct swim_stats *out)
{
    *out = s->stats;
}
