/* memcache_fuzz.c - requests of memcached's clients in every form: what is read lies within the
 * input, and is answered. The first byte chooses the form, as on a connection. */
#include "core/memcache/memcache.h"
#include "fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice s, const char *text, int n)
{
    CHECK(s.len == 0 || (s.at >= text && s.at + s.len <= text + n));
}

static void answer(const struct memcache_request *q)
{
    static char bytes[MEMCACHE_LINE_MAX];
    struct memcache_out o;
    const struct memcache_item item = {.key = q->keys[0], .value = {"12", 2}, .left_s = -1};
    memcache_out_init(&o, bytes, sizeof bytes);
    if (q->op == MEMCACHE_GET) {
        memcache_put_item(&o, q, &item);
        memcache_put_miss(&o, q, q->keys[0]);
        memcache_put_end(&o, q);
    } else if (q->op == MEMCACHE_INCR || q->op == MEMCACHE_DECR) {
        memcache_put_number(&o, q, 12, &item);
    }
    memcache_put_status(&o, q, MEMCACHE_NOT_FOUND, NULL);
    memcache_put_status(&o, q, MEMCACHE_OK, q->key_count ? &item : NULL);
    CHECK(o.len <= o.cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memcache_request q;
    const char *text = (const char *)data;
    bool binary = size > 0 && *data == 0x80;
    while (size > 0) {
        int n = memcache_parse(text, size, binary, &q);
        CHECK(n <= (int)size);
        if (n <= 0)
            return 0;
        for (size_t i = 0; i < q.key_count; i++)
            check_inside(q.keys[i], text, n);
        check_inside(q.value, text, n);
        check_inside(memcache_plain_password(&q), text, n);
        for (size_t i = 0; i < q.flag_count; i++)
            check_inside(q.meta[i], text, n);
        answer(&q);
        text += n;
        size -= (size_t)n;
    }
    return 0;
}
