/* A record at rest: whose it is, who keeps copies of it, and the room it takes. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#define GUESTS_MAX 1 /* copies of a record that were pushed to a node beyond those of its kind */

/* -- items -- */

struct copy *item_copy(const struct item *item, uint64_t inc)
{
    struct session_state *st = item->state;
    for (size_t i = 0; i < st->count; i++)
        if (st->copies[i].inc == inc)
            return &st->copies[i];
    return NULL;
}

static void add_copy(struct item *item, uint64_t inc)
{
    struct session_state *st = item->state;
    if (st->count < RECORD_HOLDERS_MAX && !item_copy(item, inc))
        st->copies[st->count++] = (struct copy){.inc = inc};
}

void item_unqueue(struct session *s, struct item *item)
{
    if (!list_linked(&item->queue))
        return;
    list_remove(&item->queue);
    if (item->role == ROLE_OWNER)
        s->repair_count--;
    else
        s->orphan_count--;
}

bool item_own(struct session *s, struct item *item)
{
    if (item->role == ROLE_OWNER)
        return true;
    struct session_state *state = mem_alloc(sizeof(*state));
    if (!state)
        return false;
    item_unqueue(s, item);
    item->role = ROLE_OWNER;
    item->state = state;
    /* Those that have a copy stay holders where they can. */
    for (size_t i = 0; i < item->record->holder_count; i++)
        if (item->record->holders[i] != s->self_inc)
            add_copy(item, item->record->holders[i]);
    s->stats.owned++;
    return true;
}

void item_disown(struct session *s, struct item *item)
{
    if (item->role != ROLE_OWNER)
        return;
    item_unqueue(s, item);
    mem_free(item->state);
    item->state = NULL;
    item->role = ROLE_HOLDER;
    item->generation = 0;
    s->stats.owned--;
    /* Somebody else owns it, or will: if that does not come about soon, it is claimed. */
    item->mend_ns = s->now_ns + (20 + rng_below(&s->rng, 200)) * NS_PER_MS;
    repair_note(s, item);
}

void item_step_down(struct session *s, struct item *item)
{
    struct message m = {
        .type = MESSAGE_DISOWN, .key = item->record->key, .stamp = item->record->stamp};
    for (size_t i = 0; item->role == ROLE_OWNER && i < item->state->count; i++)
        if (peer_is_heard(s, item->state->copies[i].inc))
            session_send(s, &m, NULL, item->state->copies[i].inc);
    item_disown(s, item);
}

void item_remove(struct session *s, struct item *item)
{
    s->stats.tombstones -= item->tombstone;
    item_disown(s, item);
    item_unqueue(s, item);
    table_remove(s->table, item);
}

/* -- who keeps copies -- */

static bool may_hold(struct session *s, uint64_t inc)
{
    struct peer *p = peer_find(s, inc);
    return p && p->view.holds && p->view.state <= PEER_UP;
}

static size_t wanted_copies(struct session *s, const struct record *r)
{
    uint64_t order[RECORD_HOLDERS_MAX];
    size_t copies = kind_of(s, &r->key)->copies;
    size_t most = copies > 0 ? copies - 1 : 0;
    return placement_roomy(s, &r->key, r->memory_bytes, order,
                           most < RECORD_HOLDERS_MAX ? most : RECORD_HOLDERS_MAX);
}

/* A copy made in a contact that was broken since is as good as none. */
void item_void_broken(struct session *s, struct item *item)
{
    struct session_state *st = item->state;
    for (size_t i = 0; i < st->count; i++) {
        struct peer *p = peer_find(s, st->copies[i].inc);
        if (!p || p->view.counted != st->copies[i].counted)
            st->copies[i].version = 0;
    }
}

void item_forget_copy(struct item *item, uint64_t inc)
{
    struct session_state *st = item->state;
    struct copy *c = item_copy(item, inc);
    if (c)
        *c = st->copies[--st->count];
}

bool item_has_candidate(struct session *s, const struct item *item)
{
    uint64_t order[RECORD_HOLDERS_MAX];
    const struct record *r = item->record;
    size_t n = placement_roomy(s, &r->key, r->memory_bytes, order, RECORD_HOLDERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!item_copy(item, order[i]))
            return true;
    return false;
}

/* Who is last in order gives way: never the guest that is about to come. */
static void drop_last(struct session *s, struct item *item, struct work *w)
{
    struct session_state *st = item->state;
    uint64_t last = 0, least = UINT64_MAX;
    for (size_t i = 0; i < st->count; i++) {
        struct peer *p = peer_find(s, st->copies[i].inc);
        uint64_t score = p ? placement_score(s, &item->record->key, p->view.node) : 0;
        if (score > least)
            continue;
        least = score;
        last = st->copies[i].inc;
    }
    item_forget_copy(item, last);
    round_drop(w, last);
}

int item_add_guest(struct session *s, struct item *item, struct work *w, uint64_t inc)
{
    const struct record *r = item->record;
    if (inc == s->self_inc || item_copy(item, inc))
        return STEAD_OK;
    if (!may_hold(s, inc))
        return STEAD_E_UNREACHABLE;
    if (peer_is_full(peer_find(s, inc), r->key.kind, r->memory_bytes))
        return STEAD_E_FULL;
    size_t most = wanted_copies(s, r) + GUESTS_MAX;
    while (item->state->count > 0 &&
           (item->state->count >= most || item->state->count == RECORD_HOLDERS_MAX))
        drop_last(s, item, w);
    add_copy(item, inc);
    return STEAD_OK;
}

bool item_choose_holders(struct session *s, struct item *item, struct work *w)
{
    struct session_state *st = item->state;
    struct session_state old = *st;
    struct record *r = item->record;
    uint64_t order[RECORD_HOLDERS_MAX];
    size_t wanted = wanted_copies(s, r);
    st->count = 0;
    for (size_t i = 0; i < old.count; i++)
        if (may_hold(s, old.copies[i].inc))
            st->copies[st->count++] = old.copies[i];
    size_t n = placement_roomy(s, &r->key, r->memory_bytes, order, RECORD_HOLDERS_MAX);
    for (size_t i = 0; i < n && st->count < wanted; i++)
        add_copy(item, order[i]);
    for (size_t i = 0; i < old.count; i++) {
        if (may_hold(s, old.copies[i].inc) || !peer_is_heard(s, old.copies[i].inc))
            continue;
        /* A leaving holder stays one while there is nobody else. */
        if (st->count == 0)
            st->copies[st->count++] = old.copies[i];
        else
            round_drop(w, old.copies[i].inc);
    }
    bool changed = st->count != r->holder_count;
    for (size_t i = 0; i < st->count; i++) {
        changed |= i >= r->holder_count || r->holders[i] != st->copies[i].inc;
        r->holders[i] = st->copies[i].inc;
    }
    r->holder_count = (uint8_t)st->count;
    /* Another list is another version: what was said about an earlier one and comes late undoes
     * nothing. Nothing was said yet about a record that is just being made. */
    bool first = w->made && w->phase == WORK_IDLE;
    if (changed && !first)
        r->stamp.version++;
    return changed;
}

bool item_needs_repair(struct session *s, struct item *item)
{
    struct session_state *st = item->state;
    if (MUTANT(NO_RECOPY))
        return false;
    item_void_broken(s, item);
    size_t good = 0;
    for (size_t i = 0; i < st->count; i++) {
        bool kept = st->copies[i].version == item->record->stamp.version;
        struct peer *p = may_hold(s, st->copies[i].inc) ? peer_find(s, st->copies[i].inc) : NULL;
        bool full = p && peer_is_full(p, item->record->key.kind, item->record->memory_bytes);
        if (p && !kept && !full)
            return true;
        good += p && kept;
    }
    size_t wanted = wanted_copies(s, item->record);
    return good < wanted;
}

bool item_confident(struct session *s, struct item *item, bool *wait)
{
    struct session_state *st = item->state;
    *wait = false;
    item_void_broken(s, item);
    for (size_t i = 0; i < st->count; i++) {
        struct copy *c = &st->copies[i];
        struct peer *p = peer_find(s, c->inc);
        if (!p || !peer_heard(&p->view) || c->version == 0)
            continue;
        if (p->view.granted != c->granted)
            st->doubtful = true;
        else if (p->view.lease_until_ns <= s->now_ns)
            *wait = true;
    }
    if (st->doubtful)
        *wait = false;
    return !st->doubtful && !*wait;
}

uint64_t item_owner(struct session *s, const struct item *item)
{
    uint64_t owner = item->record->stamp.inc;
    return owner == s->self_inc && item->role != ROLE_OWNER ? hint_get(s, &item->record->key)
                                                            : owner;
}

/* -- room -- */

#define EVICT_LOOKS 16

/* The least recently used that may go: no tombstone, and nothing under way about it. */
static bool evict_one(struct session *s, uint8_t kind)
{
    if (s->kinds.kind[kind].when_full != FULL_EVICT)
        return false;
    for (unsigned i = 0; i < EVICT_LOOKS; i++) {
        struct item *oldest = table_lru(s->table, kind);
        if (!oldest)
            return false;
        if (oldest->tombstone || work_find(s, &oldest->record->key)) {
            table_touch(s->table, oldest);
            continue;
        }
        item_remove(s, oldest);
        s->stats.evicted++;
        return true;
    }
    return false;
}

static bool evict_any(struct session *s)
{
    for (uint8_t k = 0; k < s->kinds.count; k++)
        if (evict_one(s, k))
            return true;
    return false;
}

bool item_has_room(const struct session *s, uint8_t kind, size_t bytes)
{
    uint64_t limit = s->kinds.kind[kind].memory_bytes;
    return (limit == 0 || table_kind_memory(s->table, kind) + bytes <= limit) &&
           table_memory(s->table) + bytes <= s->config.memory_bytes;
}

/* Makes room within the kind's limit, then within the common one, to which all kinds that evict
 * contribute. Nothing is evicted for what has no place anyhow. */
bool item_room_make(struct session *s, uint8_t kind, size_t bytes)
{
    uint64_t limit = s->kinds.kind[kind].memory_bytes, all = s->config.memory_bytes;
    bool room = (limit == 0 || bytes <= limit) && bytes <= all;
    while (room && limit != 0 && table_kind_memory(s->table, kind) + bytes > limit)
        room = evict_one(s, kind);
    while (room && table_memory(s->table) + bytes > all)
        room = evict_any(s);
    if (!room) {
        s->stats.full++;
        session_tell(s, NOTICE_FULL, NULL, 0, 0);
    }
    return room;
}

struct item *item_insert(struct session *s, struct record *r, enum item_role role)
{
    struct item *item = table_insert(s->table, r);
    if (item)
        item->role = (uint8_t)role;
    return item;
}

int item_merge(struct session *s, struct item *item, const struct record *r, bool *changed,
               unsigned *lost)
{
    *changed = false;
    *lost = 0;
    int err = record_merge(item->record, r, now_s(s), changed, lost);
    if (err == STEAD_E_TOO_LARGE) {
        if (stamp_compare(&r->stamp, &item->record->stamp) <= 0)
            return STEAD_OK;
        struct record *copy = record_clone(r);
        if (!copy)
            return STEAD_E_NOMEM;
        *lost = item->record->field_count;
        *changed = true;
        record_free(item->record);
        item->record = copy;
    } else if (err) {
        return err;
    }
    table_recount(s->table, item);
    return STEAD_OK;
}

uint32_t item_left_ms(const struct session *s, const struct item *item)
{
    if (item->life_ns == TIME_NEVER || record_is_tombstone(item->record))
        return 0;
    uint64_t left = item->life_ns > s->now_ns ? (item->life_ns - s->now_ns) / NS_PER_MS : 0;
    return left == 0 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}
