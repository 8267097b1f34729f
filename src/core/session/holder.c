/* The other side of a round: what a holder accepts, what it refuses, and when it may serve its copy
 * unasked. */
#include "core/session/session_internal.h"

#include "base/mem.h"

static bool listed(const struct session *s, const struct record *r)
{
    for (size_t i = 0; i < r->holder_count; i++)
        if (r->holders[i] == s->self_inc)
            return true;
    return false;
}

bool holder_may_serve(struct session *s, const struct item *item)
{
    const struct record *r = item->record;
    struct peer *p = peer_find(s, r->stamp.inc);
    if (MUTANT(READ_WITHOUT_LEASE))
        return true;
    return p && peer_heard(&p->view) && listed(s, r) && item->generation != 0 &&
           item->generation == p->view.granted + 1 && p->view.lease_until_ns > s->now_ns;
}

/* -- room -- */

static bool evict_one(struct session *s)
{
    for (uint8_t k = 0; k < s->kinds.count; k++) {
        if (s->kinds.kind[k].when_full != FULL_EVICT)
            continue;
        struct item *oldest = table_lru(s->table, k);
        struct work *w = oldest ? work_find(s, &oldest->record->key) : NULL;
        if (!oldest || w)
            continue;
        item_remove(s, oldest);
        s->stats.evicted++;
        return true;
    }
    return false;
}

static bool has_room(struct session *s, uint8_t kind, size_t bytes)
{
    uint64_t limit = s->kinds.kind[kind].memory_bytes;
    if (limit != 0 && table_kind_memory(s->table, kind) + bytes > limit)
        return false;
    return table_memory(s->table) + bytes <= s->config.memory_bytes;
}

bool room_make(struct session *s, uint8_t kind, size_t bytes)
{
    while (!has_room(s, kind, bytes))
        if (!evict_one(s)) {
            s->stats.full++;
            notice(s, NOTICE_FULL, NULL, 0, 0);
            return false;
        }
    return true;
}

struct item *item_insert(struct session *s, struct record *r, enum item_role role)
{
    struct item *item = table_insert(s->table, r);
    if (item)
        item->role = (uint8_t)role;
    return item;
}

bool item_merge(struct session *s, struct item *item, const struct record *r, unsigned *lost)
{
    bool changed = false;
    int err = record_merge(item->record, r, now_s(s), &changed, lost);
    if (err == STEAD_E_TOO_LARGE && stamp_compare(&r->stamp, &item->record->stamp) > 0) {
        struct record *copy = record_clone(r);
        if (copy) {
            *lost += item->record->field_count;
            record_free(item->record);
            item->record = copy;
            changed = true;
        }
    }
    table_recount(s->table, item);
    return changed;
}

/* -- REPLICATE -- */

static void answer(struct session *s, uint64_t to, const struct message *m, int status,
                   const struct stamp *stamp)
{
    struct message reply = {
        .type = MESSAGE_REPLICATED, .key = m->key, .token = m->token, .status = (uint8_t)-status};
    if (stamp)
        reply.stamp = *stamp;
    send_message(s, &reply, NULL, to);
}

/* May `from` write this record, as far as this node knows? */
static int judge(struct session *s, uint64_t from, const struct item *item, const struct record *r)
{
    const struct stamp *mine = &item->record->stamp;
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

static void keep(struct session *s, uint64_t from, const struct message *m, struct item *item,
                 const struct record *r)
{
    unsigned lost = 0;
    bool was_owner = item->role == ROLE_OWNER;
    item_disown(s, item);
    item_unqueue(s, item);
    bool newer = stamp_compare(&r->stamp, &item->record->stamp) >= 0;
    item_merge(s, item, r, &lost);
    take_head(item, r);
    item->generation = m->counted + 1;
    item->touched_ns = s->now_ns;
    if (newer)
        expiry_set(s, item, m->left_ms);
    if (was_owner) {
        s->stats.values_lost += lost;
        notice(s, NOTICE_FENCED, &m->key, from, lost);
    }
    bool differs = newer && m->digest != record_digest(item->record);
    answer(s, from, m, differs && m->base ? STEAD_E_NOT_FOUND : STEAD_OK, &r->stamp);
    /* What the owner does not have, it is told: two sides of a split, or a write that never was
     * acknowledged. */
    if (differs && m->base == 0)
        heal_offer(s, item, from);
    struct work *w = work_find(s, &m->key);
    if (w)
        work_check(s, w);
}

static void keep_new(struct session *s, uint64_t from, const struct message *m, struct record *r)
{
    struct item *item = NULL;
    if (m->base != 0) {
        answer(s, from, m, STEAD_E_NOT_FOUND, NULL);
    } else if (!s->self_holds || !room_make(s, r->key.kind, r->memory_bytes)) {
        answer(s, from, m, STEAD_E_FULL, NULL);
    } else if (!(item = item_insert(s, r, ROLE_HOLDER))) {
        answer(s, from, m, STEAD_E_NOMEM, NULL);
    } else {
        item->generation = m->counted + 1;
        item->touched_ns = s->now_ns;
        expiry_set(s, item, m->left_ms);
        answer(s, from, m, STEAD_OK, &r->stamp);
        struct work *w = work_find(s, &m->key);
        if (w)
            work_check(s, w);
        return;
    }
    record_free(r);
}

struct record *record_of(struct session *s, const struct message *m)
{
    struct wire_reader r;
    wire_reader_init(&r, m->record, m->record_len);
    struct record *rec = m->record ? record_decode(&r, now_s(s)) : NULL;
    if (rec && wire_done(&r) && key_equal(&rec->key, &m->key))
        return rec;
    record_free(rec);
    return NULL;
}

/* Nothing was counted out between the sender's knowing of this node and now. */
bool same_contact(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    return p && peer_heard(&p->view) && m->granted == p->view.counted;
}

void holder_replicate(struct session *s, uint64_t from, const struct message *m)
{
    struct record *r = record_of(s, m);
    if (!r || r->stamp.inc != from) {
        s->stats.malformed += r != NULL;
        record_free(r);
        return;
    }
    if (!same_contact(s, from, m) && !MUTANT(NO_FENCING)) {
        answer(s, from, m, STEAD_E_DENIED, NULL);
        record_free(r);
        return;
    }
    struct item *item = table_find(s->table, &m->key);
    if (!item) {
        keep_new(s, from, m, r);
        return;
    }
    int err = judge(s, from, item, r);
    if (!err && !base_fits(item, m, r))
        err = STEAD_E_NOT_FOUND;
    if (!err && !room_make(s, r->key.kind, r->memory_bytes))
        err = STEAD_E_FULL;
    if (!err && (item = table_find(s->table, &m->key)))
        keep(s, from, m, item, r);
    else
        answer(s, from, m, err ? err : STEAD_E_FULL, item ? &item->record->stamp : NULL);
    record_free(r);
}

/* The owner has others now. What it does not know of stays until it took it. */
void holder_drop(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (!item || item->role == ROLE_OWNER)
        return;
    const struct stamp *mine = &item->record->stamp;
    int order = stamp_compare(mine, &m->stamp);
    if (mine->inc == from && order > 0)
        return; /* it was told to hold a newer version since */
    bool subsumed = mine->inc == from || record_digest(item->record) == m->digest;
    if (!subsumed) {
        heal_offer(s, item, from);
        return;
    }
    item_remove(s, item);
    hint_set(s, &m->key, from);
    struct work *w = work_find(s, &m->key);
    if (w)
        work_check(s, w);
}
