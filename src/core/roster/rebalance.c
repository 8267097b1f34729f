/* rebalance.c - the plan of one round. Who is asked is role/director/rebalancer.c's. */
#include "core/roster/rebalance.h"

#include <string.h>

/* All that take part: servers that are up, or full, and have weight. */
struct sum {
    uint64_t users, weights, digest;
    size_t servers;
    const struct server *own;
    bool unsettled;
};

static bool takes_part(const struct roster_node *n, const struct server *s)
{
    enum status status = roster_server_status(n, s);
    return s->weight > 0 && !n->external && (status == STATUS_UP || status == STATUS_FULL);
}

/* A server that is checked as bad is out, and its node is there to say so. */
static bool is_unsettled(const struct roster_node *n)
{
    return n->status == STATUS_SUSPECT || n->status == STATUS_JOINING ||
           (n->status == STATUS_UP && n->heard_ms > REBALANCE_STALE_MS);
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
    return (digest ^ value) * 0x100000001b3ull + (digest >> 47);
}

static struct sum add_up(const struct roster *r, const char *service)
{
    struct sum sum = {.digest = 0xcbf29ce484222325ull};
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = roster_server(n, service);
        if (s == NULL)
            continue;
        sum.unsettled = sum.unsettled || is_unsettled(n);
        if (!takes_part(n, s))
            continue;
        sum.servers++;
        sum.users += s->users;
        sum.weights += s->weight;
        sum.digest = mix(mix(sum.digest, n->entry->inc), s->weight);
        if (n->self)
            sum.own = s;
    }
    return sum;
}

/* Whole users above or below the fair share, and the share. */
struct place {
    uint64_t fair, surplus, deficit;
};

static struct place place_of(const struct sum *sum, const struct server *s)
{
    uint64_t part = sum->users * s->weight;
    uint64_t floor = part / sum->weights, ceil = floor + (part % sum->weights != 0);
    struct place p = {.fair = floor};
    p.surplus = s->users > ceil ? s->users - ceil : 0;
    p.deficit = s->users < floor ? floor - s->users : 0;
    uint64_t room = s->capacity > s->users ? s->capacity - s->users : 0;
    if (s->capacity != 0 && p.deficit > room)
        p.deficit = room;
    return p;
}

static bool beyond(uint64_t by, uint64_t fair, const struct rebalance_rules *rules)
{
    return by >= REBALANCE_LEAST && by * 100 > fair * rules->threshold_percent;
}

/* What this server gives lies at [start, start + surplus) among all that is given. */
struct own_part {
    uint64_t start;
    struct place place;
    bool wanted; /* somebody's deficit is beyond the threshold */
};

static struct own_part find_own(const struct roster *r, const char *service, const struct sum *sum,
                                const struct rebalance_rules *rules)
{
    struct own_part own = {.start = 0};
    bool before = true;
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = roster_server(n, service);
        if (s == NULL || !takes_part(n, s))
            continue;
        struct place p = place_of(sum, s);
        own.wanted = own.wanted || beyond(p.deficit, p.fair, rules);
        if (n->self) {
            own.place = p;
            before = false;
        } else if (before) {
            own.start += p.surplus;
        }
    }
    return own;
}

/* All that give to a target do it within the same time, so its joins keep the pace. */
static void add_target(struct rebalance_plan *out, const char *name, uint64_t count,
                       uint64_t deficit, const struct rebalance_rules *rules)
{
    uint64_t within_ms = deficit * 1000 / (rules->pace_per_s ? rules->pace_per_s : 1);
    if (within_ms < REBALANCE_WITHIN_MIN_MS)
        within_ms = REBALANCE_WITHIN_MIN_MS;
    if (within_ms > REBALANCE_ROUND_MS) {
        count = (count * REBALANCE_ROUND_MS + within_ms - 1) / within_ms;
        within_ms = REBALANCE_ROUND_MS;
    }
    if (out->count < REBALANCE_TARGETS_MAX)
        out->targets[out->count++] = (struct rebalance_target){
            .name = name, .count = (uint32_t)count, .within_ms = (uint32_t)within_ms};
}

static void lay(const struct roster *r, const char *service, const struct sum *sum,
                const struct own_part *own, const struct rebalance_rules *rules,
                struct rebalance_plan *out)
{
    uint64_t at = 0, end = own->start + own->place.surplus;
    for (size_t i = 0; i < r->count && at < end; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = roster_server(n, service);
        if (s == NULL || !takes_part(n, s))
            continue;
        uint64_t deficit = place_of(sum, s).deficit;
        uint64_t from = at > own->start ? at : own->start;
        uint64_t to = at + deficit < end ? at + deficit : end;
        if (to > from)
            add_target(out, n->entry->name, to - from, deficit, rules);
        at += deficit;
    }
}

/* Has the farm been the same for a while? A few users more or less do not count. */
static bool is_calm(struct rebalance *b, const struct sum *sum, uint64_t now_ms)
{
    uint64_t change = sum->users > b->users ? sum->users - b->users : b->users - sum->users;
    if (b->calm_ms == 0 || sum->digest != b->digest ||
        change * 50 > sum->users + 50 * REBALANCE_LEAST) {
        if (b->calm_ms == 0 || sum->digest != b->digest)
            b->calm_for_ms = sum->servers < b->servers ? REBALANCE_AWAY_MS : REBALANCE_CALM_MS;
        b->digest = sum->digest;
        b->servers = sum->servers;
        b->users = sum->users;
        b->calm_ms = now_ms;
    }
    return now_ms >= b->calm_ms + b->calm_for_ms;
}

static enum rebalance_why judge(struct rebalance *b, const struct sum *sum,
                                const struct own_part *own, const struct rebalance_rules *rules,
                                uint64_t now_ms)
{
    bool calm = is_calm(b, sum, now_ms);
    if (sum->unsettled)
        return REBALANCE_UNSETTLED;
    if (now_ms < b->again_ms || (now_ms < b->late_ms && sum->own->users > b->left))
        return REBALANCE_WAITS;
    if (!calm)
        return REBALANCE_NOT_CALM;
    b->users = sum->users; /* a slow change is none */
    b->calm_for_ms = REBALANCE_CALM_MS;
    if (own->place.surplus == 0)
        b->active = false;
    else if (beyond(own->place.surplus, own->place.fair, rules) || own->wanted)
        b->active = true;
    return b->active ? REBALANCE_MOVES : REBALANCE_LEVEL;
}

static void wait_for_round(struct rebalance *b, const struct rebalance_plan *plan, uint32_t users,
                           uint64_t now_ms)
{
    uint64_t longest_ms = 0;
    b->left = users;
    for (size_t i = 0; i < plan->count; i++) {
        const struct rebalance_target *t = &plan->targets[i];
        longest_ms = t->within_ms > longest_ms ? t->within_ms : longest_ms;
        b->left -= t->count;
    }
    b->again_ms = now_ms + longest_ms + REBALANCE_SETTLE_MS;
    b->late_ms = b->again_ms + REBALANCE_PATIENCE_MS;
}

void rebalance_step(struct rebalance *b, const struct roster *r, const char *service,
                    const struct rebalance_rules *rules, uint64_t now_ms,
                    struct rebalance_plan *out)
{
    *out = (struct rebalance_plan){.why = REBALANCE_NOT_HERE};
    struct sum sum = add_up(r, service);
    if (sum.own == NULL) {
        *b = (struct rebalance){0};
        return;
    }
    struct own_part own = find_own(r, service, &sum, rules);
    out->surplus = (uint32_t)own.place.surplus;
    out->why = judge(b, &sum, &own, rules, now_ms);
    if (out->why != REBALANCE_MOVES)
        return;
    lay(r, service, &sum, &own, rules, out);
    if (out->count == 0)
        out->why = REBALANCE_LEVEL; /* nobody has room */
    else
        wait_for_round(b, out, sum.own->users, now_ms);
}
