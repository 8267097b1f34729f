/* sim_check.c - the table of checkers, and what they remember. */
#include "sim_watch.h"

#include <stdlib.h>

const struct sim_checker *const sim_checker_rows[] = {
    &check_sealed_once, &check_accepted_once, &check_delivered_once, /* the wire */
    &check_durable,     &check_one_owner,     &check_no_fall,        /* the stores */
    &check_fresh,       &check_ended,         &check_refused,        /* the answers */
    &check_brief,       &check_serves,        &check_sick,           /* */
    &check_equal,       &check_bounds,        &check_quiet,          /* the farm */
    &check_winner,      &check_asked,                                /* */
    &check_clone,       &check_joins,         &check_leases,         &check_keys, &check_merge,
};
const size_t sim_checker_count = sizeof sim_checker_rows / sizeof sim_checker_rows[0];

struct sim_watch *sim_watch_new(void)
{
    return calloc(1, sizeof(struct sim_watch));
}

void sim_watch_free(struct sim_watch *w)
{
    sim_map_deinit(&w->sealed);
    sim_map_deinit(&w->messages);
    free(w);
}

/* -- a map of words: open addressing, no removal -- */

static uint64_t *map_slot(struct sim_map *m, uint64_t key)
{
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15ull >> 20) & (m->cap - 1);
    while (m->keys[i] != 0 && m->keys[i] != key)
        i = (i + 1) & (m->cap - 1);
    if (m->keys[i] == 0) {
        m->keys[i] = key;
        m->values[i] = 0;
        m->count++;
    }
    return &m->values[i];
}

static void map_grow(struct sim_map *m)
{
    struct sim_map old = *m;
    m->cap = old.cap ? old.cap * 2 : 4096;
    m->count = 0;
    m->keys = calloc(m->cap, sizeof *m->keys);
    m->values = calloc(m->cap, sizeof *m->values);
    for (size_t i = 0; i < old.cap; i++)
        if (old.keys[i])
            *map_slot(m, old.keys[i]) = old.values[i];
    sim_map_deinit(&old);
}

uint64_t *sim_map_at(struct sim_map *m, uint64_t key)
{
    if (m->count * 2 >= m->cap)
        map_grow(m);
    return map_slot(m, key ? key : 1);
}

void sim_map_deinit(struct sim_map *m)
{
    free(m->keys);
    free(m->values);
}
