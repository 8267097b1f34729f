/* ticks.h - counts of changes, by which who watches records sees that one of them may have
 * changed, without asking the shards again and again.
 *
 * Every change of a record, its coming and its going is counted in the slot of its key, in memory
 * that all shards of a node share and any thread reads. Keys share slots: a count that moved says
 * that it is worth looking, no more. What changes nothing of a record's content (its life, its
 * holders) is not counted; nor is what a failed node can no longer tell. */
#ifndef CORE_SESSION_TICKS_H
#define CORE_SESSION_TICKS_H

#include <stdatomic.h>
#include <stdint.h>

#define TICKS_MAX 4096 /* slots */

struct ticks {
    _Atomic uint32_t count[TICKS_MAX];
};

/* hash: buzhash() of the key's bytes, by the secret of the shards' buckets. */
static inline unsigned ticks_slot(uint64_t hash, uint8_t kind)
{
    return (unsigned)((hash + kind) >> 16) % TICKS_MAX;
}

static inline void ticks_add(struct ticks *c, uint64_t hash, uint8_t kind)
{
    atomic_fetch_add_explicit(&c->count[ticks_slot(hash, kind)], 1, memory_order_release);
}

static inline uint32_t ticks_of(const struct ticks *c, uint64_t hash, uint8_t kind)
{
    return atomic_load_explicit(&c->count[ticks_slot(hash, kind)], memory_order_acquire);
}

#endif
