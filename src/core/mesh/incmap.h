/* incmap.h - a hash map from 64-bit values that are random already (incarnations, sequence numbers)
 * to things that embed a node. The map owns its buckets, never the things. */
#ifndef CORE_INCMAP_H
#define CORE_INCMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct incmap_node {
    struct incmap_node *next;
    uint64_t key;
};

struct incmap {
    struct incmap_node **buckets;
    size_t bucket_count, count; /* bucket_count is a power of two, or 0 */
};

/* A zeroed incmap is empty. Leaves what is still in it alone. */
void incmap_deinit(struct incmap *m);
/* The newest node with this key, or NULL. */
struct incmap_node *incmap_find(const struct incmap *m, uint64_t key);
/* Puts n under key. False without memory for the first buckets; a map that cannot grow goes on,
 * slower. */
bool incmap_insert(struct incmap *m, struct incmap_node *n, uint64_t key);
void incmap_remove(struct incmap *m, struct incmap_node *n);

#define incmap_entry(n, type, member) ((type *)(void *)((char *)(n)-offsetof(type, member)))

#endif
