/* table_test.c - the table against a plain array: what is in it, in which order, with how much
 * memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/session/table.h"

#include <string.h>

#define KEYS 3000
#define KINDS 3

struct model {
    struct table *table;
    struct item *items[KEYS]; /* NULL: the key is not in */
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
    uint8_t value[300] = {0};
    struct field_op op = {.type = FIELD_SET, .value = value, .value_len = bytes};
    struct stamp stamp = {1, 1, 1};
    assert_int_equal(record_apply(r, &op, 1, &stamp, 1), STEAD_OK);
    return r;
}

static void insert(struct model *m, unsigned n)
{
    struct record *r = record_of(n, n % 300);
    m->items[n] = table_insert(m->table, r);
    assert_non_null(m->items[n]);
    assert_ptr_equal(m->items[n]->record, r);
    assert_true(m->items[n]->expiry.at_ns == TIME_NEVER);
    m->expires[n] = TIME_NEVER;
    m->used[n] = ++m->uses;
    m->count++;
}

static void drop(struct model *m, unsigned n)
{
    table_remove(m->table, m->items[n]);
    m->items[n] = NULL;
    m->count--;
}

static void expire(struct model *m, uint64_t now_ns)
{
    struct item *item;
    while ((item = table_expired(m->table, now_ns))) {
        unsigned n = number_of(item);
        assert_ptr_equal(m->items[n], item);
        assert_true(m->expires[n] <= now_ns);
        drop(m, n);
    }
    for (unsigned n = 0; n < KEYS; n++)
        assert_true(!m->items[n] || m->expires[n] > now_ns);
}

static void check(struct model *m)
{
    uint64_t count[KINDS] = {0}, least[KINDS] = {0}, memory[KINDS] = {0};
    struct item *oldest[KINDS] = {NULL};
    for (unsigned n = 0; n < KEYS; n++) {
        struct key key = key_of(n);
        assert_ptr_equal(table_find(m->table, &key), m->items[n]);
        if (!m->items[n])
            continue;
        count[n % KINDS]++;
        memory[n % KINDS] += m->items[n]->counted_bytes;
        assert_true(m->items[n]->counted_bytes > m->items[n]->record->memory_bytes);
        if (!oldest[n % KINDS] || m->used[n] < least[n % KINDS]) {
            least[n % KINDS] = m->used[n];
            oldest[n % KINDS] = m->items[n];
        }
    }
    assert_int_equal(table_count(m->table), m->count);
    for (uint8_t k = 0; k < KINDS; k++) {
        assert_int_equal(table_kind_count(m->table, k), count[k]);
        assert_int_equal(table_kind_memory(m->table, k), memory[k]);
        assert_ptr_equal(table_lru(m->table, k), oldest[k]);
    }
    assert_true(table_memory(m->table) > memory[0] + memory[1] + memory[2]);
}

static void step(struct model *m, struct rng *rng, unsigned inserts, uint64_t *now)
{
    unsigned n = (unsigned)rng_below(rng, KEYS);
    if (!m->items[n]) {
        if (rng_below(rng, 10) < inserts)
            insert(m, n);
        return;
    }
    switch (rng_below(rng, 8)) {
    case 0:
        m->used[n] = ++m->uses;
        table_touch(m->table, m->items[n]);
        break;
    case 1:
        m->expires[n] = *now + rng_below(rng, 100 * NS_PER_S);
        table_expire_at(m->table, m->items[n], m->expires[n]);
        break;
    case 2:
        *now += rng_below(rng, 20 * NS_PER_MS);
        break;
    case 3:
        record_free(m->items[n]->record);
        m->items[n]->record = record_of(n, (size_t)rng_below(rng, 300));
        table_recount(m->table, m->items[n]);
        break;
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
        if (m.items[n])
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
        uint64_t grown = table_memory(m.table) - before - m.items[n]->counted_bytes;
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
            assert_ptr_equal(m->items[number_of(out[i])], out[i]);
            seen[number_of(out[i])]++;
        }
        for (unsigned i = 0; i < churn; i++) {
            unsigned n = (unsigned)rng_below(rng, KEYS) | 1; /* even keys stay */
            if (m->items[n] && rng_below(rng, 8) != 0)
                drop(m, n);
            else if (!m->items[n])
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
            if (round % 2 == 0 && !m.items[n])
                insert(&m, n);
            else if (round % 2 == 1 && m.items[n])
                drop(&m, n);
        }
        walk(&m, &rng, sizes[round / 2], seen, round % 4 + 1);
        for (unsigned n = 0; n < KEYS; n += 2)
            assert_int_equal(seen[n], m.items[n] ? 1 : 0);
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
            m.items[n] = item;
            m.used[n] = ++m.uses;
            m.count++;
        }
    }
    assert_true(failures >= KEYS / 3 && m.count > KEYS / 3);
    check(&m);
    for (unsigned n = 0; n < KEYS; n++) {
        mem_fail_after(1); /* joining buckets may wait for a better time */
        if (m.items[n])
            drop(&m, n);
        mem_fail_after(0);
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
        if (m.items[n])
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_as_a_plain_array),
        cmocka_unit_test(memory_grows_by_small_steps),
        cmocka_unit_test(a_walk_sees_what_stays),
        cmocka_unit_test(without_memory_an_insert_changes_nothing),
        cmocka_unit_test(colliding_keys_are_told_apart),
        cmocka_unit_test(a_kind_beyond_the_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
