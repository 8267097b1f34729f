/* The owner's side: who keeps copies, and rounds that bring a version to all of them before it is
 * acknowledged. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define FULL_NS (5 * NS_PER_S) /* a holder that was full is asked again after */

void round_drop(struct work *w, uint64_t inc)
{
    size_t room = sizeof(w->drops) / sizeof(w->drops[0]);
    for (size_t i = 0; i < w->drop_count; i++)
        if (w->drops[i] == inc)
            return;
    if (w->drop_count < room)
        w->drops[w->drop_count++] = inc;
}

/* -- asking -- */

static void send_replicate(struct session *s, struct work *w, struct item *item, struct target *t,
                           uint64_t base)
{
    struct message m = {.type = MESSAGE_REPLICATE,
                        .key = w->key,
                        .token = w->token,
                        .counted = t->counted,
                        .granted = t->granted,
                        .base = base,
                        .digest = record_digest(item->record),
                        .left_ms = item_left_ms(s, item)};
    t->answer = ANSWER_WAITING;
    session_send(s, &m, item->record, t->inc);
}

/* Asks every holder that does not have this version yet; all of them when the list of holders is
 * new. */
static void ask_holders(struct session *s, struct work *w, struct item *item, bool all)
{
    struct session_state *st = item->state;
    for (size_t i = 0; i < st->count; i++) {
        struct copy *c = &st->copies[i];
        struct peer *p = peer_find(s, c->inc);
        struct target *t = work_target(w, c->inc);
        if (!p || (!all && c->version == w->stamp.version) ||
            (t && t->answer == ANSWER_WAITING && t->counted == p->view.counted))
            continue;
        if (!t)
            t = work_add_target(w, p);
        if (!t)
            continue;
        t->granted = p->view.granted;
        t->counted = p->view.counted;
        send_replicate(s, w, item, t, c->version);
    }
}

void round_ask(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    for (size_t i = 0; item && item->role == ROLE_OWNER && i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING)
            send_replicate(s, w, item, &w->targets[i], 0);
}

static void answer_round(struct session *s, struct work *w, struct item *item, uint8_t copies,
                         enum session_origin origin)
{
    struct list *l;
    while ((l = list_pop(&w->round)))
        waiter_done(s, list_entry(l, struct waiter, link), item, copies, origin);
}

void round_start(struct session *s, struct work *w, struct item *item, bool claiming)
{
    w->held++;
    bool early = !kind_of(s, &w->key)->ack || MUTANT(ACK_BEFORE_COPY);
    bool changed = item_choose_holders(s, item, w);
    work_begin(s, w, WORK_ROUND);
    work_set_claiming(s, w, claiming);
    w->stamp = item->record->stamp;
    ask_holders(s, w, item, changed);
    if (early && !claiming)
        answer_round(s, w, item, 1, ORIGIN_LOCAL);
    round_check(s, w);
    w->held--;
    work_release(s, w);
}

/* The record changed under a round: the same writes, in a later version. */
void round_again(struct session *s, struct work *w, struct item *item)
{
    bool claiming = w->claiming;
    work_begin(s, w, WORK_ROUND);
    work_set_claiming(s, w, claiming);
    w->stamp = item->record->stamp;
    ask_holders(s, w, item, true);
    round_check(s, w);
}

static void tell(struct session *s, struct work *w, enum message_type type, uint64_t to,
                 uint64_t token, struct item *item)
{
    struct message m = {.type = type,
                        .key = w->key,
                        .token = token,
                        .stamp = item->record->stamp,
                        .peer = s->self_inc,
                        .digest = record_digest(item->record)};
    if (peer_is_heard(s, to))
        session_send(s, &m, NULL, to);
}

/* Everybody who has to has this version. */
static void complete(struct session *s, struct work *w, struct item *item)
{
    struct session_state *st = item->state;
    enum session_origin origin = w->claiming ? ORIGIN_CLAIM : ORIGIN_LOCAL;
    if (w->claiming) {
        s->stats.claims++;
        if (!w->handover_from)
            session_tell(s, NOTICE_CLAIMED, &w->key, 0, 0);
    }
    st->doubtful = false;
    answer_round(s, w, item, (uint8_t)(1 + st->count), origin);
    for (size_t i = 0; i < w->drop_count; i++)
        if (!item_copy(item, w->drops[i]))
            tell(s, w, MESSAGE_DROP, w->drops[i], 0, item);
    if (w->handover_from)
        tell(s, w, MESSAGE_TAKEN, w->handover_from, w->handover_token, item);
    for (size_t i = 0; i < w->offer_count; i++)
        tell(s, w, MESSAGE_TAKEN, w->offers[i].inc, w->offers[i].token, item);
    w->drop_count = w->offer_count = 0;
    w->handover_from = 0;
    work_begin(s, w, WORK_IDLE);
    if (item_needs_repair(s, item))
        repair_note(s, item);
    else
        item_unqueue(s, item);
    serve_key(s, w);
}

/* A refusal ends the round: nobody is told that it was kept. */
static void fail_round(struct session *s, struct work *w, int status, uint64_t again_ns)
{
    s->stats.claims_failed += w->claiming;
    work_fail(s, w, status, false);
    if (w->handover_from) {
        struct message m = {.type = MESSAGE_TAKEN,
                            .key = w->key,
                            .token = w->handover_token,
                            .status = (uint8_t)-STEAD_E_FENCED};
        session_send(s, &m, NULL, w->handover_from);
    }
    w->drop_count = w->offer_count = 0;
    w->handover_from = 0;
    work_begin(s, w, WORK_IDLE);
    struct item *item = table_find(s->table, &w->key);
    if (item)
        repair_note(s, item);
    w->again_ns = again_ns;
    if (!again_ns)
        serve_key(s, w);
}

/* Without memory a holder may not even have been asked. */
static bool all_kept(const struct session_state *st, uint64_t version)
{
    for (size_t i = 0; i < st->count; i++)
        if (st->copies[i].version != version)
            return false;
    return true;
}

void round_check(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    if (!item || item->role != ROLE_OWNER || stamp_compare(&item->record->stamp, &w->stamp) != 0) {
        fail_round(s, w, STEAD_E_FENCED, 0);
        return;
    }
    item_void_broken(s, item);
    /* Holders that are gone are replaced, and the write waits for those; so it does for one whose
     * copy was broken. */
    if (item_choose_holders(s, item, w)) {
        round_again(s, w, item);
        return;
    }
    ask_holders(s, w, item, false);
    if (work_waits(w))
        return;
    if (!all_kept(item->state, w->stamp.version)) {
        fail_round(s, w, STEAD_E_NOMEM, s->now_ns + 20 * NS_PER_MS);
        return;
    }
    const struct kind *k = kind_of(s, &w->key);
    bool alone = item->state->count == 0 && k->copies > 1 && k->when_alone == ALONE_REFUSE;
    if (alone && !list_empty(&w->round))
        work_fail(s, w, STEAD_E_UNKNOWN, false); /* it is done here, but not kept as promised */
    complete(s, w, item);
}

/* Another node owns it by what a holder says: this one gives what it has to that owner. */
static void fenced(struct session *s, struct work *w, struct item *item, const struct stamp *by)
{
    bool claim = w->claiming;
    s->stats.fenced++;
    session_tell(s, NOTICE_FENCED, &w->key, by->inc, 0);
    if (claim) {
        /* Two claimants: one of them will hear of the other's success when it asks anew, after a
         * random wait. */
        item_step_down(s, item);
        fail_round(s, w, STEAD_E_FENCED, s->now_ns + (20 + rng_below(&s->rng, 200)) * NS_PER_MS);
        return;
    }
    item_step_down(s, item);
    hint_set(s, &w->key, by->inc);
    if (peer_is_heard(s, by->inc))
        heal_offer(s, item, by->inc);
    fail_round(s, w, STEAD_E_FENCED, 0);
}

/* The first version of a record, which its maker is told was refused: nobody knows its key, so it
 * goes at once. */
static bool is_unmade(const struct work *w)
{
    if (w->stamp.term != 1 || w->stamp.version != 1 || list_empty(&w->round))
        return false;
    const struct waiter *first = list_entry(w->round.next, struct waiter, link);
    return first->op.type == SESSION_CREATE;
}

static void unmake(struct session *s, struct work *w, struct item *item)
{
    struct message m = {.type = MESSAGE_EXPIRED, .key = w->key, .stamp = w->stamp};
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].answer != ANSWER_REFUSED)
            session_send(s, &m, NULL, w->targets[i].inc);
    item_remove(s, item);
}

/* A holder is full: it gets no new copies of this kind for a while, and another takes its place.
 * False: there is none. */
static bool pass_over(struct session *s, struct work *w, struct item *item, const struct target *t)
{
    struct peer *p = peer_find(s, t->inc);
    if (p) {
        p->full_kinds |= 1u << w->key.kind;
        p->full_until_ns = s->now_ns + FULL_NS;
    }
    /* What it holds of an earlier version is better than nothing. */
    if (!item_has_candidate(s, item))
        return false;
    item_forget_copy(item, t->inc);
    item_choose_holders(s, item, w);
    round_drop(w, t->inc);
    round_again(s, w, item);
    return true;
}

static void refused(struct session *s, struct work *w, struct item *item, struct target *t,
                    const struct message *m)
{
    int status = -(int)m->status;
    s->stats.refused++;
    t->answer = ANSWER_REFUSED;
    if (status == STEAD_E_NOT_FOUND) {
        send_replicate(s, w, item, t, 0);
    } else if (status == STEAD_E_ENDED) {
        struct stamp next = {m->stamp.term > w->stamp.term ? m->stamp.term : w->stamp.term,
                             item->record->stamp.version + 1, s->self_inc};
        record_end(item->record, &next, now_s(s));
        table_recount(s->table, item);
        expiry_set(s, item, 0);
        fail_round(s, w, STEAD_E_ENDED, 0);
    } else if (status == STEAD_E_DENIED) {
        item->state->doubtful = true;
        fail_round(s, w, STEAD_E_FENCED, s->now_ns + 20 * NS_PER_MS);
    } else if (status == STEAD_E_FENCED) {
        fenced(s, w, item, &m->stamp);
    } else if (status != STEAD_E_FULL || !pass_over(s, w, item, t)) {
        uint64_t again_ns = s->now_ns + 200 * NS_PER_MS;
        if (is_unmade(w))
            unmake(s, w, item);
        else
            repair_note(s, item);
        fail_round(s, w, status == STEAD_E_FULL ? status : STEAD_E_FENCED, again_ns);
    }
}

void round_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct work *w = work_find(s, &m->key);
    struct item *item = table_find(s->table, &m->key);
    if (!w || !item || item->role != ROLE_OWNER || w->phase != WORK_ROUND || w->token != m->token)
        return;
    struct target *t = work_target(w, from);
    if (!t || t->answer != ANSWER_WAITING)
        return;
    w->held++;
    if (m->status != 0 && !MUTANT(REFUSAL_AS_ACK)) {
        refused(s, w, item, t, m);
    } else {
        struct copy *c = item_copy(item, from);
        t->answer = ANSWER_KEPT;
        if (c)
            *c = (struct copy){.inc = from,
                               .version = w->stamp.version,
                               .granted = t->granted,
                               .counted = t->counted};
        round_check(s, w);
    }
    w->held--;
    work_release(s, w);
}
