/* table.c - the table's life, what is put in and taken out, least recent use, and the counts.
 * Buckets are in table_index.c, cells in table_rest.c, expiry in table_due.c. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "core/session/table_internal.h"

#include <assert.h>

#define HEAP_OVERHEAD 16u
#define WAKE_AGAIN_NS NS_PER_S

struct table *table_new(const struct buzhash *hash, uint64_t now_ns)
{
    struct table *t = mem_alloc(sizeof *t);
    if (!t)
        return NULL;
    t->hash = *hash;
    t->last = mem_alloc(sizeof *t->last);
    if (!t->last || !index_init(t)) {
        mem_free(t->last);
        mem_free(t);
        return NULL;
    }
    list_init(&t->fresh);
    list_init(&t->kept);
    due_init(t, now_ns);
    return t;
}

void table_watch(struct table *t, void (*changed)(void *context, const struct key *key),
                 void *context)
{
    t->changed = changed;
    t->context = context;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    rest_deinit(t);
    index_deinit(t);
    mem_free(t->last);
    mem_free(t);
}

/* -- least recent use -- */

static void lru_append(struct table *t, struct kind_use *use, uint32_t ref)
{
    struct cell *c = cell_at(t, ref);
    c->lru_next = 0;
    c->lru_before = use->lru_last;
    if (use->lru_last)
        cell_at(t, use->lru_last)->lru_next = ref;
    else
        use->lru_first = ref;
    use->lru_last = ref;
}

static void lru_remove(struct table *t, struct kind_use *use, uint32_t ref)
{
    const struct cell *c = cell_at(t, ref);
    if (c->lru_before)
        cell_at(t, c->lru_before)->lru_next = c->lru_next;
    else
        use->lru_first = c->lru_next;
    if (c->lru_next)
        cell_at(t, c->lru_next)->lru_before = c->lru_before;
    else
        use->lru_last = c->lru_before;
}

void lru_moved(struct table *t, uint32_t to)
{
    const struct cell *c = cell_at(t, to);
    struct kind_use *use = &t->kinds[cell_kind(c)];
    if (c->lru_before)
        cell_at(t, c->lru_before)->lru_next = to;
    else
        use->lru_first = to;
    if (c->lru_next)
        cell_at(t, c->lru_next)->lru_before = to;
    else
        use->lru_last = to;
}

void table_tell(struct table *t, struct ticks *c)
{
    t->ticks = c;
}

void table_sum(struct table *t, struct ranges *g)
{
    t->ranges = g;
}

void table_touch(struct table *t, struct item *item)
{
    struct kind_use *use = &t->kinds[item->kind];
    if (use->lru_last == item->ref)
        return;
    lru_remove(t, use, item->ref);
    lru_append(t, use, item->ref);
}

struct item *table_lru(struct table *t, uint8_t kind)
{
    if (kind >= KINDS_MAX || t->kinds[kind].lru_first == 0)
        return NULL;
    return cell_wake(t, t->kinds[kind].lru_first);
}

/* -- in and out -- */

struct item *table_find(struct table *t, const struct key *key)
{
    uint32_t ref = index_find(t, key);
    return ref ? cell_wake(t, ref) : NULL;
}

bool table_wake(struct table *t, const struct key *key)
{
    uint32_t ref = index_find(t, key);
    return !ref || cell_wake(t, ref);
}

struct item *table_insert(struct table *t, struct record *record)
{
    const struct key *key = &record->key;
    if (key->kind >= KINDS_MAX)
        return NULL;
    assert(index_find(t, key) == 0);
    struct item *item = item_take(t);
    if (!item)
        return NULL;
    uint32_t ref = cell_new(t, key, item);
    (void)table_hash(t, key);
    if (!ref || !index_put(t, index_hash(t, key->kind, key->bytes, key->len), ref)) {
        if (ref)
            cell_free(t, ref);
        item_give(t, item);
        return NULL;
    }
    item->record = record;
    item->expires_ns = TIME_NEVER;
    list_append(&t->fresh, &item->awake);
    lru_append(t, &t->kinds[key->kind], ref);
    t->kinds[key->kind].count++;
    t->count++;
    table_recount(t, item);
    index_resize(t);
    return item;
}

void table_remove(struct table *t, struct item *item)
{
    assert(!item->state && !list_linked(&item->queue));
    struct kind_use *use = &t->kinds[item->kind];
    if (t->changed)
        t->changed(t->context, &item->record->key);
    if (!MUTANT(SUM_STAYS) && !cell_forget(t, item))
        atomic_store(&t->ranges->torn, true);
    index_take(t, index_hash_cell(t, cell_at(t, item->ref)), item->ref);
    due_set(t, item->ref, item->expires_ns, TIME_NEVER);
    lru_remove(t, use, item->ref);
    use->count--;
    use->memory -= item->counted_bytes;
    t->item_memory -= item->counted_bytes;
    t->count--;
    table_tick(t, cell_at(t, item->ref), item->kind);
    cell_free(t, item->ref);
    item_end(t, item);
    index_resize(t);
}

/* -- expiry -- */

void table_expire_at(struct table *t, struct item *item, uint64_t expires_ns)
{
    uint64_t step = expires_ns % TIME_STEP_NS, old_ns = item->expires_ns;
    bool never = expires_ns / TIME_STEP_NS + 1 >= WORD_TIME_MAX;
    item->expires_ns = never ? TIME_NEVER : step ? expires_ns - step + TIME_STEP_NS : expires_ns;
    due_set(t, item->ref, old_ns, item->expires_ns);
}

struct item *table_expired(struct table *t, uint64_t now_ns)
{
    uint32_t ref = due_expired(t, now_ns);
    if (!ref)
        return NULL;
    struct item *item = cell_wake(t, ref);
    if (item)
        item->expires_ns = TIME_NEVER;
    else
        due_set(t, ref, TIME_NEVER, now_ns + WAKE_AGAIN_NS);
    return item;
}

uint64_t table_next_expiry(const struct table *t)
{
    return due_next(t);
}

/* -- counts -- */

void table_recount(struct table *t, struct item *item)
{
    struct kind_use *use = &t->kinds[item->kind];
    uint32_t bytes = item->record->memory_bytes;
    use->memory += bytes - (uint64_t)item->counted_bytes;
    t->item_memory += bytes - (uint64_t)item->counted_bytes;
    item->counted_bytes = bytes;
}

uint64_t table_count(const struct table *t)
{
    return t->count;
}

uint64_t table_memory(const struct table *t)
{
    return t->item_memory + t->buckets * LINE_BYTES +
           t->more_buckets * (LINE_BYTES + HEAP_OVERHEAD);
}

uint64_t table_kind_memory(const struct table *t, uint8_t kind)
{
    return kind < KINDS_MAX ? t->kinds[kind].memory : 0;
}

uint64_t table_kind_count(const struct table *t, uint8_t kind)
{
    return kind < KINDS_MAX ? t->kinds[kind].count : 0;
}

/* -- walking -- */

size_t table_walk(struct table *t, uint64_t *cursor, struct item **out, size_t max)
{
    uint32_t refs[TABLE_WALK_MAX];
    size_t count = index_walk(t, cursor, refs, max < TABLE_WALK_MAX ? max : (size_t)TABLE_WALK_MAX);
    for (size_t i = 0; i < count; i++) {
        out[i] = cell_wake(t, refs[i]);
        if (!out[i]) {
            *cursor = index_cursor(t, refs[i]);
            return i;
        }
    }
    return count;
}
