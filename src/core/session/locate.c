/* Finding a key that is not here: everybody who is heard is asked. Absent and unreachable are two
 * answers. */
#include "core/session/session_internal.h"

void locate_ask(struct session *s, struct work *w)
{
    struct message m = {
        .type = MESSAGE_LOCATE, .key = w->key, .token = w->token, .base = w->ballot};
    for (size_t i = 0; i < w->target_count; i++)
        if (w->targets[i].answer == ANSWER_WAITING)
            session_send(s, &m, NULL, w->targets[i].inc);
}

/* Where a majority decides: is somebody waiting who is to make the record here? */
static bool makes(const struct session *s, const struct work *w)
{
    bool any = false;
    for (const struct list *l = w->queue.next; l != &w->queue; l = l->next)
        any |= list_entry(l, struct waiter, link)->op.type == SESSION_CREATE_IF_ABSENT;
    return any && s->quorum.self != 0 && quorum_rules(s, &w->key);
}

void locate_start(struct session *s, struct work *w)
{
    w->held++;
    s->stats.reads_missed++;
    work_begin(s, w, WORK_LOCATE);
    w->missing = s->missing;
    w->outbid = false;
    w->outlived = (struct stamp){0};
    w->ballot = makes(s, w) ? quorum_ballot(s, &w->key) : 0;
    if (!work_target_heard(s, w)) {
        work_begin(s, w, WORK_IDLE);
        work_fail(s, w, STEAD_E_NOMEM, true);
    } else {
        locate_ask(s, w);
        locate_check(s, w);
    }
    w->held--;
    work_release(s, w);
}

void locate_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    struct message reply = {.type = MESSAGE_LOCATED,
                            .key = m->key,
                            .token = m->token,
                            .votes = s->quorum.votes ? VOTES_YES : 0,
                            .base = m->base};
    if (!item) {
        reply.status = (uint8_t)-STEAD_E_ABSENT;
        reply.missing = missing_told(s);
        if (m->base != 0 && !quorum_promise(s, &m->key, from, &reply.base))
            reply.votes = VOTES_ANOTHER;
    } else {
        reply.status = item->record->ended ? (uint8_t)-STEAD_E_ENDED : 0;
        reply.stamp = item->record->stamp;
        reply.peer = item->record->stamp.inc;
    }
    session_send(s, &reply, NULL, from);
}

void locate_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct work *w = work_find(s, &m->key);
    struct target *t =
        w && w->phase == WORK_LOCATE && w->token == m->token ? work_target(w, from) : NULL;
    if (!t || t->answer != ANSWER_WAITING)
        return;
    int status = -(int)m->status;
    t->answer = status == STEAD_OK        ? ANSWER_HAVE
                : status == STEAD_E_ENDED ? ANSWER_REFUSED
                                          : ANSWER_NONE;
    t->stamp = m->stamp;
    t->owner = m->peer;
    t->votes = m->votes & VOTES_YES;
    if ((m->votes & VOTES_ANOTHER) && m->base > w->ballot) {
        w->outbid = true;
        quorum_saw(s, &m->key, &(struct stamp){.term = m->base});
    }
    w->missing = m->missing > w->missing ? m->missing : w->missing;
    w->held++;
    locate_check(s, w);
    w->held--;
    work_release(s, w);
}

/* Where the operations go: the owner by the greatest stamp if it is heard, else the first of those
 * who have a copy. 0: nowhere; also when the greatest is this node's own: it owned the record, and
 * the record is over. */
static uint64_t best_place(struct session *s, const struct work *w)
{
    const struct target *best = NULL;
    uint64_t have[RECORD_HOLDERS_MAX * 2];
    size_t count = 0;
    for (size_t i = 0; i < w->target_count; i++) {
        const struct target *t = &w->targets[i];
        if (t->answer != ANSWER_HAVE)
            continue;
        if (!best || stamp_compare(&t->stamp, &best->stamp) > 0)
            best = t;
        if (count < sizeof(have) / sizeof(have[0]))
            have[count++] = t->inc;
    }
    if (best && best->owner == s->self_inc)
        return 0;
    if (best && peer_is_heard(s, best->owner))
        return best->owner;
    return placement_first(s, &w->key, have, count, false);
}

/* What others still have of a life that was over here, since they were not told yet: the next life
 * begins above it. */
static void note_outlived(const struct session *s, struct work *w)
{
    for (size_t i = 0; i < w->target_count; i++) {
        const struct target *t = &w->targets[i];
        if (t->answer == ANSWER_HAVE && t->stamp.inc == s->self_inc &&
            stamp_compare(&t->stamp, &w->outlived) > 0)
            w->outlived = t->stamp;
    }
}

/* asked_ns: when the others were asked. They may know of losses from before this node's time. */
static void finish_absent(struct session *s, struct work *w, uint64_t asked_ns)
{
    size_t missing = s->missing > w->missing ? s->missing : w->missing;
    size_t copies = kind_of(s, &w->key)->copies;
    if (kind_of(s, &w->key)->group && copies > 2)
        copies = 2; /* a group may be small */
    bool lost = missing >= copies || (missing > 0 && missing >= s->holder_nodes);
    struct list again, *l;
    list_init(&again);
    if (!lost)
        hint_set_absent(s, &w->key);
    while ((l = list_pop(&w->queue))) {
        struct waiter *waiter = list_entry(l, struct waiter, link);
        if (waiter->queued_ns > asked_ns) {
            /* It came when others had been asked: the record may have been made since. */
            list_append(&again, l);
        } else if (waiter->op.type == SESSION_CREATE_IF_ABSENT && !lost) {
            waiter->searched = true;
            list_append(&again, l);
        } else {
            waiter_fail(s, waiter, lost ? STEAD_E_UNREACHABLE : STEAD_E_ABSENT);
        }
    }
    list_splice(&w->queue, &again);
}

/* The same where a majority decides: what it has not said is not known. */
static void finish_granted(struct session *s, struct work *w, uint64_t asked_ns)
{
    bool granted = quorum_granted(s, w) && !w->outbid, sight = quorum_in_sight(s);
    for (size_t i = 0; i < w->target_count; i++)
        granted &= w->targets[i].answer != ANSWER_HAVE; /* it is heard no more */
    struct list again, *l;
    list_init(&again);
    if (!sight && !granted)
        quorum_refuse(s, w);
    while ((l = list_pop(&w->queue))) {
        struct waiter *waiter = list_entry(l, struct waiter, link);
        bool creates = waiter->op.type == SESSION_CREATE_IF_ABSENT;
        if (!granted) {
            waiter_retry(s, waiter);
        } else if (waiter->queued_ns > asked_ns || (creates && w->ballot == 0)) {
            list_append(&again, l);
        } else if (creates) {
            waiter->searched = true;
            list_append(&again, l);
        } else {
            waiter_fail(s, waiter, STEAD_E_ABSENT);
        }
    }
    list_splice(&w->queue, &again);
}

void locate_check(struct session *s, struct work *w)
{
    bool ended = false;
    if (table_find(s->table, &w->key)) {
        work_begin(s, w, WORK_IDLE);
        serve_key(s, w);
        return;
    }
    for (size_t i = 0; i < w->target_count; i++)
        ended |= w->targets[i].answer == ANSWER_REFUSED;
    if (work_waits(w) && !ended)
        return;
    uint64_t place = best_place(s, w), asked_ns = w->since_ns;
    if (!ended && !place && work_target_late(s, w)) {
        locate_ask(s, w);
        return;
    }
    if (!ended && !place && quorum_rules(s, &w->key)) {
        finish_granted(s, w, asked_ns);
        work_begin(s, w, WORK_IDLE);
        serve_key(s, w);
        return;
    }
    if (!place)
        note_outlived(s, w);
    work_begin(s, w, WORK_IDLE);
    if (ended) {
        work_fail(s, w, STEAD_E_ENDED, true);
        return;
    }
    if (!place) {
        finish_absent(s, w, asked_ns);
        serve_key(s, w);
        return;
    }
    const struct peer *found = peer_find(s, place);
    s->stats.found += found && !found->view.repository;
    s->stats.found_kept += found && found->view.repository;
    struct list *l;
    /* The owner knows whether it lives: what was deleted by version may be created anew. */
    while ((l = list_pop(&w->queue)))
        waiter_pass(s, list_entry(l, struct waiter, link), place);
}
