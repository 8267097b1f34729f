/* What a repository's thread asks of the shards. */
#include "store/store_kept.h"

#include "store/store_internal.h"

static void set_clock(struct store *s, struct shard *shard)
{
    session_clock(shard->session, atomic_load_explicit(&s->now_ns, memory_order_relaxed));
}

unsigned store_shard_count(const struct store *s)
{
    return s->shard_count;
}

int store_shelve(struct store *s, struct record *r, uint32_t left_ms)
{
    struct shard *shard = store_shard(s, &r->key);
    pthread_mutex_lock(&shard->lock);
    set_clock(s, shard);
    int err = session_shelve(shard->session, r, left_ms);
    atomic_store_explicit(&shard->deadline_ns, 0, memory_order_relaxed);
    pthread_mutex_unlock(&shard->lock);
    store_wake_mesh(s);
    return err;
}

size_t store_noted(struct store *s, unsigned shard, struct key *out, size_t max, bool *lost)
{
    pthread_mutex_lock(&s->shards[shard].lock);
    size_t n = session_noted(s->shards[shard].session, out, max, lost);
    pthread_mutex_unlock(&s->shards[shard].lock);
    return n;
}

size_t store_keys(struct store *s, unsigned shard, uint64_t *cursor, struct key *out, size_t max)
{
    pthread_mutex_lock(&s->shards[shard].lock);
    size_t n = session_keys(s->shards[shard].session, cursor, out, max);
    pthread_mutex_unlock(&s->shards[shard].lock);
    return n;
}

int store_fetch(struct store *s, const struct key *key,
                void (*take)(void *context, const struct record *r, uint32_t left_ms),
                void *context)
{
    struct shard *shard = store_shard(s, key);
    const struct record *r;
    uint32_t left_ms;
    pthread_mutex_lock(&shard->lock);
    set_clock(s, shard);
    int err = session_fetch(shard->session, key, &r, &left_ms);
    if (!err)
        take(context, r, left_ms);
    pthread_mutex_unlock(&shard->lock);
    return err;
}
