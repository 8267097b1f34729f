/* table_bench.c - the session table alone, in this process: time of an insert, of a find that hits
 * (random order, the record read and put back), of one that misses, of a change and of an expiry,
 * the longest insert, and resident bytes a record, at COUNT records with a value of 200 bytes under
 * 32-byte keys, each owned, with a life and a copy elsewhere. Beside it uthash and GLib's table
 * with the same keys and values and nothing else, and as the limit a plain array of pointers that
 * is told where to look: the cache misses without the search. Each find waits for the one before.
 * A subject a process: a heap that another one used before would be warm.
 *
 * "pauses" inserts the same into stead's table and tells how many inserts took how much CPU time:
 * what others do on the core meanwhile is not the table's.
 *
 * usage: table_bench stead|pauses|uthash|glib|limit COUNT
 * Prints lines "subject/load metric value"; rss_bytes is what the process grew by, per record. */
#include "base/buzhash.h"
#include "base/clock.h"
#include "base/rng.h"
#include "core/record/record.h"
#include "core/session/item.h"
#include "util.h"

#include <stdbool.h>
#include <unistd.h>

/* The macros of uthash do not care for this warning. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <glib.h>
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_BYTES 32
#define VALUE_BYTES 200
#define FINDS 400000u
#define TTL_MS 1800000u

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

static void check(bool right)
{
    if (right)
        return;
    fprintf(stderr, "table_bench: a table gave a wrong answer\n");
    exit(1);
}

/* Of this thread: what others do meanwhile is no time of the table's. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* The longest of many calls. One in which the kernel gave the core to others does not count. */
struct longest {
    uint64_t start_ns, ns;
    long switches;
};

static void longest_begin(struct longest *l)
{
    l->start_ns = now_ns();
}

static void longest_end(struct longest *l)
{
    uint64_t took = now_ns() - l->start_ns;
    struct rusage u;
    if (took <= l->ns)
        return;
    getrusage(RUSAGE_THREAD, &u);
    if (u.ru_nivcsw == l->switches)
        l->ns = took;
    l->switches = u.ru_nivcsw;
}

struct meter {
    uint64_t start_ns;
    size_t rss;
};

/* Of this process. */
static size_t rss_now(void)
{
    unsigned long size, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
        check(false);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct meter meter_start(void)
{
    return (struct meter){.rss = rss_now(), .start_ns = cpu_ns()};
}

static double meter_ns(const struct meter *m, uint64_t count)
{
    return (double)(cpu_ns() - m->start_ns) / (double)count;
}

static struct record *record_make(const char *key, const uint8_t *value)
{
    struct key k;
    struct stamp stamp = {1, 1, 1};
    struct field_op op = {.type = FIELD_SET, .value = value, .value_len = VALUE_BYTES};
    check(key_set(&k, 1, key, KEY_BYTES));
    struct record *r = record_new(&k);
    check(r && record_apply(r, &op, 1, &stamp, 0) == 0);
    return r;
}

static uint64_t table_finds(struct table *t, const char *keys, unsigned count, unsigned from)
{
    struct rng r;
    uint64_t found = 0, wait = 0; /* always 0, but only known when the find is over */
    struct key k;
    rng_init(&r, 7);
    for (unsigned i = 0; i < FINDS; i++) {
        check(key_set(&k, 1, key_at(keys, from + wait + rng_below(&r, count)), KEY_BYTES));
        struct item *item = table_find(t, &k);
        wait = item ? (unsigned)item->record->key.len - KEY_BYTES : 0;
        found += item != NULL;
        table_rest(t, NULL, NULL);
    }
    return found;
}

/* As an owner has it, when one holder has confirmed its copy. */
static void own(struct table *t, struct item *item)
{
    item->role = ROLE_OWNER;
    item->state = &item->own_state;
    item->state->count = 1;
    item->state->copies[0] = (struct copy){.inc = 77, .version = 1, .granted = 3, .counted = 2};
    item->record->holder_count = 1;
    item->record->holders[0] = 77;
    item->record->ttl_ms = TTL_MS;
    item->life_ns = now_ns() + TTL_MS * NS_PER_MS;
    table_expire_at(t, item, item->life_ns);
}

/* Inserts all; the longest that one took, its rest included. */
static uint64_t table_fill(struct table *t, const char *keys, unsigned count)
{
    uint8_t value[VALUE_BYTES] = {2};
    struct longest longest = {0};
    for (unsigned i = 0; i < count; i++) {
        struct record *record = record_make(key_at(keys, i), value);
        longest_begin(&longest);
        struct item *item = table_insert(t, record);
        check(item != NULL);
        own(t, item);
        table_rest(t, NULL, NULL);
        longest_end(&longest);
    }
    return longest.ns;
}

static void table_changes(struct table *t, const char *keys, unsigned count)
{
    struct rng r;
    struct key k;
    uint8_t value[VALUE_BYTES] = {3};
    struct field_op op = {.type = FIELD_SET, .value = value, .value_len = VALUE_BYTES};
    rng_init(&r, 9);
    for (unsigned i = 0; i < FINDS; i++) {
        check(key_set(&k, 1, key_at(keys, rng_below(&r, count)), KEY_BYTES));
        struct item *item = table_find(t, &k);
        check(item != NULL);
        struct stamp next = {1, item->record->stamp.version + 1, 1};
        check(record_apply(item->record, &op, 1, &next, 0) == 0);
        table_recount(t, item);
        table_rest(t, NULL, NULL);
    }
}

static void table_expiries(struct table *t, unsigned count)
{
    uint64_t at = now_ns() + 2 * TTL_MS * NS_PER_MS;
    struct longest longest = {0};
    struct meter m = meter_start();
    for (unsigned gone = 0; gone < count;) {
        longest_begin(&longest);
        struct item *item = table_expired(t, at);
        if (item) {
            item->state = NULL;
            table_remove(t, item);
            gone++;
        }
        longest_end(&longest);
    }
    result("stead", "expire_ns", count, meter_ns(&m, count));
    result("stead", "shrink_pause_us", count, (double)longest.ns / 1e3);
}

static void bench_table(const char *keys, unsigned count)
{
    uint8_t secret[32] = {1};
    static struct buzhash hash;
    buzhash_init(&hash, secret);
    struct meter m = meter_start();
    struct table *t = table_new(&hash, now_ns());
    check(t != NULL);
    uint64_t longest = table_fill(t, keys, count);
    result("stead", "insert_ns", count, meter_ns(&m, count));
    result("stead", "grow_pause_us", count, (double)longest / 1e3);
    result("stead", "rss_bytes", count, (double)(rss_now() - m.rss) / count);
    result("stead", "counted_bytes", count, (double)table_memory(t) / count);
    m = meter_start();
    check(table_finds(t, keys, count, 0) == FINDS);
    result("stead", "hit_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    check(table_finds(t, keys, count, count) == 0);
    result("stead", "miss_ns", count, meter_ns(&m, FINDS));
    m = meter_start();
    table_changes(t, keys, count);
    result("stead", "change_ns", count, meter_ns(&m, FINDS));
    table_expiries(t, count);
    check(table_count(t) == 0);
    table_free(t);
}

static void bench_pauses(const char *keys, unsigned count)
{
    static const unsigned over_us[] = {20, 50, 100, 200, 500, 1000};
    unsigned counts[sizeof over_us / sizeof *over_us] = {0};
    uint8_t secret[32] = {1}, value[VALUE_BYTES] = {2};
    static struct buzhash hash;
    uint64_t longest = 0;
    buzhash_init(&hash, secret);
    struct table *t = table_new(&hash, now_ns());
    check(t != NULL);
    for (unsigned i = 0; i < count; i++) {
        struct record *record = record_make(key_at(keys, i), value);
        uint64_t began = cpu_ns();
        struct item *item = table_insert(t, record);
        check(item != NULL);
        own(t, item);
        table_rest(t, NULL, NULL);
        uint64_t took = cpu_ns() - began;
        longest = took > longest ? took : longest;
        for (size_t k = 0; k < sizeof over_us / sizeof *over_us; k++)
            counts[k] += took > over_us[k] * 1000ul;
    }
    for (size_t k = 0; k < sizeof over_us / sizeof *over_us; k++) {
        char name[32];
        snprintf(name, sizeof name, "over_%u_us", over_us[k]);
        result("pauses", name, count, counts[k]);
    }
    result("pauses", "longest_cpu_us", count, (double)longest / 1e3);
    table_free(t);
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
    struct pair *head = NULL;
    struct longest longest = {0};
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        longest_begin(&longest);
        struct pair *p = must_alloc(1, sizeof *p);
        memcpy(p->key, key_at(keys, i), KEY_BYTES);
        memset(p->value, 2, VALUE_BYTES);
        head = pairs_add(head, p);
        longest_end(&longest);
    }
    result("uthash", "insert_ns", count, meter_ns(&m, count));
    result("uthash", "grow_pause_us", count, (double)longest.ns / 1e3);
    result("uthash", "rss_bytes", count, (double)(rss_now() - m.rss) / count);
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
}

struct bare {
    char key[KEY_BYTES];
    char value[VALUE_BYTES];
};

static void bench_limit(const char *keys, unsigned count)
{
    struct bare **all = must_alloc(count, sizeof *all);
    struct rng r;
    uint64_t wait = 0;
    rng_init(&r, 7);
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        all[i] = must_alloc(1, sizeof **all);
        memcpy(all[i]->key, key_at(keys, i), KEY_BYTES);
        memset(all[i]->value, 2, VALUE_BYTES);
    }
    result("limit", "insert_ns", count, meter_ns(&m, count));
    result("limit", "rss_bytes", count, (double)(rss_now() - m.rss) / count);
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

static guint glib_hash(gconstpointer key)
{
    return (guint)XXH3_64bits(key, KEY_BYTES);
}

static gboolean glib_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, KEY_BYTES) == 0;
}

static void bench_glib(const char *keys, unsigned count)
{
    GHashTable *t = g_hash_table_new_full(glib_hash, glib_equal, free, NULL);
    struct rng r;
    uint64_t wait = 0;
    struct longest longest = {0};
    struct meter m = meter_start();
    for (unsigned i = 0; i < count; i++) {
        longest_begin(&longest);
        struct bare *p = must_alloc(1, sizeof *p);
        memcpy(p->key, key_at(keys, i), KEY_BYTES);
        memset(p->value, 2, VALUE_BYTES);
        g_hash_table_add(t, p);
        longest_end(&longest);
    }
    result("glib", "insert_ns", count, meter_ns(&m, count));
    result("glib", "grow_pause_us", count, (double)longest.ns / 1e3);
    result("glib", "rss_bytes", count, (double)(rss_now() - m.rss) / count);
    for (unsigned from = 0; from <= count; from += count) {
        rng_init(&r, 7);
        m = meter_start();
        for (unsigned i = 0; i < FINDS; i++) {
            const struct bare *p =
                g_hash_table_lookup(t, key_at(keys, from + wait + rng_below(&r, count)));
            wait = p ? (uint64_t)p->value[0] - 2 : 0;
        }
        result("glib", from == 0 ? "hit_ns" : "miss_ns", count, meter_ns(&m, FINDS));
    }
    m = meter_start();
    for (unsigned i = 0; i < count; i++)
        g_hash_table_remove(t, key_at(keys, i));
    result("glib", "remove_ns", count, meter_ns(&m, count));
    g_hash_table_destroy(t);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        usage("table_bench stead|pauses|uthash|glib|limit COUNT");
    unsigned count = (unsigned)number_parse(argv[2], 1, 1e8);
    char *keys = keys_make(count);
    if (strcmp(argv[1], "stead") == 0)
        bench_table(keys, count);
    else if (strcmp(argv[1], "pauses") == 0)
        bench_pauses(keys, count);
    else if (strcmp(argv[1], "uthash") == 0)
        bench_uthash(keys, count);
    else if (strcmp(argv[1], "glib") == 0)
        bench_glib(keys, count);
    else
        bench_limit(keys, count);
    free(keys);
    return 0;
}
