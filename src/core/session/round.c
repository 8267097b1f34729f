/* The owner's side: who keeps copies, and rounds that bring a version to all of them before it is
 * acknowledged. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define FULL_NS (5 * NS_PER_S) /* a holder that was full is asked again after; longer each time */
#define FULL_MAX_NS (80 * NS_PER_S)
#define REFUSED_NS (200 * NS_PER_MS) /* so is one that refused for another reason */

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

static struct message replicate_message(struct session *s, struct work *w, struct item *item,
                                        struct target *t, uint64_t base)
{
    struct message m = {.type = MESSAGE_REPLICATE,
                        .key = w->key,
                        .token = w->token,
                        .counted = t->counted,
                        .granted = t->granted,
                        .base = base,
                        .digest = record_digest(item->record),
                        .left_ms = item_left_ms(s, item)};
    if (quorum_rules(s, &w->key) && (w->claiming || w->made)) {
        m.votes = w->made ? NEWS_MADE : NEWS_CLAIM;
        m.seen = w->seen;
        m.peer = w->handover_from;
    }
    t->answer = ANSWER_WAITING;
    return m;
}

static void send_replicate(struct session *s, struct work *w, struct item *item, struct target *t,
                           uint64_t base)
{
    struct message m = replicate_message(s, w, item, t, base);
    session_send(s, &m, item->record, t->inc);
}

/* The last message that went to several: those that stand at the same version share it. */
struct told {
    struct msg *msg;
    uint64_t base;
};

static void tell_holder(struct session *s, struct work *w, struct item *item, struct target *t,
                        uint64_t base, struct told *told)
{
    struct message m = replicate_message(s, w, item, t, base);
    /* What goes in bulk goes to one. */
    if (told->msg && !told->msg->bulk && told->base == base &&
        message_also(told->msg, &m, t->inc) == STEAD_OK)
        return;
    told->base = base;
    told->msg = session_send(s, &m, item->record, t->inc);
}

/* Asks every holder that does not have this version yet; all of them when the list of holders is
 * new. */
static void ask_holders(struct session *s, struct work *w, struct item *item, bool all)
{
    struct session_state *st = item->state;
    struct told told = {0};
    for (size_t i = 0; i < st->count; i++) {
        struct copy *c = &st->copies[i];
        struct peer *p = peer_find(s, c->inc);
        struct target *t = work_target(w, c->inc);
        bool asked = p && t && t->answer == ANSWER_WAITING && t->counted == p->view.counted;
        bool refused = t && t->answer == ANSWER_REFUSED;
        if (!p || (!all && c->version == w->stamp.version) || asked || refused)
            continue;
        if (!t)
            t = work_add_target(w, p);
        if (!t)
            continue;
        t->granted = p->view.granted;
        t->counted = p->view.counted;
        tell_holder(s, w, item, t, c->version, &told);
    }
}

void round_ask(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    w->spread = true; /* the first question may yet come, after the second was refused */
    for (size_t i = 0; item && item->role == ROLE_OWNER && i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING)
            send_replicate(s, w, item, &w->targets[i], 0);
}

static void answer_round(struct session *s, struct work *w, struct item *item, uint8_t copies,
                         enum session_origin origin)
{
    struct list *l;
    while ((l = list_pop(&w->round))) {
        struct waiter *waiter = list_entry(l, struct waiter, link);
        uint64_t guest = waiter->op.type == SESSION_PUSH ? waiter->op.peer : s->self_inc;
        if (guest != s->self_inc && !item_copy(item, guest))
            waiter_fail(s, waiter, STEAD_E_FULL); /* it went on without that one */
        else
            waiter_done(s, waiter, item, copies, origin);
    }
}

void round_start(struct session *s, struct work *w, struct item *item, bool claiming)
{
    w->held++;
    bool early =
        (kind_of(s, &w->key)->ack == 0 && !quorum_rules(s, &w->key)) || MUTANT(ACK_BEFORE_COPY);
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
    w->spread |= work_waits(w);
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

/* Those that are no holders by the new list know it now, and serve no more: they are to drop it. */
static void let_go(struct work *w, struct item *item)
{
    struct session_state *st = item->state;
    for (size_t i = st->count; i-- > 0;) {
        uint64_t inc = st->copies[i].inc;
        if (!st->copies[i].going)
            continue;
        item_forget_copy(item, inc);
        round_drop(w, inc);
    }
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
    if (s->verify.count > 0)
        verify_forget(s, &w->key);
    record_settle(item->record);
    let_go(w, item);
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

/* Those that were passed over keep what they have: nobody took their place. */
static void take_back(struct work *w, struct item *item)
{
    struct session_state *st = item->state;
    for (size_t i = 0; i < w->passed_count && st->count < RECORD_HOLDERS_MAX; i++)
        if (!item_copy(item, w->passed[i].inc))
            st->copies[st->count++] = w->passed[i];
    w->passed_count = 0;
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
    struct item *item = table_find(s->table, &w->key);
    if (item && item->role == ROLE_OWNER)
        take_back(w, item);
    /* Where a majority decides, it has to be asked again before anything else is said of it. */
    if (item && item->role == ROLE_OWNER && quorum_rules(s, &w->key) && (w->claiming || w->made))
        item->state->doubtful = true;
    work_begin(s, w, WORK_IDLE);
    item = table_find(s->table, &w->key);
    if (item) {
        record_settle(item->record);
        if (item->role != ROLE_OWNER || item->state->doubtful || item_needs_repair(s, item))
            repair_note(s, item);
    }
    w->again_ns = again_ns;
    if (!again_ns)
        serve_key(s, w);
}

/* -- undoing -- */

void round_mark(struct session *s, struct work *w, struct item *item)
{
    w->made = false;
    w->undo_state = *item->state;
    w->undo_life_ns = item->life_ns;
    w->spread = kind_of(s, &w->key)->ack == 0 || !record_mark(item->record);
}

/* The first version of a record, which its maker is told was refused: nobody knows its key, so it
 * goes at once. */
static bool is_unmade(const struct work *w)
{
    if (!w->made || list_empty(&w->round))
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

/* What the round's waiters wrote is taken back, if nobody else has it or can get it any more. The
 * version stays: none is ever said twice. */
static bool undo(struct session *s, struct work *w, struct item *item)
{
    struct stamp stamp = item->record->stamp;
    if (w->spread || w->claiming || list_empty(&w->round) || work_waits(w))
        return false;
    if (w->made) {
        item_remove(s, item);
        return true;
    }
    if (!record_revert(item->record))
        return false;
    item->record->stamp = stamp;
    *item->state = w->undo_state;
    w->passed_count = 0;
    table_recount(s->table, item);
    item->life_ns = w->undo_life_ns;
    expiry_set(s, item, item_left_ms(s, item));
    return true;
}

static void retry_round(struct session *s, struct work *w)
{
    while (!list_empty(&w->round))
        waiter_retry(s, list_entry(w->round.next, struct waiter, link));
}

/* Everybody has answered, and some will not have it. A refusal is said only of what was not done.
 */
static void conclude_refused(struct session *s, struct work *w, struct item *item)
{
    uint64_t again_ns = s->now_ns + REFUSED_NS;
    int status = w->refusal;
    if (status && undo(s, w, item)) {
        /* A voter has promised a greater ballot meanwhile, of this key or one beside it. */
        if (status == STEAD_E_BUSY && quorum_rules(s, &w->key))
            retry_round(s, w);
        fail_round(s, w, status, 0);
        return;
    }
    if (is_unmade(w))
        unmake(s, w, item);
    fail_round(s, w, STEAD_E_UNKNOWN, again_ns);
}

/* Nobody is left to keep a copy, and the kind does not do without. */
static void conclude_alone(struct session *s, struct work *w, struct item *item)
{
    uint64_t any[RECORD_HOLDERS_MAX];
    size_t least = kind_least(kind_of(s, &w->key));
    int status = placement_holders(s, &w->key, 0, any) >= least ? STEAD_E_FULL : STEAD_E_ALONE;
    if (undo(s, w, item)) {
        fail_round(s, w, status, 0);
        return;
    }
    work_fail(s, w, STEAD_E_UNKNOWN, false); /* it is done here, but not kept as promised */
    complete(s, w, item);
}

/* Of those that stay, or of all. */
static size_t count_kept(const struct session_state *st, uint64_t version, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < st->count; i++)
        kept += st->copies[i].version == version && (all || !st->copies[i].going);
    return kept;
}

/* So many holders have it as the kind's callers wait for; the round goes on without them. */
static void answer_early(struct session *s, struct work *w, struct item *item, const struct kind *k)
{
    size_t kept = count_kept(item->state, w->stamp.version, false);
    if (k->ack != ACK_ALL && k->atomic == ATOMIC_AVAILABLE && !w->claiming && kept >= k->ack &&
        kept >= kind_least(k))
        answer_round(s, w, item, (uint8_t)(1 + kept), ORIGIN_LOCAL);
}

/* Fewer than a majority of the voters are there to keep it. */
static void conclude_thin(struct session *s, struct work *w, struct item *item)
{
    bool waits = !list_empty(&w->round);
    int status = waits && undo(s, w, item) ? STEAD_E_NO_QUORUM : STEAD_E_UNKNOWN;
    s->stats.no_quorum += status == STEAD_E_NO_QUORUM;
    fail_round(s, w, status, s->now_ns + REFUSED_NS);
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
    const struct kind *k = kind_of(s, &w->key);
    answer_early(s, w, item, k);
    if (work_waits(w))
        return;
    bool alone = item_holders(item) < kind_least(k);
    /* Without memory a holder may not even have been asked. */
    if (count_kept(item->state, w->stamp.version, true) < item->state->count)
        conclude_refused(s, w, item);
    else if (quorum_rules(s, &w->key) && !quorum_kept(s, item, w->stamp.version))
        conclude_thin(s, w, item);
    else if (alone && !list_empty(&w->round))
        conclude_alone(s, w, item);
    else
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

/* The pause grows when there is still no room after it: what is asked for is whole records. */
static void note_full(struct session *s, struct peer *p, const struct record *r)
{
    if (s->now_ns >= p->full_until_ns || r->memory_bytes < p->full_bytes)
        p->full_bytes = r->memory_bytes;
    if (s->now_ns >= p->full_until_ns) {
        bool soon = s->now_ns < p->full_until_ns + p->full_pause_ns;
        p->full_pause_ns = soon ? 2 * p->full_pause_ns : FULL_NS;
        if (p->full_pause_ns > FULL_MAX_NS)
            p->full_pause_ns = FULL_MAX_NS;
        p->full_until_ns = s->now_ns + p->full_pause_ns;
    }
    p->full_kinds |= 1u << r->key.kind;
}

/* A holder is full: it gets no new copies of this kind for a while, and another takes its place, or
 * nobody. False: there is none, and holders of an earlier version are, which is better than
 * nothing.
 */
static bool pass_over(struct session *s, struct work *w, struct item *item, const struct target *t)
{
    struct peer *p = peer_find(s, t->inc);
    if (p)
        note_full(s, p, item->record);
    const struct copy *c = item_copy(item, t->inc);
    bool going = c && c->going;
    bool older = c && c->version != 0 && !going, other = going || item_has_candidate(s, item);
    if (older && !other)
        return false;
    if (older && w->passed_count < RECORD_HOLDERS_MAX)
        w->passed[w->passed_count++] = *c;
    item_forget_copy(item, t->inc);
    if (!other && w->passed_count > 0) {
        take_back(w, item);
        return false;
    }
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
        bool clear = status == STEAD_E_FULL || status == STEAD_E_NOMEM || status == STEAD_E_BUSY;
        w->refusal = clear ? status : 0;
        round_check(s, w);
    }
}

void round_answered(struct session *s, uint64_t from, const struct message *m)
{
    if (m->token & BULK_TOKEN) {
        bulk_answered(s, from, m);
        return;
    }
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
        w->spread = true;
        if (c)
            *c = (struct copy){.inc = from,
                               .going = c->going,
                               .version = w->stamp.version,
                               .granted = t->granted,
                               .counted = t->counted};
        round_check(s, w);
    }
    w->held--;
    work_release(s, w);
}
