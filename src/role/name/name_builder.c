/* name_builder.c - grows a table's arrays and fills them in. */
#include "role/name/name_builder.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define SLOTS_MIN 64
#define RECORD_BYTES_MAX 60000 /* what fits into a message, less question and OPT */

/* Room for `more` elements behind `used`. */
static bool grow(struct name_builder *b, void *array, size_t *cap, size_t used, size_t more,
                 size_t each)
{
    if (b->failed)
        return false;
    if (used + more <= *cap)
        return true;
    size_t wanted = (used + more) * 2;
    void *old, *grown = NULL;
    memcpy(&old, array, sizeof old);
    if (wanted * each <= NAME_TABLE_BYTES_MAX)
        grown = mem_realloc(old, wanted * each);
    if (!grown) {
        b->failed = true;
        return false;
    }
    memcpy(array, &grown, sizeof grown);
    *cap = wanted;
    return true;
}

bool name_builder_init(struct name_builder *b)
{
    *b = (struct name_builder){.table = mem_alloc(sizeof *b->table), .slot_cap = SLOTS_MIN};
    b->failed = !b->table;
    if (b->failed)
        return false;
    b->table->slots = mem_alloc(SLOTS_MIN * sizeof *b->table->slots);
    b->table->slot_mask = SLOTS_MIN - 1;
    b->failed = !b->table->slots;
    return !b->failed;
}

void name_builder_deinit(struct name_builder *b)
{
    name_table_free(b->table);
    b->table = NULL;
}

struct name_table *name_builder_done(struct name_builder *b)
{
    struct name_table *t = b->table;
    if (b->failed) {
        name_builder_deinit(b);
        return NULL;
    }
    b->table = NULL;
    return t;
}

static void slot_put(struct name_table *t, uint32_t hash, uint32_t entry)
{
    uint32_t at = hash & t->slot_mask;
    while (t->slots[at].entry)
        at = (at + 1) & t->slot_mask;
    t->slots[at] = (struct name_slot){hash, entry + 1};
}

static bool slots_grow(struct name_builder *b)
{
    struct name_table *t = b->table;
    struct name_slot *old = t->slots;
    size_t count = b->slot_cap;
    t->slots = mem_alloc(2 * count * sizeof *t->slots);
    if (!t->slots) {
        t->slots = old;
        b->failed = true;
        return false;
    }
    b->slot_cap = 2 * count;
    t->slot_mask = (uint32_t)(2 * count - 1);
    for (size_t i = 0; i < count; i++)
        if (old[i].entry)
            slot_put(t, old[i].hash, old[i].entry - 1);
    mem_free(old);
    return true;
}

uint32_t name_builder_find(const struct name_builder *b, const struct dns_name *lower)
{
    const struct name_table *t = b->table;
    uint32_t hash = dns_name_hash(lower->bytes, lower->len);
    const struct name_entry *e =
        b->failed ? NULL : name_table_find(t, lower->bytes, lower->len, hash);
    return e ? (uint32_t)(e - t->entries) : UINT32_MAX;
}

uint32_t name_builder_name(struct name_builder *b, const struct dns_name *lower)
{
    struct name_table *t = b->table;
    uint32_t known = name_builder_find(b, lower);
    if (known != UINT32_MAX)
        return known;
    if (!grow(b, &t->entries, &b->entry_cap, t->entry_count, 1, sizeof *t->entries) ||
        (2 * (t->entry_count + 1) > b->slot_cap && !slots_grow(b)) ||
        !grow(b, &t->bytes, &b->byte_cap, t->byte_count, lower->len + 8, 1))
        return UINT32_MAX;
    uint32_t index = (uint32_t)t->entry_count++;
    t->entries[index] =
        (struct name_entry){.name = (uint32_t)t->byte_count, .name_len = (uint8_t)lower->len};
    memcpy(t->bytes + t->byte_count, lower->bytes, lower->len);
    t->byte_count += lower->len;
    slot_put(t, dns_name_hash(lower->bytes, lower->len), index);
    unsigned labels = dns_name_labels(lower->bytes);
    if (labels > t->labels_max)
        t->labels_max = labels;
    return index;
}

void name_builder_above(struct name_builder *b, uint32_t entry, const struct name_zone *zone,
                        uint8_t zone_index)
{
    if (b->failed)
        return;
    struct dns_name n = {.len = b->table->entries[entry].name_len};
    memcpy(n.bytes, b->table->bytes + b->table->entries[entry].name, n.len);
    while (n.len > zone->name.len) {
        size_t label = n.bytes[0] + 1u;
        n.len -= label;
        memmove(n.bytes, n.bytes + label, n.len);
        if (name_builder_find(b, &n) != UINT32_MAX)
            return; /* then those above it are there too */
        uint32_t above = name_builder_name(b, &n);
        if (above == UINT32_MAX)
            return;
        b->table->entries[above].zone = zone_index;
    }
}

void name_builder_open(struct name_builder *b, uint32_t entry)
{
    (void)entry;
    b->entry_first_set = b->table->set_count;
}

void name_builder_close(struct name_builder *b, uint32_t entry, enum name_placed placed,
                        unsigned places)
{
    struct name_table *t = b->table;
    if (b->failed)
        return;
    size_t sets = t->set_count - b->entry_first_set;
    assert(places > 0 && sets % places == 0 && sets / places <= UINT8_MAX);
    t->entries[entry].first_set = (uint32_t)b->entry_first_set;
    t->entries[entry].set_count = (uint8_t)(sets / places);
    t->entries[entry].placed = (uint8_t)placed;
}

struct name_set *name_builder_set(struct name_builder *b, uint16_t type)
{
    struct name_table *t = b->table;
    if (!grow(b, &t->sets, &b->set_cap, t->set_count, 1, sizeof *t->sets))
        return NULL;
    struct name_set *s = &t->sets[t->set_count++];
    *s = (struct name_set){
        .type = type, .records = (uint32_t)t->byte_count, .offsets = (uint32_t)t->offset_count};
    return s;
}

struct wire_writer name_builder_room(struct name_builder *b, size_t bytes)
{
    struct name_table *t = b->table;
    struct wire_writer w;
    bool room = grow(b, &t->bytes, &b->byte_cap, t->byte_count, bytes, 1);
    wire_writer_init(&w, room ? t->bytes + t->byte_count : NULL, room ? bytes : 0);
    return w;
}

/* Takes what was written; where it is. */
static uint32_t take(struct name_builder *b, const struct wire_writer *w)
{
    uint32_t at = (uint32_t)b->table->byte_count;
    if (b->failed || !wire_put_ok(w)) {
        b->failed = true;
        return 0;
    }
    b->table->byte_count += wire_written(w);
    return at;
}

uint32_t name_builder_bytes(struct name_builder *b, const struct wire_writer *w)
{
    return take(b, w);
}

void name_builder_put(struct name_builder *b, const struct wire_writer *w)
{
    struct name_table *t = b->table;
    if (!grow(b, &t->offsets, &b->offset_cap, t->offset_count, 1, sizeof *t->offsets))
        return;
    struct name_set *s = &t->sets[t->set_count - 1];
    size_t bytes = wire_written(w);
    if (bytes > RECORD_BYTES_MAX) {
        b->failed = true;
        return;
    }
    t->offsets[t->offset_count++] = take(b, w);
    s->size = s->count == 0 ? (uint16_t)bytes : s->size == bytes ? s->size : 0;
    s->count++;
}

void name_builder_extra(struct name_builder *b, const struct wire_writer *w)
{
    if (b->failed)
        return;
    struct name_set *s = &b->table->sets[b->table->set_count - 1];
    uint32_t at = take(b, w);
    if (s->extra_count == 0)
        s->extra = at;
    s->extra_count++;
    s->extra_bytes += (uint32_t)wire_written(w);
}

/* The first ones once more, behind the last. */
static void repeat(struct name_builder *b, struct name_set *s)
{
    struct name_table *t = b->table;
    size_t bytes = (size_t)s->size * (s->give - 1);
    if (!grow(b, &t->bytes, &b->byte_cap, t->byte_count, bytes, 1))
        return;
    memcpy(t->bytes + t->byte_count, t->bytes + s->records, bytes);
    t->byte_count += bytes;
}

void name_builder_end_set(struct name_builder *b, enum name_turn turn, uint32_t give, bool keep)
{
    struct name_table *t = b->table;
    if (b->failed)
        return;
    struct name_set *s = &t->sets[t->set_count - 1];
    if (s->count == 0) {
        if (!keep)
            t->set_count--;
        return;
    }
    s->give = give < s->count ? give : s->count;
    s->turn = (uint8_t)(s->count == 1 ? TURN_NONE : turn);
    s->ties = s->count;
    if (s->size == 0)
        return;
    t->offset_count = s->offsets;
    if (s->turn != TURN_NONE)
        repeat(b, s);
}

/* Vose 1991: places that have too little are filled up by others that have too much. */
static bool fill(struct name_draw *draws, const uint32_t *weights, size_t count)
{
    double *share = mem_alloc(count * sizeof *share);
    uint32_t *stack = mem_alloc(count * sizeof *stack);
    size_t small = 0, large = count;
    double sum = 0;
    for (size_t i = 0; share && stack && i < count; i++)
        sum += weights[i];
    for (size_t i = 0; share && stack && i < count; i++) {
        share[i] = sum > 0 ? weights[i] * (double)count / sum : 1;
        stack[share[i] < 1 ? small++ : --large] = (uint32_t)i;
        draws[i].below = UINT32_MAX;
        draws[i].other = (uint32_t)i;
    }
    bool done = share && stack;
    while (done && small > 0 && large < count) {
        uint32_t poor = stack[--small], rich = stack[large];
        draws[poor].below = (uint32_t)(share[poor] * UINT32_MAX);
        draws[poor].other = rich;
        share[rich] -= 1 - share[poor];
        if (share[rich] < 1) {
            large++;
            stack[small++] = rich;
        }
    }
    mem_free(share);
    mem_free(stack);
    return done;
}

void name_builder_draws(struct name_builder *b, const uint32_t *weights,
                        const struct name_load *loads)
{
    struct name_table *t = b->table;
    struct name_set *s = b->failed ? NULL : &t->sets[t->set_count - 1];
    if (!s || s->count < 2 || s->turn == TURN_NONE ||
        !grow(b, &t->draws, &b->draw_cap, t->draw_count, s->count, sizeof *t->draws))
        return;
    s->draws = (uint32_t)t->draw_count;
    t->draw_count += s->count;
    if (!fill(t->draws + s->draws, weights, s->count))
        b->failed = true;
    for (uint32_t i = 0; i < s->count; i++)
        t->draws[s->draws + i].load = loads[i];
}
