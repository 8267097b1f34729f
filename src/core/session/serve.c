/* What happens next for a key: the one place that decides whether an operation is done here, passed
 * on, or has to wait for a search, a claim or a round. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <assert.h>

#define AGAIN_NS (20 * NS_PER_MS) /* a wait for contact is looked at again after */

static struct waiter *first_waiter(struct work *w)
{
    return list_empty(&w->queue) ? NULL : list_entry(w->queue.next, struct waiter, link);
}

static bool is_read(const struct waiter *w)
{
    return w->op.type == SESSION_READ;
}

static bool matches(const struct session_op *op, const struct record *r)
{
    return !op->has_match ||
           (op->match.term == r->stamp.term && op->match.version == r->stamp.version);
}

static int status_of_tombstone(const struct record *r)
{
    return r->ended ? STEAD_E_ENDED : STEAD_E_ABSENT;
}

/* -- at the owner -- */

static bool copy_is_enough(const struct session_op *op, const struct record *r)
{
    return r->stamp.term > op->min_term ||
           (r->stamp.term == op->min_term && r->stamp.version >= op->min_version);
}

/* Reads what may be read here. */
static int read_item(struct session *s, const struct session_op *op, struct item *item)
{
    if (!op->peek && s->kinds.kind[item->kind].when_full == FULL_EVICT)
        table_touch(s->table, item);
    if (record_is_tombstone(item->record))
        return status_of_tombstone(item->record);
    if (!copy_is_enough(op, item->record))
        return STEAD_E_CONFLICT; /* the owner itself has no such version */
    if (!op->peek)
        expiry_touch(s, item);
    s->stats.reads_local++;
    return STEAD_OK;
}

static void answer_read(struct session *s, struct waiter *w, struct item *item)
{
    int status = read_item(s, &w->op, item);
    if (status != STEAD_OK)
        waiter_fail(s, w, status);
    else
        waiter_done(s, w, item, 0, ORIGIN_LOCAL);
}

/* Is there somebody to keep a copy, or does the kind do without? */
static int may_write(struct session *s, const struct key *key, size_t bytes)
{
    size_t least = placement_least(s, key);
    uint64_t any[RECORD_HOLDERS_MAX];
    if (least == 0 || placement_holders(s, key, bytes, any) >= least)
        return STEAD_OK;
    if (placement_holders(s, key, 0, any) >= least)
        return STEAD_E_FULL;
    return quorum_rules(s, key) ? STEAD_E_NO_QUORUM : STEAD_E_ALONE;
}

static size_t op_bytes(const struct session_op *op)
{
    size_t size = 0;
    for (size_t i = 0; i < op->op_count; i++)
        size += op->ops[i].name_len + op->ops[i].value_len + sizeof(struct field);
    return size;
}

/* A value that no record of the kind may have is refused before room is made for it. */
static bool has_large_value(const struct session *s, const struct session_op *op)
{
    uint32_t most = kind_size_max(&s->kinds.kind[op->key->kind]);
    for (size_t i = 0; i < op->op_count; i++)
        if (op->ops[i].type == FIELD_SET && op->ops[i].value_len > most)
            return true;
    return false;
}

static int apply(struct session *s, const struct session_op *op, struct item *item)
{
    struct record *r = item->record;
    struct stamp next = {r->stamp.term, r->stamp.version + 1, s->self_inc};
    if (op->type == SESSION_END) {
        if (record_is_tombstone(r))
            return status_of_tombstone(r);
        if (!matches(op, r))
            return STEAD_E_CONFLICT;
        if (kind_of(s, op->key)->deletion == DELETE_FINAL)
            record_end(r, &next, now_s(s));
        else
            record_die(r, &next, now_s(s));
        table_recount(s->table, item);
        expiry_set(s, item, 0);
        return STEAD_OK;
    }
    bool again = op->type == SESSION_CREATE_IF_ABSENT && record_is_tombstone(r) && !r->ended;
    if (op->type != SESSION_CHANGE && !again)
        return r->ended ? STEAD_E_ENDED : STEAD_E_EXISTS;
    if (op->type == SESSION_CHANGE && record_is_tombstone(r))
        return status_of_tombstone(r);
    if (!matches(op, r))
        return STEAD_E_CONFLICT;
    if (has_large_value(s, op))
        return STEAD_E_TOO_LARGE;
    if (!item_room_make(s, op->key->kind, op_bytes(op)))
        return STEAD_E_FULL;
    int err = record_apply_within(r, op->ops, op->op_count, &next, now_s(s),
                                  kind_size_max(kind_of(s, op->key)));
    if (err)
        return err;
    if (op->ttl_ms || again)
        r->ttl_ms = op->ttl_ms ? op->ttl_ms : kind_of(s, op->key)->ttl_ms;
    table_recount(s->table, item);
    if (op->ttl_ms || again || kind_of(s, op->key)->sliding)
        expiry_set(s, item, r->ttl_ms);
    return STEAD_OK;
}

static void purge(struct session *s, struct item *item)
{
    uint32_t split_s = (uint32_t)(s->config.split_max_ms / 1000);
    if (now_s(s) > split_s)
        record_purge(item->record, now_s(s) - split_s);
}

static int write_or_push(struct session *s, struct work *w, struct item *item,
                         const struct session_op *op)
{
    if (op->type == SESSION_PUSH)
        return record_is_tombstone(item->record) ? status_of_tombstone(item->record)
                                                 : item_add_guest(s, item, op->peer);
    int err = may_write(s, &w->key, item->record->memory_bytes);
    /* Who has a copy may have room for this change of it. */
    if (err == STEAD_E_FULL && item->state->count > 0)
        err = STEAD_OK;
    if (err && op->type != SESSION_END)
        return err;
    return err == STEAD_E_ALONE || err == STEAD_E_NO_QUORUM ? err : apply(s, op, item);
}

/* The writes at the head of the queue go into one round; a read behind them waits for it. */
static bool apply_writes(struct session *s, struct work *w, struct item *item)
{
    bool any = false;
    struct waiter *next;
    purge(s, item);
    round_mark(s, w, item);
    for (int n = 0; n < BATCH_MAX && (next = first_waiter(w)) && !is_read(next); n++) {
        list_remove(&next->link);
        int err = write_or_push(s, w, item, &next->op);
        if (err) {
            waiter_fail(s, next, err);
            continue;
        }
        list_append(&w->round, &next->link);
        any = true;
    }
    if (!any)
        record_settle(item->record);
    return any;
}

/* No majority has confirmed it at the moment: copies are made until one has. */
static void serve_unkept(struct session *s, struct work *w, struct item *item)
{
    if (!quorum_in_sight(s))
        quorum_refuse(s, w);
    if (s->self_state != PEER_LEAVING && s->quorum.self != 0 && item_needs_repair(s, item))
        round_start(s, w, item, false);
    else
        w->again_ns = s->now_ns + AGAIN_NS;
}

static void serve_owner(struct session *s, struct work *w, struct item *item)
{
    bool wait;
    if (!item_confident(s, item, &wait)) {
        if (wait)
            w->again_ns = s->now_ns + AGAIN_NS;
        else
            claim_start(s, w, item);
        return;
    }
    if (quorum_rules(s, &w->key) && !quorum_keeps(s, item)) {
        serve_unkept(s, w, item);
        return;
    }
    if (s->self_state == PEER_LEAVING && list_empty(&w->queue))
        return;
    struct waiter *next;
    while ((next = first_waiter(w)) && is_read(next)) {
        list_remove(&next->link);
        answer_read(s, next, item);
    }
    bool wrote = next && apply_writes(s, w, item);
    if (wrote || item_needs_repair(s, item))
        round_start(s, w, item, false);
    else if (first_waiter(w))
        w->again = true;
}

/* -- at a holder -- */

static void pass_queue(struct session *s, struct work *w, uint64_t to)
{
    struct waiter *next;
    while ((next = first_waiter(w))) {
        list_remove(&next->link);
        waiter_pass(s, next, to);
    }
}

/* The owner is down: the first of the holders that are heard claims; whoever is asked for it by
 * another node does so too, since that one may have passed it on because it has no copy. */
static void serve_orphan(struct session *s, struct work *w, struct item *item)
{
    uint64_t first = placement_first(s, &w->key, item->record->holders, item->record->holder_count,
                                     s->self_holds);
    if (s->self_holds && (first == s->self_inc || first_waiter(w)->hops > 0))
        claim_start(s, w, item);
    else if (first)
        pass_queue(s, w, first);
    else
        claim_start(s, w, item);
}

static void serve_holder(struct session *s, struct work *w, struct item *item)
{
    uint64_t owner = item_owner(s, item);
    bool may = holder_may_serve(s, item);
    struct waiter *next;
    while (may && (next = first_waiter(w)) && is_read(next) &&
           copy_is_enough(&next->op, item->record)) {
        list_remove(&next->link);
        answer_read(s, next, item);
    }
    /* A final end is the same everywhere, whoever says it. */
    while (item->record->ended && (next = first_waiter(w))) {
        list_remove(&next->link);
        waiter_fail(s, next, STEAD_E_ENDED);
    }
    if (!first_waiter(w))
        return;
    if (item_is_shelved(item)) {
        if (s->self_state == PEER_UP)
            claim_start(s, w, item);
        else
            w->again_ns = s->now_ns + AGAIN_NS;
        return;
    }
    if (peer_is_heard(s, owner) && first_waiter(w)->asker == owner) {
        /* Whom this copy names owner asks here: it is none, and everybody is asked. */
        item->generation = 0;
        claim_start(s, w, item);
    } else if (peer_is_heard(s, owner))
        pass_queue(s, w, owner);
    else
        serve_orphan(s, w, item);
}

/* -- at a stranger -- */

/* Whoever still has something of a life before, which was over here, is to have nothing of it in
 * this one, nor to take the word of that end for the end of this. */
static struct stamp first_stamp(struct session *s, const struct work *w, struct record *r,
                                const struct session_op *op)
{
    const struct stamp *before = &w->outlived;
    if (w->ballot || before->term == 0 || op->type != SESSION_CREATE_IF_ABSENT)
        return (struct stamp){w->ballot ? w->ballot : 1, 1, s->self_inc};
    if (op->op_count > 0)
        record_die(r, before, now_s(s));
    return (struct stamp){before->term, before->version + 1, s->self_inc};
}

/* A fresh key belongs to whoever makes it. */
static void create(struct session *s, struct work *w, struct waiter *next)
{
    list_remove(&next->link);
    int err = STEAD_OK;
    struct record *r = NULL;
    struct item *item = NULL;
    size_t bytes = op_bytes(&next->op) + sizeof(*r);
    if (!s->self_holds)
        err = STEAD_E_ALONE;
    else if (has_large_value(s, &next->op))
        err = STEAD_E_TOO_LARGE;
    else if ((err = may_write(s, &w->key, bytes)))
        ;
    else if (!item_room_make(s, w->key.kind, bytes))
        err = STEAD_E_FULL;
    else if (!(r = record_new(&w->key)))
        err = STEAD_E_NOMEM;
    if (!err) {
        struct stamp first = first_stamp(s, w, r, &next->op);
        err = record_apply_within(r, next->op.ops, next->op.op_count, &first, now_s(s),
                                  kind_size_max(kind_of(s, &w->key)));
        r->ttl_ms = next->op.ttl_ms ? next->op.ttl_ms : kind_of(s, &w->key)->ttl_ms;
    }
    if (!err && !(item = item_insert(s, r, ROLE_HOLDER)))
        err = STEAD_E_NOMEM;
    if (err) {
        record_free(r);
        waiter_fail(s, next, err);
        w->again = true;
        return;
    }
    item_own(s, item);
    expiry_set(s, item, r->ttl_ms);
    list_append(&w->round, &next->link);
    w->made = true;
    w->spread = false;
    w->seen = (struct stamp){0};
    round_start(s, w, item, false);
}

static uint64_t home_of(struct session *s, const struct key *key)
{
    uint64_t order[1];
    size_t n = placement_order(s, key, order, 1);
    bool self =
        s->self_holds && s->self_state <= PEER_UP && (s->quorum.self != 0 || !quorum_rules(s, key));
    return placement_first(s, key, order, n, self);
}

static void serve_stranger(struct session *s, struct work *w)
{
    struct waiter *next;
    while ((next = first_waiter(w))) {
        uint64_t home = 0, hint = hint_get(s, &w->key);
        bool makes = next->op.type == SESSION_CREATE_IF_ABSENT;
        bool elsewhere = next->op.type == SESSION_CREATE && !s->self_holds && next->hops == 0;
        if (makes || elsewhere)
            home = home_of(s, &w->key);
        if (makes && quorum_rules(s, &w->key) && s->quorum.self == 0 && (!home || next->hops > 0)) {
            list_remove(&next->link);
            if (home)
                waiter_retry(s, next);
            else
                waiter_fail(s, next, STEAD_E_NO_QUORUM);
            continue;
        }
        if (elsewhere && home) {
            list_remove(&next->link);
            waiter_pass(s, next, home);
            continue;
        }
        if (next->op.type == SESSION_CREATE) {
            create(s, w, next);
            return;
        }
        if (makes && home && home != s->self_inc && next->hops == 0) {
            list_remove(&next->link);
            waiter_pass(s, next, home);
            continue;
        }
        if (makes && next->searched) {
            create(s, w, next);
            return;
        }
        if (!makes && hint && peer_is_heard(s, hint) && next->hops == 0) {
            list_remove(&next->link);
            waiter_pass(s, next, hint);
            continue;
        }
        if (is_read(next) && next->op.min_term == 0 && hint_is_absent(s, &w->key)) {
            list_remove(&next->link);
            s->stats.reads_missed_again++;
            waiter_fail(s, next, STEAD_E_ABSENT);
            continue;
        }
        locate_start(s, w);
        return;
    }
}

void serve_key(struct session *s, struct work *w)
{
    /* A round that is over at once calls this again: a loop, not a recursion as deep as the queue
     * is long. */
    w->again = true;
    if (w->serving)
        return;
    w->serving = true;
    w->held++;
    while (w->again && w->phase == WORK_IDLE) {
        struct item *item = table_find(s->table, &w->key);
        w->again = false;
        w->again_ns = 0;
        if (!item)
            serve_stranger(s, w);
        else if (item->role == ROLE_OWNER)
            serve_owner(s, w, item);
        else
            serve_holder(s, w, item);
    }
    w->serving = false;
    w->held--;
    work_release(s, w);
}

int serve_read(struct session *s, const struct session_op *op, struct item **out)
{
    bool wait;
    struct item *item = table_find(s->table, op->key);
    /* Whatever goes on about the key is not overtaken. */
    if (!item || (s->work_count > 0 && work_find(s, op->key)))
        return STEAD_PENDING;
    if (item->role == ROLE_OWNER ? !item_confident(s, item, &wait) ||
                                       (quorum_rules(s, op->key) && !quorum_keeps(s, item))
                                 : !holder_may_serve(s, item) || !copy_is_enough(op, item->record))
        return STEAD_PENDING;
    *out = item;
    return read_item(s, op, item);
}

/* A round of it would ask nobody. */
static bool is_alone(struct session *s, struct item *item)
{
    const struct kind *k = kind_of(s, &item->record->key);
    bool wait;
    return item->role == ROLE_OWNER && s->peer_count == 0 && s->self_state == PEER_UP &&
           item->state->count == 0 && item->record->holder_count == 0 &&
           !list_linked(&item->queue) && kind_least(k) == 0 && k->atomic == ATOMIC_AVAILABLE &&
           item_confident(s, item, &wait);
}

int serve_write(struct session *s, const struct session_op *op, struct item **out)
{
    struct item *item = s->peer_count == 0 ? table_find(s->table, op->key) : NULL;
    if (!item || (s->work_count > 0 && work_find(s, op->key)) || !is_alone(s, item))
        return STEAD_PENDING;
    /* Without a work about it, the item itself might be evicted. */
    if (!item_has_room(s, op->key->kind, op_bytes(op)))
        return STEAD_PENDING;
    *out = item;
    purge(s, item);
    return apply(s, op, item);
}

void serve_waiter(struct session *s, struct waiter *w)
{
    struct work *work = work_get(s, &w->key);
    if (!work) {
        waiter_fail(s, w, STEAD_E_NOMEM);
        return;
    }
    if (list_linked(&w->link))
        list_remove(&w->link);
    w->queued_ns = s->now_ns;
    list_append(&work->queue, &w->link);
    serve_key(s, work);
}
