/* table_bench.c - the session table alone, in this process: time of an insert, of a find that hits
 * (random order), of one that misses and of a find with removal, and bytes a record, at COUNT
 * records with a value of 200 bytes under 32-byte keys. Beside it uthash with the same keys and
 * values, and as the limit a plain array of pointers that is told where to look: the cache misses
 * without the search. Each find waits for the one before. A subject a process: a heap that another
 * one used before would be warm.
 *
 * usage: table_bench stead|uthash|limit COUNT
 *        table_bench hash                      BUZhash beside XXH3
 * Prints lines "subject/load metric value"; heap_bytes is what the heap grew by, per record. */
#include "base/buzhash.h"
#include "base/rng.h"
#include "core/record/record.h"
#include "core/session/table.h"
#include "util.h"

#include <malloc.h>
#include <stdbool.h>

/* The macros of uthash do not care for this warning. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_BYTES 32
#define VALUE_BYTES 200
#define FINDS 400000u

struct pair {
    UT_hash_handle hh;
    char key[KEY_BYTES];
    char value[VALUE_BYTES];
};

static struct pair *pairs_find(struct pair *head, const char *key)
{
    struct pair *p;
    HASH_FIND(hh, head, key, KEY_BYTES, p);
    return p;
}

static struct pair *pairs_add(struct pair *head, struct pair *p)
{
    HASH_ADD(hh, head, key[0], KEY_BYTES, p);
    return head;
}

static struct pair *pairs_remove(struct pair *head, struct pair *p)
{
    HASH_DEL(head, p);
    free(p);
    return head;
}
#pragma GCC diagnostic pop

static void result(const char *subject, const char *load, unsigned count, double value)
{
    printf("%s/%u %s %.1f\n", subject, count, load, value);
}

static void key_text(char out[KEY_BYTES + 1], uint64_t n)
{
    struct rng r;
    rng_init(&r, n);
    snprintf(out, KEY_BYTES + 1, "%016lx%016lx", rng_u64(&r), rng_u64(&r));
}

/* Keys by number, made before the clock runs; misses are numbers from `count` on. */
static char *keys_make(unsigned count)
{
    char *keys = must_alloc(2ul * count + 1, KEY_BYTES);
    char text[KEY_BYTES + 1];
    for (unsigned i = 0; i < 2 * count; i++) {
        key_text(text, i);
        memcpy(keys + (size_t)i * KEY_BYTES, text, KEY_BYTES);
    }
    return keys;
}

static const char *key_at(const char *keys, uint64_t n)
{
    return keys + n * KEY_BYTES;
}

struct meter {
    uint64_t start_ns;
    size_t heap;
};

static size_t heap_now(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static struct meter meter_start(void)
{
    return (struct meter){.heap = heap_now(), .start_ns = now_ns()};
}

static double meter_ns(const struct meter *m, uint64_t count)
{
    return (double)(now_ns() - m->start_ns) / (double)count;
}

static void check(bool right)
{
    if (right)
        return;
    fprintf(stderr, "table_bench: a table gave a wrong answer\n");
    exit(1);
}

static struct record *record_make(const char *key, const uint8_t *value)
{
    struct key k;
    struct stamp stamp = {1, 1, 1};
    struct field_op op = {.type = FIELD_SET,
                          .name = (const uint8_t *)"v",
                          .name_len = 1,
                          .value = value,
                          .value_len = VALUE_BYTES};
    check(key_set(&k, 1, key, KEY_BYTES));
    struct record *r = record_new(&k);
    check(r && record_apply(r, &op, 1, &stamp, 0) == 0);
    return r;
}

static uint64_t table_finds(struct table *t, const char *keys, unsigned count, unsigned from)
{
    struct rng r;
    uint64_t found = 0, wait = 0; /* always 0, but only known when the find is over */
    rng_init(&r, 7);
    for (unsigned i = 0; i < FINDS; i++) {
        struct key k;
        check(key_set(&k, 1, key_at(keys, from + wait + rng_below(&r, count)), KEY_BYTES));
        struct item *item = table_find(t, &k);
        wait = item ? (unsigned)item->record->key.len - KEY_BYTES : 0;
        found += item != NULL;
    }
    return found;
}

static void bench_table(const char *keys, unsigned count)
{
    uint8_t secret[32] = {1}, value[VALUE_BYTES] = {2};
    static struct buzhash hash;
    buzhash_init(&hash, secret);
    struct record **records = must_alloc(count, sizeof *records);
    struct meter all = meter_start();
    for (unsigned i = 0; i < count; i++)
        records[i] = record_make(key_at(keys, i), value);
    result("stead", "make_ns", count, meter_ns(&all, count));
    struct table *t = table_new(&hash, 0);
    check(t != NULL);
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++)
        check(table_insert(t, records[i]) != NULL);
    result("stead", "insert_ns", count, meter_ns(&m, count));
    result("stead", "heap_bytes", count, (double)(heap_now() - all.heap) / count);
    result("stead", "counted_bytes", count, (double)table_memory(t) / count);
    m = meter_start();
    check(table_finds(t, keys, count, 0) == FINDS);
    result("stead", "hit_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    check(table_finds(t, keys, count, count) == 0);
    result("stead", "miss_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        struct key k;
        check(key_set(&k, 1, key_at(keys, i), KEY_BYTES));
        struct item *item = table_find(t, &k);
        check(item != NULL);
        table_remove(t, item);
    }
    result("stead", "remove_ns", count, meter_ns(&m, count));
    check(table_count(t) == 0);
    table_free(t);
    free(records);
}

static uint64_t pairs_finds(struct pair *head, const char *keys, unsigned count, unsigned from)
{
    struct rng r;
    uint64_t found = 0, wait = 0;
    rng_init(&r, 7);
    for (unsigned i = 0; i < FINDS; i++) {
        struct pair *p = pairs_find(head, key_at(keys, from + wait + rng_below(&r, count)));
        wait = p ? p->hh.keylen - KEY_BYTES : 0;
        found += p != NULL;
    }
    return found;
}

static void bench_uthash(const char *keys, unsigned count)
{
    struct pair *head = NULL, **all = must_alloc(count, sizeof *all);
    struct meter whole = meter_start();
    for (unsigned i = 0; i < count; i++) {
        all[i] = must_alloc(1, sizeof **all);
        memcpy(all[i]->key, key_at(keys, i), KEY_BYTES);
        memset(all[i]->value, 2, VALUE_BYTES);
    }
    result("uthash", "make_ns", count, meter_ns(&whole, count));
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++)
        head = pairs_add(head, all[i]);
    result("uthash", "insert_ns", count, meter_ns(&m, count));
    result("uthash", "heap_bytes", count, (double)(heap_now() - whole.heap) / count);
    m = meter_start();
    check(pairs_finds(head, keys, count, 0) == FINDS);
    result("uthash", "hit_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    check(pairs_finds(head, keys, count, count) == 0);
    result("uthash", "miss_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        struct pair *p = pairs_find(head, key_at(keys, i));
        check(p != NULL);
        head = pairs_remove(head, p);
    }
    result("uthash", "remove_ns", count, meter_ns(&m, count));
    free(all);
}

struct plain {
    char key[KEY_BYTES];
    char value[VALUE_BYTES];
};

static void bench_limit(const char *keys, unsigned count)
{
    struct plain **all = must_alloc(count, sizeof *all);
    struct rng r;
    uint64_t wait = 0;
    rng_init(&r, 7);
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        all[i] = must_alloc(1, sizeof **all);
        memcpy(all[i]->key, key_at(keys, i), KEY_BYTES);
        memset(all[i]->value, 2, VALUE_BYTES);
    }
    result("limit", "make_ns", count, meter_ns(&m, count));
    result("limit", "heap_bytes", count,
           (double)(heap_now() - m.heap + count * sizeof *all) / count);
    m = meter_start();
    for (unsigned i = 0; i < FINDS; i++) {
        uint64_t n = wait + rng_below(&r, count);
        wait = (uint64_t)(all[n]->key[0] - *key_at(keys, n)); /* a comparison would be foretold */
    }
    check(wait == 0);
    result("limit", "hit_ns", count, meter_ns(&m, FINDS));
    for (unsigned i = 0; i < count; i++)
        free(all[i]);
    free(all);
}

/* Each hash starts from the one before, so that the latency is measured as in a lookup. */
static void bench_hash(size_t bytes)
{
    enum { TURNS = 2000000 };
    uint8_t secret[32] = {1}, key[64] = {3};
    static struct buzhash hash;
    uint64_t h = 0;
    buzhash_init(&hash, secret);
    struct meter m = meter_start();
    for (int i = 0; i < TURNS; i++) {
        memcpy(key, &h, sizeof h);
        h = buzhash(&hash, key, bytes);
    }
    result("stead", "hash_ns", (unsigned)bytes, meter_ns(&m, TURNS));
    m = meter_start();
    for (int i = 0; i < TURNS; i++) {
        memcpy(key, &h, sizeof h);
        h = XXH3_64bits_withSeed(key, bytes, 5);
    }
    result("xxh3", "hash_ns", (unsigned)bytes, meter_ns(&m, TURNS));
    if (h == 0)
        fprintf(stderr, "zero\n"); /* so that the hashes are not optimised away */
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hash") == 0) {
        for (size_t bytes = 16; bytes <= 64; bytes += 16)
            bench_hash(bytes);
        return 0;
    }
    if (argc != 3)
        usage("table_bench stead|uthash|limit COUNT, or table_bench hash");
    unsigned count = (unsigned)number_parse(argv[2], 1, 1e8);
    char *keys = keys_make(count);
    if (strcmp(argv[1], "stead") == 0)
        bench_table(keys, count);
    else if (strcmp(argv[1], "uthash") == 0)
        bench_uthash(keys, count);
    else
        bench_limit(keys, count);
    free(keys);
    return 0;
}
