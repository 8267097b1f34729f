/* Operations under way: kept with a copy of what they ask for until they are answered, here or by
 * the node they were passed on to. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <string.h>

#define RETRY_NS (50 * NS_PER_MS)

static size_t bytes_of(const struct session_op *op)
{
    size_t size = op->op_count * sizeof(struct field_op);
    for (size_t i = 0; i < op->op_count; i++)
        size += op->ops[i].name_len + op->ops[i].value_len;
    return size;
}

static void copy_ops(struct waiter *w, const struct session_op *op)
{
    uint8_t *at = (uint8_t *)(w->ops + op->op_count);
    for (size_t i = 0; i < op->op_count; i++) {
        struct field_op *f = &w->ops[i];
        *f = op->ops[i];
        if (f->name_len)
            memcpy(at, f->name, f->name_len);
        f->name = at;
        at += f->name_len;
        if (f->type != FIELD_SET)
            f->value_len = 0;
        if (f->value_len)
            memcpy(at, f->value, f->value_len);
        f->value = at;
        at += f->value_len;
    }
}

struct waiter *waiter_new(struct session *s, const struct session_op *op, uint64_t asker,
                          uint64_t token, uint8_t hops, uint64_t deadline_ns)
{
    if (s->waiter_count >= s->config.waiting_max)
        return NULL;
    struct waiter *w = mem_alloc(sizeof(*w) + bytes_of(op));
    if (!w)
        return NULL;
    w->op = *op;
    w->key = *op->key;
    w->op.key = &w->key;
    w->op.ops = w->ops;
    w->op.deadline_ns = deadline_ns;
    w->asker = asker;
    w->token = token;
    w->hops = hops;
    copy_ops(w, op);
    list_append(&s->waiters, &w->all);
    wheel_set(&s->deadlines, &w->deadline, deadline_ns);
    s->waiter_count++;
    return w;
}

static void waiter_free(struct session *s, struct waiter *w)
{
    if (list_linked(&w->link))
        list_remove(&w->link);
    list_remove(&w->all);
    wheel_cancel(&s->deadlines, &w->deadline);
    s->waiter_count--;
    mem_free(w);
}

static bool has_result(const struct session_op *op)
{
    return op->type != SESSION_END && op->type != SESSION_PUSH;
}

/* The unreachable counts as absent for kinds that may be lost. */
static int shown_status(const struct session *s, const struct waiter *w, int status)
{
    bool lost = status == STEAD_E_UNREACHABLE || status == STEAD_E_DEADLINE;
    return lost && w->op.type == SESSION_READ && kind_of(s, &w->key)->losable ? STEAD_E_ABSENT
                                                                              : status;
}

static void answer_local(struct session *s, struct waiter *w, int status, struct record *copy,
                         const struct outcome *o)
{
    struct session_result *r = w->op.silent ? NULL : mem_alloc(sizeof(*r));
    if (w->op.cull != 0)
        cull_ended(s, w->op.cull, status);
    if (w->op.type == SESSION_PUSH) {
        s->stats.pushes += status == STEAD_OK;
        s->stats.pushes_failed += status != STEAD_OK;
    }
    if (!r) {
        /* The role's own deadline ends its request. */
        record_free(copy);
        return;
    }
    r->request = w->token;
    r->status = status;
    r->record = copy;
    if (status == STEAD_OK && o->record && has_result(&w->op))
        r->stamp = o->record->stamp;
    r->left_ms = o->left_ms;
    r->copies = o->copies;
    r->origin = o->origin;
    list_append(&s->out->results, &r->link);
}

static void answer_peer(struct session *s, struct waiter *w, int status, const struct record *rec,
                        const struct outcome *o)
{
    struct message m = {.type = MESSAGE_RESULT,
                        .key = w->key,
                        .token = w->token,
                        .status = (uint8_t)-status,
                        .left_ms = o->left_ms,
                        .copies = o->copies,
                        .origin = (uint8_t)o->origin};
    session_send(s, &m, rec, w->asker);
}

void waiter_finish(struct session *s, struct waiter *w, const struct outcome *o)
{
    int status = shown_status(s, w, o->status);
    bool shows = status == STEAD_OK && has_result(&w->op) && o->record;
    if (w->asker == 0) {
        bool copies = shows && !w->op.bare;
        struct record *copy = copies ? record_clone(o->record) : NULL;
        answer_local(s, w, copies && !copy ? STEAD_E_NOMEM : status, copy, o);
    } else {
        answer_peer(s, w, status, shows ? o->record : NULL, o);
    }
    waiter_free(s, w);
}

void waiter_fail(struct session *s, struct waiter *w, int status)
{
    struct outcome o = {.status = status};
    waiter_finish(s, w, &o);
}

void waiter_done(struct session *s, struct waiter *w, const struct item *item, uint8_t copies,
                 enum session_origin origin)
{
    struct outcome o = {.record = item->record,
                        .left_ms = item_left_ms(s, item),
                        .copies = copies,
                        .origin = origin};
    waiter_finish(s, w, &o);
}

void waiter_retry(struct session *s, struct waiter *w)
{
    if (w->asker != 0) {
        waiter_fail(s, w, STEAD_E_NOT_FOUND);
        return;
    }
    if (list_linked(&w->link))
        list_remove(&w->link);
    w->hops = 0;
    w->searched = false;
    w->passed_to = 0;
    w->not_before_ns = s->now_ns + RETRY_NS;
    list_append(&s->later, &w->link);
}

/* They are in the order of their times, since all wait equally long. */
static void retry_due(struct session *s)
{
    while (!list_empty(&s->later)) {
        struct waiter *w = list_entry(s->later.next, struct waiter, link);
        if (w->not_before_ns > s->now_ns)
            return;
        serve_waiter(s, w);
    }
}

/* A node that has been silent for so long is on its way to be counted out. What is sent to it now
 * would only end as one whose outcome nobody knows; kept here, it is done when that is settled. */
static bool is_silent(struct session *s, const struct waiter *w, uint64_t to)
{
    return w->op.type != SESSION_READ && peer_lapsed(s, to);
}

void waiter_pass(struct session *s, struct waiter *w, uint64_t to)
{
    if (s->self_state == PEER_LEAVING && w->asker != 0) {
        /* What it passed on would be waiting here when it has left: the asker finds the owner. */
        waiter_fail(s, w, STEAD_E_NOT_FOUND);
        return;
    }
    if (w->hops >= HOPS_MAX || is_silent(s, w, to)) {
        waiter_retry(s, w);
        return;
    }
    if (list_linked(&w->link))
        list_remove(&w->link);
    w->passed_to = to;
    w->pass_token = ++s->next_token;
    list_append(&s->passed[w->pass_token % PASSED_BUCKETS], &w->link);
    struct message m = {.type = MESSAGE_FORWARD,
                        .key = w->key,
                        .token = w->pass_token,
                        .hops = (uint8_t)(w->hops + 1),
                        .op = w->op};
    const struct peer *p = peer_find(s, to);
    if (p) {
        m.counted = p->view.counted;
        m.granted = p->view.granted;
    }
    session_send(s, &m, NULL, to);
    s->stats.reads_owner += w->op.type == SESSION_READ;
}

/* Starts over: where the operation was sent, it was not done. */
static void restart(struct session *s, struct waiter *w)
{
    w->passed_to = 0;
    w->searched = false;
    w->hops++;
    hint_set(s, &w->key, 0);
    if (w->hops < HOPS_MAX)
        serve_waiter(s, w);
    else
        waiter_retry(s, w);
}

/* A write that was passed to a node that went away may have been done there. */
void waiters_peer_gone(struct session *s, uint64_t inc)
{
    struct list moved;
    list_init(&moved);
    for (size_t i = 0; i < PASSED_BUCKETS; i++) {
        struct list *bucket = &s->passed[i];
        for (struct list *l = bucket->next, *next; l != bucket; l = next) {
            next = l->next;
            if (list_entry(l, struct waiter, link)->passed_to != inc)
                continue;
            list_remove(l);
            list_append(&moved, l);
        }
    }
    struct list *l;
    while ((l = list_pop(&moved))) {
        struct waiter *w = list_entry(l, struct waiter, link);
        if (w->op.type == SESSION_READ)
            restart(s, w);
        else
            waiter_fail(s, w, STEAD_E_UNKNOWN);
    }
}

static struct waiter *passed_find(struct session *s, uint64_t from, uint64_t token)
{
    struct list *bucket = &s->passed[token % PASSED_BUCKETS];
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct waiter *w = list_entry(l, struct waiter, link);
        if (w->pass_token == token && w->passed_to == from)
            return w;
    }
    return NULL;
}

void waiter_result(struct session *s, uint64_t from, const struct message *m)
{
    struct waiter *w = passed_find(s, from, m->token);
    int status = -(int)m->status;
    if (!w || m->origin > ORIGIN_CLAIM)
        return;
    /* NOT_FOUND: it does not own the key and did nothing. */
    if (status == STEAD_E_NOT_FOUND) {
        restart(s, w);
        return;
    }
    int err = STEAD_OK;
    struct record *rec = m->record ? message_record(m, now_s(s), &err) : NULL;
    if (status == STEAD_OK && !m->record && has_result(&w->op))
        err = STEAD_E_PARSE; /* whoever asked counts on a record */
    struct outcome o = {.status = err ? err : status,
                        .record = rec,
                        .left_ms = m->left_ms,
                        .copies = m->copies,
                        .origin = m->origin == ORIGIN_CLAIM ? ORIGIN_CLAIM : ORIGIN_OWNER};
    if (o.status == STEAD_OK)
        hint_set(s, &w->key, from);
    waiter_finish(s, w, &o);
    record_free(rec);
}

/* Deadlines. What waits for its turn was not done; what is in a round or was passed on may have
 * been. */
void waiters_tick(struct session *s)
{
    retry_due(s);
    struct timer *timer;
    while ((timer = wheel_expired(&s->deadlines, s->now_ns))) {
        struct waiter *w = list_entry(timer, struct waiter, deadline);
        struct work *work = work_find(s, &w->key);
        waiter_fail(s, w, STEAD_E_DEADLINE);
        if (work)
            work_release(s, work);
    }
}
