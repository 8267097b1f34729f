/* Meeting again: what each side owns is announced to a peer that was away, and what differs is
 * merged at the owner. */
#include "core/session/session_internal.h"

#include <string.h>

#define ANNOUNCE_BATCH 64  /* owned records; the last of them is answered by HEARD */
#define ANNOUNCE_FLIGHT 16 /* batches to a peer that are not answered yet */
#define ANNOUNCE_LOOKS 4096
#define ANNOUNCE_LOST_NS NS_PER_S /* by then a batch is answered, or its last one lost */
#define OFFER_NS (2 * NS_PER_S)   /* an offer is answered by then, or lost */

/* -- announcing -- */

/* Is who hears of it a holder? If not, it drops its copy; but not before others have theirs. */
enum listed { LISTED_NOT, LISTED, LISTED_NOT_YET_KEPT };

static enum listed listed_for(struct session *s, struct item *item, uint64_t to)
{
    if (item_copy(item, to))
        return LISTED;
    return item_needs_repair(s, item) ? LISTED_NOT_YET_KEPT : LISTED_NOT;
}

static void announce(struct session *s, struct item *item, uint64_t to, bool asks)
{
    struct message m = {.type = MESSAGE_ANNOUNCE,
                        .key = item->record->key,
                        .stamp = item->record->stamp,
                        .digest = record_digest(item->record),
                        .index = listed_for(s, item, to),
                        .count = asks};
    session_send(s, &m, NULL, to);
}

/* Returns how much it was. */
static size_t announce_batch(struct session *s, struct peer *p)
{
    struct item *items[ANNOUNCE_BATCH], *last = NULL;
    size_t n = table_walk(s->table, &p->cursor, items, ANNOUNCE_BATCH);
    for (size_t i = 0; i < n; i++) {
        if (items[i]->role != ROLE_OWNER || item_ran_out(s, items[i]))
            continue;
        if (last)
            announce(s, last, p->view.inc, false);
        last = items[i];
    }
    if (last) {
        announce(s, last, p->view.inc, true);
        p->unheard++;
    }
    if (p->cursor == 0)
        p->announcing = false;
    return n + 1;
}

static void announce_to(struct session *s, struct peer *p)
{
    size_t looks = 0;
    while (p->announcing && peer_heard(&p->view) && p->unheard < ANNOUNCE_FLIGHT &&
           looks < ANNOUNCE_LOOKS)
        looks += announce_batch(s, p);
}

void heal_announce(struct session *s)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        struct peer *p = &s->peers[i];
        if (p->unheard == 0 || s->now_ns >= p->announce_heard_ns + ANNOUNCE_LOST_NS) {
            p->unheard = 0;
            p->announce_heard_ns = s->now_ns;
        }
        announce_to(s, p);
    }
}

void heal_heard(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    (void)m;
    if (!p || p->unheard == 0)
        return;
    p->unheard--;
    p->announce_heard_ns = s->now_ns;
    announce_to(s, p);
}

/* -- announced to -- */

void heal_offer(struct session *s, struct item *item, uint64_t to)
{
    struct message m = {.type = MESSAGE_OFFER, .key = item->record->key, .token = ++s->next_token};
    item->offered = m.token;
    item->offered_ns = s->now_ns;
    if (!session_send(s, &m, item->record, to))
        item->generation = GENERATION_UNSURE; /* offered again by mending */
    if (item->role == ROLE_OWNER)
        return;
    item->mend_ns = s->now_ns + OFFER_NS;
    repair_note(s, item); /* so is one that nobody answers */
}

static void gone(struct session *s, struct item *item, uint64_t owner)
{
    struct key key = item->record->key;
    item_remove(s, item);
    hint_set(s, &key, owner);
    struct work *w = work_find(s, &key);
    if (w)
        work_check(s, w);
}

void heal_rivals(struct session *s, struct work *w)
{
    struct item *item = w->rival_count > 0 ? table_find(s->table, &w->key) : NULL;
    for (size_t i = 0; item && item->role == ROLE_OWNER && i < w->rival_count; i++)
        if (peer_is_heard(s, w->rivals[i]))
            announce(s, item, w->rivals[i], false);
    w->rival_count = 0;
}

void heal_announced(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    struct message heard = {.type = MESSAGE_HEARD, .key = m->key};
    if (m->count)
        session_send(s, &heard, NULL, from);
    if (!item || !peer_is_heard(s, from))
        return;
    if (item_is_shelved(item) && !item->record->ended) {
        gone(s, item, from);
        return;
    }
    const struct stamp *mine = &item->record->stamp;
    bool same = record_digest(item->record) == m->digest;
    struct work *w = work_find(s, &m->key);
    /* What was over here does not come into the life after it. */
    if (mine->inc != from && m->index == LISTED_NOT && !(w && w->phase != WORK_IDLE) &&
        item_ran_out(s, item) && !quorum_rules(s, &m->key)) {
        gone(s, item, from);
        return;
    }
    if (item->role == ROLE_OWNER) {
        if (w && w->phase != WORK_IDLE) {
            if (w->rival_count < sizeof(w->rivals) / sizeof(w->rivals[0]))
                w->rivals[w->rival_count++] = from;
            return;
        }
        if (stamp_compare(mine, &m->stamp) > 0) {
            announce(s, item, from, false);
            return;
        }
        s->stats.fenced++;
        session_tell(s, NOTICE_FENCED, &m->key, from, 0);
        item_step_down(s, item);
        hint_set(s, &m->key, from);
        heal_offer(s, item, from);
        return;
    }
    if (mine->inc == from) {
        if (m->index == LISTED || stamp_compare(mine, &m->stamp) > 0)
            return;
        if (m->index == LISTED_NOT && !quorum_rules(s, &m->key))
            gone(s, item, from);
        else /* it may be the only copy yet, or one of the majority that keeps it */
            heal_offer(s, item, from);
        return;
    }
    bool newer = stamp_compare(mine, &m->stamp) > 0;
    if (newer && peer_is_heard(s, mine->inc))
        return; /* its owner will say so itself */
    /* What was owned here may have copies elsewhere, which the new owner learns of from the offer.
     * What is newer here was said of by an owner that may be none by now. */
    if (same && !newer && m->index == LISTED_NOT && mine->inc != s->self_inc &&
        !quorum_rules(s, &m->key))
        gone(s, item, from);
    else
        heal_offer(s, item, from);
}

/* -- offered -- */

static void taken(struct session *s, const struct message *m, uint64_t to, int status,
                  uint64_t owner, struct item *item)
{
    struct message reply = {.type = MESSAGE_TAKEN,
                            .key = m->key,
                            .token = m->token,
                            .status = (uint8_t)-status,
                            .peer = owner};
    if (item)
        reply.stamp = item->record->stamp;
    session_send(s, &reply, NULL, to);
}

static bool remember_offer(struct work *w, uint64_t from, uint64_t token)
{
    if (w->offer_count == sizeof(w->offers) / sizeof(w->offers[0]))
        return false;
    w->offers[w->offer_count].inc = from;
    w->offers[w->offer_count++].token = token;
    return true;
}

/* The owner's stamp goes on; what it learned is a new version of it. */
static void raise_stamp(struct session *s, struct record *r, const struct stamp *own,
                        const struct stamp *other)
{
    uint64_t term = own->term;
    if (other->term > term || (other->term == term && other->inc != own->inc))
        term = other->term + 1;
    uint64_t version = own->version > other->version ? own->version : other->version;
    r->stamp = (struct stamp){term, version + 1, s->self_inc};
}

/* Live values of the other side that the merge did not keep, and that this owner never knew. */
static uint32_t lost_there(const struct session *s, const struct record *mine,
                           const struct record *r, const struct stamp *base)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct field *f = r->fields[i];
        const struct field *kept = record_get(mine, field_name(f), f->name_len);
        bool same = kept && kept->value_len == f->value_len &&
                    memcmp(field_value(kept), field_value(f), f->value_len) == 0;
        bool news = f->stamp.inc != s->self_inc && stamp_compare(&f->stamp, base) > 0;
        lost += !f->removed && !same && news;
    }
    return lost;
}

/* Another has owned it since: a majority is to say what there is. */
static void doubt(struct session *s, struct work *w, struct item *item)
{
    if (w->phase != WORK_IDLE)
        return;
    item->state->doubtful = true;
    repair_note(s, item);
    serve_key(s, w);
}

static void take(struct session *s, uint64_t from, const struct message *m, struct item *item,
                 struct work *w, const struct record *r)
{
    struct stamp own = item->record->stamp;
    uint32_t ttl = item->record->ttl_ms;
    unsigned lost;
    bool changed;
    if (quorum_rules(s, &m->key) && r->stamp.inc != s->self_inc && r->stamp.term >= own.term) {
        taken(s, m, from, STEAD_E_BUSY, s->self_inc, item);
        doubt(s, w, item);
        return;
    }
    if (item_merge(s, item, r, &changed, &lost)) {
        taken(s, m, from, STEAD_E_BUSY, s->self_inc, item);
        return;
    }
    struct record *mine = item->record;
    mine->ttl_ms = ttl;
    mine->stamp = own;
    if (changed || r->stamp.term > own.term) {
        raise_stamp(s, mine, &own, &r->stamp);
        if (record_is_tombstone(mine))
            expiry_set(s, item, 0);
    }
    struct stamp *base = &item->state->base;
    lost += lost_there(s, mine, r, base);
    if (changed || lost > 0 || r->stamp.term > own.term) {
        s->stats.splits_merged++;
        s->stats.values_lost += lost;
        session_tell(s, NOTICE_SPLIT_MERGED, &m->key, from, lost);
    }
    if (stamp_compare(&r->stamp, base) > 0)
        *base = r->stamp;
    mine->holder_count = 0;
    /* The other side's copies are nobody's now: they serve reads no more, once they are told. */
    for (size_t i = 0; i < r->holder_count; i++)
        if (r->holders[i] != s->self_inc)
            round_drop(w, r->holders[i]);
    /* What came from the other side is not in a delta. */
    for (size_t i = 0; i < item->state->count && changed; i++)
        item->state->copies[i].version = 0;
    if (w->phase == WORK_ROUND || w->phase == WORK_IDLE)
        if (!remember_offer(w, from, m->token))
            taken(s, m, from, STEAD_E_BUSY, s->self_inc, item);
    if (w->phase == WORK_ROUND) {
        w->spread = true; /* what was offered is in it too */
        item_choose_holders(s, item, w);
        round_again(s, w, item);
    } else if (w->phase == WORK_IDLE) {
        round_start(s, w, item, false);
    } else {
        taken(s, m, from, STEAD_E_BUSY, s->self_inc, item);
    }
}

void heal_offered(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (item && item_is_shelved(item))
        item = NULL;
    if (!item || item->role != ROLE_OWNER) {
        uint64_t owner = item ? item_owner(s, item) : hint_get(s, &m->key);
        taken(s, m, from, STEAD_E_NOT_FOUND, owner == from ? 0 : owner, item);
        return;
    }
    struct record *r = session_record(s, from, m);
    struct work *w = r ? work_get(s, &m->key) : NULL;
    if (w) {
        w->held++;
        take(s, from, m, item, w, r);
        w->held--;
        work_release(s, w);
    } else {
        taken(s, m, from, STEAD_E_BUSY, s->self_inc, item);
    }
    record_free(r);
}

static bool listed_by(const struct session *s, const struct item *item, uint64_t owner)
{
    const struct record *r = item->record;
    for (size_t i = 0; i < r->holder_count && r->stamp.inc == owner; i++)
        if (r->holders[i] == s->self_inc)
            return true;
    return false;
}

/* What was offered is kept by its owner; or it was no owner, and another must be found. */
void heal_taken(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    struct work *w = work_find(s, &m->key);
    if (w && w->phase == WORK_HANDOVER && w->token == m->token) {
        leave_taken(s, w, from, -(int)m->status);
        return;
    }
    if (!item || item->role == ROLE_OWNER)
        return;
    int status = -(int)m->status;
    if (status == STEAD_OK && item->offered != m->token) {
        /* What is here is not what was taken; unless a later offer is on its way. */
        if (item->offered == 0 && !listed_by(s, item, from))
            heal_offer(s, item, from);
    } else if (status == STEAD_OK) {
        if (!listed_by(s, item, from) && stamp_compare(&item->record->stamp, &m->stamp) <= 0)
            gone(s, item, from);
    } else if (status == STEAD_E_NOT_FOUND && m->peer != 0 && m->peer != s->self_inc &&
               peer_is_heard(s, m->peer)) {
        heal_offer(s, item, m->peer);
    } else if (item->record->stamp.inc == from || !listed_by(s, item, item->record->stamp.inc) ||
               !peer_is_heard(s, item->record->stamp.inc)) {
        item->generation = 0;
        if (item->record->stamp.inc == from && m->stamp.term == 0)
            item->life_ns = 0; /* its owner has forgotten it: if nobody else has it, it is over */
        hint_set(s, &m->key, 0);
        repair_note(s, item); /* a claim asks everybody */
    }
}
