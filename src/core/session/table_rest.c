/* table_rest.c - items are put to rest in their cells, and woken.
 *
 *   body = u8 length of the key | key | packed bytes, or struct outside
 *   packed = head of the record | head of the item | fields of the record     (record_pack.c)
 *   head of the item = distance of its life's end from the expiry | [number generation] |
 *       [u48 touched] | [number offered | number offered at | number mend at] | [copies]
 *   copies = [u8 doubtful | stamp base] | number of copies, if they are not the head's holders |
 *       copy ...
 *   copy = [inc] | number version and going | number granted | number counted
 *
 * Times are in steps. Versions and contacts count from 1, so their numbers are short.
 *
 * What is changed while awake is written at rest: in place where only the head changed and kept its
 * length, else as a whole. */
#include "base/mem.h"
#include "core/record/record_pack.h"
#include "core/session/item.h"
#include "core/session/table_cell.h"

#include <assert.h>

/* -- memory of items -- */

struct item *item_take(struct table *t)
{
    struct block *b = t->pool;
    if (b) {
        t->pool = b->next;
        t->pool_count--;
        memset(&b->item, 0, offsetof(struct item, own_state)); /* which is zeroed by who owns */
    } else if (!(b = mem_alloc(sizeof *b))) {
        return NULL;
    }
    return &b->item;
}

static struct block *block_of(struct item *item)
{
    return (struct block *)(void *)((char *)item - offsetof(struct block, item));
}

void item_give(struct table *t, struct item *item)
{
    struct block *b = block_of(item);
    if (t->pool_count == POOL_MAX) {
        mem_free(b);
        return;
    }
    b->next = t->pool;
    t->pool = b;
    t->pool_count++;
}

/* -- cells -- */

/* The cell's bytes are at `to` now. */
static void cell_moved(struct table *t, uint32_t from, uint32_t to)
{
    struct cell *c = cell_at(t, to);
    struct item *item = cell_item(c);
    index_change(t, index_hash_cell(t, c), from, to);
    lru_moved(t, to);
    due_moved(t, to);
    if (!item)
        return;
    item->ref = to;
    const uint8_t *packed = packed_of(c);
    if (item->record && item->packed)
        record_fields_moved(item->record, item->packed, slab_bytes(&t->slab, to), packed);
    item->packed = item->packed ? packed : NULL;
}

static void give_cell(struct table *t, uint32_t ref)
{
    uint32_t moved = slab_free(&t->slab, ref);
    if (moved)
        cell_moved(t, moved, ref);
}

uint32_t cell_new(struct table *t, const struct key *key, struct item *item)
{
    uint32_t ref = slab_new(&t->slab, sizeof(struct cell) + 1u + key->len);
    if (!ref)
        return 0;
    struct cell *c = cell_at(t, ref);
    *c = (struct cell){.word = (uintptr_t)item};
    c->body[0] = key->len;
    memcpy(c->body + 1, key->bytes, key->len);
    item->ref = ref;
    item->kind = key->kind;
    return ref;
}

void cell_free(struct table *t, uint32_t ref)
{
    struct cell *c = cell_at(t, ref);
    if (is_outside(c))
        mem_free(packed_of(c));
    give_cell(t, ref);
}

/* -- packing -- */

static void pack_copies(const struct item *item, unsigned flags, struct incs *incs, struct pen *p)
{
    const struct session_state *st = item->state;
    if (flags & FLAG_BASE) {
        pen_u8(p, st->doubtful);
        pen_number(p, st->base.term);
        pen_number(p, st->base.version);
        pen_inc(p, incs, st->base.inc);
    }
    if (!(flags & FLAG_SAME))
        pen_number(p, st->count);
    for (size_t i = 0; i < st->count; i++) {
        const struct copy *c = &st->copies[i];
        if (!(flags & FLAG_SAME))
            pen_inc(p, incs, c->inc);
        pen_number(p, c->version << 1 | c->going);
        pen_number(p, c->granted);
        pen_number(p, c->counted);
    }
}

static bool same_as_holders(const struct item *item)
{
    const struct session_state *st = item->state;
    if (st->count != item->record->holder_count)
        return false;
    for (size_t i = 0; i < st->count; i++)
        if (st->copies[i].inc != item->record->holders[i])
            return false;
    return true;
}

static unsigned flags_of(const struct item *item)
{
    static const struct stamp never;
    const struct session_state *st = item->state;
    unsigned flags = item->role & FLAG_ROLE;
    flags |= item->tombstone ? FLAG_TOMBSTONE : 0;
    flags |= item->generation ? FLAG_GENERATION : 0;
    flags |= item->touched_ns ? FLAG_TOUCHED : 0;
    flags |= item->offered || item->offered_ns || item->mend_ns ? FLAG_OFFERED : 0;
    if (!st)
        return flags;
    flags |= FLAG_STATE | (same_as_holders(item) ? FLAG_SAME : 0);
    flags |= st->doubtful || stamp_compare(&st->base, &never) != 0 ? FLAG_BASE : 0;
    return flags;
}

static uint64_t word_of(const struct item *item, unsigned flags)
{
    return WORD_REST | (uint64_t)flags << WORD_FLAGS_SHIFT |
           (uint64_t)item->kind << WORD_KIND_SHIFT | steps(item->expires_ns) << WORD_TIME_SHIFT;
}

static void pack_head(struct table *t, const struct item *item, unsigned flags, struct pen *p)
{
    record_pack_head(item->record, &t->incs, p);
    pen_distance(p, steps(item->expires_ns), steps(item->life_ns));
    if (flags & FLAG_GENERATION)
        pen_number(p, item->generation + 2); /* what is said by great numbers is short too */
    if (flags & FLAG_TOUCHED)
        pen_time(p, item->touched_ns);
    if (flags & FLAG_OFFERED) {
        pen_number(p, item->offered);
        pen_number(p, steps(item->offered_ns));
        pen_number(p, steps(item->mend_ns));
    }
    if (flags & FLAG_STATE)
        pack_copies(item, flags, &t->incs, p);
}

/* -- unpacking -- */

static void unpack_copies(struct item *item, unsigned flags, const struct incs *incs,
                          const uint8_t **at)
{
    struct session_state *st = item->state = &item->own_state;
    const struct record *r = item->record;
    *st = (struct session_state){.count = r->holder_count};
    if (flags & FLAG_BASE) {
        st->doubtful = *(*at)++;
        st->base.term = read_number(at);
        st->base.version = read_number(at);
        st->base.inc = read_inc(at, incs);
    }
    if (!(flags & FLAG_SAME))
        st->count = read_number(at);
    for (size_t i = 0; i < st->count; i++) {
        struct copy *c = &st->copies[i];
        c->inc = flags & FLAG_SAME ? r->holders[i] : read_inc(at, incs);
        uint64_t version = read_number(at);
        c->going = version & 1;
        c->version = version >> 1;
        c->granted = read_number(at);
        c->counted = read_number(at);
    }
}

static void unpack_head(struct table *t, struct item *item, unsigned flags, const uint8_t **at)
{
    record_unpack_head(item->record, &t->incs, at);
    item->life_ns = of_steps(read_distance(at, steps(item->expires_ns)));
    if (flags & FLAG_GENERATION)
        item->generation = read_number(at) - 2;
    if (flags & FLAG_TOUCHED)
        item->touched_ns = read_time(at);
    if (flags & FLAG_OFFERED) {
        item->offered = read_number(at);
        item->offered_ns = of_steps(read_number(at));
        item->mend_ns = of_steps(read_number(at));
    }
    if (flags & FLAG_STATE)
        unpack_copies(item, flags, &t->incs, at);
}

/* -- waking -- */

/* Memory for that many fields: behind the item, or of their own. */
static struct field *borrow(struct item *item, uint32_t count, struct field ***loan)
{
    struct block *b = block_of(item);
    if (count <= LOAN_FIELDS) {
        *loan = b->loan;
        return b->fields;
    }
    struct field *fields = mem_alloc(count * (sizeof *fields + sizeof **loan));
    item->loan = fields;
    *loan = (struct field **)(void *)(fields + count);
    return fields;
}

/* Reads the record back into an item that has none. False without memory. */
static bool read_cell(struct table *t, struct item *item)
{
    struct cell *c = cell_at(t, item->ref);
    struct record *r = &block_of(item)->record;
    unsigned flags = (unsigned)(item->word >> WORD_FLAGS_SHIFT & WORD_FLAGS_MASK);
    const uint8_t *packed = packed_of(c), *at = packed;
    _Static_assert(offsetof(struct record, key) == 0, "zeroed is what follows the key");
    memset((char *)r + sizeof r->key, 0, sizeof *r - sizeof r->key);
    r->lent = true;
    r->key.kind = item->kind;
    r->key.len = c->body[0];
    memcpy(r->key.bytes, c->body + 1, r->key.len);
    item->record = r;
    unpack_head(t, item, flags, &at);
    struct field **loan, *fields = borrow(item, record_packed_fields(at), &loan);
    if (!fields) {
        item->record = NULL;
        item->state = NULL;
        return false;
    }
    item->packed = packed;
    item->head_bytes = (uint32_t)(at - packed);
    record_unpack_fields(r, &t->incs, &at, fields, loan);
    item->fields_read = r->field_count;
    item->read = r->stamp;
    item->read_gap = steps(item->expires_ns) - steps(item->life_ns);
    item->read_touched_ns = item->touched_ns;
    item->only_read = false;
    item->counted_bytes = r->memory_bytes;
    return true;
}

struct item *cell_wake(struct table *t, uint32_t ref)
{
    struct cell *c = cell_at(t, ref);
    struct item *item = cell_item(c);
    if (item)
        return table_wake_item(t, item) ? item : NULL;
    if (!(item = item_take(t)))
        return NULL;
    item->ref = ref;
    item->word = c->word;
    item->kind = cell_kind(c);
    item->expires_ns = word_time(c->word);
    unsigned flags = (unsigned)(item->word >> WORD_FLAGS_SHIFT & WORD_FLAGS_MASK);
    item->role = flags & FLAG_ROLE;
    item->tombstone = flags & FLAG_TOMBSTONE;
    c->word = (uintptr_t)item;
    if (!read_cell(t, item)) {
        c->word = item->word;
        item_give(t, item);
        return NULL;
    }
    list_append(&t->fresh, &item->awake);
    return item;
}

bool table_wake_item(struct table *t, struct item *item)
{
    item->only_read = false;
    if (item->record)
        return true;
    if (!read_cell(t, item))
        return false;
    list_append(&t->fresh, &item->awake);
    return true;
}

/* -- resting -- */

static void let_go(struct item *item)
{
    record_free(item->record);
    mem_free(item->loan);
    item->record = NULL;
    item->loan = NULL;
    item->packed = NULL;
}

/* All of it, to wherever it fits. False without memory. */
static bool write_whole(struct table *t, struct item *item, const struct pen *head, bool *outside)
{
    uint8_t buffer[SLAB_CELL_MAX];
    struct cell *c = cell_at(t, item->ref);
    struct pen p = {NULL, head->len};
    record_pack_fields(item->record, &t->incs, &p);
    size_t len = p.len;
    *outside = len > CELL_INLINE_MAX;
    uint8_t *bytes = *outside ? mem_realloc(NULL, len) : buffer, *old = NULL;
    if (!bytes)
        return false;
    p = (struct pen){bytes, 0};
    pen_bytes(&p, head->at, head->len);
    record_pack_fields(item->record, &t->incs, &p);
    assert(p.len == len);
    size_t kept = sizeof(struct cell) + key_bytes(c);
    size_t size = kept + (*outside ? sizeof(struct outside) : len);
    uint32_t from = item->ref, to = from;
    if (slab_cell_bytes(size) != slab_bytes(&t->slab, from) && !(to = slab_new(&t->slab, size))) {
        if (*outside)
            mem_free(bytes);
        return false;
    }
    if (is_outside(c))
        old = packed_of(c);
    struct cell *n = cell_at(t, to);
    if (to != from)
        memcpy(n, c, kept);
    struct outside o = {bytes};
    if (*outside)
        memcpy(n->body + key_bytes(n), &o, sizeof o);
    else
        memcpy(n->body + key_bytes(n), buffer, len);
    item->packed = NULL; /* nothing is read from the fields any more */
    if (to != from) {
        cell_moved(t, from, to);
        give_cell(t, from);
    }
    mem_free(old);
    return true;
}

/* Is the time of expiry all that differs from the cell? */
static bool is_as_read(const struct item *item)
{
    return item->only_read && item->packed && item->touched_ns == item->read_touched_ns &&
           steps(item->expires_ns) - steps(item->life_ns) == item->read_gap;
}

static bool write_time(struct item *item)
{
    uint64_t low = (1ull << WORD_TIME_SHIFT) - 1;
    item->word = (item->word & low) | steps(item->expires_ns) << WORD_TIME_SHIFT;
    return true;
}

/* As it was put to rest last. A cell that says nothing of copies is in no sum. */
bool cell_forget(struct table *t, const struct item *item)
{
    if (!t->ranges || !item->packed)
        return true;
    unsigned flags = (unsigned)(item->word >> WORD_FLAGS_SHIFT & WORD_FLAGS_MASK);
    bool owned = (flags & FLAG_ROLE) == ROLE_OWNER && (flags & FLAG_SAME);
    if (owned && record_is_packed_plain(packed_of(cell_at(t, item->ref))))
        return true;
    struct block was;
    memset(&was.item, 0, sizeof was.item);
    was.item.ref = item->ref;
    was.item.word = item->word;
    was.item.kind = item->kind;
    was.item.role = flags & FLAG_ROLE;
    was.item.expires_ns = word_time(item->word);
    if (!read_cell(t, &was.item))
        return false;
    ranges_toggle(t->ranges, &was.item);
    mem_free(was.item.loan);
    return true;
}

/* What the item says takes the place of what its cell says, in the sums; before it is written, as
 * its fields may lie where it is written to. */
static bool sum_anew(struct table *t, const struct item *item)
{
    if (!cell_forget(t, item))
        return false;
    if (t->ranges)
        ranges_toggle(t->ranges, item);
    return true;
}

/* The cell stays as it was. */
static void sum_back(struct table *t, const struct item *item)
{
    if (!t->ranges)
        return;
    ranges_toggle(t->ranges, item);
    if (!cell_forget(t, item))
        atomic_store(&t->ranges->torn, true);
}

/* Brings the cell up to date. False without memory. */
static bool write_cell(struct table *t, struct item *item)
{
    if (is_as_read(item))
        return write_time(item);
    uint8_t buffer[HEAD_MAX];
    struct record *r = item->record;
    unsigned flags = flags_of(item);
    uint64_t word = word_of(item, flags);
    struct pen head = {buffer, 0};
    pack_head(t, item, flags, &head);
    assert(head.len <= sizeof buffer);
    /* Fields are packed by the record's stamp. */
    bool in_place = item->packed && head.len == item->head_bytes &&
                    record_fields_as_read(r, item->fields_read) &&
                    stamp_compare(&r->stamp, &item->read) == 0;
    bool outside = item->word & WORD_OUTSIDE;
    uint8_t *at = in_place ? packed_of(cell_at(t, item->ref)) : NULL;
    const uint64_t said = (uint64_t)WORD_FLAGS_MASK << WORD_FLAGS_SHIFT;
    bool same = in_place && ((word ^ item->word) & said) == 0 && memcmp(at, buffer, head.len) == 0;
    if (!same && !sum_anew(t, item))
        return false;
    if (in_place) {
        memcpy(at, buffer, head.len);
    } else if (!write_whole(t, item, &head, &outside)) {
        sum_back(t, item);
        return false;
    }
    item->word = word | (outside ? WORD_OUTSIDE : 0);
    if (stamp_compare(&r->stamp, &item->read) != 0)
        table_tick(t, cell_at(t, item->ref), item->kind);
    return true;
}

static bool has_changed(const struct item *item)
{
    return stamp_compare(&item->record->stamp, &item->read) != 0 ||
           item->touched_ns != item->read_touched_ns;
}

/* False: it stays awake. */
static bool put_to_rest(struct table *t, struct item *item)
{
    bool changed = t->changed && has_changed(item);
    if (item->record->mark || !write_cell(t, item))
        return false;
    if (changed)
        t->changed(t->context, &item->record->key);
    table_recount(t, item);
    list_remove(&item->awake);
    item->doubtful = item->state && item->state->doubtful;
    let_go(item);
    item->state = NULL;
    if (list_linked(&item->queue))
        return true;
    cell_at(t, item->ref)->word = item->word;
    item_give(t, item);
    return true;
}

void table_rest(struct table *t, bool (*busy)(void *context, const struct item *item),
                void *context)
{
    struct list again;
    if (list_empty(&t->fresh))
        return;
    list_init(&again);
    while (!list_empty(&t->fresh)) {
        struct item *item = list_entry(t->fresh.next, struct item, awake);
        if (busy && busy(context, item)) {
            list_remove(&item->awake);
            list_append(&t->kept, &item->awake);
        } else if (!put_to_rest(t, item)) {
            list_remove(&item->awake);
            list_append(&again, &item->awake);
        }
    }
    list_splice(&t->fresh, &again);
}

void table_stir(struct table *t, const struct key *key)
{
    uint32_t ref = index_find(t, key);
    struct item *item = ref ? cell_item(cell_at(t, ref)) : NULL;
    if (!item || !item->record)
        return;
    list_remove(&item->awake);
    list_append(&t->fresh, &item->awake);
}

/* -- gone -- */

void item_end(struct table *t, struct item *item)
{
    if (item->record)
        list_remove(&item->awake);
    let_go(item);
    item_give(t, item);
}

static void free_pool(struct table *t)
{
    for (struct block *b = t->pool, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
}

/* Items in queues are known by their cells only. */
void rest_deinit(struct table *t)
{
    for (unsigned k = 0; k < KINDS_MAX; k++) {
        for (uint32_t ref = t->kinds[k].lru_first; ref; ref = cell_at(t, ref)->lru_next) {
            struct cell *c = cell_at(t, ref);
            struct item *item = cell_item(c);
            if (is_outside(c))
                mem_free(packed_of(c));
            if (item)
                item_end(t, item);
        }
    }
    free_pool(t);
    slab_deinit(&t->slab);
}
