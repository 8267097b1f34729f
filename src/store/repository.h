/* repository.h - keeps what this node's shards hold beyond the process, behind their backs: a
 * thread of its own takes what has changed every 100 ms and puts it into an engine, in batches of
 * which all or nothing is kept. Nobody waits for it, so the last changes before a kill -9 may be
 * missing in it; core/session/shelf.h says why that makes nothing wrong.
 *
 * An engine that fails is said once, and opened anew every second (servers: later and later, up to
 * 8 s); the node serves on. When it is
 * back, all that the shards hold is put into it, and what they hold no more is taken out. A file
 * that is damaged, of another farm key, or older than `age_max_ms` is set aside by another name,
 * and a new one begun.
 */
#ifndef STORE_REPOSITORY_H
#define STORE_REPOSITORY_H

#include "store/engine_redis.h"
#include "store/repository_seal.h"
#include "store/store.h"

#define REPOSITORY_AGAIN_MAX 4096 /* keys that were not settled when they were looked at */

struct repository;

struct repository_config {
    struct store *store; /* outlives it */
    const char *path;    /* copied; with addresses: beside it lies what was set aside */
    uint64_t bytes_max;  /* of the file */
    uint64_t age_max_ms;
    struct repository_keys keys;
    const char *addresses; /* of Redis servers (engine_redis.h); NULL, "": a file. Copied */
    const char *user, *password;
    bool tls;
    const char *ca_file, *certificate, *key;
    uint64_t start_wait_ms; /* for servers that are not there at the start */
    char prefix[REDIS_PREFIX_MAX + 1];
};

struct repository_stats {
    uint64_t there;                     /* 1: 0 is the state of a node that is no repository */
    uint64_t up;                        /* 1: the engine takes what it is given */
    uint64_t loaded, refused, damaged;  /* at the start: shelved; no room or kind; do not open */
    uint64_t written, removed, batches; /* since the start */
    uint64_t failures, sweeps;
    uint64_t waiting; /* keys that have changed and are not there yet, about */
    uint64_t lag_ms;  /* what had changed so long ago is there */
    uint64_t records, file_bytes;
    uint64_t connections, redirects, lost, unsure; /* engine_redis.h */
};

/* NULL without memory. */
struct repository *repository_new(const struct repository_config *c)
    __attribute__((warn_unused_result));
/* Before the node speaks to others: what was kept is shelved. A failure is said in the log, and
 * the thread goes on trying. */
void repository_load(struct repository *r);
int repository_start(struct repository *r);
/* Other keys seal: everything is put in anew, under the first of them. Any thread. */
void repository_reseal(struct repository *r);
/* A last look at what has changed; then the engine is closed. Takes NULL. */
void repository_free(struct repository *r);
/* Any thread. */
void repository_stats(struct repository *r, struct repository_stats *out);

#endif
