/* Where a key was found last: a small table without chains, so a guess that may be gone or stale.
 */
#include "core/session/session_internal.h"

static struct hint *hint_slot(struct session *s, const struct key *key, uint64_t *hash)
{
    *hash = (buzhash(&s->bucket_hash, key->bytes, key->len) + key->kind) | 1;
    return &s->hints[(*hash >> 20) % HINTS];
}

uint64_t hint_get(struct session *s, const struct key *key)
{
    uint64_t hash;
    struct hint *h = hint_slot(s, key, &hash);
    return h->hash == hash ? h->inc : 0;
}

void hint_set(struct session *s, const struct key *key, uint64_t inc)
{
    uint64_t hash;
    struct hint *h = hint_slot(s, key, &hash);
    if (inc != 0 || h->hash == hash)
        *h = (struct hint){.hash = hash, .inc = inc};
}
