/* What a repository had kept when it started (shelf.h). */
#include "core/session/session_internal.h"

#define SHELF_LOOKS 512 /* records a tick */
#define SHELF_AGAIN_NS NS_PER_S
#define MARGIN_MAX_NS                                                                              \
    (5 * NS_PER_S) /* of a life: clocks differ, and what told of it was on its way */

bool shelf_init(struct session *s)
{
    if (s->config.repository)
        s->shelf.noted = mem_alloc(SHELF_NOTED_MAX * sizeof(*s->shelf.noted));
    return !s->config.repository || s->shelf.noted;
}

void shelf_deinit(struct session *s)
{
    mem_free(s->shelf.noted);
}

bool item_is_shelved(const struct item *item)
{
    return item->role != ROLE_OWNER && item->generation == GENERATION_SHELVED;
}

/* What may be forgotten is not worth it; and where a majority decides, what is kept may be behind
 * what that has acknowledged. */
bool session_keeps(const struct kind *k)
{
    return k->when_full != FULL_EVICT && k->atomic != ATOMIC_QUORUM;
}

/* -- what was kept -- */

void session_clock(struct session *s, uint64_t now_ns)
{
    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
}

int session_shelve(struct session *s, struct record *r, uint32_t left_ms)
{
    if (r->key.kind >= s->kinds.count || !session_keeps(kind_of(s, &r->key)))
        return STEAD_E_INVAL;
    if (s->self_state == PEER_LEAVING)
        return STEAD_E_CLOSED;
    if (!table_wake(s->table, &r->key))
        return STEAD_E_NOMEM;
    if (table_find(s->table, &r->key)) {
        session_rest(s);
        return STEAD_E_EXISTS;
    }
    if (work_find(s, &r->key))
        return STEAD_E_BUSY;
    if (!item_has_room(s, r->key.kind, r->memory_bytes))
        return STEAD_E_FULL;
    struct item *item = item_insert(s, r, ROLE_HOLDER);
    if (!item)
        return STEAD_E_NOMEM;
    r->holder_count = 0; /* processes that are gone */
    if (!record_is_tombstone(r) && r->ttl_ms > 0 && left_ms > r->ttl_ms)
        left_ms = r->ttl_ms; /* a clock that was ahead then, or is behind now */
    item->generation = GENERATION_SHELVED;
    expiry_set(s, item, left_ms);
    s->shelf.open = true;
    /* It is kept as it is. */
    size_t noted = s->shelf.noted_count;
    bool lost = s->shelf.lost;
    session_rest(s);
    s->shelf.noted_count = noted;
    s->shelf.lost = lost;
    return STEAD_OK;
}

/* -- what changes -- */

void shelf_note(struct session *s, const struct key *key)
{
    struct shelf *h = &s->shelf;
    if (!h->noted || !session_keeps(kind_of(s, key)))
        return;
    if (h->noted_count > 0 && key_equal(&h->noted[h->noted_count - 1], key))
        return;
    if (h->noted_count == SHELF_NOTED_MAX)
        h->lost = true;
    else
        h->noted[h->noted_count++] = *key;
}

size_t session_noted(struct session *s, struct key *out, size_t max, bool *lost)
{
    struct shelf *h = &s->shelf;
    size_t n = h->noted_count < max ? h->noted_count : max;
    for (size_t i = 0; i < n; i++)
        out[i] = h->noted[--h->noted_count];
    *lost = h->lost;
    h->lost = false;
    return n;
}

static bool is_settled(struct session *s, const struct key *key)
{
    const struct work *w = work_find(s, key);
    return !w || w->phase == WORK_IDLE || w->phase == WORK_LOCATE;
}

int session_fetch(struct session *s, const struct key *key, const struct record **r,
                  uint32_t *left_ms)
{
    session_rest(s);
    if (!table_wake(s->table, key) || !is_settled(s, key))
        return STEAD_E_BUSY;
    struct item *item = table_find(s->table, key);
    if (!item)
        return s->self_state == PEER_LEAVING ? STEAD_E_CLOSED : STEAD_E_ABSENT;
    *r = item->record;
    uint64_t end_ns = item->tombstone ? item->expires_ns : item->life_ns;
    uint64_t left = end_ns > s->now_ns ? (end_ns - s->now_ns) / NS_PER_MS : 0;
    *left_ms = end_ns == TIME_NEVER ? 0
               : left == 0          ? 1
               : left > UINT32_MAX  ? UINT32_MAX
                                    : (uint32_t)left;
    return STEAD_OK;
}

size_t session_keys(struct session *s, uint64_t *cursor, struct key *out, size_t max)
{
    struct item *items[TABLE_WALK_MAX];
    session_rest(s);
    size_t n = table_walk(s->table, cursor, items, max < TABLE_WALK_MAX ? max : TABLE_WALK_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = items[i]->record->key;
    return n;
}

/* -- what is shelved -- */

bool shelf_yields(struct session *s, struct item *item)
{
    if (!item_is_shelved(item) || item->record->ended)
        return false;
    s->stats.shelf_overruled++;
    item_remove(s, item);
    return true;
}

void shelf_yield_to(struct session *s, struct work *w, struct item *item, uint64_t to)
{
    s->stats.shelf_overruled++;
    item_remove(s, item);
    hint_set(s, &w->key, to);
    work_begin(s, w, WORK_IDLE);
    serve_key(s, w);
}

/* Its end may have come elsewhere already. */
static bool life_over(struct session *s, const struct item *item)
{
    uint64_t margin_ns = item->record->ttl_ms * NS_PER_MS / 4;
    if (record_is_tombstone(item->record) || item->life_ns == TIME_NEVER)
        return false;
    return item->life_ns <= s->now_ns + (margin_ns < MARGIN_MAX_NS ? margin_ns : MARGIN_MAX_NS);
}

/* Its owner lives, as the process that it was, and has it no more. */
static bool owner_forgot(struct session *s, const struct item *item, struct work *w)
{
    const struct target *owner = work_target(w, item->record->stamp.inc);
    return owner && owner->answer == ANSWER_NONE && peer_is_heard(s, owner->inc);
}

/* May those that are away have all copies of a later state? As when a key is found nowhere. */
static bool may_be_elsewhere(struct session *s, const struct item *item, size_t missing)
{
    size_t copies = kind_of(s, &item->record->key)->copies;
    if (kind_of(s, &item->record->key)->group && copies > 2)
        copies = 2;
    return missing >= copies || (missing > 0 && missing >= s->holder_nodes);
}

bool shelf_may_claim(struct session *s, struct work *w, struct item *item)
{
    if (life_over(s, item) || owner_forgot(s, item, w)) {
        item_remove(s, item);
        work_begin(s, w, WORK_IDLE);
        serve_key(s, w);
        return false;
    }
    size_t missing = s->missing > w->missing ? s->missing : w->missing;
    if (s->self_state == PEER_UP && !may_be_elsewhere(s, item, missing)) {
        s->stats.shelf_claimed++;
        return true;
    }
    s->stats.claims_failed++;
    work_begin(s, w, WORK_IDLE);
    work_fail(s, w, STEAD_E_UNREACHABLE, true);
    return false;
}

static void claim_shelved(struct session *s, struct item *item)
{
    bool asks = !may_be_elsewhere(s, item, s->missing) || life_over(s, item);
    struct work *w = asks ? work_get(s, &item->record->key) : NULL;
    if (!w)
        return;
    pace_begin(s, w, item);
    claim_start(s, w, item);
    pace_begun(s, w);
}

void shelf_tick(struct session *s)
{
    struct shelf *h = &s->shelf;
    struct item *items[TABLE_WALK_MAX];
    if (!h->open || s->self_state != PEER_UP || s->now_ns < h->next_ns)
        return;
    for (size_t looks = 0, n = 1; n > 0 && looks < SHELF_LOOKS && pace_room(s); looks += n) {
        n = table_walk(s->table, &h->cursor, items, TABLE_WALK_MAX);
        for (size_t i = 0; i < n; i++) {
            if (!item_is_shelved(items[i]))
                continue;
            h->seen++;
            if (!work_find(s, &items[i]->record->key))
                claim_shelved(s, items[i]);
        }
        session_rest(s);
        if (h->cursor == 0)
            break;
    }
    if (h->cursor != 0)
        return;
    h->open = h->seen > 0;
    s->stats.shelved = h->seen;
    h->seen = 0;
    h->next_ns = s->now_ns + SHELF_AGAIN_NS;
}

void shelf_leave(struct session *s)
{
    struct item *items[TABLE_WALK_MAX];
    uint64_t cursor = 0;
    if (!s->shelf.open)
        return;
    do {
        size_t n = table_walk(s->table, &cursor, items, TABLE_WALK_MAX);
        for (size_t i = 0; i < n; i++)
            if (item_is_shelved(items[i]))
                item_remove(s, items[i]);
        session_rest(s);
        if (n == 0)
            break;
    } while (cursor != 0);
    s->shelf.open = false;
    s->stats.shelved = 0;
}
