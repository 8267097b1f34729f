/* name_table.c - finding a name, and choosing among its records. */
#include "role/name/name_table.h"

#include "base/mem.h"

#include <string.h>

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

const struct name_entry *name_table_find(const struct name_table *t, const uint8_t *name,
                                         size_t len, uint32_t hash)
{
    for (uint32_t at = hash & t->slot_mask;; at = (at + 1) & t->slot_mask) {
        const struct name_slot *s = &t->slots[at];
        if (s->entry == 0)
            return NULL;
        if (s->hash != hash)
            continue;
        const struct name_entry *e = &t->entries[s->entry - 1];
        if (e->name_len == len && dns_name_same(t->bytes + e->name, name, len))
            return e;
    }
}

const struct name_set *name_table_set(const struct name_table *t, const struct name_entry *e,
                                      unsigned place, uint16_t type)
{
    const struct name_set *s = t->sets + e->first_set + place * e->set_count;
    for (unsigned i = 0; i < e->set_count; i++)
        if (s[i].type == type)
            return &s[i];
    return NULL;
}

/* SplitMix64: neighbouring chances are as good as any others. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t draw_one(const struct name_draw *draws, uint32_t count, uint64_t *state)
{
    uint64_t r = next_random(state);
    uint32_t at = (uint32_t)((r >> 32) * count >> 32);
    return (uint32_t)r < draws[at].below ? at : draws[at].other;
}

static uint32_t draw(const struct name_table *t, const struct name_set *s, uint64_t *state)
{
    const struct name_draw *draws = t->draws + s->draws;
    uint32_t one = draw_one(draws, s->count, state);
    if (s->turn != TURN_LOAD)
        return one;
    uint32_t other = draw_one(draws, s->count, state);
    return draws[other].load < draws[one].load ? other : one;
}

static bool has(const uint32_t *index, uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++)
        if (index[i] == value)
            return true;
    return false;
}

static void draw_several(const struct name_table *t, const struct name_set *s, uint64_t chance,
                         uint32_t *index)
{
    uint32_t found = 0;
    uint64_t state = chance;
    for (unsigned tries = 0; found < s->give && tries < DRAWS_MAX; tries++) {
        uint32_t one = draw(t, s, &state);
        if (!has(index, found, one))
            index[found++] = one;
    }
    for (uint32_t next = index[0]; found < s->give; next = (next + 1) % s->count)
        if (!has(index, found, next))
            index[found++] = next;
}

void name_set_choose(const struct name_table *t, const struct name_set *s, uint64_t chance,
                     uint32_t index[NAME_ADDRESSES_MAX], bool *in_row)
{
    uint64_t state = chance;
    *in_row = true;
    switch ((enum name_turn)s->turn) {
    case TURN_NONE:
        index[0] = 0;
        return;
    case TURN_ROTATE:
        index[0] = (uint32_t)chance % s->count;
        return;
    case TURN_HEAD:
        index[0] = (uint32_t)chance % s->ties;
        return;
    case TURN_WEIGHT:
    case TURN_LOAD:
        break;
    }
    if (s->give == s->count) {
        index[0] = draw(t, s, &state);
        return;
    }
    *in_row = false;
    draw_several(t, s, chance, index);
}
