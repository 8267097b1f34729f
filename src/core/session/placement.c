/* Which nodes keep a record: rendezvous hashing (Thaler and Ravishankar 1998) over the nodes'
 * lasting ids, under a secret of the farm, so that all nodes agree. */
#include "core/session/session_internal.h"

#include <string.h>

/* BUZhash is linear, so the score is mixed: else one node would be first for related keys. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static uint64_t key_hash(const struct session *s, const struct key *key)
{
    return mix(buzhash(&s->place_hash, key->bytes, key->len) + key->kind);
}

static uint64_t score_of(const struct session *s, uint64_t key_hash, uint64_t node)
{
    return mix(key_hash ^ buzhash(&s->place_hash, &node, sizeof(node)));
}

uint64_t placement_score(const struct session *s, const struct key *key, uint64_t node)
{
    return score_of(s, key_hash(s, key), node);
}

struct ranked {
    uint64_t inc, node, score, zone;
    bool joining;
};

static bool before(const struct ranked *a, const struct ranked *b)
{
    if (a->joining != b->joining)
        return b->joining;
    return a->score != b->score ? a->score > b->score : a->inc > b->inc;
}

/* In an upgrade a node is there twice for a while, and two copies in one place are as good as one.
 * True when r's node has a better place already; a worse one is given up. */
static bool beside_better(struct ranked *best, size_t *count, const struct ranked *r)
{
    size_t i = 0;
    while (i < *count && best[i].node != r->node)
        i++;
    if (i == *count || MUTANT(TWINS_COUNT_TWICE))
        return false;
    if (!before(r, &best[i]))
        return true;
    memmove(&best[i], &best[i + 1], (--*count - i) * sizeof(*best));
    return false;
}

/* Where a majority of voters decides, they alone keep records. */
static bool may_keep(const struct session *s, const struct key *key, const struct peer_view *p)
{
    return p->voter != 0 || !quorum_rules(s, key);
}

/* bytes 0: those that are full too. */
static size_t order(struct session *s, const struct key *key, size_t bytes, uint64_t *out,
                    size_t max)
{
    struct ranked best[RECORD_HOLDERS_MAX * 2];
    size_t count = 0;
    uint64_t hash = key_hash(s, key);
    if (max > RECORD_HOLDERS_MAX * 2)
        max = RECORD_HOLDERS_MAX * 2;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer_view *p = &s->peers[i].view;
        bool full = bytes > 0 && peer_is_full(&s->peers[i], key->kind, bytes);
        /* The successor of this process keeps no copy for it, but may make records in its stead. */
        bool here = p->node == s->self_node && (bytes > 0 || s->self_state <= PEER_UP) &&
                    !MUTANT(TWINS_COUNT_TWICE);
        if (!p->holds || p->state > PEER_UP || full || here || !may_keep(s, key, p))
            continue;
        struct ranked r = {.inc = p->inc,
                           .node = p->node,
                           .score = score_of(s, hash, p->node),
                           .joining = p->state == PEER_JOINING};
        if (beside_better(best, &count, &r))
            continue;
        size_t at = count < max ? count++ : max;
        while (at > 0 && before(&r, &best[at - 1])) {
            if (at < max)
                best[at] = best[at - 1];
            at--;
        }
        if (at < max)
            best[at] = r;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = best[i].inc;
    return count;
}

size_t placement_order(struct session *s, const struct key *key, uint64_t *out, size_t max)
{
    return order(s, key, 0, out, max);
}

size_t placement_roomy(struct session *s, const struct key *key, size_t bytes, uint64_t *out,
                       size_t max)
{
    return order(s, key, bytes, out, max);
}

/* -- who is to hold -- */

struct preference {
    struct ranked best[RECORD_HOLDERS_MAX];
    size_t count;
};

static void prefer(struct preference *p, const struct ranked *r)
{
    if (beside_better(p->best, &p->count, r))
        return;
    size_t at = p->count < RECORD_HOLDERS_MAX ? p->count++ : RECORD_HOLDERS_MAX;
    for (; at > 0 && before(r, &p->best[at - 1]); at--)
        if (at < RECORD_HOLDERS_MAX)
            p->best[at] = p->best[at - 1];
    if (at < RECORD_HOLDERS_MAX)
        p->best[at] = *r;
}

/* The same with one of each zone. */
static void prefer_zone(struct preference *p, const struct ranked *r)
{
    size_t i = 0;
    while (i < p->count && p->best[i].zone != r->zone)
        i++;
    if (i < p->count && !before(r, &p->best[i]))
        return;
    if (i < p->count)
        memmove(&p->best[i], &p->best[i + 1], (--p->count - i) * sizeof(p->best[0]));
    prefer(p, r);
}

/* Those that are not chosen yet, nor another process of their node. */
static void take(struct preference *to, const struct preference *from, size_t max)
{
    for (size_t i = 0; i < from->count && to->count < max; i++) {
        bool known = false;
        for (size_t j = 0; j < to->count; j++)
            known |= to->best[j].inc == from->best[i].inc ||
                     (to->best[j].node == from->best[i].node && !MUTANT(TWINS_COUNT_TWICE));
        if (!known)
            to->best[to->count++] = from->best[i];
    }
}

static size_t choose(struct session *s, const struct key *key, size_t bytes, uint64_t *out,
                     size_t max)
{
    const struct kind *k = kind_of(s, key);
    struct preference wished, zoned, any, chosen; /* not zeroed: it is done for every record */
    wished.count = zoned.count = any.count = chosen.count = 0;
    uint64_t hash = key_hash(s, key);
    for (size_t i = 0; i < s->peer_count && max > 0; i++) {
        const struct peer_view *p = &s->peers[i].view;
        bool here = p->node == s->self_node && !MUTANT(TWINS_COUNT_TWICE);
        if (!p->holds || p->state > PEER_UP || here || (k->group && !p->mate) ||
            !may_keep(s, key, p) || peer_is_full(&s->peers[i], key->kind, bytes))
            continue;
        struct ranked r = {.inc = p->inc,
                           .node = p->node,
                           .score = score_of(s, hash, p->node),
                           .zone = p->zone,
                           .joining = p->state == PEER_JOINING};
        if (p->wish)
            prefer(&wished, &r);
        if (p->zone != s->self_zone && !r.joining)
            prefer_zone(&zoned, &r);
        prefer(&any, &r);
    }
    take(&chosen, &wished, max);
    take(&chosen, &zoned, max);
    take(&chosen, &any, max);
    for (size_t i = 0; i < chosen.count; i++)
        out[i] = chosen.best[i].inc;
    return chosen.count;
}

size_t placement_holders(struct session *s, const struct key *key, size_t bytes,
                         uint64_t out[RECORD_HOLDERS_MAX])
{
    const struct kind *k = kind_of(s, key);
    size_t max = k->copies > 0 ? k->copies - 1u : 0, least = placement_least(s, key);
    if (max < least)
        max = least;
    return choose(s, key, bytes, out, max < RECORD_HOLDERS_MAX ? max : RECORD_HOLDERS_MAX);
}

size_t placement_least(const struct session *s, const struct key *key)
{
    return quorum_rules(s, key) ? quorum_need(s) - 1 : kind_least(kind_of(s, key));
}

size_t placement_candidates(struct session *s, const struct key *key, size_t bytes,
                            uint64_t out[RECORD_HOLDERS_MAX])
{
    return choose(s, key, bytes, out, RECORD_HOLDERS_MAX);
}

uint64_t placement_first(struct session *s, const struct key *key, const uint64_t *incs,
                         size_t count, bool with_self)
{
    uint64_t first = with_self ? s->self_inc : 0;
    uint64_t top = with_self ? placement_score(s, key, s->self_node) : 0;
    for (size_t i = 0; i < count; i++) {
        struct peer *p = peer_find(s, incs[i]);
        if (!p || !peer_heard(&p->view))
            continue;
        uint64_t score = placement_score(s, key, p->view.node);
        if (first == 0 || score > top) {
            first = incs[i];
            top = score;
        }
    }
    return first;
}
