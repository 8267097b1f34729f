/* sim_shelf.c - the disk of a repository: what was noted is kept with a lag, and what was not by
 * then is lost with the process. Now and then the disk is gone for seconds. */
#include "sim_node.h"

#include "core/session/shelf.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_AT_ONCE 64

static struct sim_kept *shelf_find(struct sim_shelf *h, const struct key *key)
{
    for (size_t i = 0; i < h->count; i++)
        if (key_equal(&h->kept[i].key, key))
            return &h->kept[i];
    return NULL;
}

static void shelf_drop(struct sim_shelf *h, const struct key *key)
{
    struct sim_kept *k = shelf_find(h, key);
    if (!k)
        return;
    free(k->bytes);
    *k = h->kept[--h->count];
}

static void shelf_put(struct sim *s, struct sim_shelf *h, const struct record *r, uint32_t left_ms)
{
    struct wire_writer w;
    struct sim_kept *k = shelf_find(h, &r->key);
    if (!k) {
        if (h->count == h->cap) {
            h->cap = h->cap ? h->cap * 2 : 64;
            h->kept = realloc(h->kept, h->cap * sizeof *h->kept);
        }
        k = &h->kept[h->count++];
        *k = (struct sim_kept){.key = r->key};
    }
    free(k->bytes);
    k->len = record_encoded_size(r, 0);
    k->bytes = malloc(k->len);
    wire_writer_init(&w, k->bytes, k->len);
    record_encode(r, 0, &w);
    k->end_ns = left_ms ? s->now_ns + MS(left_ms) : TIME_NEVER;
}

static void shelf_keep(struct sim *s, struct sim_node *n, const struct key *key, bool *again)
{
    const struct record *r;
    uint32_t left_ms;
    int err = session_fetch(sim_node_shard(n, key), key, &r, &left_ms);
    if (err == STEAD_OK)
        shelf_put(s, &n->shelf, r, left_ms);
    else if (err == STEAD_E_ABSENT)
        shelf_drop(&n->shelf, key);
    *again |= err == STEAD_E_BUSY;
}

/* More was changed than could be noted: all is looked at. */
static void shelf_keep_all(struct sim *s, struct sim_node *n, struct session *shard)
{
    struct key keys[KEYS_AT_ONCE];
    uint64_t cursor = 0;
    bool again = false;
    for (size_t i = n->shelf.count; i-- > 0;) {
        struct key key = n->shelf.kept[i].key;
        if (sim_node_shard(n, &key) == shard)
            shelf_keep(s, n, &key, &again);
    }
    do {
        size_t count = session_keys(shard, &cursor, keys, KEYS_AT_ONCE);
        for (size_t i = 0; i < count; i++)
            shelf_keep(s, n, &keys[i], &again);
    } while (cursor != 0);
}

void sim_shelf_flush(struct sim *s, struct sim_node *n, bool now)
{
    struct key keys[KEYS_AT_ONCE];
    if (!n->shelf.on || (!now && s->now_ns < n->shelf.flush_ns))
        return;
    bool gone = sim_chance(&n->rng, 20);
    n->shelf.flush_ns =
        s->now_ns + MS(gone ? sim_between(&n->rng, 1000, 8000) : sim_between(&n->rng, 20, 400));
    for (unsigned i = 0; i < n->shard_count; i++) {
        bool lost = false, again = false;
        size_t count;
        while ((count = session_noted(n->shards[i], keys, KEYS_AT_ONCE, &lost)) > 0) {
            for (size_t j = 0; j < count; j++)
                shelf_keep(s, n, &keys[j], &again);
            if (lost)
                shelf_keep_all(s, n, n->shards[i]);
        }
        /* What was not settled is looked at with the rest. */
        if (again)
            shelf_keep_all(s, n, n->shards[i]);
    }
}

static bool shelve(struct sim *s, struct sim_node *n, const struct sim_kept *k)
{
    struct session *shard = sim_node_shard(n, &k->key);
    struct wire_reader in;
    wire_reader_init(&in, k->bytes, k->len);
    if (k->end_ns <= s->now_ns)
        return false;
    uint64_t left_ms = k->end_ns == TIME_NEVER ? 0 : (k->end_ns - s->now_ns) / NS_PER_MS + 1;
    struct record *r = record_decode(&in, 1);
    session_clock(shard, sim_node_clock(n, s->now_ns));
    bool done = session_shelve(shard, r, (uint32_t)left_ms) == STEAD_OK;
    if (!done)
        record_free(r);
    return done;
}

void sim_shelf_load(struct sim *s, struct sim_node *n)
{
    for (size_t i = 0; i < n->shelf.count; i++)
        shelve(s, n, &n->shelf.kept[i]);
    n->shelf.flush_ns = 0;
}

static void drop_saved(struct sim_shelf *h)
{
    for (size_t i = 0; i < h->saved_count; i++)
        free(h->saved[i].bytes);
    free(h->saved);
    h->saved = NULL;
    h->saved_count = 0;
}

static void save(struct sim_shelf *h)
{
    drop_saved(h);
    h->saved = calloc(h->count + 1, sizeof *h->saved);
    for (size_t i = 0; i < h->count; i++) {
        struct sim_kept *to = &h->saved[h->saved_count++];
        *to = h->kept[i];
        to->bytes = malloc(to->len);
        memcpy(to->bytes, h->kept[i].bytes, to->len);
    }
}

/* What a repository had at some time, into any node while it runs. */
void sim_shelf_snapshot(struct sim *s, struct sim_node *n)
{
    if (s->scenario != SCENARIO_REPOSITORY || s->stage > STAGE_FAULTS || !n->entry.holds ||
        s->now_ns < n->shelf.saved_ns)
        return;
    bool first = n->shelf.saved_ns == 0;
    size_t count = 0;
    n->shelf.saved_ns = s->now_ns + MS(sim_between(&n->rng, 500, n->shelf.on ? 4000 : 8000));
    if (first)
        return;
    if (n->shelf.on && sim_chance(&n->rng, 500)) {
        save(&n->shelf);
        return;
    }
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        for (size_t j = 0; j < s->nodes[i].shelf.saved_count; j++)
            count += shelve(s, n, &s->nodes[i].shelf.saved[j]);
    sim_trace(s, "%s loads a snapshot: %zu that it has not", n->name, count);
    for (unsigned i = 0; i < n->shard_count; i++)
        n->shard_deadline_ns[i] = 0;
}

void sim_shelf_free(struct sim_node *n)
{
    for (size_t i = 0; i < n->shelf.count; i++)
        free(n->shelf.kept[i].bytes);
    free(n->shelf.kept);
    n->shelf.kept = NULL;
    n->shelf.count = 0;
    drop_saved(&n->shelf);
}
