/* Where a key was found last, and which was found nowhere just now (hint.h). */
#include "core/session/session_internal.h"

#define ABSENT_NS (250 * NS_PER_MS)

static uint64_t hash_of(struct session *s, const struct key *key)
{
    return (table_hash(s->table, key) + key->kind) | 1;
}

uint64_t hint_get(struct session *s, const struct key *key)
{
    uint64_t hash = hash_of(s, key);
    size_t at = (hash >> 20) % HINTS;
    return s->hints.places[at].hash == hash ? s->hints.places[at].inc : 0;
}

void hint_set(struct session *s, const struct key *key, uint64_t inc)
{
    uint64_t hash = hash_of(s, key);
    size_t at = (hash >> 20) % HINTS;
    if (inc == 0 && s->hints.places[at].hash != hash)
        return;
    s->hints.places[at].hash = hash;
    s->hints.places[at].inc = inc;
}

/* For kinds of which one may be called absent that is not: a flood of ids that nobody has made asks
 * the farm once. */
void hint_set_absent(struct session *s, const struct key *key)
{
    uint64_t hash = hash_of(s, key);
    size_t at = (hash >> 20) % HINT_ABSENTS;
    if (!kind_of(s, key)->losable)
        return;
    s->hints.absents[at].hash = hash;
    s->hints.absents[at].until_ns = s->now_ns + ABSENT_NS;
}

bool hint_is_absent(struct session *s, const struct key *key)
{
    uint64_t hash = hash_of(s, key);
    size_t at = (hash >> 20) % HINT_ABSENTS;
    return s->hints.absents[at].hash == hash && s->now_ns < s->hints.absents[at].until_ns &&
           kind_of(s, key)->losable;
}
