/* snapshot.h - the records that a node holds, in one file: saved and loaded while it runs.
 *
 * A file is 8 bytes of mark, a version (32 bits), and boxes: a name (32 bytes), a length (32 bits),
 * and so many bytes (repository_seal.h). The first has the name of zeros and the time when it was
 * begun; then comes one for each record; the last has the name of ones, and in it the number of
 * records and SHA-256 of all before it. Numbers are big-endian. Nothing in it can be read without
 * the farm's key.
 *
 * It is written beside the file, brought to disk, and takes its name at the end: what stands at
 * that name is whole, whenever the node ends. It is read twice: before the first record is taken,
 * all of it is known to be whole and of this farm.
 *
 * What is loaded is shelved (core/session/shelf.h), so nothing that any node has in memory is
 * overruled by it. Kinds whose records may be forgotten and those of a quorum are left out.
 *
 * It is done by a thread of its own, one file at a time.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/repository_seal.h"
#include "store/store.h"

#define SNAPSHOT_PATH_MAX 1024
#define SNAPSHOT_WHY_MAX 160

struct snapshot;

struct snapshot_state {
    bool running, load;
    int error; /* of the last one; STEAD_OK: it is done, or there was none */
    char path[SNAPSHOT_PATH_MAX];
    char why[SNAPSHOT_WHY_MAX];     /* what failed, for people; "" */
    uint64_t records;               /* written, or taken */
    uint64_t skipped;               /* saving: not settled; loading: the node has them already */
    uint64_t over, refused;         /* loading: their life is over; no such kind, or no room */
    uint64_t bytes, time_ms;        /* when it was begun, by the wall clock of who saved it */
    uint64_t saved, loaded, failed; /* files, since the start */
};

/* The store outlives it. NULL without memory. */
struct snapshot *snapshot_new(struct store *store, const struct repository_keys *keys)
    __attribute__((warn_unused_result));
/* Any thread. BUSY: one is under way; INVAL: the path is not absolute, or too long; NOMEM. */
int snapshot_begin(struct snapshot *s, bool load, const char *path);
void snapshot_state(struct snapshot *s, struct snapshot_state *out);
/* Ends what is under way: a file that is not whole goes. Takes NULL. */
void snapshot_free(struct snapshot *s);

#endif
