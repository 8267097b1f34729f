/* engine.h - where a repository keeps its records beyond this process: one interface, an engine
 * behind it.
 *
 * An engine is a map of names (ENGINE_NAME_BYTES each) to bytes. It understands neither: both are
 * sealed before they come here (repository_seal.h). All calls block, until what they say is on
 * disk, so they are made by a thread that nobody waits for, and by one thread only.
 *
 * Errors: STEAD_E_ABSENT (no such name), FULL (disk or map full: nothing of that batch was kept),
 * PARSE (the file is damaged, or is no such file), IN_USE (another process has it), DENIED, IO,
 * NOMEM, INVAL. After PARSE or IO the engine is to be closed and opened anew.
 */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_NAME_BYTES 32
#define ENGINE_VALUE_MAX ((1u << 20) + (64u << 10)) /* the largest record, sealed */

struct engine;

/* One change; bytes NULL: the name goes, if it is there. */
struct engine_put {
    uint8_t name[ENGINE_NAME_BYTES];
    const uint8_t *bytes;
    size_t len;
    uint64_t life_ms; /* an engine may forget it after; 0: never */
};

/* Bytes are the engine's, and good during the call only. False ends the walk. */
typedef bool engine_take(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                         size_t len);

struct engine_stats {
    uint64_t records, bytes; /* bytes: of the file */
};

struct engine_calls {
    /* All of them or none, on disk when it returns; or, for engines that say so, each by itself, in
     * any order but the last one, which comes after all others. */
    int (*put)(struct engine *e, const struct engine_put *puts, size_t count);
    int (*get)(struct engine *e, const uint8_t name[ENGINE_NAME_BYTES], engine_take *take,
               void *context);
    /* In the order of the names, from the first one above `after` (NULL: from the first). What is
     * put meanwhile is not seen; `take` calls nothing of the engine. */
    int (*walk)(struct engine *e, const uint8_t *after, engine_take *take, void *context);
    /* A whole copy as of now, in a new file. STEAD_E_EXISTS: the file is there. */
    int (*snapshot)(struct engine *e, const char *path);
    int (*stats)(struct engine *e, struct engine_stats *out);
    /* Once a second or more often, by whoever has it open; NULL: it needs none. */
    int (*tick)(struct engine *e);
    void (*close)(struct engine *e);
};

struct engine {
    const struct engine_calls *calls;
};

/* One file at `path`, made with mode 0600 if it is not there, at most `bytes_max` large. It
 * survives the end of the process and of the machine at any moment. A file that was cut is opened,
 * so that what is left can be read (stats.cut); nothing should be put into it. */
int engine_lmdb_open(const char *path, uint64_t bytes_max, struct engine **out);

static inline void engine_close(struct engine *e)
{
    if (e)
        e->calls->close(e);
}

#endif
