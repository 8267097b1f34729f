/* Taking a record over: from an owner that is down, or again after contact with a holder was lost.
 * Every node that is heard is asked first; what they have is merged; the term is raised. */
#include "core/session/session_internal.h"

#define AGAIN_NS (50 * NS_PER_MS)
#define UNGRANTED_NS (200 * NS_PER_MS)
#define RETRY_MAX_NS (4 * NS_PER_S)

/* Without memory nothing is claimed, since what others have might be lost; it is tried again. */
static void claim_failed(struct session *s, struct work *w, struct item *item)
{
    s->stats.claims_failed++;
    work_begin(s, w, WORK_IDLE);
    work_fail(s, w, STEAD_E_NOMEM, true);
    repair_note(s, item);
    w->again_ns = s->now_ns + AGAIN_NS;
}

void claim_ask(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    if (!item)
        return;
    struct message m = {.type = MESSAGE_CLAIM,
                        .key = w->key,
                        .token = w->token,
                        .stamp = w->stamp,
                        .peer = w->stamp.inc,
                        .digest = record_digest(item->record),
                        .shelved = item_is_shelved(item)};
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING)
            session_send(s, &m, NULL, w->targets[i].inc);
}

void claim_start(struct session *s, struct work *w, struct item *item)
{
    w->held++;
    work_begin(s, w, WORK_CLAIM);
    w->stamp = item->record->stamp;
    w->missing = s->missing;
    if (!MUTANT(CLAIM_WITHOUT_ASKING) && !work_target_heard(s, w)) {
        claim_failed(s, w, item);
    } else {
        claim_ask(s, w);
        claim_check(s, w);
    }
    w->held--;
    work_release(s, w);
}

/* -- asked -- */

/* Who owns the record and lives, as this node sees it; 0: nobody. What it has that is newer than
 * the claimant's says more than the owner that the claimant knows of. */
static uint64_t living_owner(struct session *s, uint64_t from, const struct message *m,
                             struct item *item)
{
    bool newer = item && stamp_compare(&item->record->stamp, &m->stamp) > 0;
    if (item && item->role == ROLE_OWNER && (newer || m->peer == s->self_inc))
        return s->self_inc;
    uint64_t owner = newer ? item->record->stamp.inc : 0;
    if (owner && owner != from && owner != m->peer && owner != s->self_inc &&
        peer_is_heard(s, owner))
        return owner;
    return m->peer != from && m->peer != s->self_inc && peer_is_heard(s, m->peer) ? m->peer : 0;
}

void claim_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    bool shelved = item && item_is_shelved(item);
    /* Beside a copy that is one, what is shelved counts for nothing, a final end apart. */
    if (shelved && !m->shelved && !item->record->ended)
        item = NULL;
    uint64_t owner = living_owner(s, from, m, shelved ? NULL : item);
    struct message reply = {.type = MESSAGE_CLAIMED,
                            .key = m->key,
                            .token = m->token,
                            .missing = missing_told(s),
                            .votes = s->quorum.votes ? VOTES_YES : 0,
                            .shelved = item && shelved};
    const struct record *rec = NULL;
    if (item)
        reply.stamp = item->record->stamp;
    if (owner) {
        reply.status = (uint8_t)-STEAD_E_EXISTS;
        reply.peer = owner;
    } else if (!item) {
        reply.status = (uint8_t)-STEAD_E_ABSENT;
    }
    /* A holder's word for another owner may be all that is left of that one when it is weighed: so
     * its copy comes with it. */
    if (item && owner != s->self_inc && !(MUTANT(HEARSAY_COUNTS) && owner) &&
        (stamp_compare(&reply.stamp, &m->stamp) != 0 || record_digest(item->record) != m->digest))
        rec = item->record;
    struct work *w = rec ? work_find(s, &m->key) : NULL;
    if (w)
        w->spread = true;
    session_send(s, &reply, rec, from);
}

/* -- answered -- */

/* Others count an owner out a moment later. One that only they hear, for longer, may be so for
 * long: its records are claimed ever more seldom. */
static uint64_t retry_ns(struct session *s, const struct item *item)
{
    const struct peer *owner = peer_find(s, item->record->stamp.inc);
    uint64_t pause_ns = owner && !peer_heard(&owner->view) ? (s->now_ns - owner->down_ns) / 2 : 0;
    if (pause_ns > RETRY_MAX_NS)
        pause_ns = RETRY_MAX_NS;
    return pause_ns + (50 + rng_below(&s->rng, 200)) * NS_PER_MS;
}

/* Somebody owns it and lives: operations go there, through whoever said so if need be. */
static void claim_lost(struct session *s, struct work *w, struct item *item, uint64_t owner,
                       uint64_t via)
{
    bool direct = owner == via || peer_is_heard(s, owner);
    bool was_owner = item->role == ROLE_OWNER;
    s->stats.claims_failed++;
    item_step_down(s, item);
    item->mend_ns = s->now_ns + retry_ns(s, item);
    work_begin(s, w, WORK_IDLE);
    if (direct)
        hint_set(s, &w->key, owner);
    if (was_owner) {
        s->stats.fenced++;
        session_tell(s, NOTICE_FENCED, &w->key, owner, 0);
    }
    struct list *l;
    while ((l = list_pop(&w->queue)))
        waiter_pass(s, list_entry(l, struct waiter, link), direct ? owner : via);
    if (direct && (item->record->stamp.inc != owner || item->generation == 0))
        heal_offer(s, item, owner);
}

/* False: what that node has is not known here, so nothing can be claimed. */
static bool merge_answer(struct session *s, uint64_t from, struct item *item,
                         const struct message *m)
{
    unsigned lost;
    bool changed;
    if (!m->record)
        return true;
    struct record *r = session_record(s, from, m);
    item->offered = 0;
    bool merged = r && item_merge(s, item, r, &changed, &lost) == STEAD_OK;
    record_free(r);
    return merged;
}

/* Who is told to own it, and is asked itself, answers for itself. Until it has, what others have is
 * not known: it may write on, with them. */
static bool is_hearsay(const struct session *s, struct work *w, uint64_t from,
                       const struct message *m)
{
    const struct target *owner = m->peer != from ? work_target(w, m->peer) : NULL;
    return m->peer == s->self_inc || (owner && owner->answer != ANSWER_SILENT);
}

static bool owner_answers_yet(struct work *w, const struct target *t)
{
    const struct target *owner = work_target(w, t->owner);
    return owner && owner->answer == ANSWER_WAITING;
}

/* Those who told of an owner that has answered since, or fell silent, are asked anew. */
static void ask_anew(struct session *s, struct work *w)
{
    bool any = false;
    for (size_t i = 0; i < w->target_count; i++) {
        struct target *t = &w->targets[i];
        if (t->answer != ANSWER_HEARSAY || owner_answers_yet(w, t))
            continue;
        t->answer = ANSWER_WAITING;
        any = true;
    }
    if (any)
        claim_ask(s, w);
}

/* It was over here, and who answers owns what is under its key now: that one, or the next. Nothing
 * of this life is to come into the next. */
static bool is_outlived(struct session *s, uint64_t from, const struct message *m,
                        const struct item *item)
{
    bool owns = (-(int)m->status == STEAD_E_EXISTS && m->peer == from) ||
                (m->status == 0 && m->stamp.inc == from);
    return owns && !m->shelved && !item_is_shelved(item) && !quorum_rules(s, &m->key) &&
           item_ran_out(s, item);
}

static void claim_outlived(struct session *s, struct work *w, struct item *item, uint64_t owner)
{
    s->stats.claims_failed++;
    work_begin(s, w, WORK_IDLE);
    item_remove(s, item);
    hint_set(s, &w->key, owner);
    serve_key(s, w);
}

void claim_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct work *w = work_find(s, &m->key);
    struct item *item = table_find(s->table, &m->key);
    struct target *t =
        w && w->phase == WORK_CLAIM && w->token == m->token ? work_target(w, from) : NULL;
    if (!t || !item || t->answer != ANSWER_WAITING)
        return;
    w->held++;
    int status = -(int)m->status;
    bool hearsay = is_hearsay(s, w, from, m);
    bool has = status == STEAD_OK || (status == STEAD_E_EXISTS && m->stamp.term != 0);
    w->missing = m->missing > w->missing ? m->missing : w->missing;
    if (is_outlived(s, from, m, item)) {
        claim_outlived(s, w, item, from);
    } else if (item_is_shelved(item) &&
               ((status == STEAD_E_EXISTS && !hearsay) || (has && !m->shelved))) {
        shelf_yield_to(s, w, item, hearsay || m->peer == 0 ? from : m->peer);
    } else if (status == STEAD_E_EXISTS && !hearsay) {
        claim_lost(s, w, item, m->peer, from);
    } else if (status == STEAD_E_EXISTS && quorum_rules(s, &m->key)) {
        t->answer = ANSWER_REFUSED; /* it stands by another owner: no grant, nor all it has */
        claim_check(s, w);
    } else if (!MUTANT(HEARSAY_COUNTS) && status == STEAD_E_EXISTS && work_target(w, m->peer) &&
               work_target(w, m->peer)->answer == ANSWER_WAITING) {
        t->answer = ANSWER_HEARSAY;
        t->owner = m->peer;
    } else if (has) {
        if (merge_answer(s, from, item, m)) {
            t->answer = ANSWER_HAVE;
            t->stamp = m->stamp;
            t->votes = m->votes & VOTES_YES;
            claim_check(s, w);
        } else {
            claim_failed(s, w, item);
        }
    } else {
        t->answer = ANSWER_NONE;
        t->votes = m->votes & VOTES_YES;
        claim_check(s, w);
    }
    w->held--;
    work_release(s, w);
}

/* No majority of the voters grants it: whoever waits is told, and it is tried again. */
static void claim_ungranted(struct session *s, struct work *w, struct item *item)
{
    s->stats.claims_failed++;
    work_begin(s, w, WORK_IDLE);
    if (item->role == ROLE_OWNER)
        item->state->doubtful = true;
    if (!quorum_in_sight(s))
        quorum_refuse(s, w);
    repair_note(s, item);
    w->again_ns = s->now_ns + UNGRANTED_NS;
}

/* Nobody else has it; and by what is known here it was not used for longer than it lives, or its
 * owner is alive and has forgotten it: it is over, and this node was away then. */
static bool life_over(struct session *s, const struct item *item, struct work *w)
{
    if (record_is_tombstone(item->record) || item->record->ttl_ms == 0)
        return false;
    const struct target *owner = work_target(w, item->record->stamp.inc);
    return (owner && owner->answer == ANSWER_NONE && peer_is_heard(s, owner->inc)) ||
           item_ran_out(s, item);
}

void claim_check(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    bool shelved = item && item_is_shelved(item);
    if (item && item->role != ROLE_OWNER && item->generation != 0 && !shelved &&
        peer_is_heard(s, item->record->stamp.inc)) {
        /* Its owner is heard again. */
        item_unqueue(s, item);
        item = NULL;
    }
    if (!item) {
        work_begin(s, w, WORK_IDLE);
        serve_key(s, w);
        return;
    }
    ask_anew(s, w);
    if (work_waits(w))
        return;
    if (!MUTANT(CLAIM_WITHOUT_ASKING) && work_target_late(s, w)) {
        claim_ask(s, w);
        return;
    }
    if (quorum_rules(s, &w->key) && (s->quorum.self == 0 || !quorum_granted(s, w))) {
        claim_ungranted(s, w, item);
        return;
    }
    if (shelved && !shelf_may_claim(s, w, item))
        return;
    bool have = false;
    struct stamp next = item->record->stamp;
    w->seen = next;
    for (size_t i = 0; i < w->target_count; i++) {
        const struct target *t = &w->targets[i];
        if (t->answer != ANSWER_HAVE)
            continue;
        next.term = t->stamp.term > next.term ? t->stamp.term : next.term;
        next.version = t->stamp.version > next.version ? t->stamp.version : next.version;
        w->seen = stamp_compare(&t->stamp, &w->seen) > 0 ? t->stamp : w->seen;
        round_drop(w, t->inc);
        have = true;
    }
    if (!have && !shelved && life_over(s, item, w)) {
        work_begin(s, w, WORK_IDLE);
        item_remove(s, item);
        serve_key(s, w);
        return;
    }
    struct stamp base = next;
    next.term += MUTANT(TERM_NOT_RAISED) ? 0 : 1;
    next.version++;
    next.inc = s->self_inc;
    item_own(s, item);
    item->state->base = base;
    item->record->stamp = next;
    for (size_t i = 0; i < item->state->count; i++)
        item->state->copies[i].version = 0;
    /* What was shelved lives on as it was; who had it elsewhere may have used it just now. */
    if (shelved)
        item->generation = GENERATION_NONE;
    expiry_set(s, item, shelved ? item_left_ms(s, item) : item->record->ttl_ms);
    round_start(s, w, item, true);
}
