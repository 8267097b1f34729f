/* A record at rest: whose it is, who keeps copies of it, and the room it takes. */
#include "core/session/session_internal.h"

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

size_t item_holders(const struct item *item)
{
    size_t count = 0;
    for (size_t i = 0; i < item->state->count; i++)
        count += !item->state->copies[i].going;
    return count;
}

static bool stays(const struct item *item, uint64_t inc)
{
    const struct copy *c = item_copy(item, inc);
    return c && !c->going;
}

static void add_copy(struct item *item, uint64_t inc)
{
    struct session_state *st = item->state;
    struct copy *c = item_copy(item, inc);
    if (c)
        c->going = false;
    else if (st->count < RECORD_HOLDERS_MAX)
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

void item_own(struct session *s, struct item *item)
{
    if (item->role == ROLE_OWNER)
        return;
    item_unqueue(s, item);
    item->role = ROLE_OWNER;
    item->state = &item->own_state;
    *item->state = (struct session_state){0};
    /* Those that have a copy stay holders where they can. */
    for (size_t i = 0; i < item->record->holder_count; i++)
        if (item->record->holders[i] != s->self_inc)
            add_copy(item, item->record->holders[i]);
    s->stats.owned++;
}

void item_disown(struct session *s, struct item *item)
{
    if (item->role != ROLE_OWNER)
        return;
    item_unqueue(s, item);
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
    if (s->verify.count > 0)
        verify_forget(s, &item->record->key);
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
    return placement_holders(s, &r->key, r->memory_bytes, order);
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
    size_t n = placement_candidates(s, &r->key, r->memory_bytes, order);
    for (size_t i = 0; i < n; i++)
        if (!stays(item, order[i]))
            return true;
    return false;
}

/* Who is last in order gives way, but no named backup as long as there is another, and not `but`.
 * It lives and reads are served there: so it is told by the round to come, which waits for it. */
static void drop_last(struct session *s, struct item *item, uint64_t but, bool backups)
{
    struct session_state *st = item->state;
    struct copy *last = NULL;
    uint64_t least = UINT64_MAX;
    bool wished = true;
    for (size_t i = 0; i < st->count; i++) {
        if (st->copies[i].going || st->copies[i].inc == but)
            continue;
        struct peer *p = peer_find(s, st->copies[i].inc);
        uint64_t score = p ? placement_score(s, &item->record->key, p->view.node) : 0;
        bool wish = p && p->view.wish;
        if ((wish && !backups) || (wish != wished ? wish : score > least))
            continue;
        wished = wish;
        least = score;
        last = &st->copies[i];
    }
    if (last)
        last->going = true;
}

int item_add_guest(struct session *s, struct item *item, uint64_t inc)
{
    const struct record *r = item->record;
    if (inc == s->self_inc || stays(item, inc))
        return STEAD_OK;
    if (!may_hold(s, inc) || (quorum_rules(s, &r->key) && peer_find(s, inc)->view.voter == 0))
        return STEAD_E_UNREACHABLE;
    if (peer_is_full(peer_find(s, inc), r->key.kind, r->memory_bytes))
        return STEAD_E_FULL;
    size_t most = wanted_copies(s, r) + GUESTS_MAX;
    add_copy(item, inc);
    if (!item_copy(item, inc))
        return STEAD_E_BUSY; /* it has as many copies as a record can name */
    while (item_holders(item) > most)
        drop_last(s, item, inc, true);
    return STEAD_OK;
}

/* By another process of that node too, which an upgrade has for a while. */
static bool node_holds(struct session *s, const struct item *item, uint64_t node)
{
    for (size_t i = 0; i < item->state->count; i++) {
        const struct copy *c = &item->state->copies[i];
        const struct peer *p = c->going ? NULL : peer_find(s, c->inc);
        if (p && p->view.node == node)
            return true;
    }
    return false;
}

/* A named backup that could keep a copy and does not; 0: none. */
static uint64_t missing_wish(struct session *s, const struct item *item)
{
    const struct record *r = item->record;
    if (!s->wished || kind_of(s, &r->key)->copies <= 1 || quorum_rules(s, &r->key))
        return 0;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer *p = &s->peers[i];
        if (p->view.wish && p->view.holds && p->view.state == PEER_UP &&
            !peer_is_full(p, r->key.kind, r->memory_bytes) && !node_holds(s, item, p->view.node))
            return p->view.inc;
    }
    return 0;
}

/* Each comes in the place of who is last in order and none itself: several would take turns. */
static void add_wishes(struct session *s, struct item *item, size_t wanted)
{
    uint64_t inc;
    while ((inc = missing_wish(s, item)) != 0 && item->state->count < RECORD_HOLDERS_MAX) {
        size_t before = item_holders(item);
        add_copy(item, inc);
        if (before >= wanted && before > 0)
            drop_last(s, item, inc, false);
        if (item_holders(item) > wanted + GUESTS_MAX)
            return;
    }
}

/* The record's head names those that stay. Is that another list than before? */
static bool list_holders(struct item *item)
{
    const struct session_state *st = item->state;
    struct record *r = item->record;
    uint8_t count = 0;
    bool changed = false;
    for (size_t i = 0; i < st->count; i++) {
        if (st->copies[i].going)
            continue;
        changed |= count >= r->holder_count || r->holders[count] != st->copies[i].inc;
        r->holders[count++] = st->copies[i].inc;
    }
    changed |= count != r->holder_count;
    r->holder_count = count;
    return changed;
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
    size_t n = placement_candidates(s, &r->key, r->memory_bytes, order);
    for (size_t i = 0; i < n && item_holders(item) < wanted; i++)
        add_copy(item, order[i]);
    add_wishes(s, item, wanted);
    for (size_t i = 0; i < old.count; i++) {
        if (may_hold(s, old.copies[i].inc) || !peer_is_heard(s, old.copies[i].inc))
            continue;
        /* A leaving holder stays one while there is nobody else. */
        if (st->count == 0)
            st->copies[st->count++] = old.copies[i];
        else
            round_drop(w, old.copies[i].inc);
    }
    bool changed = list_holders(item);
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
        if (p && ((!kept && !full) || st->copies[i].going))
            return true;
        good += p && kept;
    }
    size_t wanted = wanted_copies(s, item->record);
    if (quorum_rules(s, &item->record->key) && wanted < quorum_need(s) - 1)
        wanted = quorum_need(s) - 1;
    return good < wanted || (missing_wish(s, item) != 0 && st->count < RECORD_HOLDERS_MAX);
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
    const struct kind *k = &s->kinds.kind[kind];
    if (k->when_full != FULL_EVICT || !k->losable || k->atomic == ATOMIC_QUORUM)
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

bool item_ran_out(const struct session *s, const struct item *item)
{
    uint64_t ttl_ns = item->record->ttl_ms * NS_PER_MS;
    return !record_is_tombstone(item->record) && ttl_ns != 0 && item->life_ns < s->now_ns &&
           s->now_ns - item->life_ns > ttl_ns / 10;
}

uint32_t item_left_ms(const struct session *s, const struct item *item)
{
    if (item->life_ns == TIME_NEVER || record_is_tombstone(item->record))
        return 0;
    uint64_t left = item->life_ns > s->now_ns ? (item->life_ns - s->now_ns) / NS_PER_MS : 0;
    return left == 0 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}
