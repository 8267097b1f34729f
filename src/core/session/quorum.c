/* Who is a majority, what it has promised, and when a voter that started anew votes again. */
#include "core/session/session_internal.h"

#define ENROL_AGAIN_NS (500 * NS_PER_MS)

static uint32_t bit_of(uint8_t voter)
{
    return voter == 0 ? 0 : 1u << (voter - 1);
}

static size_t count_bits(uint32_t bits)
{
    return (size_t)__builtin_popcount(bits);
}

bool quorum_rules(const struct session *s, const struct key *key)
{
    return kind_of(s, key)->atomic == ATOMIC_QUORUM;
}

size_t quorum_need(const struct session *s)
{
    if (MUTANT(QUORUM_OF_ONE))
        return 1;
    return s->quorum.voters ? s->quorum.voters / 2u + 1 : QUORUM_VOTERS_MAX + 1;
}

bool quorum_in_sight(struct session *s)
{
    uint32_t bits = bit_of(s->quorum.self);
    for (size_t i = 0; i < s->peer_count; i++)
        if (peer_heard(&s->peers[i].view))
            bits |= bit_of(s->peers[i].view.voter);
    return count_bits(bits) >= quorum_need(s);
}

bool quorum_keeps(struct session *s, struct item *item)
{
    uint32_t bits = bit_of(s->quorum.self);
    item_void_broken(s, item);
    for (size_t i = 0; i < item->state->count; i++) {
        const struct copy *c = &item->state->copies[i];
        const struct peer *p = c->version != 0 && !c->going ? peer_find(s, c->inc) : NULL;
        if (p && peer_heard(&p->view) && p->view.granted == c->granted &&
            p->view.lease_until_ns > s->now_ns)
            bits |= bit_of(p->view.voter);
    }
    return s->quorum.self && count_bits(bits) >= quorum_need(s);
}

bool quorum_kept(struct session *s, const struct item *item, uint64_t version)
{
    uint32_t bits = bit_of(s->quorum.self);
    for (size_t i = 0; i < item->state->count; i++) {
        const struct copy *c = &item->state->copies[i];
        const struct peer *p = c->version == version && !c->going ? peer_find(s, c->inc) : NULL;
        bits |= p ? bit_of(p->view.voter) : 0;
    }
    return s->quorum.self && count_bits(bits) >= quorum_need(s);
}

bool quorum_granted(struct session *s, const struct work *w)
{
    uint32_t voting = s->quorum.votes ? bit_of(s->quorum.self) : 0, all = bit_of(s->quorum.self);
    for (size_t i = 0; i < w->target_count; i++) {
        const struct target *t = &w->targets[i];
        const struct peer *p = peer_find(s, t->inc);
        if (!p || (t->answer != ANSWER_NONE && t->answer != ANSWER_HAVE))
            continue;
        all |= bit_of(p->view.voter);
        voting |= t->votes ? bit_of(p->view.voter) : 0;
    }
    return s->quorum.voters > 0 &&
           (count_bits(voting) >= quorum_need(s) || count_bits(all) == s->quorum.voters);
}

void quorum_refuse(struct session *s, struct work *w)
{
    struct list *l;
    while ((l = list_pop(&w->queue))) {
        s->stats.no_quorum++;
        waiter_fail(s, list_entry(l, struct waiter, link), STEAD_E_NO_QUORUM);
    }
}

/* -- promises -- */

static struct promise *promise_of(const struct session *s, const struct key *key)
{
    uint64_t hash = buzhash(&s->bucket_hash, key->bytes, key->len) + key->kind;
    return (struct promise *)(uintptr_t)&s->quorum.promised[hash / 64 % QUORUM_BUCKETS];
}

static bool is_below(uint64_t ballot, uint64_t inc, const struct promise *p)
{
    return ballot != p->ballot ? ballot < p->ballot : inc < p->inc;
}

uint64_t quorum_ballot(struct session *s, const struct key *key)
{
    struct promise *p = promise_of(s, key);
    *p = (struct promise){p->ballot + 1, s->self_inc};
    return p->ballot;
}

bool quorum_promise(struct session *s, const struct key *key, uint64_t from, uint64_t *ballot)
{
    struct promise *p = promise_of(s, key);
    bool below = is_below(*ballot, from, p);
    if (!below)
        *p = (struct promise){*ballot, from};
    *ballot = p->ballot;
    return !below;
}

bool quorum_may_make(const struct session *s, const struct key *key, uint64_t from, uint64_t term)
{
    return !is_below(term, from, promise_of(s, key));
}

void quorum_saw(struct session *s, const struct key *key, const struct stamp *stamp)
{
    struct promise *p = promise_of(s, key);
    if (is_below(p->ballot, p->inc, &(struct promise){stamp->term, stamp->inc}))
        *p = (struct promise){stamp->term, stamp->inc};
}

/* -- voting -- */

void quorum_forget(struct session *s)
{
    s->quorum.votes = false;
    s->quorum.enrolled = 0;
    s->quorum.nonce = rng_u64(&s->rng) | 1;
    for (size_t i = 0; i < s->peer_count; i++) {
        s->peers[i].enrol_asked_ns = 0;
        s->peers[i].enrol_shards = 0;
    }
}

/* Another process in that voter's place is heard: it may have what this one is to know. */
static bool has_twin(const struct session *s, uint8_t voter, uint64_t inc)
{
    bool twin = s->quorum.self == voter && s->self_inc != inc;
    for (size_t i = 0; i < s->peer_count; i++)
        twin |= peer_heard(&s->peers[i].view) && s->peers[i].view.voter == voter &&
                s->peers[i].view.inc != inc;
    return twin;
}

/* What was under way when it asked may count on the process that was there before. */
static bool is_settled(const struct session *s, uint64_t asked_ns)
{
    if (!repair_idle(s))
        return false;
    for (const struct list *l = s->works.next; l != &s->works; l = l->next) {
        const struct work *w = list_entry(l, struct work, all);
        if (w->phase != WORK_IDLE && w->since_ns <= asked_ns && quorum_rules(s, &w->key))
            return false;
    }
    return true;
}

static void answer_enrol(struct session *s, struct peer *p)
{
    if (!is_settled(s, p->enrol_since_ns) || has_twin(s, p->view.voter, p->view.inc))
        return;
    for (; p->enrol_owed_count > 0; p->enrol_owed_count--) {
        struct message m = {.type = MESSAGE_ENROLLED,
                            .token = p->enrol_owed[p->enrol_owed_count - 1],
                            .index = s->config.shard_index,
                            .count = s->config.shard_count};
        session_send(s, &m, NULL, p->view.inc);
    }
}

static bool waits_to_vote(const struct session *s)
{
    return s->quorum.self != 0 && !s->quorum.votes;
}

static void ask_to_enrol(struct session *s)
{
    uint16_t others = (uint16_t)(((1u << s->quorum.voters) - 1) & ~bit_of(s->quorum.self));
    if (has_twin(s, s->quorum.self, s->self_inc))
        return;
    s->quorum.votes = (s->quorum.enrolled & others) == others || MUTANT(VOTES_TOO_EARLY);
    for (size_t i = 0; i < s->peer_count && !s->quorum.votes; i++) {
        struct peer *p = &s->peers[i];
        if (!peer_heard(&p->view) || (s->quorum.enrolled & bit_of(p->view.voter)) ||
            p->view.voter == 0 ||
            (p->enrol_asked_ns != 0 && s->now_ns < p->enrol_asked_ns + ENROL_AGAIN_NS))
            continue;
        struct message m = {.type = MESSAGE_ENROL, .token = s->quorum.nonce};
        p->enrol_asked_ns = s->now_ns;
        session_send(s, &m, NULL, p->view.inc);
    }
}

void quorum_tick(struct session *s)
{
    for (size_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].enrol_owed_count > 0)
            answer_enrol(s, &s->peers[i]);
    if (waits_to_vote(s))
        ask_to_enrol(s);
}

bool quorum_busy(const struct session *s)
{
    bool owed = false;
    for (size_t i = 0; i < s->peer_count; i++)
        owed |= s->peers[i].enrol_owed_count > 0;
    return owed || waits_to_vote(s);
}

void quorum_enrol_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p)
        return;
    for (size_t i = 0; i < p->enrol_owed_count; i++)
        if (p->enrol_owed[i] == m->token)
            return;
    if (p->enrol_owed_count < SYNC_OWED_MAX)
        p->enrol_owed[p->enrol_owed_count++] = m->token;
    p->enrol_since_ns = s->now_ns;
}

void quorum_enrolled(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p || m->token != s->quorum.nonce || m->count == 0 || m->count > 64 || m->index >= m->count)
        return;
    p->enrol_shards |= 1ull << m->index;
    if (p->enrol_shards == (m->count == 64 ? UINT64_MAX : (1ull << m->count) - 1))
        s->quorum.enrolled |= (uint16_t)bit_of(p->view.voter);
}
