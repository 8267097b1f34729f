/* engine_redis_fuzz.c - what a hostile Redis server answers: read in any portions it is the same,
 * within its limits; and as a map, a redirect or INFO it stays within theirs. */
#include "fuzz_check.h"
#include "stead/error.h"
#include "store/engine_redis_link.h"

#include <string.h>

#define ANSWERS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t weigh(const struct redis_answer *a, unsigned depth, size_t *items)
{
    size_t bytes = a->len;
    CHECK(depth < 10);
    CHECK(!a->text || a->text[a->len] == '\0');
    *items += a->count;
    for (size_t i = 0; i < a->count; i++) {
        CHECK(a->items[i]);
        bytes += weigh(a->items[i], depth + 1, items);
    }
    return bytes;
}

static void use(const struct redis_answer *a)
{
    static const struct redis_place asked = {"asked", 1};
    static struct redis_map map;
    struct redis_link link = {0};
    struct redis_place place;
    uint16_t slot;
    size_t items = 0;
    CHECK(weigh(a, 0, &items) <= REDIS_ANSWER_BYTES_MAX);
    CHECK(items <= REDIS_ANSWER_ITEMS_MAX);
    if (redis_map_parse(a, &asked, a->count % 2 != 0, &map) == STEAD_OK)
        for (size_t i = 0; i < REDIS_SLOTS; i++)
            CHECK(map.owner[i] <= map.count);
    for (size_t i = 0; i < map.count; i++)
        CHECK(memchr(map.primaries[i].place.host, 0, REDIS_HOST_MAX) &&
              map.primaries[i].place.port != 0);
    if (redis_link_learn(&link, a) == STEAD_OK)
        CHECK(memchr(link.run_id, 0, sizeof(link.run_id)));
    if (a->text && redis_redirect_parse(a->text, a->len, &slot, &place) != REDIS_STAYS)
        CHECK(slot < REDIS_SLOTS && place.port != 0);
}

/* The types of the answers, in their order. */
static size_t read_all(const uint8_t *data, size_t size, size_t portion, char *types)
{
    struct redis_answers *in = redis_answers_new();
    size_t count = 0;
    int err = in ? STEAD_OK : STEAD_E_NOMEM;
    for (size_t at = 0; at < size && !err; at += portion) {
        err = redis_answers_feed(in, data + at, size - at < portion ? size - at : portion);
        while (!err) {
            struct redis_answer *a;
            err = redis_answers_next(in, &a);
            if (err)
                break;
            use(a);
            if (count < ANSWERS_MAX)
                types[count++] = (char)a->type;
            redis_answer_free(a);
        }
        if (err == STEAD_PENDING)
            err = STEAD_OK;
    }
    redis_answers_free(in);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char whole[ANSWERS_MAX], parts[ANSWERS_MAX];
    if (size > 65536)
        return 0;
    size_t n = read_all(data, size, size, whole);
    size_t portion = size > 4096 ? 61 : 3;
    CHECK(read_all(data, size, portion, parts) == n);
    CHECK(memcmp(whole, parts, n) == 0);
    return 0;
}
