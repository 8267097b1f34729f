/* pick.c - the policies. A settled snapshot has its candidates prepared, so that a draw costs the
 * same in a farm of any size; in others, and where a filter asks for more than a service, they are
 * walked anew for each draw. Both ways the same chance draws the same server. */
#include "core/roster/pick.h"

#include "base/rng.h"
#include "core/roster/roster_index.h"

#include <math.h>
#include <string.h>

#define LEVEL_PART 10 /* two servers are level within a tenth */

static const char *const policy_names[] = {
    [POLICY_TWO_CHOICES] = "two-choices",
    [POLICY_RANDOM] = "random",
    [POLICY_WEIGHTED] = "weighted",
    [POLICY_LEAST_USERS] = "least-users",
};

#define POLICY_COUNT (sizeof policy_names / sizeof policy_names[0])

bool policy_parse(const char *text, enum policy *out)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (strcmp(text, policy_names[i]) == 0) {
            *out = (enum policy)i;
            return true;
        }
    }
    return false;
}

const char *policy_name(enum policy p)
{
    return (size_t)p < POLICY_COUNT ? policy_names[p] : "unknown";
}

/* A walk over the servers that a filter lets through. */
struct walk {
    const struct roster *roster;
    const struct pick_filter *filter;
    enum status wanted;
    size_t node, server;
};

static bool in_group(const struct entry *e, const char *group)
{
    for (size_t i = 0; i < e->group_count; i++) {
        if (strcmp(e->groups[i], group) == 0)
            return true;
    }
    return false;
}

static bool node_passes(const struct pick_filter *f, const struct roster_node *n)
{
    if (f->group != NULL && !in_group(n->entry, f->group))
        return false;
    if (f->zone != NULL && strcmp(n->entry->zone, f->zone) != 0)
        return false;
    for (size_t i = 0; i < f->exclude_count; i++) {
        if (strcmp(n->entry->name, f->exclude[i]) == 0)
            return false;
    }
    return true;
}

bool pick_eligible(const struct roster_node *n, const struct server *s, enum status wanted)
{
    return s->weight > 0 && (s->capacity == 0 || s->users < s->capacity) &&
           roster_server_status(n, s) == wanted;
}

static bool server_passes(const struct walk *w, const struct roster_node *n, const struct server *s)
{
    return strcmp(s->service, w->filter->service) == 0 && pick_eligible(n, s, w->wanted);
}

static void walk_start(struct walk *w, const struct roster *r, const struct pick_filter *f,
                       enum status wanted)
{
    *w = (struct walk){.roster = r, .filter = f, .wanted = wanted};
}

static bool walk_next(struct walk *w, struct pick_choice *out)
{
    for (; w->node < w->roster->count; w->node++, w->server = 0) {
        const struct roster_node *n = &w->roster->nodes[w->node];
        if (w->server == 0 && !node_passes(w->filter, n))
            continue;
        while (w->server < n->entry->server_count) {
            const struct server *s = &n->entry->servers[w->server++];
            if (!server_passes(w, n, s))
                continue;
            *out = (struct pick_choice){.node = n, .server = s};
            return true;
        }
    }
    return false;
}

/* How a candidate counts in a draw. */
static uint64_t share(const struct server *s, bool by_weight)
{
    return by_weight ? s->weight : 1;
}

/* Draws one candidate but `without`; false when there is none. */
static bool draw(struct walk w, bool by_weight, const struct server *without, struct rng *rng,
                 struct pick_choice *out)
{
    struct walk again = w;
    struct pick_choice c;
    uint64_t total = 0;
    while (walk_next(&w, &c)) {
        if (c.server != without)
            total += share(c.server, by_weight);
    }
    if (total == 0)
        return false;
    uint64_t at = rng_below(rng, total);
    while (walk_next(&again, &c)) {
        if (c.server == without)
            continue;
        uint64_t own = share(c.server, by_weight);
        if (at < own)
            break;
        at -= own;
    }
    *out = c;
    return true;
}

static int compare_told(const struct server *a, const struct server *b)
{
    if (a->load == LOAD_UNKNOWN || b->load == LOAD_UNKNOWN)
        return 0;
    return (a->load > b->load) - (a->load < b->load);
}

/* Users by weight, then load by its own report, which is all that is told of some farms: <0 when a
 * has less load than b. */
int pick_compare_load(const struct server *a, const struct server *b)
{
    uint64_t left = (uint64_t)a->users * b->weight, right = (uint64_t)b->users * a->weight;
    int order = (left > right) - (left < right);
    return order != 0 ? order : compare_told(a, b);
}

/* -- who is on his way -- */

static uint32_t users_of(const struct pick_filter *f, const struct pick_choice *c)
{
    return f->reserve ? reserve_users(f->reserve, c->node->entry->node, c->server)
                      : c->server->users;
}

/* A server that is full by those who are on their way is left to others. */
static bool has_room(const struct pick_filter *f, const struct pick_choice *c)
{
    return f->reserve == NULL || c->server->capacity == 0 || users_of(f, c) < c->server->capacity;
}

/* pick_compare_load() of two with other numbers of users. */
static int compare_users(const struct pick_filter *f, const struct pick_choice *a,
                         const struct pick_choice *b)
{
    uint64_t left = (uint64_t)users_of(f, a) * b->server->weight;
    uint64_t right = (uint64_t)users_of(f, b) * a->server->weight;
    return (left > right) - (left < right);
}

/* -- from what is prepared -- */

#define LEFT_OUT_MAX 4

/* Candidates with some of them left out, in order. */
struct lot {
    const struct roster_candidates *from;
    size_t left_out[LEFT_OUT_MAX];
    size_t left_out_count;
};

static void leave_out(struct lot *l, size_t candidate)
{
    size_t at = l->left_out_count++;
    for (; at > 0 && l->left_out[at - 1] > candidate; at--)
        l->left_out[at] = l->left_out[at - 1];
    l->left_out[at] = candidate;
}

/* False: the filter asks for more than is prepared. */
static bool lot_init(struct lot *l, const struct walk *w, const struct roster_candidates *from)
{
    const struct pick_filter *f = w->filter;
    *l = (struct lot){.from = from};
    for (size_t i = 0; i < f->exclude_count; i++) {
        const struct roster_node *n = roster_find(w->roster, f->exclude[i]);
        size_t at = n != NULL ? roster_candidates_of(from, n) : from->count;
        /* One stays free for the second of two draws. */
        if (at + 1 < from->count && from->at[at + 1].node == n)
            return false;
        if (at < from->count && l->left_out_count == LEFT_OUT_MAX - 1)
            return false;
        if (at < from->count)
            leave_out(l, at);
    }
    return true;
}

static uint64_t before(const struct roster_candidates *c, size_t at, bool by_weight)
{
    return by_weight ? c->at[at].weight_before : at;
}

/* The number of the candidate drawn; from->count: there is none. */
static size_t lot_draw(const struct lot *l, bool by_weight, struct rng *rng)
{
    const struct roster_candidates *c = l->from;
    uint64_t total = before(c, c->count, by_weight);
    for (size_t i = 0; i < l->left_out_count; i++)
        total -= before(c, l->left_out[i] + 1, by_weight) - before(c, l->left_out[i], by_weight);
    if (total == 0)
        return c->count;
    uint64_t at = rng_below(rng, total);
    for (size_t i = 0; i < l->left_out_count; i++) {
        uint64_t start = before(c, l->left_out[i], by_weight);
        if (at >= start)
            at += before(c, l->left_out[i] + 1, by_weight) - start;
    }
    size_t low = 0, high = c->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (before(c, middle, by_weight) <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* As draw() and draw_two() do, by the same chance. */
static size_t lot_draw_some(struct lot *l, size_t wanted, bool by_weight, struct rng *rng,
                            struct pick_choice *out)
{
    size_t n = 0;
    for (; n < wanted; n++) {
        size_t drawn = lot_draw(l, by_weight, rng);
        if (drawn == l->from->count)
            break;
        out[n] = (struct pick_choice){l->from->at[drawn].node, l->from->at[drawn].server};
        if (n + 1 < wanted)
            leave_out(l, drawn);
    }
    return n;
}

static bool lot_prepare(const struct walk *w, struct lot *l)
{
    const struct roster_index *index = NULL;
    if (w->wanted == STATUS_UP && w->filter->group == NULL && w->filter->zone == NULL)
        index = roster_index_of(w->roster);
    return index != NULL && lot_init(l, w, roster_index_service(index, w->filter->service));
}

/* One of those with the least load. False: all of them are left out, or there are none. */
static bool lot_least(const struct lot *l, struct rng *rng, size_t *drawn)
{
    const struct roster_candidates *c = l->from;
    size_t left = c->least_count;
    for (size_t i = 0; i < c->least_count; i++)
        for (size_t j = 0; j < l->left_out_count; j++)
            left -= c->least[i] == l->left_out[j];
    if (left == 0)
        return false;
    size_t at = (size_t)rng_below(rng, left);
    for (size_t i = 0; i < c->least_count; i++) {
        bool out = false;
        for (size_t j = 0; j < l->left_out_count; j++)
            out |= c->least[i] == l->left_out[j];
        if (!out && at-- == 0) {
            *drawn = c->least[i];
            return true;
        }
    }
    return false;
}

/* -- either way -- */

static bool draw_one(const struct walk *w, bool by_weight, struct rng *rng, struct pick_choice *out)
{
    struct lot l;
    if (lot_prepare(w, &l))
        return lot_draw_some(&l, 1, by_weight, rng, out) == 1;
    return draw(*w, by_weight, NULL, rng, out);
}

static size_t draw_two(const struct walk *w, struct rng *rng, struct pick_choice out[2])
{
    struct lot l;
    if (lot_prepare(w, &l))
        return lot_draw_some(&l, 2, true, rng, out);
    if (!draw(*w, true, NULL, rng, &out[0]))
        return 0;
    return draw(*w, true, out[0].server, rng, &out[1]) ? 2 : 1;
}

/* By more than counts may be behind: of two servers that are as good as level, all that choose by
 * the same counts would else go to the same one. */
static bool clearly_less(const struct pick_filter *f, const struct pick_choice *x,
                         const struct pick_choice *y)
{
    const struct server *a = x->server, *b = y->server;
    uint64_t left = (uint64_t)users_of(f, x) * b->weight;
    uint64_t right = (uint64_t)users_of(f, y) * a->weight;
    if (left == right)
        return pick_compare_load(a, b) < 0;
    return left < right && right - left > right / LEVEL_PART;
}

static bool two_choices(const struct walk *w, struct rng *rng, struct pick_choice *out)
{
    struct pick_choice two[2];
    size_t count = draw_two(w, rng, two);
    if (count == 0)
        return false;
    bool second = count == 2 && clearly_less(w->filter, &two[1], &two[0]);
    *out = two[second];
    return true;
}

/* Keeps the less loaded of c and *out; of equals each with the same chance. */
static void keep_less(const struct pick_filter *f, const struct pick_choice *c, uint64_t *ties,
                      struct rng *rng, struct pick_choice *out)
{
    int order = *ties == 0 ? -1 : compare_users(f, c, out);
    if (order == 0)
        order = compare_told(c->server, out->server);
    if (order > 0)
        return;
    *ties = order < 0 ? 1 : *ties + 1;
    if (rng_below(rng, *ties) == 0)
        *out = *c;
}

/* Of those with room, who are on their way counted. False: none has any. */
static bool least_with_room(struct walk w, struct rng *rng, struct pick_choice *out)
{
    struct pick_choice c;
    uint64_t ties = 0;
    while (walk_next(&w, &c))
        if (has_room(w.filter, &c))
            keep_less(w.filter, &c, &ties, rng, out);
    return ties > 0;
}

#define LEAST_WALK_MAX 32 /* servers that are all looked at for a choice */
#define LEAST_SAMPLES 8   /* of more: so many of those with the least load, and of all */

/* One of those with the least load by the counts alone; from->count: it is left out. */
static size_t sample_least(const struct lot *l, struct rng *rng)
{
    const struct roster_candidates *c = l->from;
    size_t drawn = c->least[rng_below(rng, c->least_count)];
    for (size_t i = 0; i < l->left_out_count; i++)
        if (l->left_out[i] == drawn)
            return c->count;
    return drawn;
}

/* Every choice changes who has the least, so in a large farm only some are looked at. */
static bool least_with_reserve(struct walk w, struct rng *rng, struct pick_choice *out)
{
    struct lot l;
    uint64_t ties = 0;
    if (!lot_prepare(&w, &l) || l.from->count <= LEAST_WALK_MAX)
        return least_with_room(w, rng, out);
    for (int i = 0; i < 2 * LEAST_SAMPLES; i++) {
        size_t drawn = i % 2 == 0 ? sample_least(&l, rng) : lot_draw(&l, true, rng);
        if (drawn == l.from->count)
            continue;
        struct pick_choice c = {l.from->at[drawn].node, l.from->at[drawn].server};
        keep_less(w.filter, &c, &ties, rng, out);
    }
    return ties > 0;
}

/* The least loaded; of equals each with the same chance. */
static bool least_users(struct walk w, struct rng *rng, struct pick_choice *out)
{
    struct lot l;
    size_t drawn;
    if (w.filter->reserve)
        return least_with_reserve(w, rng, out);
    if (lot_prepare(&w, &l) && lot_least(&l, rng, &drawn)) {
        *out = (struct pick_choice){l.from->at[drawn].node, l.from->at[drawn].server};
        return true;
    }
    struct pick_choice c;
    uint64_t ties = 0;
    while (walk_next(&w, &c)) {
        int order = ties == 0 ? -1 : pick_compare_load(c.server, out->server);
        if (order > 0)
            continue;
        ties = order < 0 ? 1 : ties + 1;
        if (rng_below(rng, ties) == 0)
            *out = c;
    }
    return ties > 0;
}

static bool pick_among(const struct walk *w, enum policy p, uint64_t chance,
                       struct pick_choice *out)
{
    struct rng rng;
    rng_init(&rng, chance);
    switch (p) {
    case POLICY_RANDOM:
        return draw_one(w, false, &rng, out);
    case POLICY_WEIGHTED:
        return draw_one(w, true, &rng, out);
    case POLICY_LEAST_USERS:
        return least_users(*w, &rng, out);
    case POLICY_TWO_CHOICES:
        break;
    }
    return two_choices(w, &rng, out);
}

bool pick(const struct roster *r, const struct pick_filter *f, enum policy p, bool last_resort,
          uint64_t chance, struct pick_choice *out)
{
    struct walk w;
    struct rng rng;
    walk_start(&w, r, f, STATUS_UP);
    if (pick_among(&w, p, chance, out) && has_room(f, out))
        return true;
    rng_init(&rng, chance);
    if (f->reserve && least_with_room(w, &rng, out))
        return true;
    if (!last_resort)
        return false;
    walk_start(&w, r, f, STATUS_SUSPECT);
    return pick_among(&w, p, chance, out);
}

/* SplitMix64's last steps: related inputs give unrelated ones. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

bool pick_by_key(const struct roster *r, const struct pick_filter *f, uint64_t key_hash,
                 struct pick_choice *out)
{
    struct walk w;
    struct pick_choice c;
    double least = INFINITY;
    walk_start(&w, r, f, STATUS_UP);
    while (walk_next(&w, &c)) {
        uint64_t h = mix(mix(key_hash) ^ mix(c.node->entry->node));
        /* Exponential with the weight as its rate: the least of them is drawn by weight. */
        double score = -log(((double)(h >> 11) + 0.5) * 0x1p-53) / c.server->weight;
        if (score < least) {
            least = score;
            *out = c;
        }
    }
    return least < INFINITY;
}

static size_t collect(const struct roster *r, const struct pick_filter *f, enum status wanted,
                      struct pick_choice *out, size_t max)
{
    struct walk w;
    size_t n = 0;
    walk_start(&w, r, f, wanted);
    while (n < max && walk_next(&w, &out[n]))
        n++;
    return n;
}

size_t pick_candidates(const struct roster *r, const struct pick_filter *f, bool last_resort,
                       struct pick_choice *out, size_t max)
{
    size_t n = collect(r, f, STATUS_UP, out, max);
    return n > 0 || !last_resort ? n : collect(r, f, STATUS_SUSPECT, out, max);
}

size_t pick_drawn(const struct roster *r, const struct pick_filter *f, enum policy p,
                  bool last_resort, uint64_t chance, struct pick_choice out[2])
{
    struct walk w;
    struct rng rng;
    size_t count = 0;
    if (p != POLICY_TWO_CHOICES)
        return pick(r, f, p, last_resort, chance, &out[0]);
    rng_init(&rng, chance);
    walk_start(&w, r, f, STATUS_UP);
    count = draw_two(&w, &rng, out);
    if (count || !last_resort)
        return count;
    rng_init(&rng, chance);
    walk_start(&w, r, f, STATUS_SUSPECT);
    return draw_two(&w, &rng, out);
}
