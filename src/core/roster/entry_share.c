/* entry_share.c - shared entries: a count before each. */
#include "core/roster/entry_share.h"

#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

struct shared {
    atomic_uint refs;
    struct entry entry; /* cut off after its servers */
};

static size_t entry_bytes(size_t servers)
{
    return offsetof(struct entry, servers) + servers * sizeof(struct server);
}

static struct shared *shared_of(struct entry *e)
{
    return (struct shared *)(void *)((char *)e - offsetof(struct shared, entry));
}

struct entry *entry_blank(size_t servers)
{
    assert(servers <= ENTRY_SERVERS_MAX);
    struct shared *s = mem_alloc(offsetof(struct shared, entry) + entry_bytes(servers));
    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    return &s->entry;
}

struct entry *entry_new(const struct entry *e)
{
    struct entry *copy = entry_blank(e->server_count);
    if (copy != NULL)
        memcpy(copy, e, entry_bytes(e->server_count));
    return copy;
}

struct entry *entry_ref(struct entry *e)
{
    if (e != NULL) {
        unsigned before = atomic_fetch_add_explicit(&shared_of(e)->refs, 1, memory_order_relaxed);
        assert(before > 0);
        (void)before;
    }
    return e;
}

void entry_unref(struct entry *e)
{
    if (e == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&shared_of(e)->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        mem_free(shared_of(e));
}

void entry_copy(const struct entry *shared, struct entry *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out, shared, entry_bytes(shared->server_count));
}
