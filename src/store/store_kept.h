/* store_kept.h - the shards in the eyes of the repository's thread (repository.h): what is to be
 * kept beyond the process, and what was. core/session/shelf.h has the rules. */
#ifndef STORE_STORE_KEPT_H
#define STORE_STORE_KEPT_H

#include "core/session/shelf.h"
#include "store/store.h"

unsigned store_shard_count(const struct store *s);
/* session_shelve() in the record's shard. */
int store_shelve(struct store *s, struct record *r, uint32_t left_ms)
    __attribute__((warn_unused_result));
/* session_noted(), session_keys() of one shard. */
size_t store_noted(struct store *s, unsigned shard, struct key *out, size_t max, bool *lost);
size_t store_keys(struct store *s, unsigned shard, uint64_t *cursor, struct key *out, size_t max);
/* session_fetch(); OK: `take` was called with it under the shard's lock, and calls nothing of the
 * store. */
int store_fetch(struct store *s, const struct key *key,
                void (*take)(void *context, const struct record *r, uint32_t left_ms),
                void *context);

#endif
