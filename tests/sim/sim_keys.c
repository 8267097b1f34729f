/* sim_keys.c - rotation of the farm's key, and that nobody is locked out by it. */
#include "sim_keys.h"

#include "sim_watch.h"

#include <string.h>

#define STORE_FAILS 60 /* of 1000: the disk is full */

void sim_keys_step(struct sim *s, struct sim_node *n)
{
    uint64_t now = sim_node_clock(n, s->now_ns);
    if (n->keys_pending) {
        bool good = !sim_chance(&n->rng, STORE_FAILS);
        n->keys_pending = false;
        if (good) {
            n->key_file = n->key_writing;
            n->has_key_file = true;
        }
        if (farm_keys_stored(n->farm, good, now))
            sim_trace(s, "%s: keys: %zu known, generation %u is active", n->name,
                      farm_keys(n->farm)->count, keys_active(farm_keys(n->farm))->number);
        sim_node_wake_soon(s, n);
    }
    if (farm_keys_store(n->farm, now, &n->key_writing)) {
        n->keys_pending = true;
        sim_node_wake_soon(s, n);
    }
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
}

static size_t accepted(const struct keys *k, uint64_t *other)
{
    size_t n = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (k->list[i].state != KEY_ACCEPTED)
            continue;
        n++;
        if (k->list[i].mark != k->active)
            *other = k->list[i].mark;
    }
    return n;
}

/* Add, activate and retire, in turn and now and then not; what is retired is forgotten late. */
static const char *change(struct sim *s, struct sim_node *n, struct rng *r, struct keys *k)
{
    uint8_t secret[KEY_SECRET_BYTES];
    uint64_t other = 0, mark;
    unsigned against = 0;
    size_t count = accepted(k, &other);
    (void)s;
    for (size_t i = 0; i < k->count && k->count > KEYS_MAX - 2; i++)
        if (keys_forget(k, k->list[i].mark) == STEAD_OK)
            return "forget";
    if (count == 1 || (count < KEYS_ACCEPTED_MAX && sim_chance(r, 100))) {
        for (size_t i = 0; i < sizeof secret; i++)
            secret[i] = (uint8_t)rng_u64(r);
        return keys_add(k, secret, false, &mark) == STEAD_OK ? "add" : NULL;
    }
    if (sim_chance(r, 500)) {
        farm_key_lacking(n->farm, other, count_name, &against);
        return against == 0 && keys_activate(k, other) == STEAD_OK ? "activate" : NULL;
    }
    farm_key_needing(n->farm, other, count_name, &against);
    return against == 0 && keys_retire(k, other) == STEAD_OK ? "retire" : NULL;
}

void sim_keys_rotate(struct sim *s, struct rng *r)
{
    struct sim_node *n = &s->nodes[rng_below(r, s->node_count)];
    struct keys k;
    if (n->phase != PHASE_UP || n->paused)
        return;
    farm_keys_wanted(n->farm, &k);
    const char *what = change(s, n, r, &k);
    if (!what)
        return;
    sim_trace(s, "%s: key %s", n->name, what);
    farm_keys_want(n->farm, &k);
    s->sum.rotations++;
    sim_node_wake_soon(s, n);
}

/* -- the checker -- */

static bool in_common(const struct keys *a, const struct keys *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct key_generation *g = keys_find(b, a->list[i].mark);
        if (a->list[i].state == KEY_ACCEPTED && g && g->state == KEY_ACCEPTED)
            return true;
    }
    return false;
}

static void keys_sweep(struct sim *s)
{
    for (unsigned i = 0; i < s->node_count && s->scenario == SCENARIO_KEYS; i++)
        for (unsigned j = 0; j < i; j++) {
            const struct sim_node *a = &s->nodes[i], *b = &s->nodes[j];
            if (sim_node_alive(a) && sim_node_alive(b) &&
                !in_common(farm_keys(a->farm), farm_keys(b->farm)))
                sim_violation(s, check_keys.name, NULL, "%s and %s accept no key in common",
                              a->name, b->name);
        }
}

static void keys_final(struct sim *s)
{
    for (unsigned i = 1; i < s->node_count && s->scenario == SCENARIO_KEYS; i++) {
        const struct keys *a = farm_keys(s->nodes[0].farm), *b = farm_keys(s->nodes[i].farm);
        uint64_t other;
        if (a->active != b->active || accepted(a, &other) != accepted(b, &other))
            sim_violation(s, check_keys.name, NULL, "%s and %s do not know the same keys",
                          s->nodes[0].name, s->nodes[i].name);
    }
}

const struct sim_checker check_keys = {
    .name = "keys",
    .promise = "nobody is locked out by a change of keys that was not forced, and all end alike",
    .sweep = keys_sweep,
    .final = keys_final,
};
