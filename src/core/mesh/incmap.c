/* incmap.c - chains in a table that doubles when it is as full as it has buckets. */
#include "core/mesh/incmap.h"

#include "base/mem.h"

#define BUCKETS_MIN 16u

static struct incmap_node **bucket_of(const struct incmap *m, uint64_t key)
{
    return &m->buckets[(key ^ key >> 32) & (m->bucket_count - 1)];
}

static bool resize(struct incmap *m, size_t bucket_count)
{
    struct incmap grown = {.bucket_count = bucket_count, .count = m->count};
    grown.buckets = mem_alloc(bucket_count * sizeof *grown.buckets);
    if (!grown.buckets)
        return false;
    for (size_t i = 0; i < m->bucket_count; i++) {
        struct incmap_node *n = m->buckets[i];
        while (n) {
            struct incmap_node *next = n->next;
            struct incmap_node **at = bucket_of(&grown, n->key);
            n->next = *at;
            *at = n;
            n = next;
        }
    }
    mem_free(m->buckets);
    *m = grown;
    return true;
}

void incmap_deinit(struct incmap *m)
{
    mem_free(m->buckets);
    *m = (struct incmap){0};
}

struct incmap_node *incmap_find(const struct incmap *m, uint64_t key)
{
    if (m->count == 0)
        return NULL;
    struct incmap_node *n = *bucket_of(m, key);
    while (n && n->key != key)
        n = n->next;
    return n;
}

bool incmap_insert(struct incmap *m, struct incmap_node *n, uint64_t key)
{
    if (m->count >= m->bucket_count) {
        size_t wanted = m->bucket_count ? m->bucket_count * 2 : BUCKETS_MIN;
        if (!resize(m, wanted) && m->bucket_count == 0)
            return false;
    }
    struct incmap_node **at = bucket_of(m, key);
    n->key = key;
    n->next = *at;
    *at = n;
    m->count++;
    return true;
}

void incmap_remove(struct incmap *m, struct incmap_node *n)
{
    struct incmap_node **at = bucket_of(m, n->key);
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    n->next = NULL;
    m->count--;
}
