/* hash_bench.c - BUZhash beside XXH3 and SipHash-2-4: time of a hash that waits for the one before,
 * as in a lookup, by length of the key; and how evenly keys of several sorts fall into buckets.
 *
 * usage: hash_bench
 * Prints lines "subject/load metric value". chi2 is chi-squared over BUCKETS buckets, by its mean:
 * 1 is what chance gives, and 99 % of fair hashes are within 0.94 to 1.06. `low` and `high`: by the
 * lowest or highest bits of the hash; the table takes buckets from the former and tags from the
 * latter. */
#include "base/buzhash.h"
#include "base/rng.h"
#include "util.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#define XXH_INLINE_ALL
#include <xxhash.h>
#pragma GCC diagnostic pop

#define TURNS 2000000u
#define BUCKETS 4096u
#define KEYS 400000u
#define KEY_MAX 96u

static struct buzhash buz;

static uint64_t rotl(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012) under a fixed key. */
static uint64_t siphash(const uint8_t *p, size_t len)
{
    const uint64_t k0 = 0x0706050403020100ull, k1 = 0x0f0e0d0c0b0a0908ull;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
                     k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
    uint64_t last = (uint64_t)len << 56, m;
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&m, p, 8);
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << 8 * i;
    v[3] ^= last;
    sip_round(v);
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const char *const subjects[] = {"stead", "xxh3", "siphash"};
enum { SUBJECTS = 3 };

static uint64_t hash(int subject, const void *key, size_t len)
{
    if (subject == 0)
        return buzhash(&buz, key, len);
    return subject == 1 ? XXH3_64bits_withSeed(key, len, 5) : siphash(key, len);
}

/* Of this thread. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void bench_speed(int subject, size_t bytes)
{
    uint8_t key[256] = {3};
    uint64_t h = 0, start = cpu_ns();
    for (unsigned i = 0; i < TURNS; i++) {
        memcpy(key, &h, sizeof h);
        h = hash(subject, key, bytes);
    }
    double ns = (double)(cpu_ns() - start) / TURNS;
    printf("%s/%zu hash_ns %.1f\n", subjects[subject], bytes, ns);
    if (h == 0)
        fprintf(stderr, "zero\n"); /* so that the hashes are not optimised away */
}

static const char *const sorts[] = {"ids", "sequential", "urls", "binary"};
enum { SORTS = 4 };

static size_t make_key(int sort, unsigned n, uint8_t key[KEY_MAX])
{
    struct rng r;
    rng_init(&r, n);
    uint64_t a = rng_u64(&r), b = rng_u64(&r);
    char *text = (char *)key;
    if (sort == 0)
        return (size_t)snprintf(text, KEY_MAX, "%016lx%016lx", a, b);
    if (sort == 1)
        return (size_t)snprintf(text, KEY_MAX, "user:%u", n);
    if (sort == 2)
        return (size_t)snprintf(text, KEY_MAX, "https://www.shop.test/c/%u/item-%u?page=%u", n % 37,
                                n / 37, n % 5);
    memset(key, 0, 16);
    memcpy(key + 4, &n, sizeof n);
    return 16;
}

static double chi_squared(const unsigned *count)
{
    double expected = (double)KEYS / BUCKETS, sum = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    return sum / (BUCKETS - 1);
}

static void bench_spread(int subject, int sort)
{
    static unsigned low[BUCKETS], high[BUCKETS];
    uint8_t key[KEY_MAX];
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    for (unsigned n = 0; n < KEYS; n++) {
        size_t len = make_key(sort, n, key);
        uint64_t h = hash(subject, key, len);
        low[h % BUCKETS]++;
        high[h >> 52]++;
    }
    printf("%s/%s chi2_low %.3f\n", subjects[subject], sorts[sort], chi_squared(low));
    printf("%s/%s chi2_high %.3f\n", subjects[subject], sorts[sort], chi_squared(high));
}

int main(void)
{
    uint8_t secret[32] = {1};
    buzhash_init(&buz, secret);
    for (int subject = 0; subject < SUBJECTS; subject++) {
        for (size_t bytes = 16; bytes <= 256; bytes *= 2)
            bench_speed(subject, bytes);
        for (int sort = 0; sort < SORTS; sort++)
            bench_spread(subject, sort);
    }
    return 0;
}
