/* snapshot.c - records into a file and out of it, by a thread of its own (snapshot.h). */
#include "store/snapshot.h"

#include "base/log.h"
#include "base/mem.h"
#include "stead/error.h"
#include "store/snapshot_file.h"
#include "store/store_kept.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define STACK_BYTES (1u << 20)
#define KEYS_AT_ONCE 64
#define AGAIN_MAX 4096 /* keys that were not settled when they were looked at */
#define AGAIN_NS 20000000
#define AGAIN_TIMES 50

struct snapshot {
    struct store *store;
    struct repository_keys keys;
    struct kinds kinds;
    pthread_mutex_t lock; /* of thread, joins and state */
    pthread_t thread;
    bool joins; /* there is a thread to be joined */
    atomic_bool stops;
    struct snapshot_state state;

    /* the thread's */
    struct snapshot_file file;
    struct key again[AGAIN_MAX];
    size_t again_count;
    struct snapshot_state now;
};

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct snapshot *snapshot_new(struct store *store, const struct repository_keys *keys)
{
    struct snapshot *s = mem_alloc(sizeof(*s));
    if (!s)
        return NULL;
    s->store = store;
    s->keys = *keys;
    s->kinds = *store_kinds(store);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void pause_again(void)
{
    nanosleep(&(struct timespec){.tv_nsec = AGAIN_NS}, NULL);
}

/* How far it is, for who asks. */
static void tell(struct snapshot *s)
{
    pthread_mutex_lock(&s->lock);
    s->now.running = true;
    s->now.bytes = s->file.bytes;
    s->state = s->now;
    pthread_mutex_unlock(&s->lock);
}

/* -- saving -- */

struct saving {
    struct snapshot *s;
    struct sealed sealed;
    int err;
};

/* Under the shard's lock. */
static void seal_one(void *context, const struct record *r, uint32_t left_ms)
{
    struct saving *v = context;
    uint64_t end_ms = left_ms ? wall_ms() + left_ms : 0;
    v->err = repository_seal(&v->s->keys, &v->s->kinds, r, end_ms, &v->sealed);
}

/* BUSY: it is not settled. */
static int save_key(struct snapshot *s, const struct key *key)
{
    struct saving v = {.s = s};
    if (!session_keeps(&s->kinds.kind[key->kind]))
        return STEAD_OK;
    int err = store_fetch(s->store, key, seal_one, &v);
    if (err == STEAD_E_ABSENT)
        return STEAD_OK;
    if (!err && v.err) {
        s->file.why = "no memory";
        return v.err;
    }
    if (!err) {
        err = snapshot_put(&s->file, &v.sealed);
        s->now.records += err == STEAD_OK;
    }
    mem_free(v.sealed.bytes);
    return err;
}

static int save_keys(struct snapshot *s, const struct key *keys, size_t count)
{
    int err = STEAD_OK;
    for (size_t i = 0; i < count && !err; i++) {
        struct key key = keys[i]; /* its place may be taken again */
        err = save_key(s, &key);
        if (err != STEAD_E_BUSY)
            continue;
        err = STEAD_OK;
        if (s->again_count < AGAIN_MAX)
            s->again[s->again_count++] = key;
        else
            s->now.skipped++;
    }
    return err;
}

static int save_again(struct snapshot *s)
{
    int err = STEAD_OK;
    for (unsigned i = 0; i < AGAIN_TIMES && s->again_count > 0 && !err && !s->stops; i++) {
        size_t count = s->again_count;
        pause_again();
        s->again_count = 0;
        err = save_keys(s, s->again, count);
    }
    s->now.skipped += s->again_count;
    return err;
}

static int save_shard(struct snapshot *s, unsigned shard)
{
    struct key keys[KEYS_AT_ONCE];
    uint64_t cursor = 0;
    int err;
    s->again_count = 0;
    do {
        size_t n = store_keys(s->store, shard, &cursor, keys, KEYS_AT_ONCE);
        if (n == 0 && cursor != 0) {
            s->file.why = "no memory";
            return STEAD_E_NOMEM;
        }
        err = save_keys(s, keys, n);
        tell(s);
        if (!err && s->stops)
            err = STEAD_E_CLOSED;
    } while (!err && cursor != 0);
    return err ? err : save_again(s);
}

static int save(struct snapshot *s)
{
    s->now.time_ms = wall_ms();
    int err = snapshot_create(&s->file, s->now.path, &s->keys, s->now.time_ms);
    for (unsigned i = 0; i < store_shard_count(s->store) && !err; i++)
        err = save_shard(s, i);
    return err ? err : snapshot_finish(&s->file, &s->keys);
}

/* -- loading -- */

/* All of it is read, and nothing taken. */
static int check_all(struct snapshot *s)
{
    uint8_t name[ENGINE_NAME_BYTES];
    size_t len;
    int err;
    while (!(err = snapshot_next(&s->file, &s->keys, name, &len)))
        if (s->stops)
            return STEAD_E_CLOSED;
    return err == STEAD_E_ABSENT ? STEAD_OK : err;
}

static int shelve(struct snapshot *s, struct record *r, uint64_t end_ms)
{
    uint64_t now_ms = wall_ms(), left = end_ms > now_ms ? end_ms - now_ms : 0;
    int err = STEAD_E_BUSY;
    if (end_ms != 0 && left == 0) {
        s->now.over++;
        record_free(r);
        return STEAD_OK;
    }
    for (unsigned i = 0; i < AGAIN_TIMES && err == STEAD_E_BUSY && !s->stops; i++) {
        if (i > 0)
            pause_again();
        err = store_shelve(s->store, r, left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
    }
    s->now.records += err == STEAD_OK;
    s->now.skipped += err == STEAD_E_EXISTS || err == STEAD_E_BUSY;
    s->now.refused += err == STEAD_E_FULL || err == STEAD_E_INVAL || err == STEAD_E_NOMEM;
    if (err)
        record_free(r);
    return err == STEAD_E_CLOSED || s->stops ? STEAD_E_CLOSED : STEAD_OK;
}

static int take_all(struct snapshot *s)
{
    uint8_t name[ENGINE_NAME_BYTES];
    size_t len;
    int err;
    while (!(err = snapshot_next(&s->file, &s->keys, name, &len))) {
        struct record *r;
        uint64_t end_ms;
        err = repository_open(&s->keys, &s->kinds, name, s->file.box, len, &r, &end_ms);
        if (err == STEAD_OK)
            err = shelve(s, r, end_ms);
        else if (err == STEAD_E_UNSUPPORTED || err == STEAD_E_NOMEM)
            s->now.refused++;
        else
            s->file.why = "it has changed while it was read";
        if (err == STEAD_E_PARSE || err == STEAD_E_CLOSED)
            return err;
        if (s->file.records % KEYS_AT_ONCE == 0)
            tell(s);
    }
    return err == STEAD_E_ABSENT ? STEAD_OK : err;
}

static int load(struct snapshot *s)
{
    int err = snapshot_open(&s->file, s->now.path, &s->keys, &s->now.time_ms);
    if (!err)
        err = check_all(s);
    if (!err)
        err = snapshot_rewind(&s->file, &s->keys);
    return err ? err : take_all(s);
}

/* -- the thread -- */

static void finish(struct snapshot *s, int err)
{
    struct snapshot_state *n = &s->now;
    const char *why = !err          ? ""
                      : s->file.why ? s->file.why
                      : s->stops    ? "the node stops"
                                    : stead_error_text(err);
    n->error = err;
    n->bytes = s->file.bytes;
    n->failed += err != STEAD_OK;
    n->saved += !err && !n->load;
    n->loaded += !err && n->load;
    strncpy(n->why, why, sizeof(n->why) - 1);
    if (err)
        log_error("snapshot-fails", "path=%s what=%s why=\"%s\"", n->path,
                  n->load ? "load" : "save", n->why);
    else
        log_info("snapshot",
                 "path=%s what=%s records=%" PRIu64 " skipped=%" PRIu64 " over=%" PRIu64
                 " refused=%" PRIu64,
                 n->path, n->load ? "load" : "save", n->records, n->skipped, n->over, n->refused);
    snapshot_close(&s->file);
    pthread_mutex_lock(&s->lock);
    n->running = false;
    s->state = *n;
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *context)
{
    struct snapshot *s = context;
    finish(s, s->now.load ? load(s) : save(s));
    return NULL;
}

static int start(struct snapshot *s)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    s->joins = pthread_create(&s->thread, &attr, run, s) == 0;
    pthread_attr_destroy(&attr);
    s->state.running = s->joins;
    return s->joins ? STEAD_OK : STEAD_E_NOMEM;
}

int snapshot_begin(struct snapshot *s, bool load_it, const char *path)
{
    size_t len = strlen(path);
    if (*path != '/' || len >= SNAPSHOT_PATH_MAX || path[len - 1] == '/')
        return STEAD_E_INVAL;
    pthread_mutex_lock(&s->lock);
    int err = s->state.running ? STEAD_E_BUSY : STEAD_OK;
    if (!err && s->joins) {
        pthread_join(s->thread, NULL); /* it has let go of the lock, and ends */
        s->joins = false;
    }
    if (!err) {
        s->now = (struct snapshot_state){.load = load_it,
                                         .saved = s->state.saved,
                                         .loaded = s->state.loaded,
                                         .failed = s->state.failed};
        memcpy(s->now.path, path, len);
        s->state = s->now;
        err = start(s);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

void snapshot_state(struct snapshot *s, struct snapshot_state *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->state;
    pthread_mutex_unlock(&s->lock);
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    atomic_store(&s->stops, true);
    if (s->joins)
        pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(&s->keys, sizeof(s->keys));
    mem_free(s);
}
