/* contact.c - the table of contacts and what a contact's state means. When it changes is decided in
 * member.c. */
#include "core/roster/contact.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

void contacts_deinit(struct contacts *t)
{
    for (size_t i = 0; i < t->count; i++) {
        entry_unref(t->items[i]->entry);
        contact_drop_kept(t->items[i]);
        mem_free(t->items[i]);
    }
    mem_free(t->items);
    memset(t, 0, sizeof *t);
}

/* Where inc stands or would stand. */
static size_t place(const struct contacts *t, uint64_t inc)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->items[mid]->entry->inc < inc)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct contact *contacts_find(const struct contacts *t, uint64_t inc)
{
    size_t at = place(t, inc);
    return at < t->count && t->items[at]->entry->inc == inc ? t->items[at] : NULL;
}

static bool reserve(struct contacts *t)
{
    if (t->count < t->capacity)
        return true;
    if (t->count >= MEMBERS_MAX)
        return false;
    size_t capacity = t->capacity == 0 ? 8 : t->capacity * 2;
    struct contact **items = mem_realloc(t->items, capacity * sizeof(struct contact *));
    if (items == NULL)
        return false;
    t->items = items;
    t->capacity = capacity;
    return true;
}

struct contact *contacts_add(struct contacts *t, struct entry *e, const struct addr *addr,
                             uint64_t now_ns)
{
    if (!reserve(t))
        return NULL;
    struct contact *c = mem_alloc(sizeof *c);
    if (c == NULL)
        return NULL;
    c->entry = entry_ref(e);
    c->addr = *addr;
    c->since_ns = now_ns;
    c->counted = t->counted_floor;
    size_t at = place(t, e->inc);
    assert(at == t->count || t->items[at]->entry->inc != e->inc);
    memmove(&t->items[at + 1], &t->items[at], (t->count - at) * sizeof(struct contact *));
    t->items[at] = c;
    t->count++;
    return c;
}

void contacts_forget(struct contacts *t, struct contact *c)
{
    size_t at = place(t, c->entry->inc);
    assert(at < t->count && t->items[at] == c);
    if (c->counted > t->counted_floor)
        t->counted_floor = c->counted;
    t->count--;
    memmove(&t->items[at], &t->items[at + 1], (t->count - at) * sizeof(struct contact *));
    entry_unref(c->entry);
    contact_drop_kept(c);
    mem_free(c);
}

struct contact *contacts_claimed(const struct contacts *t, const struct entry *e,
                                 const struct addr *addr, size_t *at)
{
    while (*at < t->count) {
        struct contact *c = t->items[(*at)++];
        if (c->presence == PRESENCE_REPLACED || c->presence == PRESENCE_LEFT ||
            c->entry->inc == e->inc)
            continue;
        if (c->entry->node == e->node || strcmp(c->entry->name, e->name) == 0 ||
            addr_equal(&c->addr, addr))
            return c;
    }
    return NULL;
}

struct contact *contacts_oldest_gone(const struct contacts *t)
{
    struct contact *oldest = NULL;
    for (size_t i = 0; i < t->count; i++) {
        struct contact *c = t->items[i];
        bool gone = c->presence == PRESENCE_REPLACED || c->presence == PRESENCE_LEFT ||
                    c->dormant || (c->presence == PRESENCE_OUT && !c->admitted);
        if (gone && (oldest == NULL || c->since_ns < oldest->since_ns))
            oldest = c;
    }
    return oldest;
}

void contact_set_entry(struct contact *c, struct entry *e)
{
    struct entry *next = entry_ref(e);
    entry_unref(c->entry);
    c->entry = next;
}

void contact_drop_kept(struct contact *c)
{
    mem_free(c->waiting);
    c->waiting = NULL;
    c->waiting_len = 0;
}

/* What is too large is answered to somebody who asked, and whom the mesh has. Without memory it is
 * as if it had been lost on the way. */
void contact_keep(struct contact *c, const uint8_t *bytes, size_t len, bool reliable)
{
    contact_drop_kept(c);
    c->waiting = len <= CONTACT_KEPT_MAX ? mem_dup(bytes, len) : NULL;
    if (c->waiting == NULL)
        return;
    c->waiting_len = len;
    c->waiting_reliable = reliable;
}

void contact_become(struct contact *c, enum presence p, uint64_t now_ns)
{
    c->presence = p;
    c->since_ns = now_ns;
    c->doubt_stamp = 0;
    c->muted_ns = 0;
    c->dormant = c->deaf = false;
}

void contact_count_out(struct contact *c, enum presence p, uint64_t now_ns)
{
    assert(p != PRESENCE_HEARD && p != PRESENCE_TOLD);
    contact_become(c, p, now_ns);
    c->counted++;
    /* Echoing what it sent before would renew a lease that it no longer has. */
    c->stamp = 0;
}

enum status contact_state(const struct contact *c)
{
    switch (c->presence) {
    case PRESENCE_HEARD:
        return c->beating ? c->entry->status : STATUS_JOINING;
    case PRESENCE_LEFT:
        return STATUS_LEFT;
    case PRESENCE_TOLD:
    case PRESENCE_OUT:
    case PRESENCE_REPLACED:
        break;
    }
    return STATUS_DOWN;
}

enum status contact_status(const struct contact *c)
{
    if (c->presence == PRESENCE_LEFT || c->rank == SWIM_LEFT)
        return STATUS_LEFT;
    if (c->presence == PRESENCE_REPLACED || c->rank == SWIM_DOWN)
        return STATUS_DOWN;
    if (c->rank == SWIM_SUSPECT || c->doubt_stamp != 0)
        return STATUS_SUSPECT;
    return c->entry->status;
}

bool contact_shown(const struct contact *c)
{
    return c->presence != PRESENCE_TOLD && !c->dormant;
}
