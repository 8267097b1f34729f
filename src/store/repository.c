/* A repository's thread: when it looks at what has changed, and what becomes of an engine that
 * fails. */
#include "store/repository.h"

#include "base/log.h"
#include "base/mem.h"
#include "stead/error.h"
#include "store/repository_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUND_MS 100
#define RETRY_MS 1000
#define START_POLL_MS 200
#define RETRY_MAX_MS 8000 /* of servers, and of what is full */
#define STACK_BYTES (1u << 20)

uint64_t repository_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct repository *repository_new(const struct repository_config *c)
{
    struct repository *r = mem_alloc(sizeof(*r));
    if (!r)
        return NULL;
    r->config = *c;
    r->kinds = *store_kinds(c->store);
    bool copied = repository_engine_init(r);
    r->again = mem_alloc(REPOSITORY_AGAIN_MAX * sizeof(*r->again));
    r->clean_ms = repository_wall_ms();
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (copied && r->again)
        return r;
    repository_free(r);
    return NULL;
}

/* -- the engine -- */

static void say_failure(struct repository *r, int err)
{
    char why[2 * sizeof(r->servers.why) + 8];
    const char *text = r->addresses && *r->servers.why ? r->servers.why
                       : err == STEAD_E_FULL           ? "the disk or the file's limit is full"
                                                       : stead_error_text(err);
    log_error("repository-fails", "path=\"%s\" error=%s kept=memory", repository_where(r),
              log_quote(text, strlen(text), why, sizeof(why)));
}

static void said(struct repository *r, int err)
{
    pthread_mutex_lock(&r->lock);
    r->stats.failures += err != STEAD_OK;
    r->stats.up = err == STEAD_OK;
    r->stats.connections = r->servers.connections;
    r->stats.redirects = r->servers.redirects;
    r->stats.lost = r->servers.lost;
    r->stats.unsure = r->servers.unsure;
    pthread_mutex_unlock(&r->lock);
    if (err && !r->failing)
        say_failure(r, err);
    else if (!err && r->failing)
        log_info("repository-works", "path=\"%s\"", repository_where(r));
    r->failing = err != STEAD_OK;
}

static int fill(struct repository *r)
{
    int err = repository_fill_shards(r);
    if (err != STEAD_E_PARSE && err != STEAD_E_DENIED)
        return err;
    log_error("repository-refused", "path=\"%s\" why=\"%s\"", repository_where(r),
              err == STEAD_E_DENIED ? "older than age-max"
                                    : "damaged, or sealed with another farm's key");
    return repository_set_aside(r, err == STEAD_E_DENIED ? "old" : "damaged");
}

static int open_engine(struct repository *r)
{
    int err = repository_open_engine(r);
    if (!err && !r->loaded)
        err = fill(r);
    if (!err)
        err = repository_begin(r);
    if (err) {
        engine_close(r->engine);
        r->engine = NULL;
        return err;
    }
    r->full |= r->loaded;
    r->loaded = true;
    return STEAD_OK;
}

/* A whole site that starts at once has its servers a moment later. */
static int open_patiently(struct repository *r)
{
    uint64_t start_ms = repository_wall_ms(), now_ms = start_ms;
    int err = open_engine(r);
    while (err == STEAD_E_IO && r->addresses && now_ms >= start_ms &&
           now_ms - start_ms < r->config.start_wait_ms) {
        nanosleep(&(struct timespec){.tv_nsec = START_POLL_MS * 1000000L}, NULL);
        err = open_engine(r);
        now_ms = repository_wall_ms();
    }
    return err;
}

void repository_load(struct repository *r)
{
    int err = open_patiently(r);
    said(r, err);
    r->full |= err != STEAD_OK;
}

/* -- the thread -- */

void repository_reseal(struct repository *r)
{
    pthread_mutex_lock(&r->lock);
    r->reseal = true;
    pthread_mutex_unlock(&r->lock);
}

static void do_round(struct repository *r)
{
    uint64_t now_ms = repository_wall_ms();
    if (r->failing && now_ms < r->retry_ms && now_ms + r->wait_ms >= r->retry_ms)
        return;
    int err = r->engine ? STEAD_OK : open_engine(r);
    pthread_mutex_lock(&r->lock);
    r->full |= r->reseal;
    r->reseal = false;
    pthread_mutex_unlock(&r->lock);
    if (!err && r->engine->calls->tick)
        err = r->engine->calls->tick(r->engine);
    if (!err && r->full)
        err = repository_sweep(r);
    if (!err)
        err = repository_drain(r);
    if (err) {
        r->full = true;
        r->wait_ms = r->wait_ms == 0 ? RETRY_MS : r->wait_ms * 2;
        uint64_t most_ms = r->addresses || err == STEAD_E_FULL ? RETRY_MAX_MS : RETRY_MS;
        r->wait_ms = r->wait_ms > most_ms ? most_ms : r->wait_ms;
        r->retry_ms = now_ms + r->wait_ms;
    } else
        r->wait_ms = 0;
    if (err == STEAD_E_IO || err == STEAD_E_PARSE) {
        engine_close(r->engine);
        r->engine = NULL;
    }
    said(r, err);
}

/* Not by the wall clock: one that is set back would stop the thread for as long. */
static bool wait_round(struct repository *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ROUND_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    if (!r->stops)
        pthread_cond_clockwait(&r->wake, &r->lock, CLOCK_MONOTONIC, &until);
    bool stops = r->stops;
    pthread_mutex_unlock(&r->lock);
    return !stops;
}

static void *run(void *context)
{
    struct repository *r = context;
    while (wait_round(r))
        do_round(r);
    r->retry_ms = 0;
    if (r->engine || !r->addresses) /* servers that are away are not waited for at the end */
        do_round(r);
    return NULL;
}

int repository_start(struct repository *r)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int err = pthread_create(&r->thread, &attr, run, r);
    pthread_attr_destroy(&attr);
    r->running = err == 0;
    return err ? STEAD_E_NOMEM : STEAD_OK;
}

void repository_free(struct repository *r)
{
    if (!r)
        return;
    if (r->running) {
        pthread_mutex_lock(&r->lock);
        r->stops = true;
        pthread_cond_signal(&r->wake);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    repository_engine_deinit(r);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    explicit_bzero(&r->config.keys, sizeof(r->config.keys));
    mem_free(r->again);
    mem_free(r);
}

void repository_stats(struct repository *r, struct repository_stats *out)
{
    pthread_mutex_lock(&r->lock);
    uint64_t now_ms = repository_wall_ms();
    *out = r->stats;
    out->there = 1;
    out->lag_ms = now_ms > r->clean_ms ? now_ms - r->clean_ms : 0;
    pthread_mutex_unlock(&r->lock);
}
