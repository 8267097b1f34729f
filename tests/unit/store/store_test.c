/* The store under threads: every operation gets exactly one result, whoever steps the shard;
 * snapshots may be swapped while they are read; what is full says so. Run under TSan too. */
#include "base/clock.h"
#include "core/session/bulk.h"
#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3
#define OPS 400

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct store *new_store(enum when_alone alone, uint32_t waiting_max)
{
    static struct kinds kinds;
    struct store_config c = {.shards = 4, .mailboxes = WORKERS};
    kinds_default(&kinds);
    for (size_t i = 0; i < kinds.count; i++)
        kinds.kind[i].when_alone = alone;
    kinds.kind[kinds_find(&kinds, "purchase")].size_bytes = 0;
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1u << 30;
    c.session.waiting_max = waiting_max;
    memset(c.session.bucket_secret, 7, sizeof(c.session.bucket_secret));
    memset(c.session.farm_secret, 9, sizeof(c.session.farm_secret));
    struct store *s = store_new(&c, clock_ns());
    assert_non_null(s);
    return s;
}

/* This node, and a peer that is heard, holds copies and never answers, or nobody. */
static void set_view(struct store *s, bool silent_peer)
{
    struct peer_view peer = {.inc = 77,
                             .node = 7,
                             .state = PEER_UP,
                             .holds = true,
                             .lease_until_ns = clock_ns() + 60 * NS_PER_S};
    struct session_view v = {.self_inc = 11,
                             .self_node = 1,
                             .self_state = PEER_UP,
                             .self_holds = true,
                             .peer_count = silent_peer,
                             .peers = &peer};
    store_set_view(s, &v, clock_ns());
}

static uint8_t value[900000];
static size_t value_len; /* 0: the key's name is the value */

static int submit(struct store *s, unsigned mailbox, enum session_op_type type, unsigned id,
                  uint64_t request, uint64_t deadline_ns, struct session_result **out)
{
    struct key key;
    char name[32];
    int len = snprintf(name, sizeof(name), "key-%u-%u", mailbox, id);
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"n",
                           .name_len = 1,
                           .value = value_len ? value : (const uint8_t *)name,
                           .value_len = value_len ? value_len : (size_t)len};
    assert_true(key_set(&key, (uint8_t)kinds_find(store_kinds(s), "purchase"), name, (size_t)len));
    struct session_op op = {.type = type,
                            .key = &key,
                            .ops = &set,
                            .op_count = type == SESSION_READ ? 0 : 1,
                            .deadline_ns = deadline_ns,
                            .request = request};
    return store_submit(s, mailbox, &op, clock_ns(), out);
}

/* What was read without an operation. */
struct reading {
    unsigned calls;
    char text[32];
};

static void take(void *context, const struct session_reading *r)
{
    struct reading *reading = context;
    const struct field *f = record_get(r->record, "n", 1);
    reading->calls++;
    if (f && f->value_len < sizeof(reading->text))
        memcpy(reading->text, field_value(f), f->value_len);
}

static bool reads_back(struct store *s, unsigned mailbox, unsigned id)
{
    struct key key;
    struct reading reading = {0};
    char name[32];
    int len = snprintf(name, sizeof(name), "key-%u-%u", mailbox, id);
    if (!key_set(&key, (uint8_t)kinds_find(store_kinds(s), "purchase"), name, (size_t)len))
        return false;
    struct session_op op = {.type = SESSION_READ, .key = &key};
    int status = store_read(s, &op, clock_ns(), take, &reading);
    return status == STEAD_OK && reading.calls == 1 && strcmp(reading.text, name) == 0;
}

static bool is_left_to_an_operation(struct store *s)
{
    struct key key;
    struct reading reading = {0};
    struct session_op op = {.type = SESSION_READ, .key = &key};
    return key_set(&key, 0, "nobody's", 8) &&
           store_read(s, &op, clock_ns(), take, &reading) == STEAD_PENDING && reading.calls == 0;
}

struct worker {
    struct store *store;
    unsigned mailbox;
    unsigned good;
};

/* Creates, then reads back what it created; alone, so every result comes at once. */
static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < OPS; i++) {
        struct session_result *r = NULL;
        for (int round = 0; round < 2; round++) {
            enum session_op_type type = round ? SESSION_READ : SESSION_CREATE;
            int err = submit(w->store, w->mailbox, type, i, i + 1, clock_ns() + NS_PER_S, &r);
            w->good += err == STEAD_OK && r->status == STEAD_OK && r->request == i + 1 && r->record;
            session_result_free(r);
        }
        w->good -= !reads_back(w->store, w->mailbox, i) || !is_left_to_an_operation(w->store);
        struct roster *roster = store_roster(w->store);
        w->good -= roster->count != 0;
        roster_unref(roster);
        store_users_add(w->store, 0, 1);
        store_users_add(w->store, 0, -1);
        store_doubt(w->store, i % 5);
    }
    return NULL;
}

static void workers_share_the_shards(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 1024);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    store_set_roster(s, roster_new(0));
    set_view(s, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.store = s, .mailbox = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < 200; i++) { /* the mesh thread meanwhile */
        struct store_stats stats;
        uint64_t nodes[8];
        store_set_roster(s, roster_new(0));
        set_view(s, false);
        store_tick(s, clock_ns());
        store_stats(s, &stats);
        store_take_doubts(s, nodes, 8);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].good, 2 * OPS);
    }
    struct store_stats stats;
    store_stats(s, &stats);
    assert_int_equal(stats.sessions.records, WORKERS * OPS);
    assert_int_equal(store_users(s, 0), 0);
    store_free(s);
}

static void count_wake(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static struct session_result *collect_soon(struct store *s, unsigned mailbox)
{
    for (int i = 0; i < 2000; i++) {
        struct session_result *r = store_collect(s, mailbox);
        if (r)
            return r;
        store_tick(s, clock_ns());
        usleep(1000);
    }
    return NULL;
}

/* A holder that never answers: the result comes to the mailbox that asked, with its own token, at
 * the deadline. */
static void late_results_come_to_who_asked(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_REFUSE, 1024);
    struct session_result *r;
    struct list sends;
    atomic_uint woken = 0;
    set_view(s, true);
    store_set_wake(s, 1, (struct store_wake){.call = count_wake, .context = &woken});
    assert_int_equal(submit(s, 1, SESSION_CREATE, 1, 4711, clock_ns() + 50 * NS_PER_MS, &r),
                     STEAD_PENDING);
    list_init(&sends);
    store_take_sends(s, &sends);
    assert_false(list_empty(&sends));
    assert_int_equal(list_entry(sends.next, struct msg, link)->peer, 77);
    msg_list_free(&sends);
    r = collect_soon(s, 1);
    assert_non_null(r);
    assert_int_equal(r->request, 4711);
    assert_int_equal(r->status, STEAD_E_DEADLINE);
    assert_int_equal(atomic_load(&woken), 1);
    session_result_free(r);
    assert_null(store_collect(s, 0));
    store_free(s);
}

static void too_many_waiting_is_busy(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_REFUSE, 8);
    unsigned pending = 0, busy = 0;
    set_view(s, true);
    for (unsigned i = 0; i < 200; i++) {
        struct session_result *r = NULL;
        int err = submit(s, 0, SESSION_CREATE, i, i, clock_ns() + 60 * NS_PER_S, &r);
        pending += err == STEAD_PENDING;
        busy += err == STEAD_E_BUSY || (err == STEAD_OK && r->status == STEAD_E_BUSY);
        session_result_free(r);
    }
    assert_int_equal(pending + busy, 200);
    assert_in_range(pending, 1, 24);
    store_free(s);
}

/* Without a mesh thread that takes them, messages do not pile up without end. */
static void a_full_outbox_refuses_new_work(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 16384);
    int err = STEAD_OK;
    struct session_result *r = NULL;
    set_view(s, true);
    for (unsigned i = 0; i < STORE_OUTBOX_MAX && err != STEAD_E_BUSY; i++) {
        err = submit(s, 0, SESSION_CREATE, i, i, clock_ns() + 1, &r);
        session_result_free(r);
        if (err == STEAD_PENDING && i % 64 == 0)
            store_tick(s, clock_ns() + 20 * NS_PER_MS);
        while ((r = store_collect(s, 0)))
            session_result_free(r);
    }
    assert_int_equal(err, STEAD_E_BUSY);
    store_free(s);
}

static void an_outbox_of_large_messages_too(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 16384);
    struct store_stats stats;
    int err = STEAD_OK;
    unsigned i = 0;
    set_view(s, true);
    value_len = sizeof value;
    for (; i < 1000 && err != STEAD_E_BUSY; i++) {
        struct session_result *r = NULL;
        err = submit(s, 0, SESSION_CREATE, i, i, clock_ns() + 1, &r);
        session_result_free(r);
        store_tick(s, clock_ns() + 20 * NS_PER_MS);
        while ((r = store_collect(s, 0)))
            session_result_free(r);
    }
    value_len = 0;
    store_stats(s, &stats);
    assert_int_equal(err, STEAD_E_BUSY);
    assert_true(stats.outbox < 300 && stats.outbox_bytes <= STORE_OUTBOX_BYTES_MAX);
    struct list sends;
    list_init(&sends);
    store_take_sends(s, &sends);
    msg_list_free(&sends);
    store_stats(s, &stats);
    assert_int_equal(stats.outbox_bytes, 0);
    store_free(s);
}

/* A node of that name that takes copies, or nobody is asked. */
static void push_goes_to_a_node_by_name(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 64);
    struct session_result *r = NULL;
    struct store_stats stats;
    struct key key;
    struct list sends;
    struct roster *roster = roster_blank(1, 0);
    assert_non_null(roster);
    snprintf(roster->nodes[0].entry->name, sizeof(roster->nodes[0].entry->name), "s2");
    roster->nodes[0].entry->inc = 77;
    roster->nodes[0].entry->holds = true;
    roster->nodes[0].status = STATUS_UP;
    store_set_roster(s, roster);
    set_view(s, false);
    assert_int_equal(submit(s, 0, SESSION_CREATE, 1, 1, clock_ns() + NS_PER_S, &r), STEAD_OK);
    assert_int_equal(r->status, STEAD_OK);
    session_result_free(r);
    set_view(s, true);
    assert_true(key_set(&key, (uint8_t)kinds_find(store_kinds(s), "purchase"), "key-0-1", 7));
    assert_int_equal(store_push(s, &key, 1, "s3", clock_ns()), STEAD_E_NOT_FOUND);
    assert_int_equal(store_push(s, &key, STORE_PUSH_MAX + 1, "s2", clock_ns()), STEAD_E_INVAL);
    list_init(&sends);
    assert_int_equal(store_push(s, &key, 1, "s2", clock_ns()), STEAD_OK);
    store_take_sends(s, &sends);
    assert_false(list_empty(&sends));
    assert_int_equal(list_entry(sends.next, struct msg, link)->peer, 77);
    msg_list_free(&sends);
    store_tick(s, clock_ns() + 3 * NS_PER_S);
    assert_null(store_collect(s, 0));
    store_stats(s, &stats);
    assert_int_equal(stats.sessions.pushes_failed, 1);
    store_free(s);
}

static void kinds_are_renewed_in_every_shard(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 64);
    struct kinds kinds = *store_kinds(s), is;
    struct session_result *r = NULL;
    set_view(s, false);
    value_len = 101;
    int purchase = kinds_find(&kinds, "purchase");
    for (unsigned i = 0; i < 40; i++) {
        kinds.kind[purchase].size_bytes = i % 2 ? 102 : 101; /* the name has a byte */
        store_renew_kinds(s, &kinds);
        store_kinds_now(s, &is);
        assert_int_equal(is.kind[purchase].size_bytes, kinds.kind[purchase].size_bytes);
        assert_int_equal(submit(s, 0, SESSION_CREATE, i, i, clock_ns() + NS_PER_S, &r), STEAD_OK);
        assert_int_equal(r->status, i % 2 ? STEAD_OK : STEAD_E_TOO_LARGE);
        session_result_free(r);
    }
    value_len = 0;
    store_free(s);
}

#define COPIES 100 /* and again, in another version */

static struct msg *copy_of(struct store *s, unsigned i, uint64_t version)
{
    struct key key;
    char name[16];
    int len = snprintf(name, sizeof(name), "copy-%u", i);
    assert_true(key_set(&key, (uint8_t)kinds_find(store_kinds(s), "auth"), name, (size_t)len));
    struct stamp stamp = {1, version, 77};
    struct field_op set = {.type = FIELD_SET, .value = (const uint8_t *)name, .value_len = 4};
    struct record *r = record_new(&key);
    assert_int_equal(record_apply(r, &set, 1, &stamp, 0), 0);
    r->holder_count = 1;
    r->holders[0] = 11;
    struct message m = {
        .type = MESSAGE_REPLICATE, .key = key, .token = BULK_TOKEN, .digest = record_digest(r)};
    struct msg *out = message_encode(&m, r, 11);
    record_free(r);
    return out;
}

static unsigned count_and_keep(struct list *from, struct list *kept, unsigned *messages)
{
    unsigned pieces = 0;
    struct list *link;
    while ((link = list_pop(from))) {
        struct msg *m = list_entry(link, struct msg, link);
        pieces++;
        *messages += msg_count(m);
        list_append(kept, link);
    }
    return pieces;
}

static void no_wake(void *context)
{
    (void)context;
}

static void a_batch_is_taken_by_its_shards(void **state)
{
    (void)state;
    struct store *s = new_store(ALONE_ACCEPT, 64);
    struct session_slice slices[2 * COPIES + 2];
    struct msg *copies[2 * COPIES];
    struct store_stats stats;
    struct list out, kept;
    unsigned messages = 0;
    set_view(s, true);
    store_set_bulk_wake(s, (struct store_wake){.call = no_wake});
    for (unsigned i = 0; i < 2 * COPIES; i++) {
        copies[i] = copy_of(s, i % COPIES, i / COPIES + 1);
        slices[i] = (struct session_slice){.bytes = copies[i]->bytes, .len = copies[i]->len};
    }
    struct message sync = {.type = MESSAGE_SYNC, .token = 5};
    struct msg *keyless = message_encode(&sync, NULL, 11);
    slices[2 * COPIES] = (struct session_slice){.bytes = keyless->bytes, .len = keyless->len};
    slices[2 * COPIES + 1] = (struct session_slice){.bytes = keyless->bytes, .len = 0};
    store_deliver_batch(s, 77, slices, 2 * COPIES + 2, clock_ns());
    store_stats(s, &stats);
    assert_int_equal(stats.sessions.records, COPIES);
    assert_int_equal(stats.sessions.bulk_taken, 2 * COPIES); /* in their order: none is late */
    assert_int_equal(stats.sessions.malformed, 1);
    assert_int_equal(stats.bulk_waiting, 2 * COPIES);
    /* A bundle or two of each shard; what finds no way goes with the rest, one by one. */
    list_init(&out);
    list_init(&kept);
    store_take_bulk(s, &out);
    assert_in_range(count_and_keep(&out, &kept, &messages), 4, 12);
    assert_int_equal(messages, 2 * COPIES);
    store_take_sends(s, &out);
    msg_list_free(&out);
    store_return_bulk(s, &kept);
    store_take_sends(s, &out);
    messages = 0;
    assert_int_equal(count_and_keep(&out, &kept, &messages), 2 * COPIES);
    msg_list_free(&kept);
    for (unsigned i = 0; i < 2 * COPIES; i++)
        msg_free(copies[i]);
    msg_free(keyless);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_share_the_shards),
        cmocka_unit_test(late_results_come_to_who_asked),
        cmocka_unit_test(too_many_waiting_is_busy),
        cmocka_unit_test(a_full_outbox_refuses_new_work),
        cmocka_unit_test(an_outbox_of_large_messages_too),
        cmocka_unit_test(push_goes_to_a_node_by_name),
        cmocka_unit_test(kinds_are_renewed_in_every_shard),
        cmocka_unit_test(a_batch_is_taken_by_its_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
