/* engine_redis_internal.h - the inside of the engine: engine_redis.c is its calls and its lock,
 * engine_redis_run.c what brings commands to their servers, engine_redis_walk.c reads all. */
#ifndef STORE_ENGINE_REDIS_INTERNAL_H
#define STORE_ENGINE_REDIS_INTERNAL_H

#include "store/engine_redis.h"
#include "store/engine_redis_link.h"

#define REDIS_LINKS_MAX (REDIS_PRIMARIES_MAX + 8) /* some that are only asked for what moves */
#define REDIS_ARGS_MAX 6
#define REDIS_NAME_MAX (REDIS_PREFIX_MAX + 64)
#define REDIS_NAME_TEXT ((ENGINE_NAME_BYTES * 4 + 2) / 3)
#define REDIS_WINDOW_NAMES (2u << 20)   /* 64 MB */
#define REDIS_PIPELINE 256              /* commands on their way at a time */
#define REDIS_PIPELINE_BYTES (4u << 20) /* and what they may bring, but for the last of them */

/* Names in their order, a part of all at a time. */
struct redis_window {
    uint8_t (*names)[ENGINE_NAME_BYTES];
    size_t count, cap, at, max;
    bool more; /* behind the last one */
};

struct redis {
    struct engine engine; /* first */
    struct redis_place seeds[REDIS_SEEDS_MAX];
    size_t seed_count;
    char prefix[REDIS_PREFIX_MAX + 8]; /* "stead:PREFIX:" */
    char *user, *password;
    struct ssl_ctx_st *tls; /* NULL: without */
    struct engine_redis_stats *stats;
    bool cluster;
    bool stale;  /* the map is to be read anew */
    bool lost;   /* a primary was: all is to be put again */
    bool broken; /* the last run was not answered */
    bool unsure; /* the last batch was */
    uint64_t lock_ms, look_ms, stats_ms;
    struct engine_stats counted;
    struct redis_map map, fresh;
    struct redis_link links[REDIS_LINKS_MAX];
    struct redis_window window;
};

/* One command about one name, and its answer, which is not an error. */
struct redis_command {
    struct slice argv[REDIS_ARGS_MAX];
    size_t argc;
    uint16_t slot;
    bool asking; /* of `ask`, once */
    struct redis_place ask;
    struct redis_link *link; /* asked in this round */
    struct redis_answer *answer;
};

struct redis *redis_of(struct engine *e);
void redis_say(struct redis *r, const char *why);
int redis_amiss(struct redis *r); /* STEAD_E_PARSE, and says so */
/* Single or Cluster is found out, and the map read. */
int redis_find(struct redis *r);
/* The map once more; tells a primary that is gone. */
int redis_refresh(struct redis *r);
/* An open link to it. */
int redis_link_to(struct redis *r, const struct redis_place *place, struct redis_link **out);
/* Every command is answered, by the server whose name it is, or the error. `sure`: a replica is
 * waited for. Answers are to be cleared in any case. */
int redis_run(struct redis *r, struct redis_command *c, size_t count, bool sure);
void redis_clear(struct redis_command *c, size_t count);
/* The lock is still this process's; asks once a second. */
int redis_hold(struct redis *r);

/* REDIS_NAME_MAX bytes; returns the length. */
size_t redis_name(const struct redis *r, const uint8_t name[ENGINE_NAME_BYTES], char *out);

int redis_walk(struct engine *e, const uint8_t *after, engine_take *take, void *context);
int redis_snapshot(struct engine *e, const char *path);
void redis_window_clear(struct redis_window *w);

#endif
