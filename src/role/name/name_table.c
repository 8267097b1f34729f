/* name_table.c - finding a name, and choosing among its records. */
#include "role/name/name_table.h"

#include "base/mem.h"

#define DRAWS_MAX 64 /* then what is still missing is taken in order */

void name_table_free(struct name_table *t)
{
    if (!t)
        return;
    mem_free(t->slots);
    mem_free(t->entries);
    mem_free(t->sets);
    mem_free(t->draws);
    mem_free(t->offsets);
    mem_free(t->bytes);
    mem_free(t);
}

/* SplitMix64: neighbouring chances are as good as any others. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Without a branch: which way it goes is chance. */
static uint32_t draw_one(const struct name_draw *draws, uint32_t count, uint64_t r)
{
    uint32_t at = (uint32_t)((r >> 32) * count >> 32);
    uint32_t other = 0u - ((uint32_t)r >= draws[at].below);
    return (at & ~other) | (draws[at].other & other);
}

static uint32_t draw(const struct name_draw *draws, const struct name_set *s, uint64_t *state)
{
    uint32_t one = draw_one(draws, s->count, next_random(state));
    if (s->turn != TURN_LOAD)
        return one;
    uint32_t other = draw_one(draws, s->count, next_random(state));
    return name_load_less(&draws[other].load, &draws[one].load) ? other : one;
}

static bool has(const uint32_t *index, uint32_t count, uint32_t value)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < count; i++)
        found |= index[i] == value;
    return found;
}

void name_set_draw(const struct name_table *t, const struct name_set *s, uint64_t chance,
                   uint32_t index[NAME_ADDRESSES_MAX])
{
    const struct name_draw *draws = t->draws + s->draws;
    uint64_t state = chance;
    uint32_t found = 1;
    index[0] = draw(draws, s, &state);
    /* When all are given it is the first that counts. */
    for (unsigned tries = s->give == s->count ? DRAWS_MAX : 0; found < s->give && tries < DRAWS_MAX;
         tries++) {
        uint32_t one = draw(draws, s, &state);
        index[found] = one;
        found += !has(index, found, one);
    }
    for (uint32_t next = (index[0] + 1) % s->count; found < s->give; next = (next + 1) % s->count)
        if (!has(index, found, next))
            index[found++] = next;
}
