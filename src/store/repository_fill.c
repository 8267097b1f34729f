/* What goes into a repository's engine, and what comes out of it at the start. */
#include "store/repository_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "stead/error.h"

#include <inttypes.h>
#include <string.h>

#define KEYS_AT_ONCE 64
#define TIME_TELL_MS 30000 /* an idle file says so often how far it goes */

/* -- out of it -- */

struct fill {
    struct repository *r;
    uint64_t now_ms, time_ms;
    uint64_t loaded, over, refused, damaged;
    int err;
};

static void shelve(struct fill *f, struct record *r, uint64_t end_ms)
{
    uint64_t left = end_ms == 0 ? 0 : end_ms - f->now_ms;
    if (left > UINT32_MAX)
        left = UINT32_MAX;
    int err = store_shelve(f->r->config.store, r, (uint32_t)left);
    f->loaded += err == STEAD_OK;
    f->refused += err != STEAD_OK && err != STEAD_E_EXISTS;
    if (err)
        record_free(r);
}

static bool take_kept(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                      size_t len)
{
    struct fill *f = context;
    struct record *r;
    uint64_t end_ms;
    if (repository_is_time(name)) {
        f->err = repository_open_time(&f->r->config.keys, bytes, len, &f->time_ms);
        if (!f->err && f->now_ms > f->time_ms + f->r->config.age_max_ms)
            f->err = STEAD_E_DENIED;
        return f->err == STEAD_OK;
    }
    if (f->time_ms == 0) { /* it is the first name of all */
        f->err = STEAD_E_PARSE;
        return false;
    }
    int err = repository_open(&f->r->config.keys, &f->r->kinds, name, bytes, len, &r, &end_ms);
    if (err == STEAD_E_PARSE)
        f->damaged++;
    else if (err)
        f->refused++;
    else if (end_ms != 0 && end_ms <= f->now_ms) {
        f->over++;
        record_free(r);
    } else
        shelve(f, r, end_ms);
    return true;
}

int repository_fill_shards(struct repository *r)
{
    struct fill f = {.r = r, .now_ms = repository_wall_ms()};
    int err = r->engine->calls->walk(r->engine, NULL, take_kept, &f);
    if (err && r->addresses) /* of a server, not of what it has */
        err = STEAD_E_IO;
    if (!err)
        err = f.err;
    pthread_mutex_lock(&r->lock);
    r->stats.loaded += f.loaded;
    r->stats.refused += f.refused;
    r->stats.damaged += f.damaged;
    pthread_mutex_unlock(&r->lock);
    uint64_t age_s = f.time_ms && f.now_ms > f.time_ms ? (f.now_ms - f.time_ms) / 1000 : 0;
    if (f.time_ms != 0)
        log_info("repository-load",
                 "path=\"%s\" loaded=%" PRIu64 " over=%" PRIu64 " refused=%" PRIu64
                 " damaged=%" PRIu64 " age_s=%" PRIu64,
                 repository_where(r), f.loaded, f.over, f.refused, f.damaged, age_s);
    return err;
}

static bool is_there(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                     size_t len)
{
    (void)context;
    (void)name;
    (void)bytes;
    (void)len;
    return true;
}

int repository_begin(struct repository *r)
{
    struct sealed time = {0};
    int err = r->engine->calls->get(r->engine, time.name, is_there, NULL);
    if (err != STEAD_E_ABSENT)
        return err;
    err = repository_seal_time(&r->config.keys, repository_wall_ms(), &time);
    struct engine_put put = {.bytes = time.bytes, .len = time.len};
    if (!err)
        err = r->engine->calls->put(r->engine, &put, 1);
    mem_free(time.bytes);
    return err;
}

/* -- into it -- */

static void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        mem_free(b->sealed[i].bytes);
    b->count = b->bytes = 0;
}

static void count_batch(struct repository *r)
{
    struct engine_stats st;
    int err = r->engine->calls->stats(r->engine, &st);
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->batch.count; i++) {
        r->stats.written += r->batch.sealed[i].bytes != NULL;
        r->stats.removed += r->batch.sealed[i].bytes == NULL;
    }
    r->stats.batches++;
    if (!err) {
        r->stats.records = st.records - (st.records > 0); /* the time is none */
        r->stats.file_bytes = st.bytes;
    }
    pthread_mutex_unlock(&r->lock);
}

/* What is replaced needs room twice until its batch is kept: a full engine takes smaller ones. */
static int put_parts(struct engine *e, const struct engine_put *puts, size_t count)
{
    int err = e->calls->put(e, puts, count);
    if (err != STEAD_E_FULL || count < 2)
        return err;
    err = put_parts(e, puts, count / 2);
    return err ? err : put_parts(e, puts + count / 2, count - count / 2);
}

static int batch_put(struct repository *r)
{
    struct engine_put puts[BATCH_RECORDS + 1];
    struct batch *b = &r->batch;
    for (size_t i = 0; i < b->count; i++) {
        memcpy(puts[i].name, b->sealed[i].name, ENGINE_NAME_BYTES);
        puts[i].bytes = b->sealed[i].bytes;
        puts[i].len = b->sealed[i].len;
        puts[i].life_ms = b->sealed[i].life_ms;
    }
    int err = b->count > 0 ? put_parts(r->engine, puts, b->count) : STEAD_OK;
    if (!err && b->count > 0)
        count_batch(r);
    batch_clear(b);
    return err;
}

struct keeping {
    struct repository *r;
    struct sealed *to;
    int err;
};

static void seal_kept(void *context, const struct record *record, uint32_t left_ms)
{
    struct keeping *k = context;
    uint64_t end_ms = left_ms ? repository_wall_ms() + left_ms : 0;
    k->err = repository_seal(&k->r->config.keys, &k->r->kinds, record, end_ms, k->to);
    k->to->life_ms = left_ms;
}

static void again(struct repository *r, const struct key *key)
{
    if (r->again_count < REPOSITORY_AGAIN_MAX)
        r->again[r->again_count++] = *key;
    else
        r->full = true;
}

/* As it is now; a full batch goes into the engine. */
static int keep(struct repository *r, const struct key *key)
{
    struct batch *b = &r->batch;
    struct keeping k = {.r = r, .to = &b->sealed[b->count]};
    *k.to = (struct sealed){0};
    int err = store_fetch(r->config.store, key, seal_kept, &k);
    if (err == STEAD_E_CLOSED)
        return STEAD_OK;
    if (err == STEAD_E_ABSENT && !repository_name(&r->config.keys, &r->kinds, key, k.to->name))
        err = STEAD_E_NOMEM;
    if (err == STEAD_OK)
        err = k.err;
    if (err && err != STEAD_E_ABSENT) { /* not settled, or no memory: later */
        again(r, key);
        return STEAD_OK;
    }
    b->bytes += k.to->len;
    b->count++;
    return b->count == BATCH_RECORDS || b->bytes >= BATCH_BYTES ? batch_put(r) : STEAD_OK;
}

/* Up to now all that has changed is there. */
static void put_time(struct repository *r, uint64_t now_ms)
{
    struct batch *b = &r->batch;
    if (b->count == 0 && now_ms < r->told_ms + TIME_TELL_MS && now_ms >= r->told_ms)
        return;
    if (repository_seal_time(&r->config.keys, now_ms, &b->sealed[b->count]) == STEAD_OK) {
        b->count++;
        r->told_ms = now_ms;
    }
}

int repository_drain(struct repository *r)
{
    struct key keys[KEYS_AT_ONCE];
    uint64_t now_ms = repository_wall_ms();
    size_t old = r->again_count, n;
    int err = STEAD_OK;
    r->again_count = 0;
    for (size_t i = 0; i < old && !err; i++) {
        struct key key = r->again[i]; /* its place may be taken again */
        err = keep(r, &key);
    }
    for (unsigned i = 0; i < store_shard_count(r->config.store) && !err; i++) {
        size_t left = SHELF_NOTED_MAX;
        bool lost = false;
        while (!err && left > 0 &&
               (n = store_noted(r->config.store, i, keys, KEYS_AT_ONCE, &lost)) > 0) {
            for (size_t j = 0; j < n && !err; j++)
                err = keep(r, &keys[j]);
            left -= n < left ? n : left;
        }
        r->full |= lost;
    }
    if (!err && r->again_count == 0 && !r->full)
        put_time(r, now_ms);
    if (!err)
        err = batch_put(r);
    batch_clear(&r->batch);
    pthread_mutex_lock(&r->lock);
    r->stats.waiting = r->again_count;
    if (!err && r->again_count == 0 && !r->full)
        r->clean_ms = now_ms;
    pthread_mutex_unlock(&r->lock);
    return err;
}

/* -- all of it -- */

struct gone {
    struct repository *r;
    size_t count;
    uint8_t last[ENGINE_NAME_BYTES];
    struct key keys[KEYS_AT_ONCE];
    uint8_t names[KEYS_AT_ONCE][ENGINE_NAME_BYTES]; /* of those that do not open */
    bool junk[KEYS_AT_ONCE];
    bool live[KEYS_AT_ONCE]; /* no tombstone */
};

static bool look_at(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                    size_t len)
{
    struct gone *g = context;
    struct record *r = NULL;
    uint64_t end_ms;
    memcpy(g->last, name, ENGINE_NAME_BYTES);
    if (repository_is_time(name))
        return true;
    int err = repository_open(&g->r->config.keys, &g->r->kinds, name, bytes, len, &r, &end_ms);
    if (err && err != STEAD_E_PARSE)
        return true;
    g->junk[g->count] = err != STEAD_OK;
    g->live[g->count] = r && !record_is_tombstone(r);
    memcpy(g->names[g->count], name, ENGINE_NAME_BYTES);
    if (r)
        g->keys[g->count] = r->key;
    record_free(r);
    return ++g->count < KEYS_AT_ONCE;
}

static void is_ended(void *context, const struct record *record, uint32_t left_ms)
{
    (void)left_ms;
    *(bool *)context = record_is_tombstone(record);
}

/* What the shards hold no more; and what has ended since, whose tombstone comes when there is room.
 */
static bool is_over(const struct gone *g, size_t i)
{
    bool ended = false;
    return g->junk[i] ||
           store_fetch(g->r->config.store, &g->keys[i], is_ended, &ended) == STEAD_E_ABSENT ||
           (ended && g->live[i]);
}

/* What is over goes. */
static int take_out(struct repository *r)
{
    struct gone g = {.r = r};
    bool more = true;
    int err = STEAD_OK;
    for (bool first = true; more && !err; first = false) {
        uint8_t after[ENGINE_NAME_BYTES];
        memcpy(after, g.last, sizeof(after));
        g.count = 0;
        err = r->engine->calls->walk(r->engine, first ? NULL : after, look_at, &g);
        for (size_t i = 0; i < g.count && !err; i++) {
            struct sealed *to = &r->batch.sealed[r->batch.count];
            if (!is_over(&g, i))
                continue;
            *to = (struct sealed){0};
            memcpy(to->name, g.names[i], ENGINE_NAME_BYTES);
            r->batch.count++;
        }
        more = g.count == KEYS_AT_ONCE;
        if (!err)
            err = batch_put(r);
    }
    return err;
}

int repository_sweep(struct repository *r)
{
    struct key keys[KEYS_AT_ONCE];
    int err = take_out(r); /* first: it makes room */
    r->full = false;
    for (unsigned i = 0; i < store_shard_count(r->config.store) && !err; i++) {
        uint64_t cursor = 0;
        do {
            size_t n = store_keys(r->config.store, i, &cursor, keys, KEYS_AT_ONCE);
            for (size_t j = 0; j < n && !err; j++)
                err = keep(r, &keys[j]);
            r->full |= n == 0 && cursor != 0; /* memory is short */
        } while (!err && cursor != 0 && !r->full);
    }
    if (!err)
        err = batch_put(r);
    batch_clear(&r->batch);
    r->full |= err != STEAD_OK;
    pthread_mutex_lock(&r->lock);
    r->stats.sweeps++;
    pthread_mutex_unlock(&r->lock);
    return err;
}
