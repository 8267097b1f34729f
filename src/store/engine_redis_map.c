/* Slots, the map of a cluster, and redirects (engine_redis_map.h). Pure. */
#include "store/engine_redis_map.h"

#include "stead/error.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* CRC16 as XMODEM: polynomial 0x1021, begins with 0. */
static uint16_t crc16(const uint8_t *bytes, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

uint16_t redis_slot(const void *name, size_t len)
{
    const uint8_t *text = name, *open = memchr(text, '{', len);
    if (open) {
        size_t left = len - (size_t)(open - text) - 1;
        const uint8_t *close = memchr(open + 1, '}', left);
        if (close && close > open + 1)
            return crc16(open + 1, (size_t)(close - open) - 1) % REDIS_SLOTS;
    }
    return crc16(text, len) % REDIS_SLOTS;
}

/* -- places -- */

bool redis_place_equal(const struct redis_place *a, const struct redis_place *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool read_number(const char *text, size_t len, unsigned max, unsigned *out)
{
    unsigned n = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    *out = n;
    return n <= max;
}

static bool set_host(struct redis_place *p, const char *text, size_t len)
{
    if (len >= sizeof(p->host))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(".-_:%", text[i]))
            return false;
    memcpy(p->host, text, len);
    p->host[len] = '\0';
    return true;
}

bool redis_place_parse(const char *text, size_t len, struct redis_place *out)
{
    const char *colon = memrchr(text, ':', len);
    unsigned port;
    *out = (struct redis_place){0};
    if (!colon)
        return false;
    size_t host = (size_t)(colon - text);
    if (!read_number(colon + 1, len - host - 1, UINT16_MAX, &port) || port == 0)
        return false;
    out->port = (uint16_t)port;
    if (host >= 2 && text[0] == '[' && colon[-1] == ']')
        return set_host(out, text + 1, host - 2);
    return set_host(out, text, host);
}

enum redis_redirect redis_redirect_parse(const char *text, size_t len, uint16_t *slot,
                                         struct redis_place *place)
{
    enum redis_redirect kind = REDIS_STAYS;
    size_t word = 0;
    unsigned n;
    if (len > 6 && memcmp(text, "MOVED ", 6) == 0) {
        kind = REDIS_MOVED;
        word = 6;
    } else if (len > 4 && memcmp(text, "ASK ", 4) == 0) {
        kind = REDIS_ASK;
        word = 4;
    }
    if (kind == REDIS_STAYS)
        return kind;
    const char *space = memchr(text + word, ' ', len - word);
    if (!space || !read_number(text + word, (size_t)(space - text) - word, REDIS_SLOTS - 1, &n))
        return REDIS_STAYS;
    *slot = (uint16_t)n;
    size_t at = (size_t)(space - text) + 1;
    return redis_place_parse(text + at, len - at, place) ? kind : REDIS_STAYS;
}

/* -- the map -- */

static bool as_number(const struct redis_answer *a, long long max, unsigned *out)
{
    if (a->type != REDIS_NUMBER || a->number < 0 || a->number > max)
        return false;
    *out = (unsigned)a->number;
    return true;
}

/* nil and "" say: the host that you asked; "?" that it is not known. */
static bool fill_place(struct redis_place *p, const struct redis_answer *host,
                       const struct redis_answer *port, const struct redis_place *asked)
{
    unsigned n;
    *p = (struct redis_place){0};
    if (!as_number(port, UINT16_MAX, &n) || n == 0)
        return false;
    p->port = (uint16_t)n;
    if (!host || host->type == REDIS_NIL || (host->type == REDIS_TEXT && host->len == 0)) {
        memcpy(p->host, asked->host, sizeof(p->host));
        return true;
    }
    return host->type == REDIS_TEXT && set_host(p, host->text, host->len);
}

static void set_id(struct redis_primary *p, const struct redis_answer *id)
{
    p->id[0] = '\0';
    if (id && id->type == REDIS_TEXT && id->len < sizeof(p->id))
        memcpy(p->id, id->text, id->len + 1);
}

/* The index of it, added if it is new; -1: there is no room. */
static int add_primary(struct redis_map *m, const struct redis_primary *p)
{
    for (size_t i = 0; i < m->count; i++)
        if (redis_place_equal(&m->primaries[i].place, &p->place))
            return (int)i;
    if (m->count == REDIS_PRIMARIES_MAX)
        return -1;
    m->primaries[m->count] = *p;
    return (int)m->count++;
}

static int give_slots(struct redis_map *m, const struct redis_answer *first,
                      const struct redis_answer *last, const struct redis_primary *to)
{
    unsigned from, until;
    if (!as_number(first, REDIS_SLOTS - 1, &from) || !as_number(last, REDIS_SLOTS - 1, &until))
        return STEAD_E_PARSE;
    int index = add_primary(m, to);
    if (index < 0)
        return STEAD_E_FULL;
    for (unsigned slot = from; slot <= until; slot++)
        m->owner[slot] = (uint8_t)(index + 1);
    return STEAD_OK;
}

/* [first, last, [host, port, id, ...] of the primary, and of each replica] */
static int parse_range(struct redis_map *m, const struct redis_answer *range,
                       const struct redis_place *asked)
{
    struct redis_primary p = {0};
    if (range->type != REDIS_LIST || range->count < 3)
        return STEAD_E_PARSE;
    const struct redis_answer *node = range->items[2];
    if (node->type != REDIS_LIST || node->count < 2 ||
        !fill_place(&p.place, node->items[0], node->items[1], asked))
        return STEAD_E_PARSE;
    set_id(&p, node->count > 2 ? node->items[2] : NULL);
    p.replicas = (unsigned)(range->count - 3);
    return give_slots(m, range->items[0], range->items[1], &p);
}

/* The value that follows a name in a list of pairs; NULL: there is none. */
static const struct redis_answer *value_of(const struct redis_answer *pairs, const char *name)
{
    if (pairs->type != REDIS_LIST)
        return NULL;
    for (size_t i = 0; i + 1 < pairs->count; i += 2)
        if (redis_answer_is(pairs->items[i], REDIS_TEXT, name))
            return pairs->items[i + 1];
    return NULL;
}

static bool shard_node(const struct redis_answer *node, const struct redis_place *asked, bool tls,
                       struct redis_primary *p)
{
    const struct redis_answer *host = value_of(node, "endpoint");
    const struct redis_answer *port = value_of(node, tls ? "tls-port" : "port");
    if (!port || !fill_place(&p->place, host ? host : value_of(node, "ip"), port, asked))
        return false;
    set_id(p, value_of(node, "id"));
    return true;
}

/* ["slots", [first, last, ...], "nodes", [[name, value, ...], ...]] */
static int parse_shard(struct redis_map *m, const struct redis_answer *shard,
                       const struct redis_place *asked, bool tls)
{
    const struct redis_answer *slots = value_of(shard, "slots"), *nodes = value_of(shard, "nodes");
    struct redis_primary p = {0};
    bool found = false;
    unsigned replicas = 0;
    if (!slots || !nodes || slots->type != REDIS_LIST || nodes->type != REDIS_LIST)
        return STEAD_E_PARSE;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct redis_answer *role = value_of(nodes->items[i], "role");
        if (role && redis_answer_is(role, REDIS_TEXT, "master") && !found)
            found = shard_node(nodes->items[i], asked, tls, &p);
        else
            replicas++;
    }
    if (slots->count == 0)
        return STEAD_OK;
    if (!found)
        return STEAD_E_PARSE;
    p.replicas = replicas;
    int err = STEAD_OK;
    for (size_t i = 0; i + 1 < slots->count && !err; i += 2)
        err = give_slots(m, slots->items[i], slots->items[i + 1], &p);
    return err;
}

int redis_map_parse(const struct redis_answer *a, const struct redis_place *asked, bool tls,
                    struct redis_map *out)
{
    int err = STEAD_OK;
    *out = (struct redis_map){0};
    if (a->type != REDIS_LIST)
        return STEAD_E_PARSE;
    for (size_t i = 0; i < a->count && !err; i++) {
        const struct redis_answer *one = a->items[i];
        bool range =
            one->type == REDIS_LIST && one->count > 0 && one->items[0]->type == REDIS_NUMBER;
        err = range ? parse_range(out, one, asked) : parse_shard(out, one, asked, tls);
    }
    return err;
}

void redis_map_single(struct redis_map *m, const struct redis_place *place, unsigned replicas)
{
    *m = (struct redis_map){.count = 1};
    m->primaries[0] = (struct redis_primary){.place = *place, .replicas = replicas};
    memset(m->owner, 1, sizeof(m->owner));
}

int redis_map_move(struct redis_map *m, uint16_t slot, const struct redis_place *to)
{
    struct redis_primary p = {.place = *to};
    assert(slot < REDIS_SLOTS);
    int index = add_primary(m, &p);
    if (index < 0)
        return STEAD_E_FULL;
    m->owner[slot] = (uint8_t)(index + 1);
    return STEAD_OK;
}

bool redis_map_whole(const struct redis_map *m)
{
    return !memchr(m->owner, 0, sizeof(m->owner));
}

static bool has_primary(const struct redis_map *m, const char *id)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->primaries[i].id, id) == 0)
            return true;
    return false;
}

bool redis_map_lost(const struct redis_map *before, const struct redis_map *now)
{
    for (size_t i = 0; i < before->count; i++)
        if (*before->primaries[i].id && !has_primary(now, before->primaries[i].id))
            return true;
    return false;
}
