/* repository_internal.h - the inside of a repository: its thread's state. repository.c is the
 * thread, repository_engine.c which engine it has, repository_fill.c what goes in and out. */
#ifndef STORE_REPOSITORY_INTERNAL_H
#define STORE_REPOSITORY_INTERNAL_H

#include "store/repository.h"
#include "store/store_kept.h"

#include <pthread.h>

#define BATCH_RECORDS 512
#define BATCH_BYTES (4u << 20)

/* Changes on their way into the engine, each key once at a time. */
struct batch {
    size_t count, bytes;
    struct sealed sealed[BATCH_RECORDS + 1]; /* the time, too */
};

struct repository {
    struct repository_config config;
    char *path, *addresses, *user, *password, *ca_file, *certificate, *key;
    char prefix[REDIS_PREFIX_MAX + 1];
    struct engine_redis_stats servers;
    struct kinds kinds;
    struct engine *engine; /* NULL: not open */
    bool loaded;           /* what was kept has been looked at, or there was nothing */
    bool full;             /* all is to be put in, and what is gone to be taken out */
    bool failing;          /* and it has been said */
    uint64_t wait_ms;      /* after a failure */
    uint64_t retry_ms, told_ms;
    struct batch batch;
    struct key *again; /* REPOSITORY_AGAIN_MAX */
    size_t again_count;

    pthread_t thread;
    bool running, stops;
    pthread_mutex_t lock; /* of stops, clean_ms and stats */
    pthread_cond_t wake;
    bool reseal;
    uint64_t clean_ms; /* what had changed by then is in the engine */
    struct repository_stats stats;
};

uint64_t repository_wall_ms(void);
/* From the configuration, which may go then; false: no memory. */
bool repository_engine_init(struct repository *r);
void repository_engine_deinit(struct repository *r);
/* For people: the file, or the servers. */
const char *repository_where(const struct repository *r);
int repository_open_engine(struct repository *r);
/* What the engine has is kept elsewhere; it begins anew. */
int repository_set_aside(struct repository *r, const char *why);
/* Everything that is in the engine: shelved, unless it is too old. STEAD_E_PARSE: not of this farm,
 * or damaged; STEAD_E_DENIED: too old. */
int repository_fill_shards(struct repository *r);
/* A new file says from when on it is kept. */
int repository_begin(struct repository *r);
/* What has changed since. STEAD_OK, or the engine's error: it is not there then. */
int repository_drain(struct repository *r);
/* All. */
int repository_sweep(struct repository *r);

#endif
