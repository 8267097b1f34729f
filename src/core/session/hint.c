/* Where a key was found last, and which was found nowhere just now: small tables without chains, so
 * guesses that may be gone or stale. */
#include "core/session/session_internal.h"

#define ABSENT_NS (250 * NS_PER_MS)

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

/* For kinds of which one may be called absent that is not: a flood of ids that nobody has made asks
 * the farm once. */
void hint_set_absent(struct session *s, const struct key *key)
{
    uint64_t hash;
    hint_slot(s, key, &hash);
    if (kind_of(s, key)->losable)
        s->absents[(hash >> 20) % ABSENTS] =
            (struct absent){.hash = hash, .until_ns = s->now_ns + ABSENT_NS};
}

bool hint_is_absent(struct session *s, const struct key *key)
{
    uint64_t hash;
    hint_slot(s, key, &hash);
    const struct absent *a = &s->absents[(hash >> 20) % ABSENTS];
    return a->hash == hash && s->now_ns < a->until_ns && kind_of(s, key)->losable;
}
