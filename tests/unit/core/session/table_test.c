/* table_test.c - the table against a plain array: what is in it, in which order, with how much
 * memory, awake and at rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/session/table.h"

#include <stdio.h>
#include <string.h>

#define KEYS 3000
#define KINDS 3
#define BYTES_MAX 9000 /* of a value: some lie outside of their cells */

struct model {
    struct table *table;
    bool in[KEYS];
    size_t bytes[KEYS]; /* of the value */
    uint64_t expires[KEYS];
    uint64_t used[KEYS]; /* order of the last touch */
    uint64_t uses, count;
};

static struct key key_of(unsigned n)
{
    struct key key;
    uint8_t bytes[KEY_BYTES_MAX] = {(uint8_t)n, (uint8_t)(n >> 8)};
    assert_true(key_set(&key, (uint8_t)(n % KINDS), bytes, n % 7 == 0 ? KEY_BYTES_MAX : 2));
    return key;
}

static unsigned number_of(const struct item *item)
{
    return item->record->key.bytes[0] | (unsigned)item->record->key.bytes[1] << 8;
}

static struct table *new_table(void)
{
    struct buzhash hash;
    uint8_t secret[32] = {1, 2, 3};
    buzhash_init(&hash, secret);
    struct table *t = table_new(&hash, 0);
    assert_non_null(t);
    return t;
}

static struct record *record_of(unsigned n, size_t bytes)
{
    struct key key = key_of(n);
    struct record *r = record_new(&key);
    static uint8_t value[BYTES_MAX];
    memset(value, (int)n, sizeof value);
    struct field_op op = {.type = FIELD_SET, .value = value, .value_len = bytes};
    struct stamp stamp = {1, 1, 1};
    assert_int_equal(record_apply(r, &op, 1, &stamp, 1), STEAD_OK);
    return r;
}

static size_t some_bytes(unsigned n)
{
    return n % 31 == 0 ? 1000 + n % 8000 : n % 300;
}

static struct item *find(struct model *m, unsigned n)
{
    struct key key = key_of(n);
    return table_find(m->table, &key);
}

static void insert(struct model *m, unsigned n)
{
    m->bytes[n] = some_bytes(n);
    struct record *r = record_of(n, m->bytes[n]);
    struct item *item = table_insert(m->table, r);
    assert_non_null(item);
    assert_ptr_equal(item->record, r);
    assert_true(item->expires_ns == TIME_NEVER);
    m->in[n] = true;
    m->expires[n] = TIME_NEVER;
    m->used[n] = ++m->uses;
    m->count++;
}

static void drop(struct model *m, unsigned n)
{
    table_remove(m->table, find(m, n));
    m->in[n] = false;
    m->count--;
}

static void expire(struct model *m, uint64_t now_ns)
{
    struct item *item;
    while ((item = table_expired(m->table, now_ns))) {
        unsigned n = number_of(item);
        assert_ptr_equal(find(m, n), item);
        assert_true(m->expires[n] <= now_ns);
        drop(m, n);
    }
    for (unsigned n = 0; n < KEYS; n++)
        assert_true(!m->in[n] || m->expires[n] > now_ns);
}

/* The record is as it was made. */
static void check_record(const struct model *m, unsigned n, const struct record *r)
{
    const struct field *f = record_get(r, "", 0);
    assert_non_null(f);
    assert_int_equal(f->value_len, m->bytes[n]);
    for (size_t i = 0; i < m->bytes[n]; i++)
        assert_int_equal(field_value(f)[i], (uint8_t)n);
    assert_int_equal(f->stamp.inc, 1);
}

static void check(struct model *m)
{
    uint64_t count[KINDS] = {0}, least[KINDS] = {0}, memory[KINDS] = {0};
    unsigned oldest[KINDS] = {0};
    for (unsigned n = 0; n < KEYS; n++) {
        struct item *item = find(m, n);
        assert_true(!item == !m->in[n]);
        if (!item)
            continue;
        assert_int_equal(number_of(item), n);
        check_record(m, n, item->record);
        count[n % KINDS]++;
        memory[n % KINDS] += item->counted_bytes;
        assert_in_range(item->counted_bytes, m->bytes[n] + item->record->key.len, BYTES_MAX + 500);
        if (least[n % KINDS] == 0 || m->used[n] < least[n % KINDS]) {
            least[n % KINDS] = m->used[n];
            oldest[n % KINDS] = n;
        }
    }
    assert_int_equal(table_count(m->table), m->count);
    for (uint8_t k = 0; k < KINDS; k++) {
        assert_int_equal(table_kind_count(m->table, k), count[k]);
        assert_int_equal(table_kind_memory(m->table, k), memory[k]);
        struct item *item = table_lru(m->table, k);
        assert_true(!item == (count[k] == 0));
        assert_true(!item || number_of(item) == oldest[k]);
    }
    assert_true(table_memory(m->table) > memory[0] + memory[1] + memory[2]);
    table_rest(m->table, NULL, NULL);
}

static void step(struct model *m, struct rng *rng, unsigned inserts, uint64_t *now)
{
    unsigned n = (unsigned)rng_below(rng, KEYS);
    if (rng_below(rng, 4) == 0)
        table_rest(m->table, NULL, NULL);
    if (!m->in[n]) {
        if (rng_below(rng, 10) < inserts)
            insert(m, n);
        return;
    }
    switch (rng_below(rng, 8)) {
    case 0:
        m->used[n] = ++m->uses;
        table_touch(m->table, find(m, n));
        break;
    case 1:
        m->expires[n] = *now + rng_below(rng, 100 * 1000) * NS_PER_MS;
        table_expire_at(m->table, find(m, n), m->expires[n]);
        break;
    case 2:
        *now += rng_below(rng, 20 * NS_PER_MS);
        break;
    case 3: {
        struct item *item = find(m, n);
        m->bytes[n] = (size_t)rng_below(rng, rng_below(rng, 9) == 0 ? BYTES_MAX : 300);
        record_free(item->record);
        item->record = record_of(n, m->bytes[n]);
        table_recount(m->table, item);
        break;
    }
    default:
        if (rng_below(rng, 10) >= inserts)
            drop(m, n);
    }
}

static void it_is_as_a_plain_array(void **state)
{
    (void)state;
    static struct model m;
    struct rng rng;
    rng_init(&rng, 4711);
    m = (struct model){.table = new_table()};
    uint64_t baseline = table_memory(m.table), now = 0;
    for (unsigned phase = 0; phase < 12; phase++) {
        unsigned inserts = phase % 2 == 0 ? 9 : 1; /* grow, then shrink */
        for (unsigned i = 0; i < 8000; i++)
            step(&m, &rng, inserts, &now);
        expire(&m, now);
        check(&m);
    }
    assert_true(m.count > 0);
    for (unsigned n = 0; n < KEYS; n++)
        if (m.in[n])
            drop(&m, n);
    check(&m);
    assert_int_equal(table_memory(m.table), baseline);
    assert_true(table_next_expiry(m.table) == TIME_NEVER);
    table_free(m.table);
}

static void memory_grows_by_small_steps(void **state)
{
    (void)state;
    static struct model m;
    m = (struct model){.table = new_table()};
    for (unsigned n = 0; n < KEYS; n++) {
        uint64_t before = table_memory(m.table);
        insert(&m, n);
        uint64_t grown = table_memory(m.table) - before - find(&m, n)->counted_bytes;
        assert_true(grown <= 3 * 80 || grown > UINT64_MAX / 2); /* two splits and a chain at most */
    }
    uint64_t items = table_kind_memory(m.table, 0) + table_kind_memory(m.table, 1) +
                     table_kind_memory(m.table, 2);
    struct table *empty = new_table();
    assert_true(table_memory(m.table) - table_memory(empty) - items < KEYS * 30);
    table_free(empty);
    table_free(m.table); /* full: frees items and records */
}

/* Walks while other keys come and go; returns how many calls it took. */
static unsigned walk(struct model *m, struct rng *rng, size_t max, uint8_t seen[KEYS],
                     unsigned churn)
{
    struct item *out[64];
    uint64_t cursor = 0;
    size_t count;
    unsigned calls = 0;
    memset(seen, 0, KEYS);
    while ((count = table_walk(m->table, &cursor, out, max)) > 0) {
        assert_true(count <= max && cursor != 0);
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(find(m, number_of(out[i])), out[i]);
            seen[number_of(out[i])]++;
        }
        if (calls % 2)
            table_rest(m->table, NULL, NULL);
        for (unsigned i = 0; i < churn; i++) {
            unsigned n = (unsigned)rng_below(rng, KEYS) | 1; /* even keys stay */
            if (m->in[n] && rng_below(rng, 8) != 0)
                drop(m, n);
            else if (!m->in[n])
                insert(m, n);
        }
        calls++;
    }
    assert_true(cursor == 0);
    return calls;
}

static void a_walk_sees_what_stays(void **state)
{
    (void)state;
    static struct model m;
    static uint8_t seen[KEYS];
    static const size_t sizes[] = {1, 2, 7, 64};
    struct rng rng;
    rng_init(&rng, 8);
    m = (struct model){.table = new_table()};
    assert_int_equal(walk(&m, &rng, 7, seen, 0), 0);
    for (unsigned n = 0; n < KEYS; n += n < KEYS / 4 ? 2 : 4)
        insert(&m, n);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned n = 1; n < KEYS;
             n += 2) { /* full of others, or empty of them, at the start */
            if (round % 2 == 0 && !m.in[n])
                insert(&m, n);
            else if (round % 2 == 1 && m.in[n])
                drop(&m, n);
        }
        walk(&m, &rng, sizes[round / 2], seen, round % 4 + 1);
        for (unsigned n = 0; n < KEYS; n += 2)
            assert_int_equal(seen[n], m.in[n] ? 1 : 0);
    }
    unsigned calls = walk(&m, &rng, 64, seen, 0);
    assert_true(calls <= 2 * (m.count / 64 + 1));
    table_free(m.table);
}

static void without_memory_an_insert_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    m = (struct model){.table = new_table()};
    unsigned failures = 0;
    for (unsigned n = 0; n < KEYS; n++) {
        struct record *r = record_of(n, 3);
        uint64_t memory = table_memory(m.table);
        mem_fail_after(1 + n % 3);
        struct item *item = table_insert(m.table, r);
        mem_fail_after(0);
        if (!item) {
            assert_int_equal(table_memory(m.table), memory);
            record_free(r);
            failures++;
        } else {
            m.in[n] = true;
            m.bytes[n] = 3;
            m.used[n] = ++m.uses;
            m.count++;
        }
    }
    assert_true(failures >= KEYS / 3 && m.count > KEYS / 3);
    check(&m);
    for (unsigned n = 0; n < KEYS; n++) {
        struct item *item = find(&m, n);
        mem_fail_after(1); /* joining buckets may wait for a better time */
        if (item)
            table_remove(m.table, item);
        mem_fail_after(0);
        m.count -= m.in[n];
        m.in[n] = false;
    }
    check(&m);
    table_free(m.table);
    table_free(NULL);

    struct buzhash hash = {0};
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_null(table_new(&hash, 0));
        mem_fail_after(0);
    }
}

static void colliding_keys_are_told_apart(void **state)
{
    (void)state;
    static struct model m;
    struct buzhash flat = {0}; /* every key has the same hash */
    m = (struct model){.table = table_new(&flat, 0)};
    for (unsigned n = 0; n < 200; n++)
        insert(&m, n);
    check(&m);
    for (unsigned n = 0; n < 200; n += 3)
        drop(&m, n);
    check(&m);
    for (unsigned n = 0; n < 200; n++)
        if (m.in[n])
            drop(&m, n);
    check(&m);
    table_free(m.table);
}

static void a_kind_beyond_the_table_is_refused(void **state)
{
    (void)state;
    struct table *t = new_table();
    struct key key;
    assert_true(key_set(&key, KINDS_MAX, "k", 1));
    struct record *r = record_new(&key);
    assert_null(table_insert(t, r));
    assert_null(table_find(t, &key));
    assert_null(table_lru(t, KINDS_MAX));
    assert_int_equal(table_kind_count(t, UINT8_MAX), 0);
    assert_int_equal(table_kind_memory(t, UINT8_MAX), 0);
    record_free(r);
    table_free(t);
}

/* What the engine keeps about an item, in all its forms. */
static void dress(struct item *item, struct rng *rng)
{
    struct session_state *st = &item->own_state;
    *st = (struct session_state){0};
    item->role = (uint8_t)rng_below(rng, 3);
    item->tombstone = rng_below(rng, 2);
    static const uint64_t generations[] = {0, 1, 5000, UINT64_MAX, UINT64_MAX - 1};
    item->generation = generations[rng_below(rng, 5)];
    item->life_ns = rng_below(rng, 3) ? rng_below(rng, 1u << 20) * NS_PER_MS : TIME_NEVER;
    item->touched_ns = rng_below(rng, 2) * rng_below(rng, 1u << 20) * NS_PER_MS;
    item->offered = rng_below(rng, 2) * rng_u64(rng);
    item->offered_ns = item->offered ? rng_below(rng, 1u << 20) * NS_PER_MS : 0;
    item->mend_ns = rng_below(rng, 2) * rng_below(rng, 1u << 20) * NS_PER_MS;
    item->state = rng_below(rng, 2) ? st : NULL;
    struct record *r = item->record;
    r->holder_count = (uint8_t)rng_below(rng, RECORD_HOLDERS_MAX + 1);
    for (unsigned i = 0; i < r->holder_count; i++)
        r->holders[i] = rng_u64(rng);
    if (!item->state)
        return;
    st->count = rng_below(rng, 2) ? r->holder_count : rng_below(rng, RECORD_HOLDERS_MAX + 1);
    for (size_t i = 0; i < st->count; i++)
        st->copies[i] = (struct copy){.inc = i < r->holder_count ? r->holders[i] : rng_u64(rng),
                                      .going = rng_below(rng, 4) == 0,
                                      .version = rng_below(rng, 2) * (rng_u64(rng) >> 1),
                                      .granted = rng_u64(rng),
                                      .counted = rng_below(rng, 9)};
    st->doubtful = rng_below(rng, 2);
    if (rng_below(rng, 2))
        st->base = (struct stamp){rng_u64(rng), rng_u64(rng), rng_u64(rng)};
}

static void assert_dressed(const struct item *a, const struct item *b, const struct record *r)
{
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->tombstone, b->tombstone);
    assert_true(a->generation == b->generation && a->life_ns == b->life_ns);
    assert_true(a->touched_ns == b->touched_ns && a->mend_ns == b->mend_ns);
    assert_true(a->offered == b->offered && a->offered_ns == b->offered_ns);
    assert_true(a->expires_ns == b->expires_ns);
    assert_int_equal(a->record->holder_count, r->holder_count);
    assert_memory_equal(a->record->holders, r->holders, r->holder_count * sizeof *r->holders);
    assert_true(!a->state == !b->state);
    if (!a->state)
        return;
    const struct session_state *x = a->state, *y = &b->own_state;
    assert_int_equal(x->count, y->count);
    for (size_t i = 0; i < x->count; i++) {
        const struct copy *c = &x->copies[i], *d = &y->copies[i];
        assert_true(c->inc == d->inc && c->version == d->version && c->going == d->going);
        assert_true(c->granted == d->granted && c->counted == d->counted);
    }
    assert_int_equal(stamp_compare(&x->base, &y->base), 0);
    assert_int_equal(x->doubtful, y->doubtful);
}

static void what_the_engine_keeps_outlasts_a_rest(void **state)
{
    (void)state;
    static struct model m;
    struct rng rng;
    rng_init(&rng, 12);
    m = (struct model){.table = new_table()};
    for (unsigned n = 0; n < 40; n++)
        insert(&m, n);
    for (unsigned i = 0; i < 20000; i++) {
        struct item *item = find(&m, (unsigned)rng_below(&rng, 40));
        dress(item, &rng);
        table_expire_at(m.table, item, rng_below(&rng, 2) ? item->life_ns : 77 * NS_PER_S);
        struct item before = *item;
        struct record *r = record_clone(item->record);
        unsigned n = number_of(item);
        table_rest(m.table, NULL, NULL);
        item = find(&m, n);
        assert_dressed(item, &before, r);
        assert_true(record_digest(item->record) == record_digest(r));
        check_record(&m, n, item->record);
        record_free(r);
        if (rng_below(&rng, 2))
            table_rest(m.table, NULL, NULL);
    }
    table_free(m.table);
}

/* Many fields, changed a little at a time, beside others that come and go. */
static void records_of_many_fields_are_changed(void **state)
{
    (void)state;
    static struct model m;
    static char text[40];
    struct rng rng;
    struct key key;
    rng_init(&rng, 13);
    m = (struct model){.table = new_table()};
    assert_true(key_set(&key, 1, "the one", 7));
    struct record *twin = record_new(&key), *r = record_new(&key);
    assert_non_null(table_insert(m.table, r));
    for (unsigned i = 0; i < 3000; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%u", (unsigned)rng_below(&rng, 60));
        struct field_op op = {.type = rng_below(&rng, 4) ? FIELD_SET : FIELD_DELETE,
                              .name = (const uint8_t *)name,
                              .name_len = strlen(name),
                              .value = (const uint8_t *)text,
                              .value_len = rng_below(&rng, sizeof text)};
        struct stamp next = {1 + i / 700, i + 1, 1 + i / 900};
        struct item *item = table_find(m.table, &key);
        assert_non_null(item);
        assert_int_equal(record_apply(twin, &op, 1, &next, i), STEAD_OK);
        assert_int_equal(record_apply(item->record, &op, 1, &next, i), STEAD_OK);
        table_recount(m.table, item);
        unsigned n = (unsigned)rng_below(&rng, 200);
        if (m.in[n])
            drop(&m, n); /* its cell is filled with another one's bytes */
        else
            insert(&m, n);
        assert_true(record_digest(item->record) == record_digest(twin));
        table_rest(m.table, NULL, NULL);
        assert_true(record_digest(table_find(m.table, &key)->record) == record_digest(twin));
    }
    record_free(twin);
    table_free(m.table);
}

static void who_waits_in_a_queue_rests_there(void **state)
{
    (void)state;
    static struct model m;
    struct list queue;
    list_init(&queue);
    m = (struct model){.table = new_table()};
    for (unsigned n = 0; n < 100; n++) {
        insert(&m, n);
        list_append(&queue, &find(&m, n)->queue);
    }
    table_rest(m.table, NULL, NULL);
    for (unsigned n = 0; n < 100; n += 3) {
        struct item *item = find(&m, n);
        list_remove(&item->queue);
        drop(&m, n);
    }
    unsigned left = 0;
    for (struct list *l = queue.next; l != &queue; l = l->next, left++) {
        struct item *item = list_entry(l, struct item, queue);
        assert_null(item->record);
        assert_true(table_wake_item(m.table, item));
        check_record(&m, number_of(item), item->record);
        assert_ptr_equal(find(&m, number_of(item)), item);
    }
    assert_int_equal(left, 66);
    table_rest(m.table, NULL, NULL);
    for (unsigned n = 1; n < 100; n += 3)
        list_remove(&find(&m, n)->queue);
    table_rest(m.table, NULL, NULL);
    for (unsigned n = 0; n < 100; n++)
        if (m.in[n])
            check_record(&m, n, find(&m, n)->record);
    table_free(m.table);
}

/* More than a call may sort: none is early, none is lost, and calls go on while there are any. */
static void crowds_expire_bit_by_bit(void **state)
{
    (void)state;
    enum { CROWD = 20000 };
    struct table *t = new_table();
    struct rng rng;
    rng_init(&rng, 21);
    for (unsigned n = 0; n < CROWD; n++) {
        struct key key;
        assert_true(key_set(&key, 1, &n, sizeof n));
        struct item *item = table_insert(t, record_new(&key));
        assert_non_null(item);
        table_expire_at(t, item, 1000 * NS_PER_S + rng_below(&rng, 3000) * NS_PER_MS);
        table_rest(t, NULL, NULL);
    }
    uint64_t now = 999 * NS_PER_S;
    unsigned calls = 0, gone = 0;
    while (gone < CROWD) {
        struct item *item = table_expired(t, now);
        assert_in_range(++calls, 1, 2 * CROWD);
        if (item) {
            assert_true(now >= 1000 * NS_PER_S);
            table_remove(t, item);
            gone++;
        } else if (table_next_expiry(t) > now) {
            now = table_next_expiry(t);
        }
    }
    assert_true(now < 1003 * NS_PER_S && table_next_expiry(t) == TIME_NEVER);
    assert_null(table_expired(t, now + NS_PER_S));
    table_free(t);
}

/* What was said to be read only holds until it is asked for again. */
static void what_was_only_read_may_be_changed_after(void **state)
{
    (void)state;
    static struct model m;
    m = (struct model){.table = new_table()};
    insert(&m, 1);
    table_rest(m.table, NULL, NULL);
    struct item *item = find(&m, 1);
    item->life_ns = 5 * NS_PER_S;
    table_expire_at(m.table, item, item->life_ns);
    table_rest(m.table, NULL, NULL);
    item = find(&m, 1);
    item->only_read = true;
    item->life_ns = 9 * NS_PER_S;
    table_expire_at(m.table, item, item->life_ns);
    table_rest(m.table, NULL, NULL);
    item = find(&m, 1);
    assert_true(item->life_ns == 9 * NS_PER_S && item->expires_ns == 9 * NS_PER_S);
    item->only_read = true;
    find(&m, 1)->generation = 4;
    table_rest(m.table, NULL, NULL);
    assert_int_equal(find(&m, 1)->generation, 4);
    table_free(m.table);
}

static bool all_are_busy(void *context, const struct item *item)
{
    (void)context, (void)item;
    return true;
}

static void who_is_busy_stays_awake(void **state)
{
    (void)state;
    static struct model m;
    m = (struct model){.table = new_table()};
    insert(&m, 1);
    insert(&m, 2);
    struct item *item = find(&m, 1);
    table_rest(m.table, all_are_busy, NULL);
    table_rest(m.table, NULL, NULL);
    assert_ptr_equal(find(&m, 1), item);
    assert_non_null(item->record);
    struct key key = key_of(1);
    table_stir(m.table, &key);
    table_rest(m.table, NULL, NULL);
    check(&m);
    table_free(m.table);
}

/* Absent and asleep are told apart; nothing is lost, and nothing changes that is not said. */
static void without_memory_nobody_wakes(void **state)
{
    (void)state;
    static struct model m;
    struct item *out[8];
    m = (struct model){.table = new_table()};
    for (unsigned n = 0; n < 300; n++) {
        insert(&m, n);
        table_expire_at(m.table, find(&m, n), NS_PER_S);
    }
    struct key key = key_of(7), absent = key_of(1000);
    uint64_t cursor = 0;
    struct table *t = m.table;
    table_rest(t, NULL, NULL);
    for (unsigned n = 0; n < 200; n++)
        if (n != 7)
            find(&m, n); /* none is left in the pool */
    mem_fail_after(1);
    assert_false(table_wake(t, &key));
    mem_fail_after(1);
    assert_true(table_wake(t, &absent));
    mem_fail_after(1);
    assert_null(table_find(t, &key));
    unsigned walked = 0;
    for (unsigned calls = 0; calls < 400 && (calls == 0 || cursor != 0); calls++) {
        mem_fail_after(calls % 2);
        walked += (unsigned)table_walk(t, &cursor, out, 8);
    }
    mem_fail_after(0);
    assert_int_equal(walked, 300);
    table_rest(t, NULL, NULL);
    mem_fail_after(0);
    assert_true(table_wake(t, &key));
    check(&m);
    table_free(t);
}

/* A change that there is no memory to pack stays awake until there is. */
static void what_cannot_be_packed_is_not_lost(void **state)
{
    (void)state;
    static struct model m;
    m = (struct model){.table = new_table()};
    for (unsigned round = 0; round < 40; round++) {
        unsigned n = round % 2 ? 31 : 1; /* outside, inside */
        if (!m.in[n])
            insert(&m, n);
        struct item *item = find(&m, n);
        m.bytes[n] = (size_t)(n == 31 ? 5000 : 10) + round * 64;
        record_free(item->record);
        item->record = record_of(n, m.bytes[n]);
        table_recount(m.table, item);
        mem_fail_after(1 + round % 3);
        table_rest(m.table, NULL, NULL);
        mem_fail_after(0);
        check_record(&m, n, find(&m, n)->record);
        table_rest(m.table, NULL, NULL);
        check_record(&m, n, find(&m, n)->record);
    }
    table_free(m.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_as_a_plain_array),
        cmocka_unit_test(memory_grows_by_small_steps),
        cmocka_unit_test(a_walk_sees_what_stays),
        cmocka_unit_test(without_memory_an_insert_changes_nothing),
        cmocka_unit_test(colliding_keys_are_told_apart),
        cmocka_unit_test(a_kind_beyond_the_table_is_refused),
        cmocka_unit_test(what_the_engine_keeps_outlasts_a_rest),
        cmocka_unit_test(records_of_many_fields_are_changed),
        cmocka_unit_test(who_waits_in_a_queue_rests_there),
        cmocka_unit_test(who_is_busy_stays_awake),
        cmocka_unit_test(what_was_only_read_may_be_changed_after),
        cmocka_unit_test(crowds_expire_bit_by_bit),
        cmocka_unit_test(without_memory_nobody_wakes),
        cmocka_unit_test(what_cannot_be_packed_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
