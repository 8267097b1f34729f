/* session_keep.c - questions for TLS sessions on their way through the store. */
#include "role/director/session_keep.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/io.h"
#include "io/wake.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

#define KEY_BYTES (2 * TLS_ID_BYTES)
#define VALUE_MAX (TLS_SESSION_BYTES_MAX + BOX_OVERHEAD)
#define WRITE_TAG UINT64_MAX /* of operations that nobody waits for */
#define NO_SLOT UINT32_MAX
#define FIRST_TERM 1 /* of the node that made the record */

struct question {
    struct tls *tls; /* NULL: nobody waits any more */
    uint32_t generation, next_free;
    bool used, once;
    bool ending; /* it was read, and is being taken */
    enum tls_answer how;
    uint8_t id[TLS_ID_BYTES];
    uint8_t *session; /* opened, while it is being taken; NULL: none */
    size_t len;
};

struct session_keep {
    struct session_keep_config config;
    struct tls_keeper keeper;
    struct wake wake;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
    uint32_t free_slot;
    struct question questions[SESSION_KEEP_WAITING_MAX];
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void set_key(const struct session_keep *k, const uint8_t id[TLS_ID_BYTES], struct key *out)
{
    char text[KEY_BYTES];
    for (size_t i = 0; i < TLS_ID_BYTES; i++) {
        text[2 * i] = "0123456789abcdef"[id[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    (void)key_set(out, k->config.kind, text, sizeof text); /* its length is fixed */
}

/* -- questions -- */

static void forget_session(struct question *q)
{
    if (q->session)
        explicit_bzero(q->session, q->len);
    mem_free(q->session);
    q->session = NULL;
}

/* The last step of one: its place is free before the handshake goes on. */
static void finish(struct session_keep *k, struct question *q, enum tls_answer how)
{
    struct question done = *q;
    q->used = false;
    q->tls = NULL;
    q->session = NULL;
    q->generation++;
    q->next_free = k->free_slot;
    k->free_slot = (uint32_t)(q - k->questions);
    if (done.tls)
        tls_answer(done.tls, how, done.session, done.len);
    forget_session(&done);
}

static struct question *question_new(struct session_keep *k)
{
    if (k->closing || k->free_slot == NO_SLOT)
        return NULL;
    struct question *q = &k->questions[k->free_slot];
    k->free_slot = q->next_free;
    q->used = true;
    q->ending = false;
    return q;
}

static void on_result(struct session_keep *k, struct question *q, int status,
                      const struct session_result *r);

static void submit(struct session_keep *k, struct question *q, struct session_op *op)
{
    struct session_result *r = NULL;
    uint64_t now_ns = io_now_ns();
    op->deadline_ns = now_ns + SESSION_KEEP_ASK_MS * NS_PER_MS;
    op->request = (uint64_t)q->generation << 32 | (uint32_t)(q - k->questions);
    int status = store_submit(k->config.store, k->config.mailbox, op, now_ns, &r);
    if (status != STEAD_PENDING)
        on_result(k, q, r ? r->status : status, r);
    session_result_free(r);
}

/* The record's value, opened into q->session. */
static bool open_value(const struct session_keep *k, struct question *q, const struct record *r)
{
    const struct field *f = r ? record_get(r, "", 0) : NULL;
    if (!f || f->value_len <= BOX_OVERHEAD || f->value_len > VALUE_MAX)
        return false;
    q->len = f->value_len - BOX_OVERHEAD;
    q->session = mem_alloc(q->len);
    return q->session && box_ring_open(k->config.keys, q->id, sizeof q->id, field_value(f),
                                       f->value_len, q->session);
}

/* Nobody else gets it from here on; whether this one does, is what the answer tells. */
static void take(struct session_keep *k, struct question *q, const struct stamp *stamp)
{
    struct key key;
    set_key(k, q->id, &key);
    struct session_op op = {
        .type = SESSION_END, .key = &key, .has_match = true, .match = *stamp, .bare = true};
    q->ending = true;
    submit(k, q, &op);
}

static enum tls_answer why_not(int status)
{
    bool none = status == STEAD_E_ABSENT || status == STEAD_E_ENDED || status == STEAD_E_CONFLICT;
    return none ? TLS_ANSWER_NONE : TLS_ANSWER_LATE;
}

static void on_result(struct session_keep *k, struct question *q, int status,
                      const struct session_result *r)
{
    if (!q->tls || status != STEAD_OK || !r) {
        finish(k, q, why_not(status));
        return;
    }
    if (q->ending) {
        finish(k, q, q->how);
        return;
    }
    q->how = r->origin == ORIGIN_LOCAL   ? TLS_ANSWER_OWN
             : r->origin == ORIGIN_CLAIM ? TLS_ANSWER_SAVED
                                         : TLS_ANSWER_PEER;
    if (!open_value(k, q, r->record))
        finish(k, q, TLS_ANSWER_DAMAGED);
    else if (!q->once)
        finish(k, q, q->how);
    else if (r->stamp.term != FIRST_TERM)
        finish(k, q, TLS_ANSWER_NONE);
    else
        take(k, q, &r->stamp);
}

/* -- the keeper's calls -- */

static void ask(void *context, struct tls *t, const uint8_t id[TLS_ID_BYTES], bool once)
{
    struct session_keep *k = context;
    struct question *q = question_new(k);
    struct key key;
    if (!q) {
        count(&k->config.counters->full);
        tls_answer(t, TLS_ANSWER_LATE, NULL, 0);
        return;
    }
    q->tls = t;
    q->once = once;
    memcpy(q->id, id, sizeof q->id);
    set_key(k, id, &key);
    struct session_op op = {.type = SESSION_READ, .key = &key, .peek = true};
    submit(k, q, &op);
}

/* Rare, so a walk over all will do. */
static void drop(void *context, struct tls *t)
{
    struct session_keep *k = context;
    for (uint32_t i = 0; i < SESSION_KEEP_WAITING_MAX; i++)
        if (k->questions[i].tls == t)
            k->questions[i].tls = NULL;
}

static void tell_write(struct session_keep *k, int status)
{
    count(status == STEAD_OK ? &k->config.counters->kept : &k->config.counters->unkept);
}

static void keep(void *context, const uint8_t id[TLS_ID_BYTES], const uint8_t *session, size_t len)
{
    struct session_keep *k = context;
    struct session_result *r = NULL;
    uint8_t salt[TOKEN_SALT_BYTES], value[VALUE_MAX];
    struct key key;
    uint64_t now_ns = io_now_ns();
    assert(len <= TLS_SESSION_BYTES_MAX);
    io_random(salt, sizeof salt);
    if (k->closing || !box_ring_seal(k->config.keys, id, TLS_ID_BYTES, salt, session, len, value)) {
        tell_write(k, STEAD_E_NOMEM);
        return;
    }
    set_key(k, id, &key);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = value,
                           .value_len = len + BOX_OVERHEAD};
    struct session_op op = {.type = SESSION_CREATE,
                            .key = &key,
                            .ttl_ms = TLS_KEPT_LIFE_S * 1000,
                            .ops = &set,
                            .op_count = 1,
                            .bare = true,
                            .request = WRITE_TAG,
                            .deadline_ns = now_ns + SESSION_KEEP_PUT_MS * NS_PER_MS};
    int status = store_submit(k->config.store, k->config.mailbox, &op, now_ns, &r);
    if (status != STEAD_PENDING)
        tell_write(k, r ? r->status : status);
    session_result_free(r);
}

/* -- results -- */

static void collect(void *context)
{
    struct session_keep *k = context;
    struct session_result *r;
    while ((r = store_collect(k->config.store, k->config.mailbox))) {
        uint32_t slot = (uint32_t)r->request, generation = (uint32_t)(r->request >> 32);
        if (r->request == WRITE_TAG)
            tell_write(k, r->status);
        else if (slot < SESSION_KEEP_WAITING_MAX && k->questions[slot].used &&
                 k->questions[slot].generation == generation)
            on_result(k, &k->questions[slot], r->status, r);
        session_result_free(r);
    }
}

static void wake_from_store(void *context)
{
    struct session_keep *k = context;
    wake_send(&k->wake);
}

/* -- life -- */

int session_keep_open(const struct session_keep_config *c, struct session_keep **out)
{
    struct session_keep *k = mem_alloc(sizeof *k);
    if (!k)
        return STEAD_E_NOMEM;
    int err = wake_open(&k->wake);
    if (err) {
        mem_free(k);
        return err;
    }
    k->config = *c;
    k->keeper = (struct tls_keeper){.context = k, .keep = keep, .ask = ask, .drop = drop};
    for (uint32_t i = 0; i < SESSION_KEEP_WAITING_MAX; i++)
        k->questions[i].next_free = i + 1 < SESSION_KEEP_WAITING_MAX ? i + 1 : NO_SLOT;
    wake_start(&k->wake, c->loop, collect, k);
    store_set_wake(c->store, c->mailbox, (struct store_wake){wake_from_store, k});
    *out = k;
    return STEAD_OK;
}

const struct tls_keeper *session_keep_keeper(const struct session_keep *k)
{
    return &k->keeper;
}

static void on_closed(uv_handle_t *handle)
{
    struct session_keep *k = handle->data;
    k->closed(k->closed_context);
}

void session_keep_close(struct session_keep *k, void (*closed)(void *context), void *context)
{
    k->closing = true;
    k->closed = closed;
    k->closed_context = context;
    store_set_wake(k->config.store, k->config.mailbox, (struct store_wake){0});
    for (uint32_t i = 0; i < SESSION_KEEP_WAITING_MAX; i++)
        if (k->questions[i].used)
            finish(k, &k->questions[i], TLS_ANSWER_LATE);
    wake_close(&k->wake, on_closed);
}

void session_keep_free(struct session_keep *k)
{
    if (!k)
        return;
    mem_free(k);
}
