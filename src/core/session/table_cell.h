/* table_cell.h - a cell's bytes at rest, for table_rest.c and table_plain.c: flags of its word,
 * times, and where its packed bytes are. */
#ifndef CORE_SESSION_TABLE_CELL_H
#define CORE_SESSION_TABLE_CELL_H

#include "base/clock.h"
#include "core/record/pen.h"
#include "core/session/table_internal.h"

#define FLAG_ROLE 3u /* two bits */
#define FLAG_TOMBSTONE 4u
#define FLAG_STATE 8u
#define FLAG_BASE 16u
#define FLAG_SAME 32u
#define FLAG_GENERATION 64u
#define FLAG_TOUCHED 128u
#define FLAG_OFFERED 256u

#define TOUCHED_BYTES 6u /* of the time in steps, the lowest first */
#define CELL_INLINE_MAX (SLAB_CELL_MAX - sizeof(struct cell) - 1u - KEY_BYTES_MAX)

_Static_assert(FLAG_OFFERED <= WORD_FLAGS_MASK, "the flags fit into a word");

/* -- times in steps -- */

static inline uint64_t steps(uint64_t ns)
{
    uint64_t n = ns / TIME_STEP_NS + (ns % TIME_STEP_NS != 0);
    return n < WORD_TIME_MAX ? n : WORD_TIME_MAX;
}

static inline uint64_t of_steps(uint64_t n)
{
    return n == WORD_TIME_MAX ? TIME_NEVER : n * TIME_STEP_NS;
}

/* Of fixed length, so that another time is written in place. */
static inline void pen_time(struct pen *p, uint64_t ns)
{
    uint64_t n = steps(ns);
    for (unsigned i = 0; i < TOUCHED_BYTES; i++)
        pen_u8(p, (uint8_t)(n >> 8 * i));
}

static inline uint64_t read_time(const uint8_t **at)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < TOUCHED_BYTES; i++)
        n |= (uint64_t) * (*at)++ << 8 * i;
    return of_steps(n);
}

/* -- the bytes behind the key -- */

static inline size_t key_bytes(const struct cell *c)
{
    return 1u + c->body[0];
}

static inline bool is_outside(const struct cell *c)
{
    const struct item *item = cell_item(c);
    return (item ? item->word : c->word) & WORD_OUTSIDE;
}

static inline uint8_t *packed_of(struct cell *c)
{
    struct outside o;
    uint8_t *at = c->body + key_bytes(c);
    if (!is_outside(c))
        return at;
    memcpy(&o, at, sizeof o);
    return o.bytes;
}

#endif
