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

void sim_shelf_load(struct sim *s, struct sim_node *n)
{
    for (size_t i = 0; i < n->shelf.count; i++) {
        const struct sim_kept *k = &n->shelf.kept[i];
        struct wire_reader in;
        wire_reader_init(&in, k->bytes, k->len);
        if (k->end_ns <= s->now_ns)
            continue;
        uint64_t left_ms = k->end_ns == TIME_NEVER ? 0 : (k->end_ns - s->now_ns) / NS_PER_MS + 1;
        struct record *r = record_decode(&in, 1);
        if (session_shelve(sim_node_shard(n, &k->key), r, (uint32_t)left_ms) != STEAD_OK)
            record_free(r);
    }
    n->shelf.flush_ns = 0;
}

void sim_shelf_free(struct sim_node *n)
{
    for (size_t i = 0; i < n->shelf.count; i++)
        free(n->shelf.kept[i].bytes);
    free(n->shelf.kept);
    n->shelf.kept = NULL;
    n->shelf.count = 0;
}
