/* table_plain_test.c - what is done to records in their cells against the same done to items that
 * were woken: records, times, expiry and the memory that is counted end up equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "core/session/table.h"

#include <string.h>

#define KEYS 400
#define STEPS 20000
#define VALUE_MAX 5000 /* some lie outside of their cells */
#define SELF 77

static const uint8_t secret[32] = {4, 5, 6};

static struct key key_of(unsigned n)
{
    struct key key;
    uint8_t bytes[40] = {(uint8_t)n, (uint8_t)(n >> 8)};
    assert_true(key_set(&key, (uint8_t)(n % 2), bytes, n % 3 == 0 ? sizeof bytes : 2));
    return key;
}

static struct table *new_table(void)
{
    struct buzhash hash;
    buzhash_init(&hash, secret);
    struct table *t = table_new(&hash, 0);
    assert_non_null(t);
    return t;
}

static void own(struct item *item)
{
    item->role = 1;
    item->state = &item->own_state;
    item->own_state = (struct session_state){0};
    item->life_ns = TIME_NEVER;
}

static void insert(struct table *t, unsigned n, const char *flags)
{
    struct key key = key_of(n);
    struct record *r = record_new(&key);
    struct stamp stamp = {1, 1, SELF};
    struct field_op ops[] = {{.type = FIELD_SET,
                              .name = (const uint8_t *)"",
                              .value = (const uint8_t *)"first",
                              .value_len = 5},
                             {.type = FIELD_SET,
                              .name = (const uint8_t *)"#",
                              .name_len = 1,
                              .value = (const uint8_t *)flags,
                              .value_len = 4}};
    assert_int_equal(record_apply(r, ops, flags ? 2 : 1, &stamp, 1), STEAD_OK);
    struct item *item = table_insert(t, r);
    assert_non_null(item);
    own(item);
}

static struct item *find(struct table *t, unsigned n)
{
    struct key key = key_of(n);
    return table_find(t, &key);
}

/* Both ways of setting the unnamed field. */
static void set_awake(struct table *t, unsigned n, const uint8_t *value, size_t len, uint32_t ttl)
{
    struct item *item = find(t, n);
    struct record *r = item->record;
    struct stamp next = {r->stamp.term, r->stamp.version + 1, SELF};
    struct field_op op = {
        .type = FIELD_SET, .name = (const uint8_t *)"", .value = value, .value_len = len};
    assert_int_equal(record_apply(r, &op, 1, &next, 1), STEAD_OK);
    r->ttl_ms = ttl;
    table_recount(t, item);
}

static bool set_plain(struct table *t, unsigned n, const uint8_t *value, size_t len, uint32_t ttl)
{
    struct key key = key_of(n);
    struct buzhash hash;
    buzhash_init(&hash, secret);
    uint64_t known = n % 2 ? buzhash(&hash, key.bytes, key.len) : 0;
    struct plain *p = table_plain(t, &key, known);
    struct plain_value v = {.bytes = value, .value_len = (uint32_t)len};
    if (!p)
        return false;
    p->record.stamp.version++;
    p->record.ttl_ms = ttl;
    return table_plain_replace(t, p, &v, 1);
}

static void expire_awake(struct table *t, unsigned n, uint64_t at_ns)
{
    struct item *item = find(t, n);
    item->life_ns = at_ns;
    table_expire_at(t, item, at_ns);
}

static bool expire_plain(struct table *t, unsigned n, uint64_t at_ns)
{
    struct key key = key_of(n);
    struct plain *p = table_plain(t, &key, 0);
    if (p)
        table_plain_expire_at(t, p, at_ns);
    return p;
}

static void equal(struct table *a, struct table *b, unsigned n)
{
    struct item *x = find(a, n), *y = find(b, n);
    assert_true(!x == !y);
    if (!x)
        return;
    const struct field *f = record_get(x->record, "", 0), *g = record_get(y->record, "", 0);
    assert_int_equal(stamp_compare(&x->record->stamp, &y->record->stamp), 0);
    assert_int_equal(stamp_compare(&f->stamp, &g->stamp), 0);
    assert_int_equal(x->record->ttl_ms, y->record->ttl_ms);
    assert_int_equal(x->record->field_count, y->record->field_count);
    assert_int_equal(x->record->memory_bytes, y->record->memory_bytes);
    assert_int_equal(f->value_len, g->value_len);
    assert_memory_equal(field_value(f), field_value(g), f->value_len);
    assert_true(record_digest(x->record) == record_digest(y->record));
    assert_true(x->expires_ns == y->expires_ns);
    assert_true(x->role == y->role && x->state && y->state);
}

static void in_its_cell_a_record_changes_as_one_awake(void **state)
{
    (void)state;
    struct table *a = new_table(), *b = new_table();
    struct rng rng;
    static uint8_t value[VALUE_MAX];
    unsigned replaced = 0, renewed = 0;
    rng_init(&rng, 9);
    for (unsigned n = 0; n < KEYS; n++) {
        insert(a, n, NULL);
        insert(b, n, NULL);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned n = (unsigned)(rng_u64(&rng) % KEYS);
        size_t len = rng_u64(&rng) % (i % 50 == 0 ? VALUE_MAX : 64);
        uint32_t ttl = rng_u64(&rng) % 3 == 0 ? 0 : (uint32_t)(rng_u64(&rng) % 100000);
        uint64_t at_ns = rng_u64(&rng) % 5 == 0 ? TIME_NEVER : rng_u64(&rng) % (100 * NS_PER_S);
        memset(value, (int)i, len);
        table_rest(a, NULL, NULL);
        table_rest(b, NULL, NULL);
        if (rng_u64(&rng) % 2) {
            bool done = set_plain(a, n, value, len, ttl);
            replaced += done;
            if (!done)
                set_awake(a, n, value, len, ttl);
            set_awake(b, n, value, len, ttl);
        } else {
            assert_true(expire_plain(a, n, at_ns) ||
                        find(a, n)->record->field_count > PLAIN_FIELDS);
            expire_awake(b, n, at_ns);
            renewed++;
        }
    }
    assert_true(replaced > STEPS / 20 && renewed > 0);
    table_rest(a, NULL, NULL);
    table_rest(b, NULL, NULL);
    assert_true(table_memory(a) == table_memory(b));
    for (uint8_t k = 0; k < 2; k++)
        assert_true(table_kind_memory(a, k) == table_kind_memory(b, k));
    for (unsigned n = 0; n < KEYS; n++)
        equal(a, b, n);
    for (uint64_t now = 0; now < 101 * NS_PER_S; now += NS_PER_S) { /* and they expire alike */
        struct item *x, *y;
        unsigned gone_a = 0, gone_b = 0;
        for (; (x = table_expired(a, now)); gone_a++) {
            x->state = NULL;
            table_remove(a, x);
        }
        for (; (y = table_expired(b, now)); gone_b++) {
            y->state = NULL;
            table_remove(b, y);
        }
        assert_int_equal(gone_a, gone_b);
    }
    assert_true(table_count(a) == table_count(b) && table_count(a) < KEYS);
    table_free(a);
    table_free(b);
}

static void what_is_not_plain_is_left_alone(void **state)
{
    (void)state;
    struct table *t = new_table();
    const uint8_t *one = (const uint8_t *)"1";
    for (unsigned n = 0; n < 8; n++)
        insert(t, n, n == 1 ? "abcd" : NULL);
    struct key key = key_of(0), none = key_of(9);
    assert_null(table_plain(t, &key, 0)); /* awake */
    find(t, 2)->role = 2;                 /* a copy: the engine's own business, but told */
    find(t, 3)->tombstone = true;
    find(t, 4)->own_state.count = 1;
    find(t, 5)->own_state.doubtful = true;
    find(t, 6)->life_ns = NS_PER_S;
    find(t, 7)->record->holder_count = 1;
    table_rest(t, NULL, NULL);
    assert_non_null(table_plain(t, &key, 0));
    assert_null(table_plain(t, &none, 0));
    key = key_of(2);
    assert_int_equal(table_plain(t, &key, 0)->role, 2);
    for (unsigned n = 3; n < 8; n++) {
        key = key_of(n);
        assert_null(table_plain(t, &key, 0));
    }
    assert_false(set_plain(t, 1, one, 1, 0)); /* its other field would be lost */
    assert_int_equal(find(t, 1)->record->stamp.version, 1);
    assert_int_equal(find(t, 1)->record->field_count, 2);
    for (unsigned n = 0; n < 8; n++)
        find(t, n)->state = NULL;
    table_free(t);
}

static void a_second_field_is_set_with_the_first(void **state)
{
    (void)state;
    struct table *t = new_table();
    insert(t, 1, "abcd");
    table_rest(t, NULL, NULL);
    struct key key = key_of(1);
    struct plain *p = table_plain(t, &key, 0);
    struct plain_value v[2] = {{(const uint8_t *)"other", 5, 0}, {(const uint8_t *)"#wxyz", 4, 1}};
    p->record.stamp.version++;
    assert_true(table_plain_replace(t, p, v, 2));
    p = table_plain(t, &key, 0);
    assert_int_equal(p->record.stamp.version, 2);
    assert_memory_equal(field_value(record_get(&p->record, "#", 1)), "wxyz", 4);
    assert_memory_equal(field_value(record_get(&p->record, "", 0)), "other", 5);
    v[1].bytes = (const uint8_t *)"%wxyz";
    assert_false(table_plain_replace(t, p, v, 2));
    assert_non_null(record_get(find(t, 1)->record, "#", 1));
    find(t, 1)->state = NULL;
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_its_cell_a_record_changes_as_one_awake),
        cmocka_unit_test(what_is_not_plain_is_left_alone),
        cmocka_unit_test(a_second_field_is_set_with_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
