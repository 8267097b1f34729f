/* reserve.c - a table of servers with what was sent to each, in buckets of time. A server that
 * nobody was sent to within a life has no place in it. */
#include "core/roster/reserve.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define FORGET 0.8 /* of what the factor is made from stays after each bucket */
#define TRUST 8    /* arrivals and clients sent before the factor is believed */

struct slot {
    uint64_t key;   /* 0: empty */
    uint64_t tick;  /* to which the buckets were brought */
    uint32_t users; /* that the server had when it was last looked at */
    uint32_t sum;
    float shown; /* part of a reservation that has arrived */
    uint16_t sent[RESERVE_BUCKETS];
};

struct reserve {
    uint64_t bucket_ms, tick;
    uint64_t sent_now, sent_before; /* in this bucket, in the last one */
    double arrived, sent, factor;
    double kept, lost, share; /* reservations whose client came, and did not; the former's part */
    struct slot slots[RESERVE_SLOTS];
};

struct reserve *reserve_new(uint32_t life_ms)
{
    assert(life_ms > 0);
    struct reserve *r = mem_alloc(sizeof *r);
    if (r == NULL)
        return NULL;
    r->bucket_ms = (life_ms + RESERVE_BUCKETS - 1) / RESERVE_BUCKETS;
    r->factor = r->share = 1;
    return r;
}

void reserve_free(struct reserve *r)
{
    mem_free(r);
}

double reserve_factor(const struct reserve *r)
{
    return r->factor;
}

/* A client needs a moment to arrive, so arrivals are compared with those sent a bucket ago. */
static void next_bucket(struct reserve *r)
{
    r->sent = r->sent * FORGET + (double)r->sent_before;
    r->arrived *= FORGET;
    r->sent_before = r->sent_now;
    r->sent_now = 0;
    r->factor = r->sent >= TRUST && r->arrived >= TRUST ? r->arrived / r->sent : 1;
    r->kept *= FORGET;
    r->lost *= FORGET;
    r->share = r->kept + r->lost >= TRUST ? r->kept / (r->kept + r->lost) : 1;
    if (r->factor < 1)
        r->factor = 1;
    if (r->factor > RESERVE_FACTOR_MAX)
        r->factor = RESERVE_FACTOR_MAX;
}

void reserve_turn(struct reserve *r, uint64_t now_ms)
{
    uint64_t tick = now_ms / r->bucket_ms;
    uint64_t passed = tick > r->tick ? tick - r->tick : 0;
    if (passed == 0)
        return;
    if (passed > 4 * RESERVE_BUCKETS) {
        r->sent = r->arrived = 0;
        r->sent_now = r->sent_before = 0;
        r->kept = r->lost = 0;
        r->factor = 1;
    }
    for (uint64_t i = 0; i < passed && i <= 4 * RESERVE_BUCKETS; i++)
        next_bucket(r);
    r->tick = tick;
}

static uint64_t key_of(uint64_t node, const char *service)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: the names are the farm's own */
    for (; *service; service++)
        h = (h ^ (unsigned char)*service) * 1099511628211u;
    h ^= node;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    return h != 0 ? h : 1;
}

static void expire(struct reserve *r, struct slot *s)
{
    uint64_t passed = r->tick - s->tick;
    if (passed == 0)
        return;
    for (uint64_t i = 1; i <= passed && i <= RESERVE_BUCKETS; i++) {
        size_t b = (size_t)((s->tick + i) % RESERVE_BUCKETS);
        r->lost += s->sent[b];
        s->sum -= s->sent[b];
        s->sent[b] = 0;
    }
    s->tick = r->tick;
}

/* The oldest go first. */
static void take_off(struct reserve *r, struct slot *s, uint32_t count)
{
    for (uint64_t i = 1; i <= RESERVE_BUCKETS && count > 0; i++) {
        size_t b = (size_t)((r->tick + i) % RESERVE_BUCKETS);
        uint32_t n = s->sent[b] < count ? s->sent[b] : count;
        s->sent[b] = (uint16_t)(s->sent[b] - n);
        s->sum -= n;
        r->kept += n;
        count -= n;
    }
}

/* The server's count has grown since it was last looked at: so many have arrived, of all. */
static void heed_users(struct reserve *r, struct slot *s, uint32_t users)
{
    if (users > s->users) {
        uint32_t grown = users - s->users;
        r->arrived += grown;
        float due = s->shown + (float)(grown / r->factor);
        uint32_t whole = due < (float)s->sum ? (uint32_t)due : s->sum;
        s->shown = due < (float)s->sum ? due - (float)whole : 0;
        take_off(r, s, whole);
    }
    s->users = users;
}

/* NULL: it has none. A place whose reservations are all gone may be given to another one. */
static struct slot *find(struct reserve *r, uint64_t key, bool make)
{
    struct slot *room = NULL;
    for (uint64_t i = 0; i < RESERVE_PROBES; i++) {
        struct slot *s = &r->slots[(key + i) & (RESERVE_SLOTS - 1)];
        if (s->key == key)
            return s;
        bool free = s->key == 0 || r->tick - s->tick >= RESERVE_BUCKETS;
        room = room == NULL && free ? s : room;
        if (s->key == 0)
            break;
    }
    if (room != NULL && make)
        *room = (struct slot){.key = key, .tick = r->tick};
    return make ? room : NULL;
}

void reserve_add(struct reserve *r, uint64_t node, const struct server *server)
{
    uint64_t key = key_of(node, server->service);
    struct slot *s = find(r, key, false);
    if (s == NULL && (s = find(r, key, true)) != NULL)
        s->users = server->users;
    r->sent_now++;
    if (s == NULL)
        return;
    expire(r, s);
    size_t b = (size_t)(r->tick % RESERVE_BUCKETS);
    if (s->sent[b] < UINT16_MAX) {
        s->sent[b]++;
        s->sum++;
    }
}

/* Who has not come within a bucket or two comes more rarely still. */
static uint32_t on_the_way(const struct reserve *r, const struct slot *s)
{
    uint32_t fresh =
        (uint32_t)s->sent[r->tick % RESERVE_BUCKETS] + s->sent[(r->tick - 1) % RESERVE_BUCKETS];
    double counts = fresh + (s->sum - fresh) * r->share;
    return (uint32_t)(counts * r->share * r->factor);
}

uint32_t reserve_users(struct reserve *r, uint64_t node, const struct server *server)
{
    struct slot *s = find(r, key_of(node, server->service), false);
    if (s == NULL)
        return server->users;
    expire(r, s);
    heed_users(r, s, server->users);
    return server->users + on_the_way(r, s);
}
