/* Leaving: records are handed over. */
#include "core/session/session_internal.h"

#include <string.h>

#define HANDOVER_BATCH 64
#define HANDOVER_LOOKS 4096
#define HANDOVER_WAIT_NS (2 * NS_PER_S)
#define ASKED_QUIET_NS (100 * NS_PER_MS) /* others' operations may be on their way here so long */

/* -- leaving -- */

/* In an upgrade, the process that succeeds this one on its node. */
static struct peer *successor(struct session *s, const struct record *r)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        struct peer *p = &s->peers[i];
        if (p->view.node == s->self_node && p->view.holds && p->view.state == PEER_UP)
            return peer_is_full(p, r->key.kind, r->memory_bytes) ? NULL : p;
    }
    return NULL;
}

/* The best node to own it: its own successor, a holder that has this version, else the first that
 * may hold it. */
static struct peer *heir(struct session *s, struct item *item)
{
    struct session_state *st = item->state;
    struct peer *next = successor(s, item->record);
    uint64_t first;
    if (next)
        return next;
    for (size_t i = 0; i < st->count; i++) {
        struct peer *p = peer_find(s, st->copies[i].inc);
        if (p && p->view.state <= PEER_UP && st->copies[i].version == item->record->stamp.version)
            return p;
    }
    const struct record *r = item->record;
    return placement_roomy(s, &r->key, r->memory_bytes, &first, 1) ? peer_find(s, first) : NULL;
}

void leave_start(struct session *s, struct work *w, struct item *item)
{
    struct peer *p = heir(s, item);
    if (!p)
        return;
    w->held++;
    work_begin(s, w, WORK_HANDOVER);
    struct message m = {.type = MESSAGE_HANDOVER,
                        .key = w->key,
                        .token = w->token,
                        .counted = p->view.counted,
                        .granted = p->view.granted,
                        .left_ms = item_left_ms(s, item)};
    if (work_add_target(w, p))
        session_send(s, &m, item->record, p->view.inc);
    else
        work_begin(s, w, WORK_IDLE);
    w->again_ns = s->now_ns + HANDOVER_WAIT_NS;
    w->held--;
    work_release(s, w);
}

/* The heir fell silent, or takes too long: it may own the record by now, so everybody is asked. */
void leave_check(struct session *s, struct work *w)
{
    struct item *item = table_find(s->table, &w->key);
    bool late = s->now_ns >= w->since_ns + HANDOVER_WAIT_NS;
    if (work_waits(w) && !late)
        return;
    if (item && item->role == ROLE_OWNER)
        item->state->doubtful = true;
    work_begin(s, w, WORK_IDLE);
    serve_key(s, w);
}

void leave_taken(struct session *s, struct work *w, uint64_t from, int status)
{
    struct item *item = table_find(s->table, &w->key);
    if (!work_target(w, from))
        return;
    w->held++;
    work_begin(s, w, WORK_IDLE);
    if (status == STEAD_OK) {
        /* The heir may have made this node a holder before it heard that it leaves: such a copy is
         * counted on. */
        if (item && item->role == ROLE_OWNER)
            item_remove(s, item);
        hint_set(s, &w->key, from);
    } else if (item && item->role == ROLE_OWNER) {
        item->state->doubtful = true;
    }
    serve_key(s, w);
    w->held--;
    work_release(s, w);
}

static void hand_over(struct session *s, struct item *item)
{
    bool wait;
    struct work *w = work_get(s, &item->record->key);
    if (!w)
        return;
    pace_begin(s, w, item);
    bool confident = item_confident(s, item, &wait);
    if (confident && quorum_rules(s, &w->key) && !quorum_keeps(s, item))
        wait = true;
    if (confident && !wait)
        leave_start(s, w, item);
    else if (!wait)
        claim_start(s, w, item);
    pace_begun(s, w);
}

/* A batch, as far as there is room; what is left of it is walked again. Starting one never removes
 * another item at once, so the rest of the batch is still there. */
static size_t hand_over_batch(struct session *s)
{
    struct item *items[HANDOVER_BATCH];
    uint64_t begin = s->handover_cursor;
    size_t n = table_walk(s->table, &s->handover_cursor, items, HANDOVER_BATCH);
    for (size_t i = 0; i < n; i++) {
        if (items[i]->role != ROLE_OWNER || work_find(s, &items[i]->record->key))
            continue;
        if (!pace_room(s)) {
            s->handover_cursor = begin;
            return 0;
        }
        hand_over(s, items[i]);
    }
    return n;
}

void leave_go(struct session *s)
{
    size_t looks = 0, n = 1;
    while (s->self_state == PEER_LEAVING && n > 0 && looks < HANDOVER_LOOKS) {
        n = hand_over_batch(s);
        looks += n;
    }
}

/* With one other node left, what that node owns has its copies nowhere else to go: they may go with
 * this node. */
bool session_drained(const struct session *s)
{
    size_t others = 0;
    if (s->self_state != PEER_LEAVING)
        return false;
    for (size_t i = 0; i < s->peer_count; i++)
        others += s->peers[i].view.holds && s->peers[i].view.state == PEER_UP;
    if (others == 0)
        return true;
    bool nothing_owned = s->stats.owned == 0 && s->orphan_count == 0;
    if (s->now_ns < s->asked_ns + ASKED_QUIET_NS)
        return false;
    return s->work_count == 0 && (others == 1 ? nothing_owned : table_count(s->table) == 0);
}

/* -- the heir -- */

static void refuse_handover(struct session *s, uint64_t to, const struct message *m, int status)
{
    struct message reply = {
        .type = MESSAGE_TAKEN, .key = m->key, .token = m->token, .status = (uint8_t)-status};
    session_send(s, &reply, NULL, to);
}

static struct item *inherit(struct session *s, struct record *r, bool *used)
{
    unsigned lost;
    bool changed;
    struct item *item = table_find(s->table, &r->key);
    *used = false;
    if (item && shelf_yields(s, item))
        item = NULL;
    if (item) {
        struct stamp mine = item->record->stamp;
        if (item_merge(s, item, r, &changed, &lost))
            return NULL;
        struct stamp *now = &item->record->stamp;
        now->term = mine.term > r->stamp.term ? mine.term : r->stamp.term;
        now->version = mine.version > r->stamp.version ? mine.version : r->stamp.version;
    } else {
        item = item_insert(s, r, ROLE_HOLDER);
        *used = item != NULL;
    }
    if (item)
        item_own(s, item);
    return item;
}

void leave_handed(struct session *s, uint64_t from, const struct message *m)
{
    struct record *r = session_record(s, from, m);
    struct work *w = r ? work_get(s, &m->key) : NULL;
    bool used = false;
    int status = STEAD_OK;
    if (!r || !w) {
        record_free(r);
        return;
    }
    w->held++;
    if (!peer_same_contact(s, from, m))
        status = STEAD_E_DENIED;
    else if (!s->self_holds || s->self_state != PEER_UP || w->phase != WORK_IDLE ||
             (quorum_rules(s, &m->key) && s->quorum.self == 0))
        status = STEAD_E_BUSY;
    else if (!item_room_make(s, r->key.kind, r->memory_bytes))
        status = STEAD_E_FULL;
    struct stamp handed = r->stamp;
    struct item *item = status ? NULL : inherit(s, r, &used);
    if (!status && !item)
        status = STEAD_E_NOMEM;
    if (status) {
        refuse_handover(s, from, m, status);
    } else {
        item->state->base = item->record->stamp;
        w->seen = handed;
        item->record->stamp.term++;
        item->record->stamp.version++;
        item->record->stamp.inc = s->self_inc;
        for (size_t i = 0; i < item->state->count; i++)
            item->state->copies[i].version = 0;
        expiry_set(s, item, m->left_ms);
        w->handover_from = from;
        w->handover_token = m->token;
        round_start(s, w, item, true);
    }
    if (!used)
        record_free(r);
    w->held--;
    work_release(s, w);
}
