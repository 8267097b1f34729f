/* ranges.c - the sums, and what the first shard of a node says of them to others. */
#include "core/session/ranges.h"

#include "core/session/session_internal.h"

#include <string.h>

#define STEP_NS NS_PER_S
#define STRIKES 2                    /* a range that differed so often in a row is looked into */
#define AGAIN_MAX 4                  /* blocks a second and peer that are asked for again */
#define LOOK_PAUSE_NS (5 * NS_PER_S) /* between one look and the next */
#define GONE_NS (60 * NS_PER_S)      /* an incarnation that nobody has is forgotten after */

struct ranges *ranges_new(const struct kinds *kinds, const uint8_t farm_secret[32])
{
    uint8_t secret[32];
    struct ranges *g = mem_alloc(sizeof *g);
    if (!g)
        return NULL;
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = farm_secret[i] ^ 0x5a; /* ranges have nothing to do with placement */
    buzhash_init(&g->hash, secret);
    /* One of a kind that makes room by forgetting may be missing anywhere. */
    for (size_t i = 0; i < kinds->count; i++)
        g->kinds |= (kinds->kind[i].when_full != FULL_EVICT ? 1u : 0u) << i;
    return g;
}

void ranges_free(struct ranges *g)
{
    mem_free(g);
}

/* -- sums -- */

static struct ranges_peer *find(const struct ranges *g, uint64_t inc)
{
    for (size_t i = 0; i < RANGES_PEERS_MAX; i++)
        if (atomic_load_explicit(&g->peers[i].inc, memory_order_acquire) == inc)
            return (struct ranges_peer *)(uintptr_t)&g->peers[i];
    return NULL;
}

static struct ranges_peer *find_or_add(struct ranges *g, uint64_t inc)
{
    struct ranges_peer *p = find(g, inc);
    for (size_t i = 0; i < RANGES_PEERS_MAX && !p && !atomic_load(&g->full); i++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&g->peers[i].inc, &none, inc) || none == inc)
            p = &g->peers[i];
    }
    if (!p)
        atomic_store(&g->full, true); /* what is added later would not be whole */
    return p;
}

/* Every bit of the result depends on every bit of v (the finalizer of SplitMix64). */
static uint64_t mix(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ v >> 27) * 0x94d049bb133111ebull;
    return v ^ v >> 31;
}

static uint64_t hash_of(const struct ranges *g, uint8_t kind, const void *key, size_t len)
{
    return mix(buzhash(&g->hash, key, len) + kind);
}

unsigned ranges_of(const struct ranges *g, uint8_t kind, const void *key, size_t len)
{
    return (unsigned)(hash_of(g, kind, key, len) % RANGES);
}

static uint64_t share(uint64_t hash, const struct record *r)
{
    uint64_t v = mix(hash + r->stamp.term);
    v = mix(v + r->stamp.version);
    v = mix(v + r->stamp.inc);
    return mix(v + record_digest(r));
}

static void toggle(struct ranges *g, uint64_t inc, uint64_t hash, uint64_t value)
{
    struct ranges_peer *p = inc ? find_or_add(g, inc) : NULL;
    if (p)
        atomic_fetch_xor_explicit(&p->sums[hash % RANGES], value, memory_order_relaxed);
}

static bool confirmed(const struct copy *c, const struct record *r)
{
    return !c->going && c->version == r->stamp.version;
}

/* A share is dear: it has the digest of all that the record says. */
static bool any_confirmed(const struct session_state *st, const struct record *r)
{
    for (size_t i = 0; i < st->count; i++)
        if (confirmed(&st->copies[i], r))
            return true;
    return false;
}

void ranges_toggle(struct ranges *g, const struct item *item)
{
    const struct record *r = item->record;
    const struct session_state *st = item->role == ROLE_OWNER ? item->state : NULL;
    if (!(g->kinds >> item->kind & 1) || item_is_shelved(item) ||
        (item->role == ROLE_OWNER && (!st || st->count == 0)))
        return;
    if (st && !any_confirmed(st, r))
        return;
    uint64_t hash = hash_of(g, item->kind, r->key.bytes, r->key.len), value = share(hash, r);
    if (!st) {
        toggle(g, r->stamp.inc, hash, value);
        return;
    }
    for (size_t i = 0; i < st->count; i++)
        if (confirmed(&st->copies[i], r))
            toggle(g, st->copies[i].inc, hash, value);
}

uint64_t ranges_sum(const struct ranges *g, uint64_t inc, unsigned range)
{
    const struct ranges_peer *p = find(g, inc);
    return p ? atomic_load_explicit(&p->sums[range], memory_order_relaxed) : 0;
}

/* -- who is compared with -- */

static bool speaks(const struct session *s)
{
    const struct ranges *g = s->config.ranges;
    return g && s->config.shard_index == 0 && s->config.compare_s > 0 && !atomic_load(&g->torn);
}

void ranges_view(struct session *s)
{
    struct ranges *g = s->config.ranges;
    if (!g || s->config.shard_index != 0)
        return;
    for (size_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].view.holds)
            (void)find_or_add(g, s->peers[i].view.inc);
    for (size_t i = 0; i < RANGES_PEERS_MAX; i++) {
        struct ranges_peer *p = &g->peers[i];
        uint64_t inc = atomic_load(&p->inc);
        if (inc == 0 || peer_find(s, inc)) {
            p->gone_ns = 0;
        } else if (p->gone_ns == 0) {
            p->gone_ns = s->now_ns;
        } else if (s->now_ns >= p->gone_ns + GONE_NS) {
            for (size_t r = 0; r < RANGES; r++)
                atomic_store_explicit(&p->sums[r], 0, memory_order_relaxed);
            memset(p->strikes, 0, sizeof p->strikes);
            p->next = 0;
            p->whole_ns = p->gone_ns = 0;
            atomic_store_explicit(&p->inc, 0, memory_order_release);
        }
    }
}

/* -- asking -- */

static void ask(struct session *s, struct ranges_peer *p, uint64_t inc, unsigned block)
{
    uint8_t sums[RANGES_BLOCK * sizeof(uint64_t)];
    struct wire_writer w;
    wire_writer_init(&w, sums, sizeof sums);
    for (unsigned i = 0; i < RANGES_BLOCK; i++)
        wire_put_u64(
            &w, atomic_load_explicit(&p->sums[block * RANGES_BLOCK + i], memory_order_relaxed));
    struct message m = {
        .type = MESSAGE_RANGES, .index = (uint8_t)block, .count = RANGES_BLOCKS, .sums = sums};
    session_send(s, &m, NULL, inc);
}

static bool struck(const struct ranges_peer *p, unsigned block)
{
    for (unsigned i = 0; i < RANGES_BLOCK; i++)
        if (p->strikes[block * RANGES_BLOCK + i])
            return true;
    return false;
}

static void ask_some(struct session *s, const struct peer *peer)
{
    struct ranges_peer *p = find(s->config.ranges, peer->view.inc);
    if (!p)
        return;
    unsigned again = 0;
    for (unsigned b = 0; b < RANGES_BLOCKS && again < AGAIN_MAX; b++) {
        if (b == p->next || !struck(p, b))
            continue;
        ask(s, p, peer->view.inc, b);
        again++;
    }
    ask(s, p, peer->view.inc, p->next);
    p->next = (p->next + 1) % RANGES_BLOCKS;
}

/* Ranges that differed again and again are looked into by all shards. */
static void look_into(struct session *s)
{
    struct ranges *g = s->config.ranges;
    uint64_t bits[RANGES_BLOCKS] = {0};
    bool any = false;
    if (s->now_ns < s->looking.looked_ns + LOOK_PAUSE_NS)
        return;
    for (size_t i = 0; i < RANGES_PEERS_MAX; i++) {
        struct ranges_peer *p = &g->peers[i];
        for (unsigned r = 0; r < RANGES && atomic_load(&p->inc) != 0; r++) {
            if (p->strikes[r] < STRIKES)
                continue;
            bits[r / RANGES_BLOCK] |= 1ull << r % RANGES_BLOCK;
            p->strikes[r] = 1;
            any = true;
        }
    }
    if (!any)
        return;
    s->looking.looked_ns = s->now_ns;
    for (unsigned b = 0; b < RANGES_BLOCKS; b++)
        atomic_store(&g->looked_into[b], bits[b]);
    atomic_fetch_add(&g->epoch, 1);
}

void ranges_tick(struct session *s)
{
    if (!speaks(s) || s->now_ns < s->looking.next_ns)
        return;
    s->looking.next_ns = s->now_ns + STEP_NS;
    for (size_t i = 0; i < s->peer_count && s->self_state == PEER_UP; i++)
        if (s->peers[i].view.holds && s->peers[i].view.state == PEER_UP)
            ask_some(s, &s->peers[i]);
    look_into(s);
}

/* -- asked, and answered -- */

void ranges_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct wire_reader r;
    if (!speaks(s) || m->index >= RANGES_BLOCKS || m->count != RANGES_BLOCKS || !m->sums)
        return;
    const struct ranges_peer *p = find(s->config.ranges, from);
    struct message reply = {.type = MESSAGE_RANGED, .index = m->index, .count = m->count};
    wire_reader_init(&r, m->sums, RANGES_BLOCK * sizeof(uint64_t));
    for (unsigned i = 0; p && i < RANGES_BLOCK; i++) {
        bool differs = wire_u64(&r) != p->sums[m->index * RANGES_BLOCK + i];
        reply.digest |= (uint64_t)differs << i;
    }
    if (p)
        session_send(s, &reply, NULL, from);
}

void ranges_answered(struct session *s, uint64_t from, const struct message *m)
{
    if (!speaks(s) || m->index >= RANGES_BLOCKS || m->count != RANGES_BLOCKS)
        return;
    struct ranges_peer *p = find(s->config.ranges, from);
    if (!p)
        return;
    s->stats.ranges_compared += RANGES_BLOCK;
    for (unsigned i = 0; i < RANGES_BLOCK; i++) {
        uint8_t *strikes = &p->strikes[m->index * RANGES_BLOCK + i];
        bool differs = m->digest >> i & 1;
        *strikes = !differs ? 0 : *strikes < UINT8_MAX ? (uint8_t)(*strikes + 1) : UINT8_MAX;
    }
    if (m->index == RANGES_BLOCKS - 1)
        p->whole_ns = s->now_ns;
}

/* -- looking into -- */

bool ranges_look(struct session *s)
{
    struct ranges *g = s->config.ranges;
    unsigned epoch = g ? atomic_load(&g->epoch) : 0;
    if (epoch != s->looking.epoch) {
        s->looking.epoch = epoch;
        s->looking.on = true;
        s->looking.cursor = 0;
        for (unsigned b = 0; b < RANGES_BLOCKS; b++)
            s->looking.bits[b] = atomic_load(&g->looked_into[b]);
    }
    return s->looking.on;
}

bool ranges_has(const struct session *s, const struct item *item)
{
    const struct key *key = &item->record->key;
    unsigned r = ranges_of(s->config.ranges, key->kind, key->bytes, key->len);
    return s->looking.bits[r / RANGES_BLOCK] >> r % RANGES_BLOCK & 1;
}

void ranges_stats(const struct session *s, struct session_stats *out)
{
    const struct ranges *g = s->config.ranges;
    if (!g || s->config.shard_index != 0)
        return;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct ranges_peer *p = find(g, s->peers[i].view.inc);
        if (!p || !s->peers[i].view.holds || s->peers[i].view.state != PEER_UP)
            continue;
        for (unsigned r = 0; r < RANGES; r++)
            out->ranges_differing += p->strikes[r] >= STRIKES;
        uint64_t since = p->whole_ns ? p->whole_ns : s->start_ns;
        uint64_t age_s = s->now_ns > since ? (s->now_ns - since) / NS_PER_S : 0;
        out->ranges_age_s = age_s > out->ranges_age_s ? age_s : out->ranges_age_s;
    }
}
