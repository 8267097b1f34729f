/* In the background: finds records that are short of copies, or whose owner is down, and mends
 * them, paced. */
#include "core/session/session_internal.h"

#define MEND_LOOKS 512
#define RANK_DELAY_NS                                                                              \
    (500 * NS_PER_MS) /* each further holder waits so much longer before it claims */
#define UNSURE_NS (3 * NS_PER_S)

void repair_note(struct session *s, struct item *item)
{
    if (list_linked(&item->queue) || item_is_shelved(item))
        return;
    if (item->role == ROLE_OWNER) {
        list_append(&s->repair, &item->queue);
        s->repair_count++;
    } else {
        list_append(&s->orphans, &item->queue);
        s->orphan_count++;
    }
}

static bool is_orphan(struct session *s, const struct item *item)
{
    return !peer_is_heard(s, item->record->stamp.inc);
}

/* Has its owner confirmed this copy in the present contact? */
static bool is_confirmed(struct session *s, const struct item *item)
{
    struct peer *owner = peer_find(s, item->record->stamp.inc);
    return owner && item->generation == owner->view.granted + 1;
}

/* A copy whose owner lives but said nothing of it since they met again: the owner is given time to
 * do so, then it is asked. */
static void scan_copy(struct session *s, struct item *item)
{
    if (is_orphan(s, item)) {
        repair_note(s, item);
    } else if (!is_confirmed(s, item) && item->generation != GENERATION_OUTDATED &&
               !list_linked(&item->queue)) {
        item->mend_ns = s->now_ns + UNSURE_NS;
        repair_note(s, item);
    }
}

static void scan_item(struct session *s, struct item *item)
{
    bool wait;
    if (item->role == ROLE_OWNER) {
        bool confident = item_confident(s, item, &wait);
        bool needs = item_needs_repair(s, item);
        if ((!confident && !wait) || (needs && !(confident && bulk_copy(s, item))))
            repair_note(s, item);
    } else if (!MUTANT(NO_RECOPY)) {
        scan_copy(s, item);
    }
}

void repair_scan(struct session *s, size_t most)
{
    struct item *items[TABLE_WALK_MAX];
    if (s->scan_again && !s->scanning) {
        s->scan_again = false;
        s->scanning = true;
        s->scan_cursor = 0;
    }
    if (!s->scanning)
        return;
    for (size_t looks = 0, n = 1; n > 0 && looks < most; looks += n) {
        if (!bulk_room(s, TABLE_WALK_MAX))
            return;
        n = table_walk(s->table, &s->scan_cursor, items, TABLE_WALK_MAX);
        for (size_t i = 0; i < n; i++)
            scan_item(s, items[i]);
        session_rest(s);
    }
    s->scanning = s->scan_cursor != 0;
}

bool repair_idle(const struct session *s)
{
    return !s->scanning && !s->scan_again && s->repair_count == 0 && s->orphan_count == 0 &&
           s->claim_count == 0 && bulk_idle(s);
}

/* When this node may claim it by itself: the first in order at once, each further one later. */
static uint64_t due_ns(struct session *s, const struct item *item)
{
    const struct record *r = item->record;
    struct peer *owner = peer_find(s, r->stamp.inc);
    uint64_t mine = placement_score(s, &r->key, s->self_node), before = 0;
    for (size_t i = 0; i < r->holder_count; i++) {
        struct peer *p = peer_find(s, r->holders[i]);
        if (p && peer_heard(&p->view) && placement_score(s, &r->key, p->view.node) > mine)
            before++;
    }
    return (owner ? owner->down_ns : 0) + before * RANK_DELAY_NS;
}

static void mend_owned(struct session *s, struct item *item)
{
    bool wait;
    bool confident = item_confident(s, item, &wait);
    if (confident && !item_needs_repair(s, item)) {
        item_unqueue(s, item);
        return;
    }
    struct work *w = wait ? NULL : work_get(s, &item->record->key);
    if (!w)
        return;
    pace_begin(s, w, item);
    serve_key(s, w);
    pace_begun(s, w);
}

static void mend_orphan(struct session *s, struct item *item)
{
    bool orphan = is_orphan(s, item);
    if (!orphan && is_confirmed(s, item)) {
        item_unqueue(s, item);
        return;
    }
    bool offers = !orphan && item->generation != 0;
    if (s->now_ns < item->mend_ns || (orphan && s->now_ns < due_ns(s, item)) ||
        (offers && s->offer_budget == 0))
        return;
    item->mend_ns = s->now_ns + UNSURE_NS;
    if (offers) {
        s->offer_budget--;
        heal_offer(s, item, item->record->stamp.inc);
        return;
    }
    struct work *w = work_get(s, &item->record->key);
    if (!w)
        return;
    pace_begin(s, w, item);
    claim_start(s, w, item);
    pace_begun(s, w);
}

/* Looks once at each of the first in line, as far as there is room; those that stay go to its end.
 */
static void mend(struct session *s, struct list *line, size_t count)
{
    size_t looks = count < MEND_LOOKS ? count : MEND_LOOKS;
    while (looks-- > 0 && !list_empty(line) && pace_room(s)) {
        struct item *item = list_entry(line->next, struct item, queue);
        list_remove(&item->queue);
        list_append(line, &item->queue);
        if (!table_wake_item(s->table, item))
            continue;
        struct work *w = work_find(s, &item->record->key);
        if (w && (w->phase != WORK_IDLE || w->again_ns > s->now_ns))
            continue;
        if (item->role == ROLE_OWNER)
            mend_owned(s, item);
        else
            mend_orphan(s, item);
    }
}

void repair_go(struct session *s)
{
    mend(s, &s->repair, s->repair_count);
    mend(s, &s->orphans, s->orphan_count);
}
