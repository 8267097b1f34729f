/* The other side of a round: what a holder accepts, what it refuses, and when it may serve its copy
 * unasked. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#define DISOWNED_NS (NS_PER_S)
#define OUTDATED_NS (3 * NS_PER_S)
#define OFFER_NS (2 * NS_PER_S) /* an offer is answered by then, or lost */

static bool listed(const struct session *s, const struct record *r)
{
    for (size_t i = 0; i < r->holder_count; i++)
        if (r->holders[i] == s->self_inc)
            return true;
    return false;
}

/* Is the record's end so near that only the owner can say whether it is over? Renewals are told
 * with a delay. */
static bool life_ends(const struct session *s, const struct item *item)
{
    uint64_t delay_ns = item->record->ttl_ms * NS_PER_MS / 10;
    return item->life_ns != TIME_NEVER && item->life_ns < s->now_ns + delay_ns;
}

bool holder_may_serve(struct session *s, const struct item *item)
{
    const struct record *r = item->record;
    struct peer *p = peer_find(s, r->stamp.inc);
    if (MUTANT(READ_WITHOUT_LEASE))
        return true;
    /* Owners replace a holder that leaves, and write on before it is told. */
    if (s->self_state == PEER_LEAVING || quorum_rules(s, &r->key))
        return false;
    return p && peer_heard(&p->view) && listed(s, r) && item->generation != 0 &&
           item->generation == p->view.granted + 1 && p->view.lease_until_ns > s->now_ns &&
           !life_ends(s, item);
}

/* -- REPLICATE -- */

static void answer(struct session *s, uint64_t to, const struct message *m, int status,
                   const struct stamp *stamp)
{
    s->stats.bulk_taken += status == STEAD_OK && (m->token & BULK_TOKEN);
    struct message reply = {
        .type = MESSAGE_REPLICATED, .key = m->key, .token = m->token, .status = (uint8_t)-status};
    if (stamp)
        reply.stamp = *stamp;
    session_send(s, &reply, NULL, to);
}

/* Where a majority decides: this voter stands by the owner that it hears and that confirmed the
 * copy here, unless that one handed the record over; and by what a claimant had not seen. */
static bool overtakes(struct session *s, uint64_t from, const struct item *item,
                      const struct message *m)
{
    const struct stamp *mine = &item->record->stamp;
    struct peer *owner = peer_find(s, mine->inc);
    if (mine->inc == from || MUTANT(QUORUM_OF_ONE))
        return false;
    bool stands = item->role != ROLE_OWNER && owner && peer_heard(&owner->view) &&
                  item->generation != 0 && item->generation == owner->view.granted + 1;
    return (stands && !(m->votes && m->peer == mine->inc)) ||
           (m->votes && stamp_compare(mine, &m->seen) > 0);
}

/* May `from` write this record, as far as this node knows? */
static int judge(struct session *s, uint64_t from, const struct item *item, const struct record *r,
                 const struct message *m)
{
    const struct stamp *mine = &item->record->stamp;
    if (quorum_rules(s, &m->key) && overtakes(s, from, item, m))
        return STEAD_E_FENCED;
    if (MUTANT(NO_FENCING))
        return STEAD_OK;
    if (item->record->ended && !r->ended)
        return STEAD_E_ENDED;
    if (r->stamp.term < mine->term)
        return STEAD_E_FENCED;
    if (r->stamp.term > mine->term || mine->inc == from)
        return STEAD_OK;
    /* The same term and another owner. A claim of this node that did not come about stands in
     * nobody's way; one that is under way gives way to the greater stamp; what another has written
     * here holds. */
    if (mine->inc != s->self_inc)
        return STEAD_E_FENCED;
    struct work *w = work_find(s, &item->record->key);
    bool settled = item->role == ROLE_OWNER && !(w && w->phase == WORK_ROUND && w->claiming);
    return settled || (item->role == ROLE_OWNER && stamp_compare(mine, &r->stamp) > 0)
               ? STEAD_E_FENCED
               : STEAD_OK;
}

static bool base_fits(const struct item *item, const struct message *m, const struct record *r)
{
    if (m->base == 0)
        return true;
    const struct stamp *mine = &item->record->stamp;
    return mine->term == r->stamp.term && mine->inc == r->stamp.inc && mine->version >= m->base;
}

/* Takes the head of what the owner sent, whatever merge made of it: only the owner says who holds
 * copies. */
static void take_head(struct item *item, const struct record *r)
{
    struct record *mine = item->record;
    if (stamp_compare(&r->stamp, &mine->stamp) < 0)
        return;
    mine->stamp = r->stamp;
    mine->ttl_ms = r->ttl_ms;
    mine->holder_count = r->holder_count;
    for (size_t i = 0; i < r->holder_count; i++)
        mine->holders[i] = r->holders[i];
}

/* Life runs here as it does at the owner, who has last told of a renewal so long ago. */
static void keep_life(struct session *s, struct item *item, const struct message *m)
{
    uint32_t ttl_ms = item->record->ttl_ms;
    uint64_t used_ns = m->left_ms < ttl_ms ? (ttl_ms - m->left_ms) * NS_PER_MS : 0;
    item->touched_ns = s->now_ns > used_ns ? s->now_ns - used_ns : 0;
    expiry_set(s, item, m->left_ms);
}

/* The owner has confirmed this copy. One that its list does not name is to be dropped soon; if that
 * is not said, since it is the owner no more, it is offered. */
static void confirm(struct session *s, struct item *item, const struct message *m)
{
    item->generation = m->counted + 1;
    if (listed(s, item->record))
        return;
    item->generation = GENERATION_UNSURE;
    item->mend_ns = s->now_ns + OUTDATED_NS;
    repair_note(s, item);
}

static void keep(struct session *s, uint64_t from, const struct message *m, struct item *item,
                 const struct record *r)
{
    unsigned lost;
    bool changed, was_owner = item->role == ROLE_OWNER;
    bool newer = stamp_compare(&r->stamp, &item->record->stamp) >= 0;
    if (was_owner)
        heal_offer(s, item, from); /* its own holders are in it, to be told */
    else
        item->offered = 0;
    int err = item_merge(s, item, r, &changed, &lost);
    if (err) {
        answer(s, from, m, err, &item->record->stamp);
        return;
    }
    item_step_down(s, item);
    item_unqueue(s, item);
    take_head(item, r);
    confirm(s, item, m);
    if (quorum_rules(s, &m->key))
        quorum_saw(s, &m->key, &r->stamp);
    if (newer)
        keep_life(s, item, m);
    if (was_owner) {
        s->stats.values_lost += lost;
        session_tell(s, NOTICE_FENCED, &m->key, from, lost);
    }
    bool differs = newer && m->digest != record_digest(item->record);
    answer(s, from, m, differs && m->base ? STEAD_E_NOT_FOUND : STEAD_OK, &r->stamp);
    /* What the owner does not have, it is told: two sides of a split, or a write that never was
     * acknowledged. */
    if (differs && m->base == 0 && !was_owner)
        heal_offer(s, item, from);
    struct work *w = work_find(s, &m->key);
    if (w)
        work_check(s, w);
}

/* A leaving node takes no copy: it may have been told already to drop this one, by a message that
 * overtook. */
static void keep_new(struct session *s, uint64_t from, const struct message *m, struct record *r)
{
    struct item *item = NULL;
    bool rules = quorum_rules(s, &m->key);
    if (m->base != 0) {
        answer(s, from, m, STEAD_E_NOT_FOUND, NULL);
    } else if (bulk_is_late(s, from, m)) {
        answer(s, from, m, STEAD_E_BUSY, NULL);
    } else if (rules && (m->votes & NEWS_MADE) &&
               !quorum_may_make(s, &m->key, from, r->stamp.term)) {
        answer(s, from, m, STEAD_E_BUSY, NULL);
    } else if (s->self_state == PEER_LEAVING || !s->self_holds ||
               !item_room_make(s, r->key.kind, r->memory_bytes)) {
        answer(s, from, m, STEAD_E_FULL, NULL);
    } else if (!(item = item_insert(s, r, ROLE_HOLDER))) {
        answer(s, from, m, STEAD_E_NOMEM, NULL);
    } else {
        confirm(s, item, m);
        keep_life(s, item, m);
        if (rules)
            quorum_saw(s, &m->key, &r->stamp);
        answer(s, from, m, STEAD_OK, &r->stamp);
        struct work *w = work_find(s, &m->key);
        if (w)
            work_check(s, w);
        return;
    }
    record_free(r);
}

/* A whole record takes the place of the one that is here; a delta comes on top. An end needs no
 * room, nor does another head. */
static size_t growth(const struct item *item, const struct message *m, const struct record *r)
{
    if (record_is_tombstone(r) || (m->base != 0 && r->field_count == 0))
        return 0;
    if (m->base != 0)
        return r->memory_bytes;
    return r->memory_bytes > item->record->memory_bytes
               ? r->memory_bytes - item->record->memory_bytes
               : 0;
}

/* There is no room here for what its owner writes: it may be written elsewhere, and this copy
 * serves no more. The owner is asked once, after a while, what becomes of it. */
static void outdate(struct session *s, struct item *item)
{
    bool asked = item->generation >= GENERATION_OUTDATED;
    if (item->role == ROLE_OWNER)
        return;
    item->generation = asked ? GENERATION_OUTDATED : GENERATION_UNSURE;
    item->mend_ns = s->now_ns + OUTDATED_NS;
    if (asked)
        item_unqueue(s, item);
    else
        repair_note(s, item);
}

void holder_replicate(struct session *s, uint64_t from, const struct message *m)
{
    struct record *r = session_record(s, from, m);
    if (!r || r->stamp.inc != from) {
        s->stats.malformed += r != NULL;
        record_free(r);
        return;
    }
    bool late = peer_stale_contact(s, from, m) || peer_lapsed(s, from);
    if (late && !MUTANT(NO_FENCING)) {
        record_free(r);
        return;
    }
    if (!peer_same_contact(s, from, m) && !MUTANT(NO_FENCING)) {
        answer(s, from, m, STEAD_E_DENIED, NULL);
        record_free(r);
        return;
    }
    session_drop_false(s, &m->key, &r->stamp);
    struct item *item = table_find(s->table, &m->key);
    if (!item || shelf_yields(s, item)) {
        keep_new(s, from, m, r);
        return;
    }
    int err = judge(s, from, item, r, m);
    if (!err && !base_fits(item, m, r))
        err = STEAD_E_NOT_FOUND;
    size_t more = err ? 0 : growth(item, m, r);
    if (more > 0 && !item_room_make(s, r->key.kind, more))
        err = STEAD_E_FULL;
    item = table_find(s->table, &m->key); /* it may have made room itself */
    if (!err && item) {
        keep(s, from, m, item, r);
    } else {
        answer(s, from, m, err ? err : STEAD_E_FULL, item ? &item->record->stamp : NULL);
        if (err == STEAD_E_FULL && item)
            outdate(s, item);
    }
    record_free(r);
}

/* Whoever owns it now will say so, or take what is here; else, after a while, everybody is asked.
 */
void holder_disowned(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (!item || item->role == ROLE_OWNER || item_is_shelved(item) ||
        item->record->stamp.inc != from || stamp_compare(&item->record->stamp, &m->stamp) > 0)
        return;
    item->generation = 0;
    item->mend_ns = s->now_ns + DISOWNED_NS;
    repair_note(s, item);
}

/* The owner has others now. What it does not know of stays until it took it. */
void holder_drop(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (item && item->role == ROLE_OWNER) {
        heal_announced(s, from, m); /* whoever drops it owns it */
        return;
    }
    if (!item)
        return;
    const struct stamp *mine = &item->record->stamp;
    int order = stamp_compare(mine, &m->stamp);
    if (order > 0 && (mine->inc == from || peer_is_heard(s, mine->inc)))
        return; /* it was told to hold a newer version since, by this owner or the next */
    /* What is newer here, of an owner that is gone, may be its only copy: who says it may own
     * nothing by now. */
    bool subsumed = mine->inc == from || (order <= 0 && record_digest(item->record) == m->digest);
    if (!subsumed) {
        /* TAKEN comes too, if it was offered just now. */
        if (item->offered == 0 || s->now_ns > item->offered_ns + OFFER_NS)
            heal_offer(s, item, from);
        return;
    }
    item_remove(s, item);
    hint_set(s, &m->key, from);
    struct work *w = work_find(s, &m->key);
    if (w)
        work_check(s, w);
}
