/* gate_store.h - a store of one array whose answers a test can delay and spoil: what the doors of
 * applications are tested before. */
#ifndef TESTS_UNIT_GATE_STORE_H
#define TESTS_UNIT_GATE_STORE_H

#include "base/mem.h"
#include "store/store.h"

#define RECORDS_MAX 64
#define USED_MS 1100 /* of each record's life, whenever it is asked for */

struct store {
    struct kinds kinds;
    struct store_wake wake;
    struct record *records[RECORDS_MAX];
    size_t count;
    struct list waiting;
    bool delay;
    /* The next operation of this type fails so; `done`: though it was carried out. */
    int spoil[SESSION_END + 1];
    bool done[SESSION_END + 1];
    uint64_t last_deadline_ns, last_min_version;
    uint32_t last_ttl_ms;
    uint32_t changes;
    void (*before)(struct store *s, const struct session_op *op);
};

void session_result_free(struct session_result *r)
{
    record_free(r->record);
    mem_free(r);
}

static struct record *stored(struct store *s, const struct key *key)
{
    for (size_t i = 0; i < s->count; i++)
        if (key_equal(&s->records[i]->key, key))
            return s->records[i];
    return NULL;
}

static int carry_out(struct store *s, const struct session_op *op, struct record **shown)
{
    struct record *r = stored(s, op->key);
    size_t count = s->count;
    bool dead = !r || (record_is_tombstone(r) && !r->ended);
    if (op->type == SESSION_CREATE_IF_ABSENT && !dead)
        return r->ended ? STEAD_E_ENDED : STEAD_E_EXISTS;
    if (op->type == SESSION_CREATE || op->type == SESSION_CREATE_IF_ABSENT) {
        assert_true(op->type != SESSION_CREATE || !r);
        assert_true(s->count < RECORDS_MAX);
        if (!r) {
            r = s->records[s->count++] = record_new(op->key);
            r->stamp.term = 1;
        }
        r->ttl_ms = op->ttl_ms ? op->ttl_ms : s->kinds.kind[op->key->kind].ttl_ms;
    } else if (dead || r->ended) {
        return dead ? STEAD_E_ABSENT : STEAD_E_ENDED;
    }
    if (op->has_match && (op->match.term != r->stamp.term || op->match.version != r->stamp.version))
        return STEAD_E_CONFLICT;
    struct stamp next = {r->stamp.term, r->stamp.version + 1, 1};
    if (op->type == SESSION_END) {
        s->changes++;
        if (s->kinds.kind[op->key->kind].deletion == DELETE_VERSIONED)
            record_die(r, &next, 0);
        else
            record_end(r, &next, 0);
        return STEAD_OK;
    }
    if (op->type != SESSION_READ) {
        s->changes++;
        int err = record_apply_within(r, op->ops, op->op_count, &next, 0,
                                      kind_size_max(&s->kinds.kind[op->key->kind]));
        if (err && s->count > count)
            record_free(s->records[--s->count]);
        if (err)
            return err;
        r->ttl_ms = op->ttl_ms ? op->ttl_ms : r->ttl_ms;
    }
    *shown = r;
    return STEAD_OK;
}

uint64_t store_hash(const struct store *s, const void *key, size_t len)
{
    (void)s;
    assert_true(len > 0);
    return len << 8 | *(const uint8_t *)key;
}

void store_expect(struct store *s, const struct store_place *places, size_t count)
{
    (void)s;
    for (size_t i = 0; i < count; i++)
        assert_true(places[i].kind < KINDS_MAX);
}

/* With a delay, or where a test has a hand in it, nothing can be read without an operation. */
int store_read(struct store *s, struct session_op *op, uint64_t now_ns,
               void (*take)(void *context, const struct session_reading *r), void *context)
{
    struct record *r = NULL;
    assert_true(op->type == SESSION_READ && now_ns > 0);
    assert_true(op->hash == 0 || op->hash == store_hash(s, op->key->bytes, op->key->len));
    if (s->delay || s->before || s->spoil[SESSION_READ])
        return STEAD_PENDING;
    int status = carry_out(s, op, &r);
    if (status == STEAD_OK)
        take(context, &(struct session_reading){r, r->ttl_ms - USED_MS});
    return status;
}

int store_write(struct store *s, struct session_op *op, uint64_t now_ns, struct stamp *stamp,
                uint32_t *left_ms)
{
    struct record *r = NULL;
    assert_true(op->type == SESSION_CHANGE && op->bare && now_ns > 0);
    assert_true(op->hash == 0 || op->hash == store_hash(s, op->key->bytes, op->key->len));
    if (s->delay || s->before || s->spoil[SESSION_CHANGE])
        return STEAD_PENDING;
    s->last_ttl_ms = op->ttl_ms;
    int status = carry_out(s, op, &r);
    if (status == STEAD_OK) {
        *stamp = r->stamp;
        *left_ms = r->ttl_ms - USED_MS;
    }
    return status;
}

int store_submit(struct store *s, unsigned mailbox, const struct session_op *op, uint64_t now_ns,
                 struct session_result **out)
{
    assert_int_equal(mailbox, 3);
    assert_true(op->deadline_ns > now_ns);
    s->last_deadline_ns = op->deadline_ns - now_ns;
    s->last_min_version = op->min_version;
    s->last_ttl_ms = op->ttl_ms;
    if (s->before)
        s->before(s, op);
    int spoil = s->spoil[op->type];
    bool done = s->done[op->type];
    s->spoil[op->type] = 0;
    s->done[op->type] = false;
    if (spoil == STEAD_E_BUSY)
        return spoil;
    struct session_result *r = mem_alloc(sizeof *r);
    r->request = op->request;
    r->copies = 2;
    struct record *shown = NULL;
    r->status = spoil && !done ? spoil : carry_out(s, op, &shown);
    r->left_ms = shown ? shown->ttl_ms - USED_MS : 0;
    if (shown)
        r->stamp = shown->stamp;
    if (spoil && done)
        r->status = spoil;
    else if (shown && !op->bare)
        r->record = record_clone(shown);
    if (!s->delay) {
        *out = r;
        return STEAD_OK;
    }
    list_append(&s->waiting, &r->link);
    s->wake.call(s->wake.context);
    return STEAD_PENDING;
}

struct session_result *store_collect(struct store *s, unsigned mailbox)
{
    assert_int_equal(mailbox, 3);
    struct list *link = list_pop(&s->waiting);
    return link ? list_entry(link, struct session_result, link) : NULL;
}

void store_go(struct store *s)
{
    (void)s;
}

void store_set_wake(struct store *s, unsigned mailbox, struct store_wake wake)
{
    assert_int_equal(mailbox, 3);
    s->wake = wake;
}

uint32_t store_changes(const struct store *s, const struct key *key)
{
    assert_true(key->len > 0);
    return s->changes;
}

void store_kinds_now(struct store *s, struct kinds *out)
{
    *out = s->kinds;
}

const struct kinds *store_kinds(const struct store *s)
{
    return &s->kinds;
}

#endif
